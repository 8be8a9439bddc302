"""Streams: which series feed which objective, and whole columns of series counts turned into columns of stream counts.

A stream is what a native source selects, less what exclusions take out of it. Objectives that select the same, under the same
exclusions, share one stream and all its sums. A series may feed several streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qobs.columns import HOUR_SECONDS, Columns
from qobs.model import BUCKET_SECONDS, Series
from qobs.slo.exclusions import Shield, Spans, shielded
from qobs.slo.live.selection import Selection
from qobs.slo.objective import NativeSource

Integers = NDArray[np.int64]

_MICRO = 1_000_000
_MOST_SERIES = 65_536

StreamKey = tuple[str, tuple[tuple[str, tuple[str, ...]], ...], tuple[Shield, ...]]
"""(indicator, selected labels, exclusions): equal keys are one stream."""


class Route(NamedTuple):
    """A stream that a series feeds, and the stretches [from, to) of it that do not count: seconds, whole buckets."""

    stream: int
    stretches: tuple[tuple[int, int], ...] = ()

    def holds(self, bucket: int) -> bool:
        """Whether the bucket that starts then is left out."""
        return any(begin <= bucket < end for begin, end in self.stretches)

    def touches(self, begin: int, end: int) -> bool:
        """Whether any bucket that starts in [``begin``, ``end``) is left out."""
        return any(begin < until and since < end for since, until in self.stretches)


class Rows(NamedTuple):
    """Counts of streams, column by column, of one length: seconds since 1970, streams, places in the series that were read."""

    starts: Integers
    streams: Integers
    series: Integers
    good: Integers
    total: Integers

    def where(self, mask: NDArray[np.bool_]) -> Rows:
        """Those rows alone."""
        return Rows(*(column[mask] for column in self))

    def of(self, streams: Iterable[int]) -> Rows:
        """Rows of these streams."""
        return self.where(np.isin(self.streams, np.fromiter(streams, dtype=np.int64)))


class Streams:
    """All streams, by number from 0. Series are looked up once."""

    def __init__(self) -> None:
        """None yet."""
        self.keys: list[StreamKey] = []
        self._numbers: dict[StreamKey, int] = {}
        self._by_sli: dict[str, list[tuple[int, Selection]]] = {}
        self._routes: dict[Series, tuple[Route, ...]] = {}

    def number(self, source: NativeSource, against: tuple[Shield, ...]) -> int:
        """The stream of a source under these exclusions, new or known.

        Raises:
            ValueError: A regex of the source cannot be compiled.
        """
        where = tuple(sorted((label, tuple(sorted(set(values)))) for label, values in source.where.items()))
        key = (source.sli, where, against)
        number = self._numbers.get(key)
        if number is None:
            selection = Selection(source)
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
            self._by_sli.setdefault(source.sli, []).append((number, selection))
            self._routes.clear()
        return number

    def routes(self, series: Series) -> tuple[Route, ...]:
        """The streams that a series feeds."""
        found = self._routes.get(series)
        if found is None:
            if len(self._routes) >= _MOST_SERIES:
                self._routes.clear()
            found = self._routes[series] = tuple(
                Route(number, stretches_of(shielded(self.keys[number][2], series)))
                for number, selection in self._by_sli.get(series.sli, ())
                if selection.matches(series)
            )
        return found

    def feeding(self, streams: Iterable[int], series: Iterable[Series]) -> tuple[Series, ...]:
        """Those of ``series`` that feed any of the streams."""
        wanted = set(streams)
        return tuple(each for each in series if any(route.stream in wanted for route in self.routes(each)))

    def rows(self, columns: Columns, *, width: int) -> Rows:
        """The columns once for each stream that they feed; rows of ``width`` seconds that an exclusion touches are left out."""
        routes = [self.routes(series) for series in columns.series]
        flat = [route for some in routes for route in some]
        numbers = np.asarray(columns.numbers, dtype=np.int64)
        place, taken = _expanded(numbers, [len(some) for some in routes])
        starts = np.asarray(columns.starts, dtype=np.int64)[place]
        rows = Rows(
            starts,
            np.array([route.stream for route in flat], dtype=np.int64)[taken],
            numbers[place],
            np.asarray(columns.good, dtype=np.int64)[place],
            np.asarray(columns.total, dtype=np.int64)[place],
        )
        touched = _touched(starts, taken, [route.stretches for route in flat], width)
        return rows if touched is None else rows.where(~touched)

    def cut_hours(self, series: Iterable[Series]) -> dict[int, set[Series]]:
        """Hours that an exclusion cuts, with the series of which they must be read bucket by bucket."""
        cut: dict[int, set[Series]] = {}
        for each in series:
            for edge in {edge for route in self.routes(each) for stretch in route.stretches for edge in stretch}:
                if edge % HOUR_SECONDS:
                    cut.setdefault(edge - edge % HOUR_SECONDS, set()).add(each)
        return cut

    def lacking(self, series: Series, hour: int) -> frozenset[int]:
        """Streams for which the hour of a series was left out because an exclusion touches it."""
        return frozenset(route.stream for route in self.routes(series) if route.touches(hour, hour + HOUR_SECONDS))


def stretches_of(spans: Spans) -> tuple[tuple[int, int], ...]:
    """Spans in seconds, both ends rounded up to the start of a bucket: a bucket counts as its start does."""
    width = BUCKET_SECONDS * _MICRO
    edges = ((-(-begin // width) * BUCKET_SECONDS, -(-end // width) * BUCKET_SECONDS) for begin, end in spans.spans)
    return tuple((begin, end) for begin, end in edges if begin < end)


def _expanded(numbers: Integers, counts: Sequence[int]) -> tuple[Integers, Integers]:
    """(place of the row that was read, place among all routes) for every route of every row."""
    offsets = np.array([0, *accumulate(counts)], dtype=np.int64)
    times = np.array(counts, dtype=np.int64)[numbers] if len(numbers) else np.zeros(0, dtype=np.int64)
    place = np.repeat(np.arange(len(numbers), dtype=np.int64), times)
    within = np.arange(len(place), dtype=np.int64) - np.repeat(np.cumsum(times) - times, times)
    return place, offsets[numbers[place]] + within


def _touched(
    starts: Integers, taken: Integers, stretches: Sequence[tuple[tuple[int, int], ...]], width: int
) -> NDArray[np.bool_] | None:
    """Rows of ``width`` seconds that lie in a stretch of their route, at least in part; None where no route has any."""
    if not any(stretches):
        return None
    touched: NDArray[Any] = np.zeros(len(starts), dtype=np.bool_)
    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for number, each in enumerate(stretches):
        if each:
            groups.setdefault(each, []).append(number)
    for some, numbers in groups.items():
        member = np.zeros(len(stretches), dtype=np.bool_)
        member[numbers] = True
        mine = member[taken]
        for begin, end in some:
            touched |= mine & (starts < end) & (starts + width > begin)
    return touched
