"""Builds the snapshot that a scrape shows: reads of the store, each only after what it reads has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from qobs.daemon.exemplars import Book, noted
from qobs.daemon.observe import ShardLog, SourceLog
from qobs.daemon.sink import StoreSink
from qobs.daemon.slos import Slos
from qobs.export.anomalies import AnomalyReading
from qobs.export.snapshot import (
    CalibrationReading,
    Exemplar,
    ProcessState,
    ShardState,
    SliTotal,
    SliWindow,
    Snapshot,
    SourceState,
    StoreState,
    VerificationState,
    group_counters,
)
from qobs.insight.calibration import oldest_parameter_at, summarize
from qobs.model import BackendStatus, Calibration, Counts, Quota, Series, Stream, window_name
from qobs.slo.latency import latency_quantiles
from qobs.slo.thresholds import Thresholds

LATENCY_WINDOW = timedelta(days=1)
LATENCIES_EVERY = timedelta(minutes=1)


class SnapshotBuilder:
    """Keeps what was read last, so that a quiet store is not read again and again. Used by one thread at a time."""

    def __init__(self, sink: StoreSink, slos: Slos, thresholds: Thresholds, *, full: frozenset[str]) -> None:
        """``full`` names the backends whose qubits and gates are shown one by one."""
        self._sink = sink
        self._slos = slos
        self._thresholds = thresholds
        self._full = full
        self._backends: tuple[BackendStatus, ...] = ()
        self._quotas: tuple[Quota, ...] = ()
        self._calibrations: tuple[CalibrationReading, ...] = ()
        self._counters: Mapping[str, Mapping[tuple[str, ...], float]] = {}
        self._open: Mapping[tuple[str, str, str, str], int] = {}
        self._oldest: Mapping[tuple[str, str, str], datetime] = {}
        self._totals: tuple[SliTotal, ...] = ()
        self._limits: dict[Series, float] = {}
        self._latencies: Mapping[tuple[str, str, str, str], float] = {}
        self._latencies_at: datetime | None = None
        self._exemplars: Mapping[str, Mapping[tuple[str, ...], Exemplar]] = {}

    def build(
        self,
        now: datetime,
        *,
        process: ProcessState,
        shards: tuple[ShardState, ...],
        sources: tuple[SourceState, ...],
        store: StoreState,
        changed: set[str],
        anomalies: tuple[AnomalyReading, ...] = (),
        verification: VerificationState | None = None,
    ) -> Snapshot:
        """The snapshot at ``now``: ``changed`` names the kinds of records to read again."""
        self._refresh(changed)
        self._look_at_the_day(now)
        return Snapshot(
            now=now,
            process=process,
            shards=shards,
            sources=sources,
            store=store,
            backends=self._backends,
            calibrations=_with_fetch_times(self._calibrations, shards),
            quotas=self._quotas,
            open_jobs=self._open,
            oldest_queued=self._oldest,
            latencies=self._latencies,
            exemplars=self._exemplars,
            counters=self._counters,
            sli_totals=self._totals,
            sli_windows=tuple(self._windows(now)),
            sli_thresholds=self._limits,
            slos=self._slos.show(now, shards, self._totals),
            exclusions=self._slos.active(now),
            anomalies=anomalies,
            verification=verification,
        )

    def _refresh(self, changed: set[str]) -> None:
        store = self._sink.store
        if "backends" in changed:
            self._backends = store.backends()
        if "quotas" in changed:
            self._quotas = store.quotas()
        if "calibrations" in changed:
            self._calibrations = tuple(map(self._reading, store.calibrations()))
        if "jobs" in changed:
            self._counters = group_counters((entry.name, entry.labels, entry.exported) for entry in store.counters())
            self._open = store.open_jobs()
            self._oldest = store.oldest_queued()
            totals = store.totals()
            self._totals = tuple(SliTotal(entry.series, entry.exported_total, entry.exported_bad) for entry in totals)
            self._limits = {entry.series: seconds for entry in totals if (seconds := self._limit(entry.series)) is not None}

    def _look_at_the_day(self, now: datetime) -> None:
        """Quantiles and exemplars, once a minute: open jobs grow older without any commit, and a day's jobs are many."""
        if self._latencies_at is not None and timedelta() <= now - self._latencies_at < LATENCIES_EVERY:
            return
        self._latencies_at = now
        since = now - LATENCY_WINDOW
        book: Book = {}
        jobs = (noted(job, book) for job in self._sink.store.jobs(since=since))
        found = latency_quantiles(jobs, since=since, now=now)
        self._exemplars = book
        self._latencies = {(*place, str(quantile)): seconds for (place, quantile), seconds in found.items()}

    def _reading(self, calibration: Calibration) -> CalibrationReading:
        return CalibrationReading(
            provider=calibration.provider,
            source=calibration.source,
            backend=calibration.backend,
            calibrated_at=calibration.calibrated_at,
            device=summarize(calibration),
            oldest_parameter_at=oldest_parameter_at(calibration),
            full=calibration if calibration.backend in self._full else None,
        )

    def _limit(self, series: Series) -> float | None:
        limits = {
            "queue_wait": self._thresholds.queue_wait,
            "job_latency": self._thresholds.job_latency,
            "calibration_freshness": self._thresholds.calibration_freshness,
        }
        limit = limits.get(series.sli)
        return None if limit is None else limit.of(backend=series.backend, priority=series.priority).total_seconds()

    def _windows(self, now: datetime) -> Iterable[SliWindow]:
        windows, counts = self._sink.windows(now)
        names = tuple(map(window_name, windows))
        known = {total.series for total in self._totals}
        nothing = tuple(Counts(0, 0) for _ in windows)
        for series in sorted(known | counts.keys()):
            for name, held in zip(names, counts.get(series, nothing), strict=True):
                yield SliWindow(series, name, held)


def _with_fetch_times(readings: tuple[CalibrationReading, ...], shards: tuple[ShardState, ...]) -> tuple[CalibrationReading, ...]:
    fetched = {state.shard.source: state.last_success_at for state in shards if state.shard.stream is Stream.CALIBRATIONS}
    return tuple(
        CalibrationReading(
            provider=reading.provider,
            source=reading.source,
            backend=reading.backend,
            calibrated_at=reading.calibrated_at,
            device=reading.device,
            fetched_at=fetched.get(reading.source),
            oldest_parameter_at=reading.oldest_parameter_at,
            full=reading.full,
        )
        for reading in readings
    )


def freeze_logs(
    shards: Iterable[ShardLog], sources: Iterable[SourceLog]
) -> tuple[tuple[ShardState, ...], tuple[SourceState, ...]]:
    """Immutable copies of all logs, in a stable order."""
    return (
        tuple(sorted((log.freeze() for log in shards), key=lambda state: state.shard)),
        tuple(sorted((log.freeze() for log in sources), key=lambda state: state.where)),
    )
