"""Unitaries of parsed circuits, built from Qiskit's matrices and nothing of qobs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import library
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator

from qobs.reference.circuit import Circuit, Operation

NAMES = {name: type(gate) for name, gate in get_standard_gate_name_mapping().items()}


def gpi(phi: float) -> np.ndarray:
    """IonQ's GPi, from its page: phi in radians."""
    return np.array([[0, np.exp(-1j * phi)], [np.exp(1j * phi), 0]])


def ms(phi0: float, phi1: float, theta: float) -> np.ndarray:
    """IonQ's partially entangling MS: exp(-i theta/2 GPi(phi0) x GPi(phi1)), the first operand the low bit."""
    pair = np.kron(gpi(phi1), gpi(phi0))
    return math.cos(theta / 2) * np.eye(4) - 1j * math.sin(theta / 2) * pair


def in_qiskit(circuit: Circuit) -> QuantumCircuit:
    """The gates of a circuit as Qiskit's own."""
    made = QuantumCircuit(circuit.width)
    for name, qubits, params, _ in circuit.operations:
        if name == "ms":
            made.unitary(ms(*params), list(qubits))
        elif name not in {"measure", "barrier", "delay"}:
            kind = {"xx_minus_yy": library.XXMinusYYGate, "xx_plus_yy": library.XXPlusYYGate}.get(name, NAMES[name])
            made.append(kind(*params), list(qubits))
    return made


def unitary_of(circuit: Circuit) -> np.ndarray:
    """The matrix, qubit 0 the low bit."""
    return Operator(in_qiskit(circuit)).data


def same_up_to_phase(left: np.ndarray, right: np.ndarray, tolerance: float = 1e-9) -> bool:
    """Whether two unitaries differ by a global phase only."""
    overlap = abs(np.trace(left.conj().T @ right)) / len(left)
    return bool(abs(overlap - 1) < tolerance)


@pytest.fixture(scope="session")
def unitary() -> Callable[[Circuit], np.ndarray]:
    """The matrix of a circuit."""
    return unitary_of


@pytest.fixture(scope="session")
def equal() -> Callable[..., bool]:
    """Equality up to a global phase."""
    return same_up_to_phase


@pytest.fixture(scope="session")
def of_gates() -> Callable[..., np.ndarray]:
    """The matrix of a few operations on ``width`` qubits."""

    def matrix(width: int, operations: tuple[Operation, ...]) -> np.ndarray:
        return unitary_of(Circuit(width=width, operations=operations, clbits=0, physical=tuple(range(width))))

    return matrix


@pytest.fixture(scope="session")
def ms_matrix() -> Callable[[float, float, float], np.ndarray]:
    """IonQ's MS by its definition."""
    return ms
