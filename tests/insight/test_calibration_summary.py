"""Device-level figures of a calibration snapshot, shaped like IBM's, IonQ's and worse."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from qobs.insight.calibration import newest_parameter_at, oldest_parameter_at, summarize
from qobs.model import Calibration, DeviceCalibration, GateCalibration, Measured, QubitCalibration

T0 = datetime(2026, 3, 1, 6, 0, 0, tzinfo=UTC)


def hours(count: float) -> datetime:
    return T0 + timedelta(hours=count)


def calibration(**fields: object) -> Calibration:
    return Calibration(provider="ibm", source="lab", account="a", backend="ibm_fez", calibrated_at=T0, **fields)  # type: ignore[arg-type]


def qubit(number: int, t1: float, *, at: datetime | None = None, operational: bool = True) -> QubitCalibration:
    return QubitCalibration(
        qubit=number,
        operational=operational,
        t1_seconds=Measured(t1, at),
        t2_seconds=Measured(t1 / 2, at),
        readout_error=Measured(0.01 * (number + 1), at),
        readout_seconds=Measured(1.2e-6, at),
    )


def gate(
    name: str, qubits: tuple[int, ...], error: float | None, seconds: float | None, *, at: datetime | None = None
) -> GateCalibration:
    return GateCalibration(
        gate=name,
        qubits=qubits,
        error=None if error is None else Measured(error, at),
        duration_seconds=None if seconds is None else Measured(seconds, at),
    )


def faulty(name: str, qubits: tuple[int, ...]) -> GateCalibration:
    """As the IBM source tells a published gate error of exactly 1."""
    return GateCalibration(gate=name, qubits=qubits, duration_seconds=Measured(68e-9, hours(-4000)), faulty=True)


HERON = calibration(
    qubits=(
        qubit(0, 100e-6, at=hours(-1)),
        qubit(1, 300e-6, at=hours(-3)),
        qubit(2, 200e-6, at=hours(0.5)),
        qubit(3, 5e-6, at=hours(-900), operational=False),
    ),
    gates=(
        *(gate("rz", (q,), 0.0, 0.0, at=hours(-8000)) for q in range(4)),
        *(gate("sx", (q,), 2e-4 * (q + 1), 24e-9, at=hours(-2)) for q in range(4)),
        *(gate("reset", (q,), None, 1.6e-6, at=hours(-7000)) for q in range(4)),
        gate("measure", (0,), 0.04, 1.2e-6, at=hours(-6000)),
        gate("cz", (0, 1), 3e-3, 68e-9, at=hours(-30)),
        gate("cz", (1, 0), 3e-3, 72e-9, at=hours(-30)),
        gate("cz", (1, 2), 9e-3, 84e-9, at=hours(-2)),
        gate("cz", (2, 3), 1e-4, 10e-9, at=hours(-5000)),
        *(faulty("rzz", pair) for pair in ((0, 1), (1, 2), (2, 3))),
    ),
)


def test_medians_are_over_working_physical_parts() -> None:
    """A broken qubit, a software gate or a gate that was never calibrated must not move the figure that alerts look at."""
    assert summarize(HERON) == DeviceCalibration(
        t1_seconds=200e-6,
        t2_seconds=100e-6,
        readout_error=0.02,
        gate_error_1q=4e-4,
        gate_error_2q=3e-3,
        gate_error_1q_worst=2e-4 * 3,
        gate_error_2q_worst=9e-3,
        gate_1q_seconds=24e-9,
        gate_2q_seconds=72e-9,
        readout_seconds=1.2e-6,
        faulty_qubits=1,
        faulty_gates=3,
    )


def test_age_is_that_of_working_physical_parameters() -> None:
    """A gate that was switched off months ago does not make a device stale; a coupler last measured a day ago does."""
    assert oldest_parameter_at(HERON) == hours(-30)
    assert newest_parameter_at(HERON) == hours(0.5)


def test_published_figures_win_and_the_rest_is_computed() -> None:
    """IonQ publishes fidelities of the whole device: they are shown as published, beside what we can compute."""
    published = DeviceCalibration(gate_error_2q=4e-3, t1_seconds=10.0, faulty_gates=0)
    summary = summarize(calibration(qubits=HERON.qubits, gates=HERON.gates, published=published))
    assert (summary.gate_error_2q, summary.t1_seconds, summary.faulty_gates) == (4e-3, 10.0, 0)
    assert (summary.t2_seconds, summary.gate_error_1q, summary.faulty_qubits) == (100e-6, 4e-4, 1)


def test_published_figures_alone_are_the_summary() -> None:
    """A device without per-qubit values has no invented ones."""
    published = DeviceCalibration(gate_error_1q=1e-4, gate_1q_seconds=135e-6, readout_error=0.0)
    assert summarize(calibration(published=published)) == published


def test_nothing_published_is_none_not_zero() -> None:
    """An empty snapshot must show as missing samples, and its number of faulty parts as unknown."""
    assert summarize(calibration()) == DeviceCalibration()
    assert oldest_parameter_at(calibration()) is None
    assert newest_parameter_at(calibration()) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_left_out(value: float) -> None:
    """One NaN would make the median of a hundred qubits depend on their order."""
    summary = summarize(
        calibration(
            qubits=(qubit(0, value), qubit(1, 50e-6)),
            gates=(gate("cx", (0, 1), value, value), gate("cx", (1, 0), 0.01, 3e-7)),
        )
    )
    assert (summary.t1_seconds, summary.gate_error_2q, summary.gate_error_2q_worst, summary.gate_2q_seconds) == (
        50e-6,
        0.01,
        0.01,
        3e-7,
    )


def test_readout_only_devices_have_a_readout_median() -> None:
    """A provider that publishes nothing but readout still gets that figure."""
    only = tuple(
        QubitCalibration(qubit=number, readout_error=Measured(error)) for number, error in enumerate((0.01, 0.02, 0.04, 0.09))
    )
    assert summarize(calibration(qubits=only)) == DeviceCalibration(readout_error=0.03, faulty_qubits=0)


def test_a_physical_gate_without_error_still_has_a_duration() -> None:
    """Error 0 with a duration is a claim about a real gate; a gate of three qubits belongs to no arity that is shown."""
    summary = summarize(
        calibration(gates=(gate("gpi", (0,), 0.0, 1e-4), gate("gpi", (1,), None, 3e-4), gate("ccx", (0, 1, 2), 0.5, 1.0)))
    )
    assert (summary.gate_error_1q, summary.gate_error_2q) == (0.0, None)
    assert summary.gate_1q_seconds == pytest.approx(2e-4)


def test_a_virtual_gate_may_lack_its_duration() -> None:
    """An error of exactly 0 that takes no known time is no measurement."""
    assert summarize(calibration(gates=(gate("rz", (0,), 0.0, None),))) == DeviceCalibration(faulty_gates=0)
