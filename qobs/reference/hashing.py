"""Keys for caches: equal bytes are one circuit, equal shapes are one program on other angles."""

from __future__ import annotations

import hashlib

from qobs.reference.circuit import Circuit


def content_hash(source: str | bytes) -> str:
    """64 hexadecimal digits of the very bytes (of text: UTF-8).

    Example:
        >>> content_hash("OPENQASM 3;") == content_hash(b"OPENQASM 3;")
        True
    """
    return hashlib.sha256(source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source).hexdigest()


def structure_hash(circuit: Circuit) -> str:
    """64 hexadecimal digits of the shape: sizes, and every operation's name and operands in order.

    Angles, lengths of delays, names of registers and the hardware's numbers of the qubits are left out: circuits of one shape
    lower to one program with other angles.
    """
    words = [f"{circuit.width},{circuit.clbits}"]
    words += [f"{name}{qubits}{clbits}" for name, qubits, _, clbits in circuit.operations]
    return hashlib.sha256(";".join(words).encode()).hexdigest()
