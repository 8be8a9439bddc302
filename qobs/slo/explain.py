"""What an objective can and cannot do at the rate of events it really has.

For every alert: how many failures it takes, and the median time until a total outage sets it off. For all pages together:
how many there would be in 30 days at half the allowed failures, and at exactly the allowed ones, found by playing made-up
histories through :mod:`qobs.slo.backtest`. And, in words, what no setting can mend: objectives out of reach or too fine.

Batches are taken at their worst: all jobs of one share its fate, so that the design effect is the batch's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any

from qobs.model import window_name
from qobs.slo import cusum
from qobs.slo.alerts import EVIDENCE_TIER, counts_events, has_evidence_tier
from qobs.slo.backtest import Span, backtest, joined
from qobs.slo.burn import nominal_length
from qobs.slo.evidence import chernoff_bound, failures_needed, fewest_events, proves
from qobs.slo.history import micros
from qobs.slo.objective import Fired, Objective, Pair, Rolling, Severity
from qobs.slo.simulation import Uniform, median_wait, rate_bound, simulated, uniforms

BURNS = (0.5, 1.0)
"""Burn rates at which pages would be false: inside the objective, and exactly at it."""

MONTH = timedelta(days=30)

_START = datetime(2026, 1, 1, tzinfo=UTC)
_SIMULATED_EVENTS = 15_000
_MOST_MONTHS = 120.0
_SEED = 20_260_101


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one alert takes. ``events`` are expected in its long window (None: no window).

    ``failures`` of them set it off; ``outage_seconds`` is the median time until a total outage does; both None where it
    cannot fire at this rate.
    """

    severity: Severity
    tier: str
    window: str
    factor: float | None
    events: float | None
    failures: int | None
    outage_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalsePages:
    """Pages in 30 days while failures come ``burn`` times as often as allowed: the mean of ``months`` simulated ones.

    ``at_most`` is its 95 % upper bound.
    """

    burn: float
    per_month: float
    at_most: float
    months: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that :func:`explain` found. ``budget_events`` are the failures that the period allows at this rate.

    ``detection_seconds`` is the shortest median among the pages (None: no page can fire); ``remarks`` are sentences.
    """

    objective: Objective
    events_per_hour: float
    batch_size: float
    budget_events: float
    needs: tuple[Need, ...]
    false_pages: tuple[FalsePages, ...]
    detection_seconds: float | None
    remarks: tuple[str, ...]


def explain(
    objective: Objective, *, events_per_hour: float, batch_size: float = 1.0, seed: int = _SEED, events: int = _SIMULATED_EVENTS
) -> Explanation:
    """Needs, false pages, detection and remarks for an objective at a rate.

    Args:
        objective: Resolved. A composite is explained by its own target, as if it were one stream.
        events_per_hour: Measured mean rate, > 0.
        batch_size: Mean size of the batch that a job comes in, >= 1.
        seed: Of the simulation; the same seed gives the same figures.
        events: Simulated for each of the two burn rates; a hundred thousand take some seconds.

    Raises:
        ValueError: The rate is not positive, or a batch smaller than one job.
    """
    if not events_per_hour > 0.0 or not batch_size >= 1.0:
        raise ValueError(
            f"`events_per_hour` must be positive and `batch_size` at least 1, but they are {events_per_hour} and {batch_size}."
        )
    objective = replace(objective, members=())
    needs = tuple(_needs(objective, events_per_hour, batch_size))
    waits = [need.outage_seconds for need in needs if need.severity is Severity.PAGE and need.outage_seconds is not None]
    draw = uniforms(seed)
    return Explanation(
        objective=objective,
        events_per_hour=events_per_hour,
        batch_size=batch_size,
        budget_events=events_per_hour * _hours(nominal_length(objective)) * float(objective.budget),
        needs=needs,
        false_pages=tuple(_false_pages(objective, burn, events_per_hour, round(batch_size), draw, events) for burn in BURNS),
        detection_seconds=min(waits, default=None),
        remarks=tuple(_remarks(objective, needs, events_per_hour)),
    )


def _hours(length: timedelta) -> float:
    return length / timedelta(hours=1)


def _needs(objective: Objective, rate: float, batch: float) -> Iterator[Need]:
    for pair in objective.pairs:
        expected = rate * _hours(pair.long)
        failures = pair_failures(objective, pair, events=max(1, round(expected)), design_effect=batch)
        yield Need(
            severity=pair.severity,
            tier=pair.tier,
            window=window_name(pair.long),
            factor=float(pair.factor),
            events=expected,
            failures=failures,
            outage_seconds=None if failures is None else _outage_seconds(failures, rate, batch),
        )
    if has_evidence_tier(objective):
        failures = evidence_failures(objective, rate=rate, design_effect=batch)
        yield Need(
            severity=Severity.PAGE,
            tier=EVIDENCE_TIER,
            window="",
            factor=None,
            events=None,
            failures=failures,
            outage_seconds=None if failures is None else _outage_seconds(failures, rate, batch),
        )


def pair_failures(objective: Objective, pair: Pair, *, events: int, design_effect: float = 1.0) -> int | None:
    """Fewest failures among ``events`` of the long window that make the pair fire. None: not even all of them."""
    by_burn = floor(Fraction(pair.factor) * Fraction(objective.budget) * events) + 1
    if by_burn > events:
        return None
    if pair.severity is not Severity.PAGE or not counts_events(objective):
        return by_burn
    budget, alpha = float(objective.budget), objective.sparse.alpha
    if design_effect == 1.0:
        by_chance = failures_needed(events, budget=budget, alpha=alpha)
        return None if by_chance is None else max(by_burn, by_chance)
    worth = events / design_effect
    proving = (k for k in range(by_burn, events + 1) if proves(chernoff_bound(k / design_effect, worth, budget), alpha))
    return next(proving, None)


def evidence_failures(objective: Objective, *, rate: float, design_effect: float = 1.0) -> int | None:
    """Failures in a row that make the CUSUM fire from 0. None: the budget is so large that it has no track."""
    height = cusum.limit(rate * _hours(cusum.RATE_WINDOW), objective.sparse.phi)
    paths = cusum.tracks(float(objective.budget))
    return min((ceil(height * design_effect / path.failure - 1e-9) for path in paths), default=None)


def _outage_seconds(failures: int, rate: float, batch: float) -> float:
    """Median time until so many failures have come, when everything fails."""
    return 3600.0 * median_wait(ceil(failures / batch), rate / batch)


def _false_pages(objective: Objective, burn: float, rate: float, batch: int, draw: Uniform, events: int) -> FalsePages:
    months = min(_MOST_MONTHS, events / (rate * _hours(MONTH)))
    history = tuple(
        simulated(
            draw,
            start=_START,
            length=months * MONTH,
            events_per_hour=rate,
            error_ratio=min(1.0, burn * float(objective.budget)),
            batch_size=batch,
        )
    )
    paging = replace(
        objective,
        pairs=tuple(pair for pair in objective.pairs if pair.severity is Severity.PAGE),
        window=Rolling(length=nominal_length(objective)),
    )
    pages = len(pages_of(backtest((paging,), history)))
    return FalsePages(burn=burn, per_month=pages / months, at_most=rate_bound(pages) / months, months=months)


def pages_of(fired: tuple[Fired, ...]) -> list[Span]:
    """Times during which anybody was paged, in microseconds: tiers that overlap are one page."""
    return joined(
        (micros(each.fired_at), None if each.cleared_at is None else micros(each.cleared_at))
        for each in fired
        if each.severity is Severity.PAGE
    )


def _remarks(objective: Objective, needs: tuple[Need, ...], rate: float) -> Iterator[str]:
    budget, period = objective.budget, nominal_length(objective)
    allowed = rate * _hours(period) * float(budget)
    if allowed < 1.0:
        yield (
            f"unmeasurable: at {rate:g} events an hour the period allows {allowed:.2g} failures, less than one; "
            "lower the target, lengthen the period, or count more events"
        )
    for pair, need in zip(objective.pairs, needs, strict=False):
        name = f"{pair.severity} {pair.tier} ({need.window})"
        if pair.factor * budget >= 1:
            yield (
                f"unreachable: {name} needs an error ratio above {float(pair.factor * budget):g}; "
                f"a factor of {0.8 / float(budget):.3g} can be reached"
            )
        elif need.failures is None:
            yield f"{name} cannot fire at this rate: about {need.events:.2g} events in its window prove nothing"
        elif need.failures == 1 and pair.severity is Severity.PAGE:
            yield f"one failure pages: {name} fires on a single failure at this rate"
    if counts_events(objective):
        least = fewest_events(budget=float(budget), alpha=objective.sparse.alpha)
        if rate * _hours(period) < least:
            yield f"insufficient_data: a breach takes at least {least} events, and the period has fewer at this rate"


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain data; what cannot be is None."""
    objective = explanation.objective
    return {
        "slo": objective.slo,
        "objective": objective.name,
        "target": float(objective.target),
        "events_per_hour": explanation.events_per_hour,
        "batch_size": explanation.batch_size,
        "budget_events": explanation.budget_events,
        "detection_seconds": explanation.detection_seconds,
        "needs": [
            {
                "severity": str(need.severity),
                "tier": need.tier,
                "window": need.window or None,
                "factor": need.factor,
                "events": need.events,
                "failures": need.failures,
                "outage_seconds": need.outage_seconds,
            }
            for need in explanation.needs
        ],
        "false_pages": [
            {"burn": each.burn, "per_30d": each.per_month, "at_most": each.at_most, "simulated_30d": each.months}
            for each in explanation.false_pages
        ],
        "remarks": list(explanation.remarks),
    }


