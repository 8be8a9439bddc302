"""A dump of what is known, in an order and with contents that do not depend on when or how often it was seen.

Left out on purpose: observed and ingest times, schedules, exported marks, readings, polls, quarantine and cursors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from qobs.model import from_micros
from qobs.store import verifications
from qobs.store.counts import JOBS, MICRO
from qobs.store.fold import NO_TIME, decode, encode, presented
from qobs.store.history import entries
from qobs.store.presence import public
from qobs.store.rebuild import stored_buckets, stored_counters, stored_totals


def canonical(connection: sqlite3.Connection) -> Iterator[str]:
    """The lines of the dump, sorted within each kind."""
    yield from _jobs(connection)
    yield from verifications.canonical(connection)
    for origin in (JOBS, verifications.VERIFICATIONS):
        yield from _counts(connection, origin)
    for row in connection.execute(
        "SELECT provider, account, backend, calibrated_at, hex(content_hash) FROM calibrations ORDER BY 1, 2, 3, 4, 5"
    ):
        yield f"calibration {row[0]} {row[1]} {row[2]} {from_micros(row[3]).isoformat()} {row[4]}"


def _counts(connection: sqlite3.Connection, origin: str) -> Iterator[str]:
    lowest = -(1 << 62)
    for (series, bucket), total in sorted(stored_buckets(connection, origin, lowest).items()):
        yield f"bucket {bucket} {'|'.join(series)} good={total[0]} total={total[1]}"
    for series, total in sorted(stored_totals(connection, origin).items()):
        if any(total):
            yield f"total {'|'.join(series)} good={total.good} total={total.total}"
    for (name, labels), micros in sorted(stored_counters(connection, origin).items()):
        if micros:
            yield f"counter {name} {'|'.join(labels)} {micros // MICRO}.{micros % MICRO:06d}"


def _jobs(connection: sqlite3.Connection) -> Iterator[str]:
    for ref, contents, first_seen_at, record, gone_at in connection.execute(
        "SELECT ref, contents, first_seen_at, record, gone_at FROM jobs ORDER BY provider, account, id"
    ):
        job = public(decode(record), gone_at)
        yield f"job {encode(job).decode()}"
        told = entries(connection, ref, contents, first_seen_at, record)
        flags = {(one.state, one.at): one.anomalous for one in told}
        shown = presented((one.state, one.at, one.anomalous) for one in told)
        for state, at in sorted(shown, key=lambda fact: (fact[1], fact[0])):
            when = "-" if at == NO_TIME else from_micros(at).isoformat()
            yield f"transition {'|'.join(job.key)} {state} {when} anomalous={int(flags[state, at])}"
