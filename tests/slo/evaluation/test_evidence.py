"""The gate, the design effect of batches and the CUSUM, against figures of the reference and slow ways of computing them."""

from __future__ import annotations

from fractions import Fraction
from math import comb, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.slo import cusum
from qobs.slo.clustering import Batches, Clustering
from qobs.slo.evidence import binomial_tail, chance, chernoff_bound, failures_needed, fewest_events, proves
from qobs.slo.history import Entry, History

MINUTE = 60_000_000
DAY = 1440 * MINUTE
LAWS = settings(max_examples=100, derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("budget", "n", "needed"),
    [
        *((0.05, n, k) for n, k in ((4, 4), (6, 4), (10, 5), (20, 7), (50, 11), (100, 16))),
        *((0.01, n, k) for n, k in ((3, 3), (10, 4), (50, 6), (100, 7))),
    ],
)
def test_failures_needed_are_those_of_the_reference(budget: float, n: int, needed: int):
    """One failure too few pages for nothing, one too many sleeps through an outage."""
    assert failures_needed(n, budget=budget, alpha=1e-4) == needed


@LAWS
@given(n=st.integers(1, 120), k=st.integers(0, 120), ratio=st.sampled_from((0.001, 0.01, 0.05, 0.2)))
def test_the_chance_is_the_exact_binomial_sum(n: int, k: int, ratio: float):
    """A wrong tail moves every page."""
    k = min(k, n)
    p = Fraction(ratio)
    exact = float(sum(comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1)))
    assert binomial_tail(k, n, ratio) == pytest.approx(exact, rel=1e-9, abs=1e-300)
    assert chernoff_bound(k, n, ratio) >= exact * (1 - 1e-12)


def test_a_state_needs_as_many_events_as_can_prove_a_breach():
    """Fewer must never look green: 4 at 95 %, 2 at 99 %."""
    assert [fewest_events(budget=budget, alpha=1e-4) for budget in (0.05, 0.01, 0.001)] == [4, 2, 2]


def tally(word: str, *, weight: float = 1.0, weights: tuple[float, ...] = ()):
    weights = weights or (weight,) * len(word)
    return History(
        Entry(place, each * (letter == "g"), each * (letter == "b"))
        for place, (letter, each) in enumerate(zip(word, weights, strict=True))
    ).last(len(word), len(word))


def test_equal_weights_prove_as_much_as_none():
    """A weight of 1000 on every event must not turn one failure into a thousand."""
    plain = chance(tally("bbggg"), budget=0.05)
    assert plain == binomial_tail(2, 5, 0.05)
    assert chance(tally("bbggg", weight=1000.0), budget=0.05) == plain


def test_one_heavy_event_is_one_event():
    """A single failed job that weighs as much as all others proves what a single job proves."""
    heavy = chance(tally("bgggg", weights=(1e6, 1.0, 1.0, 1.0, 1.0)), budget=0.05)
    assert heavy == pytest.approx(0.05, rel=1e-3)
    assert not proves(heavy, 1e-3)


def test_batches_prove_less():
    """Twenty failures of one batch must not look like twenty independent ones."""
    seen = tally("b" * 20 + "g" * 20)
    assert chance(seen, budget=0.05) < 1e-10
    assert chance(seen, budget=0.05, design_effect=20.0) > 1e-3


def slow_icc(batches: list[list[int]]) -> float | None:
    """One-way analysis of variance from its definition, with fractions."""
    everything = [value for batch in batches for value in batch]
    n, g = len(everything), len(batches)
    if g < 2 or n == g or len(set(everything)) == 1:
        return None
    mean = Fraction(sum(everything), n)
    means = [Fraction(sum(batch), len(batch)) for batch in batches]
    between = sum(len(batch) * (m - mean) ** 2 for batch, m in zip(batches, means, strict=True)) / (g - 1)
    within = sum((value - m) ** 2 for batch, m in zip(batches, means, strict=True) for value in batch) / Fraction(n - g)
    usual = (n - Fraction(sum(len(batch) ** 2 for batch in batches), n)) / (g - 1)
    spread = between + (usual - 1) * within
    return None if spread <= 0 else float(min(Fraction(1), max(Fraction(0), (between - within) / spread)))


@LAWS
@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=6), min_size=1, max_size=30))
def test_the_design_effect_is_that_of_the_analysis_of_variance(batches: list[list[int]]):
    """A wrong design effect either silences pages or lets a batch page alone."""
    kept = Batches()
    for number, batch in enumerate(batches):
        for value in batch:
            kept.add(f"b{number}" if len(batch) > 1 or number % 2 else "", bad=bool(value))
    sizes = [len(batch) for batch in batches]
    m = sum(size * size for size in sizes) / sum(sizes)
    icc = slow_icc(batches)
    assert kept.mean_size == pytest.approx(m)
    if icc is not None:
        assert kept.icc == pytest.approx(icc, abs=1e-9)
    expected = 1 + (m - 1) * (1.0 if icc is None else icc)
    if sum(size > 1 for size in sizes) < 20:
        expected = max(expected, min(2.0, m))
    assert kept.design_effect == pytest.approx(expected, abs=1e-9)


