"""What no provider can tell again, carried over from a damaged file: maintenance windows with their audit, and states.

The backup in place of the damaged file holds the older part of the same log. Only a log that continues it, line by line, is
believed; its further lines are added, and make the exclusions what they were. A table that is damaged itself gives nothing.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from qobs.store import exclusions, records
from qobs.store.connection import connect_reader

_UNREADABLE = (sqlite3.Error, msgspec.MsgspecError, UnicodeError, ValueError, OverflowError, TypeError)


class Rescued(NamedTuple):
    """How much was carried over; None: it could not be read, or does not continue what the store in its place holds."""

    changes: int | None = None
    states: int | None = None

    def __str__(self) -> str:
        """One line for people."""
        return f"{_of(self.changes, 'exclusion changes')}, {_of(self.states, 'states')}"


def rescue(path: Path, damaged: Path) -> Rescued:
    """Carry over into the store at ``path``, which nobody has open, what can be read of the file set aside.

    Raises:
        sqlite3.Error: the store at ``path`` cannot be written.
    """
    changes, states = _read(damaged)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        added = None if changes is None else _continue(connection, changes)
        if states is not None:
            records.keep_states(connection, states)
        connection.execute("COMMIT")
    return Rescued(added, None if states is None else len(states))


def _read(damaged: Path) -> tuple[list[exclusions.Line] | None, dict[str, bytes | None] | None]:
    """Log and states of the damaged file, each None where it cannot be trusted."""
    changes: list[exclusions.Line] | None = None
    states: dict[str, bytes | None] | None = None
    try:
        with closing(connect_reader(damaged)) as connection:
            if _sound(connection, "exclusion_log"):
                changes = list(exclusions.lines(connection))
            if _sound(connection, "slo_states"):
                states = dict(connection.execute("SELECT key, state FROM slo_states"))
    except _UNREADABLE:
        pass  # what was read before is whole: each table is read to its end, or not at all
    return changes, states


def _sound(connection: sqlite3.Connection, table: str) -> bool:
    """True if the table is there, and its own pages are what they should be."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone() is None:
        return False
    try:
        found = connection.execute(f"PRAGMA quick_check('{table}')").fetchone()
    except sqlite3.Error:
        return False
    return found is not None and found[0] == "ok"


def _continue(connection: sqlite3.Connection, found: list[exclusions.Line]) -> int | None:
    """Add the lines that follow those the store has; None: they are not of the same log."""
    kept = list(exclusions.lines(connection))
    if found[: len(kept)] != kept:
        return None
    for line in found[len(kept) :]:
        exclusions.append(connection, line.change, line.content)
    return len(found) - len(kept)


def _of(count: int | None, what: str) -> str:
    return f"no {what} could be read" if count is None else f"{count} {what} carried over"
