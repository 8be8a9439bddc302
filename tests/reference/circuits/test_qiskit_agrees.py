"""Qiskit as the oracle: what it dumps, read here, is the same unitary; its binary form is the same circuit."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm2, qasm3, qpy
from qiskit.circuit import Parameter
from qiskit.circuit import library as gates
from qiskit.quantum_info import Operator

from qobs.errors import CircuitError
from qobs.reference.circuit import GATES, Operation
from qobs.reference.layout import dense
from qobs.reference.limits import Limits
from qobs.reference.parse import parse

TRIPLE = Path(__file__).parents[4] / "shared/data/quantum/ibm_job_triples/torino_2025-10-06_emc2_12q"
NATIVE = {
    "id": gates.IGate,
    "x": gates.XGate,
    "y": gates.YGate,
    "z": gates.ZGate,
    "h": gates.HGate,
    "s": gates.SGate,
    "sdg": gates.SdgGate,
    "t": gates.TGate,
    "tdg": gates.TdgGate,
    "sx": gates.SXGate,
    "sxdg": gates.SXdgGate,
    "rx": gates.RXGate,
    "ry": gates.RYGate,
    "rz": gates.RZGate,
    "p": gates.PhaseGate,
    "r": gates.RGate,
    "u": gates.UGate,
    "cx": gates.CXGate,
    "cy": gates.CYGate,
    "cz": gates.CZGate,
    "ch": gates.CHGate,
    "cs": gates.CSGate,
    "csdg": gates.CSdgGate,
    "csx": gates.CSXGate,
    "swap": gates.SwapGate,
    "iswap": gates.iSwapGate,
    "ecr": gates.ECRGate,
    "dcx": gates.DCXGate,
    "cp": gates.CPhaseGate,
    "crx": gates.CRXGate,
    "cry": gates.CRYGate,
    "crz": gates.CRZGate,
    "rxx": gates.RXXGate,
    "ryy": gates.RYYGate,
    "rzz": gates.RZZGate,
    "rzx": gates.RZXGate,
    "xx_minus_yy": gates.XXMinusYYGate,
    "xx_plus_yy": gates.XXPlusYYGate,
    "cu": gates.CUGate,
    "ccx": gates.CCXGate,
    "ccz": gates.CCZGate,
    "cswap": gates.CSwapGate,
}


def drawn(seed: int, width: int = 3, length: int = 12, clbits: int = 3) -> QuantumCircuit:
    """Random gates of every kind."""
    draw = np.random.default_rng(seed)
    made = QuantumCircuit(width, clbits)
    for name in draw.choice(sorted(NATIVE), length):
        shape = GATES[str(name)]
        qubits = draw.permutation(width)[: shape.qubits]
        made.append(NATIVE[str(name)](*draw.uniform(-7, 7, shape.params)), [int(qubit) for qubit in qubits])
    return made


def test_every_gate_has_its_class_here():
    """All gates but IonQ's ms are Qiskit's."""
    assert NATIVE.keys() == GATES.keys() - {"ms"}


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), dump=st.sampled_from([qasm2.dumps, qasm3.dumps]))
def test_dumps_parse_to_the_same_unitary_and_the_same_gates(seed, dump, unitary, equal):
    """The gates too: an ecr that comes back as four others loses its calibration."""
    made = drawn(seed)
    circuit = parse(dump(made))
    assert [each.name for each in circuit.operations] == [each.operation.name for each in made.data]
    assert equal(unitary(circuit), Operator(made).data, 1e-7)


@settings(max_examples=10, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_gates_that_users_define_are_expanded_to_the_same_unitary(seed, unitary, equal):
    """A gate within a gate, exported by name."""
    inner = drawn(seed, length=4, clbits=0)
    outer = QuantumCircuit(3)
    outer.append(inner.copy(name="mine").to_gate(), [2, 0, 1])
    outer.append(inner.copy(name="mine").to_gate().inverse(), [1, 2, 0])
    for dump in (qasm2.dumps, qasm3.dumps):
        assert equal(unitary(parse(dump(outer))), Operator(outer).data, 1e-7)
    assert equal(unitary(parse(packed(outer))), Operator(outer).data, 1e-7)


def packed(circuit: QuantumCircuit, **options) -> bytes:
    """Its QPY."""
    file = io.BytesIO()
    qpy.dump(circuit, file, **options)
    return file.getvalue()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("version", [13, 14, 15, 16, 17, 18])
def test_qpy_of_every_version_is_the_circuit(seed, version):
    """IBM's jobs carry it; operands, angles and measurements come back as they were."""
    made = drawn(seed)
    made.measure([0, 2], [2, 0])
    circuit = parse(packed(made, version=version))
    assert len(circuit.operations) == len(made.data)
    for ours, theirs in zip(circuit.operations, made.data, strict=True):
        assert ours.name == theirs.operation.name
        assert ours.qubits == tuple(made.find_bit(bit).index for bit in theirs.qubits)
        assert ours.clbits == tuple(made.find_bit(bit).index for bit in theirs.clbits)
        assert ours.params == tuple(float(each) for each in theirs.operation.params)


