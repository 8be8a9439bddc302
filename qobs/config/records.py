"""The configuration as frozen records: what the daemon is wired from.

Durations are seconds, sizes are bytes. Credentials are readers, so that no record here holds a secret's value.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from qobs.errors import Finding
from qobs.model import Stream
from qobs.secret import Secret


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the HTTP surface listens. Port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """As written in the configuration: ``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """Where facts are kept: ``path`` is the database file, absolute."""

    url: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One entry of ``sources``.

    ``options`` are the type's own keys with their defaults, and ``url`` where it was given. ``poll_seconds`` overrides
    the type's intervals, stream by stream. ``labels`` are job fields with a fixed value; ``tags`` are patterns whose
    named groups fill job fields from the provider's job tags, and win over ``labels``.
    """

    name: str
    type: str
    url: str | None = None
    allow_hosts: tuple[str, ...] = ()
    poll_seconds: Mapping[Stream, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    credentials: Mapping[str, Callable[[], Secret]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWait:
    """Threshold of M3. The most specific one wins: priority, then backend, then ``threshold_seconds``."""

    threshold_seconds: float = 300.0
    priorities: Mapping[str, float] = field(default_factory=dict)
    backends: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLatency:
    """Threshold of M2, per backend or for all."""

    threshold_seconds: float = 3_600.0
    backends: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFreshness:
    """Threshold of M4: the age up to which a calibration is fresh, per backend or for all."""

    threshold_seconds: float = 86_400.0
    backends: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicators:
    """Thresholds of the indicators. A change makes the store count again."""

    queue_wait: QueueWait = QueueWait()
    job_latency: JobLatency = JobLatency()
    calibration_freshness: CalibrationFreshness = CalibrationFreshness()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps of what may grow."""

    max_series: int = 50_000
    max_series_per_family: int = 2_000
    max_values_per_label: int = 200
    max_queue_bytes: int = 64 << 20
    max_body_bytes: int = 32 << 20
    max_pages: int = 10_000
    max_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long finished jobs are kept. Lifetime counts are kept for ever."""

    jobs_seconds: float = 400 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """Copies of the store, made beside it."""

    every_seconds: float = 3_600.0
    keep: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """How the daemon speaks to its operator."""

    level: str = "info"
    format: str = "logfmt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Backends whose per-qubit and per-gate figures are exported; the others have device medians only."""

    full: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """One planned window, half open: events of ``scope`` in [``from_at``, ``to_at``) are left out."""

    scope: Mapping[str, tuple[str, ...]]
    from_at: datetime
    to_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Which finished jobs are verified: every ``every``-th (1: all of them), or the first of each circuit shape."""

    every: int = 1
    per_shape: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The reference simulator: circuits up to ``max_qubits``, computed by ``workers`` (``local``: a process of this machine).

    A circuit has ``deadline_seconds`` and ``max_memory_bytes`` of address space; ``alpha`` is a verdict's chance of error.
    """

    max_qubits: int = 24
    workers: str = "local"
    sample: Sample = Sample()
    deadline_seconds: float = 120.0
    max_memory_bytes: int = 4 << 30
    alpha: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Otlp:
    """Where OpenTelemetry goes."""

    endpoint: str
    traces: bool = True
    logs: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingHours:
    """When tickets notify: ``start`` to ``end`` (HH:MM) on ``weekdays`` (a day, or ``first:last``) at ``location``."""

    start: str = "09:00"
    end: str = "17:00"
    weekdays: str = "monday:friday"
    location: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """What a site chooses about generated rules and routing; None: the default of ``qobs generate``."""

    owner: str | None = None
    runbook_base: str | None = None
    dashboard_base: str | None = None
    alertmanager_url: str | None = None
    qobs_url: str | None = None
    scrape_interval_seconds: float | None = None
    queue_stall_seconds: float | None = None
    design_effect: float | None = None
    severities: Mapping[str, str] = field(default_factory=dict)
    working_hours: WorkingHours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, checked.

    ``unused`` names the top-level keys that were given and that this version keeps without acting on them.
    ``warnings`` are findings that do not stop the daemon.
    """

    sources: tuple[SourceConfig, ...]
    listen: Listen
    store: StoreUrl
    slo: tuple[Path, ...] | None = None
    """OpenSLO files and folders; None: the catalogue that comes with qobs."""
    maintenance: tuple[Maintenance, ...] = ()
    reference: Reference | None = None
    otlp: Otlp | None = None
    indicators: Indicators = Indicators()
    limits: Limits = Limits()
    retention: Retention = Retention()
    backups: Backups = Backups()
    log: Log = Log()
    tier: Tier = Tier()
    generate: Generate = Generate()
    file: str = ""
    unused: tuple[str, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def fingerprint(self) -> str:
        """A short digest of what was configured: equal for equal meaning, whatever its comments and secrets."""
        plain = {
            item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self) if item.name not in _NOT_MEANING
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


_NOT_MEANING = frozenset({"file", "warnings"})


def _plain(value: object) -> object:
    """JSON form of a record; a credential's reader is told by its repr, which names the place and not the value."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(child) for child in value]
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    if dataclasses.is_dataclass(value) and not callable(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    return value.isoformat() if isinstance(value, datetime) else str(value)
