"""When each operation starts if all start as soon as their qubits are free, and how long each qubit waited for it."""

from __future__ import annotations

from collections.abc import Sequence

from qobs.reference.circuit import Circuit


def waits(circuit: Circuit, seconds: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Idle seconds of every operand right before every operation, in the order of the operations.

    A qubit that nothing has acted on yet does not wait: it is in its ground state, which relaxation leaves as it is. A barrier
    lets nothing on its qubits start before all that came before is done, and takes no time.

    Args:
        circuit: Its operations in order.
        seconds: Duration of each operation, >= 0; 0 for what is done in software.

    Example:
        >>> from qobs.reference.circuit import Circuit, Operation
        >>> operations = (Operation("x", (0,)), Operation("sx", (1,)), Operation("cz", (0, 1)))
        >>> circuit = Circuit(width=2, operations=operations, clbits=0, physical=(0, 1))
        >>> waits(circuit, (3.0, 1.0, 5.0))
        ((0.0,), (0.0,), (0.0, 2.0))
    """
    free = [0.0] * circuit.width
    """When the last operation on the qubit ended."""
    earliest = [0.0] * circuit.width
    """Before this nothing may start on the qubit."""
    used = [False] * circuit.width
    waited = []
    for operation, length in zip(circuit.operations, seconds, strict=True):
        qubits = operation.qubits
        if operation.name == "barrier":
            waited.append(tuple(0.0 for _ in qubits))
            aligned = qubits or range(circuit.width)
            start = max((earliest[qubit] for qubit in aligned), default=0.0)
            for qubit in aligned:
                earliest[qubit] = start
            continue
        start = max((earliest[qubit] for qubit in qubits), default=0.0)
        waited.append(tuple(start - free[qubit] if used[qubit] else 0.0 for qubit in qubits))
        for qubit in qubits:
            free[qubit] = earliest[qubit] = start + length
            used[qubit] = True
    return tuple(waited)
