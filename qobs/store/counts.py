"""Sums of what the judge says, and the tables that keep them: buckets and their hours, batches, lifetime totals and counters.

All sums are of integers (counter amounts in millionths), so that adding and taking away in any order ends in the same
number to the last digit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from qobs.columns import HOUR_SECONDS
from qobs.model import BUCKET_SECONDS, EPOCH, Count, Delta, Event, Judgement, Series

MICRO = 1_000_000
"""Counters are kept in millionths of their unit."""

MAX_AMOUNT = 1e10
"""One job adds at most this much to one counter; more is an impossible figure and is cut (and counted as clamped)."""

NEVER = -(1 << 62)
"""Before every real time: ``latest`` of a batch to which no event was added."""

JOBS = "job"
FRESHNESS = "freshness"

HOUR = f"bucket - ((bucket % {HOUR_SECONDS}) + {HOUR_SECONDS}) % {HOUR_SECONDS}"
"""SQL of a bucket's hour; SQLite's remainder has the sign of the bucket, which is negative before 1970."""

_PRUNED = NEVER
"""Stands for the hour of buckets that are past retention."""
_NOTHING = (0, 0)
_LABELS = msgspec.json.Decoder(tuple[str, ...])
_new = tuple.__new__  # half the cost of a named tuple's own constructor, on the path of every job


class Total(NamedTuple):
    """Good and total events of one series or bucket."""

    good: int
    total: int


class Fate(NamedTuple):
    """Events of one series and group; ``latest`` is the start of the newest bucket that one was ever added to (seconds)."""

    total: int
    bad: int
    latest: int


_NO_EVENTS = Fate(0, 0, NEVER)

CounterKey = tuple[str, tuple[str, ...]]


class Sums:
    """What a set of judgements adds up to; taking a judgement away is adding it with sign -1."""

    __slots__ = ("batches", "buckets", "clamped", "counters")

    def __init__(self) -> None:
        """Start at nothing."""
        self.buckets: dict[tuple[Series, int], tuple[int, int]] = {}
        self.batches: dict[tuple[Series, str], Fate] = {}
        self.counters: dict[CounterKey, int] = {}
        self.clamped = 0

    def add(self, judgement: Judgement) -> None:
        """Add one judgement."""
        self.add_all((judgement,))

    def add_all(self, judgements: Iterable[Judgement], taken_back: Iterable[Judgement] = ()) -> None:
        """Add many judgements and take others away."""
        for sign, some in ((1, judgements), (-1, taken_back)):
            events: list[Event] = []
            counts: list[Count] = []
            for judgement in some:
                events += judgement.events
                counts += judgement.counts
                self.clamped += sign * judgement.clamped
            self._events(events, sign)
            self._counts(counts, sign)

    def _counts(self, counts: Iterable[Count], sign: int) -> None:
        """Add counts, or take them away: ten of every finished job.

        Judges use their label tuples again, so these are told apart by identity first: their hash costs more than the rest.
        """
        cells: dict[tuple[str, int], tuple[CounterKey, list[int]]] = {}
        for name, labels, amount in counts:
            if amount == 1.0:
                micros = MICRO
            else:
                if not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
                    amount = MAX_AMOUNT if amount > 0 else -MAX_AMOUNT if amount < 0 else 0.0
                    self.clamped += sign
                micros = round(amount * MICRO)
            key = (name, id(labels))
            cell = cells.get(key)
            if cell is None:
                cells[key] = ((name, labels), [micros])
            else:
                cell[1][0] += micros
        for full, (micros,) in cells.values():
            self.counters[full] = self.counters.get(full, 0) + sign * micros

    def _events(self, events: Iterable[Event], sign: int) -> None:
        put = self.buckets.setdefault
        shared: dict[tuple[int, str], list[Any]] = {}
        for series, at, verdict, group in events:
            since = at - EPOCH
            key = (series, (since.days * 86_400 + since.seconds) // BUCKET_SECONDS * BUCKET_SECONDS)
            one = (sign if verdict else 0, sign)
            known = put(key, one)
            if known is not one:
                self.buckets[key] = (known[0] + one[0], known[1] + sign)
            if group:
                cell = shared.get((id(series), group))
                if cell is None:
                    shared[id(series), group] = [series, sign, 0 if verdict else sign, key[1]]
                else:
                    cell[1] += sign
                    if not verdict:
                        cell[2] += sign
                    if key[1] > cell[3]:
                        cell[3] = key[1]
        for (_, group), (series, total, bad, latest) in shared.items():
            self.share(series, group, Fate(total, bad, latest if sign > 0 else NEVER))

    def share(self, series: Series, group: str, fate: Fate) -> None:
        """Add events of one series and group."""
        known = self.batches.get((series, group), _NO_EVENTS)
        self.batches[series, group] = Fate(known.total + fate.total, known.bad + fate.bad, max(known.latest, fate.latest))

    def totals(self) -> dict[Series, Total]:
        """Lifetime sums by series."""
        sums: dict[Series, tuple[int, int]] = {}
        for (series, _), (good, total) in self.buckets.items():
            known = sums.get(series)
            sums[series] = (good, total) if known is None else (known[0] + good, known[1] + total)
        return {series: Total(*total) for series, total in sums.items()}

    def deltas(self) -> tuple[Delta, ...]:
        """The buckets that changed, in time order."""
        changed = [(bucket, series, good, total) for (series, bucket), (good, total) in self.buckets.items() if total or good]
        changed.sort()
        return tuple([_new(Delta, (series, bucket, good, total)) for bucket, series, good, total in changed])


class SeriesIds:
    """Row ids of the SLI series, remembered as long as no transaction was abandoned."""

    def __init__(self) -> None:
        """Nothing is known at first."""
        self._ids: dict[tuple[str, Series], int] = {}
        self._epoch = -1

    def id(self, connection: sqlite3.Connection, origin: str, series: Series, *, epoch: int) -> int:
        """The series' row id; the row is made if need be."""
        if epoch != self._epoch:
            self._ids.clear()
            self._epoch = epoch
        known = self._ids.get((origin, series))
        if known is None:
            known = self._ids[origin, series] = _series_id(connection, origin, series)
        return known


