"""Which of the declared qubits a circuit uses."""

from __future__ import annotations

from dataclasses import replace

from qobs.reference.circuit import Circuit

IDLE = frozenset({"barrier", "delay"})
"""Operations that do not make a qubit take part."""


def touched(circuit: Circuit) -> tuple[int, ...]:
    """Qubits with a gate, a measurement or a reset, ascending."""
    return tuple(sorted({qubit for operation in circuit.operations if operation.name not in IDLE for qubit in operation.qubits}))


def dense(circuit: Circuit) -> Circuit:
    """The same circuit on its touched qubits only, numbered from 0 in their old order; ``physical`` still tells which they are.

    Barriers and delays lose the qubits that nothing else touches. The distribution over classical bits is the same. A circuit
    that touches nothing keeps its first qubit.

    Example:
        >>> from qobs.reference.circuit import Operation
        >>> wide = Circuit(width=133, operations=(Operation("cx", (12, 7)),), clbits=0, physical=tuple(range(133)))
        >>> dense(wide).width, dense(wide).operations[0].qubits, dense(wide).physical
        (2, (1, 0), (7, 12))
    """
    used = touched(circuit) or (0,)
    if len(used) == circuit.width:
        return circuit
    places = {qubit: place for place, qubit in enumerate(used)}
    operations = []
    for operation in circuit.operations:
        qubits = tuple([places[qubit] for qubit in operation.qubits if qubit in places])
        if qubits:
            operations.append(operation._replace(qubits=qubits))
    physical = tuple(circuit.physical[qubit] for qubit in used)
    return replace(circuit, width=len(used), operations=tuple(operations), physical=physical)
