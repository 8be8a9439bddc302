"""SQLite's own method: fail the n-th call, n = 1, 2, 3 … until a run passes untouched; nothing may break."""

from __future__ import annotations

import functools
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from store_material import END, SmallJudge, histories, make_calibration, make_page, make_reading, seconds

from qobs.errors import StoreError, StoreFull, StoreLocked
from qobs.store.sqlite import SqliteStore

FAULTS = {
    "io": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "readonly": (sqlite3.SQLITE_READONLY, "attempt to write a readonly database"),
    "locked": (sqlite3.SQLITE_BUSY, "database is locked"),
}
EXPECTED = {"io": StoreError, "full": StoreFull, "readonly": StoreFull, "locked": StoreLocked, "cancelled": KeyboardInterrupt}


class Fuse:
    """Blows at the n-th call: before it or after it, once or from then on."""

    def __init__(self) -> None:
        self.calls, self.at, self.kind, self.once, self.late = 0, 0, "io", True, False

    def arm(self, at: int, kind: str, *, once: bool = True, late: bool = False) -> None:
        self.calls, self.at, self.kind, self.once, self.late = 0, at, kind, once, late

    @property
    def blown(self) -> bool:
        return 0 < self.at <= self.calls

    def run(self, call: Callable[[], object]) -> object:
        self.calls += 1
        hit = self.at > 0 and (self.calls == self.at if self.once else self.calls >= self.at)
        if not hit or self.late:
            result = call()
        if hit:
            if self.kind == "cancelled":
                raise KeyboardInterrupt
            code, message = FAULTS[self.kind]
            error = sqlite3.OperationalError(message)
            error.sqlite_errorcode = code
            raise error
        return result


class FaultyConnection(sqlite3.Connection):
    """A real connection with a fuse before each statement."""

    fuse: Fuse

    def execute(self, *args: object) -> object:
        return self.fuse.run(lambda: super(FaultyConnection, self).execute(*args))

    def executemany(self, *args: object) -> object:
        return self.fuse.run(lambda: super(FaultyConnection, self).executemany(*args))


def _connect(fuse: Fuse) -> Callable[..., sqlite3.Connection]:
    factory = type("Connection", (FaultyConnection,), {"fuse": fuse})
    return functools.partial(sqlite3.connect, factory=factory)


SAID = histories(5, 5)
STEPS: list[Callable[[SqliteStore], object]] = [
    lambda store: store.commit(make_page(*SAID[8:], at=4000, watermark=seconds(4000), missing=("job-000",))),
    lambda store: store.commit(make_page(*SAID[:9], at=4100, watermark=seconds(4100), calibrations=(make_calibration(5),))),
    lambda store: store.tick(END),
    lambda store: store.read_freshness([make_reading(600, 0), make_reading(1200, None)]),
    lambda store: store.prune(END),
]


def _start(path: Path) -> None:
    store = SqliteStore(path, SmallJudge())
    store.commit(make_page(*SAID[4:10], at=10, watermark=seconds(10)))
    store.close()


def _all(store: SqliteStore) -> list[str]:
    return [*store.canonical(), *(repr(total) for total in store.totals()), repr(store.cursor(make_page().shard))]


def _expected(fast_path: Path) -> list[list[str]]:
    """The dump after each step of a fault-free run, the first one before any."""
    _start(fast_path / "clean.db")
    store = SqliteStore(fast_path / "clean.db", SmallJudge())
    dumps = [_all(store)]
    for step in STEPS:
        step(store)
        dumps.append(_all(store))
    store.close()
    return dumps


SWEEPS = [
    ("io", True),
    ("full", False),
    ("locked", True),
    ("cancelled", False),
]


@pytest.mark.parametrize(("kind", "once"), SWEEPS)
def test_a_failure_at_any_statement_applies_nothing_and_a_retry_converges(fast_path: Path, kind: str, once: bool) -> None:
    """A full disk in the middle of a page must neither lose nor double a job, whichever statement it hits."""
    _sweep(fast_path, kind, once=once, late=False)


@pytest.mark.parametrize("kind", ["io", "cancelled"])
def test_a_commit_whose_answer_was_lost_can_be_repeated(fast_path: Path, kind: str) -> None:
    """The page may have been applied or not: fetching it again must end in the same store."""
    _sweep(fast_path, kind, once=True, late=True)


def _sweep(directory: Path, kind: str, *, once: bool, late: bool) -> None:
    expected = _expected(directory)
    _start(directory / "start.db")
    at = 1
    while _one_point(directory, expected, at, kind, once=once, late=late):
        at += 1
    assert at > 30, "the fuse saw too few statements to prove anything"


def _one_point(directory: Path, expected: list[list[str]], at: int, kind: str, *, once: bool, late: bool) -> bool:
    """Run the steps with one fuse, retry the one that failed; False once no step fails."""
    path = directory / f"{at}.db"
    shutil.copyfile(directory / "start.db", path)
    fuse = Fuse()
    store = SqliteStore(path, SmallJudge(), connect=_connect(fuse))
    fuse.arm(at, kind, once=once, late=late)
    try:
        for number, step in enumerate(STEPS):
            failed = _try(store, step)
            if failed is None:
                continue
            fuse.arm(0, kind)
            assert isinstance(failed, EXPECTED[kind])
            assert _all(store) in ([expected[number], expected[number + 1]] if late else [expected[number]])
            step(store)
            assert _all(store) == expected[number + 1]
            assert store.verify() == ()
            return True
        return False
    finally:
        store.close()


def _try(store: SqliteStore, step: Callable[[SqliteStore], object]) -> BaseException | None:
    try:
        step(store)
    except (StoreError, KeyboardInterrupt) as error:
        return error
    return None


def _try_open(path: Path, fuse: Fuse) -> StoreError | None:
    try:
        SqliteStore(path, SmallJudge(), connect=_connect(fuse)).close()
    except StoreError as error:
        return error
    return None


@pytest.mark.parametrize("kind", ["io", "full"])
def test_a_failure_while_opening_says_so_and_leaves_the_store_usable(fast_path: Path, kind: str) -> None:
    """A disk that is full at start must not damage the file, nor keep its lock."""
    _start(fast_path / "start.db")
    at = 0
    while True:
        at += 1
        path = fast_path / f"{at}.db"
        shutil.copyfile(fast_path / "start.db", path)
        fuse = Fuse()
        fuse.arm(at, kind)
        failed = _try_open(path, fuse)
        if failed is None:
            break
        assert str(path) in str(failed)
        store = SqliteStore(path, SmallJudge())
        assert store.recoveries == ()
        assert store.verify() == ()
        store.close()
    assert at > 10


def test_creating_a_store_on_a_full_disk_leaves_no_half_made_file(fast_path: Path) -> None:
    """A half-made file would be taken for a damaged store at the next start."""
    at = 0
    while True:
        at += 1
        fuse = Fuse()
        fuse.arm(at, "full")
        path = fast_path / f"{at}.db"
        if _try_open(path, fuse) is None:
            break
        store = SqliteStore(path, SmallJudge())
        assert store.recoveries == ()
        assert store.verify() == ()
        store.close()
    assert at > 20
