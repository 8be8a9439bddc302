"""Window totals against a naive count of the same events."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.model import BUCKET_SECONDS, EPOCH, Counts, Delta, Series
from qobs.slo.windows import WINDOWS, Totals, WindowTotals, step_seconds

START = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)
FEZ = Series("job_success", "ibm", "lab", "ibm_fez")
FORTE = Series("job_success", "ionq", "lab", "forte-1")
SOME = (
    timedelta(minutes=5),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=7),
)
SCALES = len({step_seconds(window) for window in SOME})


def seconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(seconds=1)


def bucket(at: datetime) -> int:
    return seconds(at) // BUCKET_SECONDS * BUCKET_SECONDS


def naive(deltas: list[Delta], window: timedelta, now: datetime) -> dict[Series, Counts]:
    """Every delta looked at again, over the interval that the module promises."""
    step = step_seconds(window)
    first = (seconds(now) - window // timedelta(seconds=1)) // step * step
    sums: dict[Series, Counts] = {}
    for delta in deltas:
        if first <= delta.bucket <= seconds(now):
            good, total = sums.get(delta.series, Counts(0, 0))
            sums[delta.series] = Counts(good + delta.good, total + delta.total)
    return {series: counts for series, counts in sums.items() if counts != Counts(0, 0)}


def totals_of(totals: WindowTotals) -> dict[timedelta, dict[Series, Counts]]:
    shown = totals.all()
    return {
        window: {series: row[place] for series, row in shown.items() if row[place] != Counts(0, 0)}
        for place, window in enumerate(totals.windows)
    }


def rescanned(totals: WindowTotals, deltas: list[Delta], now: datetime) -> dict[timedelta, dict[Series, Counts]]:
    return {window: naive(deltas, window, now) for window in totals.windows}


# A step of a history: the clock moves on by so many seconds, then deltas arrive for times before (or after) it.
deltas_in_time = st.tuples(
    st.sampled_from([FEZ, FORTE, FEZ._replace(team="chemistry")]),
    st.one_of(st.integers(-400, 40), st.integers(-30_000, 9_000), st.integers(-800_000, 0)),
    st.sampled_from([(1, 1), (0, 1), (1, 0), (-1, 0), (0, -1), (-1, -1), (7, 9), (-3, -4)]),
)
moves = st.one_of(st.just(0), st.integers(1, 700), st.integers(1, 30_000), st.integers(1, 800_000), st.integers(-5000, -1))
histories = st.lists(st.tuples(moves, st.lists(deltas_in_time, max_size=8)), min_size=1, max_size=14)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(histories)
def test_totals_equal_a_rescan_on_any_history(history: list[tuple[int, list[tuple[Series, int, tuple[int, int]]]]]) -> None:
    """Late, corrected or reordered events must not leave a burn rate off by one for ninety days."""
    totals, told, clock, latest = WindowTotals(SOME), [], START, START
    totals.advance(START)
    for move, arrivals in history:
        clock += timedelta(seconds=move)
        latest = max(latest, clock)
        totals.advance(clock)
        for series, offset, (good, total) in arrivals:
            delta = Delta(series, bucket(clock + timedelta(seconds=offset)), good, total)
            told.append(delta)
            totals.add_delta(delta)
        assert totals_of(totals) == rescanned(totals, told, latest)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_arrival_order_does_not_matter(
    history: list[tuple[int, list[tuple[Series, int, tuple[int, int]]]]], shuffle: random.Random
) -> None:
    """A provider's pages come in any order, and late: the totals must be those of the events, not of the way they came."""
    live, told, clock = WindowTotals(SOME), [], START
    for move, arrivals in history:
        clock += timedelta(seconds=abs(move))
        live.advance(clock)
        for series, offset, (good, total) in arrivals:
            told.append(Delta(series, bucket(clock + timedelta(seconds=offset)), good, total))
            live.add_delta(told[-1])
    shuffle.shuffle(told)
    again = WindowTotals(SOME)
    again.advance(clock)
    for delta in told:
        again.add_delta(delta)
    assert again.all() == live.all()


