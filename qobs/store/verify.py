"""The full check: is the file sound, are jobs, history and counts what the observations make of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from qobs.model import JobKey, JobState, Judge
from qobs.store.fold import NO_TIME, Version, decode, encode, fold, history, observe
from qobs.store.jobs import public
from qobs.store.rebuild import bucket_floor, differences, rebuilt, stored_buckets, stored_counters, stored_totals

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
    if judge is None:
        return
    if counted:
        yield from _counts(connection, judge)
    else:
        yield "counts: made by a judge with other thresholds; start the daemon once to recount"


def _jobs(connection: sqlite3.Connection) -> Iterator[str]:
    """Jobs against the fold of their observations, transitions against their history."""
    rows = connection.execute(
        "SELECT o.job, o.revision, o.rank, o.digest, o.payload FROM observations o ORDER BY o.job, o.revision, o.rank, o.digest"
    )
    kept = connection.execute(
        "SELECT ref, provider, account, id, state, revision, rank, digest, anomalies, gone_at, record, contents, first_seen_at"
        " FROM jobs ORDER BY ref"
    )
    observed = ((ref, list(group)) for ref, group in groupby(rows, key=lambda row: row[0]))
    nothing: tuple[object, list[Any]] = (None, [])
    current = next(observed, nothing)
    for row in kept:
        mine = []
        if current[0] == row[0]:
            mine, current = current[1], next(observed, nothing)
        if len(mine) != (row[11] if row[11] > 1 else 0):
            yield f"job {JobKey(*row[1:4])}: {len(mine)} observations found, {row[11]} contents counted"
        yield from _job(connection, row, mine or [_itself(row)])
    if current[0] is not None:
        yield f"observations of job row {current[0]}: there is no such job"


def _itself(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The one observation of a job of which only one content was seen."""
    own = observe(decode(row[10]))
    return (row[0], *own.version, own.payload)


def _job(connection: sqlite3.Connection, row: tuple[Any, ...], observed: list[tuple[Any, ...]]) -> Iterator[str]:
    ref, key = row[0], JobKey(str(row[1]), str(row[2]), str(row[3]))
    state, head, anomalies, gone_at, record = row[4], row[5:8], row[8], row[9], row[10]
    jobs = [decode(one[4]) for one in observed]
    merged, told = fold(jobs), history(jobs)
    if encode(merged) != record:
        yield f"job {key}: the row is not the fold of its {len(jobs)} observations"
    if JobState(str(state)) is not public(merged, gone_at if isinstance(gone_at, int) else None).state:
        yield f"job {key}: state column says {state}, the record {merged.state}"
    if tuple(observed[-1][1:4]) != tuple(head):
        yield f"job {key}: version {Version(*head)!r} is not that of its newest observation"
    if anomalies != told.anomalies:
        yield f"job {key}: {anomalies} anomalies counted, {told.anomalies} found"
    rows = connection.execute("SELECT state, provider_at, anomalous FROM transitions WHERE job = ?", (ref,))
    stored = {(JobState(name), at): bool(flag) for name, at, flag in rows}
    for fact in stored.keys() | told.facts.keys():
        left, right = stored.get(fact), told.facts.get(fact)
        if left != right:
            at = "an unknown time" if fact[1] == NO_TIME else f"{fact[1]} µs"
            yield f"transition of {key} to {fact[0]} at {at}: anomalous is {left} in the table, {right} in the history"


def _counts(connection: sqlite3.Connection, judge: Judge) -> Iterator[str]:
    """Buckets, totals and counters against those of all kept records."""
    for origin, fresh in rebuilt(connection, judge).items():
        floor = bucket_floor(connection, origin)
        recent = {key: total for key, total in fresh.buckets.items() if key[1] >= floor}
        lines = [
            *differences(stored_buckets(connection, origin, floor), recent, f"{origin} bucket"),
            *differences(stored_totals(connection, origin), fresh.totals(), f"{origin} total"),
            *differences(stored_counters(connection, origin), fresh.counters, f"{origin} counter"),
        ]
        yield from lines[:_MOST]
