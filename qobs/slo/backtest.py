"""What would have paged: every alert of a history, with the times at which it would have fired and cleared.

Objectives are looked at every 30 seconds, at whole multiples since 1970, from the first event to the first look at or after
the last one; what comes then is unknown, so an alert that has not cleared by then is still firing. The result is exactly that
of :func:`qobs.slo.evaluate.evaluate` at each of these moments, but only those at which something can change are computed: an
event came, or left a window.

A pair's alert keeps firing for its short window after its condition was last seen not to hold, as the generated rules do
with ``keep_firing_for``; the tier ``evidence`` has its own rule. A silent source cannot be told from a file, so the absence
alert is not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from qobs.exclusion import Exclusion
from qobs.slo import cusum
from qobs.slo.alerts import EVIDENCE_TIER, PairWatch, has_evidence_tier, tolerated
from qobs.slo.burn import Part, Subject, width
from qobs.slo.clustering import CLUSTER_WINDOW
from qobs.slo.composite import Events, flat, subject_of
from qobs.slo.evaluate import timestamp
from qobs.slo.exclusions import Spans, covering
from qobs.slo.history import micros, moment_of
from qobs.slo.objective import Fired, Objective, Pair, Severity

LOOK_INTERVAL = timedelta(seconds=30)
"""How often objectives are looked at: that of the generated rules."""

Span = tuple[int, int | None]
"""An alert's condition held from the first moment, until the second (None: to the end), both in microseconds."""


