"""The part of a circuit that its result depends on: what cannot reach a measured bit is dropped, and what is left is renumbered.

An executed circuit names a whole device: 133 qubits, of which a dozen matter. The distribution over measured bits stays the same,
and so does its noise: figures were looked up and waiting times worked out on the whole circuit before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit, Operation
from qobs.reference.noise import NoiseModel, Relaxation


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """A circuit on dense qubits and dense classical bits, with its noise.

    ``clbits[i]`` is the original bit that bit i stands for, ascending: every bit that something is measured into, and no other.
    """

    circuit: Circuit
    model: NoiseModel | None
    clbits: tuple[int, ...]


def reaching(circuit: Circuit, clbits: frozenset[int] | None = None) -> tuple[int, ...]:
    """Indices of the operations that can reach a measured bit (one of ``clbits``; None: any), in order; no barriers.

    Delays stay where their qubit matters: noise may happen in them. A measurement stays where its bit is not written again, or
    where its qubit is used again (it dephases).

    Example:
        >>> operations = (Operation("h", (0,)), Operation("x", (1,)), Operation("measure", (0,), (), (0,)), Operation("x", (0,)))
        >>> reaching(Circuit(width=2, operations=operations, clbits=1, physical=(0, 1)))
        (0, 2)
    """
    live: set[int] = set()
    written = set() if clbits is None else set(range(circuit.clbits)) - clbits
    kept: list[int] = []
    for index in range(len(circuit.operations) - 1, -1, -1):
        name, qubits, _, told = circuit.operations[index]
        if name == "barrier":
            continue
        matters = not live.isdisjoint(qubits)
        if name == "measure":
            matters = matters or told[0] not in written
            written.update(told)
        if not matters:
            continue
        kept.append(index)
        if name == "reset":
            live.difference_update(qubits)
        else:
            live.update(qubits)
    return tuple(reversed(kept))


def reduced(circuit: Circuit, model: NoiseModel | None = None, *, clbits: frozenset[int] | None = None) -> Reduced:
    """The circuit without what cannot reach a measured bit, and its noise along with it.

    Qubits that are left are numbered from 0 in their old order, and so are measured bits. The model must have been made for this
    very circuit.

    Args:
        circuit: Any.
        model: Its noise, or None.
        clbits: Only these bits are looked at; None: all.

    Raises:
        CircuitError: the model was made for another circuit, nothing is measured, or a bit that is not looked at is measured in
            the middle and matters.
    """
    if model is not None and len(model.gates) != len(circuit.operations):
        raise CircuitError(f"a noise model of {len(model.gates)} operations", f"the circuit has {len(circuit.operations)}")
    kept = reaching(circuit, clbits)
    operations = [circuit.operations[index] for index in kept]
    measured = tuple(sorted({operation.clbits[0] for operation in operations if operation.name == "measure"}))
    if clbits is not None and not clbits.issuperset(measured):
        raise CircuitError("bits that are measured in the middle and not looked at", "measurements at the end may be left out")
    if not measured:
        raise CircuitError("a circuit that measures nothing", "at least one qubit is measured into a classical bit")
    qubits = sorted({qubit for operation in operations for qubit in operation.qubits})
    place = {qubit: new for new, qubit in enumerate(qubits)}
    bit = {clbit: new for new, clbit in enumerate(measured)}
    moved = tuple(
        Operation(name, tuple([place[qubit] for qubit in acted]), params, tuple([bit[each] for each in told]))
        for name, acted, params, told in operations
    )
    small = Circuit(
        width=len(qubits),
        operations=moved,
        clbits=len(measured),
        physical=tuple(circuit.physical[qubit] for qubit in qubits),
        name=circuit.name,
    )
    return Reduced(circuit=small, model=None if model is None else _restricted(model, kept, place), clbits=measured)


def _restricted(model: NoiseModel, kept: tuple[int, ...], place: dict[int, int]) -> NoiseModel:
    return replace(
        model,
        gates=tuple([model.gates[index] for index in kept]),
        idle=tuple([model.idle[index] for index in kept]),
        readout={place[qubit]: error for qubit, error in model.readout.items() if qubit in place},
    )


def deferred(found: Reduced) -> Reduced:
    """The same with all measurements last and no reset, for engines that know neither: each costs one qubit more.

    A result that is measured before its qubit is used again is copied to a fresh qubit, and a qubit that is reset is exchanged
    for a fresh one. The copy is read out with the error of the qubit that was measured.

    Source:
        The principle of deferred measurement: M. A. Nielsen, I. L. Chuang, "Quantum Computation and Quantum Information",
        section 4.4.
    """
    builder = _Deferring(found)
    for index in range(len(found.circuit.operations)):
        builder.add(index)
    return builder.built()


class _Deferring:
    """Walks along a reduced circuit; ``now`` is the qubit that stands for each of its qubits at the moment."""

    def __init__(self, found: Reduced) -> None:
        self._found, self._model = found, found.model
        self._now = list(range(found.circuit.width))
        self._physical = list(found.circuit.physical)
        self._last = {qubit: index for index, each in enumerate(found.circuit.operations) for qubit in each.qubits}
        self._final = {each.clbits[0]: index for index, each in enumerate(found.circuit.operations) if each.name == "measure"}
        self._operations: list[Operation] = []
        self._gates, self._idle = list[object](), list[tuple[Relaxation | None, ...]]()
        self._measures: dict[int, int] = {}
        """Classical bit to the qubit that holds it at the end."""
        self._readout = {} if self._model is None else dict(self._model.readout)

    def add(self, index: int) -> None:
        """One operation of the old circuit."""
        operation = self._found.circuit.operations[index]
        qubits = tuple([self._now[qubit] for qubit in operation.qubits])
        idle: tuple[Relaxation | None, ...] = (None,) * len(qubits) if self._model is None else self._model.idle[index]
        if operation.name == "reset":
            self._now[operation.qubits[0]] = self._fresh(operation.qubits[0])
        elif operation.name == "measure":
            self._measure(index, operation, qubits[0], idle)
        else:
            self._put(operation._replace(qubits=qubits), idle, None if self._model is None else self._model.gates[index])

    def _measure(self, index: int, operation: Operation, qubit: int, idle: tuple[Relaxation | None, ...]) -> None:
        old, clbit = operation.qubits[0], operation.clbits[0]
        if any(idle):
            # A place for the waiting before the measurement.
            self._put(Operation("id", (qubit,)), idle, None)
        if self._last[old] == index:
            self._measures[clbit] = qubit
            return
        copy = self._fresh(old)
        self._put(Operation("cx", (qubit, copy)), (None, None), None)
        if self._final[clbit] == index:
            self._measures[clbit] = copy

    def _fresh(self, old: int) -> int:
        new = len(self._physical)
        self._physical.append(self._found.circuit.physical[old])
        if self._model is not None and old in self._model.readout:
            self._readout[new] = self._model.readout[old]
        return new

    def _put(self, operation: Operation, idle: tuple[Relaxation | None, ...], gate: object) -> None:
        self._operations.append(operation)
        self._idle.append(idle)
        self._gates.append(gate)

    def built(self) -> Reduced:
        """The new circuit, with its measurements at the end."""
        for clbit, qubit in sorted(self._measures.items()):
            self._put(Operation("measure", (qubit,), (), (clbit,)), (None,), None)
        circuit = replace(
            self._found.circuit,
            width=len(self._physical),
            operations=tuple(self._operations),
            physical=tuple(self._physical),
        )
        model = self._model
        if model is not None:
            model = replace(model, gates=tuple(self._gates), idle=tuple(self._idle), readout=self._readout)  # type: ignore[arg-type]
        return replace(self._found, circuit=circuit, model=model)
