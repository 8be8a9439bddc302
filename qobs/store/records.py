"""Writing of all that is not a job: backends, quotas, calibrations, readings, quarantine, polls, cursors and states."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from qobs.model import BackendStatus, Calibration, Freshness, Judge, Poll, Quarantined, Quota, Shard, from_micros, to_micros
from qobs.store.counts import Sums

MAX_QUARANTINE_BODY = 64 * 1024
MAX_QUARANTINE_ROWS = 10_000
MAX_QUARANTINE_BYTES = 64 * 1024 * 1024

_ENCODER = msgspec.json.Encoder()
_CALIBRATION = msgspec.json.Decoder(Calibration)


def unpack(payload: bytes) -> Calibration:
    """A kept calibration from its compressed form."""
    return _CALIBRATION.decode(zlib.decompress(payload))


def keep_backends(connection: sqlite3.Connection, backends: Iterable[BackendStatus]) -> None:
    """Keep the latest status of each backend."""
    connection.executemany(
        "INSERT INTO backends (provider, account, source, backend, observed_at, payload) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET observed_at = excluded.observed_at, payload = excluded.payload"
        " WHERE excluded.observed_at > observed_at",
        [(b.provider, b.account, b.source, b.backend, to_micros(b.observed_at), _ENCODER.encode(b)) for b in backends],
    )


def keep_quotas(connection: sqlite3.Connection, quotas: Iterable[Quota]) -> None:
    """Keep the latest reading of each allowance."""
    connection.executemany(
        "INSERT INTO quotas (provider, account, source, dimension, scope, target, observed_at, payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET observed_at = excluded.observed_at, payload = excluded.payload"
        " WHERE excluded.observed_at > observed_at",
        [
            (q.provider, q.account, q.source, q.dimension, q.scope, q.target or "", to_micros(q.observed_at), _ENCODER.encode(q))
            for q in quotas
        ],
    )


def keep_calibrations(connection: sqlite3.Connection, calibrations: Iterable[Calibration], observed_at: datetime) -> None:
    """Keep every distinct calibration; one that is already there costs a look, not a compression."""
    for calibration in calibrations:
        text = _ENCODER.encode(calibration)
        digest = hashlib.blake2b(text, digest_size=16).digest()
        key = (calibration.provider, calibration.account, calibration.backend, to_micros(calibration.calibrated_at), digest)
        known = connection.execute(
            "SELECT 1 FROM calibrations WHERE provider = ? AND account = ? AND backend = ? AND calibrated_at = ?"
            " AND content_hash = ?",
            key,
        ).fetchone()
        if known is None:
            connection.execute(
                "INSERT INTO calibrations (provider, account, backend, calibrated_at, content_hash, observed_at, payload)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, to_micros(observed_at), zlib.compress(text, 6)),
            )


def keep_quarantined(connection: sqlite3.Connection, shard: Shard, records: Iterable[Quarantined], observed_at: datetime) -> int:
    """Keep unreadable records, each once, within the caps; returns how many are new."""
    before = connection.total_changes
    for record in records:
        body = record.body[:MAX_QUARANTINE_BODY]
        name = None if record.record_id is None else printable(record.record_id)
        reason = printable(record.reason)[:500]
        content = b"\0".join((record.stream.encode(), (name or "").encode(), reason.encode(), body))
        digest = hashlib.blake2b(content, digest_size=16).digest()
        connection.execute(
            "INSERT INTO quarantine (source, provider, account, stream, digest, observed_at, size, record_id, reason, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*_shard_key(shard), digest, to_micros(observed_at), len(body), name, reason, body),
        )
    added = connection.total_changes - before
    if added:
        _cap_quarantine(connection)
    return added


def printable(text: str) -> str:
    r"""Text that every database can keep: lone surrogates and NUL are written out.

    Example:
        >>> printable("a\x00b")
        'a\\x00b'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _cap_quarantine(connection: sqlite3.Connection) -> None:
    """Drop the oldest beyond the caps of rows and bytes."""
    connection.execute(
        "DELETE FROM quarantine WHERE id <= (SELECT id FROM quarantine ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (MAX_QUARANTINE_ROWS,),
    )
    size = connection.execute("SELECT coalesce(sum(size), 0) FROM quarantine").fetchone()[0]
    while size > MAX_QUARANTINE_BYTES:
        oldest, freed = connection.execute("SELECT id, size FROM quarantine ORDER BY id LIMIT 1").fetchone()
        connection.execute("DELETE FROM quarantine WHERE id = ?", (oldest,))
        size -= freed


