"""``gate name(parameters) qubits { … }``: read from the text of a program, and expanded where the gate is applied.

A definition that only says what the engines' own gate of that name is (Qiskit's exporters write those for every gate that is not
in the included file) is dropped, so that ``ecr`` stays the ``ecr`` whose error the calibration tells. Any other definition of a
known name is obeyed. A definition may use only what was defined before it, so there is no recursion; what one application
costs is known, and bounded, before anything is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES, Operation
from qobs.reference.dialects import WORDS, check_operands, lowered
from qobs.reference.expressions import Expression, compiled, evaluate
from qobs.reference.known_definitions import KNOWN, LIBRARY
from qobs.reference.limits import Limits, Unfamiliar, quoted

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*+)\s*+(?:\(([^{}]*)\))?([^()]*)", re.DOTALL)
_DELIMITER = re.compile(r"[;{}]")
_SHORTER = {"U": "u", "u3": "u", "u1": "p", "phase": "p", "CX": "cx"}
_ALLOWED = "a definition is `gate name(parameters) qubits { gates on these qubits; }`"


class Call(NamedTuple):
    """One gate in the body of a definition. ``definition`` is None for a known gate."""

    name: str
    angles: tuple[Expression, ...]
    qubits: tuple[int, ...]
    definition: Definition | None


class Definition(NamedTuple):
    """A gate that a program defines.

    ``calls`` is how many gates one application expands to, those of every level counted; ``depth`` how many levels there are.
    """

    name: str
    params: int
    qubits: int
    body: tuple[Call, ...]
    calls: int
    depth: int


Definitions = Mapping[str, Definition]


class _Block(NamedTuple):
    begin: int
    opened: int
    closed: int


def extracted(text: str, version: int, limits: Limits) -> tuple[str, Definitions]:
    """The text with its gate definitions blanked (lines stay where they are), and the definitions.

    Raises:
        CircuitError: a definition that cannot be read; ``line`` is where it begins.
    """
    kept, found, after = [], dict(library(version)), 0
    for block in _blocks(text):
        head, body = text[block.begin : block.opened], text[block.opened + 1 : block.closed]
        try:
            definition = _definition(head, body, version, limits, found)
        except CircuitError as error:
            line = text.count("\n", 0, block.begin + len(head) - len(head.lstrip())) + 1
            raise type(error)(error.found, error.allowed, line=line) from None
        found.pop(definition.name, None)
        if not _is_known(definition, version):
            found[definition.name] = definition
        kept.append(text[after : block.begin] + "\n" * text.count("\n", block.begin, block.closed + 1))
        after = block.closed + 1
    return "".join(kept) + text[after:], found


def _blocks(text: str) -> Iterator[_Block]:
    """Every ``gate … { … }`` at the top level, in one pass."""
    begin: int | None = None
    opened = after = 0
    for match in _DELIMITER.finditer(text):
        sign, place = match.group(), match.start()
        if begin is not None and sign == "{":
            raise Unfamiliar("braces inside a gate definition", _ALLOWED, line=text.count("\n", 0, place) + 1)
        if begin is not None and sign == "}":
            yield _Block(begin, opened, place)
            begin = None
        elif begin is None and sign == "{" and text[after:place].split(None, 1)[:1] == ["gate"]:
            begin, opened = after, place
        after = match.end()
    if begin is not None:
        raise CircuitError("the text ends inside a gate definition", _ALLOWED, line=text.count("\n", 0, opened) + 1)


def _definition(head: str, body: str, version: int, limits: Limits, known: Definitions) -> Definition:
    name, params, qubits = _head(head.split(None, 1)[1])
    places = {qubit: place for place, qubit in enumerate(qubits)}
    calls = tuple(
        _call(statement.strip(), params, places, version, limits, known) for statement in body.split(";") if statement.strip()
    )
    cost = 1 + sum(1 if call.definition is None else call.definition.calls for call in calls)
    depth = 1 + max((call.definition.depth for call in calls if call.definition is not None), default=0)
    if cost > limits.operations:
        raise CircuitError(f"the gate {quoted(name)} expands to too many gates", f"at most {limits.operations} are read")
    if depth > limits.nesting:
        raise CircuitError(f"the gate {quoted(name)} is defined over too many levels", f"at most {limits.nesting} are read")
    return Definition(name, len(params), len(qubits), calls, cost, depth)


def _head(text: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Name, parameters and qubits."""
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise Unfamiliar(f"the definition {quoted(text)}", _ALLOWED)
    name, params, qubits = match.groups()
    return name, _names(params or ""), _names(qubits)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",")) if text.strip() else ()
    if len(set(names)) != len(names) or not all(_NAME.fullmatch(name) for name in names):
        raise CircuitError(f"the names {quoted(text)} in a definition", _ALLOWED)
    return names


