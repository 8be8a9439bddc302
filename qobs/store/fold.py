"""What a job is, given everything that was ever observed about it: pure, and the same whatever order things came in.

An observation is one distinct content of a job. Observations are sorted by :class:`Version` and folded from the oldest
to the newest, so that the result depends on the *set* of observations only (R2, R4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from qobs.model import EPOCH, TERMINAL, Job, JobState

NO_TIME = -(1 << 62)
"""Stands for "the provider told no time" where a column or a sort key needs an integer; before every real time."""

_RANK = {
    JobState.QUEUED: 0,
    JobState.RUNNING: 1,
    JobState.UNKNOWN: 1,
    JobState.COMPLETED: 2,
    JobState.FAILED: 3,
    JobState.CANCELLED: 4,
}

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Job)

_FIELDS = tuple((field.name, field.default) for field in msgspec.structs.fields(Job))
_OF_ONE_STATE = frozenset({"failure", "raw_state"})
_STATE_FIELDS = frozenset(
    {"state", "raw_state", "failure", "settled", "submitted_at", "queued_at", "started_at", "ended_at", "updated_at"}
)


class Version(NamedTuple):
    """Order of two observations of one job: provider's revision (µs), then the state's rank, then the content."""

    revision: int
    rank: int
    digest: bytes


class Times(NamedTuple):
    """A job's provider times in µs, None where it tells none."""

    submitted: int | None
    started: int | None
    ended: int | None
    revision: int


class Observation(NamedTuple):
    """One distinct content of a job, its version, its encoded form and its times."""

    version: Version
    job: Job
    payload: bytes
    times: Times


Fact = tuple[JobState, int]
"""A state and the provider's time of entering it in µs (:data:`NO_TIME` where it tells none)."""


def encode(job: Job) -> bytes:
    """The job as JSON; equal jobs give equal bytes."""
    return _ENCODER.encode(job)


def decode(payload: bytes) -> Job:
    """Inverse of :func:`encode`."""
    return _DECODER.decode(payload)


def micros(at: datetime) -> int:
    """The same as :func:`qobs.model.to_micros`, in two thirds of its time.

    Example:
        >>> micros(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=EPOCH.tzinfo))
        -1
    """
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def times(job: Job) -> Times:
    """The job's times; its revision is ``updated_at``, else the latest time it mentions, else :data:`NO_TIME`."""
    started = None if job.started_at is None else micros(job.started_at)
    ended = None if job.ended_at is None else micros(job.ended_at)
    if job.updated_at is not None:
        return Times(submitted(job), started, ended, micros(job.updated_at))
    known = latest(job)
    return Times(submitted(job), started, ended, NO_TIME if known is None else known)


def submitted(job: Job) -> int | None:
    """When the job was submitted, in µs; when it was queued, where that is all we know."""
    at = job.submitted_at or job.queued_at
    return None if at is None else micros(at)


def latest(job: Job) -> int | None:
    """The latest of all times the job mentions, in µs: :attr:`Times.latest` in a third of the time.

    Raises:
        TypeError: one of the times has no zone.
    """
    told = [at for at in (job.ended_at, job.updated_at, job.started_at, job.submitted_at, job.queued_at) if at is not None]
    return micros(max(told)) if told else None


def digest(payload: bytes) -> bytes:
    """What tells one content from another."""
    return hashlib.blake2b(payload, digest_size=16).digest()


def observe(job: Job, payload: bytes | None = None) -> Observation:
    """The job with its version; ``payload`` is its encoded form, where that is known.

    Raises:
        ValueError, OverflowError, TypeError: the job cannot be kept: text that is not Unicode, an integer beyond
            64 bits, a time without a zone.
    """
    content = encode(job) if payload is None else payload
    told = times(job)
    return Observation(Version(told.revision, _RANK[job.state], digest(content)), job, content, told)


def believed(older: Job, newer: Job) -> bool:
    """False where a finished job is said to be live again: such news is recorded, but does not change the job."""
    return newer.state in TERMINAL or older.state not in TERMINAL


def merge(older: Job, newer: Job) -> Job:
    """The older job brought up to date: what the newer one knows wins, what it does not know stays.

    What belongs to a state (failure, provider's word) goes with that state, so that a correction from failed to
    completed does not keep the failure. A settled end stays settled.
    """
    both = zip(_FIELDS, msgspec.structs.astuple(older), msgspec.structs.astuple(newer), strict=True)
    if not believed(older, newer):
        known = {name: new for (name, default), _, new in both if name not in _STATE_FIELDS and new != default}
        return msgspec.structs.replace(older, **known)
    moved = newer.state is not older.state
    kept: dict[str, Any] = {
        name: old
        for (name, default), old, new in both
        if new == default and old != default and not (moved and name in _OF_ONE_STATE)
    }
    kept["settled"] = newer.settled or (older.settled and older.state in TERMINAL)
    return msgspec.structs.replace(newer, **kept)


def fold(jobs: Iterable[Job]) -> Job:
    """The one job that observations in version order amount to; at least one is needed."""
    rest = iter(jobs)
    merged = next(rest)
    for job in rest:
        merged = merge(merged, job)
    return merged


def facts(job: Job, told: Times) -> list[Fact]:
    """State changes that one observation tells of, with the provider's times."""
    found: list[Fact] = []
    state = job.state
    if told.submitted is not None:
        found.append((JobState.QUEUED, told.submitted))
    if told.started is not None:
        found.append((JobState.RUNNING, told.started))
    if state in TERMINAL:
        found.append((state, NO_TIME if told.ended is None else told.ended))
    elif (
        state is JobState.UNKNOWN
        or (state is JobState.QUEUED and told.submitted is None)
        or (state is JobState.RUNNING and told.started is None)
    ):
        found.append((state, NO_TIME))
    return found


class History(NamedTuple):
    """All state changes that a job's observations tell of; True marks one that cannot be."""

    facts: dict[Fact, bool]
    anomalies: int
    """Observations that say a finished job is live again."""


def history(jobs: Sequence[Job]) -> History:
    """State changes of observations in version order.

    A change is anomalous if only observations speak for it that came after the job's end. The claim itself, "live
    again", is dated with the observation's revision: it sorts after the end, so it has one.
    """
    found: dict[Fact, bool] = {}
    ended, anomalies = False, 0
    for job in jobs:
        anomalous = ended and job.state not in TERMINAL
        told = times(job)
        for fact in facts(job, told):
            found[fact] = found.get(fact, True) and anomalous
        if anomalous:
            anomalies += 1
            found.setdefault((job.state, told.revision), True)
        ended = ended or job.state in TERMINAL
    return History(found, anomalies)


def presented(rows: Iterable[tuple[JobState, int, bool]]) -> set[Fact]:
    """Facts worth showing of (state, time, anomalous) rows: an untimed one gives way to a believed, timed one."""
    kept = list(rows)
    timed = {state for state, at, anomalous in kept if at != NO_TIME and not anomalous}
    return {(state, at) for state, at, anomalous in kept if at != NO_TIME or not (anomalous or state in timed)}
