"""Real snapshots cut to a few qubits, as qobs reads them and as qiskit-aer does, and circuits that only such devices run."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qiskit_aer.noise import NoiseModel as AerModel

from qobs.model import Calibration, GateCalibration, Measured, QubitCalibration, Raw, Stream
from qobs.reference.circuit import GATES, Circuit, Operation
from qobs.sources.quantum import ibm_calibration
from qobs.sources.quantum.ibm_jobs import Owner

SNAPSHOTS = Path(__file__).parents[2] / "fixtures" / "ibm" / "snapshots"
AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Device:
    """One snapshot: the calibration of the whole device, and Aer's model of ``qubits`` only, renumbered."""

    calibration: Calibration
    qubits: tuple[int, ...]
    pairs: tuple[tuple[str, int, int], ...]
    """Two-qubit gates between them, in dense numbers."""
    aer: AerModel
    """Aer's own construction from the properties."""


def _cut(properties: dict[str, Any], qubits: Sequence[int]) -> Any:
    dense = {qubit: place for place, qubit in enumerate(qubits)}
    gates = [
        SimpleNamespace(
            gate=gate["gate"],
            qubits=[dense[qubit] for qubit in gate["qubits"]],
            parameters=[SimpleNamespace(**parameter) for parameter in gate["parameters"]],
        )
        for gate in properties["gates"]
        if dense.keys() >= set(gate["qubits"]) and gate["gate"] != "reset"
    ]
    table = [[SimpleNamespace(**parameter) for parameter in properties["qubits"][qubit]] for qubit in qubits]
    seconds = {"us": 1e-6, "µs": 1e-6, "ns": 1e-9, "ms": 1e-3, "s": 1.0}

    def time(name: str, place: int) -> float:
        found = next(parameter for parameter in table[place] if parameter.name == name)
        return found.value * seconds[found.unit]

    return SimpleNamespace(
        gates=gates,
        qubits=table,
        t1=lambda place: time("T1", place),
        t2=lambda place: time("T2", place),
        frequency=lambda place: 5e9,
    )


@pytest.fixture(scope="session")
def read_device() -> Callable[[str, tuple[int, ...]], Device]:
    """Reads a snapshot by name and cuts it; each once, since Aer takes its time."""

    @cache
    def read(name: str, qubits: tuple[int, ...]) -> Device:
        body = gzip.decompress((SNAPSHOTS / f"props_{name}.json.gz").read_bytes())
        raw = Raw(stream=Stream.CALIBRATIONS, kind="properties", body=body, fetched_at=AT, about={"backend": name})
        (calibration,) = ibm_calibration.calibration(raw, Owner("lab", "a/1:2")).calibrations
        dense = {qubit: place for place, qubit in enumerate(qubits)}
        pairs = tuple(
            (gate.gate, dense[gate.qubits[0]], dense[gate.qubits[1]])
            for gate in calibration.gates
            if len(gate.qubits) == 2 and dense.keys() >= set(gate.qubits) and not gate.faulty
        )
        return Device(calibration, qubits, pairs, AerModel.from_backend_properties(_cut(json.loads(body), qubits), dt=1e-9))

    return read


@pytest.fixture(scope="session")
def native_circuit() -> Callable[[Device, int, int], Circuit]:
    """A random circuit in a device's own gates, measured into permuted bits."""

    def build(device: Device, gates: int, seed: int) -> Circuit:
        chance = np.random.default_rng(seed)
        width = len(device.qubits)
        operations = []
        for _ in range(gates):
            qubit = int(chance.integers(width))
            operations += [Operation("rz", (qubit,), (float(chance.uniform(-3, 3)),)), Operation("sx", (qubit,))]
            if device.pairs and chance.random() < 0.5:
                name, first, second = device.pairs[int(chance.integers(len(device.pairs)))]
                operations.append(Operation(name, (first, second), (0.4,) * GATES[name].params))
        bits = [int(bit) for bit in chance.permutation(width)]
        operations += [Operation("measure", (qubit,), (), (bits[qubit],)) for qubit in range(width)]
        return Circuit(width=width, operations=tuple(operations), clbits=width, physical=device.qubits)

    return build


def gate(name: str, *qubits: int, error: float | None = 0.01, seconds: float | None = 50e-9, **marks: bool) -> GateCalibration:
    """A gate's figures."""
    return GateCalibration(
        gate=name,
        qubits=qubits,
        error=None if error is None else Measured(error),
        duration_seconds=None if seconds is None else Measured(seconds),
        **marks,
    )


def qubit(number: int, **figures: float) -> QubitCalibration:
    """A qubit's figures: good ones unless told otherwise; NaN stands for itself, and ``operational`` for a mark."""
    told = {
        "t1_seconds": 100e-6,
        "t2_seconds": 80e-6,
        "prob_meas1_prep0": 0.02,
        "prob_meas0_prep1": 0.06,
        "readout_seconds": 1e-6,
        **figures,
    }
    operational = bool(told.pop("operational", True))
    return QubitCalibration(
        qubit=number, operational=operational, **{name: Measured(value) for name, value in told.items() if value is not None}
    )


@pytest.fixture
def make_gate() -> Callable[..., GateCalibration]:
    """See :func:`gate`."""
    return gate


@pytest.fixture
def make_qubit() -> Callable[..., QubitCalibration]:
    """See :func:`qubit`."""
    return qubit


@pytest.fixture
def make_calibration() -> Callable[..., Calibration]:
    """A calibration of a made-up device."""

    def make(qubits: Sequence[QubitCalibration] = (), gates: Sequence[GateCalibration] = (), **more: Any) -> Calibration:
        return Calibration(
            provider="ibm",
            source="lab",
            account="a",
            backend="toy",
            calibrated_at=AT,
            qubits=tuple(qubits),
            gates=tuple(gates),
            **more,
        )

    return make


@pytest.fixture
def make_circuit() -> Callable[..., Circuit]:
    """A circuit from ``(name, qubits, params)`` rows; ``("measure", (qubit,), bit)`` measures."""

    def make(*rows: tuple[Any, ...], width: int | None = None, physical: tuple[int, ...] | None = None) -> Circuit:
        operations = tuple(
            Operation("measure", row[1], (), (row[2],)) if row[0] == "measure" else Operation(row[0], row[1], *row[2:])
            for row in rows
        )
        count = width or 1 + max(q for operation in operations for q in operation.qubits)
        clbits = 1 + max((bit for operation in operations for bit in operation.clbits), default=-1)
        return Circuit(width=count, operations=operations, clbits=clbits, physical=physical or tuple(range(count)))

    return make
