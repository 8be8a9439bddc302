"""Burn rates: how many times faster than allowed an objective spends its error budget.

burn = error ratio / (1 - target), a ratio of sums over a window (at - W, at]. At burn 1 the budget lasts its period exactly.
A composite burns at the weighted mean of its members that had events, or at the worst of them. All comparisons are exact and
strict: a burn equal to its factor does not fire, and no events are no evidence, never NaN.

Source: "The Site Reliability Workbook" (2018), chapter 5, "Alerting on SLOs".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from qobs.slo.history import MICROSECOND, History, Tally
from qobs.slo.objective import Calendar, Objective, Pair, Severity, WindowReading

USUAL_WINDOWS = (
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=3),
)
"""Windows read for every objective, beside those of its pairs and its period."""

_NOMINAL = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 30 * 86_400, "Q": 90 * 86_400, "Y": 365 * 86_400}
_SHORTEST_ABSENCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Part:
    """One stream of events with its own error budget. ``weight`` > 0 counts inside a composite."""

    history: History
    budget: Fraction
    weight: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Subject:
    """What an objective measures: one part, or the members of a composite."""

    parts: tuple[Part, ...]
    worst_of: bool = False

    def between(self, after: int, upto: int) -> tuple[Tally, ...]:
        """Sums of each part over (``after``, ``upto``], in microseconds."""
        return tuple(part.history.between(after, upto) for part in self.parts)

    def last(self, count: int, upto: int) -> tuple[Tally, ...]:
        """Sums of each part over its last ``count`` entries at or before ``upto``."""
        return tuple(part.history.last(count, upto) for part in self.parts)

    def burn(self, tallies: Sequence[Tally]) -> Fraction | None:
        """Exact burn rate; None where no part had events."""
        burns = [
            (part.weight, Fraction(tally.bad, tally.total) / part.budget)
            for part, tally in zip(self.parts, tallies, strict=True)
            if tally.total
        ]
        if not burns:
            return None
        if self.worst_of:
            return max(burn for _, burn in burns)
        return sum((weight * burn for weight, burn in burns), Fraction(0)) / sum(weight for weight, _ in burns)

    def burns_above(self, tallies: Sequence[Tally], factor: Fraction) -> bool:
        """Whether the burn rate lies strictly above ``factor``; without events it does not."""
        if len(tallies) == 1:
            return tallies[0].exceeds(factor * self.parts[0].budget)
        burn = self.burn(tallies)
        return burn is not None and burn > factor


def reading(subject: Subject, tallies: Sequence[Tally], budget: Fraction) -> WindowReading:
    """Counts and ratios of one window. A composite's error ratio is its burn times its own budget."""
    burn = subject.burn(tallies)
    good = float(sum((Fraction(tally.good, tally.scale) for tally in tallies), Fraction(0)))
    bad = float(sum((Fraction(tally.bad, tally.scale) for tally in tallies), Fraction(0)))
    total = float(sum((Fraction(tally.total, tally.scale) for tally in tallies), Fraction(0)))
    ratio = None if burn is None else float(burn * budget)
    return WindowReading(good=good, bad=bad, total=total, error_ratio=ratio, burn_rate=None if burn is None else float(burn))


def nominal_length(objective: Objective) -> timedelta:
    """The period's length; M, Q and Y of a calendar are taken as 30, 90 and 365 days."""
    window = objective.window
    if isinstance(window, Calendar):
        return timedelta(seconds=window.count * _NOMINAL[window.unit])
    return window.length


def windows_of(objective: Objective) -> tuple[timedelta, ...]:
    """Every rolling window that an evaluation reads: the usual ones, those of the pairs, and a rolling period; shortest first."""
    length = nominal_length(objective)
    chosen = {window for window in USUAL_WINDOWS if window <= length}
    chosen |= {window for pair in objective.pairs for window in (pair.long, pair.short)}
    if not isinstance(objective.window, Calendar):
        chosen.add(length)
    return tuple(sorted(chosen))


def width(window: timedelta) -> int:
    """Microseconds of a window."""
    return window // MICROSECOND


def factor_of(share: Fraction, *, period: timedelta, long: timedelta) -> Fraction:
    """The burn rate that spends ``share`` of the budget within the long window: share x period / long.

    Example:
        >>> float(factor_of(Fraction("0.02"), period=timedelta(days=30), long=timedelta(hours=1)))
        14.4
    """
    return share * Fraction(width(period), width(long))


def absence_delay(objective: Objective) -> timedelta:
    """How long a silent source may stay silent before the absence alert: the time a full outage would need to page.

    That is max(10 min, fastest page factor x budget x its long window), the long window being an hour by convention.
    """
    pages = [pair for pair in objective.pairs if pair.severity is Severity.PAGE]
    if not pages:
        return _SHORTEST_ABSENCE
    fastest = max(pair.factor for pair in pages)
    hours = Fraction(fastest) * Fraction(objective.budget)
    return max(_SHORTEST_ABSENCE, timedelta(seconds=float(hours * 3600)))


def seconds_to_fire(pair: Pair, *, budget: Fraction, error_ratio: Fraction) -> float | None:
    """Time from the start of a constant ``error_ratio`` on clean history until ``pair`` fires. None: never.

    It is max over both windows of W x factor x budget / error ratio, which must not exceed W.

    Example:
        >>> from decimal import Decimal
        >>> hour = Pair(
        ...     severity=Severity.PAGE, tier="fast", factor=Decimal("14.4"),
        ...     long=timedelta(hours=1), short=timedelta(minutes=5),
        ... )
        >>> seconds_to_fire(hour, budget=Fraction("0.05"), error_ratio=Fraction(1)) / 60
        43.2
    """
    threshold = Fraction(pair.factor) * budget
    if error_ratio <= threshold:
        return None
    return float(Fraction(max(width(pair.long), width(pair.short)), 1_000_000) * threshold / error_ratio)
