"""What one job adds to the counters derived from jobs (their names and buckets: :mod:`qobs.buckets`).

Counters are sums over the stored jobs, so they neither reset nor double when the daemon restarts. A job counts as submitted as
soon as it is known, and everything else once it has ended; a histogram is told each job once.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta
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
        self._places: dict[tuple[str, str, str | None], Place] = {}

    def tally(self, job: Job) -> tuple[Count, ...]:
        """All counts of one job; a pure function of the job (what is kept changes only its speed). As :meth:`Place.tally`."""
        return self.place(job.provider, job.source, job.backend).tally(job)

    def place(self, provider: str, source: str, backend: str | None) -> Place:
        """Where the jobs of one backend are counted."""
        key = (provider, source, backend)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            place = self._places[key] = Place((provider, source, backend or ""))
        return place


class _Histogram:
    """One duration histogram of one backend: a ready count per bucket."""

    __slots__ = ("bounds", "buckets", "name", "sum_labels")

    def __init__(self, row: buckets.JobCounter, where: tuple[str, ...]) -> None:
        assert row.bounds is not None
        self.bounds = row.bounds
        self.name = row.name
        self.buckets = tuple(Count(row.name, (*where, le), 1.0) for le in buckets.bucket_labels(row.bounds))
        self.sum_labels = (*where, buckets.SUM)

    def observe(self, duration: timedelta) -> tuple[Count, Count]:
        """The bucket's count and the seconds of one duration; a negative one is 0."""
        seconds = duration.total_seconds()
        if seconds < 0.0:
            seconds = 0.0
        return self.buckets[bisect_left(self.bounds, seconds)], _new(Count, (self.name, self.sum_labels, seconds))


class Place:
    """The jobs of one (provider, source, backend): what does not depend on the job is made once."""

    __slots__ = ("_ended", "_execution", "_failed", "_queue", "_submitted", "_turnaround", "_where")

    def __init__(self, where: tuple[str, str, str]) -> None:
        """``where`` are the label values."""
        self._where = where
        submitted = Count(buckets.SUBMITTED.name, where, 1.0)
        self._submitted = (submitted,)
        self._ended = {state: (submitted, Count(buckets.FINISHED.name, (*where, state.value), 1.0)) for state in TERMINAL}
        self._failed = {kind: Count(buckets.FAILED.name, (*where, kind.value), 1.0) for kind in FailureClass}
        self._queue = _Histogram(buckets.QUEUE_DURATION, where)
        self._execution = _Histogram(buckets.EXECUTION_DURATION, where)
        self._turnaround = _Histogram(buckets.TURNAROUND_DURATION, where)

    def tally(self, job: Job) -> tuple[Count, ...]:
        """All counts of a job of this place.

        Impossible numbers are corrected for counting: negative durations are 0; negative or non-finite shots and quantum
        seconds are left out.
        """
        state = job.state
        ended = self._ended.get(state)
        if ended is None:
            return self._submitted
        counts = [*ended]
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

    def completed(self, job: Job, waited: timedelta, executed: timedelta, whole: timedelta) -> tuple[Count, ...]:
        """As :meth:`tally` of a completed job whose three durations are known and not negative."""
        counts = [*self._ended[_COMPLETED]]
        shots, used = job.shots, job.quantum_seconds
        if shots is not None and shots > 0:
            counts.append(_new(Count, (_SHOTS, self._where, float(shots))))
        if used is not None and 0.0 < used < inf:
            counts.append(_new(Count, (_QUANTUM_SECONDS, self._where, used)))
        queue, execution, turnaround = self._queue, self._execution, self._turnaround
        wait, run, way = waited.total_seconds(), executed.total_seconds(), whole.total_seconds()
        return (
            *counts,
            queue.buckets[bisect_left(queue.bounds, wait)],
            _new(Count, (queue.name, queue.sum_labels, wait)),
            execution.buckets[bisect_left(execution.bounds, run)],
            _new(Count, (execution.name, execution.sum_labels, run)),
            turnaround.buckets[bisect_left(turnaround.bounds, way)],
            _new(Count, (turnaround.name, turnaround.sum_labels, way)),
        )

    def _durations(self, job: Job, counts: list[Count]) -> None:
        """Wait and execution where both ends are known, turnaround of completed jobs."""
        submitted, started, ended = job.submitted_at, job.started_at, job.ended_at
        since = job.queued_at or submitted
        if since is not None and started is not None:
            counts += self._queue.observe(started - since)
        if ended is None:
            return
        if started is not None:
            counts += self._execution.observe(ended - started)
        if submitted is not None and job.state is _COMPLETED:
            counts += self._turnaround.observe(ended - submitted)
