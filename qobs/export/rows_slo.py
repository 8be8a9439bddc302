"""Rows about objectives, as the daemon evaluates them: what alerts compare, what dashboards draw, and what is excluded now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, product
from math import prod

from qobs.export.snapshot import ExclusionReading, Labels, SloAlert, SloReading, SloWindow, Snapshot
from qobs.export.table import Kind, Metric, Sample, known, times

SLO = ("slo", "service")

STATES = ("ok", "no_traffic", "no_data", "insufficient_data", "excluded")
"""All states of an objective, as :class:`qobs.slo.objective.DataState` has them."""

NO_DATA = "no_data"

SCOPE_LABELS = ("provider", "source", "backend", "service", "slo", "sli", "priority", "workload", "team")
"""Labels that an exclusion's scope can share with alerts."""

SCOPES: tuple[Labels, ...] = (
    (),
    ("provider",),
    ("source",),
    ("backend",),
    ("provider", "source"),
    ("provider", "backend"),
    ("source", "backend"),
    ("provider", "source", "backend"),
    ("service",),
    ("slo",),
    ("service", "slo"),
    ("sli",),
    ("priority",),
    ("workload",),
    ("team",),
)
"""Combinations of labels that Alertmanager's inhibition can express, each with a rule of its own."""

EVERYTHING = "everything"
PARTIAL = "partial"
"""Scope of an exclusion that no inhibition can express: it takes events out, and mutes no notification."""

MOST_PLACES = 500
"""Places of one exclusion that are shown one by one; a scope with more counts as :data:`PARTIAL`."""


def scope_name(labels: Labels) -> str:
    """The value of the label ``scope`` for a combination of labels.

    Example:
        >>> scope_name(()), scope_name(("provider", "backend"))
        ('everything', 'provider+backend')
    """
    return "+".join(labels) or EVERYTHING


def exclusions(snapshot: Snapshot) -> Iterator[Sample]:
    """One sample for each place that an exclusion covers: inhibition compares single values."""
    return ((labels, 1) for reading in snapshot.exclusions for labels in _places(reading))


def _places(reading: ExclusionReading) -> Iterator[Labels]:
    scope = reading.scope
    named = tuple(label for label in SCOPE_LABELS if label in scope)
    expressible = named in SCOPES and len(named) == len(scope) and all(map(all, scope.values()))
    if not expressible or prod(len(values) for values in scope.values()) > MOST_PLACES:
        return iter([(reading.id, PARTIAL, *("" for _ in SCOPE_LABELS))])
    choices = (scope.get(label, ("",)) for label in SCOPE_LABELS)
    return ((reading.id, scope_name(named), *place) for place in product(*choices))


