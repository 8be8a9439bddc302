"""One poll of one shard, against a scripted source and a sink that remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from qobs.errors import BadPayload, Unavailable
from qobs.lab.clock import LabClock
from qobs.model import Applied, Ask, Batch, Job, JobState, Page, Quarantined, Raw, Reason, Shard, Stream, Unmapped
from qobs.sources.poller import Watched, poll_once, reconcile_once

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SHARD = Shard("lab", "acme", "a1", Stream.JOBS)


def job(job_id: str, minutes_ago: float, state: JobState = JobState.COMPLETED) -> Job:
    at = NOW - timedelta(minutes=minutes_ago)
    return Job(provider="acme", source="lab", account="a1", id=job_id, state=state, submitted_at=at)


def raw(*jobs: Job, last: bool = False, fetched: str = "jobs") -> Raw:
    return Raw(stream=Stream.JOBS, kind=fetched, body=msgspec.json.encode(jobs), fetched_at=NOW, last=last)


class Script:
    """A source that plays what it is given: pages, or an exception to raise in their place."""

    provider, account, streams = "acme", "a1", frozenset({Stream.JOBS})

    def __init__(self, *listing: Raw | Exception, answers: tuple[Raw | Exception, ...] = ()) -> None:
        self.listing, self.answers = listing, answers
        self.asked: list[Ask] = []

    async def fetch(self, http: object, ask: Ask) -> AsyncIterator[Raw]:
        self.asked.append(ask)
        for item in self.answers if ask.ids else self.listing:
            if isinstance(item, Exception):
                raise item
            yield item

    def normalize(self, page: Raw) -> Batch:
        if page.kind == "html":
            raise BadPayload("HTML, but JSON is expected")
        if page.kind == "broken":
            bad = Quarantined(stream=Stream.JOBS, reason="$.id: expected str", body=b"{}")
            return Batch(jobs=tuple(msgspec.json.decode(page.body, type=list[Job])), quarantined=(bad,))
        if page.kind == "odd":
            return Batch(unmapped=(Unmapped("state", "MELTED"), Unmapped("state", "FROZEN")))
        return Batch(jobs=tuple(msgspec.json.decode(page.body, type=list[Job])))


class Memory:
    """A sink that keeps pages; ``due_ids`` are handed out as the store would."""

    def __init__(self, watermark: datetime | None = None, due_ids: tuple[str, ...] = ()) -> None:
        self.mark, self.due_ids = watermark, due_ids
        self.pages: list[Page] = []

    async def commit(self, page: Page) -> Applied:
        self.pages.append(page)
        self.mark = page.watermark or self.mark
        return Applied(ingested=len(page.batch.jobs))

    async def watermark(self, shard: Shard) -> datetime | None:
        return self.mark

    async def due(self, shard: Shard, now: datetime) -> tuple[str, ...]:
        return self.due_ids


@asynccontextmanager
async def admit(size: int) -> AsyncIterator[None]:
    assert size >= 0
    yield


def watched(source: Script, **options: object) -> Watched:
    return Watched(shard=SHARD, source=source, http=None, **options)  # type: ignore[arg-type]


async def test_the_watermark_moves_only_with_the_last_page():
    """A poll that dies half-way must start from the old place, or the unread pages are lost for good."""
    sink = Memory()
    await poll_once(watched(Script(raw(job("a", 5)), Unavailable("503"))), sink, admit, LabClock(NOW))
    assert sink.mark is None
    await poll_once(watched(Script(raw(job("a", 5)), raw(job("b", 9), last=True))), sink, admit, LabClock(NOW))
    assert sink.mark == NOW - timedelta(minutes=5)


async def test_pages_before_a_failure_stand_and_the_failure_is_a_value():
    """An outage in mid-poll must neither lose what was read nor take the daemon down."""
    sink = Memory()
    outcome = await poll_once(watched(Script(raw(job("a", 5)), Unavailable("503"))), sink, admit, LabClock(NOW))
    assert [page.batch.jobs[0].id for page in sink.pages] == ["a"]
    assert (outcome.poll.reason, outcome.poll.pages, outcome.applied.ingested) == (Reason.SERVER_ERROR, 1, 1)


async def test_the_next_poll_asks_from_the_watermark_less_the_overlap():
    """Rows that share a timestamp, or that the provider lists late, must be seen again rather than skipped."""
    source, mark = Script(raw(last=True)), NOW - timedelta(hours=1)
    await poll_once(watched(source, overlap=timedelta(minutes=20)), Memory(mark), admit, LabClock(NOW))
    assert source.asked[0].since == mark - timedelta(minutes=20)


async def test_the_first_poll_looks_back_one_horizon():
    """A fresh install must show recent history, and must not page through years."""
    source = Script(raw(last=True))
    await poll_once(watched(source, horizon=timedelta(days=3)), Memory(), admit, LabClock(NOW))
    assert source.asked[0].since == NOW - timedelta(days=3)


async def test_a_time_far_in_the_future_does_not_move_the_watermark():
    """One job stamped 2106 by a broken provider clock would hide every job until then."""
    sink = Memory()
    wild = job("wild", minutes_ago=-80 * 365 * 24 * 60)
    await poll_once(watched(Script(raw(wild, job("a", 5), last=True))), sink, admit, LabClock(NOW))
    assert sink.mark == NOW - timedelta(minutes=5)


async def test_an_empty_listing_leaves_the_watermark_alone():
    """No news is not a reason to skip ahead to our own clock."""
    mark = NOW - timedelta(hours=2)
    sink = Memory(mark)
    await poll_once(watched(Script(raw(last=True))), sink, admit, LabClock(NOW))
    assert sink.pages[0].watermark is None
    assert sink.mark == mark


async def test_more_pages_than_the_cap_abort_the_poll():
    """A token that repeats for ever must not hold a poll for ever."""
    sink = Memory()
    endless = Script(*(raw(job(str(index), 5)) for index in range(9)))
    outcome = await poll_once(watched(endless, max_pages=4), sink, admit, LabClock(NOW))
    assert (outcome.poll.reason, len(sink.pages), sink.mark) == (Reason.BAD_PAYLOAD, 4, None)


async def test_a_page_with_too_many_unreadable_records_fails_the_poll_but_keeps_the_readable():
    """When the provider's API has changed the breaker must learn of it, and good records must still count."""
    few, many = (raw(*(job(str(i), 5) for i in range(count)), fetched="broken", last=True) for count in (9, 2))
    sink = Memory()
    assert (await poll_once(watched(Script(few)), sink, admit, LabClock(NOW))).poll.reason is None
    outcome = await poll_once(watched(Script(many)), sink, admit, LabClock(NOW))
    assert outcome.poll.reason is Reason.BAD_PAYLOAD
    assert len(sink.pages[-1].batch.jobs) == 2


