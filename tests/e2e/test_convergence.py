"""After any fault ends, the store knows what it would have known without it (the reliability page's failure matrix)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from qobs.errors import StoreFull
from qobs.lab import faults
from qobs.lab.faults import Fault, Meeting
from qobs.model import Reason

CLOUDS = ("ibm", "ionq", "azure")
LISTS = {"ibm": "/api/v1/jobs", "ionq": "/v0.4/jobs", "azure": "*/jobs"}
ANY_JOB = {"ibm": "/api/v1/jobs*", "ionq": "/v0.4/jobs*", "azure": "*/jobs*"}
ONE_JOB = {"ibm": "/api/v1/jobs/*", "ionq": "/v0.4/jobs/*", "azure": "*/jobs/*"}
ROWS = {"ibm": "jobs", "ionq": "jobs", "azure": "value"}
STATE = {"ibm": "status", "ionq": "status", "azure": "status"}


def rows_of(page: Any) -> list[Any]:
    """The job objects of a listing, or of an answer about one job."""
    for name in ("jobs", "value"):
        if isinstance(page, dict) and isinstance(page.get(name), list):
            return page[name]
    return [page] if isinstance(page, dict) and "id" in page else []


def editing(change: Callable[[list[Any]], list[Any] | None]) -> Fault:
    """Spoil the rows of any answer about jobs."""

    def edit(page: Any) -> Any:
        rows = rows_of(page)
        changed = change(rows)
        if changed is not None and rows:
            name = "jobs" if "jobs" in page else "value"
            if isinstance(page.get(name), list):
                page[name] = changed
        return page

    return faults.edited(edit)


def spoiled_text(old: bytes, new: bytes) -> Fault:
    """Replace raw bytes of an answer: for what no JSON writer would write."""

    async def fault(met: Meeting) -> web.StreamResponse:
        response = await met.handler(met.request)
        assert isinstance(response, web.Response)
        return web.Response(body=bytes(response.body or b"").replace(old, new), content_type="application/json")  # type: ignore[arg-type]

    return fault


def encoded(encode: Callable[[bytes], bytes], headers: dict[str, str] | None = None) -> Fault:
    """The cloud's answer with its bytes passed through ``encode``."""

    async def fault(met: Meeting) -> web.StreamResponse:
        response = await met.handler(met.request)
        assert isinstance(response, web.Response)
        body = encode(bytes(response.body or b""))  # type: ignore[arg-type]
        return web.Response(body=body, content_type="application/json", headers=headers)

    return fault


def dropped() -> Fault:
    """The connection is closed before any answer."""

    async def fault(met: Meeting) -> web.StreamResponse:
        assert met.request.transport is not None
        met.request.transport.close()
        return web.Response()

    return fault


def dripping() -> Fault:
    """One byte at a time, each in time for the idle timer: only the whole-request timer ends it."""

    async def fault(met: Meeting) -> web.StreamResponse:
        import asyncio

        torn = web.StreamResponse(headers={"Content-Type": "application/json"})
        await torn.prepare(met.request)
        for _ in range(20):
            await torn.write(b" ")
            await asyncio.wait([asyncio.ensure_future(met.released.wait())], timeout=0.1)
            if met.released.is_set():
                break
        return torn

    return fault


def oversized() -> Fault:
    """A body that never ends: cut at the cap."""

    async def fault(met: Meeting) -> web.StreamResponse:
        endless = web.StreamResponse(headers={"Content-Type": "application/json"})
        await endless.prepare(met.request)
        for _ in range(34):
            await endless.write(b" " * (1 << 20))
        return endless

    return fault


def wrong_type(rows: list[Any]) -> None:
    for row in rows[:1]:
        row["id"] = ["not", "text"]


def without_id(rows: list[Any]) -> None:
    for row in rows[:1]:
        row.pop("id", None)


def melted(rows: list[Any]) -> None:
    for row in rows[:2]:
        row["status"] = "MELTED"
        if isinstance(row.get("state"), dict):
            row["state"]["status"] = "MELTED"


def huge_number(rows: list[Any]) -> None:
    for row in rows[:1]:
        row["shots"] = 1 << 70
        row["id"] = 1 << 70


BOMB = gzip.compress(b" " * (64 << 20), 9)
DEEP = b"[" * 100_000 + b"]" * 100_000


@dataclass(frozen=True)
class Row:
    """One fault of the matrix: ``where`` chooses the requests, ``times`` how many of them (None: all while it lasts)."""

    name: str
    fault: Callable[[], Fault]
    where: dict[str, str]
    times: int | None = None


