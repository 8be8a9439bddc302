"""From a bucket of a histogram to the trace of a job in it: the newest job of each bucket that carries a trace id."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from qobs.buckets import EXECUTION_DURATION, FAILED, QUEUE_DURATION, TURNAROUND_DURATION, JobCounter, bucket_labels
from qobs.export.snapshot import Exemplar
from qobs.model import FailureClass, Job, JobState

Labels = tuple[str, ...]


Book = dict[str, dict[Labels, Exemplar]]
"""Metric name → label values (a histogram's end in the bucket's ``le``) → the newest ended job's trace."""


def exemplars(jobs: Iterable[Job]) -> Mapping[str, Mapping[Labels, Exemplar]]:
    """The exemplars of ``jobs``; see :func:`noted`."""
    book: Book = {}
    for job in jobs:
        noted(job, book)
    return book


def noted(job: Job, book: Book) -> Job:
    """Enter the job's exemplars into ``book`` and give the job back: a day's jobs pass by here, and are not held.

    Jobs without a trace id or without an end give none.
    """
    if job.trace_id is None or job.ended_at is None or not job.state.terminal:
        return job
    for name, labels, value in _places(job, job.ended_at):
        known = book.setdefault(name, {}).get(labels)
        if known is None or known.at is None or known.at < job.ended_at:
            book[name][labels] = Exemplar(job.trace_id, value, job.ended_at)
    return job


def _places(job: Job, ended_at: datetime) -> Iterator[tuple[str, Labels, float]]:
    """Where one job is counted, and with which value."""
    where = (job.provider, job.source, job.backend or "")
    since = job.queued_at or job.submitted_at
    if job.state is JobState.FAILED:
        kind = FailureClass.UNKNOWN if job.failure is None else job.failure.kind
        yield FAILED.name, (*where, kind.value), 1.0
    if since is not None and job.started_at is not None:
        yield _bucket(QUEUE_DURATION, where, since, job.started_at)
    if job.started_at is not None:
        yield _bucket(EXECUTION_DURATION, where, job.started_at, ended_at)
    if job.submitted_at is not None and job.state is JobState.COMPLETED:
        yield _bucket(TURNAROUND_DURATION, where, job.submitted_at, ended_at)


def _bucket(counter: JobCounter, where: Labels, since: datetime, until: datetime) -> tuple[str, Labels, float]:
    bounds = counter.bounds or ()
    seconds = max(0.0, (until - since).total_seconds())
    return counter.name, (*where, bucket_labels(bounds)[bisect_left(bounds, seconds)]), seconds
