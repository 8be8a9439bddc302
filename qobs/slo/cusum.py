"""Pages that need no window: a Bernoulli CUSUM, event by event, tier ``evidence``.

Two tracks ask with every event whether failures come as often as p1 = min(14.4 B, 0.8), or min(3 B, 0.6), instead of B. A
failure adds ln(p1 / B) / D to a track's score, a success adds ln((1 - p1) / (1 - B)) / D, which is negative; the score stays
in [0, h]. A score that reaches h = ln(2 c) fires, c being the expected events of 30 days over the tolerated false pages.
D is the design effect of batches. A weight says what an event costs the budget, not what it proves: each is one step.

Fired, it clears after 5 good events in a row and 10 minutes without failure, whichever is later, and starts again at 0.
The state is a small frozen record: kept over a restart and fed the rest of the events it tells what a full replay tells.

Sources: E. S. Page, Biometrika 41 (1954); G. Lorden, Annals of Mathematical Statistics 42 (1971); M. R. Reynolds and
Z. G. Stoumbos, Journal of Quality Technology 31 (1999).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import log, log1p
from typing import NamedTuple

from qobs.slo.clustering import Clustering
from qobs.slo.history import MICROSECOND, Entry

GOOD_RUN_TO_CLEAR = 5
"""Good events in a row before it clears."""

QUIET_TO_CLEAR = timedelta(minutes=10)
"""Time without failure before it clears."""

RATE_WINDOW = timedelta(days=30)
"""Expected events are those of this long, or as many as the shorter history promises for it."""

YOUNGEST_HISTORY = timedelta(hours=1)
"""A history is taken to be at least this old, so that its first events do not look like a flood."""

_QUIET = QUIET_TO_CLEAR // MICROSECOND
_RATE = RATE_WINDOW // MICROSECOND
_YOUNGEST = YOUNGEST_HISTORY // MICROSECOND


class Track(NamedTuple):
    """One alternative to "the objective is just met": what a failure and a success add to its score."""

    failure: float
    success: float


@dataclass(frozen=True, slots=True)
class CusumState:
    """All that a restart must keep. ``failed_at`` is the last failure in microseconds since 1970; None: none yet."""

    scores: tuple[float, ...]
    good_run: int = 0
    failed_at: int | None = None
    firing: bool = False


def tracks(budget: float) -> tuple[Track, ...]:
    """The tracks of an error budget: fast and slow, without those that would expect no more failures than the budget allows.

    Example:
        >>> [f"{track.failure:.3f} {track.success:.3f}" for track in tracks(0.05)]
        ['2.667 -1.222', '1.099 -0.111']
    """
    alternatives = (min(14.4 * budget, 0.8), min(3.0 * budget, 0.6))
    return tuple(Track(log(p1 / budget), log1p(-p1) - log1p(-budget)) for p1 in alternatives if p1 > budget)


def limit(expected_events: float, phi: float) -> float:
    """The score that fires: ln(2 c), c = expected events in 30 days / tolerated false pages in 30 days.

    Example:
        >>> round(limit(1440, 0.1), 2)
        10.27
    """
    return log(2.0 * max(1.0, expected_events) / phi)


def settled(state: CusumState, at: int) -> CusumState:
    """The state at ``at`` with no further event: cleared and back at 0 where the time for it has come."""
    if not state.firing or state.good_run < GOOD_RUN_TO_CLEAR or at < clears_at(state):
        return state
    return CusumState((0.0,) * len(state.scores), state.good_run, state.failed_at)


def clears_at(state: CusumState) -> int:
    """The earliest moment at which a firing state may clear, its run of good events permitting."""
    return 0 if state.failed_at is None else state.failed_at + _QUIET


def stepped(state: CusumState, at: int, *, bad: bool, paths: Sequence[Track], limit: float, effect: float = 1.0) -> CusumState:
    """The state after one event.

    Args:
        state: Before it.
        at: Event time in microseconds since 1970.
        bad: Whether it failed.
        paths: The tracks, as many as the state has scores.
        limit: The score that fires, and the highest that is kept.
        effect: Design effect, >= 1.
    """
    state = settled(state, at)
    scores = tuple(
        min(limit, max(0.0, score + (path.failure if bad else path.success) / effect))
        for score, path in zip(state.scores, paths, strict=True)
    )
    fired = state.firing or any(score >= limit for score in scores)
    return CusumState(scores, 0 if bad else state.good_run + 1, at if bad else state.failed_at, fired)


def started(budget: float) -> CusumState:
    """The state before any event."""
    return CusumState((0.0,) * len(tracks(budget)))


def expected_events(count: int, age: int) -> float:
    """Events to expect in 30 days, of ``count`` seen in the last 30 days of a history ``age`` microseconds long."""
    return count * _RATE / min(_RATE, max(age, _YOUNGEST))


def replay(entries: Sequence[Entry], *, budget: float, phi: float) -> Iterator[CusumState]:
    """The state after each entry, in order of time. Not yet settled for any later moment."""
    paths, state = tracks(budget), started(budget)
    clustering = Clustering(entries)
    first = 0
    for place, entry in enumerate(entries):
        while entries[first].at <= entry.at - _RATE:
            first += 1
        expected = expected_events(place + 1 - first, entry.at - entries[0].at)
        effect = clustering.upto(place + 1, entry.at)
        state = stepped(state, entry.at, bad=entry.bad > 0.0, paths=paths, limit=limit(expected, phi), effect=effect)
        yield state


def state_at(entries: Sequence[Entry], at: int, *, budget: float, phi: float) -> CusumState:
    """The state at ``at``, after all of ``entries``."""
    states = deque(replay(entries, budget=budget, phi=phi), maxlen=1)
    return settled(states[0], at) if states else started(budget)
