"""Keys of caches, and circuits on their touched qubits."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.reference.circuit import Circuit, Operation
from qobs.reference.hashing import content_hash, structure_hash
from qobs.reference.layout import dense, touched
from qobs.reference.parse import parse

GATE = st.one_of(
    st.tuples(st.sampled_from(["h", "sx"]), st.integers(0, 3), st.none(), st.none()),
    st.tuples(st.just("rz"), st.integers(0, 3), st.none(), st.floats(-7, 7)),
    st.tuples(st.just("cx"), st.integers(0, 3), st.integers(1, 3), st.none()),
)


def program(gates, register: str = "q", bits: str = "c", shift: float = 0.0) -> str:
    lines = [f'OPENQASM 2.0; include "qelib1.inc"; qreg {register}[4]; creg {bits}[4];']
    for name, first, step, angle in gates:
        angles = "" if angle is None else f"({angle + shift!r})"
        second = "" if step is None else f",{register}[{(first + step) % 4}]"
        lines.append(f"{name}{angles} {register}[{first}]{second};")
    return "\n".join([*lines, f"measure {register} -> {bits};"])


@settings(max_examples=40, derandomize=True, deadline=None)
@given(gates=st.lists(GATE, min_size=1, max_size=12), shift=st.floats(-1, 1))
def test_names_and_angles_do_not_change_the_shape(gates, shift):
    """Same shape, same program: no lowering and no compiling again."""
    shape = structure_hash(parse(program(gates)))
    assert structure_hash(parse(program(gates, "some", "other", shift))) == shape


@settings(max_examples=40, derandomize=True, deadline=None)
@given(gates=st.lists(GATE, min_size=1, max_size=12), data=st.data())
def test_another_operand_gate_or_order_is_another_shape(gates, data):
    """Two shapes under one key would give one circuit the other's distribution."""
    shape = structure_hash(parse(program(gates)))
    place = data.draw(st.integers(0, len(gates) - 1))
    name, first, step, angle = gates[place]
    moved = [*gates[:place], (name, (first + 1) % 4, step, angle), *gates[place + 1 :]]
    assert structure_hash(parse(program(moved))) != shape
    assert structure_hash(parse(program([*gates, ("h", 0, None, None)]))) != shape
    assert structure_hash(parse(program(gates[:place] + gates[place + 1 :]))) != shape


def test_measured_bit_belongs_to_the_shape():
    """Crossed measurements are another distribution."""
    straight = parse('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; measure q[0]->c[0];')
    crossed = parse('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; measure q[0]->c[1];')
    assert structure_hash(straight) != structure_hash(crossed)


def test_content_hash_is_of_the_bytes():
    """One changed angle is another content."""
    assert content_hash("a") == content_hash(b"a") != content_hash("b")
    assert len(content_hash("\ud800")) == 64


def test_dense_keeps_order_and_hardware_numbers():
    """The calibration is read by ``physical``, the state by place."""
    operations = (
        Operation("h", (12,)),
        Operation("barrier", (0, 12, 7)),
        Operation("delay", (3,), (1e-6,)),
        Operation("cx", (12, 7)),
        Operation("measure", (7,), (), (1,)),
    )
    circuit = Circuit(width=20, operations=operations, clbits=2, physical=tuple(range(100, 120)))
    assert touched(circuit) == (7, 12)
    small = dense(circuit)
    assert small.physical == (107, 112)
    assert small.clbits == 2
    assert [(each.name, each.qubits) for each in small.operations] == [
        ("h", (1,)),
        ("barrier", (1, 0)),
        ("cx", (1, 0)),
        ("measure", (0,)),
    ]
    assert dense(small) is small


def three_gates(width: int, first: int, second: int, third: int) -> str:
    head = f'OPENQASM 2.0; include "qelib1.inc"; qreg q[{width}]; '
    return head + f"ry(0.3) q[{first}]; cx q[{first}],q[{second}]; cp(1.1) q[{second}],q[{third}];"


@settings(max_examples=25, derandomize=True, deadline=None)
@given(places=st.lists(st.integers(0, 30), min_size=3, max_size=3, unique=True))
def test_dense_is_the_same_unitary_up_to_idle_qubits(places, unitary):
    """Spread over any three of 31 qubits, the circuit is the one on three, its qubits in ascending order."""
    first, second, third = places
    text = three_gates(31, first, second, third)
    rank = {place: order for order, place in enumerate(sorted(places))}
    first, second, third = (rank[place] for place in places)
    small = three_gates(3, first, second, third)
    assert np.allclose(unitary(dense(parse(text))), unitary(parse(small)))
