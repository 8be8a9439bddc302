"""Counters derived from jobs, against a plain reading of their definitions."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from qobs.buckets import EXECUTION_BOUNDS, JOB_COUNTERS, QUEUE_BOUNDS, SUM, bucket_labels
from qobs.model import Failure, FailureClass, Job, JobState
from qobs.slo.tallies import Tallies

T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
WHERE = ("ibm", "lab", "ibm_fez")
QUEUE, EXECUTION, TURNAROUND = (f"qobs_job_{word}_duration_seconds" for word in ("queue", "execution", "turnaround"))
SUBMITTED = ("qobs_jobs_submitted_total", WHERE)


def finished(state: str) -> tuple[str, tuple[str, ...]]:
    return ("qobs_jobs_finished_total", (*WHERE, state))


def failed(reason: str) -> tuple[str, tuple[str, ...]]:
    return ("qobs_jobs_failed_total", (*WHERE, reason))


def seconds(count: float) -> datetime:
    return T0 + timedelta(seconds=count)


def job(state: JobState, kind: FailureClass | None = None, **fields: object) -> Job:
    failure = None if kind is None else Failure(kind=kind)
    told = {"backend": "ibm_fez", **fields}
    return Job(provider="ibm", source="lab", account="a", id="1", state=state, failure=failure, **told)  # type: ignore[arg-type]


def tally(record: Job) -> dict[tuple[str, tuple[str, ...]], float]:
    counts = Tallies().tally(record)
    assert len({(count.name, count.labels) for count in counts}) == len(counts)
    return {(count.name, count.labels): count.amount for count in counts}


def test_a_completed_job_adds_to_every_counter_once() -> None:
    """The counters of one ordinary job, all of them."""
    done = job(
        JobState.COMPLETED,
        submitted_at=T0,
        started_at=seconds(60),
        ended_at=seconds(62.5),
        shots=4000,
        quantum_seconds=1.5,
    )
    assert tally(done) == {
        SUBMITTED: 1,
        finished("completed"): 1,
        ("qobs_job_shots_total", WHERE): 4000,
        ("qobs_job_quantum_seconds_total", WHERE): 1.5,
        (QUEUE, (*WHERE, "60.0")): 1,
        (QUEUE, (*WHERE, SUM)): 60,
        (EXECUTION, (*WHERE, "5.0")): 1,
        (EXECUTION, (*WHERE, SUM)): 2.5,
        (TURNAROUND, (*WHERE, "300.0")): 1,
        (TURNAROUND, (*WHERE, SUM)): 62.5,
    }


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (job(JobState.QUEUED, shots=10), {SUBMITTED}),
        (job(JobState.RUNNING, quantum_seconds=3.0), {SUBMITTED}),
        (job(JobState.UNKNOWN, started_at=T0, ended_at=T0), {SUBMITTED}),
        (job(JobState.CANCELLED, shots=10), {SUBMITTED, finished("cancelled")}),
        (job(JobState.CANCELLED, FailureClass.HARDWARE), {SUBMITTED, finished("cancelled"), failed("hardware")}),
        (job(JobState.CANCELLED, FailureClass.USER), {SUBMITTED, finished("cancelled")}),
        (job(JobState.FAILED, shots=10), {SUBMITTED, finished("failed"), failed("unknown")}),
        *((job(JobState.FAILED, kind), {SUBMITTED, finished("failed"), failed(kind)}) for kind in FailureClass),
        (
            job(JobState.FAILED, quantum_seconds=2.0),
            {SUBMITTED, finished("failed"), failed("unknown"), ("qobs_job_quantum_seconds_total", WHERE)},
        ),
        (
            job(JobState.FAILED, submitted_at=T0, ended_at=T0),
            {SUBMITTED, finished("failed"), failed("unknown")},
        ),
    ],
)
def test_what_a_state_adds_to(record: Job, expected: set[tuple[str, tuple[str, ...]]]) -> None:
    """Shots that were never run, and turnarounds without a result, are not counted."""
    assert set(tally(record)) == expected


@pytest.mark.parametrize(
    ("wait", "le"),
    [(0, "1.0"), (1, "1.0"), (1.000001, "10.0"), (604_800, "604800.0"), (604_801, "+Inf"), (-30, "1.0")],
)
def test_a_duration_falls_into_the_one_bucket_that_holds_it(wait: float, le: str) -> None:
    """Bounds are inclusive, as Prometheus reads ``le``; buckets are not cumulative before the exposition adds them up."""
    counts = tally(job(JobState.COMPLETED, submitted_at=T0, started_at=seconds(wait)))
    assert {labels[-1]: amount for (name, labels), amount in counts.items() if name == QUEUE} == {le: 1, SUM: max(0, wait)}


def test_the_wait_begins_when_the_job_was_ready() -> None:
    """A job that was held back by its owner did not wait for the queue."""
    counts = tally(job(JobState.COMPLETED, submitted_at=T0, queued_at=seconds(50), started_at=seconds(60)))
    assert counts[(QUEUE, (*WHERE, SUM))] == 10


@pytest.mark.parametrize("used", [-1.0, 0.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("shots", [-1, 0])
def test_impossible_amounts_are_left_out(used: float, shots: int) -> None:
    """One NaN in a counter would be there for ever, and a negative one would look like a restart."""
    assert set(tally(job(JobState.COMPLETED, quantum_seconds=used, shots=shots))) == {SUBMITTED, finished("completed")}


def test_a_job_without_backend_has_an_empty_label() -> None:
    """None must not become the word None in a label."""
    assert tally(job(JobState.QUEUED, backend=None)) == {("qobs_jobs_submitted_total", ("ibm", "lab", "")): 1}


def test_many_backends_do_not_grow_the_memory() -> None:
    """Names of backends come from providers: what is kept of them is bounded, and forgetting changes no count."""
    tallies = Tallies()
    for number in range(1500):
        tallies.tally(job(JobState.QUEUED, backend=f"b{number}"))
    assert len(tallies._places) <= 1024
    assert tallies.tally(job(JobState.QUEUED, backend="b0"))[0].labels == ("ibm", "lab", "b0")


def test_every_count_is_in_the_table_with_its_labels() -> None:
    """The exposition knows only the names, labels and buckets of the table."""
    table = {row.name: row for row in JOB_COUNTERS}
    times = {"submitted_at": T0, "started_at": seconds(5), "ended_at": seconds(1e7)}
    for state in JobState:
        for count in Tallies().tally(job(state, FailureClass.PROVIDER, shots=1, quantum_seconds=1.0, **times)):
            row = table[count.name]
            assert len(count.labels) == len(row.labels) + (row.bounds is not None)
            if row.bounds is not None:
                assert count.labels[-1] in (*bucket_labels(row.bounds), SUM)


def test_bounds_are_rising_and_those_of_the_documentation() -> None:
    """Dashboards and recorded history hold these bounds: changing one breaks both."""
    assert QUEUE_BOUNDS == (1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86_400, 3 * 86_400, 7 * 86_400)
    assert (EXECUTION_BOUNDS[0], EXECUTION_BOUNDS[-1]) == (0.1, 3600)
    assert list(EXECUTION_BOUNDS) == sorted(set(EXECUTION_BOUNDS))
