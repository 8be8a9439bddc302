"""QPY, Qiskit's binary form of a circuit, where qiskit is installed.

The header is read here first: version, sizes and encoding decide whether qiskit's reader is called at all. Versions before 12
(Qiskit 1.0 and older) and expressions in symengine's own form, whose reader may run what it reads, are refused.
"""

from __future__ import annotations

import base64
import binascii
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit, Operation, Register
from qobs.reference.dialects import WORDS, lowered
from qobs.reference.limits import Limits, quoted, within

MAGIC = b"QISKIT"
OLDEST, NEWEST = 12, 18
_FILE = struct.Struct("!6sBBBBQc")
_CIRCUIT = struct.Struct("!H1cHIIQIQI")
_OFFSET = struct.Struct("!Q")
_WITH_TABLE = 16
"""From this version on a table tells where each circuit begins."""
_ALLOWED = f"QPY of versions {OLDEST} to {NEWEST} with one circuit is read"
_NOT_HERE = "install qiskit to read QPY, or hand in OpenQASM 3"
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


def is_wrapped(text: str) -> bool:
    """Whether JSON text is IBM's ``{"__type__": "QuantumCircuit", "__value__": …}``."""
    return '"__type__"' in text[:200] and '"QuantumCircuit"' in text[:200]


def read_wrapped(text: str, limits: Limits, dt_seconds: float | None = None) -> Circuit:
    """The circuit that IBM's JSON form of one holds.

    Raises:
        CircuitError: it holds none.
    """
    try:
        document = msgspec.json.decode(text.encode("utf-8", "replace"))
        held = document["__value__"]
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError):
        raise CircuitError("JSON without `__value__`", "IBM's JSON form of a circuit holds QPY there") from None
    if not isinstance(held, str):
        raise CircuitError(f"`__value__` is {quoted(held)}", "base64 of QPY's zlib form")
    return read(held, limits, dt_seconds)


def read(source: str | bytes, limits: Limits, dt_seconds: float | None = None) -> Circuit:
    """The circuit of a QPY file, or of base64 of its zlib form.

    Raises:
        CircuitError: qiskit is missing, or the bytes are not one circuit of an allowed version within the limits.
    """
    body = source if isinstance(source, bytes) and source.startswith(MAGIC) else _inflated(source, limits)
    _check_header(body, limits)
    return _circuit(_loaded(body), limits, dt_seconds)


