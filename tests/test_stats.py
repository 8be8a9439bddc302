"""Statistics against closed forms, exact arithmetic and published tables."""

from __future__ import annotations

import statistics
from fractions import Fraction
from math import asin, comb, isclose, pi, sin, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.stats import (
    Interval,
    beta_probability,
    beta_quantile,
    jeffreys_interval,
    survival_quantile,
    weighted_median,
    weighted_quantile,
)

probabilities = st.floats(1e-6, 1 - 1e-6)
shapes = st.floats(0.05, 500.0)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(probabilities)
def test_beta_with_shapes_of_one_half_is_the_arcsine_law(x: float) -> None:
    """I_x(1/2, 1/2) = (2/pi) arcsin(sqrt(x)): Jeffreys' prior itself."""
    assert isclose(beta_probability(x, 0.5, 0.5), 2 / pi * asin(sqrt(x)), rel_tol=1e-12)
    assert isclose(beta_quantile(x, 0.5, 0.5), sin(pi * x / 2) ** 2, rel_tol=1e-10)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(probabilities, shapes)
def test_beta_with_a_shape_of_one_is_a_power(x: float, a: float) -> None:
    """I_x(a, 1) = x^a and I_x(1, b) = 1 - (1 - x)^b."""
    assert isclose(beta_probability(x, a, 1.0), x**a, rel_tol=1e-9, abs_tol=1e-300)
    assert isclose(beta_probability(x, 1.0, a), 1 - (1 - x) ** a, rel_tol=1e-9, abs_tol=1e-13)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(1, 120), st.data())
def test_beta_is_the_tail_of_the_binomial(n: int, data: st.DataObject) -> None:
    """I_p(k, n - k + 1) = P(Binomial(n, p) >= k), summed in exact fractions."""
    k = data.draw(st.integers(1, n))
    p = Fraction(data.draw(st.integers(1, 99)), 100)
    exact = sum(comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))
    assert isclose(beta_probability(float(p), k, n - k + 1), float(exact), rel_tol=1e-10, abs_tol=1e-14)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(probabilities, shapes, shapes)
def test_the_quantile_inverts_the_probability(p: float, a: float, b: float) -> None:
    """Whatever the shapes, the quantile is the point that has this probability."""
    x = beta_quantile(p, a, b)
    below, above = beta_probability(x * (1 - 1e-9), a, b), beta_probability(min(1.0, x * (1 + 1e-9)), a, b)
    assert below - 1e-12 <= p <= above + 1e-12


# Made with SciPy 1.16: scipy.stats.beta.ppf(0.025 | 0.975, k + 1/2, n - k + 1/2).
TABLE = [
    (5, 10, 0.22352867025270517, 0.7764713297472947),
    (1, 10, 0.011011673763161133, 0.3813147710666164),
    (2, 40, 0.010534485022236681, 0.15086505123467933),
    (3, 1000, 0.0008456348018298346, 0.007984367358403443),
    (50, 1000, 0.03777013225427474, 0.06482845573314777),
    (999_999, 1_000_000, 0.9999953258079533, 0.9999998921023375),
    (7, 100_000_000, 3.1310689502634034e-08, 1.3744195933893203e-07),
]


@pytest.mark.parametrize(("bad", "total", "low", "high"), TABLE)
def test_jeffreys_interval_equals_the_table(bad: int, total: int, low: float, high: float) -> None:
    """A ratio is shown with this interval: few events must look as uncertain as they are."""
    interval = jeffreys_interval(bad=bad, total=total)
    assert isclose(interval.low, low, rel_tol=1e-7)
    assert isclose(interval.high, high, rel_tol=1e-7)


def test_jeffreys_interval_at_the_ends() -> None:
    """No failure yet does not mean that none can come, and nothing seen means nothing known."""
    assert jeffreys_interval(bad=0, total=0) == Interval(0.0, 1.0)
    none_bad, all_bad = jeffreys_interval(bad=0, total=4), jeffreys_interval(bad=4, total=4)
    assert none_bad.low == 0.0
    assert isclose(none_bad.high, 0.4447626176576396, rel_tol=1e-12)
    assert all_bad.high == 1.0
    assert isclose(all_bad.low, 1 - none_bad.high, rel_tol=1e-12)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_jeffreys_interval_holds_the_ratio_and_mirrors(bad: int, good: int) -> None:
    """The interval of the bad ratio and of the good one are the same statement."""
    low, high = jeffreys_interval(bad=bad, total=bad + good)
    assert 0.0 <= low <= high <= 1.0
    if bad + good:
        assert low <= bad / (bad + good) <= high
    mirrored = jeffreys_interval(bad=good, total=bad + good)
    assert isclose(low, 1 - mirrored.high, abs_tol=1e-12)
    assert isclose(high, 1 - mirrored.low, abs_tol=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [
        {"bad": -1, "total": 3},
        {"bad": 4, "total": 3},
        {"bad": 1, "total": 3, "level": 0.0},
        {"bad": 1, "total": 3, "level": 1.0},
        {"bad": float("nan"), "total": 3},
    ],
)
def test_jeffreys_interval_refuses_what_is_no_count(arguments: dict[str, float]) -> None:
    """A negative count is a bug elsewhere, and must not become a plausible number."""
    with pytest.raises(ValueError, match="must lie in"):
        jeffreys_interval(**arguments)


