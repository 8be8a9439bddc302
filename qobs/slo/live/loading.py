"""Counting again from the store: at the start, after a reload, and when exclusions change.

Long windows and the calendar are read from kept sums of hours, all else from buckets; both become columns of streams at once.
Hours that an exclusion or a calendar boundary cuts are read bucket by bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from qobs.columns import HOUR_SECONDS, Columns
from qobs.model import BUCKET_SECONDS, EPOCH, Delta, Series
from qobs.slo.live.building import Book, Building
from qobs.slo.live.ledger import RATE_SECONDS, Ledger, earliest, second_of
from qobs.slo.live.part import Counted
from qobs.slo.live.reader import BucketReader
from qobs.slo.live.score import REPLAY_SECONDS
from qobs.slo.live.slicing import Told
from qobs.slo.live.streams import Integers, Rows
from qobs.slo.live.tape import KEEP
from qobs.slo.windows import KeyedColumns, Totals, needed

_LAST = 3
_RATE_SLACK = 4 * 86_400

Triples = list[tuple[int, int, int]]


class Sorted(NamedTuple):
    """Rows summed by stream and start, in that order: the bounds of each stream's stretch, and the three columns."""

    bounds: Mapping[int, tuple[int, int]]
    starts: Integers
    good: Integers
    total: Integers

    def of(self, stream: int) -> Triples:
        """(start, good, total) of one stream, in order of time."""
        begin, end = self.bounds.get(stream, (0, 0))
        columns = (self.starts, self.good, self.total)
        return list(zip(*(column[begin:end].tolist() for column in columns), strict=True))


class Loaded(NamedTuple):
    """What was read: whole hours before the one that runs, and buckets since :attr:`since`, both by stream."""

    hours: Rows
    buckets: Rows
    since: int
    hour_series: tuple[Series, ...]
    bucket_series: tuple[Series, ...]
    ahead: tuple[Delta, ...]
    """Changes of buckets that have not begun yet."""


class Loader:
    """Reads one store at one moment for one set of objectives."""

    def __init__(self, building: Building, reader: BucketReader, now: datetime) -> None:
        """Nothing is read before :meth:`read`."""
        self._building = building
        self._reader = reader
        self._now = now
        self.second = second_of(now)
        self._running = self.second - self.second % HOUR_SECONDS
        self.first = reader.first_buckets()
        """When each series began."""

    def read(self) -> Loaded:
        """Hours and buckets, once for each stream that they feed; exclusions are taken out."""
        building = self._building
        hours_from, buckets_from = (second_of(at) for at in needed(building.windows, self._now))
        ledgers = [ledger for counted in building.counted.values() for ledger in counted.ledgers.values()]
        for ledger in ledgers:
            ledger.move(self._now)
        hours_from = min([hours_from, *(earliest(ledger.edges) for ledger in ledgers)])
        if any(counted.rate is not None for counted in building.counted.values()):
            hours_from = min(hours_from, self._running - RATE_SECONDS - _RATE_SLACK)
        replay_from = (self.second - REPLAY_SECONDS) // HOUR_SECONDS * HOUR_SECONDS
        buckets_from = min(buckets_from, replay_from)
        fine = self._reader.bucket_columns(_at(buckets_from))
        buckets = building.streams.rows(fine, width=BUCKET_SECONDS)
        whole = self._reader.hour_columns(_at(hours_from))
        return Loaded(
            self._hours(whole, hours_from),
            buckets.where(buckets.starts <= self.second),
            buckets_from,
            whole.series,
            fine.series,
            tuple(_ahead(fine, self.second)),
        )

    def _hours(self, columns: Columns, since: int) -> Rows:
        rows = self._building.streams.rows(columns, width=HOUR_SECONDS)
        rows = rows.where(rows.starts < self._running)
        cut = self._building.streams.cut_hours(columns.series)
        pieces = [self._cut_hour(hour, series, columns.series) for hour, series in cut.items() if since <= hour < self._running]
        return _joined([rows, *pieces])

    def _cut_hour(self, hour: int, series: Iterable[Series], places: Sequence[Series]) -> Rows:
        """What an exclusion leaves of an hour, for the streams that the hour was left out of."""
        streams = self._building.streams
        fine = self._reader.bucket_columns(_at(hour), _at(hour + HOUR_SECONDS), series=series)
        rows = streams.rows(fine, width=BUCKET_SECONDS)
        lacking = [streams.lacking(each, hour) for each in fine.series]
        kept = np.array(
            [stream in lacking[place] for stream, place in zip(rows.streams.tolist(), rows.series.tolist(), strict=True)],
            dtype=np.bool_,
        )
        rows = rows.where(kept)
        there = {each: place for place, each in enumerate(places)}
        place = np.array([there[each] for each in fine.series], dtype=np.int64)[rows.series]
        return rows._replace(starts=np.full(len(rows.starts), hour, dtype=np.int64), series=place)

    def ledger_rows(self, counted: Counted, ledger: Ledger, hours: Sorted, buckets: Sorted) -> Iterator[Told]:
        """All that a calendar's sums are made of: hours, but buckets where a boundary cuts one, and for the running hour."""
        cut = {edge - edge % HOUR_SECONDS for edge in ledger.edges if edge % HOUR_SECONDS and edge < self._running}
        yield from (row for row in hours.of(counted.number) if row[0] not in cut)
        yield from (row for row in buckets.of(counted.number) if row[0] >= self._running)
        for hour in cut:
            yield from self.bucket_rows([counted.number], hour, hour + HOUR_SECONDS).of(counted.number)

    def bucket_rows(self, streams: Iterable[int], since: int, until: int) -> Sorted:
        """Buckets of [``since``, ``until``) of these streams alone."""
        wanted = set(streams)
        series = self._building.streams.feeding(wanted, self.first)
        columns = self._reader.bucket_columns(_at(since), _at(until), series=series)
        return by_stream(self._building.streams.rows(columns, width=BUCKET_SECONDS).of(wanted))

    def begin(self, hours: Sorted, buckets: Sorted) -> None:
        """Tell every stream when it began: its first bucket, or its first hour where that bucket is excluded."""
        for series, at in self.first.items():
            for route in self._building.streams.routes(series):
                counted, second = self._building.counted[route.stream], second_of(at)
                if not route.holds(second):
                    counted.began = second if counted.began is None else min(counted.began, second)
                elif found := (hours.of(route.stream) or buckets.of(route.stream)):
                    counted.began = found[0][0] if counted.began is None else min(counted.began, found[0][0])

    def fill_tape(self, counted: Counted, loaded: Loaded, hours: Sorted, rows: Triples, young: int) -> None:
        """The newest events: those since ``young``, and the last ones before, however old."""
        older, since = [row for row in rows if row[0] < young], loaded.since
        if sum(row[2] for row in rows) < _LAST:
            found, needed_events = None, _LAST
            for hour, _, total in reversed(hours.of(counted.number)):
                if hour < loaded.since and needed_events > 0:
                    found, needed_events = hour, needed_events - total
            if found is not None:
                older = self.bucket_rows([counted.number], found, loaded.since).of(counted.number) + older
                since = found
        events, kept = 0, len(older)
        while kept and events < KEEP:
            kept -= 1
            events += older[kept][2]
        complete_from = older[kept - 1][0] + 1 if kept else since
        counted.tape.fill([*older[kept:], *(row for row in rows if row[0] >= young)], complete_from)

    def fill_slices(self, books: Sequence[Book]) -> None:
        """Give every slice what its streams had in it."""
        for book in books:
            since = book.slices.oldest(self.second)
            rows = self.bucket_rows([member.stream for member in book.slices.members], since, self.second + 1)
            for place, member in enumerate(book.slices.members):
                for bucket, good, total in rows.of(member.stream):
                    book.slices.add(place, bucket, good, total)
                began = self._building.counted[member.stream].began
                if began is not None:
                    book.slices.begin(began)

    def totals(self, loaded: Loaded, told: Mapping[int, Triples]) -> Totals[int]:
        """The sums of every window, of streams and of slices."""
        totals: Totals[int] = Totals(self._building.windows)
        keys = [*range(len(self._building.streams.keys)), *told]
        extra = [
            (start, place, good, total)
            for place, number in enumerate(told, len(self._building.streams.keys))
            for start, good, total in told[number]
        ]
        fine = np.array(extra, dtype=np.int64).reshape(-1, 4)
        whole = fine.copy()
        whole[:, 0] -= whole[:, 0] % HOUR_SECONDS
        totals.rebuild(_keyed(keys, loaded.hours, whole), _keyed(keys, loaded.buckets, fine), self._now)
        return totals


