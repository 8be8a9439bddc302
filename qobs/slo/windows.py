"""Good and total events of every window, kept up to date instead of counted again (event time, integers only).

**What lies inside a window.** The stored buckets are 10 s wide. A window of length W is read in steps of w: 10 s for W up
to 1 h, 1 min up to 6 h, 5 min up to 3 d, 1 h beyond. At the moment ``now`` it holds exactly the events of the half-open
interval ::

    [floor((now - W) / w) * w,  floor(now / 10 s) * 10 s + 10 s)

so every event of the last W is inside; at the far edge, events up to one step w older than W are inside as well (1.2 % of a
week, 0.14 % of 30 days); and at the near edge the running 10 s bucket is inside whole. Events of later buckets are held
until their time comes.

**Cost.** An event costs O(windows). A tick costs O(windows + steps that left one). Reading costs O(keys that changed).
**Memory.** One cell of 12 bytes for each (key, step) that has events, at most twice that before a busy step is packed, in
each of the four scales as far back as its longest window; a key without a cell is forgotten.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

from qobs.columns import HOUR_SECONDS
from qobs.model import BUCKET_SECONDS, EPOCH, Counts, Delta, Series
from qobs.slo.cells import AFTER_TIME, BEFORE_TIME, MOST_EVENTS, Names, Scale, Window

if TYPE_CHECKING:
    from qobs.slo.columns_cells import Cells, Column

K = TypeVar("K", bound=Hashable)

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


class KeyedColumns(NamedTuple, Generic[K]):
    """Many buckets at once, column by column: :class:`qobs.columns.Columns` for any kind of key.

    ``starts`` are seconds since 1970, ``numbers`` are places in ``keys``, ``good`` and ``total`` are counts; the four are
    of one length, as arrays of the standard library or of numpy. Rows in order of time are read fastest; a key may stand at
    several places, and several rows may be of one key and time: counts add.
    """

    keys: Sequence[K]
    starts: Column
    numbers: Column
    good: Column
    total: Column


def step_seconds(window: timedelta) -> int:
    """Width of the buckets that a window is read in.

    Example:
        >>> [step_seconds(timedelta(hours=hours)) for hours in (1, 6, 24, 24 * 7)]
        [10, 60, 300, 3600]
    """
    if window <= timedelta(hours=1):
        return BUCKET_SECONDS
    if window <= timedelta(hours=6):
        return 60
    return 300 if window <= timedelta(days=3) else HOUR_SECONDS


def needed(windows: Sequence[timedelta], now: datetime) -> tuple[datetime, datetime]:
    """Since when :meth:`Totals.rebuild` needs the hours, and the buckets: each a whole number of its steps since 1970.

    Example:
        >>> from datetime import UTC
        >>> hours, buckets = needed((timedelta(days=1), timedelta(days=7)), datetime(2026, 3, 9, 12, 34, 56, tzinfo=UTC))
        >>> str(hours), str(buckets)
        ('2026-03-02 12:00:00+00:00', '2026-03-08 12:30:00+00:00')
    """
    second = (now - EPOCH) // _SECOND
    running = second - second % HOUR_SECONDS
    hours, buckets = [running], [running]
    for window in windows:
        step = step_seconds(window)
        start = (second - window // _SECOND) // step * step
        (hours if step == HOUR_SECONDS else buckets).append(start)
    return EPOCH + timedelta(seconds=min(hours)), EPOCH + timedelta(seconds=min(buckets))


class Totals(Generic[K]):
    """Running totals of each key and window. Not thread-safe: one owner adds, advances and reads.

    Until the first :meth:`advance` there is no "now", and everything added is held.
    """

    _now: int
    _ahead: dict[int, list[tuple[K, int, int, int]]]
    _pending: list[tuple[K, int, int, int]]
    _names: Names[K]
    _width: int
    _columns: dict[timedelta, Window]
    _scales: list[Scale]
    _touched: set[int]
    _shown: dict[K, tuple[Counts, ...]]

    def __init__(self, windows: tuple[timedelta, ...] = WINDOWS) -> None:
        """Keep totals for ``windows``.

        Raises:
            ValueError: A window is not a positive whole number of its steps, or is named twice.
        """
        _check(windows)
        self.windows = windows
        self._places = {window: place for place, window in enumerate(windows)}
        self._changed: set[K] = set()
        self._clear()

    def add(self, key: K, bucket: int, good: int, total: int) -> None:
        """Count events of a bucket (its start, seconds since 1970): late ones reach the windows that still hold their time.

        Raises:
            ValueError: The change is of more events than a cell holds (two thousand million).
        """
        if not (-MOST_EVENTS <= good <= MOST_EVENTS and -MOST_EVENTS <= total <= MOST_EVENTS):
            raise ValueError(f"A change must be of at most {MOST_EVENTS} events, but good={good} and total={total}.")
        self._take(key, bucket, good, total)

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
            for held in self._ahead.pop(bucket):
                self._take(*held)
        self._drop_idle()

    def rebuild(self, hours: KeyedColumns[K], buckets: KeyedColumns[K], now: datetime) -> None:
        """Forget everything and count again, at ``now``; :func:`needed` tells since when each is needed, more does no harm.

        ``hours`` (sums of whole hours) feed the windows that are read in hours, up to the hour that is running at ``now``:
        its sum may hold events that are ahead, so that hour is read from ``buckets``, as all shorter windows are. What is
        later than ``now`` is taken from ``buckets`` and held.
        """
        from qobs.slo.columns_cells import cells_of, filling, joined

        self._changed.update(self._shown)
        self._clear()
        self.advance(now)
        end, running = self._now + 1, self._now - self._now % HOUR_SECONDS
        fine = cells_of(*buckets[1:])
        for second, number, good, total in zip(*(column.tolist() for column in fine.between(end, AFTER_TIME)), strict=True):
            self._take(buckets.keys[number], second, good, total)
        starts = {scale.width: scale.start for scale in self._scales}
        long = starts.pop(HOUR_SECONDS, running)
        fine = self._numbered(buckets.keys, fine.between(min([running, *starts.values()]), end))
        whole = self._numbered(hours.keys, cells_of(*hours[1:]).between(long, running))
        for scale in self._scales:
            cells = fine.between(scale.start, end)
            if scale.width == HOUR_SECONDS:
                cells = joined((whole, fine.between(running, end)))
            scale.fill(filling(cells, scale.width, scale.starts, self._width))
        self._touched.update(range(self._width))
        self._names.uses.idle.update(self._touched)
        self._drop_idle()

    def read(self, key: K, window: timedelta) -> Counts:
        """Counts of one key in one of the windows; (0, 0) where nothing happened.

        Raises:
            KeyError: ``window`` is not one of :attr:`windows`.
        """
        place = self._places[window]
        self._show()
        counts = self._shown.get(key)
        return NO_EVENTS if counts is None else counts[place]

    def all(self) -> Mapping[K, tuple[Counts, ...]]:
        """Counts of every key that has a count other than zero in any window, in the order of :attr:`windows`."""
        self._show()
        return self._shown.copy()

    def take_changed(self) -> set[K]:
        """Keys of which any count has become another since the last call, by an event or by one that left a window.

        A key whose count changed and changed back is named only if someone looked in between (any of :meth:`read`,
        :meth:`all` and this); after :meth:`rebuild` every key is named that has counts, or had.
        """
        self._show()
        changed, self._changed = self._changed, set()
        return changed

    @property
    def cells(self) -> int:
        """Stored cells, of :data:`qobs.slo.cells.CELL_BYTES` each: what memory grows with."""
        self._settle()
        return sum(self._names.uses.held)

    def _take(self, key: K, bucket: int, good: int, total: int) -> None:
        if bucket > self._now:
            self._ahead.setdefault(bucket, []).append((key, bucket, good, total))
            return
        self._pending.append((key, bucket, good, total))
        if len(self._pending) >= _MOST_PENDING:
            self._settle()

    def _settle(self) -> None:
        """Count what was added since the last look: all at once costs a third of one by one (benchmarks/bench_normalize.py)."""
        pending, self._pending = self._pending, []
        longest = self._scales[0].start if self._scales else AFTER_TIME
        cells = [(self._number(key), bucket, good, total) for key, bucket, good, total in pending if bucket >= longest]
        for scale in self._scales:
            cells = [cell for cell in cells if cell[1] >= scale.start]
            if not cells:
                return
            scale.add(cells)

    def _show(self) -> None:
        """Bring what is shown up to the counts, and note the keys where that made a difference."""
        if self._pending:
            self._settle()
        if not self._touched:
            return
        keys, shown, none = self._names.keys, self._shown, (NO_EVENTS,) * len(self.windows)
        numbers = list(self._touched)
        for number, row in zip(numbers, self._counts(numbers), strict=True):
            key = cast(K, keys[number])
            if row == shown.get(key, none):
                continue
            self._changed.add(key)
            if row == none:
                del shown[key]
            else:
                shown[key] = row
        self._touched.clear()

    def _counts(self, numbers: Sequence[int]) -> Iterator[tuple[Counts, ...]]:
        """Counts of each number in every window, made column by column: at a full hour most keys change at once."""
        make, columns = partial(tuple.__new__, Counts), []
        for window in self._columns.values():
            pairs = zip(map(window.good.__getitem__, numbers), map(window.total.__getitem__, numbers), strict=True)
            columns.append(map(make, pairs))
        return zip(*columns, strict=True)

    def _clear(self) -> None:
        self._now = BEFORE_TIME
        self._ahead = {}
        self._pending = []
        self._names = Names()
        self._width = 0
        self._touched = set()
        self._shown = {}
        self._columns = {window: Window(window) for window in self.windows}
        by_step: dict[int, list[Window]] = {}
        for window, column in self._columns.items():
            by_step.setdefault(step_seconds(window), []).append(column)
        # The widest steps belong to the longest windows: what is too old for them is too old for all that follow.
        uses, touched = self._names.uses, self._touched
        self._scales = [Scale(width, by_step[width], uses, touched) for width in sorted(by_step, reverse=True)]

    def _drop_idle(self) -> None:
        for key, number in self._names.drop_idle():
            self._touched.discard(number)
            if self._shown.pop(key, None) is not None:
                self._changed.add(key)

    def _number(self, key: K) -> int:
        """The key's place in every column; a new one starts at zero."""
        number = self._names.number(key)
        if number == self._width:
            self._width += 1
            for column in self._columns.values():
                column.widen(self._width)
        return number

    def _numbered(self, keys: Sequence[K], cells: Cells) -> Cells:
        """The cells with places in ``keys`` replaced by our numbers; keys without a cell get none."""
        numbers = [0] * len(keys)
        for place in cells.used(len(keys)):
            numbers[place] = self._number(keys[place])
        return cells.renumbered(numbers)


class WindowTotals(Totals[Series]):
    """Totals of every SLI series: what the store's committed changes are followed by."""

    def add_delta(self, delta: Delta) -> None:
        """Follow one committed change; see :meth:`add`."""
        self.add(*delta)


def _check(windows: tuple[timedelta, ...]) -> None:
    for window in windows:
        if window <= timedelta() or window % timedelta(seconds=step_seconds(window)):
            raise ValueError(f"`windows` must be whole numbers of {step_seconds(window)} s, but one is {window}.")
    if len(set(windows)) != len(windows):
        raise ValueError("`windows` must differ, but one is named twice.")
