"""From a slow bucket to the trace of a job in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from qobs.buckets import EXECUTION_DURATION, FAILED, QUEUE_DURATION, TURNAROUND_DURATION
from qobs.daemon.exemplars import exemplars
from qobs.model import Failure, FailureClass, Job, JobState

BEGIN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WHERE = ("acme", "lab", "qpu")


def job(trace: str | None, *, wait: float, run: float, state: JobState = JobState.COMPLETED, later: float = 0) -> Job:
    submitted = BEGIN + timedelta(seconds=later)
    started = submitted + timedelta(seconds=wait)
    return Job(
        provider="acme",
        source="lab",
        account="a",
        id=f"{trace}-{later}",
        backend="qpu",
        state=state,
        submitted_at=submitted,
        started_at=started,
        ended_at=started + timedelta(seconds=run),
        failure=Failure(kind=FailureClass.HARDWARE) if state is JobState.FAILED else None,
        trace_id=trace,
    )


def test_each_duration_points_at_its_bucket():
    """A click on a slow bucket must open a slow job, not any job."""
    found = exemplars([job("t1", wait=42, run=3)])
    assert found[QUEUE_DURATION.name][(*WHERE, "60.0")].value == 42
    assert found[EXECUTION_DURATION.name][(*WHERE, "5.0")].value == 3
    assert found[TURNAROUND_DURATION.name][(*WHERE, "60.0")].value == 45
    assert found[QUEUE_DURATION.name][(*WHERE, "60.0")].trace_id == "t1"


def test_the_newest_job_of_a_bucket_wins():
    """An exemplar of last night is of little use to who looks at this minute."""
    jobs = [job("old", wait=42, run=3), job("new", wait=43, run=3, later=600)]
    for order in (jobs, jobs[::-1]):
        assert exemplars(order)[QUEUE_DURATION.name][(*WHERE, "60.0")].trace_id == "new"


def test_failures_point_at_their_class():
    """The counter of hardware failures must lead to a job that the hardware failed."""
    found = exemplars([job("t1", wait=1, run=1, state=JobState.FAILED)])
    assert found[FAILED.name][(*WHERE, "hardware")].trace_id == "t1"
    assert TURNAROUND_DURATION.name not in found


def test_jobs_without_a_trace_give_nothing():
    """A made-up trace id would lead to a page that says 'not found'."""
    assert exemplars([job(None, wait=42, run=3)]) == {}
