"""The tables of the SQLite store, and the migrations that make them.

Times are UTC integer microseconds. Observations are the ground truth: only inserted, removed by retention alone. The
``jobs`` row is the fold of a job's observations. A job of which only one content was ever seen is its own observation and
its own history: it gets rows in ``observations`` and ``transitions``, and ``revision``, ``rank`` and ``digest`` of its newest
content, when a second one comes (``contents`` counts them). ``hash`` finds a job by its id, see
:func:`qobs.store.rows.id_hash`; ``submitted_at`` is filled while a job is open or asked for again. Buckets, totals and
counters are what the judge says about the jobs; hours are sums of buckets, and batches the same events by what shares a fate.

``exclusions`` is what its log makes of it: ``content`` of a log line is the whole exclusion as that line left it, so that the
log alone can be replayed. States are bytes that only their owner can read.

``verifications`` are numbered in the order in which they came; ``place`` is the circuit's index within its job.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qobs.errors import StoreError, StoreTooNew

APPLICATION_ID = 0x716F6273
"""``qobs`` in ASCII: marks the file as ours in its header."""

_FIRST = (
    """CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE jobs (
        ref INTEGER PRIMARY KEY, hash INTEGER NOT NULL, provider TEXT NOT NULL, account TEXT NOT NULL, id TEXT NOT NULL,
        source TEXT NOT NULL, backend TEXT, state TEXT NOT NULL, open INTEGER NOT NULL,
        submitted_at INTEGER, latest_at INTEGER NOT NULL, first_seen_at INTEGER NOT NULL,
        revision INTEGER, rank INTEGER, digest BLOB,
        contents INTEGER NOT NULL DEFAULT 1, anomalies INTEGER NOT NULL DEFAULT 0,
        judged_at INTEGER NOT NULL, judge_at INTEGER, next_check_at INTEGER, checks INTEGER NOT NULL DEFAULT 0,
        missing INTEGER NOT NULL DEFAULT 0, missing_at INTEGER, gone_at INTEGER, record BLOB NOT NULL)""",
    """CREATE INDEX jobs_hash ON jobs (hash, latest_at)""",
    """CREATE INDEX jobs_latest ON jobs (latest_at)""",
    """CREATE INDEX jobs_open ON jobs (provider, source, backend, state, submitted_at) WHERE open = 1""",
    """CREATE INDEX jobs_judge ON jobs (judge_at) WHERE judge_at IS NOT NULL""",
    """CREATE INDEX jobs_due ON jobs (source, provider, account, next_check_at) WHERE next_check_at IS NOT NULL""",
    """CREATE TABLE observations (
        job INTEGER NOT NULL REFERENCES jobs (ref), digest BLOB NOT NULL, revision INTEGER NOT NULL,
        rank INTEGER NOT NULL, observed_at INTEGER NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (job, digest)) WITHOUT ROWID""",
    """CREATE TABLE transitions (
        job INTEGER NOT NULL REFERENCES jobs (ref), state TEXT NOT NULL, provider_at INTEGER NOT NULL,
        raw_state TEXT NOT NULL, observed_at INTEGER NOT NULL, anomalous INTEGER NOT NULL,
        PRIMARY KEY (job, state, provider_at)) WITHOUT ROWID""",
    """CREATE TABLE sli_series (
        id INTEGER PRIMARY KEY, origin TEXT NOT NULL, sli TEXT NOT NULL, provider TEXT NOT NULL, source TEXT NOT NULL,
        backend TEXT NOT NULL, priority TEXT NOT NULL, workload TEXT NOT NULL, team TEXT NOT NULL,
        UNIQUE (origin, sli, provider, source, backend, priority, workload, team))""",
    """CREATE TABLE sli_buckets (
        bucket INTEGER NOT NULL, series INTEGER NOT NULL REFERENCES sli_series (id),
        good INTEGER NOT NULL, total INTEGER NOT NULL, PRIMARY KEY (bucket, series)) WITHOUT ROWID""",
    """CREATE TABLE sli_totals (
        series INTEGER PRIMARY KEY REFERENCES sli_series (id), good INTEGER NOT NULL, total INTEGER NOT NULL,
        exported_bad INTEGER NOT NULL, exported_total INTEGER NOT NULL,
        retired_good INTEGER NOT NULL DEFAULT 0, retired_total INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE counters (
        origin TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL, micros INTEGER NOT NULL,
        exported INTEGER NOT NULL, retired INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (origin, name, labels)) WITHOUT ROWID""",
    """CREATE TABLE calibrations (
        provider TEXT NOT NULL, account TEXT NOT NULL, backend TEXT NOT NULL, calibrated_at INTEGER NOT NULL,
        content_hash BLOB NOT NULL, observed_at INTEGER NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (provider, account, backend, calibrated_at, content_hash))""",
    """CREATE TABLE backends (
        provider TEXT NOT NULL, account TEXT NOT NULL, source TEXT NOT NULL, backend TEXT NOT NULL,
        observed_at INTEGER NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (provider, account, source, backend)) WITHOUT ROWID""",
    """CREATE TABLE quotas (
        provider TEXT NOT NULL, account TEXT NOT NULL, source TEXT NOT NULL, dimension TEXT NOT NULL,
        scope TEXT NOT NULL, target TEXT NOT NULL, observed_at INTEGER NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (provider, account, source, dimension, scope, target)) WITHOUT ROWID""",
    """CREATE TABLE freshness (
        slice_at INTEGER NOT NULL, provider TEXT NOT NULL, account TEXT NOT NULL, backend TEXT NOT NULL,
        source TEXT NOT NULL, calibrated_at INTEGER,
        PRIMARY KEY (slice_at, provider, account, backend)) WITHOUT ROWID""",
    """CREATE TABLE polls (
        id INTEGER PRIMARY KEY, source TEXT NOT NULL, provider TEXT NOT NULL, account TEXT NOT NULL,
        stream TEXT NOT NULL, started_at INTEGER NOT NULL, duration_seconds REAL NOT NULL, pages INTEGER NOT NULL,
        records INTEGER NOT NULL, reason TEXT, message TEXT)""",
    """CREATE INDEX polls_started ON polls (started_at)""",
    """CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, provider TEXT NOT NULL, account TEXT NOT NULL,
        stream TEXT NOT NULL, digest BLOB NOT NULL, observed_at INTEGER NOT NULL, size INTEGER NOT NULL,
        record_id TEXT, reason TEXT NOT NULL, body BLOB NOT NULL,
        UNIQUE (source, provider, account, stream, digest))""",
    """CREATE TABLE cursors (
        source TEXT NOT NULL, provider TEXT NOT NULL, account TEXT NOT NULL, stream TEXT NOT NULL,
        watermark INTEGER NOT NULL, committed_at INTEGER NOT NULL,
        PRIMARY KEY (source, provider, account, stream)) WITHOUT ROWID""",
)

_HOURS_AND_EXCLUSIONS = (
    """CREATE TABLE sli_hours (
        hour INTEGER NOT NULL, series INTEGER NOT NULL REFERENCES sli_series (id),
        good INTEGER NOT NULL, total INTEGER NOT NULL, PRIMARY KEY (hour, series)) WITHOUT ROWID""",
    """INSERT INTO sli_hours (hour, series, good, total)
        SELECT bucket - ((bucket % 3600) + 3600) % 3600, series, sum(good), sum(total) FROM sli_buckets GROUP BY 1, 2""",
    """CREATE TABLE sli_batches (
        series INTEGER NOT NULL REFERENCES sli_series (id), grp TEXT NOT NULL,
        total INTEGER NOT NULL, bad INTEGER NOT NULL, latest INTEGER NOT NULL,
        PRIMARY KEY (series, grp)) WITHOUT ROWID""",
    """DELETE FROM meta WHERE key = 'judge'""",  # batches come from the records alone: the next opening counts again
    """CREATE TABLE slo_states (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE exclusions (
        id TEXT PRIMARY KEY, from_at INTEGER NOT NULL, to_at INTEGER NOT NULL, reason TEXT NOT NULL, scope TEXT NOT NULL,
        author TEXT NOT NULL, created_at INTEGER NOT NULL, withdrawn_at INTEGER) WITHOUT ROWID""",
    """CREATE TABLE exclusion_log (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, at INTEGER NOT NULL, action TEXT NOT NULL,
        author TEXT NOT NULL, detail TEXT NOT NULL, content BLOB NOT NULL)""",
    """CREATE TRIGGER exclusion_log_unchanged BEFORE UPDATE ON exclusion_log
        BEGIN SELECT RAISE(ABORT, 'the audit of exclusions is only ever added to'); END""",
    """CREATE TRIGGER exclusion_log_undeleted BEFORE DELETE ON exclusion_log
        BEGIN SELECT RAISE(ABORT, 'the audit of exclusions is only ever added to'); END""",
)

_VERIFICATIONS = (
    """CREATE TABLE verify_queue (
        provider TEXT NOT NULL, account TEXT NOT NULL, id TEXT NOT NULL, source TEXT NOT NULL, state TEXT NOT NULL,
        tries INTEGER NOT NULL, deaths INTEGER NOT NULL, due_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
        reason TEXT NOT NULL, PRIMARY KEY (provider, account, id)) WITHOUT ROWID""",
    """CREATE INDEX verify_queue_due ON verify_queue (source, provider, account, due_at) WHERE state = 'queued'""",
    """CREATE INDEX verify_queue_open ON verify_queue (state) WHERE state <> 'done'""",
    """CREATE TABLE verifications (
        number INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT NOT NULL, account TEXT NOT NULL, id TEXT NOT NULL,
        place INTEGER NOT NULL, source TEXT NOT NULL, backend TEXT NOT NULL, executed_at INTEGER NOT NULL,
        epoch TEXT, shape TEXT, payload BLOB NOT NULL, UNIQUE (provider, account, id, place))""",
    """CREATE INDEX verifications_shape ON verifications (source, backend, epoch, shape)""",
    """CREATE INDEX verifications_executed ON verifications (executed_at)""",
)

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("001_first", _FIRST),
    ("002_hours_batches_exclusions", _HOURS_AND_EXCLUSIONS),
    ("003_verifications", _VERIFICATIONS),
)
"""Name and statements of each step, oldest first. Steps are only ever appended."""

SCHEMA_VERSION = len(MIGRATIONS)

TABLES = (
    "jobs",
    "observations",
    "transitions",
    "sli_series",
    "sli_buckets",
    "sli_hours",
    "sli_batches",
    "sli_totals",
    "counters",
    "slo_states",
    "exclusions",
    "exclusion_log",
    "verify_queue",
    "verifications",
    "calibrations",
    "backends",
    "quotas",
    "freshness",
    "polls",
    "quarantine",
    "cursors",
    "meta",
)
"""All tables of the current schema, in the order in which ``info`` lists them."""


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_identity(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of a file that is ours and not newer than this code.

    Raises:
        StoreTooNew: a newer qobs wrote the file.
        StoreError: the file is another program's database.
    """
    version = schema_version(connection)
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path}: schema version {version} was written by a newer qobs; this one knows up to {SCHEMA_VERSION}: "
            "start the newer qobs, or restore the backup made before its migration"
        )
    found = int(connection.execute("PRAGMA application_id").fetchone()[0])
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if found != APPLICATION_ID and not empty:
        raise StoreError(f"{path}: application id {found:#x} found, {APPLICATION_ID:#x} expected: this is not a qobs store")
    return version


def migrate(
    connection: sqlite3.Connection,
    *,
    before: Callable[[int], None] | None = None,
    steps: tuple[tuple[str, tuple[str, ...]], ...] = MIGRATIONS,
) -> int:
    """Bring the file to the current schema, one transaction a step; returns how many steps ran.

    ``before`` is called once with the old version if a non-empty file is about to change: it makes the backup.
    """
    version = schema_version(connection)
    if version >= len(steps):
        return 0
    if before is not None and version > 0:
        before(version)
    import sqlite_utils
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("qobs")
    for number, (name, statements) in enumerate(steps, start=1):
        migrations(name=name)(_step(number, statements))
    migrations.apply(sqlite_utils.Database(connection))
    return len(steps) - version


def _step(number: int, statements: tuple[str, ...]) -> Callable[[Any], None]:
    def run(database: Any) -> None:
        for statement in statements:
            database.conn.execute(statement)
        database.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.conn.execute(f"PRAGMA user_version = {number}")

    run.__name__ = f"step_{number}"
    return run


def stamp(at: datetime) -> str:
    """A time for file names that sorts by itself.

    Example:
        >>> stamp(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
        '20260102T030405.000006Z'
    """
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
