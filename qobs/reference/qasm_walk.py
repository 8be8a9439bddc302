"""From the syntax tree of OpenQASM 3 to a circuit: loops unrolled, definitions expanded, constants computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from openqasm3 import ast

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit, Operation
from qobs.reference.definitions import Definitions, expanded
from qobs.reference.dialects import controlled, inverted
from qobs.reference.limits import Limits, quoted, within
from qobs.reference.qasm_flat import CIRCUIT_ONLY, INCLUDES
from qobs.reference.qasm_values import Value, converted, value, whole
from qobs.reference.registers import Place, Registers, aligned

Names = Mapping[str, Value]
_WIDEST = 2**60
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_REFUSED: Mapping[type[ast.QASMNode], str] = {
    ast.BranchingStatement: "`if`, a choice by measurement results",
    ast.WhileLoop: "`while`, a choice by measurement results",
    ast.SwitchStatement: "`switch`, a choice by measurement results",
    ast.SubroutineDefinition: "`def`, a subroutine",
    ast.ExternDeclaration: "`extern`, a subroutine",
    ast.IODeclaration: "`input` or `output`, a program with parameters left open",
    ast.CalibrationStatement: "`cal`, a pulse calibration",
    ast.CalibrationDefinition: "`defcal`, a pulse calibration",
    ast.CalibrationGrammarDeclaration: "`defcalgrammar`, a pulse calibration",
    ast.ClassicalAssignment: "an assignment to a variable",
    ast.AliasStatement: "`let`, an alias",
}


class Walk:
    """One program."""

    def __init__(self, definitions: Definitions, limits: Limits, dt_seconds: float | None, physical: tuple[int, ...]) -> None:
        """``definitions`` were read from the text already; ``physical`` are all ``$n`` that it names."""
        self.definitions, self.limits, self.dt_seconds, self.physical = definitions, limits, dt_seconds, physical
        self.hardware = {f"${number}": place for place, number in enumerate(physical)}
        self.qubits = Registers("qubits", limits.qubits)
        self.clbits = Registers("classical bits", limits.clbits)
        self.gates: dict[str, tuple[int, ast.QuantumGateDefinition]] = {}
        self.operations: list[Operation] = []
        self.rounds = 0
        self.handlers: Mapping[type[ast.QASMNode], Callable[..., None]] = {
            ast.Include: self._include,
            ast.QubitDeclaration: self._qubits,
            ast.ClassicalDeclaration: self._classical,
            ast.ConstantDeclaration: self._constant,
            ast.QuantumGateDefinition: self._define,
            ast.QuantumGate: self._gate,
            ast.QuantumPhase: self._phase,
            ast.QuantumMeasurementStatement: self._measurement,
            ast.QuantumBarrier: self._barrier,
            ast.QuantumReset: self._reset,
            ast.DelayInstruction: self._delay,
            ast.ForInLoop: self._loop,
            ast.Box: self._box,
            ast.CompoundStatement: self._compound,
            ast.Pragma: self._nothing,
        }

    def run(self, program: object) -> Circuit:
        """The circuit of a whole program.

        Raises:
            CircuitError: it is not a circuit, or beyond the limits.
        """
        try:
            self._block(getattr(program, "statements", ()), {})
        except RecursionError:
            raise CircuitError("a program nested too deep", f"at most {self.limits.nesting} levels are read") from None
        if not self.physical and not self.qubits.size:
            raise CircuitError("no qubits", "a circuit has at least 1 qubit")
        return Circuit(
            width=len(self.physical) or self.qubits.size,
            operations=tuple(self.operations),
            clbits=self.clbits.size,
            physical=self.physical or tuple(range(self.qubits.size)),
            registers=tuple(self.clbits.named.values()),
        )

    def _block(self, statements: Iterable[ast.QASMNode], outer: Names) -> None:
        names = dict(outer)
        for statement in statements:
            try:
                self._statement(statement, names)
                within(len(self.operations), self.limits.operations, "operations")
            except CircuitError as error:
                if error.line is not None or statement.span is None:
                    raise
                span = statement.span
                raise CircuitError(error.found, error.allowed, line=span.start_line, column=span.start_column + 1) from None

    def _statement(self, node: ast.QASMNode, names: dict[str, Value]) -> None:
        handler = self.handlers.get(type(node))
        if handler is None:
            raise CircuitError(_REFUSED.get(type(node), type(node).__name__), CIRCUIT_ONLY)
        handler(node, names)

    def _nothing(self, node: ast.Pragma, names: Names) -> None:
        """Pragmas that change anything were refused with the text."""

    def _include(self, node: ast.Include, names: Names) -> None:
        if node.filename not in INCLUDES:
            raise CircuitError(f"the include {quoted(node.filename)}", f"known are {', '.join(sorted(INCLUDES))}")

    def _qubits(self, node: ast.QubitDeclaration, names: Names) -> None:
        if self.physical:
            raise CircuitError(
                "declared qubits beside physical ones like $0", "use one of both: where the others lie is not told"
            )
        self._declare(self.qubits, node.qubit.name, node.size, names)

    def _declare(self, kept: Registers, name: str, size: ast.Expression | None, names: Names) -> None:
        if name in self.qubits.named or name in self.clbits.named or name in names:
            raise CircuitError(f"{quoted(name)} is declared twice", "each register has a name of its own")
        kept.declare(name, 1 if size is None else whole(size, names, "a register's size"))

    def _classical(self, node: ast.ClassicalDeclaration, names: Names) -> None:
        if not isinstance(node.type, ast.BitType):
            raise CircuitError(f"a variable {quoted(node.identifier.name)}", "bits, and constants with `const`, are declared")
        self._declare(self.clbits, node.identifier.name, node.type.size, names)
        if isinstance(node.init_expression, ast.QuantumMeasurement):
            self._measure(node.init_expression.qubit, node.identifier, names)
        elif node.init_expression is not None:
            raise CircuitError("bits with a value of their own", "only `measure` gives a bit its value")

    def _constant(self, node: ast.ConstantDeclaration, names: dict[str, Value]) -> None:
        if node.identifier.name in names:
            raise CircuitError(f"{quoted(node.identifier.name)} is declared twice", "a constant has one value")
        names[node.identifier.name] = converted(node.type, value(node.init_expression, names))

    def _define(self, node: ast.QuantumGateDefinition, names: Names) -> None:
        self.gates[node.name.name] = (len(self.gates), node)

    def _loop(self, node: ast.ForInLoop, names: dict[str, Value]) -> None:
        steps = self._steps(node.set_declaration, names)
        within(self.rounds + len(steps), self.limits.iterations, "iterations and expansions")
        for number in steps:
            self._count()
            self._block(node.block, {**names, node.identifier.name: number})

    def _count(self) -> None:
        self.rounds += 1
        within(self.rounds, self.limits.iterations, "iterations and expansions")

    def _steps(self, node: ast.QASMNode, names: Names) -> Sequence[Value]:
        if isinstance(node, ast.DiscreteSet):
            return [value(each, names) for each in node.values]
        if not isinstance(node, ast.RangeDefinition):
            raise CircuitError("a loop over values not known beforehand", "a range [first:last] or a set {1, 2} is unrolled")
        if node.start is None or node.end is None:
            raise CircuitError("a loop over a range without an end", "write the first and the last value")
        return _span(node, 0, names, 0)

    def _box(self, node: ast.Box, names: Names) -> None:
        if node.duration is not None:
            raise CircuitError("a box with a duration", "a box without one is read")
        self._block(node.body, names)

    def _compound(self, node: ast.CompoundStatement, names: Names) -> None:
        self._block(node.statements, names)

    def _place(self, node: ast.QASMNode, kept: Registers, names: Names) -> Place:
        """The bits that an operand names."""
        if isinstance(node, ast.Identifier):
            if node.name.startswith("$"):
                return Place((self.hardware[node.name],), whole=False)
            return kept.find(node.name)
        if not isinstance(node, ast.IndexedIdentifier) or len(node.indices) != 1:
            raise CircuitError(f"{type(node).__name__} where {kept.kind} are named", "a register, or one with an index, is read")
        bits = kept.find(node.name.name).bits
        places = self._indices(node.indices[0], len(bits), names)
        if any(not 0 <= place < len(bits) for place in places):
            raise CircuitError(f"an index beyond {quoted(node.name.name)}", f"it has {len(bits)} {kept.kind}")
        single = isinstance(node.indices[0], list) and not isinstance(node.indices[0][0], ast.RangeDefinition)
        return Place(tuple(bits[place] for place in places), whole=not single)

    def _indices(self, index: ast.DiscreteSet | Sequence[ast.QASMNode], size: int, names: Names) -> list[int]:
        given: Sequence[ast.QASMNode] = index.values if isinstance(index, ast.DiscreteSet) else index
        if not isinstance(index, ast.DiscreteSet) and len(given) != 1:
            raise CircuitError("several indices", "one index, range or set is read")
        places: list[int] = []
        for each in given:
            if isinstance(each, ast.RangeDefinition):
                found = _span(each, size, names, size - 1)
                within(len(found), self.limits.qubits + self.limits.clbits, "indices")
                places += found
            else:
                places.append(_wrapped(whole(_expression(each), names, "an index"), size))
        return places

    def _gate(self, node: ast.QuantumGate, names: Names) -> None:
        if node.duration is not None:
            raise CircuitError("a gate with a duration", CIRCUIT_ONLY)
        values = tuple(float(value(each, names)) for each in node.arguments)
        for qubits in aligned([self._place(each, self.qubits, names) for each in node.qubits]):
            self._modified(node, values, qubits, names)
            within(len(self.operations), self.limits.operations, "operations")

    def _modified(self, node: ast.QuantumGate, values: tuple[float, ...], qubits: tuple[int, ...], names: Names) -> None:
        inverse, times, controls, negative = self._modifiers(node.modifiers, qubits, names)
        found = list(self._plain(node.name.name, values, qubits, controls, len(self.gates)))
        if inverse:
            found = [each for operation in reversed(found) for each in inverted(operation)]
        within(len(self.operations) + len(found) * times, self.limits.operations, "operations")
        flips = [Operation("x", (qubit,)) for qubit in negative] if times else []
        self.operations += [*flips, *(found * times), *flips]

    def _modifiers(
        self, modifiers: Sequence[ast.QuantumGateModifier], qubits: tuple[int, ...], names: Names
    ) -> tuple[bool, int, int, list[int]]:
        """Whether inverted, how often, how many controls, and which of them are negative."""
        inverse, times, controls = False, 1, 0
        negative: list[int] = []
        for modifier in modifiers:
            kind = modifier.modifier.name
            if kind == "inv":
                inverse = not inverse
            elif kind == "pow":
                power = whole(modifier.argument, names, "the power of a gate")
                inverse, times = inverse != (power < 0), times * abs(power)
                within(times, self.limits.operations, "operations")
            else:
                count = 1 if modifier.argument is None else whole(modifier.argument, names, "a number of controls")
                if not 1 <= count <= len(qubits) - controls:
                    raise CircuitError(
                        f"{count} controls on {len(qubits) - controls} qubits", "controls come before the gate's own qubits"
                    )
                negative += qubits[controls : controls + count] if kind == "negctrl" else ()
                controls += count
        return inverse, times, controls, negative

    def _plain(
        self, name: str, values: tuple[float, ...], qubits: tuple[int, ...], controls: int, before: int
    ) -> Iterable[Operation]:
        """A gate without modifiers but controls; of the program's own gates only those defined as one of the first ``before``."""
        own = self.gates.get(name)
        definition = self.definitions.get(name)
        if controls and (own or definition):
            raise CircuitError(f"{quoted(name)}, a defined gate, under a control", "controls are read on named gates")
        if own is not None and own[0] < before:
            return self._expanded(own[1], own[0], values, qubits)
        if definition is not None:
            return expanded(definition, values, qubits)
        return controlled(name, values, qubits[:controls], qubits[controls:])

    def _expanded(
        self, node: ast.QuantumGateDefinition, before: int, values: tuple[float, ...], qubits: tuple[int, ...]
    ) -> Iterator[Operation]:
        self._count()
        if len(values) != len(node.arguments) or len(qubits) != len(node.qubits) or len(set(qubits)) != len(qubits):
            found = f"{quoted(node.name.name)} with {len(values)} angles on qubits {list(qubits)[:8]}"
            raise CircuitError(found, f"it takes {len(node.arguments)} angles and {len(node.qubits)} different qubits")
        inner = Walk(self.definitions, self.limits, self.dt_seconds, ())
        inner.gates = {name: each for name, each in self.gates.items() if each[0] < before}
        inner.rounds = self.rounds
        for qubit in node.qubits:
            inner.qubits.declare(qubit.name, 1)
        arguments = {each.name: given for each, given in zip(node.arguments, values, strict=True)}
        inner._block(_only_gates(node.body), arguments)
        self.rounds = inner.rounds
        for operation in inner.operations:
            yield operation._replace(qubits=tuple(qubits[place] for place in operation.qubits))

    def _phase(self, node: ast.QuantumPhase, names: Names) -> None:
        value(node.argument, names)
        if any(modifier.modifier.name in {"ctrl", "negctrl"} for modifier in node.modifiers):
            raise CircuitError("a controlled `gphase`", "write the phase of the control as `p`")

    def _measurement(self, node: ast.QuantumMeasurementStatement, names: Names) -> None:
        if node.target is None:
            raise CircuitError("`measure` into no bit", "name the bit: `c[0] = measure q[0]`")
        self._measure(node.measure.qubit, node.target, names)

    def _measure(self, qubit: ast.QASMNode, target: ast.QASMNode, names: Names) -> None:
        sources, targets = self._place(qubit, self.qubits, names), self._place(target, self.clbits, names)
        if len(sources.bits) != len(targets.bits):
            found = f"{len(sources.bits)} qubits measured into {len(targets.bits)} bits"
            raise CircuitError(found, "as many bits as qubits")
        for source, bit in zip(sources.bits, targets.bits, strict=True):
            self.operations.append(Operation("measure", (source,), (), (bit,)))

    def _several(self, nodes: Sequence[ast.QASMNode], names: Names) -> tuple[int, ...]:
        return tuple(dict.fromkeys(bit for node in nodes for bit in self._place(_operand(node), self.qubits, names).bits))

    def _barrier(self, node: ast.QuantumBarrier, names: Names) -> None:
        everything = tuple(range(len(self.physical) or self.qubits.size))
        self.operations.append(Operation("barrier", self._several(node.qubits, names) or everything))

    def _reset(self, node: ast.QuantumReset, names: Names) -> None:
        self.operations += [Operation("reset", (qubit,)) for qubit in self._several([node.qubits], names)]

    def _delay(self, node: ast.DelayInstruction, names: Names) -> None:
        if not isinstance(node.duration, ast.DurationLiteral):
            raise CircuitError("a delay that is computed", "a number with ns, us, ms, s or dt is read")
        unit = node.duration.unit.name
        scale = self.dt_seconds if unit == "dt" else _SECONDS.get(unit)
        if scale is None:
            raise CircuitError(f"a delay of {node.duration.value} clock ticks (dt)", "give `dt_seconds`, the tick of the backend")
        self.operations += [
            Operation("delay", (qubit,), (node.duration.value * scale,)) for qubit in self._several(node.qubits, names)
        ]


