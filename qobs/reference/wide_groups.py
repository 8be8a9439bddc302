"""Measured bits in groups of neighbours, for circuits that measure more bits than a distribution can be written out over.

Each group has a small cone of gates behind it where a circuit is shallow, whatever its width. Bits that the circuit couples stay
together as far as they fit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from qobs.reference.circuit import Circuit

GROUP_BITS = 6
"""Bits of a group: enough for the correlations of neighbours, few enough that a cone stays narrow."""


def groups(circuit: Circuit, size: int = GROUP_BITS) -> tuple[frozenset[int], ...]:
    """Every measured bit in one group of at most ``size``; qubits next to each other in the graph of couplings come together.

    Example:
        >>> from qobs.reference.circuit import Operation
        >>> couplings = [Operation("cx", (0, 2)), Operation("cx", (1, 3))]
        >>> measures = [Operation("measure", (qubit,), (), (qubit,)) for qubit in range(4)]
        >>> pairs = Circuit(width=4, operations=(*couplings, *measures), clbits=4, physical=(0, 1, 2, 3))
        >>> [sorted(group) for group in groups(pairs, 2)]
        [[0, 2], [1, 3]]
    """
    told: dict[int, list[int]] = {}
    last = {each.clbits[0]: each.qubits[0] for each in circuit.operations if each.name == "measure"}
    for clbit, qubit in last.items():
        told.setdefault(qubit, []).append(clbit)
    found: list[frozenset[int]] = []
    for component in _components(circuit):
        bits = [clbit for qubit in component for clbit in told.get(qubit, ())]
        for first in range(0, len(bits), size):
            part = frozenset(bits[first : first + size])
            # Small components share a group: fewer tests are stronger tests.
            if first == 0 and found and len(found[-1]) + len(part) <= size:
                found[-1] |= part
            else:
                found.append(part)
    return tuple(found)


def _components(circuit: Circuit) -> Iterator[list[int]]:
    """Qubits that couplings connect, in order of distance from the lowest."""
    near: dict[int, set[int]] = {qubit: set() for qubit in range(circuit.width)}
    for name, qubits, _, _ in circuit.operations:
        if name not in ("barrier", "delay"):
            for qubit in qubits:
                near[qubit].update(qubits)
    left = dict.fromkeys(range(circuit.width))
    while left:
        start = next(iter(left))
        del left[start]
        reached, waiting = [start], deque([start])
        while waiting:
            for neighbour in sorted(near[waiting.popleft()]):
                if neighbour in left:
                    del left[neighbour]
                    reached.append(neighbour)
                    waiting.append(neighbour)
        yield reached
