"""The full check: is the file sound, are jobs, history and counts what the observations make of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from qobs.model import JobKey, JobState, Judge, Series
from qobs.store import exclusions, verifications
from qobs.store.columnar import known_series
from qobs.store.counts import HOUR, Fate
from qobs.store.fold import NO_TIME, decode, encode, fold, history
from qobs.store.presence import public
from qobs.store.rebuild import bucket_floor, differences, rebuilt, stored_batches, stored_buckets, stored_counters, stored_totals
from qobs.store.rows import id_hash
from qobs.store.schema import SCHEMA_VERSION, schema_version

_MOST = 1_000
"""Lines reported of one check; a broken store could give millions."""


def verify(connection: sqlite3.Connection, judge: Judge | None, *, counted: bool) -> Iterator[str]:
    """Every difference found, one line each, inside the caller's read transaction.

    ``judge`` None: counts are not looked at. ``counted`` False: they are those of another judge and cannot be compared.
    """
    sound = True
    for row in connection.execute("PRAGMA integrity_check"):
        if row[0] != "ok":
            sound = False
            yield f"integrity: {row[0]}"
    if not sound:
        return
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"foreign key: {table} row {rowid} points at a missing row of {parent}"
    yield from _jobs(connection)
    if (version := schema_version(connection)) < SCHEMA_VERSION:
        yield f"schema: version {version} found, {SCHEMA_VERSION} expected: start the daemon once to migrate"
        return
    yield from _hours(connection)
    yield from exclusions.differences(connection)
    yield from verifications.differences(connection)
    if judge is None:
        return
    if counted:
        yield from _counts(connection, judge)
    else:
        yield "counts: made by a judge with other thresholds; start the daemon once to recount"


def _jobs(connection: sqlite3.Connection) -> Iterator[str]:
    """Jobs against the fold of their observations, transitions against their history."""
    for *key, rows in connection.execute(
        "SELECT provider, account, id, count(*) FROM jobs GROUP BY provider, account, id HAVING count(*) > 1"
    ):
        yield f"job {JobKey(*key)}: found in {rows} rows, 1 allowed"
    rows = connection.execute(
        "SELECT o.job, o.revision, o.rank, o.digest, o.payload FROM observations o ORDER BY o.job, o.revision, o.rank, o.digest"
    )
    kept = connection.execute(f"SELECT {', '.join(_Row._fields)} FROM jobs ORDER BY ref")  # noqa: S608 - our own names
    observed = ((ref, list(group)) for ref, group in groupby(rows, key=lambda row: row[0]))
    nothing: tuple[object, list[Any]] = (None, [])
    current = next(observed, nothing)
    for row in map(_Row._make, kept):
        mine = []
        if current[0] == row.ref:
            mine, current = current[1], next(observed, nothing)
        if len(mine) != (row.contents if row.contents > 1 else 0):
            yield f"job {row.key}: {len(mine)} observations found, {row.contents} contents counted"
        yield from _job(connection, row, mine)
    if current[0] is not None:
        yield f"observations of job row {current[0]}: there is no such job"


class _Row(NamedTuple):
    """What is checked of a row of ``jobs``."""

    ref: int
    hash: int
    provider: str
    account: str
    id: str
    state: str
    revision: int | None
    rank: int | None
    digest: bytes | None
    anomalies: int
    gone_at: int | None
    record: bytes
    contents: int

    @property
    def key(self) -> JobKey:
        return JobKey(self.provider, self.account, self.id)


def _job(connection: sqlite3.Connection, row: _Row, observed: list[tuple[Any, ...]]) -> Iterator[str]:
    """One row against its observations; without any, its record is the only one."""
    jobs = [decode(one[4]) for one in observed] or [decode(row.record)]
    merged, told = fold(jobs), history(jobs)
    if encode(merged) != row.record:
        yield f"job {row.key}: the row is not the fold of its {len(jobs)} observations"
    if merged.key != row.key or id_hash(row.id) != row.hash:
        yield f"job {row.key}: is stored under the key of {merged.key}, hash {row.hash}"
    if JobState(row.state) is not public(merged, row.gone_at).state:
        yield f"job {row.key}: state column says {row.state}, the record {merged.state}"
    newest = tuple(observed[-1][1:4]) if observed else (None, None, None)
    if newest != (row.revision, row.rank, row.digest):
        yield f"job {row.key}: version {(row.revision, row.rank, row.digest)!r} is not that of its newest observation"
    if row.anomalies != told.anomalies:
        yield f"job {row.key}: {row.anomalies} anomalies counted, {told.anomalies} found"
    rows = connection.execute("SELECT state, provider_at, anomalous FROM transitions WHERE job = ?", (row.ref,))
    stored = {(JobState(name), at): bool(flag) for name, at, flag in rows}
    expected = told.facts if observed else {}
    for fact in stored.keys() | expected.keys():
        left, right = stored.get(fact), expected.get(fact)
        if left != right:
            at = "an unknown time" if fact[1] == NO_TIME else f"{fact[1]} µs"
            yield f"transition of {row.key} to {fact[0]} at {at}: anomalous is {left} in the table, {right} in the history"


def _hours(connection: sqlite3.Connection) -> Iterator[str]:
    """Hours against the sums of their buckets."""
    names = known_series(connection)
    both = (
        "SELECT hour, series, good AS hour_good, total AS hour_total, 0 AS good, 0 AS total FROM sli_hours"  # noqa: S608 - our own expression
        f" UNION ALL SELECT {HOUR}, series, 0, 0, good, total FROM sli_buckets"
    )
    for hour, number, *counts in connection.execute(
        f"SELECT hour, series, sum(hour_good), sum(hour_total), sum(good), sum(total) FROM ({both}) GROUP BY 1, 2"  # noqa: S608
        " HAVING sum(hour_good) <> sum(good) OR sum(hour_total) <> sum(total) ORDER BY 1, 2 LIMIT ?",
        (_MOST,),
    ):
        stored, summed = tuple(counts[:2]), tuple(counts[2:])
        yield f"hour {hour} of {names.get(number)!r}: stored {stored!r}, its buckets {summed!r}"


def _without_time(batches: Mapping[tuple[Series, str], Fate]) -> dict[tuple[Series, str], tuple[int, int]]:
    """Batches without their newest bucket: that one may be of an event that was taken back."""
    return {key: (fate.total, fate.bad) for key, fate in batches.items()}


def _counts(connection: sqlite3.Connection, judge: Judge) -> Iterator[str]:
    """Buckets, totals and counters against those of all kept records."""
    for origin, fresh in rebuilt(connection, judge).items():
        floor = bucket_floor(connection, origin)
        recent = {key: total for key, total in fresh.buckets.items() if key[1] >= floor}
        stored, now = stored_batches(connection, origin), fresh.batches
        lines = [
            *differences(stored_buckets(connection, origin, floor), recent, f"{origin} bucket"),
            *differences(_without_time(stored), _without_time(now), f"{origin} batch"),
            *(
                f"{origin} batch {key!r}: newest bucket {fate.latest} stored, {now[key].latest} rebuilt"
                for key, fate in sorted(stored.items())
                if key in now and fate.latest < now[key].latest
            ),
            *differences(stored_totals(connection, origin), fresh.totals(), f"{origin} total"),
            *differences(stored_counters(connection, origin), fresh.counters, f"{origin} counter"),
        ]
        yield from lines[:_MOST]
