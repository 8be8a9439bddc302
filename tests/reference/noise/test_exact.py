"""The exact engine against qiskit's and qiskit-aer's density matrices, and what must not change its answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import DensityMatrix, Operator, Statevector, SuperOp
from qiskit_aer import AerSimulator

from qobs.errors import CircuitError
from qobs.model import Calibration
from qobs.reference.channels import noise_ptm, relaxation_ptm, superoperator
from qobs.reference.circuit import GATES, Circuit, Operation
from qobs.reference.exact import batch_noisy_probabilities, coupled_lines, noisy_outcomes, noisy_probabilities
from qobs.reference.exact_kernel import evolve, programs
from qobs.reference.exact_program import program
from qobs.reference.matrices import matrix
from qobs.reference.noise import NoiseModel, noise_model

Make = Callable[..., Any]
QISKIT = get_standard_gate_name_mapping()
DEVICES = {
    "manila": (0, 1),
    "perth": (0, 1, 3),
    "sherbrooke": (3, 4, 5, 15),
    "torino": (4, 5, 6, 15),
    "brisbane": (10, 11, 12, 13, 9),
    "lagos": (6, 5, 3, 1, 2, 0),
}


def random_circuit(width: int, gates: int, seed: int) -> Circuit:
    """Every gate there is, on any qubits, measured into permuted bits."""
    chance = np.random.default_rng(seed)
    names = [name for name, shape in GATES.items() if shape.qubits <= width]
    operations = []
    for count in range(gates):
        name = names[(count + seed) % len(names)]
        qubits = tuple(int(qubit) for qubit in chance.choice(width, GATES[name].qubits, replace=False))
        operations.append(Operation(name, qubits, tuple(chance.uniform(-3, 3, GATES[name].params).tolist())))
    bits = chance.permutation(width).tolist()
    operations += [Operation("measure", (qubit,), (), (bits[qubit],)) for qubit in range(width)]
    return Circuit(width=width, operations=tuple(operations), clbits=width, physical=tuple(range(width)))


def in_qiskit(circuit: Circuit) -> tuple[QuantumCircuit, list[int]]:
    """The unitary part of a circuit, and the qubit of each classical bit."""
    built, qubit_of = QuantumCircuit(circuit.width), {}
    for operation in circuit.operations:
        if operation.name == "measure":
            qubit_of[operation.clbits[0]] = operation.qubits[0]
        elif operation.name == "delay":
            built.delay(operation.params[0], operation.qubits[0], "s")
        elif operation.name in QISKIT:
            built.append(QISKIT[operation.name].base_class(*operation.params), operation.qubits)
        else:
            built.unitary(Operator(matrix(operation.name, operation.params)), operation.qubits)
    return built, [qubit_of[bit] for bit in range(circuit.clbits)]


def aer_probabilities(circuit: Circuit, device: Any) -> np.ndarray:
    """By qiskit-aer's density matrix, and its own readout matrices on the outcome."""
    built, qubits = in_qiskit(circuit)
    built.save_probabilities(qubits)
    simulator = AerSimulator(method="density_matrix", noise_model=device.aer, max_parallel_threads=1)
    found = simulator.run(built).result().data()["probabilities"].reshape((2,) * len(qubits))
    for bit, qubit in enumerate(qubits):
        axis = len(qubits) - 1 - bit
        told = device.aer._local_readout_errors[(qubit,)].probabilities.T
        found = np.moveaxis(np.tensordot(told, found, (1, axis)), 0, axis)
    return found.ravel()


def branches(circuit: Circuit, model: NoiseModel) -> np.ndarray:
    """By brute force: a density matrix for each list of results so far, with every channel applied as a superoperator."""
    states = {0: DensityMatrix.from_label("0" * circuit.width)}
    for operation, after, idle in zip(circuit.operations, model.gates, model.idle, strict=True):
        for qubit, relaxation in zip(operation.qubits, idle, strict=True):
            channel = SuperOp(superoperator(relaxation_ptm(relaxation)))
            states = {bits: state.evolve(channel, [qubit]) for bits, state in states.items()}
        if operation.name == "measure":
            states = _measured(states, operation.qubits[0], operation.clbits[0], model)
            continue
        for bits, state in states.items():
            if operation.name == "reset":
                state = state.reset(list(operation.qubits))
            elif operation.name not in {"delay", "barrier"}:
                state = state.evolve(Operator(matrix(operation.name, operation.params)), list(operation.qubits))
            if after is not None:
                state = state.evolve(SuperOp(superoperator(noise_ptm(after))), list(operation.qubits))
            states[bits] = state
    found = np.zeros(2**circuit.clbits)
    for bits, state in states.items():
        found[bits] += state.trace().real
    return found


