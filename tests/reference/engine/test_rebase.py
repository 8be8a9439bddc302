"""The primitives that the engines compute with, against the gates' matrices."""

from __future__ import annotations

import numpy as np
import pytest

from qobs.reference.circuit import GATES
from qobs.reference.matrices import matrix
from qobs.reference.rebase import REBASED, ControlledPhase, Fixed, Phase


def _embedded(small: np.ndarray, operands: tuple[int, ...], qubits: int) -> np.ndarray:
    """A matrix on some of the qubits as one on all of them."""
    size = 2**qubits
    found = np.zeros((size, size), dtype=np.complex128)
    for column in range(size):
        inner = sum(((column >> operand) & 1) << place for place, operand in enumerate(operands))
        rest = column & ~sum(1 << operand for operand in operands)
        for row in range(len(small)):
            target = rest | sum(((row >> place) & 1) << operand for place, operand in enumerate(operands))
            found[target, column] += small[row, inner]
    return found


def _product(name: str, params: tuple[float, ...]) -> np.ndarray:
    qubits, constants = GATES[name].qubits, (*params, 1.0)
    total = np.eye(2**qubits, dtype=np.complex128)
    for primitive in REBASED[name]:
        if isinstance(primitive, Fixed):
            small, operands = primitive.matrix, (primitive.operand,)
        elif isinstance(primitive, Phase):
            angle = sum(weight * constants[slot] for weight, slot in primitive.angle)
            small, operands = np.diag([1, np.exp(1j * angle)]), (primitive.operand,)
        elif isinstance(primitive, ControlledPhase):
            angle = sum(weight * constants[slot] for weight, slot in primitive.angle)
            small, operands = np.diag([1, 1, 1, np.exp(1j * angle)]), (primitive.first, primitive.second)
        else:
            small, operands = np.eye(4)[[0, 2, 1, 3]], (primitive.first, primitive.second)
        total = _embedded(small, operands, qubits) @ total
    return total


def test_every_gate_is_rebased():
    """A gate that parses but that no engine knows is a job without a verdict."""
    assert REBASED.keys() == GATES.keys()


@pytest.mark.parametrize("name", sorted(GATES))
def test_primitives_make_the_gate(name: str):
    """A wrong sign in a decomposition would blame the hardware for our error."""
    for seed in range(3):
        params = tuple(np.random.default_rng(seed).uniform(-7, 7, GATES[name].params).tolist())
        made, expected = _product(name, params), matrix(name, params)
        overlap = np.vdot(expected, made)
        np.testing.assert_allclose(made, expected * overlap / abs(overlap), rtol=0, atol=1e-13)
