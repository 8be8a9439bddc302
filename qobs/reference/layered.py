"""A circuit's structure, without its angles, as layers: one matrix per wire, then controlled phases between wires.

A layer's matrix on a wire is a *cell*: a chain of fixed matrices, phases and errors, whose product is taken when the angles are
known. Phases commute with the diagonal part of the layer before, and go there when nothing else stands between; so do
controlled phases. Swaps only rename wires.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES, Circuit
from qobs.reference.limits import quoted
from qobs.reference.matrices import Complex
from qobs.reference.rebase import REBASED, ControlledPhase, Fixed, Phase, Primitive, Terms

Instruction = tuple[str, tuple[int, ...], tuple[int, ...]]
"""Name, qubits, classical bits of an operation."""
Sites = tuple[tuple[tuple[int, ...], ...], ...]
"""For each operation and then after the last, the operands of the errors that may happen just before it."""


class Structure(NamedTuple):
    """What a plan depends on: equal for circuits that differ in angles only. ``params`` counts the angles of each operation."""

    width: int
    clbits: int
    instructions: tuple[Instruction, ...]
    params: tuple[int, ...]
    sites: Sites = ()


class Flip(NamedTuple):
    """A Pauli error on one operand, or none: place ``error`` in the list of errors of a trajectory."""

    error: int


Factor = Complex | Terms | Flip


class Coupling(NamedTuple):
    """A controlled phase between two wires in a layer."""

    layer: int
    low: int
    high: int
    angle: Terms


class Plan(NamedTuple):
    """``cells`` are the layers' matrices on wires as chains of factors; parameters are numbered through the whole circuit.

    ``outcome`` says for each wire which classical bits tell it, as a mask; 0: nobody looks.
    """

    width: int
    clbits: int
    layers: int
    cells: dict[tuple[int, int], list[Factor]]
    couplings: tuple[Coupling, ...]
    outcome: tuple[int, ...]
    errors: int


def structure_of(circuit: Circuit, sites: Sites = ()) -> Structure:
    """The circuit without its angles."""
    operations = circuit.operations
    return Structure(
        circuit.width,
        circuit.clbits,
        tuple(map(itemgetter(0, 1, 3), operations)),
        tuple(map(len, map(itemgetter(2), operations))),
        sites,
    )


@lru_cache(maxsize=512)
def planned(structure: Structure) -> Plan:
    """The layers of a circuit.

    Raises:
        CircuitError: an unknown gate, operands or angles that do not fit it, a reset, or a gate after a measurement.
    """
    builder = _Builder(structure)
    for place, (name, qubits, clbits) in enumerate(structure.instructions):
        builder.errors(place)
        builder.add(name, qubits, clbits, structure.params[place])
    builder.errors(len(structure.instructions))
    return builder.plan()


class _Builder:
    """Puts primitives into layers, as early as they can be."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        width = structure.width
        self._wire = list(range(width))
        self._ready = [0] * width
        """The first layer whose matrix on a wire is after everything done on the wire."""
        self._last: dict[int, tuple[int, int]] = {}
        """The last cell of each wire that has left its ground state."""
        self._told: dict[int, int] = {}
        """Classical bit to the qubit that it was last measured from."""
        self._measured: set[int] = set()
        self._cells: dict[tuple[int, int], list[Factor]] = {}
        self._couplings: list[Coupling] = []
        self._slot = self._errors = 0

    def add(self, name: str, qubits: tuple[int, ...], clbits: tuple[int, ...], params: int) -> None:
        """One operation."""
        self._check(name, qubits, clbits, params)
        if name == "measure":
            self._told[clbits[0]] = qubits[0]
            self._measured.add(qubits[0])
        elif name in REBASED:
            for primitive in REBASED[name]:
                self._primitive(primitive, qubits)
        self._slot += params

    def errors(self, place: int) -> None:
        """Room for the errors before an operation. What happens to a qubit after its measurement is nobody's concern."""
        for qubits in self._structure.sites[place] if self._structure.sites else ():
            for qubit in qubits:
                if qubit not in self._measured:
                    self._nondiagonal(self._wire[qubit], Flip(self._errors))
                self._errors += 1

    def plan(self) -> Plan:
        """What was put together."""
        outcome = [0] * self._structure.width
        for clbit, qubit in self._told.items():
            outcome[self._wire[qubit]] |= 1 << clbit
        layers = 1 + max((layer for layer, _ in self._cells), default=0)
        return Plan(
            self._structure.width,
            self._structure.clbits,
            max(layers, 1 + max((one.layer for one in self._couplings), default=0)),
            self._cells,
            tuple(sorted(self._couplings, key=lambda one: one.layer)),
            tuple(outcome),
            self._errors,
        )

    def _check(self, name: str, qubits: tuple[int, ...], clbits: tuple[int, ...], params: int) -> None:
        width = self._structure.width
        if not all(0 <= qubit < width for qubit in qubits) or len(set(qubits)) != len(qubits):
            raise CircuitError(f"{quoted(name)} on qubits {list(qubits)}", f"different qubits from 0 to {width - 1}")
        if name in ("barrier", "delay", "id"):
            return
        if name == "reset":
            raise CircuitError(f"reset of qubit {qubits[0]}", "the state-vector engines simulate circuits without reset")
        if name == "measure":
            if len(qubits) != 1 or len(clbits) != 1 or not 0 <= clbits[0] < self._structure.clbits:
                raise CircuitError(
                    f"measure of qubits {list(qubits)} into bits {list(clbits)}",
                    f"one qubit into one of {self._structure.clbits} classical bits",
                )
            return
        _check_gate(name, len(qubits), params)
        if not self._measured.isdisjoint(qubits):
            raise CircuitError(
                f"mid-circuit measurement: {name} on {list(qubits)} after one of them was measured",
                "the state-vector engines simulate circuits whose measurements come last on each qubit",
            )

    def _primitive(self, primitive: Primitive, qubits: tuple[int, ...]) -> None:
        wire = self._wire
        if isinstance(primitive, Fixed):
            self._nondiagonal(wire[qubits[primitive.operand]], primitive.matrix)
        elif isinstance(primitive, Phase):
            self._phase(wire[qubits[primitive.operand]], self._numbered(primitive.angle))
        elif isinstance(primitive, ControlledPhase):
            self._couple(wire[qubits[primitive.first]], wire[qubits[primitive.second]], self._numbered(primitive.angle))
        else:
            first, second = qubits[primitive.first], qubits[primitive.second]
            wire[first], wire[second] = wire[second], wire[first]

    def _numbered(self, angle: Terms) -> Terms:
        base = self._slot
        if len(angle) == 1:  # Nearly all angles: worth a way of their own, since this runs for each primitive of each circuit.
            weight, slot = angle[0]
            return angle if slot < 0 else ((weight, slot + base),)
        return tuple([(weight, slot if slot < 0 else slot + base) for weight, slot in angle])

    def _nondiagonal(self, wire: int, factor: Complex | Flip) -> None:
        self._last[wire] = key = (self._ready[wire], wire)
        chain = self._cells.setdefault(key, [])
        if isinstance(factor, Flip) or not chain or not isinstance(chain[-1], np.ndarray):
            chain.append(factor)
        else:
            chain[-1] = factor @ chain[-1]

    def _phase(self, wire: int, angle: Terms) -> None:
        if wire not in self._last:
            return  # The wire is still in its ground state: a phase there is a global one.
        chain = self._cells[self._last[wire]]
        if isinstance(chain[-1], tuple) and not isinstance(chain[-1], Flip):
            chain[-1] = added(chain[-1], angle)
        else:
            chain.append(angle)

    def _couple(self, first: int, second: int, angle: Terms) -> None:
        if first not in self._last or second not in self._last:
            return  # A wire in its ground state controls nothing.
        layer = max(self._earliest(first), self._earliest(second))
        self._couplings.append(Coupling(layer, min(first, second), max(first, second), angle))
        for wire in (first, second):
            self._ready[wire] = max(self._ready[wire], layer + 1)

    def _earliest(self, wire: int) -> int:
        ready = self._ready[wire]
        return ready if self._last[wire][0] == ready else ready - 1


def _check_gate(name: str, qubits: int, params: int) -> None:
    shape = GATES.get(name)
    if shape is None:
        raise CircuitError(f"unknown operation {quoted(name)}", f"known are measure, reset, barrier, delay, {', '.join(GATES)}")
    if (qubits, params) != shape:
        raise CircuitError(
            f"{name} on {qubits} qubits with {params} angles", f"it takes {shape.qubits} qubits and {shape.params} angles"
        )


def added(first: Terms, second: Terms) -> Terms:
    """The sum of two angles."""
    total: dict[int, float] = {}
    for weight, slot in (*first, *second):
        total[slot] = total.get(slot, 0.0) + weight
    return tuple((weight, slot) for slot, weight in total.items())


def parameters(circuits: Iterable[Circuit]) -> list[list[float]]:
    """All angles of each circuit, in the order of its operations."""
    return [[angle for operation in circuit.operations for angle in operation[2]] for circuit in circuits]
