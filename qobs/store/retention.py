"""What is removed when it is old, and what stays for ever: lifetime totals and counters keep the share of removed rows."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta

import msgspec

from qobs.columns import HOUR_SECONDS
from qobs.model import Judge, from_micros, to_micros
from qobs.store import verifications
from qobs.store.counts import FRESHNESS, JOBS, CountTables, Sums, sum_hours
from qobs.store.fold import decode
from qobs.store.presence import public
from qobs.store.records import reading_of

BUCKETS = timedelta(days=91)
"""Buckets reach back one day beyond the longest window."""
READINGS = timedelta(days=14)
"""Calibration readings are kept as long as a late one can still change a verdict."""
POLLS = timedelta(days=30)
QUARANTINE = timedelta(days=30)
CALIBRATIONS = 500
"""Calibrations kept of one backend, the newest."""

_CHUNK = 2_000


class Floors(msgspec.Struct, frozen=True):
    """From when on the tables are complete, in µs: older rows were removed and must not come back in part."""

    buckets: int
    readings: int


def floors(connection: sqlite3.Connection) -> Floors:
    """The floors that the last prune set; far in the past before the first."""
    rows = dict(connection.execute("SELECT key, value FROM meta WHERE key IN ('buckets_from', 'readings_from')"))
    lowest = -(1 << 62)
    return Floors(int(rows.get("buckets_from", lowest)), int(rows.get("readings_from", lowest)))


def _raise_floors(connection: sqlite3.Connection, now: datetime) -> Floors:
    known = floors(connection)
    second = 1_000_000
    raised = Floors(
        max(known.buckets, to_micros(now - BUCKETS) // (10 * second) * 10 * second),
        max(known.readings, to_micros(now - READINGS)),
    )
    connection.executemany(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        [("buckets_from", str(raised.buckets)), ("readings_from", str(raised.readings))],
    )
    return raised


def prune(
    connection: sqlite3.Connection, judge: Judge, tables: CountTables, now: datetime, retention: timedelta, *, epoch: int
) -> dict[str, int]:
    """Apply retention inside the caller's transaction; returns removed rows by table."""
    floor = _raise_floors(connection, now)
    removed = _prune_buckets(connection, floor.buckets // 1_000_000)
    batches = _count_batches(connection)
    removed |= _prune_jobs(connection, judge, tables, to_micros(now - retention), floor.buckets, epoch)
    judged, rows = verifications.prune(connection, judge, before=to_micros(now - retention), buckets_from=floor.buckets)
    tables.retire(connection, verifications.VERIFICATIONS, judged, epoch=epoch)
    removed |= rows
    removed["sli_batches"] = batches - _count_batches(connection)
    removed["freshness"] = _prune_readings(connection, judge, tables, floor.readings, epoch)
    removed["polls"] = _delete(connection, "polls WHERE started_at < ?", to_micros(now - POLLS))
    removed["quarantine"] = _delete(connection, "quarantine WHERE observed_at < ?", to_micros(now - QUARANTINE))
    removed["calibrations"] = _delete(
        connection,
        "calibrations WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER (PARTITION BY provider, account,"
        " backend ORDER BY calibrated_at DESC, observed_at DESC) AS place FROM calibrations) WHERE place > ?)",
        CALIBRATIONS,
    )
    return removed


def _delete(connection: sqlite3.Connection, what: str, value: int) -> int:
    return connection.execute(f"DELETE FROM {what}", (value,)).rowcount  # noqa: S608 - the callers' own literals


def _prune_buckets(connection: sqlite3.Connection, before: int) -> dict[str, int]:
    """Remove buckets that start before a time (seconds) and their hours; the hour that stays in part is summed again."""
    removed = {"sli_buckets": _delete(connection, "sli_buckets WHERE bucket < ?", before)}
    hour = before // HOUR_SECONDS * HOUR_SECONDS
    removed["sli_hours"] = _delete(connection, "sli_hours WHERE hour < ?", hour)
    sum_hours(connection, hour)
    return removed


def _count_batches(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sli_batches").fetchone()[0])


def _prune_jobs(
    connection: sqlite3.Connection, judge: Judge, tables: CountTables, before: int, buckets_from: int, epoch: int
) -> dict[str, int]:
    """Remove finished and vanished jobs that are old; those that still count in a kept bucket stay."""
    removed = dict.fromkeys(("jobs", "observations", "transitions"), 0)
    retired = Sums()
    old = [row[0] for row in connection.execute("SELECT ref FROM jobs WHERE latest_at < ? ORDER BY ref", (before,))]
    for start in range(0, len(old), _CHUNK):
        rows = connection.execute(
            "SELECT ref, record, judged_at, gone_at FROM jobs WHERE ref IN (SELECT value FROM json_each(?))"
            " AND (open = 0 OR gone_at IS NOT NULL)",
            (json.dumps(old[start : start + _CHUNK]),),
        ).fetchall()
        refs = []
        for ref, record, judged_at, gone_at in rows:
            judgement = judge.job(public(decode(record), gone_at), from_micros(judged_at))
            if all(to_micros(event.at) < buckets_from for event in judgement.events):
                retired.add(judgement)
                refs.append((ref,))
        for table, column in (("observations", "job"), ("transitions", "job"), ("jobs", "ref")):
            removed[table] += connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", refs).rowcount  # noqa: S608
    tables.retire(connection, JOBS, retired, epoch=epoch)
    return removed


def _prune_readings(connection: sqlite3.Connection, judge: Judge, tables: CountTables, before: int, epoch: int) -> int:
    retired = Sums()
    for row in connection.execute(
        "SELECT slice_at, provider, account, backend, source, calibrated_at FROM freshness WHERE slice_at < ?", (before,)
    ):
        retired.add(judge.freshness(reading_of(row)))
    tables.retire(connection, FRESHNESS, retired, epoch=epoch)
    return connection.execute("DELETE FROM freshness WHERE slice_at < ?", (before,)).rowcount
