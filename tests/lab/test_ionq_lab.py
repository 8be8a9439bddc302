"""The emulated IonQ sends what the reference says, and the same on every run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from qobs.lab.clock import LabClock
from qobs.lab.ionq import API_KEY, application, default_cloud
from qobs.lab.serve import serve
from qobs.lab.world import Cloud

BEGINS = datetime(2026, 9, 14, tzinfo=UTC)
NOW = BEGINS + timedelta(hours=3)
KEY = {"Authorization": f"apiKey {API_KEY}"}


class Caller:
    """Asks an emulated service."""

    def __init__(self, session: aiohttp.ClientSession, url: str, cloud: Cloud, clock: LabClock) -> None:
        self.session, self.url, self.cloud, self.clock = session, url, cloud, clock

    async def __call__(self, path: str, *, status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> Any:
        """The JSON of ``path``, which must answer with ``status``."""
        async with self.session.get(self.url + path, headers=KEY if headers is None else headers, **more) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def headers(self, path: str) -> Any:
        """Status and headers of ``path``."""
        async with self.session.get(self.url + path, headers=KEY) as answer:
            return answer.status, answer.headers


async def _caller(**options: Any) -> AsyncIterator[Caller]:
    cloud, clock = default_cloud(9, BEGINS), LabClock(NOW)
    async with serve(application(cloud, clock, **options)) as url, aiohttp.ClientSession() as session:
        yield Caller(session, url, cloud, clock)


@pytest.fixture
async def ask() -> AsyncIterator[Caller]:
    """Three hours of the default cloud."""
    async for caller in _caller():
        yield caller


@pytest.fixture
async def ask_may() -> AsyncIterator[Caller]:
    """The form of May 2026, without v0.3."""
    async for caller in _caller(shape="2026-05", versions=("v0.4",)):
        yield caller


@pytest.fixture
async def ask_slowly() -> AsyncIterator[Caller]:
    """Three requests a minute."""
    async for caller in _caller(requests_per_minute=3):
        yield caller


def test_two_clouds_of_one_seed_are_one_plan() -> None:
    """A failure seen once must be seen again."""
    assert default_cloud(9, BEGINS).jobs(NOW) == default_cloud(9, BEGINS).jobs(NOW)
    assert default_cloud(9, BEGINS).jobs(NOW) != default_cloud(8, BEGINS).jobs(NOW)


async def test_jobs_are_paged_newest_first_with_a_null_at_the_end(ask: Caller) -> None:
    """Paging is where monitors lose jobs: the emulation must page as the service does."""
    seen: list[str] = []
    cursor, pages = "", 0
    while cursor is not None:
        page = await ask(f"/v0.4/jobs?limit=25{cursor and '&next='}{cursor}")
        seen += [row["id"] for row in page["jobs"]]
        cursor, pages = page["next"], pages + 1
        assert len(page["jobs"]) <= 25
    assert seen == [job.id for job in reversed(ask.cloud.jobs(NOW))]
    assert pages == -(-len(seen) // 25) > 1


async def test_cirq_gets_no_cursor_at_the_end_and_may_send_a_body(ask: Caller) -> None:
    """cirq-ionq would read the first page for ever if the member were there."""
    headers = KEY | {"User-Agent": "cirq/1.7.0 (python/3.11.7)"}
    target = "/v0.4/jobs?status=canceled"
    assert "next" not in await ask(target, headers=headers, json={"limit": 1000})
    assert (await ask(target))["next"] is None
    assert len((await ask("/v0.4/jobs", headers=headers, json={"limit": 3}))["jobs"]) == 3


async def test_filters_choose_jobs(ask: Caller) -> None:
    """Callers of the real service narrow their lists with these."""
    jobs = ask.cloud.jobs(NOW)
    wanted = [jobs[3].id, jobs[5].id]
    rows = (await ask(f"/v0.4/jobs?ids={wanted[0]}&ids={wanted[1]}"))["jobs"]
    assert sorted(row["id"] for row in rows) == sorted(wanted)
    rows = (await ask("/v0.4/jobs?target=simulator,qpu.none"))["jobs"]
    assert {row["backend"] for row in rows} == {"simulator"}
    assert (await ask("/v0.4/jobs?session_id=none"))["jobs"] == []
    ask.cloud.change(wanted[0], batch="5e55")
    assert [row["id"] for row in (await ask("/v0.4/jobs?session_id=5e55"))["jobs"]] == [wanted[0]]
    assert [session["id"] for session in (await ask("/v0.4/sessions"))["sessions"]] == ["5e55"]


async def test_a_job_goes_through_its_states_as_the_clock_moves(ask: Caller) -> None:
    """Transitions are what the daemon records: each word must come in its time."""
    at = NOW + timedelta(days=1)
    job = replace(
        ask.cloud.jobs(NOW)[0],
        id="00000000-0000-4000-8000-000000000001",
        backend="qpu.forte-1",
        submitted_at=at,
        started_at=at + timedelta(seconds=60),
        ended_at=at + timedelta(seconds=90),
    )
    ask.cloud.generate = False
    ask.cloud.add(job)
    await ask(f"/v0.4/jobs/{job.id}", status=404)
    words = []
    for seconds in (0, 5, 61, 91):
        ask.clock.set(at + timedelta(seconds=seconds))
        new, old = await ask(f"/v0.4/jobs/{job.id}"), await ask(f"/v0.3/jobs/{job.id}")
        words.append((new["status"], old["status"]))
    assert words == [("submitted",) * 2, ("ready",) * 2, ("started", "running"), ("completed",) * 2]
    assert new["started_at"] == "2026-09-15T03:01:00.000Z"
    assert old["start"] == int(job.started_at.timestamp()) if job.started_at else False
    assert "cost" not in await ask(f"/v0.4/jobs/{job.id}/cost")
    ask.clock.set(job.ended_at + timedelta(seconds=30))
    assert (await ask(f"/v0.4/jobs/{job.id}/cost"))["cost"] == {"value": job.cost, "unit": "usd"}


async def test_a_multi_circuit_job_comes_with_its_children(ask: Caller) -> None:
    """Parents and children appear in one list, which is what tempts monitors to count twice."""
    parent = ask.cloud.change(ask.cloud.jobs(NOW)[-1].id, circuits=3)
    rows = (await ask("/v0.4/jobs?limit=4"))["jobs"]
    assert [row["parent_job_id"] for row in rows] == [parent.id] * 3 + [None]
    assert rows[3]["child_job_ids"] == [row["id"] for row in rows[:3]]
    assert (await ask(f"/v0.4/jobs/{rows[0]['id']}"))["parent_job_id"] == parent.id
    assert len((await ask(f"/v0.4/jobs?parent_job_id={parent.id}"))["jobs"]) == 3


async def test_results_are_probabilities_whatever_way_they_are_asked(ask: Caller) -> None:
    """Three ways lead to one distribution, and it must sum to one."""
    job = next(job for job in ask.cloud.jobs(NOW) if job.backend == "qpu.forte-1" and job.outcome.value == "completed")
    flat = await ask(f"/v0.4/jobs/{job.id}/results/probabilities")
    assert sum(flat.values()) == pytest.approx(1.0, abs=1e-12)
    assert flat == await ask(f"/v0.3/jobs/{job.id}/results")
    results = (await ask(f"/v0.4/jobs/{job.id}"))["results"]
    assert results["probabilities"]["url"] == f"/v0.4/jobs/{job.id}/results/probabilities"
    named = results["ionq.result.probabilities.json.v2"]["id"]
    nested = (await ask(f"/v0.4/jobs/{job.id}/artifacts/{named}"))["probabilities"]["registers"]["output_all"]
    assert {str(int(bits, 2)): p for bits, p in nested.items()} == flat
    counted = results["ionq.result.histogram.json.v2"]["id"]
    histogram = (await ask(f"/v0.4/jobs/{job.id}/artifacts/{counted}"))["histogram"]["registers"]["output_all"]
    assert sum(histogram.values()) == job.shots
    await ask(f"/v0.4/jobs/{job.id}/artifacts/none", status=404)


async def test_the_two_forms_of_v04_differ_as_they_did(ask: Caller, ask_may: Caller) -> None:
    """The API changed under one version number; both forms must be at hand to test against."""
    for caller, model, artifacts in ((ask, "QCT", True), (ask_may, "quantum_compute_time", False)):
        rows = (await caller("/v0.4/jobs?status=completed"))["jobs"]
        assert {row["cost_model"] for row in rows} == {model}
        assert all(("ionq.result.probabilities.json.v2" in row["results"]) is artifacts for row in rows)
    await ask_may("/v0.3/jobs", status=404)


async def test_characterizations_are_daily_drift_and_stay_as_published(ask: Caller) -> None:
    """Freshness and drift are tested on these: a past calibration must never change."""
    first = await ask("/v0.4/backends/qpu.forte-1/characterizations?limit=2&page=1", headers={})
    second = await ask("/v0.4/backends/qpu.forte-1/characterizations?limit=2&page=2", headers={})
    rows = first["characterizations"] + second["characterizations"]
    dates = [datetime.fromisoformat(row["date"]) for row in rows]
    assert dates == [dates[0] - timedelta(days=day) for day in range(4)]
    assert first["pages"] == second["pages"] + 1
    assert len({row["fidelity"]["2q"]["median"] for row in rows}) == 4
    assert all(0.98 < row["fidelity"][name]["median"] < 1 for row in rows for name in ("spam", "1q", "2q"))
    ask.clock.advance(timedelta(days=1))
    assert (await ask(f"/v0.4/backends/qpu.forte-1/characterizations/{rows[0]['id']}")) == rows[0]
    assert (await ask("/v0.3/characterizations/backends/qpu.forte-1/current"))["date"] > rows[0]["date"]


async def test_the_simulator_has_no_characterization(ask: Caller) -> None:
    """Null is how the service says so."""
    assert (await ask("/v0.4/backends/simulator/characterizations"))["characterizations"] is None
    await ask("/v0.3/characterizations/backends/simulator/current", status=404)


async def test_only_device_telemetry_is_open(ask: Caller) -> None:
    """The specification opens backends to all, and nothing else."""
    await ask("/v0.4/backends", headers={})
    await ask("/v0.4/backends/qpu.forte-1", headers={})
    for path in ("/v0.4/jobs", "/v0.4/whoami", "/v0.4/sessions", "/v0.4/backends/qpu.forte-1/characterizations/x"):
        for wrong in ({}, {"Authorization": f"Bearer {API_KEY}"}, {"Authorization": "apiKey wrong"}):
            body = await ask(path, status=401, headers=wrong)
            assert body["statusCode"] == 401
    assert (await ask("/v0.4/whoami"))["project_id"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "next=%21%21", "next=bm9uZQ"])
async def test_a_wrong_query_is_refused_with_the_key_that_is_wrong(ask: Caller, query: str) -> None:
    """The error form of the service names the parameter."""
    body = await ask(f"/v0.4/jobs?{query}", status=400)
    assert body["validation"]["keys"] == [query.partition("=")[0]]


async def test_too_many_requests_are_told_when_to_come_back(ask_slowly: Caller) -> None:
    """The lower bound of the daemon's patience."""
    for _ in range(3):
        await ask_slowly("/v0.4/backends")
    status, headers = await ask_slowly.headers("/v0.4/backends")
    assert (status, headers["Retry-After"]) == (429, "60")
    ask_slowly.clock.advance(timedelta(seconds=60))
    await ask_slowly("/v0.4/backends")


async def test_the_date_header_is_the_labs(ask: Caller) -> None:
    """A skewed provider clock is emulated by it."""
    _, headers = await ask.headers("/v0.4/backends")
    assert parsedate_to_datetime(headers["Date"]) == NOW