def _call(
    text: str, params: tuple[str, ...], places: Mapping[str, int], version: int, limits: Limits, known: Definitions
) -> Call:
    match = _CALL.fullmatch(text)
    if match is None:
        raise Unfamiliar(f"{quoted(text)} in a gate definition", _ALLOWED)
    name, angles, operands = match.groups()
    names = _names(operands)
    if not places.keys() >= set(names):
        raise CircuitError(f"{quoted(operands)} in a gate definition", f"its qubits are {', '.join(places) or 'none'}")
    expressions = tuple(
        compiled(angle, params, version, nesting=limits.nesting, chars=limits.expression_chars)
        for angle in (angles.split(",") if angles and angles.strip() else ())
    )
    call = Call(name, expressions, tuple(places[qubit] for qubit in names), known.get(name))
    _check(call)
    return call


def _check(call: Call) -> None:
    """Operands fit, and the gate exists: said where it is defined, once, rather than at each use."""
    if call.name == "barrier":
        return
    if call.name == "gphase":
        takes_qubits, takes_angles = 0, 1
    elif call.definition is not None:
        takes_qubits, takes_angles = call.definition.qubits, call.definition.params
    elif call.name in WORDS:
        takes_qubits, takes_angles = WORDS[call.name].qubits, WORDS[call.name].params
    else:
        raise CircuitError(
            f"the gate {quoted(call.name)} is not known", "a definition uses known gates and those defined before it"
        )
    check_operands(call.name, takes_qubits, takes_angles, (0.0,) * len(call.angles), call.qubits)


def expanded(definition: Definition, angles: tuple[float, ...], qubits: tuple[int, ...]) -> Iterator[Operation]:
    """The engines' gates that one application of a definition is, in order.

    Raises:
        CircuitError: it has other operands than it takes.
    """
    check_operands(definition.name, definition.qubits, definition.params, angles, qubits)
    for call in definition.body:
        operands = tuple(qubits[place] for place in call.qubits)
        values = tuple(evaluate(expression, angles) for expression in call.angles)
        if call.definition is not None:
            yield from expanded(call.definition, values, operands)
        elif call.name == "barrier":
            yield Operation("barrier", operands or qubits)
        elif call.name != "gphase":
            yield from lowered(call.name, values, operands)


Shape = tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...]


def _shape(definition: Definition) -> Shape:
    """A body without the names that its author chose."""
    return tuple(
        (_SHORTER.get(call.name, call.name), tuple(angle.text for angle in call.angles), call.qubits) for call in definition.body
    )


def _is_known(definition: Definition, version: int) -> bool:
    if definition.name not in GATES or any(call.definition is not None for call in definition.body):
        return False
    return (definition.name, _shape(definition)) in _known_shapes(version)


@cache
def _known_shapes(version: int) -> frozenset[tuple[str, Shape]]:
    """The ways in which exporters write the engines' own gates."""
    limits = Limits()
    return frozenset(
        (found.name, _shape(found))
        for block in _blocks(KNOWN)
        for found in [_definition(KNOWN[block.begin : block.opened], KNOWN[block.opened + 1 : block.closed], version, limits, {})]
    )


@cache
def library(version: int) -> Definitions:
    """Gates of Qiskit's ``qelib1.inc`` that the engines do not have, as definitions."""
    found: dict[str, Definition] = {}
    for block in _blocks(LIBRARY):
        head, body = LIBRARY[block.begin : block.opened], LIBRARY[block.opened + 1 : block.closed]
        definition = _definition(head, body, version, Limits(), found)
        found[definition.name] = definition
    return found
