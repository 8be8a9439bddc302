"""What a circuit with noise does, as a short list of channels on one or two lines, before any number is worked out.

Lines are the circuit's qubits, and one more line for each result that is measured before its qubit is used again: the result is
copied there, exactly, so nothing is sampled. What cannot reach a measured bit is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from qobs.reference.circuit import Circuit, Operation
from qobs.reference.cone import reaching
from qobs.reference.noise import GateNoise, NoiseModel, Relaxation


class Item(NamedTuple):
    """A channel on one or two lines, the first operand in the low digit.

    ``name`` is a gate, ``reset``, ``forget`` (a measurement whose result is lost), ``copy`` (a measurement into the second line)
    or empty (noise alone). ``source`` is the operation that holds the angles, None for gates that come of a decomposition.
    ``noise`` follows.
    """

    name: str
    lines: tuple[int, ...]
    source: int | None = None
    noise: GateNoise | None = None


class Measured(NamedTuple):
    """A line whose value at the end is a classical bit; ``qubit`` is the one that was measured, for its readout error."""

    line: int
    clbit: int
    qubit: int


@dataclass(frozen=True, slots=True)
class Program:
    """Items in order. ``lines`` counts qubits (all of the circuit's) and copies."""

    lines: int
    items: tuple[Item, ...]
    measured: tuple[Measured, ...]

    @property
    def coupled(self) -> tuple[int, ...]:
        """Lines that meet another one: the size of what must be simulated together."""
        return tuple(sorted({line for item in self.items if len(item.lines) > 1 for line in item.lines}))


def program(circuit: Circuit, model: NoiseModel | None) -> Program:
    """The program of a circuit; without a model it is noiseless."""
    lines = circuit.width
    measured: list[Measured] = []
    items: list[Item] = []
    gates, idle = (None, None) if model is None else (model.gates, model.idle)
    for index, role in _roles(circuit):
        operation = circuit.operations[index]
        qubits = operation.qubits
        if idle is not None and any(idle[index]):
            items.extend(_waiting(qubits, idle[index]))
        if role == "final":
            measured.append(Measured(qubits[0], operation.clbits[0], qubits[0]))
        elif role == "copy":
            items.append(Item("copy", (qubits[0], lines)))
            measured.append(Measured(lines, operation.clbits[0], qubits[0]))
            lines += 1
        elif role == "forget":
            items.append(Item("forget", qubits))
        else:
            items.extend(_items(operation, index, None if gates is None else gates[index]))
    return Program(lines, tuple(items), tuple(sorted(measured, key=lambda one: one.clbit)))


def _roles(circuit: Circuit) -> list[tuple[int, str]]:
    """Indices and roles of the operations that can reach a measured bit, in order.

    Roles: ``final`` (a measurement after which nothing matters to its qubit), ``copy`` (one whose qubit is used again),
    ``forget`` (one whose bit is written again) and ``act``.
    """
    busy: set[int] = set()
    """Qubits that something kept acts on from here on, be it a reset: their line ends in another state."""
    written: set[int] = set()
    roles: list[tuple[int, str]] = []
    for index in reversed(reaching(circuit)):
        name, qubits, _, clbits = circuit.operations[index]
        role = "act"
        if name == "measure":
            role = "forget" if clbits[0] in written else "copy" if qubits[0] in busy else "final"
            written.add(clbits[0])
        busy.update(qubits)
        roles.append((index, role))
    return roles[::-1]


def _waiting(qubits: tuple[int, ...], idle: tuple[Relaxation | None, ...]) -> Iterator[Item]:
    for qubit, relaxation in zip(qubits, idle, strict=True):
        if relaxation is not None:
            yield Item("", (qubit,), noise=GateNoise(0.0, 0.0, (relaxation,)))


def _items(operation: Operation, index: int, noise: GateNoise | None) -> tuple[Item, ...]:
    name, qubits = operation.name, operation.qubits
    if name in {"id", "delay"}:
        return () if noise is None else (Item("", qubits, noise=noise),)
    if name in _DECOMPOSED:
        return tuple(Item(part, tuple(qubits[place] for place in places)) for part, *places in _DECOMPOSED[name])
    return (Item(name, qubits, index, noise),)


_CCX: tuple[tuple[Any, ...], ...] = (
    ("h", 2),
    ("cx", 1, 2),
    ("tdg", 2),
    ("cx", 0, 2),
    ("t", 2),
    ("cx", 1, 2),
    ("tdg", 2),
    ("cx", 0, 2),
    ("t", 1),
    ("t", 2),
    ("h", 2),
    ("cx", 0, 1),
    ("t", 0),
    ("tdg", 1),
    ("cx", 0, 1),
)

_DECOMPOSED: Mapping[str, tuple[tuple[Any, ...], ...]] = {
    "ccx": _CCX,
    "ccz": (("h", 2), *_CCX, ("h", 2)),
    "cswap": (("cx", 2, 1), *_CCX, ("cx", 2, 1)),
}
"""Gates of three qubits, which never have noise of their own, in gates of one and two: exact.

Source:
    M. A. Nielsen, I. L. Chuang, "Quantum Computation and Quantum Information", figure 4.9 (Toffoli).
"""
