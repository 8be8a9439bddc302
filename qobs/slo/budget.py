"""The error budget of a period: what is left, how sure that is, and when it will be gone.

remaining = 1 - k / (B n), a ratio of sums over the period; below 0 it is overspent, and that is told. Its bounds are Jeffreys'
95 % interval of the error ratio, mapped; events that share a fate, or have different weights, count as fewer there.

Pace is that of the last 6 hours. Rolling periods: period x remaining / burn, which leaves out that old events leave the
window. Calendar periods: remaining budget events over failures an hour; beyond ``period_to`` it means "not in this period".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import exp, floor, lgamma, log
from typing import NamedTuple

from qobs.slo.burn import Stream, Subject, width
from qobs.slo.calendar import period
from qobs.slo.cusum import YOUNGEST_HISTORY
from qobs.slo.history import Tally, micros, moment_of
from qobs.slo.objective import Budgeting, BudgetReading, Calendar, Objective
from qobs.stats import Interval, jeffreys_interval

PACE_WINDOW = timedelta(hours=6)
"""Time to exhaustion is told at the pace of this long."""

SEASONS = 4
"""Further events of a calendar period are the mean of so many earlier periods."""

_NEGLIGIBLE = 1e-18


def span(objective: Objective, at: datetime) -> tuple[datetime, datetime]:
    """The period that holds ``at``: a calendar period whole, a rolling one up to ``at``."""
    if isinstance(objective.window, Calendar):
        return period(objective.window, at)
    return at - objective.window.length, at


def sums(objective: Objective, subject: Subject[Stream], at: datetime) -> tuple[Tally, ...]:
    """Sums of each part over the period so far: (at - P, at] of a rolling one, [from, at] of a calendar one."""
    now = micros(at)
    if isinstance(objective.window, Calendar):
        begin = micros(span(objective, at)[0])
        return tuple(part.since(begin, now) for part in subject.parts)
    return subject.within(width(objective.window.length), now)


class Outlook(NamedTuple):
    """What costs the most to tell of a budget: bounds and probability, as in :class:`BudgetReading`."""

    low: float | None
    high: float | None
    exhaustion_probability: float | None


def outlook(objective: Objective, subject: Subject[Stream], tallies: Sequence[Tally], at: datetime) -> Outlook:
    """Bounds and probability at ``at``; ``tallies`` as :func:`sums` tells them."""
    bounds = _bounds(objective, subject, tallies, at) if any(tally.total for tally in tallies) else None
    return Outlook(
        low=None if bounds is None else bounds.low,
        high=None if bounds is None else bounds.high,
        exhaustion_probability=(
            _probability(objective, subject, tallies, at) if isinstance(objective.window, Calendar) else None
        ),
    )


def budget_reading(
    objective: Objective,
    subject: Subject[Stream],
    at: datetime,
    *,
    tallies: Sequence[Tally] | None = None,
    known: Outlook | None = None,
) -> BudgetReading:
    """The budget of the period that holds ``at``. What is given of ``tallies`` (:func:`sums`) and ``known`` is not worked out."""
    begin, end = span(objective, at)
    tallies = sums(objective, subject, at) if tallies is None else tallies
    burn = subject.burn(tallies)
    found = outlook(objective, subject, tallies, at) if known is None else known
    calendar = isinstance(objective.window, Calendar)
    return BudgetReading(
        total=float(sum((Fraction(tally.total, tally.scale) for tally in tallies), Fraction(0))),
        bad=float(sum((Fraction(tally.bad, tally.scale) for tally in tallies), Fraction(0))),
        remaining_ratio=1.0 if burn is None else float(1 - burn),
        low=found.low,
        high=found.high,
        exhausted_in_seconds=_exhausted_in(objective, subject, tallies, at),
        exhaustion_probability=found.exhaustion_probability,
        ideal_remaining_ratio=1.0 - (at - begin) / (end - begin) if calendar else None,
        period_from=begin,
        period_to=end,
    )


def _bounds(objective: Objective, subject: Subject[Stream], tallies: Sequence[Tally], at: datetime) -> Interval | None:
    """Bounds of the remaining ratio; a composite's are those of its members, joined as its burn is joined."""
    if objective.budgeting is Budgeting.RATIO_TIMESLICES:
        return None
    lows, highs = [], []
    for part, tally in zip(subject.parts, tallies, strict=True):
        if not tally.total:
            continue
        effect = part.effects().at(micros(at))
        n, k = tally.effective
        ratio = jeffreys_interval(bad=k / effect, total=max(n, k) / effect)
        lows.append((float(part.weight), ratio.low / float(part.budget)))
        highs.append((float(part.weight), ratio.high / float(part.budget)))
    return Interval(1.0 - _joined(highs, subject.worst_of), 1.0 - _joined(lows, subject.worst_of))


