"""What happens at start when the database is not what it should be: nothing is deleted, and nothing goes unsaid.

A damaged file is moved aside with a timestamp and the newest sound backup takes its place; what came after the backup
is fetched again from the providers, because cursor and data were saved together. Maintenance windows, their audit and states
come from nowhere else: :mod:`qobs.store.rescue` carries them over from the damaged file, where it can.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import msgspec

from qobs.errors import StoreCorrupt, StoreError, StoreTooNew
from qobs.store.backup import backups, check_copy
from qobs.store.connection import connect_reader, primary_code, translate
from qobs.store.rescue import Rescued
from qobs.store.schema import check_identity, stamp

CHECK_SECONDS = 2.0
"""The start-up check looks no longer than this; ``verify`` looks at everything."""

_SIDECARS = ("", "-wal", "-shm")
_LAST_WRITTEN = (
    *("cursors", "meta", "exclusions", "exclusion_log", "slo_states", "sli_totals", "counters"),
    *("jobs", "observations", "transitions", "sli_hours", "sli_batches", "sli_buckets"),
)
_HEADER = b"SQLite format 3\x00"


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong with the database at start, and what was done about it."""

    reason: str
    moved_to: Path | None
    """Where the damaged file lies now; None: it was gone, or it stayed in use."""
    restored_from: Path | None
    """The backup in its place; None: none was sound, so providers are read from the beginning (or the file stayed)."""
    rejected: tuple[Path, ...] = ()
    """Backups that were tried and are damaged too."""
    rescued: Rescued | None = None
    """What of maintenance windows and states could be carried over from the damaged file; None: there is no such file."""

    def __str__(self) -> str:
        """One line for people."""
        kept = "" if self.moved_to is None else f"; the old file is kept as {self.moved_to}"
        source = "no backup was restored" if self.restored_from is None else f"restored from {self.restored_from}"
        rescued = "" if self.rescued is None else f"; {self.rescued} from the old file"
        return f"{self.reason}{kept}; {source}{rescued}; what is missing is fetched again from the providers"


def damage(path: Path, *, known: bool, budget_seconds: float = CHECK_SECONDS) -> str | None:
    """What is wrong with the file; None if nothing was found, or the file is new.

    Args:
        path: The database.
        known: Something beside the file says that it was a store of ours before.
        budget_seconds: How long to look.

    Raises:
        StoreTooNew, StoreError: the file is sound, but not for this code.
    """
    wal = path.with_name(path.name + "-wal")
    if not path.exists():
        return "the database file is missing" if known or wal.exists() else None
    if path.stat().st_size == 0:
        return "the database file is empty (zero bytes)"
    with path.open("rb") as file:
        header = file.read(len(_HEADER))
    if header != _HEADER:
        if not known:
            raise StoreError(f"{path}: not a SQLite database, and not known as a store: choose another path")
        return "the database file does not begin as a SQLite database"
    return _look_inside(path, budget_seconds)


def _look_inside(path: Path, budget_seconds: float) -> str | None:
    deadline = time.monotonic() + budget_seconds
    try:
        with closing(connect_reader(path)) as connection:
            check_identity(connection, path)
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            present = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for table in _LAST_WRITTEN:
                if table not in present:
                    continue
                found = connection.execute(f"PRAGMA quick_check('{table}')").fetchone()
                if found is not None and found[0] != "ok":
                    return f"quick_check of {table}: {str(found[0]).splitlines()[-1]}"
    except sqlite3.Error as error:
        if primary_code(error) == sqlite3.SQLITE_INTERRUPT:
            return None  # out of time: what was looked at is sound
        if isinstance(translate(error, path), StoreCorrupt):
            return str(error)
        raise translate(error, path) from error
    return None


def log_lost(path: Path, *, was_open: bool) -> bool:
    """True if the last process ended without closing, and its write-ahead log is gone with its last commits."""
    return was_open and path.exists() and not path.with_name(path.name + "-wal").exists()


def restore(path: Path, reason: str, now: datetime) -> Recovery:
    """Move the damaged database aside and put the newest sound backup in its place.

    Raises:
        StoreError: the files cannot be moved or copied.
    """
    try:
        moved = _move_aside(path, now)
        rejected: list[Path] = []
        for candidate in backups(path):
            try:
                check_copy(candidate)
            except StoreTooNew:
                raise
            except StoreError:
                rejected.append(candidate)
                continue
            partial = path.with_name(path.name + ".restoring")
            shutil.copyfile(candidate, partial)
            partial.replace(path)
            sync_directory(path.parent)
            return Recovery(reason=reason, moved_to=moved, restored_from=candidate, rejected=tuple(rejected))
    except OSError as error:
        raise StoreError(f"{path}: {reason}, and recovery failed: {error}") from error
    return Recovery(reason=reason, moved_to=moved, restored_from=None, rejected=tuple(rejected))


def _move_aside(path: Path, now: datetime) -> Path | None:
    """Rename the database with its log; the log first must not stay behind, it belongs to the old file."""
    target = path.with_name(f"{path.name}.corrupt-{stamp(now)}")
    moved = False
    for suffix in _SIDECARS:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(target.with_name(target.name + suffix))
            moved = True
    return target if moved else None


def sync_directory(directory: Path) -> None:
    """Make a rename in the directory lasting, where the system can."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