class Looks:
    """The moments at which objectives are looked at: multiples of ``step`` from ``first`` to ``last``, in microseconds."""

    def __init__(self, begin: int, end: int, interval: timedelta) -> None:
        """From the first look at or after ``begin`` to the first at or after ``end``."""
        self.step = width(interval)
        if self.step <= 0:
            raise ValueError(f"`interval` must be longer than zero, but interval={interval}.")
        self.first, self.last = self.after(begin), self.after(end)

    def after(self, moment: int) -> int:
        """The first look at or after ``moment``, also beyond the last."""
        return -(-moment // self.step) * self.step

    def at(self, moments: Iterable[int]) -> list[int]:
        """Looks, in order, at which a change at one of ``moments`` is first seen; the first look is always one."""
        step, first, last = self.step, self.first, self.last
        return sorted({look for moment in moments if first <= (look := -(-moment // step) * step) <= last} | {first})


def backtest(
    objectives: Sequence[Objective],
    events: Events,
    *,
    exclusions: Sequence[Exclusion] = (),
    interval: timedelta = LOOK_INTERVAL,
) -> tuple[Fired, ...]:
    """Every page and ticket that would have fired, in order of firing.

    Args:
        objectives: Resolved.
        events: In any order. Events that are not counted still tell how long the history goes on.
        exclusions: Those whose scope covers an objective take their events out and mute its alerts.
        interval: Between two looks.

    Raises:
        ValueError: ``interval`` is not positive.
    """
    moments = [micros(event.at) for event in flat(events)]
    if not moments:
        return ()
    looks = Looks(min(moments), max(moments), interval)
    fired = chain.from_iterable(_fired(objective, events, covering(objective, exclusions), looks) for objective in objectives)
    return tuple(sorted(fired, key=lambda each: (each.fired_at, each.slo, each.objective, each.severity, each.tier)))


def _fired(objective: Objective, events: Events, spans: Spans, looks: Looks) -> Iterator[Fired]:
    subject = subject_of(objective, events, spans, upto=looks.last)
    for (severity, tier), pairs in alerts_of(objective).items():
        held = [_pair_held(objective, subject, pair, spans, looks) for pair in pairs]
        keep = max(width(pair.short) for pair in pairs)
        for span in kept(joined(chain.from_iterable(held)), keep, looks):
            yield _as_fired(objective, severity, tier, span)
    if has_evidence_tier(objective):
        phi = tolerated(objective, subject)
        scores = [_evidence_held(part, phi, spans, looks) for part in subject.parts]
        for span in joined(chain.from_iterable(scores)):
            yield _as_fired(objective, Severity.PAGE, EVIDENCE_TIER, span)


def alerts_of(objective: Objective) -> dict[tuple[Severity, str], list[Pair]]:
    """Pairs by the alert that they are OR-ed into: one for each severity and tier."""
    alerts: dict[tuple[Severity, str], list[Pair]] = {}
    for pair in objective.pairs:
        alerts.setdefault((pair.severity, pair.tier), []).append(pair)
    return alerts


def _as_fired(objective: Objective, severity: Severity, tier: str, span: Span) -> Fired:
    begin, end = span
    cleared: datetime | None = None if end is None else moment_of(end)
    return Fired(
        slo=objective.slo, objective=objective.name, severity=severity, tier=tier, fired_at=moment_of(begin), cleared_at=cleared
    )


def _pair_held(objective: Objective, subject: Subject[Part], pair: Pair, spans: Spans, looks: Looks) -> list[Span]:
    """When the pair was active: looked at whenever an event came, or left one of the windows that decide."""
    watch = PairWatch(objective, subject, pair)
    delays = [0, width(pair.long), width(pair.short), *([width(CLUSTER_WINDOW)] if watch.clustered else [])]
    moments = (moment + delay for part in subject.parts for moment in part.history.times for delay in delays)
    points = looks.at(chain(moments, chain.from_iterable(spans.spans)))
    return held((point, watch.active(point) and not spans.hold(point)) for point in points)


def _evidence_held(part: Part, phi: float, spans: Spans, looks: Looks) -> list[Span]:
    """When the CUSUM of one stream was firing: looked at whenever an event came, or 10 quiet minutes after a failure."""
    entries = part.history.entries
    failures = (entry.at + width(cusum.QUIET_TO_CLEAR) for entry in entries if entry.bad > 0.0)
    points = looks.at(chain(part.history.times, failures, chain.from_iterable(spans.spans)))
    states = cusum.replay(entries, budget=float(part.budget), phi=phi)
    state, place = cusum.started(float(part.budget)), 0
    levels = []
    for point in points:
        while place < len(entries) and entries[place].at <= point:
            state = next(states)
            place += 1
        levels.append((point, cusum.settled(state, point).firing and not spans.hold(point)))
    return held(levels)


def held(levels: Iterable[tuple[int, bool]]) -> list[Span]:
    """Stretches in which a condition held, from its level at moments in order; it stays the same between them.

    Example:
        >>> held([(0, False), (30, True), (60, True), (90, False), (120, True)])
        [(30, 90), (120, None)]
    """
    spans: list[Span] = []
    begin: int | None = None
    for point, level in levels:
        if level and begin is None:
            begin = point
        elif not level and begin is not None:
            spans.append((begin, point))
            begin = None
    return spans if begin is None else [*spans, (begin, None)]


def joined(spans: Iterable[Span]) -> list[Span]:
    """Stretches in which any of several conditions held.

    Example:
        >>> joined([(30, 90), (60, 120), (150, None), (180, 210)])
        [(30, 120), (150, None)]
    """
    result: list[Span] = []
    for begin, end in sorted(spans, key=lambda span: span[0]):
        if result and ((last := result[-1][1]) is None or begin <= last):
            result[-1] = result[-1][0], None if last is None or end is None else max(last, end)
        else:
            result.append((begin, end))
    return result


def kept(spans: Iterable[Span], keep: int, looks: Looks) -> list[Span]:
    """The same stretches, each going on for ``keep`` after its end, as seen at the looks."""
    longer: list[Span] = []
    for begin, end in spans:
        until = None if end is None else looks.after(end + keep)
        longer.append((begin, None if until is None or until > looks.last else until))
    return joined(longer)


def backtest_json(fired: Iterable[Fired]) -> dict[str, Any]:
    """The stable form of ``qobs slo backtest --json``."""
    return {
        "alerts": [
            {
                "slo": each.slo,
                "objective": each.objective,
                "severity": str(each.severity),
                "tier": each.tier,
                "fired_at": timestamp(each.fired_at),
                "cleared_at": None if each.cleared_at is None else timestamp(each.cleared_at),
            }
            for each in fired
        ]
    }
