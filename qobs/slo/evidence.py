"""Could chance alone have done this? The gate that a page must pass when events are few.

With B the error budget, k failures of n events are evidence of a breach where p = P(Binomial(n, B) >= k) is at most alpha.
At 95 % and alpha = 1e-4 that takes 4 of 4, 5 of 10 or 16 of 100. Events that share a fate, or have different weights,
count as fewer; for such fractional counts the Chernoff bound exp(-n KL(k/n || B)) >= p stands in for p, on the quiet side.

Sources: C. Clopper, E. Pearson, Biometrika 26 (1934); H. Chernoff, Annals of Mathematical Statistics 23 (1952).
"""

from __future__ import annotations

from math import ceil, exp, log

from qobs.slo.history import Tally
from qobs.stats import beta_probability

FEWEST_SHORT = 3
"""A short window with fewer events is replaced by so many last events: empty, it neither fires nor resolves."""

_ROUNDING = 1e-9


def binomial_tail(k: int, n: int, ratio: float) -> float:
    """Probability of at least ``k`` failures of ``n`` independent events that fail with probability ``ratio``.

    Source:
        The regularized incomplete beta function I_ratio(k, n - k + 1), NIST DLMF 8.17.5.

    Example:
        >>> f"{binomial_tail(4, 4, 0.05):.3g} {binomial_tail(4, 10, 0.05):.3g}"
        '6.25e-06 0.00103'
    """
    if not 0 <= k <= n:
        raise ValueError(f"`k` must lie in [0, n], but k={k} and n={n}.")
    return 1.0 if k == 0 else min(1.0, beta_probability(ratio, float(k), n - k + 1.0))


def chernoff_bound(k: float, n: float, ratio: float) -> float:
    """Upper bound of :func:`binomial_tail` for counts that need not be whole; 1 where k/n does not exceed ``ratio``."""
    if n <= 0.0 or k <= n * ratio:
        return 1.0
    return exp(-n * divergence(min(1.0, k / n), ratio))


def divergence(q: float, ratio: float) -> float:
    """Kullback-Leibler divergence of a coin with ``q`` from one with ``ratio``, in nats; 0 ln 0 is 0.

    Example:
        >>> round(divergence(0.5, 0.05), 4)
        0.8304
    """
    failed = q * log(q / ratio) if q > 0.0 else 0.0
    passed = (1.0 - q) * log((1.0 - q) / (1.0 - ratio)) if q < 1.0 else 0.0
    return failed + passed


def chance(tally: Tally, *, budget: float, design_effect: float = 1.0) -> float:
    """Probability of so many failures if the objective were just met; 1 without events.

    Args:
        tally: Counts of the long window.
        budget: Error budget as a ratio, in (0, 1).
        design_effect: Events that tell as much as one independent event, >= 1.
    """
    n, k = tally.effective
    if design_effect == 1.0 and tally.whole and n == tally.events:
        return binomial_tail(round(k), tally.events, budget)
    return chernoff_bound(k / design_effect, n / design_effect, budget)


def proves(probability: float, alpha: float) -> bool:
    """Whether a chance this small is evidence: at most ``alpha``, but for rounding."""
    return probability <= alpha * (1.0 + _ROUNDING)


def fewest_events(*, budget: float, alpha: float) -> int:
    """Events below which even failures alone prove nothing: ln(alpha) / ln(budget), rounded up.

    Example:
        >>> fewest_events(budget=0.05, alpha=1e-4), fewest_events(budget=0.01, alpha=1e-4)
        (4, 2)
    """
    return max(1, ceil(log(alpha) / log(budget) - _ROUNDING))


def failures_needed(n: int, *, budget: float, alpha: float) -> int | None:
    """Fewest failures among ``n`` independent events that pass the gate. None: not even all of them.

    Example:
        >>> [failures_needed(n, budget=0.05, alpha=1e-4) for n in (3, 4, 6, 10, 20, 50, 100)]
        [None, 4, 4, 5, 7, 11, 16]
    """
    if not proves(binomial_tail(n, n, budget), alpha) or n == 0:
        return None
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        if proves(binomial_tail(middle, n, budget), alpha):
            high = middle
        else:
            low = middle
    return high
