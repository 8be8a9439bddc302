"""The verdict on measured counts of any circuit: the same for the command line and for the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np

from qobs.errors import CircuitError
from qobs.model import Calibration
from qobs.reference.circuit import Circuit
from qobs.reference.clifford import MAX_SAMPLES
from qobs.reference.distance import Distribution
from qobs.reference.esp_fidelity import judge_fidelity
from qobs.reference.predict import Effort, Prediction, Reference, predict
from qobs.reference.verdict import ALPHA, Judged, Verdict, counts_of, judge, unverified
from qobs.reference.wide_sampled import judge_marks, judge_sampled

_SAMPLES_PER_SHOT = 20
"""So many samples to a shot make a sampled reference's own error small."""


def verify(
    circuit: Circuit,
    counts: Mapping[int, int],
    calibration: Calibration | None = None,
    *,
    margin: float = 0.0,
    alpha: float = ALPHA,
    effort: Effort | None = None,
    executed_at: datetime | None = None,
) -> Judged:
    """The verdict on ``counts``.

    Args:
        circuit: What was run.
        counts: Shots by outcome index over all classical bits, as :func:`~qobs.reference.counts.read_counts` gives them.
        calibration: The snapshot in force; None: compared with the ideal distribution.
        margin: Chi-square distance that counts as the same, >= 0.
        alpha: Chance of a wrong verdict.
        effort: Limits of the simulation.
        executed_at: When the job began, for the snapshot's age.

    Raises:
        CircuitError: the counts do not fit the circuit, or the circuit cannot be predicted by any method.
        ValueError: ``margin`` or ``alpha`` is out of range.
    """
    shots = sum(counts.values())
    effort = effort or Effort()
    effort = replace(effort, samples=min(MAX_SAMPLES, max(effort.samples, _SAMPLES_PER_SHOT * shots)))
    return judge_prediction(
        predict(circuit, calibration, effort=effort, executed_at=executed_at),
        counts,
        margin=margin,
        alpha=alpha,
        seed=effort.seed,
    )


def judge_prediction(
    prediction: Prediction, counts: Mapping[int, int], *, margin: float = 0.0, alpha: float = ALPHA, seed: int = 0
) -> Judged:
    """The verdict on ``counts`` against a prediction that is at hand; arguments and errors as of :func:`verify`."""
    if not margin >= 0.0 or not 0.0 < alpha < 1.0:
        raise ValueError(f"`margin` must be 0 or more and `alpha` in (0, 1), but they are {margin} and {alpha}.")
    told = _compact(counts, prediction.clbits)
    shots = sum(told.values())
    if shots == 0:
        return unverified("no shots were measured", method=prediction.method)
    if prediction.unverified is not None:
        return unverified(f"{prediction.unverified}{_esp(prediction)}", method=prediction.method, shots=shots)
    if prediction.parts:
        return _by_parts(prediction, counts, margin=margin, alpha=alpha, seed=seed)
    terms = _Terms(margin, alpha, seed, prediction.degraded)
    if prediction.noisy is not None:
        return terms.against(prediction.noisy, told)
    if prediction.fidelity is None and prediction.ideal is not None:
        return terms.against(prediction.ideal, told)
    if prediction.marks is not None:
        return _by_marks(prediction, told, terms)
    ideal = prediction.ideal
    if ideal is None or ideal.outcomes is not None or prediction.fidelity is None:
        return unverified(f"no distribution to compare with{_esp(prediction)}", method=prediction.method, shots=shots)
    measured = counts_of(told, ideal.probabilities.size)
    return judge_fidelity(
        ideal.probabilities,
        measured,
        prediction.fidelity,
        method=ideal.method,
        margin=margin,
        alpha=alpha,
        degraded=prediction.degraded,
    )


