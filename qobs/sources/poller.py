"""One poll of one shard: fetch, normalize off the event loop, hand each page over, and say how it went.

The poller decides nothing about time or retries (the schedule and the HTTP client do) and keeps nothing (the sink does).
An expected failure of the provider becomes ``Poll.reason``: a value. Anything else escapes, because it is a bug.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Protocol, cast

from msgspec import structs

from qobs.clock import Clock
from qobs.errors import ApiChanged, BadPayload, SourceError
from qobs.model import Applied, Ask, Batch, Job, Page, Poll, Raw, Shard, Stream
from qobs.sources.base import Http, Source

QUARANTINE_RATIO = 0.2
"""More unreadable records than this share of a page means that the provider's API has changed."""

FUTURE_TOLERANCE = timedelta(minutes=5)

CHECKS_PER_COMMIT = 100
"""Answers to re-checks by id that are committed together: one transaction each would cost more than the answer."""


class Sink(Protocol):
    """Where pages go and what was kept: the store, seen from the poller."""

    async def commit(self, page: Page) -> Applied:
        """Apply one page in one transaction."""
        ...

    async def watermark(self, shard: Shard) -> datetime | None:
        """Where the shard's last full poll ended; None before the first."""
        ...

    async def due(self, shard: Shard, now: datetime) -> tuple[str, ...]:
        """Ids of unsettled jobs to ask for again."""
        ...


Admit = Callable[[int], AbstractAsyncContextManager[None]]
"""Admission by bytes between fetch and commit: the fetcher waits while too much is in flight."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One shard with all that a poll of it needs."""

    shard: Shard
    source: Source
    http: Http
    label: Callable[[Job], Job] | None = None
    """The configured labels and tag patterns, applied to every job."""
    overlap: timedelta = timedelta(minutes=10)
    horizon: timedelta = timedelta(days=7)
    """How far back the first poll looks."""
    max_pages: int = 10_000
    check_rounds: int = 10
    """How many batches of due jobs one poll re-checks at most."""


@dataclass(slots=True)
class Progress:
    """What one poll has done so far."""

    pages: int = 0
    records: int = 0
    newest_at: datetime | None = None
    watermark: datetime | None = None
    applied: Applied = field(default_factory=Applied)
    differences: int = 0
    unmapped: Counter[str] = field(default_factory=Counter)
    """How often each field held a word that has no translation."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished poll: the record to keep, and what the store really changed."""

    poll: Poll
    applied: Applied
    unmapped: Mapping[str, int]
    watermark: datetime | None = None
    """Where the cursor was moved to; None: it stayed."""
    differences: int = 0
    """What a reconcile has repaired: jobs and settled facts that the polls had missed."""
    error: SourceError | None = None


async def poll_once(watched: Watched, sink: Sink, admit: Admit, clock: Clock) -> Outcome:
    """Poll a shard once: the listing since its watermark, then the unsettled jobs by id.

    The watermark moves only with the last page of a listing that was read in full (rule 2.6); pages committed before a
    failure stand, and are applied again without effect by the next poll.
    """
    since = await _since(watched, sink, clock.now())
    return await _attempt(watched, sink, admit, clock, since)


async def reconcile_once(watched: Watched, sink: Sink, admit: Admit, clock: Clock, *, window: timedelta) -> Outcome:
    """Read the whole late window again; in health nothing changes, and what does change is a repaired difference.

    Returns:
        An outcome whose ``differences`` counts repairs among jobs older than the overlap: newer ones are normal news.
    """
    since = clock.now() - window
    return await _attempt(watched, sink, admit, clock, since, until=clock.now() - watched.overlap)


async def _since(watched: Watched, sink: Sink, now: datetime) -> datetime | None:
    if watched.shard.stream is not Stream.JOBS:
        return None
    watermark = await sink.watermark(watched.shard)
    return now - watched.horizon if watermark is None else min(watermark, now) - watched.overlap


async def _attempt(
    watched: Watched, sink: Sink, admit: Admit, clock: Clock, since: datetime | None, until: datetime | None = None
) -> Outcome:
    started_at, began = clock.now(), clock.monotonic()
    progress = Progress()
    error: SourceError | None = None
    try:
        await _listing(watched, sink, admit, clock, progress, since, until)
        if watched.shard.stream is Stream.JOBS and until is None:
            await _checks(watched, sink, admit, clock, progress)
    except SourceError as caught:
        error = caught
    poll = Poll(
        shard=watched.shard,
        started_at=started_at,
        duration_seconds=max(0.0, clock.monotonic() - began),
        pages=progress.pages,
        records=progress.records,
        reason=error.reason if error else None,
        message=str(error)[:300] if error else None,
    )
    return Outcome(poll, progress.applied, progress.unmapped, progress.watermark, progress.differences, error)


async def _listing(
    watched: Watched, sink: Sink, admit: Admit, clock: Clock, progress: Progress, since: datetime | None, until: datetime | None
) -> None:
    ask = Ask(stream=watched.shard.stream, since=since, now=clock.now())
    async with aclosing(_generator(watched.source.fetch(watched.http, ask))) as pages:
        async for raw in pages:
            if progress.pages >= watched.max_pages:
                raise BadPayload(f"{watched.shard.stream}: more than {watched.max_pages} pages in one poll")
            await _apply(watched, sink, admit, clock, progress, (raw,), move=until is None, until=until)


