"""Maintenance and other exclusions: which of them cover an objective, and which moments they take out.

Events in [from, to) of a covering exclusion leave both sums, and its alerts are muted while it lasts. Nothing stored
changes: take the exclusion away and the history is as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from qobs.exclusion import Exclusion
from qobs.model import Series
from qobs.slo.history import micros
from qobs.slo.objective import NativeSource, Objective, Source


class Spans:
    """Stretches of time [from, to), in microseconds."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        """Empty ones are dropped."""
        self.spans = tuple(sorted((begin, end) for begin, end in spans if begin < end))

    def hold(self, at: int) -> bool:
        """Whether ``at`` lies inside one."""
        return any(begin <= at < end for begin, end in self.spans)

    def touch(self, begin: int, end: int) -> bool:
        """Whether any of [``begin``, ``end``) lies inside one."""
        return any(other_begin < end and begin < other_end for other_begin, other_end in self.spans)


def covering(objective: Objective, exclusions: Iterable[Exclusion]) -> Spans:
    """The stretches that are excluded for an objective as a whole."""
    return Spans((micros(each.from_at), micros(each.to_at)) for each in exclusions if covers(each, objective))


def covers(exclusion: Exclusion, objective: Objective) -> bool:
    """Whether every event of the objective lies in the exclusion's scope.

    A scope without labels covers everything. Otherwise each of its labels must be known of the objective - ``slo``,
    ``service``, its own labels, or what its native indicator (for a composite: each of them) selects - with no value outside
    the scope. Events of a file carry no labels, so a scope that covers only a part of an objective's events cannot take that
    part out there; events that are counted while they happen do: see :func:`shields`.
    """
    return not any(_open_labels(exclusion, objective, source) for source in sources_of(objective))


def sources_of(objective: Objective) -> tuple[Source | None, ...]:
    """Where the objective's events come from: one source, or that of each member of a composite."""
    return tuple(member.source for member in objective.members) or (objective.source,)


def _open_labels(exclusion: Exclusion, objective: Objective, source: Source | None) -> tuple[str, ...]:
    """Labels of the scope that the objective's own ones leave open."""
    known: dict[str, tuple[str, ...]] = {**objective.labels, "slo": (objective.slo,), "service": (objective.service,)}
    if isinstance(source, NativeSource):
        known |= {**source.where, "sli": (source.sli,)}
    return tuple(
        label
        for label, allowed in exclusion.scope.items()
        if not known.get(label) or any(value not in allowed or value.startswith("~") for value in known[label])
    )


class Shield(NamedTuple):
    """What is left to ask of a series before an exclusion takes its events in [``begin``, ``end``) out; microseconds.

    ``scope`` holds the labels that decide, with the values that they may have; empty: every series.
    """

    scope: tuple[tuple[str, tuple[str, ...]], ...]
    begin: int
    end: int

    def covers(self, series: Series) -> bool:
        """Whether the events of a series are taken out."""
        return all(getattr(series, label) in allowed for label, allowed in self.scope)


def shields(objective: Objective, source: NativeSource, exclusions: Iterable[Exclusion]) -> tuple[Shield, ...]:
    """What exclusions take out of the events that ``source`` selects for the objective, in a fixed order."""
    found = set()
    for each in exclusions:
        left = _open_labels(each, objective, source)
        if all(label in Series._fields for label in left):
            scope = tuple(sorted((label, tuple(sorted(each.scope[label]))) for label in left))
            found.add(Shield(scope, micros(each.from_at), micros(each.to_at)))
    return tuple(sorted(found))


def shielded(against: Sequence[Shield], series: Series) -> Spans:
    """The stretches that are taken out of a series."""
    return Spans((shield.begin, shield.end) for shield in against if shield.covers(series))


def excluded_at(spans: Spans, at: datetime) -> bool:
    """Whether a moment lies inside one of the stretches."""
    return spans.hold(micros(at))
