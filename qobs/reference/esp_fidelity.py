"""A verdict where noise is predicted as one number only: measured linear cross-entropy against estimated success probability.

The ideal distribution is known, the noisy one is not: the circuit is too wide or deep. What the calibration still tells is how
likely a shot is to pass without any error; linear cross-entropy measures the same from counts. Errors that do not show in the
outcome make the measured figure larger, crosstalk and drift make it smaller, so this is a coarse test: of a lower level of
fidelity, not of the shape of the distribution.

Source:
    F. Arute et al., Nature 574 (2019), supplementary section IV: fidelity of a circuit as the product of its parts.
"""

from __future__ import annotations

from math import prod, sqrt

from qobs.reference.circuit import Circuit
from qobs.reference.distance import Counts, Distribution, distance, hellinger_fidelity, linear_xeb
from qobs.reference.noise import NoiseModel, relaxation_infidelity, success
from qobs.reference.verdict import ALPHA, Judged, Verdict

_SHOWS = 3.2
"""Standard errors that a drop must be worth to be found: 2.33 for a one-sided alpha of 0.01, 0.84 for a power of 0.8."""

IMPORTANT = 0.5
"""A drop to this share of the expected fidelity is what a consistent result must have been able to show."""


def expected_fidelity(circuit: Circuit, model: NoiseModel) -> float:
    """Probability that a shot passes without an error, waiting included: in [0, 1]."""
    idle = prod(1.0 - relaxation_infidelity([wait]) for waits in model.idle for wait in waits if wait is not None)
    return success(circuit, model).total * idle


def judge_fidelity(
    ideal: Distribution,
    counts: Counts,
    expected: float,
    *,
    method: str,
    margin: float = 0.0,
    alpha: float = ALPHA,
    degraded: tuple[str, ...] = (),
) -> Judged:
    """The verdict on counts from linear cross-entropy alone.

    Args:
        ideal: Without noise, over all outcomes.
        counts: Shots by outcome, of the same length; at least one.
        expected: From :func:`expected_fidelity`.
        method: How the ideal distribution was made; the test is added to it.
        margin: Chi-square distance that is tolerated: a mean moves by at most its square root in standard deviations of a shot.
        alpha: Chance of calling a result worse that is not.
        degraded: What the expectation could not take into account.
    """
    shots = int(counts.sum())
    method = f"{method}; linear cross-entropy against estimated success probability"
    fidelity = linear_xeb(ideal, counts)
    if fidelity is None:
        return Judged(
            verdict=Verdict.INCONCLUSIVE,
            reason="the ideal distribution is uniform: no result can be told from noise",
            method=method,
            shots=shots,
            degraded=degraded,
        )
    error = _standard_error(ideal, counts)
    verdict, reason, p_value = _decide(fidelity, error, expected, shots, margin, alpha)
    return Judged(
        verdict=verdict,
        reason=reason,
        method=method,
        shots=shots,
        p_value=p_value,
        distance=distance(ideal, counts),
        margin=margin,
        xeb=fidelity,
        xeb_expected=expected,
        hellinger_fidelity=hellinger_fidelity(ideal, counts),
        z=(fidelity - expected) / error,
        degraded=degraded,
    )


def _standard_error(ideal: Distribution, counts: Counts) -> float:
    """Of the fidelity, from the spread of the shots, and never below that of pure noise."""
    shots, uniform = int(counts.sum()), 1.0 / ideal.size
    mean = float((ideal * counts).sum()) / shots
    measured = float((ideal**2 * counts).sum()) / shots - mean**2
    noise = float((ideal**2).sum()) * uniform - uniform**2
    return sqrt(max(measured, noise) / shots) / (float((ideal**2).sum()) - uniform)


def _decide(
    fidelity: float, error: float, expected: float, shots: int, margin: float, alpha: float
) -> tuple[Verdict, str, float]:
    from scipy.special import ndtr

    told = f"fidelity {fidelity:.3g} ± {error:.2g} where {expected:.3g} is estimated"
    p_value = float(ndtr((fidelity - expected) / error + sqrt(shots * margin)))
    if p_value < alpha:
        return Verdict.WORSE, f"{told}: more noise than the calibration accounts for", p_value
    if (1.0 - IMPORTANT) * expected < _SHOWS * error:
        return Verdict.INCONCLUSIVE, f"{told}: {shots} shots cannot tell so little signal from none", p_value
    return Verdict.CONSISTENT, f"{told}: no lower level of fidelity; the shape of the noise is not tested", p_value