MATRIX = (
    Row("429 Retry-After 7", lambda: faults.status(429, headers={"Retry-After": "7"}), ANY_JOB, 2),
    Row("429 Retry-After date", lambda: faults.status(429, headers={"Retry-After": "Sun, 22 Nov 2026 12:20:00 GMT"}), ANY_JOB, 2),
    Row("429 Retry-After garbage", lambda: faults.status(429, headers={"Retry-After": "soon"}), ANY_JOB, 3),
    Row("429 Retry-After negative", lambda: faults.status(429, headers={"Retry-After": "-1"}), ANY_JOB, 3),
    Row("429 Retry-After huge", lambda: faults.status(429, headers={"Retry-After": "1000000000"}), ANY_JOB, 1),
    Row("429 without header", lambda: faults.status(429), ANY_JOB),
    Row("500", lambda: faults.status(500, b"oops"), ANY_JOB),
    Row("502", lambda: faults.status(502, b"<html>bad gateway</html>"), ANY_JOB),
    Row("503 HTML", lambda: faults.status(503, faults.LOGIN_PAGE), ANY_JOB),
    Row("504", lambda: faults.status(504), ANY_JOB),
    Row("520 from a CDN", lambda: faults.status(520), ANY_JOB),
    Row("everything 500", lambda: faults.status(500), dict.fromkeys(CLOUDS, "*")),
    Row("401 once", lambda: faults.status(401), ANY_JOB, 1),
    Row("401 for a while", lambda: faults.status(401, headers={"WWW-Authenticate": "Bearer"}), ANY_JOB),
    Row("403 for a while", lambda: faults.status(403), ANY_JOB),
    Row("connection closed", dropped, ANY_JOB),
    Row("reset in mid-body", faults.reset, ANY_JOB),
    Row("no answer", faults.stall, LISTS, 4),
    Row("one byte at a time", dripping, LISTS, 3),
    Row("truncated JSON", faults.truncated, ANY_JOB),
    Row("login page with 200", faults.login_page, ANY_JOB),
    Row("empty body", lambda: faults.body(b""), ANY_JOB),
    Row("null", lambda: faults.body(b"null"), ANY_JOB),
    Row("bare list", lambda: faults.body(b"[]"), LISTS),
    Row("bare string", lambda: faults.body(b'"ok"'), ANY_JOB),
    Row("byte order mark", lambda: encoded(lambda body: b"\xef\xbb\xbf" + body), ANY_JOB),
    Row("UTF-16", lambda: encoded(lambda body: body.decode().encode("utf-16")), ANY_JOB),
    Row("truncated gzip", lambda: encoded(lambda b: gzip.compress(b)[:-9], {"Content-Encoding": "gzip"}), ANY_JOB),
    Row("gzip bomb", lambda: encoded(lambda _: BOMB, {"Content-Encoding": "gzip"}), LISTS, 2),
    Row("body over the cap", oversized, LISTS, 2),
    Row("JSON of depth 100,000", lambda: faults.body(DEEP), LISTS, 4),
    Row("wrong types in one record", lambda: editing(wrong_type), LISTS),
    Row("record without an id", lambda: editing(without_id), LISTS),
    Row("integer over 64 bit", lambda: editing(huge_number), LISTS),
    Row("NaN", lambda: spoiled_text(b'"id":', b'"priority": NaN, "id":'), LISTS, 3),
    Row("NUL in a string", lambda: spoiled_text(b'"id": "', b'"id": "\\u0000'), LISTS, 3),
    Row("every row twice", lambda: editing(lambda rows: [row for row in rows for _ in range(2)]), LISTS),
    Row("rows reversed", lambda: editing(lambda rows: rows[::-1]), LISTS),
    Row("same page for ever", faults.replayed, LISTS),
    Row("empty page", lambda: editing(lambda rows: []), LISTS),
    Row("404 by id", lambda: faults.status(404), ONE_JOB, 2),
    Row("redirect to another host", lambda: faults.status(302, headers={"Location": "https://example.org/"}), ANY_JOB),
    Row("redirect to itself", lambda: faults.status(307, headers={"Location": "/"}), ANY_JOB),
)


