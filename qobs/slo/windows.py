"""Good and total events of every window, kept up to date instead of counted again (event time, integers only).

**What lies inside a window.** The stored buckets are 10 s wide. A window of length W is read in steps of w: 10 s for W up
to 1 h, 1 min up to 6 h, 5 min beyond. At the moment ``now`` it holds exactly the events of the half-open interval ::

    [floor((now - W) / w) * w,  floor(now / 10 s) * 10 s + 10 s)

so every event of the last W is inside; at the far edge, events up to one step w older than W are inside as well; and at
the near edge the running 10 s bucket is inside whole. Events of later buckets are held until their time comes.

**Cost.** An event costs O(windows). A tick costs O(windows + buckets that left one). Reading costs nothing more.
**Memory.** One cell of 12 bytes for each (series, step) that has events, at most twice that before a busy step is packed, in
each of the three scales as far back as its longest window; a series without a cell is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

from qobs.model import BUCKET_SECONDS, EPOCH, Counts, Delta, Series
from qobs.slo.cells import BEFORE_TIME, MOST_EVENTS, Names, Scale, Window

WINDOWS = (
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=7),
    timedelta(days=30),
    timedelta(days=90),
)
"""Default windows: those of the burn-rate alerts, and the usual budget periods."""

NO_EVENTS = Counts(0, 0)

_SECOND = timedelta(seconds=1)
_MOST_PENDING = 4096


def step_seconds(window: timedelta) -> int:
    """Width of the buckets that a window is read in.

    Example:
        >>> [step_seconds(timedelta(hours=hours)) for hours in (1, 6, 24)]
        [10, 60, 300]
    """
    if window <= timedelta(hours=1):
        return BUCKET_SECONDS
    return 60 if window <= timedelta(hours=6) else 300


class WindowTotals:
    """Running totals of each series and window. Not thread-safe: one owner adds, advances and reads.

    Until the first :meth:`advance` there is no "now", and everything added is held.
    """

    _now: int
    _ahead: dict[int, list[Delta]]
    _pending: list[Delta]
    _names: Names
    _width: int
    _columns: dict[timedelta, Window]
    _scales: list[Scale]

    def __init__(self, windows: tuple[timedelta, ...] = WINDOWS) -> None:
        """Keep totals for ``windows``.

        Raises:
            ValueError: A window is not a positive whole number of its steps, or is named twice.
        """
        _check(windows)
        self.windows = windows
        self._clear()

    def add(self, delta: Delta) -> None:
        """Follow one committed change: late ones reach the windows that still hold their time, older ones none.

        Raises:
            ValueError: The change is of more events than a cell holds (two thousand million).
        """
        _, bucket, good, total = delta
        if not (-MOST_EVENTS <= good <= MOST_EVENTS and -MOST_EVENTS <= total <= MOST_EVENTS):
            raise ValueError(f"`delta` must be of at most {MOST_EVENTS} events, but good={good} and total={total}.")
        if bucket > self._now:
            self._ahead.setdefault(bucket, []).append(delta)
            return
        self._pending.append(delta)
        if len(self._pending) >= _MOST_PENDING:
            self._settle()

    def advance(self, now: datetime) -> None:
        """Move every window to ``now``. A clock that steps back is ignored: totals stay those of the latest moment."""
        second = (now - EPOCH) // _SECOND
        if second <= self._now:
            return
        self._settle()
        self._now = second
        for scale in self._scales:
            scale.advance(second)
        for bucket in [bucket for bucket in self._ahead if bucket <= second]:
            for delta in self._ahead.pop(bucket):
                self.add(delta)
        self._names.drop_idle()

    def rebuild(self, deltas: Iterable[Delta], now: datetime) -> None:
        """Forget everything and count again, at ``now``: ``deltas`` are all stored buckets that may lie inside a window."""
        self._clear()
        self.advance(now)
        for delta in deltas:
            self.add(delta)

    def read(self, series: Series, window: timedelta) -> Counts:
        """Counts of one series in one of the windows; (0, 0) where nothing happened.

        Raises:
            KeyError: ``window`` is not one of :attr:`windows`.
        """
        self._settle()
        column = self._columns[window]
        number = self._names.find(series)
        return NO_EVENTS if number is None else Counts(column.good[number], column.total[number])

    def all(self) -> Mapping[Series, tuple[Counts, ...]]:
        """Counts of every series that has events in any window, in the order of :attr:`windows`."""
        self._settle()
        make = partial(tuple.__new__, Counts)
        columns = [list(map(make, zip(column.good, column.total, strict=True))) for column in self._columns.values()]
        rows = list(zip(*columns, strict=True))
        return {series: rows[number] for series, number in self._names.known()}

    @property
    def cells(self) -> int:
        """Stored cells, of :data:`qobs.slo.cells.CELL_BYTES` each: what memory grows with."""
        self._settle()
        return self._names.cells

    def _settle(self) -> None:
        """Count what was added since the last look: all at once costs a third of one by one (benchmarks/bench_normalize.py)."""
        pending, self._pending = self._pending, []
        longest = self._scales[0].start if self._scales else 0
        cells = [(self._number(series), bucket, good, total) for series, bucket, good, total in pending if bucket >= longest]
        for scale in self._scales:
            cells = [cell for cell in cells if cell[1] >= scale.start]
            if not cells:
                return
            scale.add(cells)

    def _clear(self) -> None:
        self._now = BEFORE_TIME
        self._ahead = {}
        self._pending = []
        self._names = Names()
        self._width = 0
        self._columns = {window: Window(window) for window in self.windows}
        by_step: dict[int, list[Window]] = {}
        for window, column in self._columns.items():
            by_step.setdefault(step_seconds(window), []).append(column)
        # The widest steps belong to the longest windows: what is too old for them is too old for all that follow.
        self._scales = [Scale(width, by_step[width], self._names) for width in sorted(by_step, reverse=True)]

    def _number(self, series: Series) -> int:
        """The series' place in every column; a new one starts at zero."""
        number = self._names.number(series)
        if number == self._width:
            self._width += 1
            for column in self._columns.values():
                column.widen(self._width)
        return number


def _check(windows: tuple[timedelta, ...]) -> None:
    for window in windows:
        if window <= timedelta() or window % timedelta(seconds=step_seconds(window)):
            raise ValueError(f"`windows` must be whole numbers of {step_seconds(window)} s, but one is {window}.")
    if len(set(windows)) != len(windows):
        raise ValueError("`windows` must differ, but one is named twice.")
