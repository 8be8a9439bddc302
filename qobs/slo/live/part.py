"""What is counted while it happens, in the form that the arithmetic of objectives asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from qobs.model import BUCKET_SECONDS, Counts
from qobs.slo.history import Tally
from qobs.slo.live.ledger import Ledger, Rate
from qobs.slo.live.score import Score
from qobs.slo.live.tape import Tape
from qobs.slo.objective import Calendar

_MICRO = 1_000_000


@dataclass(slots=True)
class Counted:
    """One stream, or the slices of one objective: everything that is kept of its events.

    ``counts`` are its sums in each window, as :class:`qobs.slo.windows.Totals` tells them; empty: nothing in any. ``began`` is
    the bucket of its first event, in seconds. ``sources`` are the configured sources that had events, with the last bucket.
    """

    number: int
    tape: Tape
    unit: int = 1
    counts: tuple[Counts, ...] = ()
    began: int | None = None
    effect: float = 1.0
    rate: Rate | None = None
    scores: dict[tuple[Fraction, float], Score] = field(default_factory=dict)
    ledgers: dict[Calendar, Ledger] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    waiting: bool = False
    """Whether the CUSUMs have not seen all that came."""

    def add(self, bucket: int, good: int, total: int) -> None:
        """Follow a change in everything but the windows."""
        self.tape.add(bucket, good, total)
        for ledger in self.ledgers.values():
            ledger.add(bucket, good, total)
        if total > 0 and (self.began is None or bucket < self.began):
            self.began = bucket
        if self.rate is not None:
            self.rate.add(bucket, total)

    def follow(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Follow many (bucket, good, total)."""
        for row in rows:
            self.add(*row)


class _Constant:
    """The design effect of a stream as it was last learnt."""

    __slots__ = ("_counted",)

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def at(self, moment: int) -> float:
        """The same at any moment."""
        return self._counted.effect


class LivePart:
    """A stream whose sums are kept: :class:`qobs.slo.burn.Stream` at the moment of the last evaluation.

    Only windows that were asked for at the start can be read; moments other than that of the evaluation are not known.
    """

    def __init__(
        self,
        counted: Counted,
        *,
        budget: Fraction,
        weight: Fraction,
        places: Mapping[int, int],
        calendar: Calendar | None = None,
        phi: float | None = None,
    ) -> None:
        """``places`` maps a window in microseconds to its place in the counts; ``phi`` None: no CUSUM."""
        self.counted = counted
        self.budget = budget
        self.weight = weight
        self._places = places
        self._ledger = None if calendar is None else counted.ledgers[calendar]
        self.score = None if phi is None else counted.scores[budget, phi]
        self._effects = _Constant(counted)

    @property
    def began(self) -> int | None:
        """When the first event came, in microseconds; None before it."""
        began = self.counted.began
        if began is None:
            return None
        # A slice is an event at its end: the last microsecond of its bucket.
        return (began + BUCKET_SECONDS) * _MICRO - 1 if self.counted.number < 0 else began * _MICRO

    @property
    def clustered(self) -> bool:
        """Whether events are known to share their fate."""
        return self.counted.effect != 1.0

    def within(self, length: int, at: int) -> Tally:
        """Sums of the window, as :mod:`qobs.slo.windows` defines it."""
        place, counts = self._places[length], self.counted.counts
        return self._tally(*counts[place]) if counts else self._tally(0, 0)

    def exceeds(self, length: int, at: int, limit: Fraction) -> bool:
        """Whether the window's error ratio lies strictly above ``limit``."""
        counts = self.counted.counts
        if not counts:
            return False
        good, total = counts[self._places[length]]
        return (total - good) * limit.denominator > limit.numerator * total

    def since(self, begin: int, at: int) -> Tally:
        """Sums of the calendar period, which begins at ``begin``."""
        assert self._ledger is not None
        return self._tally(*self._ledger.current)

    def stretch(self, begin: int, end: int) -> Tally:
        """Sums over a stretch of earlier periods, in whole hours."""
        assert self._ledger is not None
        return self._tally(*self._ledger.stretch(begin // _MICRO, end // _MICRO))

    def last(self, count: int, at: int) -> Tally:
        """Sums over the last ``count`` events."""
        return self._tally(*self.counted.tape.last(count))

    def effects(self) -> _Constant:
        """The design effect as it was last learnt."""
        return self._effects

    def fires(self, at: int, phi: float) -> bool:
        """Whether the CUSUM is firing."""
        return self.score is not None and self.score.fires(at)

    def _tally(self, good: int, total: int) -> Tally:
        unit = self.counted.unit
        return Tally(total // unit, good, total - good, total * unit, unit, unit == 1)
