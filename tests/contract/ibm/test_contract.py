"""The emulated IBM Quantum Platform is what IBM's own client understands, and qobs reads the same from it.

Set ``QOBS_CONTRACT_IBM_PYTHON`` to the interpreter of an environment that holds ``requirements.txt`` beside this file.
"""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from qobs.clock import SystemClock
from qobs.lab import ibm, ibm_wire
from qobs.lab.clock import LabClock
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabJob
from qobs.model import Ask, Calibration, Job, JobState, Stream
from qobs.secret import Secret
from qobs.sources.base import Settings
from qobs.sources.guard import Guard
from qobs.sources.http import Edge, HttpClient
from qobs.sources.quantum.ibm import SOURCE_TYPE

PYTHON = "QOBS_CONTRACT_IBM_PYTHON"
WORDS = {
    JobState.QUEUED: "QUEUED",
    JobState.RUNNING: "RUNNING",
    JobState.COMPLETED: "DONE",
    JobState.FAILED: "ERROR",
    JobState.CANCELLED: "CANCELLED",
}
"""States in the client's words. It too calls a job that was cancelled for running too long an error."""

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} names no environment with qiskit-ibm-runtime"),
]


def _cloud(now: datetime) -> Cloud:
    """Three hours of jobs, and one planned job more in each state that lasts."""
    cloud = ibm.default_cloud(7, now - timedelta(hours=3))
    cloud.jobs(now)
    minute = timedelta(minutes=1)
    plan: dict[str, dict[str, Any]] = {
        "done": {"started_at": now - 3 * minute, "ended_at": now - minute, "outcome": JobState.COMPLETED},
        "queued": {"started_at": now + minute, "ended_at": now + 2 * minute, "outcome": JobState.COMPLETED},
        "running": {"started_at": now - minute, "ended_at": now + 2 * minute, "outcome": JobState.COMPLETED},
        "unstarted": {"started_at": None, "ended_at": now - minute, "outcome": JobState.CANCELLED},
        "toolong": {
            "started_at": now - 3 * minute,
            "ended_at": now - minute,
            "outcome": JobState.FAILED,
            "failure": ("1305", "Job ran longer than maximum execution time"),
        },
        "failed": {
            "started_at": now - 3 * minute,
            "ended_at": now - minute,
            "outcome": JobState.FAILED,
            "failure": ("9999", "Internal error"),
        },
    }
    for name, fields in plan.items():
        cloud.add(LabJob(id=f"dplanned{name}", backend="ibm_fez", submitted_at=now - 5 * minute, **fields))
    return cloud