def _measured(states: dict[int, DensityMatrix], qubit: int, clbit: int, model: NoiseModel) -> dict[int, DensityMatrix]:
    error = model.readout[qubit].matrix()
    found: dict[int, DensityMatrix] = {}
    for bits, state in states.items():
        for true in (0, 1):
            projector = np.zeros((2, 2))
            projector[true, true] = 1
            left = state.evolve(Operator(projector), [qubit])
            for told in (0, 1):
                key = bits & ~(1 << clbit) | told << clbit
                part = DensityMatrix(error[told, true] * left.data)
                found[key] = found[key] + part if key in found else part
    return found


@pytest.fixture
def noisy(make_calibration: Make, make_qubit: Make, make_gate: Make) -> Calibration:
    """Three qubits, each unlike the others, with much noise."""
    qubits = (
        make_qubit(0, t1_seconds=20e-6, t2_seconds=9e-6, prob_meas1_prep0=0.03, prob_meas0_prep1=0.11),
        make_qubit(1, t1_seconds=9e-6, t2_seconds=15e-6, prob_meas1_prep0=0.07, prob_meas0_prep1=0.01),
        make_qubit(2, t1_seconds=30e-6, t2_seconds=60e-6, prob_meas1_prep0=0.0, prob_meas0_prep1=0.2),
    )
    gates = [make_gate(name, number, error=0.01 * (number + 1)) for name in ("ry", "x", "sx") for number in range(3)]
    gates += [make_gate("cx", low, high, error=0.06, seconds=500e-9) for low in range(3) for high in range(3) if low != high]
    return make_calibration(qubits, gates)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_every_gate_without_noise_is_qiskits(width: int) -> None:
    """Single precision to 1e-5 and double to 1e-12, with bits permuted: a wrong order shows in every one of these."""
    for seed in range(2):
        circuit = random_circuit(width, 2 * len(GATES), seed)
        built, qubits = in_qiskit(circuit)
        expected = Statevector(built).probabilities(qubits)
        np.testing.assert_allclose(noisy_probabilities(circuit, None), expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(noisy_probabilities(circuit, None, precision="complex128"), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", DEVICES)
def test_real_device_is_aers_density_matrix(name: str, read_device: Make, native_circuit: Make) -> None:
    """The whole chain on real figures, 2 to 6 qubits: total variation at most 1e-4."""
    device = read_device(name, DEVICES[name])
    circuit = native_circuit(device, 30, 7)
    model = noise_model(device.calibration, circuit, idle=False)
    assert model.degraded == ()
    expected = aer_probabilities(circuit, device)
    found = noisy_probabilities(circuit, model)
    assert np.abs(found - expected).sum() / 2 < 1e-4
    # Noise that is not there would be close to Aer's too, if Aer's were small.
    assert np.abs(noisy_probabilities(circuit, None) - expected).sum() / 2 > 1e-2


def test_written_delays_are_aers(read_device: Make, native_circuit: Make) -> None:
    """A scheduled circuit says where its qubits wait: its noise must not depend on who reads the schedule."""
    device = read_device("perth", DEVICES["perth"])
    plain = native_circuit(device, 8, 3)
    waits = tuple(Operation("delay", (qubit,), ((qubit + 1) * 20e-6,)) for qubit in range(plain.width))
    half = len(plain.operations) // 2
    operations = (*plain.operations[:half], *waits, *plain.operations[half:])
    circuit = Circuit(width=plain.width, operations=operations, clbits=plain.clbits, physical=plain.physical)
    found = noisy_probabilities(circuit, noise_model(device.calibration, circuit, idle=False))
    expected = aer_probabilities(circuit, device)
    assert np.abs(found - expected).sum() / 2 < 1e-4
    unscheduled = noisy_probabilities(plain, noise_model(device.calibration, plain, idle=False))
    assert np.abs(unscheduled - expected).sum() / 2 > 1e-2


@pytest.mark.parametrize("seed", range(4))
def test_measurement_and_reset_in_the_middle_are_exact(seed: int, noisy: Calibration) -> None:
    """Results kept, lost, overwritten and reused: each branch must have its own state, its own noise and its own readout."""
    chance = np.random.default_rng(seed)
    operations: list[Operation] = []
    for _ in range(9):
        pair = tuple(int(qubit) for qubit in chance.choice(3, 2, replace=False))
        operations += [Operation("ry", pair[:1], (float(chance.uniform(0, 3)),)), Operation("cx", pair)]
        if chance.random() < 0.35:
            operations.append(Operation("measure", pair[1:], (), (int(chance.integers(3)),)))
        if chance.random() < 0.3:
            operations.append(Operation("reset", (int(chance.integers(3)),)))
        if chance.random() < 0.3:
            operations.append(Operation("delay", pair[1:], (1e-6,)))
    operations += [Operation("measure", (qubit,), (), (2 - qubit,)) for qubit in range(2)]
    circuit = Circuit(width=3, operations=tuple(operations), clbits=3, physical=(0, 1, 2))
    model = noise_model(noisy, circuit)
    found = noisy_probabilities(circuit, model, precision="complex128")
    np.testing.assert_allclose(found, branches(circuit, model), rtol=0, atol=1e-12)


def test_qubit_measured_reset_and_used_again_keeps_its_first_result(noisy: Calibration, make_circuit: Make) -> None:
    """A reset ends the qubit's first life, not the result of it: reuse after measure and reset is how chips save qubits."""
    circuit = make_circuit(("x", (0,)), ("measure", (0,), 0), ("reset", (0,)), ("ry", (0,), (1.0,)), ("measure", (0,), 1))
    np.testing.assert_allclose(noisy_probabilities(circuit, None), [0, np.cos(0.5) ** 2, 0, np.sin(0.5) ** 2], rtol=0, atol=1e-6)
    model = noise_model(noisy, circuit)
    np.testing.assert_allclose(noisy_probabilities(circuit, model), branches(circuit, model), rtol=0, atol=1e-6)


def test_what_was_before_a_reset_is_not_simulated(make_circuit: Make) -> None:
    """Machines begin a job with resets of everything, and nothing before them can matter."""
    rows = [("h", (qubit,)) for qubit in range(20)] + [("reset", (qubit,)) for qubit in range(20)]
    rows += [("cx", (0, 1)), ("measure", (1,), 0)]
    steps = program(make_circuit(*rows), None)
    assert [item.name for item in steps.items] == ["reset", "reset", "cx"]


def test_readout_keeps_its_direction_and_its_qubit(noisy: Calibration, make_circuit: Make) -> None:
    """Crossed measurements of different qubits: the mean of both directions, or another qubit's, would differ."""
    circuit = make_circuit(("measure", (2,), 0), ("measure", (0,), 2), ("measure", (1,), 1))
    model = noise_model(noisy, circuit)
    bits = noisy_probabilities(circuit, model).reshape(2, 2, 2)
    assert bits[1].sum() == pytest.approx(0.03)
    assert bits[:, 1].sum() == pytest.approx(0.07)
    assert bits[:, :, 1].sum() == pytest.approx(0.0)
    excited = make_circuit(("rx", (2,), (np.pi,)), ("measure", (2,), 0))
    assert noisy_probabilities(excited, noise_model(noisy, excited))[0] == pytest.approx(0.2)


def test_bits_that_nothing_is_measured_into_are_zero(make_circuit: Make) -> None:
    """A distribution is over classical bits, and wide registers with few measurements are common."""
    circuit = make_circuit(("x", (0,)), ("h", (1,)), ("cx", (1, 2)), ("measure", (0,), 4), ("measure", (2,), 1))
    found = noisy_probabilities(circuit, None)
    assert found.shape == (32,)
    assert {int(index) for index in np.flatnonzero(found > 1e-6)} == {0b10000, 0b10010}
    outcomes = noisy_outcomes([circuit], None)
    assert outcomes.clbits == (1, 4)
    np.testing.assert_allclose(outcomes.probabilities, [[0, 0, 0.5, 0.5]], atol=1e-6)


def test_circuit_that_measures_nothing_says_zero(make_circuit: Make) -> None:
    """There is one outcome then, the empty one."""
    assert noisy_probabilities(make_circuit(("h", (0,)), ("cx", (0, 1))), None).tolist() == [1.0]


def test_what_cannot_reach_a_result_is_not_simulated(make_circuit: Make) -> None:
    """Forty qubits of which two are measured: an answer, where 4^40 components would be none."""
    rows = [("h", (0,)), ("cx", (0, 1)), ("measure", (0,), 0), ("measure", (1,), 1)]
    rows += [("cx", (qubit, qubit + 1)) for qubit in range(1, 39)]
    np.testing.assert_allclose(noisy_probabilities(make_circuit(*rows), None), [0.5, 0, 0, 0.5], atol=1e-6)


def test_too_wide_a_circuit_is_refused_before_anything_is_allocated(make_circuit: Make) -> None:
    """A clear word, not the end of the process."""
    rows = [
        ("h", (0,)),
        *(("cx", (qubit, qubit + 1)) for qubit in range(39)),
        *(("measure", (qubit,), qubit) for qubit in range(20)),
    ]
    with pytest.raises(CircuitError, match=r"21 qubits and kept results that meet; an exact density matrix has at most 12"):
        noisy_probabilities(make_circuit(*rows), None)
    assert coupled_lines(make_circuit(*rows)) == 21
    with pytest.raises(CircuitError, match=r"a circuit of 41 classical bits; at most 24"):
        noisy_probabilities(make_circuit(("measure", (0,), 40)), None)
    with pytest.raises(CircuitError, match=r"25 measured bits"):
        noisy_outcomes([make_circuit(*(("measure", (qubit,), qubit) for qubit in range(25)))], None)


def test_batch_that_would_fill_the_memory_is_refused(make_circuit: Make) -> None:
    """Each circuit alone may be written out; a thousand of them may not."""
    circuit = make_circuit(("x", (0,)), ("measure", (0,), 19))
    with pytest.raises(CircuitError, match=r"1000 circuits of 20 classical bits; at most 24"):
        batch_noisy_probabilities([circuit] * 1000, None)


def test_batch_is_its_circuits_one_by_one(read_device: Make, native_circuit: Make) -> None:
    """Each circuit's own angles, whatever the batch around it and however it is cut."""
    device = read_device("perth", DEVICES["perth"])
    first = native_circuit(device, 12, 1)
    chance = np.random.default_rng(5)
    circuits = [first]
    for _ in range(69):
        operations = tuple(
            operation._replace(params=(float(chance.uniform(-3, 3)),)) if operation.name == "rz" else operation
            for operation in first.operations
        )
        circuits.append(Circuit(width=first.width, operations=operations, clbits=first.clbits, physical=first.physical))
    model = noise_model(device.calibration, first)
    together = batch_noisy_probabilities(circuits, model)
    assert together.shape == (70, 8)
    for circuit, found in zip(circuits, together, strict=True):
        np.testing.assert_allclose(found, noisy_probabilities(circuit, model), rtol=0, atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_batch_without_angles_or_partners_has_a_row_for_each(make_circuit: Make) -> None:
    """Repeats of one circuit are worked out once and told as often as asked."""
    pair = make_circuit(("x", (0,)), ("cx", (0, 1)), ("measure", (1,), 0))
    np.testing.assert_allclose(batch_noisy_probabilities([pair] * 3, None), [[0, 1]] * 3, atol=1e-6)
    alone = [make_circuit(("ry", (0,), (angle,)), ("measure", (0,), 0)) for angle in (0.0, 1.0, 2.0)]
    expected = np.sin(np.array([0.0, 1.0, 2.0]) / 2) ** 2
    np.testing.assert_allclose(batch_noisy_probabilities(alone, None)[:, 1], expected, atol=1e-12)
    assert batch_noisy_probabilities([], None).shape == (0, 1)


FIGURE = st.one_of(st.floats(), st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, 2 / 3, 1e-300, 1e300]))


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(t1=FIGURE, t2=FIGURE, seconds=FIGURE, error=FIGURE, one=FIGURE, zero=FIGURE)
def test_no_figure_whatever_breaks_a_distribution(
    t1: float,
    t2: float,
    seconds: float,
    error: float,
    one: float,
    zero: float,
    make_calibration: Make,
    make_qubit: Make,
    make_gate: Make,
) -> None:
    """A provider's odd figure is named, and the answer stays a distribution: never NaN, never negative."""
    qubits = [make_qubit(place, t1_seconds=t1, t2_seconds=t2, prob_meas1_prep0=one, prob_meas0_prep1=zero) for place in (0, 1)]
    gates = [make_gate("x", 0, error=error, seconds=seconds), make_gate("cx", 0, 1, error=error, seconds=seconds)]
    operations = (Operation("x", (0,)), Operation("cx", (0, 1)), Operation("x", (0,)), Operation("cx", (0, 1)))
    ends = tuple(Operation("measure", (qubit,), (), (qubit,)) for qubit in (0, 1))
    circuit = Circuit(width=2, operations=operations + ends, clbits=2, physical=(0, 1))
    model = noise_model(make_calibration(qubits, gates), circuit)
    found = noisy_probabilities(circuit, model)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)
    usable = 0 < t1 < np.inf and 0 <= error < 1 and 0 <= one < 1 and 0 <= zero < 1
    assert usable or model.degraded