async def test_due_jobs_are_asked_for_by_id_once_a_poll():
    """A job that the list no longer announces must still converge, without hammering when it stays open."""
    source = Script(raw(last=True), answers=(raw(job("old", 90)),))
    sink = Memory(NOW, due_ids=("old",))
    await poll_once(watched(source), sink, admit, LabClock(NOW))
    assert [ask.ids for ask in source.asked] == [(), ("old",)]
    assert sink.pages[-1].watermark is None


async def test_answers_by_id_before_a_failure_are_kept():
    """A provider that fails at the third job by id has still told the truth about the first two."""
    source = Script(raw(last=True), answers=(raw(job("x", 90)), raw(job("y", 80)), Unavailable("503")))
    sink = Memory(NOW, due_ids=("x", "y", "z"))
    outcome = await poll_once(watched(source), sink, admit, LabClock(NOW))
    assert {entry.id for page in sink.pages for entry in page.batch.jobs} == {"x", "y"}
    assert outcome.poll.reason is Reason.SERVER_ERROR


async def test_a_bug_is_not_dressed_up_as_a_provider_failure():
    """A programming error must surface with its traceback, not as a provider that is down."""
    with pytest.raises(ZeroDivisionError):
        await poll_once(watched(Script(ZeroDivisionError())), Memory(), admit, LabClock(NOW))


async def test_reconcile_looks_only_at_finished_jobs_older_than_the_overlap():
    """Normal news during a reconcile must not raise the differences counter that stands for lost updates."""
    listing = raw(job("fresh", 2), job("open", 300, JobState.RUNNING), job("old", 300), last=True)
    sink = Memory(NOW)
    outcome = await reconcile_once(watched(Script(listing)), sink, admit, LabClock(NOW), window=timedelta(days=7))
    assert {entry.id for page in sink.pages for entry in page.batch.jobs} == {"old"}
    assert {page.watermark for page in sink.pages} == {None}
    assert outcome.differences == 1


async def test_one_bad_answer_by_id_does_not_silence_the_others():
    """A single broken record among a hundred re-checked jobs must cost that job's news only, and still be told."""
    bad = Raw(stream=Stream.JOBS, kind="html", body=b"<html>", fetched_at=NOW)
    source = Script(raw(last=True), answers=(raw(job("x", 90)), bad, raw(job("y", 80))))
    sink = Memory(NOW, due_ids=("x", "b", "y"))
    outcome = await poll_once(watched(source), sink, admit, LabClock(NOW))
    assert [entry.id for entry in sink.pages[-1].batch.jobs] == ["x", "y"]
    assert outcome.poll.reason is Reason.BAD_PAYLOAD


async def test_labels_are_applied_to_every_job():
    """Team and experiment come from configuration; a job without them lands in nobody's budget."""
    sink = Memory()
    label = lambda entry: msgspec.structs.replace(entry, team="chemistry")  # noqa: E731
    await poll_once(watched(Script(raw(job("a", 5), last=True)), label=label), sink, admit, LabClock(NOW))
    assert sink.pages[0].batch.jobs[0].team == "chemistry"


async def test_words_without_a_translation_are_counted_by_field():
    """A new provider state is a metric with a bounded label, not a log line nobody reads."""
    odd = Raw(stream=Stream.JOBS, kind="odd", body=b"[]", fetched_at=NOW)
    outcome = await poll_once(watched(Script(odd)), Memory(), admit, LabClock(NOW))
    assert outcome.unmapped == {"state": 2}


async def test_more_answers_than_one_commit_holds_are_split():
    """A backlog of open jobs must not become one huge transaction."""
    answers = tuple(raw(job(str(index), 90)) for index in range(250))
    sink = Memory(NOW, due_ids=tuple(str(index) for index in range(250)))
    await poll_once(watched(Script(raw(last=True), answers=answers)), sink, admit, LabClock(NOW))
    assert [len(page.batch.jobs) for page in sink.pages] == [0, 100, 100, 50]


def test_bad_payload_is_a_source_error_with_a_bounded_reason():
    """The poll's label must be one of the enum, whatever the message says."""
    assert BadPayload("whatever").reason is Reason.BAD_PAYLOAD
