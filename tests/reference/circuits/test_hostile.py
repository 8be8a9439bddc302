"""Whatever the bytes: a circuit or a CircuitError, in bounded time and memory."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qpy

from qobs.errors import CircuitError
from qobs.reference.limits import Limits
from qobs.reference.parse import KINDS, parse

TWO = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
THREE = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
DOUBLING = "gate g0 a { h a; } " + "".join(f"gate g{n} a {{ g{n - 1} a; g{n - 1} a; }} " for n in range(1, 31))
EMPTY_DOUBLING = DOUBLING.replace("h a;", "")
CHAIN = "gate g0 a { h a; } " + "".join(f"gate g{n} a {{ g{n - 1} a; }} " for n in range(1, 200))
LATE = "gate g0 a { ctrl @ x a, a; } " + "".join(f"gate g{n} a {{ g{n - 1} a; g{n - 1} a; }} " for n in range(1, 31))

HOSTILE = {
    "nothing": "",
    "blank": " \n\t",
    "binary": b"\x00\xff\xfe" * 100,
    "null bytes": TWO + "qreg q[1]; h q[0]\x00;",
    "lone surrogate": TWO + "qreg q[1]; \ud800 q[0];",
    "unknown version": "OPENQASM 7; qubit q;",
    "huge version": "OPENQASM " + "9" * 5000 + ";",
    "wide": TWO + "qreg q[10000];",
    "wide in steps": TWO + "".join(f"qreg q{n}[1000];" for n in range(10)),
    "endless register": TWO + "qreg q[" + "9" * 5000 + "];",
    "endless bits": TWO + "qreg q[1]; creg c[999999999];",
    "physical": THREE + "x $" + "9" * 5000 + ";",
    "many physical": THREE + "".join(f"x ${n};" for n in range(10_000)),
    "unknown gate": TWO + "qreg q[1]; warp q[0];",
    "cut inside a gate": TWO + "qreg q[1]; h q[",
    "cut inside a definition": TWO + "gate g a { h a;",
    "cut inside a comment": TWO + "qreg q[1]; /* h q;",
    "recursion": TWO + "gate g a { g a; } qreg q[1]; g q[0];",
    "mutual recursion": THREE + "gate f a { inv @ g a; } gate g a { inv @ f a; } qubit q; f q;",
    "doubling": TWO + DOUBLING + "qreg q[1]; g30 q[0];",
    "empty doubling": TWO + EMPTY_DOUBLING + "qreg q[1]; g30 q[0];",
    "doubling in the grammar": THREE + LATE + "qubit q; g30 q;",
    "chain": TWO + CHAIN + "qreg q[1]; g199 q[0];",
    "deep brackets": TWO + "qreg q[1]; rz(" + "(" * 100_000 + "1" + ")" * 100_000 + ") q[0];",
    "deep signs": THREE + "qubit q; rz(" + "-" * 900 + "1) q;",
    "long angle": THREE + "qubit q; rz(" + "1+" * 100_000 + "1) q;",
    "huge number": THREE + "qubit q; rz(1e999999999) q;",
    "long number": THREE + "qubit q; rz(" + "9" * 100_000 + ") q;",
    "tower": THREE + "qubit q; rz(9**9**9**9) q;",
    "loop": THREE + "qubit q; for int i in [0:1000000000] { h q; }",
    "endless loop": THREE + "qubit q; for int i in [-4611686018427387900:4611686018427387900] { }",
    "empty loop": THREE + "qubit q; for int i in [0:1000000000] { }",
    "nested loops": THREE + "qubit q; " + "for int i in [0:9999] { " * 4 + "h q;" + "}" * 4,
    "loop backwards": THREE + "qubit q; for int i in [0:-1:-1000000000] { h q; }",
    "huge power": THREE + "qubit q; pow(1000000000) @ h q;",
    "huge step": THREE + "qubit[4] q; h q[0:0:3];",
    "huge slice": THREE + "qubit[4] q; h q[0:1000000000];",
    "many controls": THREE + "qubit[4] q; ctrl(1000000000) @ x q[0];",
    "deep blocks": THREE + "qubit q; " + "{" * 5000 + "h q;" + "}" * 5000,
    "deep ifs": THREE + "qubit q; bit c; for int i in [0:1] {" + "if (c) " * 2000 + "h q; }",
    "deep indices": THREE + "qubit q; for int i in [0:1] { h q" + "[0" * 2000 + "]" * 2000 + "; }",
    "long chain in the grammar": THREE + "const int n = " + "1+" * 9000 + "1; qubit q; h q;",
    "many names": THREE + "const int a = 1; qubit q; h " + "q," * 9000 + "q;",
    "brackets without end": TWO + "qreg q[1]; h" + "(" * 100_000 + ";",
    "spaces": TWO + "qreg q[1]; h" + " " * 200_000 + "!;",
    "gates without braces": TWO + "gate " * 50_000 + ";",
    "comments": TWO + "/*" * 100_000,
    "pragmas": THREE + "#pragma braket verbatim\n" * 20_000,
    "arrows": TWO + "qreg q[1]; creg c[1]; measure " + "->" * 50_000 + ";",
    "equals": THREE + "qubit q; bit c; c" + "=" * 100_000 + ";",
    "broadcast": TWO + "qreg q[2000];" + "h q;" * 1000,
    "barriers": TWO + "qreg q[2000];" + "h q;" * 150 + "barrier q;",
    "too many bytes": "OPENQASM 2.0;" + " " * (9 * 1024 * 1024),
    "deep JSON": '{"circuit":' + "[" * 100_000,
    "JSON with a huge number": '{"qubits": ' + "9" * 100_000 + ', "circuit": []}',
    "packed bomb": "eJ" + "A" * 100_000,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_source_is_refused(name):
    """One circuit of a stranger must not stop the daemon, nor fill its memory."""
    with pytest.raises(CircuitError) as caught:
        parse(HOSTILE[name])
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["wide", "endless bits", "many physical", "doubling", "barriers", "loop", "deep JSON", "packed bomb"]
)
def test_limits_come_before_memory(name):
    """What a source asks for is not what it gets: 10^9 bits or iterations take no memory."""
    tracemalloc.start()
    try:
        with pytest.raises(CircuitError):
            parse(HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 100 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("field", ["qubits", "clbits", "operations", "source_bytes", "iterations"])
def test_each_limit_is_felt(field):
    """A limit that nothing checks is a comment."""
    text = THREE + "qubit[9] q; bit[9] c; for int i in [0:8] { h q[i]; } c = measure q;"
    assert len(parse(text).operations) == 18
    with pytest.raises(CircuitError, match="more"):
        parse(text, limits=Limits(**{field: 8}))


def test_limits_of_text_are_felt():
    """Also those of a single angle and of the grammar."""
    with pytest.raises(CircuitError, match="at most 5 "):
        parse(THREE + "qubit q; rz(1+1+1+1) q;", limits=Limits(expression_chars=5))
    with pytest.raises(CircuitError, match="deeper than 3"):
        parse(THREE + "qubit q; rz(((((1))))) q;", limits=Limits(nesting=3))
    with pytest.raises(CircuitError, match="not plain"):
        parse(THREE + "qubit q; for int i in [0:1] { h q; }", limits=Limits(grammar_bytes=50))


SEEDS = [
    TWO + "qreg q[2]; creg c[2]; gate g(t) a,b { cx a,b; rz(t/2) b; } h q[0]; g(pi) q[0],q[1]; measure q -> c;",
    THREE + "const int n = 2; qubit[n] q; bit[n] c; for int i in [0:1] { ctrl @ rx(i*pi) q[0], q[1]; } c[0] = measure q[1];",
    "OPENQASM 3;\nbit[1] b;\n#pragma braket verbatim\nbox{\ncnot $0, $1;\n}\nb[0] = measure $1;",
    json.dumps({"qubits": 2, "gateset": "native", "circuit": [{"gate": "ms", "phases": [0, 0.5], "targets": [0, 1]}]}),
    json.dumps({"input": {"qubits": 2, "circuit": [{"gate": "rx", "rotation": 1, "control": 0, "target": 1}], "registers": {}}}),
]
KIND = st.sampled_from([None, None, None, *[kind for kind in KINDS if kind != "qpy"]])
WORDS = st.sampled_from(
    [
        *("{", "}", "(", ")", "[", "]", ";", ",", "$0", "$", "q", "c", "gate", "measure", "->", "=", "@", "\x00", "é", '"', "//"),
        *(
            "/*",
            "1",
            "-1",
            "999999999999",
            "pi",
            "**",
            "^",
            "if",
            "for",
            "box",
            "#pragma",
            "barrier",
            "delay[1ns]",
            "qubit",
            "bit",
        ),
        *("\n", "null", "true", ":"),
    ]
)


def refused_or_read(source: str | bytes, kind: str | None) -> None:
    try:
        circuit = parse(source, kind=kind, limits=Limits(operations=1000, iterations=1000, qubits=100, clbits=100))
    except CircuitError:
        return
    assert all(0 <= qubit < circuit.width for operation in circuit.operations for qubit in operation.qubits)
    assert all(0 <= clbit < circuit.clbits for operation in circuit.operations for clbit in operation.clbits)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(data=st.data(), kind=KIND)
def test_mutated_programs_raise_nothing_else(data, kind):
    """Near-valid text reaches the deepest corners of every parser."""
    text = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(text)))
        end = min(len(text), begin + data.draw(st.integers(0, 6)))
        text = text[:begin] + data.draw(WORDS) + text[end:]
    refused_or_read(text, kind)
    refused_or_read(text.encode(), kind)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(source=st.one_of(st.binary(max_size=200), st.text(max_size=200)), kind=KIND, head=st.sampled_from(["", TWO, THREE, "{"]))
def test_any_bytes_raise_nothing_else(source, kind, head):
    """Nothing but CircuitError ever escapes."""
    refused_or_read(head.encode() + source if isinstance(source, bytes) else head + source, kind)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(data=st.data())
def test_damaged_qpy_raises_nothing_else(data):
    """Qiskit's reader, too, is shielded: its errors, and its compiled part's panics."""
    made = QuantumCircuit(2, 1, name="mine")
    made.h(0)
    made.rz(0.5, 1)
    made.measure(0, 0)
    file = io.BytesIO()
    qpy.dump(made, file)
    body = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    refused_or_read(bytes(body), "qpy")
