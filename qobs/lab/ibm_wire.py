"""The JSON that IBM Quantum sends about jobs, backends and usage, built from a plan and a moment.

Every function is pure: the same plan, time and API version give the same body.
"""

from __future__ import annotations

import base64
import math
import zlib
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from qobs.lab.circuit_texts import openqasm3
from qobs.lab.circuits import LabCircuit, Noise, by_register, circuit_of, outcomes
from qobs.lab.ibm_devices import Device, iso
from qobs.lab.world import Cloud, LabJob
from qobs.model import JobState

Body = dict[str, Any]

NAMES_ONLY_BEFORE = "2025-01-01"
"""``/backends`` lists bare names for API versions before this one, and where the header is left out."""

CHARGE_TIME_SINCE = "2026-03-15"
"""From this API version on, usage is ``qpu_charge_time_seconds``."""

ROOT_NANOSECONDS_SINCE = "2026-04-15"
"""From this API version on, ``circuits_execution_time_ns`` stands at the root of the metrics."""

EXCEEDED = "1305"
"""Ran longer than its maximum execution time: told as ``Cancelled`` with this reason code."""

BILLING_LAG = timedelta(seconds=8)
"""Usage stays ``pending`` this long after a job has ended."""

PROGRAMS = ("sampler", "estimator")
QISKIT_VERSION = "2.3.0"
PERIOD = timedelta(days=28)

_WORDS = {
    JobState.QUEUED: "Queued",
    JobState.RUNNING: "Running",
    JobState.COMPLETED: "Completed",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
}


def word(job: LabJob, now: datetime) -> str:
    """The state word of a submitted job."""
    state = job.state(now)
    if state is None:
        raise ValueError(f"job {job.id} is not submitted at {now}")
    if state is JobState.FAILED and job.failure is not None and job.failure[0] == EXCEEDED:
        return "Cancelled"
    return _WORDS[state]


def pending(job: LabJob, now: datetime) -> bool:
    """True while queued or running."""
    return job.state(now) in (JobState.QUEUED, JobState.RUNNING)


def charged_seconds(job: LabJob) -> int:
    """Seconds billed: whole seconds on the processor, nothing for a job that never ran."""
    if job.started_at is None:
        return 0
    return math.ceil((job.ended_at - job.started_at).total_seconds())


def usage(job: LabJob, now: datetime, version: str) -> Body:
    """The ``usage`` object in the form of an API version."""
    final = not pending(job, now) and now >= job.ended_at + BILLING_LAG
    seconds = charged_seconds(job) if final else 0
    if version >= CHARGE_TIME_SINCE:
        return {"qpu_charge_time_seconds": seconds, "status": "complete" if final else "pending"}
    return {"quantum_seconds": seconds, "seconds": seconds, "status": "complete" if final else "pending"}


def job_body(job: LabJob, now: datetime, version: str) -> Body:
    """One element of ``/jobs``, and the answer of ``/jobs/{id}`` without its parameters."""
    status = word(job, now)
    state: Body = {"status": status}
    if not pending(job, now) and job.failure is not None and job.outcome is JobState.FAILED:
        code, message = job.failure
        state |= {
            "reason": message,
            "reason_code": int(code) if code.isdigit() else code,
            "reason_solution": "See the error code registry.",
        }
    body: Body = {
        "id": job.id,
        "backend": job.backend,
        "state": state,
        "status": status,
        "program": {"id": program(job)},
        "created": iso(job.submitted_at),
        "cost": 600,
        "tags": tags(job),
        "user_id": "IBMid-0000000000",
        "usage": usage(job, now, version),
        "private": job.private,
        "estimated_running_time_seconds": round((job.ended_at - (job.started_at or job.ended_at)).total_seconds(), 1),
        "calibration_id": None,
    }
    return body | ({"session_id": job.batch} if job.batch else {})


