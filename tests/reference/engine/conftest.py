"""Random circuits, Aer's answers, and an independent state vector: what the engine's tests compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import UnitaryGate, XXMinusYYGate, XXPlusYYGate
from qiskit_aer import AerSimulator

from qobs.reference.circuit import GATES, Circuit, Operation
from qobs.reference.matrices import matrix
from qobs.reference.noise import GateNoise, NoiseModel, Relaxation
from qobs.reference.readout import ReadoutError
from qobs.reference.twirl import TwirledNoise
from qobs.reference.twirled_noise import twirled

EXCHANGES = {"xx_plus_yy": XXPlusYYGate, "xx_minus_yy": XXMinusYYGate}


class Circuits:
    """Makes circuits."""

    def gates(self, width: int, count: int, seed: int, names: Sequence[str] = ()) -> tuple[Operation, ...]:
        """Random gates, of all that fit where no names are given; each name comes once before any comes twice."""
        rng = np.random.default_rng(seed)
        names = names or [name for name, shape in GATES.items() if shape.qubits <= width]
        order = [names[place] for _ in range(-(-count // len(names))) for place in rng.permutation(len(names))]
        return tuple(self.gate(name, width, rng) for name in order[:count])

    def gate(self, name: str, width: int, rng: np.random.Generator) -> Operation:
        """One gate on random qubits with random angles."""
        shape = GATES[name]
        qubits = tuple(rng.permutation(width)[: shape.qubits].tolist())
        return Operation(name, qubits, tuple(rng.uniform(-7, 7, shape.params).tolist()))

    def measured(self, width: int, gates: Sequence[Operation], bits: Sequence[tuple[int, int]] = (), clbits: int = -1) -> Circuit:
        """Gates, then measurements: (qubit, bit) pairs, or all in order."""
        pairs = bits or tuple((qubit, qubit) for qubit in range(width))
        operations = (*gates, *(Operation("measure", (qubit,), (), (bit,)) for qubit, bit in pairs))
        count = clbits if clbits >= 0 else 1 + max(bit for _, bit in pairs)
        return Circuit(width=width, operations=operations, clbits=count, physical=tuple(range(width)))


def _for_aer(circuit: Circuit) -> QuantumCircuit:
    """The same circuit for Aer, without its measurements; gates that Qiskit's library lacks as matrices."""
    made = QuantumCircuit(circuit.width)
    for operation in circuit.operations:
        if operation.name == "measure":
            continue
        if hasattr(made, operation.name) and operation.name != "ms":
            getattr(made, operation.name)(*operation.params, *operation.qubits)
        elif operation.name in EXCHANGES:
            made.append(EXCHANGES[operation.name](*operation.params), operation.qubits)
        else:
            made.append(UnitaryGate(matrix(operation.name, operation.params)), operation.qubits)
    return made


@pytest.fixture(scope="session")
def circuits() -> Circuits:
    """A maker of circuits."""
    return Circuits()


@pytest.fixture(scope="session")
def aer() -> Callable[[Circuit], np.ndarray]:
    """Aer's exact probabilities over qubits, in double precision."""
    simulator = AerSimulator(method="statevector", max_parallel_threads=1)

    def run(circuit: Circuit) -> np.ndarray:
        made = transpile(_for_aer(circuit), simulator, optimization_level=0)
        made.save_probabilities()
        return np.asarray(simulator.run(made).result().data()["probabilities"])

    return run


@pytest.fixture
def noise_of() -> Callable[[Circuit, dict[int, tuple[float, float]]], TwirledNoise]:
    """Twirled noise of a circuit whose gates all relax and depolarise a little, with the given readout errors."""

    def make(circuit: Circuit, readout: dict[int, tuple[float, float]]) -> TwirledNoise:
        relaxation = Relaxation(100e-6, 80e-6, 100e-9)
        model = NoiseModel(
            gates=tuple(
                GateNoise(0.004, 0.003, (relaxation,) * len(operation.qubits)) if operation.name in GATES else None
                for operation in circuit.operations
            ),
            idle=tuple((None,) * len(operation.qubits) for operation in circuit.operations),
            readout={qubit: ReadoutError(*errors) for qubit, errors in readout.items()},
            degraded=(),
            calibrated_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return twirled(circuit, model)

    return make
