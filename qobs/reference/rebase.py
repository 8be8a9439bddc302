"""Every gate in four primitives: a fixed one-qubit matrix, a phase, a controlled phase, an exchange of two wires.

All angles end in phases, which are diagonal and add up: ``rx(t) = H P(t) H``, ``rzz(t) = P(t) P(t) CP(-2t)`` and so on, up to a
global phase. A swap costs nothing: the wires change their names.

Source:
    Qiskit's definitions of ``ecr`` and ``cu``; the rest follows from ``U f(Z) U+ = f(U Z U+)``. Each is tested against
    :func:`~qobs.reference.matrices.matrix`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import NamedTuple

import numpy as np

from qobs.reference.matrices import SX, Complex, H, X

Terms = tuple[tuple[float, int], ...]
"""An angle as a sum of ``factor * parameter``; parameter -1 stands for the constant 1."""


class Fixed(NamedTuple):
    """A matrix of shape (2, 2) on an operand."""

    operand: int
    matrix: Complex


class Phase(NamedTuple):
    """``diag(1, exp(i angle))`` on an operand."""

    operand: int
    angle: Terms


class ControlledPhase(NamedTuple):
    """``diag(1, 1, 1, exp(i angle))`` on two operands, in either order."""

    first: int
    second: int
    angle: Terms


class Exchange(NamedTuple):
    """Two operands change places."""

    first: int
    second: int


Primitive = Fixed | Phase | ControlledPhase | Exchange
Sequence = tuple[Primitive, ...]

_TO_Y: Complex = np.array([[1, 1], [1j, -1j]]) / np.sqrt(2)
"""``S H``: carries Z to Y."""
_TO_H: Complex = np.array([[np.cos(pi / 8), -np.sin(pi / 8)], [np.sin(pi / 8), np.cos(pi / 8)]], dtype=np.complex128)
"""``ry(pi/4)``: carries Z to the Hadamard gate."""


def _constant(angle: float) -> Terms:
    return ((angle, -1),)


def _times(factor: float, terms: Terms) -> Terms:
    return tuple((factor * weight, slot) for weight, slot in terms)


def _within(basis: Complex, operands: tuple[int, ...], inner: Sequence) -> Sequence:
    """``inner`` with Z carried to another axis on the operands."""
    entering = tuple(Fixed(operand, basis.conj().T) for operand in operands)
    return (*entering, *inner, *(Fixed(operand, basis) for operand in operands))


def _turned(operands: Mapping[int, Terms], inner: Sequence) -> Sequence:
    """``inner`` with its axes turned about z, by an angle for each operand."""
    entering = tuple(Phase(operand, _times(-1, angle)) for operand, angle in operands.items())
    return (*entering, *inner, *(Phase(operand, angle) for operand, angle in operands.items()))


def _rx(operand: int, angle: Terms) -> Sequence:
    return _within(H, (operand,), (Phase(operand, angle),))


def _ry(operand: int, angle: Terms) -> Sequence:
    return _within(_TO_Y, (operand,), (Phase(operand, angle),))


def _cx(control: int, target: int) -> Sequence:
    return _within(H, (target,), (ControlledPhase(control, target, _constant(pi)),))


def _crz(angle: Terms) -> Sequence:
    return (Phase(0, _times(-0.5, angle)), ControlledPhase(0, 1, angle))


def _rzz(angle: Terms) -> Sequence:
    return (Phase(0, angle), Phase(1, angle), ControlledPhase(0, 1, _times(-2, angle)))


def _exchanging(sign: float) -> Sequence:
    half = ((0.5, 0),)
    return (*_within(H, (0, 1), _rzz(half)), *_within(_TO_Y, (0, 1), _rzz(_times(sign, half))))


def _cu() -> Sequence:
    """Parameters theta, phi, lambda, gamma."""
    sum_half = ((-0.5, 1), (-0.5, 2))
    return (
        Phase(0, ((1.0, 3), (0.5, 1), (0.5, 2))),
        Phase(1, ((0.5, 2), (-0.5, 1))),
        *_cx(0, 1),
        Phase(1, sum_half),
        *_ry(1, ((-0.5, 0),)),
        *_cx(0, 1),
        *_ry(1, ((0.5, 0),)),
        Phase(1, ((1.0, 1),)),
    )


def _ccz() -> Sequence:
    """``abc = (bc - (a xor b) c + ac) / 2``."""
    flip, quarter = _cx(0, 1), _constant(pi / 2)
    return (
        ControlledPhase(1, 2, quarter),
        *flip,
        ControlledPhase(1, 2, _times(-1, quarter)),
        *flip,
        ControlledPhase(0, 2, quarter),
    )


_ANGLE: Terms = ((1.0, 0),)
_CCX = _within(H, (2,), _ccz())
_CZ = (ControlledPhase(0, 1, _constant(pi)),)

REBASED: Mapping[str, Sequence] = {
    "id": (),
    "x": (Fixed(0, X),),
    "y": (Phase(0, _constant(pi)), Fixed(0, X)),
    "z": (Phase(0, _constant(pi)),),
    "h": (Fixed(0, H),),
    "s": (Phase(0, _constant(pi / 2)),),
    "sdg": (Phase(0, _constant(-pi / 2)),),
    "t": (Phase(0, _constant(pi / 4)),),
    "tdg": (Phase(0, _constant(-pi / 4)),),
    "sx": (Fixed(0, SX),),
    "sxdg": (Fixed(0, SX.conj().T),),
    "rx": _rx(0, _ANGLE),
    "ry": _ry(0, _ANGLE),
    "rz": (Phase(0, _ANGLE),),
    "p": (Phase(0, _ANGLE),),
    "r": _turned({0: ((1.0, 1),)}, _rx(0, _ANGLE)),
    "u": (Phase(0, ((1.0, 2),)), *_ry(0, _ANGLE), Phase(0, ((1.0, 1),))),
    "cx": _cx(0, 1),
    "cy": _within(_TO_Y, (1,), _CZ),
    "cz": _CZ,
    "ch": _within(_TO_H, (1,), _CZ),
    "cs": (ControlledPhase(0, 1, _constant(pi / 2)),),
    "csdg": (ControlledPhase(0, 1, _constant(-pi / 2)),),
    "csx": _within(H, (1,), (ControlledPhase(0, 1, _constant(pi / 2)),)),
    "swap": (Exchange(0, 1),),
    "iswap": (Phase(0, _constant(pi / 2)), Phase(1, _constant(pi / 2)), *_CZ, Exchange(0, 1)),
    "ecr": (Phase(0, _constant(pi / 2)), Fixed(1, SX), *_cx(0, 1), Fixed(0, X)),
    "dcx": (*_cx(0, 1), *_cx(1, 0)),
    "cp": (ControlledPhase(0, 1, _ANGLE),),
    "crx": _within(H, (1,), _crz(_ANGLE)),
    "cry": _within(_TO_Y, (1,), _crz(_ANGLE)),
    "crz": _crz(_ANGLE),
    "rxx": _within(H, (0, 1), _rzz(_ANGLE)),
    "ryy": _within(_TO_Y, (0, 1), _rzz(_ANGLE)),
    "rzz": _rzz(_ANGLE),
    "rzx": _within(H, (1,), _rzz(_ANGLE)),
    "xx_plus_yy": _turned({0: ((-1.0, 1),)}, _exchanging(1)),
    "xx_minus_yy": _turned({1: ((1.0, 1),)}, _exchanging(-1)),
    "cu": _cu(),
    "ms": _turned({0: ((1.0, 0),), 1: ((1.0, 1),)}, _within(H, (0, 1), _rzz(((1.0, 2),)))),
    "ccx": _CCX,
    "ccz": _ccz(),
    "cswap": (*_cx(2, 1), *_CCX, *_cx(2, 1)),
}
"""What each gate of :data:`~qobs.reference.circuit.GATES` is, in order of time."""