def test_batch_of_another_structure_is_refused(make_circuit: Make) -> None:
    """A model and a program made for one circuit would silently be used for the other."""
    one, other = make_circuit(("x", (0,)), ("measure", (0,), 0)), make_circuit(("h", (0,)), ("measure", (0,), 0))
    with pytest.raises(CircuitError, match="circuit 1 of the batch has another structure"):
        batch_noisy_probabilities([one, other], None)
    delays = [make_circuit(("delay", (0,), (length,)), ("measure", (0,), 0)) for length in (1e-6, 2e-6)]
    with pytest.raises(CircuitError, match="another structure"):
        batch_noisy_probabilities(delays, None)


def test_model_of_another_circuit_is_refused(noisy: Calibration, make_circuit: Make) -> None:
    """Noise is matched to operations by place."""
    model = noise_model(noisy, make_circuit(("x", (0,)), ("measure", (0,), 0)))
    with pytest.raises(CircuitError, match="the noise model was made for 2"):
        noisy_probabilities(make_circuit(("measure", (0,), 0)), model)


def test_no_circuit_of_a_size_compiles_again(read_device: Make, native_circuit: Make) -> None:
    """Compilation costs a hundred times a simulation: it may grow with sizes only, never with jobs."""
    device = read_device("perth", DEVICES["perth"])
    circuits = [native_circuit(device, 4 + seed % 10, seed) for seed in range(100)]
    models = [noise_model(device.calibration, circuit) for circuit in circuits]
    noisy_probabilities(circuits[0], models[0])
    before = programs()
    for circuit, model in zip(circuits, models, strict=True):
        noisy_probabilities(circuit, model)
    assert programs() == before


