"""The contract of a store: one way to write, and reads that never block it.

Rules that every implementation keeps, and that ``tests/store`` checks on each:

* :meth:`Store.commit` applies records, counts and cursor in **one** transaction, or nothing (R1, R3).
* Applying a page twice, or pages in another order, leaves the same tables (R2, R4); :class:`Applied` tells what changed.
* All methods are synchronous and thread-safe; the daemon calls the writing ones through one worker thread.
* All datetimes are aware and UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from qobs.columns import BatchCount, Columns
from qobs.exclusion import Exclusion, ExclusionChange
from qobs.model import (
    Applied,
    BackendStatus,
    Calibration,
    Counts,
    Delta,
    Freshness,
    Job,
    JobKey,
    Page,
    Poll,
    Quota,
    Series,
    Shard,
    Transition,
)
from qobs.result import Verification
from qobs.store.recovery import Recovery


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where the next poll of a shard starts: the largest provider-side time of a fully read poll."""

    watermark: datetime
    committed_at: datetime


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """An unsettled job whose next check by id is due."""

    key: JobKey
    submitted_at: datetime | None
    checks: int


class QueueState(StrEnum):
    """Where a job stands that was chosen to be verified."""

    QUEUED = "queued"
    RUNNING = "running"
    PARKED = "parked"
    """Given up, with the reason: it is not tried again by itself."""
    DONE = "done"


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """A job's place in the queue of verifications.

    ``tries`` counts answers that could not be had, ``deaths`` workers that ended on it. ``ended_at`` is the job's latest time:
    the entry is kept as long as the job would be.
    """

    key: JobKey
    source: str
    due_at: datetime
    ended_at: datetime
    state: QueueState = QueueState.QUEUED
    tries: int = 0
    deaths: int = 0
    reason: str = ""


class CounterValue(msgspec.Struct, frozen=True):
    """One counter derived from the jobs: never decreases in ``exported``, may in ``value`` (corrections)."""

    name: str
    labels: tuple[str, ...]
    value: float
    exported: float


class SeriesTotal(msgspec.Struct, frozen=True):
    """Lifetime counts of one SLI series; the exported ones never decrease."""

    series: Series
    good: int
    total: int
    exported_bad: int
    exported_total: int


class StoreInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What ``qobs store info`` prints."""

    location: str
    schema_version: int
    engine: str
    size_bytes: int
    wal_bytes: int
    rows: Mapping[str, int]
    oldest_job_at: datetime | None
    newest_job_at: datetime | None


class Inspectable(Protocol):
    """What can be looked at without writing: every store, and a store opened for reading beside a running daemon."""

    def info(self) -> StoreInfo:
        """Size, rows and schema."""
        ...

    def verify(self) -> tuple[str, ...]:
        """Full check; each difference is one line; empty is good."""
        ...

    def backup(self, target: Path) -> None:
        """Write a consistent copy, and open it again to prove that it is one."""
        ...


class Store(Protocol):
    """Everything the daemon needs kept."""

    # --- writing: each is one transaction -----------------------------------------------------------------------
    def commit(self, page: Page) -> Applied:
        """Apply a page: upsert with a newer-wins guard, append transitions, move counts and cursor together.

        Raises:
            StoreFull: nothing was applied and the caller must pause polling.
            StoreError: nothing was applied.
        """
        ...

    def tick(self, now: datetime, *, limit: int = 10_000) -> Applied:
        """Judge again the jobs whose verdict changes by the passing of time (``Judgement.next_at`` <= now)."""
        ...

    def read_freshness(self, readings: Iterable[Freshness]) -> Applied:
        """Record calibration readings; one per (provider, account, backend, slice), the newest calibration wins."""
        ...

    def record_poll(self, poll: Poll) -> None:
        """Keep one poll attempt, failed or not."""
        ...

    def prune(self, now: datetime) -> Mapping[str, int]:
        """Apply retention; returns deleted rows by table. Lifetime counts are not touched."""
        ...

    def recount(self) -> tuple[Series, ...]:
        """Rebuild all counts from the records if the judge's fingerprint changed; returns series that differed."""
        ...

    def keep_states(self, states: Mapping[str, bytes | None]) -> None:
        """Keep small opaque states by key, over a restart; None forgets one. Keys that are not named stay as they are."""
        ...

    def put_exclusion(self, exclusion: Exclusion, *, at: datetime, author: str) -> bool:
        """Add an exclusion, change it, or restore a withdrawn one (by its id), and write the audit line in the same transaction.

        Returns False, and writes nothing, where it already is exactly so (``author``, ``created_at`` do not count).
        """
        ...

    def withdraw_exclusion(self, id: str, *, at: datetime, author: str, detail: str = "") -> bool:
        """Take an exclusion out of force; it stays on record and can be restored. False: unknown, or withdrawn already."""
        ...

    def queue_verifications(self, entries: Iterable[Queued], *, states: Mapping[str, bytes | None]) -> int:
        """Add jobs to the queue, with the states of who chose them; those that ever were in it stay. Returns how many are new."""
        ...

    def move_verification(self, entry: Queued) -> None:
        """Set a job's place in the queue anew."""
        ...

    def resume_verifications(self) -> int:
        """Put back into the queue what an earlier life of the daemon had begun; returns how many jobs."""
        ...

    def keep_verifications(
        self, verified: Iterable[Verification], *, entry: Queued, states: Mapping[str, bytes | None]
    ) -> Applied:
        """Keep verdicts, move their counts, the job's place in the queue and what was learnt, in one transaction.

        A circuit's first verdict stands; only *unverified* gives way to another.
        """
        ...

    # --- reading --------------------------------------------------------------------------------------------------
    def cursor(self, shard: Shard) -> Cursor | None:
        """The shard's cursor; None before its first full poll."""
        ...

    def due(self, shard: Shard, now: datetime, *, limit: int = 200) -> tuple[Due, ...]:
        """Unsettled jobs of the shard to ask for by id, most overdue first."""
        ...

    def job(self, key: JobKey) -> Job | None:
        """The current row of one job."""
        ...

    def jobs(self, *, since: datetime | None = None) -> Iterator[Job]:
        """All jobs whose latest known time is at or after ``since``, in key order."""
        ...

    def transitions(self, key: JobKey) -> tuple[Transition, ...]:
        """A job's history in the order of (provider time, or observed time where there is none)."""
        ...

    def open_jobs(self) -> Mapping[tuple[str, str, str, str], int]:
        """Non-terminal jobs by (provider, source, backend, state)."""
        ...

    def oldest_queued(self) -> Mapping[tuple[str, str, str], datetime]:
        """Submission time of the oldest queued job by (provider, source, backend)."""
        ...

    def backends(self) -> tuple[BackendStatus, ...]:
        """Latest status of every backend."""
        ...

    def calibrations(self) -> tuple[Calibration, ...]:
        """Latest calibration of every backend."""
        ...

    def quotas(self) -> tuple[Quota, ...]:
        """Latest reading of every quota."""
        ...

    def buckets(self, since: datetime) -> Iterator[Delta]:
        """Stored SLI buckets that start at or after ``since``, in time order: what window totals are built from."""
        ...

    def hour_columns(self, since: datetime) -> Columns:
        """Whole hours of buckets (``HOUR_SECONDS``) that start at or after ``since``, in order of time: kept sums, not a scan."""
        ...

    def bucket_columns(
        self, since: datetime, until: datetime | None = None, *, series: Iterable[Series] | None = None
    ) -> Columns:
        """Buckets that start in [``since``, ``until``), in order of time; ``series`` given: of these alone."""
        ...

    def batches(self, since: datetime) -> tuple[BatchCount, ...]:
        """Events by series and group, of the groups that had an event at or after ``since``: all of their events."""
        ...

    def first_buckets(self) -> Mapping[Series, datetime]:
        """When each series' oldest kept bucket starts."""
        ...

    def states(self) -> Mapping[str, bytes]:
        """All that :meth:`keep_states` kept."""
        ...

    def exclusions(self, *, withdrawn: bool = False) -> tuple[Exclusion, ...]:
        """Exclusions in force, oldest first; with ``withdrawn``, those that are not as well."""
        ...

    def exclusion_log(self) -> tuple[ExclusionChange, ...]:
        """The audit of all exclusions, in the order in which it was written; nothing is ever removed from it."""
        ...

    def calibration_history(self, since: datetime, *, newest: int = 100) -> Iterator[Calibration]:
        """Kept snapshots calibrated at or after ``since``, at most the ``newest`` of each backend, oldest first, by backend."""
        ...

    def calibration_before(self, provider: str, account: str, backend: str, at: datetime) -> Calibration | None:
        """The last kept calibration of a backend at or before ``at``; None: none is that old."""
        ...

    def verification_candidates(
        self, shard: Shard, *, changed_since: datetime, ended_since: datetime
    ) -> Iterator[tuple[Job, datetime]]:
        """Completed, settled jobs that never were in the queue, each with when it last changed here, in that order."""
        ...

    def next_verification(self, shard: Shard, now: datetime) -> Queued | None:
        """The queued job of an account that has been due longest; None: none is due."""
        ...

    def queued_verification(self, key: JobKey) -> Queued | None:
        """A job's place in the queue; None: it never was in it."""
        ...

    def verification_queue(self) -> Mapping[QueueState, int]:
        """Jobs that are not done, by their state in the queue, every state among them."""
        ...

    def verifications(self, key: JobKey | None = None) -> Iterator[Verification]:
        """All verdicts in the order in which they were added; with ``key``, those of one job, by circuit."""
        ...

    def verified_shapes(self, provider: str, source: str, backend: str, epoch: str) -> frozenset[str]:
        """Shapes of circuits that have a verdict within one calibration epoch of a backend."""
        ...

    def totals(self) -> tuple[SeriesTotal, ...]:
        """Lifetime counts of every SLI series."""
        ...

    def counters(self) -> tuple[CounterValue, ...]:
        """Counters derived from jobs."""
        ...

    def info(self) -> StoreInfo:
        """Size, rows and schema."""
        ...

    def verify(self) -> tuple[str, ...]:
        """Full check: integrity, and rows and counts rebuilt from history. Each difference is one line; empty is good."""
        ...

    def backup(self, target: Path) -> None:
        """Write a consistent copy, and open it again to prove that it is one."""
        ...

    def canonical(self) -> Iterator[str]:
        """A dump that does not depend on when or how often things were seen: equal for equal facts."""
        ...

    @property
    def recoveries(self) -> tuple[Recovery, ...]:
        """What opening the store had to mend; empty for a sound one."""
        ...

    def keep_backup(self, now: datetime, *, keep: int = 24) -> Path:
        """Make the backup that a damaged store would be restored from; the newest ``keep`` stay."""
        ...

    def close(self) -> None:
        """Release the file and its lock."""
        ...


def window_counts(deltas: Iterable[Delta]) -> Mapping[Series, Counts]:
    """Sum deltas by series: the naive re-scan that every incremental total must equal."""
    sums: dict[Series, Counts] = {}
    for delta in deltas:
        known = sums.get(delta.series, Counts(0, 0))
        sums[delta.series] = Counts(known.good + delta.good, known.total + delta.total)
    return sums
