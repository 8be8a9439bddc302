"""One connection that writes, any number that read, and what SQLite's errors mean to qobs."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qobs.errors import StoreCorrupt, StoreError, StoreFull, StoreLocked

Connect = Callable[..., sqlite3.Connection]
"""Opens a connection as :func:`sqlite3.connect` does; tests hand in one that fails on purpose."""

_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def primary_code(error: BaseException) -> int:
    """SQLite's primary result code of an error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def translate(error: sqlite3.Error, path: Path) -> StoreError:
    """The qobs error that tells the caller what to do about an error of SQLite."""
    code = primary_code(error)
    if code in _FULL:
        return StoreFull(f"{path}: {error}: nothing was applied; free space or make the directory writable")
    if code in _CORRUPT:
        return StoreCorrupt(f"{path}: {error}: the file is damaged and kept as it is")
    if code in _BUSY:
        return StoreLocked(f"{path}: {error}: another process holds a lock on the database; nothing was applied")
    return StoreError(f"{path}: {error}: nothing was applied")


def connect_writer(path: Path, connect: Connect, *, busy_seconds: float) -> sqlite3.Connection:
    """The writing connection, in WAL mode; errors of SQLite pass through."""
    connection = connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=128)
    try:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{path}: journal mode {mode!r} found, 'wal' needed: the file system cannot share memory")
        for pragma in ("synchronous = NORMAL", "foreign_keys = ON", "wal_autocheckpoint = 1000", "cache_size = -16384"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


class Writer:
    """The one writing connection. A failed transaction leaves nothing, and after an I/O error the file is reopened."""

    def __init__(self, path: Path, connect: Connect, *, busy_seconds: float) -> None:
        """Nothing is opened before the first transaction."""
        self._path = path
        self._connect = connect
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self._closed = False
        self.epoch = 0
        """Grows with every abandoned transaction: caches made before are void."""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed at the end of the block, or rolled back whole.

        Raises:
            StoreFull, StoreLocked, StoreCorrupt, StoreError: nothing was applied.
        """
        with self._lock:
            if self._closed:
                raise StoreError(f"{self._path}: the store is closed")
            try:
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                self._abandon(error)
                if isinstance(error, sqlite3.Error):
                    raise translate(error, self._path) from error
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect_writer(self._path, self._connect, busy_seconds=self._busy_seconds)
        return self._connection

    def _abandon(self, error: BaseException) -> None:
        """Roll back; a connection that saw an I/O error, or cannot roll back, is not trusted again."""
        self.epoch += 1
        connection = self._connection
        if connection is None:
            return
        trusted = primary_code(error) not in {sqlite3.SQLITE_IOERR, *_CORRUPT}
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except BaseException:  # whatever stopped it, the first error is the one to tell
                trusted = False
        if not trusted:
            self._connection = None
            with suppress(sqlite3.Error):
                connection.close()

    def close(self) -> None:
        """Close for good; SQLite folds the log into the file when nobody else reads."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None


class Readers:
    """Read-only connections, kept for reuse; each is used by one reader at a time."""

    def __init__(self, path: Path, *, busy_seconds: float, keep: int = 4) -> None:
        """Nothing is opened before the first read."""
        self._path = path
        self._busy_seconds = busy_seconds
        self._keep = keep
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one read transaction: all reads in the block see the same moment."""
        connection = self._take()
        try:
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        finally:
            self._give(connection)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"{self._path}: the store is closed")
            if self._idle:
                return self._idle.pop()
        try:
            return connect_reader(self._path, busy_seconds=self._busy_seconds)
        except sqlite3.Error as error:
            raise translate(error, self._path) from error

    def _give(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            return
        with self._lock:
            if not self._closed and len(self._idle) < self._keep:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close idle connections; one that is in use is closed by its reader."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def connect_reader(path: Path, *, busy_seconds: float = 5.0) -> sqlite3.Connection:
    """A read-only connection; errors of SQLite pass through."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
