"""Random circuits, a device of ten qubits whose figures are all different, and real calibrations and jobs."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from qobs.model import Calibration, GateCalibration, Measured, QubitCalibration
from qobs.reference.circuit import GATES, Circuit, Operation
from qobs.reference.recycle import recycled_probabilities

FIXTURES = Path(__file__).parents[2] / "fixtures"
GENERAL = tuple(sorted(GATES))
CLIFFORD = (
    "id",
    "x",
    "y",
    "z",
    "h",
    "s",
    "sdg",
    "sx",
    "sxdg",
    "cx",
    "cy",
    "cz",
    "swap",
    "iswap",
    "ecr",
    "dcx",
    "rz",
    "rx",
    "ry",
    "rzz",
)


class Circuits:
    """Makes circuits of seeded chance."""

    @staticmethod
    def random(
        seed: int, *, width: int, gates: int, clbits: int, names: tuple[str, ...] = GENERAL, middle: float = 0.15
    ) -> Circuit:
        """Gates at random, with measurements and resets in the middle, and all but one qubit measured in the end, crossed."""
        rng = np.random.default_rng(seed)
        quarter = names is CLIFFORD
        operations: list[Operation] = []
        while len(operations) < gates:
            name = names[rng.integers(len(names))]
            shape = GATES[name]
            if shape.qubits > width:
                continue
            angles = rng.integers(-4, 5, shape.params) * np.pi / 2 if quarter else rng.uniform(-4, 4, shape.params)
            qubits = tuple(int(qubit) for qubit in rng.permutation(width)[: shape.qubits])
            operations.append(Operation(name, qubits, tuple(float(angle) for angle in angles)))
            if rng.random() < middle:
                qubit = (int(rng.integers(width)),)
                measure = Operation("measure", qubit, (), (int(rng.integers(clbits)),))
                operations.append(measure if rng.random() < 0.5 else Operation("reset", qubit))
        for qubit in rng.permutation(width)[: max(1, width - 1)]:
            operations.append(Operation("measure", (int(qubit),), (), (int(rng.integers(clbits)),)))
        return Circuits.of(operations, width, clbits)

    @staticmethod
    def of(operations: list[Operation], width: int, clbits: int) -> Circuit:
        """A circuit on hardware qubits of the same numbers."""
        return Circuit(width=width, operations=tuple(operations), clbits=clbits, physical=tuple(range(width)))

    @staticmethod
    def layers(width: int, depth: int, *, seed: int = 0) -> Circuit:
        """Random rotations and neighbouring CZ, in what a device runs; every qubit measured into the bit of its number."""
        rng = np.random.default_rng(seed)
        operations = []
        for layer in range(depth):
            for qubit in range(width):
                for name in ("rz", "sx", "rz"):
                    angle = (float(rng.uniform(0, 3)),) if name == "rz" else ()
                    operations.append(Operation(name, (qubit,), angle))
            operations += [Operation("cz", (qubit, qubit + 1)) for qubit in range(layer % 2, width - 1, 2)]
        operations += [Operation("measure", (qubit,), (), (qubit,)) for qubit in range(width)]
        return Circuits.of(operations, width, width)

    @staticmethod
    def ghz(width: int) -> Circuit:
        """All bits equal, in H by rz and sx, and CX by sx, rz and cz."""
        half = (np.pi / 2,)
        operations: list[Operation] = []
        for qubit in range(width):
            turned = [Operation("rz", (qubit,), half), Operation("sx", (qubit,)), Operation("rz", (qubit,), half)]
            operations += turned
            if qubit:
                operations += [Operation("cz", (qubit - 1, qubit)), *turned]
        operations += [Operation("measure", (qubit,), (), (qubit,)) for qubit in range(width)]
        return Circuits.of(operations, width, width)

    @staticmethod
    def everywhere(probabilities: np.ndarray, clbits: tuple[int, ...], count: int) -> np.ndarray:
        """A distribution over measured bits as one over all classical bits."""
        whole = np.zeros(1 << count)
        for outcome, share in enumerate(probabilities):
            whole[sum((outcome >> place & 1) << clbit for place, clbit in enumerate(clbits))] += share
        return whole

    @staticmethod
    def recycled(circuit: Circuit, most: int = 20) -> np.ndarray:
        """Ideal probabilities."""
        return recycled_probabilities(circuit, max_qubits=most)[0]


@pytest.fixture(scope="session")
def circuits() -> type[Circuits]:
    """The maker of circuits."""
    return Circuits


@pytest.fixture(scope="session")
def clifford_gates() -> tuple[str, ...]:
    """Gates that are Clifford at multiples of a quarter turn."""
    return CLIFFORD


@pytest.fixture(scope="session")
def device() -> Calibration:
    """A line of thirty qubits; every figure differs from every other, and readout is asymmetric."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    qubits = tuple(
        QubitCalibration(
            qubit=qubit,
            t1_seconds=Measured(1e-4 + 3e-6 * qubit),
            t2_seconds=Measured(8e-5 + 2e-6 * qubit),
            prob_meas0_prep1=Measured(0.03 + 0.001 * qubit),
            prob_meas1_prep0=Measured(0.01 + 0.0005 * qubit),
            readout_seconds=Measured(1.5e-6),
        )
        for qubit in range(30)
    )
    single = [
        GateCalibration(gate=gate, qubits=(qubit,), error=Measured(3e-4 + 1e-5 * qubit), duration_seconds=Measured(32e-9))
        for qubit in range(30)
        for gate in ("sx", "x")
    ]
    double = [
        GateCalibration(
            gate="cz", qubits=(qubit, qubit + 1), error=Measured(8e-3 + 2e-4 * qubit), duration_seconds=Measured(68e-9)
        )
        for qubit in range(29)
    ]
    return Calibration(
        provider="ibm",
        source="test",
        account="test",
        backend="line",
        calibrated_at=at,
        qubits=qubits,
        gates=(*single, *double),
        couplings=tuple((qubit, qubit + 1) for qubit in range(29)),
    )


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compressed fixtures of real calibrations and jobs, unpacked under their own names."""
    folder = tmp_path_factory.mktemp("real")
    for kind in ("calibration_csv", "real_jobs"):
        for packed in sorted((FIXTURES / kind).glob("*.gz")):
            (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


@pytest.fixture(scope="session")
def eagle() -> Calibration:
    """A snapshot of ibm_brisbane."""
    from qobs.model import Raw, Stream
    from qobs.sources.quantum.ibm_calibration import calibration
    from qobs.sources.quantum.ibm_jobs import Owner

    body = gzip.decompress((FIXTURES / "ibm" / "snapshots" / "props_brisbane.json.gz").read_bytes())
    raw = Raw(stream=Stream.CALIBRATIONS, kind="properties", body=body, fetched_at=datetime(2026, 1, 1, tzinfo=UTC))
    return calibration(raw, Owner(source="test", account="test")).calibrations[0]
