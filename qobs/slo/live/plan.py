"""One objective while it happens: what it reads, what was told of it last, and when it must be looked at again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import inf

from qobs.slo.alerts import Watch
from qobs.slo.budget import Outlook, budget_reading, outlook, span, sums
from qobs.slo.burn import Stream, Subject, width
from qobs.slo.evaluate import named_windows, state_of, windows_reading
from qobs.slo.exclusions import Spans
from qobs.slo.history import Tally, micros
from qobs.slo.live.alarms import Alarms
from qobs.slo.live.part import Counted, LivePart
from qobs.slo.live.reader import LiveEvaluation
from qobs.slo.objective import Budgeting, Calendar, Evaluation, Objective

OUTLOOK_INTERVAL = timedelta(seconds=60)
"""Bounds and probabilities are worked out again at most this often, and only where counts moved noticeably."""

OUTLOOK_AGE = timedelta(minutes=30)
"""Where counts moved at all, they are worked out again after so long."""

CALENDAR_INTERVAL = timedelta(minutes=5)
"""A calendar's burn-down line moves on with time alone: it is looked at again this often."""

_MICRO = 1_000_000


class Plan:
    """One objective. ``counted`` are the streams whose sources can be silent: for slices those that are cut."""

    def __init__(
        self, objective: Objective, parts: Sequence[LivePart], *, counted: Sequence[Counted], spans: Spans, alarms: Alarms
    ) -> None:
        """Look at ``parts`` from now on; ``spans`` are excluded for the objective as a whole."""
        self.objective = objective
        self.alarms = alarms
        self.parts = tuple(parts)
        self.counted = tuple(counted)
        self.next_at: float = -inf
        """When it must be looked at though nothing came, in microseconds."""
        self.last: LiveEvaluation | None = None
        self._subject: Subject[Stream] = Subject(self.parts, objective.worst_of)
        self._watch = Watch(objective, self._subject)
        self._spans = spans
        self._windows = named_windows(objective)
        self._outlook: tuple[int, tuple[tuple[Tally, ...], tuple[float, ...]], Outlook] | None = None
        self._outlook_at = inf

    def look(self, now: datetime, silent: frozenset[str]) -> LiveEvaluation:
        """Work out everything at ``now``; ``silent`` are the sources that do not answer."""
        objective, subject, at = self.objective, self._subject, micros(now)
        muted = self._spans.hold(at)
        had = self._sources(now)
        alerts = self.alarms.step(self._watch.readings(at, muted=muted), at, muted=muted)
        tallies = sums(objective, subject, now)
        found = self._outlook_of(tallies, now, at)
        evaluation = Evaluation(
            objective=objective,
            at=now,
            state=state_of(objective, subject, now, muted=muted, silent=bool(had) and had <= silent),
            windows=windows_reading(objective, subject, now, asked=self._windows),
            budget=budget_reading(objective, subject, now, tallies=tallies, known=found),
            alerts=alerts,
        )
        self.next_at = min(self._moments(now, at))
        effects = [part.counted.effect for part in self.parts]
        self.last = LiveEvaluation(
            objective=objective,
            evaluation=evaluation,
            since=self.alarms.since,
            silent_sources=tuple(sorted(had & silent)),
            design_effect=max(effects) if objective.budgeting is Budgeting.OCCURRENCES else None,
            evaluated_at=now,
        )
        return self.last

    def _sources(self, now: datetime) -> frozenset[str]:
        """Sources that had events in the period; if none had, those that ever did."""
        begin = micros(span(self.objective, now)[0]) // _MICRO
        known = [item for counted in self.counted for item in counted.sources.items()]
        return frozenset(name for name, last in known if last >= begin) or frozenset(name for name, _ in known)

    def _outlook_of(self, tallies: tuple[Tally, ...], now: datetime, at: int) -> Outlook:
        """Bounds and probability, as they were while too little has changed to notice."""
        effects = tuple(part.counted.effect for part in self.parts)
        if self._outlook is not None:
            since, (before, effects_before), found = self._outlook
            moved = effects != effects_before or noticeable(before, tallies)
            if at < since + width(OUTLOOK_INTERVAL if moved else OUTLOOK_AGE):
                self._outlook_at = since + width(OUTLOOK_INTERVAL) if moved else inf
                return found
        found = outlook(self.objective, self._subject, tallies, now)
        self._outlook, self._outlook_at = (at, (tallies, effects), found), inf
        return found

    def _moments(self, now: datetime, at: int) -> Iterator[float]:
        """All later moments at which something changes by itself."""
        yield self.alarms.ends_at()
        for part in self.parts:
            if part.score is not None and (clears := part.score.clears_at()) > at:
                yield clears
        yield from (edge for stretch in self._spans.spans for edge in stretch if edge > at)
        yield self._outlook_at
        if isinstance(self.objective.window, Calendar):
            yield min(at + width(CALENDAR_INTERVAL), micros(span(self.objective, now)[1]))
        yield inf


def noticeable(before: Sequence[Tally], after: Sequence[Tally]) -> bool:
    """Whether bounds moved by a fair part of their distance: failures by an eighth of their scatter, or events by 1/64."""
    return any(
        abs(new.total - old.total) * 64 > old.total or (64 * (new.bad - old.bad) ** 2 > (old.bad + old.scale) * old.scale)
        for old, new in zip(before, after, strict=True)
    )
