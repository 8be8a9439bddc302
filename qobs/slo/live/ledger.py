"""Sums of a stream by the hour: the last 30 days for the CUSUM's height, and calendar periods, exact at their boundaries."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from qobs.columns import HOUR_SECONDS
from qobs.model import EPOCH
from qobs.slo.budget import SEASONS
from qobs.slo.calendar import period
from qobs.slo.cusum import RATE_WINDOW, expected_events
from qobs.slo.objective import Calendar

_SECOND = timedelta(seconds=1)
_MICRO = 1_000_000
_MOST_MONTHS = 4
RATE_SECONDS = RATE_WINDOW // _SECOND


def second_of(at: datetime) -> int:
    """Whole seconds since 1970."""
    return (at - EPOCH) // _SECOND


class Rate:
    """Events of the last 30 days, as they were in any recent hour."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.began: int | None = None
        """Bucket of the first event, in seconds."""
        self._hours: dict[int, int] = {}
        self._months: dict[int, int] = {}

    def add(self, bucket: int, total: int) -> None:
        """Follow a change."""
        hour = bucket - bucket % HOUR_SECONDS
        self._hours[hour] = self._hours.get(hour, 0) + total
        if total > 0 and (self.began is None or bucket < self.began):
            self.began = bucket
        for end in self._months:
            if end - RATE_SECONDS <= hour < end:
                self._months[end] += total

    def fill(
        self, hours: Iterable[tuple[int, int, int]], buckets: Iterable[tuple[int, int, int]], second: int, began: int | None
    ) -> None:
        """Begin with (start, good, total) of whole hours, and of the buckets of the hour that runs at ``second``."""
        running = second - second % HOUR_SECONDS
        self._hours = {start: total for start, _, total in hours if start < running}
        self._hours[running] = sum(total for start, _, total in buckets if start >= running)
        self._months, self.began = {}, began

    def before(self, hour: int) -> int:
        """Events of the 30 days that end as ``hour`` begins."""
        known = self._months.get(hour)
        if known is None:
            if len(self._months) >= _MOST_MONTHS:
                del self._months[min(self._months)]
            known = self._months[hour] = self._moved(hour)
        return known

    def _moved(self, hour: int) -> int:
        """From the sum of the hour before, if it is at hand: what came since, less what left."""
        hours, earlier = self._hours, hour - HOUR_SECONDS
        if earlier in self._months:
            return self._months[earlier] + hours.get(earlier, 0) - hours.get(earlier - RATE_SECONDS, 0)
        since = hour - RATE_SECONDS
        return sum(total for start, total in hours.items() if since <= start < hour)

    def expected(self, bucket: int, month: int) -> float:
        """Events to expect in 30 days at a bucket, of ``month`` seen in the last 30; see :func:`expected_events`."""
        began = bucket if self.began is None else min(self.began, bucket)
        return expected_events(month, (bucket - began) * _MICRO)

    def trim(self, before: int) -> None:
        """Forget hours that start before ``before``."""
        if min(self._hours, default=before) < before:
            self._hours = {hour: total for hour, total in self._hours.items() if hour >= before}


class Ledger:
    """Sums over the current calendar period, and over stretches of the earlier ones.

    Cells are hours, cut at the boundaries of periods: sums from a boundary on are exact, other stretches are whole hours.
    """

    def __init__(self, window: Calendar) -> None:
        """Of one calendar; nothing yet."""
        self.window = window
        self.edges: list[int] = []
        """Boundaries in seconds: of the period that runs and of the earlier ones that a forecast looks at, and its end."""
        self._cells: dict[int, tuple[int, int]] = {}
        self._good = self._total = 0

    def move(self, now: datetime) -> bool:
        """Be in the period that holds ``now``; whether that is another one than before."""
        if len(self.edges) > 1 and self.edges[-2] <= second_of(now) < self.edges[-1]:
            return False
        self.edges = _edges(self.window, now)
        self._cells = {start: counts for start, counts in self._cells.items() if start >= self.edges[0]}
        begin = self.edges[-2]
        self._good, self._total = self._sums(begin, self.edges[-1])
        return True

    def add(self, bucket: int, good: int, total: int) -> None:
        """Follow a change; what is older than all periods kept is not followed."""
        if bucket < self.edges[0]:
            return
        start = max(bucket - bucket % HOUR_SECONDS, self.edges[bisect_right(self.edges, bucket) - 1])
        known = self._cells.get(start, (0, 0))
        self._cells[start] = known[0] + good, known[1] + total
        if bucket >= self.edges[-2]:
            self._good += good
            self._total += total

    @property
    def current(self) -> tuple[int, int]:
        """(good, total) of the period so far."""
        return self._good, self._total

    def stretch(self, begin: int, end: int) -> tuple[int, int]:
        """(good, total) of the cells that start in [``begin``, ``end``)."""
        return self._sums(begin, end)

    def _sums(self, begin: int, end: int) -> tuple[int, int]:
        inside = [counts for start, counts in self._cells.items() if begin <= start < end]
        return sum(good for good, _ in inside), sum(total for _, total in inside)


def _edges(window: Calendar, now: datetime) -> list[int]:
    begin, end = period(window, now)
    edges = [second_of(end), second_of(begin)]
    for _ in range(SEASONS):
        begin = period(window, begin - timedelta(microseconds=1))[0]
        edges.append(second_of(begin))
    return edges[::-1]


def earliest(edges: Sequence[int]) -> int:
    """The whole hour that holds the first of the boundaries."""
    return min(edges) // HOUR_SECONDS * HOUR_SECONDS
