"""The newest events of a stream, bucket by bucket: what the count-aware short window and the CUSUM look at."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

KEEP = 16
"""So many of the last events stay, however old: a few more than are asked for, as some may be taken back."""


class Tape:
    """Recent buckets in order of time. Complete from :attr:`complete_from` on; what is older is not known here.

    Inside a bucket good events come before bad ones, as in :class:`qobs.slo.history.History`.
    """

    def __init__(self, unit: int = 1) -> None:
        """``unit`` is the count that one event makes."""
        self.unit = unit
        self.complete_from = 0
        self._starts: list[int] = []
        self._counts: dict[int, tuple[int, int]] = {}

    def fill(self, rows: Iterable[tuple[int, int, int]], complete_from: int) -> None:
        """Begin with these (bucket, good, total), of which nothing is missing from ``complete_from`` on."""
        self._starts, self._counts, self.complete_from = [], {}, complete_from
        for row in rows:
            self.add(*row)

    def add(self, bucket: int, good: int, total: int) -> None:
        """Follow a change; what lies before :attr:`complete_from` is not followed."""
        if bucket < self.complete_from:
            return
        known = self._counts.get(bucket)
        if known is None:
            self._counts[bucket] = (good, total)
            if not self._starts or bucket > self._starts[-1]:
                self._starts.append(bucket)
            else:
                insort(self._starts, bucket)
        elif (changed := (known[0] + good, known[1] + total)) == (0, 0):
            del self._counts[bucket]
            del self._starts[bisect_left(self._starts, bucket)]
        else:
            self._counts[bucket] = changed

    def since(self, begin: int) -> Iterator[tuple[int, int, int]]:
        """(bucket, good, total) of the buckets that start at or after ``begin``."""
        for start in self._starts[bisect_left(self._starts, begin) :]:
            yield (start, *self._counts[start])

    def between(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """The same of those that start before ``end``."""
        starts = self._starts[bisect_left(self._starts, begin) : bisect_left(self._starts, end)]
        return [(start, *self._counts[start]) for start in starts]

    def last(self, count: int) -> tuple[int, int]:
        """(good, total) of the last ``count`` events; fewer where fewer are known."""
        wanted, good = count * self.unit, 0
        left = wanted
        for start in reversed(self._starts):
            if left <= 0:
                break
            good_here, total = self._counts[start]
            taken = min(left, total)
            good += max(0, taken - (total - good_here))
            left -= taken
        return good, wanted - left

    @property
    def known(self) -> int:
        """Events on the tape."""
        return sum(total for _, total in self._counts.values()) // self.unit

    def trim(self, before: int) -> None:
        """Forget buckets that start before ``before``, as far as :data:`KEEP` events stay."""
        end, rest = bisect_left(self._starts, before), KEEP * self.unit
        if not end:
            return
        for place in range(len(self._starts) - 1, -1, -1):
            if rest <= 0:
                end = min(end, place + 1)
                break
            rest -= self._counts[self._starts[place]][1]
        else:
            if rest > 0:
                return
            end = 0
        if end:
            self.complete_from = self._starts[end - 1] + 1
            for start in self._starts[:end]:
                del self._counts[start]
            del self._starts[:end]
