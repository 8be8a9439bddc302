"""Everything that one scrape shows, frozen: the daemon builds it, the table reads it, nobody else is asked.

A snapshot holds plain records and counts. What is missing in it is missing in the exposition: no field is ever shown
as zero because it was unknown. Mappings are keyed by label values, in the order that each field's docstring gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from qobs.export.anomalies import AnomalyReading
from qobs.model import BackendStatus, Calibration, Counts, DeviceCalibration, Quota, Reason, Series, Shard

Labels = tuple[str, ...]
"""Label values in the order of a metric's label names."""


class Histogram(msgspec.Struct, frozen=True):
    """Observations by bucket, not cumulated: ``counts`` has one entry more than ``bounds``, for what lies above them all."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float

    def __add__(self, other: Histogram) -> Histogram:
        """Observations of both, which share their bounds."""
        return Histogram(self.bounds, tuple(map(sum, zip(self.counts, other.counts, strict=True))), self.sum + other.sum)


class Exemplar(msgspec.Struct, frozen=True):
    """One observation that a trace explains: shown in OpenMetrics only, beside a counter or a histogram's bucket."""

    trace_id: str
    value: float
    at: datetime | None = None


class CalibrationReading(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of one backend's latest calibration.

    ``oldest_parameter_at`` is the oldest time of any single value in it. ``full`` is given for the backends whose qubits
    and gates are shown one by one (tier full), else None.
    """

    provider: str
    source: str
    backend: str
    calibrated_at: datetime
    device: DeviceCalibration
    fetched_at: datetime | None = None
    oldest_parameter_at: datetime | None = None
    full: Calibration | None = None

    @property
    def where(self) -> Labels:
        """Label values (provider, source, backend)."""
        return (self.provider, self.source, self.backend)


class SliTotal(msgspec.Struct, frozen=True):
    """Lifetime events of one SLI series, as exported: these never decrease."""

    series: Series
    total: int
    bad: int


class SliWindow(msgspec.Struct, frozen=True):
    """Events of one SLI series in one window (``5m`` … ``90d``), in event time."""

    series: Series
    window: str
    counts: Counts


class ShardState(msgspec.Struct, frozen=True, kw_only=True):
    """How the polling of one shard goes. Counts are of this process's life.

    ``last_ok`` is None before the first poll has ended. ``interval_seconds`` is the configured pause between polls: data
    older than a few of them is not shown as current.
    """

    shard: Shard
    interval_seconds: float
    polls: int = 0
    errors: Mapping[Reason, int] = {}
    durations: Histogram | None = None
    last_ok: bool | None = None
    last_success_at: datetime | None = None
    next_run_at: datetime | None = None
    watermark: datetime | None = None
    ingested: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0
    transitions: int = 0
    anomalous: int = 0
    corrections: int = 0
    late: int = 0
    clamped: int = 0
    reconcile_differences: int = 0

    @property
    def where(self) -> Labels:
        """Label values (provider, source, stream)."""
        return (self.shard.provider, self.shard.source, self.shard.stream.value)


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider last told about one of its request allowances."""

    bucket: str
    remaining: float
    limit: float | None = None
    reset_at: datetime | None = None


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """How the talk with one source's provider goes. ``requests`` is keyed by (endpoint template, code class such as ``2xx``)."""

    provider: str
    source: str
    breaker: int = 0
    """0 closed, 1 half-open, 2 open."""
    clock_skew_seconds: float | None = None
    credential_expires_at: datetime | None = None
    certificate_expires_at: datetime | None = None
    """End of the earliest-ending TLS certificate that the provider showed."""
    rate_limits: tuple[RateLimit, ...] = ()
    requests: Mapping[tuple[str, str], int] = {}
    request_durations: Histogram | None = None
    retries: int = 0
    throttled: int = 0
    unmapped: Mapping[str, int] = {}
    """Provider words without a translation, by field."""

    @property
    def where(self) -> Labels:
        """Label values (provider, source)."""
        return (self.provider, self.source)


class StoreState(msgspec.Struct, frozen=True, kw_only=True):
    """Size and speed of the store. ``commits`` holds the seconds that transactions took."""

    size_bytes: int
    wal_bytes: int = 0
    commits: Histogram | None = None
    write_failures: int = 0
    oldest_record_at: datetime | None = None


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon itself. ``config_hash`` is a whole number below 2**53: the same for the same configuration."""

    version: str
    revision: str
    python: str
    started_at: datetime
    event_loop_lag_seconds: float | None = None
    tasks: int | None = None
    queue_bytes: int | None = None
    queue_capacity_bytes: int | None = None
    config_hash: int | None = None
    reload_ok: bool | None = None
    reloaded_at: datetime | None = None


class ExporterState(msgspec.Struct, frozen=True, kw_only=True):
    """The exposition about itself: the renderer fills this in, the daemon never does."""

    series: int = 0
    series_limit: int = 0
    dropped: Mapping[str, int] = {}
    """Series left out since the start, by family."""
    failures: Mapping[str, int] = {}
    """Renders of a family that failed since the start, by family: a bug of the row, which the others survive."""
    render_seconds: float | None = None
    body_bytes: Mapping[str, int] = {}


class SloWindow(msgspec.Struct, frozen=True):
    """One window of an objective, in event time; events are weighed in slices where the objective counts slices.

    ``error_ratio`` and ``burn_rate`` are None without events.
    """

    window: str
    total: float
    bad: float
    error_ratio: float | None = None
    burn_rate: float | None = None


class SloAlert(msgspec.Struct, frozen=True):
    """One tier of one severity, as the daemon judges it.

    ``chance`` is the probability of so many failures within budget; None where the tier has no evidence gate.
    """

    severity: str
    tier: str
    active: bool
    since: datetime | None = None
    chance: float | None = None


class SloReading(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon knows about one objective at ``evaluated_at``.

    ``slo`` is its name among rules (:attr:`qobs.export.rules_unit.Unit.slo`), ``objective`` its own name in its document,
    ``state`` one of :class:`qobs.slo.objective.DataState`. Ratios may be negative: a budget can be overspent.
    ``exhausted_in_seconds`` is None where the budget lasts at this pace, ``exhaustion_probability`` None for rolling periods.
    ``silent_sources`` counts sources of its events that do not answer. ``design_effect`` is how many jobs of a batch count as
    one (1: independent; None: not applicable).
    """

    slo: str
    service: str
    objective: str
    sli: str
    target_ratio: float
    period_seconds: float
    state: str
    evaluated_at: datetime
    events_total: float = 0
    """Lifetime events; never decreases."""
    bad_events_total: float = 0
    windows: tuple[SloWindow, ...] = ()
    remaining_ratio: float | None = None
    remaining_low_ratio: float | None = None
    remaining_high_ratio: float | None = None
    ideal_remaining_ratio: float | None = None
    exhausted_in_seconds: float | None = None
    exhaustion_probability: float | None = None
    alerts: tuple[SloAlert, ...] = ()
    silent_sources: int = 0
    design_effect: float | None = None

    @property
    def where(self) -> Labels:
        """Label values (slo, service)."""
        return (self.slo, self.service)


class ExclusionReading(msgspec.Struct, frozen=True):
    """An exclusion that is in force now. ``scope`` maps a label to the values it covers; all must match; empty: everything."""

    id: str
    scope: Mapping[str, tuple[str, ...]] = {}


class ResultReading(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the results of one backend; distances are of the latest result that was compared.

    ``drifting`` and ``drift_score`` (1: at the limit) are None while the baseline is being learnt. ``discoveries`` are results
    that are worse even with regard to how many are judged; it never decreases.
    """

    provider: str
    source: str
    backend: str
    tvd: float | None = None
    floor: float | None = None
    excess: float | None = None
    xeb: float | None = None
    drifting: bool | None = None
    drift_score: float | None = None
    discoveries: int = 0

    @property
    def where(self) -> Labels:
        """Label values (provider, source, backend)."""
        return (self.provider, self.source, self.backend)


class VerificationState(msgspec.Struct, frozen=True, kw_only=True):
    """How the verification of results goes. ``durations`` and ``deaths`` (by reason) are of this process's life."""

    queue: Mapping[str, int] = {}
    """Jobs by their state in the queue."""
    durations: Histogram | None = None
    deaths: Mapping[str, int] = {}
    results: tuple[ResultReading, ...] = ()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of everything. ``now`` is when it was taken."""

    now: datetime
    process: ProcessState
    shards: tuple[ShardState, ...] = ()
    sources: tuple[SourceState, ...] = ()
    store: StoreState | None = None
    backends: tuple[BackendStatus, ...] = ()
    calibrations: tuple[CalibrationReading, ...] = ()
    quotas: tuple[Quota, ...] = ()
    open_jobs: Mapping[tuple[str, str, str, str], int] = {}
    """Jobs that have not ended, by (provider, source, backend, state)."""
    oldest_queued: Mapping[tuple[str, str, str], datetime] = {}
    """Submission time of the oldest queued job by (provider, source, backend)."""
    latencies: Mapping[tuple[str, str, str, str], float] = {}
    """Quantiles of submission to result in seconds, by (provider, source, backend, quantile as text)."""
    counters: Mapping[str, Mapping[Labels, float]] = {}
    """Counters derived from jobs: metric name → label values → exported value. Make it with :func:`group_counters`."""
    exemplars: Mapping[str, Mapping[Labels, Exemplar]] = {}
    """Metric name → label values (a histogram's end in the bucket's ``le``) → exemplar."""
    sli_totals: tuple[SliTotal, ...] = ()
    sli_windows: tuple[SliWindow, ...] = ()
    sli_thresholds: Mapping[Series, float] = {}
    """Limit in seconds that decides good or bad, for the indicators that have one."""
    slos: tuple[SloReading, ...] = ()
    exclusions: tuple[ExclusionReading, ...] = ()
    """Those in force now."""
    anomalies: tuple[AnomalyReading, ...] = ()
    verification: VerificationState | None = None
    """None: results are not verified."""
    exporter: ExporterState = ExporterState()


def group_counters(readings: Iterable[tuple[str, Labels, float]]) -> dict[str, dict[Labels, float]]:
    """Readings (name, label values, value) by name, as :attr:`Snapshot.counters` wants them.

    Example:
        >>> group_counters([("a_total", ("x",), 1.0), ("a_total", ("y",), 2.0)])
        {'a_total': {('x',): 1.0, ('y',): 2.0}}
    """
    grouped: dict[str, dict[Labels, float]] = {}
    for name, labels, value in readings:
        grouped.setdefault(name, {})[labels] = value
    return grouped
