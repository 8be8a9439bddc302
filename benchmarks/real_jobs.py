"""Verdicts on real results: 138 count dictionaries of a QAOA run on ibm_brisbane, and a 12-qubit job of ibm_torino.

    python benchmarks/real_jobs.py --data DIR [--jobs 138] [--trajectories 256]

``DIR`` holds ``brisbane_qaoa10``, ``ibm_snapshots`` and ``ibm_job_triples``. QAOA: S. H. Sack and D. J. Egger, arXiv:2307.14427
(2023); the circuits are built again with qiskit from their parameters, graph and path. There are three jobs to each set of
parameters, after a first job whose parameters were not kept: it stands here as a result that does not belong to its circuit. The
calibration is a snapshot of another date. Two verdicts each: against the model itself, and within a margin learnt.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qobs.cli.calibration_files import read_calibration
from qobs.model import Calibration
from qobs.reference.circuit import Circuit, Operation, Register
from qobs.reference.counts import read_counts
from qobs.reference.margin import learnt
from qobs.reference.parse import parse
from qobs.reference.predict import Effort, Prediction, predict
from qobs.reference.predict_verify import judge_prediction
from qobs.reference.verdict import Judged


class Result(NamedTuple):
    """Counts by outcome, and the parameters whose circuit they are held against."""

    job: str
    parameters: tuple[float, ...]
    counts: dict[int, int]


def qaoa_results(data: Path, jobs: int) -> Iterator[Result]:
    """The count dictionaries in order."""
    told = json.loads((data / "brisbane_qaoa10/20230709_48c5939f_ibm_brisbane_qaoa_data.json").read_text())
    for place in range(min(jobs, len(told["counts"]))):
        parameters = told["parameters"][max(0, place - 1) // 3]
        counts = {int(key, 2): count for key, count in told["counts"][place].items()}
        yield Result(told["job_ids"][place], tuple(parameters), counts)


def qaoa_template(data: Path) -> Any:
    """The circuit as it ran, on the device's line of qubits, with its parameters open: gammas first, then betas."""
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit import ParameterVector

    told = json.loads((data / "brisbane_qaoa10/20230709_48c5939f_ibm_brisbane_qaoa_data.json").read_text())
    graph = json.loads((data / "brisbane_qaoa10/graph_2layers_0seed.json").read_text())
    device = json.loads((data / "ibm_snapshots/conf_brisbane.json").read_text())
    path = told["path"]
    edges = {frozenset(place for place, letter in enumerate(word[::-1]) if letter == "Z") for word, _ in graph["paulis"]}
    angles = ParameterVector("angle", 4)
    written = QuantumCircuit(10, 10)
    written.h(range(10))
    line = list(range(10))
    for layer in range(2):
        for step in _steps(edges, line, forwards=layer == 0):
            _step(written, step, 2 * angles[layer])
        written.rx(2 * angles[2 + layer], range(10))
    for place, node in enumerate(line):
        written.measure(place, node)
    return transpile(
        written,
        coupling_map=device["coupling_map"],
        basis_gates=["ecr", "rz", "sx", "x"],
        initial_layout=path,
        optimization_level=2,
        seed_transpiler=1,
    )


Step = tuple[int, int, bool, bool]
"""Two neighbouring places of the line, whether their nodes interact, whether they change places."""


def _steps(edges: set[frozenset[int]], line: list[int], *, forwards: bool) -> list[Step]:
    """A layer of the cost on the line: even and odd neighbours change places until all edges are done; or the same backwards."""
    order, left, steps = list(range(10)), set(edges), list[Step]()
    for turn in range(2 + 2):
        if not left:
            break
        for first in range(9):
            pair = frozenset(order[first : first + 2])
            if pair in left:
                left.discard(pair)
                steps.append((first, first + 1, True, False))
        if not left:
            break
        for first in range(turn % 2, 9, 2):
            steps.append((first, first + 1, False, True))
            order[first], order[first + 1] = order[first + 1], order[first]
    assert not left, "the graph takes more than two layers of swaps"
    line[:] = order if forwards else list(range(10))
    return steps if forwards else steps[::-1]


def _step(written: Any, step: Step, angle: Any) -> None:
    first, second, interact, exchange = step
    if interact:
        written.rzz(angle, first, second)
    if exchange:
        written.swap(first, second)


