"""Each channel alone against qiskit's and qiskit-aer's: as superoperators, entry by entry."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator, SuperOp, average_gate_fidelity
from qiskit_aer.noise import depolarizing_error, thermal_relaxation_error

from qobs.reference.channels import (
    average_infidelity,
    depolarizing_ptm,
    noise_ptm,
    product_ptm,
    relaxation_ptm,
    reset_ptm,
    superoperator,
    unitary_ptm,
)
from qobs.reference.exact_values import gate_ptms, noise_ptms
from qobs.reference.noise import GateNoise, Relaxation, depolarizing_weight, relaxation_infidelity

CLOSE = 1e-10
FAST, SLOW = Relaxation(90e-6, 40e-6, 500e-9), Relaxation(60e-6, 110e-6, 500e-9)


def aer_relaxation(relaxation: Relaxation) -> SuperOp:
    """The same by qiskit-aer."""
    return thermal_relaxation_error(relaxation.t1_seconds, relaxation.t2_seconds, relaxation.seconds)


@pytest.mark.parametrize(("t1", "t2"), [(1.0, 0.4), (1.0, 1.0), (1.0, 1.7), (1.0, 2.0)])
@pytest.mark.parametrize("seconds", [1e-3, 0.3, 5.0])
def test_relaxation_is_aers_on_both_sides_of_t1(t1: float, t2: float, seconds: float) -> None:
    """Aer uses another construction on each side of T2 = T1; a prediction must not jump there."""
    relaxation = Relaxation(t1, t2, seconds)
    expected = SuperOp(aer_relaxation(relaxation)).data
    np.testing.assert_allclose(superoperator(relaxation_ptm(relaxation)), expected, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("qubits", [1, 2])
@pytest.mark.parametrize("weight", [0.0, 0.01, 0.9, 1.0])
def test_depolarising_is_aers(qubits: int, weight: float) -> None:
    """The weight is not the gate error: a factor between them would pass unseen."""
    expected = SuperOp(depolarizing_error(weight, qubits)).data
    np.testing.assert_allclose(superoperator(depolarizing_ptm(weight, qubits)), expected, rtol=0, atol=CLOSE)


def test_first_operand_is_the_low_bit_of_a_two_qubit_channel() -> None:
    """Qubits of different quality, exchanged, would give the worse one's noise to the better."""
    expected = SuperOp(aer_relaxation(FAST).expand(aer_relaxation(SLOW))).data
    ours = superoperator(product_ptm([relaxation_ptm(FAST), relaxation_ptm(SLOW)]))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=CLOSE)
    assert np.abs(superoperator(product_ptm([relaxation_ptm(SLOW), relaxation_ptm(FAST)])) - expected).max() > 1e-3


@pytest.mark.parametrize("operands", [(FAST,), (FAST, SLOW)])
def test_depolarising_comes_before_relaxation(operands: tuple[Relaxation, ...]) -> None:
    """The order matters: the completely mixed state relaxes too."""
    weight = 0.2
    relaxing = aer_relaxation(operands[0])
    for operand in operands[1:]:
        relaxing = relaxing.expand(aer_relaxation(operand))
    expected = SuperOp(depolarizing_error(weight, len(operands)).compose(relaxing)).data
    ours = noise_ptm(GateNoise(0.0, weight, operands))
    np.testing.assert_allclose(superoperator(ours), expected, rtol=0, atol=CLOSE)
    wrong = depolarizing_ptm(weight, len(operands)) @ product_ptm([relaxation_ptm(operand) for operand in operands])
    assert np.abs(superoperator(wrong) - expected).max() > 1e-4


@pytest.mark.parametrize("operands", [(FAST,), (FAST, SLOW), (None, SLOW)])
def test_the_composed_channel_has_the_reported_error(operands: tuple[Relaxation | None, ...]) -> None:
    """The total is what the provider measured: with any other it is another device."""
    infidelity = relaxation_infidelity(operands)
    assert infidelity == pytest.approx(
        average_infidelity(product_ptm([relaxation_ptm(operand) for operand in operands])), abs=1e-14
    )
    noise = GateNoise(0.03, depolarizing_weight(0.03, infidelity, len(operands)), operands)
    assert average_infidelity(noise_ptm(noise)) == pytest.approx(0.03, abs=1e-12)
    assert 1 - average_gate_fidelity(SuperOp(superoperator(noise_ptm(noise)))) == pytest.approx(0.03, abs=1e-12)


@pytest.mark.parametrize(("error", "qubits"), [(0.75, 1), (0.9, 2), (1.0, 2)])
def test_depolarising_stops_at_its_physical_maximum(error: float, qubits: int) -> None:
    """An impossible error must not become a channel with negative probabilities."""
    most = 4**qubits / (4**qubits - 1)
    assert depolarizing_weight(error, 0.0, qubits) == pytest.approx(most)
    assert depolarizing_weight(error, 0.05, qubits) <= most


@pytest.mark.parametrize("name", ["cx", "ecr", "iswap", "csx", "sx", "t", "dcx"])
def test_gates_are_qiskits(name: str) -> None:
    """A gate whose operands are exchanged is another gate; Bell states hide it."""
    expected = SuperOp(Operator(get_standard_gate_name_mapping()[name])).data
    ours = gate_ptms(name, np.zeros((1, 1, 0)))[0, 0]
    np.testing.assert_allclose(superoperator(ours), expected, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("name", ["rx", "ry", "rz", "p", "rzz", "u", "xx_plus_yy"])
def test_angles_of_a_batch_stay_in_their_places(name: str) -> None:
    """One circuit of a batch with another's angles would be judged by the wrong reference."""
    made = get_standard_gate_name_mapping()[name].base_class
    params = len(get_standard_gate_name_mapping()[name].params)
    angles = np.random.default_rng(3).uniform(-4, 4, (3, 2, params))
    angles[2, 1] = angles[0, 0]
    ours = gate_ptms(name, angles)
    for batch, place in np.ndindex(3, 2):
        expected = unitary_ptm(made(*angles[batch, place]).to_matrix())
        np.testing.assert_allclose(ours[batch, place], expected, rtol=0, atol=CLOSE)


def test_noises_worked_out_together_are_those_worked_out_alone() -> None:
    """The fast path over a whole circuit must not be another model."""
    two = [GateNoise(0.1, 0.02, (FAST, SLOW)), None, GateNoise(0.1, 0.3, (None, FAST))]
    together = noise_ptms([*two, two[0]], 2)
    for ours, noise in zip(together, [*two, two[0]], strict=True):
        expected = np.eye(16) if noise is None else noise_ptm(noise)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-15)


def test_reset_leaves_the_ground_state() -> None:
    """Whatever the qubit was, it is 0 afterwards, and nothing of it is left."""
    np.testing.assert_array_equal(reset_ptm() @ np.array([1, 0.2, -0.3, -0.7]), [1, 0, 0, 1])
