"""The promises of every source that can tell what a finished job ran and measured, whatever its wire format."""

from __future__ import annotations

from typing import Any

import pytest

from qobs.errors import BadPayload, Refused, SourceError, Unavailable
from qobs.lab.faults import login_page, status, truncated
from qobs.model import Job, JobState, Raw, Reason
from qobs.result import Execution
from qobs.sources.base import ResultSource

ONE_JOB = {"ibm": "/api/v1/jobs/*", "ionq": "/v0.4/jobs/*", "azure": "*/workspaces/*/jobs/*"}


@pytest.fixture
async def finished(bench: Any) -> list[Job]:
    """Every job of the emulated cloud that has completed; skips a source that tells no results."""
    if not isinstance(bench.source, ResultSource):
        pytest.skip("this source tells no results")
    jobs = await bench.jobs()
    return [job for job in jobs.values() if job.state is JobState.COMPLETED]


async def _read(bench: Any, job: Job) -> tuple[Raw, Execution]:
    raw = await bench.source.fetch_result(bench.client.for_poll(), job)
    return raw, bench.source.execution(raw, job)


async def test_every_finished_job_has_programs_or_a_reason(bench: Any, finished: list[Job]) -> None:
    """A job without either would wait for its verdict for ever, and nobody would know why."""
    seen = set()
    for job in finished[:25]:
        _, execution = await _read(bench, job)
        assert (execution.missing is None) == bool(execution.programs)
        assert execution.key == job.key
        assert (execution.source, execution.backend) == (job.source, job.backend)
        assert execution.executed_at in (job.started_at, job.ended_at, job.submitted_at)
        seen.add(bool(execution.programs))
        for program in execution.programs:
            assert program.circuit
            assert bool(program.counts) != bool(program.probabilities)
            assert not program.counts or sum(program.counts.values()) == program.shots
    assert True in seen, "no job of the emulated cloud could be verified"


async def test_one_answer_gives_one_execution(bench: Any, finished: list[Job]) -> None:
    """A verdict can be checked later only if the same answers always read the same."""
    raw, execution = await _read(bench, finished[-1])
    assert bench.source.execution(raw, finished[-1]) == execution
    assert (await _read(bench, finished[-1]))[1] == execution


@pytest.mark.parametrize("spoil", [truncated(), login_page()], ids=["truncated", "html"])
async def test_a_job_that_cannot_be_read_is_a_bad_payload(bench: Any, finished: list[Job], spoil: Any) -> None:
    """Read as "nothing to verify", a login page would silence the verification of all jobs."""
    bench.faults.add(spoil, path=ONE_JOB[bench.adapter.settings("http://x").type])
    with pytest.raises(BadPayload):
        await _read(bench, finished[0])


async def test_a_service_that_is_ill_is_unavailable(bench: Any, finished: list[Job]) -> None:
    """The result is asked for again later: that needs an error that says so."""
    bench.faults.add(status(503), path=ONE_JOB[bench.adapter.settings("http://x").type], times=None)
    with pytest.raises(Unavailable):
        await _read(bench, finished[0])


async def test_a_job_that_is_gone_is_not_found(bench: Any, finished: list[Job]) -> None:
    """Asked for again and again, a deleted job would block the queue."""
    bench.cloud.remove(finished[0].id)
    with pytest.raises(Refused) as caught:
        await _read(bench, finished[0])
    assert caught.value.reason is Reason.NOT_FOUND


async def test_no_secret_shows_in_what_goes_wrong(bench: Any, finished: list[Job]) -> None:
    """Messages go into logs, metrics' exemplars and pages."""
    bench.faults.add(status(500), path=ONE_JOB[bench.adapter.settings("http://x").type], times=None)
    with pytest.raises(SourceError) as caught:
        await _read(bench, finished[0])
    assert not any(secret in f"{caught.value} {caught.value!r}" for secret in bench.adapter.SECRETS)
