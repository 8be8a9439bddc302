"""Many verdicts at once: how often "worse" may be wrong when thousands of results are judged.

A batch of p-values is thinned by Benjamini and Hochberg; an endless stream by LORD++, which spends a wealth of error and earns
some back with every discovery.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt

_SCALE = 0.0722
"""Makes the weights of :func:`share` sum to 1 (A. Javanmard, A. Montanari 2018; the constant of A. Ramdas et al. 2017)."""

REMEMBERED = 2_000
"""Discoveries that still give back wealth; the share of older ones is negligible."""


def benjamini_hochberg(p_values: Sequence[float], level: float) -> tuple[bool, ...]:
    """Which hypotheses are rejected, so that at most ``level`` of the rejected ones are expected to be true.

    Source:
        Y. Benjamini, Y. Hochberg, Journal of the Royal Statistical Society B 57 (1995).

    Example:
        >>> benjamini_hochberg((0.001, 0.8, 0.012, 0.04), 0.05)
        (True, False, True, False)
    """
    ordered = sorted(p_values)
    count = len(ordered)
    limit = max((p for place, p in enumerate(ordered, start=1) if p <= level * place / count), default=-1.0)
    return tuple(p <= limit for p in p_values)


def share(place: int) -> float:
    """The share of wealth that test number ``place`` (from 1) after a discovery may spend; the shares sum to 1.

    Source:
        A. Ramdas, F. Yang, M. Wainwright, M. Jordan, "Online control of the false discovery rate with decaying memory" (2017).
    """
    return _SCALE * log(max(place, 2)) / (place * exp(sqrt(log(place)))) if place >= 1 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lord:
    """LORD++ over a stream: false discovery rate at most ``level`` at any time, for independent p-values.

    ``tested`` is how many p-values came, ``found`` when (by number) the newest discoveries came, ``first`` when the first did.
    """

    level: float = 0.05
    tested: int = 0
    first: int | None = None
    found: tuple[int, ...] = ()

    @property
    def next_level(self) -> float:
        """The significance that the next p-value is held against.

        Example:
            >>> round(Lord().next_level, 6) > 0
            True
        """
        place = self.tested + 1
        wealth = self.level / 2.0
        level = wealth * share(place)
        if self.first is not None:
            level += (self.level - wealth) * share(place - self.first)
        return level + self.level * sum(share(place - at) for at in self.found if at != self.first)

    def after(self, p_value: float) -> tuple[Lord, bool]:
        """The state after one more p-value, and whether it is a discovery."""
        discovered = p_value <= self.next_level
        place = self.tested + 1
        if not discovered:
            return replace(self, tested=place), False
        first = place if self.first is None else self.first
        return replace(self, tested=place, first=first, found=(*self.found, place)[-REMEMBERED:]), True
