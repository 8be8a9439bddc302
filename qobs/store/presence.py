"""What a job that is, or is not, found at its provider amounts to, and when to ask for it again: pure."""

from __future__ import annotations

import msgspec

from qobs.model import TERMINAL, Job, JobState

MISSES_TO_UNKNOWN = 3
"""Checks in a row that the provider must not know a job before its state is unknown."""


def public(job: Job, gone_at: int | None) -> Job:
    """The job as everybody sees it: one that the provider no longer knows is unknown, unless its end is known."""
    if gone_at is None or job.state in TERMINAL:
        return job
    return msgspec.structs.replace(job, state=JobState.UNKNOWN)


def next_check(job: Job, submitted: int | None, first_seen_at: int, now: int) -> int | None:
    """When to ask for the job by id again, in µs; None for a settled job.

    A twentieth of its age, between 30 s and 1 h: young jobs change soon, old ones rarely.
    """
    if job.settled:
        return None
    born = first_seen_at if submitted is None else min(first_seen_at, submitted)
    return now + min(max((now - born) // 20, 30_000_000), 3_600_000_000)
