"""What is left of a budget, and forecasts, against closed forms and slow sums."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import comb, exp, lgamma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.slo.budget import beta_binomial_tail, exhaustion_probability
from qobs.slo.evaluate import evaluate
from qobs.slo.objective import Calendar, FileEvent, Objective
from qobs.stats import jeffreys_interval

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MakeObjective = Callable[..., Objective]
MakeEvents = Callable[..., tuple[FileEvent, ...]]
LAWS = settings(max_examples=100, derandomize=True, deadline=None)
JANUARY = Calendar(start=datetime(2026, 1, 1), time_zone="UTC", count=1, unit="M")  # noqa: DTZ001


def beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


@LAWS
@given(least=st.integers(-2, 62), n=st.integers(0, 60), k=st.integers(0, 50), m=st.integers(0, 50))
def test_the_forecast_is_the_sum_of_all_its_terms(least: int, n: int, k: int, m: int):
    """The probability of exhaustion is what somebody decides a freeze of submissions on."""
    a, b = k + 0.5, m + 0.5
    slow = sum(comb(n, j) * exp(beta(j + a, n - j + b) - beta(a, b)) for j in range(max(0, least), n + 1))
    assert beta_binomial_tail(least, n, a, b) == pytest.approx(slow, abs=1e-10)


def test_a_forecast_over_millions_of_events_is_quick_and_sane():
    """A busy service must not make the forecast slow or lose it to underflow."""
    inside = exhaustion_probability(events=1_000_000, failed=Fraction(40_000), further=3_000_000, budget=Fraction("0.05"))
    outside = exhaustion_probability(events=1_000_000, failed=Fraction(60_000), further=3_000_000, budget=Fraction("0.05"))
    assert inside == pytest.approx(0.0, abs=1e-9)
    assert outside == pytest.approx(1.0, abs=1e-6)


def test_exhaustion_means_more_than_the_budget():
    """Exactly the allowed failures are allowed."""
    certain = {"further": 0, "budget": Fraction("0.05")}
    assert exhaustion_probability(events=100, failed=Fraction(5), **certain) == 0.0
    assert exhaustion_probability(events=100, failed=Fraction(6), **certain) == 1.0


@LAWS
@given(word=st.text("ggggb", min_size=1, max_size=60))
def test_the_bounds_are_jeffreys_of_the_error_ratio(make_objective: MakeObjective, make_events: MakeEvents, word: str):
    """A remaining budget of three jobs must be shown with how little is known."""
    budget = evaluate(make_objective(), make_events(word), START + HOUR).budget
    low, high = jeffreys_interval(bad=word.count("b"), total=len(word))
    assert (budget.low, budget.high) == pytest.approx((1 - high / 0.05, 1 - low / 0.05))
    assert budget.low <= budget.remaining_ratio + 1e-12
    assert budget.remaining_ratio <= budget.high + 1e-12


def test_batches_widen_the_bounds(make_objective: MakeObjective, make_events: MakeEvents):
    """A hundred jobs of five batches tell less than a hundred jobs."""
    batches = tuple(
        event
        for number, letter in enumerate("ggbgg")
        for event in make_events(letter * 20, start=START + number * HOUR, group=str(number))
    )
    alone = tuple(FileEvent(event.at, event.good) for event in batches)
    at = START + 6 * HOUR
    together, apart = (evaluate(make_objective(), events, at).budget for events in (batches, alone))
    assert together.remaining_ratio == apart.remaining_ratio
    assert together.low is not None
    assert apart.low is not None
    assert together.low < apart.low


def test_an_overspent_budget_is_told_as_negative(make_objective: MakeObjective, make_events: MakeEvents):
    """A clamp at 0 would hide how bad the month was."""
    budget = evaluate(make_objective(), make_events("gb"), START + HOUR).budget
    assert budget.remaining_ratio == -9.0
    assert budget.exhausted_in_seconds == 0.0


def test_time_to_exhaustion_of_a_rolling_period(make_objective: MakeObjective, make_events: MakeEvents):
    """30 days x remaining / burn: at burn 2 with half left, 7.5 days."""
    events = (
        *make_events("g" * 380, minutes=1),
        *make_events("bgggggggggggggggggggggggggggggggggggggggg" + "b" * 4, start=START + 12 * HOUR),
    )
    found = evaluate(make_objective(), events, START + 13 * HOUR)
    pace = found.windows["6h"].burn_rate
    assert pace is not None
    expected = 30 * 86_400 * found.budget.remaining_ratio / pace
    assert found.budget.exhausted_in_seconds == pytest.approx(expected)
    assert 0 < expected < 30 * 86_400


def test_nothing_failing_never_exhausts(make_objective: MakeObjective, make_events: MakeEvents):
    """A pace of zero has no time to exhaustion: null, not infinity, which JSON does not know."""
    old = make_events("b" + "g" * 99)
    assert evaluate(make_objective(), old, START + HOUR * 9).budget.exhausted_in_seconds is None


def test_time_to_exhaustion_of_a_calendar_period(make_objective: MakeObjective, make_events: MakeEvents):
    """Remaining budget events over failures an hour: 100 events allow 5, 2 are spent, 2 in 6 hours is the pace: 9 hours."""
    events = make_events("g" * 98 + "bb", minutes=3)
    budget = evaluate(make_objective(window=JANUARY), events, START + 5 * HOUR).budget
    assert budget.exhausted_in_seconds == pytest.approx(9 * 3600)
    assert budget.ideal_remaining_ratio == pytest.approx(1 - 5 / (31 * 24))


def test_the_forecast_expects_what_the_last_periods_had(make_objective: MakeObjective):
    """Quiet second halves of all past months must not be forecast from a busy first half."""
    events = []
    for month in range(1, 6):
        first = datetime(2026, month, 1, tzinfo=UTC)
        events += [FileEvent(first + place * HOUR, place % 25 != 3) for place in range(100)]
    last = datetime(2026, 5, 6, tzinfo=UTC)
    budget = evaluate(make_objective(window=JANUARY), events, last).budget
    # Nothing ever came after the first hundred hours: 4 of 100 failed, 5 are allowed, no more will come.
    assert budget.exhaustion_probability == 0.0
    no_past = [event for event in events if event.at >= datetime(2026, 5, 1, tzinfo=UTC)]
    alone = evaluate(make_objective(window=JANUARY), no_past, last).budget
    assert alone.exhaustion_probability is not None
    assert 0.05 < alone.exhaustion_probability < 0.6


def test_the_first_period_carries_its_rate_on(make_objective: MakeObjective, make_events: MakeEvents):
    """In the first month there is no past: the rate so far is all that is known."""
    events = make_events("gggggggggggggggggggb" * 12, minutes=60)
    at = events[-1].at
    found = evaluate(make_objective(window=JANUARY), events, at).budget
    further = round(240 * ((datetime(2026, 2, 1, tzinfo=UTC) - at) / (at - START)))
    expected = exhaustion_probability(events=240, failed=Fraction(12), further=further, budget=Fraction(Decimal("0.05")))
    assert found.exhaustion_probability == expected
    assert 0.3 < expected < 0.7


def test_rolling_periods_have_no_forecast(make_objective: MakeObjective, make_events: MakeEvents):
    """A rolling budget has no end to be forecast for."""
    budget = evaluate(make_objective(), make_events("gb" * 20), START + HOUR).budget
    assert (budget.exhaustion_probability, budget.ideal_remaining_ratio) == (None, None)
