"""The one way into the store: a single worker thread writes, and the window totals follow each commit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

from qobs.errors import StoreError
from qobs.model import Applied, Batch, Counts, Freshness, Page, Poll, Series, Shard
from qobs.result import Verification
from qobs.slo.live import Live, LiveEvaluation
from qobs.slo.windows import KeyedColumns, WindowTotals, needed
from qobs.store.base import Queued, Store

T = TypeVar("T")

_ALERTS = "slo/"
"""Before the keys of what alerts remember, among the store's states."""

_ABSENT = b"\x00"

ALL_KINDS = frozenset({"jobs", "backends", "calibrations", "quotas"})
"""Kinds of records that are shown; ``jobs`` stands for everything that is counted."""


class StoreSink:
    """Writes pages and keeps the window totals in step with what was really committed.

    Every write runs in one thread, so that SQLite sees one writer and the event loop never waits on a disk. The totals
    live under a lock because the snapshot is built in yet another thread.
    """

    def __init__(self, store: Store, totals: WindowTotals, on_commit: Callable[[float, bool], None]) -> None:
        """``on_commit(seconds, failed)`` is told of each transaction."""
        self._store = store
        self._totals = totals
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qobs-store")
        self._on_commit = on_commit
        self._changed: set[str] = set(ALL_KINDS)
        self._live: Live | None = None
        self._unsaved: dict[str, bytes | None] = {}
        self.full = False
        """True after the store refused a write, until one that surely reached the disk succeeds."""

    @property
    def store(self) -> Store:
        """The store itself, for reading."""
        return self._store

    async def commit(self, page: Page) -> Applied:
        """Apply one page in one transaction and bring the window totals up to it.

        Raises:
            StoreFull: nothing was applied.
        """
        return await self._write(lambda: self._follow(self._store.commit(page)), kinds=_kinds(page.batch), proof=True)

    async def tick(self, now: datetime) -> Applied:
        """Judge again what the passing of time has changed, and let the windows move on."""
        applied = await self._write(lambda: self._advance(self._follow(self._store.tick(now)), now))
        if applied.deltas:
            self._changed.add("jobs")
        return applied

    async def read_freshness(self, readings: Iterable[Freshness]) -> Applied:
        """Record calibration readings."""
        held = tuple(readings)
        applied = await self._write(lambda: self._follow(self._store.read_freshness(held)))
        if applied.deltas:
            self._changed.add("jobs")
        return applied

    async def keep_verifications(
        self, verified: Iterable[Verification], *, entry: Queued, states: Mapping[str, bytes | None]
    ) -> Applied:
        """Keep verdicts on a job's results, with what was learnt and the job's place in the queue."""
        held = tuple(verified)
        return await self._write(
            lambda: self._follow(self._store.keep_verifications(held, entry=entry, states=states)), kinds=("jobs",), proof=True
        )

    async def record_poll(self, poll: Poll) -> None:
        """Keep one poll attempt."""
        await self._write(lambda: self._store.record_poll(poll), proof=True)

    async def run(self, work: Callable[[], T]) -> T:
        """Do other work (prune, backup, recount) in the writing thread, in its turn."""
        return await self._write(work)

    async def read(self, work: Callable[[], T]) -> T:
        """Read the store beside the loop and the writer."""
        return await asyncio.to_thread(work)

    async def watermark(self, shard: Shard) -> datetime | None:
        """Where the shard's last full poll ended; None before the first."""
        cursor = await asyncio.to_thread(self._store.cursor, shard)
        return None if cursor is None else cursor.watermark

    async def due(self, shard: Shard, now: datetime) -> tuple[str, ...]:
        """Ids of unsettled jobs to ask for again."""
        return tuple(entry.key.id for entry in await asyncio.to_thread(self._store.due, shard, now))

    def windows(self, now: datetime) -> tuple[tuple[timedelta, ...], dict[Series, tuple[Counts, ...]]]:
        """The windows, and counts of every series in each of them at ``now``; callable from any thread."""
        with self._lock:
            self._totals.advance(now)
            return self._totals.windows, dict(self._totals.all())

    async def adopt(self, live: Live, now: datetime) -> None:
        """Evaluate these objectives from now on: counted from the store in the writer's turn, so that no commit is missed."""
        await self._write(lambda: self._adopt(live, now), kinds=("jobs",))

    def evaluate(self, now: datetime, silent: Container[str]) -> tuple[LiveEvaluation, ...]:
        """What is known of every objective at ``now``; callable from any thread. ``silent`` names sources without an answer."""
        with self._lock:
            return () if self._live is None else self._live.evaluate(now, silent=silent)

    async def learn_batches(self, since: datetime, now: datetime) -> None:
        """Tell the objectives how many events share a fate."""
        batches = await self.read(lambda: self._store.batches(since))
        with self._lock:
            if self._live is not None:
                self._live.learn_batches(batches, now)

    async def keep_alerts(self) -> None:
        """Write down what alerts must remember over a restart, if any of it changed."""
        with self._lock:
            if self._live is not None:
                self._unsaved.update({_ALERTS + key: state for key, state in self._live.kept().items()})
            unsaved = dict(self._unsaved)
        if unsaved:
            await self._write(lambda: self._store.keep_states(unsaved))
            with self._lock:
                self._unsaved = {key: state for key, state in self._unsaved.items() if unsaved.get(key, _ABSENT) != state}

    def _adopt(self, live: Live, now: datetime) -> None:
        states = self._store.states()
        live.rebuild(
            self._store, now, kept={key.removeprefix(_ALERTS): state for key, state in states.items() if key.startswith(_ALERTS)}
        )
        with self._lock:
            self._live = live

    def rebuild(self, now: datetime) -> None:
        """Build the window totals from the stored buckets: at the start, and after a recount."""
        with self._lock:
            hours, buckets = needed(self._totals.windows, now)
            whole, fine = self._store.hour_columns(hours), self._store.bucket_columns(buckets)
            self._totals.rebuild(KeyedColumns(*whole), KeyedColumns(*fine), now)

    def take_changes(self) -> set[str]:
        """Kinds of records that changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def mark(self, kinds: Iterable[str] = ALL_KINDS) -> None:
        """Have these kinds read again: they were taken but not shown, or the way they are shown changed."""
        self._changed.update(kinds)

    @property
    def dirty(self) -> bool:
        """True when something changed since the last :meth:`take_changes`."""
        return bool(self._changed)

    def close(self) -> None:
        """Wait for the write under way, then release the store."""
        self._writer.shutdown(wait=True)
        self._store.close()

    def _follow(self, applied: Applied) -> Applied:
        with self._lock:
            for delta in applied.deltas:
                self._totals.add_delta(delta)
                if self._live is not None:
                    self._live.add(delta)
        return applied

    def _advance(self, applied: Applied, now: datetime) -> Applied:
        with self._lock:
            self._totals.advance(now)
        return applied

    async def _write(self, work: Callable[[], T], *, kinds: Iterable[str] = (), proof: bool = False) -> T:
        """Do ``work`` in the writing thread; if the caller is cancelled, it ends and is noted all the same.

        ``proof``: its success means that the store takes writes (a tick with nothing to judge writes nothing).
        """
        began = time.perf_counter()
        doing = asyncio.get_running_loop().run_in_executor(self._writer, work)
        doing.add_done_callback(lambda done: self._note(done, time.perf_counter() - began, tuple(kinds), proof=proof))
        return await asyncio.shield(doing)

    def _note(self, done: asyncio.Future[T], seconds: float, kinds: Iterable[str], *, proof: bool) -> None:
        if done.cancelled():
            return
        error = done.exception()
        self._on_commit(seconds, error is not None)
        if error is None:
            self._changed.update(kinds)
        if isinstance(error, StoreError):
            self.full = True
        elif error is None and proof:
            self.full = False


def _kinds(batch: Batch) -> set[str]:
    changed = {kind for kind in ("jobs", "backends", "calibrations", "quotas") if getattr(batch, kind)}
    return changed | {"jobs"} if batch.missing else changed
