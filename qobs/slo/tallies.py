"""What one job adds to the counters derived from jobs (their names and buckets: :mod:`qobs.buckets`).

Counters are sums over the stored jobs, so they neither reset nor double when the daemon restarts. A job counts as submitted as
soon as it is known, and everything else once it has ended; a histogram is told each job once.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime
from math import inf

from qobs import buckets
from qobs.model import TERMINAL, Count, FailureClass, Job, JobState
from qobs.slo.verdicts import provider_cancelled

_MOST_PLACES = 1024

# Every job passes here: an enum member costs more to look up on its class than to compare, and a named tuple's own
# constructor costs twice the tuple's.
_COMPLETED, _FAILED = JobState.COMPLETED, JobState.FAILED
_SHOTS, _QUANTUM_SECONDS = buckets.SHOTS.name, buckets.QUANTUM_SECONDS.name
_new = tuple.__new__


class Tallies:
    """Turns jobs into counts. Keeps the unchanging counts of each backend, a bounded number of them, to be fast."""

    def __init__(self) -> None:
        """Know no backend yet."""
        self._places: dict[tuple[str, str, str | None], _Place] = {}

    def tally(self, job: Job) -> tuple[Count, ...]:
        """All counts of one job; a pure function of the job (what is kept changes only its speed).

        Impossible numbers are corrected for counting: negative durations are 0; negative or non-finite shots and quantum
        seconds are left out.
        """
        key = (job.provider, job.source, job.backend)
        place = self._places.get(key)
        if place is None:
            place = self._add(key)
        if job.state not in TERMINAL:
            return place.submitted
        return place.ended(job)

    def _add(self, key: tuple[str, str, str | None]) -> _Place:
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        provider, source, backend = key
        place = self._places[key] = _Place((provider, source, backend or ""))
        return place


class _Histogram:
    """One duration histogram of one backend: a ready count per bucket."""

    __slots__ = ("_bounds", "_buckets", "_name", "_sum_labels")

    def __init__(self, row: buckets.JobCounter, where: tuple[str, ...]) -> None:
        assert row.bounds is not None
        self._bounds = row.bounds
        self._name = row.name
        self._buckets = tuple(Count(row.name, (*where, le), 1.0) for le in buckets.bucket_labels(row.bounds))
        self._sum_labels = (*where, buckets.SUM)

    def observe(self, since: datetime, until: datetime, counts: list[Count]) -> None:
        """Add the bucket's count and the seconds of one duration; negative ones are 0."""
        seconds = (until - since).total_seconds()
        if seconds < 0.0:
            seconds = 0.0
        counts.append(self._buckets[bisect_left(self._bounds, seconds)])
        counts.append(_new(Count, (self._name, self._sum_labels, seconds)))


class _Place:
    """The counts of one (provider, source, backend) that do not depend on the job."""

    __slots__ = ("_execution", "_failed", "_finished", "_queue", "_turnaround", "_where", "submitted")

    def __init__(self, where: tuple[str, str, str]) -> None:
        self._where = where
        self.submitted = (Count(buckets.SUBMITTED.name, where, 1.0),)
        self._finished = {state: Count(buckets.FINISHED.name, (*where, state.value), 1.0) for state in TERMINAL}
        self._failed = {kind: Count(buckets.FAILED.name, (*where, kind.value), 1.0) for kind in FailureClass}
        self._queue = _Histogram(buckets.QUEUE_DURATION, where)
        self._execution = _Histogram(buckets.EXECUTION_DURATION, where)
        self._turnaround = _Histogram(buckets.TURNAROUND_DURATION, where)

    def ended(self, job: Job) -> tuple[Count, ...]:
        """All counts of a job in a terminal state."""
        state = job.state
        counts = [*self.submitted, self._finished[state]]
        if state is _COMPLETED:
            shots = job.shots
            if shots is not None and shots > 0:
                counts.append(_new(Count, (_SHOTS, self._where, float(shots))))
        elif state is _FAILED or provider_cancelled(job):
            counts.append(self._failed[FailureClass.UNKNOWN if job.failure is None else job.failure.kind])
        used = job.quantum_seconds
        if used is not None and 0.0 < used < inf:
            counts.append(_new(Count, (_QUANTUM_SECONDS, self._where, used)))
        self._durations(job, counts)
        return tuple(counts)

    def _durations(self, job: Job, counts: list[Count]) -> None:
        """Wait and execution where both ends are known, turnaround of completed jobs."""
        submitted, started, ended = job.submitted_at, job.started_at, job.ended_at
        since = job.queued_at or submitted
        if since is not None and started is not None:
            self._queue.observe(since, started, counts)
        if ended is None:
            return
        if started is not None:
            self._execution.observe(started, ended, counts)
        if submitted is not None and job.state is _COMPLETED:
            self._turnaround.observe(submitted, ended, counts)
