"""A job's history as it is kept: rows of ``transitions``, or the record itself where only one content was ever seen."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from qobs.model import Job, JobState
from qobs.store.fold import Times, decode, facts, times


class Entry(NamedTuple):
    """One state change; ``at`` in µs, :data:`~qobs.store.fold.NO_TIME` where the provider tells no time."""

    state: JobState
    at: int
    raw_state: str
    observed_at: int
    anomalous: bool


def told_by(job: Job, told: Times, observed_at: int) -> list[Entry]:
    """What one observation says about the job's past: the provider's own word goes with the state that it reports."""
    state, raw = job.state, job.raw_state
    return [Entry(entered, at, raw if entered is state else "", observed_at, False) for entered, at in facts(job, told)]


def entries(connection: sqlite3.Connection, ref: int, contents: int, first_seen_at: int, record: bytes) -> list[Entry]:
    """All state changes of one job, in no order."""
    if contents == 1:
        job = decode(record)
        return told_by(job, times(job), first_seen_at)
    rows = connection.execute(
        "SELECT state, provider_at, raw_state, observed_at, anomalous FROM transitions WHERE job = ?", (ref,)
    )
    return [Entry(JobState(state), at, raw, seen, bool(flag)) for state, at, raw, seen, flag in rows]
