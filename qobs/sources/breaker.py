"""A circuit breaker per (provider, account), as a value: each event gives the next breaker, time and chance are arguments.

Closed lets every poll pass. It opens after 5 failed polls in a row, or when over half of at least 4 polls of the last
minute failed. Open lets nothing pass until the time of the next probe; then it is half-open and lets exactly one poll
pass. A good probe closes it, a failed one opens it again for twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

CONSECUTIVE = 5
WINDOW_SECONDS = 60.0
WINDOW_POLLS = 4
WINDOW_RATIO = 0.5
PROBE_FIRST_SECONDS = 30.0
PROBE_MOST_SECONDS = 600.0
PROBE_JITTER_RATIO = 0.2
_REMEMBERED = 256


class BreakerState(IntEnum):
    """The gauge's values."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of one breaker; times are monotonic seconds. ``Breaker()`` is closed and has seen nothing."""

    recent: tuple[tuple[float, bool], ...] = ()
    """Polls of the last minute while closed: end and success."""
    consecutive: int = 0
    """Failed polls since the last good one."""
    opened: int = 0
    """Times opened since the last good poll; 0: closed."""
    probe_at: float = 0.0
    """When the next probe may go; means nothing while closed."""
    probing_since: float | None = None
    """Start of the probe in flight."""

    def state(self, at: float) -> BreakerState:
        """State at ``at``; half-open from the time of the probe on, also while it is in flight."""
        if not self.opened:
            return BreakerState.CLOSED
        return BreakerState.OPEN if at < self.probe_at else BreakerState.HALF_OPEN

    def allows(self, at: float) -> bool:
        """Whether a poll may start at ``at``. A probe that never reported is given up after the longest pause."""
        state = self.state(at)
        if state is BreakerState.HALF_OPEN:
            return self.probing_since is None or at >= self.probing_since + PROBE_MOST_SECONDS
        return state is BreakerState.CLOSED

    def wait_seconds(self, at: float) -> float:
        """Seconds until a poll may start, as far as known at ``at``; 0 where one may now."""
        if self.allows(at):
            return 0.0
        if at < self.probe_at or self.probing_since is None:
            return max(self.probe_at - at, 0.0)
        return max(self.probing_since + PROBE_MOST_SECONDS - at, 0.0)

    def begin(self, at: float) -> Breaker:
        """A poll starts. Call it only where :meth:`allows` says so."""
        return replace(self, probing_since=at) if self.opened else self

    def cancelled(self) -> Breaker:
        """A poll ended without a verdict (shutdown): the next one may probe."""
        return replace(self, probing_since=None)

    def record(self, *, ok: bool, at: float, draw: float) -> Breaker:
        """A poll ended at ``at``; ``draw`` in [0, 1) jitters the next probe.

        A poll that began before the breaker opened and fails later changes nothing; one that succeeds closes it.
        """
        if self.opened:
            return self._after_probe(ok=ok, at=at, draw=draw)
        recent = (*(poll for poll in self.recent if poll[0] > at - WINDOW_SECONDS), (at, ok))[-_REMEMBERED:]
        after = replace(self, recent=recent, consecutive=0 if ok else self.consecutive + 1)
        return after.trip(at=at, draw=draw) if not ok and after._overloaded() else after

    def _after_probe(self, *, ok: bool, at: float, draw: float) -> Breaker:
        if ok:
            return Breaker(recent=((at, True),))
        if self.probing_since is None:
            return replace(self, consecutive=self.consecutive + 1)
        return replace(self, consecutive=self.consecutive + 1).trip(at=at, draw=draw)

    def _overloaded(self) -> bool:
        failed = sum(not ok for _, ok in self.recent)
        return self.consecutive >= CONSECUTIVE or (len(self.recent) >= WINDOW_POLLS and failed > WINDOW_RATIO * len(self.recent))

    def trip(self, *, at: float, draw: float) -> Breaker:
        """Open now, or again: also what a page with over 20 % unreadable records asks for."""
        pause = min(PROBE_FIRST_SECONDS * 2.0 ** min(self.opened, 30), PROBE_MOST_SECONDS)
        factor = 1.0 - PROBE_JITTER_RATIO + 2.0 * PROBE_JITTER_RATIO * draw
        return replace(self, recent=(), opened=self.opened + 1, probe_at=at + pause * factor, probing_since=None)
