"""What is shown of anomalies: one reading for each signal of each backend."""

from __future__ import annotations

import msgspec


class AnomalyReading(msgspec.Struct, frozen=True, kw_only=True):
    """One signal of one backend, compared with its own past.

    ``signal`` is ``queue_wait`` or ``calibration_`` with a figure; ``state`` one of :data:`STATES`. ``score`` is 0 where nothing
    points the harmful way and 1 at the limit. ``value``, ``baseline`` and ``limit`` are in the signal's own unit (seconds,
    ratio, count); ``test`` names what the score comes from: ``jump``, ``trend`` or ``quantile``. None: nothing to compare.
    """

    provider: str
    source: str
    backend: str
    signal: str
    state: str
    score: float | None = None
    limit: float | None = None
    value: float | None = None
    baseline: float | None = None
    test: str | None = None

    @property
    def where(self) -> tuple[str, ...]:
        """Label values (provider, source, backend, signal)."""
        return (self.provider, self.source, self.backend, self.signal)


ANOMALOUS = "anomalous"

STATES = ("ok", "learning", "suspect", ANOMALOUS, "no_data", "excluded")
"""Every state that a signal can be in."""
