"""Kills a writing process at random moments, and looks after every kill whether the store kept its promises.

    python -m tests.crash.run --kills 1000 [--seed 7] [--store sound|leading-cursor]

A parent forks a child that commits the pages of a seeded workload and reports each committed page on a pipe. The parent
kills it with SIGKILL some time after it reported progress (or while it opens the file), checks, and starts the next
child on the same file. After each kill must hold: the file verifies; no acknowledged page is missing (R1); the store
equals a fault-free run of exactly the pages up to its cursor (R2, R3): none lost, doubled or out of order. The check looks
at a copy, so that the next child meets what the kill left.

Prints one JSON object; exit 0: all promises kept, 1: one was broken. ``leading-cursor`` is a store with a planted bug.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from qobs.model import Applied, Page
from qobs.store import records
from qobs.store.sqlite import SqliteStore

PAGES = 24
JOBS = 30


def _material() -> Any:
    """The store tests' builders, by file: test folders are no packages."""
    path = Path(__file__).parents[1] / "store" / "material.py"
    spec = importlib.util.spec_from_file_location("store_material", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


material = _material()


class LeadingCursorStore(SqliteStore):
    """The planted bug: the cursor moves in its own transaction, before the data."""

    def commit(self, page: Page) -> Applied:
        """Move the cursor, then apply the page."""
        if page.watermark is not None:
            with self._writer.transaction() as connection:
                records.move_cursor(connection, page.shard, page.watermark, page.observed_at)
        return super().commit(page)


STORES: dict[str, type[SqliteStore]] = {"sound": SqliteStore, "leading-cursor": LeadingCursorStore}


@dataclass(frozen=True)
class Workload:
    """Pages, the place of each in the cursor, and the fault-free dump after each."""

    pages: list[Page]
    digests: list[str]


@dataclass
class Result:
    """What a run of kills found."""

    kills: int = 0
    in_opening: int = 0
    workloads: int = 0
    pages: int = 0
    failures: list[str] = field(default_factory=list)


def build(seed: int, directory: Path) -> Workload:
    """A workload of shuffled, doubled and late news, whose page ``k`` moves the cursor to T0 + k."""
    rng = random.Random(seed)
    news = material.histories(seed, JOBS)
    news += rng.sample(news, len(news) // 3)
    rng.shuffle(news)
    size = -(-len(news) // PAGES)
    pages = [
        material.make_page(*news[start : start + size], at=60.0 * number, watermark=material.T0 + timedelta(seconds=number))
        for number, start in enumerate(range(0, len(news), size))
    ]
    store = SqliteStore(directory / f"expected-{seed}.db", material.SmallJudge())
    digests = []
    for page in pages:
        store.commit(page)
        digests.append(_digest(store, page))
    store.close()
    return Workload(pages, digests)


def _digest(store: SqliteStore, page: Page) -> str:
    store.tick(page.observed_at)
    return hashlib.sha256("\n".join(store.canonical()).encode()).hexdigest()


def _place(store: SqliteStore) -> int:
    """Number of the page the cursor stands at; -1 before the first."""
    cursor = store.cursor(material.SHARD)
    return -1 if cursor is None else round((cursor.watermark - material.T0).total_seconds())


def child(path: Path, workload: Workload, kind: type[SqliteStore], report: int) -> None:
    """Go on where the cursor stands; one byte pair per acknowledged page."""
    store = kind(path, material.SmallJudge())
    for number in range(_place(store) + 1, len(workload.pages)):
        page = workload.pages[number]
        store.commit(page)
        os.write(report, number.to_bytes(2, "big"))
        store.tick(page.observed_at)
    store.close()


def one_life(path: Path, workload: Workload, kind: type[SqliteStore], rng: random.Random) -> tuple[bool, int, bool]:
    """Fork, wait for progress, kill; returns (killed, last acknowledged page, killed while opening)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            child(path, workload, kind, writer)
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            raise
        finally:
            os._exit(status)
    os.close(writer)
    acknowledged = -1
    early = rng.random() < 0.15
    for _ in range(0 if early else rng.randint(1, 4)):
        if not (said := os.read(reader, 2)):
            break
        acknowledged = int.from_bytes(said, "big")
    time.sleep(rng.uniform(0, 0.02 if early else 0.006))  # a random moment, nobody waits for it
    os.kill(pid, signal.SIGKILL)
    while said := os.read(reader, 2):
        acknowledged = int.from_bytes(said, "big")
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError("the child failed by itself; its traceback is above")
    return os.WIFSIGNALED(status), acknowledged, early


def check(path: Path, workload: Workload, acknowledged: int, directory: Path) -> list[str]:
    """Broken promises of what a kill left behind."""
    copy = directory / "copy.db"
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        part = path.with_name(path.name + suffix)
        if part.exists():
            shutil.copyfile(part, copy.with_name(copy.name + suffix))
    copy.with_name(copy.name + ".lock").unlink(missing_ok=True)
    if not copy.exists():
        return [] if acknowledged < 0 else [f"R1: page {acknowledged} was acknowledged, the file is gone"]
    store = SqliteStore(copy, material.SmallJudge())
    try:
        place = _place(store)
        found = [f"mended without cause: {one}" for one in store.recoveries]
        found += [f"verify: {line}" for line in store.verify()[:3]]
        if place < acknowledged:
            found.append(f"R1: page {acknowledged} was acknowledged, the cursor stands at {place}")
        if place >= 0 and _digest(store, workload.pages[place]) != workload.digests[place]:
            found.append(f"R2/R3: the store is not what pages 0 to {place} make of it")
        if place < 0 and any(store.canonical()):
            found.append("R3: there is data, and no cursor")
        return found
    finally:
        store.close()


def campaign(kills: int, seed: int, kind: type[SqliteStore], directory: Path) -> Result:
    """Kill until enough kills hit, with new workloads as they finish; ends at the first broken promise."""
    rng, result = random.Random(seed), Result()
    while result.kills < kills and not result.failures:
        number = seed * 10_000 + result.workloads
        workload = build(number, directory)
        path = directory / f"w{number}.db"
        result.workloads += 1
        acknowledged = -1
        while result.kills < kills and not result.failures:
            killed, last, early = one_life(path, workload, kind, rng)
            acknowledged = max(acknowledged, last)
            result.kills += killed
            result.in_opening += killed and early
            result.failures = [
                f"seed {number}, kill {result.kills}: {one}" for one in check(path, workload, acknowledged, directory)
            ]
            if not killed:
                break
        result.pages += acknowledged + 1
        _remove(path)
    return result


def _remove(path: Path) -> None:
    for part in path.parent.glob(path.name + "*"):
        part.unlink()


def main(argv: list[str] | None = None, out: Callable[[str], object] = print) -> int:
    """Run a campaign as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="kills that must hit a working process")
    parser.add_argument("--seed", type=int, default=1, help="seed of workloads and moments")
    parser.add_argument("--store", choices=sorted(STORES), default="sound")
    options = parser.parse_args(argv)
    begun = time.monotonic()
    memory = Path("/dev/shm")  # a killed process loses nothing that the kernel has, on disk or in memory
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qobs-crash-", dir=place) as directory:
        result = campaign(options.kills, options.seed, STORES[options.store], Path(directory))
    out(json.dumps({**vars(result), "seed": options.seed, "seconds": round(time.monotonic() - begun, 1)}))
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
