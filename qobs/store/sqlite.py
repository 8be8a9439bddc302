"""The store in one SQLite file: opens it safely, and writes each page in one transaction.

Opening goes: refuse a network file system, take the lock, look for damage (and recover), migrate, count anew if the
judge changed. After that there is one writing connection, behind :class:`~qobs.store.connection.Writer`, and read-only
ones. Several writers or a replicator on one file are not supported: SQLite before 3.51.3 may corrupt it then.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import msgspec

from qobs.clock import SystemClock
from qobs.errors import StoreError
from qobs.exclusion import Exclusion
from qobs.model import Applied, Freshness, Job, Judge, Page, Poll, Quarantined, Series, Shard, Stream, from_micros, to_micros
from qobs.result import Verification
from qobs.store import backup, canonical, exclusions, rebuild, records, verifications, verify
from qobs.store.base import Queued
from qobs.store.connection import Connect, Readers, Writer
from qobs.store.counts import FRESHNESS, JOBS, CountTables, Sums
from qobs.store.fold import decode
from qobs.store.jobs import JobWriter
from qobs.store.lock import FileLock, refuse_network_file_system
from qobs.store.opening import prepare
from qobs.store.presence import public
from qobs.store.reading import ReadSide
from qobs.store.records import printable
from qobs.store.retention import BUCKETS, floors, prune

BUSY_SECONDS = 5.0
RETENTION = timedelta(days=400)


class SqliteStore(ReadSide):
    """A :class:`qobs.store.base.Store` in one SQLite file; ``recoveries`` tells what opening had to mend."""

    def __init__(
        self,
        path: Path,
        judge: Judge,
        *,
        retention: timedelta = RETENTION,
        recover: bool = True,
        now: datetime | None = None,
        busy_seconds: float = BUSY_SECONDS,
        connect: Connect = sqlite3.connect,
    ) -> None:
        """Open or create the store at ``path``.

        Args:
            path: The database file; its directory must exist and be local.
            judge: Turns records into counts.
            retention: How long finished jobs are kept; at least as long as buckets (91 days).
            recover: Mend a damaged file; False raises :class:`StoreCorrupt` and touches nothing.
            now: Time for names of files kept aside; None takes the machine's.
            busy_seconds: How long to wait for another process's lock on the database.
            connect: Opens the writing connection.

        Raises:
            StoreLocked: another daemon uses the file. StoreTooNew: a newer qobs wrote it. StoreFull: no space, or
            read-only. StoreCorrupt: damaged, with ``recover`` False. StoreError: not a store, or no such directory.
        """
        if retention < BUCKETS:
            raise StoreError(f"retention: {retention.days} days found, at least {BUCKETS.days} allowed: windows need them")
        self._path = path
        self._judge = judge
        self._retention = retention
        self._tables = CountTables()
        self._counted = False
        self._closed = False
        self._close_lock = threading.Lock()
        refuse_network_file_system(path)
        self._lock = FileLock(path)
        self._writer = Writer(path, connect, busy_seconds=busy_seconds)
        self._readers = Readers(path, busy_seconds=busy_seconds)
        try:
            at = now or SystemClock().now()
            self.recoveries = prepare(path, self._lock, at, connect, recover=recover, busy_seconds=busy_seconds)
            self._begin()
        except BaseException:
            self._writer.close()
            self._lock.release()
            raise

    @classmethod
    def open(cls, path: Path, judge: Judge, **options: object) -> Self:
        """The same as calling the class: reads better where a store is opened only to be asked."""
        return cls(path, judge, **options)  # type: ignore[arg-type]

    def _begin(self) -> None:
        """Write once, so that a log exists from now on; its absence at the next start then tells that it was lost."""
        with self._writer.transaction() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'judge'").fetchone()
            empty = connection.execute("SELECT 1 FROM sli_totals UNION ALL SELECT 1 FROM jobs LIMIT 1").fetchone() is None
            if row is None and empty:
                self._remember_judge(connection)
            self._counted = (row is None and empty) or (row is not None and row[0] == self._judge.fingerprint)
            opened = connection.execute("SELECT value FROM meta WHERE key = 'opened'").fetchone()
            _set_meta(connection, "opened", str(int(opened[0]) + 1 if opened else 1))
        self._lock.mark("open")

    def _remember_judge(self, connection: sqlite3.Connection) -> None:
        _set_meta(connection, "judge", self._judge.fingerprint)

    # --- writing ---------------------------------------------------------------------------------------------------
    def commit(self, page: Page) -> Applied:
        """Apply a page: jobs, history, counts and cursor in one transaction, or nothing.

        Raises:
            StoreFull: nothing was applied and the caller must pause polling.
            StoreError: nothing was applied.
        """
        with self._counting() as connection:
            cursor = records.read_cursor(connection, page.shard)
            jobs = JobWriter(connection, self._judge, page.observed_at, checked=page.checked)
            jobs.apply(page.batch.jobs)
            if page.batch.missing:
                jobs.miss(page.shard.provider, page.shard.account, page.batch.missing)
            records.keep_backends(connection, page.batch.backends)
            records.keep_quotas(connection, page.batch.quotas)
            records.keep_calibrations(connection, page.batch.calibrations, page.observed_at)
            quarantined = (*page.batch.quarantined, *(_unreadable(*told) for told in jobs.outcome.unreadable))
            kept_aside = records.keep_quarantined(connection, page.shard, quarantined, page.observed_at)
            applied = self._apply(connection, JOBS, jobs.outcome.sums)
            if page.watermark is not None:
                records.move_cursor(connection, page.shard, page.watermark, page.observed_at)
        before = None if cursor is None else cursor[0] // 10_000_000 * 10
        outcome = jobs.outcome
        return msgspec.structs.replace(
            applied,
            ingested=outcome.ingested,
            updated=outcome.updated,
            unchanged=outcome.unchanged,
            quarantined=kept_aside,
            transitions=outcome.transitions,
            anomalous=outcome.anomalous,
            corrections=outcome.corrections,
            late=0 if before is None else sum(1 for delta in applied.deltas if delta.bucket < before),
        )

    def tick(self, now: datetime, *, limit: int = 10_000) -> Applied:
        """Judge again the jobs whose verdict changes by the passing of time."""
        micros, sums, moved = to_micros(now), Sums(), []
        with self._counting() as connection:
            rows = connection.execute(
                "SELECT ref, record, gone_at, judged_at FROM jobs WHERE judge_at <= ? ORDER BY judge_at, ref LIMIT ?",
                (micros, limit),
            ).fetchall()
            for ref, record, gone_at, judged_at in rows:
                job, judged_now = public(decode(record), gone_at), max(micros, judged_at)
                after = self._judge.job(job, from_micros(judged_now))
                sums.add_all((after,), taken_back=(self._judge.job(job, from_micros(judged_at)),))
                next_at = None if after.next_at is None else max(to_micros(after.next_at), judged_now + 1)
                moved.append((judged_now, next_at, ref))
            connection.executemany("UPDATE jobs SET judged_at = ?, judge_at = ? WHERE ref = ?", moved)
            return self._apply(connection, JOBS, sums)

    def read_freshness(self, readings: Iterable[Freshness]) -> Applied:
        """Record calibration readings; one per (provider, account, backend, slice), the newest calibration wins."""
        kept = tuple(readings)
        with self._counting() as connection:
            since = floors(connection).readings
            sums, added, changed = records.keep_readings(connection, self._judge, kept, since=since)
            applied = self._apply(connection, FRESHNESS, sums)
        rest = len(kept) - added - changed
        return msgspec.structs.replace(applied, ingested=added, updated=changed, unchanged=rest)

    def record_poll(self, poll: Poll) -> None:
        """Keep one poll attempt, failed or not."""
        with self._writer.transaction() as connection:
            records.keep_poll(connection, poll)

    def prune(self, now: datetime) -> Mapping[str, int]:
        """Apply retention; returns deleted rows by table. Lifetime counts are not touched."""
        with self._counting() as connection:
            return prune(connection, self._judge, self._tables, now, self._retention, epoch=self._writer.epoch)

    def recount(self) -> tuple[Series, ...]:
        """Rebuild all counts from the records if the judge's fingerprint changed; returns series that differed."""
        if self._counted:
            return ()
        with self._writer.transaction() as connection:
            changed = self._recount(connection)
        self._counted = True
        return changed

    def keep_states(self, states: Mapping[str, bytes | None]) -> None:
        """Keep small opaque states by key, over a restart; None forgets one. Keys that are not named stay as they are."""
        with self._writer.transaction() as connection:
            records.keep_states(connection, states)

    def put_exclusion(self, exclusion: Exclusion, *, at: datetime, author: str) -> bool:
        """Add an exclusion, change it, or restore a withdrawn one (by its id), and write the audit line in the same transaction.

        Returns False, and writes nothing, where it already is exactly so (``author``, ``created_at`` do not count).

        Raises:
            StoreError: it has no id, ends before it begins, or holds text that is not Unicode.
        """
        with self._writer.transaction() as connection:
            return exclusions.put(connection, exclusion, at, author)

    def withdraw_exclusion(self, id: str, *, at: datetime, author: str, detail: str = "") -> bool:
        """Take an exclusion out of force; it stays on record and can be restored. False: unknown, or withdrawn already."""
        with self._writer.transaction() as connection:
            return exclusions.withdraw(connection, id, at, author, detail)

    def queue_verifications(self, entries: Iterable[Queued], *, states: Mapping[str, bytes | None]) -> int:
        """Add jobs to the queue, with the states of who chose them; those that ever were in it stay. Returns how many are new."""
        with self._writer.transaction() as connection:
            records.keep_states(connection, states)
            return verifications.enqueue(connection, entries)

    def move_verification(self, entry: Queued) -> None:
        """Set a job's place in the queue anew."""
        with self._writer.transaction() as connection:
            verifications.move(connection, entry)

    def resume_verifications(self) -> int:
        """Put back into the queue what an earlier life of the daemon had begun; returns how many jobs."""
        with self._writer.transaction() as connection:
            return verifications.resume(connection)

    def keep_verifications(
        self, verified: Iterable[Verification], *, entry: Queued, states: Mapping[str, bytes | None]
    ) -> Applied:
        """Keep verdicts, move their counts, the job's place in the queue and what was learnt, in one transaction.

        A circuit's first verdict stands; only *unverified* gives way to another.
        """
        with self._counting() as connection:
            kept = verifications.keep(connection, self._judge, verified)
            applied = self._apply(connection, verifications.VERIFICATIONS, kept.sums)
            verifications.move(connection, entry)
            records.keep_states(connection, states)
        return msgspec.structs.replace(applied, ingested=kept.added, updated=kept.changed, unchanged=kept.unchanged)

    def reset_cursor(self, shard: Shard) -> None:
        """Forget a cursor, so that the next poll reads everything the provider lists (a backfill)."""
        with self._writer.transaction() as connection:
            records.drop_cursor(connection, shard)

    @contextmanager
    def _counting(self) -> Iterator[sqlite3.Connection]:
        """A write transaction in which stored counts are certainly those of this judge."""
        with self._writer.transaction() as connection:
            if not self._counted:
                self._recount(connection)
            yield connection
        self._counted = True

    def _recount(self, connection: sqlite3.Connection) -> tuple[Series, ...]:
        changed = rebuild.recount(connection, self._judge, self._tables, epoch=self._writer.epoch)
        self._remember_judge(connection)
        return changed

    def _apply(self, connection: sqlite3.Connection, origin: str, sums: Sums) -> Applied:
        since = floors(connection).buckets // 1_000_000
        deltas = self._tables.apply(connection, origin, sums, since=since, epoch=self._writer.epoch)
        return Applied(deltas=deltas, clamped=max(0, sums.clamped))

    # --- whole file ------------------------------------------------------------------------------------------------
    def verify(self) -> tuple[str, ...]:
        """Full check: integrity, and rows and counts rebuilt from history. Each difference is one line; empty is good."""
        with self._readers.snapshot() as connection:
            return tuple(verify.verify(connection, self._judge, counted=self._counted))

    def canonical(self) -> Iterator[str]:
        """A dump that does not depend on when or how often things were seen: equal for equal facts."""
        with self._readers.snapshot() as connection:
            yield from canonical.canonical(connection)

    def backup(self, target: Path) -> None:
        """Write a consistent copy, and open it again to prove that it is one."""
        with self._readers.snapshot() as connection:
            backup.copy(connection, target)

    def keep_backup(self, now: datetime, *, keep: int = 24) -> Path:
        """Make the backup that a damaged file would be restored from; the newest ``keep`` stay."""
        target = backup.backup_path(self._path, now)
        self.backup(target)
        tuple(backup.thin(self._path, keep))
        return target

    def close(self) -> None:
        """Release the file and its lock; a second call does nothing."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
        self._readers.close()
        self._lock.mark("closed")
        self._writer.close()
        self._lock.release()


def _set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
    )


def _unreadable(job: Job, error: Exception) -> Quarantined:
    """A job that cannot be kept, set aside so that the rest of its page counts."""
    body = printable(repr(job)).encode()
    return Quarantined(stream=Stream.JOBS, reason=f"job: {type(error).__name__}: {error}", body=body, record_id=job.id)
