"""Which alerts of an objective are active at a moment: multi-window pairs, gated by evidence where events are few.

A pair is active while the burn over its long and over its short window both exceed its factor. Where the objective's sparse
settings are on, a short window with fewer than three events is replaced by the last three; and a page also needs evidence
that chance alone does not explain the long window. Tickets stay ungated, so that slow weak burns are not lost. Time slices
are no independent trials: they are never gated, and have no tier ``evidence``.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from qobs.slo.burn import Stream, Subject, width
from qobs.slo.evidence import FEWEST_SHORT, chance, proves
from qobs.slo.history import Tally
from qobs.slo.objective import AlertReading, Budgeting, Objective, Pair, Severity

EVIDENCE_TIER = "evidence"
"""Tier of the page that needs no window."""


def counts_events(objective: Objective) -> bool:
    """Whether the evidence tools apply: single events are counted, and they are not switched off."""
    return objective.sparse.enabled and objective.budgeting is Budgeting.OCCURRENCES


def has_evidence_tier(objective: Objective) -> bool:
    """Whether the CUSUM runs: for objectives that page at all."""
    return counts_events(objective) and any(pair.severity is Severity.PAGE for pair in objective.pairs)


class PairWatch:
    """One pair of one objective, asked moment by moment; moments must not go back."""

    def __init__(self, objective: Objective, subject: Subject[Stream], pair: Pair) -> None:
        """Watch ``pair`` on what ``subject`` measured."""
        self.pair = pair
        self._subject = subject
        self._factor = Fraction(pair.factor)
        self._only = subject.parts[0] if len(subject.parts) == 1 else None
        self._limit = self._factor * subject.parts[0].budget
        self._span = width(pair.long)
        self._sparse = objective.sparse
        self._gated = pair.severity is Severity.PAGE and counts_events(objective)
        self._effects = [part.effects() for part in subject.parts] if self._gated else []
        self._asked: tuple[tuple[Tally, float], ...] = ()
        self._answer = 1.0
        self.clustered = self._gated and any(part.clustered for part in subject.parts)

    def active(self, at: int) -> bool:
        """Whether the pair is active at ``at``, in microseconds."""
        if self._only is not None and not self._only.exceeds(self._span, at, self._limit):
            return False
        long = self._long(at)
        if not self._subject.burns_above(long, self._factor) or not self._subject.burns_above(self._short(at), self._factor):
            return False
        return not self._gated or proves(self._chance(long, at), self._sparse.alpha)

    def evidence(self, at: int) -> float | None:
        """Chance of so many failures in the long window within budget; None where the pair has no gate."""
        return self._chance(self._long(at), at) if self._gated else None

    def _long(self, at: int) -> tuple[Tally, ...]:
        return self._subject.within(self._span, at)

    def _short(self, at: int) -> tuple[Tally, ...]:
        tallies = self._subject.within(width(self.pair.short), at)
        if not self._sparse.enabled or all(tally.events >= FEWEST_SHORT for tally in tallies):
            return tallies
        lasts = self._subject.last(FEWEST_SHORT, at)
        return tuple(last if tally.events < FEWEST_SHORT else tally for tally, last in zip(tallies, lasts, strict=True))

    def _chance(self, tallies: Sequence[Tally], at: int) -> float:
        """The smallest chance of any part, times the number of parts (Bonferroni): one unlucky member of many proves little."""
        asked = tuple((tally, effect.at(at)) for tally, effect in zip(tallies, self._effects, strict=True))
        if asked != self._asked:
            chances = [
                chance(tally, budget=float(part.budget), design_effect=effect)
                for part, (tally, effect) in zip(self._subject.parts, asked, strict=True)
            ]
            self._asked, self._answer = asked, min(1.0, min(chances) * len(chances))
        return self._answer


class Watch:
    """All alerts of one objective, asked moment by moment; moments must not go back."""

    def __init__(self, objective: Objective, subject: Subject[Stream]) -> None:
        """Watch what ``subject`` measured."""
        self._objective = objective
        self._subject = subject
        self._pairs = [PairWatch(objective, subject, pair) for pair in objective.pairs]
        self._scored = has_evidence_tier(objective)

    def readings(self, at: int, *, muted: bool = False) -> tuple[AlertReading, ...]:
        """Every alert at ``at``: pairs of one severity and tier are one alert, then the tier ``evidence``.

        ``muted`` (a maintenance window): nothing fires, what was measured is still told.
        """
        alerts: dict[tuple[Severity, str], tuple[bool, float | None]] = {}
        for watch in self._pairs:
            key = (watch.pair.severity, watch.pair.tier)
            firing, evidence = alerts.get(key, (False, None))
            found = watch.evidence(at)
            smaller = found if evidence is None else evidence if found is None else min(found, evidence)
            alerts[key] = firing or watch.active(at), smaller
        if self._scored:
            alerts[Severity.PAGE, EVIDENCE_TIER] = evidence_fires(self._objective, self._subject, at), None
        return tuple(
            AlertReading(severity=severity, tier=tier, firing=firing and not muted, evidence=evidence)
            for (severity, tier), (firing, evidence) in alerts.items()
        )


def readings(objective: Objective, subject: Subject[Stream], at: int, *, muted: bool = False) -> tuple[AlertReading, ...]:
    """Every alert of the objective at ``at``, once: see :meth:`Watch.readings`."""
    return Watch(objective, subject).readings(at, muted=muted)


def tolerated(objective: Objective, subject: Subject[Stream]) -> float:
    """False pages in 30 days that each part's CUSUM may raise: the members of a composite share them."""
    return objective.sparse.phi / len(subject.parts)


def evidence_fires(objective: Objective, subject: Subject[Stream], at: int) -> bool:
    """Whether the CUSUM of any part is firing at ``at``."""
    phi = tolerated(objective, subject)
    return any(part.fires(at, phi) for part in subject.parts)
