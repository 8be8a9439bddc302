"""Channels as Pauli errors, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from qobs.errors import CircuitError
from qobs.reference.channels import depolarizing_ptm, noise_ptm, relaxation_ptm, superoperator
from qobs.reference.circuit import Circuit, Operation
from qobs.reference.noise import GateNoise, Relaxation
from qobs.reference.twirl import twirl, twirl_kraus


def test_relaxation_has_its_textbook_pauli_probabilities():
    """X and Y come from falling, Z from losing coherence beyond that; a factor of two is easily lost here."""
    for t1, t2 in ((1.0, 0.5), (1.0, 1.5), (1.0, 2.0)):
        relaxation = Relaxation(t1, t2, 0.3)
        flip = (1 - np.exp(-0.3 / t1)) / 4
        phase = (1 - np.exp(-0.3 / t2)) / 2 - flip
        expected = [1 - 2 * flip - phase, flip, flip, phase]
        np.testing.assert_allclose(twirl(superoperator(relaxation_ptm(relaxation))), expected, rtol=0, atol=1e-14)


def test_amplitude_damping_by_kraus_operators_agrees():
    """Both ways in must lead to the same errors."""
    decay = 0.2
    operators = [np.diag([1, np.sqrt(1 - decay)]).astype(complex), np.array([[0, np.sqrt(decay)], [0, 0]], dtype=complex)]
    phase = (1 - np.sqrt(1 - decay)) ** 2 / 4
    expected = [(1 + np.sqrt(1 - decay)) ** 2 / 4, decay / 4, decay / 4, phase]
    np.testing.assert_allclose(twirl_kraus(operators), expected, rtol=0, atol=1e-15)
    stacked = sum(np.kron(one.conj(), one) for one in operators)
    np.testing.assert_allclose(twirl(stacked), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("qubits", [1, 2, 3])
def test_depolarising_noise_stays_what_it_is(qubits: int):
    """It is a channel of Pauli errors already, so twirling must be exact."""
    weight = 0.12
    found = twirl(superoperator(depolarizing_ptm(weight, qubits)))
    expected = np.full(4**qubits, weight / 4**qubits)
    expected[0] += 1 - weight
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_first_operand_is_the_low_digit():
    """An error on the wrong one of two qubits looks like another device."""
    noise = GateNoise(0.0, 0.0, (Relaxation(1.0, 1.0, 0.3), None))
    found = twirl(superoperator(noise_ptm(noise)))
    assert np.flatnonzero(found > 1e-12).tolist() == [0, 1, 2, 3]
    flip, keep = np.array([[0, 1], [1, 0]]), np.eye(2)
    crossed = np.kron(keep, flip)
    assert twirl(np.kron(crossed, crossed)).argmax() == 1


def test_what_is_no_channel_is_refused():
    """A matrix stacked the other way or not normalized would pass as noise."""
    with pytest.raises(CircuitError, match="keep the trace"):
        twirl(0.9 * np.eye(4, dtype=complex))
    with pytest.raises(CircuitError, match="keep the trace"):
        twirl(np.diag([1, -1, -1, -1]).astype(complex))
    with pytest.raises(CircuitError, match="shape"):
        twirl(np.eye(8, dtype=complex))


def test_model_of_a_calibration_becomes_errors_at_its_operations(noise_of):
    """Noise must follow its own operation, on its own qubits, and readout its qubit."""
    circuit = Circuit(
        width=2,
        operations=(Operation("sx", (1,)), Operation("cz", (1, 0)), Operation("measure", (0,), (), (0,))),
        clbits=1,
        physical=(0, 1),
    )
    noise = noise_of(circuit, {0: (0.01, 0.03)})
    assert [[site.qubits for site in sites] for sites in noise.after] == [[(1,)], [(1, 0)], []]
    assert noise.after[1][0].probabilities.shape == (16,)
    assert noise.confusions[0].tolist() == [[0.99, 0.03], [0.01, 0.97]]
