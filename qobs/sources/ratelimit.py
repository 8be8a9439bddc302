"""How fast an account may be asked: a token bucket, the provider's own rate headers, and a budget for retries."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from datetime import datetime

EPOCH_SECONDS = 1_000_000_000.0
"""A reset value above this is a time since 1970, below it is seconds from now."""


class TokenBucket:
    """Requests of one (provider, account): ``rate`` a second on average, ``burst`` at once. Time is an argument.

    Share one bucket among all clients of an account. The provider's headers may close it for a while.
    """

    def __init__(self, *, rate: float, burst: float) -> None:
        """``rate`` in requests per second (> 0), ``burst`` in requests (>= 1)."""
        if not rate > 0 or not burst >= 1:
            raise ValueError(f"rate must be > 0 and burst >= 1, but rate={rate}, burst={burst}")
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None
        self._closed_until = -math.inf

    def reserve(self, at: float) -> float:
        """Take one request and give the seconds to wait before it is made; 0 where it may go now.

        The request is taken at once, so that waiters queue behind each other instead of waking up together.
        """
        self._refill(at)
        self._tokens -= 1.0
        wait = 0.0 if self._tokens >= 0 else -self._tokens / self._rate
        return max(wait, self._closed_until - at, 0.0)

    def wait_seconds(self, at: float) -> float:
        """What :meth:`reserve` would give, without taking anything."""
        self._refill(at)
        wait = max(0.0, 1.0 - self._tokens) / self._rate
        return max(wait, self._closed_until - at, 0.0)

    def give_back(self) -> None:
        """Undo one :meth:`reserve` of a request that was not made."""
        self._tokens = min(self._burst, self._tokens + 1.0)

    def close_until(self, at: float) -> None:
        """Let nothing pass before ``at`` (never shortens an earlier closing)."""
        self._closed_until = max(self._closed_until, at)

    def _refill(self, at: float) -> None:
        if self._at is not None and at > self._at:
            self._tokens = min(self._burst, self._tokens + (at - self._at) * self._rate)
        self._at = at if self._at is None else max(at, self._at)


class RetryBudget:
    """Retries are at most ``ratio`` of the requests of the last minute, or ``floor`` where that is more.

    The floor lets a source that asks rarely retry at all; the ratio keeps an outage from being amplified.
    """

    def __init__(self, *, ratio: float = 0.2, floor: int = 5, window_seconds: float = 60.0) -> None:
        """``ratio`` of first attempts, at least ``floor`` retries, in ``window_seconds``."""
        self._ratio = ratio
        self._floor = floor
        self._window = window_seconds
        self._requests: deque[float] = deque()
        self._retries: deque[float] = deque()

    def request(self, at: float) -> None:
        """Count one first attempt at monotonic time ``at``."""
        self._forget(at)
        self._requests.append(at)

    def take(self, at: float) -> bool:
        """Whether one more retry may be made at ``at``; if so it is counted."""
        self._forget(at)
        if len(self._retries) >= max(self._floor, math.floor(self._ratio * len(self._requests))):
            return False
        self._retries.append(at)
        return True

    def _forget(self, at: float) -> None:
        for times in (self._requests, self._retries):
            while times and times[0] <= at - self._window:
                times.popleft()


def rate_remaining(headers: Mapping[str, str]) -> int | None:
    """Requests left by ``X-RateLimit-Remaining`` or ``RateLimit-Remaining`` (names in lower case); None: not told."""
    value = _number(headers, "x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
    return None if value is None else int(min(value, 1e9))


def rate_reset_seconds(headers: Mapping[str, str], *, now: datetime, cap: float) -> float | None:
    """Seconds until the allowance is renewed, in [0, cap]; the header may give seconds from now, or a time since 1970.

    None where it is missing or garbage.
    """
    value = _number(headers, "x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after")
    if value is None:
        return None
    if value > EPOCH_SECONDS * 1000:
        value /= 1000.0
    if value > EPOCH_SECONDS:
        value -= now.timestamp()
    return min(max(value, 0.0), cap)


def _number(headers: Mapping[str, str], *names: str) -> float | None:
    for name in names:
        text = headers.get(name, "").split(",")[0].split(";")[0].strip()
        if text and len(text) <= 32:
            try:
                value = float(text)
            except ValueError:
                continue
            if math.isfinite(value) and value >= 0:
                return value
    return None