def program(job: LabJob) -> str:
    """Which primitive the job uses."""
    return PROGRAMS[0] if job.gates_2q % 3 else PROGRAMS[1]


def tags(job: LabJob) -> list[str]:
    """Job tags as a site's convention writes them: ``key:value``."""
    return [f"exp:{job.experiment}", f"prio:{job.priority}", f"team:{job.team}", f"workload:{job.workload}"]


def parameters(job: LabJob, device: Device) -> Body:
    """What was submitted: the job's circuits on their physical qubits, in OpenQASM 3."""
    texts = [
        openqasm3(circuit, device.place(job.id, circuit.qubits)) for circuit in map(partial(circuit_of, job), range(job.circuits))
    ]
    pubs = [[text, None, job.shots] if program(job) == PROGRAMS[0] else [text, {"ZZ": 1.0}, None] for text in texts]
    return {"pubs": pubs, "options": {}, "support_qiskit": typed(job), "version": 2}


def typed(job: LabJob) -> bool:
    """Whether the results are in the SDK's typed form: those of one team are."""
    return job.team == "chemistry"


def metrics(job: LabJob, now: datetime, version: str) -> Body:
    """The answer of ``/jobs/{id}/metrics``."""
    started = job.started_at if job.started_at is not None and job.started_at <= now else None
    ended = job.ended_at if job.ended_at <= now else None
    body: Body = {
        "timestamps": {
            "created": iso(job.submitted_at),
            "running": iso(started) if started else None,
            "finished": iso(ended) if ended else None,
        },
        "usage": usage(job, now, version),
        "qiskit_version": QISKIT_VERSION,
        "estimated_start_time": iso(job.started_at) if job.started_at else None,
        "estimated_completion_time": iso(job.ended_at),
        "position_in_queue": None,
        "position_in_provider": None,
    }
    nanoseconds = charged_seconds(job) * 400_000_000 if ended else None
    if version >= ROOT_NANOSECONDS_SINCE:
        return body | {"circuits_execution_time_ns": nanoseconds}
    if version >= CHARGE_TIME_SINCE:
        return body | {"usage": body["usage"] | {"circuits_execution_time_ns": nanoseconds}}
    return body | {"bss": {"seconds": body["usage"]["seconds"]}}


def samples(job: LabJob, device: Device, cloud: Cloud, index: int = 0) -> list[int]:
    """Measured outcomes of one circuit, one per shot: classical bit 0 is the lowest, the registers follow one another."""
    circuit, at = circuit_of(job, index), job.started_at or job.ended_at
    noise = Noise() if device.backend.simulator else device.noise(device.place(job.id, circuit.qubits), at)
    seed = f"{cloud.seed}:{job.id}:{index}:samples"
    return outcomes(circuit, noise, shots=job.shots, seed=seed, trouble=cloud.trouble(job.backend, at))


def results(job: LabJob, device: Device, cloud: Cloud) -> Body:
    """A job's results in the form that its submitter asked for; an estimator's are the mean parity of its circuits."""
    measured = [samples(job, device, cloud, index) for index in range(job.circuits)]
    if program(job) != PROGRAMS[0]:
        parities = [sum(1 - 2 * (outcome.bit_count() % 2) for outcome in each) / max(len(each), 1) for each in measured]
        return {
            "results": [{"data": {"evs": parity, "stds": 0.0}, "metadata": {}} for parity in parities],
            "metadata": {"version": 2},
        }
    registers = [_by_register(circuit_of(job, index), each) for index, each in enumerate(measured)]
    return _typed_results(registers) if typed(job) else _plain_results(registers)


Registers = list[tuple[str, int, list[int]]]
"""Name, bits and samples of each register."""


def _by_register(circuit: LabCircuit, measured: list[int]) -> Registers:
    columns = zip(*(by_register(circuit, outcome) for outcome in measured), strict=True)
    listed = list(columns) or [() for _ in circuit.registers]
    return [(name, size, list(column)) for (name, size), column in zip(circuit.registers, listed, strict=True)]


