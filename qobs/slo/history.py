"""Events in order of time, and the exact sums of any stretch of them.

A window of length W ending at ``at`` holds the events of **(at - W, at]**: what happens at the very moment of looking is
seen, and an event leaves W after it came, not a moment earlier or later. All sums are whole numbers: weights are brought
to a common power of two first, so that a sum never depends on the order of adding, and "exactly at the threshold" is exact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

from qobs.model import EPOCH

MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """The aware UTC time of so many microseconds since 1970."""
    return EPOCH + microseconds * MICROSECOND


class Entry(NamedTuple):
    """Something that was judged: an event, or a whole time slice. ``at`` in microseconds; ``good`` and ``bad`` are weights."""

    at: int
    good: float
    bad: float
    group: str = ""


class Tally(NamedTuple):
    """What a stretch of time holds. ``good`` and ``bad`` are sums of weights and ``squares`` of squared weights, times ``scale``.

    ``squares`` carries ``scale`` twice. ``whole`` tells that every entry was all good or all bad: it can be counted.
    """

    events: int
    good: int
    bad: int
    squares: int
    scale: int = 1
    whole: bool = True

    @property
    def total(self) -> int:
        """Sum of all weights, times ``scale``."""
        return self.good + self.bad

    @property
    def error_ratio(self) -> float | None:
        """Bad weight over all weight: a ratio of sums. None without events."""
        return self.bad / self.total if self.total else None

    def exceeds(self, limit: Fraction) -> bool:
        """Whether the error ratio lies strictly above ``limit``, exactly. Without events it does not."""
        return self.bad * limit.denominator > limit.numerator * self.total

    @property
    def effective(self) -> tuple[float, float]:
        """Equally weighted events that tell as much as these, and how many of them failed.

        Source:
            L. Kish, "Survey Sampling" (1965), section 11.7: (sum of weights) squared over the sum of squared weights.
        """
        if not self.total:
            return 0.0, 0.0
        if self.total * self.total == self.squares * self.events:
            return float(self.events), self.bad * self.events / self.total
        return self.total * self.total / self.squares, self.bad * self.total / self.squares


class History:
    """Judged entries up to now, ready for sums over any stretch of time. Never changes.

    Entries at one moment are put good before bad, so that the order of lines in a file cannot matter.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Sort and add up; O(n log n)."""
        ordered = sorted(entries, key=lambda entry: (entry.at, entry.bad, entry.good, entry.group))
        self.entries: Sequence[Entry] = tuple(ordered)
        self.times = [entry.at for entry in ordered]
        self.scale = _scale(ordered)
        self.whole = all(entry.good == 0.0 or entry.bad == 0.0 for entry in ordered)
        good = [_scaled(entry.good, self.scale) for entry in ordered]
        bad = [_scaled(entry.bad, self.scale) for entry in ordered]
        self.good = list(accumulate(good, initial=0))
        self.bad = list(accumulate(bad, initial=0))
        self.squares = list(accumulate(((g + b) ** 2 for g, b in zip(good, bad, strict=True)), initial=0))

    def place(self, at: int) -> int:
        """How many entries came at or before ``at``."""
        return bisect_right(self.times, at)

    def between(self, after: int, upto: int) -> Tally:
        """Sums over (``after``, ``upto``]."""
        return self.slice(self.place(after), self.place(upto))

    def exceeds(self, after: int, upto: int, limit: Fraction) -> bool:
        """Whether the error ratio over (``after``, ``upto``] lies strictly above ``limit``: fast, for it is asked most."""
        start, end = bisect_right(self.times, after), bisect_right(self.times, upto)
        good, bad = self.good[end] - self.good[start], self.bad[end] - self.bad[start]
        return bad * limit.denominator > limit.numerator * (good + bad)

    def last(self, count: int, upto: int) -> Tally:
        """Sums over the last ``count`` entries at or before ``upto``; fewer where there are fewer."""
        end = self.place(upto)
        return self.slice(max(0, end - count), end)

    def slice(self, start: int, end: int) -> Tally:
        """Sums over the entries from place ``start`` up to, not including, place ``end``."""
        return Tally(
            events=end - start,
            good=self.good[end] - self.good[start],
            bad=self.bad[end] - self.bad[start],
            squares=self.squares[end] - self.squares[start],
            scale=self.scale,
            whole=self.whole,
        )


def _scale(entries: Sequence[Entry]) -> int:
    """The smallest power of two that makes every weight whole."""
    return max((value.as_integer_ratio()[1] for entry in entries for value in (entry.good, entry.bad)), default=1)


def _scaled(value: float, scale: int) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (scale // denominator)
