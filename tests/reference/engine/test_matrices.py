"""Gates' matrices against Qiskit's own, and against closed forms where Qiskit has no such gate."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES
from qobs.reference.matrices import matrix

QISKIT = get_standard_gate_name_mapping()


@pytest.mark.parametrize("name", sorted(GATES.keys() - {"ms"}))
def test_gate_is_qiskits_gate_of_that_name(name: str):
    """A gate with a swapped operand or another sign of its angle makes every right result look wrong."""
    for seed in range(3):
        params = tuple(np.random.default_rng(seed).uniform(-6, 6, GATES[name].params).tolist())
        expected = Operator(QISKIT[name].base_class(*params)).data
        np.testing.assert_allclose(matrix(name, params), expected, rtol=0, atol=1e-12)


def test_ms_is_ionqs_definition():
    """IonQ's native gate has no counterpart in Qiskit's library; its phases must not be exchanged."""
    phi0, phi1, theta = 0.3, -1.1, 0.8
    cos, sin = np.cos(theta / 2), -1j * np.sin(theta / 2)
    high_bit_first = np.array(
        [
            [cos, 0, 0, sin * np.exp(-1j * (phi0 + phi1))],
            [0, cos, sin * np.exp(-1j * (phi0 - phi1)), 0],
            [0, sin * np.exp(1j * (phi0 - phi1)), cos, 0],
            [sin * np.exp(1j * (phi0 + phi1)), 0, 0, cos],
        ]
    )
    swapped = high_bit_first[[0, 2, 1, 3]][:, [0, 2, 1, 3]]
    np.testing.assert_allclose(matrix("ms", (phi0, phi1, theta)), swapped, rtol=0, atol=1e-15)


def test_ms_is_an_exponential():
    """The half angle is a convention that a typing error turns silently into a whole one."""
    phi0, phi1, theta = 0.3, -1.1, 0.8
    low, high = (np.array([[0, np.exp(-1j * phi)], [np.exp(1j * phi), 0]]) for phi in (phi0, phi1))
    expected = scipy.linalg.expm(-0.5j * theta * np.kron(high, low))
    np.testing.assert_allclose(matrix("ms", (phi0, phi1, theta)), expected, rtol=0, atol=1e-14)


def test_unknown_gate_and_wrong_number_of_angles_are_told():
    """A reader must learn which gate was meant, instead of a KeyError."""
    with pytest.raises(CircuitError, match="unknown gate 'cnott'"):
        matrix("cnott")
    with pytest.raises(CircuitError, match="gate rx with 2 angles; it takes 1"):
        matrix("rx", (1.0, 2.0))


def test_a_callers_change_cannot_reach_other_circuits():
    """Fixed matrices are shared, so they must refuse to be written to."""
    with pytest.raises(ValueError, match="read-only"):
        matrix("x")[0, 0] = 1
