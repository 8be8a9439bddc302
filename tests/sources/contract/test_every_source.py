"""The promises of section 2 and 8 of the reliability rules that every source keeps, whatever its wire format."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from qobs.errors import BadPayload, Refused, SourceError, Unavailable, Unreachable
from qobs.lab.faults import Fault, body, edited, login_page, replayed, reset, stall, status, truncated
from qobs.model import Ask, Job, JobState, Reason, Stream

NEVER_HEARD = "zz_never_heard_of_this_state"


async def test_every_planned_job_is_read_exactly_once_and_only_the_last_page_says_so(bench: Any) -> None:
    """A job lost between two pages would be missing from every indicator; an early `last` would move the watermark past it."""
    pages = await bench.pages()
    listed = Counter(job.id for raw in pages for job in bench.source.normalize(raw).jobs)
    assert set(listed) == bench.planned
    assert set(listed.values()) == {1}
    assert len(pages) > 1
    assert [raw.last for raw in pages] == [False] * (len(pages) - 1) + [True]


async def test_a_healthy_service_has_nothing_that_is_not_understood(bench: Any) -> None:
    """If the emulated service itself raised quarantines or unknown words, those of a changed API would drown in them."""
    for batch in await bench.batches():
        assert batch.quarantined == ()
        assert batch.unmapped == ()
        assert all(job.state is not JobState.UNKNOWN for job in batch.jobs)


async def test_a_rate_limit_is_waited_for_as_long_as_the_provider_asks(bench: Any) -> None:
    """Coming back too early keeps an account blocked; giving up loses the poll."""
    bench.faults.add(status(429, b"slow down", {"Retry-After": "7"}), path=bench.adapter.LISTING)
    begun = bench.clock.monotonic()
    assert set(await bench.jobs()) == bench.planned
    assert bench.clock.monotonic() - begun >= 7


async def test_an_answer_that_does_not_come_is_asked_for_again(hasty: Any) -> None:
    """One stalled request must not stop a source until somebody restarts the daemon."""
    hasty.faults.add(stall(), path=hasty.adapter.LISTING)
    assert set(await hasty.jobs()) == hasty.planned


async def test_a_service_that_never_answers_is_unreachable(hasty: Any) -> None:
    """A hanging provider has to become a failed poll, or its shard hangs with it."""
    hasty.faults.add(stall(), path=hasty.adapter.LISTING, times=None)
    ask = Ask(stream=Stream.JOBS, now=hasty.clock.now())
    with pytest.raises(Unreachable) as caught:
        await hasty.pages(ask)
    assert caught.value.reason is Reason.TIMEOUT


async def test_a_connection_torn_in_mid_body_is_asked_again(bench: Any) -> None:
    """Half a page is no page: it must neither be applied nor end the poll."""
    bench.faults.add(reset(), path=bench.adapter.LISTING, first=2)
    assert set(await bench.jobs()) == bench.planned


async def test_server_errors_are_tried_again_and_then_given_up(bench: Any) -> None:
    """A short outage costs nothing, a long one must not be hammered."""
    bench.faults.add(status(503), path=bench.adapter.LISTING)
    assert set(await bench.jobs()) == bench.planned
    before = bench.faults.count(bench.adapter.LISTING)
    bench.faults.add(status(500), path=bench.adapter.LISTING, times=None)
    with pytest.raises(Unavailable):
        await bench.pages()
    assert bench.faults.count(bench.adapter.LISTING) - before <= 6


BODIES = {
    "truncated": truncated(),
    "html": login_page(),
    "empty": body(b""),
    "null": body(b"null"),
    "number": body(b"17"),
    "bom": body(b"\xef\xbb\xbf{}"),
    "utf16": body('{"jobs":[]}'.encode("utf-16")),
    "deep": body(b"[" * 5000 + b"]" * 5000),
}


@pytest.mark.parametrize("name", BODIES)
async def test_an_answer_that_is_no_page_is_refused_as_a_whole(bench: Any, name: str) -> None:
    """A login page read as "no jobs" would move the watermark over jobs that nobody has seen."""
    bench.faults.add(BODIES[name], path=bench.adapter.LISTING)
    with pytest.raises(BadPayload):
        await bench.batches()
    assert set(await bench.jobs()) == bench.planned


def _first_row(bench: Any, change: Callable[[dict[str, Any]], None]) -> Fault:
    """Change one row: the first of the first page that has any."""
    changed: list[Any] = []

    def edit(page: Any) -> None:
        rows = bench.adapter.rows(page)
        if rows and not changed:
            changed.append(rows[0])
            change(rows[0])

    return edited(edit)


async def test_a_record_of_wrong_types_is_set_aside_alone(bench: Any) -> None:
    """One broken record must not cost the other jobs of its page."""
    bench.faults.add(_first_row(bench, bench.adapter.wrong_type), path=bench.adapter.LISTING, times=None)
    batches = await bench.batches()
    aside = [record for batch in batches for record in batch.quarantined]
    read = {job.id for batch in batches for job in batch.jobs}
    assert len(aside) == 1
    assert aside[0].stream is Stream.JOBS
    assert aside[0].reason
    assert len(bench.planned - read) == 1
    assert read < bench.planned
    assert aside[0].record_id in (bench.planned - read) | {None}


async def test_a_record_that_is_no_object_is_set_aside_alone(bench: Any) -> None:
    """A stray null between the rows must not cost the rows."""

    def edit(page: Any) -> None:
        bench.adapter.rows(page).insert(1, None)

    bench.faults.add(edited(edit), path=bench.adapter.LISTING)
    batches = await bench.batches()
    assert sum(len(batch.quarantined) for batch in batches) == 1
    assert {job.id for batch in batches for job in batch.jobs} == bench.planned


async def test_an_unknown_state_is_unknown_and_counted(bench: Any) -> None:
    """A new word of the provider must show as such, never as success, failure or silence."""
    bench.faults.add(_first_row(bench, lambda row: bench.adapter.unknown_state(row, NEVER_HEARD)), path=bench.adapter.LISTING)
    batches = await bench.batches()
    odd = [job for batch in batches for job in batch.jobs if job.state is JobState.UNKNOWN]
    assert len(odd) == 1
    assert odd[0].raw_state == NEVER_HEARD
    assert odd[0].settled is False
    assert any(word.value == NEVER_HEARD for batch in batches for word in batch.unmapped)
    assert sum(len(batch.jobs) for batch in batches) == len(bench.planned)


async def test_rows_doubled_and_in_another_order_say_the_same(bench: Any) -> None:
    """Lists move while they are paged: rows come twice and out of order, and must not change what is known."""
    expected = await bench.jobs()

    def edit(page: Any) -> None:
        rows = bench.adapter.rows(page)
        rows.extend(rows[: len(rows) // 2])
        random.Random(5).shuffle(rows)

    bench.faults.add(edited(edit), path=bench.adapter.LISTING, times=None)
    assert await bench.jobs() == expected


async def test_a_page_that_comes_again_and_again_ends_the_listing(bench: Any) -> None:
    """A cursor that never moves must end the poll, not run until memory or patience is gone."""
    bench.faults.add(replayed(), path=bench.adapter.LISTING, times=None)
    try:
        read = set(await bench.jobs())
    except BadPayload:
        read = set()
    assert read <= bench.planned
    assert bench.faults.count(bench.adapter.LISTING) <= 2 * len(bench.planned)


async def test_members_that_nobody_knows_are_counted_and_change_nothing_else(bench: Any) -> None:
    """Providers add members at any time: no record may be lost by it, and someone should hear of it."""
    known = {job_id: _without_extra(job) for job_id, job in (await bench.jobs()).items()}

    def edit(page: Any) -> None:
        for row in bench.adapter.rows(page):
            row["zz_new_member"] = {"deep": [1, {"x": None}]}

    bench.faults.add(edited(edit), path=bench.adapter.LISTING, times=None)
    batches = await bench.batches()
    assert {job.id: _without_extra(job) for batch in batches for job in batch.jobs} == known
    assert all(batch.quarantined == () for batch in batches)
    assert any("zz_new_member" in (word.field + word.value) for batch in batches for word in batch.unmapped)


def _without_extra(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in job.__struct_fields__ if name != "extra"}


async def test_a_credential_refused_once_is_read_anew(bench: Any) -> None:
    """Rotating a key or outliving a token must not need an operator."""
    bench.faults.add(status(401, b'{"message":"expired"}'), path=bench.adapter.LISTING)
    assert set(await bench.jobs()) == bench.planned


async def test_a_credential_refused_for_ever_is_not_hammered(bench: Any) -> None:
    """Asking again and again with a dead key locks accounts and floods audit logs."""
    bench.faults.add(status(401, b'{"message":"revoked"}'), path=bench.adapter.LISTING, times=None)
    with pytest.raises(Refused) as caught:
        await bench.pages()
    assert caught.value.reason is Reason.AUTH
    assert bench.faults.count(bench.adapter.LISTING) <= 2


async def test_rights_that_are_missing_are_said_at_once(bench: Any) -> None:
    """A forbidden answer does not change by repeating it."""
    bench.faults.add(status(403), path=bench.adapter.LISTING, times=None)
    with pytest.raises(Refused) as caught:
        await bench.pages()
    assert caught.value.reason is Reason.FORBIDDEN
    assert bench.faults.count(bench.adapter.LISTING) == 1


async def test_jobs_are_found_by_id_as_they_are_listed(bench: Any) -> None:
    """Open jobs are followed by id: if that told another story than the list, records would flap for ever."""
    listed = await bench.jobs()
    chosen = tuple(sorted(listed))[:7]
    pages = await bench.pages(Ask(stream=Stream.JOBS, ids=chosen, now=bench.clock.now()))
    found = {job.id: job for raw in pages for job in bench.source.normalize(raw).jobs}
    assert tuple(sorted(found)) == chosen
    assert not any(raw.last for raw in pages)
    for job_id, job in found.items():
        # The answer by id may tell more than a row of the list, never less and never something else.
        for name, value in _told(listed[job_id]).items():
            assert getattr(job, name) == value, name


def _told(job: Job) -> dict[str, Any]:
    told = {name: getattr(job, name) for name in job.__struct_fields__}
    return {name: value for name, value in told.items() if value is not None and name not in ("extra", "settled", "updated_at")}


async def test_a_job_that_is_gone_is_missing_and_the_others_are_read(bench: Any) -> None:
    """A deleted job must be known as deleted, and must not hide those asked for with it."""
    first, second, *_ = sorted(bench.planned)
    bench.cloud.remove(first)
    batches = await bench.batches(Ask(stream=Stream.JOBS, ids=(first, second), now=bench.clock.now()))
    assert [job_id for batch in batches for job_id in batch.missing] == [first]
    assert [job.id for batch in batches for job in batch.jobs] == [second]


async def test_normalize_is_pure(bench: Any) -> None:
    """Normalizing happens in threads and again in replays: the same page must always give the same records."""
    for raw in await bench.pages():
        once = bench.source.normalize(raw)
        again = await asyncio.to_thread(bench.source.normalize, raw)
        assert msgspec.json.encode(once) == msgspec.json.encode(again)
        assert once == again


async def test_states_and_times_are_those_of_the_plan(bench: Any) -> None:
    """A state that slips on the way from wire to record would falsify every indicator."""
    now = bench.clock.now()
    for job_id, job in (await bench.jobs()).items():
        plan = bench.cloud.job(job_id, now)
        assert job.state is plan.state(now)
        assert job.backend == plan.backend
        assert job.submitted_at is not None
        assert abs((job.submitted_at - plan.submitted_at).total_seconds()) < 1
        assert (job.failure is not None) == (job.state is JobState.FAILED)


@pytest.mark.parametrize("stream", [stream for stream in Stream if stream is not Stream.JOBS])
async def test_the_other_streams_give_records_about_planned_backends(bench: Any, stream: Stream) -> None:
    """Status, calibrations and quotas carry half of the indicators."""
    if stream not in bench.source.streams:
        assert stream in (Stream.STATUS, Stream.CALIBRATIONS, Stream.QUOTAS)
        return
    pages = await bench.pages(Ask(stream=stream, now=bench.clock.now()))
    assert [raw.last for raw in pages] == [False] * (len(pages) - 1) + [True]
    batches = [bench.source.normalize(raw) for raw in pages]
    assert all(batch.quarantined == () and batch.unmapped == () for batch in batches)
    records = [record for batch in batches for record in (*batch.backends, *batch.calibrations, *batch.quotas)]
    assert records
    names = {backend.name for backend in bench.cloud.backends}
    if stream is Stream.STATUS:
        assert {status.backend for batch in batches for status in batch.backends} == names
    assert {calibration.backend for batch in batches for calibration in batch.calibrations} <= names


SPOILERS = {
    "401": lambda secret: status(401, secret),
    "403": lambda secret: status(403, secret),
    "400": lambda secret: status(400, secret),
    "500": lambda secret: status(500, secret),
    "302": lambda secret: status(302, b"", {"Location": "http://127.0.0.1:1/?key=" + secret.decode()}),
    "html": lambda secret: body(b"<html>" + secret + b"</html>", "text/html"),
    "text": lambda secret: body(b'{"' + secret + b'":' + secret),
}


@pytest.mark.parametrize("name", SPOILERS)
async def test_R9_no_secret_is_in_any_error(bench: Any, name: str) -> None:  # noqa: N802
    """Errors end in logs and on pages, where a key must never be read, even if the provider echoes it."""
    for secret in bench.adapter.SECRETS:
        bench.faults.add(SPOILERS[name](secret.encode()), path=bench.adapter.LISTING, times=None)
        with pytest.raises(SourceError) as caught:
            await bench.batches()
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert secret not in shown
        bench.faults.clear()


def test_every_registered_source_has_an_adapter(adapter: Any) -> None:
    """A source that this suite cannot run on has promised nothing."""
    names = ("LISTING", "SECRETS", "cloud", "application", "settings", "rows", "unknown_state", "wrong_type")
    assert [name for name in names if not hasattr(adapter, name)] == []
