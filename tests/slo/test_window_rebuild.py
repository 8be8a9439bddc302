"""Window totals built from a store's columns at start-up, against those that followed every event, and a naive count."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.columns import HOUR_SECONDS
from qobs.model import BUCKET_SECONDS, EPOCH, Counts
from qobs.slo.windows import WINDOWS, KeyedColumns, Totals, needed, step_seconds

START = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)
SOME = (timedelta(minutes=5), timedelta(hours=2), timedelta(days=1), timedelta(days=7), timedelta(days=30))
NO_COLUMNS = KeyedColumns[str]((), array("q"), array("i"), array("q"), array("q"))

Row = tuple[str, int, int, int]
"""Key, start in seconds since 1970, good, total."""


def seconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(seconds=1)


def columns(rows: Iterable[Row]) -> KeyedColumns[str]:
    """As a store gives them: the standard library's arrays, in order of time."""
    ordered = sorted(rows, key=lambda row: row[1])
    keys = sorted({row[0] for row in ordered}, reverse=True)
    return KeyedColumns(
        keys,
        array("q", [row[1] for row in ordered]),
        array("i", [keys.index(row[0]) for row in ordered]),
        array("q", [row[2] for row in ordered]),
        array("q", [row[3] for row in ordered]),
    )


def stored(rows: Iterable[Row], width: int, since: datetime) -> KeyedColumns[str]:
    """Sums by key and step that start at or after ``since``: what a store keeps of these events."""
    good: Counter[tuple[str, int]] = Counter()
    total: Counter[tuple[str, int]] = Counter()
    for key, start, more_good, more in rows:
        good[key, start // width * width] += more_good
        total[key, start // width * width] += more
    return columns((key, start, good[key, start], total[key, start]) for key, start in good if start >= seconds(since))


def rebuilt(rows: Iterable[Row], windows: tuple[timedelta, ...], now: datetime) -> Totals[str]:
    totals, told = Totals[str](windows), list(rows)
    hours, buckets = needed(windows, now)
    totals.rebuild(stored(told, HOUR_SECONDS, hours), stored(told, BUCKET_SECONDS, buckets), now)
    return totals


def rescan(rows: Iterable[Row], windows: tuple[timedelta, ...], now: datetime) -> Mapping[str, tuple[Counts, ...]]:
    """Every event looked at again, over the intervals that the module promises."""
    counts: dict[str, list[Counts]] = {}
    for key, start, good, total in rows:
        for place, window in enumerate(windows):
            step = step_seconds(window)
            if (seconds(now) - window // timedelta(seconds=1)) // step * step <= start <= seconds(now):
                known = counts.setdefault(key, [Counts(0, 0)] * len(windows))
                known[place] = Counts(known[place].good + good, known[place].total + total)
    return {key: tuple(row) for key, row in counts.items() if any(any(count) for count in row)}


arrivals = st.lists(
    st.tuples(
        st.sampled_from(["fez", "forte", "aria"]),
        st.one_of(st.integers(-400, 40), st.integers(-9000, 9000), st.integers(-300_000, 0), st.integers(-2_700_000, 0)),
        st.sampled_from([(1, 1), (0, 1), (1, 0), (-1, 0), (0, -1), (-1, -1), (7, 9), (-3, -4), (3 << 31, 5 << 32)]),
    ),
    max_size=12,
)
moves = st.one_of(st.integers(0, 20), st.integers(0, 4000), st.integers(0, 90_000), st.integers(0, 2_000_000))
some_windows = st.lists(st.sampled_from([*SOME, *WINDOWS]), min_size=1, max_size=6, unique=True).map(tuple)


def at_times(offsets: Iterable[tuple[str, int, tuple[int, int]]], now: datetime) -> list[Row]:
    return [(key, (seconds(now) + offset) // BUCKET_SECONDS * BUCKET_SECONDS, *counts) for key, offset, counts in offsets]


@settings(derandomize=True, max_examples=150, deadline=None)
@given(some_windows, arrivals, st.integers(0, 7200), st.lists(st.tuples(moves, arrivals), max_size=4))
def test_a_restart_changes_no_count_then_or_later(
    windows: tuple[timedelta, ...],
    before: list[tuple[str, int, tuple[int, int]]],
    start: int,
    after: list[tuple[int, list[tuple[str, int, tuple[int, int]]]]],
) -> None:
    """A burn rate must not depend on when the daemon was started: not at once, and not when the restored events leave."""
    clock = START + timedelta(seconds=start)
    told = at_times(before, clock)
    totals = rebuilt(told, windows, clock)
    assert totals.all() == rescan(told, windows, clock)
    for move, fresh in after:
        clock += timedelta(seconds=move)
        totals.advance(clock)
        for key, bucket, good, total in at_times(fresh, clock):
            small = (key, bucket, min(good, 1000), min(total, 1000))
            totals.add(*small)
            told.append(small)
        assert totals.all() == rescan(told, windows, clock)
    assert totals.all() == rebuilt(told, windows, clock).all()
    totals.advance(clock + timedelta(days=200))
    assert (totals.all(), totals.cells) == ({}, 0)


@pytest.mark.parametrize("second", [0, 9, 10, 1800, 3589, 3590, 3599])
def test_events_ahead_in_the_running_hour_wait_for_their_bucket(second: int) -> None:
    """The hour's stored sum holds them already: read as it is, a week's errors would come up to an hour early."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=second)
    rows = [("fez", at, 0, 1) for at in range(seconds(now) // 3600 * 3600, seconds(now) // 3600 * 3600 + 7200, 10)]
    totals = rebuilt(rows, SOME, now)
    assert totals.read("fez", timedelta(days=7)).total == second // 10 + 1
    totals.advance(now + timedelta(minutes=10))
    assert totals.read("fez", timedelta(days=7)).total == second // 10 + 61


def test_columns_may_come_unordered_and_a_key_at_several_places() -> None:
    """Several series of one objective are one key: their rows add up, in whatever order a caller joined them."""
    now = seconds(START) // 3600 * 3600
    old = now - 3600 * 24 * 5
    hours = KeyedColumns(
        ("fez", "forte", "fez"),
        np.array([old, old - 3600, old - 86_400 * 40, old, now + 7200, old - 3600]),
        np.array([2, 1, 1, 0, 1, 0]),
        np.array([1, 2, 50, 3, 60, 4]),
        np.array([10, 20, 50, 30, 60, 40]),
    )
    buckets = KeyedColumns(("fez", "fez"), array("q", [now, now, now - 100]), array("i", [1, 0, 1]), *[array("q", [1, 1, 1])] * 2)
    totals = Totals[str](SOME)
    totals.rebuild(hours, buckets, START)
    assert totals.all() == {
        "fez": (Counts(3, 3), Counts(3, 3), Counts(3, 3), Counts(10, 82), Counts(10, 82)),
        "forte": (*[Counts(0, 0)] * 3, Counts(2, 20), Counts(2, 20)),
    }
    assert totals.cells == 2 + 2 + 2 + 4


def test_more_history_than_needed_does_no_harm() -> None:
    """A store that gives whole days, or hours beyond the longest window, must not make the windows longer."""
    rows = [("fez", seconds(START) - 600 * number // 10 * 10, 1, 1) for number in range(144 * 40)]
    totals = Totals[str](SOME)
    totals.rebuild(stored(rows, HOUR_SECONDS, EPOCH), stored(rows, BUCKET_SECONDS, EPOCH), START)
    exact = rebuilt(rows, SOME, START)
    assert totals.all() == exact.all()
    assert totals.cells == exact.cells


def test_no_less_than_what_is_needed_is_asked_for() -> None:
    """A start-up that reads too little of the store loses events without a word."""
    for windows in ((WINDOWS[0],), WINDOWS[:5], WINDOWS[:7], WINDOWS[7:], WINDOWS):
        hours, buckets = needed(windows, START)
        for window in windows:
            since = hours if step_seconds(window) == HOUR_SECONDS else buckets
            assert since <= START - window
            assert seconds(since) % step_seconds(window) == 0
        assert buckets <= START.replace(minute=0, second=0)


def test_a_rebuild_forgets_what_was_there_and_names_every_key() -> None:
    """After a recount, objectives of series that are gone must be evaluated again too."""
    totals = rebuilt([("fez", seconds(START) - 7, 1, 1), ("forte", seconds(START) - 7, 1, 1)], SOME, START)
    assert totals.take_changed() == {"fez", "forte"}
    row = ("aria", seconds(START) - 7, 1, 2)
    forte = ("forte", seconds(START) - 7, 1, 1)
    totals.rebuild(stored([], HOUR_SECONDS, EPOCH), stored([row, forte], BUCKET_SECONDS, EPOCH), START - timedelta(seconds=1))
    assert totals.take_changed() == {"fez", "forte", "aria"}
    assert totals.take_changed() == set()
    assert totals.read("aria", SOME[-1]) == Counts(1, 2)
    assert totals.read("fez", SOME[0]) == Counts(0, 0)


def test_a_rebuild_of_nothing_is_empty_and_goes_on() -> None:
    """The first start of a daemon has no history at all."""
    totals = Totals[str](SOME)
    totals.rebuild(NO_COLUMNS, NO_COLUMNS, START)
    assert (totals.all(), totals.take_changed(), totals.cells) == ({}, set(), 0)
    totals.add("fez", seconds(START) // 10 * 10, 1, 1)
    assert totals.read("fez", SOME[-1]) == Counts(1, 1)


def test_hours_that_cancel_out_leave_no_key_behind() -> None:
    """Corrections of a whole hour must not keep a retired backend in memory."""
    old = seconds(START) // 3600 * 3600 - 86_400 * 5
    hours = columns([("fez", old, 5, 5), ("fez", old, -5, -5), ("forte", old, 0, 0)])
    totals = Totals[str](SOME)
    totals.rebuild(hours, NO_COLUMNS, START)
    assert (totals.all(), totals.cells, list(totals._names.keys)) == ({}, 0, [None, None])


def test_busy_steps_stay_small_after_a_rebuild() -> None:
    """The memory that a rebuild made must go on being packed, or a busy hour grows with every event."""
    totals, most = rebuilt([("fez", seconds(START) // 10 * 10, 1, 1)] * 3, SOME, START), 0
    for number in range(500):
        totals.add(("fez", "forte")[number % 2], seconds(START) // 10 * 10, 1, 1)
        most = max(most, totals.cells)
    assert most <= 4 * 17