def _each(of: Callable[[SloReading], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: known((reading.where, of(reading)) for reading in snapshot.slos)


def _windows(of: Callable[[SloWindow], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    """Windows of the objectives whose sources answer: of the others nothing is known, which is neither good nor bad."""
    return lambda snapshot: known(
        ((*reading.where, window.window), of(window))
        for reading in snapshot.slos
        if reading.state != NO_DATA
        for window in reading.windows
    )


def _alerts(of: Callable[[SloAlert], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: known(
        ((*reading.where, alert.severity, alert.tier), of(alert)) for reading in snapshot.slos for alert in reading.alerts
    )


def _states(snapshot: Snapshot) -> Iterator[Sample]:
    return chain.from_iterable(
        (((*reading.where, state), int(reading.state == state)) for state in STATES) for reading in snapshot.slos
    )


def _gauge(name: str, text: str, of: Callable[[SloReading], float | None], unit: str = "") -> Metric:
    return Metric(name, text, Kind.GAUGE, SLO, _each(of), unit, cap=5_000)


_COUNTED_ROWS = (
    Metric(
        "qobs_slo_events_total",
        "Events of the objective, good or bad, since the store began.",
        Kind.COUNTER,
        SLO,
        _each(lambda reading: reading.events_total),
        cap=5_000,
    ),
    Metric(
        "qobs_slo_bad_events_total",
        "Bad events of the objective since the store began.",
        Kind.COUNTER,
        SLO,
        _each(lambda reading: reading.bad_events_total),
        cap=5_000,
    ),
)

_WINDOW_ROWS = tuple(
    Metric(name, f"{text}; absent while a source is silent.", Kind.GAUGE, (*SLO, "window"), _windows(of), unit, cap=20_000)
    for name, text, of, unit in (
        ("qobs_slo_window_events", "Events of the objective in the window, in event time", lambda w: w.total, ""),
        ("qobs_slo_window_bad_events", "Bad events of the objective in the window, in event time", lambda w: w.bad, ""),
        (
            "qobs_slo_error_ratio",
            "Bad events by all events of the window; absent without events",
            lambda w: w.error_ratio,
            "ratio",
        ),
        ("qobs_slo_burn_rate", "Error ratio of the window by the error budget; absent without events", lambda w: w.burn_rate, ""),
    )
)

_BUDGET_ROWS = tuple(
    _gauge(f"qobs_slo_error_budget_{name}", text, of, unit)
    for name, text, of, unit in (
        (
            "remaining_ratio",
            "What is left of the period's error budget; below 0: overspent.",
            lambda r: r.remaining_ratio,
            "ratio",
        ),
        ("remaining_low_ratio", "Lower 95 % bound of what is left of the budget.", lambda r: r.remaining_low_ratio, "ratio"),
        ("remaining_high_ratio", "Upper 95 % bound of what is left of the budget.", lambda r: r.remaining_high_ratio, "ratio"),
        (
            "remaining_ideal_ratio",
            "What an even spending would have left by now; calendar periods.",
            lambda r: r.ideal_remaining_ratio,
            "ratio",
        ),
        (
            "exhaustion_seconds",
            "Time until the budget is gone at the pace of 6 h; absent: it lasts.",
            lambda r: r.exhausted_in_seconds,
            "seconds",
        ),
        (
            "exhaustion_probability_ratio",
            "Chance that the budget is gone at the end of the calendar period.",
            lambda r: r.exhaustion_probability,
            "ratio",
        ),
    )
)

SLO_ROWS = (
    Metric(
        "qobs_slo_info",
        "An objective that is evaluated, with its indicator and its own name.",
        Kind.INFO,
        (*SLO, "sli", "objective"),
        lambda s: (((*reading.where, reading.sli, reading.objective), 1) for reading in s.slos),
        cap=5_000,
    ),
    Metric(
        "qobs_slo_state",
        "What is known about the objective, one series a state, one of them 1.",
        Kind.STATESET,
        (*SLO, "state"),
        _states,
        cap=20_000,
    ),
    Metric(
        "qobs_slo_alert_active",
        "Whether the tier of the alert is active by the daemon's own evaluation.",
        Kind.GAUGE,
        (*SLO, "severity", "tier"),
        _alerts(lambda alert: alert.active),
        cap=20_000,
    ),
    Metric(
        "qobs_slo_alert_chance_ratio",
        "Chance of so many failures within budget; absent where the tier has no evidence gate.",
        Kind.GAUGE,
        (*SLO, "severity", "tier"),
        _alerts(lambda alert: alert.chance),
        "ratio",
        cap=20_000,
    ),
    _gauge("qobs_slo_silent_sources", "Sources of the objective's events that do not answer.", lambda r: r.silent_sources),
    Metric(
        "qobs_slo_evaluation_timestamp_seconds",
        "When the objective was last evaluated.",
        Kind.GAUGE,
        SLO,
        lambda s: times((reading.where, reading.evaluated_at) for reading in s.slos),
        "seconds",
        cap=5_000,
    ),
    _gauge("qobs_slo_objective_ratio", "Target: the ratio of good events.", lambda r: r.target_ratio, "ratio"),
    _gauge("qobs_slo_window_seconds", "Length of the budget's period.", lambda r: r.period_seconds, "seconds"),
    *_WINDOW_ROWS,
    *_BUDGET_ROWS,
    *_COUNTED_ROWS,
    _gauge(
        "qobs_slo_design_effect_ratio",
        "How many jobs of a batch count as one in the evidence; 1: independent.",
        lambda r: r.design_effect,
        "ratio",
    ),
    Metric(
        "qobs_exclusion_active",
        "An exclusion in force, one series a place of its scope; scope `partial`: it mutes no notification.",
        Kind.GAUGE,
        ("exclusion", "scope", *SCOPE_LABELS),
        exclusions,
    ),
)
