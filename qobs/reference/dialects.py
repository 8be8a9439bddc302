"""The gate names of OpenQASM 2 and 3, Qiskit, Quantinuum, Braket and IonQ, written in the engines' own gates.

Each rewriting is exact up to a global phase. Names are case-sensitive, as in their languages; angles are radians here (IonQ's
turns are converted where its JSON is read). No two of these languages give one name two meanings on the same number of qubits and
angles, so one table serves all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES, Operation
from qobs.reference.limits import quoted

Lowered = tuple[Operation, ...]
Rewriting = Callable[[tuple[float, ...], tuple[int, ...]], Lowered]

_PI, _HALF = math.pi, math.pi / 2


class Word(NamedTuple):
    """A gate name: how many qubits and angles it takes, and what it is in :data:`~qobs.reference.circuit.GATES`."""

    qubits: int
    params: int
    lower: Rewriting


def _same(gate: str) -> Word:
    """Another spelling of ``gate``."""
    shape = GATES[gate]
    return Word(shape.qubits, shape.params, lambda angles, qubits: (Operation(gate, qubits, angles),))


def _cphase01(angles: tuple[float, ...], qubits: tuple[int, ...]) -> Lowered:
    """Phase on first 0, second 1: n1 - n0 n1."""
    return Operation("p", qubits[1:], angles), Operation("cp", qubits, (-angles[0],))


def _cphase10(angles: tuple[float, ...], qubits: tuple[int, ...]) -> Lowered:
    """Phase on first 1, second 0: n0 - n0 n1."""
    return Operation("p", qubits[:1], angles), Operation("cp", qubits, (-angles[0],))


def _cphase00(angles: tuple[float, ...], qubits: tuple[int, ...]) -> Lowered:
    """Phase on both 0: 1 - n0 - n1 + n0 n1, of which the 1 is global."""
    back = (-angles[0],)
    return Operation("p", qubits[:1], back), Operation("p", qubits[1:], back), Operation("cp", qubits, angles)


def _pswap(angles: tuple[float, ...], qubits: tuple[int, ...]) -> Lowered:
    """Swap with a phase on what moved: n0 + n1 - 2 n0 n1."""
    moved = Operation("p", qubits[:1], angles), Operation("p", qubits[1:], angles), Operation("cp", qubits, (-2 * angles[0],))
    return (*moved, Operation("swap", qubits))


def _tk2(angles: tuple[float, ...], qubits: tuple[int, ...]) -> Lowered:
    """exp(-i/2 (a XX + b YY + c ZZ)); the three commute."""
    return tuple(Operation(gate, qubits, (value,)) for gate, value in zip(("rxx", "ryy", "rzz"), angles, strict=True))


def _csxdg(angles: tuple[float, ...], qubits: tuple[int, ...]) -> Lowered:
    """SX is H S H, and so is its inverse under control."""
    target = qubits[1:]
    return Operation("h", target), Operation("csdg", qubits), Operation("h", target)


WORDS: Mapping[str, Word] = {
    **{name: _same(name) for name in GATES},
    # OpenQASM's builtins and its own older names
    "U": _same("u"),
    "u3": _same("u"),
    "u2": Word(1, 2, lambda angles, qubits: (Operation("u", qubits, (_HALF, *angles)),)),
    "u1": _same("p"),
    "u0": Word(1, 1, lambda angles, qubits: (Operation("id", qubits),)),
    "CX": _same("cx"),
    "cu1": _same("cp"),
    "cu3": Word(2, 3, lambda angles, qubits: (Operation("cu", qubits, (*angles, 0.0)),)),
    "phase": _same("p"),
    "cphase": _same("cp"),
    "csxdg": Word(2, 0, _csxdg),
    # Braket
    "i": _same("id"),
    "si": _same("sdg"),
    "ti": _same("tdg"),
    "v": _same("sx"),
    "vi": _same("sxdg"),
    "cv": _same("csx"),
    "cnot": _same("cx"),
    "ccnot": _same("ccx"),
    "phaseshift": _same("p"),
    "cphaseshift": _same("cp"),
    "cphaseshift00": Word(2, 1, _cphase00),
    "cphaseshift01": Word(2, 1, _cphase01),
    "cphaseshift10": Word(2, 1, _cphase10),
    "pswap": Word(2, 1, _pswap),
    "xx": _same("rxx"),
    "yy": _same("ryy"),
    "zz": _same("rzz"),
    "xy": Word(2, 1, lambda angles, qubits: (Operation("xx_plus_yy", qubits, (-angles[0], 0.0)),)),
    "prx": _same("r"),
    # IonQ's own, also in Braket
    "gpi": Word(1, 1, lambda angles, qubits: (Operation("r", qubits, (_PI, *angles)),)),
    "gpi2": Word(1, 1, lambda angles, qubits: (Operation("r", qubits, (_HALF, *angles)),)),
    # Quantinuum's hqslib1.inc and pytket
    "U1q": _same("r"),
    "u1q": _same("r"),
    "Rz": _same("rz"),
    "RZZ": _same("rzz"),
    "ZZ": Word(2, 0, lambda angles, qubits: (Operation("rzz", qubits, (_HALF,)),)),
    "Rxxyyzz": Word(2, 3, _tk2),
}
"""Every gate name that is read, besides those that a program defines itself."""


CONTROLLED: Mapping[str, str] = {
    "x": "cx",
    "y": "cy",
    "z": "cz",
    "h": "ch",
    "s": "cs",
    "sdg": "csdg",
    "sx": "csx",
    "sxdg": "csxdg",
    "p": "cp",
    "rx": "crx",
    "ry": "cry",
    "rz": "crz",
    "cx": "ccx",
    "cz": "ccz",
    "swap": "cswap",
    "v": "csx",
    "vi": "csxdg",
    "si": "csdg",
    "phase": "cp",
    "phaseshift": "cp",
    "u1": "cp",
    "cnot": "ccx",
}
"""What a gate is called once a control, in front of its qubits, is added to it."""

QUARTERS: Mapping[str, float] = {"t": _PI / 4, "tdg": -_PI / 4, "ti": -_PI / 4}
"""Phases that are gates without an angle but have no controlled name."""


def lowered(name: str, angles: tuple[float, ...], qubits: tuple[int, ...]) -> Lowered:
    """What ``name`` is in the engines' gates.

    Raises:
        CircuitError: no such gate, another number of angles or qubits, or one qubit twice.
    """
    word = WORDS.get(name)
    if word is None:
        raise CircuitError(
            f"the gate {quoted(name)} is not known", "name a gate of OpenQASM, Braket, IonQ or Quantinuum, or define it"
        )
    check_operands(name, word.qubits, word.params, angles, qubits)
    return word.lower(angles, qubits)


def check_operands(name: str, takes_qubits: int, takes_angles: int, angles: tuple[float, ...], qubits: tuple[int, ...]) -> None:
    """Nothing, where a gate has the operands that it takes.

    Raises:
        CircuitError: too many or too few, or one qubit twice.
    """
    if len(qubits) != takes_qubits:
        raise CircuitError(f"{quoted(name)} on {len(qubits)} qubits", f"it acts on {takes_qubits}")
    if len(angles) != takes_angles:
        raise CircuitError(f"{quoted(name)} with {len(angles)} angles", f"it takes {takes_angles}")
    if len(set(qubits)) != len(qubits):
        raise CircuitError(f"{quoted(name)} has one qubit twice", "a gate acts on different qubits")


def controlled(name: str, angles: tuple[float, ...], controls: tuple[int, ...], qubits: tuple[int, ...]) -> Lowered:
    """``name`` on ``qubits`` under ``controls`` that must all be 1.

    Raises:
        CircuitError: the engines have no such gate.
    """
    operands = (*controls, *qubits)
    if not controls:
        return lowered(name, angles, qubits)
    gate = name
    if gate in QUARTERS and not angles:
        gate, angles = "p", (QUARTERS[gate],)
    for _ in controls:
        found = CONTROLLED.get(gate)
        if found is None:
            raise CircuitError(
                f"{quoted(name)} under {len(controls)} controls", f"controls are read on {', '.join(sorted(CONTROLLED))}"
            )
        gate = found
    return lowered(gate, angles, operands)


_OWN_INVERSE = frozenset({"id", "x", "y", "z", "h", "cx", "cy", "cz", "ch", "swap", "ecr", "ccx", "ccz", "cswap"})
_OPPOSITE = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t", "sx": "sxdg", "sxdg": "sx", "cs": "csdg", "csdg": "cs"}
_ROTATIONS = frozenset({"rx", "ry", "rz", "p", "cp", "crx", "cry", "crz", "rxx", "ryy", "rzz", "rzx"})


def inverted(operation: Operation) -> Lowered:
    """The inverse of a gate, exact up to a global phase."""
    name, qubits, angles, _ = operation
    if name in _OWN_INVERSE:
        return (operation,)
    if name in _OPPOSITE:
        return (Operation(_OPPOSITE[name], qubits),)
    if name in _ROTATIONS:
        return (Operation(name, qubits, (-angles[0],)),)
    return _inverted_rest(name, qubits, angles)


def _inverted_rest(name: str, qubits: tuple[int, ...], angles: tuple[float, ...]) -> Lowered:
    if name in {"u", "cu"}:
        theta, phi, lam = angles[:3]
        return (Operation(name, qubits, (-theta, -lam, -phi, *(-gamma for gamma in angles[3:]))),)
    if name in {"r", "xx_plus_yy", "xx_minus_yy"}:
        return (Operation(name, qubits, (-angles[0], angles[1])),)
    if name == "ms":
        return (Operation(name, qubits, (angles[0], angles[1], -angles[2])),)
    if name == "iswap":
        return (Operation("xx_plus_yy", qubits, (_PI, 0.0)),)
    if name == "dcx":
        return (Operation(name, (qubits[1], qubits[0])),)
    if name == "csx":
        return _csxdg((), qubits)
    raise CircuitError(f"the inverse of {quoted(name)}", "only gates have one")
