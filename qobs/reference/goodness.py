"""Whether counts come from a distribution: pooled Pearson's X2, the score along p, and outcomes that cannot be: one p-value each.

Pooling looks at the distribution alone, never at the counts. The score is the mean of p(x) over the shots, linear cross-entropy
before it is scaled: powerful against flattening noise, where X2 sees any difference. A margin m, a chi-square distance
delta^2 = sum (q - p)^2 / p that the true distribution q may have, makes each test one of "farther than m":

* X2 is then noncentral chi-square with noncentrality N m;
* the score moves by at most sqrt(m) standard deviations of one shot (Cauchy-Schwarz), so its z by sqrt(N m);
* outcomes that cannot be may have the share m.

Sources: R. A. Fisher 1924 and W. G. Cochran, Annals of Mathematical Statistics 23 (1952), on pooling; S. Wellek, "Testing
Statistical Hypotheses of Equivalence and Noninferiority" (2010), chapter 9, on margins.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qobs.reference.distance import Counts, Distribution

LEAST_EXPECTED = 5.0
"""Bins are pooled until this many shots are expected in each."""

FEWEST_BINS = 5
FEWEST_SHOTS = 500
"""Below either, p-values are those of a parametric bootstrap."""

REPLICATES = 999
"""Of the bootstrap: p-values cannot be smaller than 1 / (this + 1)."""

IMPOSSIBLE = 1e-12
"""An outcome below this probability cannot be, as far as the distribution knows."""


class Pooled(NamedTuple):
    """Bins of outcomes: ``bin_of`` is each outcome's bin, -1 for those that cannot be; ``expected`` are shares of the shots."""

    bin_of: NDArray[np.intp]
    expected: NDArray[np.float64]


def pool(probabilities: Distribution, shots: int) -> Pooled:
    """Merge the least likely outcomes until every bin expects enough shots; likely outcomes stay alone.

    Example:
        >>> pool(np.array([0.9, 0.06, 0.03, 0.01]), 100).expected.tolist()
        [0.1, 0.9]
    """
    possible = np.flatnonzero(probabilities > IMPOSSIBLE)
    order = possible[np.argsort(probabilities[possible], kind="stable")]
    sorted_ = probabilities[order]
    tail = int(np.searchsorted(sorted_ * shots, LEAST_EXPECTED))
    while tail < order.size and sorted_[:tail].sum() * shots < LEAST_EXPECTED and tail > 0:
        tail += 1
    bin_of = np.full(probabilities.size, -1, dtype=np.intp)
    first = 1 if tail else 0
    bin_of[order[:tail]] = 0
    bin_of[order[tail:]] = np.arange(order.size - tail) + first
    expected = np.bincount(bin_of[order], weights=sorted_, minlength=order.size - tail + first)
    return Pooled(bin_of, expected.astype(np.float64))


def binned(counts: NDArray[np.int64], pooled: Pooled) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(shots by bin, shots on outcomes that cannot be) of one or many rows of counts."""
    rows = np.atleast_2d(counts)
    inside = pooled.bin_of >= 0
    bins = np.zeros((rows.shape[0], pooled.expected.size))
    for row, told in zip(bins, rows, strict=True):
        row += np.bincount(pooled.bin_of[inside], weights=told[inside], minlength=pooled.expected.size)
    return bins, rows[:, ~inside].sum(axis=1).astype(np.float64)


def pearson(bins: NDArray[np.float64], pooled: Pooled) -> NDArray[np.float64]:
    """Pearson's X2 of every row of bins, over the shots that fell on possible outcomes."""
    expected = bins.sum(axis=1, keepdims=True) * pooled.expected / pooled.expected.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(expected > 0.0, (bins - expected) ** 2 / expected, 0.0)
    return np.asarray(terms.sum(axis=1))


