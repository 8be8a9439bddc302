"""Everything that one scrape shows, frozen: the daemon builds it, the table reads it, nobody else is asked.

A snapshot holds plain records and counts. What is missing in it is missing in the exposition: no field is ever shown
as zero because it was unknown. Mappings are keyed by label values, in the order that each field's docstring gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

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