def _joined(burns: Sequence[tuple[float, float]], worst_of: bool) -> float:
    if worst_of:
        return max(burn for _, burn in burns)
    return sum(weight * burn for weight, burn in burns) / sum(weight for weight, _ in burns)


def _exhausted_in(objective: Objective, subject: Subject[Stream], tallies: Sequence[Tally], at: datetime) -> float | None:
    """Seconds until nothing is left at the present pace: 0 where nothing is, None where nothing fails."""
    burn = subject.burn(tallies)
    if burn is not None and burn >= 1:
        return 0.0
    recent = subject.within(width(PACE_WINDOW), micros(at))
    pace = subject.burn(recent)
    if not pace or burn is None:
        return None
    if not isinstance(objective.window, Calendar) or len(subject.parts) > 1:
        begin, end = span(objective, at)
        return float((1 - burn) * Fraction(width(end - begin), 1_000_000) / pace)
    left = subject.parts[0].budget * tallies[0].total - tallies[0].bad
    return float(left / Fraction(recent[0].bad, PACE_WINDOW // timedelta(seconds=1)))


def _probability(objective: Objective, subject: Subject[Stream], tallies: Sequence[Tally], at: datetime) -> float | None:
    """P(exhausted at the period's end); None for composites of several streams, and before the first event."""
    if len(subject.parts) > 1 or not tallies[0].total:
        return None
    tally = tallies[0]
    further = _further_events(objective, subject, tally, at)
    if further is None:
        return None
    failed = Fraction(tally.bad * tally.events, tally.total)
    return exhaustion_probability(events=tally.events, failed=failed, further=further, budget=subject.parts[0].budget)


def _further_events(objective: Objective, subject: Subject[Stream], tally: Tally, at: datetime) -> int | None:
    """Events still to expect in this calendar period: the mean of the same rest of the last four periods that have data.

    In the first period it is the rate so far, carried on; what began less than an hour ago is taken to have had the hour, or
    one event a second old would promise millions. None at the very start.
    """
    window, stream = objective.window, subject.parts[0]
    assert isinstance(window, Calendar)
    begin, end = period(window, at)
    elapsed, rests = at - begin, []
    earlier = begin
    for _ in range(SEASONS):
        since, until = period(window, earlier - timedelta(microseconds=1))
        if stream.began is None or stream.began >= micros(until):
            break
        rests.append(stream.stretch(min(micros(since + elapsed) + 1, micros(until)), micros(until)).events)
        earlier = since
    if rests:
        return round(sum(rests) / len(rests))
    seen = timedelta() if stream.began is None else at - max(begin, moment_of(stream.began))
    return round(tally.events * ((end - at) / max(seen, YOUNGEST_HISTORY))) if seen > timedelta() else None


def exhaustion_probability(*, events: int, failed: Fraction, further: int, budget: Fraction) -> float:
    """P(k + K' > B (n + n')): K' of n' further events fail, K' ~ BetaBinomial(n', k + 1/2, n - k + 1/2).

    Args:
        events: n so far.
        failed: k of them; need not be whole (weights).
        further: n', events still to come.
        budget: B.

    Example:
        >>> exhaustion_probability(events=100, failed=Fraction(7), further=0, budget=Fraction("0.05"))
        1.0
        >>> round(exhaustion_probability(events=50, failed=Fraction(2), further=50, budget=Fraction("0.05")), 3)
        0.258
    """
    least = floor(budget * (events + further) - failed) + 1
    k, n = float(failed), float(events)
    return beta_binomial_tail(least, further, k + 0.5, n - k + 0.5)


def beta_binomial_tail(least: int, n: int, a: float, b: float) -> float:
    """Probability that a beta-binomial variable is at least ``least``: the exact sum of its terms, in log space.

    Terms follow from one another by their ratio; the shorter way from ``least`` out of the distribution's bulk is summed.

    Args:
        least: Any whole number.
        n: Trials, >= 0.
        a: Shape, > 0.
        b: Shape, > 0.

    Example:
        >>> round(beta_binomial_tail(1, 1, 1.0, 3.0), 12)
        0.25
    """
    if least <= 0:
        return 1.0
    if least > n:
        return 0.0
    if least > n * a / (a + b):
        return min(1.0, _upward(least, n, a, b))
    return max(0.0, 1.0 - _upward(n - least + 1, n, b, a))


def _upward(start: int, n: int, a: float, b: float) -> float:
    """Sum of the terms from ``start`` up to ``n``."""
    log_term = _log_beta(start + a, n - start + b) - _log_beta(a, b)
    log_term += lgamma(n + 1.0) - lgamma(start + 1.0) - lgamma(n - start + 1.0)
    term = total = 1.0
    for j in range(start, n):
        ratio = (n - j) * (a + j) / ((j + 1.0) * (b + n - j - 1.0))
        term *= ratio
        total += term
        if ratio < 1.0 and term < total * _NEGLIGIBLE * (1.0 - ratio):
            break
    return exp(log_term + log(total))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
