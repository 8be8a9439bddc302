"""Stores for the tests; a further engine joins the contract suite by one more row in ``ENGINES``."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qobs.model import Judge
from qobs.store.base import Store
from qobs.store.sqlite import SqliteStore

_MATERIAL = "store_material"
if _MATERIAL not in sys.modules:  # imported by file: test folders are no packages
    _spec = importlib.util.spec_from_file_location(_MATERIAL, Path(__file__).with_name("material.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_MATERIAL] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_MATERIAL])

from store_material import SmallJudge  # noqa: E402

OpenStore = Callable[..., Store]


def open_sqlite(directory: Path, judge: Judge, name: str) -> Store:
    """A SQLite store in its own file."""
    return SqliteStore(directory / f"{name}.db", judge)


ENGINES: dict[str, Callable[[Path, Judge, str], Store]] = {"sqlite": open_sqlite}


@pytest.fixture(params=sorted(ENGINES))
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens stores of one engine, the same one again for the same name; all are closed at the end."""
    opened: list[Store] = []

    def open_(name: str = "qobs", judge: Judge | None = None) -> Store:
        store = ENGINES[request.param](tmp_path, judge or SmallJudge(), name)
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def fast_path() -> Iterator[Path]:
    """A directory in memory where there is one: for tests that open very many stores."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        yield Path(directory)


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """An empty store."""
    return open_store()
