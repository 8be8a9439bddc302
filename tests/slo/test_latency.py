"""Latency quantiles on jobs of which some have not ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from qobs.model import Job, JobState
from qobs.slo.latency import latency_quantiles

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = NOW - timedelta(days=1)
PLACE = ("acme", "lab", "qpu")


def job(job_id: int, submitted_minutes_ago: float, took_minutes: float | None, state: JobState) -> Job:
    submitted = NOW - timedelta(minutes=submitted_minutes_ago)
    ended = None if took_minutes is None else submitted + timedelta(minutes=took_minutes)
    return Job(
        provider="acme",
        source="lab",
        account="a",
        id=str(job_id),
        backend="qpu",
        state=state,
        submitted_at=submitted,
        ended_at=ended,
    )


def test_the_median_of_finished_jobs_is_their_median():
    """Without open jobs the estimate must be the plain quantile, or nobody will believe the other cases."""
    jobs = [job(index, 600, minutes, JobState.COMPLETED) for index, minutes in enumerate((1, 2, 3, 4))]
    assert latency_quantiles(jobs, since=DAY, now=NOW, quantiles=(0.5,)) == {(PLACE, 0.5): 120.0}


def test_jobs_that_still_wait_push_the_quantile_up():
    """A queue that stalls must show in the median at once, not when the jobs end hours later."""
    done = [job(index, 600, 1, JobState.COMPLETED) for index in range(4)]
    stuck = [job(10 + index, 300, None, JobState.QUEUED) for index in range(4)]
    told = latency_quantiles([*done, *stuck], since=DAY, now=NOW)
    assert told == {(PLACE, 0.5): 60.0}, "the 0.9 quantile is not reached: it is not known, and must not be made up"


def test_failed_jobs_do_not_make_a_backend_look_fast():
    """Jobs that fail within a second have no result; a backend that fails everything is not a fast one."""
    jobs = [job(index, 600, 0.01, JobState.FAILED) for index in range(9)] + [job(9, 600, 5, JobState.COMPLETED)]
    assert latency_quantiles(jobs, since=DAY, now=NOW, quantiles=(0.5, 1.0)) == {(PLACE, 0.5): 300.0, (PLACE, 1.0): 300.0}


def test_old_jobs_and_unknown_states_are_left_out():
    """The figure is about the last day; a vanished job tells nothing about how long results take."""
    jobs = [job(1, 60 * 30, 600, JobState.COMPLETED), job(2, 60, None, JobState.UNKNOWN), job(3, 60, 2, JobState.COMPLETED)]
    assert latency_quantiles(jobs, since=DAY, now=NOW, quantiles=(0.5,)) == {(PLACE, 0.5): 120.0}
