"""How far measured counts lie from a distribution, and how far they would lie by shot noise alone.

p is the distribution over k outcomes, O the counts, N the shots, f = O / N. A distance without its floor says nothing: a total
variation distance of 0.37 at 10 qubits and 1,000 shots is pure shot noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Distribution = NDArray[np.float64]
"""Probabilities of outcomes 0 … k-1; sums to 1."""

Counts = NDArray[np.int64]
"""How often each outcome was measured."""


class Distance(NamedTuple):
    """Total variation distance: observed, expected from shots alone, and what is left. ``excess`` may be negative."""

    tvd: float
    floor: float
    excess: float


def tvd(probabilities: Distribution, counts: Counts) -> float:
    """Total variation distance of counts from a distribution, half the sum of |p - f|, in [0, 1].

    Example:
        >>> tvd(np.array([0.5, 0.5]), np.array([3, 1]))
        0.25
    """
    frequencies = counts / counts.sum()
    return float(np.abs(probabilities - frequencies).sum() / 2.0)


def expected_tvd(probabilities: Distribution, shots: int) -> float:
    """Expected total variation distance of ``shots`` samples of the distribution itself: exact, not an approximation.

    Each cell is binomial, and the mean absolute deviation of a binomial variable is known:
    E|X - Np| = 2 v C(N, v) p^v (1 - p)^(N - v + 1) with v = floor(Np) + 1.

    Source:
        A. de Moivre, "Miscellanea Analytica" (1730); P. Diaconis and S. Zabell, Statistical Science 6 (1991).

    Example:
        >>> round(expected_tvd(np.array([0.5, 0.5]), 1), 12)
        0.5
    """
    from scipy.special import gammaln, xlog1py, xlogy

    p = probabilities[(probabilities > 0.0) & (probabilities < 1.0)]
    v = np.floor(shots * p) + 1.0
    v = np.minimum(v, shots)
    logs = gammaln(shots + 1.0) - gammaln(v + 1.0) - gammaln(shots - v + 1.0) + xlogy(v, p) + xlog1py(shots - v + 1.0, -p)
    deviations = 2.0 * v * np.exp(logs)
    return float(deviations.sum() / (2.0 * shots))


def distance(probabilities: Distribution, counts: Counts) -> Distance:
    """Distance, floor and excess of counts from a distribution."""
    observed, floor = tvd(probabilities, counts), expected_tvd(probabilities, int(counts.sum()))
    return Distance(observed, floor, observed - floor)


def hellinger_fidelity(probabilities: Distribution, counts: Counts) -> float:
    """(sum of sqrt(p f)) squared, in [0, 1]: the fidelity that Qiskit calls by this name. To look at, not to decide by.

    Flattening noise fills empty cells and lowers the distance, so a test on it has less power than chance for small changes.
    """
    frequencies = counts / counts.sum()
    return float(np.sqrt(probabilities * frequencies).sum() ** 2)


def linear_xeb(probabilities: Distribution, counts: Counts) -> float | None:
    """Linear cross-entropy fidelity (<p(x)> - 1/k) / (sum p^2 - 1/k): 1 for the distribution itself, 0 for uniform noise.

    None where p is uniform, for then every result looks alike.

    Source:
        F. Arute et al., Nature 574 (2019), supplementary section IV; unbiased for mixtures of p with uniform noise.

    Example:
        >>> linear_xeb(np.array([0.5, 0.0, 0.0, 0.5]), np.array([25, 25, 25, 25]))
        0.0
        >>> linear_xeb(np.array([0.5, 0.5]), np.array([1, 1])) is None
        True
    """
    uniform = 1.0 / probabilities.size
    spread = float((probabilities**2).sum()) - uniform
    if spread <= 1e-12:
        return None
    mean = float((probabilities * counts).sum() / counts.sum())
    return (mean - uniform) / spread
