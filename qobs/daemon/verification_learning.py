"""What verdicts teach about a backend: margins by circuit family, its drift chart, and which of many bad p-values to believe.

All of it follows from the verifications in the order in which they were added. It is kept among the store's states, in the
transaction that adds the verification; where a state is missing or cannot be read, everything is learnt again from the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from qobs.export.snapshot import ResultReading
from qobs.reference.discovery import Lord
from qobs.reference.drift import Chart, Limits, followed
from qobs.reference.margin import FEWEST, MarginHistory
from qobs.result import Verification

log = logging.getLogger("qobs.verify")

PREFIX = "verify/"
VERSION_KEY, VERSION = "verify/version", b"1"

MOST_SHAPES = 200
"""Circuit families of one backend whose distances are remembered; the one that was seen longest ago goes."""

CONSISTENT, WORSE, INCONCLUSIVE, UNVERIFIED = "consistent", "worse", "inconclusive", "unverified"

Place = tuple[str, str, str]
"""(provider, source, backend)"""


class Family(NamedTuple):
    """Distances of one backend's circuits of one shape; ``fed`` is the number of the backend's result that came last."""

    fed: int
    effects: tuple[float, ...]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one backend beside its margins; ``fed`` counts its compared results.

    ``discoveries`` are results that are worse even with regard to how many are judged.
    """

    fed: int = 0
    discoveries: int = 0
    chart: Chart = Chart()
    lord: Lord = Lord()
    latest: Verification | None = None


def place_of(verification: Verification) -> Place:
    """Where it belongs."""
    return (verification.key.provider, verification.source, verification.backend)