def explanation_text(explanation: Explanation) -> str:
    """The explanation for people, some lines long."""
    objective = explanation.objective
    lines = [
        f"{objective.slo} / {objective.name}: target {objective.target} over {window_name(nominal_length(objective))}",
        f"at {explanation.events_per_hour:g} events an hour in batches of {explanation.batch_size:g}, "
        f"the period allows {explanation.budget_events:.3g} failures",
        "",
        f"{'alert':<18}{'window':<8}{'factor':<8}{'failures needed':<24}total outage, median",
    ]
    lines += [_need_line(need) for need in explanation.needs]
    lines.append("")
    for each in explanation.false_pages:
        lines.append(
            f"false pages in 30 days at burn {each.burn:g}: {each.per_month:.2g} "
            f"(at most {each.at_most:.2g}; {each.months:.3g} months simulated)"
        )
    found = explanation.detection_seconds
    lines.append("total outage: never pages" if found is None else f"total outage: pages after {_minutes(found)} (median)")
    return "\n".join([*lines, *(f"! {remark}" for remark in explanation.remarks)])


def _need_line(need: Need) -> str:
    if need.failures is None:
        needed = "cannot fire"
    else:
        needed = f"{need.failures} in a row" if need.events is None else f"{need.failures} of {max(1, round(need.events))}"
    factor = "" if need.factor is None else f"{need.factor:g}"
    wait = "never" if need.outage_seconds is None else _minutes(need.outage_seconds)
    return f"{need.severity + ' ' + need.tier:<18}{need.window:<8}{factor:<8}{needed:<24}{wait}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
