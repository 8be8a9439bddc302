"""Counts of every provider's encoding, with circuits that no symmetry can hide.

The circuit is always this: X on qubit 0 alone of three, crossed measurements (qubit 0 into bit 2, qubit 1 into bit 0, qubit 2
into bit 1), so that the outcome is bit 2 alone: index 4. Any order read backwards gives 1, and a qubit read as a bit 1 or 2.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit, Operation, Register
from qobs.reference.counts import Order, read_counts

CROSSED = {0: 2, 1: 0, 2: 1}


def crossed(*registers: Register) -> Circuit:
    measures = tuple(Operation("measure", (qubit,), (), (clbit,)) for qubit, clbit in CROSSED.items())
    operations = (Operation("x", (0,)), *measures)
    return Circuit(width=3, operations=operations, clbits=3, physical=(5, 7, 9), registers=registers or (Register("c", 0, 3),))


@pytest.mark.parametrize(
    ("given", "order"),
    [
        pytest.param({"100": 8}, Order.CLBITS_RIGHT, id="IBM and Qiskit: bit 0 rightmost"),
        pytest.param({"0x4": 8}, Order.CLBITS_RIGHT, id="IBM: hexadecimal"),
        pytest.param(["0x4"] * 8, Order.CLBITS_RIGHT, id="IBM: samples"),
        pytest.param({4: 8}, Order.CLBITS_RIGHT, id="Qiskit: whole numbers"),
        pytest.param({"001": 8}, Order.CLBITS_LEFT, id="Quantinuum and pytket: bit 0 leftmost"),
        pytest.param({(0, 0, 1): 8}, Order.CLBITS_LEFT, id="pytket and Azure v2: tuples"),
        pytest.param([[0, 0, 1]] * 8, Order.CLBITS_LEFT, id="Rigetti: ro, shots by bits"),
        pytest.param({"[0, 0, 1]": 8}, Order.CLBITS_LEFT, id="Azure v1: labels"),
        pytest.param({"001": 8}, Order.CLBITS_LEFT, id="IQM: keys from left to right"),
        pytest.param({"100": 8}, Order.QUBITS_LEFT, id="Braket: qubit 0 leftmost"),
        pytest.param([[1, 0, 0]] * 8, Order.QUBITS_LEFT, id="Braket: measurements"),
        pytest.param({"1": 8}, Order.QUBITS_RIGHT, id="IonQ: decimal, bit i is qubit i"),
        pytest.param({1: 8}, Order.QUBITS_RIGHT, id="IonQ: whole numbers"),
    ],
)
def test_each_encoding_gives_the_same_outcome(given, order):
    """A bit order read backwards makes good hardware look broken."""
    assert read_counts(given, crossed(), order=order) == {4: 8}


def test_braket_columns_follow_measured_qubits():
    """Columns are in the order of ``measuredQubits``, whatever it is."""
    assert read_counts({"001": 3}, crossed(), order=Order.QUBITS_LEFT, measured=(2, 1, 0)) == {4: 3}
    assert read_counts({"010": 3}, crossed(), order=Order.QUBITS_LEFT, measured=(1, 0, 2)) == {4: 3}


def test_ionq_probabilities_become_counts():
    """IonQ and Braket give probabilities even of hardware; the counts add up to the shots."""
    given = {"1": 0.3333, "2": 0.3333, "4": 0.3334}
    found = read_counts(given, crossed(), order=Order.QUBITS_RIGHT, shots=100)
    assert sum(found.values()) == 100
    assert found.keys() == {4, 1, 2}
    assert max(found.values()) - min(found.values()) <= 1


def test_partial_measurement_ignores_the_other_qubits():
    """IonQ's number has a bit for every qubit; what is not measured into a bit is summed over."""
    operations = (Operation("x", (2,)), Operation("measure", (2,), (), (0,)))
    circuit = Circuit(width=3, operations=operations, clbits=2, physical=(0, 1, 2), registers=(Register("c", 0, 2),))
    assert read_counts({"4": 3, "5": 2, "1": 1}, circuit, order=Order.QUBITS_RIGHT) == {1: 5, 0: 1}
    assert read_counts({"1": 3}, circuit, order=Order.QUBITS_LEFT) == {1: 3}


