"""The table of all configuration keys: what the loader checks, the JSON Schema draws and the documentation lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qobs.config.addresses import FilePath, ListenAddress, Store, Url
from qobs.config.credentials import Vault
from qobs.config.kinds import Boolean, Duration, Instant, Integer, Number, Size, Text
from qobs.config.records import (
    Backups,
    CalibrationFreshness,
    Config,
    Generate,
    Indicators,
    JobLatency,
    Limits,
    Log,
    Maintenance,
    Otlp,
    QueueWait,
    Reference,
    Retention,
    Tier,
    WorkingHours,
)
from qobs.config.sampling import SampleKind, Share
from qobs.config.sources import SourceKind, SourceTypeLike
from qobs.config.structure import Key, ListOf, MapOf, OneOrMore, Record

DAY = 86_400.0
MIB = 1 << 20

LISTEN_DEFAULT = "127.0.0.1:9954"
STORE_DEFAULT = "sqlite:///var/lib/qobs/qobs.db"

_BACKEND = Text(max_length=200)
_SCOPE = Text(choices=("provider", "source", "backend", "sli", "priority", "workload", "team", "slo", "service"))
_PER_BACKEND = MapOf(Duration(), names=_BACKEND)

_INDICATORS = Record(
    Indicators,
    (
        Key(
            "queue_wait",
            Record(
                QueueWait,
                (
                    Key(
                        "threshold",
                        Duration(),
                        "longest good wait from submission to start",
                        default="5m",
                        field="threshold_seconds",
                    ),
                    Key(
                        "priorities",
                        MapOf(Duration(), names=Text(max_length=63)),
                        "threshold by priority class; wins over `backends`",
                    ),
                    Key("backends", _PER_BACKEND, "threshold by backend"),
                ),
            ),
            "M3, queue wait",
        ),
        Key(
            "job_latency",
            Record(
                JobLatency,
                (
                    Key(
                        "threshold",
                        Duration(),
                        "longest good time from submission to result",
                        default="1h",
                        field="threshold_seconds",
                    ),
                    Key("backends", _PER_BACKEND, "threshold by backend"),
                ),
            ),
            "M2, job latency",
        ),
        Key(
            "calibration_freshness",
            Record(
                CalibrationFreshness,
                (
                    Key(
                        "threshold",
                        Duration(),
                        "age up to which a calibration is fresh",
                        default="24h",
                        field="threshold_seconds",
                    ),
                    Key("backends", _PER_BACKEND, "threshold by backend"),
                ),
            ),
            "M4, calibration freshness",
        ),
    ),
)

_LIMITS = Record(
    Limits,
    (
        Key(
            "max_series",
            Integer(100, 5_000_000),
            "series that /metrics exposes at most; the rest is counted as dropped",
            default="50000",
        ),
        Key("max_series_per_family", Integer(10, 5_000_000), "series of one metric at most", default="2000"),
        Key(
            "max_values_per_label",
            Integer(1, 1_000_000),
            "values of one label at most; further ones become `other`",
            default="200",
        ),
        Key(
            "max_queue",
            Size(MIB, 64 << 30),
            "bytes between fetch and commit; full: fetching waits",
            default="64MiB",
            field="max_queue_bytes",
        ),
        Key("max_body", Size(64 << 10, 1 << 30), "one answer of a provider, inflated", default="32MiB", field="max_body_bytes"),
        Key("max_pages", Integer(1, 1_000_000), "pages of one poll", default="10000"),
        Key("max_memory", Size(64 * MIB, 1 << 40), "resident memory; none: the container's limit", field="max_memory_bytes"),
    ),
)

_RETENTION = Record(
    Retention,
    (
        Key(
            "jobs",
            Duration(low=91 * DAY),
            "how long finished jobs and their histories are kept; windows reach 90 days back",
            default="400d",
            field="jobs_seconds",
        ),
    ),
)

_BACKUPS = Record(
    Backups,
    (
        Key("every", Duration(low=60.0), "how often a copy is made", default="1h", field="every_seconds"),
        Key("keep", Integer(1, 10_000), "how many copies stay", default="24"),
    ),
)

_LOG = Record(
    Log,
    (
        Key("level", Text(choices=("debug", "info", "warning", "error")), "least severe event that is written", default="info"),
        Key("format", Text(choices=("logfmt", "json")), "one event a line, as key=value or as a JSON object", default="logfmt"),
    ),
)

_MAINTENANCE = Record(
    Maintenance,
    (
        Key(
            "scope",
            MapOf(OneOrMore(Text(max_length=200)), names=_SCOPE),
            "labels that the window is about, each with a value or a list; all given ones must match; `{}`: everything",
            required=True,
        ),
        Key("from", Instant(), "begin, with its offset from UTC", required=True, field="from_at"),
        Key("to", Instant(), "end, not included", required=True, field="to_at"),
        Key("reason", Text(max_length=500), "why", required=True),
    ),
)

_REFERENCE = Record(
    Reference,
    (
        Key("max_qubits", Integer(1, 40), "qubits that are simulated together at most", default="24"),
        Key("workers", Text(choices=("local",)), "who computes: `local`, one process of this machine", default="local"),
        Key(
            "sample",
            SampleKind(),
            "which completed jobs are verified: `all`, `{every: N}` (one in N, chosen by id), or `per_shape` (the first of each"
            " circuit shape in each calibration epoch)",
            default="all",
        ),
        Key("deadline", Duration(high=DAY), "longest computation of one circuit", default="2m", field="deadline_seconds"),
        Key(
            "max_memory",
            Size(2 << 30, 1 << 40),
            "address space of the worker, of which its libraries take 1.6GiB",
            default="4GiB",
            field="max_memory_bytes",
        ),
        Key("alpha", Share(), "chance that one verdict calls a good result worse", default="0.01"),
    ),
)

_OTLP = Record(
    Otlp,
    (
        Key("endpoint", Url(plain=True, schemes=("http", "https")), "OTLP receiver", required=True),
        Key("traces", Boolean(), "send traces", default="true"),
        Key("logs", Boolean(), "send logs", default="true"),
    ),
)


_GENERATE = Record(
    Generate,
    (
        Key("owner", Text(max_length=63), "label `owner` of alerts whose document names none (default: qobs)"),
        Key("runbook_base", Text(max_length=500), "path or URL before a runbook's name (default: docs/runbooks)"),
        Key("dashboard_base", Text(max_length=500), "path or URL before a dashboard's uid (default: /d)"),
        Key("alertmanager_url", Url(plain=True, schemes=("http", "https")), "where silences are made, for links in alerts"),
        Key("qobs_url", Url(plain=True, schemes=("http", "https")), "where the daemon's pages are, for links in alerts"),
        Key(
            "scrape_interval",
            Duration(low=1.0),
            "how often Prometheus scrapes qobs (default: 30s)",
            field="scrape_interval_seconds",
        ),
        Key(
            "queue_stall",
            Duration(low=1.0),
            "age of the oldest queued job that raises QobsQueueStalled (default: 4h)",
            field="queue_stall_seconds",
        ),
        Key("design_effect", Number(), "how many jobs of a batch count as one, at least (default: 1)"),
        Key(
            "severities",
            MapOf(Text(max_length=63), names=Text(choices=("page", "ticket", "info"))),
            "the site's words for severities",
        ),
        Key(
            "working_hours",
            Record(
                WorkingHours,
                (
                    Key("start", Text(max_length=5), "HH:MM", default="09:00"),
                    Key("end", Text(max_length=5), "HH:MM, up to 24:00; before the start: past midnight", default="17:00"),
                    Key("weekdays", Text(max_length=40), "a day, or first:last", default="monday:friday"),
                    Key("location", Text(max_length=64), "IANA time zone", default="UTC"),
                ),
            ),
            "when tickets notify; none: always",
        ),
    ),
)


def catalogue(types: Mapping[str, SourceTypeLike], base: Path, vault: Vault) -> Record[Config]:
    """Every top-level key. Relative paths start at ``base``."""
    return Record(
        Config,
        (
            Key("listen", ListenAddress(), "where HTTP is served", default=LISTEN_DEFAULT),
            Key("store", Store(base), "where facts are kept; a relative path starts at this file", default=STORE_DEFAULT),
            Key("sources", ListOf(SourceKind(types, vault), least=1, noun="sources"), "the accounts to watch", required=True),
            Key("indicators", _INDICATORS, "thresholds of the indicators"),
            Key("limits", _LIMITS, "caps of what may grow"),
            Key("retention", _RETENTION, "how long rows are kept; lifetime counts stay"),
            Key("backups", _BACKUPS, "verified copies beside the store, from which a damaged one is restored"),
            Key("log", _LOG, "how the daemon speaks"),
            Key(
                "tier",
                Record(Tier, (Key("full", ListOf(_BACKEND), "backends with per-qubit and per-gate series"),)),
                "detail of calibrations",
            ),
            Key(
                "slo",
                ListOf(FilePath(base)),
                "OpenSLO files and folders (default: the catalogue that comes with qobs; `[]`: none)",
            ),
            Key(
                "maintenance",
                ListOf(_MAINTENANCE),
                "planned windows: their events spend no budget, alerts are muted",
            ),
            Key("generate", _GENERATE, "what `qobs generate --config` writes into rules and routing"),
            Key("reference", _REFERENCE, "the reference simulator"),
            Key("otlp", _OTLP, "OpenTelemetry export"),
        ),
    )
