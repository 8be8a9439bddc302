"""Pages of which too much cannot be read: what was readable stands, and nothing else is passed over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from qobs.lab.clock import LabClock
from qobs.model import Applied, Ask, Batch, Job, JobState, Page, Quarantined, Raw, Reason, Shard, Stream
from qobs.sources.poller import CHECKS_PER_COMMIT, Watched, poll_once

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SHARD = Shard("lab", "acme", "a1", Stream.JOBS)
BAD = Quarantined(stream=Stream.JOBS, reason="$.id: expected str", body=b"{}")
GOOD = Job(provider="acme", source="lab", account="a1", id="1", state=JobState.COMPLETED, submitted_at=NOW - timedelta(minutes=1))


class Broken:
    """A source of which every answer holds one good and one unreadable record."""

    provider, account, streams = "acme", "a1", frozenset({Stream.JOBS})

    async def fetch(self, http: object, ask: Ask) -> AsyncIterator[Raw]:
        for _ in ask.ids:
            yield Raw(stream=Stream.JOBS, kind="job", body=b"", fetched_at=NOW)
        if not ask.ids:
            yield Raw(stream=Stream.JOBS, kind="jobs", body=b"", fetched_at=NOW, last=True)

    def normalize(self, raw: Raw) -> Batch:
        return Batch(jobs=(GOOD,), quarantined=(BAD,))


class OnlyChecks(Broken):
    """The same, but the listing holds nothing."""

    def normalize(self, raw: Raw) -> Batch:
        return Batch(jobs=(GOOD,), quarantined=(BAD,)) if raw.kind == "job" else Batch()


class Memory:
    """A sink that keeps pages."""

    def __init__(self, due_ids: tuple[str, ...] = ()) -> None:
        self.due_ids, self.pages = due_ids, list[Page]()

    async def commit(self, page: Page) -> Applied:
        self.pages.append(page)
        return Applied(quarantined=len(page.batch.quarantined))

    async def watermark(self, shard: Shard) -> datetime | None:
        return None

    async def due(self, shard: Shard, now: datetime) -> tuple[str, ...]:
        return self.due_ids


@asynccontextmanager
async def admit(size: int) -> AsyncIterator[None]:
    yield


async def poll(source: Broken, sink: Memory):
    return await poll_once(Watched(shard=SHARD, source=source, http=None), sink, admit, LabClock(NOW))


async def test_the_watermark_stays_before_a_page_that_is_mostly_unreadable():
    """Jobs that were unreadable because the provider's API changed must be read again once qobs understands them."""
    sink = Memory()
    outcome = await poll(Broken(), sink)
    assert outcome.poll.reason is Reason.BAD_PAYLOAD
    assert len(sink.pages[0].batch.jobs) == 1
    assert sink.pages[0].watermark is None
    assert outcome.watermark is None


async def test_answers_to_checks_are_applied_once():
    """A full batch of unreadable answers must not be counted twice."""
    sink = Memory(tuple(map(str, range(CHECKS_PER_COMMIT))))
    outcome = await poll(OnlyChecks(), sink)
    assert outcome.poll.reason is Reason.BAD_PAYLOAD
    assert outcome.applied.quarantined == CHECKS_PER_COMMIT