def test_spaces_keep_registers_apart():
    """IBM writes the register declared last first."""
    registers = [Register("a", 0, 3), Register("b", 3, 2)]
    assert read_counts({"01 110": 7, "10 001": 1}, registers) == {0b01110: 7, 0b10001: 1}
    assert read_counts({"011 10": 7}, registers, order=Order.CLBITS_LEFT) == {0b01110: 7}
    with pytest.raises(CircuitError, match="registers"):
        read_counts({"011 10": 7}, registers)


def test_equal_outcomes_add_up_and_zeros_vanish():
    """The same outcome may come as text and as a number."""
    assert read_counts({"0x1": 2, "001": 3, "010": 0}, crossed()) == {1: 5}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"0110": 1}, "4 bits"),
        ({"01": 1}, "2 bits"),
        ({"0x8": 1}, "3 bits"),
        ({8: 1}, "3 bits"),
        ({-1: 1}, "3 bits"),
        ({"abc": 1}, "no key"),
        ({"12": 1}, "no key"),
        ({"": 1}, "no key"),
        ({"٠٠١": 1}, "no key"),
        ({(0, 2, 0): 1}, "no key"),
        ({"000": -1}, "count"),
        ({"000": float("nan")}, "count"),
        ({"000": float("inf")}, "count"),
        ({"000": 10**400}, "count"),
        ({"000": "7"}, "count"),
        ({"000": True}, "count"),
        ({"000": 0.5}, "shots"),
        ({None: 1}, "no key"),
        ({1.5: 1}, "no key"),
        ({"0" * 100_000: 1}, "bits"),
        ({"9" * 5000: 1}, "no key"),
    ],
)
def test_counts_that_do_not_fit_are_refused(given, told):
    """A verdict on counts of another circuit is worse than none."""
    with pytest.raises(CircuitError, match=told):
        read_counts(given, crossed())


def test_probabilities_must_add_up():
    """A histogram that lost its tail is not a distribution."""
    with pytest.raises(CircuitError, match="sum"):
        read_counts({"000": 0.5}, crossed(), shots=100)
    with pytest.raises(CircuitError, match="0 shots"):
        read_counts({"000": 1.0}, crossed(), shots=0)


def test_orders_by_qubit_need_one_measurement_of_each():
    """Measured twice, a qubit's column stands for one of two bits, and nobody knows which."""
    twice = Circuit(
        width=1,
        operations=(Operation("measure", (0,), (), (0,)), Operation("measure", (0,), (), (1,))),
        clbits=2,
        physical=(0,),
    )
    with pytest.raises(CircuitError, match="twice"):
        read_counts({"1": 1}, twice, order=Order.QUBITS_RIGHT)
    with pytest.raises(CircuitError, match="registers alone"):
        read_counts({"1": 1}, [Register("c", 0, 1)], order=Order.QUBITS_LEFT)
    with pytest.raises(CircuitError, match="include"):
        read_counts({"1": 1}, crossed(), order=Order.QUBITS_LEFT, measured=(1,))


@settings(max_examples=50, derandomize=True, deadline=None)
@given(bits=st.lists(st.integers(0, 1), min_size=6, max_size=6), order=st.permutations(range(6)))
def test_all_orders_tell_the_same_of_any_permutation(bits, order):
    """Whatever the permutation and the outcome: written in each order, read to one index."""
    measures = tuple(Operation("measure", (qubit,), (), (clbit,)) for qubit, clbit in enumerate(order))
    circuit = Circuit(width=6, operations=measures, clbits=6, physical=tuple(range(6)), registers=(Register("c", 0, 6),))
    held = {order[qubit]: bit for qubit, bit in enumerate(bits)}
    index = sum(bit << clbit for clbit, bit in held.items())
    ascending = "".join(str(held[clbit]) for clbit in range(6))
    by_qubit = "".join(map(str, bits))
    written = {
        Order.CLBITS_RIGHT: ascending[::-1],
        Order.CLBITS_LEFT: ascending,
        Order.QUBITS_LEFT: by_qubit,
        Order.QUBITS_RIGHT: int(by_qubit[::-1], 2),
    }
    assert {order: read_counts({key: 1}, circuit, order=order) for order, key in written.items()} == {
        order: {index: 1} for order in written
    }