def test_padding_changes_no_bit() -> None:
    """A circuit's answer must not depend on the room that its program has, nor on what lies in the unused part."""
    chance = np.random.default_rng(2)
    channels = chance.normal(size=(16, 1, 16, 16)).astype(np.float32)
    exchanges = np.array([(step % 3, (step + 1) % 3) for step in range(16)], dtype=np.int32)
    initial = chance.normal(size=(1, 3, 4)).astype(np.float32)
    picked = np.arange(8, dtype=np.int32)
    tight = evolve(initial, channels, exchanges, np.int32(11), picked, lines=3)
    wide = np.full((128, 1, 16, 16), np.nan, dtype=np.float32)
    wide[:11] = channels[:11]
    roomy = evolve(initial, wide, np.resize(exchanges, (128, 2)), np.int32(11), picked, lines=3)
    assert np.asarray(tight).tobytes() == np.asarray(roomy).tobytes()


def test_programs_are_kept_on_disk_where_asked(tmp_path: Path) -> None:
    """A worker that compiles everything anew at each start wastes minutes, and one that is not asked writes nothing."""
    script = (
        "import sys, jax\n"
        "from pathlib import Path\n"
        "from qobs.reference.circuit import Circuit, Operation\n"
        "from qobs.reference.exact import noisy_probabilities\n"
        "from qobs.reference.engine import keep_programs\n"
        "operations = (Operation('cx', (0, 1)), Operation('measure', (1,), (), (0,)))\n"
        "circuit = Circuit(width=2, operations=operations, clbits=1, physical=(0, 1))\n"
        "noisy_probabilities(circuit, None)\n"
        "assert not list(Path(sys.argv[1]).iterdir())\n"
        "jax.clear_caches()\n"
        "keep_programs(sys.argv[1])\n"
        "first = noisy_probabilities(circuit, None)\n"
        "kept = [(path.name, path.stat().st_mtime_ns) for path in Path(sys.argv[1]).glob('*-cache')]\n"
        "jax.clear_caches()\n"
        "assert (noisy_probabilities(circuit, None) == first).all()\n"
        "again = [(path.name, path.stat().st_mtime_ns) for path in Path(sys.argv[1]).glob('*-cache')]\n"
        "print(len(kept), again == kept)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "1 True\n", done.stderr


def test_double_precision_stays_inside(make_circuit: Make) -> None:
    """Other code in the process must not find its arrays in another precision afterwards."""
    noisy_probabilities(make_circuit(("h", (0,)), ("cx", (0, 1)), ("measure", (1,), 0)), None, precision="complex128")
    assert jax.numpy.zeros(1).dtype == np.float32
