"""What a circuit should answer, whatever its width: one prediction, by the best method that fits it, and the method named.

    circuit + calibration -> noise model -> reduced -> ideal: state vector | recycled | stabilisers | MPS
                                                    -> noisy: exact | trajectories | stabilisers with Pauli errors | fidelity only

Nothing is refused in silence: what could not be computed has its reason in ``unverified`` or ``degraded``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np

from qobs.errors import CircuitError
from qobs.model import Calibration
from qobs.reference.circuit import Circuit
from qobs.reference.cone import reduced
from qobs.reference.layout import dense
from qobs.reference.noise import NoiseModel, noise_model
from qobs.reference.predict_methods import DENSE_BITS, Predictor
from qobs.reference.predict_records import Effort, Marks, Prediction, Reference
from qobs.reference.wide_groups import GROUP_BITS, groups

__all__ = ["Effort", "Marks", "Prediction", "Reference", "drawn", "predict"]

_PART_QUBITS = 16
"""Held together for each of many groups of bits."""


def predict(
    circuit: Circuit, calibration: Calibration | None = None, *, effort: Effort | None = None, executed_at: datetime | None = None
) -> Prediction:
    """The prediction for a circuit, of any width.

    Args:
        circuit: As parsed; ``physical`` names the hardware qubits.
        calibration: The snapshot in force when it ran; None: ideal only.
        effort: Limits; the default is meant for one circuit at a time.
        executed_at: When the job began, for the snapshot's age.

    Raises:
        CircuitError: it measures nothing, or is no circuit of known gates.
    """
    effort = effort or Effort()
    small = dense(circuit)
    model = None if calibration is None else noise_model(calibration, small, executed_at=executed_at)
    found = reduced(small, model)
    whole = Predictor(found, effort).run()
    if whole.unverified is None or len(found.clbits) <= DENSE_BITS:
        return whole
    return _in_parts(whole, small, model, effort)


def _in_parts(whole: Prediction, circuit: Circuit, model: NoiseModel | None, effort: Effort) -> Prediction:
    """The prediction with those of groups of bits, where any can be computed."""
    found = groups(circuit)
    effort = replace(
        effort,
        max_qubits=min(effort.max_qubits, _PART_QUBITS),
        trajectory_work=effort.trajectory_work // len(found),
        matrix_product=False,
    )
    parts, reasons = [], []
    for clbits in found:
        try:
            part = Predictor(reduced(circuit, model, clbits=clbits), effort).run()
        except CircuitError as error:
            reasons.append(str(error))
            continue
        if part.unverified is None:
            parts.append(part)
        else:
            reasons.append(part.unverified)
    if not parts:
        return replace(whole, unverified="; ".join(dict.fromkeys([*str(whole.unverified).split("; "), *reasons])))
    left_out = [f"{len(found) - len(parts)} of {len(found)} groups of bits: {reasons[0]}"] if reasons else []
    return replace(
        whole,
        method=f"{len(parts)} groups of at most {GROUP_BITS} bits, the first by: {parts[0].method}",
        qubits=max(part.qubits for part in parts),
        parts=tuple(parts),
        degraded=tuple(dict.fromkeys([*(flaw for part in parts for flaw in part.degraded), *left_out])),
        unverified=None,
    )


def drawn(prediction: Prediction, shots: int, *, seed: int) -> dict[int, int] | None:
    """Random counts by outcome index, from the noisy distribution, else the ideal one; None where there is neither."""
    reference = prediction.noisy or prediction.ideal
    if reference is None:
        return None
    shares = reference.probabilities / reference.probabilities.sum()
    counts = np.random.default_rng(seed).multinomial(shots, shares)
    cells = np.flatnonzero(counts).tolist()
    return dict(zip(prediction.outcomes(reference, cells), counts[cells].tolist(), strict=True))
