"""The IonQ wire format: planned jobs, backends and characterizations as the JSON that ``api.ionq.co`` sends.

Pure functions of a plan and a time. Shapes: v0.4 as specified in May and in September 2026, and v0.3.
"""

from __future__ import annotations

import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from qobs.lab.circuit_texts import ionq_native
from qobs.lab.circuits import MOST_QUBITS, LabCircuit, Noise, circuit_of, everywhere, outcomes, uniform
from qobs.lab.circuits import probabilities as chances
from qobs.lab.world import Cloud, LabBackend, LabJob
from qobs.model import JobState

Json = dict[str, Any]

PROJECT_ID = "1333d459-47a8-4d1c-8a6a-5a0a3a0f1a51"
ORGANIZATION_ID = "0b2b4a7e-5d7c-4f0a-9d5b-0d7c2f6f3b11"
SUBMITTER_ID = "64b0f2b5a6a1c20012d2f0aa"
USER_AGENT = "qiskit-ionq/1.1.1 (qiskit/2.3.0) os/Linux (python/3.11.7)"
COST_LAG = timedelta(seconds=30)
"""A charge appears this long after the end of its job."""

_ACCEPTED = timedelta(seconds=2)
_NAMESPACE = uuid.UUID("5f3ad3a4-4f0f-5a4b-9d0e-0e5a1f0c7b10")
_PROBABILITIES = "ionq.result.probabilities.json.v2"
_HISTOGRAM = "ionq.result.histogram.json.v2"
_NATIVE = "ionq.native.v1"
_V04_WORDS = {
    JobState.RUNNING: "started",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "canceled",
    JobState.UNKNOWN: "paused",
}

# Medians of published Forte characterizations; the last digits drift from one calibration to the next.
_FIDELITY = {"spam": 0.9962, "1q": 0.9998, "2q": 0.9946}
_TIMING = {"t1": 100.0, "t2": 1.0, "1q": 0.00013, "2q": 0.00097, "readout": 0.00015, "reset": 0.00002}


def iso(at: datetime | None) -> str | None:
    """ISO time in milliseconds with ``Z``, as v0.4 writes it."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def word(job: LabJob, now: datetime, version: str = "v0.4") -> str:
    """IonQ's word for the job's state: first ``submitted``, then ``ready``, and ``started`` (v0.3: ``running``)."""
    state = job.state(now)
    if state is JobState.QUEUED or state is None:
        return "submitted" if now < job.submitted_at + _ACCEPTED else "ready"
    return "running" if state is JobState.RUNNING and version == "v0.3" else _V04_WORDS[state]


def child_ids(job: LabJob) -> list[str]:
    """Ids of the children of a multi-circuit job, none for a single circuit."""
    return [str(uuid.uuid5(_NAMESPACE, f"{job.id}/{index}")) for index in range(job.circuits)] if job.circuits > 1 else []


def children(job: LabJob) -> Iterator[LabJob]:
    """The child jobs of a multi-circuit job, as plans of one circuit each that share the parent's life."""
    for child_id in child_ids(job):
        yield _child(job, child_id)


def _child(job: LabJob, child_id: str) -> LabJob:
    return LabJob(
        id=child_id,
        backend=job.backend,
        submitted_at=job.submitted_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        outcome=job.outcome,
        failure=job.failure,
        name=job.name,
        shots=job.shots,
        qubits=job.qubits,
        gates_1q=job.gates_1q,
        gates_2q=job.gates_2q,
        experiment=job.experiment,
        batch=job.batch,
        cost=0.0,
    )


def job_v04(job: LabJob, backend: LabBackend, now: datetime, *, shape: str = "2026-09", parent: str | None = None) -> Json:
    """A job as ``GET /v0.4/jobs/{id}`` sends it; ``shape`` is ``2026-05`` or ``2026-09``."""
    status = word(job, now)
    ran = job.started_at is not None and not backend.simulator
    done = now >= job.ended_at
    started = job.started_at if ran and job.started_at is not None and now >= job.started_at else None
    completed = status == "completed"
    execution = _milliseconds(job) if ran and completed else None
    body: Json = {
        "id": job.id,
        "status": status,
        "type": "ionq.multi-circuit.v1" if job.circuits > 1 else "ionq.circuit.v1",
        "backend": job.backend,
        "dry_run": False,
        "cost_model": "quantum_compute_time" if shape == "2026-05" else "QCT",
        "submitter_id": SUBMITTER_ID,
        "project_id": PROJECT_ID,
        "parent_job_id": parent,
        "child_job_ids": child_ids(job) or None,
        "session_id": job.batch,
        "metadata": _metadata(job),
        "name": job.name,
        "submitted_at": iso(job.submitted_at),
        "started_at": iso(started),
        "completed_at": iso(job.ended_at) if done and not backend.simulator else None,
        "predicted_wait_time_ms": int(((job.started_at or job.ended_at) - job.submitted_at) / timedelta(milliseconds=1)),
        "predicted_execution_duration_ms": _milliseconds(job),
        "execution_duration_ms": execution,
        "failure": _failure(job) if status == "failed" else None,
        "settings": {"error_mitigation": {"debiasing": False}},
        "stats": _stats(job, execution),
        "output": _output(job) if completed and shape != "2026-05" and not backend.simulator and job.circuits == 1 else {},
        "results": _results(job, shape) if completed else None,
    }
    return body if backend.simulator else body | {"shots": job.shots}


