"""The memory of window totals: events by key and time step, in packed rows that are subtracted when they expire."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
Cell = tuple[int, int, int]

CELL_BYTES = 12
"""A cell is three 32-bit integers: number of the key, good events, all events."""

MOST_EVENTS = (1 << 31) - 1
"""Largest count, either sign, of one change, and of a packed cell; sums beyond it are kept as Python integers."""

BEFORE_TIME = -(1 << 60)
"""Seconds since 1970 of a clock that nobody has set."""

AFTER_TIME = 1 << 60
"""A second that never comes."""

_PACK_AT = 16
_CELL = struct.Struct("iii")
_pack = _CELL.pack


class Uses:
    """How many cells speak of each number, and which numbers lost their last one."""

    def __init__(self) -> None:
        """No numbers."""
        self.held: list[int] = []
        self.idle: set[int] = set()

    def release(self, number: int) -> None:
        """One cell less."""
        self.held[number] -= 1
        if self.held[number] == 0:
            self.idle.add(number)


class Names(Generic[K]):
    """Small numbers for keys, used again when no cell speaks of a key any more."""

    def __init__(self) -> None:
        """Know no key."""
        self.keys: list[K | None] = []
        """Keys by number; None where the number is free."""
        self.uses = Uses()
        self._numbers: dict[K, int] = {}
        self._free: list[int] = []

    def number(self, key: K) -> int:
        """The number of a key, new or known."""
        number = self._numbers.get(key)
        if number is not None:
            return number
        if self._free:
            number = self._free.pop()
            self.keys[number] = key
        else:
            number = len(self.keys)
            self.keys.append(key)
            self.uses.held.append(0)
        self._numbers[key] = number
        return number

    def drop_idle(self) -> Iterator[tuple[K, int]]:
        """Forget the keys whose last cell is gone, and tell which: their counts are zero in every window."""
        idle, self.uses.idle = self.uses.idle, set()
        for number in idle:
            key = self.keys[number]
            if key is not None and self.uses.held[number] == 0:
                del self._numbers[key]
                self.keys[number] = None
                self._free.append(number)
                yield key, number


class Window:
    """Totals of one window, by number. ``start`` is its first second that counts, a multiple of the step."""

    __slots__ = ("good", "seconds", "start", "total")

    def __init__(self, length: timedelta) -> None:
        self.seconds = length // timedelta(seconds=1)
        self.start = BEFORE_TIME
        self.good: list[int] = []
        self.total: list[int] = []

    def widen(self, columns: int) -> None:
        """Have room for that many keys."""
        while len(self.good) < columns:
            self.good.append(0)
            self.total.append(0)

    def subtract(self, cells: Iterable[Cell], touched: set[int]) -> None:
        """Take out what has left the window, and name it in ``touched``."""
        for number, good, total in cells:
            self.good[number] -= good
            self.total[number] -= total
            touched.add(number)


class Filling(NamedTuple):
    """What a scale holds after a rebuild, made elsewhere in one go.

    ``rows``: packed cells by step, one for each number of the step. ``wide``: those that are too large to be packed.
    ``good``, ``total``: sums by number, of each window from the longest to the shortest. ``uses``: cells by number.
    """

    rows: dict[int, bytearray]
    wide: dict[int, list[Cell]]
    good: list[list[int]]
    total: list[list[int]]
    uses: list[int]


class Scale:
    """All windows that are read in steps of one width, and the rows of cells that they share: one row a step.

    ``start`` is the first second that any of the windows still holds.
    """

    def __init__(self, width: int, windows: Iterable[Window], uses: Uses, touched: set[int]) -> None:
        """Steps of ``width`` seconds; ``touched`` is given every number whose counts may have changed."""
        self.width = width
        self.start = BEFORE_TIME
        self._windows = sorted(windows, key=lambda window: -window.seconds)
        self._uses = uses
        self._touched = touched
        self._rows: dict[int, bytearray] = {}
        self._wide: dict[int, list[Cell]] = {}
        self._pack_at: dict[int, int] = {}

    @property
    def starts(self) -> list[int]:
        """First second of each window, from the longest to the shortest: ascending."""
        return [window.start for window in self._windows]

    def add(self, cells: Iterable[tuple[int, int, int, int]]) -> None:
        """Count events in each window that holds them: (number, second, good, total), no second before ``start``.

        Windows hold one another, so the sums of one number are taken by the shortest window that holds them, and added up
        once, from there to the longest.
        """
        width, rows, held, starts = self.width, self._rows, self._uses.held, self.starts
        sums: list[dict[int, list[int]]] = [{} for _ in range(len(starts) + 1)]
        steps: set[int] = set()
        known_step = BEFORE_TIME
        for number, second, good, total in cells:
            step = second - second % width
            if step != known_step:  # cells come in time order, mostly
                known_step = step
                row = rows.setdefault(step, bytearray())
                band = sums[bisect_right(starts, step)]
                steps.add(step)
            try:
                row += _pack(number, good, total)
            except struct.error:
                self._wide.setdefault(step, []).append((number, good, total))
            held[number] += 1
            sum_ = band.get(number)
            if sum_ is None:
                band[number] = [good, total]
            else:
                sum_[0] += good
                sum_[1] += total
        for holders, band in enumerate(sums):
            self._count(self._windows[:holders], band)
        for step in steps:
            if self._size(step) >= self._pack_at.get(step, _PACK_AT):
                self._pack(step)

    def fill(self, filling: Filling) -> None:
        """Take over what a rebuild counted, into a scale that holds nothing yet."""
        self._rows, self._wide = filling.rows, filling.wide
        self._pack_at = {step: 2 * size for step in filling.rows if (size := self._size(step)) > _PACK_AT // 2}
        for window, good, total in zip(self._windows, filling.good, filling.total, strict=True):
            window.good, window.total = good, total
        for number, uses in enumerate(filling.uses):
            self._uses.held[number] += uses

    def advance(self, second: int) -> None:
        """Move the windows on to ``second``; rows that leave the longest one are forgotten."""
        left: list[int] = []
        for window in reversed(self._windows):
            start = (second - window.seconds) // self.width * self.width
            left = self._steps(window.start, start)
            for step in left:
                window.subtract(self._cells(step), self._touched)
            window.start = start
        self.start = self._windows[0].start
        for step in left:
            self._forget(step)

    def _count(self, windows: Sequence[Window], band: Mapping[int, Sequence[int]]) -> None:
        self._touched.update(band)
        for number, (good, total) in band.items():
            for window in windows:
                window.good[number] += good
                window.total[number] += total

    def _steps(self, first: int, end: int) -> list[int]:
        """Steps in [first, end) that have a row, by the cheaper of looking each up and looking through all."""
        if (end - first) // self.width <= len(self._rows):
            return [step for step in range(first, end, self.width) if step in self._rows]
        return [step for step in self._rows if first <= step < end]

    def _forget(self, step: int) -> None:
        for number, _good, _total in self._cells(step):
            self._uses.release(number)
        del self._rows[step]
        self._wide.pop(step, None)
        self._pack_at.pop(step, None)

    def _pack(self, step: int) -> None:
        """One cell for each number of the row, none where corrections cancelled out; the next packing waits for as many again."""
        sums: dict[int, tuple[int, int]] = {}
        for number, good, total in self._cells(step):
            known = sums.get(number, (0, 0))
            sums[number] = (known[0] + good, known[1] + total)
            self._uses.release(number)
        row, wide = bytearray(), []
        for number, (good, total) in sums.items():
            if good or total:
                try:
                    row += _pack(number, good, total)
                except struct.error:
                    wide.append((number, good, total))
                self._uses.held[number] += 1
        self._rows[step] = row
        self._wide.pop(step, None)
        if wide:
            self._wide[step] = wide
        self._pack_at[step] = max(_PACK_AT, 2 * self._size(step))

    def _size(self, step: int) -> int:
        return len(self._rows[step]) // CELL_BYTES + len(self._wide.get(step, ()))

    def _cells(self, step: int) -> Iterator[Cell]:
        return chain(_CELL.iter_unpack(self._rows[step]), self._wide.get(step, ()))
