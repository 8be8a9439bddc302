"""What the one writer promises when callers leave, disks fail, and idle ticks go on."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from qobs.daemon.sink import StoreSink
from qobs.errors import StoreError
from qobs.model import Applied, Batch, Job, JobState, Page, Poll, Shard, Stream
from qobs.slo.windows import WindowTotals

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SHARD = Shard("lab", "acme", "a1", Stream.JOBS)
JOB = Job(provider="acme", source="lab", account="a1", id="1", state=JobState.QUEUED, submitted_at=NOW)
PAGE = Page(shard=SHARD, batch=Batch(jobs=(JOB,)), observed_at=NOW)
POLL = Poll(shard=SHARD, started_at=NOW, duration_seconds=1.0, pages=1, records=1)


class Slow:
    """A store whose commit waits for ``go``, and fails with ``error`` if there is one."""

    def __init__(self, error: StoreError | None = None) -> None:
        self.begun, self.go, self.error = threading.Event(), threading.Event(), error

    def commit(self, page: Page) -> Applied:
        self.begun.set()
        self.go.wait(10)
        if self.error is not None:
            raise self.error
        return Applied(ingested=1)

    def tick(self, now: datetime) -> Applied:
        return Applied()

    def record_poll(self, poll: Poll) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Nothing to close."""


async def test_a_commit_whose_caller_was_cancelled_is_shown_and_is_no_failure():
    """After a reload in mid-page, committed jobs must appear in the metrics and no failed write may be counted."""
    store, told = Slow(), []
    sink = StoreSink(store, WindowTotals(), lambda seconds, failed: told.append(failed))
    sink.take_changes()
    committing = asyncio.create_task(sink.commit(PAGE))
    await asyncio.to_thread(store.begun.wait, 10)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    assert not sink.dirty
    store.go.set()
    await sink.tick(NOW)  # the one writer: what came before is done
    assert sink.take_changes() == {"jobs"}
    assert True not in told
    sink.close()


@pytest.mark.parametrize("error", [StoreError("disk I/O error"), StoreError("database is locked")])
async def test_a_refusing_store_stays_refusing_until_a_write_succeeds(error):
    """Readiness must not say ready because an idle tick, which writes nothing, met no error on a dead disk."""
    store = Slow(error)
    store.go.set()
    sink = StoreSink(store, WindowTotals(), lambda seconds, failed: None)
    with pytest.raises(StoreError):
        await sink.commit(PAGE)
    assert sink.full
    await sink.tick(NOW)
    assert sink.full
    await sink.record_poll(POLL)
    assert not sink.full
    sink.close()