def job_v03(job: LabJob, backend: LabBackend, now: datetime) -> Json:
    """A job as ``GET /v0.3/jobs/{id}`` sends it: epoch seconds, execution time in milliseconds."""
    status = word(job, now, "v0.3")
    done, ran = now >= job.ended_at, job.started_at is not None and not backend.simulator
    body: Json = {
        "id": job.id,
        "name": job.name,
        "status": status,
        "target": job.backend,
        "shots": job.shots,
        "qubits": job.qubits,
        "circuits": job.circuits,
        "gate_counts": {"1q": job.gates_1q, "2q": job.gates_2q},
        "request": int(job.submitted_at.timestamp()),
        "metadata": _metadata(job),
        "children": child_ids(job),
    }
    if ran and job.started_at is not None and now >= job.started_at:
        body["start"] = int(job.started_at.timestamp())
    if done:
        body |= {"response": int(job.ended_at.timestamp())}
    if status == "completed":
        body |= {"execution_time": _milliseconds(job), "results_url": f"/v0.3/jobs/{job.id}/results"}
        body |= {} if backend.simulator else {"cost_usd": job.cost}
    if status == "failed" and job.failure is not None:
        code = re.sub(r"(?<!^)(?=[A-Z])", "_", job.failure[0]).lower()
        body["failure"] = {"code": code, "error": job.failure[1]}
    return body


def cost(job: LabJob, backend: LabBackend, now: datetime) -> Json:
    """``GET /jobs/{id}/cost``: ``cost`` is absent until charged, and for whatever is never charged."""
    price = 0.0 if backend.simulator else job.cost
    body: Json = {"dry_run": False, "estimated_cost": {"value": price, "unit": "usd"}}
    if job.outcome is JobState.COMPLETED and now >= job.ended_at + COST_LAG:
        body["cost"] = {"value": price, "unit": "usd"}
    return body


def counts(job: LabJob, backend: LabBackend, cloud: Cloud) -> dict[str, int]:
    """Measured counts. Keys are decimal, qubit 0 is the lowest bit."""
    at = job.started_at or job.ended_at
    noise = Noise() if backend.simulator else _noise(backend, backend.calibrated_at(at), cloud.seed)
    seed, trouble = f"{cloud.seed}:{job.id}:result", cloud.trouble(backend.name, at)
    measured = outcomes(_circuit(job), noise, shots=job.shots, seed=seed, trouble=trouble)
    return {str(outcome): count for outcome, count in sorted(Counter(measured).items())}


def probabilities(job: LabJob, backend: LabBackend, cloud: Cloud) -> dict[str, float]:
    """Counts over shots, which is what the service sends for processors too; an ideal simulation's are exact."""
    if backend.simulator:
        exact = enumerate(chances(_circuit(job), Noise()))
        return {str(outcome): chance for outcome, chance in exact if chance > 1e-12}
    return {outcome: count / job.shots for outcome, count in counts(job, backend, cloud).items()}


def _circuit(job: LabJob) -> LabCircuit:
    """What runs: every qubit is read into the bit of its own number."""
    return everywhere(circuit_of(job))


def _noise(backend: LabBackend, at: datetime, seed: int) -> Noise:
    """The medians of a characterization, for every qubit alike."""
    errors = {name: 1 - figure["median"] for name, figure in characterization(backend, at, seed)["fidelity"].items()}
    # A dark ion is taken for a bright one more rarely than the other way round.
    misread = (0.6 * errors["spam"], 1.4 * errors["spam"])
    return uniform(MOST_QUBITS, one=errors["1q"], two=errors["2q"], misread=misread)


