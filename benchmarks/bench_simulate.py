"""Ideal simulation against qiskit-aer's state vector: CPU for each circuit, ours with lowering, Aer with assembly.

    .venv/bin/python benchmarks/bench_simulate.py

One thread on each side, both in this process, calls of both interleaved. A figure is the CPU of the whole process over all calls
divided by the circuits done, not the fastest call: both sides work on threads of their own, whose CPU is credited late. The first
call of each side (ours compiles) is told apart. Circuits: HEA (rotations on all qubits, then a chain of CZ), GHZ (thin), random.
Batches are HEA with other angles: ``list`` takes circuit objects on both sides, ``binding`` one circuit and an array of angles on
both sides. ``fresh`` circuits are each of a structure never seen before, after as many others have made the programs.

``noisy`` is a shallow HEA under relaxation and depolarising noise: our twirled trajectories, against Aer's exact density matrix
with the same channels; ``tvd`` is the distance between both, ``stated`` what ours expects from sampling alone (twirling costs the
rest). Ratios above 1 are in our favour.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, QuantumError, depolarizing_error, thermal_relaxation_error

from qobs.reference.circuit import Circuit, Operation
from qobs.reference.engine import probabilities, probabilities_batch, programs, sweep
from qobs.reference.trajectories import noisy_probabilities
from qobs.reference.twirl import ErrorSite, TwirledNoise, twirl

AER = AerSimulator(method="statevector", max_parallel_threads=1)


def circuit_of(width: int, gates: list[Operation]) -> Circuit:
    """Gates, then all qubits measured."""
    measures = tuple(Operation("measure", (qubit,), (), (qubit,)) for qubit in range(width))
    return Circuit(width=width, operations=(*gates, *measures), clbits=width, physical=tuple(range(width)))


def hea(width: int, layers: int, angles: np.ndarray) -> Circuit:
    """Rotations about y and z on each qubit, then a chain of CZ, for each layer."""
    gates, angle = list[Operation](), iter(angles.tolist())
    for _ in range(layers):
        for qubit in range(width):
            gates += [Operation("ry", (qubit,), (next(angle),)), Operation("rz", (qubit,), (next(angle),))]
        gates += [Operation("cz", (qubit, qubit + 1)) for qubit in range(width - 1)]
    return circuit_of(width, gates)


def ghz(width: int) -> Circuit:
    """A thin circuit: one gate at a time."""
    return circuit_of(width, [Operation("h", (0,)), *(Operation("cx", (qubit, qubit + 1)) for qubit in range(width - 1))])


def scattered(width: int, count: int, rng: np.random.Generator) -> Circuit:
    """Random gates on random qubits."""
    gates = list[Operation]()
    for _ in range(count):
        name = str(rng.choice(["u", "sx", "rz", "h", "cx", "cz", "ecr", "rzz"]))
        qubits = rng.permutation(width)[: 2 if name in ("cx", "cz", "ecr", "rzz") else 1]
        params = rng.uniform(-3, 3, {"u": 3, "rz": 1, "rzz": 1}.get(name, 0))
        gates.append(Operation(name, tuple(qubits.tolist()), tuple(params.tolist())))
    return circuit_of(width, gates)


def for_aer(circuit: Circuit, parameters: ParameterVector | None = None) -> QuantumCircuit:
    """The same circuit for Aer, which tells all probabilities; with free angles where ``parameters`` are given."""
    made, slot = QuantumCircuit(circuit.width), 0
    for operation in circuit.operations:
        if operation.name == "measure":
            continue
        angles = operation.params if parameters is None else parameters[slot : slot + len(operation.params)]
        slot += len(operation.params)
        getattr(made, operation.name)(*angles, *operation.qubits)
    made.save_probabilities()
    return made


def aer_probabilities(circuits: list[QuantumCircuit]) -> np.ndarray:
    """Run them in one job."""
    result = AER.run(circuits).result()
    return np.array([result.data(place)["probabilities"] for place in range(len(circuits))])


def aer_sweep(circuit: QuantumCircuit, parameters: ParameterVector, angles: np.ndarray) -> np.ndarray:
    """Run one circuit at many angles, by Aer's own binding."""
    binds = {parameter: angles[:, place].tolist() for place, parameter in enumerate(parameters)}
    result = AER.run(circuit, parameter_binds=[binds]).result()
    return np.array([result.data(place)["probabilities"] for place in range(len(angles))])


def compared(
    ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], *, circuits: int, seconds: float
) -> dict[str, float]:
    """CPU ms for each circuit of both, and their ratio, over interleaved calls that take about ``seconds``."""
    first, total, calls = [0.0, 0.0], [0.0, 0.0], 0
    answers = []
    for side, call in enumerate((ours, theirs)):
        begin = time.process_time()
        answers.append(call())
        first[side] = time.process_time() - begin
    error = float(np.abs(answers[0] - answers[1]).max())
    assert error < 1e-5, error
    while sum(total) < seconds or calls < 2:
        for side, call in enumerate((ours, theirs)):
            begin = time.process_time()
            call()
            call()
            total[side] += time.process_time() - begin
        calls += 2
    mine, other = (1e3 * cpu / calls / circuits for cpu in total)
    return {
        "qobs_ms": round(mine, 4),
        "aer_ms": round(other, 4),
        "ratio": round(other / mine, 2),
        "first_call_s": round(first[0], 2),
        "aer_first_call_s": round(first[1], 2),
        "largest_difference": error,
    }