def _span(node: ast.RangeDefinition, size: int, names: Names, last: int) -> range:
    """``first:step:last``, the last included; of indices (``size`` above 0) negative ones count from the end."""
    step = 1 if node.step is None else whole(node.step, names, "the step of a range")
    if step == 0:
        raise CircuitError("a range with step 0", "a step of at least 1, or at most -1")
    first = 0 if node.start is None else _wrapped(whole(node.start, names, "the first of a range"), size)
    end = last if node.end is None else _wrapped(whole(node.end, names, "the last of a range"), size)
    if abs(end - first) > _WIDEST:
        raise CircuitError("a range without bounds", "what a loop may do is far less")
    return range(first, end + (1 if step > 0 else -1), step)


def _wrapped(index: int, size: int) -> int:
    return index + size if index < 0 < size else index


def _expression(node: ast.QASMNode) -> ast.Expression | None:
    return node if isinstance(node, ast.Expression) else None


def _operand(node: ast.QASMNode) -> ast.QASMNode:
    """A barrier's operands come as expressions: ``q[0]`` as an index on a name."""
    if isinstance(node, ast.IndexExpression) and isinstance(node.collection, ast.Identifier):
        return ast.IndexedIdentifier(name=node.collection, indices=[node.index])
    return node


def _only_gates(body: Sequence[ast.QASMNode]) -> Sequence[ast.QASMNode]:
    allowed = (ast.QuantumGate, ast.QuantumPhase, ast.ForInLoop, ast.QuantumBarrier)
    for statement in body:
        if not isinstance(statement, allowed):
            raise CircuitError(f"{type(statement).__name__} in a gate definition", "a definition holds gates")
    return body
