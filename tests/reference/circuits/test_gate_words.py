"""Every gate name against a matrix written from its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit.circuit import QuantumCircuit
from qiskit.circuit import library as qiskit_library
from qiskit.quantum_info import Operator

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES, Operation
from qobs.reference.definitions import expanded, library
from qobs.reference.dialects import CONTROLLED, WORDS, controlled, inverted, lowered
from qobs.reference.known_definitions import KNOWN
from qobs.reference.parse import parse

A, B, C = 0.37, -1.21, 2.05
X = np.array([[0, 1], [1, 0]])
Y = np.array([[0, -1j], [1j, 0]])
Z = np.diag([1, -1])
S = math.sqrt(0.5)


def diagonal(*angles: float) -> np.ndarray:
    return np.diag(np.exp(1j * np.array(angles)))


def two(pauli: np.ndarray, theta: float) -> np.ndarray:
    return math.cos(theta / 2) * np.eye(4) - 1j * math.sin(theta / 2) * np.kron(pauli, pauli)


def equatorial(theta: float, phi: float) -> np.ndarray:
    return math.cos(theta / 2) * np.eye(2) - 1j * math.sin(theta / 2) * (math.cos(phi) * X + math.sin(phi) * Y)


def u(theta: float, phi: float, lam: float) -> np.ndarray:
    half = theta / 2
    return np.array(
        [
            [math.cos(half), -np.exp(1j * lam) * math.sin(half)],
            [np.exp(1j * phi) * math.sin(half), np.exp(1j * (phi + lam)) * math.cos(half)],
        ]
    )


def braket(rows: list[list[complex]]) -> np.ndarray:
    """A two-qubit matrix as Braket writes it, the first qubit the high bit, in our order."""
    swap = [0, 2, 1, 3]
    return np.array(rows)[np.ix_(swap, swap)]


def gpi2(phi: float) -> np.ndarray:
    return S * np.array([[1, -1j * np.exp(-1j * phi)], [-1j * np.exp(1j * phi), 1]])


V = 0.5 * np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]])
COS, SIN = math.cos(A / 2), math.sin(A / 2)
E = np.exp(1j * A)
CNOT = braket([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])

DEFINED = {
    "U": ((A, B, C), u(A, B, C)),
    "u3": ((A, B, C), u(A, B, C)),
    "u2": ((A, B), u(math.pi / 2, A, B)),
    "u1": ((A,), diagonal(0, A)),
    "u0": ((A,), np.eye(2)),
    "phase": ((A,), diagonal(0, A)),
    "phaseshift": ((A,), diagonal(0, A)),
    "i": ((), np.eye(2)),
    "si": ((), diagonal(0, -math.pi / 2)),
    "ti": ((), diagonal(0, -math.pi / 4)),
    "v": ((), V),
    "vi": ((), V.conj().T),
    "CX": ((), CNOT),
    "cnot": ((), CNOT),
    "cv": ((), braket(np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), V]]).tolist())),
    "csxdg": ((), braket(np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), V.conj().T]]).tolist())),
    "cu1": ((A,), diagonal(0, 0, 0, A)),
    "cphase": ((A,), diagonal(0, 0, 0, A)),
    "cphaseshift": ((A,), diagonal(0, 0, 0, A)),
    "cphaseshift00": ((A,), braket(diagonal(A, 0, 0, 0).tolist())),
    "cphaseshift01": ((A,), braket(diagonal(0, A, 0, 0).tolist())),
    "cphaseshift10": ((A,), braket(diagonal(0, 0, A, 0).tolist())),
    "cu3": ((A, B, C), braket(np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), u(A, B, C)]]).tolist())),
    "xx": ((A,), two(X, A)),
    "yy": ((A,), two(Y, A)),
    "zz": ((A,), two(Z, A)),
    "xy": ((A,), braket([[1, 0, 0, 0], [0, COS, 1j * SIN, 0], [0, 1j * SIN, COS, 0], [0, 0, 0, 1]])),
    "pswap": ((A,), braket([[1, 0, 0, 0], [0, 0, E, 0], [0, E, 0, 0], [0, 0, 0, 1]])),
    "prx": ((A, B), equatorial(A, B)),
    "U1q": ((A, B), equatorial(A, B)),
    "u1q": ((A, B), equatorial(A, B)),
    "Rz": ((A,), diagonal(-A / 2, A / 2)),
    "RZZ": ((A,), two(Z, A)),
    "ZZ": ((), two(Z, math.pi / 2)),
    "Rxxyyzz": ((A, B, C), two(X, A) @ two(Y, B) @ two(Z, C)),
    "gpi": ((A,), np.array([[0, np.exp(-1j * A)], [np.exp(1j * A), 0]])),
    "gpi2": ((A,), gpi2(A)),
    "ccnot": ((), Operator(qiskit_library.CCXGate()).data),
}


def test_every_word_has_a_definition_here():
    """A name without a proof is a guess about somebody's hardware."""
    assert WORDS.keys() == DEFINED.keys() | GATES.keys()


