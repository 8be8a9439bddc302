"""Sums of what the judge says, and the tables that keep them: buckets, lifetime totals and counters.

All sums are of integers (counter amounts in millionths), so that adding and taking away in any order ends in the same
number to the last digit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from qobs.model import BUCKET_SECONDS, Count, Delta, Event, Judgement, Series
from qobs.store.fold import micros

MICRO = 1_000_000
"""Counters are kept in millionths of their unit."""

MAX_AMOUNT = 1e10
"""One job adds at most this much to one counter; more is an impossible figure and is cut (and counted as clamped)."""

JOBS = "job"
FRESHNESS = "freshness"

_LABELS = msgspec.json.Decoder(tuple[str, ...])
_BUCKET_MICROS = BUCKET_SECONDS * MICRO


class Total(NamedTuple):
    """Good and total events of one series or bucket."""

    good: int
    total: int


CounterKey = tuple[str, tuple[str, ...]]


class Sums:
    """What a set of judgements adds up to; taking a judgement away is adding it with sign -1."""

    __slots__ = ("buckets", "clamped", "counters")

    def __init__(self) -> None:
        """Start at nothing."""
        self.buckets: dict[tuple[Series, int], tuple[int, int]] = {}
        self.counters: dict[CounterKey, int] = {}
        self.clamped = 0

    def add(self, judgement: Judgement, sign: int = 1) -> None:
        """Add a judgement, or take it away again."""
        for event in judgement.events:
            self._event(event, sign)
        for count in judgement.counts:
            self._count(count, sign)
        self.clamped += sign * judgement.clamped

    def _event(self, event: Event, sign: int) -> None:
        key = (event.series, micros(event.at) // _BUCKET_MICROS * BUCKET_SECONDS)
        known = self.buckets.get(key)
        good = sign if event.good else 0
        self.buckets[key] = (good, sign) if known is None else (known[0] + good, known[1] + sign)

    def _count(self, count: Count, sign: int) -> None:
        amount = count.amount
        if not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
            amount = MAX_AMOUNT if amount > 0 else -MAX_AMOUNT if amount < 0 else 0.0
            self.clamped += sign
        key = (count.name, count.labels)
        self.counters[key] = self.counters.get(key, 0) + sign * round(amount * MICRO)

    def totals(self) -> dict[Series, Total]:
        """Lifetime sums by series."""
        sums: dict[Series, Total] = {}
        for (series, _), total in self.buckets.items():
            known = sums.get(series, Total(0, 0))
            sums[series] = Total(known.good + total[0], known.total + total[1])
        return sums

    def deltas(self) -> tuple[Delta, ...]:
        """The buckets that changed, in time order."""
        changed = (Delta(key[0], key[1], *total) for key, total in self.buckets.items() if any(total))
        return tuple(sorted(changed, key=lambda delta: (delta.bucket, delta.series)))


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
        ids = {d.series: self._ids.id(connection, origin, d.series, epoch=epoch) for d in deltas}
        _add_buckets(connection, [(d.bucket, ids[d.series], d.good, d.total) for d in deltas if d.bucket >= since])
        moved = ((ids[series], total) for series, total in sums.totals().items() if any(total))
        _add_totals(connection, [(id_, total.good, total.total) for id_, total in moved])
        _add_counters(connection, origin, sums.counters)
        return deltas

    def retire(self, connection: sqlite3.Connection, origin: str, sums: Sums, *, epoch: int) -> None:
        """Remember the share of totals and counters whose records retention removes."""
        for series, total in sums.totals().items():
            connection.execute(
                "UPDATE sli_totals SET retired_good = retired_good + ?, retired_total = retired_total + ? WHERE series = ?",
                (*total, self._ids.id(connection, origin, series, epoch=epoch)),
            )
        connection.executemany(
            "UPDATE counters SET retired = retired + ? WHERE origin = ? AND name = ? AND labels = ?",
            [(amount, origin, name, labels_text(labels)) for (name, labels), amount in sums.counters.items()],
        )


def _add_buckets(connection: sqlite3.Connection, rows: list[tuple[int, int, int, int]]) -> None:
    connection.executemany(
        "INSERT INTO sli_buckets (bucket, series, good, total) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (bucket, series) DO UPDATE SET good = good + excluded.good, total = total + excluded.total",
        rows,
    )
    emptied = [(bucket, series) for bucket, series, _, total in rows if total < 0]
    if emptied:
        connection.executemany("DELETE FROM sli_buckets WHERE bucket = ? AND series = ? AND good = 0 AND total = 0", emptied)


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
    rows = [(origin, name, labels_text(labels), amount) for (name, labels), amount in counters.items() if amount]
    connection.executemany(
        "INSERT INTO counters (origin, name, labels, micros, exported) VALUES (?1, ?2, ?3, ?4, max(0, ?4))"
        " ON CONFLICT (origin, name, labels) DO UPDATE SET micros = micros + excluded.micros,"
        " exported = max(exported, micros + excluded.micros)",
        rows,
    )


def labels_text(labels: Iterable[str]) -> str:
    """Label values as the text that keys a counter row."""
    return msgspec.json.encode(tuple(labels)).decode()


def labels_of(text: str) -> tuple[str, ...]:
    """Inverse of :func:`labels_text`."""
    return _LABELS.decode(text)
