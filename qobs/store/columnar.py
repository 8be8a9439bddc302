"""Whole histories of counts, column by column: chunks of thousands of rows, and no object a row."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from qobs.columns import HOUR_SECONDS, BatchCount, Columns
from qobs.model import Series, from_micros, to_micros
from qobs.store.counts import MICRO

SERIES = "s.sli, s.provider, s.source, s.backend, s.priority, s.workload, s.team"
"""Columns of a :class:`Series` in ``sli_series s``."""

_INTEGERS = msgspec.json.Decoder(list[int])
_END = 1 << 62
_CHUNK = 10_000


def _in_chunks(table: str, start: str, which: str = "") -> str:
    """SQL of the next rows after a place, before a time, as four JSON arrays: half the time of fetching the rows."""
    return (
        f"SELECT json_group_array({start}), json_group_array(series), json_group_array(good), json_group_array(total) FROM ("  # noqa: S608
        f"SELECT {start}, series, good, total FROM {table} WHERE ({start}, series) > (?, ?) AND {start} < ? {which}"
        f"ORDER BY {start}, series LIMIT {_CHUNK})"
    )


_HOURS = _in_chunks("sli_hours", "hour")
_BUCKETS = _in_chunks("sli_buckets", "bucket")
_BUCKETS_OF_SOME = _in_chunks("sli_buckets", "bucket", "AND series IN (SELECT value FROM json_each(?)) ")


def known_series(connection: sqlite3.Connection) -> dict[int, Series]:
    """All series by row id. Two ids may be of one series: of jobs, and of readings."""
    return {row[0]: Series(*row[1:]) for row in connection.execute(f"SELECT s.id, {SERIES} FROM sli_series s")}  # noqa: S608


def hours(connection: sqlite3.Connection, since: datetime) -> Columns:
    """Hours that start at or after ``since``."""
    return _columns(connection, _HOURS, _first(since), _END, known_series(connection))


def buckets(connection: sqlite3.Connection, since: datetime, until: datetime | None, wanted: Iterable[Series] | None) -> Columns:
    """Buckets that start in [``since``, ``until``), of all series or of those that are wanted."""
    known, end = known_series(connection), _END if until is None else _first(until)
    if wanted is None:
        return _columns(connection, _BUCKETS, _first(since), end, known)
    names = frozenset(wanted)
    chosen = {number: series for number, series in known.items() if series in names}
    ids = msgspec.json.encode(list(chosen)).decode()
    return _columns(connection, _BUCKETS_OF_SOME, _first(since), end, chosen, ids)


def batches(connection: sqlite3.Connection, since: datetime) -> tuple[BatchCount, ...]:
    """Batches whose newest bucket starts at or after ``since``."""
    known = known_series(connection)
    rows = connection.execute(
        "SELECT series, grp, total, bad FROM sli_batches WHERE latest >= ? ORDER BY series, grp", (_first(since),)
    )
    return tuple(BatchCount(known[series], group, total, bad) for series, group, total, bad in rows)


def first_buckets(connection: sqlite3.Connection) -> Mapping[Series, datetime]:
    """Start of each series' oldest bucket: found through its oldest hour, so that a series costs no scan of its buckets."""
    known = known_series(connection)
    begins: dict[int, set[int]] = {}
    for number, hour in connection.execute("SELECT series, min(hour) FROM sli_hours GROUP BY series"):
        begins.setdefault(hour, set()).add(number)
    found: dict[Series, datetime] = {}
    for hour, numbers in sorted(begins.items(), reverse=True):  # the oldest of a series with two ids is written last
        for number, bucket in connection.execute(
            "SELECT series, min(bucket) FROM sli_buckets WHERE bucket >= ? AND bucket < ? GROUP BY series",
            (hour, hour + HOUR_SECONDS),
        ):
            if number in numbers:
                at = from_micros(bucket * MICRO)
                series = known[number]
                found[series] = min(at, found.get(series, at))
    return found


def _columns(
    connection: sqlite3.Connection, chunk: str, since: int, end: int, known: Mapping[int, Series], *values: str
) -> Columns:
    """The four columns of all rows in [``since``, ``end``); ids become places in the tuple of series."""
    names = tuple(dict.fromkeys(known.values()))
    at = {series: place for place, series in enumerate(names)}
    place = [0] * (max(known, default=0) + 1)
    for number, series in known.items():
        place[number] = at[series]
    columns = Columns(names, array("q"), array("i"), array("q"), array("q"))
    last = (since - 1, _END)
    while True:
        starts, ids, good, total = map(_INTEGERS.decode, connection.execute(chunk, (*last, end, *values)).fetchone())
        columns.starts.extend(starts)
        columns.numbers.extend(map(place.__getitem__, ids))
        columns.good.extend(good)
        columns.total.extend(total)
        if len(starts) < _CHUNK:
            return columns
        last = (starts[-1], ids[-1])


def _first(since: datetime) -> int:
    """The first whole second at or after a time."""
    return -(-to_micros(since) // MICRO)
