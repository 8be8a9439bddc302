"""What a detector says of one signal: a state, and how far the newest value is toward what would be anomalous.

Anomalies are tickets, never pages, and never a substitute for an objective: they say "unlike itself", not "not good enough".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from qobs.exclusion import Exclusion

CLEARS_AT = 0.7
"""Hysteresis: what is anomalous stays so until its score falls below this."""


class State(StrEnum):
    """Where a signal stands."""

    OK = "ok"
    LEARNING = "learning"
    """Too little history to judge by: a new backend, or a new epoch of it."""
    SUSPECT = "suspect"
    """Beyond the limit once: the next reading decides."""
    ANOMALOUS = "anomalous"
    """Beyond the limit twice in a row, and not yet back within 70 % of it."""
    NO_DATA = "no_data"
    """The newest reading has no usable value of this signal."""
    EXCLUDED = "excluded"
    """An exclusion covers the backend now: nothing is judged."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one signal after its newest reading.

    ``score`` is 0 where nothing points the harmful way, and beyond 1 where the limit is exceeded; the smallest of significance
    and least effect decides. ``value``, ``baseline`` and ``limit`` are in the signal's own unit; ``test`` names what the
    score comes from (``jump``, ``trend`` or ``quantile``). All are None where there is nothing to compare.
    """

    signal: str
    state: State
    score: float | None = None
    limit: float | None = None
    value: float | None = None
    baseline: float | None = None
    test: str | None = None


class Quiet:
    """The times that exclusions take out of one backend: [from, to) of those that cover all of it."""

    def __init__(self, exclusions: Iterable[Exclusion], labels: Mapping[str, str]) -> None:
        """``labels`` are what is known of the backend: an exclusion of some priorities or of one objective does not cover it."""
        self.spans = tuple(sorted((each.from_at, each.to_at) for each in exclusions if _covers(each, labels)))

    def at(self, moment: datetime) -> bool:
        """Whether the moment lies inside one."""
        return any(begin <= moment < end for begin, end in self.spans)


def _covers(exclusion: Exclusion, labels: Mapping[str, str]) -> bool:
    return exclusion.withdrawn_at is None and all(labels.get(label) in allowed for label, allowed in exclusion.scope.items())
