"""Maintenance and other exclusions: which of them cover an objective, and which moments they take out.

Events in [from, to) of a covering exclusion leave both sums, and its alerts are muted while it lasts. Nothing stored
changes: take the exclusion away and the history is as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from qobs.slo.history import micros
from qobs.slo.objective import Exclusion, NativeSource, Objective


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
    ``service``, its own labels, or what its native indicator selects - with no value outside the scope. Events of a file
    carry no labels, so a scope that covers only a part of an objective's events cannot take that part out here.
    """
    known: dict[str, tuple[str, ...]] = {**objective.labels, "slo": (objective.slo,), "service": (objective.service,)}
    if isinstance(objective.source, NativeSource):
        known |= objective.source.where
    return all(
        bool(known.get(label)) and all(value in allowed and not value.startswith("~") for value in known[label])
        for label, allowed in exclusion.scope.items()
    )


def excluded_at(spans: Spans, at: datetime) -> bool:
    """Whether a moment lies inside one of the stretches."""
    return spans.hold(micros(at))
