"""Since when each alert of an objective fires, and how long it goes on after its condition has gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from math import inf

import msgspec

from qobs.slo.burn import width
from qobs.slo.history import moment_of
from qobs.slo.objective import AlertReading, Objective, Severity

AlertKey = tuple[Severity, str]


class KeptAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """One alert that fires: since when, and since when its condition has been seen not to hold (None: it holds). Microseconds."""

    severity: Severity
    tier: str
    since: int
    ended: int | None = None


class Alarms:
    """The alerts of one objective that fire.

    An alert keeps firing for the longest of its pairs' short windows after its condition was first seen not to hold, as the
    generated rules do with ``keep_firing_for``; the tier ``evidence`` has its own rule and does not.
    """

    def __init__(self, objective: Objective) -> None:
        """Nothing fires yet."""
        self._keep: dict[AlertKey, int] = {}
        for pair in objective.pairs:
            key = (pair.severity, pair.tier)
            self._keep[key] = max(self._keep.get(key, 0), width(pair.short))
        self._firing: dict[AlertKey, KeptAlarm] = {}

    def restore(self, kept: Iterable[KeptAlarm]) -> None:
        """Go on from what was written down."""
        self._firing = {(alarm.severity, alarm.tier): alarm for alarm in kept}

    @property
    def kept(self) -> tuple[KeptAlarm, ...]:
        """What to write down; empty: nothing fires."""
        return tuple(self._firing[key] for key in sorted(self._firing))

    @property
    def since(self) -> Mapping[AlertKey, datetime]:
        """When each firing alert began to."""
        return {key: moment_of(alarm.since) for key, alarm in self._firing.items()}

    def step(self, readings: Iterable[AlertReading], now: int, *, muted: bool) -> tuple[AlertReading, ...]:
        """The readings as they are shown at ``now``; ``muted`` ends every alert at once."""
        shown, firing = [], {}
        for reading in readings:
            key = (reading.severity, reading.tier)
            alarm = None if muted else self._next(key, reading.firing, now)
            if alarm is not None:
                firing[key] = alarm
            fires = alarm is not None
            shown.append(reading if reading.firing is fires else replace(reading, firing=fires))
        self._firing = firing
        return tuple(shown)

    def _next(self, key: AlertKey, holds: bool, now: int) -> KeptAlarm | None:
        alarm = self._firing.get(key)
        if holds:
            since = now if alarm is None else alarm.since
            return KeptAlarm(severity=key[0], tier=key[1], since=since)
        if alarm is None:
            return None
        ended = now if alarm.ended is None else alarm.ended
        if now >= ended + self._keep.get(key, 0):
            return None
        return KeptAlarm(severity=key[0], tier=key[1], since=alarm.since, ended=ended)

    def ends_at(self) -> float:
        """When the first alert stops firing if nothing happens, in microseconds; infinite where none will."""
        ends = [alarm.ended + self._keep.get(key, 0) for key, alarm in self._firing.items() if alarm.ended is not None]
        return min(ends, default=inf)
