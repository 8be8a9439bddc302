"""The memory of window totals: events by series and time step, in packed rows that are subtracted when they expire."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from struct import Struct

from qobs.model import Series

CELL_BYTES = 12
"""A cell is three 32-bit integers: series number, good events, all events."""

MOST_EVENTS = (1 << 31) - 1
"""Largest count, either sign, that a cell holds."""

BEFORE_TIME = -(1 << 60)
"""Seconds since 1970 of a clock that nobody has set."""

_PACK_AT = CELL_BYTES * 16
_CELL = Struct("iii")
_pack = _CELL.pack


class Names:
    """Small numbers for series, used again when no cell speaks of a series any more."""

    def __init__(self) -> None:
        """Know no series."""
        self._numbers: dict[Series, int] = {}
        self._series: list[Series | None] = []
        self.held: list[int] = []
        """How many cells speak of each series, by its number."""
        self._free: list[int] = []
        self._idle: set[int] = set()

    @property
    def cells(self) -> int:
        """Cells of all series."""
        return sum(self.held)

    def find(self, series: Series) -> int | None:
        """The number of a series; None for one without cells."""
        return self._numbers.get(series)

    def number(self, series: Series) -> int:
        """The number of a series, new or known."""
        number = self._numbers.get(series)
        if number is not None:
            return number
        if self._free:
            number = self._free.pop()
            self._series[number] = series
        else:
            number = len(self._series)
            self._series.append(series)
            self.held.append(0)
        self._numbers[series] = number
        return number

    def hold(self, number: int) -> None:
        """One cell more speaks of the series."""
        self.held[number] += 1

    def release(self, number: int) -> None:
        """One cell less."""
        self.held[number] -= 1
        if self.held[number] == 0:
            self._idle.add(number)

    def drop_idle(self) -> None:
        """Forget the series whose last cell is gone."""
        for number in self._idle:
            series = self._series[number]
            if series is not None and self.held[number] == 0:
                del self._numbers[series]
                self._series[number] = None
                self._free.append(number)
        self._idle.clear()

    def known(self) -> Iterator[tuple[Series, int]]:
        """Every series that has cells, with its number."""
        return ((series, number) for series, number in self._numbers.items() if self.held[number])


class Window:
    """Totals of one window, by series number. ``start`` is its first second that counts, a multiple of the step."""

    __slots__ = ("good", "seconds", "start", "total")

    def __init__(self, length: timedelta) -> None:
        self.seconds = length // timedelta(seconds=1)
        self.start = BEFORE_TIME
        self.good: list[int] = []
        self.total: list[int] = []

    def widen(self, columns: int) -> None:
        """Have room for that many series."""
        while len(self.good) < columns:
            self.good.append(0)
            self.total.append(0)

    def subtract(self, row: bytearray) -> None:
        """Take out what has left the window."""
        for number, good, total in _cells(row):
            self.good[number] -= good
            self.total[number] -= total


class Scale:
    """All windows that are read in steps of one width, and the rows of cells that they share: one row a step.

    ``start`` is the first second that any of the windows still holds.
    """

    def __init__(self, width: int, windows: Iterable[Window], names: Names) -> None:
        """Steps of ``width`` seconds."""
        self.start = BEFORE_TIME
        self._width = width
        self._windows = sorted(windows, key=lambda window: -window.seconds)
        self._names = names
        self._rows: dict[int, bytearray] = {}
        self._pack_at: dict[int, int] = {}

    def add(self, cells: Iterable[tuple[int, int, int, int]]) -> None:
        """Count events in each window that holds them: (number, second, good, total), no second before ``start``.

        Windows hold one another, so the sums of one number are taken by the shortest window that holds them, and added up
        once, from there to the longest.
        """
        width, rows, held = self._width, self._rows, self._names.held
        starts = [window.start for window in self._windows]
        sums: list[dict[int, list[int]]] = [{} for _ in range(len(starts) + 1)]
        touched: set[int] = set()
        known_step = BEFORE_TIME
        for number, second, good, total in cells:
            step = second - second % width
            if step != known_step:  # cells come in time order, mostly
                known_step = step
                row = rows.setdefault(step, bytearray())
                band = sums[bisect_right(starts, step)]
                touched.add(step)
            row += _pack(number, good, total)
            held[number] += 1
            sum_ = band.get(number)
            if sum_ is None:
                band[number] = [good, total]
            else:
                sum_[0] += good
                sum_[1] += total
        for holders, band in enumerate(sums):
            self._count(self._windows[:holders], band)
        for step in touched:
            if len(rows[step]) >= self._pack_at.get(step, _PACK_AT):
                self._pack(step, rows[step])

    @staticmethod
    def _count(windows: Sequence[Window], band: Mapping[int, Sequence[int]]) -> None:
        for number, (good, total) in band.items():
            for window in windows:
                window.good[number] += good
                window.total[number] += total

    def advance(self, second: int) -> None:
        """Move the windows on to ``second``; rows that leave the longest one are forgotten."""
        left: list[int] = []
        for window in reversed(self._windows):
            start = (second - window.seconds) // self._width * self._width
            left = self._steps(window.start, start)
            for step in left:
                window.subtract(self._rows[step])
            window.start = start
        self.start = self._windows[0].start
        for step in left:
            self._forget(step)

    def _steps(self, first: int, end: int) -> list[int]:
        """Steps in [first, end) that have a row, by the cheaper of looking each up and looking through all."""
        if (end - first) // self._width <= len(self._rows):
            return [step for step in range(first, end, self._width) if step in self._rows]
        return [step for step in self._rows if first <= step < end]

    def _forget(self, step: int) -> None:
        self._pack_at.pop(step, None)
        for number, _good, _total in _cells(self._rows.pop(step)):
            self._names.release(number)

    def _pack(self, step: int, row: bytearray) -> None:
        """One cell for each series of the row, none where corrections cancelled out; the next packing waits for as many again."""
        sums: dict[int, tuple[int, int]] = {}
        for number, good, total in _cells(row):
            known = sums.get(number, (0, 0))
            sums[number] = (known[0] + good, known[1] + total)
            self._names.release(number)
        packed = bytearray()
        for number, (good, total) in sums.items():
            if good or total:
                packed += _pack(number, good, total)
                self._names.hold(number)
        self._rows[step] = packed
        self._pack_at[step] = max(_PACK_AT, 2 * len(packed))


def _cells(row: bytearray) -> Iterator[tuple[int, int, int]]:
    return _CELL.iter_unpack(row)
