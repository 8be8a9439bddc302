"""Error ratios from the daemon's own evaluation: event time, late jobs and exclusions included, nothing left to estimate.

Recorded under the same names as in the recording mode, so that alerts, dashboards and people need not care which is in use.
Calendar periods, time slices and composites are worked out by the daemon: of these only the ratio is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from qobs.export.rules_unit import Group, Rule, Unit, record
from qobs.model import window_name


def groups(unit: Unit, windows: Iterable[timedelta]) -> list[Group]:
    """One group: counts, where events are counted, and error ratio of every window."""
    rules: list[Rule] = []
    for window in windows:
        if unit.counted:
            rules += count_rules(unit, window, *counts(unit, window))
        else:
            rules.append(ratio_rule(unit, window, unit.gauge("qobs_slo_error_ratio", window=unit.gauge_window(window))))
    return [{"name": f"sloth-slo-sli-recordings-{unit.id}", "interval": "30s", "limit": 2, "rules": rules}]


def counts(unit: Unit, window: timedelta) -> tuple[str, str]:
    """(bad events, all events) of a window, as expressions; nothing while nothing is known."""
    name = unit.gauge_window(window)
    events = unit.gauge("qobs_slo_window_events", window=name)
    return f"{unit.gauge('qobs_slo_window_bad_events', window=name)} or {events} * 0", events


def count_rules(unit: Unit, window: timedelta, bad: str, events: str) -> list[Rule]:
    """Records both counts of a window, and their ratio: sums are made first, so that it is no mean of ratios."""
    name = window_name(window)
    ratio = f"qobs:slo_errors:count{name}{unit.selected} / (qobs:slo_events:count{name}{unit.selected} > 0)"
    return [
        record(unit, f"qobs:slo_errors:count{name}", bad),
        record(unit, f"qobs:slo_events:count{name}", events),
        ratio_rule(unit, window, ratio),
    ]


def ratio_rule(unit: Unit, window: timedelta, expression: str) -> Rule:
    """Records the error ratio of a window under Sloth's name."""
    name = window_name(window)
    return record(unit, f"slo:sli_error:ratio_rate{name}", expression, sloth_window=name)
