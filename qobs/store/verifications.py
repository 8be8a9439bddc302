"""Verdicts on results and the queue of jobs that wait for one: rows, counts and the job's place in the queue in one transaction.

The first verdict on a circuit stands, whatever is said again later; only *unverified* gives way, once there is something to
compare with. Rows are numbered in the order in which they were added, so that what is learnt from them can be learnt again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from qobs.model import Calibration, Job, JobKey, Judge, Shard, from_micros, to_micros
from qobs.result import Verification
from qobs.store.base import Queued, QueueState
from qobs.store.counts import Sums
from qobs.store.fold import decode
from qobs.store.presence import public
from qobs.store.records import printable, unpack

VERIFICATIONS = "verification"
"""Origin of the counts that verifications make."""

UNVERIFIED = "unverified"

MOST_REASON = 500
"""Characters of a reason that are kept."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_VERIFICATION = msgspec.json.Decoder(Verification)
_QUEUED = "provider, account, id, source, state, tries, deaths, due_at, ended_at, reason"


class Kept(NamedTuple):
    """What keeping verifications changed."""

    sums: Sums
    added: int
    changed: int
    unchanged: int


# ------------------------------------------------------------------------------------------------- the queue


def enqueue(connection: sqlite3.Connection, entries: Iterable[Queued]) -> int:
    """Add jobs to the queue; those that are or were in it stay as they are. Returns how many are new."""
    before = connection.total_changes
    connection.executemany(
        f"INSERT INTO verify_queue ({_QUEUED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",  # noqa: S608 - our own names
        [_row(entry) for entry in entries],
    )
    return connection.total_changes - before


def move(connection: sqlite3.Connection, entry: Queued) -> None:
    """Set a job's place in the queue anew; a job that is not in the queue stays out of it."""
    provider, account, id_, _, state, tries, deaths, due_at, _, reason = _row(entry)
    connection.execute(
        "UPDATE verify_queue SET state = ?, tries = ?, deaths = ?, due_at = ?, reason = ?"
        " WHERE provider = ? AND account = ? AND id = ?",
        (state, tries, deaths, due_at, reason, provider, account, id_),
    )


def resume(connection: sqlite3.Connection) -> int:
    """Put back what an earlier life of the daemon had begun; returns how many jobs."""
    return connection.execute("UPDATE verify_queue SET state = 'queued' WHERE state = 'running'").rowcount


def next_queued(connection: sqlite3.Connection, shard: Shard, now: datetime) -> Queued | None:
    """The job of an account that has been due longest; None: none is due."""
    row = connection.execute(
        f"SELECT {_QUEUED} FROM verify_queue WHERE state = 'queued' AND source = ? AND provider = ? AND account = ?"  # noqa: S608
        " AND due_at <= ? ORDER BY due_at, id LIMIT 1",
        (shard.source, shard.provider, shard.account, to_micros(now)),
    ).fetchone()
    return None if row is None else _queued(row)


def queued(connection: sqlite3.Connection, key: JobKey) -> Queued | None:
    """A job's place in the queue; None: it never was in it."""
    row = connection.execute(
        f"SELECT {_QUEUED} FROM verify_queue WHERE provider = ? AND account = ? AND id = ?",  # noqa: S608 - our own names
        key,
    ).fetchone()
    return None if row is None else _queued(row)


def queue_sizes(connection: sqlite3.Connection) -> Mapping[QueueState, int]:
    """Jobs that are not done, by their state in the queue, every state among them."""
    found = dict(connection.execute("SELECT state, count(*) FROM verify_queue WHERE state <> 'done' GROUP BY state"))
    return {state: found.get(state.value, 0) for state in QueueState if state is not QueueState.DONE}


def candidates(
    connection: sqlite3.Connection, shard: Shard, *, changed_since: datetime, ended_since: datetime
) -> Iterator[tuple[Job, datetime]]:
    """Completed and settled jobs that never were in the queue, each with when it last changed here, in that order."""
    rows = connection.execute(
        "SELECT record, gone_at, judged_at FROM jobs j WHERE latest_at >= ? AND judged_at >= ? AND state = 'completed'"
        " AND next_check_at IS NULL AND gone_at IS NULL AND source = ? AND provider = ? AND account = ?"
        " AND NOT EXISTS (SELECT 1 FROM verify_queue q WHERE q.provider = j.provider AND q.account = j.account AND q.id = j.id)"
        " ORDER BY judged_at, ref",
        (to_micros(ended_since), to_micros(changed_since), shard.source, shard.provider, shard.account),
    )
    for record, gone_at, judged_at in rows:
        job = public(decode(record), gone_at)
        if job.settled:
            yield job, from_micros(judged_at)


def _row(entry: Queued) -> tuple[object, ...]:
    return (
        *entry.key,
        entry.source,
        entry.state.value,
        entry.tries,
        entry.deaths,
        to_micros(entry.due_at),
        to_micros(entry.ended_at),
        printable(entry.reason)[:MOST_REASON],
    )


def _queued(row: tuple[Any, ...]) -> Queued:
    provider, account, id_, source, state, tries, deaths, due_at, ended_at, reason = row
    return Queued(
        key=JobKey(provider, account, id_),
        source=source,
        state=QueueState(state),
        tries=tries,
        deaths=deaths,
        due_at=from_micros(due_at),
        ended_at=from_micros(ended_at),
        reason=reason,
    )


# --------------------------------------------------------------------------------------------- verifications


