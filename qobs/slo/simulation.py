"""Made-up histories, to ask what alerts would have done: jobs that come by chance, alone or in batches that share a fate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from math import exp, lgamma, log, log1p

from qobs.slo.objective import FileEvent

Uniform = Callable[[], float]
"""Draws a number from [0, 1); the same draws give the same history."""

_WORD = (1 << 64) - 1
_BATCH_SPACING = timedelta(seconds=1)


def uniforms(seed: int) -> Uniform:
    """A generator that needs nothing from outside: equal seeds give equal numbers on every machine.

    Source:
        G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).

    Example:
        >>> draw = uniforms(1)
        >>> [round(draw(), 6) for _ in range(2)]
        [0.566562, 0.745782]
    """
    state = seed & _WORD

    def draw() -> float:
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & _WORD
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    return draw


def simulated(
    draw: Uniform,
    *,
    start: datetime,
    length: timedelta,
    events_per_hour: float,
    error_ratio: float,
    batch_size: int = 1,
    name: str = "",
) -> Iterator[FileEvent]:
    """Events of a Poisson process, each bad with probability ``error_ratio``; a batch is good or bad as a whole.

    Args:
        draw: Source of chance.
        start: Of the history.
        length: Of the history.
        events_per_hour: Mean rate, > 0: batches come ``batch_size`` times as seldom.
        error_ratio: In [0, 1].
        batch_size: Events of a batch, a second apart; 1: no groups.
        name: Prefix of the groups' names.
    """
    hours, batch = 0.0, 0
    limit = length / timedelta(hours=1)
    while True:
        hours -= log1p(-draw()) * batch_size / events_per_hour
        if hours > limit:
            return
        at, good = start + timedelta(hours=hours), draw() >= error_ratio
        batch += 1
        for place in range(batch_size):
            yield FileEvent(at + place * _BATCH_SPACING, good, f"{name}{batch}" if batch_size > 1 else "")


def poisson_at_least(count: int, mean: float) -> float:
    """Probability that a Poisson variable reaches ``count``.

    Example:
        >>> round(poisson_at_least(1, 1.0), 4)
        0.6321
    """
    if count <= 0:
        return 1.0
    if mean <= 0.0:
        return 0.0
    return max(0.0, 1.0 - sum(exp(j * log(mean) - mean - lgamma(j + 1.0)) for j in range(count)))


def median_wait(count: int, per_hour: float) -> float:
    """Median hours until the ``count``-th event of a Poisson process.

    Example:
        >>> round(median_wait(4, 2.0) * 60)
        110
    """
    return _mean_reaching(count, 0.5) / per_hour


def rate_bound(count: int, level: float = 0.95) -> float:
    """The largest mean under which a count of at most ``count`` is not rarer than 1 - ``level``.

    Source:
        F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936).

    Example:
        >>> round(rate_bound(0), 2)
        3.0
    """
    return _mean_reaching(count + 1, level)


def _mean_reaching(count: int, probability: float) -> float:
    """The mean at which a Poisson variable reaches ``count`` with the given probability."""
    low, high = 0.0, 2.0 * count + 20.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if poisson_at_least(count, middle) < probability:
            low = middle
        else:
            high = middle
    return high
