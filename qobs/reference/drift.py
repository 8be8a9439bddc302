"""Whether a backend gets worse: a score per job, made normal by the backend's own baseline, watched by EWMA and CUSUM.

The score is one job's residual (linear cross-entropy first: it is nearly normal, and close to blind to benign jitter). Its place
in the baseline of the same backend and calibration epoch becomes a normal score, so that skewed statistics do not alarm by
their tails alone. Both charts are one-sided: they look for worse, which is down.

Sources: S. W. Roberts, Technometrics 1 (1959), on EWMA; E. S. Page, Biometrika 41 (1954), on CUSUM; van der Waerden's normal
scores.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import sqrt
from statistics import NormalDist

FEWEST = 50
"""Jobs of a baseline before anything is judged."""

WEIGHT = 0.2
"""Of the newest score in the EWMA."""

EWMA_LIMIT = 3.0
"""Standard deviations of the EWMA."""

SLACK = 0.5
"""What the CUSUM forgives per job, in standard deviations."""

CUSUM_LIMIT = 5.0
CLEAR_AFTER = 10
"""Scores in a row on the good side of half the limit that end an alarm; then both charts begin anew."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the charts may go. Tune them by :func:`qobs.reference.drift.run_length` to a wanted time between false alarms."""

    weight: float = WEIGHT
    ewma: float = EWMA_LIMIT
    slack: float = SLACK
    cusum: float = CUSUM_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Where one backend stands in one calibration epoch. ``baseline`` holds its first scores, sorted once it is complete.

    ``ewma`` and ``cusum`` are in standard deviations, low is bad for the first, high for the second; ``alarm`` holds from the
    crossing of either limit until scores have come back.
    """

    epoch: str = ""
    baseline: tuple[float, ...] = ()
    jobs: int = 0
    ewma: float = 0.0
    cusum: float = 0.0
    alarm: bool = False
    alarms: int = 0
    recovered: int = 0

    @property
    def learning(self) -> bool:
        """Whether the baseline is still being gathered."""
        return len(self.baseline) < FEWEST

    def ewma_limit(self, limits: Limits) -> float:
        """The EWMA's limit at this many jobs: narrower at first, as its variance is."""
        weight = limits.weight
        return limits.ewma * sqrt(weight / (2.0 - weight) * (1.0 - (1.0 - weight) ** (2 * max(1, self.jobs))))


def normal_score(value: float, baseline: tuple[float, ...]) -> float:
    """The standard normal quantile of the value's place among sorted baseline values: 0 in their middle, ties shared.

    Example:
        >>> round(normal_score(5.0, tuple(float(n) for n in range(11))), 12)
        0.0
    """
    place = (bisect_left(baseline, value) + bisect_right(baseline, value) + 1.0) / 2.0
    return _NORMAL.inv_cdf(place / (len(baseline) + 1.0))


def followed(chart: Chart, score: float, *, epoch: str = "", limits: Limits | None = None) -> Chart:
    """The chart after one more job.

    Args:
        chart: Before it.
        score: The job's residual; lower is worse.
        epoch: Calibration epoch that the job ran in; another one begins a new baseline.
        limits: Of the charts; None: the defaults.
    """
    chosen = limits or Limits()
    if epoch != chart.epoch:
        chart = Chart(epoch=epoch, alarms=chart.alarms)
    if chart.learning:
        gathered = (*chart.baseline, score)
        return replace(chart, baseline=tuple(sorted(gathered)) if len(gathered) == FEWEST else gathered)
    z = normal_score(score, chart.baseline)
    moved = replace(
        chart,
        jobs=chart.jobs + 1,
        ewma=chosen.weight * z + (1.0 - chosen.weight) * chart.ewma,
        cusum=max(0.0, chart.cusum - z - chosen.slack),
    )
    return _alarmed(moved, z, chosen)


def _alarmed(chart: Chart, z: float, limits: Limits) -> Chart:
    """Raise or end the alarm: it ends by a run of good scores, and the charts begin anew, so that one drift is one alarm."""
    if not chart.alarm:
        crossed = chart.ewma < -chart.ewma_limit(limits) or chart.cusum > limits.cusum
        return replace(chart, alarm=True, alarms=chart.alarms + 1, recovered=0) if crossed else chart
    recovered = chart.recovered + 1 if z > -limits.slack else 0
    if recovered < CLEAR_AFTER:
        return replace(chart, recovered=recovered)
    return replace(chart, jobs=0, ewma=0.0, cusum=0.0, alarm=False, recovered=0)


def replayed(scores: Iterable[tuple[str, float]], *, limits: Limits | None = None) -> Chart:
    """The chart after all (epoch, score) pairs, in order."""
    chart = Chart()
    for epoch, score in scores:
        chart = followed(chart, score, epoch=epoch, limits=limits)
    return chart


def run_length(scores: Iterable[float], *, limits: Limits | None = None) -> int | None:
    """Jobs after the baseline until the first alarm; None: there was none."""
    chart, jobs = Chart(), 0
    for score in scores:
        chart = followed(chart, score, limits=limits)
        jobs += not chart.learning
        if chart.alarm:
            return jobs - 1
    return None