def _series_id(connection: sqlite3.Connection, origin: str, series: Series) -> int:
    values = (origin, *series)
    connection.execute(
        "INSERT INTO sli_series (origin, sli, provider, source, backend, priority, workload, team)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        values,
    )
    row = connection.execute(
        "SELECT id FROM sli_series WHERE origin = ? AND sli = ? AND provider = ? AND source = ? AND backend = ?"
        " AND priority = ? AND workload = ? AND team = ?",
        values,
    ).fetchone()
    return int(row[0])


class CountTables:
    """Writes sums into the tables, inside the caller's transaction."""

    def __init__(self) -> None:
        """One per store."""
        self._ids = SeriesIds()

    def apply(self, connection: sqlite3.Connection, origin: str, sums: Sums, *, since: int, epoch: int) -> tuple[Delta, ...]:
        """Add sums to buckets, totals and counters; returns the bucket changes.

        Buckets that start before ``since`` (seconds) are past retention: they count in the totals alone.
        """
        deltas = sums.deltas()
        ids: dict[int, int] = {}
        rows: list[tuple[int, int, int, int]] = []
        hours: dict[int, dict[int, tuple[int, int]]] = {_PRUNED: {}}
        moved, end = hours[_PRUNED], since
        for series, bucket, good, total in deltas:
            number = ids.get(id(series))  # a look at the same object costs a tenth of a hash of seven labels
            if number is None:
                number = ids[id(series)] = self._ids.id(connection, origin, series, epoch=epoch)
            if bucket >= end:  # deltas are in order of time: the next hour begins
                hour = bucket - bucket % HOUR_SECONDS
                moved, end = hours.setdefault(hour, {}), hour + HOUR_SECONDS
            if bucket >= since:
                rows.append((bucket, number, good, total))
            known = moved.get(number, _NOTHING)
            moved[number] = (known[0] + good, known[1] + total)
        _add_buckets(connection, rows)
        _add_totals(connection, _by_series(hours.values()))
        del hours[_PRUNED]
        _add_hours(
            connection,
            [(hour, number, *total) for hour, moved in hours.items() for number, total in moved.items() if any(total)],
        )
        self._add_batches(connection, origin, sums, epoch)
        _add_counters(connection, origin, sums.counters)
        return deltas

    def _add_batches(self, connection: sqlite3.Connection, origin: str, sums: Sums, epoch: int, sign: int = 1) -> None:
        rows = [
            (self._ids.id(connection, origin, series, epoch=epoch), group, sign * total, sign * bad, latest)
            for (series, group), (total, bad, latest) in sums.batches.items()
            if total or bad or latest > NEVER
        ]
        rows.sort()
        _add_batches(connection, rows)

    def retire(self, connection: sqlite3.Connection, origin: str, sums: Sums, *, epoch: int) -> None:
        """Remember the share of totals and counters whose records retention removes; batches are of kept records alone."""
        for series, total in sums.totals().items():
            connection.execute(
                "UPDATE sli_totals SET retired_good = retired_good + ?, retired_total = retired_total + ? WHERE series = ?",
                (*total, self._ids.id(connection, origin, series, epoch=epoch)),
            )
        connection.executemany(
            "UPDATE counters SET retired = retired + ? WHERE origin = ? AND name = ? AND labels = ?",
            [(amount, origin, name, labels_text(labels)) for (name, labels), amount in sums.counters.items()],
        )
        self._add_batches(connection, origin, sums, epoch, sign=-1)


