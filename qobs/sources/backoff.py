"""How long to wait before another try: full jitter, and the provider's own wish as a lower bound."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

BASE_SECONDS = 1.0
"""Upper bound of the first wait."""
CAP_SECONDS = 60.0
"""Upper bound of every later one."""
RETRY_AFTER_CAP_SECONDS = 3600.0
"""Longest wish that is honoured."""


def backoff_seconds(
    attempt: int, *, rng: Random, at_least: float = 0.0, base: float = BASE_SECONDS, cap: float = CAP_SECONDS
) -> float:
    """Seconds to wait: ``at_least`` plus ``random(0, min(cap, base * 2^attempt))``, attempts counted from 0.

    The draw is added to the provider's wish rather than compared with it, so that clients told the same time do not
    come back together.

    Source:
        "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 ("full jitter").
    """
    ceiling = min(cap, base * 2.0 ** min(max(attempt, 0), 60))
    return at_least + rng.uniform(0.0, ceiling)


def retry_after_seconds(value: str | None, *, now: datetime, cap: float = RETRY_AFTER_CAP_SECONDS) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, in [0, cap]; None for none, garbage, or a time that is past.

    Source:
        RFC 9110, section 10.2.3: seconds or an HTTP date.

    Example:
        >>> retry_after_seconds("7", now=datetime(2026, 1, 1, tzinfo=UTC))
        7.0
    """
    text = (value or "").strip()
    if not text or len(text) > 64:
        return None
    seconds = _plain_seconds(text) if text[0].isdigit() else _until_date(text, now)
    return None if seconds is None or seconds < 0 else min(seconds, cap)


def _plain_seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and "_" not in text else None


def _until_date(text: str, now: datetime) -> float | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    try:
        return (aware - now).total_seconds()
    except OverflowError:
        return None
