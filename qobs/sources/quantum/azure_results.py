"""Azure Quantum jobs as circuits and results, as far as their formats are documented. Pure.

===================== ================================ ============================================================
input                 output                           read as
===================== ================================ ============================================================
ionq.circuit.v1       ionq.quantum-results.v1          probabilities by decimal number whose bit i is qubit i
honeywell.openqasm.v1 honeywell.quantum-results.v1     shots by register, a register's last bit leftmost
===================== ================================ ============================================================

Everything else is told as missing: QIR, Quil and pulse programs are no circuits that can be simulated here.

A job's links open its storage to whoever has them (shared access signatures): they go to the storage service and nowhere else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from qobs.errors import BadPayload
from qobs.model import Job, Raw
from qobs.result import Execution, Program
from qobs.sources.decode import decode_object
from qobs.sources.quantum.azure_wire import whole
from qobs.sources.quantum.ionq_results import read_probabilities
from qobs.sources.quantum.results import MOST_SHOTS, RESULT_LIMITS, declared_registers, joined, ran

INPUT, OUTPUT = "inputData", "outputData"
STORAGE_HOSTS = ("*.blob.core.windows.net", "*.blob.core.usgovcloudapi.net", "*.blob.core.chinacloudapi.cn")
"""Where Azure's clouds keep what jobs read and write."""

_IONQ = ("ionq.circuit.v1", "ionq.quantum-results.v1")
_OPENQASM = ("honeywell.openqasm.v1", "honeywell.quantum-results.v1")
_FORMAT = re.compile(r"[A-Za-z0-9._-]{1,60}")
_BITS = re.compile(r"[01]{1,4096}")
_DONE = frozenset({"Completed", "Succeeded"})
_NOT_A_REGISTER = "access_token"
_MOST_REGISTERS = 256
_JOB = "azure W/jobs/{id}"
_OUTPUT = "azure output blob"


class _Unreadable(Exception):
    """A good answer that has nothing to verify; the text says why."""


class Links(NamedTuple):
    """Signed addresses of what a job read and wrote: secrets."""

    circuit: str
    results: str


def job_of(body: bytes) -> dict[str, Any]:
    """A job's own answer.

    Raises:
        BadPayload: it is no JSON object.
    """
    return decode_object(body, what=_JOB, limits=RESULT_LIMITS)


def reason_not_to_read(job: Mapping[str, Any]) -> str | None:
    """Why there is nothing to verify in a job, before its storage is asked; None where there may be."""
    if job.get("status") not in _DONE:
        return "the job did not complete"
    formats = _formats(job)
    if formats not in (_IONQ, _OPENQASM):
        return f"circuits in {formats[0]} with results in {formats[1]} are not read"
    told = job.get("quantumComputingData")
    if isinstance(told, dict) and (whole(told.get("count")) or 1) > 1:
        return "which result belongs to which of several circuits is not documented"
    return None if _shots(job) is not None or formats == _OPENQASM else "the job tells no number of shots"


def _formats(job: Mapping[str, Any]) -> tuple[str, str]:
    source, result = (str(job.get(name)) for name in ("inputDataFormat", "outputDataFormat"))
    return source if _FORMAT.fullmatch(source) else "(unknown)", result if _FORMAT.fullmatch(result) else "(unknown)"


def _shots(job: Mapping[str, Any]) -> int | None:
    parameters = job.get("inputParams")
    told = parameters if isinstance(parameters, dict) else {}
    return next((shots for name in ("shots", "count", "num_shots") if (shots := whole(told.get(name)))), None)


def links(job: Mapping[str, Any], base: str) -> Links | None:
    """The signed addresses of input and output; None where the job carries bare ones, which open nothing.

    Raises:
        BadPayload: an address leads elsewhere than to Azure's storage service, or to the configured ``base`` itself. It is
            neither followed nor quoted.
    """
    circuit, results = (_link(job.get(name), base, name) for name in ("inputDataUri", "outputDataUri"))
    return None if circuit is None or results is None else Links(circuit, results)


