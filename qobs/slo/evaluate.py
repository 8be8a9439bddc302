"""Everything that is known about an objective at a moment, from its events and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from qobs.exclusion import Exclusion
from qobs.model import window_name
from qobs.slo.alerts import counts_events, readings
from qobs.slo.budget import budget_reading, sums
from qobs.slo.burn import Stream, Subject, reading, width, windows_of
from qobs.slo.composite import Events, subject_of
from qobs.slo.evidence import fewest_events
from qobs.slo.exclusions import covering
from qobs.slo.history import micros
from qobs.slo.objective import BudgetReading, Calendar, DataState, Evaluation, Objective, WindowReading

PERIOD = "period"
"""Name of the window of a calendar period so far; rolling windows are named by their length."""


def evaluate(
    objective: Objective,
    events: Events,
    at: datetime,
    *,
    exclusions: Sequence[Exclusion] = (),
    source_silent: bool = False,
) -> Evaluation:
    """Windows, budget, alerts and state of ``objective`` at ``at``.

    Args:
        objective: Resolved.
        events: In any order; those after ``at`` are not known yet. For a composite, one stream for all members or one each.
        at: Any aware time.
        exclusions: Those whose scope covers the objective take their events out and mute its alerts.
        source_silent: The source's heartbeat is missing: the state is ``no_data``, whatever was known before.

    Raises:
        ValueError: ``at`` is naive, or the streams do not fit the objective.
    """
    if at.tzinfo is None:
        raise ValueError(f"`at` must be an aware time, but at={at}.")
    at = at.astimezone(UTC)
    now = micros(at)
    spans = covering(objective, exclusions)
    subject = subject_of(objective, events, spans, upto=now)
    muted = spans.hold(now)
    return Evaluation(
        objective=objective,
        at=at,
        state=state_of(objective, subject, at, muted=muted, silent=source_silent),
        windows=windows_reading(objective, subject, at),
        budget=budget_reading(objective, subject, at),
        alerts=readings(objective, subject, now, muted=muted),
    )


def named_windows(objective: Objective) -> tuple[tuple[str, int], ...]:
    """(name, length in microseconds) of every rolling window that is read for the objective."""
    return tuple((window_name(window), width(window)) for window in windows_of(objective))


def windows_reading(
    objective: Objective, subject: Subject[Stream], at: datetime, *, asked: Sequence[tuple[str, int]] | None = None
) -> dict[str, WindowReading]:
    """Every rolling window of the objective (``asked``: those of :func:`named_windows`), and a calendar period so far."""
    now, budget = micros(at), Fraction(objective.budget)
    windows = named_windows(objective) if asked is None else asked
    found = {name: reading(subject, subject.within(length, now), budget) for name, length in windows}
    if isinstance(objective.window, Calendar):
        found[PERIOD] = reading(subject, sums(objective, subject, at), budget)
    return found


def state_of(objective: Objective, subject: Subject[Stream], at: datetime, *, muted: bool, silent: bool) -> DataState:
    """What is known: excluded (``muted``), no_data (``silent``), or else what the period's events can tell.

    A composite knows as little as the least known of its members that had events.
    """
    if muted or silent:
        return DataState.EXCLUDED if muted else DataState.NO_DATA
    tallies = sums(objective, subject, at)
    if not any(tally.total for tally in tallies):
        return DataState.NO_TRAFFIC
    if not counts_events(objective):
        return DataState.OK
    for part, tally in zip(subject.parts, tallies, strict=True):
        needed = fewest_events(budget=float(part.budget), alpha=objective.sparse.alpha)
        known = tally.effective[0] / part.effects().at(micros(at))
        if tally.total and known < needed * (1.0 - 1e-9):
            return DataState.INSUFFICIENT_DATA
    return DataState.OK


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """The stable form of ``qobs slo evaluate --json``: one element of its list. Ratios that do not exist are None."""
    objective = evaluation.objective
    return {
        "slo": objective.slo,
        "service": objective.service,
        "objective": objective.name,
        "target": float(objective.target),
        "at": timestamp(evaluation.at),
        "state": str(evaluation.state),
        "windows": {name: _window_json(window) for name, window in evaluation.windows.items()},
        "budget": _budget_json(evaluation.budget),
        "alerts": [
            {"severity": str(alert.severity), "tier": alert.tier, "firing": alert.firing, "evidence": alert.evidence}
            for alert in evaluation.alerts
        ],
    }


def _window_json(window: WindowReading) -> dict[str, float | None]:
    return {
        "good": plain(window.good),
        "bad": plain(window.bad),
        "total": plain(window.total),
        "error_ratio": window.error_ratio,
        "burn_rate": window.burn_rate,
    }


def _budget_json(budget: BudgetReading) -> dict[str, Any]:
    return {
        "total": plain(budget.total),
        "bad": plain(budget.bad),
        "remaining_ratio": budget.remaining_ratio,
        "low": budget.low,
        "high": budget.high,
        "exhausted_in_seconds": budget.exhausted_in_seconds,
        "exhaustion_probability": budget.exhaustion_probability,
        "ideal_remaining_ratio": budget.ideal_remaining_ratio,
        "from": None if budget.period_from is None else timestamp(budget.period_from),
        "to": None if budget.period_to is None else timestamp(budget.period_to),
    }


def plain(number: float) -> float:
    """A whole number without its ``.0``, so that counts look like counts.

    Example:
        >>> plain(3.0), plain(2.5)
        (3, 2.5)
    """
    return int(number) if number.is_integer() else number


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC.

    Example:
        >>> timestamp(datetime(2026, 1, 1, tzinfo=UTC))
        '2026-01-01T00:00:00Z'
    """
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
