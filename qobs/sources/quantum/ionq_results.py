"""IonQ jobs as circuits and probabilities. Pure.

IonQ's API does not give back what was submitted. What it keeps (v0.4 of September 2026) is the compiled circuit, as an artifact
named by the job's ``output.compilation.compiled_circuits``: native gates, or OpenQASM 3. Jobs without one have nothing to verify.

Probabilities are by decimal number whose bit i is qubit i (order ``qubits_right``), of a processor's shots too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from qobs.errors import BadPayload
from qobs.model import Job, Raw
from qobs.result import Execution, Program
from qobs.sources.decode import decode_object
from qobs.sources.quantum.ionq_devices import is_simulator
from qobs.sources.quantum.results import RESULT_LIMITS, ran

ORDER = "qubits_right"
FORMATS: Mapping[str, str] = {"ionq.native.v1": "ionq", "ionq.qasm3.v1": "openqasm3"}
"""Formats of compiled circuits that are read, the preferred one first, with the language that they are in."""

MOST_CHILDREN = 16
"""Circuits of a multi-circuit job that are read, three requests for each; of a larger job it is the first ones."""

_KEY = re.compile(r"[0-9]{1,400}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_MOST_QUBITS = 1024
_MOST_SHOTS = 10_000_000
_SLACK = 0.01
_LEAST_DEBIASED = 500

Fields = Mapping[str, Any]


class Unreadable(Exception):
    """A good answer that has nothing to verify; the text says why."""


def job_of(body: bytes) -> dict[str, Any]:
    """A job's own answer.

    Raises:
        BadPayload: it is no JSON object.
    """
    return decode_object(body, what="ionq /jobs/{id}", limits=RESULT_LIMITS)


def reason_not_to_read(job: Fields) -> str | None:
    """Why there is nothing to verify in a job, before anything else is asked for; None where there may be."""
    if str(job.get("status")).lower() != "completed":
        return "the job did not complete"
    if job.get("dry_run"):
        return "a dry run measures nothing"
    if is_simulator(str(job.get("backend"))):
        return "a simulation: there is no processor whose results could be verified"
    if _debiased(job):
        return "debiased results are put together from several compiled circuits (IonQ's default from 500 shots on)"
    if child_ids(job):
        return None
    if compiled(job) is None:
        return "IonQ gives back no circuit for this job"
    return None if shots_of(job) is not None else "the job tells no number of shots: its probabilities are computed, not measured"


def child_ids(job: Fields) -> list[str]:
    """Ids of a multi-circuit job's circuits that are read, in order.

    Raises:
        BadPayload: they are no list of ids.
    """
    listed = job.get("child_job_ids")
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(each, str) and _ID.fullmatch(each) for each in listed):
        raise BadPayload("ionq /jobs/{id}: child_job_ids: expected an array of ids")
    return listed[:MOST_CHILDREN]


def compiled(job: Fields) -> tuple[str, str] | None:
    """Artifact id and language of the compiled circuit; None where the job names none in a known format.

    Raises:
        BadPayload: the artifact has no usable id.
    """
    found: Any = job
    for name in ("output", "compilation", "compiled_circuits"):
        found = found.get(name) if isinstance(found, dict) else None
    for name, kind in FORMATS.items():
        if isinstance(found, dict) and (descriptor := found.get(name)) is not None:
            identity = descriptor.get("id") if isinstance(descriptor, dict) else None
            if not isinstance(identity, str) or not _ID.fullmatch(identity):
                raise BadPayload("ionq /jobs/{id}: output.compilation.compiled_circuits: expected an artifact with an id")
            return identity, kind
    return None


def shots_of(job: Fields) -> int | None:
    """Shots as the job tells them; None for an ideal simulation, which has none.

    Raises:
        BadPayload: they are no count.
    """
    shots = job.get("shots")
    if shots is None:
        return None
    if not isinstance(shots, int) or isinstance(shots, bool) or not 1 <= shots <= _MOST_SHOTS:
        raise BadPayload(f"ionq /jobs/{{id}}: shots: expected 1 to {_MOST_SHOTS}")
    return shots


def _debiased(job: Fields) -> bool:
    """Whether the results are symmetrised over several compiled variants of the circuit, or may be.

    IonQ does so unless it is told otherwise, from 500 shots on: only a plain no is one.
    """
    settings = job.get("settings")
    mitigation = settings.get("error_mitigation") if isinstance(settings, dict) else None
    told = mitigation.get("debiasing") if isinstance(mitigation, dict) else None
    output = job.get("output")
    if told is True or (isinstance(output, dict) and output.get("error_mitigation")):
        return True
    return told is not False and (shots_of(job) or 0) >= _LEAST_DEBIASED


def read_execution(raw: Raw, job: Job) -> Execution:
    """Circuits and probabilities of a job; companions are ``circuit:<id>``, ``probabilities:<id>``, and ``job:<id>`` of children.

    Raises:
        BadPayload: an answer is not what the API promises; the message names the place, never a value.
    """
    try:
        return ran(job, raw.fetched_at, tuple(_programs(raw, job)))
    except Unreadable as why:
        return ran(job, raw.fetched_at, missing=str(why))


def _programs(raw: Raw, job: Job) -> Iterator[Program]:
    told = job_of(raw.body)
    if (why := reason_not_to_read(told)) is not None:
        raise Unreadable(why)
    children = child_ids(told)
    if not children:
        yield _program(raw, told, job.id, 0)
    for index, child in enumerate(children):
        body = raw.companions.get(f"job:{child}")
        if body is None:
            raise Unreadable("the service no longer knows a circuit of the job")
        fields = job_of(body)
        if (why := reason_not_to_read(fields)) is not None:
            raise Unreadable(why)
        yield _program(raw, fields, child, index)


def _program(raw: Raw, told: Fields, identity: str, index: int) -> Program:
    artifact = compiled(told)
    circuit, results = raw.companions.get(f"circuit:{identity}"), raw.companions.get(f"probabilities:{identity}")
    if artifact is None or not circuit or not results:
        raise Unreadable("the service no longer keeps the circuit or its results")
    if artifact[1] == "ionq":
        circuit = _native(circuit, told)
    probabilities = read_probabilities(results, what="ionq /jobs/{id}/results/probabilities")
    return Program(index=index, circuit=circuit, kind=artifact[1], order=ORDER, shots=shots_of(told), probabilities=probabilities)


def _native(circuit: bytes, told: Fields) -> bytes:
    """The compiled circuit, with the gateset that its format implies where it does not say so itself.

    A circuit over more qubits than the job has numbers those of the processor: nobody tells which is which.
    """
    fields = decode_object(circuit, what="ionq compiled circuit", limits=RESULT_LIMITS)
    stats = told.get("stats")
    submitted = stats.get("qubits") if isinstance(stats, dict) else None
    if None not in (fields.get("qubits"), submitted) and fields["qubits"] != submitted:
        raise Unreadable("the compiled circuit is over the processor's qubits, and nobody tells which is which")
    return circuit if "gateset" in fields else msgspec.json.encode({"gateset": "native", **fields})


def read_probabilities(body: bytes, *, what: str, member: str | None = None) -> Mapping[str, float]:
    """Probabilities by decimal outcome, of the whole answer or of one member of it.

    Raises:
        BadPayload: no object, a key that is no decimal number of at most 1024 bits, or numbers that are no probabilities.
    """
    found: object = decode_object(body, what=what, limits=RESULT_LIMITS)
    if member is not None and isinstance(found, dict):
        found = found.get(member)
    if not isinstance(found, dict) or not found:
        raise BadPayload(f"{what}: expected probabilities by outcome")
    for key, value in found.items():
        if not _KEY.fullmatch(key) or int(key).bit_length() > _MOST_QUBITS:
            raise BadPayload(f"{what}: expected decimal outcomes of at most {_MOST_QUBITS} bits")
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1 + _SLACK:
            raise BadPayload(f"{what}: expected probabilities from 0 to 1")
    if abs(sum(found.values()) - 1) > _SLACK:
        raise BadPayload(f"{what}: expected probabilities with the sum 1")
    return {key: float(value) for key, value in found.items()}