def test_real_job_reads_as_qiskit_reads_it():
    """A 12-qubit job of ibm_torino: 25,204 instructions on 133 qubits, from its job info."""
    if not TRIPLE.exists():
        pytest.skip("the recorded job is not part of the package")
    info = json.loads(next(TRIPLE.glob("*-info.json")).read_text(encoding="utf-8"))
    held = info["params"]["pubs"][0][0]
    theirs = qpy.load(io.BytesIO(zlib.decompress(base64.b64decode(held["__value__"]))))[0]
    circuit = parse(held["__value__"])
    assert parse(json.dumps(held)) == circuit
    assert (circuit.width, circuit.clbits) == (133, 8)
    assert [each.name for each in circuit.operations] == [each.operation.name for each in theirs.data]
    place = {bit: index for index, bit in enumerate(theirs.qubits)}
    assert [each.qubits for each in circuit.operations] == [tuple(place[bit] for bit in each.qubits) for each in theirs.data]
    by_number, declared = dense(parse(qasm3.dumps(theirs))), dense(parse(qasm2.dumps(theirs)))
    assert by_number.operations == declared.operations
    assert by_number.physical == declared.physical == dense(circuit).physical


def test_qpy_control_on_zero_is_not_taken_for_control_on_one():
    """Qiskit names it cx_o0, but a class test alone would take it for cx."""
    made = QuantumCircuit(2)
    made.append(gates.XGate().control(1, ctrl_state=0), [0, 1])
    assert parse(packed(made)).operations == (Operation("x", (0,)), Operation("cx", (0, 1)), Operation("x", (0,)))


def test_qpy_that_is_no_fixed_circuit_is_refused():
    """Open parameters and conditions are told by name."""
    open_angle = QuantumCircuit(1)
    open_angle.rz(Parameter("t"), 0)
    with pytest.raises(CircuitError, match="left open"):
        parse(packed(open_angle))
    chosen = QuantumCircuit(1, 1)
    chosen.measure(0, 0)
    with chosen.if_test((0, 1)):
        chosen.x(0)
    with pytest.raises(CircuitError, match="if_else"):
        parse(packed(chosen))


def test_qpy_limits_are_checked_on_the_header():
    """Sizes in the header are believed only when they are small."""
    body = packed(drawn(1))
    for limits in (Limits(qubits=2), Limits(operations=3), Limits(clbits=2), Limits(source_bytes=100)):
        with pytest.raises(CircuitError, match="more"):
            parse(body, limits=limits)
    bomb = base64.b64encode(zlib.compress(body + bytes(10**6))).decode()
    with pytest.raises(CircuitError, match="bytes of source"):
        parse(bomb, limits=Limits(source_bytes=10**5))


@pytest.mark.parametrize("cut", [0, 5, 7, 20, 40, 60, 100, 200])
def test_qpy_that_is_cut_off_is_refused(cut):
    """Half a file is an error, whatever qiskit's reader raises."""
    body = packed(drawn(1))
    with pytest.raises(CircuitError):
        parse(body[:cut], kind="qpy")


def test_delay_in_qpy_has_its_unit():
    """Ticks need the backend's tick."""
    made = QuantumCircuit(1)
    made.delay(100, 0, "ns")
    made.delay(10, 0, "dt")
    assert [each.params[0] for each in parse(packed(made), dt_seconds=1e-9).operations] == pytest.approx([1e-7, 1e-8])
    with pytest.raises(CircuitError, match="dt_seconds"):
        parse(packed(made))
