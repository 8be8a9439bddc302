"""Which alerts must fire on counted events, and with which words: by exact fractions, not from the rules' expressions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction

from qobs.export import rules_alerts
from qobs.export.promql import number
from qobs.export.rules_unit import PACE, Settings, Unit, period
from qobs.model import window_name
from qobs.slo.objective import Pair, Severity

Counted = Mapping[timedelta, tuple[int, int]]
"""(bad, all) events of each window."""


def active(unit: Unit, pair: Pair, counted: Counted, settings: Settings) -> bool:
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


def expected(unit: Unit, counted: Counted, settings: Settings) -> list[object]:
    """Every burn alert that must fire, with all its labels and words."""
    found: list[object] = []
    for severity in Severity:
        pairs = unit.pairs(severity)
        firing = [pair for pair in pairs if active(unit, pair, counted, settings)]
        if firing:
            found.append(
                {
                    "exp_labels": rules_alerts.labels(unit, severity, pairs[0].tier, settings),
                    "exp_annotations": _words(unit, severity, firing[0], counted, settings),
                }
            )
    return found


def _words(unit: Unit, severity: Severity, first: Pair, counted: Counted, settings: Settings) -> dict[str, str]:
    pairs = unit.pairs(severity)
    fixed = rules_alerts.burn_annotations(unit, severity, pairs, settings)
    bad, events = counted[first.long]
    burn = bad / events / float(unit.objective.budget)
    head, _, tail = fixed["summary"].partition("{{")
    words: dict[str, str] = {
        key: fixed[key] for key in ("runbook_url", "dashboard_url", "silence_url", "qobs_url") if key in fixed
    }
    words["summary"] = f"{head}{burn:.1f}{tail.partition('}}')[2]}"
    longs = dict.fromkeys(pair.long for pair in pairs)
    counts = "; ".join(f"{window_name(long)}: {counted[long][0]} of {counted[long][1]} bad" for long in longs)
    words["description"] = f"{counts}; {number(unit.objective.budget * 100)} % allowed.{_budget(unit, counted)}"
    if any(map(unit.gated, pairs)):
        weights = [_weight(unit, *counted[long]) / float(settings.design_effect) for long in longs if counted[long][1]]
        heaviest = max(weights, default=0.0)
        shown = f"{math.exp(-heaviest):.1g}" if heaviest > 0 else "unknown"
        words["evidence"] = f"chance of this within budget: at most {shown}"
    return words


def _budget(unit: Unit, counted: Counted) -> str:
    whole, budget = period(unit.objective), float(unit.objective.budget)
    if whole not in counted:
        return ""
    bad, events = counted[whole]
    left = 1 - bad / events / budget if events else 1.0
    text = f" Budget left: {100 * left:.0f} % of {window_name(whole)}." if left > 0 else ""
    if events and Fraction(bad, events) >= Fraction(unit.objective.budget):
        text += f" The budget of {window_name(whole)} is spent {bad / events / budget:.1f} times."
    spent, seen = counted[PACE]
    if left > 0 and spent:
        hours = whole / timedelta(hours=1) * budget * left / (spent / seen)
        text += f" Exhausted in {hours:.0f} h at the pace of the last {window_name(PACE)}."
    return text
