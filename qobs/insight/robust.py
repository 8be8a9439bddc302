"""How far a value lies from a history, by medians: one wild value of thirty moves neither the centre nor the scale much.

Sources: B. Iglewicz and D. C. Hoaglin, How to Detect and Handle Outliers (1993), for the modified z-score, its limit 3.5 and
the fallback on the mean absolute deviation; S. W. Roberts, Technometrics 1 (1959), and J. M. Lucas and M. S. Saccucci,
Technometrics 32 (1990), for the exponentially weighted moving average (EWMA).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import exp, isfinite, log, sqrt
from statistics import NormalDist, fmean, median
from typing import NamedTuple

JUMP_LIMIT = 3.5
"""Limit of the modified z-score of one signal tested alone."""

TREND_LIMIT = 2.86
"""Limit of the EWMA in its own standard deviations, of one signal tested alone."""

SMOOTHING = 0.2
"""Weight of the newest value in the EWMA."""

_MAD_TO_SIGMA = 0.6745
_MEAN_TO_SIGMA = 1.2533
_EDGE = 1e-6
_ANSCOMBE = 3.0 / 8.0


class Transform(StrEnum):
    """The scale on which a figure's noise is about the same everywhere."""

    LOG = "log"
    """Times and lengths of queues: ln x. Zero and less have none."""
    LOGIT = "logit"
    """Probabilities: ln(p / (1 - p)), with p kept 1e-6 away from 0 and 1."""
    COUNT = "count"
    """Counts: 2 sqrt(n + 3/8), whose variance is about 1 for a Poisson count (F. J. Anscombe, Biometrika 35, 1948)."""

    def forward(self, value: float) -> float | None:
        """The value on this scale; None where it is no such figure: not finite, not positive, no ratio.

        Example:
            >>> Transform.LOG.forward(1.0), Transform.LOGIT.forward(0.5), Transform.LOG.forward(0.0), Transform.LOGIT.forward(1.5)
            (0.0, 0.0, None, None)
        """
        if not isfinite(value):
            return None
        if self is Transform.LOG:
            return log(value) if value > 0.0 else None
        if self is Transform.COUNT:
            return 2.0 * sqrt(value + _ANSCOMBE) if value >= 0.0 else None
        if not 0.0 <= value <= 1.0:
            return None
        ratio = min(max(value, _EDGE), 1.0 - _EDGE)
        return log(ratio / (1.0 - ratio))

    def inverse(self, place: float) -> float:
        """The value at a place on this scale: inverse of :meth:`forward` inside its bounds."""
        if self is Transform.LOG:
            return exp(min(place, 700.0))
        if self is Transform.COUNT:
            return max(0.0, (max(place, 0.0) / 2.0) ** 2 - _ANSCOMBE)
        return 1.0 / (1.0 + exp(-place)) if place >= 0.0 else exp(max(place, -700.0)) / (1.0 + exp(max(place, -700.0)))

    def error(self, value: float, error: float) -> float:
        """A standard error of ``value`` on this scale, to first order; ``value`` must have a place on it."""
        if self is Transform.LOG:
            return error / value
        if self is Transform.COUNT:
            return error / sqrt(value + _ANSCOMBE)
        ratio = min(max(value, _EDGE), 1.0 - _EDGE)
        return error / (ratio * (1.0 - ratio))


class Baseline(NamedTuple):
    """Centre and spread of a history. ``sigma`` 0: all values were the same, and only the resolution can tell a change."""

    centre: float
    sigma: float

    def spread(self, *, resolution: float, limit: float, error: float = 0.0) -> float:
        """What one unit of z is: sigma and the value's own error bar together.

        Without sigma it is chosen so that a change by ``resolution`` scores exactly ``limit``: only a larger one exceeds it.
        """
        return sqrt((self.sigma or resolution / limit) ** 2 + error * error)


def baseline(values: Sequence[float]) -> Baseline:
    """Median of the values, and their standard deviation as told by the median absolute deviation (MAD).

    Where the MAD is 0 (more than half of the values are equal) the mean absolute deviation from the median tells it; where
    that is 0 too, nothing does.

    Args:
        values: At least one, in any order, all finite.
    Source:
        z = 0.6745 (x - median) / MAD, else (x - median) / (1.2533 MeanAD): Iglewicz and Hoaglin 1993. 1 / 0.6745 = 1.4826.

    Example:
        >>> baseline([1.0, 2.0, 3.0, 4.0, 90.0]).centre, round(baseline([1.0, 2.0, 3.0, 4.0, 90.0]).sigma, 4)
        (3.0, 1.4826)
        >>> baseline([5.0, 5.0, 5.0, 9.0]), baseline([5.0, 5.0])
        (Baseline(centre=5.0, sigma=1.2533), Baseline(centre=5.0, sigma=0.0))
    """
    centre = median(values)
    apart = [abs(value - centre) for value in values]
    mad = median(apart)
    return Baseline(centre, mad / _MAD_TO_SIGMA if mad > 0.0 else _MEAN_TO_SIGMA * fmean(apart))


def shared_limit(limit: float, tests: int) -> float:
    """The limit that each of ``tests`` signals gets, so that all together cry wolf as often as one alone would at ``limit``.

    The normal tail beyond the limit is divided by the number of tests (Bonferroni).

    Example:
        >>> [round(shared_limit(JUMP_LIMIT, tests), 2) for tests in (1, 5, 10)]
        [3.5, 3.91, 4.07]
        >>> [round(shared_limit(TREND_LIMIT, tests), 2) for tests in (1, 5, 10)]
        [2.86, 3.34, 3.52]
    """
    if tests <= 1:
        return limit
    normal = NormalDist()
    return -normal.inv_cdf(normal.cdf(-limit) / tests)


def trend_sigma(steps: int) -> float:
    """Standard deviation of an EWMA after ``steps`` values, in those of one value: sqrt(g / (2 - g) (1 - (1 - g)^(2 t))).

    Example:
        >>> round(trend_sigma(1), 12), round(trend_sigma(1000), 6)
        (0.2, 0.333333)
    """
    return sqrt(SMOOTHING / (2.0 - SMOOTHING) * (1.0 - (1.0 - SMOOTHING) ** (2 * steps)))