def test_events_that_stand_alone_have_no_design_effect():
    """Groups of one, or none, must not make a page slower."""
    kept = Batches()
    for number in range(7):
        kept.add(f"only-{number}" if number % 2 else "", bad=number == 3)
    assert kept.design_effect == 1.0


def test_few_batches_count_at_least_double():
    """With three batches the estimate is a guess: it must err on the quiet side."""
    kept = Batches()
    for number in range(3):
        for place in range(4):
            kept.add(str(number), bad=place == 0)
    assert kept.icc == 0.0
    assert kept.design_effect == 2.0


entries_strategy = st.lists(
    st.tuples(st.integers(0, 90 * 24 * 6), st.booleans(), st.sampled_from(("", "", "a", "b", "c", "d"))), max_size=60
).map(lambda rows: History(Entry(at * 10 * MINUTE, 1.0 - bad, float(bad), group) for at, bad, group in rows).entries)


@LAWS
@given(entries_strategy)
def test_the_moving_design_effect_equals_a_recount(entries: tuple[Entry, ...]):
    """Batches that left the 30 days must leave no trace."""
    moving = Clustering(entries)
    for place, entry in enumerate(entries):
        fresh = Batches()
        for other in entries[: place + 1]:
            if other.at > entry.at - 30 * DAY:
                fresh.add(other.group, bad=other.bad > 0)
        assert moving.upto(place + 1, entry.at) == fresh.design_effect


@LAWS
@given(entries_strategy, st.integers(0, 60))
def test_a_kept_cusum_state_equals_a_replay(entries: tuple[Entry, ...], cut: int):
    """After a restart the daemon must go on as if nothing had happened."""
    paths = cusum.tracks(0.05)
    states = list(cusum.replay(entries, budget=0.05, phi=0.1))
    state = states[cut - 1] if 0 < cut <= len(states) else cusum.started(0.05)
    begin = cut if 0 < cut <= len(states) else 0
    moving = Clustering(entries)
    for place in range(begin, len(entries)):
        entry = entries[place]
        count = sum(other.at > entry.at - 30 * DAY for other in entries[: place + 1])
        height = cusum.limit(cusum.expected_events(count, entry.at - entries[0].at), 0.1)
        effect = moving.upto(place + 1, entry.at)
        state = cusum.stepped(state, entry.at, bad=entry.bad > 0, paths=paths, limit=height, effect=effect)
        assert state == states[place]


def test_tracks_are_those_of_the_reference():
    """Scores per failure and success decide every evidence page."""
    fast, slow = cusum.tracks(0.05)
    assert fast == pytest.approx((log(0.72 / 0.05), log(0.28 / 0.95)))
    assert slow == pytest.approx((log(0.15 / 0.05), log(0.85 / 0.95)))
    assert [len(cusum.tracks(budget)) for budget in (0.05, 0.5, 0.7, 0.8)] == [2, 2, 1, 0]


def stepped(word: str, *, minutes: float = 1.0, height: float = 10.0) -> list[bool]:
    """Whether it is firing right after each event."""
    state, paths, told = cusum.started(0.05), cusum.tracks(0.05), []
    for place, letter in enumerate(word):
        at = round(place * minutes * MINUTE)
        state = cusum.stepped(state, at, bad=letter == "b", paths=paths, limit=height)
        told.append(cusum.settled(state, at).firing)
    return told


def test_failures_in_a_row_fire_without_any_window():
    """Four failures at two jobs an hour are evidence, however long they take."""
    assert stepped("ggbbbb", minutes=30.0) == [False] * 5 + [True]
    assert stepped("ggbbbb", minutes=3000.0) == [False] * 5 + [True]


def test_it_clears_after_five_good_events_and_ten_minutes():
    """A page that clears too early comes back a minute later."""
    assert stepped("bbbb" + "g" * 10, minutes=1.0)[-2:] == [True, False]
    assert stepped("bbbb" + "g" * 5, minutes=20.0)[-2:] == [True, False]
    assert stepped("bbbb" + "gggg" + "b" + "gggg", minutes=20.0)[-1] is True


def test_a_quiet_quarter_of_an_hour_clears_without_another_event():
    """An alert must not wait for the next job to be told that it is over."""
    state, paths = cusum.started(0.05), cusum.tracks(0.05)
    for place, letter in enumerate("bbbbggggg"):
        state = cusum.stepped(state, place * MINUTE, bad=letter == "b", paths=paths, limit=10.0)
    assert cusum.settled(state, 13 * MINUTE - 1).firing
    cleared = cusum.settled(state, 13 * MINUTE)
    assert not cleared.firing
    assert set(cleared.scores) == {0.0}