@pytest.mark.parametrize(("p", "a", "b"), [(-0.1, 1, 1), (1.1, 1, 1), (0.5, 0, 1), (0.5, 1, -2)])
def test_beta_refuses_arguments_out_of_range(p: float, a: float, b: float) -> None:
    """The functions say what is wrong instead of returning a number."""
    with pytest.raises(ValueError, match="must"):
        beta_quantile(p, a, b)
    with pytest.raises(ValueError, match="must"):
        beta_probability(p, a, b)


def test_beta_at_the_ends_is_exact() -> None:
    """The bounds of the range are themselves."""
    assert [beta_probability(x, 2.0, 3.0) for x in (0.0, 1.0)] == [0.0, 1.0]
    assert [beta_quantile(p, 2.0, 3.0) for p in (0.0, 1.0)] == [0.0, 1.0]


# Remission times of the 6-MP group (weeks): Freireich et al. 1963, the standard example of survival analysis.
REMISSIONS = [(t, True) for t in (6, 6, 6, 7, 10, 13, 16, 22, 23)] + [
    (t, False) for t in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
]


@pytest.mark.parametrize(
    ("q", "weeks"),
    [
        (0.1, 6),
        (0.142, 6),
        (0.143, 7),
        (0.19, 7),
        (0.2, 10),
        (0.25, 13),
        (0.37, 16),
        (0.46, 22),
        (0.5, 23),
        (0.55, 23),
        (0.56, None),
    ],
)
def test_survival_quantiles_of_the_published_example(q: float, weeks: float | None) -> None:
    """The published curve: 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448; the median is 23 weeks."""
    assert survival_quantile(REMISSIONS, q) == weeks


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 20))
def test_without_unfinished_jobs_it_is_the_ordinary_quantile(values: list[int], twentieths: int) -> None:
    """With nothing censored, Kaplan-Meier is the empirical distribution, to the value."""
    q = twentieths / 20
    needed = -(-len(values) * twentieths // 20)
    expected = sorted(values)[needed - 1]
    assert survival_quantile([(float(value), True) for value in values], q) == expected
    assert weighted_quantile([(float(value), 1.0) for value in values], q) == expected


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=40), st.integers(1, 20))
def test_unfinished_jobs_never_make_it_look_faster(pairs: list[tuple[int, bool]], twentieths: int) -> None:
    """Taking unfinished jobs for finished ones is a lower bound: a stuck queue cannot look better than that."""
    q = twentieths / 20
    censored = survival_quantile([(float(seconds), ended) for seconds, ended in pairs], q)
    naive = survival_quantile([(float(seconds), True) for seconds, _ in pairs], q)
    assert naive is not None
    assert censored is None or censored >= naive


def test_survival_quantile_of_nothing_is_unknown() -> None:
    """No job, or none that ended: there is no median."""
    assert survival_quantile([], 0.5) is None
    assert survival_quantile([(5.0, False), (9.0, False)], 0.5) is None


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30))
def test_weighted_median_of_equal_weights_is_the_median(values: list[int]) -> None:
    """The ordinary median is the special case."""
    assert weighted_median([(float(value), 2.5) for value in values]) == statistics.median(values)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 5)), min_size=1, max_size=12), st.integers(1, 10))
def test_a_weight_is_a_repetition(pairs: list[tuple[int, int]], tenths: int) -> None:
    """A whole weight counts like so many single values."""
    repeated = [(float(value), 1.0) for value, weight in pairs for _ in range(weight)]
    weighted = [(float(value), float(weight)) for value, weight in pairs]
    assert weighted_median(weighted) == weighted_median(repeated)
    assert weighted_quantile(weighted, tenths / 10) == weighted_quantile(repeated, tenths / 10)


def test_no_weight_has_no_quantile() -> None:
    """Nothing is None, not zero."""
    assert weighted_median([]) is None
    assert weighted_median([(3.0, 0.0)]) is None
    assert weighted_quantile([(3.0, 0.0)], 0.5) is None


def test_quantiles_refuse_what_is_out_of_range() -> None:
    """A percent where a ratio belongs is an error, not a maximum."""
    for q in (0.0, -0.5, 50.0):
        with pytest.raises(ValueError, match="`q` must"):
            survival_quantile([(1.0, True)], q)
        with pytest.raises(ValueError, match="`q` must"):
            weighted_quantile([(1.0, 1.0)], q)
    with pytest.raises(ValueError, match="negative"):
        weighted_median([(1.0, -1.0), (2.0, 3.0)])
