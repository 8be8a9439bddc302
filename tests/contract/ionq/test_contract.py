"""The emulated IonQ is what IonQ's own clients understand.

Set ``QOBS_CONTRACT_IONQ_PYTHON`` to the interpreter of an environment that holds ``requirements.txt`` beside this file.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qobs.lab import ionq, ionq_wire
from qobs.lab.clock import LabClock
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabJob
from qobs.model import JobState

PYTHON = "QOBS_CONTRACT_IONQ_PYTHON"
BEGINS = datetime(2026, 9, 14, tzinfo=UTC)
NOW = BEGINS + timedelta(hours=3)
QISKIT_WORDS = {"submitted": "INITIALIZING", "ready": "QUEUED", "started": "RUNNING"}
QISKIT_WORDS |= {"completed": "DONE", "failed": "ERROR", "canceled": "CANCELLED"}

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} names no environment with the official IonQ clients"),
]


def _cloud() -> Cloud:
    """Three hours of jobs, and one planned job more in each state that lasts."""
    cloud = ionq.default_cloud(11, BEGINS)
    model = next(job for job in cloud.jobs(NOW) if job.backend == "qpu.forte-1" and job.outcome is JobState.COMPLETED)
    second, minute, ended = timedelta(seconds=1), timedelta(minutes=1), NOW - timedelta(seconds=10)
    long_ago = NOW - 5 * minute
    plans: list[dict[str, Any]] = [
        {"submitted_at": NOW - second, "started_at": NOW + minute, "ended_at": NOW + 2 * minute},
        {"submitted_at": long_ago, "started_at": NOW + minute, "ended_at": NOW + 2 * minute},
        {"submitted_at": long_ago, "started_at": NOW - minute, "ended_at": NOW + 2 * minute},
        {"submitted_at": long_ago, "started_at": None, "ended_at": ended, "outcome": JobState.CANCELLED},
        {"submitted_at": long_ago, "ended_at": ended, "outcome": JobState.FAILED, "failure": ("TooManyGates", "too many")},
    ]
    for index, plan in enumerate(plans):
        cloud.add(replace(model, id=f"00000000-0000-4000-8000-00000000000{index}", **plan))
    return cloud


async def _ask_clients(url: str, ids: list[str]) -> dict[str, Any]:
    client = Path(__file__).with_name("client.py")
    process = await asyncio.create_subprocess_exec(
        os.environ[PYTHON],
        str(client),
        url,
        ionq.API_KEY,
        *ids,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


def _one_of_each_word(jobs: list[LabJob]) -> dict[str, LabJob]:
    return {ionq_wire.word(job, NOW): job for job in jobs if job.backend.startswith("qpu")}


async def test_official_clients_read_the_emulated_service_as_it_was_planned() -> None:
    """If this fails, qobs is tested against a service that IonQ's own users would not recognise."""
    cloud = _cloud()
    jobs = cloud.jobs(NOW)
    sample = _one_of_each_word(jobs)
    assert set(sample) == set(QISKIT_WORDS), "the plan must hold a job in each state"
    async with serve(ionq.application(cloud, LabClock(NOW))) as url:
        seen = await _ask_clients(url, [job.id for job in sample.values()])
    _check_cirq(seen["cirq"], jobs)
    _check_qiskit(seen["qiskit"], sample)
    _check_calibration(seen["qiskit"], cloud)


def _check_cirq(seen: dict[str, Any], jobs: list[LabJob]) -> None:
    assert seen["listed"] == len(jobs) > 2 * ionq.PAGE_LIMIT
    assert seen["jobs"] == {job.id: ionq_wire.word(job, NOW) for job in jobs}
    assert seen["few"] == [job.id for job in reversed(jobs)][:3]
    assert seen["completed"] == sorted(job.id for job in jobs if job.state(NOW) is JobState.COMPLETED)
    chosen = next(job for job in jobs if job.id == seen["chosen"]["id"])
    assert seen["chosen"] == {
        "id": chosen.id,
        "target": chosen.backend,
        "name": chosen.name,
        "qubits": chosen.qubits,
        "repetitions": chosen.shots,
        "shots_counted": chosen.shots,
    }


def _check_qiskit(seen: dict[str, Any], sample: dict[str, LabJob]) -> None:
    assert seen["backend_online"] is True
    for word, job in sample.items():
        found = seen["jobs"][job.id]
        assert found["status"] == QISKIT_WORDS[word]
        if word == "failed":
            assert job.failure is not None
            assert job.failure[0] in found["failure"]
        if word == "completed":
            assert job.started_at is not None
            assert found["counts"] == job.shots
            assert found["probability"] == pytest.approx(1.0)
            assert found["seconds"] == pytest.approx((job.ended_at - job.started_at).total_seconds())


def _check_calibration(seen: dict[str, Any], cloud: Cloud) -> None:
    backend = cloud.backend("qpu.forte-1")
    assert backend is not None
    at = backend.calibrated_at(NOW)
    planned = ionq_wire.characterization(backend, at, cloud.seed)
    assert seen["simulator_calibration"] is None
    assert seen["calibration"] == {
        "id": ionq_wire.characterization_id(backend, at),
        "backend": "qpu.forte-1",
        "date": at.isoformat(),
        "qubits": 36,
        "pairs": 36 * 35 // 2,
        "spam": planned["fidelity"]["spam"]["median"],
        "fidelity": planned["fidelity"],
        "timing": planned["timing"],
    }
