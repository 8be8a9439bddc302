"""Rows of jobs, observations and transitions: found by key, gathered, and written in bulk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

from qobs.store.history import Entry

_CHUNK = 500
_SIZES = (10, 50, 100, 200, _CHUNK)
"""Few lengths of the id list, so that few statements are prepared."""

Row = tuple[object, ...]


class Known(NamedTuple):
    """A row of ``jobs`` as far as applying a page needs it; times in µs.

    ``head`` is the digest of the newest content, None while there is only one: the record is that content then.
    """

    id: str
    record: bytes
    contents: int
    next_check_at: int | None
    missing: int
    ref: int
    revision: int | None
    rank: int | None
    head: bytes | None
    anomalies: int
    first_seen_at: int
    judged_at: int
    checks: int
    missing_at: int | None
    gone_at: int | None


_COLUMNS = (
    "id, record, contents, next_check_at, missing, ref, revision, rank, digest, anomalies, first_seen_at, judged_at, checks,"
    " missing_at, gone_at"
)
_new = tuple.__new__  # a third of the cost of a named tuple's own constructor, on the path of every repeated job


def id_hash(id_: str) -> int:
    """A number to find a job by. Two ids may share it, so what is found is compared with the whole key.

    An index of it is a fifth of the size of one of (provider, account, id), and costs half as much to add to.
    """
    return crc32(id_.encode())


def load_known(connection: sqlite3.Connection, provider: str, account: str, ids: Sequence[str]) -> dict[str, Known]:
    """Rows, by id, of those of the ids that the store has."""
    found: dict[str, Known] = {}
    wanted = frozenset(ids)
    for start in range(0, len(ids), _CHUNK):
        hashes: list[object] = [crc32(id_.encode()) for id_ in ids[start : start + _CHUNK]]
        size = next(size for size in _SIZES if size >= len(hashes))
        marks = ",".join("?" * size)
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE hash IN ({marks}) AND provider = ? AND account = ?",  # noqa: S608 - marks alone
            (*hashes, *[None] * (size - len(hashes)), provider, account),
        )
        found.update({row[0]: _new(Known, row) for row in rows if row[0] in wanted})
    return found


class JobRows:
    """Rows that one transaction will write; jobs go first, as the others point at them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Nothing is written before :meth:`write`."""
        self._connection = connection
        self.seen_once: list[Row] = []
        self.folded: list[Row] = []
        self.changed: list[Row] = []
        self.sighted: list[Row] = []
        self.observations: list[Row] = []
        self._first_entries: list[Row] = []
        self._entries: list[Row] = []
        self._marks: list[Row] = []

    def next_ref(self) -> int:
        """The lowest row id above all that are taken."""
        return int(self._connection.execute("SELECT coalesce(max(ref), 0) + 1 FROM jobs").fetchone()[0])

    def tell_first(self, ref: int, entries: Iterable[Entry]) -> None:
        """Write out what the first content told, now that a second one came: known before, so it does not count as new."""
        self._first_entries += [(ref, *entry) for entry in entries]

    def tell(self, ref: int, entries: Iterable[Entry]) -> None:
        """Append to a job's history what it does not hold yet."""
        self._entries += [(ref, *entry) for entry in entries]

    def mark(self, ref: int, entries: Iterable[Entry]) -> None:
        """Set anew which entries cannot be."""
        self._marks += [(int(one.anomalous), ref, one.state, one.at, int(one.anomalous)) for one in entries]

    def write(self) -> int:
        """Write all gathered rows; returns how many entries the histories grew by."""
        run, grown = self._connection.executemany, 0
        for statement, rows in (
            (_INSERT_SEEN_ONCE, self.seen_once),
            (_INSERT_FOLDED, self.folded),
            (_UPDATE_JOB, self.changed),
            (_UPDATE_SIGHTED, self.sighted),
            (_INSERT_OBSERVATION, self.observations),
            (_INSERT_TRANSITION, self._first_entries),
            (_INSERT_TRANSITION, self._entries),
            (_MARK_TRANSITION, self._marks),
        ):
            if rows:
                added = run(
                    statement, rows
                ).rowcount  # no name for the cursor: one that an error's traceback keeps holds the lock
                grown += added if rows is self._entries else 0
                rows.clear()
        return grown


_FIRST_COLUMNS = (
    "ref, hash, provider, account, id, first_seen_at, source, backend, state, open, submitted_at, latest_at,"
    " judged_at, judge_at, next_check_at, record"
)
_INSERT_SEEN_ONCE = f"INSERT INTO jobs ({_FIRST_COLUMNS}) VALUES ({', '.join('?' * 16)})"  # noqa: S608
_INSERT_FOLDED = (
    f"INSERT INTO jobs ({_FIRST_COLUMNS}, revision, rank, digest, contents, anomalies) VALUES ({', '.join('?' * 21)})"  # noqa: S608
)
_UPDATE_JOB = (
    "UPDATE jobs SET source = ?, backend = ?, state = ?, open = ?, submitted_at = ?, latest_at = ?, judged_at = ?, judge_at = ?,"
    " next_check_at = ?, record = ?, revision = ?, rank = ?, digest = ?, contents = ?, anomalies = ?, checks = ?, missing = ?,"
    " missing_at = ?, gone_at = ? WHERE ref = ?"
)
_UPDATE_SIGHTED = "UPDATE jobs SET next_check_at = ?, checks = ?, missing = ?, missing_at = ? WHERE ref = ?"
_INSERT_OBSERVATION = "INSERT INTO observations (job, digest, revision, rank, observed_at, payload) VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_TRANSITION = (
    "INSERT INTO transitions (job, state, provider_at, raw_state, observed_at, anomalous) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (job, state, provider_at) DO NOTHING"
)
_MARK_TRANSITION = "UPDATE transitions SET anomalous = ? WHERE job = ? AND state = ? AND provider_at = ? AND anomalous <> ?"