def _by_series(hours: Iterable[Mapping[int, tuple[int, int]]]) -> list[tuple[int, int, int]]:
    """What each series moved by in all hours."""
    sums: dict[int, tuple[int, int]] = {}
    for moved in hours:
        for number, (good, total) in moved.items():
            known = sums.get(number, _NOTHING)
            sums[number] = (known[0] + good, known[1] + total)
    return [(number, *total) for number, total in sums.items() if any(total)]


_ROWS = 50


def _upsert(connection: sqlite3.Connection, statement: str, update: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows, or add them to those there are; fifty narrow rows in one statement cost half as much as one by one."""
    whole = len(rows) // _ROWS * _ROWS
    if whole:
        one = f"({', '.join('?' * len(rows[0]))})"
        many = f"{statement} VALUES {', '.join([one] * _ROWS)} {update}"
        for start in range(0, whole, _ROWS):
            connection.execute(many, tuple(chain.from_iterable(rows[start : start + _ROWS])))
    if rows[whole:]:
        connection.executemany(f"{statement} VALUES ({', '.join('?' * len(rows[0]))}) {update}", rows[whole:])


def _add_buckets(connection: sqlite3.Connection, rows: list[tuple[int, int, int, int]]) -> None:
    _upsert(
        connection,
        "INSERT INTO sli_buckets (bucket, series, good, total)",
        "ON CONFLICT (bucket, series) DO UPDATE SET good = good + excluded.good, total = total + excluded.total",
        rows,
    )
    emptied = [(bucket, series) for bucket, series, _, total in rows if total < 0]
    if emptied:
        connection.executemany("DELETE FROM sli_buckets WHERE bucket = ? AND series = ? AND good = 0 AND total = 0", emptied)


def _add_hours(connection: sqlite3.Connection, rows: list[tuple[int, int, int, int]]) -> None:
    _upsert(
        connection,
        "INSERT INTO sli_hours (hour, series, good, total)",
        "ON CONFLICT (hour, series) DO UPDATE SET good = good + excluded.good, total = total + excluded.total",
        rows,
    )
    emptied = [(hour, series) for hour, series, _, total in rows if total < 0]
    if emptied:
        connection.executemany("DELETE FROM sli_hours WHERE hour = ? AND series = ? AND good = 0 AND total = 0", emptied)


def sum_hours(connection: sqlite3.Connection, hour: int | None = None) -> None:
    """Make one hour anew from the kept buckets, or (None) all of them."""
    first, end = (NEVER, -NEVER) if hour is None else (hour, hour + HOUR_SECONDS)
    connection.execute("DELETE FROM sli_hours WHERE hour >= ? AND hour < ?", (first, end))
    connection.execute(
        f"INSERT INTO sli_hours (hour, series, good, total) SELECT {HOUR}, series, sum(good), sum(total) FROM sli_buckets"  # noqa: S608
        " WHERE bucket >= ? AND bucket < ? GROUP BY 1, 2",
        (first, end),
    )


def _add_batches(connection: sqlite3.Connection, rows: list[tuple[int, str, int, int, int]]) -> None:
    """Add events to their batches; one whose last event was taken back goes, so it must be looked at after each loss."""
    _upsert(
        connection,
        "INSERT INTO sli_batches (series, grp, total, bad, latest)",
        "ON CONFLICT (series, grp) DO UPDATE SET total = total + excluded.total, bad = bad + excluded.bad,"
        " latest = max(latest, excluded.latest)",
        rows,
    )
    emptied = [(series, group) for series, group, total, _, _ in rows if total <= 0]
    if emptied:
        connection.executemany("DELETE FROM sli_batches WHERE series = ? AND grp = ? AND total = 0 AND bad = 0", emptied)


def _add_totals(connection: sqlite3.Connection, rows: list[tuple[int, int, int]]) -> None:
    connection.executemany(
        "INSERT INTO sli_totals (series, good, total, exported_bad, exported_total)"
        " VALUES (?1, ?2, ?3, max(0, ?3 - ?2), max(0, ?3))"
        " ON CONFLICT (series) DO UPDATE SET good = good + excluded.good, total = total + excluded.total,"
        " exported_bad = max(exported_bad, total + excluded.total - good - excluded.good),"
        " exported_total = max(exported_total, total + excluded.total)",
        rows,
    )


def _add_counters(connection: sqlite3.Connection, origin: str, counters: Mapping[CounterKey, int]) -> None:
    _upsert(
        connection,
        "INSERT INTO counters (origin, name, labels, micros, exported)",
        "ON CONFLICT (origin, name, labels) DO UPDATE SET micros = micros + excluded.micros,"
        " exported = max(exported, micros + excluded.micros)",
        [(origin, name, labels_text(labels), amount, max(0, amount)) for (name, labels), amount in counters.items() if amount],
    )


def labels_text(labels: Iterable[str]) -> str:
    """Label values as the text that keys a counter row."""
    return msgspec.json.encode(tuple(labels)).decode()


def labels_of(text: str) -> tuple[str, ...]:
    """Inverse of :func:`labels_text`."""
    return _LABELS.decode(text)
