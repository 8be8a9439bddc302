"""Ideal probabilities: equal to Aer's, over classical bits, however they are computed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import CircuitError
from qobs.reference import kernels
from qobs.reference.circuit import GATES, Circuit, Operation
from qobs.reference.engine import Options, probabilities, probabilities_batch, programs, sweep
from qobs.reference.layered import structure_of
from qobs.reference.lowering import lowering_of

KERNELS = ("layered", "gatewise")
TOLERANCE = {"complex64": 1e-5, "complex128": 1e-12}


@pytest.mark.parametrize("width", range(1, 9))
def test_random_circuits_of_every_gate_have_aers_probabilities(width: int, circuits, aer):
    """A reference that is wrong by itself makes every verdict wrong."""
    circuit = circuits.measured(width, circuits.gates(width, 46, width))
    expected = aer(circuit)
    for precision, tolerance in TOLERANCE.items():
        for kernel in KERNELS:
            found = probabilities(circuit, precision=precision, kernel=kernel)
            assert found.dtype == np.float64
            assert abs(found - expected).max() <= tolerance, (precision, kernel)


@pytest.mark.parametrize("kernel", KERNELS)
def test_deep_and_phase_heavy_circuits_stay_within_single_precision(kernel: str, circuits, aer):
    """Hundreds of layers, and layers with all pairs coupled, must not eat up the digits."""
    pairs = [(one, two) for one in range(8) for two in range(one)]
    dense = [Operation("h", (qubit,)) for qubit in range(8)]
    for place, pair in enumerate(pairs * 3):
        dense += [Operation("cp", pair, (0.1 + place,)), Operation("cz", pair)]
        if place % len(pairs) == 0:
            dense += [Operation("ry", (qubit,), (0.3 + qubit,)) for qubit in range(8)]
    dense += [Operation("h", (qubit,)) for qubit in range(8)]
    deep = circuits.gates(8, 500, 5, ("cx", "u", "sx", "rzz"))
    for gates in (dense, deep):
        circuit = circuits.measured(8, gates)
        assert abs(probabilities(circuit, kernel=kernel) - aer(circuit)).max() <= 1e-5


def test_qubit_zero_is_the_least_significant_bit(circuits):
    """Reversed bits are the oldest error of the trade, and a Bell pair hides it."""
    assert probabilities(circuits.measured(3, [Operation("x", (0,))])).tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    gates = [Operation("ry", (0,), (0.3,)), Operation("ry", (2,), (1.1,))]
    one, three = np.sin(0.15) ** 2, np.sin(0.55) ** 2
    expected = [(1 - one) * (1 - three), one * (1 - three), 0, 0, (1 - one) * three, one * three, 0, 0]
    np.testing.assert_allclose(probabilities(circuits.measured(3, gates)), expected, atol=1e-7)


def test_crossed_and_partial_measurements_are_followed(circuits):
    """A distribution is over classical bits; what nobody measures is summed over."""
    gates = [Operation("ry", (0,), (0.3,)), Operation("ry", (2,), (1.1,)), Operation("h", (1,))]
    one, three = np.sin(0.15) ** 2, np.sin(0.55) ** 2
    found = probabilities(circuits.measured(3, gates, [(0, 2), (2, 0)], clbits=4))
    expected = np.zeros(16)
    expected[0b000], expected[0b100] = (1 - one) * (1 - three), one * (1 - three)
    expected[0b001], expected[0b101] = (1 - one) * three, one * three
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_last_measurement_into_a_bit_wins_and_one_qubit_may_tell_two_bits(circuits):
    """Compilers reuse bits; an overwritten value must not be counted, nor a copied one be independent."""
    gates = [Operation("x", (0,)), Operation("ry", (1,), (1.1,))]
    weight = np.sin(0.55) ** 2
    found = probabilities(circuits.measured(2, gates, [(0, 0), (1, 0), (1, 1)]))
    np.testing.assert_allclose(found, [1 - weight, 0, 0, weight], atol=1e-7)
    assert probabilities(circuits.measured(2, gates, [(0, 0)])).tolist() == [0, 1]


def test_swaps_before_a_measurement_move_the_state(circuits):
    """Swaps are done by renaming, which the measurement must know of."""
    gates = [Operation("x", (0,)), Operation("swap", (0, 2)), Operation("cswap", (2, 1, 0)), Operation("swap", (2, 1))]
    for kernel in KERNELS:
        assert probabilities(circuits.measured(3, gates), kernel=kernel).argmax() == 0b010


def test_a_circuit_without_measurements_has_one_outcome():
    """Nothing was asked, so nothing can be told: not an even distribution, and no error."""
    circuit = Circuit(width=2, operations=(Operation("h", (0,)),), clbits=2, physical=(0, 1))
    assert probabilities(circuit).tolist() == [1, 0, 0, 0]


def test_barriers_delays_and_identities_do_nothing_even_after_measurements(circuits):
    """Schedulers write them everywhere; they are no gates after a measurement."""
    plain = circuits.measured(2, circuits.gates(2, 12, 3))
    quiet = (Operation("barrier", (0, 1)), Operation("delay", (0,), (1e-6,)), Operation("id", (1,)))
    operations = tuple(entry for operation in plain.operations for entry in (operation, *quiet))
    noisy = Circuit(width=2, operations=operations, clbits=2, physical=(0, 1))
    np.testing.assert_array_equal(probabilities(noisy), probabilities(plain))


REFUSED = {
    "reset of qubit 1": [Operation("reset", (1,))],
    "mid-circuit measurement: x on": [Operation("measure", (0,), (), (0,)), Operation("x", (0,))],
    "unknown operation 'warp'": [Operation("warp", (0,))],
    "cx on 1 qubits with 0 angles": [Operation("cx", (0,))],
    "rx on 1 qubits with 2 angles": [Operation("rx", (0,), (1.0, 2.0))],
    r"'cx' on qubits \[1, 1\]": [Operation("cx", (1, 1))],
    r"'x' on qubits \[2\]": [Operation("x", (2,))],
    "measure of qubits": [Operation("measure", (0,), (), (5,))],
    "an angle that is not a finite number": [Operation("rx", (0,), (float("nan"),))],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_simulated_is_refused_by_name(message: str):
    """Ignoring a reset gives a confident wrong reference; a bad index must not end in a traceback of numpy."""
    circuit = Circuit(width=2, operations=tuple(REFUSED[message]), clbits=2, physical=(0, 1))
    with pytest.raises(CircuitError, match=message):
        probabilities(circuit)


@pytest.mark.parametrize(("width", "clbits"), [(60, 1), (1, 60)])
def test_widths_are_refused_before_memory_is_taken(width: int, clbits: int):
    """2^60 amplitudes cannot be allocated; the answer must come at once, and name the limit."""
    circuit = Circuit(width=width, operations=(), clbits=clbits, physical=tuple(range(width)))
    with pytest.raises(CircuitError, match="at most 24"):
        probabilities(circuit)
    with pytest.raises(CircuitError, match="at most 3"):
        probabilities(Circuit(width=4, operations=(), clbits=1, physical=(0, 1, 2, 3)), max_qubits=3)


def test_no_circuit_of_known_size_compiles_anything(circuits):
    """A program for each circuit would cost seconds for each job of a stream."""

    def sizes(circuit: Circuit) -> tuple[int, int]:
        lowering, ones = lowering_of(structure_of(circuit)), np.ones((200, 1))
        return lowering.layers(ones, None, np.complex64).cells.shape[1], lowering.gates(ones, None, np.complex64).gates.shape[1]

    names = ("u", "sx", "rz", "cx", "cz", "ecr", "h")
    made = [circuits.measured(5, circuits.gates(5, 40, seed, names)) for seed in range(250)]
    same = [circuit for circuit in made if sizes(circuit) == sizes(made[0])][:101]
    assert len(same) == 101
    for kernel in KERNELS:
        probabilities(same[0], kernel=kernel)
    before = programs()
    for circuit in same[1:]:
        for kernel in KERNELS:
            probabilities(circuit, kernel=kernel)
    assert programs() == before


def test_angles_decide_nothing_about_programs(circuits):
    """Controlled phases with angles and without them are two programs, and no more."""
    for seed in range(3):
        probabilities(circuits.measured(3, circuits.gates(3, 12, seed, ("u", "cp", "h"))), kernel="layered")
    before = programs()
    gates = circuits.gates(3, 12, 0, ("u", "cp", "h"))
    other = [operation._replace(params=tuple(2 * angle for angle in operation.params)) for operation in gates]
    probabilities(circuits.measured(3, other), kernel="layered")
    assert programs() == before


@pytest.mark.parametrize("kernel", KERNELS)
def test_filling_up_changes_no_bit(kernel: str, circuits):
    """Results must not depend on what a list was filled up with."""
    circuit = circuits.measured(4, circuits.gates(4, 20, 7, ("u", "cx", "rzz")))
    lowering = lowering_of(structure_of(circuit))
    columns = np.array([[*(angle for operation in circuit.operations for angle in operation.params), 1.0]]).T
    results = []
    for extra in (0, 5):
        if kernel == "layered":
            cells, couplings, steps = lowering.layers(columns, None, np.complex64)
            cells = np.concatenate([cells, np.full_like(cells[:, :1].repeat(extra, axis=1), np.nan)], axis=1)
            couplings = np.concatenate([couplings, np.full_like(couplings[:, :1].repeat(extra, axis=1), np.nan)], axis=1)
            results.append(np.asarray(kernels.layered(cells, couplings, steps, wires=4, shared=False)))
        else:
            gates, exchanges, steps = lowering.gates(columns, None, np.complex64)
            gates = np.concatenate([gates, np.full_like(gates[:, :1].repeat(extra, axis=1), np.nan)], axis=1)
            exchanges = np.concatenate([exchanges, exchanges[:1].repeat(extra, axis=0)])
            results.append(np.asarray(kernels.gatewise(gates, exchanges, steps, wires=4)))
    np.testing.assert_array_equal(results[0], results[1])


@settings(derandomize=True, max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), chunk=st.sampled_from([1, 4, 16]), kernel=st.sampled_from(KERNELS))
def test_batches_and_chunks_change_nothing(circuits, seed: int, chunk: int, kernel: str):
    """A verdict must not depend on which jobs happened to be computed together."""
    rng = np.random.default_rng(seed)
    shape = circuits.gates(4, 14, seed % 3, ("u", "cx", "rzz", "cp", "h"))
    batch = [
        circuits.measured(4, [one._replace(params=tuple(rng.uniform(-3, 3, len(one.params)).tolist())) for one in shape])
        for _ in range(5)
    ]
    together = probabilities_batch(batch, Options(chunk=chunk, kernel=kernel))
    for circuit, found in zip(batch, together, strict=True):
        np.testing.assert_allclose(found, probabilities(circuit, precision="complex128"), rtol=0, atol=1e-6)


def test_mixed_batch_keeps_its_order(circuits):
    """Circuits are grouped by structure inside; each answer must come back in its own place."""
    batch = [circuits.measured(width, circuits.gates(width, 10, seed)) for seed in range(3) for width in (3, 4)]
    batch += batch[::-1]
    for circuit, found in zip(batch, probabilities_batch(batch), strict=True):
        np.testing.assert_allclose(found, probabilities(circuit), rtol=0, atol=1e-6)
    assert probabilities_batch([]) == []


def test_sweep_is_the_circuit_at_each_set_of_angles(circuits):
    """A sweep must bind the columns to the operations in their order."""
    circuit = circuits.measured(3, circuits.gates(3, 12, 2, ("u", "cp", "h")))
    count = sum(len(operation.params) for operation in circuit.operations)
    angles = np.random.default_rng(0).uniform(-3, 3, (5, count))
    found = sweep(circuit, angles)
    for row, values in zip(found, angles, strict=True):
        left = iter(values.tolist())
        operations = tuple(one._replace(params=tuple(next(left) for _ in one.params)) for one in circuit.operations)
        bound = Circuit(width=3, operations=operations, clbits=3, physical=(0, 1, 2))
        np.testing.assert_allclose(row, probabilities(bound), rtol=0, atol=1e-6)
    with pytest.raises(CircuitError, match=r"angles of shape \(5, 1\)"):
        sweep(circuit, angles[:, :1])


def test_kernel_is_chosen_by_fill(circuits):
    """Thin circuits waste whole layers, full ones waste single gates: both choices must happen."""
    ghz = circuits.measured(8, [Operation("h", (0,)), *(Operation("cx", (one, one + 1)) for one in range(7))])
    wide = [Operation("ry", (qubit,), (0.1,)) for qubit in range(8)] + [Operation("cz", (one, one + 1)) for one in range(7)]
    full = circuits.measured(8, wide * 3)
    assert not lowering_of(structure_of(ghz)).dense
    assert lowering_of(structure_of(full)).dense


def test_double_precision_does_not_leak(circuits):
    """One caller's wish for digits must not slow down or recompile everybody else's circuits."""
    import jax.numpy as jnp

    probabilities(circuits.measured(3, [Operation("h", (0,))]), precision="complex128")
    assert jnp.asarray(1.0).dtype == jnp.float32


def test_compiled_programs_are_kept_in_a_directory(tmp_path):
    """A restarted worker must not compile again what was compiled yesterday."""
    code = (
        "import sys\n"
        "from qobs.reference.circuit import Circuit, Operation\n"
        "from qobs.reference.engine import keep_programs, probabilities\n"
        "keep_programs(sys.argv[1])\n"
        "measure = Operation('measure', (0,), (), (0,))\n"
        "circuit = Circuit(width=1, operations=(Operation('x', (0,)), measure), clbits=1, physical=(0,))\n"
        "assert probabilities(circuit).tolist() == [0, 1]\n"
    )
    listed = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
        listed.append(sorted(path.name for path in tmp_path.iterdir() if "layered" in path.name and path.name.endswith("-cache")))
    assert listed[0]
    assert listed[0] == listed[1]


def test_every_gate_is_in_the_random_circuits(circuits):
    """The comparison with Aer proves a gate only if the gate was in it."""
    for width in (3, 8):
        assert {operation.name for operation in circuits.gates(width, 46, width)} == GATES.keys()
