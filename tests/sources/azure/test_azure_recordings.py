"""Real traffic of Azure Quantum, recorded and published by its client's authors, read without loss.

``jobs_table.csv`` was written by ``jobs_table.py``, which shares no code with qobs. Checked by hand against the recorded
text, times subtracted on paper: 17 rows, every target and every status:

* rigetti.sim.qvm, Succeeded: 146b1228, 139926e6, d8a8e9f6, 9411616c
* ionq.simulator, Succeeded: 94893cce, ee3f1780, c500aa0a, a9342dee
* ionq.simulator, Failed (none of them ever began): 6dc96264, 6d0812e4, 648d3216, 2968d372
* quantinuum.sim.h1-1sc: 25ed5a04; quantinuum.sim.h1-1e: afe35b06
* microsoft.estimator: 1b83891e, 14fec518, a4510e0c
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qobs.model import BackendState, FailureClass, Job, JobState
from qobs.sources.quantum.azure_jobs import STATES

Table = list[dict[str, str]]


@pytest.fixture(scope="module")
def table() -> Table:
    with (Path(__file__).parents[2] / "fixtures" / "azure" / "jobs_table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def listed(recording: Callable[..., Any], normalize: Callable[..., Any]) -> list[Job]:
    """All jobs of the recorded listing, normalized page by page; fails on anything set aside or not translated."""
    jobs: list[Job] = []
    for exchange in recording("list_jobs_orderby_desc"):
        if exchange.path == "/jobs":
            batch = normalize(exchange.body)
            assert (batch.quarantined, batch.unmapped) == ((), ())
            jobs.extend(batch.jobs)
    return jobs


def text(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def queue_seconds(job: Job) -> str:
    if job.started_at is None or job.submitted_at is None:
        return ""
    return f"{(job.started_at - job.submitted_at).total_seconds():.6f}"


def test_every_recorded_job_is_normalized_and_equals_the_table(listed: list[Job], table: Table) -> None:
    """A job that is dropped, or whose wait is off by a microsecond, makes every indicator built on it wrong."""
    read = [
        {
            "id": job.id,
            "backend": job.backend,
            "raw_status": job.raw_state,
            "state": job.state.value,
            "submitted_at": text(job.submitted_at),
            "started_at": text(job.started_at),
            "ended_at": text(job.ended_at),
            "queue_seconds": queue_seconds(job),
        }
        for job in listed
    ]
    assert read == table


def test_the_recording_holds_what_we_think_it_holds(listed: list[Job]) -> None:
    """A fixture that shrank unnoticed would let the test above pass on nothing."""
    assert len({job.id for job in listed}) == len(listed) == 239
    assert Counter((job.backend, job.state) for job in listed) == {
        ("rigetti.sim.qvm", JobState.COMPLETED): 121,
        ("ionq.simulator", JobState.COMPLETED): 60,
        ("ionq.simulator", JobState.FAILED): 50,
        ("microsoft.estimator", JobState.COMPLETED): 6,
        ("quantinuum.sim.h1-1e", JobState.COMPLETED): 1,
        ("quantinuum.sim.h1-1sc", JobState.COMPLETED): 1,
    }
    assert all(job.settled for job in listed)
    assert Counter(job.sdk for job in listed) == {"qiskit": 236, None: 3}
    assert Counter(job.batch is not None for job in listed) == {False: 232, True: 7}
    assert Counter(job.currency for job in listed) == {"USD": 183, None: 56}
    assert Counter(job.shots is None for job in listed) == {False: 233, True: 6}


def test_the_recorded_failures_are_one_root_cause(listed: list[Job]) -> None:
    """Fifty jobs that failed for one reason must be one line on the on-call page, not fifty."""
    failures = [job.failure for job in listed if job.state is JobState.FAILED]
    assert len(failures) == 50
    assert {(failure.code, failure.signature) for failure in failures if failure} == {
        ("PropertyNotSpecified", failures[0].signature if failures[0] else "")
    }


def jobs_in(exchanges: Any) -> list[dict[str, Any]]:
    """Every job body that an exchange answered with (listing pages left out)."""
    found = [json.loads(each.body) for each in exchanges if each.path.startswith("/jobs/") and each.method in ("GET", "PUT")]
    return [body for body in found if body.get("itemType") == "Job"]


def test_every_job_answer_of_every_recording_is_normalized(recordings: Mapping[str, Any], normalize: Callable[..., Any]) -> None:
    """All providers and all stages of a job's life that were recorded must be understood."""
    words: Counter[tuple[str, str]] = Counter()
    for exchanges in recordings.values():
        for body in jobs_in(exchanges):
            batch = normalize(body, kind="job", id=body["id"])
            assert (len(batch.jobs), batch.quarantined, batch.unmapped) == (1, (), ())
            words[(batch.jobs[0].raw_state, batch.jobs[0].state.value)] += 1
    assert words == {
        ("Waiting", "queued"): 69,
        ("Executing", "running"): 8,
        ("Finishing", "running"): 1,
        ("Succeeded", "completed"): 26,
        ("Failed", "failed"): 3,
    }


