"""Jobs of one batch share a fate: how many independent events a clustered count is worth.

The design effect D = 1 + (m - 1) icc says that n events of batches tell as much as n / D independent ones. m is the mean
size of the batch that an event finds itself in, sum(size^2) / sum(size); icc, the correlation of two events of one batch, is
the one-way analysis-of-variance estimate, clipped to [0, 1]. An event without a group is a batch of its own.

What the data cannot tell is assumed, on the quiet side:

- with fewer than 20 batches of two or more, D is at least 2 (but never more than m, which is D at icc = 1);
- where the estimate does not exist (one batch only, or every event alike), icc is 1.

Sources: L. Kish, "Survey Sampling" (1965); A. Donner, "A review of inference procedures for the intraclass correlation
coefficient in the one-way random effects model", International Statistical Review 54 (1986).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import fsum
from typing import NamedTuple

from qobs.slo.history import MICROSECOND, Entry

CLUSTER_WINDOW = timedelta(days=30)
"""Batches of this long tell the design effect."""

FEWEST_BATCHES = 20
"""With fewer, the estimate alone is not believed."""

CAUTIOUS_EFFECT = 2.0
"""Smallest design effect while batches are few."""


class Sizes(NamedTuple):
    """All that the design effect is made of: events and failures, and by size of batch how many there are of it.

    ``squares_by_size`` are the sums of the squared failures of the batches of a size. An event that stands alone is a batch of 1.
    """

    events: int
    bad: int
    batches_by_size: Mapping[int, int]
    squares_by_size: Mapping[int, int]

    @property
    def mean_size(self) -> float:
        """Size of the batch that an event finds itself in, on average: 1 where all stand alone, or there are none."""
        if not self.events:
            return 1.0
        return sum(size * size * batches for size, batches in self.batches_by_size.items()) / self.events

    @property
    def icc(self) -> float | None:
        """Correlation of two events of one batch, in [0, 1]. None where the data cannot tell."""
        count, events = sum(self.batches_by_size.values()), self.events
        if count < 2 or events == count:
            return None
        squares = fsum(self.squares_by_size[size] / size for size in sorted(self.squares_by_size))
        between = (squares - self.bad * self.bad / events) / (count - 1)
        within = (self.bad - squares) / (events - count)
        usual = (events - self.mean_size) / (count - 1)
        spread = between + (usual - 1.0) * within
        if self.bad in (0, events) or spread <= 0.0:
            return None
        return min(1.0, max(0.0, (between - within) / spread))

    @property
    def design_effect(self) -> float:
        """Events of these batches that tell as much as one independent event; at least 1."""
        mean_size = self.mean_size
        if mean_size == 1.0:
            return 1.0
        icc = self.icc
        effect = mean_size if icc is None else 1.0 + (mean_size - 1.0) * icc
        real = sum(batches for size, batches in self.batches_by_size.items() if size > 1)
        return effect if real >= FEWEST_BATCHES else max(effect, min(CAUTIOUS_EFFECT, mean_size))


class Batches:
    """Sizes and failures of the batches of a stretch of time, kept up to date one event at a time, in whole numbers."""

    def __init__(self) -> None:
        """Nothing yet: a design effect of 1."""
        self._of: dict[str, tuple[int, int]] = {}
        self._batches_by_size: Counter[int] = Counter()
        self._squares_by_size: Counter[int] = Counter()
        self.events = 0
        self.bad = 0

    def add(self, group: str, *, bad: bool) -> None:
        """An event came. ``group`` empty: it stands alone."""
        self._change(group, 1, int(bad))

    def remove(self, group: str, *, bad: bool) -> None:
        """An event left. It must have come before."""
        self._change(group, -1, -int(bad))

    def _change(self, group: str, events: int, bad: int) -> None:
        self.events += events
        self.bad += bad
        if not group:
            self._count(1, bad * bad, events)
            return
        size, failed = self._of.get(group, (0, 0))
        if size:
            self._count(size, failed * failed, -1)
        size, failed = size + events, failed + bad
        if size:
            self._of[group] = size, failed
            self._count(size, failed * failed, 1)
        else:
            del self._of[group]

    def _count(self, size: int, square: int, sign: int) -> None:
        self._batches_by_size[size] += sign
        self._squares_by_size[size] += sign * square
        if not self._batches_by_size[size]:
            del self._batches_by_size[size], self._squares_by_size[size]

    @property
    def _sizes(self) -> Sizes:
        return Sizes(self.events, self.bad, self._batches_by_size, self._squares_by_size)

    @property
    def mean_size(self) -> float:
        """As :attr:`Sizes.mean_size`."""
        return self._sizes.mean_size

    @property
    def icc(self) -> float | None:
        """As :attr:`Sizes.icc`."""
        return self._sizes.icc

    @property
    def design_effect(self) -> float:
        """As :attr:`Sizes.design_effect`."""
        return self._sizes.design_effect


class Clustering:
    """The design effect of the last 30 days at any moment, moving forward only."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        """``entries`` in order of time. Where none has a group, nothing is kept."""
        self._entries = entries
        self._grouped = any(entry.group for entry in entries)
        self._batches = Batches()
        self._first = 0
        self._next = 0
        self._effect: float | None = 1.0

    def at(self, moment: int) -> float:
        """Design effect of the events in (``moment`` - 30 d, ``moment``]; moments must not go back."""
        return self.upto(self._place(moment), moment) if self._grouped else 1.0

    def upto(self, place: int, moment: int) -> float:
        """The same with only the entries before ``place``: inside one moment, event by event."""
        if not self._grouped:
            return 1.0
        while self._next < place:
            entry = self._entries[self._next]
            self._batches.add(entry.group, bad=entry.bad > 0.0)
            self._next += 1
            self._effect = None
        edge = moment - CLUSTER_WINDOW // MICROSECOND
        while self._first < self._next and self._entries[self._first].at <= edge:
            entry = self._entries[self._first]
            self._batches.remove(entry.group, bad=entry.bad > 0.0)
            self._first += 1
            self._effect = None
        if self._effect is None:
            self._effect = self._batches.design_effect
        return self._effect

    def _place(self, moment: int) -> int:
        place = self._next
        while place < len(self._entries) and self._entries[place].at <= moment:
            place += 1
        return place
