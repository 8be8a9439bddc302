"""The CUSUM of a stream while it happens: a kept state for what is old, and a replay of the last minutes.

Events up to 15 minutes old are replayed in order of time whenever one came, so that they may arrive in any order; older ones
are folded into the kept state, in order of time, and never looked at again. An event that comes later than that, and behind
events that are folded already, is folded as it arrives if it is at most six hours old; one that is older still is left to the
windows: a page is about now, and to fold yesterday's failures behind today's successes would tell a story that never was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

import msgspec

from qobs.columns import HOUR_SECONDS
from qobs.slo import cusum
from qobs.slo.cusum import CusumState
from qobs.slo.live.ledger import Rate

YOUNG_SECONDS = 900
"""Events younger than this are replayed at every look."""

LATE_SECONDS = 6 * 3600
"""Events that come out of order are folded up to this age."""

REPLAY_SECONDS = 3 * 86_400
"""Without a kept state, so much history is replayed."""

_MICRO = 1_000_000


class KeptScore(msgspec.Struct, frozen=True, kw_only=True):
    """A state on disk: ``through`` is the last bucket in it, ``seen`` the events of its hour up to there."""

    scores: tuple[float, ...]
    good_run: int
    failed_at: int | None
    firing: bool
    through: int
    seen: int


@dataclass(slots=True)
class _Fold:
    """A CUSUM in the middle of a history."""

    state: CusumState
    through: int = -1
    seen: int = 0


class Score:
    """One CUSUM of one stream."""

    def __init__(self, *, budget: float, phi: float) -> None:
        """As :func:`qobs.slo.cusum.replay`."""
        self._paths = cusum.tracks(budget)
        self._phi = phi
        self._old = _Fold(cusum.started(budget))
        self._tip = self._old.state
        self.changed = False
        """Whether the kept state moved since this was last set to False."""

    @property
    def through(self) -> int:
        """The last bucket of the kept state; -1: none yet."""
        return self._old.through

    def restore(self, kept: KeptScore) -> bool:
        """Go on from a state on disk; False where it does not fit the objective any more."""
        if len(kept.scores) != len(self._paths):
            return False
        state = CusumState(kept.scores, kept.good_run, kept.failed_at, kept.firing)
        self._old = _Fold(state, kept.through, kept.seen)
        self._tip = state
        return True

    @property
    def kept(self) -> KeptScore:
        """The state to write down."""
        state = self._old.state
        return KeptScore(
            scores=state.scores,
            good_run=state.good_run,
            failed_at=state.failed_at,
            firing=state.firing,
            through=self._old.through,
            seen=self._old.seen,
        )

    def fold(self, rows: Iterable[tuple[int, int, int]], rate: Rate, effect: float) -> None:
        """Take (bucket, good, total) rows into the kept state, in order of time; rows that are in it already are skipped."""
        before = self._old.through
        self._run(self._old, rows, rate, effect)
        self.changed |= self._old.through != before

    def late(self, bucket: int, good: int, bad: int, rate: Rate, effect: float) -> None:
        """Fold what came out of order as it arrives; what was taken back stays in the state."""
        through, seen, failed_at = self._old.through, self._old.seen, self._old.state.failed_at
        self._step(self._old, bucket, max(0, good), max(0, bad), rate, effect)
        inside = bucket // HOUR_SECONDS == through // HOUR_SECONDS
        self._old.through = through
        if failed_at is not None and failed_at > (self._old.state.failed_at or 0):
            self._old.state = replace(self._old.state, failed_at=failed_at)
        self._old.seen = seen + max(0, good) + max(0, bad) if inside else seen
        self.changed = True

    def replay(self, rows: Iterable[tuple[int, int, int]], rate: Rate, effect: float) -> None:
        """Work out the state after the young ``rows``, which come after the kept state."""
        young = _Fold(self._old.state, self._old.through, self._old.seen)
        self._run(young, rows, rate, effect)
        self._tip = young.state

    def fires(self, at: int) -> bool:
        """Whether it is firing at ``at``, in microseconds."""
        return cusum.settled(self._tip, at).firing

    def clears_at(self) -> float:
        """When a firing state clears without further events, in microseconds; infinite where it does not."""
        state = self._tip
        return cusum.clears_at(state) if state.firing and state.good_run >= cusum.GOOD_RUN_TO_CLEAR else inf

    def _run(self, fold: _Fold, rows: Iterable[tuple[int, int, int]], rate: Rate, effect: float) -> None:
        """Rows in order of time; successes while all scores are 0 are counted and no more, which is most of every history."""
        skipped, quiet = 0, _quiet(fold.state)
        for bucket, good, total in rows:
            if bucket <= fold.through:
                continue
            if quiet and good == total:
                if fold.through // HOUR_SECONDS != bucket // HOUR_SECONDS:
                    fold.seen = 0
                fold.seen += good
                skipped += good
                fold.through = bucket
                continue
            fold.state, skipped = _after(fold.state, skipped), 0
            self._step(fold, bucket, good, total - good, rate, effect)
            quiet = _quiet(fold.state)
        fold.state = _after(fold.state, skipped)

    def _step(self, fold: _Fold, bucket: int, good: int, bad: int, rate: Rate, effect: float) -> None:
        """One bucket: good events, then bad ones."""
        hour, at = bucket - bucket % HOUR_SECONDS, bucket * _MICRO
        if fold.through - fold.through % HOUR_SECONDS != hour:
            fold.seen = 0
        month, state = rate.before(hour), fold.state
        if good and _quiet(state):
            state, fold.seen, good = _after(state, good), fold.seen + good, 0
        for place in range(good + bad):
            fold.seen += 1
            height = cusum.limit(rate.expected(bucket, month + fold.seen), self._phi)
            state = cusum.stepped(state, at, bad=place >= good, paths=self._paths, limit=height, effect=effect)
        fold.through, fold.state = bucket, state


def _quiet(state: CusumState) -> bool:
    """Whether a success would change nothing but its number: all scores are 0 and stay there."""
    return not state.firing and not any(state.scores)


def _after(state: CusumState, successes: int) -> CusumState:
    """A quiet state after so many more successes."""
    return CusumState(state.scores, state.good_run + successes, state.failed_at) if successes else state
