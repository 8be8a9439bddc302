"""CPU microseconds per job of normalizing and judging, by source; the standard library's JSON decoder is the peer.

Normalizing takes a provider's page to typed records: decoding, checks, redaction, failure classes. The peer only decodes the
same bytes. Each figure is the best of several rounds, for a busy machine makes all of them larger.

    python benchmarks/bench_normalize.py --jobs 2000
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from qobs.model import BUCKET_SECONDS, EPOCH, Batch, Delta, Job, Raw, Stream
from qobs.secret import Secret
from qobs.slo.indicators import Indicators
from qobs.slo.windows import WindowTotals
from qobs.sources.base import Settings
from qobs.sources.quantum.azure import Azure
from qobs.sources.quantum.ibm_calibration import calibration
from qobs.sources.quantum.ibm_jobs import Owner, jobs_page
from qobs.sources.quantum.ionq import IonQ

PAGE = 100
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY: dict[str, Callable[[], Secret]] = {"api_key": lambda: Secret("key")}


def lives(count: int) -> Iterator[tuple[int, str, datetime, datetime, datetime, bool]]:
    """Number, id, submission, start, end and failure of each job."""
    draw = Random(1)
    for index in range(count):
        submitted = NOW - timedelta(days=6) * (index / count)
        started = submitted + timedelta(seconds=draw.uniform(1, 400))
        yield (
            index,
            f"{draw.getrandbits(128):032x}",
            submitted,
            started,
            started + timedelta(seconds=draw.uniform(1, 60)),
            draw.random() < 0.05,
        )


def azure_rows(count: int) -> list[dict[str, Any]]:
    """Jobs as recorded from Azure, with signed links and the names that every job has of its own."""
    link = "https://store.blob.core.windows.net/job-{}/outputData?sv=2024&sr=b&sig=abcdefghijk%3D&se=2050-01-01T00%3A00%3A00Z"
    return [
        {
            "containerUri": link.format(name),
            "outputDataUri": link.format(name),
            "inputDataFormat": "qir.v1",
            "inputParams": {"shots": 100, "items": [{"entryPoint": f"circuit-{index}", "arguments": []}]},
            "metadata": {"qiskit": "True", "name": f"circuit-{index}", "num_qubits": "5", "metadata": "{}"},
            "sessionId": None,
            "jobPriority": "Basic",
            "status": "Failed" if failed else "Succeeded",
            "jobType": "QuantumComputing",
            "outputDataFormat": "microsoft.quantum-results.v1",
            "beginExecutionTime": started.isoformat(),
            "cancellationTime": None,
            "lastModifiedTime": None,
            "quantumComputingData": {"count": 1},
            "errorData": {"code": "InternalError", "message": f"job {name} broke"} if failed else None,
            "isCancelling": False,
            "tags": ["exp:vqe"],
            "name": f"circuit-{index}",
            "id": name,
            "providerId": "rigetti",
            "target": "rigetti.qpu.cepheus-1-36q",
            "creationTime": submitted.isoformat(),
            "endExecutionTime": ended.isoformat(),
            "costEstimate": None
            if failed
            else {
                "currencyCode": "USD",
                "estimatedTotal": 0.01 * (index % 90),
                "events": [{"dimensionId": "qpu_time_centiseconds", "amountBilled": 37.0, "amountConsumed": float(index % 90)}],
            },
            "itemType": "Job",
        }
        for index, name, submitted, started, ended, failed in lives(count)
    ]


def ionq_rows(count: int) -> list[dict[str, Any]]:
    """Jobs of API v0.4."""
    return [
        {
            "id": name,
            "status": "failed" if failed else "completed",
            "type": "ionq.circuit.v1",
            "backend": "qpu.forte-1",
            "dry_run": False,
            "submitter_id": "5d0f1a2b3c4d5e6f",
            "project_id": "1333d459-cf47-4a5e-acc1-8d4eb4f7b025",
            "metadata": {"user_agent": "qiskit-ionq/0.5.8", "experiment": "vqe"},
            "name": f"circuit-{index}",
            "submitted_at": submitted.isoformat().replace("+00:00", "Z"),
            "started_at": started.isoformat().replace("+00:00", "Z"),
            "completed_at": ended.isoformat().replace("+00:00", "Z"),
            "predicted_execution_duration_ms": 500 + index,
            "execution_duration_ms": 600 + index,
            "shots": 100,
            "failure": {"code": "InternalError", "message": "something broke"} if failed else None,
            "settings": {"error_mitigation": {"debiasing": False}},
            "stats": {"qubits": 5, "circuits": 1, "gate_counts": {"1q": 10, "2q": 3}, "billed_quantum_compute_time_us": 1e6},
        }
        for index, name, submitted, started, ended, failed in lives(count)
    ]


def ibm_rows(count: int) -> list[dict[str, Any]]:
    """Jobs of the runtime service's list."""
    return [
        {
            "id": name,
            "backend": "ibm_fez",
            "state": {"status": "Failed", "reason": "broke", "reason_code": 9999} if failed else {"status": "Completed"},
            "status": "Failed" if failed else "Completed",
            "program": {"id": "sampler"},
            "created": submitted.isoformat().replace("+00:00", "Z"),
            "cost": 600,
            "tags": ["vqe"],
            "usage": {"quantum_seconds": 3.5, "seconds": 3},
            "private": False,
        }
        for index, name, submitted, started, ended, failed in lives(count)
    ]


