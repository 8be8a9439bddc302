"""Objectives while they happen: events in, evaluations out, at the cost of what changed.

The counts come from the store's 10-second buckets, once at the start (:meth:`Live.rebuild`), then change by change
(:meth:`Live.add`). The arithmetic is that of :func:`qobs.slo.evaluate.evaluate`: windows, burn, budget, alerts and state are
worked out by the same functions, on running sums instead of a list of events.

What differs from an evaluation of a file, and why:

- Time goes in buckets. A window holds what :mod:`qobs.slo.windows` says: every event of the last W, and at its far edge those
  of up to one step more.
- An alert goes on firing for its short window after its condition has gone, as the generated rules do; it knows since when.
- The CUSUM keeps a state instead of all events: see :mod:`qobs.slo.live.score`. The height of its limit is that of the events
  of the last 30 days up to the running hour.
- The design effect is that of the last time batches were learnt.
- An exclusion takes out just the series that its scope names, not only whole objectives.
- Forecasts look at earlier periods in whole hours. Good parts of time slices are kept in millionths.

Not thread-safe: who calls holds a lock.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from qobs.columns import BatchCount
from qobs.exclusion import Exclusion
from qobs.model import Delta
from qobs.slo.clustering import CLUSTER_WINDOW
from qobs.slo.history import micros
from qobs.slo.live.building import Book, Building, is_native
from qobs.slo.live.effects import design_effects
from qobs.slo.live.ledger import RATE_SECONDS, second_of
from qobs.slo.live.memory import Memory
from qobs.slo.live.part import Counted
from qobs.slo.live.reader import BucketReader, LiveEvaluation
from qobs.slo.live.score import LATE_SECONDS, YOUNG_SECONDS
from qobs.slo.objective import Objective
from qobs.slo.windows import Totals

_RATE_SLACK = timedelta(days=4) // timedelta(seconds=1)


class Live:
    """The objectives that qobs counts itself, evaluated from now on."""

    def __init__(self, objectives: Sequence[Objective], *, exclusions: Sequence[Exclusion] = ()) -> None:
        """Evaluate ``objectives``, in this order, once :meth:`rebuild` has counted what there is.

        Raises:
            ValueError: A time slice is not a whole number of buckets, or a regex of a source cannot be compiled.
        """
        self.skipped = tuple(objective for objective in objectives if not is_native(objective))
        """Objectives that are left out: their events are Prometheus' own, which evaluates them by its rules."""
        self._objectives = tuple(objectives)
        self._exclusions = tuple(exclusions)
        self._begin()

    def _begin(self) -> None:
        self._building = Building(self._objectives, self._exclusions)
        self._memory = Memory(self._building)
        self._totals: Totals[int] = Totals(self._building.windows)
        self._pending: list[Delta] = []
        self._now: datetime | None = None
        self._second = 0
        self._silent: frozenset[str] = frozenset()
        self._stale: set[int] = set(range(len(self._building.plans)))

    def rebuild(self, reader: BucketReader, now: datetime, *, kept: Mapping[str, bytes] | None = None) -> None:
        """Forget everything and count again: at the start, after a reload, and when what is stored was counted again.

        Args:
            reader: The store.
            now: Any aware time.
            kept: What :meth:`kept` told before a restart. Without it CUSUMs replay the last three days, and alerts begin anew.
        """
        from qobs.slo.live.loading import Loader, by_stream, last_by_source

        self._begin()
        self._now, self._second = now.astimezone(UTC), second_of(now)
        building, loader = self._building, Loader(self._building, reader, self._now)
        loaded = loader.read()
        self._pending.extend(loaded.ahead)
        hours, buckets = by_stream(loaded.hours), by_stream(loaded.buckets)
        last_by_source(loaded.hours, loaded.hour_series, self._saw)
        last_by_source(loaded.buckets, loaded.bucket_series, self._saw)
        loader.begin(hours, buckets)
        loader.fill_slices(building.books)
        told = {book.counted.number: list(book.slices.settle(self._second)) for book in building.books}
        self._totals = loader.totals(loaded, told)
        self._read_totals()
        self._learn(reader.batches(self._now - CLUSTER_WINDOW))
        restored = self._memory.restore({} if kept is None else kept, self._second)
        young = self._second - YOUNG_SECONDS
        for number in range(len(building.streams.keys)):
            counted, rows = building.counted[number], buckets.of(number)
            for ledger in counted.ledgers.values():
                for row in loader.ledger_rows(counted, ledger, hours, buckets):
                    ledger.add(*row)
            loader.fill_tape(counted, loaded, hours, rows, young)
            if counted.rate is not None:
                counted.rate.fill(hours.of(number), rows, self._second, counted.began)
                for score in counted.scores.values():
                    old = [row for row in rows if row[0] < young]
                    score.fold(old, counted.rate, counted.effect)
                    score.changed = score not in restored or score.changed
                self._settle(counted)
        for book in building.books:
            book.counted.follow(told[book.counted.number])
            self._settle(book.counted)

    def add(self, delta: Delta) -> None:
        """Follow one committed change; it is counted at the next evaluation, or when its time has come."""
        self._pending.append(delta)

    def learn_batches(self, batches: Iterable[BatchCount], now: datetime) -> None:
        """Learn how many events share a fate, from the batches of the last 30 days before ``now``."""
        before = {number: counted.effect for number, counted in self._building.counted.items()}
        self._learn(batches)
        for number, counted in self._building.counted.items():
            if counted.effect != before[number]:
                counted.waiting = True
                self._stale.update(self._building.dependents.get(number, ()))

    def evaluate(self, now: datetime, *, silent: Container[str] = ()) -> tuple[LiveEvaluation, ...]:
        """What is known of every objective at ``now``, in the order in which they were given, without those skipped.

        Args:
            now: Any aware time; a clock that steps back is taken to stand still.
            silent: Names of the sources that do not answer.
        """
        now = now.astimezone(UTC)
        self._now = now = now if self._now is None else max(now, self._now)
        self._second = second_of(now)
        self._totals.advance(now)
        self._take()
        for counted in self._building.counted.values():
            if counted.waiting:
                self._settle(counted)
        self._read_totals()
        self._hear(silent)
        at, plans = micros(now), self._building.plans
        found = []
        for place, plan in enumerate(plans):
            if plan.last is None or place in self._stale or plan.next_at <= at:
                found.append(plan.look(now, self._silent))
            else:
                found.append(msgspec.structs.replace(plan.last, evaluated_at=now))
        self._stale.clear()
        return tuple(found)

    def kept(self) -> Mapping[str, bytes | None]:
        """States that changed since this was last asked, to be written down by key; None: forget it."""
        return self._memory.changed()

    def _take(self) -> None:
        """Count what came, as far as its time has come, and the slices that are complete."""
        for counted in self._building.counted.values():
            for ledger in counted.ledgers.values():
                ledger.move(self._now_known)
        pending, self._pending = self._pending, []
        for delta in pending:
            if delta.bucket > self._second:
                self._pending.append(delta)
            else:
                self._count(delta)
        for book in self._building.books:
            self._tell(book)

    def _count(self, delta: Delta) -> None:
        series, bucket, good, total = delta
        for route in self._building.streams.routes(series):
            if route.holds(bucket):
                continue
            number = route.stream
            self._count_in(self._building.counted[number], bucket, good, total)
            self._saw(number, series.source, bucket)
            for book, place in self._building.sliced.get(number, ()):
                book.slices.add(place, bucket, good, total)

    def _count_in(self, counted: Counted, bucket: int, good: int, total: int) -> None:
        self._totals.add(counted.number, bucket, good, total)
        counted.add(bucket, good, total)
        self._stale.update(self._building.dependents.get(counted.number, ()))
        counted.waiting = True
        if counted.rate is not None and self._second - bucket <= LATE_SECONDS:
            for score in counted.scores.values():
                if bucket <= score.through:
                    score.late(bucket, good, total - good, counted.rate, counted.effect)

    def _tell(self, book: Book) -> None:
        for row in book.slices.settle(self._second):
            self._count_in(book.counted, *row)

    def _settle(self, counted: Counted) -> None:
        """Bring the CUSUMs of a stream up to all that came."""
        counted.waiting = False
        young = self._second - YOUNG_SECONDS
        if counted.rate is None:
            counted.tape.trim(young)
            return
        for score in counted.scores.values():
            score.fold(counted.tape.between(score.through + 1, young), counted.rate, counted.effect)
            score.replay(counted.tape.since(score.through + 1), counted.rate, counted.effect)
        counted.tape.trim(young)
        counted.rate.trim(self._second - RATE_SECONDS - _RATE_SLACK)

    def _read_totals(self) -> None:
        """Hand the sums of every window to the streams that they changed for."""
        changed = self._totals.take_changed()
        if not changed:
            return
        rows = self._totals.all()
        for number in changed:
            self._building.counted[number].counts = rows.get(number, ())
            self._stale.update(self._building.dependents.get(number, ()))

    def _hear(self, silent: Container[str]) -> None:
        """Note which of the sources that ever had events do not answer."""
        names = {name for counted in self._building.counted.values() for name in counted.sources}
        heard = frozenset(name for name in names if name in silent)
        if heard == self._silent:
            return
        differing, self._silent = heard ^ self._silent, heard
        for counted in self._building.counted.values():
            if differing & counted.sources.keys():
                self._stale.update(self._building.dependents.get(counted.number, ()))

    def _saw(self, number: int, source: str, bucket: int) -> None:
        """A source had an event for a stream."""
        sources = self._building.counted[number].sources
        sources[source] = max(bucket, sources.get(source, bucket))

    def _learn(self, batches: Iterable[BatchCount]) -> None:
        month = {number: self._totals.read(number, CLUSTER_WINDOW) for number in range(len(self._building.streams.keys))}
        effects = design_effects(batches, self._building.streams, month)
        for number in month:
            self._building.counted[number].effect = effects.get(number, 1.0)

    @property
    def _now_known(self) -> datetime:
        assert self._now is not None
        return self._now
