"""The equivalence margin: how far accepted results of one backend and circuit family usually lie from their reference.

A calibration leaves out crosstalk, drift and leakage, so a test of "exactly the reference" rejects every real result, given
enough shots. What is asked instead is whether a result is farther away than this backend's accepted ones are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qobs.stats import weighted_quantile

FEWEST = 50
"""Accepted results before a margin is learnt; with fewer the backend is uncalibrated."""

SHARE = 0.95
"""The margin is this quantile of accepted distances."""

KEPT = 500
"""Newest distances that are remembered."""


@dataclass(frozen=True, slots=True)
class MarginHistory:
    """Estimated chi-square distances of accepted results, oldest first."""

    effects: tuple[float, ...] = ()

    def accepted(self, effect: float) -> MarginHistory:
        """One accepted result more; the oldest ones are forgotten."""
        return MarginHistory((*self.effects, effect)[-KEPT:])

    @property
    def margin(self) -> float | None:
        """The margin in force, >= 0; None while too few results are known.

        Example:
            >>> MarginHistory(tuple(n / 100 for n in range(100))).margin
            0.94
        """
        return learnt(self.effects)


def learnt(effects: Sequence[float]) -> float | None:
    """95th percentile of the distances, at least 0; None for fewer than fifty."""
    if len(effects) < FEWEST:
        return None
    found = weighted_quantile(((effect, 1.0) for effect in effects), SHARE)
    return None if found is None else max(0.0, found)
