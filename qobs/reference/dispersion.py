"""Whether repeats of one circuit differ by more than shot noise, and whether something explains it.

Over-dispersion alone is no neighbour's fault: on real devices the same circuit varies from hour to hour. What is compared is
rho, which does not grow with the shots, against the backend's own history in the same layout and calibration epoch; and a
cause is named only with a covariate that explains it, tested by permutation within epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qobs.reference.goodness import LEAST_EXPECTED


class Dispersion(NamedTuple):
    """Homogeneity of repeats. ``phi`` = X2 / df is 1 for shot noise alone; ``p_value`` is against that.

    ``rho``, in [0, 1], is the correlation of two shots of one repeat: 0 for shot noise alone.
    """

    x2: float
    df: int
    phi: float
    rho: float
    p_value: float


def dispersion(repeats: NDArray[np.int64]) -> Dispersion | None:
    """How much the rows of counts (repeats by outcomes) differ from one another; None where nothing can be compared.

    Outcomes are merged by their sums over all repeats, until each repeat expects five shots in every bin. rho is that of the
    Dirichlet-multinomial: Var = N p (1 - p) (1 + (N - 1) rho), with N the mean number of shots.

    Source:
        J. E. Mosimann, Biometrika 49 (1962).

    Example:
        >>> same = np.array([[500, 500], [500, 500]])
        >>> dispersion(same).phi
        0.0
    """
    from scipy.special import chdtrc

    rows = repeats[repeats.sum(axis=1) > 0]
    shots = rows.sum(axis=1)
    if rows.shape[0] < 2:
        return None
    bins = _merged(rows, int(shots.min()))
    if bins.shape[1] < 2:
        return None
    expected = shots[:, None] * bins.sum(axis=0) / shots.sum()
    x2 = float(((bins - expected) ** 2 / expected).sum())
    df = (rows.shape[0] - 1) * (bins.shape[1] - 1)
    phi = x2 / df
    mean_shots = float(shots.mean())
    rho = 0.0 if mean_shots <= 1.0 else min(1.0, max(0.0, (phi - 1.0) / (mean_shots - 1.0)))
    return Dispersion(x2, df, phi, rho, float(chdtrc(df, x2)))


def _merged(rows: NDArray[np.int64], fewest_shots: int) -> NDArray[np.float64]:
    """Columns by their share of all shots, rare ones as one."""
    share = rows.sum(axis=0) / rows.sum()
    order = np.argsort(share, kind="stable")
    rare = int(np.searchsorted(share[order] * fewest_shots, LEAST_EXPECTED))
    while rare < order.size and 0.0 < share[order[:rare]].sum() * fewest_shots < LEAST_EXPECTED:
        rare += 1
    kept = rows[:, order[rare:]].astype(np.float64)
    tail = rows[:, order[:rare]].sum(axis=1, keepdims=True).astype(np.float64)
    return np.hstack([tail, kept]) if tail.sum() else kept


def louder(now: Dispersion, before: Dispersion) -> float:
    """Probability of so large a ratio of the two dispersions if they were alike: F(df now, df before), quasi-likelihood.

    Source:
        P. McCullagh, J. Nelder, "Generalized Linear Models" (1989), section 4.5.
    """
    from scipy.special import fdtrc

    if before.phi <= 0.0:
        return 1.0 if now.phi <= 0.0 else 0.0
    return float(fdtrc(now.df, before.df, now.phi / before.phi))


def explained(
    residuals: Sequence[float], covariate: Sequence[float], epochs: Sequence[str], *, seed: int, permutations: int = 999
) -> float:
    """P-value of a link between the size of residuals and a covariate (jobs beside, time of day), by permutation within epochs.

    The statistic is the absolute covariance of squared residuals and covariate, both centred within their epoch: a change
    between epochs cannot pass for a neighbour.

    Args:
        residuals: One per job, standardised.
        covariate: One per job.
        epochs: Calibration epoch of each job.
        seed: Of the permutations.
        permutations: The p-value is not below 1 / (this + 1).

    Raises:
        ValueError: lengths differ.
    """
    if not len(residuals) == len(covariate) == len(epochs):
        lengths = (len(residuals), len(covariate), len(epochs))
        raise ValueError(f"`residuals`, `covariate` and `epochs` must be of one length, but they are {lengths}.")
    groups = [np.flatnonzero(np.array(epochs) == epoch) for epoch in sorted(set(epochs))]
    sizes, beside = np.square(np.asarray(residuals, dtype=float)), np.asarray(covariate, dtype=float)
    for group in groups:
        sizes[group] -= sizes[group].mean()
        beside[group] = beside[group] - beside[group].mean()
    observed = abs(float(sizes @ beside))
    rng = np.random.default_rng(seed)
    reached = 1
    shuffled = beside.copy()
    for _ in range(permutations):
        for group in groups:
            shuffled[group] = beside[rng.permutation(group)]
        reached += abs(float(sizes @ shuffled)) >= observed - 1e-12 * (1.0 + observed)
    return reached / (permutations + 1)
