"""Which alerts must fire on counted events, and with which words: by exact fractions, not from the rules' expressions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from qobs.export import rules_alerts
from qobs.export.promql import number
from qobs.export.rules_unit import PACE, Settings, Unit, period
from qobs.model import window_name
from qobs.slo.objective import Pair, Severity

Counted = Mapping[timedelta, tuple[int, int]]
"""(bad, all) events of each window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the daemon says beside its counts. ``chance`` is that of every tier that has one, where counts cannot be weighed.

    ``by_events``: its tier ``evidence`` is active. ``errors``: the text about classes of failures.
    """

    chance: float = 1e-12
    by_events: bool = False
    errors: str = ""


NOTHING_MORE = Told()


def active(unit: Unit, pair: Pair, counted: Counted, settings: Settings, told: Told = NOTHING_MORE) -> bool:
    """Whether a pair is active on these counts: both windows strictly above the factor, and enough evidence where asked."""
    limit = Fraction(pair.factor) * Fraction(unit.objective.budget)
    bad, events = counted[pair.long]
    if events == 0 or Fraction(bad, events) <= limit:
        return False
    recent_bad, recent = _recent(unit, pair, counted)
    if recent == 0 or Fraction(recent_bad, recent) <= limit:
        return False
    if not unit.gated(pair):
        return True
    if not unit.counted:
        return told.chance <= unit.objective.sparse.alpha
    return _weight(unit, bad, events) / float(settings.design_effect) > math.log(1 / unit.objective.sparse.alpha)


def _recent(unit: Unit, pair: Pair, counted: Counted) -> tuple[int, int]:
    if not unit.sparse:
        return counted[pair.short]
    longest = max(other.long for other in unit.objective.pairs)
    ladder = [counted[window] for window in sorted(counted) if pair.short <= window <= longest]
    return next((pair for pair in ladder if pair[1] >= 3), ladder[-1])


def _weight(unit: Unit, bad: int, events: int) -> float:
    """N KL(k/n || B), zero where the ratio is within budget."""
    budget, ratio = float(unit.objective.budget), bad / events
    if Fraction(bad, events) <= Fraction(unit.objective.budget):
        return 0.0
    kept = (events - bad) * math.log((1 - ratio) / (1 - budget)) if bad < events else 0.0
    return bad * math.log(ratio / budget) + kept


def expected(unit: Unit, counted: Counted, settings: Settings, told: Told = NOTHING_MORE) -> list[object]:
    """Every burn alert that must fire, with all its labels and words."""
    found: list[object] = []
    for severity in Severity:
        pairs = unit.pairs(severity)
        firing = [pair.long for pair in pairs if active(unit, pair, counted, settings, told)]
        if pairs and severity is Severity.PAGE and told.by_events:
            firing.append(max(pair.long for pair in pairs))
        if firing:
            found.append(
                {
                    "exp_labels": rules_alerts.labels(unit, severity, pairs[0].tier, settings),
                    "exp_annotations": _words(unit, severity, firing[0], counted, settings, told),
                }
            )
    return found


def _words(unit: Unit, severity: Severity, first: timedelta, counted: Counted, settings: Settings, told: Told) -> dict[str, str]:
    pairs = unit.pairs(severity)
    fixed = rules_alerts.burn_annotations(unit, severity, pairs, settings)
    bad, events = counted[first]
    burn = bad / events / float(unit.objective.budget) if events else 0.0
    head, _, tail = fixed["summary"].partition("{{")
    words: dict[str, str] = {
        key: fixed[key] for key in ("runbook_url", "dashboard_url", "silence_url", "qobs_url") if key in fixed
    }
    words["summary"] = f"{head}{burn:.1f}{tail.partition('}}')[2]}"
    longs = list(dict.fromkeys(pair.long for pair in pairs))
    shares = "; ".join(f"{window_name(long)}: {_share(unit, *counted[long])}" for long in longs)
    words["description"] = f"{shares}; {number(unit.objective.budget * 100)} % allowed.{_budget(unit, counted)}"
    if any(map(unit.gated, pairs)):
        shown = _chance(unit, [counted[long] for long in longs], settings, told)
        words["evidence"] = f"chance of this within budget: at most {shown}{rules_alerts.BY_EVENTS if told.by_events else ''}"
    if "top_errors" in fixed:
        words["top_errors"] = told.errors
    return words


def _share(unit: Unit, bad: int, events: int) -> str:
    if unit.counted:
        return f"{bad} of {events} bad"
    return f"{100 * (bad / events):.1f} % bad" if events else "unknown % bad"


def _chance(unit: Unit, counts: list[tuple[int, int]], settings: Settings, told: Told) -> str:
    if not unit.counted:
        return f"{told.chance:.1g}"
    heaviest = max((_weight(unit, *each) / float(settings.design_effect) for each in counts if each[1]), default=0.0)
    return f"{math.exp(-heaviest):.1g}" if heaviest > 0 else "unknown"


def _budget(unit: Unit, counted: Counted) -> str:
    whole, budget = period(unit.objective), float(unit.objective.budget)
    bad, events = counted[whole]
    left = 1 - bad / events / budget if events else 1.0
    text = f" Budget left: {100 * left:.0f} % of {window_name(whole)}." if left > 0 else ""
    if events and Fraction(bad, events) >= Fraction(unit.objective.budget):
        text += f" The budget of {window_name(whole)} is spent {bad / events / budget:.1f} times."
    seconds = exhausted_in_seconds(unit, counted)
    if seconds is not None:
        text += f" Exhausted in {seconds / 3600:.0f} h at the pace of the last {window_name(PACE)}."
    return text


def exhausted_in_seconds(unit: Unit, counted: Counted) -> float | None:
    """Time until the budget is gone at the pace of six hours; None where it is gone, or the pace is none."""
    whole, budget = period(unit.objective), float(unit.objective.budget)
    bad, events = counted[whole]
    left = 1 - bad / events / budget if events else 1.0
    spent, seen = counted.get(PACE, (0, 0))
    return whole.total_seconds() * budget * left / (spent / seen) if left > 0 and spent else None
