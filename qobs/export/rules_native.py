"""Error ratios from qobs' own window gauges: event time, late jobs included, nothing for Prometheus to estimate.

Recorded under the same names as in the recording mode, so that alerts, dashboards and people need not care which is in use.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from qobs.export.promql import number, selector
from qobs.export.rules_unit import Group, Rule, Unit, record
from qobs.model import window_name
from qobs.slo.objective import Member, NativeSource


def groups(unit: Unit, windows: Iterable[timedelta]) -> list[Group]:
    """One group: counts and error ratio of every window."""
    rules: list[Rule] = []
    for window in windows:
        if unit.objective.members:
            rules.append(ratio_rule(unit, window, composite(unit, window)))
        else:
            assert isinstance(unit.objective.source, NativeSource)
            rules += count_rules(unit, window, *counts(unit.objective.source, window))
    return [{"name": f"sloth-slo-sli-recordings-{unit.id}", "interval": "30s", "limit": 2, "rules": rules}]


def counts(source: NativeSource, window: timedelta) -> tuple[str, str]:
    """(bad events, all events) of a window, as expressions; nothing while every source is silent."""
    where = {**source.where, "sli": (source.sli,), "window": (window_name(window),)}
    events = f"sum({selector('qobs_sli_window_events', where)})"
    return f"sum({selector('qobs_sli_window_bad_events', where)}) or {events} * 0", events


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


def composite(unit: Unit, window: timedelta) -> str:
    """The members' burn rates joined (weighted mean, or the worst), given back as a ratio of the composite's own budget.

    A member without events burns nothing; where no member has any, there is no value.
    """
    objective = unit.objective
    if objective.worst_of:
        worst = "\nor\n".join(
            f'label_replace({_burn(member, window, objective.budget)}, "member", "{index}", "", "")'
            for index, member in enumerate(objective.members)
        )
        return f"max(\n{worst}\n)"
    weights = [Decimal(str(member.weight)) for member in objective.members]
    burns = [
        f"({_burn(member, window, objective.budget * weight)} or vector(0))"
        for member, weight in zip(objective.members, weights, strict=True)
    ]
    present = [
        f"(({_events(member, window)} > bool 0) * {number(weight)} or vector(0))"
        for member, weight in zip(objective.members, weights, strict=True)
    ]
    plus = "\n  + "
    return f"(\n  {plus.join(burns)}\n)\n/\n(\n  {plus.join(present)}\n  > 0\n)"


def _burn(member: Member, window: timedelta, share: Decimal) -> str:
    assert isinstance(member.source, NativeSource)
    bad, events = counts(member.source, window)
    return f"({bad}) / ({events} > 0) * {number(share / (1 - member.target))}"


def _events(member: Member, window: timedelta) -> str:
    assert isinstance(member.source, NativeSource)
    return counts(member.source, window)[1]