class _Terms:
    """What all tests of one verdict share."""

    def __init__(self, margin: float, alpha: float, seed: int, degraded: tuple[str, ...]) -> None:
        self.margin, self.alpha, self.seed, self.degraded = margin, alpha, seed, degraded

    def against(self, reference: Reference, told: Mapping[int, int]) -> Judged:
        """The verdict against a distribution, with its own error where it has one."""
        if reference.outcomes is not None:
            return self._against_listed(reference, reference.outcomes, told)
        probabilities = _summing(reference.probabilities)
        counts = counts_of(told, probabilities.size)
        if np.isfinite(reference.worth_shots):
            return judge_sampled(
                probabilities,
                reference.worth_shots,
                counts,
                method=reference.method,
                margin=self.margin,
                alpha=self.alpha,
                degraded=self.degraded,
            )
        return judge(
            probabilities,
            counts,
            method=reference.method,
            margin=self.margin,
            alpha=self.alpha,
            seed=self.seed,
            degraded=self.degraded,
        )

    def _against_listed(self, reference: Reference, outcomes: tuple[int, ...], told: Mapping[int, int]) -> Judged:
        """Against a list of outcomes; all others are one that cannot be."""
        place = {outcome: index for index, outcome in enumerate(outcomes)}
        cells: dict[int, int] = {}
        for outcome, count in told.items():
            cell = place.get(outcome, len(outcomes))
            cells[cell] = cells.get(cell, 0) + count
        dense = Reference(method=reference.method, probabilities=np.append(reference.probabilities, 0.0))
        found = self.against(dense, cells)
        if found.verdict is Verdict.WORSE and cells.get(len(outcomes)):
            shots = sum(told.values())
            reason = f"{cells[len(outcomes)]} of {shots} shots fell on outcomes that the reference rules out"
            return replace(found, reason=reason)
        return found


def _by_parts(prediction: Prediction, counts: Mapping[int, int], *, margin: float, alpha: float, seed: int) -> Judged:
    """The worst of the groups of bits; they share ``alpha`` (Bonferroni)."""
    number = len(prediction.parts)
    found = [
        judge_prediction(part, _marginal(counts, part.clbits), margin=margin, alpha=alpha / number, seed=seed)
        for part in prediction.parts
    ]
    tested = [each.p_value for each in found if each.p_value is not None]
    ranks = (Verdict.WORSE, Verdict.INCONCLUSIVE, Verdict.UNVERIFIED, Verdict.CONSISTENT)
    place = min(range(number), key=lambda one: (ranks.index(found[one].verdict), found[one].p_value or 0.0))
    worst = found[place]
    bits = ", ".join(map(str, prediction.parts[place].clbits))
    reason = f"bits {bits} of {number} groups: {worst.reason}"
    if worst.verdict is Verdict.CONSISTENT:
        reason = f"each of {number} groups of bits is as predicted; correlations between groups are not tested"
    return replace(
        worst,
        reason=reason,
        method=prediction.method,
        p_value=min(1.0, number * min(tested)) if tested else None,
        degraded=prediction.degraded,
    )


def _marginal(counts: Mapping[int, int], clbits: tuple[int, ...]) -> dict[int, int]:
    """Counts in which all other bits are 0."""
    mask = sum(1 << clbit for clbit in clbits)
    found: dict[int, int] = {}
    for outcome, count in counts.items():
        found[outcome & mask] = found.get(outcome & mask, 0) + count
    return found


def _by_marks(prediction: Prediction, told: Mapping[int, int], terms: _Terms) -> Judged:
    marks = prediction.marks
    assert marks is not None
    bits = np.array([[outcome >> bit & 1 for bit in range(len(prediction.clbits))] for outcome in told], dtype=np.bool_)
    found = marks.count(bits, np.array(list(told.values()), dtype=np.int64))
    shots = sum(told.values())
    if marks.broken is None:
        # Without noise nothing may break a parity.
        listed = Reference(method=f"{marks.method}; parities of the ideal outcomes", probabilities=np.array([1.0, 0.0]))
        return terms.against(listed, {0: shots - int(found[0]), 1: int(found[0])})
    return judge_marks(
        found,
        shots,
        marks.broken,
        marks.samples,
        method=marks.method,
        margin=terms.margin,
        alpha=terms.alpha,
        degraded=terms.degraded,
    )


def _compact(counts: Mapping[int, int], clbits: tuple[int, ...]) -> dict[int, int]:
    """Counts over the measured bits alone.

    Raises:
        CircuitError: a bit is set that nothing is measured into.
    """
    mask = sum(1 << clbit for clbit in clbits)
    found: dict[int, int] = {}
    for outcome, count in counts.items():
        if outcome & ~mask:
            wrong = (outcome & ~mask).bit_length() - 1
            raise CircuitError(f"counts in which bit {wrong} is 1", "the circuit measures nothing into that bit: it stays 0")
        compact = sum((outcome >> clbit & 1) << place for place, clbit in enumerate(clbits))
        found[compact] = found.get(compact, 0) + count
    return found


def _summing(probabilities: Distribution) -> Distribution:
    """Without the last digits of single precision."""
    return np.asarray(probabilities / probabilities.sum())


def _esp(prediction: Prediction) -> str:
    return "" if prediction.esp is None else f" (estimated success probability {prediction.esp.total:.3g})"