@pytest.mark.parametrize("name", sorted(DEFINED))
def test_word_is_its_definition(name, of_gates, equal):
    """A gate under a wrong name makes right results look wrong for ever; all operands are asymmetric."""
    params, matrix = DEFINED[name]
    qubits = tuple(range(WORDS[name].qubits))
    assert equal(of_gates(len(qubits), lowered(name, params, qubits)), matrix)


def test_the_proof_sees_swapped_operands(of_gates, equal):
    """The comparison itself can fail: the same gate with its operands exchanged is another matrix."""
    params, matrix = DEFINED["cphaseshift01"]
    assert not equal(of_gates(2, lowered("cphaseshift01", params, (1, 0))), matrix)


@pytest.mark.parametrize("name", sorted(GATES))
def test_inverse_undoes_the_gate(name, of_gates, equal):
    """`inv @` with a wrong sign is a circuit that looks healthy and is not."""
    shape = GATES[name]
    gate = Operation(name, tuple(range(shape.qubits)), (A, B, C, 0.61)[: shape.params])
    assert equal(of_gates(shape.qubits, (gate, *inverted(gate))), np.eye(2**shape.qubits))


@pytest.mark.parametrize("name", [*sorted(set(CONTROLLED) - {"cx", "cz", "swap", "cnot"}), "t", "tdg", "ti"])
def test_control_is_the_block_matrix(name, of_gates, equal):
    """Under control a global phase is no longer global: p and rz must differ here."""
    params = (A,) * WORDS[name].params
    inner = of_gates(1, lowered(name, params, (0,)))
    exact = {"rz": diagonal(-A / 2, A / 2), "p": diagonal(0, A)}.get(name, inner)
    wanted = braket(np.block([[np.eye(2), np.zeros((2, 2))], [np.zeros((2, 2)), exact]]).tolist())
    assert equal(of_gates(2, controlled(name, params, (0,), (1,))), wanted)


LARGER = {
    "rccx": qiskit_library.RCCXGate(),
    "rc3x": qiskit_library.RC3XGate(),
    "c3x": qiskit_library.C3XGate(),
    "c3sqrtx": qiskit_library.C3SXGate(),
    "c4x": qiskit_library.C4XGate(),
}


@pytest.mark.parametrize("name", sorted(LARGER))
def test_larger_gates_of_the_include_equal_qiskits(name, of_gates, equal):
    """Qiskit's dumps use them without a definition."""
    definition = library(2)[name]
    operations = tuple(expanded(definition, (), tuple(range(definition.qubits))))
    assert equal(of_gates(definition.qubits, operations), Operator(LARGER[name]).data)


BODIES = [line for line in KNOWN.replace("\n  ", " ").splitlines() if line]


@pytest.mark.parametrize("text", BODIES)
def test_known_definition_is_the_gate_that_replaces_it(text, of_gates, equal):
    """A definition is dropped in favour of the engines' gate only where both are the same matrix."""
    name = text.split()[1].split("(")[0]
    shape = GATES[name]
    params, qubits = (A, B)[: shape.params], ",".join(f"q[{place}]" for place in range(shape.qubits))
    angles = f"({','.join(map(str, params))})" if params else ""
    program = f'OPENQASM 2.0; include "qelib1.inc"; {text} qreg q[{shape.qubits}]; {name}{angles} {qubits};'
    kept = parse(program)
    assert kept.operations == (Operation(name, tuple(range(shape.qubits)), params),)
    written_out = parse(program.replace(f"gate {name}", "gate other").replace(f"; {name}{angles}", f"; other{angles}"))
    assert [each.name for each in written_out.operations] != [name]
    assert equal(of_gates(shape.qubits, kept.operations), of_gates(shape.qubits, written_out.operations))


def test_another_definition_of_a_known_name_is_obeyed():
    """A program that redefines ecr means what it says."""
    program = 'OPENQASM 3; include "stdgates.inc"; gate ecr a, b { cx b, a; } qubit[2] q; ecr q[0], q[1];'
    assert parse(program).operations == (Operation("cx", (1, 0)),)


@pytest.mark.parametrize(
    ("name", "angles", "qubits", "told"),
    [("warp", (), (0,), "not known"), ("cx", (), (0,), "on 1 qubits"), ("rz", (), (0,), "0 angles"), ("cz", (), (1, 1), "twice")],
)
def test_misfit_is_told(name, angles, qubits, told):
    """The message names what was found."""
    with pytest.raises(CircuitError, match=told):
        lowered(name, angles, qubits)


def test_global_phase_is_dropped_only_where_it_is_global():
    """Rotation and phase differ by a phase alone, until one of them is controlled."""
    plain, phased = QuantumCircuit(1), QuantumCircuit(1)
    plain.rz(A, 0)
    phased.p(A, 0)
    assert Operator(plain).equiv(Operator(phased))
    assert controlled("rz", (A,), (0,), (1,)) != controlled("p", (A,), (0,), (1,))
