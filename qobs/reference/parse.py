"""The one door for circuits: text or bytes of any kind that a cloud takes, to a :class:`~qobs.reference.circuit.Circuit`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from qobs.errors import CircuitError
from qobs.reference import ionq_native, qasm_full, qpy
from qobs.reference.circuit import Circuit, Operation, Register
from qobs.reference.definitions import extracted, library
from qobs.reference.limits import DEFAULT_LIMITS, Limits, Unfamiliar, quoted, within
from qobs.reference.qasm_flat import FlatParser
from qobs.reference.source import Source, prepared

KINDS = ("openqasm2", "openqasm3", "braket", "ionq", "qpy")
_ALLOWED = "OpenQASM 2 or 3, Braket's OpenQASM, IonQ's JSON or QPY is read"
_QPY_IN_TEXT = re.compile(r"\s*eJ[A-Za-z0-9+/\s]")


def parse(
    source: str | bytes, *, kind: str | None = None, limits: Limits = DEFAULT_LIMITS, dt_seconds: float | None = None
) -> Circuit:
    """The circuit that ``source`` describes.

    Args:
        source: OpenQASM 2 or 3, Braket's dialect of 3, IonQ's JSON (``qis`` and ``native``), QPY (also as IBM's jobs carry it:
            base64 of its zlib form, alone or under ``__value__``).
        kind: one of :data:`KINDS`; None recognises it by what the source begins with.
        limits: what is refused as too large, before memory is taken for it.
        dt_seconds: the clock tick of the backend, for delays that are counted in it.

    Raises:
        CircuitError: whatever is wrong, with line and column where there are some. Nothing else, whatever the bytes.

    Braket's programs and IonQ's, where they measure nothing themselves, measure every qubit into the bit of its number.

    Example:
        >>> circuit = parse("OPENQASM 3; include 'stdgates.inc'; bit[2] c; h $7; cx $7, $3; c[0] = measure $3;")
        >>> circuit.physical, circuit.operations[1].qubits
        ((3, 7), (1, 0))
    """
    if kind is not None and kind not in KINDS:
        raise CircuitError(f"the kind {quoted(kind)}", f"one of {', '.join(KINDS)}")
    within(len(source), limits.source_bytes, "bytes of source")
    if kind == "qpy" or (kind is None and _is_qpy(source)):
        return qpy.read(source, limits, dt_seconds)
    text = source if isinstance(source, str) else _decoded(source)
    if kind == "ionq" or (kind is None and text.lstrip()[:1] in ("{", "[")):
        if kind is None and qpy.is_wrapped(text):
            return qpy.read_wrapped(text, limits, dt_seconds)
        return ionq_native.read(text, limits)
    return _openqasm(text, kind, limits, dt_seconds)


def _decoded(source: bytes) -> str:
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CircuitError(f"bytes that are no text (at {error.start})", _ALLOWED) from None


def _is_qpy(source: str | bytes) -> bool:
    if isinstance(source, str):
        return _QPY_IN_TEXT.match(source) is not None
    return source.startswith(qpy.MAGIC) or _QPY_IN_TEXT.match(source[:64].decode("latin-1")) is not None


def _openqasm(text: str, kind: str | None, limits: Limits, dt_seconds: float | None) -> Circuit:
    version: Mapping[str | None, int] = {"openqasm2": 2, "openqasm3": 3, "braket": 3}
    source = prepared(text, version=version.get(kind), braket=kind == "braket")
    circuit = _either(source, limits, dt_seconds)
    return measured_everywhere(circuit, limits) if source.braket and kind != "openqasm3" else circuit


def _either(source: Source, limits: Limits, dt_seconds: float | None) -> Circuit:
    """By the parser for machine-written text, else by the full grammar."""
    try:
        definitions = library(source.version)
        if "gate" in source.text.replace("stdgates", ""):
            text, definitions = extracted(source.text, source.version, limits)
            source = replace(source, text=text)
        return FlatParser(source, definitions, limits, dt_seconds).run()
    except Unfamiliar as error:
        if source.version == 2:
            raise CircuitError(error.found, error.allowed, line=error.line, column=error.column) from None
    return qasm_full.read(source, definitions, limits, dt_seconds)


def measured_everywhere(circuit: Circuit, limits: Limits) -> Circuit:
    """The circuit with every qubit measured into the bit of its number, unless it measures something itself."""
    if any(operation.name == "measure" for operation in circuit.operations) or circuit.clbits not in (0, circuit.width):
        return circuit
    within(circuit.width, limits.clbits, "classical bits")
    measures = tuple(Operation("measure", (qubit,), (), (qubit,)) for qubit in range(circuit.width))
    registers = circuit.registers or (Register("", 0, circuit.width),)
    return replace(circuit, operations=circuit.operations + measures, clbits=circuit.width, registers=registers)
