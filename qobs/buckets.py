"""Names, labels and bucket bounds of the counters that are derived from jobs: one table for those who count and those who show.

A duration is observed once, when its job has ended, and falls into exactly **one** bucket: the smallest bound that holds it.
The exposition adds the buckets up, as the Prometheus format wants them cumulative.
"""

from __future__ import annotations

from typing import NamedTuple

QUEUE_BOUNDS = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 259_200.0, 604_800.0)
"""Seconds from 1 s to 7 d: waiting for a quantum computer, and the whole way from submission to result."""

EXECUTION_BOUNDS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)
"""Seconds from 0.1 s to 1 h: running on one."""

INFINITE = "+Inf"
"""The ``le`` of durations above the last bound."""

SUM = "sum"
"""Trailing label of the seconds themselves (not a bucket)."""


class JobCounter(NamedTuple):
    """One counter or histogram derived from jobs: ``bounds`` is None for a counter, upper bounds in seconds otherwise.

    ``labels`` are in the order of :attr:`qobs.model.Count.labels`; a histogram's counts carry one label more, the bucket.
    """

    name: str
    labels: tuple[str, ...]
    help: str
    bounds: tuple[float, ...] | None = None


WHERE = ("provider", "source", "backend")

SUBMITTED = JobCounter("qobs_jobs_submitted_total", WHERE, "Jobs known to the provider, in whatever state.")
FINISHED = JobCounter("qobs_jobs_finished_total", (*WHERE, "state"), "Jobs that completed, failed or were cancelled.")
FAILED = JobCounter(
    "qobs_jobs_failed_total", (*WHERE, "reason"), "Jobs that failed, or that the provider cancelled, by class of the failure."
)
SHOTS = JobCounter("qobs_job_shots_total", WHERE, "Shots of completed jobs.")
QUANTUM_SECONDS = JobCounter("qobs_job_quantum_seconds_total", WHERE, "Seconds on the quantum processor that ended jobs used.")
QUEUE_DURATION = JobCounter(
    "qobs_job_queue_duration_seconds", WHERE, "Wait of ended jobs, from queued (or submitted) to execution start.", QUEUE_BOUNDS
)
EXECUTION_DURATION = JobCounter(
    "qobs_job_execution_duration_seconds", WHERE, "Execution of ended jobs, from start to end.", EXECUTION_BOUNDS
)
TURNAROUND_DURATION = JobCounter(
    "qobs_job_turnaround_duration_seconds", WHERE, "Way of completed jobs, from submission to result.", QUEUE_BOUNDS
)

JOB_COUNTERS = (
    SUBMITTED,
    FINISHED,
    FAILED,
    SHOTS,
    QUANTUM_SECONDS,
    QUEUE_DURATION,
    EXECUTION_DURATION,
    TURNAROUND_DURATION,
)
"""Every counter that a job adds to."""


def bucket_labels(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """The ``le`` texts of the bounds and of ``+Inf``, as OpenMetrics spells them; bounds are inclusive.

    Example:
        >>> bucket_labels((0.1, 1.0, 3600.0))
        ('0.1', '1.0', '3600.0', '+Inf')
    """
    return (*(repr(float(bound)) for bound in bounds), INFINITE)
