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
from typing import Generic, Protocol, TypeVar

from qobs.slo import cusum
from qobs.slo.clustering import Clustering
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


class Effects(Protocol):
    """The design effect of a stream's events, moment by moment."""

    def at(self, moment: int) -> float:
        """Design effect at ``moment``, in microseconds; moments must not go back."""
        ...


class Stream(Protocol):
    """One stream of judged events with its own error budget: a file's, or one that is counted while it happens.

    All moments and lengths are in microseconds. What is asked lies at or before the moment of looking.
    """

    @property
    def budget(self) -> Fraction:
        """Error budget as a ratio, in (0, 1)."""
        ...

    @property
    def weight(self) -> Fraction:
        """What the stream counts inside a composite, > 0."""
        ...

    @property
    def began(self) -> int | None:
        """When the first event came; None before it."""
        ...

    @property
    def clustered(self) -> bool:
        """Whether some events share their fate."""
        ...

    def within(self, length: int, at: int) -> Tally:
        """Sums over the window of ``length`` that ends at ``at``."""
        ...

    def exceeds(self, length: int, at: int, limit: Fraction) -> bool:
        """Whether the error ratio of that window lies strictly above ``limit``, exactly; without events it does not."""
        ...

    def since(self, begin: int, at: int) -> Tally:
        """Sums over [``begin``, ``at``]: a calendar period so far."""
        ...

    def stretch(self, begin: int, end: int) -> Tally:
        """Sums over [``begin``, ``end``): a part of an earlier period."""
        ...

    def last(self, count: int, at: int) -> Tally:
        """Sums over the last ``count`` entries at or before ``at``; fewer where there are fewer."""
        ...

    def effects(self) -> Effects:
        """The design effect, from now on."""
        ...

    def fires(self, at: int, phi: float) -> bool:
        """Whether the stream's CUSUM is firing at ``at``; ``phi`` as in :func:`qobs.slo.cusum.limit`."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A stream whose events are all at hand."""

    history: History
    budget: Fraction
    weight: Fraction = Fraction(1)

    @property
    def began(self) -> int | None:
        """When the first event came; None before it."""
        return self.history.times[0] if self.history.times else None

    @property
    def clustered(self) -> bool:
        """Whether some events have a group."""
        return any(entry.group for entry in self.history.entries)

    def within(self, length: int, at: int) -> Tally:
        """Sums over (``at`` - ``length``, ``at``]."""
        return self.history.between(at - length, at)

    def exceeds(self, length: int, at: int, limit: Fraction) -> bool:
        """The same compared with ``limit``: fast, for it is asked most."""
        return self.history.exceeds(at - length, at, limit)

    def since(self, begin: int, at: int) -> Tally:
        """Sums over [``begin``, ``at``]."""
        return self.history.between(begin - 1, at)

    def stretch(self, begin: int, end: int) -> Tally:
        """Sums over [``begin``, ``end``)."""
        return self.history.between(begin - 1, end - 1)

    def last(self, count: int, at: int) -> Tally:
        """Sums over the last ``count`` entries at or before ``at``."""
        return self.history.last(count, at)

    def effects(self) -> Clustering:
        """That of the last 30 days."""
        return Clustering(self.history.entries)

    def fires(self, at: int, phi: float) -> bool:
        """Whether a CUSUM of all events up to ``at`` is firing."""
        entries = self.history.entries[: self.history.place(at)]
        return cusum.state_at(entries, at, budget=float(self.budget), phi=phi).firing


StreamT_co = TypeVar("StreamT_co", bound=Stream, covariant=True)


@dataclass(frozen=True, slots=True)
class Subject(Generic[StreamT_co]):
    """What an objective measures: one part, or the members of a composite."""

    parts: tuple[StreamT_co, ...]
    worst_of: bool = False

    def within(self, length: int, at: int) -> tuple[Tally, ...]:
        """Sums of each part over the window of ``length`` that ends at ``at``, in microseconds."""
        return tuple(part.within(length, at) for part in self.parts)

    def last(self, count: int, at: int) -> tuple[Tally, ...]:
        """Sums of each part over its last ``count`` entries at or before ``at``."""
        return tuple(part.last(count, at) for part in self.parts)

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


def reading(subject: Subject[Stream], tallies: Sequence[Tally], budget: Fraction) -> WindowReading:
    """Counts and ratios of one window. A composite's error ratio is its burn times its own budget."""
    if len(tallies) == 1:
        return _single(tallies[0], subject.parts[0].budget, budget)
    burn = subject.burn(tallies)
    good = float(sum((Fraction(tally.good, tally.scale) for tally in tallies), Fraction(0)))
    bad = float(sum((Fraction(tally.bad, tally.scale) for tally in tallies), Fraction(0)))
    total = float(sum((Fraction(tally.total, tally.scale) for tally in tallies), Fraction(0)))
    ratio = None if burn is None else float(burn * budget)
    return WindowReading(good=good, bad=bad, total=total, error_ratio=ratio, burn_rate=None if burn is None else float(burn))


def _single(tally: Tally, own: Fraction, budget: Fraction) -> WindowReading:
    """The same of a single stream: a division of whole numbers is rounded once, as a fraction is, at a tenth of the cost."""
    total, scale = tally.total, tally.scale
    counts = {"good": tally.good / scale, "bad": tally.bad / scale, "total": total / scale}
    if not total:
        return WindowReading(**counts, error_ratio=None, burn_rate=None)
    over, under = tally.bad * own.denominator, total * own.numerator
    return WindowReading(**counts, error_ratio=(over * budget.numerator) / (under * budget.denominator), burn_rate=over / under)


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
