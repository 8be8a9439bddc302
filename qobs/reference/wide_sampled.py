"""Verdicts against a reference that has a sampling error of its own: trajectories, or samples of a wide circuit.

Forgetting the reference's own error makes every result look wrong once shots are many. A sample of M shots, or trajectories that
are worth M, widen each variance by 1 + N / M, N being the measured shots: X2 is divided by it, and the result speaks for
N / (1 + N / M) shots.

Source:
    J. N. K. Rao, A. J. Scott, Annals of Statistics 12 (1984): first-order correction of X2 by the mean design effect.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from qobs.reference.distance import Counts, Distribution, distance, hellinger_fidelity, linear_xeb
from qobs.reference.goodness import Measured, binned, nearer, p_values, pool
from qobs.reference.verdict import ALPHA, DETECTABLE, Judged, Verdict, detectable, effect, unverified

_NEARLY_RANDOM = 0.45
"""A parity that is broken so often tells no more than a coin."""

CORRELATED = 4.0
"""Errors of trajectories move many outcomes together, mostly towards more or less noise: their worth is divided by this.

Measured at 8 qubits, 64 to 1024 trajectories, 1,000 to 100,000 shots: without it up to 0.37 false alarms at alpha 0.05, with it
at most 0.06.
"""


def worth(probabilities: Distribution, standard_errors: Distribution) -> float:
    """Shots of a plain sample that is no better than trajectories with these errors; infinite for an exact distribution.

    Example:
        >>> round(worth(np.array([0.5, 0.5]), np.array([0.05, 0.05])))
        25
    """
    squares = float((standard_errors**2).sum())
    return float("inf") if squares == 0.0 else float((probabilities * (1.0 - probabilities)).sum()) / squares / CORRELATED


def judge_sampled(
    reference: Distribution,
    reference_shots: float,
    counts: Counts,
    *,
    method: str,
    margin: float = 0.0,
    alpha: float = ALPHA,
    degraded: tuple[str, ...] = (),
) -> Judged:
    """The verdict on ``counts`` against a ``reference`` that is worth ``reference_shots`` samples.

    Args:
        reference: Estimated probabilities of all outcomes.
        reference_shots: From :func:`worth`, or the number of samples.
        counts: Shots by outcome, of the same length.
        method: How the reference was made.
        margin: Chi-square distance that counts as the same.
        alpha: Chance of calling a result worse that is not.
        degraded: What the reference could not take into account.
    """
    shots = int(counts.sum())
    if shots == 0:
        return unverified("no shots were measured", method=method)
    measured = measure_sampled(reference, reference_shots, counts)
    chances = p_values(measured, margin=margin)
    verdict, reason = _decide(measured, chances.pair, margin, alpha)
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


def measure_sampled(reference: Distribution, reference_shots: float, counts: Counts) -> Measured:
    """The statistics, corrected for the reference's own error; ``shots`` is what the comparison is worth."""
    n, m = int(counts.sum()), reference_shots
    # One more shot spread evenly: an outcome that the samples missed is not impossible.
    smoothed = (reference * m + 1.0 / reference.size) / (m + 1.0)
    pooled = pool(smoothed, max(1, int(min(n, m))))
    bins, _ = binned(counts, pooled)
    share = (bins[0] + m * pooled.expected) / (n + m)
    x2 = ((bins[0] / n - pooled.expected) ** 2 / share).sum() / (1.0 / n + 1.0 / m)
    widened = 1.0 + n / m
    return Measured(
        x2=float(x2),
        df=max(0, pooled.expected.size - 1),
        z=_score(reference, m, counts),
        impossible=0,
        shots=max(1, int(n / widened)),
        bootstrap=False,
        possible=reference.size,
    )


def _score(reference: Distribution, m: float, counts: Counts) -> float:
    """Standardised mean of p(x) over the shots, without the bias that an estimated p has towards itself; 0 where p is flat."""
    n, squares = int(counts.sum()), float((reference**2).sum())
    mean = squares - (1.0 - squares) / m
    spread = max(0.0, float((reference**3).sum()) - squares**2)
    if spread <= 1e-15 * squares:
        return 0.0
    variance = spread * (1.0 / n + 1.0 / m) + squares * (1.0 / (n * m) + 2.0 / m**2)
    return (float((reference * counts).sum()) / n - mean) / sqrt(variance)


