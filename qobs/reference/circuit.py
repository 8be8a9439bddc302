"""A circuit as everything that parses, simulates or judges it sees it.

Conventions, the same everywhere in this room:

* dense qubits 0 … width-1; ``physical[q]`` is the hardware's own number of dense qubit q;
* **qubit 0 is the least significant bit** of a state's index, and the first operand of a gate is the low bit of its matrix;
* **classical bit 0 is the rightmost character** of a key, and the least significant bit of an outcome's index;
* a distribution is over classical bits, not qubits; bits that nothing is measured into are 0;
* angles are radians, times are seconds. A circuit's global phase has no meaning here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Operation(NamedTuple):
    """One instruction.

    ``name`` is a key of :data:`GATES`, or ``measure`` (one qubit into one of ``clbits``), ``reset``, ``barrier`` or ``delay``
    (``params`` holds seconds).
    """

    name: str
    qubits: tuple[int, ...]
    params: tuple[float, ...] = ()
    clbits: tuple[int, ...] = ()


class Register(NamedTuple):
    """A classical register as declared: ``size`` bits from ``first`` on. Keys of counts may write registers apart."""

    name: str
    first: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """Operations in order. ``clbits`` is the number of classical bits; ``registers`` in the order of declaration."""

    width: int
    operations: tuple[Operation, ...]
    clbits: int
    physical: tuple[int, ...]
    registers: tuple[Register, ...] = ()
    name: str = ""


class GateShape(NamedTuple):
    """How many qubits and angles a gate takes."""

    qubits: int
    params: int


GATES: Mapping[str, GateShape] = {
    **dict.fromkeys(("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg"), GateShape(1, 0)),
    **dict.fromkeys(("rx", "ry", "rz", "p"), GateShape(1, 1)),
    "r": GateShape(1, 2),
    "u": GateShape(1, 3),
    **dict.fromkeys(("cx", "cy", "cz", "ch", "cs", "csdg", "csx", "swap", "iswap", "ecr", "dcx"), GateShape(2, 0)),
    **dict.fromkeys(("cp", "crx", "cry", "crz", "rxx", "ryy", "rzz", "rzx"), GateShape(2, 1)),
    **dict.fromkeys(("xx_minus_yy", "xx_plus_yy"), GateShape(2, 2)),
    "cu": GateShape(2, 4),
    "ms": GateShape(2, 3),
    **dict.fromkeys(("ccx", "ccz", "cswap"), GateShape(3, 0)),
}
"""Every gate that the engines know, by Qiskit's name and definition. ``r(theta, phi)`` is Quantinuum's U1q and IQM's prx;
``ms(phi0, phi1, theta)`` is IonQ's partially entangling gate, angles in radians. Everything else is written in these by the
parsers (u2, u3, u1, gpi, gpi2, zz, cnot, v …).
"""
