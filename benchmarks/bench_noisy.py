"""Exact noisy distributions: qobs against qiskit-aer's density matrix, in one process, interleaved.

    python benchmarks/bench_noisy.py [--circuits 5x5 line:8x20 ghz:8 10x3] [--batch 16] [--rounds 3] [--calls 4]

A circuit ``NxD`` is a quantum volume circuit of N qubits and D layers in rz, sx and cz on any pair; ``line:NxD`` has layers of
rotations and cz between neighbours; ``ghz:N`` is thin. Noise follows every sx and cz. Both sides have the noise of these
qubits only, one thread, and give all probabilities: of qobs the time includes the noise model and the lowering of every circuit,
of Aer everything in ``run`` (its noise model is built once, before). Parsing is outside on both sides.

Figures are process CPU seconds of many calls over their number: the least of single calls would miss what other threads do. The
first call, which compiles, is told apart. Answers are compared: the total variation distance is in the last column.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel as AerModel
from qiskit_aer.noise import depolarizing_error, thermal_relaxation_error

from qobs.model import Calibration, GateCalibration, Measured, QubitCalibration
from qobs.reference.circuit import Circuit, Operation
from qobs.reference.exact import batch_noisy_probabilities, noisy_probabilities
from qobs.reference.exact_kernel import programs
from qobs.reference.noise import Relaxation, depolarizing_weight, noise_model, relaxation_infidelity

T1, T2, SX_SECONDS, CZ_SECONDS, SX_ERROR, CZ_ERROR = 120e-6, 90e-6, 40e-9, 80e-9, 3e-4, 5e-3


class Shape(NamedTuple):
    """Qubits and layers of a circuit of some kind: ``qv``, ``line`` or ``ghz``."""

    qubits: int
    layers: int
    kind: str = "qv"


def shape(text: str) -> Shape:
    """``8x2``, ``line:8x2`` or ``ghz:8`` as a shape."""
    kind, _, size = text.rpartition(":")
    qubits, _, layers = size.partition("x")
    return Shape(int(qubits), int(layers or 1), kind or "qv")


def compiled(wanted: Shape) -> QuantumCircuit:
    """A circuit in rz, sx and cz."""
    if wanted.kind == "qv":
        built = quantum_volume(wanted.qubits, wanted.layers, seed=1)
    else:
        built = ghz(wanted.qubits) if wanted.kind == "ghz" else line(wanted)
    return transpile(built, basis_gates=["rz", "sx", "cz"], optimization_level=1, seed_transpiler=1)


def ghz(qubits: int) -> QuantumCircuit:
    """One entangled chain."""
    built = QuantumCircuit(qubits)
    built.h(0)
    for low in range(qubits - 1):
        built.cx(low, low + 1)
    return built


def line(wanted: Shape) -> QuantumCircuit:
    """Layers of rotations, and of gates between even and odd neighbours: no two on one pair in a row."""
    built, chance = QuantumCircuit(wanted.qubits), np.random.default_rng(3)
    for layer in range(wanted.layers):
        for qubit in range(wanted.qubits):
            built.u(*chance.uniform(-3, 3, 3).tolist(), qubit)
        for low in range(layer % 2, wanted.qubits - 1, 2):
            built.cz(low, low + 1)
    return built


def turned(built: QuantumCircuit, chance: np.random.Generator) -> QuantumCircuit:
    """The same circuit with other angles."""
    other = built.copy_empty_like()
    for step in built.data:
        operation = step.operation
        if operation.name == "rz":
            operation = operation.to_mutable()
            operation.params = [float(chance.uniform(-np.pi, np.pi))]
        other.append(operation, step.qubits)
    return other


def read(built: QuantumCircuit) -> Circuit:
    """For qobs."""
    steps = [(step.operation, tuple(built.find_bit(qubit).index for qubit in step.qubits)) for step in built.data]
    operations = [Operation(gate.name, qubits, tuple(float(angle) for angle in gate.params)) for gate, qubits in steps]
    operations += [Operation("measure", (qubit,), (), (qubit,)) for qubit in range(built.num_qubits)]
    width = built.num_qubits
    return Circuit(width=width, operations=tuple(operations), clbits=width, physical=tuple(range(width)))


def calibration(width: int) -> Calibration:
    """Of a device that has ``width`` equal qubits, coupled all to all."""
    told = {"t1_seconds": T1, "t2_seconds": T2, "prob_meas1_prep0": 0.0, "prob_meas0_prep1": 0.0, "readout_seconds": 1e-6}
    qubits = [QubitCalibration(qubit=place, **{name: Measured(value) for name, value in told.items()}) for place in range(width)]
    pairs = [(low, high) for low in range(width) for high in range(width) if low != high]
    gates = [_gate("sx", (place,), SX_ERROR, SX_SECONDS) for place in range(width)]
    gates += [_gate("cz", pair, CZ_ERROR, CZ_SECONDS) for pair in pairs]
    return Calibration(
        provider="ibm",
        source="bench",
        account="a",
        backend="toy",
        calibrated_at=datetime(2026, 1, 1, tzinfo=UTC),
        qubits=tuple(qubits),
        gates=tuple(gates),
    )


def _gate(name: str, qubits: tuple[int, ...], error: float, seconds: float) -> GateCalibration:
    return GateCalibration(gate=name, qubits=qubits, error=Measured(error), duration_seconds=Measured(seconds))


def aer_model() -> AerModel:
    """The same noise for Aer: equal on all qubits, which is its cheapest form."""
    model = AerModel(basis_gates=["rz", "sx", "cz"])
    single = thermal_relaxation_error(T1, T2, SX_SECONDS)
    double = thermal_relaxation_error(T1, T2, CZ_SECONDS).expand(thermal_relaxation_error(T1, T2, CZ_SECONDS))
    for name, error, seconds, relaxing, qubits in (
        ("sx", SX_ERROR, SX_SECONDS, single, 1),
        ("cz", CZ_ERROR, CZ_SECONDS, double, 2),
    ):
        least = relaxation_infidelity([Relaxation(T1, T2, seconds)] * qubits)
        mixing = depolarizing_error(depolarizing_weight(error, least, qubits), qubits)
        model.add_all_qubit_quantum_error(mixing.compose(relaxing), name)
    return model


class Timer:
    """CPU seconds of one side: the first call apart."""

    def __init__(self, work: Callable[[], np.ndarray]) -> None:
        """``work`` answers for all circuits of a call."""
        self._work = work
        began = time.process_time()
        self.answer = work()
        self.first = time.process_time() - began
        self._spent, self._calls = 0.0, 0

    def again(self, calls: int) -> None:
        """Some calls one after another."""
        began = time.process_time()
        for _ in range(calls):
            self._work()
        self._spent += time.process_time() - began
        self._calls += calls

    @property
    def each(self) -> float:
        """Of a call."""
        return self._spent / self._calls


def measure(wanted: Shape, batch: int, rounds: int, calls: int) -> dict[str, Any]:
    """Both sides on one shape; figures by name."""
    chance = np.random.default_rng(7)
    built = compiled(wanted)
    circuits = [built, *(turned(built, chance) for _ in range(batch - 1))]
    ours, known = [read(each) for each in circuits], calibration(wanted.qubits)
    theirs = [_saved(each) for each in circuits]
    # With "automatic" Aer would take several threads for a batch; CPU seconds are compared, so this is for equal footing only.
    simulator = AerSimulator(method="density_matrix", noise_model=aer_model(), max_parallel_threads=1)

    def qobs_side() -> np.ndarray:
        model = noise_model(known, ours[0], idle=False)
        return batch_noisy_probabilities(ours, model) if batch > 1 else noisy_probabilities(ours[0], model)[None]

    def aer_side() -> np.ndarray:
        result = simulator.run(theirs).result()
        return np.array([result.data(place)["probabilities"] for place in range(batch)])

    first, second = Timer(qobs_side), Timer(aer_side)
    before = programs()
    for _ in range(rounds):
        first.again(calls)
        second.again(max(1, calls // 4))
    distance = np.abs(first.answer - second.answer).sum(axis=1).max() / 2
    return {
        "circuit": f"{wanted.kind}:{wanted.qubits}x{wanted.layers}",
        "gates": len(ours[0].operations) - wanted.qubits,
        "batch": batch,
        "qobs_first_call_cpu_seconds": round(first.first, 3),
        "qobs_cpu_ms_per_circuit": round(1e3 * first.each / batch, 3),
        "aer_first_call_cpu_seconds": round(second.first, 3),
        "aer_cpu_ms_per_circuit": round(1e3 * second.each / batch, 3),
        "aer_over_qobs": round(second.each / first.each, 1),
        "recompiled": programs() - before,
        "worst_tvd": float(f"{distance:.1e}"),
    }


def _saved(built: QuantumCircuit) -> QuantumCircuit:
    saved = built.copy()
    saved.save_probabilities()
    return saved


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON object a line."""
    warnings.simplefilter("ignore", DeprecationWarning)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [shape(text) for text in ("ghz:3", "5x5", "8x2", "8x8", "ghz:8", "line:8x20", "10x3")]
    parser.add_argument("--circuits", nargs="+", type=shape, default=usual)
    parser.add_argument("--batch", type=int, default=16, help="circuits of one structure in a call; each shape is also run alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=4, help="calls of a round; Aer gets a quarter of them")
    told = parser.parse_args(arguments)
    for wanted in told.circuits:
        for batch in sorted({1, told.batch}):
            print(json.dumps(measure(wanted, batch, told.rounds, told.calls)), flush=True)


if __name__ == "__main__":
    main()
