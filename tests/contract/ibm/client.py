"""The official IBM client, unmodified, reading a service: prints one JSON line of what it saw.

Runs in an environment of its own (``requirements.txt``): ``python client.py BASE_URL API_KEY INSTANCE JOB_ID…``.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any


def utc(at: datetime | None) -> str | None:
    """The instant in UTC; the client hands out local times."""
    return None if at is None else at.astimezone(UTC).isoformat()


def job_seen(job: Any) -> dict[str, Any]:
    """What the client tells of one job."""
    metrics = job.metrics()
    return {
        "id": job.job_id(),
        "status": str(job.status()),
        "backend": job.backend().name,
        "created": utc(job.creation_date),
        "tags": list(job.tags),
        "program": job.primitive_id,
        "error": job.error_message() is not None if job.errored() else None,
        "running": metrics["timestamps"]["running"],
        "finished": metrics["timestamps"]["finished"],
        "usage": job.usage(),
        "usage_status": metrics["usage"]["status"],
    }


def backend_seen(backend: Any) -> dict[str, Any]:
    """What the client tells of one backend: status, and calibration in the client's own SI units."""
    status, properties = backend.status(), backend.properties()
    pairs = backend.configuration().coupling_map
    return {
        "name": backend.name,
        "qubits": backend.num_qubits,
        "operational": status.operational,
        "status": status.status_msg,
        "pending_jobs": status.pending_jobs,
        "version": status.backend_version,
        "calibrated": utc(properties.last_update_date),
        "t1": [properties.t1(qubit) for qubit in range(5)],
        "t2": [properties.t2(qubit) for qubit in range(5)],
        "readout_error": [properties.readout_error(qubit) for qubit in range(5)],
        "sx_error": [properties.gate_error("sx", qubit) for qubit in range(5)],
        "cz_error": [properties.gate_error("cz", pair) for pair in pairs[:5]],
        "cz_length": [properties.gate_length("cz", pair) for pair in pairs[:5]],
        "pairs": pairs[:5],
        "faulty_qubits": properties.faulty_qubits(),
    }


def main(base_url: str, api_key: str, instance: str, *job_ids: str) -> None:
    """List jobs, read the named ones with status and metrics, every backend and the usage."""
    os.environ.update(IAM_URL=base_url, QISKIT_FUNCTIONS_EXPERIMENTAL="1", USAGE_DATA_OPT_OUT="True")
    from qiskit_ibm_runtime import QiskitRuntimeService

    service = QiskitRuntimeService(
        channel="ibm_quantum_platform",
        token=api_key,
        instance=instance,
        url=base_url,
        url_resolver=lambda url, instance, private, channel: f"{base_url}/api/v1",
    )
    listed = service.jobs(limit=None)
    seen = {
        "listed": [job.job_id() for job in listed],
        "pending": [job.job_id() for job in service.jobs(limit=None, pending=True)],
        "jobs": [job_seen(service.job(job_id)) for job_id in job_ids],
        "backends": [backend_seen(service.backend(backend.name)) for backend in service.backends()],
        "usage": service.usage(),
    }
    json.dump(seen, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
