"""A store that is only looked at, also beside a running daemon: takes no lock, writes nothing, mends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from qobs.errors import StoreError
from qobs.model import Judge
from qobs.store import backup, canonical, verify
from qobs.store.connection import Readers, connect_reader
from qobs.store.reading import ReadSide
from qobs.store.schema import check_identity

BUSY_SECONDS = 5.0


class ReadOnlyStore(ReadSide):
    """The reading half of a store in one SQLite file, with verify, dump and backup."""

    def __init__(self, path: Path, judge: Judge | None) -> None:
        """Open the store at ``path`` for reading; ``judge`` is what its counts are compared with (None: they are not).

        Raises:
            StoreError: there is no such store, it is another program's database, or (StoreTooNew) a newer qobs wrote it.
        """
        if not path.is_file():
            raise StoreError(f"{path}: no such store; a daemon creates it at its first start")
        try:
            with closing(connect_reader(path)) as connection:
                check_identity(connection, path)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"{path}: cannot be read as a store: {error}") from error
        self._path = path
        self._judge = judge
        self._readers = Readers(path, busy_seconds=BUSY_SECONDS)

    def verify(self) -> tuple[str, ...]:
        """Full check: integrity, and rows and counts rebuilt from history. Each difference is one line; empty is good."""
        with self._readers.snapshot() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'judge'").fetchone()
            counted = self._judge is not None and row is not None and row[0] == self._judge.fingerprint
            return tuple(verify.verify(connection, self._judge, counted=counted))

    def canonical(self) -> Iterator[str]:
        """A dump that does not depend on when or how often things were seen: equal for equal facts."""
        with self._readers.snapshot() as connection:
            yield from canonical.canonical(connection)

    def backup(self, target: Path) -> None:
        """Write a consistent copy, and open it again to prove that it is one."""
        if target.exists():
            raise StoreError(f"{target}: exists already; name a file that does not")
        with self._readers.snapshot() as connection:
            backup.copy(connection, target)

    def close(self) -> None:
        """Close the connections."""
        self._readers.close()
