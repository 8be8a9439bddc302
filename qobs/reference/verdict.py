"""The verdict on one result: consistent, worse, inconclusive or unverified, and why.

*Worse* needs proof that the measured distribution is farther from the reference than the margin, and not in the direction of
*less* noise. *Consistent* needs enough shots to have noticed a difference that matters. Everything between is *inconclusive*,
and that is the honest answer for few shots. *Unverified* says that there was nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import log, sqrt

import numpy as np

from qobs.reference.distance import Counts, Distance, Distribution, distance, hellinger_fidelity, linear_xeb
from qobs.reference.goodness import REPLICATES, Measured, PValues, bootstrap, farther, measure, nearer, p_values

ALPHA = 0.01
"""Default significance of one verdict."""

DETECTABLE = 0.25
"""A chi-square distance that a result must be able to show: with fewer shots than that takes, nothing is said."""

POWER = 0.8

WIDEST = 0.25
"""A margin beyond this vouches for nothing: a wrong circuit can lie within it."""

FLOOR = 2.5 / (REPLICATES + 1)
"""P-values of the bootstrap that say no more than "beyond all samples"."""


class Verdict(StrEnum):
    """What is known about a result."""

    CONSISTENT = "consistent"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict with all that it rests on. ``reason`` is one sentence for people; figures are None where nothing was compared.

    ``effect`` is the estimated chi-square distance per job, (X2 - df) / N, which may be slightly negative; margins are learnt
    from it. ``p_value`` is against "no farther than the margin". ``xeb`` is None where the reference is uniform.
    """

    verdict: Verdict
    reason: str
    method: str
    shots: int
    p_value: float | None = None
    distance: Distance | None = None
    effect: float | None = None
    margin: float = 0.0
    xeb: float | None = None
    xeb_expected: float | None = None
    hellinger_fidelity: float | None = None
    z: float | None = None
    degraded: tuple[str, ...] = ()


def counts_of(told: Mapping[int, int], outcomes: int) -> Counts:
    """Counts by outcome as an array.

    Raises:
        ValueError: an outcome is out of range, or a count negative.
    """
    counts = np.zeros(outcomes, dtype=np.int64)
    for outcome, count in told.items():
        if not 0 <= outcome < outcomes:
            raise ValueError(f"counts: found outcome {outcome}; allowed are 0 to {outcomes - 1}")
        if count < 0:
            raise ValueError(f"counts: found {count} shots of outcome {outcome}; must be 0 or more")
        counts[outcome] += count
    return counts


def unverified(reason: str, *, method: str = "none", shots: int = 0) -> Judged:
    """Nothing to compare with, and why."""
    return Judged(verdict=Verdict.UNVERIFIED, reason=reason, method=method, shots=shots)


def judge(
    reference: Distribution,
    counts: Counts,
    *,
    method: str,
    margin: float = 0.0,
    alpha: float = ALPHA,
    seed: int = 0,
    degraded: tuple[str, ...] = (),
) -> Judged:
    """The verdict on ``counts`` against the ``reference`` distribution.

    Args:
        reference: Probabilities of all outcomes; sums to 1.
        counts: Shots by outcome, of the same length.
        method: How the reference was made; told in the verdict.
        margin: Chi-square distance that counts as the same: 0, or learnt from the backend's own history.
        alpha: Chance of calling a result worse that is not, and of calling one surely within the margin that is not.
        seed: Of the bootstrap, which is used where bins or shots are few.
        degraded: What the reference could not take into account.

    Raises:
        ValueError: lengths differ, or ``margin`` or ``alpha`` is out of range.
    """
    if reference.size != counts.size:
        raise ValueError(f"`counts` must have {reference.size} outcomes as the reference has, but it has {counts.size}.")
    if not margin >= 0.0 or not 0.0 < alpha < 1.0:
        raise ValueError(f"`margin` must be 0 or more and `alpha` in (0, 1), but they are {margin} and {alpha}.")
    shots = int(counts.sum())
    if shots == 0:
        return unverified("no shots were measured", method=method)
    measured = measure(reference, counts)
    chances = _chances(reference, counts, measured, margin, seed)
    verdict, reason = _decide(reference, counts, measured, chances, margin, alpha)
    return Judged(
        verdict=verdict,
        reason=reason,
        method=method,
        shots=shots,
        p_value=chances.pair,
        distance=distance(reference, counts),
        effect=effect(measured),
        margin=margin,
        xeb=linear_xeb(reference, counts),
        xeb_expected=None if linear_xeb(reference, counts) is None else 1.0,
        hellinger_fidelity=hellinger_fidelity(reference, counts),
        z=measured.z,
        degraded=degraded,
    )


