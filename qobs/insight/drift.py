"""Drift of a backend's calibration: every watched figure followed over the kept snapshots, judged together.

The result is a function of the set of snapshots and of the exclusions, nothing else: a restart, a replay, or snapshots that
arrive in another order give the same states.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from qobs.insight.anomaly import Quiet, Verdict
from qobs.insight.figures import FIGURES, Observation
from qobs.insight.track import Track, stepped

HISTORY = 100
"""Snapshots of a backend that are followed: three baselines, and what an anomaly held back."""


@dataclass(frozen=True, slots=True)
class Watch:
    """All figures of one backend after some snapshots. ``version`` is the last that was told."""

    version: str | None = None
    tracks: Mapping[str, Track] = field(default_factory=dict)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What is said of every figure that was ever told in this epoch, in the order of the table."""
        tracks = (self.tracks.get(figure.name) for figure in FIGURES)
        return tuple(track.verdict for track in tracks if track is not None and track.verdict is not None)


def followed(observations: Iterable[Observation], quiet: Quiet | None = None) -> Watch:
    """The watch after the newest :data:`HISTORY` observations; those in excluded times are as if never made."""
    last = deque(histories(observations, quiet), maxlen=1)
    return last[0] if last else Watch()


def histories(observations: Iterable[Observation], quiet: Quiet | None = None) -> Iterator[Watch]:
    """The watch after each observation that counts, oldest first."""
    watch = Watch()
    for observation in sorted(observations, key=lambda each: each.order)[-HISTORY:]:
        if quiet is None or not quiet.at(observation.at):
            watch = after(watch, observation)
            yield watch


def after(watch: Watch, observation: Observation) -> Watch:
    """The watch after one more snapshot. Another version than the last one is a new epoch: everything is learnt again."""
    readings = observation.readings
    new_epoch = None not in (watch.version, observation.version) and watch.version != observation.version
    known = {} if new_epoch else watch.tracks
    told = {figure: known.get(figure.name, Track()) for figure in FIGURES if figure.name in known or figure.name in readings}
    tests = sum(track.noisy for figure, track in told.items() if figure.name in readings)
    tracks = {figure.name: stepped(track, figure, readings.get(figure.name), tests) for figure, track in told.items()}
    return Watch(observation.version or watch.version, tracks)