def keep_poll(connection: sqlite3.Connection, poll: Poll) -> None:
    """Keep one poll attempt."""
    connection.execute(
        "INSERT INTO polls (source, provider, account, stream, started_at, duration_seconds, pages, records, reason, message)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *_shard_key(poll.shard),
            to_micros(poll.started_at),
            poll.duration_seconds,
            poll.pages,
            poll.records,
            poll.reason,
            None if poll.message is None else printable(poll.message)[:2000],
        ),
    )


def _shard_key(shard: Shard) -> tuple[str, str, str, str]:
    return shard.source, shard.provider, shard.account, shard.stream


def read_cursor(connection: sqlite3.Connection, shard: Shard) -> tuple[int, int] | None:
    """Watermark and commit time of a shard's cursor in µs; None before its first full poll."""
    row: tuple[int, int] | None = connection.execute(
        "SELECT watermark, committed_at FROM cursors WHERE source = ? AND provider = ? AND account = ? AND stream = ?",
        _shard_key(shard),
    ).fetchone()
    return row


def move_cursor(connection: sqlite3.Connection, shard: Shard, watermark: datetime, committed_at: datetime) -> None:
    """Move a cursor forward; an older watermark leaves it where it is."""
    connection.execute(
        "INSERT INTO cursors (source, provider, account, stream, watermark, committed_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET watermark = excluded.watermark, committed_at = excluded.committed_at"
        " WHERE excluded.watermark > watermark",
        (*_shard_key(shard), to_micros(watermark), to_micros(committed_at)),
    )


def drop_cursor(connection: sqlite3.Connection, shard: Shard) -> None:
    """Forget a cursor, so that the next poll reads everything again."""
    connection.execute("DELETE FROM cursors WHERE source = ? AND provider = ? AND account = ? AND stream = ?", _shard_key(shard))


def keep_states(connection: sqlite3.Connection, states: Mapping[str, bytes | None]) -> None:
    """Keep the states that have a value, forget those that have none."""
    connection.executemany(
        "INSERT INTO slo_states (key, state) VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
        [(key, state) for key, state in states.items() if state is not None],
    )
    connection.executemany("DELETE FROM slo_states WHERE key = ?", [(key,) for key, state in states.items() if state is None])


def keep_readings(
    connection: sqlite3.Connection, judge: Judge, readings: Iterable[Freshness], *, since: int
) -> tuple[Sums, int, int]:
    """Keep calibration readings, the newest calibration of each slice; returns (count changes, added, changed).

    Readings of slices before ``since`` (µs) are past retention and ignored.
    """
    sums, added, changed = Sums(), 0, 0
    for reading in readings:
        slice_at = to_micros(reading.slice_at)
        if slice_at < since:
            continue
        known = _known_reading(connection, reading)
        if known is None:
            added += 1
        elif not _newer(reading, known):
            continue
        else:
            changed += 1
            sums.add_all((), taken_back=(judge.freshness(known),))
        sums.add(judge.freshness(reading))
        calibrated_at = None if reading.calibrated_at is None else to_micros(reading.calibrated_at)
        connection.execute(
            "INSERT INTO freshness (slice_at, provider, account, backend, source, calibrated_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET source = excluded.source, calibrated_at = excluded.calibrated_at",
            (slice_at, reading.provider, reading.account, reading.backend, reading.source, calibrated_at),
        )
    return sums, added, changed


def _newer(reading: Freshness, known: Freshness) -> bool:
    if reading.calibrated_at is None:
        return False
    return known.calibrated_at is None or reading.calibrated_at > known.calibrated_at


def _known_reading(connection: sqlite3.Connection, reading: Freshness) -> Freshness | None:
    row = connection.execute(
        "SELECT slice_at, provider, account, backend, source, calibrated_at FROM freshness"
        " WHERE slice_at = ? AND provider = ? AND account = ? AND backend = ?",
        (to_micros(reading.slice_at), reading.provider, reading.account, reading.backend),
    ).fetchone()
    return None if row is None else reading_of(row)


def reading_of(row: tuple[int, str, str, str, str, int | None]) -> Freshness:
    """A reading from its row."""
    slice_at, provider, account, backend, source, calibrated_at = row
    return Freshness(
        provider=provider,
        source=source,
        account=account,
        backend=backend,
        slice_at=from_micros(slice_at),
        calibrated_at=None if calibrated_at is None else from_micros(calibrated_at),
    )
