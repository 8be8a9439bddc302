"""The judge that the store counts by: verdicts and counters of one record, in event time.

The rules themselves are in :mod:`qobs.slo.verdicts` and :mod:`qobs.slo.tallies`; here they meet the thresholds and the labels.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from qobs.model import Count, Event, Freshness, Job, JobState, Judgement, Series
from qobs.result import VERIFICATIONS_TOTAL, Verification
from qobs.slo.tallies import Place, Tallies
from qobs.slo.thresholds import Thresholds
from qobs.slo.verdicts import CALIBRATION_FRESHNESS, JOB_LATENCY, JOB_SUCCESS, QUEUE_WAIT, RESULT_CONSISTENCY, JobJudge

RULES = "2026-11-22"
"""Version of the judging rules: change it with any rule, so that stores count again."""

MAX_GROUP = 64
"""Characters of a batch's name that are kept as they are; a longer name is known by its digest."""

_MOST_LABEL_SETS = 4096
_NOTHING = timedelta()
_COMPLETED = JobState.COMPLETED  # an enum member costs more to look up on its class than to compare
_new = tuple.__new__  # half the cost of a named tuple's own constructor, on the path of every job

_Row = tuple[JobJudge, timedelta, Series]


class _Rules(NamedTuple):
    """Judges with limits and series, and ready counts, of one label set."""

    rows: tuple[_Row, ...]
    place: Place


_Labels = tuple[str, str, str | None, str | None, str | None, str | None]


class Indicators:
    """Judges jobs, calibration readings and verified results: pure, for what it keeps between calls changes only its speed.

    Implements :class:`qobs.model.Judge`. All jobs are counted, exploratory ones too, with their own ``workload`` label: an
    objective chooses among them.

    A time that lies further ahead of ``now`` than the tolerance is counted at ``now``, and asked about again
    (:attr:`Judgement.next_at`) when the tolerance reaches it, so that the count ends up where the provider says it
    belongs. ``clamped`` counts each such event, and each negative duration (which judges as zero).
    """

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        """Judge by ``thresholds``; None: the defaults."""
        self._thresholds = Thresholds() if thresholds is None else thresholds
        self._fingerprint = self._thresholds.fingerprint(RULES)
        self._tolerance = self._thresholds.future_tolerance
        self._rules: dict[_Labels, _Rules] = {}
        self._tallies = Tallies()

    @property
    def fingerprint(self) -> str:
        """Changes with any threshold and with the rules."""
        return self._fingerprint

    def job(self, job: Job, now: datetime) -> Judgement:
        """Verdicts and counts of one job as known at ``now``."""
        rules = self._rules_of(job)
        horizon = now + self._tolerance
        if job.state is _COMPLETED and (ordinary := _ordinary(job, rules, horizon)) is not None:
            return ordinary
        counts, group = rules.place.tally(job), _group(job)
        clamped = _negative_durations(job)
        events: list[Event] = []
        next_at: datetime | None = None
        for judge, limit, series in rules.rows:
            good, at = judge(job, limit, now)
            if at is None:
                continue
            if good is not None:
                if at <= horizon:
                    events.append(_new(Event, (series, at, good, group)))
                    continue
                events.append(Event(series, now, good, group))
                clamped += 1
                at -= self._tolerance
            if next_at is None or at < next_at:
                next_at = at
        return Judgement(tuple(events), counts, next_at, clamped)

    def freshness(self, reading: Freshness) -> Judgement:
        """Verdict on one calibration reading, at its slice; a calibration further ahead than the tolerance is clamped."""
        limit = self._thresholds.calibration_freshness.of(backend=reading.backend)
        good, at = CALIBRATION_FRESHNESS.judge(reading, limit)
        if good is None or at is None or reading.calibrated_at is None:
            return Judgement()
        series = Series(CALIBRATION_FRESHNESS.name, reading.provider, reading.source, reading.backend)
        ahead = reading.calibrated_at - reading.slice_at > self._tolerance
        return Judgement((Event(series, at, good),), clamped=int(ahead))

    def verification(self, verification: Verification) -> Judgement:
        """What one circuit's verdict adds, with its job's labels; a run further ahead than the tolerance counts when verified."""
        where = (verification.key.provider, verification.source, verification.backend)
        counts = (Count(VERIFICATIONS_TOTAL, (*where, verification.verdict), 1.0),)
        good, at = RESULT_CONSISTENCY.judge(verification)
        if good is None or at is None:
            return Judgement(counts=counts)
        ahead = at - verification.verified_at > self._tolerance
        labels = (verification.priority or "", verification.workload or "", verification.team or "")
        series = Series(RESULT_CONSISTENCY.name, *where, *labels)
        event = Event(series, verification.verified_at if ahead else at, good)
        return Judgement((event,), counts, clamped=int(ahead))

    def _rules_of(self, job: Job) -> _Rules:
        """What holds for the job's labels, made once per label set."""
        labels = (job.provider, job.source, job.backend, job.priority, job.workload, job.team)
        rules = self._rules.get(labels)
        if rules is None:
            if len(self._rules) >= _MOST_LABEL_SETS:
                self._rules.clear()
            rules = self._rules[labels] = _Rules(self._make_rows(labels), self._tallies.place(*labels[:3]))
        return rules

    def _make_rows(self, labels: _Labels) -> tuple[_Row, ...]:
        provider, source = labels[0], labels[1]
        backend, priority, workload, team = (label or "" for label in labels[2:])
        chosen = self._thresholds
        limits = (
            (JOB_SUCCESS, _NOTHING),
            (JOB_LATENCY, chosen.job_latency.of(backend=backend, priority=priority)),
            (QUEUE_WAIT, chosen.queue_wait.of(backend=backend, priority=priority)),
        )
        return tuple(
            (sli.judge, limit, Series(sli.name, provider, source, backend, priority, workload, team)) for sli, limit in limits
        )


def _ordinary(job: Job, rules: _Rules, horizon: datetime) -> Judgement | None:
    """The judgement of a completed job with all its times, in order and not ahead; None for any other.

    Most jobs are such. This says of them what the judges one by one and the tally would say, and works out each duration once:
    half the time (benchmarks/bench_normalize.py).
    """
    submitted, started, ended = job.submitted_at, job.started_at, job.ended_at
    if submitted is None or started is None or ended is None or job.queued_at is not None:
        return None
    if not submitted <= started <= ended <= horizon:
        return None
    (_, _, success), (_, longest, latency), (_, patience, wait) = rules.rows
    waited, whole, group = started - submitted, ended - submitted, "" if job.batch is None else _group(job)
    return Judgement(
        (
            _new(Event, (success, ended, True, group)),
            _new(Event, (latency, ended, True, group) if whole <= longest else (latency, submitted + longest, False, group)),
            _new(Event, (wait, started, True, group) if waited <= patience else (wait, submitted + patience, False, group)),
        ),
        rules.place.completed(job, waited, ended - started, whole),
    )


def _group(job: Job) -> str:
    """What the job shares its fate with; empty: nothing."""
    batch = job.batch or ""
    if len(batch) <= MAX_GROUP:
        return batch
    return hashlib.blake2b(batch.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _negative_durations(job: Job) -> int:
    """How many of wait, execution and turnaround the provider tells as ending before they began."""
    submitted, started, ended = job.submitted_at, job.started_at, job.ended_at
    since = job.queued_at or submitted
    negative = 0
    if started is not None:
        negative = int(since is not None and started < since) + int(ended is not None and ended < started)
    if ended is not None and submitted is not None and ended < submitted:
        negative += 1
    return negative
