"""Channels as random Pauli errors: what a channel becomes when Paulis that cancel are put around it at random.

Twirling keeps a channel's fidelity and drops what is not a Pauli error; a channel of Pauli errors (depolarising, dephasing, bit
flips) stays what it is. Relaxation loses its direction: the ground state is left as often as it is entered.

Paulis are numbered I, X, Y, Z as 0 to 3, the first operand in the low base-4 digit.

Source:
    M. R. Geller, Z. Zhou, "Efficient error models for fault-tolerant architectures and the Pauli twirling approximation", 2013:
    the probabilities are the diagonal of the channel's chi matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from qobs.errors import CircuitError
from qobs.reference.matrices import I2, Complex, X, Y, Z

Probabilities = NDArray[np.float64]

_SLACK = 1e-6
"""How far from a probability a channel's numbers may be: input rounded to single precision passes."""


class ErrorSite(NamedTuple):
    """A place where a Pauli error may happen. ``probabilities`` has shape (4^len(qubits),) and sums to one."""

    qubits: tuple[int, ...]
    probabilities: Probabilities


class PauliNoise(Protocol):
    """Noise of one circuit as trajectories need it."""

    @property
    def before(self) -> Sequence[Sequence[ErrorSite]]:
        """For each operation, errors just before it; as long as the circuit's operations."""

    @property
    def after(self) -> Sequence[Sequence[ErrorSite]]:
        """For each operation, errors just after it."""

    @property
    def confusions(self) -> Mapping[int, Probabilities]:
        """By dense qubit: ``A[told, true]``, columns sum to one. Qubits that are not here are read without error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwirledNoise:
    """:class:`PauliNoise` as a record."""

    before: tuple[tuple[ErrorSite, ...], ...]
    after: tuple[tuple[ErrorSite, ...], ...]
    confusions: Mapping[int, Probabilities]


def twirl(superoperator: Complex) -> Probabilities:
    """Pauli probabilities, (4^k,), of a superoperator (4^k, 4^k) on density matrices stacked by columns.

    Raises:
        CircuitError: it is no channel: a probability outside [0, 1], or a sum that is not 1.

    Example:
        >>> flip = np.kron(X, X)  # X is real, so its conjugate is X
        >>> twirl(0.75 * np.eye(4) + 0.25 * flip).tolist()
        [0.75, 0.25, 0.0, 0.0]
    """
    size = len(superoperator)
    qubits = (size.bit_length() - 1) // 2
    if superoperator.shape != (4**qubits, 4**qubits) or qubits < 1:
        raise CircuitError(f"a superoperator of shape {superoperator.shape}", "(4^k, 4^k) for k qubits")
    # Superoperators of Paulis are orthogonal, so a channel's share of each is an inner product.
    return _checked(np.einsum("pij,ij->p", _pauli_superoperators(qubits).conj(), superoperator).real / size)


def twirl_kraus(operators: Sequence[Complex]) -> Probabilities:
    """Pauli probabilities, (4^k,), of a channel given by Kraus operators of shape (2^k, 2^k).

    Raises:
        CircuitError: it is no channel.
    """
    qubits = len(operators[0]).bit_length() - 1
    shares = np.einsum("pij,kij->pk", _paulis(qubits).conj(), np.array(operators)) / 2**qubits
    return _checked((np.abs(shares) ** 2).sum(axis=1))


def _checked(shares: NDArray[np.float64]) -> Probabilities:
    if not np.isfinite(shares).all() or shares.min() < -_SLACK or abs(shares.sum() - 1) > _SLACK:
        raise CircuitError(
            f"a channel whose Pauli probabilities sum to {shares.sum():.9g}, the least being {shares.min():.3g}",
            "completely positive channels that keep the trace",
        )
    clipped = shares.clip(0.0, 1.0)
    found: Probabilities = clipped / clipped.sum()
    return found


@cache
def _paulis(qubits: int) -> Complex:
    """All Paulis, (4^k, 2^k, 2^k)."""
    one = np.array([I2, X, Y, Z])
    found = one
    for _ in range(qubits - 1):
        found = np.einsum("aij,bkl->abikjl", one, found).reshape(4 * len(found), 2 * found.shape[1], -1)
    found.flags.writeable = False
    return found


@cache
def _pauli_superoperators(qubits: int) -> Complex:
    """``conj(P) (x) P`` for all Paulis, (4^k, 4^k, 4^k)."""
    paulis = _paulis(qubits)
    size = paulis.shape[1] ** 2
    found: Complex = np.einsum("pij,pkl->pikjl", paulis.conj(), paulis).reshape(len(paulis), size, size)
    found.flags.writeable = False
    return found