def test_default_windows_follow_ninety_days() -> None:
    """The default windows run from five minutes to ninety days, and each lets go of an event at its own time."""
    totals = WindowTotals()
    totals.advance(START)
    totals.add_delta(Delta(FEZ, bucket(START), 0, 1))
    for window in WINDOWS:
        step = timedelta(seconds=step_seconds(window))
        totals.advance(START + window)
        assert totals.read(FEZ, window) == Counts(0, 1)
        totals.advance(START + window + step)
        assert totals.read(FEZ, window) == Counts(0, 0)


@pytest.mark.parametrize("window", WINDOWS)
def test_window_edges_are_where_the_documentation_says(window: timedelta) -> None:
    """The error at a window's far edge is at most one step, and never to the loss of an event inside."""
    step = step_seconds(window)
    first = (seconds(START) - window // timedelta(seconds=1)) // step * step
    inside = [first, bucket(START)]
    outside = [first - BUCKET_SECONDS, bucket(START) + BUCKET_SECONDS]
    for second, expected in [(inside[0], 1), (inside[1], 1), (outside[0], 0), (outside[1], 0)]:
        totals = WindowTotals((window,))
        totals.advance(START)
        totals.add_delta(Delta(FEZ, second, 0, 1))
        assert totals.read(FEZ, window).total == expected
    assert seconds(START) - window // timedelta(seconds=1) - step < first <= seconds(START) - window // timedelta(seconds=1)


def test_an_event_ahead_of_the_clock_waits_for_its_time() -> None:
    """A provider whose clock runs ahead must not lose its events."""
    totals = WindowTotals(SOME)
    totals.advance(START)
    totals.add_delta(Delta(FEZ, bucket(START + timedelta(minutes=2)), 1, 1))
    assert totals.read(FEZ, SOME[0]) == Counts(0, 0)
    totals.advance(START + timedelta(minutes=2))
    assert totals.read(FEZ, SOME[0]) == Counts(1, 1)


def test_an_event_older_than_every_window_changes_nothing() -> None:
    """A backfill of last year must neither show in today's burn rate nor take memory for ever."""
    totals = WindowTotals(SOME)
    totals.advance(START)
    totals.add_delta(Delta(FEZ, bucket(START - timedelta(days=8)), 1, 1))
    assert totals.all() == {}
    assert totals.cells == 0


def test_a_clock_that_steps_back_does_not_disturb_the_totals() -> None:
    """A wall clock set back by an hour must not let expired events in again, or hide the present ones."""
    totals = WindowTotals(SOME)
    totals.advance(START)
    totals.add_delta(Delta(FEZ, bucket(START), 1, 1))
    totals.advance(START - timedelta(hours=1))
    assert totals.read(FEZ, SOME[0]) == Counts(1, 1)
    totals.advance(START + timedelta(minutes=6))
    assert totals.read(FEZ, SOME[0]) == Counts(0, 0)


def test_quiet_series_are_forgotten_and_their_places_used_again() -> None:
    """Teams and backends come and go for years: memory must follow those of the last ninety days only."""
    totals = WindowTotals((timedelta(minutes=5), timedelta(hours=2)))
    clock = START
    for day in range(50):
        clock += timedelta(days=1)
        totals.advance(clock)
        for backend in range(20):
            totals.add_delta(Delta(Series("queue_wait", "ibm", "lab", f"{day}-{backend}"), bucket(clock), backend, 30))
    assert len(totals.all()) == 20
    assert totals.cells == 40
    assert totals._width <= 40
    assert {series.backend: counts[0] for series, counts in totals.all().items()} == {
        f"49-{backend}": Counts(backend, 30) for backend in range(20)
    }
    totals.advance(clock + timedelta(days=1))
    assert totals.all() == {}
    assert totals.cells == 0


def test_a_busy_bucket_stays_small_and_exact() -> None:
    """A backfill of a hundred thousand jobs in one bucket must not take a hundred thousand cells."""
    totals, most = WindowTotals(SOME), 0
    totals.advance(START)
    for number in range(20_000):
        totals.add_delta(Delta((FEZ, FORTE)[number % 2], bucket(START), number % 3 and 1, 1))
        most = max(most, totals.cells)
    assert most <= SCALES * 17
    assert totals.read(FEZ, SOME[-1]) == Counts(sum(1 for number in range(0, 20_000, 2) if number % 3), 10_000)
    assert totals.read(FORTE, SOME[0]).total == 10_000


def test_events_that_were_all_corrected_away_leave_nothing() -> None:
    """A count and its reversal in a busy bucket must free their memory, not wait for ninety days."""
    totals = WindowTotals(SOME)
    totals.advance(START)
    for _ in range(200):
        totals.add_delta(Delta(FEZ, bucket(START), 1, 1))
        totals.add_delta(Delta(FEZ, bucket(START), -1, -1))
    assert totals.read(FEZ, SOME[0]) == Counts(0, 0)
    assert totals.cells <= SCALES * 16
    assert totals.all() == {}


def test_a_busy_bucket_keeps_corrections_that_change_no_total() -> None:
    """A job that turns from good to bad changes only the good count: packing must not lose it, nor expiry forget it."""
    totals = WindowTotals(SOME)
    totals.advance(START)
    totals.add_delta(Delta(FEZ, bucket(START), 1, 1))
    totals.add_delta(Delta(FEZ, bucket(START), 0, -1))
    for _ in range(40):
        totals.add_delta(Delta(FORTE, bucket(START), 1, 1))
    totals.advance(START + timedelta(minutes=6))
    assert totals.read(FEZ, SOME[0]) == Counts(0, 0)
    assert totals.read(FEZ, SOME[1]) == Counts(1, 0)


def test_before_the_first_tick_everything_waits() -> None:
    """Deltas that arrive while the daemon starts are not lost."""
    totals = WindowTotals(SOME)
    totals.add_delta(Delta(FEZ, bucket(START), 1, 2))
    assert totals.read(FEZ, SOME[0]) == Counts(0, 0)
    totals.advance(START)
    assert totals.read(FEZ, SOME[0]) == Counts(1, 2)


@pytest.mark.parametrize(
    "windows",
    [
        (timedelta(seconds=15),),
        (timedelta(0),),
        (timedelta(hours=-1),),
        (timedelta(hours=7, minutes=1),),
        (timedelta(days=3, minutes=5),),
        (SOME[0], SOME[0]),
    ],
)
def test_windows_that_cannot_be_kept_are_refused(windows: tuple[timedelta, ...]) -> None:
    """A window that is not a whole number of its steps would silently be another one."""
    with pytest.raises(ValueError, match="`windows` must"):
        WindowTotals(windows)


def test_an_unknown_window_is_an_error_not_a_zero() -> None:
    """Asking for a window that nobody keeps must not look like silence."""
    with pytest.raises(KeyError):
        WindowTotals(SOME).read(FEZ, timedelta(days=2))


def test_a_delta_too_large_for_a_cell_is_refused() -> None:
    """A nonsense count must not become a small one by wrapping around."""
    totals = WindowTotals(SOME)
    totals.advance(START)
    with pytest.raises(ValueError, match="at most"):
        totals.add_delta(Delta(FEZ, bucket(START), 0, 1 << 31))
    assert totals.cells == 0


def test_a_sum_too_large_for_a_packed_cell_stays_exact_and_leaves_in_time() -> None:
    """A counter that jumps by thousands of millions must not stop the daemon when its hour is packed, nor stay for ever."""
    totals, most = WindowTotals(SOME), (1 << 31) - 1
    totals.advance(START)
    for _ in range(40):
        totals.add_delta(Delta(FEZ, bucket(START), most, most))
        totals.add_delta(Delta(FORTE, bucket(START), -most, most))
    assert totals.read(FEZ, SOME[-1]) == Counts(40 * most, 40 * most)
    assert totals.read(FORTE, SOME[0]) == Counts(-40 * most, 40 * most)
    assert totals.cells <= SCALES * 17
    totals.advance(START + timedelta(days=1, minutes=5))
    assert totals.read(FEZ, SOME[3]) == Counts(0, 0)
    assert totals.read(FEZ, SOME[4]) == Counts(40 * most, 40 * most)
    totals.advance(START + timedelta(days=8))
    assert (totals.all(), totals.cells) == ({}, 0)
    assert [scale._wide for scale in totals._scales] == [{}] * SCALES


def test_a_sum_that_becomes_small_again_is_packed_again_and_exact() -> None:
    """A mistaken count of thousands of millions, corrected an hour later, must leave no trace when its hour expires."""
    totals, most = WindowTotals(SOME), (1 << 31) - 1
    totals.advance(START)
    for sign in (1, -1):
        for _ in range(40):
            totals.add_delta(Delta(FEZ, bucket(START), sign * most, sign * most))
            assert totals.read(FEZ, SOME[0]).total % most == 0
    for number in range(1, 80):
        totals.add_delta(Delta(FEZ, bucket(START), 1, 2))
        assert totals.read(FEZ, SOME[-1]) == Counts(number, 2 * number)
    assert totals.cells <= SCALES * 33
    totals.advance(START + timedelta(days=8))
    assert (totals.all(), totals.cells) == ({}, 0)


def test_any_key_can_be_counted() -> None:
    """Objectives are counted by numbers or names, not by series: each key on its own."""
    totals: Totals[tuple[str, int]] = Totals(SOME)
    totals.advance(START)
    totals.add(("job-success", 1), bucket(START), 3, 4)
    totals.add(("job-success", 2), bucket(START - timedelta(hours=2)), 5, 5)
    assert totals.read(("job-success", 1), SOME[0]) == Counts(3, 4)
    assert totals.all()["job-success", 2] == (Counts(0, 0), Counts(0, 0), *[Counts(5, 5)] * 4)
    assert totals.read(("unknown", 0), SOME[0]) == Counts(0, 0)


def test_what_was_read_stays_as_it_was() -> None:
    """A snapshot under way in another thread must not see counts of the next tick."""
    totals = WindowTotals(SOME)
    totals.advance(START)
    totals.add_delta(Delta(FEZ, bucket(START), 1, 1))
    held = totals.all()
    totals.add_delta(Delta(FORTE, bucket(START), 1, 1))
    totals.advance(START + timedelta(minutes=6))
    assert totals.all() != held
    assert held == {FEZ: (Counts(1, 1),) * len(SOME)}


def test_windows_need_no_numpy_until_they_are_rebuilt() -> None:
    """The command line generates rules with the same windows, and must start without loading a numerical library."""
    done = subprocess.run([sys.executable, "-c", "import qobs.slo.windows, sys; sys.exit('numpy' in sys.modules)"], check=False)
    assert done.returncode == 0


def changed_between(before: Mapping[Series, tuple[Counts, ...]], after: Mapping[Series, tuple[Counts, ...]]) -> set[Series]:
    return {series for series in before.keys() | after.keys() if before.get(series) != after.get(series)}


@settings(derandomize=True, max_examples=100, deadline=None)
@given(histories)
def test_changed_names_exactly_the_series_whose_counts_differ(
    history: list[tuple[int, list[tuple[Series, int, tuple[int, int]]]]],
) -> None:
    """An objective that is not named is not evaluated again: it would page late, or for ever."""
    quiet, looked = WindowTotals(SOME), WindowTotals(SOME)
    before, clock = quiet.all(), START
    for move, arrivals in history:
        clock += timedelta(seconds=move)
        for totals in (quiet, looked):
            totals.advance(clock)
            for series, offset, (good, total) in arrivals:
                totals.add(series, bucket(clock + timedelta(seconds=offset)), good, total)
                if totals is looked:
                    looked.all()
        changed = quiet.take_changed()
        after = quiet.all()
        assert changed == changed_between(before, after)
        assert looked.take_changed() >= changed
        assert quiet.take_changed() == looked.take_changed() == set()
        before = after


def test_a_series_whose_events_all_expired_is_named_once() -> None:
    """The last event of a window leaves silently: the objective must be evaluated again then, and rest afterwards."""
    totals = WindowTotals((timedelta(minutes=5),))
    totals.advance(START)
    totals.add_delta(Delta(FEZ, bucket(START), 1, 1))
    assert totals.take_changed() == {FEZ}
    totals.advance(START + timedelta(minutes=4))
    assert totals.take_changed() == set()
    totals.advance(START + timedelta(minutes=6))
    assert totals.take_changed() == {FEZ}
    totals.add_delta(Delta(FORTE, bucket(START), 1, 1))
    totals.add_delta(Delta(FORTE, bucket(START + timedelta(minutes=6)), 1, 1))
    totals.add_delta(Delta(FORTE, bucket(START + timedelta(minutes=6)), -1, -1))
    assert totals.take_changed() == set()
