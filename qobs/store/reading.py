"""What the store tells: every question is one read transaction on a read-only connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

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
from qobs.store.base import CounterValue, Cursor, Due, SeriesTotal, StoreInfo
from qobs.store.connection import Readers
from qobs.store.counts import MICRO, labels_of
from qobs.store.fold import NO_TIME, decode, presented
from qobs.store.history import Entry, entries
from qobs.store.presence import public
from qobs.store.records import read_cursor, unpack
from qobs.store.rows import id_hash
from qobs.store.schema import TABLES, schema_version

_SERIES = "s.sli, s.provider, s.source, s.backend, s.priority, s.workload, s.team"
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
            known = {row[0]: Series(*row[1:]) for row in connection.execute(f"SELECT s.id, {_SERIES} FROM sli_series s")}  # noqa: S608
            for bucket, series, good, total in connection.execute(
                "SELECT bucket, series, good, total FROM sli_buckets WHERE bucket >= ? ORDER BY bucket, series", (first,)
            ):
                yield Delta(known[series], bucket, good, total)

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
            rows = {table: _count(connection, table) for table in TABLES}
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
