"""Counts from scratch: what the judge says about every kept record, to compare with or to replace the stored counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from qobs.model import Judge, Series, from_micros, to_micros
from qobs.store.columnar import SERIES as _SERIES
from qobs.store.counts import FRESHNESS, JOBS, NEVER, CounterKey, CountTables, Fate, Sums, Total, labels_of, sum_hours
from qobs.store.fold import decode
from qobs.store.presence import public
from qobs.store.records import reading_of
from qobs.store.retention import floors
from qobs.store.verifications import VERIFICATIONS, judged

_CHUNK = 2_000


def judge_jobs(connection: sqlite3.Connection, judge: Judge) -> Iterator[tuple[int, int | None, Sums]]:
    """Per chunk of jobs nothing is kept: yields (ref, next judgement in µs, that job's sums)."""
    start = 0
    while rows := connection.execute(
        "SELECT ref, record, judged_at, gone_at FROM jobs WHERE ref >= ? ORDER BY ref LIMIT ?", (start, _CHUNK)
    ).fetchall():
        start = rows[-1][0] + 1
        for ref, record, judged_at, gone_at in rows:
            judgement = judge.job(public(decode(record), gone_at), from_micros(judged_at))
            sums = Sums()
            sums.add(judgement)
            next_at = None if judgement.next_at is None else max(to_micros(judgement.next_at), judged_at + 1)
            yield ref, next_at, sums


def rebuilt(connection: sqlite3.Connection, judge: Judge) -> dict[str, Sums]:
    """Sums by origin over all kept jobs, readings and verifications."""
    jobs, readings = Sums(), Sums()
    for _, _, sums in judge_jobs(connection, judge):
        add_sums(jobs, sums)
    for row in connection.execute("SELECT slice_at, provider, account, backend, source, calibrated_at FROM freshness"):
        readings.add(judge.freshness(reading_of(row)))
    return {JOBS: jobs, FRESHNESS: readings, VERIFICATIONS: judged(connection, judge)}


def add_sums(into: Sums, other: Sums, sign: int = 1) -> None:
    """Add other sums, or take them away."""
    for key, total in other.buckets.items():
        known = into.buckets.get(key, (0, 0))
        into.buckets[key] = (known[0] + sign * total[0], known[1] + sign * total[1])
    for (series, group), fate in other.batches.items():
        into.share(series, group, Fate(sign * fate.total, sign * fate.bad, fate.latest if sign > 0 else NEVER))
    for name, micros in other.counters.items():
        into.counters[name] = into.counters.get(name, 0) + sign * micros


def stored_buckets(connection: sqlite3.Connection, origin: str, since: int) -> dict[tuple[Series, int], tuple[int, int]]:
    """Bucket rows of one origin that start at or after ``since`` (seconds)."""
    rows = connection.execute(
        f"SELECT b.bucket, b.good, b.total, {_SERIES} FROM sli_buckets b JOIN sli_series s ON s.id = b.series"  # noqa: S608
        " WHERE s.origin = ? AND b.bucket >= ?",
        (origin, since),
    )
    return {(Series(*row[3:]), row[0]): (row[1], row[2]) for row in rows}


def stored_batches(connection: sqlite3.Connection, origin: str) -> dict[tuple[Series, str], Fate]:
    """Batches of one origin: all events of kept records, also those whose buckets are past retention."""
    rows = connection.execute(
        f"SELECT b.grp, b.total, b.bad, b.latest, {_SERIES} FROM sli_batches b JOIN sli_series s ON s.id = b.series"  # noqa: S608
        " WHERE s.origin = ?",
        (origin,),
    )
    return {(Series(*row[4:]), row[0]): Fate(*row[1:4]) for row in rows}


def stored_totals(connection: sqlite3.Connection, origin: str) -> dict[Series, Total]:
    """Lifetime totals of one origin without the retired share."""
    rows = connection.execute(
        f"SELECT t.good - t.retired_good, t.total - t.retired_total, {_SERIES}"  # noqa: S608
        " FROM sli_totals t JOIN sli_series s ON s.id = t.series WHERE s.origin = ?",
        (origin,),
    )
    return {Series(*row[2:]): Total(row[0], row[1]) for row in rows}


def stored_counters(connection: sqlite3.Connection, origin: str) -> dict[CounterKey, int]:
    """Counters of one origin in millionths, without the retired share."""
    rows = connection.execute("SELECT name, labels, micros - retired FROM counters WHERE origin = ?", (origin,))
    return {(name, labels_of(labels)): micros for name, labels, micros in rows}


def bucket_floor(connection: sqlite3.Connection, origin: str) -> int:
    """From which bucket on (seconds) the stored buckets can be rebuilt from records."""
    floor = floors(connection)
    lowest = max(floor.buckets, floor.readings) if origin == FRESHNESS else floor.buckets
    return -(-lowest // 10_000_000) * 10


def recount(connection: sqlite3.Connection, judge: Judge, tables: CountTables, *, epoch: int) -> tuple[Series, ...]:
    """Make the stored counts those of this judge; the retired share and the exported marks stay.

    Hours are summed anew from the buckets, so that a recount mends them too.

    Returns:
        The series whose buckets or totals changed.
    """
    changed: set[Series] = set()
    for origin, fresh in rebuilt(connection, judge).items():
        floor = bucket_floor(connection, origin)
        difference = Sums()
        add_sums(difference, fresh)
        old = Sums()
        old.buckets = stored_buckets(connection, origin, floor)
        old.batches = stored_batches(connection, origin)
        old.counters = stored_counters(connection, origin)
        add_sums(difference, old, -1)
        difference.buckets = {key: total for key, total in difference.buckets.items() if key[1] >= floor}
        changed |= {key[0] for key, total in difference.buckets.items() if any(total)}
        changed |= _correct_totals(connection, tables, origin, fresh, difference, floor, epoch)
    sum_hours(connection)
    _reschedule(connection, judge)
    return tuple(sorted(changed))


def _correct_totals(
    connection: sqlite3.Connection,
    tables: CountTables,
    origin: str,
    fresh: Sums,
    difference: Sums,
    floor: int,
    epoch: int,
) -> set[Series]:
    """Write the difference; totals may differ by more than the kept buckets do, so they get the rest on their own."""
    before, after = stored_totals(connection, origin), fresh.totals()
    moved = difference.totals()
    rest = Sums()
    for series in before.keys() | after.keys():
        old, new, by_buckets = (side.get(series, Total(0, 0)) for side in (before, after, moved))
        total = Total(new.good - old.good - by_buckets.good, new.total - old.total - by_buckets.total)
        if any(total):
            rest.buckets[series, floor - 10] = total
    add_sums(difference, rest)
    tables.apply(connection, origin, difference, since=floor, epoch=epoch)
    return {series for series in before.keys() | after.keys() if before.get(series) != after.get(series)}


def _reschedule(connection: sqlite3.Connection, judge: Judge) -> None:
    """Set anew when each job is judged next."""
    rows = [(next_at, ref, next_at) for ref, next_at, _ in judge_jobs(connection, judge)]
    connection.executemany("UPDATE jobs SET judge_at = ? WHERE ref = ? AND judge_at IS NOT ?", rows)


def differences(stored: Mapping[Any, object], fresh: Mapping[Any, object], what: str) -> Iterator[str]:
    """One line for each entry in which two tables differ; nothing is the same as zero."""
    for key in sorted(stored.keys() | fresh.keys(), key=repr):
        left, right = stored.get(key), fresh.get(key)
        if left != right and (_full(left) or _full(right)):
            yield f"{what} {key!r}: stored {left!r}, rebuilt {right!r}"


def _full(value: object) -> bool:
    return any(value) if isinstance(value, tuple) else bool(value)
