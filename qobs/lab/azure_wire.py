"""The bodies that an emulated Azure Quantum workspace sends: shapes, words and time formats as recorded from the real one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from qobs.lab.world import Cloud, LabBackend, LabJob
from qobs.model import JobState

Item = Mapping[str, Any]
"""A job or a session as JSON."""

WORDS: Mapping[str, Mapping[JobState, str]] = {
    "V1": {
        JobState.QUEUED: "Waiting",
        JobState.RUNNING: "Executing",
        JobState.COMPLETED: "Succeeded",
        JobState.FAILED: "Failed",
        JobState.CANCELLED: "Cancelled",
    },
    "V2": {
        JobState.QUEUED: "Queued",
        JobState.RUNNING: "Executing",
        JobState.COMPLETED: "Completed",
        JobState.FAILED: "Failed",
        JobState.CANCELLED: "Cancelled",
    },
}
"""Status words by kind of workspace."""

_FORMATS: Mapping[str, tuple[str, str]] = {
    "ionq": ("ionq.circuit.v1", "ionq.quantum-results.v1"),
    "quantinuum": ("honeywell.openqasm.v1", "honeywell.quantum-results.v1"),
    "rigetti": ("qir.v1", "microsoft.quantum-results.v2"),
    "pasqal": ("pasqal.pulser.v1", "pasqal.pulser-results.v1"),
}
_DIMENSIONS: Mapping[str, tuple[str, str, str]] = {
    "ionq": ("gs2q", "2Q Gate Shot", "2q gate shot"),
    "quantinuum": ("hqc", "HQC", "hqc"),
    "rigetti": ("qpu_time_centiseconds", "QPU Execution Time", "10ms (rounded up)"),
    "pasqal": ("compute-time-qpu", "Compute Time on QPU", "per hour"),
}
_STATUS_PAGES: Mapping[str, str] = {
    "ionq": "https://status.ionq.co",
    "quantinuum": "https://calendar.qapi.quantinuum.com/?target=H2-1&key=LAB-CALENDAR-KEY",
    "rigetti": "https://rigetti.statuspage.io/",
}


def instant(text: str) -> datetime:
    """The time of a text written by :func:`seven_digits`."""
    return datetime.fromisoformat(text)


def seven_digits(at: datetime) -> str:
    """A time as Azure's own clock writes it: 7 fraction digits and an offset."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}0+00:00"


def milliseconds(at: datetime | None) -> str | None:
    """A time as most providers write it through Azure: 3 fraction digits and a ``Z``."""
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def provider_of(target: str) -> str:
    """The provider of a target, from the target's first word."""
    return target.partition(".")[0]


STORAGE = "https://qobslab.blob.core.windows.net"
"""Where the links of a job lead unless something else is said."""


def signature(job_id: str) -> str:
    """What signs the links of a job."""
    return hashlib.sha256(job_id.encode()).hexdigest()[:32] + "="


def job_body(job: LabJob, now: datetime, words: Mapping[JobState, str], storage: str = STORAGE) -> dict[str, Any]:
    """One job at ``now``, with signed links to what it reads and writes in ``storage``."""
    state = job.state(now) or JobState.QUEUED
    provider = provider_of(job.backend)
    source_format, result_format = _FORMATS.get(provider, ("qir.v1", "microsoft.quantum-results.v2"))
    return {
        **_links(job.id, state, storage),
        "inputDataFormat": source_format,
        "inputParams": {"shots": job.shots, "count": job.shots},
        "metadata": {"qiskit": "True", "name": job.name, "num_qubits": str(job.qubits), "metadata": "{}"},
        "sessionId": job.batch,
        "jobPriority": "High" if job.priority == "high" else "Standard",
        "status": words[state],
        "jobType": "QuantumComputing",
        "outputDataFormat": result_format,
        **_times(job, now, state),
        "quantumComputingData": {"count": job.circuits},
        "errorData": _error(job, state),
        "isCancelling": False,
        "tags": [f"exp:{job.experiment}", f"team:{job.team}", f"workload:{job.workload}"],
        "name": job.name,
        "id": job.id,
        "providerId": provider,
        "target": job.backend,
        "creationTime": seven_digits(job.submitted_at),
        "costEstimate": _cost(job, provider) if state is JobState.COMPLETED else None,
        "itemType": "Job",
    }


def session_body(session_id: str, jobs: Sequence[LabJob], now: datetime, words: Mapping[JobState, str]) -> dict[str, Any]:
    """The session of ``jobs`` (one or more, oldest first): live while one of them is."""
    first, states = jobs[0], [job.state(now) for job in jobs]
    live = any(state in (JobState.QUEUED, JobState.RUNNING) for state in states)
    started = any(state is not JobState.QUEUED for state in states)
    failed = JobState.FAILED in states
    state = (JobState.RUNNING if started else JobState.QUEUED) if live else (JobState.FAILED if failed else JobState.COMPLETED)
    # Sessions kept the old words in both kinds of workspace.
    word = "Failure(s)" if live and failed else {**words, **WORDS["V1"]}[state]
    return {
        "status": word,
        "jobFailurePolicy": "Continue",
        "jobPriority": "Standard",
        "name": f"session-{session_id}",
        "id": session_id,
        "providerId": provider_of(first.backend),
        "target": first.backend,
        "creationTime": seven_digits(first.submitted_at),
        "endExecutionTime": None if live else seven_digits(max(job.ended_at for job in jobs)),
        "costEstimate": None,
        "itemType": "Session",
    }


