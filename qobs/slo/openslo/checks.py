"""Alert pairs that could never fire, or would fire on health: what they cost, told before they are needed.

Symbols: f factor, B budget, P period, L long window, S short window, lambda events per hour.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from qobs.errors import Finding
from qobs.slo.objective import Budgeting, Calendar, Objective, Pair, PromSource, Rolling, Severity
from qobs.slo.openslo.document import Place
from qobs.slo.openslo.periods import UNITS, written
from qobs.slo.openslo.report import Report

_HOUR = timedelta(hours=1)


def nominal_period(window: Rolling | Calendar) -> timedelta:
    """Length of the period for factors at load time: M, Q and Y are 30, 90 and 365 days."""
    return window.length if isinstance(window, Rolling) else window.count * UNITS[window.unit]


def check_pair(objective: Objective, pair: Pair, interval: timedelta, place: Place, report: Report) -> None:
    """Tell everything that is wrong with one pair of an objective."""
    budget, period = objective.budget, nominal_period(objective.window)
    name = f"{objective.slo}: {written(pair.long)}/{written(pair.short)} at {pair.factor}"
    reach = pair.factor * budget
    if reach >= 1:
        found = f"{name}: {pair.factor} x {budget} = {reach.normalize():f}"
        hint = "even 100 % failures cannot exceed it: lower the factor or the target, or set qobs.dev/cap-factor: 'true'"
        (report.error if pair.severity is Severity.PAGE else report.warning)(place, found, hint, "unreachable")
    if pair.factor < 1:
        hint = "it alerts while the objective is kept: use a factor of at least 1, or a shorter long window"
        report.error(place, name, hint, "below_budget_pace")
    if pair.long > period:
        report.error(place, name, f"the long window must not exceed the period of {written(period)}", "window_longer_than_period")
    if pair.short >= pair.long:
        report.error(place, name, "the short window must be shorter than the long one", "short_not_shorter")
    if pair.long % interval or pair.short % interval or not pair.short:
        hint = f"both windows must be whole numbers of the evaluation interval of {written(interval)}"
        report.error(place, name, f"{hint}: set qobs.dev/short-window", "window_not_whole_intervals")


def rate_findings(objective: Objective, events_per_hour: float) -> tuple[Finding, ...]:
    """Warnings that depend on how many events there are: pairs that one failure trips, a budget of less than one event.

    Args:
        objective: As loaded.
        events_per_hour: Measured rate, > 0. A rate of 0 tells nothing and gives no findings.
    """
    if events_per_hour <= 0 or not _counts(objective):
        return ()
    return (*_one_failure(objective, events_per_hour), *_unmeasurable(objective, events_per_hour))


def one_failure_rate(pair: Pair, budget: Decimal) -> float:
    """Events per hour below which a single failure exceeds the pair's factor over its long window: 1 / (f B L)."""
    return 1 / (float(pair.factor * budget) * (pair.long / _HOUR))


def _counts(objective: Objective) -> bool:
    raw = isinstance(objective.source, PromSource) and objective.source.raw
    return objective.budgeting is Budgeting.OCCURRENCES and not raw


def _one_failure(objective: Objective, rate: float) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            file=objective.file,
            path=f"{objective.slo}/{objective.name}",
            found=f"{written(pair.long)} at {pair.factor}: one failure pages under {needed:.3g} events per hour; here {rate:.3g}",
            hint="keep the evidence gate on (qobs.dev/sparse), use longer windows or a lower target",
            code="one_failure_pages",
        )
        for pair in objective.pairs
        if pair.severity is Severity.PAGE and rate < (needed := one_failure_rate(pair, objective.budget))
    )


def _unmeasurable(objective: Objective, rate: float) -> tuple[Finding, ...]:
    period = nominal_period(objective.window)
    events = rate * (period / _HOUR) * float(objective.budget)
    if events >= 1:
        return ()
    return (
        Finding(
            file=objective.file,
            path=f"{objective.slo}/{objective.name}",
            found=f"{events:.3g} failures are allowed in {written(period)} at {rate:.3g} events per hour",
            hint="a single failure breaks the objective: use a longer period, a lower target or add synthetic probes",
            code="unmeasurable",
        ),
    )