def effect(measured: Measured) -> float | None:
    """Estimated chi-square distance (X2 - df) / N; None where a single bin holds everything."""
    return None if measured.df == 0 else (measured.x2 - measured.df) / measured.shots


def _chances(reference: Distribution, counts: Counts, measured: Measured, margin: float, seed: int) -> PValues:
    known = p_values(measured, margin=margin)
    if margin > 0.0 or not measured.bootstrap:
        return known
    sampled = bootstrap(reference, counts, seed=seed)
    # Where samples can tell no more than "smaller than all of them", the known tail tells how small.
    return known if sampled.pair <= FLOOR and known.pair < sampled.pair else sampled


def _decide(
    reference: Distribution, counts: Counts, measured: Measured, chances: PValues, margin: float, alpha: float
) -> tuple[Verdict, str]:
    if chances.pair < alpha:
        if measured.impossible == 0 and measured.z > _score_limit(measured, margin, alpha):
            return (
                Verdict.INCONCLUSIVE,
                "it differs from the reference, but likely outcomes came more often: less noise, not more",
            )
        return Verdict.WORSE, _why_worse(reference, counts, measured, margin)
    if margin > WIDEST:
        return (
            Verdict.INCONCLUSIVE,
            f"the backend's usual distance of {margin:.2g} is too large for its reference to tell right from wrong",
        )
    if margin > 0.0:
        if nearer(measured.x2, measured.df, measured.shots * margin) < alpha:
            return Verdict.CONSISTENT, f"surely within the margin of {margin:.3g}"
        return Verdict.INCONCLUSIVE, f"{measured.shots} shots can neither prove nor rule out a distance beyond {margin:.3g}"
    if (least := detectable(measured, alpha)) > DETECTABLE:
        return Verdict.INCONCLUSIVE, f"{measured.shots} shots are too few: only a distance beyond {least:.2g} would show"
    return Verdict.CONSISTENT, f"no difference from the reference; a distance beyond {least:.2g} would have shown"


def _score_limit(measured: Measured, margin: float, alpha: float) -> float:
    """Above this the score speaks for less noise than the reference has."""
    from scipy.special import ndtri

    return sqrt(measured.shots * margin) + float(ndtri(1.0 - alpha))


def _why_worse(reference: Distribution, counts: Counts, measured: Measured, margin: float) -> str:
    """What kind of difference it is: noise alone is what a mixture of the reference with uniform noise would explain."""
    beyond = f"the margin of {margin:.3g}" if margin else "the reference"
    fidelity = linear_xeb(reference, counts)
    if fidelity is not None and 0.0 <= fidelity < 1.0:
        mixture = fidelity * reference + (1.0 - fidelity) / reference.size
        if p_values(measure(mixture, counts)).general > ALPHA:
            return f"more noise than {beyond} has: as if a share of {1.0 - fidelity:.2g} of the shots were random"
    if measured.impossible:
        return f"{measured.impossible} of {measured.shots} shots fell on outcomes that the reference rules out"
    return f"the distribution is farther away than {beyond}, and not by noise alone"


def detectable(measured: Measured, alpha: float) -> float:
    """The smallest chi-square distance that these shots would call worse with probability 0.8.

    Infinite where so few shots leave a single bin. Where a single outcome is possible it is the share of others that would
    have shown. Found by doubling, then halving, the noncentrality until the test's power is met.
    """
    from scipy.special import chdtri

    if measured.possible == 1:
        return -log(1.0 - POWER) / measured.shots
    if measured.df == 0:
        return float("inf")
    limit = float(chdtri(measured.df, alpha / 2.0))
    low, high = 0.0, 1.0
    while farther(limit, measured.df, high) < POWER:
        low, high = high, 2.0 * high
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (low, middle) if farther(limit, measured.df, middle) >= POWER else (middle, high)
    return high / measured.shots
