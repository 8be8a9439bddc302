"""The four verdicts, each for its reason, and the learnt margin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.reference.discovery import Lord, benjamini_hochberg, share
from qobs.reference.goodness import measure
from qobs.reference.margin import FEWEST, MarginHistory
from qobs.reference.verdict import Verdict, counts_of, detectable, judge, unverified

BELL = np.array([0.5, 0.0, 0.0, 0.5])
NOISY = np.array([0.48, 0.02, 0.03, 0.47])
SKEWED = np.array([0.55, 0.25, 0.15, 0.05])


def verdict(reference, counts, **options):
    return judge(np.asarray(reference), np.asarray(counts), method="exact", **options)


def test_a_result_like_its_reference_is_consistent():
    """The usual case, with everything that a page shows beside it."""
    told = verdict(BELL, [510, 0, 0, 514])
    assert told.verdict is Verdict.CONSISTENT
    assert (told.shots, told.method, told.margin) == (1024, "exact", 0.0)
    assert told.distance is not None
    assert told.distance.tvd < told.distance.floor + 0.02
    assert told.xeb == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("reference", "counts", "why"),
    [
        (BELL, [400, 100, 24, 500], "outcomes that the reference rules out"),
        (SKEWED, [300, 260, 250, 214], "a share of 0.85 of the shots were random"),
        (NOISY, [700, 20, 30, 250], "farther away"),
    ],
)
def test_a_result_unlike_its_reference_is_worse_and_says_how(reference, counts, why):
    """Whoever is called at night must see whether it is noise, a wrong circuit, or an outcome that cannot be."""
    told = verdict(reference, counts)
    assert told.verdict is Verdict.WORSE
    assert why in told.reason
    assert told.p_value is not None
    assert told.p_value < 1e-6


def test_less_noise_than_predicted_is_not_worse():
    """A calibration that is too gloomy must not page anybody: the result is closer to the ideal than it says."""
    told = verdict(0.7 * SKEWED + 0.3 / 4, np.round(4000 * SKEWED).astype(int))
    assert told.verdict is Verdict.INCONCLUSIVE
    assert "less noise" in told.reason


@pytest.mark.parametrize("shots", [0, 5, 12])
def test_few_shots_are_never_consistent(shots):
    """Ten shots prove nothing: neither green nor red may be shown for them."""
    told = verdict(BELL, [shots // 2, 0, 0, shots - shots // 2])
    assert told.verdict is (Verdict.INCONCLUSIVE if shots else Verdict.UNVERIFIED)


def test_a_deterministic_circuit_is_consistent_by_the_outcomes_that_stay_away():
    """One possible outcome leaves no bins to compare; a hundred shots on it are proof all the same."""
    assert verdict([0.0, 1.0], [0, 100]).verdict is Verdict.CONSISTENT
    assert verdict([0.0, 1.0], [0, 3]).verdict is Verdict.INCONCLUSIVE
    assert verdict([0.0, 1.0], [1, 99]).verdict is Verdict.WORSE


def test_a_margin_forgives_what_the_backend_always_does():
    """Real devices always differ from their calibration: with a margin the usual distance is consistent, a larger one worse."""
    usual = np.round(10_000 * (0.9 * SKEWED + 0.025)).astype(int)
    assert verdict(SKEWED, usual).verdict is Verdict.WORSE
    assert verdict(SKEWED, usual, margin=0.2).verdict is Verdict.CONSISTENT
    assert verdict(SKEWED, usual, margin=0.008).verdict is Verdict.INCONCLUSIVE
    worse = np.round(10_000 * (0.2 * SKEWED + 0.2)).astype(int)
    assert verdict(SKEWED, worse, margin=0.2).verdict is Verdict.WORSE


def test_a_margin_too_wide_vouches_for_nothing():
    """A backend that is always far from its calibration must not make a wrong circuit look right."""
    told = verdict(SKEWED, [450, 300, 170, 80], margin=0.6)
    assert told.verdict is Verdict.INCONCLUSIVE
    assert "too large for its reference" in told.reason
    assert verdict(SKEWED, [20, 30, 250, 700], margin=0.6).verdict is Verdict.WORSE


@given(seed=st.integers(0, 2**31), shots=st.integers(1, 3000))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_same_counts_get_the_same_verdict(seed, shots):
    """A verdict that changes when it is asked again would be disputed for ever."""
    counts = np.random.default_rng(seed).multinomial(shots, SKEWED)
    assert verdict(SKEWED, counts, seed=3) == verdict(SKEWED, counts, seed=3)


def test_more_shots_can_show_less():
    """The distance that a result could have shown must shrink with shots: it is the reason of an inconclusive verdict."""
    few, many = (detectable(measure(SKEWED, np.round(SKEWED * shots).astype(int)), 0.01) for shots in (100, 10_000))
    assert many < few / 50


@pytest.mark.parametrize(
    ("told", "said"),
    [({4: 1}, "found outcome 4; allowed are 0 to 3"), ({0: -1}, "found -1 shots of outcome 0"), ({-1: 2}, "found outcome -1")],
)
def test_counts_that_do_not_fit_are_refused(told, said):
    """Counts of another circuit must not be judged as if they were this one's."""
    with pytest.raises(ValueError, match=said):
        counts_of(told, 4)
    assert counts_of({1: 2, 3: 5}, 4).tolist() == [0, 2, 0, 5]


def test_nothing_to_compare_with_is_told_apart_from_a_pass():
    """An unverified result must never look green."""
    assert unverified("no calibration").verdict is Verdict.UNVERIFIED
    with pytest.raises(ValueError, match="must have 4 outcomes"):
        verdict(BELL, [1, 2])


def test_a_margin_is_learnt_from_fifty_accepted_results():
    """With less history than that, a backend is uncalibrated, and the page must be able to say so."""
    history = MarginHistory()
    for number in range(FEWEST - 1):
        history = history.accepted(number / 100)
    assert history.margin is None
    assert history.accepted(0.49).margin == pytest.approx(0.47)
    assert MarginHistory((-0.1,) * FEWEST).margin == 0.0


def test_the_shares_of_an_endless_stream_sum_to_one():
    """Were they more, the promised rate of false discoveries would be exceeded."""
    assert sum(share(place) for place in range(1, 100_000)) <= 1.0


def test_a_stream_of_good_results_has_few_false_discoveries_and_a_bad_spell_is_found():
    """Thousands of results a day: false "worse" must stay rare in the long run, and true ones must still be found."""
    rng = np.random.default_rng(5)
    state, false, true = Lord(level=0.05), 0, 0
    for number in range(4000):
        bad = 2000 <= number < 2200
        p = float(rng.beta(0.05, 5.0)) if bad else float(rng.uniform())
        state, found = state.after(p)
        false += found and not bad
        true += found and bad
    assert true > 100
    assert false <= 0.1 * (true + false)
    none = Lord(level=0.05)
    for _ in range(2000):
        none, _ = none.after(float(rng.uniform()))
    assert len(none.found) <= 1


@given(p=st.lists(st.floats(0.0, 1.0), max_size=30), level=st.floats(0.001, 0.5))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_benjamini_hochberg_rejects_all_below_its_line(p, level):
    """The batch rule from its definition: the largest k with p(k) <= level k / m, and everything at or below it."""
    rejected = benjamini_hochberg(p, level)
    ordered = sorted(p)
    most = max((k for k in range(1, len(p) + 1) if ordered[k - 1] <= level * k / len(p)), default=0)
    assert sum(rejected) >= most
    assert all(value <= ordered[most - 1] for value, out in zip(p, rejected, strict=True) if out)
