"""OpenQASM 2 and 3 as machines write it: declarations, gates, measure, barrier, reset, delay; one statement after the other.

Everything else is refused: as an error where no reading of it could be right, as :class:`Unfamiliar` where the full grammar may
know the form. A statement is read once; its copies are found by their text, and so are operands and angles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES, Circuit, Operation
from qobs.reference.definitions import Definitions, expanded
from qobs.reference.dialects import lowered
from qobs.reference.expressions import angle
from qobs.reference.limits import Limits, Unfamiliar, quoted, within
from qobs.reference.registers import Place, Registers, aligned
from qobs.reference.source import Source

INCLUDES = frozenset({"qelib1.inc", "stdgates.inc", "hqslib1.inc", "hqslib1_dev.inc"})
REFUSED = {
    **dict.fromkeys(("if", "else", "while", "switch"), "a choice by measurement results"),
    **dict.fromkeys(("def", "extern", "return"), "a subroutine"),
    **dict.fromkeys(("cal", "defcal", "defcalgrammar"), "a pulse calibration"),
    **dict.fromkeys(("input", "output"), "a program with parameters left open"),
    **dict.fromkeys(("duration", "stretch"), "a schedule left open"),
    "opaque": "an opaque gate",
}
"""Statements that no circuit of gates and measurements can stand for, by their first word."""
CIRCUIT_ONLY = "gates, measure, reset, barrier and delay in a fixed order are read"

_SPLIT = re.compile(r"\s*+([^\s(\[]*+)\s*+(?:(\(.*\))\s*+)?(.*+)", re.DOTALL)
"""The first word of a statement, its outermost brackets, and the rest."""
_LARGEST = 1e300
_UNFAMILIAR = re.compile(r"[{}@=]|\b(?:const|let|int|uint|float|angle|bool|for|box|end|array|complex)\b")
_SIZED = re.compile(r"\s*+\[\s*+([0-9]{1,9}+)\s*+\]\s*+([A-Za-z_][A-Za-z0-9_]*+)\s*+")
_PLAIN_NAME = re.compile(r"\s*+([A-Za-z_][A-Za-z0-9_]*+)\s*+")
_OLD_STYLE = re.compile(r"\s*+([A-Za-z_][A-Za-z0-9_]*+)\s*+\[\s*+([0-9]{1,9}+)\s*+\]\s*+")
_DURATION = re.compile(r"\s*+\[\s*+([0-9.]++(?:[eE][-+]?[0-9]++)?)\s*+(ns|us|µs|ms|s|dt)\s*+\](.*)", re.DOTALL)
_PHYSICAL = re.compile(r"\$([0-9]++)")
_new = tuple.__new__
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_OPAQUE_DELAY = re.compile(r"\s*+(delay[A-Za-z0-9_]*+)\s*+\([A-Za-z_0-9]*+\)\s*+[A-Za-z_0-9]++\s*+")


class FlatParser:
    """One program. ``definitions`` are gates of its own, already taken out of the text."""

    def __init__(self, source: Source, definitions: Definitions, limits: Limits, dt_seconds: float | None) -> None:
        """``dt_seconds`` is the length of the backend's clock tick, None where it is not known."""
        self.source, self.definitions, self.limits, self.dt_seconds = source, definitions, limits, dt_seconds
        self.qubits = Registers("qubits", limits.qubits)
        self.clbits = Registers("classical bits", limits.clbits)
        self.physical = source.physical_qubits(limits)
        self.hardware = {number: place for place, number in enumerate(self.physical)}
        self.operations: list[Operation] = []
        self.plain = {name: shape for name, shape in GATES.items() if name not in definitions}
        self.fast_angles = source.text.isascii()
        self.known: dict[str, Operation] = {}
        self.turned: dict[tuple[str, str], tuple[str, tuple[int, ...]]] = {}
        self.places: dict[str, int] = {}
        self.bits: dict[str, int] = {}
        self.angles: dict[str, tuple[float, ...]] = {}
        self.delays: set[str] = set()

    def run(self) -> Circuit:
        """The circuit.

        Raises:
            Unfamiliar: a form that only the full grammar may know.
            CircuitError: anything else that is not a circuit within the limits.
        """
        end = self.source.text.rfind(";") + 1
        if self.source.text[end:].strip():
            raise self._end_missing()
        within(self.source.text.count(";"), self.limits.operations + self.limits.qubits, "statements")
        return self._statements(self.source.text[:end].split(";")[:-1])

    def _statements(self, statements: list[str]) -> Circuit:
        """All statements. Copies of those without an angle are found by their text; most others are ``name(number) operands``."""
        known, turned, append = self.known, self.turned, self.operations.append
        number = 0
        try:
            for number, statement in enumerate(statements):  # noqa: B007 (it tells the place of an error)
                operation = known.get(statement)
                if operation is None:
                    head, closed, rest = statement.partition(") ")
                    if closed:
                        word, _, text = head.partition("(")
                        if (place := turned.get((word, rest))) is not None:
                            operation = _turned(*place, text)
                    if operation is None and (operation := self._whole(statement)) is None:
                        continue
                append(operation)
            within(len(self.operations), self.limits.operations, "operations")
        except CircuitError as error:
            raise self.source.placed(error, number) from None
        return self._circuit()

    def _whole(self, statement: str) -> Operation | None:
        """A statement read from its beginning, and remembered for its copies."""
        operation = self._simple(statement)
        if operation is not None:
            self.known[statement] = operation
            return operation
        match = _SPLIT.fullmatch(statement)
        if match is None:
            raise Unfamiliar(f"the statement {quoted(statement.strip())}", CIRCUIT_ONLY)
        name, angles, rest = match.groups()
        operation = self._read(name, angles or "", rest)
        if operation is not None and angles and self.fast_angles and name in self.plain and len(operation.params) == 1:
            head, _, tail = statement.partition(") ")
            if tail == rest:
                self.turned[head.partition("(")[0], rest] = (name, operation.qubits)
        return operation

    def _simple(self, statement: str) -> Operation | None:
        """A gate without an angle on single qubits, or one qubit measured; None for everything else."""
        name, _, rest = statement.strip().partition(" ")
        shape = self.plain.get(name)
        if shape is not None:
            qubits = self._singles(rest)
            return Operation(name, qubits) if len(qubits) == shape.qubits and not shape.params else None
        if name == "measure":
            qubit, _, bit = rest.partition(" -> ")
            return self._single(qubit, bit)
        return self._single(rest[10:], name) if rest.startswith("= measure ") else None

    def _end_missing(self) -> CircuitError:
        line = self.source.text.rstrip().count("\n") + 1
        form = Unfamiliar if self.source.text.rstrip().endswith("}") else CircuitError
        return form("the text ends inside a statement", "every statement ends with `;`", line=line)

    def _circuit(self) -> Circuit:
        if not self.physical and not self.qubits.size:
            raise CircuitError("no qubits", "a circuit has at least 1 qubit")
        return Circuit(
            width=len(self.physical) or self.qubits.size,
            operations=tuple(self.operations),
            clbits=self.clbits.size,
            physical=self.physical or tuple(range(self.qubits.size)),
            registers=tuple(self.clbits.named.values()),
        )

    def _read(self, name: str, angles: str, rest: str) -> Operation | None:
        """The one operation that a statement is, or None where it was none, or several (then they are kept already)."""
        shape = self.plain.get(name)
        if shape is None:
            return self._word(name, angles, rest)
        values = self._angles(angles[1:-1]) if angles else ()
        qubits = self._singles(rest)
        if len(qubits) != shape.qubits or len(values) != shape.params:
            return self._apply(name, values, rest)
        return Operation(name, qubits, values)

    def _singles(self, text: str) -> tuple[int, ...]:
        """Different single qubits; empty where the operands are anything else."""
        places = self.places
        if (place := places.get(text)) is not None:
            return (place,)
        try:
            qubits = tuple([places[part] for part in text.replace(", ", ",").split(",")])
        except KeyError:
            return ()
        return qubits if len(set(qubits)) == len(qubits) else ()

    def _word(self, name: str, angles: str, rest: str) -> Operation | None:
        """Everything that is not one of the engines' gates."""
        if name == "measure" and not angles:
            return self._measure(*self._arrow(rest))
        if name in self.clbits.named and "=" in rest:
            return self._assigned(name, rest)
        if name in {"barrier", "reset"} and not angles:
            return self._barrier(rest) if name == "barrier" else self._reset(rest)
        if name == "delay" or name in self.delays:
            return self._delay(angles, rest)
        if name in REFUSED:
            self._refuse(name, angles, rest)
        elif not self._declaration(name, rest) and (name or angles or rest.strip()):
            return self._other(name, angles, rest)
        return None

    def _other(self, name: str, angles: str, rest: str) -> Operation | None:
        """A gate by another name, or nothing that is known here."""
        if not name or _UNFAMILIAR.search(name + angles + rest):
            raise Unfamiliar(f"the statement {quoted(name + angles + rest)}", CIRCUIT_ONLY)
        values = self._angles(angles[1:-1]) if angles else ()
        return None if name == "gphase" else self._apply(name, values, rest)

    def _refuse(self, name: str, angles: str, rest: str) -> None:
        delay = name == "opaque" and _OPAQUE_DELAY.fullmatch(rest)
        if not delay:
            raise CircuitError(f"`{name}`, {REFUSED[name]}", CIRCUIT_ONLY)
        self.delays.add(delay.group(1))

    def _declaration(self, name: str, rest: str) -> bool:
        """Whether the statement was the version, an include or a register."""
        if name in {"OPENQASM", "include"}:
            return self._preamble(name, rest.strip())
        if name in {"qreg", "creg"}:
            match, size, named = _OLD_STYLE.fullmatch(rest), 2, 1
        elif name in {"qubit", "bit"} and self.source.version == 3:
            match, size, named = _SIZED.fullmatch(rest), 1, 2
        else:
            return False
        kept = self.qubits if name in {"qreg", "qubit"} else self.clbits
        if match is not None:
            self._declare(kept, match.group(named), int(match.group(size)))
        elif name in {"qubit", "bit"} and (single := _PLAIN_NAME.fullmatch(rest)):
            self._declare(kept, single.group(1), 1)
        else:
            raise Unfamiliar(f"the declaration {quoted((name + rest).strip())}", f"`{name}` with a size and a name is read")
        return True

    def _preamble(self, name: str, rest: str) -> bool:
        if name == "include" and rest.strip("\"'") not in INCLUDES:
            raise CircuitError(f"the include {quoted(rest)}", f"known are {', '.join(sorted(INCLUDES))}")
        return True

    def _declare(self, kept: Registers, name: str, size: int) -> None:
        if kept is self.qubits and self.physical:
            raise CircuitError(
                "declared qubits beside physical ones like $0", "use one of both: where the others lie is not told"
            )
        if name in self.qubits.named or name in self.clbits.named:
            raise CircuitError(f"the register {quoted(name)} is declared twice", "each register has a name of its own")
        register = kept.declare(name, size)
        texts = {f"{name}[{index}]": register.first + index for index in range(size)}
        if kept is self.qubits:
            self.places |= texts
        else:
            self.bits |= texts

    def _angles(self, text: str) -> tuple[float, ...]:
        """The values of the angles of one gate, by their text."""
        if (known := self.angles.get(text)) is not None:
            return known
        limits = self.limits
        parts = text.split(",") if text.strip() else []
        values = tuple(
            [angle(part, self.source.version, nesting=limits.nesting, chars=limits.expression_chars) for part in parts]
        )
        self.angles[text] = values
        return values

    def _place(self, text: str) -> Place:
        """The qubits that an operand names."""
        part = text.strip()
        if part.startswith("$"):
            place = self._physical(part)
        elif ":" in part or "{" in part:
            raise Unfamiliar(f"the operand {quoted(part)}", "a qubit or a whole register is read")
        else:
            place = self.qubits.find(part)
        if not place.whole:
            self.places[text] = place.bits[0]
        return place

    def _physical(self, part: str) -> Place:
        match = _PHYSICAL.fullmatch(part)
        if match is None:
            raise CircuitError(f"the operand {quoted(part)}", "a physical qubit is `$` and its number")
        return Place((self.hardware[int(match.group(1))],), whole=False)

    def _apply(self, name: str, values: tuple[float, ...], rest: str) -> Operation | None:
        """A gate on single qubits or along registers."""
        found: list[Operation] = []
        for qubits in aligned([self._place(part) for part in rest.split(",")]):
            found += self._gate(name, values, qubits)
        return self._kept(found)

    def _gate(self, name: str, values: tuple[float, ...], qubits: tuple[int, ...]) -> Iterable[Operation]:
        definition = self.definitions.get(name)
        return lowered(name, values, qubits) if definition is None else expanded(definition, values, qubits)

    def _kept(self, found: list[Operation]) -> Operation | None:
        """A single operation as it is; several are kept here."""
        if len(found) == 1:
            return found[0]
        within(len(self.operations) + len(found), self.limits.operations, "operations")
        self.operations += found
        return None

    def _single(self, qubit: str, bit: str) -> Operation | None:
        """One qubit measured into one bit; None where the texts are anything else."""
        source, target = self.places.get(qubit), self.bits.get(bit)
        return None if source is None or target is None else Operation("measure", (source,), (), (target,))

    def _arrow(self, rest: str) -> tuple[str, str]:
        qubits, arrow, bits = rest.partition("->")
        if not arrow:
            raise CircuitError(
                f"`measure{quoted(rest)[1:-1]}` into no bit", "name the bit: `measure q[0] -> c[0]` or `c[0] = measure q[0]`"
            )
        return qubits, bits

    def _assigned(self, name: str, rest: str) -> Operation | None:
        index, _, right = rest.partition("=")
        word, _, qubits = right.strip().partition(" ")
        if word != "measure" or ":" in index:
            raise Unfamiliar(f"the assignment {quoted((name + rest).strip())}", "only `measure` gives a bit its value")
        return self._measure(qubits, name + index)

    def _measure(self, qubits: str, bits: str) -> Operation | None:
        if ":" in bits:
            raise Unfamiliar(f"the operand {quoted(bits.strip())}", "a bit or a whole register is read")
        sources, targets = self._place(qubits), self.clbits.find(bits.strip())
        if len(sources.bits) != len(targets.bits):
            found = f"{len(sources.bits)} qubits measured into {len(targets.bits)} bits"
            raise CircuitError(found, "as many bits as qubits")
        pairs = zip(sources.bits, targets.bits, strict=True)
        return self._kept([Operation("measure", (qubit,), (), (clbit,)) for qubit, clbit in pairs])

    def _barrier(self, rest: str) -> Operation:
        if not rest.strip():
            return Operation("barrier", tuple(range(len(self.physical) or self.qubits.size)))
        return Operation("barrier", self._several(rest))

    def _reset(self, rest: str) -> Operation | None:
        return self._kept([Operation("reset", (qubit,)) for qubit in self._several(rest)])

    def _several(self, rest: str) -> tuple[int, ...]:
        return tuple(dict.fromkeys(qubit for part in rest.split(",") for qubit in self._place(part).bits))

    def _delay(self, ticks: str, rest: str) -> Operation | None:
        """``delay[100ns] q`` of OpenQASM 3, or ``delay(100) q`` of Qiskit's OpenQASM 2, which counts the clock's ticks."""
        if ticks:
            number, unit, operands = ticks[1:-1], "dt", rest
        elif match := _DURATION.fullmatch(rest):
            number, unit, operands = match.groups()
        else:
            raise Unfamiliar(f"the delay {quoted(rest.strip())}", "a number with ns, us, ms, s or dt is read")
        scale = self.dt_seconds if unit == "dt" else _SECONDS[unit]
        if scale is None:
            raise CircuitError(f"a delay of {quoted(number)} clock ticks (dt)", "give `dt_seconds`, the tick of the backend")
        seconds = angle(number, 2, nesting=self.limits.nesting) * scale
        return self._kept([Operation("delay", (qubit,), (seconds,)) for qubit in self._several(operands)])


def _turned(name: str, qubits: tuple[int, ...], text: str) -> Operation | None:
    """A gate that was seen with another angle, where this one is a plain number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return _new(Operation, (name, qubits, (value,), ())) if -_LARGEST < value < _LARGEST and "_" not in text else None