SUBMITTED = {
    "job_submit_ionq": ("ionq.simulator", None, None, 2.075702),
    "job_submit_pasqal_with_shots_param": ("pasqal.sim.emu-tn", 150, None, 31.354787),
    "job_submit_quantinuum_with_shots": ("quantinuum.sim.h2-1sc", 100, None, 2.610210),
    "job_submit_rigetti_with_count": ("rigetti.sim.qvm", 100, None, 2.924640),
    "plugins_submit_qiskit_to_quantinuum": ("quantinuum.sim.h2-1e", 500, 4, 187.109753),
    "qiskit_endianness_submit_to_rigetti": ("rigetti.sim.qvm", 100, 3, 6.440094),
    "job_get_results_with_expired_sas_token": ("echo-output", None, None, 1.093461),
}
"""Recording: backend, shots, qubits, seconds from creation to start, each read off the recorded text by hand."""


@pytest.mark.parametrize("name", SUBMITTED)
def test_a_recorded_submission_ends_with_its_own_figures(
    name: str, recording: Callable[..., Any], normalize: Callable[..., Any]
) -> None:
    """Shots, qubits and queue time stand in different places for each provider behind Azure."""
    last = jobs_in(recording(name))[-1]
    job = normalize(last, kind="job", id=last["id"]).jobs[0]
    backend, shots, qubits, waited = SUBMITTED[name]
    assert (job.state, job.settled) == (JobState.COMPLETED, True)
    assert (job.backend, job.shots, job.qubits, job.circuits) == (backend, shots, qubits, 1)
    assert job.started_at is not None
    assert job.submitted_at is not None
    assert (job.started_at - job.submitted_at).total_seconds() == waited


@pytest.mark.parametrize("name", [*SUBMITTED, "quil_syntax_error"])
def test_a_recorded_life_only_moves_forward_and_each_step_is_newer(
    name: str, recording: Callable[..., Any], normalize: Callable[..., Any]
) -> None:
    """A step that looked no newer than the one before would be thrown away by the store: the job would seem to hang.

    The service's own ``lastModifiedTime`` fails this test: it stays the same from Waiting to Executing.
    """
    order = {JobState.QUEUED: 0, JobState.RUNNING: 1, JobState.COMPLETED: 2, JobState.FAILED: 2}
    life = [normalize(body, kind="job", id=body["id"]).jobs[0] for body in jobs_in(recording(name))]
    assert len({job.state for job in life}) > 1
    for before, after in pairwise(life):
        assert order[before.state] <= order[after.state]
        assert before.updated_at is not None
        assert after.updated_at is not None
        assert before.updated_at < after.updated_at if before.state != after.state else before.updated_at <= after.updated_at


def test_a_recorded_syntax_error_is_the_users(recording: Callable[..., Any], normalize: Callable[..., Any]) -> None:
    """A mistake in a circuit must not page anybody about the provider."""
    last = jobs_in(recording("quil_syntax_error"))[-1]
    job = normalize(last, kind="job", id=last["id"]).jobs[0]
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert (job.failure.kind, job.failure.code) == (FailureClass.USER, "InvalidInputData")
    assert job.failure.message is not None
    assert "the operator a is not known" in job.failure.message


