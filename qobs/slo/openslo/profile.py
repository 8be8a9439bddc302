"""The default alert pairs: shares of the budget and windows as a table, factors derived from them.

Source: The Site Reliability Workbook, ch. 5, "Alerting on SLOs", table 5-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from qobs.slo.objective import Pair, Severity

INTERVAL = timedelta(seconds=30)
"""How often rules are evaluated; every window is a whole number of these."""

REFERENCE_PERIOD = timedelta(days=30)
CAP = Decimal("0.8")
_LEAST_INTERVALS = 2
_NANO = Decimal("1e-9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A pair before its period is known: alert when ``share`` of the budget is spent within ``long``."""

    severity: Severity
    tier: str
    long: timedelta
    short: timedelta
    share: Decimal


_FAST = Share(severity=Severity.PAGE, tier="fast", long=timedelta(hours=1), short=timedelta(minutes=5), share=Decimal("0.02"))
_MEDIUM = Share(
    severity=Severity.PAGE, tier="medium", long=timedelta(hours=6), short=timedelta(minutes=30), share=Decimal("0.05")
)
_DAY = Share(severity=Severity.PAGE, tier="slow", long=timedelta(days=1), short=timedelta(hours=2), share=Decimal("0.10"))
_DAYS = Share(severity=Severity.TICKET, tier="slow", long=timedelta(days=3), short=timedelta(hours=6), share=Decimal("0.10"))

PROFILES: Mapping[str, tuple[Share, ...]] = {
    "qobs": (_FAST, _MEDIUM, _DAY, _DAYS),
    "sloth": (_FAST, _MEDIUM, replace(_DAY, severity=Severity.TICKET, tier="medium"), _DAYS),
}
"""``qobs`` pages on a day's window too; ``sloth`` makes a ticket of it."""


def derived_factor(share: Decimal, period: timedelta, long: timedelta) -> Decimal:
    """Burn rate that spends ``share`` of the budget of ``period`` within ``long``: share x period / long.

    Exact where it has an end, else to 9 digits after the point.

    >>> [str(derived_factor(pair.share, timedelta(days=30), pair.long)) for pair in PROFILES["qobs"]]
    ['14.4', '6', '3', '1']
    """
    return tidy(share * _microseconds(period) / _microseconds(long))


def tidy(value: Decimal) -> Decimal:
    """At most 9 digits after the point, none that say nothing.

    >>> tidy(Decimal("14.400")), tidy(Decimal("1E+1")), tidy(Decimal(1) / 3)
    (Decimal('14.4'), Decimal('10'), Decimal('0.333333333'))
    """
    rounded = value.quantize(_NANO).normalize()
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral_value() else rounded


def default_pairs(profile: str, period: timedelta, *, interval: timedelta = INTERVAL) -> tuple[Pair, ...]:
    """The pairs of a profile for a period, fitted so that none alerts while the objective is kept.

    Where the factor of the slowest pair alone would be under 1, its windows are scaled by period / 30 d; where more would be,
    all pairs are scaled, so that the slower tier stays the more patient one. Scaled windows are whole numbers of ``interval``;
    the short one has at least two. A pair whose long window is then less than twice its short one is dropped.
    """
    shares = PROFILES[profile]
    below = [pair for pair in shares if derived_factor(pair.share, period, pair.long) < 1]
    scaled = shares if len(below) > 1 else below
    fitted = [_scaled(pair, period, interval) if pair in scaled else pair for pair in shares]
    return tuple(_resolved(pair, period) for pair in fitted if pair is not None)


def capped(factor: Decimal, budget: Decimal) -> Decimal:
    """The factor, lowered so that 80 % failures reach it: min(f, 0.8 / B).

    >>> capped(Decimal("14.4"), Decimal("0.1")), capped(Decimal("14.4"), Decimal("0.01"))
    (Decimal('8'), Decimal('14.4'))
    """
    return min(factor, tidy(CAP / budget))


def _resolved(pair: Share, period: timedelta) -> Pair:
    factor = derived_factor(pair.share, period, pair.long)
    return Pair(severity=pair.severity, tier=pair.tier, long=pair.long, short=pair.short, factor=factor)


def _scaled(pair: Share, period: timedelta, interval: timedelta) -> Share | None:
    long = _floored(pair.long * _intervals(period), interval)
    short = max(_floored(pair.short * _intervals(period), interval), _LEAST_INTERVALS * interval)
    return replace(pair, long=long, short=short) if long >= 2 * short else None


def _intervals(period: timedelta) -> int:
    """The period in seconds: windows are scaled by whole numbers, so that nothing is rounded before the floor."""
    return period // timedelta(seconds=1)


def _floored(window_seconds: timedelta, interval: timedelta) -> timedelta:
    """``window`` times the period's seconds, over 30 days' seconds, down to a whole number of intervals."""
    return window_seconds // _intervals(REFERENCE_PERIOD) // interval * interval


def _microseconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1))
