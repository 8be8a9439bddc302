"""Stabiliser simulation: the same distributions as state vectors, at any width, and noise in the right places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import CircuitError
from qobs.reference.circuit import Operation
from qobs.reference.clifford import CliffordCircuit, is_clifford
from qobs.reference.cone import deferred, reduced
from qobs.reference.twirl import ErrorSite, TwirledNoise


def shares(rows, bits):
    """How often each outcome came, bit 0 lowest."""
    return np.bincount(rows @ (1 << np.arange(bits)), minlength=1 << bits) / len(rows)


def noise_of(circuit, place, site, confusions=None):
    """One error after one operation."""
    count = len(circuit.operations)
    after = tuple((site,) if index == place else () for index in range(count))
    return TwirledNoise(before=((),) * count, after=after, confusions=confusions or {})


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 4), gates=st.integers(1, 20))
def test_all_outcomes_of_a_clifford_circuit_are_those_of_its_state(circuits, clifford_gates, seed, width, gates):
    """Measurements in the middle, resets and every bit order included: exact, not sampled."""
    circuit = reduced(circuits.random(seed, width=width, gates=gates, clbits=4, names=clifford_gates))
    assert is_clifford(circuit.circuit)
    space = CliffordCircuit(circuit.circuit).ideal()
    got = shares(space.outcomes(), circuit.circuit.clbits)
    assert got == pytest.approx(circuits.recycled(deferred(circuit).circuit), abs=1e-9)
    checks, outcomes = space.checks().astype(int), space.outcomes().astype(int)
    values = (outcomes @ checks.T) % 2
    assert (values == values[:1]).all()
    assert len(checks) + space.dimension == circuit.circuit.clbits


@pytest.mark.parametrize(
    ("name", "params"), [("t", ()), ("rx", (1.570796,)), ("ccx", ()), ("rzz", (0.4,)), ("u", (0.1, 0.2, 0.3))]
)
def test_what_is_not_clifford_is_told(circuits, name, params):
    """An angle that is nearly right must not be rounded to one that is."""
    qubits = tuple(range(3 if name == "ccx" else 2 if name == "rzz" else 1))
    circuit = circuits.of([Operation(name, qubits, params), Operation("measure", (0,), (), (0,))], 3, 1)
    assert not is_clifford(circuit)
    with pytest.raises(CircuitError, match="no Clifford gate"):
        CliffordCircuit(circuit)


def test_hundreds_of_qubits_are_exact(circuits):
    """The width of today's largest devices, and then some."""
    space = CliffordCircuit(circuits.ghz(400)).ideal()
    assert (space.dimension, {int(row.sum()) for row in space.outcomes()}) == (1, {0, 400})


def test_a_pauli_error_hits_the_operand_it_is_written_for(circuits):
    """With the operands exchanged, errors of a pair would land on the wrong bit, and symmetric tests never see it."""
    operations = [Operation("cz", (1, 0)), Operation("measure", (0,), (), (0,)), Operation("measure", (1,), (), (1,))]
    circuit = circuits.of(operations, 2, 2)
    chances = np.zeros(16)
    chances[0], chances[1], chances[4 * 2] = 0.5, 0.4, 0.1  # X on the first operand, Y on the second
    rows = CliffordCircuit(circuit, noise_of(circuit, 0, ErrorSite((1, 0), chances))).samples(20_000, seed=3)
    assert shares(rows, 2) == pytest.approx([0.5, 0.1, 0.4, 0.0], abs=0.015)


def test_readout_errors_are_asymmetric(circuits):
    """A one is misread more often than a zero: the mean of both would be wrong for each."""
    confusion = np.array([[0.98, 0.3], [0.02, 0.7]])
    operations = [Operation("x", (1,)), Operation("measure", (1,), (), (0,)), Operation("measure", (0,), (), (1,))]
    circuit = circuits.of(operations, 2, 2)
    noise = TwirledNoise(before=((),) * 3, after=((),) * 3, confusions={0: confusion, 1: confusion})
    rows = CliffordCircuit(circuit, noise).samples(20_000, seed=5)
    assert rows.mean(axis=0) == pytest.approx([0.7, 0.02], abs=0.015)


def test_samples_are_bounded(circuits):
    """A request for too many is refused, not run."""
    with pytest.raises(CircuitError, match="samples"):
        CliffordCircuit(circuits.ghz(3)).samples(10**9, seed=0)