def properties() -> bytes:
    """A calibration of 156 qubits, in the form of IBM's ``properties``."""
    draw = Random(1)
    dates = [(NOW - timedelta(minutes=draw.randrange(1440))).isoformat() for _ in range(400)]

    def figure(name: str, value: float, unit: str) -> dict[str, Any]:
        return {"date": draw.choice(dates), "name": name, "unit": unit, "value": value}

    def gate(name: str, *qubits: int) -> dict[str, Any]:
        parameters = [figure("gate_error", draw.random() / 100, ""), figure("gate_length", 68.0, "ns")]
        return {"gate": name, "qubits": list(qubits), "parameters": parameters, "name": f"{name}{qubits[0]}"}

    figures = (("T1", "us"), ("T2", "us"), ("readout_error", ""), ("prob_meas0_prep1", ""), ("prob_meas1_prep0", ""))
    body = {
        "backend_name": "ibm_fez",
        "backend_version": "1.3.4",
        "last_update_date": NOW.isoformat(),
        "qubits": [[figure(name, draw.random(), unit) for name, unit in figures] for _ in range(156)],
        "gates": [gate(name, qubit) for qubit in range(156) for name in ("id", "rx", "rz", "sx", "x", "reset", "measure")]
        + [gate("cz", qubit, qubit + 1) for qubit in range(155) for _ in (0, 1)],
    }
    return json.dumps(body).encode()


def pages(rows: list[dict[str, Any]], key: str) -> list[Raw]:
    """The rows as answers of a listing."""
    return [raw(json.dumps({key: rows[begin : begin + PAGE]}).encode()) for begin in range(0, len(rows), PAGE)]


def raw(body: bytes, stream: Stream = Stream.JOBS) -> Raw:
    """One answer."""
    return Raw(stream=stream, kind="jobs", body=body, fetched_at=NOW, about={"backend": "ibm_fez"} if stream != "jobs" else {})


def micros(work: Callable[[], object], count: int, rounds: int) -> float:
    """CPU microseconds per record, of the best round."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best / count * 1e6


def each(function: Callable[[Any], object], items: list[Any]) -> Callable[[], None]:
    """Call the function on each item and drop what it gives, as the daemon does once a page is stored."""

    def run() -> None:
        for item in items:
            function(item)

    return run


def show(name: str, ours: float, peer: float) -> None:
    """One line."""
    print(f"{name:28} {ours:10.1f} {peer:10.1f} {ours / peer:8.2f}")


def read(name: str, normalize: Callable[[Raw], Batch], raws: list[Raw], count: int, rounds: int) -> list[Job]:
    """Measure one source; gives its jobs."""
    jobs = [job for each_raw in raws for job in normalize(each_raw).jobs]
    if len(jobs) != count:
        raise SystemExit(f"{name}: {count} jobs were offered, {len(jobs)} were read")
    peer = micros(each(lambda page: json.loads(page.body), raws), count, rounds)
    show(f"{name} job", micros(each(normalize, raws), count, rounds), peer)
    return jobs


def judged(jobs: list[Job], rounds: int, peer: float) -> None:
    """Measure judging, and the window totals that follow it."""
    judge = Indicators()
    show("judge a job", micros(each(lambda job: judge.job(job, NOW), jobs), len(jobs), rounds), peer)
    deltas = [
        Delta(event.series, (event.at - EPOCH) // timedelta(seconds=BUCKET_SECONDS) * BUCKET_SECONDS, int(event.good), 1)
        for job in jobs
        for event in judge.job(job, NOW).events
    ]
    deltas.sort(key=lambda delta: delta.bucket)

    def follow() -> None:
        totals = WindowTotals()
        totals.advance(NOW)
        for delta in deltas:
            totals.add_delta(delta)
        totals.all()

    show("window totals of a job", micros(follow, len(jobs), rounds), peer)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU microseconds per job of normalizing and judging.")
    parser.add_argument("--jobs", type=int, default=2000, help="jobs of each source (default: 2000)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the best counts (default: 7)")
    asked = parser.parse_args()
    count, rounds = max(asked.jobs // PAGE, 1) * PAGE, asked.rounds
    workspace = {"subscription_id": "s", "resource_group": "g", "workspace": "w", "location": "eastus"}
    azure = Azure(Settings(name="bench", type="azure", credentials=KEY, options=workspace))
    ionq = IonQ(Settings(name="bench", type="ionq", credentials=KEY))
    owner = Owner("bench", "account")
    print(f"{'CPU microseconds':28} {'qobs':>10} {'json.loads':>10} {'ratio':>8}")
    raws = pages(azure_rows(count), "value")
    jobs = read("azure", azure.normalize, raws, count, rounds)
    read("ionq", ionq.normalize, pages(ionq_rows(count), "jobs"), count, rounds)
    read("ibm", lambda page: jobs_page(page, owner), pages(ibm_rows(count), "jobs"), count, rounds)
    body = properties()
    snapshot = raw(body, Stream.CALIBRATIONS)
    peer = micros(lambda: json.loads(body), 1, rounds)
    show("ibm calibration, 156 qubits", micros(lambda: calibration(snapshot, owner), 1, rounds), peer)
    judged(jobs, rounds, micros(each(lambda page: json.loads(page.body), raws), count, rounds))


if __name__ == "__main__":
    main()
