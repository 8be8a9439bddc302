"""The memory of window totals: events by series and time step, in packed rows that are subtracted when they expire."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from datetime import timedelta

from qobs.model import Series

CELL_BYTES = 12
"""A cell is three 32-bit integers: series number, good events, all events."""

MOST_EVENTS = (1 << 31) - 1
"""Largest count, either sign, that a cell holds."""

BEFORE_TIME = -(1 << 60)
"""Seconds since 1970 of a clock that nobody has set."""

_PACK_AT = 3 * 16


class Names:
    """Small numbers for series, used again when no cell speaks of a series any more."""

    def __init__(self) -> None:
        """Know no series."""
        self._numbers: dict[Series, int] = {}
        self._series: list[Series | None] = []
        self._cells: list[int] = []
        self._free: list[int] = []
        self._idle: set[int] = set()

    @property
    def cells(self) -> int:
        """Cells of all series."""
        return sum(self._cells)

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
            self._cells.append(0)
        self._numbers[series] = number
        return number

    def hold(self, number: int) -> None:
        """One cell more speaks of the series."""
        self._cells[number] += 1

    def release(self, number: int) -> None:
        """One cell less."""
        self._cells[number] -= 1
        if self._cells[number] == 0:
            self._idle.add(number)

    def drop_idle(self) -> None:
        """Forget the series whose last cell is gone."""
        for number in self._idle:
            series = self._series[number]
            if series is not None and self._cells[number] == 0:
                del self._numbers[series]
                self._series[number] = None
                self._free.append(number)
        self._idle.clear()

    def known(self) -> Iterator[tuple[Series, int]]:
        """Every series that has cells, with its number."""
        return ((series, number) for series, number in self._numbers.items() if self._cells[number])


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

    def subtract(self, row: array[int]) -> None:
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
        self._rows: dict[int, array[int]] = {}
        self._pack_at: dict[int, int] = {}

    def add(self, number: int, second: int, good: int, total: int) -> None:
        """Count events at ``second``, which is not before ``start``, in each window that holds it."""
        step = second - second % self._width
        row = self._rows.get(step)
        if row is None:
            row = self._rows[step] = array("i")
        row.extend((number, good, total))
        self._names.hold(number)
        for window in self._windows:
            if step < window.start:
                break
            window.good[number] += good
            window.total[number] += total
        if len(row) >= _PACK_AT and len(row) >= self._pack_at.get(step, _PACK_AT):
            self._pack(step, row)

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

    def _pack(self, step: int, row: array[int]) -> None:
        """One cell for each series of the row, none where corrections cancelled out; the next packing waits for as many again."""
        sums: dict[int, tuple[int, int]] = {}
        for number, good, total in _cells(row):
            known = sums.get(number, (0, 0))
            sums[number] = (known[0] + good, known[1] + total)
            self._names.release(number)
        packed = array("i")
        for number, (good, total) in sums.items():
            if good or total:
                packed.extend((number, good, total))
                self._names.hold(number)
        self._rows[step] = packed
        self._pack_at[step] = max(_PACK_AT, 2 * len(packed))


def _cells(row: array[int]) -> Iterator[tuple[int, int, int]]:
    values = iter(row)
    return zip(values, values, values, strict=True)
