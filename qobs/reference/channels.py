"""Channels as real matrices on Pauli components, and as the superoperators that other tools print.

A Pauli transfer matrix (PTM) of k qubits has shape (4^k, 4^k), entry (i, j) = tr(P_i E(P_j)) / 2^k with P in the order I, X, Y, Z
and the **first operand in the low base-4 digit**. It is real, so it halves the work of a density matrix. All functions take
leading batch axes.

Source:
    D. Greenbaum, "Introduction to quantum gate set tomography", 2015, section 2 (definition of the PTM).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qobs.reference.noise import GateNoise, Relaxation

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]

_PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


@cache
def _basis(qubits: int) -> Complex:
    """Columns: Paulis of ``qubits`` stacked by columns, normalized; unitary, shape (4^k, 4^k)."""
    paulis = _PAULIS
    for _ in range(qubits - 1):
        # The new Pauli is the higher digit and the higher bit.
        paulis = np.einsum("aij,bkl->abikjl", _PAULIS, paulis).reshape(4 * len(paulis), 2 * paulis.shape[1], -1)
    dimension = 2**qubits
    columns: Complex = paulis.transpose(0, 2, 1).reshape(len(paulis), -1).T / np.sqrt(dimension)
    columns.flags.writeable = False
    return columns


def unitary_ptm(unitary: Complex) -> Real:
    """PTM of unitary matrices, shape (..., 2^k, 2^k) to (..., 4^k, 4^k)."""
    size = unitary.shape[-1]
    basis = _basis(size.bit_length() - 1)
    stacked = np.einsum("...ij,...kl->...ikjl", unitary.conj(), unitary).reshape(*unitary.shape[:-2], size**2, size**2)
    return np.ascontiguousarray((basis.conj().T @ stacked @ basis).real)


def superoperator(ptm: Real) -> Complex:
    """The same channel on density matrices stacked by columns, first operand in the low bit: Qiskit's ``SuperOp``."""
    basis = _basis((ptm.shape[-1].bit_length() - 1) // 2)
    stacked: Complex = basis @ ptm @ basis.conj().T
    return stacked


def relaxation_ptm(relaxation: Relaxation | None) -> Real:
    """A qubit relaxing to its ground state, shape (4, 4): coherences shrink by exp(-t/T2), the rest falls by exp(-t/T1)."""
    ptm = np.eye(4)
    if relaxation is not None:
        ptm[1, 1] = ptm[2, 2] = relaxation.coherence
        ptm[3, 3], ptm[3, 0] = 1 - relaxation.decay, relaxation.decay
    return ptm


def depolarizing_ptm(weight: float, qubits: int) -> Real:
    """Replaces the state by the completely mixed one with probability ``weight``, shape (4^k, 4^k)."""
    diagonal = np.full(4**qubits, 1 - weight)
    diagonal[0] = 1
    return np.diag(diagonal)


def product_ptm(factors: Sequence[Real]) -> Real:
    """Channels side by side, the first on the first operand."""
    ptm: Real = factors[0]
    for factor in factors[1:]:
        ptm = np.asarray(np.kron(factor, ptm), dtype=np.float64)
    return ptm


def noise_ptm(noise: GateNoise) -> Real:
    """What follows a gate: depolarising first, then relaxation of each operand."""
    relaxing = product_ptm([relaxation_ptm(one) for one in noise.relaxation])
    return relaxing @ depolarizing_ptm(noise.depolarizing, len(noise.relaxation))


def reset_ptm() -> Real:
    """To the ground state, shape (4, 4)."""
    ptm = np.zeros((4, 4))
    ptm[0, 0] = ptm[3, 0] = 1
    return ptm


def dephasing_ptm() -> Real:
    """A measurement that nobody looks at, shape (4, 4)."""
    return np.diag([1.0, 0.0, 0.0, 1.0])


def average_infidelity(ptm: Real) -> float:
    """One minus the average gate fidelity to doing nothing."""
    dimension = int(np.sqrt(len(ptm)))
    return float(1 - (np.trace(ptm) / dimension + 1) / (dimension + 1))
