"""From a configuration to the parts of the program: the only place where rooms meet."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

from qobs import __version__
from qobs.clock import Clock
from qobs.config import Config, SourceConfig, load
from qobs.daemon.observe import SourceLog
from qobs.export.budget import Budget
from qobs.model import Shard, Stream
from qobs.slo.indicators import Indicators
from qobs.slo.thresholds import Limit, Thresholds
from qobs.sources.base import Settings, Source, SourceType
from qobs.sources.guard import Guard
from qobs.sources.http import Edge, HttpClient
from qobs.sources.limits import Limits
from qobs.sources.mapping import apply_labels
from qobs.sources.poller import Watched
from qobs.sources.registry import SOURCES
from qobs.store.readonly import ReadOnlyStore
from qobs.store.sqlite import SqliteStore

DEFAULT_POLL_SECONDS = {Stream.JOBS: 60.0, Stream.STATUS: 60.0, Stream.CALIBRATIONS: 900.0, Stream.QUOTAS: 900.0}
URL_OPTIONS = ("url", "iam_url", "authority")
"""Options of source types that name a server: the operator wrote them, so requests may go there."""


def thresholds(config: Config) -> Thresholds:
    """The limits that indicators judge by."""
    wait, latency, fresh = (
        config.indicators.queue_wait,
        config.indicators.job_latency,
        config.indicators.calibration_freshness,
    )
    return Thresholds(
        queue_wait=_limit(wait.threshold_seconds, wait.backends, wait.priorities),
        job_latency=_limit(latency.threshold_seconds, latency.backends),
        calibration_freshness=_limit(fresh.threshold_seconds, fresh.backends),
    )


def _limit(default: float, backends: Mapping[str, float], priorities: Mapping[str, float] | None = None) -> Limit:
    return Limit(
        default=timedelta(seconds=default),
        by_backend={name: timedelta(seconds=seconds) for name, seconds in backends.items()},
        by_priority={name: timedelta(seconds=seconds) for name, seconds in (priorities or {}).items()},
    )


def budget(config: Config) -> Budget:
    """How many series may be exposed."""
    limits = config.limits
    return Budget(total=limits.max_series, per_family=limits.max_series_per_family, per_label=limits.max_values_per_label)


def open_store(config: Config) -> SqliteStore:
    """The store for writing.

    Raises:
        StoreError: it is locked by another daemon, too new, or beyond repair.
    """
    return SqliteStore.open(
        config.store.path,
        Indicators(thresholds(config)),
        retention=timedelta(seconds=config.retention.jobs_seconds),
    )


def open_store_to_read(path: Path | None, config: Path) -> ReadOnlyStore:
    """The store that ``qobs store`` looks at: ``path`` itself, or the one that the configuration names.

    The counts can be compared only where the configuration tells the thresholds that they were made by.

    Raises:
        ConfigError, StoreError: the configuration or the store cannot be read.
    """
    if path is not None:
        return ReadOnlyStore(path, None)
    loaded = load(config, SOURCES)
    return ReadOnlyStore(loaded.store.path, Indicators(thresholds(loaded)))


@dataclass(frozen=True, slots=True)
class Wired:
    """One configured source, ready to be polled: one client and one breaker for all its streams."""

    config: SourceConfig
    source: Source
    client: HttpClient
    log: SourceLog
    watched: tuple[tuple[Watched, float], ...]
    """Shards with their intervals in seconds."""


def wire_source(
    entry: SourceConfig,
    config: Config,
    *,
    clock: Clock,
    rng: Random,
    deadlines: Limits | None = None,
    log: SourceLog | None = None,
) -> Wired:
    """Build one source with its own guard, limits and client; ``deadlines`` None: the product's; ``log`` None: a new one.

    Raises:
        ConfigError: an option's value is not usable (a malformed CRN, say).
    """
    kind = SOURCES[entry.type]
    source = kind.build(_settings(entry))
    if log is None or (log.provider, log.source) != (source.provider, entry.name):
        log = SourceLog(source.provider, entry.name)
    urls = [str(text) for name in URL_OPTIONS if (text := entry.options.get(name) or (entry.url if name == "url" else None))]
    edge = Edge(
        clock=clock,
        rng=rng,
        guard=Guard(kind.hosts, urls=urls, allow=entry.allow_hosts),
        limits=replace(deadlines or Limits(), body_bytes=config.limits.max_body_bytes, pages_per_poll=config.limits.max_pages),
        observer=log,
        retried=kind.retried,
        user_agent=f"qobs/{__version__} (python/{platform.python_version()})",
    )
    client = HttpClient(edge)
    watched = tuple(_watch(entry, kind, source, client, config, streams=source.streams))
    return Wired(entry, source, client, log, watched)


def _settings(entry: SourceConfig) -> Settings:
    options = dict(entry.options)
    if entry.url is not None:
        options["url"] = entry.url
    return Settings(name=entry.name, type=entry.type, credentials=entry.credentials, options=options, labels=entry.labels)


def _watch(
    entry: SourceConfig, kind: SourceType, source: Source, client: HttpClient, config: Config, *, streams: Iterable[Stream]
) -> Iterable[tuple[Watched, float]]:
    label = partial(apply_labels, labels=entry.labels, tag_patterns=entry.tags) if entry.labels or entry.tags else None
    overlap = max(timedelta(minutes=10), 2 * timedelta(seconds=kind.consistency_seconds))
    for stream in sorted(streams):
        interval = entry.poll_seconds.get(stream) or kind.poll_seconds.get(stream) or DEFAULT_POLL_SECONDS[stream]
        shard = Shard(entry.name, source.provider, source.account, stream)
        watched = Watched(
            shard=shard, source=source, http=client, label=label, overlap=overlap, max_pages=config.limits.max_pages
        )
        yield watched, interval
