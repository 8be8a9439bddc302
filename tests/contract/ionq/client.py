"""Reads an IonQ service with the unmodified official clients: ``python client.py BASE_URL API_KEY JOB_ID…``.

Runs in an environment with the requirements beside it, never in qobs' own. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import Any


def with_cirq(base_url: str, api_key: str) -> dict[str, object]:
    """What cirq-ionq sees: the whole job list, and one finished job with its histogram."""
    import cirq_ionq

    service = cirq_ionq.Service(remote_host=base_url, api_key=api_key, max_retry_seconds=1)
    listed = service.list_jobs(limit=10_000)
    few = service.list_jobs(limit=3)
    completed = service.list_jobs(status="completed", limit=10_000)
    chosen = next(job for job in completed if job.target().startswith("qpu"))
    counts = chosen.results().counts()
    return {
        "jobs": {job.job_id(): job.status() for job in listed},
        "listed": len(listed),
        "few": [job.job_id() for job in few],
        "completed": sorted(job.job_id() for job in completed),
        "chosen": {
            "id": chosen.job_id(),
            "target": chosen.target(),
            "name": chosen.name(),
            "qubits": chosen.num_qubits(),
            "repetitions": chosen.repetitions(),
            "shots_counted": sum(counts.values()),
        },
    }


def read_with_qiskit(backend: Any, job_id: str) -> dict[str, object]:
    """One job; the client tells a failed one by an exception, with the provider's code in its message."""
    from qiskit.providers import JobStatus
    from qiskit_ionq.exceptions import IonQJobFailureError

    try:
        job = backend.retrieve_job(job_id)
    except IonQJobFailureError as failed:
        return {"status": JobStatus.ERROR.name, "failure": str(failed)}
    status = job.status()
    if status is not JobStatus.DONE:
        return {"status": status.name}
    result = job.result()
    return {
        "status": status.name,
        "counts": sum(result.get_counts().values()),
        "probability": sum(job.get_probabilities().values()),
        "seconds": result.time_taken,
    }


def with_qiskit(base_url: str, api_key: str, job_ids: list[str]) -> dict[str, object]:
    """What qiskit-ionq sees: the named jobs by id, counts of the completed ones, and a characterization."""
    import qiskit_ionq

    provider = qiskit_ionq.IonQProvider(token=api_key, url=f"{base_url}/v0.4")
    backend = provider.get_backend("qpu.forte-1")
    jobs = {job_id: read_with_qiskit(backend, job_id) for job_id in job_ids}
    calibration = backend.calibration()
    return {
        "jobs": jobs,
        "backend_online": backend.status(),
        "calibration": {
            "id": calibration.id,
            "backend": calibration.backend,
            "date": calibration.date.isoformat(),
            "qubits": calibration.qubits,
            "pairs": len(calibration.connectivity),
            "spam": calibration.median_spam_fidelity,
            "fidelity": calibration.fidelity,
            "timing": calibration.timing,
        },
        "simulator_calibration": provider.get_backend("ionq_simulator").calibration(),
    }


def main() -> None:
    """Run both clients and print what they saw."""
    base_url, api_key, *job_ids = sys.argv[1:]
    os.environ.pop("IONQ_API_URL", None)
    warnings.simplefilter("ignore")
    json.dump({"cirq": with_cirq(base_url, api_key), "qiskit": with_qiskit(base_url, api_key, job_ids)}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
