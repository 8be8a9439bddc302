"""From a path to a sound, current database file: check, recover, create or migrate, in that order."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from qobs.errors import StoreCorrupt, StoreError, StoreFull
from qobs.store.backup import backups, copy
from qobs.store.connection import Connect, connect_writer, translate
from qobs.store.lock import FileLock
from qobs.store.recovery import CHECK_SECONDS, Recovery, damage, log_lost, restore, sync_directory
from qobs.store.rescue import rescue
from qobs.store.schema import SCHEMA_VERSION, check_identity, migrate, schema_version, stamp

AFTER_LOSS_SECONDS = 30.0
"""How long to look at a file whose log is gone: it may have been cut off while the log was being folded in."""

_LOG = logging.getLogger("qobs.store")
_MENDED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""First SQLite of each maintained line whose write-ahead log several writers cannot corrupt; the last mends all that follow."""


def prepare(
    path: Path, lock: FileLock, now: datetime, connect: Connect, *, recover: bool, busy_seconds: float
) -> tuple[Recovery, ...]:
    """Leave a sound file of the current schema at ``path``; returns what had to be mended.

    Raises:
        StoreCorrupt: the file is damaged and ``recover`` is False.
        StoreError: see :class:`qobs.store.sqlite.SqliteStore`.
    """
    try:
        mended = _mend(path, lock, now, recover=recover)
        if path.exists():
            _migrate(path, now, connect, busy_seconds)
        else:
            _create(path, connect)
        mended = tuple(_rescued(path, recovery) for recovery in mended)
    except sqlite3.Error as error:
        raise translate(error, path) from error
    except OSError as error:
        raise StoreFull(f"{path}: {error.strerror}: the store cannot be opened") from error
    _LOG.info("%s: %s", path, engine_note(sqlite3.sqlite_version_info))
    return mended


def engine_note(version: tuple[int, int, int]) -> str:
    """Which SQLite this is, and whether it matters that the store has one writer only (its lock sees to that).

    Example:
        >>> engine_note((3, 50, 7))
        'SQLite 3.50.7'
        >>> engine_note((3, 50, 6))
        'SQLite 3.50.6, in which several writers can corrupt a write-ahead log: the lock keeps this store to one'
    """
    name = "SQLite " + ".".join(map(str, version))
    if version >= _MENDED[-1] or any(version[:2] == first[:2] and version >= first for first in _MENDED):
        return name
    return f"{name}, in which several writers can corrupt a write-ahead log: the lock keeps this store to one"


def _mend(path: Path, lock: FileLock, now: datetime, *, recover: bool) -> tuple[Recovery, ...]:
    lost = log_lost(path, was_open=lock.was_open)  # first: looking into the file makes a new log
    known = lock.was_used or bool(backups(path))
    reason = damage(path, known=known, budget_seconds=AFTER_LOSS_SECONDS if lost else CHECK_SECONDS)
    if reason is not None:
        if not recover:
            raise StoreCorrupt(f"{path}: {reason}: nothing was touched; the daemon restores the newest backup when it starts")
        return (restore(path, reason, now),)
    if lost:
        reason = "the write-ahead log is missing: the last commits before the crash are gone, their cursors with them"
        return (Recovery(reason=reason, moved_to=None, restored_from=None),)
    return ()


def _rescued(path: Path, recovery: Recovery) -> Recovery:
    """The recovery, with what the file that was moved aside still held of that which no provider can tell."""
    if recovery.moved_to is None:
        return recovery
    return msgspec.structs.replace(recovery, rescued=rescue(path, recovery.moved_to))


def _create(path: Path, connect: Connect) -> None:
    """Make the file under another name first, so that an empty one under its own name is always damage."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    try:
        with closing(connect(partial, isolation_level=None)) as connection:
            migrate(connection)
        partial.chmod(0o600)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        sync_directory(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _migrate(path: Path, now: datetime, connect: Connect, busy_seconds: float) -> None:
    with closing(connect(path, timeout=busy_seconds, isolation_level=None)) as connection:
        check_identity(connection, path)
        if schema_version(connection) == SCHEMA_VERSION:
            return
    with closing(connect_writer(path, connect, busy_seconds=busy_seconds)) as connection:

        def keep(version: int) -> None:
            copy(connection, path.with_name(f"{path.name}.before-schema-{SCHEMA_VERSION}-{stamp(now)}"))

        try:
            migrate(connection, before=keep)
        except (sqlite3.Error, StoreError) as error:
            raise StoreError(
                f"{path}: migration to schema version {SCHEMA_VERSION} failed, nothing was changed: {error}"
            ) from error