def _decide(measured: Measured, p_value: float, margin: float, alpha: float) -> tuple[Verdict, str]:
    from scipy.special import ndtri

    if p_value < alpha:
        if measured.z > sqrt(measured.shots * margin) + float(ndtri(1.0 - alpha)):
            return Verdict.INCONCLUSIVE, "it differs, but likely outcomes came more often: less noise, not more"
        beyond = f"the margin of {margin:.3g}" if margin else "the sampled reference"
        return Verdict.WORSE, f"the distribution is farther away than {beyond}, the reference's own error included"
    if margin > 0.0:
        if nearer(measured.x2, measured.df, measured.shots * margin) < alpha:
            return Verdict.CONSISTENT, f"surely within the margin of {margin:.3g}"
        return Verdict.INCONCLUSIVE, f"shots and samples can neither prove nor rule out a distance beyond {margin:.3g}"
    if (least := detectable(measured, alpha)) > DETECTABLE:
        return Verdict.INCONCLUSIVE, f"shots or samples are too few: only a distance beyond {least:.2g} would show"
    return Verdict.CONSISTENT, f"no difference from the sampled reference; a distance beyond {least:.2g} would have shown"


def judge_marks(
    marks: NDArray[np.int64],
    shots: int,
    reference_marks: NDArray[np.int64],
    reference_shots: int,
    *,
    method: str,
    margin: float = 0.0,
    alpha: float = ALPHA,
    degraded: tuple[str, ...] = (),
) -> Judged:
    """The verdict where outcomes are too many to count: how often each of several marks of an error is seen.

    Args:
        marks: For each mark (a parity that an ideal run never has, say), the shots that bear it; the first is "any of them".
        shots: Measured.
        reference_marks: The same of the samples.
        reference_shots: Samples.
        method: How the samples were made; the test is added to it.
        margin: Chi-square distance that is tolerated in each mark.
        alpha: Chance of calling a result worse that is not; marks share it (Bonferroni).
        degraded: What the samples could not take into account.
    """
    method = f"{method}; shares of shots that break a parity of the ideal outcomes"
    worth_shots = shots / (1.0 + shots / reference_shots)
    share, known = marks / shots, reference_marks / reference_shots
    both = np.clip((marks + reference_marks + 1.0) / (shots + reference_shots + 2.0), 1e-12, 1.0 - 1e-12)
    z = (share - known) / np.sqrt(both * (1.0 - both) / worth_shots)
    verdict, reason, p_value = _decide_marks(z, known, worth_shots, margin, alpha)
    return Judged(
        verdict=verdict,
        reason=f"{share[0]:.3g} of the shots break a parity where {known[0]:.3g} are predicted: {reason}",
        method=method,
        shots=shots,
        p_value=p_value,
        effect=(float(z[0] ** 2) - 1.0) / worth_shots,
        margin=margin,
        z=-float(z.max()),
        degraded=degraded,
    )


def _decide_marks(
    z: NDArray[np.float64], known: NDArray[np.float64], worth_shots: float, margin: float, alpha: float
) -> tuple[Verdict, str, float]:
    """One-sided: a mark that comes more often is an error more."""
    from scipy.special import ndtr, ndtri

    shift, each = sqrt(worth_shots * margin), alpha / len(z)
    p_value = min(1.0, len(z) * float(ndtr(-z.max() + shift)))
    if p_value < alpha:
        return Verdict.WORSE, "more errors than the calibration accounts for", p_value
    least = detectable(Measured(0.0, 1, 0.0, 0, max(1, int(worth_shots)), False, 2), each)
    if z.min() < float(ndtri(each)) - shift:
        return Verdict.INCONCLUSIVE, "it differs from the prediction, but by less noise, not more", p_value
    if least > DETECTABLE:
        return Verdict.INCONCLUSIVE, f"too few shots, only a distance beyond {least:.2g} would show", p_value
    if known.min() > _NEARLY_RANDOM:
        return Verdict.INCONCLUSIVE, "nothing is left of the signal that more noise could take away", p_value
    return Verdict.CONSISTENT, "no more errors; the outcomes one by one are too many to be tested", p_value
