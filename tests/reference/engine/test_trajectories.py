"""Sampled noise, against exact noise by summing over all errors, and against its own stated error."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit, Operation
from qobs.reference.engine import Options, probabilities
from qobs.reference.trajectories import noisy_probabilities, sampled_errors
from qobs.reference.twirl import ErrorSite, TwirledNoise

PAULIS = ("id", "x", "y", "z")
GATES = (
    Operation("ry", (0,), (0.7,)),
    Operation("cx", (0, 2)),
    Operation("ry", (1,), (1.1,)),
    Operation("cz", (2, 1)),
    Operation("swap", (0, 1)),
    Operation("rx", (2,), (0.4,)),
)
CONFUSIONS = {0: np.array([[0.98, 0.06], [0.02, 0.94]]), 2: np.array([[0.95, 0.01], [0.05, 0.99]])}


@pytest.fixture(scope="module")
def circuit(circuits) -> Circuit:
    """Three qubits, measured crosswise."""
    return circuits.measured(3, GATES, [(0, 1), (2, 0), (1, 2)])


@pytest.fixture(scope="module")
def noise(circuit) -> TwirledNoise:
    """Uneven errors after a swap, a two-qubit gate and a rotation, one before a gate; readout errors of two qubits."""
    pair = np.zeros(16)
    pair[0], pair[0b0001], pair[0b1100], pair[0b1001] = 0.8, 0.1, 0.06, 0.04
    count = len(circuit.operations)
    after = {1: ErrorSite((0, 2), pair), 4: ErrorSite((1,), np.array([0.9, 0.0, 0.1, 0.0]))}
    after |= {7: ErrorSite((2,), np.array([0.1, 0.9, 0.0, 0.0]))}  # After its measurement: nobody sees it.
    return TwirledNoise(
        before=tuple((ErrorSite((1,), np.array([0.85, 0.1, 0.0, 0.05])),) if place == 3 else () for place in range(count)),
        after=tuple((after[place],) if place in after else () for place in range(count)),
        confusions=CONFUSIONS,
    )


@pytest.fixture(scope="module")
def exact(circuit, noise) -> np.ndarray:
    """All combinations of errors, each as a circuit of its own, weighed; then readout, bit by bit."""
    total = np.zeros(8)
    for pair, flip, early in product(range(16), range(4), range(4)):
        weight = (
            noise.after[1][0].probabilities[pair]
            * noise.after[4][0].probabilities[flip]
            * noise.before[3][0].probabilities[early]
        )
        if weight == 0:
            continue
        operations = list(circuit.operations)
        operations[5:5] = [Operation(PAULIS[flip], (1,))]
        operations[3:3] = [Operation(PAULIS[early], (1,))]
        operations[2:2] = [Operation(PAULIS[pair & 3], (0,)), Operation(PAULIS[pair >> 2], (2,))]
        changed = Circuit(width=3, operations=tuple(operations), clbits=3, physical=(0, 1, 2))
        total += weight * probabilities(changed, precision="complex128")
    return np.kron(np.eye(2), np.kron(CONFUSIONS[0], CONFUSIONS[2])) @ total


def test_trajectories_agree_with_all_errors_summed(circuit, noise, exact):
    """Errors at wrong places, on wrong qubits or with wrong weights would pass for a drifting device."""
    found = noisy_probabilities(circuit, noise, trajectories=16_384, seed=1)
    assert found.no_error == pytest.approx(0.8 * 0.9 * 0.85, abs=1e-12)
    deviation = (found.probabilities - exact) / found.standard_errors.clip(1e-9)
    assert abs(deviation).max() < 4.5
    assert abs(found.probabilities - exact).max() < 0.005
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-9)


def test_stated_error_is_the_scatter_of_repetitions(circuit, noise, exact):
    """A verdict weighs the reference by its own error: too small a figure accuses good hardware."""
    runs = [noisy_probabilities(circuit, noise, trajectories=256, seed=seed) for seed in range(60)]
    scatter = np.mean([(run.probabilities - exact) ** 2 for run in runs], axis=0)
    stated = np.mean([run.standard_errors**2 for run in runs], axis=0)
    ratio = scatter.sum() / stated.sum()
    assert 0.7 < ratio < 1.4
    distances = [abs(run.probabilities - exact).sum() / 2 for run in runs]
    assert np.mean(distances) == pytest.approx(np.mean([run.tvd_error for run in runs]), rel=0.15)


def test_seed_decides_everything_and_chunks_nothing(circuit, noise):
    """Two workers must come to the same reference for the same job."""
    one = noisy_probabilities(circuit, noise, trajectories=64, seed=3)
    again = noisy_probabilities(circuit, noise, trajectories=64, seed=3, options=Options(chunk=16))
    other = noisy_probabilities(circuit, noise, trajectories=64, seed=4)
    np.testing.assert_allclose(one.probabilities, again.probabilities, rtol=0, atol=1e-6)
    assert abs(one.probabilities - other.probabilities).max() > 1e-4


@pytest.mark.parametrize("kernel", ["layered", "gatewise"])
def test_both_programs_follow_the_errors(kernel: str, circuit, noise, exact):
    """Noise must not depend on how full the circuit is."""
    found = noisy_probabilities(circuit, noise, trajectories=4096, seed=2, options=Options(kernel=kernel))
    assert abs(found.probabilities - exact).max() < 0.01


def test_without_errors_the_result_is_exact(circuit):
    """A noise-free model must give the ideal distribution with no error bar, and readout alone be exact."""
    count = len(circuit.operations)
    silent = TwirledNoise(before=((),) * count, after=((),) * count, confusions=CONFUSIONS)
    found = noisy_probabilities(circuit, silent, trajectories=8, seed=0)
    expected = np.kron(np.eye(2), np.kron(CONFUSIONS[0], CONFUSIONS[2])) @ probabilities(circuit)
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=1e-12)
    assert (found.no_error, found.trajectories, found.tvd_error) == (1.0, 0, 0.0)


def test_sampled_columns_have_an_error_with_the_right_frequency():
    """Without the condition the exact part would be counted twice."""
    sites = [
        ErrorSite((0,), np.array([0.9, 0.06, 0.0, 0.04])),
        ErrorSite((1,), np.array([1.0, 0, 0, 0])),
        ErrorSite((1,), np.array([0.8, 0.0, 0.2, 0.0])),
    ]
    drawn = sampled_errors(sites, 40_000, np.random.default_rng(0))
    assert drawn.any(axis=0).all()
    assert not drawn[1].any()
    some = 1 - 0.9 * 0.8
    for row, pauli, chance in ((0, 1, 0.06), (0, 3, 0.04), (2, 2, 0.2)):
        assert np.mean(drawn[row] == pauli) == pytest.approx(chance / some, abs=0.012)
    both = np.mean((drawn[0] > 0) & (drawn[2] > 0))
    assert both == pytest.approx(0.1 * 0.2 / some, abs=0.006)


def test_noise_that_does_not_fit_is_refused(circuit, noise):
    """Noise of another circuit must not be applied to whatever stands at the same place."""
    short = TwirledNoise(before=(), after=(), confusions={})
    with pytest.raises(CircuitError, match="the circuit has 9 operations"):
        noisy_probabilities(circuit, short, seed=0)
    with pytest.raises(CircuitError, match="at least 2"):
        noisy_probabilities(circuit, noise, trajectories=1, seed=0)
    outside = TwirledNoise(before=((ErrorSite((7,), np.full(4, 0.25)),), *((),) * 8), after=((),) * 9, confusions={})
    with pytest.raises(CircuitError, match=r"noise on qubits \[7\]"):
        noisy_probabilities(circuit, outside, seed=0)
    with pytest.raises(CircuitError, match="qubits than allowed"):
        noisy_probabilities(circuit, noise, seed=0, options=Options(max_qubits=2))