class Score(NamedTuple):
    """Mean and standard deviation of p(x) for one shot x of p itself; ``spread`` 0: p is flat where it is not 0."""

    mean: float
    spread: float

    @staticmethod
    def of(probabilities: Distribution) -> Score:
        """Moments of the score under the distribution."""
        mean = float((probabilities**2).sum())
        variance = float((probabilities**3).sum()) - mean * mean
        return Score(mean, sqrt(variance) if variance > 1e-15 * mean else 0.0)

    def z(self, probabilities: Distribution, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Standardised mean score of every row of counts; 0 where p is flat."""
        rows = np.atleast_2d(counts)
        shots = rows.sum(axis=1)
        if self.spread == 0.0:
            return np.zeros(rows.shape[0])
        return np.asarray((rows @ probabilities / shots - self.mean) / self.spread * np.sqrt(shots))


class Measured(NamedTuple):
    """What the tests measured. ``z`` is negative where likely outcomes came too rarely: noise.

    ``impossible`` counts shots on outcomes of probability 0, ``possible`` the outcomes of a higher one.
    """

    x2: float
    df: int
    z: float
    impossible: int
    shots: int
    bootstrap: bool
    possible: int


class PValues(NamedTuple):
    """P-values against "no farther than the margin"; ``pair`` joins them (Bonferroni, or the bootstrap of their minimum)."""

    general: float
    score: float
    impossible: float
    pair: float


def measure(probabilities: Distribution, counts: Counts) -> Measured:
    """The statistics of one set of counts."""
    shots = int(counts.sum())
    pooled = pool(probabilities, shots)
    bins, impossible = binned(counts, pooled)
    df = max(0, pooled.expected.size - 1)
    return Measured(
        x2=float(pearson(bins, pooled)[0]) if bins.sum() else 0.0,
        df=df,
        z=float(Score.of(probabilities).z(probabilities, counts)[0]),
        impossible=int(impossible[0]),
        shots=shots,
        bootstrap=pooled.expected.size < FEWEST_BINS or shots < FEWEST_SHOTS,
        possible=int((pooled.bin_of >= 0).sum()),
    )


def p_values(measured: Measured, *, margin: float = 0.0, one_sided: bool = True) -> PValues:
    """P-values by the tests' known distributions.

    Args:
        measured: From :func:`measure`.
        margin: Chi-square distance that is tolerated, >= 0.
        one_sided: The score is tested for noise alone (True), or for any difference.
    """
    from scipy.special import ndtr

    shift = sqrt(measured.shots * margin)
    general = farther(measured.x2, measured.df, measured.shots * margin)
    score = float(ndtr(measured.z + shift)) if one_sided else min(1.0, 2.0 * float(ndtr(shift - abs(measured.z))))
    impossible = _impossible(measured, margin)
    tests = [general, score] + ([impossible] if measured.impossible else [])
    return PValues(general, score, impossible, min(1.0, len(tests) * min(tests)))


def farther(x2: float, df: int, noncentrality: float) -> float:
    """Probability of so large an X2 where the true distance is the margin; 1 with a single bin, which can show nothing.

    Example:
        >>> round(farther(3.841458820694124, 1, 0.0), 6)
        0.05
    """
    from scipy.special import chdtrc, chndtr

    if df == 0:
        return 1.0
    return float(chdtrc(df, x2)) if noncentrality == 0.0 else float(max(0.0, 1.0 - chndtr(x2, df, noncentrality)))


def nearer(x2: float, df: int, noncentrality: float) -> float:
    """Probability of so small an X2 where the true distance is the margin: small means "surely within the margin"."""
    from scipy.special import chdtr, chndtr

    if df == 0:
        return 1.0
    return float(chdtr(df, x2)) if noncentrality == 0.0 else float(chndtr(x2, df, noncentrality))


def _impossible(measured: Measured, margin: float) -> float:
    """P(Binomial(N, margin) >= k): with no margin a single shot is proof."""
    from scipy.special import bdtrc

    k = measured.impossible
    if k == 0:
        return 1.0
    return 0.0 if margin == 0.0 else float(bdtrc(k - 1, measured.shots, min(1.0, margin)))


def bootstrap(probabilities: Distribution, counts: Counts, *, seed: int, replicates: int = REPLICATES) -> PValues:
    """P-values of a point null from samples of the distribution itself: right for any number of bins and shots.

    The pair is the bootstrap of the smaller of both p-values, so that it needs no Bonferroni.

    Args:
        probabilities: The distribution.
        counts: Measured.
        seed: Of the samples; the same seed gives the same p-values.
        replicates: Samples; no p-value is below 1 / (replicates + 1).
    """
    shots = int(counts.sum())
    pooled, score = pool(probabilities, shots), Score.of(probabilities)
    drawn = np.random.default_rng(seed).multinomial(shots, probabilities / probabilities.sum(), size=replicates)
    rows = np.vstack([counts, drawn])
    bins, impossible = binned(rows, pooled)
    x2, z = pearson(bins, pooled), score.z(probabilities, rows)
    general, noise = _ranks(-x2), _ranks(z)
    smaller = np.minimum(general, noise)
    pair = float((smaller <= smaller[0] + 1e-12).sum() / smaller.size)
    found = 1.0 if impossible[0] == 0 else 0.0
    return PValues(float(general[0]), float(noise[0]), found, pair if impossible[0] == 0 else 0.0)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of all values that are at most as large as each one: bootstrap p-values, ties on the careful side."""
    ordered = np.sort(values)
    return np.asarray(np.searchsorted(ordered, values + 1e-9 * np.abs(values), side="right") / values.size)


def two_sample_x2(counts: Counts, reference: Counts) -> tuple[float, int]:
    """(X2, degrees of freedom) of counts against a *sampled* reference: forgetting its own noise would make all results wrong.

    X2 = sum (O/N - R/M)^2 / (p (1/N + 1/M)), p the pooled share; bins are merged by the reference alone.
    """
    n, m = int(counts.sum()), int(reference.sum())
    # One more shot spread evenly: an outcome that the reference's samples missed is not impossible.
    smoothed = ((reference + 1.0 / reference.size) / (m + 1.0)).astype(np.float64)
    pooled = pool(smoothed, min(n, m))
    bins, _ = binned(np.vstack([counts, reference]), pooled)
    share = bins.sum(axis=0) / (n + m)
    kept = share > 0.0
    difference = bins[0] / n - bins[1] / m
    return float((difference[kept] ** 2 / (share[kept] * (1.0 / n + 1.0 / m))).sum()), max(0, int(kept.sum()) - 1)