def calibrated(verification: Verification, margins: Mapping[str, float], fed: int) -> Verification:
    """The verdict with regard to what is known: without a margin a difference proves only that the calibration is not all.

    ``fed`` is how many distances of the family are known. ``margin`` is None where it is not known, whatever the test took.
    """
    if verification.shape in margins:
        return verification
    if verification.verdict != WORSE:
        return msgspec.structs.replace(verification, margin=None)
    reason = f"the margin is not known yet ({fed} of {FEWEST} results of this backend and circuit family): {verification.reason}"
    return msgspec.structs.replace(verification, verdict=INCONCLUSIVE, reason=reason, margin=None)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What some verifications change: new values of backends and families; None: a family that is forgotten."""

    known: dict[Place, Known] = field(default_factory=dict)
    families: dict[tuple[Place, str], Family | None] = field(default_factory=dict)

    @property
    def states(self) -> dict[str, bytes | None]:
        """As the store keeps it."""
        backends = {_key("backend", place): msgspec.json.encode(known) for place, known in self.known.items()}
        families = {
            _key("margin", (*place, shape)): None if family is None else msgspec.json.encode(family)
            for (place, shape), family in self.families.items()
        }
        return {VERSION_KEY: VERSION, **backends, **families}


class Learnt:
    """All that is learnt, of all backends. Used by one task at a time."""

    def __init__(self, *, alpha: float, limits: Limits | None = None) -> None:
        """Nothing yet. ``alpha`` is the significance that verdicts were made with, ``limits`` are the drift charts'."""
        self._alpha, self._limits = alpha, limits or Limits()
        self._known: dict[Place, Known] = {}
        self._families: dict[Place, dict[str, Family]] = {}

    def margins(self, place: Place) -> dict[str, float]:
        """Margins that are known, by shape."""
        families = self._families.get(place, {})
        return {shape: margin for shape, each in families.items() if (margin := MarginHistory(each.effects).margin) is not None}

    def distances(self, place: Place, shape: str | None) -> int:
        """How many distances of a family are known."""
        family = self._families.get(place, {}).get(shape or "")
        return 0 if family is None else len(family.effects)

    def lesson(self, verifications: Iterable[Verification]) -> Lesson:
        """What these change, in their order; nothing is changed before :meth:`adopt`."""
        lesson = Lesson()
        for verification in verifications:
            if verification.verdict != UNVERIFIED:
                self._feed(lesson, verification)
        return lesson

    def adopt(self, lesson: Lesson) -> None:
        """Know it from now on."""
        self._known.update(lesson.known)
        for (place, shape), family in lesson.families.items():
            families = self._families.setdefault(place, {})
            if family is None:
                families.pop(shape, None)
            else:
                families[shape] = family

    def restore(self, states: Mapping[str, bytes]) -> bool:
        """Take over what the store kept; False, and nothing is known, where it is not complete or not readable."""
        self._known, self._families = {}, {}
        if states.get(VERSION_KEY) != VERSION:
            return False
        try:
            for key, state in states.items():
                self._take(key, state)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            log.warning("what was learnt of results cannot be read and is learnt again", extra={"error": str(error)[:300]})
            self._known, self._families = {}, {}
            return False
        return True

    def replay(self, verifications: Iterable[Verification]) -> dict[str, bytes | None]:
        """Learn everything again from the rows, in their order; returns the states to keep."""
        self._known, self._families = {}, {}
        for verification in verifications:
            self.adopt(self.lesson((verification,)))
        return self.states()

    def states(self) -> dict[str, bytes | None]:
        """All of it as the store keeps it."""
        families = {(place, shape): each for place, known in self._families.items() for shape, each in known.items()}
        return Lesson(dict(self._known), dict(families)).states

    def readings(self) -> tuple[ResultReading, ...]:
        """What is shown of each backend."""
        return tuple(self._reading(place, known) for place, known in sorted(self._known.items()))

    # ----------------------------------------------------------------------------------------------------- parts

    def _feed(self, lesson: Lesson, verification: Verification) -> None:
        place = place_of(verification)
        known = lesson.known.get(place) or self._known.get(place) or Known()
        lord, discovered = self._believe(known.lord, verification)
        chart = known.chart
        if verification.xeb is not None:
            chart = followed(chart, verification.xeb, epoch=verification.epoch or "", limits=self._limits)
        fed = known.fed + 1
        lesson.known[place] = Known(
            fed=fed, discoveries=known.discoveries + discovered, chart=chart, lord=lord, latest=verification
        )
        if verification.effect is not None and verification.shape is not None and verification.verdict != WORSE:
            self._accept(lesson, place, verification.shape, verification.effect, fed)

    def _believe(self, lord: Lord, verification: Verification) -> tuple[Lord, bool]:
        """One p-value more in the stream of the results that have a margin.

        A small one of a result that is not worse speaks for less noise: it is no evidence of harm, and counts as 1.
        """
        if verification.margin is None or verification.p_value is None:
            return lord, False
        worse = verification.verdict == WORSE
        return lord.after(verification.p_value if worse or verification.p_value >= self._alpha else 1.0)

    def _accept(self, lesson: Lesson, place: Place, shape: str, effect: float, fed: int) -> None:
        families = dict(self._families.get(place, {}))
        for (where, name), family in lesson.families.items():
            if where == place and family is not None:
                families[name] = family
            elif where == place:
                families.pop(name, None)
        before = families[shape].effects if shape in families else ()
        lesson.families[place, shape] = Family(fed, MarginHistory(before).accepted(effect).effects)
        if shape not in families and len(families) >= MOST_SHAPES:
            oldest = min(families, key=lambda name: families[name].fed)
            lesson.families[place, oldest] = None

    def _take(self, key: str, state: bytes) -> None:
        kind, _, name = key.removeprefix(PREFIX).partition("/")
        if not key.startswith(PREFIX) or kind not in ("backend", "margin"):
            return
        parts = msgspec.json.decode(name, type=tuple[str, ...])
        place = (parts[0], parts[1], parts[2])
        if kind == "backend":
            self._known[place] = msgspec.json.decode(state, type=Known)
        else:
            self._families.setdefault(place, {})[parts[3]] = msgspec.json.decode(state, type=Family)

    def _reading(self, place: Place, known: Known) -> ResultReading:
        provider, source, backend = place
        chart, latest = known.chart, known.latest
        low, high = -chart.ewma / chart.ewma_limit(self._limits), chart.cusum / self._limits.cusum
        judged = not chart.learning
        return ResultReading(
            provider=provider,
            source=source,
            backend=backend,
            tvd=None if latest is None else latest.tvd,
            floor=None if latest is None else latest.floor,
            excess=None if latest is None else latest.excess,
            xeb=None if latest is None else latest.xeb,
            drifting=chart.alarm if judged else None,
            drift_score=max(0.0, low, high) if judged else None,
            discoveries=known.discoveries,
        )


def _key(kind: str, parts: tuple[str, ...]) -> str:
    return f"{PREFIX}{kind}/{msgspec.json.encode(parts).decode()}"
