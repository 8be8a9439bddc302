"""Objectives in the daemon: which are in force, and how what is known of them is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from qobs.export.rules_unit import units
from qobs.export.snapshot import SliTotal, SloAlert, SloReading, SloWindow
from qobs.model import Series
from qobs.slo.burn import nominal_length
from qobs.slo.live import LiveEvaluation
from qobs.slo.objective import DataState, NativeSource, Objective

COMPOSITE = "composite"
"""Shown as the indicator of an objective that has several."""

Matches = Callable[[NativeSource, Series], bool]


def native_sources(objective: Objective) -> tuple[NativeSource, ...]:
    """What the objective counts, as far as qobs counts it itself."""
    sources = [member.source for member in objective.members] if objective.members else [objective.source]
    return tuple(source for source in sources if isinstance(source, NativeSource))


class Lifetimes:
    """Events of every objective since the store began: sums of exported counters, which never decrease."""

    def __init__(self, objectives: Iterable[Objective], matches: Matches) -> None:
        """``matches`` tells whether an objective's source counts a series."""
        self._sources = {id(objective): native_sources(objective) for objective in objectives}
        self._matches = matches
        self._counted: dict[Series, tuple[int, ...]] = {}

    def sums(self, totals: Iterable[SliTotal]) -> Mapping[int, tuple[int, int]]:
        """(all events, bad events) by the identity of the objective."""
        found: dict[int, tuple[int, int]] = {}
        for entry in totals:
            for number in self._counting(entry.series):
                known = found.get(number, (0, 0))
                found[number] = (known[0] + entry.total, known[1] + entry.bad)
        return found

    def _counting(self, series: Series) -> tuple[int, ...]:
        """Objectives that count a series, one of them once for each member that does; worked out once."""
        numbers = self._counted.get(series)
        if numbers is None:
            numbers = self._counted[series] = tuple(
                number for number, sources in self._sources.items() for source in sources if self._matches(source, series)
            )
        return numbers


class SloReadings:
    """Turns evaluations into what a snapshot shows."""

    def __init__(self, objectives: Iterable[Objective], matches: Matches) -> None:
        """For the objectives in force."""
        held = tuple(objectives)
        self._names = {id(unit.objective): unit.slo for unit in units(held)}
        self._lifetimes = Lifetimes(held, matches)

    def of(self, evaluations: Iterable[LiveEvaluation], totals: Iterable[SliTotal]) -> tuple[SloReading, ...]:
        """One reading for each evaluation; those of objectives that a reload has just replaced are left out."""
        lifetimes = self._lifetimes.sums(totals)
        return tuple(
            self._reading(each, *lifetimes.get(id(each.objective), (0, 0)))
            for each in evaluations
            if id(each.objective) in self._names
        )

    def _reading(self, live: LiveEvaluation, events: int, bad: int) -> SloReading:
        objective, evaluation = live.objective, live.evaluation
        budget = evaluation.budget
        sources = native_sources(objective)
        return SloReading(
            slo=self._names[id(objective)],
            service=objective.service,
            objective=objective.name,
            sli=sources[0].sli if len(sources) == 1 else COMPOSITE,
            target_ratio=float(objective.target),
            period_seconds=nominal_length(objective) / timedelta(seconds=1),
            state=evaluation.state.value,
            evaluated_at=live.evaluated_at,
            events_total=events,
            bad_events_total=bad,
            windows=() if evaluation.state is DataState.NO_DATA else tuple(_windows(live)),
            remaining_ratio=budget.remaining_ratio,
            remaining_low_ratio=budget.low,
            remaining_high_ratio=budget.high,
            ideal_remaining_ratio=budget.ideal_remaining_ratio,
            exhausted_in_seconds=budget.exhausted_in_seconds,
            exhaustion_probability=budget.exhaustion_probability,
            alerts=tuple(_alerts(live)),
            silent_sources=len(live.silent_sources),
            design_effect=live.design_effect,
        )


def _windows(live: LiveEvaluation) -> Iterator[SloWindow]:
    for name, window in live.evaluation.windows.items():
        yield SloWindow(name, window.total, window.bad, window.error_ratio, window.burn_rate)


def _alerts(live: LiveEvaluation) -> Iterator[SloAlert]:
    for alert in live.evaluation.alerts:
        since = live.since.get((alert.severity, alert.tier))
        yield SloAlert(alert.severity.value, alert.tier, alert.firing, since, alert.evidence)
