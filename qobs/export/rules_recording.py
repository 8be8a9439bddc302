"""Error ratios computed by Prometheus: from qobs' counters, or from the PromQL of the objective itself.

Windows up to 6 h read the counters. Longer ones are sums of recorded five-minute *counts*, never means of ratios: a mean would
understate a burst, and reading a month of raw samples every few minutes would cost too much. The counts' group runs every five
minutes, so that slices do not overlap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from qobs.export.promql import selector
from qobs.export.rules_native import count_rules, ratio_rule
from qobs.export.rules_unit import Group, Rule, Unit, record
from qobs.model import window_name
from qobs.slo.objective import NativeSource, PromSource, ThresholdSource

SLICE = timedelta(minutes=5)
LONGEST_DIRECT = timedelta(hours=6)
"""Longest window that reads raw counters."""

_PLACEHOLDER = re.compile(r"\{\{\s*\.window\s*\}\}")
_PER_SECOND = re.compile(r"\bi?rate\s*\(")
_OPERATORS = {"lte": "<=", "lt": "<", "gte": ">=", "gt": ">"}


def groups(unit: Unit, windows: Sequence[timedelta]) -> list[Group]:
    """Counts of five minutes where events can be counted, then the windows, by how often they need to be looked at."""
    source = unit.objective.source
    if isinstance(source, ThresholdSource):
        return [_points(unit, source), *_by_interval(unit, windows, lambda window: _averaged(unit, window))]
    if isinstance(source, PromSource) and source.raw:
        return _by_interval(unit, windows, lambda window: [ratio_rule(unit, window, _raw(source, window))])
    assert source is not None
    return [_slices(unit, source), *_by_interval(unit, windows, lambda window: _counted(unit, source, window))]


def _by_interval(unit: Unit, windows: Iterable[timedelta], rules: Callable[[timedelta], list[Rule]]) -> list[Group]:
    made: dict[str, list[Rule]] = {}
    for window in windows:
        made.setdefault(interval(window), []).extend(rules(window))
    suffixes = {"30s": "", "2m": "-day", "5m": "-long"}
    return [
        {"name": f"sloth-slo-sli-recordings-{unit.id}{suffixes[pace]}", "interval": pace, "limit": 2, "rules": held}
        for pace, held in made.items()
    ]


def interval(window: timedelta) -> str:
    """How often a window is worked out: 30 s up to 1 h, 2 min up to a day, 5 min beyond."""
    if window <= timedelta(hours=1):
        return "30s"
    return "2m" if window <= timedelta(days=1) else "5m"


def increases(source: NativeSource | PromSource, window: timedelta) -> tuple[str, str]:
    """(bad events, all events) of a window from counters; a rate per second is multiplied back to a count."""
    name = window_name(window)
    if isinstance(source, NativeSource):
        where = {**source.where, "sli": (source.sli,)}
        events = f"sum(increase({selector('qobs_sli_events_total', where)}[{name}]))"
        return f"sum(increase({selector('qobs_sli_bad_events_total', where)}[{name}])) or {events} * 0", events
    events = _count(source.total, window)
    if source.bad:
        return f"{_count(source.bad, window)} or {events} * 0", events
    return f"{events} - ({_count(source.good, window)} or {events} * 0)", events


def _count(query: str, window: timedelta) -> str:
    text = f"sum({expand(query, window)})"
    return f"{text} * {int(window.total_seconds())}" if _PER_SECOND.search(query) else text


def expand(query: str, window: timedelta) -> str:
    """A query with its window filled in.

    Example:
        >>> expand("rate(x[{{ .window }}])", timedelta(hours=1))
        'rate(x[1h])'
    """
    return _PLACEHOLDER.sub(window_name(window), query.strip())


def _slices(unit: Unit, source: NativeSource | PromSource) -> Group:
    bad, events = increases(source, SLICE)
    rules = [record(unit, "qobs:slo_errors:increase5m", bad), record(unit, "qobs:slo_events:increase5m", events)]
    return {"name": f"qobs-slo-counts-{unit.id}", "interval": "5m", "limit": 2, "rules": rules}


def _counted(unit: Unit, source: NativeSource | PromSource, window: timedelta) -> list[Rule]:
    if window <= LONGEST_DIRECT:
        return count_rules(unit, window, *increases(source, window))
    name = window_name(window)
    bad, events = (f"sum_over_time(qobs:slo_{kind}:increase5m{unit.selected}[{name}])" for kind in ("errors", "events"))
    return count_rules(unit, window, bad, events)


def _raw(source: PromSource, window: timedelta) -> str:
    query = expand(source.raw, window)
    return query if source.raw_type == "failure" else f"1 - ({query})"


def _points(unit: Unit, source: ThresholdSource) -> Group:
    """Each look at the metric is one event: 1 where it misses the threshold, 0 where it meets it."""
    met = f"({expand(source.query, SLICE)}) {_OPERATORS[source.op]} bool {source.value:.15g}"
    rules = [record(unit, "qobs:slo_error:point", f"1 - (\n  {met}\n)")]
    return {"name": f"qobs-slo-counts-{unit.id}", "interval": "30s", "limit": 2, "rules": rules}


def _averaged(unit: Unit, window: timedelta) -> list[Rule]:
    name = window_name(window)
    return [ratio_rule(unit, window, f"avg_over_time(qobs:slo_error:point{unit.selected}[{name}])")]


def samples(unit: Unit, windows: Iterable[timedelta], scrape: timedelta) -> int:
    """Samples that one evaluation of all windows reads, if every selector matches one series."""
    direct = [window for window in windows if window <= LONGEST_DIRECT]
    summed = [window for window in windows if window > LONGEST_DIRECT]
    return sum(2 * (window // scrape) for window in direct) + sum(2 * (window // SLICE) for window in summed)
