"""Rows about qobs itself: polling, the providers' answers, ingestion, store, process, and the exposition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from qobs.export.snapshot import Labels, ShardState, Snapshot, SourceState, StoreState
from qobs.export.table import SHARD, SOURCE, HistogramSample, Kind, Metric, Sample, known, single, times
from qobs.model import Reason, Stream


def _shards(of: Callable[[ShardState], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: known((state.where, of(state)) for state in snapshot.shards)


def _jobs(of: Callable[[ShardState], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    """Sums over the shards that carry jobs, by (provider, source)."""
    return lambda snapshot: ((state.where[:2], of(state)) for state in snapshot.shards if state.shard.stream is Stream.JOBS)


def _sources(of: Callable[[SourceState], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: known((state.where, of(state)) for state in snapshot.sources)


def _store(of: Callable[[StoreState], float | None]) -> Callable[[Snapshot], Iterable[Sample]]:
    return lambda snapshot: single(None if snapshot.store is None else of(snapshot.store))


def provider_up(snapshot: Snapshot) -> Iterator[Sample]:
    """1 where the last poll of any stream worked, 0 where all failed, nothing before the first poll has ended."""
    outcomes: dict[Labels, bool] = {}
    for state in snapshot.shards:
        if state.last_ok is not None:
            where = state.where[:2]
            outcomes[where] = outcomes.get(where, False) or state.last_ok
    return ((where, int(worked)) for where, worked in outcomes.items())


def poll_errors(snapshot: Snapshot) -> Iterator[Sample]:
    """Every reason of every shard, zeros too: the first failure must be visible to rate()."""
    return (((*state.where, reason.value), state.errors.get(reason, 0)) for state in snapshot.shards for reason in Reason)


def staleness(snapshot: Snapshot) -> Iterator[Sample]:
    """Seconds since the last success; since the start where there was none yet, so that it grows and alerts."""
    for state in snapshot.shards:
        last = state.last_success_at or snapshot.process.started_at
        yield state.where, max(0.0, (snapshot.now - last).total_seconds())


def watermark_lag(snapshot: Snapshot) -> Iterator[Sample]:
    """Age of the watermark of the shards that have one."""
    for state in snapshot.shards:
        if state.watermark is not None:
            yield state.where, max(0.0, (snapshot.now - state.watermark).total_seconds())


def poll_durations(snapshot: Snapshot) -> Iterator[HistogramSample]:
    """Histogram of each shard that was polled."""
    return ((state.where, state.durations) for state in snapshot.shards if state.durations is not None)


def request_durations(snapshot: Snapshot) -> Iterator[HistogramSample]:
    """Histogram of each source that was asked."""
    return ((state.where, state.request_durations) for state in snapshot.sources if state.request_durations is not None)


def store_commits(snapshot: Snapshot) -> Iterator[HistogramSample]:
    """The one histogram of transactions."""
    if snapshot.store is not None and snapshot.store.commits is not None:
        yield (), snapshot.store.commits


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

PROCESS_ROWS = (
    Metric(
        "qobs_build_info",
        "Version of qobs, its revision and its Python, with the value 1.",
        Kind.INFO,
        ("version", "revision", "python"),
        lambda s: (((s.process.version, s.process.revision, s.process.python), 1),),
    ),
    Metric(
        "qobs_config_hash",
        "Number that stands for the configuration in use; it changes when the configuration does.",
        _G,
        (),
        lambda s: single(s.process.config_hash),
    ),
    Metric(
        "qobs_config_last_reload_successful",
        "1 when the last reload of the configuration was accepted, 0 when it was refused and the old one kept.",
        _G,
        (),
        lambda s: single(None if s.process.reload_ok is None else int(s.process.reload_ok)),
    ),
    Metric(
        "qobs_config_last_reload_success_timestamp_seconds",
        "Time when the configuration in use was loaded.",
        _G,
        (),
        lambda s: times((((), s.process.reloaded_at),)),
        "seconds",
    ),
    Metric(
        "qobs_event_loop_lag_seconds",
        "How late the event loop last woke up.",
        _G,
        (),
        lambda s: single(s.process.event_loop_lag_seconds),
        "seconds",
    ),
    Metric("qobs_tasks", "Asyncio tasks that are alive.", _G, (), lambda s: single(s.process.tasks)),
    Metric(
        "qobs_queue_bytes",
        "Bytes of provider answers between fetch and commit.",
        _G,
        (),
        lambda s: single(s.process.queue_bytes),
        "bytes",
    ),
    Metric(
        "qobs_queue_capacity_bytes",
        "Bytes at which fetching waits for commits.",
        _G,
        (),
        lambda s: single(s.process.queue_capacity_bytes),
        "bytes",
    ),
)

POLL_ROWS = (
    Metric("qobs_provider_up", "1 when the last poll of any stream of the source worked.", _G, SOURCE, provider_up),
    Metric("qobs_poll_total", "Polls that ended, failed or not.", _C, SHARD, _shards(lambda s: s.polls)),
    Metric("qobs_poll_errors_total", "Polls that failed, by reason.", _C, (*SHARD, "reason"), poll_errors),
    Metric("qobs_poll_duration_seconds", "Duration of polls, failed or not.", _H, SHARD, poll_durations, "seconds"),
    Metric(
        "qobs_poll_last_success_timestamp_seconds",
        "Time of the last poll that worked.",
        _G,
        SHARD,
        lambda s: times((state.where, state.last_success_at) for state in s.shards),
        "seconds",
    ),
    Metric(
        "qobs_data_staleness_seconds",
        "Seconds since the last poll that worked, or since the start where none has.",
        _G,
        SHARD,
        staleness,
        "seconds",
    ),
    Metric(
        "qobs_watermark_lag_seconds",
        "Seconds between now and the newest provider time of a fully read poll.",
        _G,
        SHARD,
        watermark_lag,
        "seconds",
    ),
    Metric(
        "qobs_collector_next_run_timestamp_seconds",
        "Time of the next poll; back-off shows here.",
        _G,
        SHARD,
        lambda s: times((state.where, state.next_run_at) for state in s.shards),
        "seconds",
    ),
    Metric("qobs_breaker_state", "Circuit breaker: 0 closed, 1 half-open, 2 open.", _G, SOURCE, _sources(lambda s: s.breaker)),
    Metric("qobs_retry_total", "Requests that were sent again.", _C, SOURCE, _sources(lambda s: s.retries)),
    Metric(
        "qobs_provider_throttled_total",
        "Requests that had to wait for the account's rate limit.",
        _C,
        SOURCE,
        _sources(lambda s: s.throttled),
    ),
    Metric(
        "qobs_provider_requests_total",
        "Requests to the provider, by route template and class of the status code.",
        _C,
        (*SOURCE, "endpoint", "code"),
        lambda s: (((*state.where, *key), count) for state in s.sources for key, count in state.requests.items()),
    ),
    Metric(
        "qobs_provider_request_duration_seconds",
        "Duration of requests to the provider, with their whole body.",
        _H,
        SOURCE,
        request_durations,
        "seconds",
    ),
    Metric(
        "qobs_provider_clock_skew_seconds",
        "Provider clock minus own clock, from the Date header.",
        _G,
        SOURCE,
        _sources(lambda s: s.clock_skew_seconds),
        "seconds",
    ),
    Metric(
        "qobs_provider_rate_limit",
        "Requests that the provider allows in its period, from its rate-limit headers.",
        _G,
        (*SOURCE, "bucket"),
        lambda s: known(((*state.where, rate.bucket), rate.limit) for state in s.sources for rate in state.rate_limits),
    ),
    Metric(
        "qobs_provider_rate_limit_remaining",
        "Requests left in the provider's period, from its rate-limit headers.",
        _G,
        (*SOURCE, "bucket"),
        lambda s: (((*state.where, rate.bucket), rate.remaining) for state in s.sources for rate in state.rate_limits),
    ),
    Metric(
        "qobs_provider_rate_limit_reset_timestamp_seconds",
        "Time when the provider's period ends, from its rate-limit headers.",
        _G,
        (*SOURCE, "bucket"),
        lambda s: times(((*state.where, rate.bucket), rate.reset_at) for state in s.sources for rate in state.rate_limits),
        "seconds",
    ),
    Metric(
        "qobs_provider_credential_expiry_timestamp_seconds",
        "Time when the source's credential expires, where the provider tells it.",
        _G,
        SOURCE,
        lambda s: times((state.where, state.credential_expires_at) for state in s.sources),
        "seconds",
    ),
    Metric(
        "qobs_provider_certificate_expiry_timestamp_seconds",
        "End of the earliest-ending TLS certificate that the provider showed.",
        _G,
        SOURCE,
        lambda s: times((state.where, state.certificate_expires_at) for state in s.sources),
        "seconds",
    ),
    Metric(
        "qobs_unmapped_values_total",
        "Provider words that qobs has no translation for, by field.",
        _C,
        (*SOURCE, "field"),
        lambda s: (((*state.where, field), count) for state in s.sources for field, count in state.unmapped.items()),
    ),
)

INGEST_ROWS = (
    Metric("qobs_jobs_ingested_total", "Jobs seen for the first time.", _C, SOURCE, _jobs(lambda s: s.ingested)),
    Metric("qobs_jobs_updated_total", "Jobs that a page changed.", _C, SOURCE, _jobs(lambda s: s.updated)),
    Metric("qobs_jobs_noop_total", "Jobs that a page repeated without a change.", _C, SOURCE, _jobs(lambda s: s.unchanged)),
    Metric(
        "qobs_jobs_quarantined_total",
        "Records that could not be read and were kept aside.",
        _C,
        SHARD,
        _shards(lambda s: s.quarantined),
    ),
    Metric(
        "qobs_transitions_total", "Changes of state added to the jobs' histories.", _C, SOURCE, _jobs(lambda s: s.transitions)
    ),
    Metric(
        "qobs_anomalous_transitions_total",
        "Changes of state that cannot be (an ended job that runs again): kept, not believed.",
        _C,
        SOURCE,
        _jobs(lambda s: s.anomalous),
    ),
    Metric(
        "qobs_corrections_total", "Ended jobs that the provider moved to another end.", _C, SOURCE, _jobs(lambda s: s.corrections)
    ),
    Metric("qobs_late_updates_total", "Updates of a time that was already read past.", _C, SOURCE, _jobs(lambda s: s.late)),
    Metric(
        "qobs_clamped_times_total",
        "Impossible times (negative durations, far future) corrected for counting.",
        _C,
        SOURCE,
        _jobs(lambda s: s.clamped),
    ),
    Metric(
        "qobs_reconcile_differences_total",
        "Differences that a full scan found and repaired; stays 0 in health.",
        _C,
        SOURCE,
        _jobs(lambda s: s.reconcile_differences),
    ),
)

STORE_ROWS = (
    Metric("qobs_store_size_bytes", "Size of the database file.", _G, (), _store(lambda s: s.size_bytes), "bytes"),
    Metric("qobs_wal_size_bytes", "Size of the write-ahead log.", _G, (), _store(lambda s: s.wal_bytes), "bytes"),
    Metric("qobs_store_commit_seconds", "Duration of transactions of the store.", _H, (), store_commits, "seconds"),
    Metric(
        "qobs_store_write_failures_total",
        "Transactions that failed; nothing of them was kept.",
        _C,
        (),
        _store(lambda s: s.write_failures),
    ),
    Metric(
        "qobs_store_oldest_record_timestamp_seconds",
        "Time of the oldest job in the store.",
        _G,
        (),
        lambda s: times((((), None if s.store is None else s.store.oldest_record_at),)),
        "seconds",
    ),
)

EXPORTER_ROWS = (
    Metric("qobs_series", "Series in this exposition, this one included.", _G, (), lambda s: single(s.exporter.series)),
    Metric(
        "qobs_series_limit", "Series at which whole families are left out.", _G, (), lambda s: single(s.exporter.series_limit)
    ),
    Metric(
        "qobs_series_dropped_total",
        "Series left out of renders to stay within the limits, by family.",
        _C,
        ("family",),
        lambda s: (((family,), count) for family, count in s.exporter.dropped.items()),
    ),
    Metric(
        "qobs_exporter_failures_total",
        "Renders that a family failed in and was left out of, by family.",
        _C,
        ("family",),
        lambda s: (((family,), count) for family, count in s.exporter.failures.items()),
    ),
    Metric(
        "qobs_exporter_render_duration_seconds",
        "Duration of the render before this one.",
        _G,
        (),
        lambda s: single(s.exporter.render_seconds),
        "seconds",
    ),
    Metric(
        "qobs_exporter_body_bytes",
        "Size of the exposition before this one, by format.",
        _G,
        ("format",),
        lambda s: (((form,), size) for form, size in s.exporter.body_bytes.items()),
        "bytes",
    ),
)
