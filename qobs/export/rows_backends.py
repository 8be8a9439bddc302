"""Rows that mirror what providers publish about backends and quotas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from qobs.export.snapshot import Labels, ShardState, Snapshot
from qobs.export.table import WHERE, Kind, Metric, Sample, known, times
from qobs.model import BackendState, BackendStatus, Quota, Stream

EXPIRES_AFTER_POLLS = 3


def _where(status: BackendStatus) -> Labels:
    return (status.provider, status.source, status.backend)


def _status_shards(snapshot: Snapshot) -> dict[str, ShardState]:
    return {state.shard.source: state for state in snapshot.shards if state.shard.stream is Stream.STATUS}


def _age(status: BackendStatus, at: datetime) -> float:
    return (at - status.observed_at).total_seconds()


def listed(snapshot: Snapshot) -> Iterator[BackendStatus]:
    """Backends that the latest good answers still named: a retired one goes, an unreachable provider's stay."""
    shards = _status_shards(snapshot)
    for status in snapshot.backends:
        shard = shards.get(status.source)
        answered = shard.last_success_at if shard is not None else None
        if shard is None or answered is None or _age(status, answered) <= EXPIRES_AFTER_POLLS * shard.interval_seconds:
            yield status


def current(snapshot: Snapshot) -> Iterator[BackendStatus]:
    """Backends whose state and queue were read within three poll intervals: older ones are not shown as the present."""
    shards = _status_shards(snapshot)
    for status in snapshot.backends:
        shard = shards.get(status.source)
        if shard is None or _age(status, snapshot.now) <= EXPIRES_AFTER_POLLS * shard.interval_seconds:
            yield status


def backend_info(snapshot: Snapshot) -> Iterator[Sample]:
    """Small describing enums; what is not known is an empty label."""
    for status in listed(snapshot):
        simulator = "" if status.simulator is None else str(status.simulator).lower()
        yield (*_where(status), status.technology or "", status.version or "", simulator), 1


def backend_state(snapshot: Snapshot) -> Iterator[Sample]:
    """All states of each backend, the present one 1."""
    return (
        ((*_where(status), state.value), int(status.state is state)) for status in current(snapshot) for state in BackendState
    )


def _listed(of: Callable[[BackendStatus], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: known((_where(status), of(status)) for status in listed(snapshot))


def _current(of: Callable[[BackendStatus], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: known((_where(status), of(status)) for status in current(snapshot))


def _quotas(of: Callable[[Quota], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: known(
        ((quota.provider, quota.source, quota.dimension, quota.scope, quota.target or "", quota.period or ""), of(quota))
        for quota in snapshot.quotas
    )


_G = Kind.GAUGE
_QUOTA = ("provider", "source", "dimension", "scope", "target", "period")

BACKEND_ROWS = (
    Metric(
        "qobs_backend_info",
        "What kind of backend it is, as published, with the value 1.",
        Kind.INFO,
        (*WHERE, "technology", "backend_version", "simulator"),
        backend_info,
    ),
    Metric("qobs_backend_qubits", "Qubits of the backend, as published.", _G, WHERE, _listed(lambda b: b.qubits)),
    Metric(
        "qobs_backend_state",
        "1 for the state that the provider publishes, 0 for the others; gone when not read for three polls.",
        Kind.STATESET,
        (*WHERE, "state"),
        backend_state,
    ),
    Metric(
        "qobs_backend_queue_jobs",
        "Jobs of all users that wait, as published; gone when not read for three polls.",
        _G,
        WHERE,
        _current(lambda b: b.queue_jobs),
    ),
    Metric(
        "qobs_backend_queue_wait_estimate_seconds",
        "The provider's own estimate of the wait; gone when not read for three polls.",
        _G,
        WHERE,
        _current(lambda b: b.queue_wait_seconds),
        "seconds",
    ),
    Metric(
        "qobs_backend_next_maintenance_timestamp_seconds",
        "Start of the next maintenance that the provider announces; absent when none is.",
        _G,
        WHERE,
        lambda s: times((_where(status), status.next_maintenance_at) for status in listed(s)),
        "seconds",
    ),
    Metric(
        "qobs_backend_layer_error_ratio",
        "Error per layered gate, as published.",
        _G,
        WHERE,
        _listed(lambda b: b.layer_error),
        "ratio",
    ),
    Metric(
        "qobs_backend_layers_per_second",
        "Circuit layers per second (CLOPS), as published.",
        _G,
        WHERE,
        _listed(lambda b: b.layers_per_second),
    ),
    Metric("qobs_quota_limit", "Allowance of the account, in the provider's unit.", _G, _QUOTA, _quotas(lambda q: q.limit)),
    Metric("qobs_quota_used", "Used part of the allowance, in the provider's unit.", _G, _QUOTA, _quotas(lambda q: q.used)),
    Metric(
        "qobs_quota_held",
        "Part of the allowance held by open jobs, in the provider's unit.",
        _G,
        _QUOTA,
        _quotas(lambda q: q.held),
    ),
)
