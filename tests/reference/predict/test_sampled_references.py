"""A reference with an error of its own: false alarms stay within bounds, real changes are found."""

from __future__ import annotations

import numpy as np
import pytest

from qobs.reference.goodness import p_values
from qobs.reference.verdict import Verdict
from qobs.reference.wide_sampled import judge_marks, judge_sampled, measure_sampled, worth


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """A distribution over 256 outcomes as random circuits have it."""
    weights = np.random.default_rng(7).exponential(size=256)
    return weights / weights.sum()


@pytest.mark.parametrize("shots", [500, 4_000])
def test_false_alarms_keep_to_alpha(truth, shots):
    """A sampled reference taken for exact calls good results worse, the more the more shots there are."""
    rng = np.random.default_rng(shots)
    samples = 20 * shots
    alarms = 0
    for _ in range(300):
        reference = rng.multinomial(samples, truth) / samples
        alarms += p_values(measure_sampled(reference, samples, rng.multinomial(shots, truth))).pair < 0.05
    # 300 trials at 0.05: 15 expected, and more than 28 in one of a thousand series.
    assert alarms <= 28


def test_few_samples_widen_the_verdict(truth):
    """With as many samples as shots half of the difference is the reference's own: forgetting it rejects everything."""
    rng = np.random.default_rng(1)
    naive = corrected = 0
    for _ in range(100):
        reference = (rng.multinomial(20_000, truth) + 0.01) / 20_002.56
        counts = rng.multinomial(20_000, truth)
        naive += p_values(measure_sampled(reference, 1e12, counts)).general < 0.05
        corrected += p_values(measure_sampled(reference, 20_000, counts)).general < 0.05
    assert naive > 90
    assert corrected < 20


def test_a_sampled_distribution_does_not_favour_itself():
    """An estimated distribution looks more peaked than it is, and good counts noisier than it: the score must know that."""
    rng = np.random.default_rng(8)
    weights = rng.uniform(0.8, 1.2, size=4096)
    flat = weights / weights.sum()
    scores = []
    for _ in range(60):
        reference = rng.multinomial(20_000, flat) / 20_000
        scores.append(measure_sampled(reference, 20_000, rng.multinomial(4_000, flat)).z)
    assert abs(float(np.mean(scores))) < 0.5
    assert 0.5 < float(np.std(scores)) < 1.5


def test_noise_is_found(truth):
    """The test must be able to say worse, and consistent where nothing changed."""
    rng = np.random.default_rng(2)
    reference = rng.multinomial(200_000, truth) / 200_000
    noisy = 0.85 * truth + 0.15 / truth.size
    same = judge_sampled(reference, 200_000, rng.multinomial(8_000, truth), method="samples")
    worse = judge_sampled(reference, 200_000, rng.multinomial(8_000, noisy), method="samples")
    within = judge_sampled(reference, 200_000, rng.multinomial(8_000, noisy), method="samples", margin=0.2)
    assert (same.verdict, worse.verdict, within.verdict) == (Verdict.CONSISTENT, Verdict.WORSE, Verdict.CONSISTENT)
    assert worse.effect == pytest.approx(float(((noisy - truth) ** 2 / truth).sum()), rel=0.5)


def test_less_noise_is_not_worse(truth):
    """A device that beats its calibration must not raise an alarm."""
    noisy = 0.7 * truth + 0.3 / truth.size
    reference = np.random.default_rng(3).multinomial(200_000, noisy) / 200_000
    found = judge_sampled(reference, 200_000, np.random.default_rng(4).multinomial(8_000, truth), method="samples")
    assert (found.verdict, "less noise" in found.reason) == (Verdict.INCONCLUSIVE, True)


def test_few_shots_are_inconclusive(truth):
    """Ten shots say nothing about 256 outcomes."""
    found = judge_sampled(truth, 20_000, np.random.default_rng(5).multinomial(10, truth), method="samples")
    assert found.verdict is Verdict.INCONCLUSIVE


def test_no_shots_are_unverified(truth):
    """An empty result is neither good nor bad."""
    assert judge_sampled(truth, 100, np.zeros(256, dtype=np.int64), method="samples").verdict is Verdict.UNVERIFIED


def test_an_exact_distribution_is_worth_any_number_of_shots():
    """The correction must vanish where nothing was sampled."""
    assert worth(np.array([0.5, 0.5]), np.zeros(2)) == float("inf")


@pytest.mark.parametrize(
    ("broken", "verdict"),
    [(1_000, Verdict.CONSISTENT), (1_400, Verdict.WORSE), (100, Verdict.INCONCLUSIVE)],
)
def test_broken_parities_tell_more_errors_from_fewer(broken, verdict):
    """The only test there is for a hundred qubits."""
    known = np.array([20_000, 10_000, 12_000])
    marks = np.array([broken, broken // 2, int(broken * 0.6)])
    assert judge_marks(marks, 5_000, known, 100_000, method="stabilisers").verdict is verdict


def test_random_parities_are_inconclusive():
    """Where the prediction is noise, nothing can be worse than it, and consistent would be empty praise."""
    half = np.array([100_000, 50_000, 50_000])
    found = judge_marks(np.array([5_000, 2_500, 2_500]), 5_000, half, 100_000, method="stabilisers")
    assert (found.verdict, "nothing is left" in found.reason) == (Verdict.INCONCLUSIVE, True)


def test_few_shots_cannot_clear_parities():
    """Three shots without an error are no proof."""
    known = np.array([20_000, 10_000])
    assert judge_marks(np.array([0, 0]), 3, known, 100_000, method="stabilisers").verdict is Verdict.INCONCLUSIVE