class Meeting:
    """One run: the plan, what the official client saw, and what qobs read from the same service."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.cloud = _cloud(self.now)
        self.seen, self.jobs, self.calibrations = asyncio.run(self._run())

    def plan(self, job_id: str) -> LabJob:
        """The planned job."""
        job = self.cloud.job(job_id, self.now)
        assert job is not None
        return job

    async def _run(self) -> tuple[dict[str, Any], dict[str, Job], dict[str, Calibration]]:
        async with serve(ibm.application(self.cloud, LabClock(self.now))) as url:
            jobs, calibrations = await self._read(url)
            planned = [job.id for job in self.cloud.jobs(self.now) if job.id.startswith("dplanned")]
            return await _official(url, planned), jobs, calibrations

    async def _read(self, url: str) -> tuple[dict[str, Job], dict[str, Calibration]]:
        source = SOURCE_TYPE.build(
            Settings(
                name="lab",
                type="ibm",
                credentials={"api_key": lambda: Secret(ibm.API_KEY)},
                options={"instance": ibm.INSTANCE, "url": f"{url}/api/v1", "iam_url": url},
            )
        )
        jobs: dict[str, Job] = {}
        calibrations: dict[str, Calibration] = {}
        async with HttpClient(Edge(clock=SystemClock(), rng=Random(1), guard=Guard((), urls=(url,)))) as http:
            for stream in (Stream.JOBS, Stream.CALIBRATIONS):
                async for raw in source.fetch(http, Ask(stream=stream, now=self.now)):
                    batch = source.normalize(raw)
                    jobs |= {job.id: job for job in batch.jobs}
                    calibrations |= {record.backend: record for record in batch.calibrations}
        return jobs, calibrations


async def _official(url: str, job_ids: list[str]) -> dict[str, Any]:
    """Run the client in its own environment, with nothing of ours in its way."""
    client = Path(__file__).with_name("client.py")
    process = await asyncio.create_subprocess_exec(
        os.environ[PYTHON],
        str(client),
        url,
        ibm.API_KEY,
        ibm.INSTANCE,
        *job_ids,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=300)
    assert process.returncode == 0, err.decode()[-3000:]
    seen: dict[str, Any] = json.loads(out.splitlines()[-1])
    return seen


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    """One run for all claims: starting the official client takes long."""
    return Meeting()


def test_the_official_client_lists_every_job_newest_first(meeting: Meeting) -> None:
    """A listing that the client reads otherwise would mean that the demo shows a cloud that does not exist."""
    planned = [job.id for job in reversed(meeting.cloud.jobs(meeting.now))]
    assert len(planned) > 100
    assert sorted(meeting.seen["listed"]) == sorted(planned) == sorted(meeting.jobs)
    created = [meeting.plan(job_id).submitted_at for job_id in meeting.seen["listed"]]
    assert created == sorted(created, reverse=True)


def test_the_official_client_filters_pending_jobs(meeting: Meeting) -> None:
    """A pending filter that lets others through would make qobs count finished jobs as queued."""
    pending = {job.id for job in meeting.cloud.jobs(meeting.now) if ibm_wire.pending(job, meeting.now)}
    assert set(meeting.seen["pending"]) == pending >= {"dplannedqueued", "dplannedrunning"}


def test_the_official_client_reads_state_times_and_usage_of_jobs(meeting: Meeting) -> None:
    """Each state reads in the client as planned: else the source is tuned to a fiction."""
    assert len(meeting.seen["jobs"]) == 6
    assert {job["status"] for job in meeting.seen["jobs"]} == set(WORDS.values())
    for job in meeting.seen["jobs"]:
        plan = meeting.plan(job["id"])
        state = plan.state(meeting.now)
        assert state is not None
        assert job["status"] == WORDS[state] == WORDS[meeting.jobs[job["id"]].state]
        assert job["backend"] == plan.backend
        assert datetime.fromisoformat(job["created"]) == plan.submitted_at
        assert job["tags"] == ibm_wire.tags(plan)
        final = not ibm_wire.pending(plan, meeting.now)
        assert (job["finished"] is not None) == final
        assert not final or datetime.fromisoformat(job["finished"]) == plan.ended_at
        if job["usage_status"] == "complete":
            assert job["usage"] == ibm_wire.charged_seconds(plan)


def test_the_official_client_reads_backend_status(meeting: Meeting) -> None:
    """Status and queue of every backend are what the plan says."""
    assert {backend["name"] for backend in meeting.seen["backends"]} == {b.name for b in meeting.cloud.backends}
    for backend in meeting.seen["backends"]:
        assert backend["operational"] is True
        assert backend["status"] == "active"
        assert backend["pending_jobs"] == meeting.cloud.queue_length(backend["name"], meeting.now)
        assert backend["qubits"] == meeting.cloud.backend(backend["name"]).qubits  # type: ignore[union-attr]


def test_qobs_and_the_official_client_read_the_same_calibration(meeting: Meeting) -> None:
    """Where the two differ, qobs has a unit, a qubit or a date wrong."""
    for backend in meeting.seen["backends"]:
        ours = meeting.calibrations[backend["name"]]
        assert ours.calibrated_at == datetime.fromisoformat(backend["calibrated"])
        assert ours.version == backend["version"]
        for field, name in (("t1", "t1_seconds"), ("t2", "t2_seconds"), ("readout_error", "readout_error")):
            assert [getattr(qubit, name).value for qubit in ours.qubits[:5]] == pytest.approx(backend[field], rel=1e-12)
        gates = {(gate.gate, gate.qubits): gate for gate in ours.gates}
        sx = [gates["sx", (qubit,)] for qubit in range(5)]
        assert [1.0 if g.faulty else g.error.value for g in sx] == pytest.approx(backend["sx_error"])  # type: ignore[union-attr]
        cz = [gates["cz", tuple(pair)] for pair in backend["pairs"]]
        assert [1.0 if g.faulty else g.error.value for g in cz] == pytest.approx(backend["cz_error"])  # type: ignore[union-attr]
        assert [g.duration_seconds.value for g in cz] == pytest.approx(backend["cz_length"])  # type: ignore[union-attr]
        assert [list(pair) for pair in ours.couplings[:5]] == backend["pairs"]


def test_the_official_client_reads_usage(meeting: Meeting) -> None:
    """The instance's allowance is what the plan's jobs have used."""
    expected = ibm_wire.instance_usage(meeting.cloud, meeting.now, ibm.INSTANCE, ibm.USAGE_LIMIT_SECONDS)
    usage = meeting.seen["usage"]
    assert usage["usage_consumed_seconds"] == expected["usage_consumed_seconds"] > 0
    assert usage["usage_remaining_seconds"] == ibm.USAGE_LIMIT_SECONDS - usage["usage_consumed_seconds"]