def test_recorded_sessions_use_known_words_and_are_no_jobs(recording: Callable[..., Any], normalize: Callable[..., Any]) -> None:
    """A session counted as a job would be a success or failure that never happened."""
    pages = [each.body for each in recording("list_sessions") if each.path == "/sessions"]
    sessions = [session for page in pages for session in json.loads(page)["value"]]
    assert len(sessions) == 152
    assert Counter(session["status"] for session in sessions) == {
        "Succeeded": 124,
        "Failed": 19,
        "TimedOut": 8,
        "Executing": 1,
    }
    assert all(session["status"] in STATES for session in sessions)
    for page in pages:
        batch = normalize(page)
        assert (batch.jobs, batch.quarantined) == ((), ())


def test_recorded_targets_have_honest_queue_times_and_no_keys(
    recording: Callable[..., Any], normalize: Callable[..., Any]
) -> None:
    """A queue of 0 seconds on a machine that is down would send jobs there."""
    page = next(each.body for each in recording("workspace_get_target_ionq") if each.path == "/providerStatus")
    batch = normalize(page, kind="providerStatus")
    assert (len(batch.backends), batch.quarantined, batch.unmapped) == (35, (), ())
    by_name = {status.backend: status for status in batch.backends}
    rows = {
        name: (status.state, status.raw_state, status.queue_wait_seconds, status.technology, status.simulator)
        for name, status in by_name.items()
    }
    assert rows["ionq.qpu.aria-1"] == (BackendState.OFFLINE, "Unavailable", None, "trapped_ion", False)
    assert rows["ionq.simulator"] == (BackendState.ONLINE, "Available", 37.0, "simulator", True)
    assert rows["ionq.qpu.forte-enterprise-1"] == (BackendState.ONLINE, "Available", 0.0, "trapped_ion", False)
    assert rows["pasqal.qpu.fresnel"] == (BackendState.ONLINE, "Degraded", None, "neutral_atom", False)
    assert rows["quantinuum.qpu.h1-1"] == (BackendState.ONLINE, "Available", 103308.0, "trapped_ion", False)
    assert rows["rigetti.qpu.cepheus-1-36q"] == (BackendState.ONLINE, "Available", 5.0, "superconducting", False)
    assert rows["qci.machine1"] == (BackendState.OFFLINE, "Unavailable", None, "superconducting", False)
    assert rows["echo-output"] == (BackendState.ONLINE, "Available", 1.0, None, None)
    assert b"key=" not in msgspec.json.encode(batch)


def test_recorded_quotas_are_read(recording: Callable[..., Any], normalize: Callable[..., Any]) -> None:
    """An allowance that is used up stops all jobs; it has to be seen before."""
    page = next(each.body for each in recording("workspace_job_quotas") if each.path == "/quotas")
    batch = normalize(page, kind="quotas")
    assert batch.quarantined == ()
    assert [(q.dimension, q.scope, q.target, q.limit, q.used, q.held, q.period) for q in batch.quotas] == [
        ("concurrent_dft_jobs", "Subscription", "microsoft-elements", 5.0, 0.0, 0.0, None),
        ("concurrent_resource_estimator_jobs", "Workspace", "microsoft-qc", 10.0, 0.0, 0.0, None),
    ]


def test_no_record_of_any_recording_keeps_a_signature(recordings: Mapping[str, Any], normalize: Callable[..., Any]) -> None:
    """Signed links open a user's data to whoever reads the store, a backup or a support bundle."""
    signed = 0
    for exchanges in recordings.values():
        for each in exchanges:
            kind = {"/jobs": "jobs", "/providerStatus": "providerStatus", "/quotas": "quotas"}.get(each.path)
            if kind is None and each.path.startswith("/jobs/") and each.method in ("GET", "PUT"):
                kind = "job"
            if kind is None:
                continue
            kept = msgspec.json.encode(normalize(each.body, kind=kind, id="x"))
            signed += "sig=" in each.body
            assert not any(mark in kept for mark in (b"sig=", b"sv=", b"blob.core.windows.net", b"key="))
    assert signed > 50


def test_times_of_the_recording_are_in_utc_and_in_the_past(listed: list[Job]) -> None:
    """A time read in the wrong zone shifts every window by hours."""
    newest = max(job.updated_at for job in listed if job.updated_at)
    assert newest == datetime(2024, 3, 29, 20, 45, 47, 49190, tzinfo=UTC)