def _plain_results(measured: list[Registers]) -> Body:
    """The plain REST form: hexadecimal samples."""
    data = [
        {name: {"samples": list(map(hex, each)), "num_bits": bits} for name, bits, each in registers} for registers in measured
    ]
    return {"results": [{"data": each, "metadata": {}} for each in data], "metadata": {"version": 2}}


def _typed_results(measured: list[Registers]) -> Body:
    """The SDK's form: arrays of bits as packed NumPy files."""
    pubs = [_object("SamplerPubResult", {"data": _data_bin(registers), "metadata": {}}) for registers in measured]
    return _object("PrimitiveResult", {"pub_results": pubs, "metadata": {"version": 2}})


def _data_bin(registers: Registers) -> Body:
    fields = {
        name: _object("BitArray", {"array": _object("ndarray", _packed(samples, bits)), "num_bits": bits})
        for name, bits, samples in registers
    }
    return _object("DataBin", {"field_names": list(fields), "shape": [], "fields": fields})


def _object(kind: str, value: object) -> Body:
    return {"__type__": kind, "__value__": value}


def _packed(samples: list[int], bits: int) -> str:
    """Base64 of zlib of a NumPy file of shape (shots, bytes), each number big-endian."""
    width = -(-bits // 8)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(samples)}, {width}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    data = b"".join(sample.to_bytes(width, "big") for sample in samples)
    file = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data
    return base64.b64encode(zlib.compress(file)).decode()


def backend_body(device: Device, cloud: Cloud, now: datetime, *, wait: bool) -> Body:
    """One element of ``/backends`` in the form of 2025 and later."""
    backend, configuration = device.backend, device.configuration
    queued = cloud.queue_length(backend.name, now)
    body: Body = {
        "name": backend.name,
        "status": {"name": "online", "reason": "available"},
        "is_simulator": backend.simulator,
        "qubits": configuration["n_qubits"],
        "clops": {"type": "hardware", "value": configuration.get("clops_h")},
        "processor_type": configuration["processor_type"],
        "queue_length": queued,
    }
    return body | ({"wait_time_seconds": {"average": queued * backend.execution_seconds}} if wait else {})


def instance_usage(cloud: Cloud, now: datetime, instance: str, limit_seconds: int) -> Body:
    """The answer of ``/instances/usage``: final charges of the last 28 days."""
    begin = now - PERIOD
    settled = (job for job in cloud.jobs(now) if begin <= job.ended_at <= now - BILLING_LAG)
    used = sum(charged_seconds(job) for job in settled)
    return {
        "instance_id": instance,
        "plan_id": "lab-plan",
        "usage_period": {"start_time": iso(begin), "end_time": iso(now)},
        "usage_consumed_seconds": used,
        "usage_limit_seconds": limit_seconds,
        "usage_allocation_seconds": limit_seconds,
        "usage_limit_reached": used >= limit_seconds,
    }


def workload(job: LabJob, now: datetime, instance: str) -> Body:
    """One element of ``/workloads``."""
    return {
        "id": job.id,
        "created": iso(job.submitted_at),
        "ended": None if pending(job, now) else iso(job.ended_at),
        "backend": job.backend,
        "instance": instance,
        "user_id": "IBMid-0000000000",
        "accepting_jobs": False,
        "mode": "job",
        "status": word(job, now).lower(),
        "status_reason": job.failure[1] if job.failure and not pending(job, now) else None,
        "tags": tags(job),
        "usage_seconds": charged_seconds(job) if not pending(job, now) and now >= job.ended_at + BILLING_LAG else 0,
    }


def error_body(code: int, message: str, trace: str) -> Body:
    """The error form of the service: a trace id and a list of coded errors."""
    return {
        "trace": trace,
        "errors": [{"code": code, "message": message, "solution": "", "more_info": "https://quantum.cloud.ibm.com/docs/errors"}],
    }