def keep(connection: sqlite3.Connection, judge: Judge, verifications: Iterable[Verification]) -> Kept:
    """Keep verifications, each circuit's first verdict, inside the caller's transaction."""
    sums, added, changed, unchanged = Sums(), 0, 0, 0
    for verification in verifications:
        new = msgspec.structs.replace(verification, reason=printable(verification.reason)[:MOST_REASON])
        known = _known(connection, new)
        if known is None:
            added += 1
        elif known.verdict != UNVERIFIED or new.verdict == UNVERIFIED:
            unchanged += 1
            continue
        else:
            changed += 1
            sums.add_all((), taken_back=(judge.verification(known),))
        sums.add(judge.verification(new))
        _write(connection, new)
    return Kept(sums, added, changed, unchanged)


def _known(connection: sqlite3.Connection, verification: Verification) -> Verification | None:
    row = connection.execute(
        "SELECT payload FROM verifications WHERE provider = ? AND account = ? AND id = ? AND place = ?",
        (*verification.key, verification.index),
    ).fetchone()
    return None if row is None else _VERIFICATION.decode(row[0])


def _write(connection: sqlite3.Connection, new: Verification) -> None:
    """A row that replaces another gets a new number: it was learnt from when it came."""
    connection.execute(
        "DELETE FROM verifications WHERE provider = ? AND account = ? AND id = ? AND place = ?", (*new.key, new.index)
    )
    connection.execute(
        "INSERT INTO verifications (provider, account, id, place, source, backend, executed_at, epoch, shape, payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*new.key, new.index, *_columns(new), _encode(new)),
    )


def _columns(verification: Verification) -> tuple[object, ...]:
    return (
        verification.source,
        verification.backend,
        to_micros(verification.executed_at),
        verification.epoch,
        verification.shape,
    )


def read(connection: sqlite3.Connection, key: JobKey | None = None) -> Iterator[Verification]:
    """All verifications in the order in which they were added; with ``key``, of one job, in the order of its circuits."""
    if key is None:
        rows = connection.execute("SELECT payload FROM verifications ORDER BY number")
    else:
        rows = connection.execute(
            "SELECT payload FROM verifications WHERE provider = ? AND account = ? AND id = ? ORDER BY place", key
        )
    return (_VERIFICATION.decode(row[0]) for row in rows)


def shapes(connection: sqlite3.Connection, provider: str, source: str, backend: str, epoch: str) -> frozenset[str]:
    """Shapes of circuits that have a verdict within one calibration epoch of a backend."""
    rows = connection.execute(
        "SELECT DISTINCT shape FROM verifications WHERE source = ? AND backend = ? AND epoch = ? AND provider = ?"
        " AND shape IS NOT NULL",
        (source, backend, epoch, provider),
    )
    return frozenset(row[0] for row in rows)


def calibration_before(
    connection: sqlite3.Connection, provider: str, account: str, backend: str, at: datetime
) -> Calibration | None:
    """The last kept calibration of a backend at or before ``at``; None: none is that old."""
    row = connection.execute(
        "SELECT payload FROM calibrations WHERE provider = ? AND account = ? AND backend = ? AND calibrated_at <= ?"
        " ORDER BY calibrated_at DESC, observed_at DESC, content_hash LIMIT 1",
        (provider, account, backend, to_micros(at)),
    ).fetchone()
    return None if row is None else unpack(row[0])


# --------------------------------------------------------------------------------- recount, check, retention


def judged(connection: sqlite3.Connection, judge: Judge) -> Sums:
    """What all kept verifications add up to."""
    sums = Sums()
    for verification in read(connection):
        sums.add(judge.verification(verification))
    return sums


def differences(connection: sqlite3.Connection) -> Iterator[str]:
    """One line for each row that does not say what its payload says."""
    for *row, payload in connection.execute(
        "SELECT provider, account, id, place, source, backend, executed_at, epoch, shape, payload FROM verifications"
        " ORDER BY number"
    ):
        verification = _VERIFICATION.decode(payload)
        told = (*verification.key, verification.index, *_columns(verification))
        if tuple(row) != told:
            yield f"verification {tuple(row[:4])!r}: columns {tuple(row[4:])!r} found, its content says {told!r}"


def canonical(connection: sqlite3.Connection) -> Iterator[str]:
    """Verdicts without when and how fast they were found."""
    for row in connection.execute("SELECT payload FROM verifications ORDER BY provider, account, id, place"):
        fields = msgspec.json.decode(row[0])
        fields = {name: value for name, value in fields.items() if name not in ("verified_at", "seconds")}
        yield f"verification {_encode(fields).decode()}"


def prune(connection: sqlite3.Connection, judge: Judge, *, before: int, buckets_from: int) -> tuple[Sums, dict[str, int]]:
    """Remove what ran ``before`` (µs), save what still counts in a kept bucket; returns what it counted, and rows by table."""
    retired, numbers = Sums(), []
    rows = connection.execute("SELECT number, payload FROM verifications WHERE executed_at < ? ORDER BY number", (before,))
    for number, payload in rows:
        judgement = judge.verification(_VERIFICATION.decode(payload))
        if all(to_micros(event.at) < buckets_from for event in judgement.events):
            retired.add(judgement)
            numbers.append((number,))
    removed = connection.executemany("DELETE FROM verifications WHERE number = ?", numbers).rowcount if numbers else 0
    queue = connection.execute("DELETE FROM verify_queue WHERE ended_at < ? AND state IN ('done', 'parked')", (before,)).rowcount
    return retired, {"verifications": removed, "verify_queue": queue}