async def _checks(watched: Watched, sink: Sink, admit: Admit, clock: Clock, progress: Progress) -> None:
    asked: set[str] = set()
    for _ in range(watched.check_rounds):
        ids = tuple(job_id for job_id in await sink.due(watched.shard, clock.now()) if job_id not in asked)
        if not ids:
            return
        asked.update(ids)
        ask = Ask(stream=watched.shard.stream, ids=ids, now=clock.now())
        answers: list[Raw] = []
        try:
            async with aclosing(_generator(watched.source.fetch(watched.http, ask))) as stream:
                async for raw in stream:
                    answers.append(raw)
                    if len(answers) >= CHECKS_PER_COMMIT:
                        full = tuple(answers)
                        answers.clear()
                        await _apply(watched, sink, admit, clock, progress, full, move=False)
        except SourceError:
            # What was answered before the failure is as true as ever: keep it.
            await _apply_all(watched, sink, admit, clock, progress, answers)
            raise
        await _apply_all(watched, sink, admit, clock, progress, answers)


async def _apply_all(watched: Watched, sink: Sink, admit: Admit, clock: Clock, progress: Progress, answers: list[Raw]) -> None:
    if answers:
        await _apply(watched, sink, admit, clock, progress, tuple(answers), move=False)


async def _apply(
    watched: Watched,
    sink: Sink,
    admit: Admit,
    clock: Clock,
    progress: Progress,
    raws: tuple[Raw, ...],
    *,
    move: bool,
    until: datetime | None = None,
) -> None:
    size = sum(len(raw.body) + sum(map(len, raw.companions.values())) for raw in raws)
    async with admit(size):
        batch, refused = await asyncio.to_thread(_translate, watched, raws)
        now = clock.now()
        progress.pages += 1
        progress.records += _records(batch)
        progress.unmapped.update(unmapped.field for unmapped in batch.unmapped)
        progress.newest_at = _newest(batch, progress.newest_at, now + FUTURE_TOLERANCE)
        changed = len(batch.quarantined) > QUARANTINE_RATIO * max(1, _records(batch))
        # Past a page that could not be read the watermark must not go: what it hides would never be asked for again.
        watermark = progress.newest_at if move and raws[-1].last and refused is None and not changed else None
        if until is not None:
            await _repair(watched, sink, progress, batch, until, now)
            return
        # Without a move these are the answers about jobs that were asked for by id.
        page = Page(shard=watched.shard, batch=batch, observed_at=now, watermark=watermark, checked=not move)
        applied = await sink.commit(page)
        progress.applied = add(progress.applied, applied)
        progress.watermark = watermark or progress.watermark
    if refused is not None:
        raise refused
    if changed:
        raise ApiChanged(
            f"{watched.shard.stream}: {len(batch.quarantined)} of {_records(batch)} records unreadable; the API has changed"
        )


def _translate(watched: Watched, raws: tuple[Raw, ...]) -> tuple[Batch, SourceError | None]:
    """All that the answers say, and the first error among them: one bad answer must not silence the others."""
    batches, refused = [], None
    for raw in raws:
        try:
            batches.append(watched.source.normalize(raw))
        except SourceError as error:
            refused = refused or error
    batch = batches[0] if len(batches) == 1 else _join(batches)
    if watched.label is not None and batch.jobs:
        batch = structs.replace(batch, jobs=tuple(map(watched.label, batch.jobs)))
    return batch, refused


def _join(batches: list[Batch]) -> Batch:
    return Batch(
        **{name: tuple(chain.from_iterable(getattr(batch, name) for batch in batches)) for name in Batch.__struct_fields__}
    )


async def _repair(watched: Watched, sink: Sink, progress: Progress, batch: Batch, until: datetime, now: datetime) -> None:
    """Apply the jobs that ended before ``until`` and count what that changes: in health, nothing.

    An entry that is not settled (a list that tells no end times) may rightly be news of a job that ended a moment ago:
    only a job that was not known at all counts as a difference then.
    """
    old = [job for job in batch.jobs if job.state.terminal and (at := job_time(job)) is not None and at < until]
    for settled in (True, False):
        jobs = tuple(job for job in old if job.settled is settled)
        applied = await sink.commit(Page(shard=watched.shard, batch=Batch(jobs=jobs), observed_at=now))
        progress.applied = add(progress.applied, applied)
        progress.differences += applied.ingested + (applied.updated if settled else 0)


def _records(batch: Batch) -> int:
    return (
        len(batch.jobs)
        + len(batch.backends)
        + len(batch.calibrations)
        + len(batch.quotas)
        + len(batch.quarantined)
        + len(batch.missing)
    )


def job_time(job: Job) -> datetime | None:
    """The newest provider-side time of a job; None if it has none."""
    return job.updated_at or job.ended_at or job.started_at or job.queued_at or job.submitted_at


def _newest(batch: Batch, known: datetime | None, limit: datetime) -> datetime | None:
    """Largest provider time seen, leaving out times that a wrong provider clock puts far ahead: they would hide later jobs."""
    for job in batch.jobs:
        at = job_time(job)
        if at is not None and at <= limit and (known is None or at > known):
            known = at
    return known


def add(left: Applied, right: Applied) -> Applied:
    """Sum of two commits; deltas are not kept, the sink has seen them."""
    return Applied(
        ingested=left.ingested + right.ingested,
        updated=left.updated + right.updated,
        unchanged=left.unchanged + right.unchanged,
        quarantined=left.quarantined + right.quarantined,
        transitions=left.transitions + right.transitions,
        anomalous=left.anomalous + right.anomalous,
        corrections=left.corrections + right.corrections,
        late=left.late + right.late,
        clamped=left.clamped + right.clamped,
    )


def _generator(pages: AsyncIterator[Raw]) -> _Closing:
    """Every ``fetch`` is an async generator: closing it at once releases its connection when a poll is cut short."""
    return cast("_Closing", pages)


class _Closing(Protocol):
    def __aiter__(self) -> AsyncIterator[Raw]: ...

    async def aclose(self) -> None: ...
