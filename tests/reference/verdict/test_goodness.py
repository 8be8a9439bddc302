"""Statistics of a result: closed forms, and rates of error over many seeded replicates."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qobs.reference.distance import distance, expected_tvd, hellinger_fidelity, linear_xeb, tvd
from qobs.reference.goodness import (
    LEAST_EXPECTED,
    Score,
    bootstrap,
    farther,
    measure,
    nearer,
    p_values,
    pool,
    two_sample_x2,
)

Distribution = NDArray[np.float64]


def random_circuit(qubits: int, seed: int) -> Distribution:
    """Outcome probabilities of a deep random circuit: exponential (Porter and Thomas), mixed with a little uniform noise."""
    weights = np.random.default_rng(seed).exponential(size=2**qubits)
    return 0.8 * weights / weights.sum() + 0.2 / 2**qubits


def peaked(qubits: int) -> Distribution:
    """A distribution with most of its weight on one outcome and a tail that halves with every flipped bit."""
    weights = np.array([0.06 ** bin(outcome).count("1") for outcome in range(2**qubits)])
    return weights / weights.sum()


def test_the_floor_is_the_exact_expectation_of_the_distance():
    """A floor that is off by a factor, as the usual formula is for few shots, would call good results bad."""
    for p, shots in ((np.array([0.7, 0.2, 0.1]), 4), (np.array([0.5, 0.5]), 7)):
        total = 0.0
        for drawn in product(range(p.size), repeat=shots):
            counts = np.bincount(drawn, minlength=p.size)
            total += float(np.prod(p[list(drawn)])) * tvd(p, counts)
        assert expected_tvd(p, shots) == pytest.approx(total, rel=1e-12)


def test_a_thousand_shots_of_ten_qubits_lie_far_away_by_chance_alone():
    """The page must show that a distance of a third is nothing at this many outcomes."""
    p = random_circuit(10, 1)
    counts = np.random.default_rng(2).multinomial(1000, p)
    told = distance(p, counts)
    assert told.tvd > 0.3
    assert abs(told.excess) < 0.03


@given(seed=st.integers(0, 2**31), noise=st.floats(0.0, 1.0))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_linear_xeb_is_the_share_that_is_not_uniform_noise(seed: int, noise: float):
    """A physicist reads it as fidelity: for a mixture with uniform noise it must be just that."""
    p = random_circuit(4, seed)
    mixed = (1.0 - noise) * p + noise / p.size
    exact = np.round(mixed * 10**12).astype(np.int64)
    assert linear_xeb(p, exact) == pytest.approx(1.0 - noise, abs=1e-6)


def test_fidelity_of_a_perfect_result_is_one():
    """The displayed fidelity must be the one that other tools show under this name: squared overlap of square roots."""
    assert hellinger_fidelity(np.array([0.5, 0.5]), np.array([500, 500])) == pytest.approx(1.0)
    assert hellinger_fidelity(np.array([1.0, 0.0]), np.array([250, 750])) == pytest.approx(0.25)


@given(seed=st.integers(0, 2**31), qubits=st.integers(1, 7), shots=st.integers(20, 20_000))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_pooling_leaves_enough_shots_in_every_bin_and_loses_nothing(seed: int, qubits: int, shots: int):
    """A bin with too few expected shots makes the test lie; an outcome without a bin would go unnoticed."""
    p = random_circuit(qubits, seed)
    pooled = pool(p, shots)
    assert (pooled.bin_of >= 0).all()
    assert pooled.expected.sum() == pytest.approx(1.0)
    assert pooled.expected.size == 1 or (pooled.expected * shots >= LEAST_EXPECTED - 1e-9).all()
    for number, share in enumerate(pooled.expected):
        assert p[pooled.bin_of == number].sum() == pytest.approx(share)


def test_outcomes_that_cannot_be_have_no_bin_and_are_told_apart():
    """Merged into a likely bin, an impossible outcome would never be noticed."""
    bell = np.array([0.5, 0.0, 0.0, 0.5])
    assert pool(bell, 1000).bin_of.tolist() == [0, -1, -1, 1]
    measured = measure(bell, np.array([400, 100, 0, 500]))
    assert measured.impossible == 100
    assert p_values(measured).pair == 0.0
    assert p_values(measured, margin=0.2).impossible > 0.99


def test_x2_of_two_bins_is_the_square_of_the_normal_score():
    """The statistic itself, from its closed form for a coin."""
    measured = measure(np.array([0.5, 0.5]), np.array([540, 460]))
    assert (measured.x2, measured.df) == (pytest.approx(6.4), 1)
    assert farther(6.4, 1, 0.0) == pytest.approx(0.011412, abs=1e-6)


def test_the_score_has_the_moments_that_it_claims():
    """Were the spread wrong, every verdict on noise would be."""
    p = peaked(5)
    score = Score.of(p)
    z = score.z(p, np.random.default_rng(3).multinomial(2000, p, size=4000))
    assert abs(z.mean()) < 4 / np.sqrt(4000)
    assert z.std() == pytest.approx(1.0, abs=0.05)
    assert Score.of(np.full(8, 0.125)).spread == 0.0


@given(x2=st.floats(0.0, 200.0), df=st.integers(1, 60), margin=st.floats(0.0, 80.0))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_wider_margin_is_never_easier_to_exceed(x2: float, df: int, margin: float):
    """Granting a backend more must not make its results worse."""
    assert farther(x2, df, margin) <= farther(x2, df, margin + 1.0) + 1e-9
    assert nearer(x2, df, margin) >= nearer(x2, df, margin + 1.0) - 1e-9
    assert farther(x2, df, margin) + nearer(x2, df, margin) == pytest.approx(1.0, abs=1e-9)


def rejections(p: Distribution, truth: Distribution, shots: int, replicates: int, alpha: float, seed: int) -> int:
    """How many of the replicates, drawn from ``truth``, the pair of tests rejects at ``alpha``."""
    drawn = np.random.default_rng(seed).multinomial(shots, truth, size=replicates)
    found = 0
    for number, counts in enumerate(drawn):
        measured = measure(p, counts)
        chances = bootstrap(p, counts, seed=number, replicates=299) if measured.bootstrap else p_values(measured)
        found += chances.pair <= alpha
    return found


def band(replicates: int, alpha: float) -> tuple[int, int]:
    """Counts between which a true rate of ``alpha`` falls in all but one in ten thousand runs."""
    from scipy.stats import binom

    low, high = binom.interval(0.9999, replicates, alpha)
    return int(low), int(high)


@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("shots", [100, 1000, 10_000])
def test_good_results_are_called_worse_as_seldom_as_promised(alpha: float, shots: int):
    """Too many false alarms and nobody looks; the pair of tests must keep its level for few and many shots."""
    for qubits, p in ((5, random_circuit(5, 4)), (8, random_circuit(8, 5)), (5, peaked(5))):
        replicates = 150 if shots < 500 else 400
        _, high = band(replicates, alpha)
        found = rejections(p, p, shots, replicates, alpha, seed=qubits)
        # Bonferroni is on the careful side: fewer than the nominal rate is no fault.
        assert found <= high, (qubits, shots, alpha)


@pytest.mark.parametrize("qubits", [5, 8, 10])
def test_a_doubled_two_qubit_error_shows_at_four_thousand_shots(qubits: int):
    """The change that a stale calibration makes must be found nearly always: gate survival 0.9 down to 0.81."""
    ideal = np.random.default_rng(qubits).exponential(size=2**qubits)
    ideal /= ideal.sum()
    reference = 0.9 * ideal + 0.1 / ideal.size
    truth = 0.81 * ideal + 0.19 / ideal.size
    assert rejections(reference, truth, 4000, 100, 0.05, seed=6) >= 95


def test_a_sampled_reference_counts_its_own_noise():
    """Forgetting that a simulated reference is itself made of samples would call every result wrong as shots grow."""
    from scipy.stats import chi2

    p, rng = random_circuit(5, 8), np.random.default_rng(9)
    found = 0
    for _ in range(300):
        x2, df = two_sample_x2(rng.multinomial(4000, p), rng.multinomial(8000, p))
        found += bool(chi2.sf(x2, df) <= 0.05)
    low, high = band(300, 0.05)
    assert low <= found <= high
