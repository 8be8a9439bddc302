"""Is the program alive, and is it ready: two different questions with two different answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qobs.clock import Clock

ALIVE_WITHIN_SECONDS = 10.0
"""The event loop counts as alive when it ran this lately."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether qobs can do its work: the reasons why not, by subject (``store``, ``config`` …); empty is ready."""

    reasons: tuple[tuple[str, str], ...] = ()

    @property
    def ready(self) -> bool:
        """True where nothing stands against it."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class Health:
    """What the health endpoints ask."""

    alive: Callable[[], bool]
    ready: Callable[[], Readiness]


class Heartbeat:
    """Runs on the event loop and notes how late it woke up: the loop's lag, and the proof that it runs at all."""

    def __init__(self, clock: Clock, *, every_seconds: float = 1.0) -> None:
        """Begin alive: a loop that has not started yet is not dead."""
        self._clock = clock
        self._every_seconds = every_seconds
        self._beat_at = clock.monotonic()
        self.lag_seconds: float | None = None
        """How late the last beat came; None before the first."""

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(self._every_seconds)
            self._beat_at = self._clock.monotonic()
            self.lag_seconds = max(0.0, self._beat_at - before - self._every_seconds)

    def alive(self) -> bool:
        """True when the loop ran within ten seconds."""
        return self._clock.monotonic() - self._beat_at <= ALIVE_WITHIN_SECONDS
