"""Centre and spread by medians, and what a limit becomes when several figures share it."""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.insight.robust import JUMP_LIMIT, SMOOTHING, TREND_LIMIT, Transform, baseline, shared_limit, trend_sigma

SETTINGS = settings(derandomize=True, max_examples=60, deadline=None)
VALUES = st.lists(st.floats(-50, 50), min_size=1, max_size=30)


def test_the_modified_z_score_is_the_one_of_the_book() -> None:
    """Iglewicz and Hoaglin: 0.6745 (x - median) / MAD. Another constant would shift every limit unseen."""
    values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]
    known = baseline(values)
    mad = median(abs(value - 2.45) for value in values)
    assert known.centre == pytest.approx(2.45)
    score = (8.3 - known.centre) / known.spread(resolution=0.01, limit=JUMP_LIMIT)
    assert score == pytest.approx(0.6745 * (8.3 - 2.45) / mad)


def test_without_a_mad_the_mean_deviation_tells_the_spread() -> None:
    """A figure that repeats itself must not make every other value infinitely significant."""
    values = [5.0] * 8 + [6.0, 9.0]
    assert baseline(values).sigma == 1.2533 * fmean([0.0] * 8 + [1.0, 4.0])


def test_without_any_spread_only_more_than_the_resolution_counts() -> None:
    """A constant published to two digits moves by its last digit: that is no event, and more than that is."""
    known = baseline([1.0] * 12)
    assert known.sigma == 0.0
    unit = known.spread(resolution=0.25, limit=3.5)
    assert 0.25 / unit == 3.5
    assert math.nextafter(0.25, 1.0) / unit > 3.5


def test_an_error_bar_widens_the_spread() -> None:
    """A value known only roughly must not be called a jump by the precision of the others."""
    known = baseline([1.0, 2.0, 3.0, 4.0, 5.0])
    assert known.spread(resolution=1.0, limit=3.5, error=2.0) == pytest.approx(math.hypot(1.0 / 0.6745, 2.0))
    assert Transform.LOG.error(4.0, 0.2) == pytest.approx(0.05)
    assert Transform.LOGIT.error(0.5, 0.01) == pytest.approx(0.04)


@SETTINGS
@given(VALUES, st.floats(-20, 20))
def test_a_shift_moves_the_centre_and_nothing_else(values: list[float], shift: float) -> None:
    """On a log scale a shift is a change of unit: microseconds and seconds must alarm alike."""
    before, after = baseline(values), baseline([value + shift for value in values])
    assert after.centre == pytest.approx(before.centre + shift, abs=1e-9)
    if before.sigma > 1e-6:
        assert after.sigma == pytest.approx(before.sigma, rel=1e-6, abs=1e-9)


@SETTINGS
@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_the_values_does_not_matter(values: list[float], rng: object) -> None:
    """A baseline is what was seen, not when it was read."""
    shuffled = list(values)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert baseline(shuffled) == pytest.approx(baseline(values))


@SETTINGS
@given(st.sampled_from(list(Transform)), st.floats(1e-5, 0.99))
def test_transforms_are_undone_by_their_inverse(transform: Transform, value: float) -> None:
    """Limits and baselines are shown in the figure's own unit: a wrong way back would show a wrong one."""
    place = transform.forward(value)
    assert place is not None
    assert transform.inverse(place) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
@pytest.mark.parametrize("transform", list(Transform))
def test_what_is_no_such_figure_has_no_place(transform: Transform, value: float) -> None:
    """A broken payload must not become a number that a baseline learns from."""
    assert transform.forward(value) is None


def test_impossible_ratios_and_times_have_no_place_and_perfect_ones_have() -> None:
    """An error of exactly 0 is published and must not be infinitely good; one of 1.5 is nonsense."""
    assert Transform.LOGIT.forward(1.5) is None
    assert Transform.LOG.forward(0.0) is None
    assert Transform.LOGIT.forward(0.0) == Transform.LOGIT.forward(1e-6)
    assert Transform.COUNT.forward(0.0) is not None


@pytest.mark.parametrize("limit", [JUMP_LIMIT, TREND_LIMIT])
@pytest.mark.parametrize("tests", [1, 2, 5, 10])
def test_figures_share_what_one_may_cry_wolf(limit: float, tests: int) -> None:
    """Ten figures at the limit of one would raise ten times as many false tickets."""
    tail = NormalDist().cdf(-shared_limit(limit, tests))
    assert tests * tail == pytest.approx(NormalDist().cdf(-limit), rel=1e-9)
    assert shared_limit(limit, 1) == limit


def test_the_moving_average_spreads_as_its_recursion_says() -> None:
    """Roberts' limits are for the variance of the sum that is really computed."""
    for steps in (1, 2, 7):
        weights = [SMOOTHING * (1 - SMOOTHING) ** back for back in range(steps)]
        assert trend_sigma(steps) == pytest.approx(math.sqrt(sum(weight**2 for weight in weights)))
