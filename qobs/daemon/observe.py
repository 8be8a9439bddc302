"""What the daemon notices about itself: plain counters of this process's life, frozen into a snapshot when asked.

Everything here is touched on the event loop's thread only; :func:`freeze` methods hand out immutable copies.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from qobs.export.snapshot import Histogram, RateLimit, ShardState, SourceState
from qobs.model import Applied, Reason, Shard
from qobs.sources.poller import Outcome

POLL_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
REQUEST_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COMMIT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Observations:
    """Durations by bucket, in seconds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Empty buckets with upper bounds ``bounds``, ascending."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def freeze(self) -> Histogram:
        """What was observed so far."""
        return Histogram(self._bounds, tuple(self._counts), self._sum)


class ShardLog:
    """How the polling of one shard goes."""

    def __init__(self, shard: Shard, interval_seconds: float, watermark: datetime | None = None) -> None:
        """Begin with no poll made; ``watermark`` is what an earlier life of the daemon has left."""
        self.shard = shard
        self.interval_seconds = interval_seconds
        self.watermark = watermark
        self.last_success_at: datetime | None = None
        self.last_ok: bool | None = None
        self.next_run_at: datetime | None = None
        self.differences = 0
        self._polls = 0
        self._errors: Counter[Reason] = Counter()
        self._durations = Observations(POLL_BOUNDS)
        self._applied: Counter[str] = Counter()

    def poll(self, outcome: Outcome, ended_at: datetime) -> None:
        """Take note of one finished poll."""
        poll = outcome.poll
        self._polls += 1
        self._durations.observe(poll.duration_seconds)
        self.last_ok = poll.reason is None
        if poll.reason is None:
            self.last_success_at = ended_at
        else:
            self._errors[poll.reason] += 1
        self.watermark = outcome.watermark or self.watermark
        self.applied(outcome.applied)

    def broken(self) -> None:
        """Take note of a poll that ended in a bug of ours."""
        self._polls += 1
        self._errors[Reason.OTHER] += 1
        self.last_ok = False

    def applied(self, applied: Applied) -> None:
        """Add what a commit changed."""
        for name in _APPLIED:
            self._applied[name] += getattr(applied, name)

    def freeze(self) -> ShardState:
        """The state as a snapshot shows it."""
        return ShardState(
            shard=self.shard,
            interval_seconds=self.interval_seconds,
            polls=self._polls,
            errors=dict(self._errors),
            durations=self._durations.freeze(),
            last_ok=self.last_ok,
            last_success_at=self.last_success_at,
            next_run_at=self.next_run_at,
            watermark=self.watermark,
            reconcile_differences=self.differences,
            **{name: self._applied[name] for name in _APPLIED},
        )


_APPLIED = ("ingested", "updated", "unchanged", "quarantined", "transitions", "anomalous", "corrections", "late", "clamped")


class SourceLog:
    """How the talk with one source's provider goes: told by the HTTP client and the poll loop."""

    def __init__(self, provider: str, source: str) -> None:
        """Begin with nothing noticed."""
        self.provider, self.source = provider, source
        self.breaker = 0
        self.skew_seconds: float | None = None
        self.credential_expires_at: datetime | None = None
        self._certificates: dict[str, datetime] = {}
        self._requests: Counter[tuple[str, str]] = Counter()
        self._durations = Observations(REQUEST_BOUNDS)
        self._retries = 0
        self._throttled = 0
        self._unmapped: Counter[str] = Counter()
        self._rates: dict[str, RateLimit] = {}

    def unmapped(self, counts: Mapping[str, int]) -> None:
        """Count words without a translation, by field."""
        self._unmapped.update(counts)

    def request(self, endpoint: str, status_class: str, seconds: float) -> None:
        """Count one attempt that ended, well or not."""
        self._requests[endpoint, status_class] += 1
        self._durations.observe(seconds)

    def retry(self, endpoint: str, reason: Reason, seconds: float) -> None:
        """Count one request that is tried again."""
        self._retries += 1

    def throttled(self, endpoint: str, seconds: float) -> None:
        """Count one request that waits for the account's rate limit."""
        self._throttled += 1

    def skew(self, seconds: float) -> None:
        """Keep the newest estimate of the provider's clock against ours."""
        self.skew_seconds = seconds

    def rate_remaining(self, requests: int) -> None:
        """Keep the newest word on what is left of the allowance."""
        self._rates["requests"] = RateLimit(bucket="requests", remaining=requests)

    def certificate(self, host: str, expires_at: datetime) -> None:
        """Keep the end of the certificate that each host showed last: a renewed one replaces the old."""
        self._certificates[host] = expires_at

    @property
    def certificate_expires_at(self) -> datetime | None:
        """The earliest end among the hosts; None before the first TLS connection."""
        return min(self._certificates.values(), default=None)

    def freeze(self) -> SourceState:
        """The state as a snapshot shows it."""
        return SourceState(
            provider=self.provider,
            source=self.source,
            breaker=self.breaker,
            clock_skew_seconds=self.skew_seconds,
            credential_expires_at=self.credential_expires_at,
            certificate_expires_at=self.certificate_expires_at,
            rate_limits=tuple(self._rates[bucket] for bucket in sorted(self._rates)),
            requests=dict(self._requests),
            request_durations=self._durations.freeze(),
            retries=self._retries,
            throttled=self._throttled,
            unmapped=dict(self._unmapped),
        )
