"""What counts as in time: the limits that indicators judge by, and the fingerprint that tells one set from another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta

import msgspec


def _require_positive(name: str, value: timedelta) -> None:
    if value <= timedelta():
        raise ValueError(f"`{name}` must be longer than zero, but {name}={value}.")


def _micros(value: timedelta) -> int:
    return value // timedelta(microseconds=1)


def _pairs(table: Mapping[str, timedelta]) -> list[tuple[str, int]]:
    return [(key, _micros(table[key])) for key in sorted(table)]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A longest acceptable duration, for all or for some: the priority class is asked first, then the backend.

    A priority class is a promise that holds wherever the job runs; a backend's own limit is for all jobs without one.

    Raises:
        ValueError: A limit is not longer than zero.

    Example:
        >>> limit = Limit(default=timedelta(hours=1), by_priority={"high": timedelta(minutes=5)})
        >>> str(limit.of(backend="ibm_fez", priority="high")), str(limit.of(backend="ibm_fez", priority=""))
        ('0:05:00', '1:00:00')
    """

    default: timedelta
    by_priority: Mapping[str, timedelta] = {}
    by_backend: Mapping[str, timedelta] = {}

    def __post_init__(self) -> None:
        """Refuse limits that nothing could ever meet."""
        for name, table in (("by_priority", self.by_priority), ("by_backend", self.by_backend)):
            for key, value in table.items():
                _require_positive(f"{name}[{key!r}]", value)
        _require_positive("default", self.default)

    def of(self, *, backend: str, priority: str = "") -> timedelta:
        """The limit for one backend and priority class; empty strings are "not known"."""
        by_priority = self.by_priority.get(priority)
        return by_priority if by_priority is not None else self.by_backend.get(backend, self.default)

    def canonical(self) -> list[object]:
        """Microseconds and sorted pairs: equal for limits that judge alike."""
        return [_micros(self.default), _pairs(self.by_priority), _pairs(self.by_backend)]


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """All that an operator may set about the native indicators.

    ``future_tolerance``: a time further ahead of the judging moment than this is a wrong clock, and is counted at the
    judging moment instead; nearer ones are believed.

    Raises:
        ValueError: ``future_tolerance`` is negative.
    """

    queue_wait: Limit = Limit(default=timedelta(minutes=5))
    job_latency: Limit = Limit(default=timedelta(hours=1))
    calibration_freshness: Limit = Limit(default=timedelta(hours=24))
    future_tolerance: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        """Refuse a negative tolerance: it would call the present a wrong clock."""
        if self.future_tolerance < timedelta():
            raise ValueError(f"`future_tolerance` must not be negative, but future_tolerance={self.future_tolerance}.")

    def fingerprint(self, rules: str) -> str:
        """Sixteen hex digits that change with any limit, or with ``rules``, the version of the judging rules."""
        told = [
            rules,
            self.queue_wait.canonical(),
            self.job_latency.canonical(),
            self.calibration_freshness.canonical(),
            _micros(self.future_tolerance),
        ]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]
