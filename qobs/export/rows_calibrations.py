"""Rows that mirror calibrations: times and medians of each backend, and each qubit and gate where the operator asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qobs.export.snapshot import CalibrationReading, Labels, Snapshot
from qobs.export.table import WHERE, Kind, Metric, Sample, Tier, known, times
from qobs.model import Calibration, DeviceCalibration, GateCalibration, Measured, QubitCalibration

FULL_CAP = 20_000
"""Series of one per-qubit or per-gate family: about twenty devices of 156 qubits."""


def _device(of: Callable[[DeviceCalibration], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: known((reading.where, of(reading.device)) for reading in snapshot.calibrations)


def _by_arity(
    one: Callable[[DeviceCalibration], float | None], two: Callable[[DeviceCalibration], float | None]
) -> Callable[[Snapshot], Iterator[Sample]]:
    """A figure of one-qubit and of two-qubit gates, told apart by the label ``gate_arity``."""

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        for reading in snapshot.calibrations:
            yield from known((((*reading.where, "1"), one(reading.device)), ((*reading.where, "2"), two(reading.device))))

    return samples


def _full(snapshot: Snapshot) -> Iterator[tuple[CalibrationReading, Calibration]]:
    return ((reading, reading.full) for reading in snapshot.calibrations if reading.full is not None)


def _qubits(of: Callable[[QubitCalibration], Measured | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        for reading, full in _full(snapshot):
            provider, source, backend = reading.where
            yield from [
                ((provider, source, backend, str(entry.qubit)), measured.value)
                for entry in full.qubits
                if (measured := of(entry)) is not None
            ]

    return samples


def qubit_operational(snapshot: Snapshot) -> Iterator[Sample]:
    """1 for the qubits in service, 0 for the others."""
    return (
        ((*reading.where, str(entry.qubit)), int(entry.operational)) for reading, full in _full(snapshot) for entry in full.qubits
    )


def _gates(of: Callable[[GateCalibration], Measured | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    """Gates that are calibrated: a faulty one has no figure, whatever the provider publishes in its place."""

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        for reading, full in _full(snapshot):
            provider, source, backend = reading.where
            yield from [
                ((provider, source, backend, gate.gate, _joined(gate.qubits)), measured.value)
                for gate in full.gates
                if not gate.faulty and (measured := of(gate)) is not None
            ]

    return samples


def _joined(qubits: tuple[int, ...]) -> str:
    """Qubits in the order as published: ``4_5``. Two are the common case, and worth a shorter way."""
    return f"{qubits[0]}_{qubits[1]}" if len(qubits) == 2 else "_".join(map(str, qubits))


_G = Kind.GAUGE
_ARITY = (*WHERE, "gate_arity")
_QUBIT = (*WHERE, "qubit")
_GATE = (*WHERE, "gate", "qubits")

CALIBRATION_ROWS = (
    Metric(
        "qobs_backend_calibration_timestamp_seconds",
        "The provider's time of the latest calibration.",
        _G,
        WHERE,
        lambda s: times((reading.where, reading.calibrated_at) for reading in s.calibrations),
        "seconds",
    ),
    Metric(
        "qobs_backend_oldest_parameter_timestamp_seconds",
        "The provider's time of the oldest single value in the latest calibration.",
        _G,
        WHERE,
        lambda s: times((reading.where, reading.oldest_parameter_at) for reading in s.calibrations),
        "seconds",
    ),
    Metric(
        "qobs_backend_properties_fetched_timestamp_seconds",
        "Time when qobs last read the calibration.",
        _G,
        WHERE,
        lambda s: times((reading.where, reading.fetched_at) for reading in s.calibrations),
        "seconds",
    ),
    Metric(
        "qobs_backend_t1_median_seconds",
        "Median T1 over the working qubits, computed or as published.",
        _G,
        WHERE,
        _device(lambda d: d.t1_seconds),
        "seconds",
    ),
    Metric(
        "qobs_backend_t2_median_seconds",
        "Median T2 over the working qubits, computed or as published.",
        _G,
        WHERE,
        _device(lambda d: d.t2_seconds),
        "seconds",
    ),
    Metric(
        "qobs_backend_readout_error_median_ratio",
        "Median readout error over the working qubits, computed or as published.",
        _G,
        WHERE,
        _device(lambda d: d.readout_error),
        "ratio",
    ),
    Metric(
        "qobs_backend_gate_error_median_ratio",
        "Median error of the calibrated gates, by number of qubits, computed or as published.",
        _G,
        _ARITY,
        _by_arity(lambda d: d.gate_error_1q, lambda d: d.gate_error_2q),
        "ratio",
    ),
    Metric(
        "qobs_backend_gate_error_worst_ratio",
        "Worst error of the calibrated gates, by number of qubits, computed or as published.",
        _G,
        _ARITY,
        _by_arity(lambda d: d.gate_error_1q_worst, lambda d: d.gate_error_2q_worst),
        "ratio",
    ),
    Metric(
        "qobs_backend_gate_duration_median_seconds",
        "Median duration of the calibrated gates, by number of qubits, computed or as published.",
        _G,
        _ARITY,
        _by_arity(lambda d: d.gate_1q_seconds, lambda d: d.gate_2q_seconds),
        "seconds",
    ),
    Metric(
        "qobs_backend_readout_duration_median_seconds",
        "Median duration of a readout, computed or as published.",
        _G,
        WHERE,
        _device(lambda d: d.readout_seconds),
        "seconds",
    ),
    Metric(
        "qobs_backend_faulty_qubits", "Qubits out of service, not in any median.", _G, WHERE, _device(lambda d: d.faulty_qubits)
    ),
    Metric("qobs_backend_faulty_gates", "Gates not calibrated, not in any median.", _G, WHERE, _device(lambda d: d.faulty_gates)),
)


def _full_row(name: str, help: str, labels: Labels, value: Callable[[Snapshot], Iterator[Sample]], unit: str = "") -> Metric:
    return Metric(name, help, _G, labels, value, unit, Tier.FULL, cap=FULL_CAP)


FULL_ROWS = (
    _full_row("qobs_qubit_operational", "1 when the qubit is in service, as published.", _QUBIT, qubit_operational),
    _full_row("qobs_qubit_t1_seconds", "T1 of the qubit, as published.", _QUBIT, _qubits(lambda q: q.t1_seconds), "seconds"),
    _full_row("qobs_qubit_t2_seconds", "T2 of the qubit, as published.", _QUBIT, _qubits(lambda q: q.t2_seconds), "seconds"),
    _full_row(
        "qobs_qubit_frequency_hertz",
        "Frequency of the qubit, as published.",
        _QUBIT,
        _qubits(lambda q: q.frequency_hertz),
        "hertz",
    ),
    _full_row(
        "qobs_qubit_anharmonicity_hertz",
        "Anharmonicity of the qubit, as published.",
        _QUBIT,
        _qubits(lambda q: q.anharmonicity_hertz),
        "hertz",
    ),
    _full_row(
        "qobs_qubit_readout_error_ratio",
        "Readout error of the qubit, as published.",
        _QUBIT,
        _qubits(lambda q: q.readout_error),
        "ratio",
    ),
    _full_row(
        "qobs_qubit_prob_meas0_prep1_ratio",
        "Probability of reading 0 after preparing 1, as published.",
        _QUBIT,
        _qubits(lambda q: q.prob_meas0_prep1),
        "ratio",
    ),
    _full_row(
        "qobs_qubit_prob_meas1_prep0_ratio",
        "Probability of reading 1 after preparing 0, as published.",
        _QUBIT,
        _qubits(lambda q: q.prob_meas1_prep0),
        "ratio",
    ),
    _full_row(
        "qobs_qubit_readout_duration_seconds",
        "Duration of the qubit's readout, as published.",
        _QUBIT,
        _qubits(lambda q: q.readout_seconds),
        "seconds",
    ),
    _full_row(
        "qobs_gate_error_ratio",
        "Error of the gate on these qubits, as published; absent when not calibrated.",
        _GATE,
        _gates(lambda g: g.error),
        "ratio",
    ),
    _full_row(
        "qobs_gate_duration_seconds",
        "Duration of the gate on these qubits, as published; absent when not calibrated.",
        _GATE,
        _gates(lambda g: g.duration_seconds),
        "seconds",
    ),
)
