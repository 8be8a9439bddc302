"""What must outlive a restart, as small opaque states: CUSUMs by what they watch, alerts by the objective they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from hashlib import sha256

import msgspec

from qobs.slo.live.alarms import Alarms, KeptAlarm
from qobs.slo.live.building import Building
from qobs.slo.live.ledger import RATE_SECONDS
from qobs.slo.live.score import KeptScore, Score
from qobs.slo.objective import Objective

_SCORES = "cusum/"
_ALERTS = "alerts/"


class Memory:
    """Writes down what changed, and gives it back. Keys are stable; what cannot be read is as if it were not there."""

    def __init__(self, building: Building) -> None:
        """Nothing is written down yet."""
        self._scores = dict(_scores(building))
        self._alarms = {_alert_key(plan.objective): plan.alarms for plan in building.plans}
        self._written: dict[str, bytes] = {}
        self._gone: set[str] = set()

    def restore(self, kept: Mapping[str, bytes], second: int) -> set[Score]:
        """Give the states back that are still asked for; returns the CUSUMs that go on from one.

        Alerts of objectives that are no more are forgotten. A CUSUM that nothing asks for stays for 30 days, since an exclusion
        that is withdrawn, or an objective that returns, asks for it again.
        """
        restored = set()
        for key, state in kept.items():
            if (score := self._scores.get(key)) is not None:
                if (found := _score(state)) is not None and score.restore(found):
                    restored.add(score)
            elif (alarms := self._alarms.get(key)) is not None:
                alarms.restore(_alarm(state))
                self._written[key] = state
            elif key.startswith(_ALERTS) or (key.startswith(_SCORES) and _is_old(_score(state), second)):
                self._gone.add(key)
        return restored

    def changed(self) -> Mapping[str, bytes | None]:
        """States that are others than when this was last asked; None: nothing is to be kept any more."""
        told: dict[str, bytes | None] = dict.fromkeys(self._gone)
        self._gone.clear()
        for key, score in self._scores.items():
            if score.changed:
                told[key] = msgspec.json.encode(score.kept)
                score.changed = False
        for key, alarms in self._alarms.items():
            told |= self._alarm_change(key, alarms)
        return told

    def _alarm_change(self, key: str, alarms: Alarms) -> dict[str, bytes | None]:
        if not alarms.kept:
            return {} if self._written.pop(key, None) is None else {key: None}
        state = msgspec.json.encode(alarms.kept)
        if self._written.get(key) == state:
            return {}
        self._written[key] = state
        return {key: state}


def _scores(building: Building) -> Iterator[tuple[str, Score]]:
    for counted in building.counted.values():
        for (budget, phi), score in counted.scores.items():
            yield _score_key(repr(building.streams.keys[counted.number]), budget, phi), score


def _score_key(stream: str, budget: Fraction, phi: float) -> str:
    return _SCORES + sha256(f"{stream} {budget} {phi!r}".encode()).hexdigest()[:32]


def _alert_key(objective: Objective) -> str:
    return f"{_ALERTS}{objective.service}/{objective.slo}/{objective.name}"


def _score(state: bytes) -> KeptScore | None:
    try:
        return msgspec.json.decode(state, type=KeptScore)
    except msgspec.DecodeError:
        return None


def _alarm(state: bytes) -> tuple[KeptAlarm, ...]:
    try:
        return msgspec.json.decode(state, type=tuple[KeptAlarm, ...])
    except msgspec.DecodeError:
        return ()


def _is_old(kept: KeptScore | None, second: int) -> bool:
    return kept is None or kept.through < second - RATE_SECONDS