def singles(widths: list[int], seconds: float, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """One circuit at a time, as objects on both sides."""
    rows = {}
    for width in widths:
        for name, circuit in (
            ("hea", hea(width, 4, rng.uniform(-3, 3, 8 * width))),
            ("ghz", ghz(width)),
            ("random", scattered(width, 10 * width, rng)),
        ):
            other = for_aer(circuit)
            rows[f"{name}-{width}"] = compared(
                lambda circuit=circuit: probabilities(circuit),
                lambda other=other: aer_probabilities([other])[0],
                circuits=1,
                seconds=seconds,
            )
    return rows


def fresh(width: int, count: int, rng: np.random.Generator) -> dict[str, float]:
    """Circuits that all differ in structure, each seen once: no plan is known, programs are."""
    made = [scattered(width, 10 * width, rng) for _ in range(2 * count)]
    others = [for_aer(circuit) for circuit in made]
    for circuit in made[:count]:
        probabilities(circuit)
    aer_probabilities(others[:1])
    before, begin = programs(), time.process_time()
    for circuit in made[count:]:
        probabilities(circuit)
    ours, compiled, begin = time.process_time() - begin, programs() - before, time.process_time()
    for other in others[count:]:
        aer_probabilities([other])
    theirs = time.process_time() - begin
    each = 1e3 / count
    return {
        "qobs_ms": round(ours * each, 3),
        "aer_ms": round(theirs * each, 3),
        "ratio": round(theirs / ours, 2),
        "recompiles": compiled,
    }


def batches(widths: list[int], size: int, seconds: float, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """HEA with other angles."""
    rows = {}
    for width in widths:
        angles = rng.uniform(-3, 3, (size, 8 * width))
        circuits = [hea(width, 4, row) for row in angles]
        others = [for_aer(circuit) for circuit in circuits]
        vector = ParameterVector("a", angles.shape[1])
        bound = for_aer(circuits[0], vector)
        rows[f"list-{width}"] = compared(
            lambda circuits=circuits: np.array(probabilities_batch(circuits)),
            lambda others=others: aer_probabilities(others),
            circuits=size,
            seconds=seconds,
        )
        rows[f"binding-{width}"] = compared(
            lambda circuits=circuits, angles=angles: sweep(circuits[0], angles),
            lambda bound=bound, vector=vector, angles=angles: aer_sweep(bound, vector, angles),
            circuits=size,
            seconds=seconds,
        )
    return rows


def noises() -> tuple[QuantumError, QuantumError]:
    """Of a rotation and of a CZ: depolarising, then relaxation."""
    t1, t2 = 150e-6, 100e-6
    pair = thermal_relaxation_error(t1, t2, 70e-9)
    return (
        depolarizing_error(0.0005, 1).compose(thermal_relaxation_error(t1, t2, 40e-9)),
        depolarizing_error(0.006, 2).compose(pair.expand(pair)),
    )


def noisy(widths: list[int], trajectories: int, calls: int, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Three layers of HEA; the first call of each side is left out."""
    single, pair = noises()
    model = NoiseModel()
    model.add_all_qubit_quantum_error(single, ["ry"])
    model.add_all_qubit_quantum_error(pair, ["cz"])
    channels = {"ry": twirl(SuperOp(single).data), "cz": twirl(SuperOp(pair).data)}
    simulator = AerSimulator(method="density_matrix", noise_model=model, max_parallel_threads=1)
    rows = {}
    for width in widths:
        circuit = hea(width, 3, rng.uniform(-3, 3, 6 * width))
        after = tuple((ErrorSite(one.qubits, channels[one.name]),) if one.name in channels else () for one in circuit.operations)
        noise = TwirledNoise(before=((),) * len(after), after=after, confusions={})
        other, total = for_aer(circuit), [0.0, 0.0]
        for call in range(calls + 1):
            marks = [time.process_time()]
            found = noisy_probabilities(circuit, noise, trajectories=trajectories, seed=call)
            marks.append(time.process_time())
            exact = np.asarray(simulator.run(other).result().data()["probabilities"])
            marks.append(time.process_time())
            if call:
                total = [spent + marks[side + 1] - marks[side] for side, spent in enumerate(total)]
        rows[f"noisy-{width}"] = {
            "qobs_ms": round(1e3 * total[0] / calls, 1),
            "aer_density_matrix_ms": round(1e3 * total[1] / calls, 1),
            "ratio": round(total[1] / total[0], 2),
            "tvd": round(float(np.abs(found.probabilities - exact).sum() / 2), 5),
            "stated": round(found.tvd_error, 5),
            "no_error": round(found.no_error, 3),
        }
    return rows


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--single", type=int, nargs="*", default=[5, 8, 10, 12, 16], help="widths of single circuits")
    parser.add_argument("--batched", type=int, nargs="*", default=[5, 8, 10, 12], help="widths of batches")
    parser.add_argument("--batch", type=int, default=256, help="circuits of a batch")
    parser.add_argument("--fresh", type=int, default=100, help="circuits of new structure")
    parser.add_argument("--noisy", type=int, nargs="*", default=[10], help="widths of noisy circuits, at most 12")
    parser.add_argument("--trajectories", type=int, default=1024, help="of a noisy circuit")
    parser.add_argument("--calls", type=int, default=3, help="of a noisy circuit, on each side")
    parser.add_argument("--seconds", type=float, default=4.0, help="CPU for each row, at least")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    figures = {
        "single": singles(arguments.single, arguments.seconds, rng),
        "fresh-8": fresh(8, arguments.fresh, rng),
        "batch": batches(arguments.batched, arguments.batch, arguments.seconds, rng),
        "noisy": noisy(arguments.noisy, arguments.trajectories, arguments.calls, rng),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
