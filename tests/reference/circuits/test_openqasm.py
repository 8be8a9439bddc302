"""OpenQASM as machines and people write it."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from qobs.errors import CircuitError
from qobs.reference.circuit import Operation, Register
from qobs.reference.definitions import library
from qobs.reference.limits import DEFAULT_LIMITS, Unfamiliar
from qobs.reference.parse import parse
from qobs.reference.qasm_flat import FlatParser
from qobs.reference.source import prepared

TWO = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
THREE = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def measures(text: str) -> list[tuple[int, int]]:
    return [(each.qubits[0], each.clbits[0]) for each in parse(text).operations if each.name == "measure"]


@pytest.mark.parametrize(
    "text",
    [
        TWO + "qreg q[2]; creg c[2]; measure q -> c;",
        TWO + "qreg q[2]; creg c[2]; measure q[0]->c[0]; measure q[1] -> c[1];",
        TWO + "qreg q[2];creg c[2];measure q[0] -> c[0];measure  q [1]  ->  c [1] ;",
        THREE + "qubit[2] q; bit[2] c; c = measure q;",
        THREE + "qubit[2] q; bit[2] c; c[0] = measure q[0]; c[1]=measure q[1];",
        THREE + "qubit[2] q; bit[2] c; measure q -> c;",
        THREE + "qubit[2] q; bit[2] c; c[0:1] = measure q[0:1];",
        THREE + "qubit[2] q; bit[2] c = measure q;",
        THREE + "qubit[2] q; bit[2] c; c[{0, 1}] = measure q[{0, -1}];",
    ],
)
def test_every_spelling_of_measure_is_read(text):
    """A spelling that is skipped leaves a bit at 0, and every verdict on it is wrong."""
    assert measures(text) == [(0, 0), (1, 1)]


def test_registers_follow_one_another_and_measures_may_cross():
    """Split registers and permuted measures are where orders are lost."""
    circuit = parse(TWO + "qreg a[2]; qreg b[1]; creg x[1]; creg y[2]; x a[1]; measure b[0] -> y[1]; measure a[1] -> x[0];")
    assert circuit.registers == (Register("x", 0, 1), Register("y", 1, 2))
    assert (circuit.width, circuit.clbits) == (3, 3)
    assert circuit.operations == (
        Operation("x", (1,)),
        Operation("measure", (2,), (), (2,)),
        Operation("measure", (1,), (), (0,)),
    )


def test_whole_registers_are_taken_side_by_side():
    """`cx a, b` is a gate for each pair, `cx a[0], b` one for each of b."""
    circuit = parse(TWO + "qreg a[2]; qreg b[2]; cx a,b; cx a[0],b; h b; barrier a,b[1]; reset a;")
    assert [(each.name, each.qubits) for each in circuit.operations] == [
        ("cx", (0, 2)),
        ("cx", (1, 3)),
        ("cx", (0, 2)),
        ("cx", (0, 3)),
        ("h", (2,)),
        ("h", (3,)),
        ("barrier", (0, 1, 3)),
        ("reset", (0,)),
        ("reset", (1,)),
    ]


def test_physical_qubits_keep_their_numbers():
    """The calibration is found by them."""
    circuit = parse(THREE + "bit[2] c; sx $12; cz $12, $7; c[0] = measure $12; c[1] = measure $133;")
    assert circuit.physical == (7, 12, 133)
    assert [each.qubits for each in circuit.operations] == [(1,), (1, 0), (1,), (2,)]


def test_measurement_and_reset_in_the_middle_are_kept():
    """What an engine cannot do it must see, in its place."""
    circuit = parse(TWO + "qreg q[1]; creg c[2]; h q[0]; measure q[0] -> c[0]; reset q[0]; x q[0]; measure q[0] -> c[1];")
    assert [each.name for each in circuit.operations] == ["h", "measure", "reset", "x", "measure"]


def test_delays_are_seconds():
    """A delay in other units would idle a qubit for years or not at all."""
    text = THREE + "qubit[2] q; delay[100ns] q[0]; delay[2.5us] q; delay[10dt] q[1];"
    found = [(each.qubits, each.params[0]) for each in parse(text, dt_seconds=0.5e-9).operations]
    assert [qubits for qubits, _ in found] == [(0,), (0,), (1,), (1,)]
    assert [seconds for _, seconds in found] == pytest.approx([1e-7, 2.5e-6, 2.5e-6, 5e-9])
    old = TWO + "opaque delay(t) a; qreg q[1]; delay(100) q[0];"
    assert parse(old, dt_seconds=1e-9).operations[0].params == pytest.approx((1e-7,))
    with pytest.raises(CircuitError, match="dt_seconds"):
        parse(text)


def test_comments_and_layout_change_nothing():
    """Comments hold semicolons, braces and gates."""
    plain = parse(TWO + "qreg q[2];\nh q[0];\ncx q[0],q[1];")
    odd = parse("// x; {\n" + TWO + "/* h q; \n } */ qreg q[2];h q[0]; // cx q[1],q[0];\n\n  cx\tq[0] ,\n q[1];")
    assert odd == plain


@pytest.mark.parametrize(
    ("angle", "value"),
    [("pi/2", math.pi / 2), ("-3*pi/4", -3 * math.pi / 4), ("2.5e-1", 0.25), ("(1+2)*0.1", 0.3), ("cos(0)", 1), (".5", 0.5)],
)
@pytest.mark.parametrize("head", [TWO + "qreg q[1];", THREE + "qubit[1] q;"])
def test_angles_are_computed(head, angle, value):
    """Exporters write multiples of pi."""
    assert parse(f"{head} rz({angle}) q[0];").operations[0].params == pytest.approx((value,))


def test_powers_bind_as_each_version_says():
    """`^` is a power in OpenQASM 2 alone; powers bind before the sign and from the right."""
    assert parse(TWO + "qreg q[1]; rz(-2^3^0.5) q[0];").operations[0].params == pytest.approx((-(2 ** (3**0.5)),))
    assert parse(THREE + "qubit q; rz(2**-1) q;").operations[0].params == (0.5,)
    with pytest.raises(CircuitError):
        parse(THREE + "qubit q; rz(2^1) q;")


@pytest.mark.parametrize("angle", ["1/2", "nan", "inf", "1_0", "1e400", "1/0.0", "sqrt(-1)", "q", "", "1 2", "((1)", "٣", "0x10"])
def test_an_angle_without_one_meaning_is_refused(angle):
    """Every one of these is a number to some reader and none to another; none may become one silently."""
    with pytest.raises(CircuitError) as caught:
        parse(THREE + f"qubit q;\nrz({angle}) q;")
    assert caught.value.line in {4, None}


@pytest.mark.parametrize("head", [TWO + "qreg q[2];", THREE + "qubit[2] q;"])
def test_gate_definitions_are_expanded(head):
    """Parameters and operands land where the definition says."""
    text = head.replace(";", "; gate a(t) x,y { cx y,x; rz(2*t) x; } gate b(s,t) x,y { a(s-t) y,x; barrier x; h x; }", 1)
    assert parse(text + "b(0.5,0.25) q[0],q[1];").operations == (
        Operation("cx", (0, 1)),
        Operation("rz", (1,), (0.5,)),
        Operation("barrier", (0,)),
        Operation("h", (0,)),
    )


def test_sx_needs_no_definition_in_version_2():
    """Qiskit writes it although the include that it names does not have it."""
    assert parse(TWO + "qreg q[1]; sx q[0]; sxdg q[0];").operations[1] == Operation("sxdg", (0,))


def test_loops_constants_and_modifiers_are_worked_out():
    """What people write: constants, loops with known bounds, inverse, control and power."""
    text = """
        const int n = 3; const float a = pi / 4; qubit[n] q; bit[n] c;
        gate kick(t) x, y { ctrl @ rx(t / 2) x, y; inv @ s x; }
        for int i in [0:n - 2] { kick(a * i) q[i], q[i + 1]; }
        for int i in {2, 0} { pow(2) @ t q[i]; }
        negctrl @ x q[0], q[1]; ctrl(2) @ x q[2], q[0], q[1];
        c[1] = measure q[2];
    """
    assert [(each.name, each.qubits, each.params) for each in parse(THREE + text).operations] == [
        ("crx", (0, 1), (0.0,)),
        ("sdg", (0,), ()),
        ("crx", (1, 2), (math.pi / 8,)),
        ("sdg", (1,), ()),
        ("t", (2,), ()),
        ("t", (2,), ()),
        ("t", (0,), ()),
        ("t", (0,), ()),
        ("x", (0,), ()),
        ("cx", (0, 1), ()),
        ("x", (0,), ()),
        ("ccx", (2, 0, 1), ()),
        ("measure", (2,), ()),
    ]


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("if (c[0] == 1) x q[0];", "if"),
        ("while (c[0] == 1) { x q[0]; }", "while"),
        ("switch (c[0]) { case 0 { x q[0]; } }", "switch"),
        ("def f(qubit a) { x a; }", "def"),
        ("input float t;", "input"),
        ("defcal x a { }", "defcal"),
        ("extern f(int) -> int;", "extern"),
        ("let r = q[0];", "let"),
        ("measure q[0];", "measure"),
        ("for int i in [0:1] { if (c[0] == 1) x q[0]; }", "if"),
        ("int n = 3;", "variable"),
        ("ctrl @ U(0.1, 0.2, 0.3) q[0], q[1];", "'U'"),
    ],
)
def test_what_is_no_circuit_is_refused_by_name(statement, word):
    """Ignoring a condition would answer another question than was asked."""
    with pytest.raises(CircuitError, match=word) as caught:
        parse(THREE + "qubit[2] q; bit[2] c;\n" + statement)
    assert caught.value.line == 4


def test_conditions_of_version_2_are_refused_by_name():
    """The same for OpenQASM 2."""
    with pytest.raises(CircuitError, match="`if`"):
        parse(TWO + "qreg q[1]; creg c[1]; measure q -> c; if(c==1) x q[0];")


@pytest.mark.parametrize(
    ("text", "line", "column", "found"),
    [
        ("qreg q[2];\n  warp q[0];", 4, 3, "'warp'"),
        ("qreg q[2];\nh q[0]; h q[2];", 4, 9, r"'q\[2\]'"),
        ("qreg q[2];\ncx q[0],q[0];", 4, 1, "twice"),
        ("qreg q[2];\ncx q[0];", 4, 1, "on 1 qubits"),
        ("qreg q[2];\nrz q[0];", 4, 1, "0 angles"),
        ("qreg q[2];\nh r[0];", 4, 1, "'r"),
        ("qreg q[2];\nqreg q[2];", 4, 1, "declared twice"),
        ("qreg q[0];", 3, 1, "size 0"),
        ("qreg a[2]; qreg b[3];\ncx a,b;", 4, 1, "sizes"),
        ("qreg q[2]; creg c[1];\nmeasure q -> c;", 4, 1, "2 qubits measured into 1"),
        ("qreg q[2];\ngate g a { h b; }", 4, None, "'b'"),
        ("qreg q[2];\ngate g a { g a; }", 4, None, "'g'"),
        ("qreg q[2];\ngate g a { h a;", 4, None, "ends inside"),
        ("qreg q[2];\nh q[0]", 4, None, "ends inside"),
        ("qreg q[2];\nh $0;", 3, 1, "physical"),
        ('include "my.inc";', 3, 1, "my.inc"),
    ],
)
def test_error_tells_line_column_and_what_was_found(text, line, column, found):
    """A message without a place is a search through 1,500 gates."""
    with pytest.raises(CircuitError, match=found) as caught:
        parse(TWO + text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.allowed


def test_grammar_errors_have_a_place_too():
    """Also where the full parser finds them."""
    with pytest.raises(CircuitError) as caught:
        parse(THREE + "qubit q;\nfor int i in [0:1] { h h h; }")
    assert caught.value.line == 4


BRAKET = """OPENQASM 3.0;
bit[2] b;
qubit[3] q;
#pragma braket verbatim
box{
cnot q[1], q[0];
}
rx(0.15) q[2];
"""


def test_braket_dialect_with_verbatim_box():
    """Braket's own names, its pragma and its box."""
    circuit = parse(BRAKET + "b[0] = measure q[2];\nb[1] = measure q[0];")
    assert [(each.name, each.qubits, each.clbits) for each in circuit.operations] == [
        ("cx", (1, 0), ()),
        ("rx", (2,), ()),
        ("measure", (2,), (0,)),
        ("measure", (0,), (1,)),
    ]


