"""Detectors of anomalies, fed from the store: drift of calibrations, and queues that are slower than usual.

Nothing is kept over a restart: :meth:`Anomalies.learn` reads the history again, and the same history gives the same states.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from qobs.exclusion import Exclusion
from qobs.export.anomalies import AnomalyReading
from qobs.insight.anomaly import Quiet, State, Verdict
from qobs.insight.drift import HISTORY, Watch, followed
from qobs.insight.figures import Observation, observed
from qobs.insight.queueing import Alarm, Queue, judged, replayed
from qobs.insight.waits import SPAN_HOURS, Wait
from qobs.model import EPOCH, Calibration, Job, JobKey, JobState
from qobs.store.base import Store

log = logging.getLogger("qobs.daemon.anomalies")

Place = tuple[str, str, str]
"""(provider, source, backend)"""

CALIBRATIONS_SINCE = timedelta(days=400)
JOBS_SINCE = timedelta(hours=SPAN_HOURS)
LATE = timedelta(hours=6)
"""Jobs are looked at again for so long after their latest time: listings arrive late."""

MOST_PLACES = 500
"""Queues and backends that are watched, each; the others are told of once, and left out."""

MOST_WAITING = 5_000
"""Waiting jobs that are remembered, those that have waited longest first."""

LOOKUPS = 100
"""Waiting jobs that one look asks the store for, because no listing told of them lately."""


@dataclass(slots=True)
class _Backend:
    """Snapshots of one backend by their order, and what they led to."""

    observations: dict[tuple[datetime, str, str], Observation] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)
    quiet: tuple[tuple[datetime, datetime], ...] | None = None
    """The exclusions that ``watch`` was worked out with; None: it is out of date."""

    def note(self, observation: Observation) -> None:
        if observation.order in self.observations:
            return
        self.observations[observation.order] = observation
        if len(self.observations) > HISTORY:
            del self.observations[min(self.observations)]
        self.quiet = None

    def verdicts(self, quiet: Quiet, now: datetime) -> Sequence[Verdict]:
        if self.quiet != quiet.spans:
            self.watch, self.quiet = followed(self.observations.values(), quiet), quiet.spans
        if quiet.at(now):
            return [Verdict(signal=verdict.signal, state=State.EXCLUDED) for verdict in self.watch.verdicts]
        return self.watch.verdicts


@dataclass(slots=True)
class _Line:
    """One queue with its alarm; None: not judged yet."""

    queue: Queue = field(default_factory=Queue)
    alarm: Alarm | None = None

    def verdict(self, quiet: Quiet, now: datetime) -> Verdict:
        before = replayed(self.queue, now, quiet) if self.alarm is None else self.alarm
        verdict, self.alarm = judged(self.queue, before, now, quiet)
        return verdict


class Anomalies:
    """All detectors of one store. Used by one thread at a time."""

    def __init__(self) -> None:
        """Nothing learnt yet."""
        self._backends: dict[Place, _Backend] = {}
        self._lines: dict[Place, _Line] = {}
        self._waiting: dict[JobKey, tuple[Place, float, datetime]] = {}
        """Jobs that wait: where, since when (seconds since 1970), and when the store last told so."""
        self._refused: set[str] = set()

    def learn(self, store: Store, now: datetime) -> None:
        """Read all history that any detector uses; once, before the first look."""
        for calibration in store.calibration_history(now - CALIBRATIONS_SINCE, newest=HISTORY):
            self._note_calibration(calibration)
        for job in store.jobs(since=now - JOBS_SINCE):
            self._note_job(job, now)

    def look(
        self, store: Store, now: datetime, exclusions: Iterable[Exclusion] = (), *, calibrations: bool = True
    ) -> tuple[AnomalyReading, ...]:
        """What all detectors say at ``now``, after reading what is new.

        Args:
            store: Where to read.
            now: When it is.
            exclusions: Those in force, past ones too: what they cover is neither judged nor learnt from.
            calibrations: False where none has changed since the last look: they are large, and need not be read again.
        """
        if calibrations:
            for calibration in store.calibrations():
                self._note_calibration(calibration)
        for job in store.jobs(since=now - LATE):
            self._note_job(job, now)
        self._ask_for_silent(store, now)
        self._settle(now)
        return tuple(sorted(self._readings(now, tuple(exclusions)), key=lambda reading: reading.where))

    def _note_calibration(self, calibration: Calibration) -> None:
        place = (calibration.provider, calibration.source, calibration.backend)
        if place in self._backends or self._room("backends", self._backends):
            self._backends.setdefault(place, _Backend()).note(observed(calibration))

    def _note_job(self, job: Job, now: datetime) -> None:
        since, started = job.queued_at or job.submitted_at, job.started_at
        place = (job.provider, job.source, job.backend or "")
        if since is None or not (place in self._lines or self._room("queues", self._lines)):
            return
        self._waiting.pop(job.key, None)
        line = self._lines.setdefault(place, _Line())
        if started is not None and started <= now:
            line.queue.waits.note(_token(job.key), Wait(_seconds(started), max(0.0, (started - since).total_seconds())))
        elif job.state is JobState.QUEUED and since <= now:
            self._waiting[job.key] = (place, _seconds(since), now)

    def _ask_for_silent(self, store: Store, now: datetime) -> None:
        """Ask by id for some of the waiting jobs that no listing told of: a few at each look, longest unasked first."""
        silent = sorted((seen, key) for key, (_, _, seen) in self._waiting.items() if seen < now)
        for _, key in silent[:LOOKUPS]:
            place, since, _ = self._waiting.pop(key)
            job = store.job(key)
            if job is not None and job.state is JobState.QUEUED and job.started_at is None:
                self._waiting[key] = (place, since, now)
            elif job is not None:
                self._note_job(job, now)

    def _settle(self, now: datetime) -> None:
        """Forget what is too old or too much, and hand each queue its waiting jobs."""
        if len(self._waiting) > MOST_WAITING:
            longest = sorted(self._waiting.items(), key=lambda item: (item[1][1], item[0]))[:MOST_WAITING]
            self._waiting = dict(longest)
        for line in self._lines.values():
            line.queue.waits.forget(_seconds(now))
            line.queue.open = {}
        for key, (place, since, _) in self._waiting.items():
            self._lines[place].queue.open[_token(key)] = since

    def _readings(self, now: datetime, exclusions: Sequence[Exclusion]) -> Iterator[AnomalyReading]:
        for place, backend in self._backends.items():
            for verdict in backend.verdicts(_quiet(place, exclusions), now):
                yield _reading(place, verdict)
        for place, line in self._lines.items():
            yield _reading(place, line.verdict(_quiet(place, exclusions), now))

    def _room(self, what: str, known: dict[Place, _Backend] | dict[Place, _Line]) -> bool:
        if len(known) < MOST_PLACES:
            return True
        if what not in self._refused:
            self._refused.add(what)
            log.warning("too many to watch for anomalies, the others are left out", extra={"kind": what, "watched": MOST_PLACES})
        return False


def _quiet(place: Place, exclusions: Sequence[Exclusion]) -> Quiet:
    provider, source, backend = place
    return Quiet(exclusions, {"provider": provider, "source": source, "backend": backend})


def _reading(place: Place, verdict: Verdict) -> AnomalyReading:
    provider, source, backend = place
    return AnomalyReading(
        provider=provider,
        source=source,
        backend=backend,
        signal=verdict.signal,
        state=verdict.state.value,
        score=verdict.score,
        limit=verdict.limit,
        value=verdict.value,
        baseline=verdict.baseline,
        test=verdict.test,
    )


def _token(key: JobKey) -> int:
    """64 bits that follow from the job's identity alone."""
    return int.from_bytes(hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest(), "big")


def _seconds(at: datetime) -> float:
    return (at - EPOCH) / timedelta(seconds=1)
