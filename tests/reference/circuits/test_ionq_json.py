"""IonQ's JSON in both gatesets."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from qobs.errors import CircuitError
from qobs.reference.circuit import Operation, Register
from qobs.reference.parse import parse


def job(gates: list[dict], *, gateset: str = "qis", qubits: int = 3, **more) -> str:
    return json.dumps({"qubits": qubits, "gateset": gateset, "circuit": gates, **more})


def gates_of(text: str) -> list[tuple[str, tuple[int, ...], tuple[float, ...]]]:
    return [(each.name, each.qubits, each.params) for each in parse(text).operations if each.name != "measure"]


def test_qis_gates_with_target_targets_and_controls():
    """One operand may be written in four ways."""
    gates = [
        {"gate": "h", "target": 0},
        {"gate": "not", "targets": [1]},
        {"gate": "cnot", "control": 2, "target": 0},
        {"gate": "x", "controls": [0, 1], "target": 2},
        {"gate": "rx", "rotation": 0.25, "target": 1},
        {"gate": "rz", "rotation": -1, "control": 2, "targets": [1]},
        {"gate": "si", "target": 0},
        {"gate": "v", "target": 2},
        {"gate": "t", "control": 0, "target": 1},
        {"gate": "zz", "rotation": 0.5, "targets": [2, 0]},
        {"gate": "swap", "targets": [1, 2]},
    ]
    assert gates_of(job(gates)) == [
        ("h", (0,), ()),
        ("x", (1,), ()),
        ("cx", (2, 0), ()),
        ("ccx", (0, 1, 2), ()),
        ("rx", (1,), (0.25,)),
        ("crz", (2, 1), (-1.0,)),
        ("sdg", (0,), ()),
        ("sx", (2,), ()),
        ("cp", (0, 1), (math.pi / 4,)),
        ("rzz", (2, 0), (0.5,)),
        ("swap", (1, 2), ()),
    ]


def test_native_gates_are_in_turns(unitary, equal, ms_matrix):
    """A turn taken for a radian is a rotation by a sixth of what was meant."""
    phase = 0.17
    gates = [{"gate": "gpi", "phase": phase, "target": 0}]
    exact = np.array([[0, np.exp(-2j * np.pi * phase)], [np.exp(2j * np.pi * phase), 0]])
    assert equal(unitary(parse(job(gates, gateset="native", qubits=1))), exact)
    gates = [{"gate": "gpi2", "phase": phase, "target": 0}]
    exact = np.array([[1, -1j * np.exp(-2j * np.pi * phase)], [-1j * np.exp(2j * np.pi * phase), 1]]) / math.sqrt(2)
    assert equal(unitary(parse(job(gates, gateset="native", qubits=1))), exact)
    gates = [{"gate": "ms", "phases": [0.1, 0.37], "angle": 0.13, "targets": [0, 1]}]
    exact = ms_matrix(0.2 * np.pi, 0.74 * np.pi, 0.26 * np.pi)
    assert equal(unitary(parse(job(gates, gateset="native", qubits=2))), exact)
    gates = [{"gate": "zz", "angle": 0.2, "targets": [0, 1]}]
    exact = np.diag(np.exp(1j * np.pi * 0.2 * np.array([-1, 1, 1, -1])))
    assert equal(unitary(parse(job(gates, gateset="native", qubits=2))), exact)


def test_ms_without_an_angle_is_fully_entangling():
    """A quarter turn is the page's default."""
    text = job([{"gate": "ms", "phases": [0, 0], "targets": [2, 0]}], gateset="native")
    assert gates_of(text) == [("ms", (2, 0), (0.0, 0.0, math.pi / 2))]


def test_every_qubit_is_measured_unless_registers_say_which():
    """Asymmetric: the register holds qubits 2 and 0, and nothing in its middle bit."""
    circuit = parse(job([{"gate": "x", "target": 2}], registers={"meas": [2, None, 0]}))
    assert circuit.registers == (Register("meas", 0, 3),)
    assert circuit.operations[1:] == (Operation("measure", (2,), (), (0,)), Operation("measure", (0,), (), (2,)))
    assert [each.clbits for each in parse(job([])).operations] == [(0,), (1,), (2,)]


def test_circuit_under_input_is_found():
    """The body of a job as it was posted."""
    inner = json.loads(job([{"gate": "x", "target": 1}], qubits=2))
    circuit = parse(json.dumps({"type": "ionq.circuit.v1", "name": "mine", "input": inner}))
    assert (circuit.width, circuit.name) == (2, "mine")


@pytest.mark.parametrize(
    ("gates", "told"),
    [
        ([{"gate": "warp", "target": 0}], r"circuit\[0\].*'warp'"),
        ([{"gate": "h", "target": 0}, {"gate": "h", "target": 3}], r"circuit\[1\].*'3'"),
        ([{"gate": "h"}], "on 0 qubits"),
        ([{"gate": "rx", "target": 0}], "`rotation`"),
        ([{"gate": "rx", "target": 0, "rotation": "1"}], "`rotation`"),
        ([{"gate": "cnot", "target": 0}], "control"),
        ([{"gate": "cnot", "control": 0, "target": 0}], "twice"),
        ([{"gate": "x", "controls": [0, 1, 2], "target": 2}], "3 controls"),
        ([{"gate": "h", "target": True}], "True"),
        ([7], "'7'"),
        ([{"gate": 3}], "gate"),
        ("gates", "list of gates"),
    ],
)
def test_error_tells_which_gate(gates, told):
    """The index, for there are no lines in JSON."""
    with pytest.raises(CircuitError, match=told):
        parse(job(gates))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"circuits": []}',
        '{"circuit": [], "qubits": 0}',
        '{"circuit": [], "qubits": 1e9}',
        '{"circuit": [], "qubits": 10000}',
        '{"circuit": [], "qubits": 1, "gateset": "other"}',
        '{"circuit": [], "qubits": 1, "registers": [1]}',
        '{"circuit": [], "qubits": 1, "registers": {"a": [1]}}',
        '{"circuit": [{"gate": "rx", "rotation": 1' + "0" * 400 + ', "target": 0}], "qubits": 1}',
        '{"a":' * 5000,
        "[" * 100000,
    ],
)
def test_json_that_is_no_circuit_is_refused(text):
    """Clear, whatever is inside."""
    with pytest.raises(CircuitError):
        parse(text)


def test_native_gates_are_not_read_as_qis():
    """The gateset decides; `ms` in qis is an error, not a guess."""
    with pytest.raises(CircuitError, match="qis"):
        parse(job([{"gate": "ms", "phases": [0, 0], "targets": [0, 1]}]))
    with pytest.raises(CircuitError, match="native"):
        parse(job([{"gate": "h", "target": 0}], gateset="native"))