def test_braket_measures_everything_where_it_says_nothing():
    """Braket's result then has a column for every qubit; other dialects measure only what they say."""
    implicit = parse("OPENQASM 3; qubit[2] q; cnot q[1], q[0]; #pragma braket result probability\n".replace("; #", ";\n#"))
    assert [(each.qubits, each.clbits) for each in implicit.operations[1:]] == [((0,), (0,)), ((1,), (1,))]
    assert parse("OPENQASM 3; qubit[2] q; cnot q[1], q[0];", kind="openqasm3").clbits == 0
    assert parse(THREE + "qubit[2] q; cx q[1], q[0];").clbits == 0


@pytest.mark.parametrize("pragma", ["noise bit_flip(0.1) q[0]", "result expectation x(q[0])", "unitary([[1,0],[0,1]]) q[0]"])
def test_pragma_that_changes_the_circuit_is_refused(pragma):
    """A pragma is no comment: noise, other bases and matrices change what is counted."""
    with pytest.raises(CircuitError, match="pragma"):
        parse(f"OPENQASM 3;\nqubit[1] q;\n#pragma braket {pragma}\n")


@pytest.mark.parametrize(
    "statement", ["for int i in [0:1] { h q[0]; }", "const int n = 2;", "ctrl @ x q[0], q[1];", "let a = q;"]
)
def test_flat_parser_refuses_what_it_does_not_know(statement):
    """Half-understood statements are worse than slow ones."""
    with pytest.raises((Unfamiliar, CircuitError)):
        FlatParser(prepared(THREE + "qubit[2] q; " + statement), library(3), DEFAULT_LIMITS, None).run()


def test_machine_written_text_never_imports_the_grammar():
    """Its import costs a quarter of a second, its parsing half a millisecond per gate."""
    text = THREE + "gate ecr a, b { s a; sx b; cx a, b; x a; } bit[1] c; ecr $0, $1; rz(pi/2) $1; c[0] = measure $1;"
    code = (
        f"import sys; from qobs.reference.parse import parse; parse({text!r}); "
        "print(sorted({'openqasm3', 'antlr4', 'qiskit', 'jax', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_kind_must_be_known_and_must_fit():
    """A wrong label on a job is an error, not a guess."""
    with pytest.raises(CircuitError, match="openqasm2"):
        parse("x", kind="qasm")
    with pytest.raises(CircuitError, match="version 2"):
        parse(TWO + "qreg q[1];", kind="openqasm3")
