"""The emulated workspace is what Microsoft's own client understands.

Set ``QOBS_CONTRACT_AZURE_PYTHON`` to the interpreter of an environment that holds ``requirements.txt`` beside this file.
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

from qobs.lab import azure
from qobs.lab.azure_wire import WORDS
from qobs.lab.clock import LabClock
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabJob
from qobs.model import JobState

PYTHON = "QOBS_CONTRACT_AZURE_PYTHON"
BEGINS = datetime(2026, 3, 2, 6, tzinfo=UTC)
NOW = BEGINS + timedelta(hours=6)
DOWN = "pasqal.qpu.fresnel"

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} names no environment with the official Azure client"),
]


def _cloud() -> Cloud:
    """Six hours of jobs, one planned job more in each state that lasts, and two sessions."""
    cloud = azure.default_cloud(11, BEGINS)
    model = next(job for job in cloud.jobs(NOW) if job.backend == "ionq.qpu.forte-1" and job.outcome is JobState.COMPLETED)
    minute = timedelta(minutes=1)
    early = NOW - 5 * minute
    plans: list[dict[str, Any]] = [
        {"submitted_at": early, "started_at": NOW + minute, "ended_at": NOW + 2 * minute, "batch": "session-live"},
        {"submitted_at": early, "started_at": NOW - minute, "ended_at": NOW + 2 * minute, "batch": "session-live"},
        {"submitted_at": early, "started_at": None, "ended_at": NOW - minute, "outcome": JobState.CANCELLED},
        {"submitted_at": early, "ended_at": NOW - minute, "outcome": JobState.FAILED, "failure": ("InvalidInputData", "no")},
        {"submitted_at": early, "started_at": early + minute, "ended_at": NOW - minute, "batch": "session-done"},
    ]
    for index, plan in enumerate(plans):
        cloud.add(replace(model, id=f"00000000-0000-4000-8000-00000000000{index}", **plan))
    return cloud


async def _ask_client(url: str, token: str, job_id: str) -> dict[str, Any]:
    place = (azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, azure.WORKSPACE)
    process = await asyncio.create_subprocess_exec(
        os.environ[PYTHON],
        str(Path(__file__).with_name("client.py")),
        *(url, azure.API_KEY, token, *place, job_id),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


def _to_the_millisecond(at: datetime | None) -> str | None:
    return None if at is None else at.replace(microsecond=at.microsecond // 1000 * 1000).isoformat()


def _row(job: LabJob, words: dict[JobState, str]) -> dict[str, Any]:
    state = job.state(NOW)
    assert state is not None
    return {
        "status": words[state],
        "target": job.backend,
        "provider": job.backend.partition(".")[0],
        "name": job.name,
        "created": job.submitted_at.isoformat(),
        "began": _to_the_millisecond(job.started_at) if job.started_at and job.started_at <= NOW else None,
        "ended": _to_the_millisecond(job.ended_at) if state.terminal else None,
        "error": job.failure[0] if job.failure and state is JobState.FAILED else None,
        "cost": job.cost if state is JobState.COMPLETED else None,
        "shots": job.shots,
    }


@pytest.mark.parametrize("kind", ["V1", "V2"])
async def test_the_official_client_reads_the_emulated_workspace_as_it_was_planned(kind: str) -> None:
    """If this fails, qobs is tested against a service that Azure's own users would not recognise."""
    cloud, words = _cloud(), dict(WORDS[kind])
    jobs = cloud.jobs(NOW)
    chosen = next(job for job in jobs if job.state(NOW) is JobState.COMPLETED)
    assert {job.state(NOW) for job in jobs} == set(words), "the plan must hold a job in each state"
    app = azure.application(cloud, LabClock(NOW), kind=kind, availability={DOWN: "Unavailable"})
    token = app[azure.TOKENS].issue(NOW + timedelta(hours=1))
    async with serve(app) as url:
        seen = await _ask_client(url, token, chosen.id)
    _check_low_level(seen["low"], cloud, chosen, words)
    _check_public(seen["public"], cloud, chosen, words)
    assert seen["errors"] == {"wrong_key": 401}
    assert seen["bearer"] == 4


def _check_low_level(seen: dict[str, Any], cloud: Cloud, chosen: LabJob, words: dict[JobState, str]) -> None:
    jobs = cloud.jobs(NOW)
    assert len(jobs) > 2 * azure.LARGEST_PAGE
    assert seen["jobs"] == {job.id: _row(job, words) for job in jobs}
    assert seen["job"] == _row(chosen, words)
    assert seen["providers"].keys() == {backend.name for backend in cloud.backends}
    for backend in cloud.backends:
        provider, availability, queue = seen["providers"][backend.name]
        queued = cloud.queue_length(backend.name, NOW) * backend.execution_seconds
        assert provider == backend.name.partition(".")[0]
        assert (availability, queue) == (("Unavailable", 0) if backend.name == DOWN else ("Available", int(queued)))
    assert [quota[:3] + quota[4:] for quota in seen["quotas"]] == [
        ["gs2q", "Workspace", "ionq", 100_000.0],
        ["hqc", "Workspace", "quantinuum", 100_000.0],
        ["qpu_time_centiseconds", "Workspace", "rigetti", 100_000.0],
        ["compute-time-qpu", "Workspace", "pasqal", 100_000.0],
    ]
    assert seen["sessions"] == {"session-live": ["Executing", True], "session-done": ["Succeeded", False]}


def _check_public(seen: dict[str, Any], cloud: Cloud, chosen: LabJob, words: dict[JobState, str]) -> None:
    jobs = cloud.jobs(NOW)
    assert (seen["listed"], seen["today"], seen["until_tomorrow"], seen["tomorrow"]) == (len(jobs), len(jobs), len(jobs), 0)
    assert seen["newest"] == [job.id for job in reversed(jobs)]
    assert seen["failed"] == sorted(
        job.id for job in jobs if job.state(NOW) is JobState.FAILED and job.backend.startswith(("ionq", "rigetti"))
    )
    assert seen["named"] == sorted(job.id for job in jobs if job.name.startswith("vqe") and job.backend == "ionq.simulator")
    assert seen["failed"]
    assert seen["named"]
    assert (seen["finished"], seen["status"]) == (True, words[JobState.COMPLETED])
    assert seen["missing"] == "JobNotFound"
    assert set(seen["targets"]) <= {backend.name for backend in cloud.backends}
    assert {"ionq.qpu.forte-1", "rigetti.sim.qvm"} <= set(seen["targets"])
    assert seen["quotas"] == 4
    assert seen["sessions"] == {name: f"session-{name}" for name in ("session-live", "session-done")}
    assert seen["session_jobs"] == {"session-live": 2, "session-done": 1}
    assert seen["items"] == len(jobs) - 3 + 2
