"""Consistent copies of the database: written beside, proven by opening, then renamed into place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

from qobs.errors import StoreCorrupt, StoreError, StoreFull
from qobs.store.connection import connect_reader, translate
from qobs.store.schema import check_identity, stamp


def backup_directory(path: Path) -> Path:
    """Where the backups of a database lie unless told otherwise."""
    return path.with_name(path.name + ".backups")


def backup_path(path: Path, now: datetime) -> Path:
    """Name of a backup made now; names sort by time."""
    return backup_directory(path) / f"{path.stem}-{stamp(now)}.db"


def backups(path: Path) -> tuple[Path, ...]:
    """Backups of a database, newest first."""
    directory = backup_directory(path)
    return tuple(sorted(directory.glob("*.db"), reverse=True)) if directory.is_dir() else ()


def copy(source: sqlite3.Connection, target: Path) -> None:
    """Copy the database a connection sees to ``target``, check the copy, and only then give it its name.

    Raises:
        StoreFull, StoreError: nothing was written under that name.
        StoreCorrupt: the copy is not sound.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            source.backup(connection)
            connection.execute("PRAGMA journal_mode = DELETE")  # one file, readable from a read-only directory
        check_copy(partial)
        _sync(partial)
        partial.replace(target)
    except sqlite3.Error as error:
        partial.unlink(missing_ok=True)
        raise translate(error, target) from error
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreFull(f"{target}: {error.strerror}: the backup was not written") from error
    except StoreError:
        partial.unlink(missing_ok=True)
        raise


def check_copy(path: Path) -> None:
    """Open a copy and prove that it is a sound store.

    Raises:
        StoreCorrupt: it is damaged.
        StoreError, StoreTooNew: it is not a store this code can read.
    """
    try:
        with closing(connect_reader(path)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
            if found != ["ok"]:
                raise StoreCorrupt(f"{path}: {found[0]}")
            if check_identity(connection, path) == 0:
                raise StoreError(f"{path}: has no tables: not a backup of a store")
    except sqlite3.Error as error:
        raise translate(error, path) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def thin(path: Path, keep: int) -> Iterator[Path]:
    """Remove all but the newest ``keep`` backups; yields those that went."""
    for old in backups(path)[keep:]:
        old.unlink(missing_ok=True)
        yield old