def provider_bodies(cloud: Cloud, now: datetime, availability: Mapping[str, str]) -> list[dict[str, Any]]:
    """One provider per first word of the targets; its own availability is that of its best target."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for backend in cloud.backends:
        word = availability.get(backend.name, "Available")
        grouped.setdefault(provider_of(backend.name), []).append(_target(cloud, backend, now, word))
    return [
        {"id": provider, "currentAvailability": _best(target["currentAvailability"] for target in targets), "targets": targets}
        for provider, targets in grouped.items()
    ]


def quota_bodies(cloud: Cloud, now: datetime) -> list[dict[str, Any]]:
    """A monthly allowance per provider in its own unit, used up by what the month's completed jobs cost; none held."""
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    used: dict[str, float] = {provider_of(backend.name): 0.0 for backend in cloud.backends}
    for job in cloud.jobs(now):
        if job.state(now) is JobState.COMPLETED and job.ended_at >= begin:
            used[provider_of(job.backend)] += job.cost
    return [
        {
            "dimension": _DIMENSIONS.get(provider, ("job_hours", "", ""))[0],
            "scope": "Workspace",
            "providerId": provider,
            "utilization": round(amount, 2),
            "holds": 0.0,
            "limit": 100_000.0,
            "period": "Monthly",
        }
        for provider, amount in used.items()
    ]


def _links(job_id: str, state: JobState, storage: str) -> dict[str, str]:
    base = f"{storage}/job-{job_id}"
    dates = "sv=2024-11-04&st=2026-01-01T00%3A00%3A00Z&se=2050-01-01T00%3A00%3A00Z"
    signed = f"{dates}&sr=b&sp=r&sig={quote(signature(job_id), safe='')}"
    output = "rawOutputData" if state is JobState.COMPLETED else "outputData"
    return {
        "containerUri": f"{base}?{signed}",
        "inputDataUri": f"{base}/inputData?{signed}",
        "outputDataUri": f"{base}/{output}?{signed}",
    }


def _times(job: LabJob, now: datetime, state: JobState) -> dict[str, Any]:
    ended = job.ended_at if state.terminal else None
    started = job.started_at if job.started_at is not None and job.started_at <= now else None
    # As recorded: the revision time does not move when a job starts, only when it is accepted and when it ends.
    revised = ended or min(now, job.submitted_at + timedelta(milliseconds=300))
    return {
        "beginExecutionTime": milliseconds(started),
        "endExecutionTime": milliseconds(ended),
        "cancellationTime": milliseconds(ended) if state is JobState.CANCELLED else None,
        "lastModifiedTime": seven_digits(revised),
    }


def _error(job: LabJob, state: JobState) -> dict[str, str] | None:
    if state is not JobState.FAILED or job.failure is None:
        return None
    return {"code": job.failure[0], "message": job.failure[1]}


def _cost(job: LabJob, provider: str) -> dict[str, Any]:
    dimension, title, unit = _DIMENSIONS.get(provider, ("job_hours", "Job Hours", "per hour"))
    amount = _amount(job, dimension)
    charge = {
        "dimensionId": dimension,
        "dimensionName": title,
        "measureUnit": unit,
        "amountBilled": amount,
        "amountConsumed": amount,
        "unitPrice": round(job.cost / amount, 6) if amount else 0.0,
    }
    return {"currencyCode": "USD", "events": [charge], "estimatedTotal": job.cost}


def _amount(job: LabJob, dimension: str) -> float:
    """What is billed, in the dimension's unit: time on the processor, or gate shots."""
    seconds = (job.ended_at - (job.started_at or job.ended_at)).total_seconds()
    if dimension == "qpu_time_centiseconds":
        return float(math.ceil(seconds * 100))
    if dimension == "compute-time-qpu":
        return round(seconds / 3600, 4)
    return float(job.shots * job.gates_2q)


def _target(cloud: Cloud, backend: LabBackend, now: datetime, word: str) -> dict[str, Any]:
    # The real service reports 0, not null, while a target is not fully available.
    queue = int(cloud.queue_length(backend.name, now) * backend.execution_seconds) if word == "Available" else 0
    return {
        "id": backend.name,
        "currentAvailability": word,
        "averageQueueTime": queue,
        "statusPage": _STATUS_PAGES.get(provider_of(backend.name), ""),
        "numQubits": backend.qubits,
        "targetProfile": "Base",
    }


def _best(words: Iterable[str]) -> str:
    found = set(words)
    return next((word for word in ("Available", "Degraded") if word in found), "Unavailable")
