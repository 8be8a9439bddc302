"""IBM sampler jobs as circuits and counts: both encodings of results, OpenQASM 3 and QPY circuits. Pure.

Bit order: a register's sample is a number whose bit 0 is classical bit 0, so it is written with that bit rightmost; several
registers stand apart by spaces, the last declared leftmost, as Qiskit writes them (order ``clbits_right``).
The circuits are those that ran: they name physical qubits, or number them as the processor does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from qobs.errors import BadPayload
from qobs.model import Job, Raw
from qobs.result import Execution, Program
from qobs.sources.decode import decode_object
from qobs.sources.quantum.ibm_arrays import Array, inflated, read_array
from qobs.sources.quantum.ibm_parameters import Bindings, bindings, bound
from qobs.sources.quantum.results import MOST_PROGRAMS, MOST_SHOTS, RESULT_LIMITS, declared_registers, joined, ran

ORDER = "clbits_right"
PARAMETERS, RESULTS = "parameters", "results"
"""Companions of a result: ``/jobs/{id}`` with its parameters, and ``/jobs/{id}/results``."""

_SAMPLE = re.compile(r"0x[0-9a-fA-F]{1,4096}")
_MOST_BITS = 4096
_REGISTERS = 256
_QPY = b"QISKIT"
_JOB = "ibm /jobs/{id}"
_ANSWER = "ibm /jobs/{id}/results"

Fields = Mapping[str, Any]
Measured = tuple[int, list[Sequence[bytes]]]
"""A register: its bits, and for each set of parameter values its shots, as numbers in big-endian bytes of one length."""


class _Circuit(NamedTuple):
    """A circuit as it was submitted; ``registers`` in declared order, None where they cannot be read from it (QPY)."""

    body: bytes
    kind: str
    registers: Mapping[str, int] | None


class _Unreadable(Exception):
    """A good answer that has nothing to verify; the text says why."""


def reason_not_to_read(body: bytes) -> str | None:
    """Why neither parameters nor results of a job are to be asked for; None where both may be.

    A private job's results are deleted by being read, so a monitor must never do that.

    Raises:
        BadPayload: the job is no JSON object.
    """
    job = decode_object(body, what=_JOB, limits=RESULT_LIMITS)
    if job.get("private") not in (None, False):
        return "the job is private: its results can be read only once, and not by a monitor"
    program = job.get("program")
    name = program.get("id") if isinstance(program, dict) else None
    if name == "estimator":
        return "estimator jobs have no counts"
    if name != "sampler":
        return "only sampler jobs have counts that can be read"
    state = job.get("state")
    word = state.get("status") if isinstance(state, dict) else state
    if str(word or job.get("status")).strip().lower() != "completed":
        return "the job did not complete"
    return None


def read_execution(raw: Raw, job: Job) -> Execution:
    """Circuits and counts of one job.

    Raises:
        BadPayload: an answer is not what the API promises; the message names the place, never a value.
    """
    try:
        return ran(job, raw.fetched_at, tuple(_programs(raw)))
    except _Unreadable as why:
        return ran(job, raw.fetched_at, missing=str(why))


def _programs(raw: Raw) -> Iterator[Program]:
    if (why := reason_not_to_read(raw.body)) is not None:
        raise _Unreadable(why)
    if not raw.companions.get(RESULTS, b"").strip():
        raise _Unreadable("the service no longer keeps the results")
    for name, body in raw.companions.items():
        if len(body) > RESULT_LIMITS.body_bytes:
            raise _Unreadable(f"the job's {name} are over {RESULT_LIMITS.body_bytes} bytes")
    pubs = _pubs(raw.companions.get(PARAMETERS, b""))
    results = _pub_results(decode_object(raw.companions[RESULTS], what=_ANSWER, limits=RESULT_LIMITS))
    if len(pubs) != len(results):
        raise BadPayload(f"{_ANSWER}: {len(results)} results of {len(pubs)} circuits")
    count = 0
    for place, (pub, result) in enumerate(zip(pubs, results, strict=True)):
        for program in _of_pub(pub, result, f"pubs[{place}]", count):
            yield program
            count += 1
            if count >= MOST_PROGRAMS:
                return


def _pubs(body: bytes) -> list[Any]:
    parameters = decode_object(body, what=_JOB, limits=RESULT_LIMITS).get("params")
    if not isinstance(parameters, dict):
        raise _Unreadable("the service no longer keeps the job's circuits")
    pubs = parameters.get("pubs")
    if not isinstance(pubs, list):
        raise BadPayload(f"{_JOB}: params.pubs: expected an array")
    return pubs


def _of_pub(pub: object, result: Fields, where: str, first: int) -> Iterator[Program]:
    """One program for each set of parameter values."""
    if not isinstance(pub, list) or not pub:
        raise BadPayload(f"{_JOB}: {where}: expected an array that begins with a circuit")
    circuit = _circuit(pub[0], where)
    values = bindings(pub[1] if len(pub) > 1 else None, f"{_JOB}: {where}")
    if values.several > MOST_PROGRAMS:
        raise _Unreadable(f"a circuit has {values.several} sets of parameters, over {MOST_PROGRAMS}")
    measured = _ordered(_samples(result, values, where), circuit)
    for place, text in enumerate(_bound(circuit, values)):
        registers = [(bits, rows[place]) for bits, rows in measured]
        counts = _counted(registers, where)
        shots = sum(counts.values())
        yield Program(index=first + place, circuit=text, kind=circuit.kind, counts=counts, order=ORDER, shots=shots)


def _bound(circuit: _Circuit, values: Bindings) -> list[bytes]:
    if not any(values.sets):
        return [circuit.body] * values.several
    if circuit.kind == "qpy":
        raise _Unreadable("the circuit is QPY with parameters left open, whose values are apart")
    texts = bound(circuit.body.decode(), values)
    if texts is None:
        raise _Unreadable("the parameter values do not fit the inputs that the circuit declares")
    return [text.encode() for text in texts]


def _circuit(value: object, where: str) -> _Circuit:
    """OpenQASM 3 as text, or QPY behind base64 of zlib."""
    if isinstance(value, str):
        return _Circuit(value.encode("utf-8", "replace"), "openqasm3", declared_registers(value))
    if not isinstance(value, dict) or value.get("__type__") != "QuantumCircuit":
        raise BadPayload(f"{_JOB}: {where}: expected OpenQASM 3 or a QuantumCircuit")
    body = inflated(value.get("__value__"), f"{_JOB}: {where}: circuit")
    if not body.startswith(_QPY):
        raise BadPayload(f"{_JOB}: {where}: circuit: expected QPY")
    return _Circuit(body, "qpy", None)


# ------------------------------------------------------------------------------------------------------ results


def _pub_results(answer: Fields) -> list[Fields]:
    """One result for each circuit, of the typed form or the plain one."""
    typed = "__type__" in answer
    listed = _typed(answer, "PrimitiveResult", "results").get("pub_results") if typed else answer.get("results")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise BadPayload(f"{_ANSWER}: expected an array of results")
    return listed


def _typed(value: object, kind: str, where: str) -> dict[str, Any]:
    """What stands below ``__value__`` of an object of a type."""
    if not isinstance(value, dict) or value.get("__type__") != kind or not isinstance(value.get("__value__"), dict):
        raise BadPayload(f"{_ANSWER}: {where}: expected a {kind}")
    found: dict[str, Any] = value["__value__"]
    return found


def _samples(result: Fields, values: Bindings, where: str) -> dict[str, Measured]:
    """What was measured, by register."""
    if "__type__" not in result:
        return _plain(result, values, where)
    kind = "PubResult" if result["__type__"] == "PubResult" else "SamplerPubResult"
    data = _typed(_typed(result, kind, where).get("data"), "DataBin", f"{where}.data")
    fields, names = data.get("fields"), data.get("field_names")
    if not isinstance(fields, dict) or not 1 <= len(fields) <= _REGISTERS:
        raise BadPayload(f"{_ANSWER}: {where}: expected 1 to {_REGISTERS} fields")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or set(names) != fields.keys():
        raise BadPayload(f"{_ANSWER}: {where}: expected field_names to name the fields")
    return {name: _bit_array(_typed(fields[name], "BitArray", f"{where}: a register"), values, where) for name in names}


def _bit_array(value: Fields, values: Bindings, where: str) -> Measured:
    bits = _number_of_bits(value.get("num_bits"), where)
    packed = value.get("array")
    if not isinstance(packed, dict) or packed.get("__type__") != "ndarray":
        raise BadPayload(f"{_ANSWER}: {where}: expected an ndarray of bits")
    array = read_array(packed.get("__value__"), f"{_ANSWER}: {where}")
    width = -(-bits // 8)
    if array.kind != "|u1" or len(array.shape) < 2 or array.shape[-1] != width or array.shape[:-2] != values.shape:
        raise BadPayload(f"{_ANSWER}: {where}: expected bytes of shape (parameters…, shots, {width})")
    _check_unused_bits(array, bits, where)
    shots = array.shape[-2]
    if shots > MOST_SHOTS:
        raise _Unreadable(f"a circuit has {shots} shots, over {MOST_SHOTS}")
    return bits, [_rows(array.data, place * shots, shots, width) for place in range(values.several)]


def _rows(data: bytes, first: int, shots: int, width: int) -> list[bytes]:
    return [data[at : at + width] for at in range(first * width, (first + shots) * width, width)]


def _check_unused_bits(array: Array, bits: int, where: str) -> None:
    """Bits beyond the register are padding and 0: anything else means that the array is read wrongly."""
    limit = 1 << (bits % 8 or 8)
    if any(high >= limit for high in set(array.data[:: array.shape[-1]])):
        raise BadPayload(f"{_ANSWER}: {where}: a sample has more than {bits} bits")


def _plain(result: Fields, values: Bindings, where: str) -> dict[str, Measured]:
    if not values.single:
        raise _Unreadable("plain results of several sets of parameters: how they are nested is not documented")
    data = result.get("data")
    if not isinstance(data, dict) or not 1 <= len(data) <= _REGISTERS:
        raise BadPayload(f"{_ANSWER}: {where}.data: expected 1 to {_REGISTERS} registers")
    return {name: _hexadecimal(register, where) for name, register in data.items()}


def _hexadecimal(register: object, where: str) -> Measured:
    if not isinstance(register, dict) or not isinstance(register.get("samples"), list):
        raise BadPayload(f"{_ANSWER}: {where}: expected samples of a register")
    bits, samples = _number_of_bits(register.get("num_bits"), where), register["samples"]
    if len(samples) > MOST_SHOTS:
        raise _Unreadable(f"a circuit has {len(samples)} shots, over {MOST_SHOTS}")
    if not all(isinstance(sample, str) for sample in samples):
        raise BadPayload(f"{_ANSWER}: {where}: expected hexadecimal samples of at most {bits} bits")
    numbers = {sample: _number(sample, bits, where) for sample in set(samples)}
    return bits, [[numbers[sample] for sample in samples]]


def _number(sample: str, bits: int, where: str) -> bytes:
    if _SAMPLE.fullmatch(sample) is None or (number := int(sample, 16)).bit_length() > bits:
        raise BadPayload(f"{_ANSWER}: {where}: expected hexadecimal samples of at most {bits} bits")
    return number.to_bytes(-(-bits // 8), "big")


def _number_of_bits(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_BITS:
        raise BadPayload(f"{_ANSWER}: {where}: num_bits: expected 1 to {_MOST_BITS}")
    return value


# -------------------------------------------------------------------------------------------------------- counts


def _ordered(measured: dict[str, Measured], circuit: _Circuit) -> list[Measured]:
    """The registers in the order in which the circuit declares them; a QPY circuit's are in that order in the results."""
    if circuit.registers is None or len(measured) == 1:
        return list(measured.values())
    if {name: bits for name, (bits, _) in measured.items()} != dict(circuit.registers):
        raise _Unreadable("the registers of the results are not those that the circuit declares")
    return [measured[name] for name in circuit.registers]


def _counted(registers: Sequence[tuple[int, Sequence[bytes]]], where: str) -> dict[str, int]:
    """Counts by outcome as Qiskit writes it."""
    if len({len(rows) for _, rows in registers}) != 1:
        raise BadPayload(f"{_ANSWER}: {where}: the registers differ in their number of shots")
    widths = [bits for bits, _ in registers]
    shots = Counter(zip(*(rows for _, rows in registers), strict=True))
    return {joined([_binary(*pair) for pair in zip(row, widths, strict=True)]): count for row, count in shots.items()}


def _binary(row: bytes, bits: int) -> str:
    return format(int.from_bytes(row, "big"), f"0{bits}b")