@pytest.mark.parametrize(
    ("row", "cloud"),
    [pytest.param(row, CLOUDS[index % 3], id=f"{row.name} ({CLOUDS[index % 3]})") for index, row in enumerate(MATRIX)],
)
async def test_facts_converge_after(run, healthy, caplog, row, cloud):
    """An outage or a bad answer may delay a fact, and must never lose, double or bend one."""
    others = [name for name in CLOUDS if name != cloud]

    def during(index: int) -> None:
        if index == 2:
            run.faults[cloud].add(row.fault(), path=row.where[cloud], times=row.times)
        if index == 5:
            run.faults[cloud].clear()

    await run.through(during)
    assert run.dump() == healthy
    assert list(run.sink.store.verify()) == []
    assert run.leaks(caplog.text) == []
    for log in run.group.shard_logs:
        if log.shard.provider in others:
            assert dict(log.freeze().errors) == {}, "a provider's failure must stay its own"


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_an_unknown_state_is_unknown_counted_and_mended(run, healthy, cloud):
    """A word that a provider invents overnight must neither crash, nor end a job, nor stay once it is gone."""
    seen: list[int] = []

    def during(index: int) -> None:
        if index == 2:
            run.faults[cloud].add(editing(melted), path=ANY_JOB[cloud], times=None)
        if index == 5:
            seen.append(sum(sum(log.freeze().unmapped.values()) for log in run.group.source_logs))
            run.faults[cloud].clear()

    await run.through(during)
    assert seen[0] > 0
    assert [line for line in run.dump() if not line.startswith(("transition", "  "))] == [
        line for line in healthy if not line.startswith(("transition", "  "))
    ]


async def test_a_full_store_pauses_and_resumes(run, healthy, monkeypatch):
    """A full disk must acknowledge nothing, and must need no operator once there is space again."""
    commit = run.sink.store.commit

    def refuse(page: object) -> object:
        raise StoreFull("no space left on device")

    def during(index: int) -> None:
        if index == 2:
            monkeypatch.setattr(run.sink.store, "commit", refuse)
        if index == 3:
            assert run.sink.full
        if index == 5:
            monkeypatch.setattr(run.sink.store, "commit", commit)

    await run.through(during)
    assert run.dump() == healthy
    assert not run.sink.full


async def test_a_vanished_job_is_unknown_and_not_failed(run):
    """A provider that deletes a job has not said that it failed: nobody's budget may pay for it."""
    cloud = run.clouds["ionq"]
    gone = next(job for job in cloud.jobs(run.clock.now()) if job.ended_at > run.clock.now())

    def during(index: int) -> None:
        if index == 1:
            cloud.remove(gone.id)

    await run.through(during)
    (job,) = [job for job in run.sink.store.jobs() if job.id == gone.id]
    assert (str(job.state), job.failure) == ("unknown", None)


async def test_a_correction_moves_the_count(run):
    """A job that the provider first calls completed and then failed must end up as one failure, not as two events."""
    cloud = run.clouds["azure"]
    chosen = next(job for job in cloud.jobs(run.clock.now()) if job.ended_at < run.clock.now())
    cloud.change(chosen.id, outcome=chosen.outcome.COMPLETED, failure=None)
    await run.step(run.clock.now())
    before = dict(_finished(run))
    cloud.change(chosen.id, outcome=chosen.outcome.FAILED, failure=("InternalError", "a late discovery"))
    for runner in run.group.runners:
        if runner.shard.provider == "azure" and runner.shard.stream == "jobs":
            await runner.turn()
    after = dict(_finished(run))
    assert (after["completed"], after["failed"]) == (before["completed"] - 1, before["failed"] + 1)
    assert list(run.sink.store.verify()) == []


def _finished(run: Any) -> dict[str, float]:
    sums: dict[str, float] = {"completed": 0, "failed": 0}
    for entry in run.sink.store.counters():
        if entry.name == "qobs_jobs_finished_total" and entry.labels[0] == "azure":
            sums[entry.labels[-1]] = sums.get(entry.labels[-1], 0) + entry.value
    return sums


async def test_a_healthy_run_knows_every_planned_job(run, healthy):
    """The yardstick of all rows must itself be complete, or equality would prove nothing."""
    await run.through()
    known = {job.id: job for job in run.sink.store.jobs()}
    for cloud in run.clouds.values():
        for plan in cloud.jobs(run.clock.now()):
            assert known[plan.id].state is plan.outcome, plan
    assert run.dump() == healthy
    assert Reason.OTHER not in {reason for log in run.group.shard_logs for reason in log.freeze().errors}
    assert json.dumps(healthy)
