"""What each gate does: its unitary matrix, by Qiskit's definition, with the first operand in the low bit.

Source:
    Qiskit's standard gates (one matrix each, tested equal); ``ms`` is IonQ's partially entangling gate,
    ``exp(-i theta/2 G(phi0) G(phi1))`` with ``G(phi) = cos(phi) X + sin(phi) Y`` on each operand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES

Complex = NDArray[np.complex128]

I2: Complex = np.eye(2, dtype=np.complex128)
X: Complex = np.array([[0, 1], [1, 0]], dtype=np.complex128)
Y: Complex = np.array([[0, -1j], [1j, 0]])
Z: Complex = np.array([[1, 0], [0, -1]], dtype=np.complex128)
H: Complex = np.array([[1, 1], [1, -1]], dtype=np.complex128) / sqrt(2)
SX: Complex = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]], dtype=np.complex128) / 2
_EIGHTH = np.exp(0.25j * np.pi)
_SWAP = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3]]


def matrix(name: str, params: tuple[float, ...] = ()) -> Complex:
    """The unitary of a gate of :data:`~qobs.reference.circuit.GATES`, complex128 of shape (2^q, 2^q); read-only.

    Raises:
        CircuitError: no such gate, or not its number of angles.

    Example:
        >>> matrix("cx").real.astype(int).tolist()
        [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]]
    """
    shape = GATES.get(name)
    if shape is None:
        raise CircuitError(f"unknown gate {name!r}", f"known are {', '.join(GATES)}")
    if len(params) != shape.params:
        raise CircuitError(f"gate {name} with {len(params)} angles", f"it takes {shape.params}")
    fixed = FIXED.get(name)
    if fixed is not None:
        return fixed
    found = _ANGLED[name](*params)
    found.flags.writeable = False
    return found


def _kron(high: Complex, low: Complex) -> Complex:
    return np.asarray(np.kron(high, low), dtype=np.complex128)


def _rotation(pauli: Complex) -> Callable[[float], Complex]:
    """``theta -> exp(-i theta/2 P)`` for a matrix whose square is one."""
    return lambda theta: np.asarray(np.cos(theta / 2) * np.eye(len(pauli)) - 1j * np.sin(theta / 2) * pauli)


def _diagonal(*entries: complex) -> Complex:
    return np.diag(np.array(entries, dtype=np.complex128))


def _phase(angle: float) -> Complex:
    return _diagonal(1, np.exp(1j * angle))


def equator(phi: float) -> Complex:
    """``cos(phi) X + sin(phi) Y``."""
    return np.array([[0, np.exp(-1j * phi)], [np.exp(1j * phi), 0]])


def _r(theta: float, phi: float) -> Complex:
    return _rotation(equator(phi))(theta)


def _u(theta: float, phi: float, lam: float) -> Complex:
    cos, sin = np.cos(theta / 2), np.sin(theta / 2)
    return np.array([[cos, -np.exp(1j * lam) * sin], [np.exp(1j * phi) * sin, np.exp(1j * (phi + lam)) * cos]])


def controlled(target: Complex) -> Complex:
    """``target`` on the higher bits where bit 0 is one, shape (d, d) to (2 d, 2 d)."""
    found = np.eye(2 * len(target), dtype=np.complex128)
    found[1::2, 1::2] = target
    return found


def _exchange(theta: float, beta: float, low: int, high: int) -> Complex:
    """A rotation between two of the four basis states; ``beta`` is the phase of its upper-right element."""
    found = np.eye(4, dtype=np.complex128)
    cos, sin = np.cos(theta / 2), np.sin(theta / 2)
    found[low, low] = found[high, high] = cos
    found[low, high], found[high, low] = -1j * sin * np.exp(-1j * beta), -1j * sin * np.exp(1j * beta)
    return found


def _ms(phi0: float, phi1: float, theta: float) -> Complex:
    return _rotation(_kron(equator(phi1), equator(phi0)))(theta)


def _frozen(table: Mapping[str, Complex]) -> Mapping[str, Complex]:
    for found in table.values():
        found.flags.writeable = False
    return table


FIXED: Mapping[str, Complex] = _frozen(
    {
        "id": I2,
        "x": X,
        "y": Y,
        "z": Z,
        "h": H,
        "s": _diagonal(1, 1j),
        "sdg": _diagonal(1, -1j),
        "t": _diagonal(1, _EIGHTH),
        "tdg": _diagonal(1, np.conj(_EIGHTH)),
        "sx": SX,
        "sxdg": SX.conj().T.copy(),
        "cx": controlled(X),
        "cy": controlled(Y),
        "cz": controlled(Z),
        "ch": controlled(H),
        "cs": controlled(_diagonal(1, 1j)),
        "csdg": controlled(_diagonal(1, -1j)),
        "csx": controlled(SX),
        "swap": _SWAP,
        "iswap": _diagonal(1, 1j, 1j, 1) @ _SWAP,
        "ecr": (_kron(I2, X) - _kron(X, Y)) / sqrt(2),
        "dcx": _SWAP @ controlled(X) @ _SWAP @ controlled(X),
        "ccx": controlled(controlled(X)),
        "ccz": controlled(controlled(Z)),
        "cswap": controlled(_SWAP),
    }
)
"""Gates without angles."""

_ANGLED: Mapping[str, Callable[..., Complex]] = {
    "rx": _rotation(X),
    "ry": _rotation(Y),
    "rz": _rotation(Z),
    "p": _phase,
    "r": _r,
    "u": _u,
    "cp": lambda angle: controlled(_phase(angle)),
    "crx": lambda theta: controlled(_rotation(X)(theta)),
    "cry": lambda theta: controlled(_rotation(Y)(theta)),
    "crz": lambda theta: controlled(_rotation(Z)(theta)),
    "rxx": _rotation(_kron(X, X)),
    "ryy": _rotation(_kron(Y, Y)),
    "rzz": _rotation(_kron(Z, Z)),
    "rzx": _rotation(_kron(X, Z)),
    "xx_minus_yy": lambda theta, beta: _exchange(theta, beta, 0, 3),
    "xx_plus_yy": lambda theta, beta: _exchange(theta, beta, 1, 2),
    "cu": lambda theta, phi, lam, gamma: controlled(np.exp(1j * gamma) * _u(theta, phi, lam)),
    "ms": _ms,
}
