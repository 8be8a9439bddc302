"""What the store tells: every question is one read transaction on a read-only connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from qobs.columns import BatchCount, Columns
from qobs.exclusion import Exclusion, ExclusionChange
from qobs.model import (
    BackendStatus,
    Calibration,
    Delta,
    Job,
    JobKey,
    JobState,
    Quota,
    Series,
    Shard,
    Transition,
    from_micros,
    to_micros,
)
from qobs.result import Verification
from qobs.store import columnar, exclusions, verifications
from qobs.store.base import CounterValue, Cursor, Due, Queued, QueueState, SeriesTotal, StoreInfo
from qobs.store.columnar import SERIES as _SERIES
from qobs.store.connection import Readers
from qobs.store.counts import MICRO, labels_of
from qobs.store.fold import NO_TIME, decode, presented
from qobs.store.history import Entry, entries
from qobs.store.presence import public
from qobs.store.records import read_cursor, unpack
from qobs.store.rows import id_hash
from qobs.store.schema import TABLES, schema_version

_BACKEND = msgspec.json.Decoder(BackendStatus)
_QUOTA = msgspec.json.Decoder(Quota)
MISSING = "missing"
"""``raw_state`` of the entry that says: the provider no longer knows this job."""


class ReadSide:
    """The reading half of the store's contract."""

    _path: Path
    _readers: Readers

    def cursor(self, shard: Shard) -> Cursor | None:
        """The shard's cursor; None before its first full poll."""
        with self._readers.snapshot() as connection:
            row = read_cursor(connection, shard)
        return None if row is None else Cursor(watermark=from_micros(row[0]), committed_at=from_micros(row[1]))

    def due(self, shard: Shard, now: datetime, *, limit: int = 200) -> tuple[Due, ...]:
        """Unsettled jobs of the shard to ask for by id, most overdue first."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT provider, account, id, submitted_at, checks FROM jobs"
                " WHERE source = ? AND provider = ? AND account = ? AND next_check_at <= ? ORDER BY next_check_at, id LIMIT ?",
                (shard.source, shard.provider, shard.account, to_micros(now), limit),
            ).fetchall()
        return tuple(Due(key=JobKey(*row[:3]), submitted_at=_at(row[3]), checks=row[4]) for row in rows)

    def job(self, key: JobKey) -> Job | None:
        """The current row of one job."""
        with self._readers.snapshot() as connection:
            row = connection.execute(
                "SELECT record, gone_at FROM jobs WHERE hash = ? AND provider = ? AND account = ? AND id = ?",
                (id_hash(key.id), *key),
            ).fetchone()
        return None if row is None else public(decode(row[0]), row[1])

    def jobs(self, *, since: datetime | None = None) -> Iterator[Job]:
        """All jobs whose latest known time is at or after ``since``, in key order."""
        lowest = NO_TIME if since is None else to_micros(since)
        with self._readers.snapshot() as connection:
            for record, gone_at in connection.execute(
                "SELECT record, gone_at FROM jobs WHERE latest_at >= ? ORDER BY provider, account, id", (lowest,)
            ):
                yield public(decode(record), gone_at)

    def transitions(self, key: JobKey) -> tuple[Transition, ...]:
        """A job's history in the order of (provider time, or observed time where there is none)."""
        with self._readers.snapshot() as connection:
            row = connection.execute(
                "SELECT gone_at, ref, contents, first_seen_at, record FROM jobs"
                " WHERE hash = ? AND provider = ? AND account = ? AND id = ?",
                (id_hash(key.id), *key),
            ).fetchone()
            if row is None:
                return ()
            told = entries(connection, *row[1:])
        shown = presented((one.state, one.at, one.anomalous) for one in told)
        found = [_transition(key, one) for one in told if (one.state, one.at) in shown]
        if row[0] is not None:
            found.append(_transition(key, Entry(JobState.UNKNOWN, NO_TIME, MISSING, row[0], False)))
        return tuple(sorted(found, key=lambda one: (one.provider_at or one.observed_at, one.state)))

    def open_jobs(self) -> Mapping[tuple[str, str, str, str], int]:
        """Non-terminal jobs by (provider, source, backend, state)."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT provider, source, coalesce(backend, ''), state, count(*) FROM jobs WHERE open = 1 GROUP BY 1, 2, 3, 4"
            ).fetchall()
        return {(row[0], row[1], row[2], row[3]): row[4] for row in rows}

    def oldest_queued(self) -> Mapping[tuple[str, str, str], datetime]:
        """Submission time of the oldest queued job by (provider, source, backend)."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT provider, source, coalesce(backend, ''), min(submitted_at) FROM jobs"
                " WHERE open = 1 AND state = 'queued' AND submitted_at IS NOT NULL GROUP BY 1, 2, 3"
            ).fetchall()
        return {(row[0], row[1], row[2]): from_micros(row[3]) for row in rows}

    def backends(self) -> tuple[BackendStatus, ...]:
        """Latest status of every backend."""
        with self._readers.snapshot() as connection:
            rows = connection.execute("SELECT payload FROM backends ORDER BY provider, account, source, backend").fetchall()
        return tuple(_BACKEND.decode(row[0]) for row in rows)

    def calibrations(self) -> tuple[Calibration, ...]:
        """Latest calibration of every backend."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT payload FROM (SELECT payload, provider, account, backend, row_number() OVER"
                " (PARTITION BY provider, account, backend ORDER BY calibrated_at DESC, observed_at DESC, content_hash) AS place"
                " FROM calibrations) WHERE place = 1 ORDER BY provider, account, backend"
            ).fetchall()
        return tuple(unpack(row[0]) for row in rows)

    def quotas(self) -> tuple[Quota, ...]:
        """Latest reading of every quota."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT payload FROM quotas ORDER BY provider, account, source, dimension, scope, target"
            ).fetchall()
        return tuple(_QUOTA.decode(row[0]) for row in rows)

    def buckets(self, since: datetime) -> Iterator[Delta]:
        """Stored SLI buckets that start at or after ``since``, in time order: what window totals are built from."""
        first = -(-to_micros(since) // MICRO)
        with self._readers.snapshot() as connection:
            known = columnar.known_series(connection)
            for bucket, series, good, total in connection.execute(
                "SELECT bucket, series, good, total FROM sli_buckets WHERE bucket >= ? ORDER BY bucket, series", (first,)
            ):
                yield Delta(known[series], bucket, good, total)

    def hour_columns(self, since: datetime) -> Columns:
        """Whole hours of buckets (``HOUR_SECONDS``) that start at or after ``since``, in order of time: kept sums, not a scan."""
        with self._readers.snapshot() as connection:
            return columnar.hours(connection, since)

    def bucket_columns(
        self, since: datetime, until: datetime | None = None, *, series: Iterable[Series] | None = None
    ) -> Columns:
        """Buckets that start in [``since``, ``until``), in order of time; ``series`` given: of these alone."""
        with self._readers.snapshot() as connection:
            return columnar.buckets(connection, since, until, series)

    def batches(self, since: datetime) -> tuple[BatchCount, ...]:
        """Events by series and group, of the groups that had an event at or after ``since``: all of their events."""
        with self._readers.snapshot() as connection:
            return columnar.batches(connection, since)

    def first_buckets(self) -> Mapping[Series, datetime]:
        """When each series' oldest kept bucket starts."""
        with self._readers.snapshot() as connection:
            return columnar.first_buckets(connection)

    def states(self) -> Mapping[str, bytes]:
        """All that :meth:`qobs.store.base.Store.keep_states` kept."""
        with self._readers.snapshot() as connection:
            return dict(connection.execute("SELECT key, state FROM slo_states ORDER BY key").fetchall())

    def exclusions(self, *, withdrawn: bool = False) -> tuple[Exclusion, ...]:
        """Exclusions in force, oldest first; with ``withdrawn``, those that are not as well."""
        with self._readers.snapshot() as connection:
            return exclusions.read(connection, withdrawn=withdrawn)

    def exclusion_log(self) -> tuple[ExclusionChange, ...]:
        """The audit of all exclusions, in the order in which it was written; nothing is ever removed from it."""
        with self._readers.snapshot() as connection:
            return tuple(line.change for line in exclusions.lines(connection))

    def calibration_history(self, since: datetime, *, newest: int = 100) -> Iterator[Calibration]:
        """Kept snapshots calibrated at or after ``since``, at most the ``newest`` of each backend, oldest first, by backend."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT ref FROM (SELECT rowid AS ref, provider, account, backend, row_number() OVER"
                " (PARTITION BY provider, account, backend ORDER BY calibrated_at DESC, observed_at DESC, content_hash) AS place"
                " FROM calibrations WHERE calibrated_at >= ?) WHERE place <= ?"
                " ORDER BY provider, account, backend, place DESC",
                (to_micros(since), newest),
            ).fetchall()
            for row in rows:  # payloads are large: one at a time
                yield unpack(connection.execute("SELECT payload FROM calibrations WHERE rowid = ?", row).fetchone()[0])

    def calibration_before(self, provider: str, account: str, backend: str, at: datetime) -> Calibration | None:
        """The last kept calibration of a backend at or before ``at``; None: none is that old."""
        with self._readers.snapshot() as connection:
            return verifications.calibration_before(connection, provider, account, backend, at)

    def verification_candidates(
        self, shard: Shard, *, changed_since: datetime, ended_since: datetime
    ) -> Iterator[tuple[Job, datetime]]:
        """Completed, settled jobs that never were in the queue, each with when it last changed here, in that order."""
        with self._readers.snapshot() as connection:
            yield from verifications.candidates(connection, shard, changed_since=changed_since, ended_since=ended_since)

    def next_verification(self, shard: Shard, now: datetime) -> Queued | None:
        """The queued job of an account that has been due longest; None: none is due."""
        with self._readers.snapshot() as connection:
            return verifications.next_queued(connection, shard, now)

    def queued_verification(self, key: JobKey) -> Queued | None:
        """A job's place in the queue; None: it never was in it."""
        with self._readers.snapshot() as connection:
            return verifications.queued(connection, key)

    def verification_queue(self) -> Mapping[QueueState, int]:
        """Jobs that are not done, by their state in the queue, every state among them."""
        with self._readers.snapshot() as connection:
            return verifications.queue_sizes(connection)

    def verifications(self, key: JobKey | None = None) -> Iterator[Verification]:
        """All verdicts in the order in which they were added; with ``key``, those of one job, by circuit."""
        with self._readers.snapshot() as connection:
            yield from verifications.read(connection, key)

    def verified_shapes(self, provider: str, source: str, backend: str, epoch: str) -> frozenset[str]:
        """Shapes of circuits that have a verdict within one calibration epoch of a backend."""
        with self._readers.snapshot() as connection:
            return verifications.shapes(connection, provider, source, backend, epoch)

    def totals(self) -> tuple[SeriesTotal, ...]:
        """Lifetime counts of every SLI series."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                f"SELECT sum(t.good), sum(t.total), sum(t.exported_bad), sum(t.exported_total), {_SERIES}"  # noqa: S608
                " FROM sli_totals t JOIN sli_series s ON s.id = t.series"
                f" GROUP BY {_SERIES} ORDER BY {_SERIES}"
            ).fetchall()
        return tuple(SeriesTotal(Series(*row[4:]), *row[:4]) for row in rows)

    def counters(self) -> tuple[CounterValue, ...]:
        """Counters derived from jobs."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT name, labels, sum(micros), sum(exported) FROM counters GROUP BY name, labels ORDER BY name, labels"
            ).fetchall()
        return tuple(CounterValue(name, labels_of(text), value / MICRO, exported / MICRO) for name, text, value, exported in rows)

    def info(self) -> StoreInfo:
        """Size, rows and schema."""
        with self._readers.snapshot() as connection:
            present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            rows = {table: _count(connection, table) for table in TABLES if table in present}
            oldest, newest = connection.execute("SELECT min(latest_at), max(latest_at) FROM jobs").fetchone()
            version = schema_version(connection)
        return StoreInfo(
            location=str(self._path),
            schema_version=version,
            engine=f"SQLite {sqlite3.sqlite_version}",
            size_bytes=_size(self._path),
            wal_bytes=_size(self._path.with_name(self._path.name + "-wal")),
            rows=rows,
            oldest_job_at=_at(oldest),
            newest_job_at=_at(newest),
        )


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - from TABLES


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _at(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _transition(key: JobKey, entry: Entry) -> Transition:
    return Transition(
        key=key,
        state=entry.state,
        raw_state=entry.raw_state,
        provider_at=None if entry.at == NO_TIME else from_micros(entry.at),
        observed_at=from_micros(entry.observed_at),
        anomalous=entry.anomalous,
    )
