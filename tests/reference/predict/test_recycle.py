"""Holding together only what is entangled gives the same probabilities, and makes real wide circuits small."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES, Operation
from qobs.reference.cone import deferred, reduced
from qobs.reference.matrices import matrix
from qobs.reference.recycle import recycled_probabilities


def by_matrices(circuit):
    """Probabilities by plain matrices on the whole state, gate by gate."""
    state = np.zeros(2**circuit.width, dtype=complex)
    state[0] = 1
    told = {}
    for name, qubits, params, clbits in circuit.operations:
        if name == "measure":
            told[clbits[0]] = qubits[0]
            continue
        axes = [circuit.width - 1 - qubit for qubit in reversed(qubits)]
        tensor = np.moveaxis(state.reshape((2,) * circuit.width), axes, range(len(axes)))
        moved = matrix(name, params) @ tensor.reshape(2 ** len(axes), -1)
        state = np.moveaxis(moved.reshape(tensor.shape), range(len(axes)), axes).reshape(-1)
    found = np.zeros(2**circuit.clbits)
    for index, amplitude in enumerate(state):
        found[sum((index >> qubit & 1) << clbit for clbit, qubit in told.items())] += abs(amplitude) ** 2
    return found


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 6), gates=st.integers(1, 30))
def test_recycled_probabilities_are_those_of_the_whole_state(circuits, seed, width, gates):
    """Letting a qubit go that is still entangled would change the distribution quietly."""
    circuit = deferred(reduced(circuits.random(seed, width=width, gates=gates, clbits=6, middle=0.0))).circuit
    got, widest = recycled_probabilities(circuit, max_qubits=20)
    assert widest <= circuit.width
    assert got == pytest.approx(by_matrices(circuit), abs=1e-9)


def test_every_gate_is_simulated(circuits):
    """A gate that one engine lacks would make wide circuits unverifiable for no reason a user can see."""
    for name, shape in GATES.items():
        start = [Operation("ry", (qubit,), (0.4 + 0.5 * qubit,)) for qubit in range(3)]
        acted = Operation(name, tuple(range(shape.qubits)), tuple(0.3 + 0.2 * place for place in range(shape.params)))
        turned = [Operation("ry", (qubit,), (0.9,)) for qubit in range(3)]
        measured = [Operation("measure", (qubit,), (), (2 - qubit,)) for qubit in range(3)]
        circuit = circuits.of([*start, acted, *turned, *measured], 3, 3)
        assert recycled_probabilities(circuit, max_qubits=3)[0] == pytest.approx(by_matrices(circuit), abs=1e-12), name


@pytest.mark.parametrize("length", [10, 80])
def test_a_routed_qubit_leaves_its_path_free(circuits, length):
    """Routing by swaps, in gates that devices have, touches the whole path and entangles two qubits of it at once."""
    operations = [Operation("ry", (0,), (0.7,))]
    for place in range(length - 1):
        for control, target in ((place, place + 1), (place + 1, place), (place, place + 1)):
            operations += [Operation("h", (target,)), Operation("cz", (control, target)), Operation("h", (target,))]
    operations += [
        Operation("cx", (length - 1, 0)),
        Operation("measure", (length - 1,), (), (1,)),
        Operation("measure", (0,), (), (0,)),
    ]
    got, widest = recycled_probabilities(circuits.of(operations, length, 2), max_qubits=3)
    assert widest == 2
    assert got == pytest.approx([np.cos(0.35) ** 2, 0, 0, np.sin(0.35) ** 2], abs=1e-12)


def test_too_much_entanglement_is_refused_before_memory_is_taken(circuits):
    """A daemon must not die of one wide circuit."""
    wide = circuits.layers(40, 40)
    few = circuits.of([each for each in wide.operations if each.name != "measure" or each.clbits[0] < 2], 40, 2)
    tracemalloc.start()
    with pytest.raises(CircuitError, match="entangled at once"):
        recycled_probabilities(few, max_qubits=12)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_work_is_bounded(circuits):
    """A deep circuit of moderate width must end as well."""
    with pytest.raises(CircuitError, match="passes over too many amplitudes"):
        recycled_probabilities(circuits.layers(10, 40), max_qubits=12, max_work=100_000)
