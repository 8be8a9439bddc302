"""When to poll next: sums over interval, failures and the provider's wish. Times are monotonic seconds, draws lie in [0, 1)."""

from __future__ import annotations

import hashlib

from qobs.model import Reason, Shard

JITTER_RATIO = 0.1
"""Every interval is stretched or shrunk by up to this."""
START_SECONDS = 20.0
"""First polls after a start are spread over this, or over the interval where that is shorter."""
FAILED_CAP_SECONDS = 600.0
"""Longest pause because of failures, unless the interval itself is longer."""
CREDENTIAL_SECONDS = 60.0
"""Least pause after a refused credential: at most one request a minute until the operator mends it."""
RECHECK_LEAST_SECONDS = 30.0
RECHECK_MOST_SECONDS = 3600.0
RECHECK_AGE_RATIO = 0.1
"""An open job is asked for again after this share of its age: a job of five minutes every 30 s, of ten hours every hour."""


def jittered(seconds: float, draw: float) -> float:
    """``seconds`` times a factor in [0.9, 1.1).

    Example:
        >>> jittered(100.0, 0.5)
        100.0
    """
    return seconds * (1.0 - JITTER_RATIO + 2.0 * JITTER_RATIO * draw)


def spread_ratio(shard: Shard) -> float:
    """A number in [0, 1) that depends on the shard alone: the same in every process and after every restart."""
    digest = hashlib.blake2b("\x1f".join(shard).encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def first_poll_seconds(shard: Shard, *, interval: float, draw: float) -> float:
    """Seconds from the start of the daemon to a shard's first poll: spread by its hash, then jittered."""
    return jittered(spread_ratio(shard) * min(interval, START_SECONDS), draw)


def next_poll_at(
    *,
    started_at: float,
    now: float,
    interval: float,
    draw: float,
    failures: int = 0,
    reason: Reason | None = None,
    retry_after: float | None = None,
) -> float:
    """When to poll again.

    Args:
        started_at: Start of the poll that just ended.
        now: Its end. A poll that took longer than its interval is followed at once, without making up for missed turns.
        interval: Configured seconds between two starts.
        draw: Chance, in [0, 1).
        failures: Failed polls in a row, this one included; 0 after a success.
        reason: Why this one failed.
        retry_after: Seconds that the provider asked for, counted from ``now``: a lower bound.
    """
    if failures <= 0:
        return max(started_at + jittered(interval, draw), now)
    pause = min(interval * 2.0 ** min(failures - 1, 30), max(interval, FAILED_CAP_SECONDS))
    if reason in (Reason.AUTH, Reason.FORBIDDEN):
        pause = max(pause, CREDENTIAL_SECONDS / (1.0 - JITTER_RATIO))
    return max(started_at + jittered(pause, draw), now + (retry_after or 0.0))


def recheck_seconds(age_seconds: float, *, draw: float) -> float:
    """Seconds until an open job is asked for by its id again: a tenth of its age, in [30 s, 1 h], jittered.

    ``age_seconds`` is the time since submission; a job from the future counts as new.
    """
    wait = min(max(age_seconds * RECHECK_AGE_RATIO, RECHECK_LEAST_SECONDS), RECHECK_MOST_SECONDS)
    return jittered(wait, draw)