def _link(value: object, base: str, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _leads_to_storage(value, base):
        raise BadPayload(f"{_JOB}: {name}: leads to another place than Azure's storage; it was not followed")
    return value if any(key == "sig" for key, _ in parse_qsl(urlsplit(value).query)) else None


def _leads_to_storage(url: str, base: str) -> bool:
    try:
        parts, ours = urlsplit(url), urlsplit(base)
        port, our_port = parts.port, ours.port
    except ValueError:
        return False
    host = (parts.hostname or "").rstrip(".")
    if parts.username is not None or parts.password is not None or not host:
        return False
    if (parts.scheme, host, port) == (ours.scheme, ours.hostname, our_port):
        return True
    stored = any(host.endswith(suffix[1:]) and len(host) > len(suffix) - 1 for suffix in STORAGE_HOSTS)
    return stored and parts.scheme == "https" and port in (None, 443)


def read_execution(raw: Raw, job: Job) -> Execution:
    """Circuit and results of one job.

    Raises:
        BadPayload: an answer is not what its format promises; the message names the place, never a value.
    """
    told = job_of(raw.body)
    why = reason_not_to_read(told)
    circuit, results = (raw.companions.get(name) for name in (INPUT, OUTPUT))
    if why is None and (not circuit or not results):
        why = raw.about.get("missing") or "the storage no longer keeps the circuit or its results"
    if why is not None or not circuit or not results:
        return ran(job, raw.fetched_at, missing=why)
    try:
        program = _ionq(circuit, results, told) if _formats(told) == _IONQ else _openqasm(circuit, results)
    except _Unreadable as unreadable:
        return ran(job, raw.fetched_at, missing=str(unreadable))
    return ran(job, raw.fetched_at, (program,))


def _ionq(circuit: bytes, results: bytes, told: Mapping[str, Any]) -> Program:
    if "circuits" in decode_object(circuit, what="azure input blob", limits=RESULT_LIMITS):
        raise _Unreadable("which result belongs to which of several circuits is not documented")
    probabilities = read_probabilities(results, what=_OUTPUT, member="histogram")
    return Program(index=0, circuit=circuit, kind="ionq", order="qubits_right", shots=_shots(told), probabilities=probabilities)


def _openqasm(circuit: bytes, results: bytes) -> Program:
    """Per register one text of bits for each shot, the register's last bit leftmost (as Quantinuum's own client reads it)."""
    answer = decode_object(results, what=_OUTPUT, limits=RESULT_LIMITS)
    shots = {name: _register(values) for name, values in answer.items() if name != _NOT_A_REGISTER}
    if not 1 <= len(shots) <= _MOST_REGISTERS or len({len(values) for values in shots.values()}) != 1:
        raise BadPayload(f"{_OUTPUT}: expected 1 to {_MOST_REGISTERS} registers with equal numbers of shots")
    if len(next(iter(shots.values()))) > MOST_SHOTS:
        raise _Unreadable(f"the job has over {MOST_SHOTS} shots")
    declared = declared_registers(circuit.decode("utf-8", "replace"))
    if {name: len(values[0]) for name, values in shots.items()} != dict(declared):
        raise _Unreadable("the registers of the results are not those that the circuit declares")
    counted = Counter(zip(*(shots[name] for name in declared), strict=True))
    counts = {joined(outcome): count for outcome, count in counted.items()}
    return Program(index=0, circuit=circuit, kind="openqasm2", counts=counts, order="clbits_right", shots=counted.total())


def _register(values: object) -> list[str]:
    if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        raise BadPayload(f"{_OUTPUT}: expected for each register an array of bits as text")
    if len({len(each) for each in values}) != 1 or not all(_BITS.fullmatch(each) for each in set(values)):
        raise BadPayload(f"{_OUTPUT}: expected for each register texts of 0 and 1 of one length")
    return values
