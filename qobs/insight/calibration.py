"""A device in a dozen numbers: medians and worst values of one calibration snapshot, and how old its parameters are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from math import isfinite
from statistics import median

from qobs.model import Calibration, DeviceCalibration, GateCalibration, Measured, QubitCalibration

PSEUDO_GATES = frozenset(
    {"measure", "measure_2", "reset", "delay", "barrier", "if_else", "for_loop", "while_loop", "switch_case"}
)
"""Instructions that some providers list among the gates, but that are none."""

_QUBIT_PARAMETERS: tuple[Callable[[QubitCalibration], Measured | None], ...] = (
    lambda qubit: qubit.t1_seconds,
    lambda qubit: qubit.t2_seconds,
    lambda qubit: qubit.frequency_hertz,
    lambda qubit: qubit.anharmonicity_hertz,
    lambda qubit: qubit.readout_error,
    lambda qubit: qubit.prob_meas0_prep1,
    lambda qubit: qubit.prob_meas1_prep0,
    lambda qubit: qubit.readout_seconds,
)


def summarize(calibration: Calibration) -> DeviceCalibration:
    """Device-level figures: the provider's own where it publishes them, else computed from its qubits and gates.

    Medians are over working parts only: qubits that are operational, and gates that are neither faulty, nor virtual, nor on a
    qubit that is not operational. Every direction and kind of gate weighs the same within its arity. Values that are
    no finite number are left out. None: the provider publishes nothing to compute it from.

    Faulty gates are those with the provider's mark; gates on a faulty qubit are not counted for that alone.
    """
    computed = _computed(calibration)
    if calibration.published is None:
        return computed
    published = calibration.published
    return DeviceCalibration(
        **{
            field: getattr(computed, field) if getattr(published, field) is None else getattr(published, field)
            for field in DeviceCalibration.__struct_fields__
        }
    )


def oldest_parameter_at(calibration: Calibration) -> datetime | None:
    """When the stalest parameter of a working qubit or gate was measured; None where no parameter has a time.

    It may be months before ``calibrated_at``: providers do not measure everything every time.
    """
    return min(_times(calibration), default=None)


def newest_parameter_at(calibration: Calibration) -> datetime | None:
    """When the freshest parameter of a working qubit or gate was measured; None where no parameter has a time.

    It may be later than ``calibrated_at``, and ahead of our clock where the provider's is.
    """
    return max(_times(calibration), default=None)


def virtual(gate: GateCalibration) -> bool:
    """True for gates that take no time and make no error, because they are done in software (``rz``), and for pseudo gates."""
    if gate.gate in PSEUDO_GATES:
        return True
    error, duration = gate.error, gate.duration_seconds
    return error is not None and error.value == 0.0 and (duration is None or duration.value == 0.0)


def _computed(calibration: Calibration) -> DeviceCalibration:
    qubits, gates = tuple(_working_qubits(calibration)), tuple(_working_gates(calibration))
    single = [gate for gate in gates if len(gate.qubits) == 1]
    double = [gate for gate in gates if len(gate.qubits) == 2]
    return DeviceCalibration(
        t1_seconds=_median(qubit.t1_seconds for qubit in qubits),
        t2_seconds=_median(qubit.t2_seconds for qubit in qubits),
        readout_error=_median(qubit.readout_error for qubit in qubits),
        gate_error_1q=_median(gate.error for gate in single),
        gate_error_2q=_median(gate.error for gate in double),
        gate_error_1q_worst=max(_values(gate.error for gate in single), default=None),
        gate_error_2q_worst=max(_values(gate.error for gate in double), default=None),
        gate_1q_seconds=_median(gate.duration_seconds for gate in single),
        gate_2q_seconds=_median(gate.duration_seconds for gate in double),
        readout_seconds=_median(qubit.readout_seconds for qubit in qubits),
        faulty_qubits=sum(not qubit.operational for qubit in calibration.qubits) if calibration.qubits else None,
        faulty_gates=sum(gate.faulty for gate in calibration.gates) if calibration.gates else None,
    )


def _working_qubits(calibration: Calibration) -> Iterator[QubitCalibration]:
    return (qubit for qubit in calibration.qubits if qubit.operational)


def _working_gates(calibration: Calibration) -> Iterator[GateCalibration]:
    broken = {qubit.qubit for qubit in calibration.qubits if not qubit.operational}
    for gate in calibration.gates:
        if not gate.faulty and not virtual(gate) and broken.isdisjoint(gate.qubits):
            yield gate


def _values(measured: Iterable[Measured | None]) -> list[float]:
    return [value.value for value in measured if value is not None and isfinite(value.value)]


def _median(measured: Iterable[Measured | None]) -> float | None:
    values = _values(measured)
    return median(values) if values else None


def _times(calibration: Calibration) -> Iterator[datetime]:
    for qubit in _working_qubits(calibration):
        for parameter in _QUBIT_PARAMETERS:
            measured = parameter(qubit)
            if measured is not None and measured.at is not None:
                yield measured.at
    for gate in _working_gates(calibration):
        for measured in (gate.error, gate.duration_seconds):
            if measured is not None and measured.at is not None:
                yield measured.at
