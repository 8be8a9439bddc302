"""IonQ's JSON circuits: gateset ``qis`` (angles in radians) and ``native`` (phases and angles in turns).

Every qubit is measured at the end. Classical bit i is qubit i, in one register, unless ``registers`` says which qubit each bit of
a register holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit, Operation, Register
from qobs.reference.dialects import Lowered, controlled, lowered
from qobs.reference.limits import Limits, quoted, within

_ALLOWED = "IonQ's JSON has `qubits`, `circuit` and `gateset` (qis or native), alone or under `input`"
_QIS = {
    **{name: name for name in ("x", "y", "z", "h", "s", "t", "v", "rx", "ry", "rz", "swap")},
    "not": "x",
    "si": "sdg",
    "ti": "tdg",
    "vi": "sxdg",
    "cnot": "cx",
    "xx": "rxx",
    "yy": "ryy",
    "zz": "rzz",
    "v": "sx",
}
_ROTATED = frozenset({"rx", "ry", "rz", "xx", "yy", "zz"})
_QUARTER_TURN = 0.25

Fields = dict[str, Any]


def read(text: str, limits: Limits) -> Circuit:
    """The circuit that a job's JSON describes.

    Raises:
        CircuitError: not JSON, not IonQ's, or beyond the limits; gates are told by their index.
    """
    program = _program(_decoded(text, limits))
    width = _whole(program.get("qubits"), "`qubits`", least=1, most=10**9)
    within(width, limits.qubits, "qubits")
    gates = program.get("circuit")
    if not isinstance(gates, list):
        raise CircuitError(f"`circuit` is {quoted(gates)}", "it is a list of gates")
    within(len(gates), limits.operations, "operations")
    gateset = program.get("gateset", "qis")
    if gateset not in ("qis", "native"):
        raise CircuitError(f"the gateset {quoted(gateset)}", "qis or native")
    operations: list[Operation] = []
    for index, gate in enumerate(gates):
        operations += _placed(gate, index, native=gateset == "native", width=width)
        within(len(operations), limits.operations, "operations")
    registers, measures = _measures(program.get("registers"), width, limits)
    return Circuit(
        width=width,
        operations=(*operations, *measures),
        clbits=sum(register.size for register in registers),
        physical=tuple(range(width)),
        registers=registers,
        name=str(program.get("name") or "")[:200],
    )


def _decoded(text: str, limits: Limits) -> object:
    depth = text.count("[") + text.count("{")
    if depth > limits.nesting and _deepest(text) > limits.nesting:
        raise CircuitError("JSON nested too deep", f"at most {limits.nesting} levels are read")
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise CircuitError(f"no JSON ({str(error)[:80]})", _ALLOWED) from None


def _deepest(text: str) -> int:
    """The deepest nesting of brackets; those inside strings count too, which no circuit has many of."""
    depth = deepest = 0
    for char in text:
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _program(document: object) -> Fields:
    if isinstance(document, dict) and isinstance(document.get("input"), dict):
        document = {"name": document.get("name"), **document["input"]}
    if not isinstance(document, dict) or "circuit" not in document:
        several = isinstance(document, dict) and "circuits" in document
        raise CircuitError("several circuits in one job" if several else "JSON without `circuit`", _ALLOWED)
    return document


def _placed(gate: object, index: int, *, native: bool, width: int) -> Lowered:
    """One gate, with its index in every error."""
    try:
        if not isinstance(gate, dict) or not isinstance(gate.get("gate"), str):
            raise CircuitError(f"{quoted(gate)}", "a gate is an object with a name under `gate`")
        return _native(gate, width) if native else _qis(gate, width)
    except CircuitError as error:
        raise CircuitError(f"circuit[{index}]: {error.found}", error.allowed) from None


def _qis(gate: Fields, width: int) -> Lowered:
    asked = gate["gate"]
    name = _QIS.get(asked)
    if name is None:
        raise CircuitError(f"the gate {quoted(asked)}", f"the gateset qis has {', '.join(sorted(_QIS))}")
    angles = (_number(gate, "rotation"),) if asked in _ROTATED else ()
    controls, targets = _qubits(gate, "control", width), _qubits(gate, "target", width)
    if asked == "cnot":
        name = "x"
        if not controls:
            raise CircuitError("a cnot without `control`", "it has a control and a target")
    if controls:
        return controlled(name, angles, controls, targets)
    return lowered(name, angles, targets)


def _native(gate: Fields, width: int) -> Lowered:
    name, targets = gate["gate"], _qubits(gate, "target", width)
    if name in {"gpi", "gpi2"}:
        return lowered(name, (_turns(_number(gate, "phase")),), targets)
    if name == "zz":
        return lowered("rzz", (_turns(_number(gate, "angle" if "angle" in gate else "phase")),), targets)
    if name == "ms":
        phases = gate.get("phases")
        if not isinstance(phases, list) or len(phases) != 2:
            raise CircuitError(f"`phases` is {quoted(phases)}", "two numbers, in turns")
        angle = _number(gate, "angle") if gate.get("angle") is not None else _QUARTER_TURN
        first, second = (_number({"phase": phase}, "phase") for phase in phases)
        return lowered("ms", (_turns(first), _turns(second), _turns(angle)), targets)
    raise CircuitError(f"the gate {quoted(name)}", "the gateset native has gpi, gpi2, ms, zz")


def _turns(value: float) -> float:
    """Radians."""
    return 2 * math.pi * value


def _number(gate: Fields, key: str) -> float:
    value = gate.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
        raise CircuitError(f"`{key}` is {quoted(value)}", "a finite number")
    return float(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _whole(value: object, what: str, *, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise CircuitError(f"{what} is {quoted(value)}", f"a whole number from {least} to {most}")
    return value


def _qubits(gate: Fields, key: str, width: int) -> tuple[int, ...]:
    """``target`` or ``targets``, ``control`` or ``controls``."""
    given = gate.get(f"{key}s", gate.get(key))
    listed = given if isinstance(given, list) else [] if given is None else [given]
    return tuple(_whole(qubit, f"`{key}`", least=0, most=width - 1) for qubit in listed)


def _measures(given: object, width: int, limits: Limits) -> tuple[tuple[Register, ...], list[Operation]]:
    if given is None or given == {}:
        given = {"output_all": list(range(width))}
    if not isinstance(given, dict) or not all(isinstance(held, list) for held in given.values()):
        raise CircuitError(f"`registers` is {quoted(given)}", "it gives, for each register, the qubit of each bit, or null")
    within(sum(len(held) for held in given.values()), limits.clbits, "classical bits")
    registers: list[Register] = []
    measures: list[Operation] = []
    for name, held in given.items():
        first = sum(register.size for register in registers)
        registers.append(Register(str(name), first, len(held)))
        measures += _held(held, first, width)
    return tuple(registers), measures


def _held(held: list[object], first: int, width: int) -> Iterator[Operation]:
    for place, qubit in enumerate(held):
        if qubit is not None:
            yield Operation("measure", (_whole(qubit, "a register's qubit", least=0, most=width - 1),), (), (first + place,))