def artifact(job: LabJob, backend: LabBackend, cloud: Cloud, artifact_id: str) -> Json | None:
    """An artifact of the September shape, None if the job has none of that id: results, or the compiled circuit."""

    def nested(values: dict[str, Any]) -> Json:
        return {"registers": {"output_all": {format(int(key), f"0{job.qubits}b"): value for key, value in values.items()}}}

    if artifact_id == _artifact_id(job, _PROBABILITIES):
        return {"probabilities": nested(probabilities(job, backend, cloud))}
    if artifact_id == _artifact_id(job, _HISTOGRAM):
        return {"histogram": nested(counts(job, backend, cloud))}
    if artifact_id == _artifact_id(job, _NATIVE) and not backend.simulator:
        return ionq_native(_circuit(job))
    return None


def backend_row(
    backend: LabBackend, now: datetime, *, queued: int, status: str = "available", calibrated_at: datetime | None = None
) -> Json:
    """One row of ``GET /backends``; ``average_queue_time`` in milliseconds. ``calibrated_at`` None: as scheduled."""
    calibrated_at = calibrated_at or backend.calibrated_at(now)
    native = [] if backend.simulator else ["gpi", "gpi2", "zz"]
    return {
        "backend": backend.name,
        "status": status,
        "qubits": backend.qubits,
        "average_queue_time": int(queued * backend.execution_seconds * 1000),
        "last_updated": iso(now.replace(second=0, microsecond=0)),
        "degraded": False,
        "characterization_id": None if backend.simulator else characterization_id(backend, calibrated_at),
        "location": None if backend.simulator else "College Park, MD, USA",
        "kw": 0.0 if backend.simulator else 4902.81,
        "supported_gates": ["x", "h", "cnot"],
        "supported_native_gates": native,
        "supported_error_mitigations": [] if backend.simulator else ["debiasing"],
    }


def characterization_id(backend: LabBackend, at: datetime) -> str:
    """Stable id of the characterization of ``backend`` made at ``at``."""
    return str(uuid.uuid5(_NAMESPACE, f"{backend.name}@{at.isoformat()}"))


def characterization(backend: LabBackend, at: datetime, seed: int) -> Json:
    """The characterization made at ``at``: published medians with a reproducible drift per calibration."""
    draw = random.Random(f"{seed}:{backend.name}:{at.isoformat()}")
    fidelity: Json = {
        name: {"median": round(1 - (1 - median) * draw.uniform(0.8, 1.3), 6), "stderr": None}
        for name, median in _FIDELITY.items()
    }
    timing = {name: _significant(seconds * draw.uniform(0.97, 1.03)) for name, seconds in _TIMING.items()}
    pairs = [[a, b] for a in range(backend.qubits) for b in range(a + 1, backend.qubits)]
    return {
        "id": characterization_id(backend, at),
        "backend": backend.name,
        "date": iso(at),
        "qubits": backend.qubits,
        "connectivity": pairs,
        "fidelity": fidelity,
        "timing": timing,
    }


def _significant(value: float) -> float:
    return float(f"{value:.4g}")


def _milliseconds(job: LabJob) -> int:
    return int((job.ended_at - (job.started_at or job.ended_at)) / timedelta(milliseconds=1))


def _failure(job: LabJob) -> Json:
    code, message = job.failure or ("InternalError", "Internal error")
    return {"code": code, "message": message}


def _metadata(job: LabJob) -> dict[str, str]:
    labels = {"experiment": job.experiment, "team": job.team, "workload": job.workload, "priority": job.priority}
    return {"user_agent": USER_AGENT, "shots": str(job.shots)} | labels


def _stats(job: LabJob, execution_ms: int | None) -> Json:
    return {
        "qubits": job.qubits,
        "circuits": job.circuits,
        "gate_counts": {"1q": job.gates_1q, "2q": job.gates_2q},
        "kwh": None,
        "predicted_quantum_compute_time_us": _milliseconds(job) * 800,
        "billed_quantum_compute_time_us": None if execution_ms is None else execution_ms * 800,
    }


def _artifact_id(job: LabJob, format_id: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{job.id}:{format_id}"))


def _output(job: LabJob) -> Json:
    """The compiled circuit's descriptor, as the September shape names it."""
    descriptor = {"id": _artifact_id(job, _NATIVE), "format": _NATIVE, "media_type": "application/json"}
    return {"compilation": {"compiled_circuits": {_NATIVE: descriptor}}}


def _results(job: LabJob, shape: str) -> Json:
    path = "/results/probabilities/aggregated" if job.circuits > 1 else "/results/probabilities"
    links: Json = {"probabilities": {"url": f"/v0.4/jobs/{job.id}{path}"}}
    if shape == "2026-05":
        return links
    # The September specification names only the artifacts, yet the official clients follow the url: the service sends both.
    return links | {
        name: {"id": _artifact_id(job, name), "format": name, "media_type": "application/json"}
        for name in (_PROBABILITIES, _HISTOGRAM)
    }
