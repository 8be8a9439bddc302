"""Sums that every room may use: an interval for a ratio, quantiles of unfinished durations, weighted quantiles.

Plain Python on plain numbers: no state, no randomness, no array library.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, lgamma, log, log1p, sqrt
from typing import NamedTuple

_SMALLEST = 1e-300
_CLOSE = 1e-15
_MOST_TERMS = 100_000
_MOST_STEPS = 200


class Interval(NamedTuple):
    """Bounds of a ratio, both in [0, 1], ``low <= high``."""

    low: float
    high: float


def jeffreys_interval(*, bad: float, total: float, level: float = 0.95) -> Interval:
    """Equal-tailed interval of a ratio ``bad / total`` with Jeffreys' prior: quantiles of Beta(bad + 1/2, total - bad + 1/2).

    Args:
        bad: Events counted, 0 <= bad <= total; need not be whole (weights).
        total: All events; 0 gives (0, 1), for nothing is known.
        level: Probability that the interval holds, in (0, 1).

    Returns:
        The interval; its low end is exactly 0 where ``bad`` is 0, its high end exactly 1 where ``bad`` is ``total``.

    Raises:
        ValueError: An argument is out of its range.
    Source:
        L. D. Brown, T. T. Cai, A. DasGupta, "Interval Estimation for a Binomial Proportion", Statistical Science 16 (2001),
        sections 3.1 and 4.1.2, with their modification at both ends.

    Example:
        >>> low, high = jeffreys_interval(bad=2, total=40)
        >>> f"{low:.4f} {high:.4f}"
        '0.0105 0.1509'
    """
    if not 0.0 <= bad <= total:
        raise ValueError(f"`bad` must lie in [0, total], but bad={bad} and total={total}.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` must lie in (0, 1), but level={level}.")
    tail = (1.0 - level) / 2.0
    a, b = bad + 0.5, total - bad + 0.5
    low = 0.0 if bad == 0 else beta_quantile(tail, a, b)
    high = 1.0 if bad == total else beta_quantile(1.0 - tail, a, b)
    return Interval(low, high)


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x at which the Beta(a, b) distribution reaches probability ``p``.

    Newton steps on :func:`beta_probability`, kept inside a bracket that is divided where Newton would leave it.

    Args:
        p: Probability in [0, 1].
        a: Shape, > 0.
        b: Shape, > 0.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> round(beta_quantile(0.5, 2.0, 2.0), 12)
        0.5
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"`p` must lie in [0, 1], but p={p}.")
    _require_shapes(a, b)
    if p in (0.0, 1.0):
        return p
    low, high, x = 0.0, 1.0, a / (a + b)
    log_scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    for _ in range(_MOST_STEPS):
        excess = beta_probability(x, a, b) - p
        if excess < 0.0:
            low = x
        else:
            high = x
        log_density = log_scale + (a - 1.0) * log(x) + (b - 1.0) * log1p(-x)
        step = excess * exp(-log_density) if log_density > -600.0 else 1.0
        nearer = x - step
        if not low < nearer < high:
            nearer = _between(low, high)
        if abs(nearer - x) <= _CLOSE * x or not low < nearer < high:
            return nearer
        x = nearer
    return x


def _between(low: float, high: float) -> float:
    """A point inside (low, high): the middle, by size where the bounds differ in it."""
    if low == 0.0:
        return high / 1024.0
    return (low + high) / 2.0 if high < 2.0 * low else sqrt(low * high)


def beta_probability(x: float, a: float, b: float) -> float:
    """Probability that a Beta(a, b) variable is at most ``x``: the regularized incomplete beta function I_x(a, b).

    Absolute error below 1e-9 for shapes up to 1e6 (what is lost is lost in ``lgamma``), near 1e-15 for small ones.

    Args:
        x: In [0, 1].
        a: Shape, > 0.
        b: Shape, > 0.

    Raises:
        ValueError: An argument is out of its range.
    Source:
        Continued fraction of NIST DLMF 8.17.22, evaluated by Lentz's method (W. J. Lentz 1976, as changed by Thompson and
        Barnett 1986), on the side of the mean where it converges fast; symmetry DLMF 8.17.4 for the other.

    Example:
        >>> round(beta_probability(0.25, 0.5, 0.5), 12)
        0.333333333333
    """
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"`x` must lie in [0, 1], but x={x}.")
    _require_shapes(a, b)
    if x in (0.0, 1.0):
        return x
    log_front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    if x < (a + 1.0) / (a + b + 2.0):
        return exp(log_front) * _fraction(x, a, b) / a
    return 1.0 - exp(log_front) * _fraction(1.0 - x, b, a) / b


def _require_shapes(a: float, b: float) -> None:
    if not (a > 0.0 and b > 0.0):
        raise ValueError(f"`a` and `b` must be positive, but a={a} and b={b}.")


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, two coefficients a turn."""
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for coefficient in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + coefficient * d)
            c = _away_from_zero(1.0 + coefficient / c)
            value *= c * d
        if abs(c * d - 1.0) < _CLOSE:
            return value
    raise ArithmeticError(f"incomplete beta function did not converge for x={x}, a={a}, b={b}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST


class Duration(NamedTuple):
    """How long something took, or has taken so far: ``ended`` False means "at least that long" (right-censored)."""

    seconds: float
    ended: bool


def survival_quantile(durations: Iterable[Duration | tuple[float, bool]], q: float) -> float | None:
    """Quantile of durations of which some have not ended yet, by Kaplan and Meier's estimate of the survival curve.

    Leaving unfinished jobs out makes a stuck queue look fast; counting them as finished makes it look fast too.

    Args:
        durations: (seconds, ended) pairs. Something that goes on at t is at risk at t: endings come first among equals.
        q: In (0, 1].

    Returns:
        The shortest duration by which at least the part ``q`` has ended. None where the estimate does not reach ``q``: too
        many have not ended, or there are none.

    Raises:
        ValueError: ``q`` is out of its range.
    Source:
        E. L. Kaplan, P. Meier, "Nonparametric Estimation from Incomplete Observations", JASA 53 (1958).

    Example:
        >>> survival_quantile([(10.0, True), (20.0, True), (30.0, False), (40.0, True)], 0.5)
        20.0
        >>> survival_quantile([(10.0, True), (20.0, False), (30.0, False)], 0.5) is None
        True
    """
    _require_quantile(q)
    ordered = sorted(durations)
    surviving, at_risk, place = 1.0, len(ordered), 0
    while place < len(ordered):
        seconds = ordered[place][0]
        ties = place
        ended = 0
        while ties < len(ordered) and ordered[ties][0] == seconds:
            ended += ordered[ties][1]
            ties += 1
        surviving *= 1.0 - ended / at_risk
        if ended and 1.0 - surviving >= q - 1e-12:
            return seconds
        at_risk -= ties - place
        place = ties
    return None


def weighted_quantile(pairs: Iterable[tuple[float, float]], q: float) -> float | None:
    """The smallest value at which the weights of all values up to it reach the part ``q`` of all weights.

    Args:
        pairs: (value, weight); weights of 0 are left out.
        q: In (0, 1].

    Returns:
        One of the values; None where there is no weight.

    Raises:
        ValueError: ``q`` is out of its range, or a weight is negative.
    Source:
        The inverse of the empirical distribution: type 1 of R. J. Hyndman, Y. Fan, "Sample Quantiles in Statistical
        Packages", The American Statistician 50 (1996), with weights in place of counts.

    Example:
        >>> weighted_quantile([(1.0, 1.0), (2.0, 1.0), (3.0, 8.0)], 0.5)
        3.0
    """
    _require_quantile(q)
    ordered = _ordered(pairs)
    wanted = q * sum(weight for _, weight in ordered)
    reached = 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= wanted * (1.0 - 1e-12):
            return value
    return None


def weighted_median(pairs: Iterable[tuple[float, float]]) -> float | None:
    """Middle value by weight; the mean of the two middle ones where exactly half the weight lies below the upper.

    With equal weights this is the ordinary median.

    Args:
        pairs: (value, weight); weights of 0 are left out.

    Returns:
        None where there is no weight.

    Raises:
        ValueError: A weight is negative.

    Example:
        >>> weighted_median([(1.0, 1.0), (2.0, 1.0), (4.0, 1.0), (9.0, 1.0)])
        3.0
    """
    ordered = _ordered(pairs)
    half = sum(weight for _, weight in ordered) / 2.0
    reached = 0.0
    for place, (value, weight) in enumerate(ordered):
        reached += weight
        if place + 1 < len(ordered) and abs(reached - half) <= 1e-12 * half:
            return (value + ordered[place + 1][0]) / 2.0
        if reached > half:
            return value
    return None


def _ordered(pairs: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    ordered = sorted(pair for pair in pairs if pair[1] != 0.0)
    for value, weight in ordered:
        if not weight > 0.0:
            raise ValueError(f"weights must not be negative, but the weight of {value} is {weight}.")
    return ordered


def _require_quantile(q: float) -> None:
    if not 0.0 < q <= 1.0:
        raise ValueError(f"`q` must lie in (0, 1], but q={q}.")
