"""Whole columns of counts at once: sorted, summed and packed into what window totals are rebuilt from (numpy, exact integers)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qobs.slo.cells import CELL_BYTES, MOST_EVENTS, Cell, Filling

Integers = NDArray[np.int64]

if TYPE_CHECKING:
    Column = array[int] | NDArray[np.integer[Any]]


class Cells(NamedTuple):
    """Counts by time and number, column by column, of one length: ``seconds`` since 1970, ``numbers``, ``good``, ``total``."""

    seconds: Integers
    numbers: Integers
    good: Integers
    total: Integers

    def between(self, first: int, end: int) -> Cells:
        """Those with ``first`` <= second < ``end``; in order of time it costs nothing."""
        seconds = self.seconds
        if bool(np.all(seconds[:-1] <= seconds[1:])):
            inside: Any = slice(*np.searchsorted(seconds, (first, end)).tolist())
        else:
            inside = (seconds >= first) & (seconds < end)
        return Cells(*(column[inside] for column in self))

    def used(self, count: int) -> list[int]:
        """Which of the numbers below ``count`` occur, ascending."""
        seen = np.zeros(count, dtype=np.bool_)
        seen[self.numbers] = True
        found: list[int] = np.flatnonzero(seen).tolist()
        return found

    def renumbered(self, numbers: Sequence[int]) -> Cells:
        """With each number replaced by what ``numbers`` has at its place."""
        return self._replace(numbers=np.asarray(numbers, dtype=np.int64)[self.numbers])


def cells_of(starts: Column, numbers: Column, good: Column, total: Column) -> Cells:
    """Columns as numpy sees them; arrays of 64 bits are not copied."""
    return Cells(*(np.asarray(column).astype(np.int64, copy=False) for column in (starts, numbers, good, total)))


def joined(parts: Iterable[Cells]) -> Cells:
    """Several one after the other."""
    return Cells(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def filling(cells: Cells, width: int, starts: Sequence[int], count: int) -> Filling:
    """What a scale of steps of ``width`` seconds holds: ``starts`` of its windows ascending, numbers below ``count``."""
    summed = _summed(cells, width, count)
    good, total = _nested_sums(summed, starts, count)
    rows, wide = _packed(summed)
    return Filling(rows, wide, good, total, np.bincount(summed.numbers, minlength=count).tolist())


def _summed(cells: Cells, width: int, count: int) -> Cells:
    """One cell for each step and number, in order of steps; none where the counts cancel out. Seconds are the steps."""
    if not len(cells.seconds):
        return cells
    place = cells.seconds // width * max(count, 1) + cells.numbers
    good, total = cells.good, cells.total
    if not bool(np.all(place[:-1] <= place[1:])):
        order = np.argsort(place, kind="stable")
        place, good, total = place[order], good[order], total[order]
    firsts = np.concatenate(([0], np.flatnonzero(place[:-1] != place[1:]) + 1))
    good, total = np.add.reduceat(good, firsts), np.add.reduceat(total, firsts)
    kept = (good != 0) | (total != 0)
    step, number = np.divmod(place[firsts][kept], max(count, 1))
    return Cells(step * width, number, good[kept], total[kept])


def _nested_sums(cells: Cells, starts: Sequence[int], count: int) -> tuple[list[list[int]], list[list[int]]]:
    """Sums of good and of all events by number, of each window: every cell is counted in the shortest window that holds it."""
    sums = np.zeros((2, len(starts), count), dtype=np.int64)
    ends = [*np.searchsorted(cells.seconds, starts).tolist(), len(cells.seconds)]
    for place, (first, end) in enumerate(pairwise(ends)):
        for column, counts in enumerate((cells.good, cells.total)):
            np.add.at(sums[column, place], cells.numbers[first:end], counts[first:end])
    nested = np.cumsum(sums[:, ::-1], axis=1)[:, ::-1]
    return nested[0].tolist(), nested[1].tolist()


def _packed(cells: Cells) -> tuple[dict[int, bytearray], dict[int, list[Cell]]]:
    """Rows of packed cells by step, and the cells that are too large for it."""
    large = (np.abs(cells.good) > MOST_EVENTS) | (np.abs(cells.total) > MOST_EVENTS)
    wide: dict[int, list[Cell]] = {}
    for second, number, good, total in zip(*(column[large].tolist() for column in cells), strict=True):
        wide.setdefault(second, []).append((number, good, total))
    seconds = cells.seconds[~large]
    packed = np.empty((len(seconds), 3), dtype=np.int32)
    for place, column in enumerate((cells.numbers, cells.good, cells.total)):
        packed[:, place] = column[~large]
    steps, firsts = np.unique(seconds, return_index=True)
    memory = memoryview(packed.tobytes())
    ends = [CELL_BYTES * first for first in [*firsts.tolist(), len(seconds)]]
    rows = {step: bytearray(memory[ends[place] : ends[place + 1]]) for place, step in enumerate(steps.tolist())}
    for step in wide:
        rows.setdefault(step, bytearray())
    return rows, wide