def _inflated(source: str | bytes, limits: Limits) -> bytes:
    try:
        packed = base64.b64decode("".join(source.split()) if isinstance(source, str) else b"".join(source.split()), validate=True)
        stream = zlib.decompressobj()
        body = stream.decompress(packed, limits.source_bytes + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise CircuitError(f"no QPY ({str(error)[:60]})", _ALLOWED) from None
    within(len(body), limits.source_bytes, "bytes of source")
    if not stream.eof:
        raise CircuitError("QPY that is cut off", _ALLOWED)
    return body


def _check_header(body: bytes, limits: Limits) -> None:
    """Nothing, where the header tells one circuit within the limits."""
    try:
        magic, version, _, _, _, programs, encoding = _FILE.unpack_from(body)
        if magic != MAGIC or not OLDEST <= version <= NEWEST or programs != 1:
            raise CircuitError(f"QPY version {version} with {programs} programs" if magic == MAGIC else "no QPY", _ALLOWED)
        if encoding == b"e" and version == OLDEST:
            raise CircuitError("QPY with symengine's expressions", "dump it again with Qiskit 1.3 or newer")
        if body[_FILE.size : _FILE.size + 1] != b"q":
            raise CircuitError("QPY that holds no circuit", _ALLOWED)
        begin = _FILE.size + 1
        if version >= _WITH_TABLE:
            begin += _OFFSET.size
            if _OFFSET.unpack_from(body, _FILE.size + 1) != (begin,):
                raise CircuitError("QPY whose circuit is not where it is looked for", _ALLOWED)
        _, _, _, qubits, clbits, metadata, registers, instructions, variables = _CIRCUIT.unpack_from(body, begin)
    except struct.error:
        raise CircuitError("QPY that is cut off", _ALLOWED) from None
    within(qubits, limits.qubits, "qubits")
    within(clbits, limits.clbits, "classical bits")
    within(instructions, limits.operations, "operations")
    within(registers, qubits + clbits + 16, "registers")
    if max(metadata, instructions, variables) > len(body):
        raise CircuitError("QPY whose header tells more than it holds", _ALLOWED)


class _Bytes:
    """What qiskit's reader asks of a file, over bytes."""

    def __init__(self, body: bytes) -> None:
        self.body, self.place = body, 0

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes, or all that are left."""
        end = len(self.body) if size is None or size < 0 else self.place + size
        found = self.body[self.place : end]
        self.place += len(found)
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, counted from the beginning, from here or from the end."""
        self.place = max(0, offset + (0, self.place, len(self.body))[whence])
        return self.place

    def tell(self) -> int:
        """The place."""
        return self.place


def _loaded(body: bytes) -> Any:
    try:
        from qiskit import qpy
    except ImportError:
        raise CircuitError("QPY, and the package qiskit is missing", _NOT_HERE) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return qpy.load(_Bytes(body))[0]
    except BaseException as error:  # its compiled part panics past Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
            raise
        raise CircuitError(f"no QPY that qiskit reads ({quoted(error)})", _ALLOWED) from None


def _circuit(found: Any, limits: Limits, dt_seconds: float | None) -> Circuit:
    """Qiskit's circuit as ours."""
    qubits = {bit: place for place, bit in enumerate(found.qubits)}
    clbits = {bit: place for place, bit in enumerate(found.clbits)}
    within(len(qubits), limits.qubits, "qubits")
    if not qubits:
        raise CircuitError("no qubits", "a circuit has at least 1 qubit")
    operations: list[Operation] = []
    for instruction in found.data:
        operands = tuple(qubits[bit] for bit in instruction.qubits)
        bits = tuple(clbits[bit] for bit in instruction.clbits)
        operations += _operations(instruction.operation, operands, bits, dt_seconds, limits.nesting)
        within(len(operations), limits.operations, "operations")
    return Circuit(
        width=len(qubits),
        operations=tuple(operations),
        clbits=len(clbits),
        physical=tuple(range(len(qubits))),
        registers=_registers(found, clbits),
        name=str(found.name or "")[:200],
    )


def _registers(found: Any, clbits: dict[Any, int]) -> tuple[Register, ...]:
    """Classical registers that are runs of bits.

    Raises:
        CircuitError: registers that share bits or lie scattered, of which counts cannot be told apart.
    """
    registers, after = [], 0
    for register in found.cregs:
        places = [clbits[bit] for bit in register]
        if places != list(range(after, after + len(places))):
            raise CircuitError(
                f"the register {quoted(register.name)} shares or scatters its bits", "registers lie one after the other"
            )
        registers.append(Register(register.name, after, len(places)))
        after += len(places)
    return tuple(registers)


def _operations(
    gate: Any, qubits: tuple[int, ...], clbits: tuple[int, ...], dt_seconds: float | None, depth: int
) -> Iterator[Operation]:
    """One instruction of Qiskit: known by name, else by its definition."""
    name = gate.name
    if getattr(gate, "condition", None) is not None or getattr(gate, "blocks", None):
        raise CircuitError(f"the instruction {quoted(name)}, a choice by measurement results", "gates in a fixed order are read")
    if name == "measure":
        yield Operation(name, qubits, (), clbits)
    elif name in {"barrier", "reset"}:
        yield Operation(name, qubits)
    elif name == "delay":
        yield Operation(name, qubits, (_seconds(gate, dt_seconds),))
    elif name in WORDS and _is_standard(gate):
        yield from lowered(name, _angles(gate), qubits)
    else:
        yield from _defined(gate, qubits, dt_seconds, depth)


def _is_standard(gate: Any) -> bool:
    """Qiskit's own gate, not a user's of the same name, and not one controlled on 0."""
    home = str(getattr(gate.base_class, "__module__", ""))
    state = getattr(gate, "ctrl_state", None)
    return home.startswith("qiskit.circuit.library.standard_gates") and state in (
        None,
        2 ** getattr(gate, "num_ctrl_qubits", 0) - 1,
    )


def _defined(gate: Any, qubits: tuple[int, ...], dt_seconds: float | None, depth: int) -> Iterator[Operation]:
    if depth == 0 or gate.definition is None:
        raise CircuitError(f"the instruction {quoted(gate.name)}", "known gates, and those with a definition by them, are read")
    inner = {bit: qubits[place] for place, bit in enumerate(gate.definition.qubits)}
    for instruction in gate.definition.data:
        if instruction.clbits:
            raise CircuitError(f"{quoted(gate.name)}, which measures inside", "gates in a fixed order are read")
        operands = tuple(inner[bit] for bit in instruction.qubits)
        yield from _operations(instruction.operation, operands, (), dt_seconds, depth - 1)


def _angles(gate: Any) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in gate.params)
    except (TypeError, ValueError):
        raise CircuitError(f"{quoted(gate.name)} with parameters left open", "bind the parameters before") from None


def _seconds(gate: Any, dt_seconds: float | None) -> float:
    scale = dt_seconds if gate.unit == "dt" else _SECONDS.get(gate.unit)
    if scale is None:
        allowed = "give `dt_seconds`, the tick of the backend" if gate.unit == "dt" else f"units are {', '.join(_SECONDS)} and dt"
        raise CircuitError(f"a delay in {quoted(gate.unit)}", allowed)
    try:
        return float(gate.duration) * scale
    except (TypeError, ValueError):
        raise CircuitError("a delay whose length is left open", "bind the parameters before") from None