def circuit_of(bound: Any) -> Circuit:
    """A qiskit circuit on a whole device as qobs has it."""
    operations = []
    for each in bound.data:
        qubits = tuple(bound.find_bit(qubit).index for qubit in each.qubits)
        clbits = tuple(bound.find_bit(clbit).index for clbit in each.clbits)
        operations.append(Operation(each.operation.name, qubits, tuple(float(value) for value in each.operation.params), clbits))
    width = bound.num_qubits
    return Circuit(
        width=width,
        operations=tuple(operations),
        clbits=bound.num_clbits,
        physical=tuple(range(width)),
        registers=(Register("c", 0, bound.num_clbits),),
    )


def torino(data: Path) -> tuple[Circuit, dict[int, int], Calibration]:
    """Circuit, counts and same-day calibration of the 12-qubit job."""
    folder = data / "ibm_job_triples/torino_2025-10-06_emc2_12q"
    info = json.loads((folder / "job-d3hviu9b641c738mlkmg-info.json").read_text())
    circuit = parse(info["params"]["pubs"][0][0]["__value__"])
    result = json.loads((folder / "job-d3hviu9b641c738mlkmg-result.json").read_text())
    bits = result["__value__"]["pub_results"][0]["__value__"]["data"]["__value__"]["fields"]["c"]["__value__"]
    packed = np.load(io.BytesIO(zlib.decompress(base64.b64decode(bits["array"]["__value__"]))), allow_pickle=False)
    numbers = [int.from_bytes(row.tobytes(), "big") for row in packed.reshape(-1, packed.shape[-1])]
    calibration = read_calibration(next(folder.glob("*.csv")))
    return circuit, read_counts(Counter(numbers), circuit), calibration


def main() -> None:
    """Print a line for each job, then how many of each verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=138)
    parser.add_argument("--trajectories", type=int, default=256)
    arguments = parser.parse_args()
    _torino(arguments.data)
    calibration = read_calibration(arguments.data / "ibm_snapshots/props_brisbane.json")
    template = qaoa_template(arguments.data)
    predictions: dict[tuple[float, ...], Prediction] = {}
    judged: list[tuple[Result, Judged, Prediction]] = []
    began = time.process_time()
    for result in qaoa_results(arguments.data, arguments.jobs):
        if result.parameters not in predictions:
            circuit = circuit_of(template.assign_parameters(list(result.parameters)))
            effort = Effort(trajectories=arguments.trajectories)
            predictions[result.parameters] = predict(circuit, calibration, effort=effort)
        prediction = predictions[result.parameters]
        judged.append((result, judge_prediction(prediction, result.counts), prediction))
    seconds = time.process_time() - began
    _print(judged)
    print(f"{len(judged)} verdicts on {len(predictions)} predictions: {seconds:.1f} CPU s, compiling included")


def _torino(data: Path) -> None:
    began = time.process_time()
    circuit, counts, calibration = torino(data)
    prediction = predict(circuit, calibration)
    found = judge_prediction(prediction, counts)
    assert prediction.esp is not None
    print(f"torino: {found.verdict}; {found.reason}")
    print(f"  {found.method}; {sum(counts.values())} shots; success probability {prediction.esp.total:.3g}")
    ideal = judge_prediction(predict(circuit), counts)
    print(f"  against the ideal: {ideal.verdict}; {ideal.reason}; {time.process_time() - began:.1f} CPU s")


def _print(judged: list[tuple[Result, Judged, Prediction]]) -> None:
    effects = [found.effect if found.effect is not None else math.nan for _, found, _ in judged]
    strict, lenient = Counter[str](), Counter[str]()
    print(f"{'job':<22} {'tvd':>6} {'floor':>6} {'xeb':>6} {'effect':>7}  exact         margin  within margin")
    for place, (result, found, prediction) in enumerate(judged):
        margin = learnt([each for other, each in enumerate(effects) if other != place])
        tolerant = found if margin is None else judge_prediction(prediction, result.counts, margin=margin)
        strict[str(found.verdict)] += 1
        lenient[str(tolerant.verdict) if margin is not None else "no margin learnt"] += 1
        assert found.distance is not None
        distance = f"{found.distance.tvd:6.3f} {found.distance.floor:6.3f} {found.xeb or 0.0:6.3f}"
        print(
            f"{result.job:<22} {distance} {effects[place]:7.4f}  {found.verdict:<12}"
            f" {-1 if margin is None else margin:7.4f}  {tolerant.verdict}: {tolerant.reason}"
        )
    print(f"method: {judged[0][1].method}; {judged[0][2].qubits} qubits")
    print(f"against the model itself: {dict(strict)}; within the learnt margin: {dict(lenient)}")


if __name__ == "__main__":
    main()
