"""The figures of a device whose drift is watched: on which scale, in which direction they hurt, and what change matters.

The worst gate's error is not among them: the extreme of hundreds of gates says little about the device, and every figure that
is tested makes the others' limits wider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from math import isfinite
from typing import NamedTuple

import msgspec

from qobs.insight.calibration import summarize
from qobs.insight.robust import Transform
from qobs.model import Calibration, DeviceCalibration, GateCalibration, Measured, QubitCalibration


class Harm(Enum):
    """Which way a figure gets worse."""

    UP = 1
    DOWN = -1
    EITHER = 0


class Figure(NamedTuple):
    """One watched figure.

    ``least_change`` (in the figure's unit) and ``least_ratio`` (of the baseline) are the smallest changes that matter, however
    significant; both must be exceeded. ``resolution`` is the change on the transformed scale that a history without any spread
    cannot tell from rounding.
    """

    name: str
    of: Callable[[DeviceCalibration], float | None]
    transform: Transform
    harm: Harm
    least_change: float
    least_ratio: float = 0.1
    resolution: float = 0.01

    @property
    def signal(self) -> str:
        """Its name among the signals of all detectors."""
        return f"calibration_{self.name}"


FIGURES: tuple[Figure, ...] = (
    Figure("t1", lambda d: d.t1_seconds, Transform.LOG, Harm.DOWN, 1e-6),
    Figure("t2", lambda d: d.t2_seconds, Transform.LOG, Harm.DOWN, 1e-6),
    Figure("readout_error", lambda d: d.readout_error, Transform.LOGIT, Harm.UP, 1e-3),
    Figure("gate_error_1q", lambda d: d.gate_error_1q, Transform.LOGIT, Harm.UP, 1e-5),
    Figure("gate_error_2q", lambda d: d.gate_error_2q, Transform.LOGIT, Harm.UP, 2e-4),
    Figure("gate_duration_1q", lambda d: d.gate_1q_seconds, Transform.LOG, Harm.EITHER, 1e-9, 0.05),
    Figure("gate_duration_2q", lambda d: d.gate_2q_seconds, Transform.LOG, Harm.EITHER, 1e-9, 0.05),
    Figure("readout_duration", lambda d: d.readout_seconds, Transform.LOG, Harm.EITHER, 1e-9, 0.05),
    Figure("faulty_qubits", lambda d: d.faulty_qubits, Transform.COUNT, Harm.UP, 2.0),
    Figure("faulty_gates", lambda d: d.faulty_gates, Transform.COUNT, Harm.UP, 4.0),
)
"""What is watched of every backend, as far as its provider publishes it."""


class Reading(NamedTuple):
    """A figure as one snapshot tells it. ``error`` is its standard error, ``measured_at`` when any of it was measured last."""

    value: float
    error: float | None = None
    measured_at: datetime | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot, as far as drift is concerned: readings by name of figure. ``version`` names the epoch."""

    at: datetime
    version: str | None = None
    readings: Mapping[str, Reading] = {}

    @property
    def order(self) -> tuple[datetime, str, str]:
        """By time; equal times in an order that follows from the content, not from who came first."""
        return (self.at, self.version or "", repr(sorted(self.readings.items())))


def observed(calibration: Calibration) -> Observation:
    """What one snapshot says about the watched figures; those that it does not tell, or not as a number, are missing."""
    device, published = summarize(calibration), calibration.published
    readings = {}
    for figure in FIGURES:
        value = figure.of(device)
        if value is None or not isfinite(value):
            continue
        own = published is not None and figure.of(published) is not None
        readings[figure.name] = Reading(float(value), None, None if own else _measured_at(figure.name, calibration))
    return Observation(at=calibration.calibrated_at, version=calibration.version, readings=readings)


_OF_QUBIT: Mapping[str, Callable[[QubitCalibration], Measured | None]] = {
    "t1": lambda qubit: qubit.t1_seconds,
    "t2": lambda qubit: qubit.t2_seconds,
    "readout_error": lambda qubit: qubit.readout_error,
}
_OF_GATE: Mapping[str, tuple[int, Callable[[GateCalibration], Measured | None]]] = {
    "gate_error_1q": (1, lambda gate: gate.error),
    "gate_error_2q": (2, lambda gate: gate.error),
}


def _measured_at(name: str, calibration: Calibration) -> datetime | None:
    """The newest time of any value behind a computed figure; None where it has no times, or is no measurement."""
    told: list[Measured | None] = []
    if (of_qubit := _OF_QUBIT.get(name)) is not None:
        told = [of_qubit(qubit) for qubit in calibration.qubits]
    elif (of_gate := _OF_GATE.get(name)) is not None:
        told = [of_gate[1](gate) for gate in calibration.gates if len(gate.qubits) == of_gate[0]]
    return max((each.at for each in told if each is not None and each.at is not None), default=None)