def _keyed(keys: Sequence[int], rows: Rows, extra: Integers) -> KeyedColumns[int]:
    """Rows of streams, and those of slices after them."""
    columns = (rows.starts, rows.streams, rows.good, rows.total)
    starts, numbers, good, total = (np.concatenate((column, extra[:, place])) for place, column in enumerate(columns))
    order = np.argsort(starts, kind="stable")
    return KeyedColumns(keys, starts[order], numbers[order], good[order], total[order])


def _at(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def _ahead(columns: Columns, second: int) -> Iterator[Delta]:
    """Changes of buckets that begin after ``second``."""
    for start, number, good, total in zip(columns.starts, columns.numbers, columns.good, columns.total, strict=True):
        if start > second:
            yield Delta(columns.series[number], start, good, total)


def _joined(parts: Sequence[Rows]) -> Rows:
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def by_stream(rows: Rows) -> Sorted:
    """Rows summed by stream and start."""
    order = np.lexsort((rows.starts, rows.streams))
    streams, starts, good, total = (column[order] for column in (rows.streams, rows.starts, rows.good, rows.total))
    if not len(starts):
        return Sorted({}, starts, good, total)
    firsts = np.concatenate(([0], np.flatnonzero((streams[1:] != streams[:-1]) | (starts[1:] != starts[:-1])) + 1))
    good, total = np.add.reduceat(good, firsts), np.add.reduceat(total, firsts)
    streams, starts = streams[firsts], starts[firsts]
    kept = (good != 0) | (total != 0)
    streams, starts, good, total = streams[kept], starts[kept], good[kept], total[kept]
    names, begins = np.unique(streams, return_index=True)
    ends = [*begins.tolist()[1:], len(streams)]
    return Sorted(dict(zip(names.tolist(), zip(begins.tolist(), ends, strict=True), strict=True)), starts, good, total)


def last_by_source(rows: Rows, series: Sequence[Series], told: Callable[[int, str, int], None]) -> None:
    """Tell (stream, source, start) of the last row of every stream and source."""
    sources = sorted({each.source for each in series})
    if not sources or not len(rows.starts):
        return
    place = np.array([sources.index(each.source) for each in series], dtype=np.int64)[rows.series]
    key = rows.streams * len(sources) + place
    order = np.lexsort((rows.starts, key))
    ends = np.concatenate((np.flatnonzero(key[order][1:] != key[order][:-1]), [len(order) - 1]))
    for each in order[ends].tolist():
        told(int(rows.streams[each]), sources[int(place[each])], int(rows.starts[each]))
