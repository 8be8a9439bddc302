"""One figure of one backend, snapshot by snapshot: a jump against the last thirty, a trend by a moving average.

* The baseline is the last :data:`MOST` values, :data:`LEAST` at least, without the newest and without those under suspicion.
* **Jump**: the modified z-score of the newest value. **Trend**: the EWMA of the values, each clipped to the jump's limit, so
  that one wild value cannot look like a trend for a week.
* A score is how far significance *and* both least effects are toward their limits: the smallest of the three decides. A breach
  is a score above 1, two in a row are an anomaly, and it ends where the score falls below 70 %.
* Baseline, and with it mu and sigma, are frozen from the first breach on. An anomaly that lasts for :data:`MOST` values has
  been seen by everybody: they become the baseline.

The state is a small frozen record, and a step is a pure function: replaying a history gives the same states.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qobs.insight.anomaly import CLEARS_AT, State, Verdict
from qobs.insight.figures import Figure, Harm, Reading
from qobs.insight.robust import JUMP_LIMIT, SMOOTHING, TREND_LIMIT, Baseline, baseline, shared_limit, trend_sigma

MOST = 30
"""Values of a baseline."""

LEAST = 10
"""Values that a baseline needs before anything is judged by it."""


@dataclass(frozen=True, slots=True)
class Track:
    """All that must be kept of one figure; values are on the figure's transformed scale, oldest first.

    ``held`` are the values since the first breach. ``smooth`` is the EWMA after ``steps`` values; None: not begun.
    """

    base: tuple[float, ...] = ()
    held: tuple[float, ...] = ()
    smooth: float | None = None
    steps: int = 0
    anomalous: bool = False
    newest: Reading | None = None
    verdict: Verdict | None = None

    @property
    def noisy(self) -> bool:
        """Whether chance alone could exceed a limit: a baseline to judge by, with some spread."""
        return len(self.base) >= LEAST and any(value != self.base[0] for value in self.base)


@dataclass(frozen=True, slots=True)
class _Test:
    """One comparison: where the value lies, and one unit of z around the baseline's centre."""

    name: str
    place: float
    centre: float
    unit: float
    limit: float


def stepped(track: Track, figure: Figure, reading: Reading | None, tests: int) -> Track:
    """The track after one snapshot.

    Args:
        track: Before it.
        figure: What is watched.
        reading: What the snapshot tells; None: nothing.
        tests: How many figures of this snapshot chance could make exceed their limits, this one included.
    """
    place = None if reading is None else figure.transform.forward(reading.value)
    if reading is None or place is None:
        return replace(track, verdict=Verdict(signal=figure.signal, state=State.NO_DATA))
    if _same_measurement(track.newest, reading) and track.verdict is not None and track.verdict.state is not State.NO_DATA:
        return track
    track = replace(track, newest=reading)
    if len(track.base) < LEAST:
        learning = Verdict(signal=figure.signal, state=State.LEARNING, value=reading.value)
        return replace(track, base=(*track.base, place), verdict=learning)
    return _judged(track, figure, reading, place, tests)


def _same_measurement(before: Reading | None, now: Reading) -> bool:
    """Whether a snapshot only repeats what was measured before: that proves nothing a second time."""
    return before is not None and now.measured_at is not None and before == now


def _judged(track: Track, figure: Figure, reading: Reading, place: float, tests: int) -> Track:
    known = baseline(track.base)
    error = 0.0 if reading.error is None else figure.transform.error(reading.value, reading.error)
    jump = _jump(known, figure, place, error, shared_limit(JUMP_LIMIT, tests))
    trend, track = _trend(track, known, figure, jump, error, shared_limit(TREND_LIMIT, tests))
    score, test = max(((_score(test, figure), test) for test in (jump, trend)), key=lambda pair: pair[0])
    track = _moved(track, place, score)
    verdict = Verdict(
        signal=figure.signal,
        state=State.ANOMALOUS if track.anomalous else State.SUSPECT if track.held else State.OK,
        score=score,
        limit=_limit(test, figure),
        value=figure.transform.inverse(test.place) if test is trend else reading.value,
        baseline=figure.transform.inverse(known.centre),
        test=test.name,
    )
    return replace(track, verdict=verdict)


def _jump(known: Baseline, figure: Figure, place: float, error: float, limit: float) -> _Test:
    unit = known.spread(resolution=figure.resolution, limit=limit, error=error)
    return _Test("jump", place, known.centre, unit, limit)


def _trend(track: Track, known: Baseline, figure: Figure, jump: _Test, error: float, limit: float) -> tuple[_Test, Track]:
    """The EWMA's comparison, and the track with the EWMA moved on. The newest error bar is taken for that of all values."""
    reach = jump.limit * jump.unit
    clipped = min(max(jump.place, known.centre - reach), known.centre + reach)
    before = known.centre if track.smooth is None else track.smooth
    smooth, steps = SMOOTHING * clipped + (1.0 - SMOOTHING) * before, track.steps + 1
    unit = known.spread(resolution=figure.resolution, limit=limit, error=error) * trend_sigma(steps)
    return _Test("trend", smooth, known.centre, unit, limit), replace(track, smooth=smooth, steps=steps)


def _moved(track: Track, place: float, score: float) -> Track:
    """Where a score leads: into suspicion, into and out of an anomaly, or back into the baseline."""
    if track.anomalous and score >= CLEARS_AT:
        held = (*track.held, place)
        if len(held) < MOST:
            return replace(track, held=held)
        return replace(track, base=held, held=(), smooth=None, steps=0, anomalous=False)
    if track.anomalous:
        return replace(track, base=(*track.base, place)[-MOST:], held=(), anomalous=False)
    if score > 1.0:
        return replace(track, held=(*track.held, place), anomalous=bool(track.held))
    return replace(track, base=(*track.base, *track.held, place)[-MOST:], held=())


def _score(test: _Test, figure: Figure) -> float:
    """How far toward being anomalous, 1 at the limit: the smallest of significance and both least effects; 0 for a gain."""
    value, normal = figure.transform.inverse(test.place), figure.transform.inverse(test.centre)
    z, change = (test.place - test.centre) / test.unit, value - normal
    if figure.harm is Harm.EITHER:
        z, change = abs(z), abs(change)
    else:
        z, change = z * figure.harm.value, change * figure.harm.value
    toward = [z / test.limit, change / figure.least_change]
    if normal > 0.0:
        toward.append(change / (figure.least_ratio * normal))
    return max(0.0, min(toward))


def _limit(test: _Test, figure: Figure) -> float:
    """The value at which the score would be 1, on the side that hurts, or where either does on the side of the value."""
    normal = figure.transform.inverse(test.centre)
    up = figure.harm is Harm.UP or (figure.harm is Harm.EITHER and test.place >= test.centre)
    sign = 1.0 if up else -1.0
    significant = figure.transform.inverse(test.centre + sign * test.limit * test.unit)
    least = normal + sign * max(figure.least_change, figure.least_ratio * normal)
    return max(significant, least) if up else max(0.0, min(significant, least))
