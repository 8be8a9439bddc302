"""What is good, what is bad, what is not counted: one pure function per native indicator, and the table of them.

Each function reads one record and says at which **event time** it counts. A record that passes its limit is bad from that
moment on and stays bad at that moment, whether and however it ends later. Exactly on the limit is good.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from qobs.model import FailureClass, Freshness, Job, JobState
from qobs.result import Verification

Verdict = tuple[bool | None, datetime | None]
"""(good, at). ``good`` True or False: counted at ``at``. ``good`` None: not counted, until ``at`` may change that (None: never).

A plain tuple, for three of them are made of every job.
"""

NOT_COUNTED: Verdict = (None, None)

JobJudge = Callable[[Job, timedelta, datetime], Verdict]
"""(job, limit, now) to verdict."""

FreshnessJudge = Callable[[Freshness, timedelta], Verdict]
"""(reading, limit) to verdict."""

ResultJudge = Callable[[Verification], Verdict]
"""Verification to verdict: its limit was part of the test already."""

_PROVIDER_SIDE = frozenset({FailureClass.PROVIDER, FailureClass.HARDWARE, FailureClass.QUEUE})
# An enum member costs more to look up on its class than to compare.
_COMPLETED, _FAILED, _CANCELLED, _RUNNING = JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.RUNNING
_RESULTS = {"consistent": True, "worse": False}
_FIRST_MOMENT_AFTER = timedelta(microseconds=1)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def provider_cancelled(job: Job) -> bool:
    """True for a cancelled job whose failure class says that the provider, and not the user, ended it."""
    return job.state is _CANCELLED and job.failure is not None and job.failure.kind in _PROVIDER_SIDE


def job_success(job: Job, _limit: timedelta, _now: datetime) -> Verdict:
    """M1: whether a job that ended did what it was asked for. Has no limit and does not change by the passing of time.

    Counted at the end; where the provider does not tell it, at the latest time that it does tell.
    """
    state = job.state
    if state is _COMPLETED:
        good = True
    elif state is _FAILED:
        if job.failure is not None and job.failure.kind is FailureClass.USER:
            return NOT_COUNTED
        good = False
    elif provider_cancelled(job):
        good = False
    else:
        return NOT_COUNTED
    at = job.ended_at or job.updated_at or job.started_at or job.queued_at or job.submitted_at
    return NOT_COUNTED if at is None else (good, at)


def job_latency(job: Job, limit: timedelta, now: datetime) -> Verdict:
    """M2: whether the result came within ``limit`` of submission."""
    submitted = job.submitted_at
    if submitted is None:
        return NOT_COUNTED
    ended = job.ended_at
    if ended is None:
        return _latency_without_end(job, submitted, limit) if job.state.terminal else _still_open(submitted, limit, now)
    if ended - submitted > limit:
        return (False, _later(submitted, limit))
    return (True, ended) if job.state is _COMPLETED else NOT_COUNTED


def queue_wait(job: Job, limit: timedelta, now: datetime) -> Verdict:
    """M3: whether execution started within ``limit`` of being queued (of submission, where that is all we know)."""
    since = job.queued_at or job.submitted_at
    if since is None:
        return NOT_COUNTED
    started = job.started_at
    if started is not None:
        return (True, started) if started - since <= limit else (False, _later(since, limit))
    state = job.state
    if state is _RUNNING or state is _COMPLETED:
        return NOT_COUNTED
    ended = job.ended_at
    if ended is not None:
        return (False, _later(since, limit)) if ended - since > limit else NOT_COUNTED
    return NOT_COUNTED if state.terminal else _still_open(since, limit, now)


def calibration_freshness(reading: Freshness, limit: timedelta) -> Verdict:
    """M4: whether the last calibration was at most ``limit`` old in this time slice; one that lies ahead is good."""
    calibrated = reading.calibrated_at
    if calibrated is None:
        return NOT_COUNTED
    return (reading.slice_at - calibrated <= limit, reading.slice_at)


def result_consistency(verification: Verification) -> Verdict:
    """M5: whether a circuit's result agrees with its reference; what could not be decided or compared is not counted."""
    good = _RESULTS.get(verification.verdict)
    return NOT_COUNTED if good is None else (good, verification.executed_at)


def _still_open(since: datetime, limit: timedelta, now: datetime) -> Verdict:
    """Bad once ``now`` is past the limit; before that, nothing until the first moment after it."""
    due = _later(since, limit)
    return (False, due) if now > due else (None, _later(due, _FIRST_MOMENT_AFTER))


def _latency_without_end(job: Job, submitted: datetime, limit: timedelta) -> Verdict:
    """The revision time is not before the end: it proves that a completed job was in time, but never that it was late."""
    updated = job.updated_at
    if job.state is _COMPLETED and updated is not None and updated - submitted <= limit:
        return (True, updated)
    return NOT_COUNTED


def _later(at: datetime, delta: timedelta) -> datetime:
    """Sum, or the last moment of the calendar where a provider's nonsense time leaves it."""
    try:
        return at + delta
    except OverflowError:
        return _END_OF_TIME


J = TypeVar("J", JobJudge, FreshnessJudge, ResultJudge)


class Sli(NamedTuple, Generic[J]):
    """One native indicator: its public name, its judge, and in words what that judge decides."""

    name: str
    judge: J
    good: str
    bad: str
    not_counted: str


JOB_SUCCESS = Sli[JobJudge](
    "job_success",
    job_success,
    good="the job completed",
    bad="the job failed (other than by the user's own error), or the provider, its hardware or its queue cancelled it",
    not_counted="open or unknown jobs; failures of class user; cancellations by the user; ended jobs without any time",
)
JOB_LATENCY = Sli[JobJudge](
    "job_latency",
    job_latency,
    good="the job completed within the limit after submission; counted at its end",
    bad="the limit passed before the job ended, however it ends; counted when the limit passed",
    not_counted="open jobs within the limit; failed or cancelled within the limit; unknown submission or end",
)
QUEUE_WAIT = Sli[JobJudge](
    "queue_wait",
    queue_wait,
    good="execution started within the limit; counted at the start",
    bad="the limit passed while the job waited; counted when the limit passed",
    not_counted="queued within the limit; ended unstarted within the limit; running or completed with unknown start",
)
CALIBRATION_FRESHNESS = Sli[FreshnessJudge](
    "calibration_freshness",
    calibration_freshness,
    good="the backend's last calibration is at most as old as the limit, or lies ahead (skewed clock); counted per time slice",
    bad="the backend's last calibration is older than the limit",
    not_counted="the provider publishes no calibration time",
)
RESULT_CONSISTENCY = Sli[ResultJudge](
    "result_consistency",
    result_consistency,
    good="the circuit's counts are consistent with its reference; counted when the job ran",
    bad="the counts are farther from the reference than the backend's own accepted results are",
    not_counted="inconclusive (too few shots, or the backend's margin is not known yet); unverified (nothing to compare with)",
)

JOB_SLIS = (JOB_SUCCESS, JOB_LATENCY, QUEUE_WAIT)
"""Indicators judged on jobs."""

SLIS = (*JOB_SLIS, CALIBRATION_FRESHNESS, RESULT_CONSISTENCY)
"""Every native indicator of this module; the README's table is made of it."""
