"""IBM's results: both encodings, bit order with asymmetric circuits, what is never read, and hostile answers."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc
import zlib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qpy

from qobs.errors import BadPayload
from qobs.reference.circuit import Circuit
from qobs.reference.counts import Order, read_counts
from qobs.reference.parse import parse
from qobs.result import Execution
from qobs.sources.quantum import ibm_arrays
from qobs.sources.quantum.ibm_results import PARAMETERS, RESULTS, read_execution
from qobs.sources.quantum.results import RESULT_LIMITS, declared_registers

Make = Callable[..., Any]
CASES = (
    *("typed-two-registers", "plain-one-register", "plain-two-registers"),
    *("two-circuits", "typed-sweep", "typed-sweep-packed"),
)
SECRET = "zq9T0PSECRET"


@pytest.fixture
def read(make_raw: Make, make_job: Make) -> Callable[..., Execution]:
    """Circuits and counts of a job whose parameters and results are given."""

    def run(job: dict[str, Any], results: object) -> Execution:
        bare = {name: value for name, value in job.items() if name != "params"}
        return read_execution(make_raw(bare, **{PARAMETERS: job, RESULTS: results}), make_job("ibm"))

    return run


@pytest.mark.parametrize("name", CASES)
def test_every_encoding_gives_the_counts_that_were_worked_out_by_hand(name: str, case: Make, told: Make, read: Make) -> None:
    """A bit read from the wrong side, or a register joined on the wrong side, makes good hardware look broken."""
    found = case("ibm", name)
    execution = read(found["job"], found["results"])
    assert execution.missing is None
    assert told(execution) == found["programs"]
    assert [program.index for program in execution.programs] == list(range(len(found["programs"])))


@pytest.mark.parametrize("name", ["typed-two-registers", "plain-one-register", "plain-two-registers"])
def test_the_likeliest_outcome_is_the_one_that_the_circuit_prepares(name: str, case: Make, read: Make) -> None:
    """The source's key and the reference's reader must agree on which end of a key is bit 0."""
    found = case("ibm", name)
    (program,) = read(found["job"], found["results"]).programs
    circuit = parse(program.circuit, kind=program.kind)
    counts = read_counts(program.counts, circuit, order=Order(program.order), shots=program.shots)
    assert max(counts, key=lambda outcome: (counts[outcome], outcome)) == _prepared(circuit)


def _prepared(circuit: Circuit) -> int:
    """The outcome of a circuit of x gates and measurements alone."""
    ones: set[int] = set()
    outcome = 0
    for operation in circuit.operations:
        if operation.name == "x":
            ones ^= {operation.qubits[0]}
        elif operation.qubits[0] in ones:
            outcome |= 1 << operation.clbits[0]
    return outcome


def test_a_real_job_with_a_qpy_circuit_reads_as_its_owner_counted_it(packed: Make, make_raw: Make, make_job: Make) -> None:
    """What IBM really sent in 2025, with the counts that its owner's own client made of it."""
    body = packed("job")
    raw = make_raw(body, **{PARAMETERS: body, RESULTS: packed("results")})
    (program,) = read_execution(raw, make_job("ibm")).programs
    mine = json.loads(packed("counts"))
    assert (program.kind, program.shots, program.order) == ("qpy", mine["shots"], "clbits_right")
    assert program.counts == mine["counts"]
    assert program.circuit.startswith(b"QISKIT")


def test_a_qpy_circuit_is_handed_on_as_the_bytes_that_qiskit_wrote(ndarray: Make, read: Make) -> None:
    """Bytes that were changed on the way are a circuit that nobody ran."""
    circuit = QuantumCircuit(3, 2)
    circuit.ry(0.3, 0)
    circuit.cx(0, 2)
    circuit.measure([2, 0], [0, 1])
    file = io.BytesIO()
    qpy.dump(circuit, file)
    packed = {"__type__": "QuantumCircuit", "__value__": base64.b64encode(zlib.compress(file.getvalue())).decode()}
    execution = read(_job([packed, None, 2]), _typed({"c": (ndarray([[1], [2]]), 2)}))
    (program,) = execution.programs
    assert program.circuit == file.getvalue()
    assert qpy.load(io.BytesIO(program.circuit))[0] == circuit
    assert program.counts == {"01": 1, "10": 1}


# ------------------------------------------------------------------------------------------------- what is not read

NOT_READ: dict[str, tuple[dict[str, Any], str]] = {
    "private": ({"private": True}, "private"),
    "private in words": ({"private": "yes"}, "private"),
    "estimator": ({"program": {"id": "estimator"}}, "estimator jobs have no counts"),
    "other program": ({"program": {"id": "noise-learner"}}, "only sampler jobs"),
    "no program": ({"program": None}, "only sampler jobs"),
    "failed": ({"state": {"status": "Failed"}, "status": "Failed"}, "did not complete"),
    "no parameters": ({"params": None}, "no longer keeps the job's circuits"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_a_job_without_counts_says_why(name: str, case: Make, read: Make) -> None:
    """Nothing to verify, without a reason, looks like a gap in the monitoring."""
    found = case("ibm", "plain-one-register")
    changes, reason = NOT_READ[name]
    execution = read(found["job"] | changes, found["results"])
    assert execution.programs == ()
    assert reason in execution.missing


def test_results_that_are_gone_are_missing_and_not_zero(case: Make, read: Make) -> None:
    """An empty answer read as no shots would become a verdict on nothing."""
    assert "no longer keeps the results" in read(case("ibm", "plain-one-register")["job"], b"").missing


@pytest.mark.parametrize("name", [PARAMETERS, RESULTS])
def test_a_job_too_large_to_be_read_is_missing_with_the_reason(name: str, case: Make, make_raw: Make, make_job: Make) -> None:
    """A good job of a heavy user is no fault of the provider's, and must not look like one."""
    found = case("ibm", "plain-one-register")
    bodies = {PARAMETERS: json.dumps(found["job"]).encode(), RESULTS: json.dumps(found["results"]).encode()}
    bodies[name] += b" " * RESULT_LIMITS.body_bytes
    assert f"{name} are over" in read_execution(make_raw(found["job"], **bodies), make_job("ibm")).missing


def test_more_sets_of_parameters_than_are_read_are_missing_with_the_reason(ndarray: Make, read: Make) -> None:
    """A sweep of a million points is one line of JSON: it must not become a million programs."""
    values = {"__type__": "ndarray", "__value__": ndarray([[0.5]] * 65, "f8")}
    text = "OPENQASM 3.0; input float[64] a; bit[2] c; rx(a) $1; c[0] = measure $1;"
    assert "65 sets of parameters" in read(_job([text, values, 1]), _typed({"c": (ndarray([[[1]]] * 65), 2)})).missing


@pytest.mark.parametrize(
    ("values", "reason"),
    [([0.1, 0.2, 0.3], "do not fit"), ({"alpha": 0.1}, "do not fit"), ({"alpha": 0.1, "beta": 0.2}, "do not fit")],
)
def test_parameters_that_do_not_fit_the_circuit_are_not_guessed(values: object, reason: str, case: Make, read: Make) -> None:
    """A value put in for the wrong parameter is another circuit."""
    found = deepcopy(case("ibm", "typed-sweep-packed"))
    found["job"]["params"]["pubs"][0][1] = values
    assert reason in read(found["job"], found["results"]).missing


def test_values_by_name_go_to_their_names(case: Make, read: Make, told: Make) -> None:
    """An object has no order: only the names tell."""
    found = deepcopy(case("ibm", "typed-sweep-packed"))
    found["job"]["params"]["pubs"][0][1] = {"zeta": -0.25, "alpha": 0.5}
    assert told(read(found["job"], found["results"])) == found["programs"]


def test_open_parameters_of_a_qpy_circuit_are_missing_with_the_reason(ndarray: Make, read: Make) -> None:
    """The values stand apart from the circuit, and a guess of their order would verify another one."""
    packed = {"__type__": "QuantumCircuit", "__value__": base64.b64encode(zlib.compress(b"QISKIT...")).decode()}
    execution = read(_job([packed, [0.1], 2]), _typed({"c": (ndarray([[1], [2]]), 2)}))
    assert "parameters left open" in execution.missing


def test_registers_that_the_circuit_does_not_declare_are_missing_with_the_reason(case: Make, read: Make) -> None:
    """Two registers in an order that nobody knows give counts of some other outcome."""
    found = deepcopy(case("ibm", "plain-two-registers"))
    found["results"]["results"][0]["data"]["z"] = found["results"]["results"][0]["data"].pop("a")
    assert "not those that the circuit declares" in read(found["job"], found["results"]).missing


# --------------------------------------------------------------------------------------------------- hostile answers


def _job(*pubs: object) -> dict[str, Any]:
    return {"status": "Completed", "program": {"id": "sampler"}, "params": {"pubs": list(pubs)}}


def _typed(fields: dict[str, tuple[str, int]]) -> dict[str, Any]:
    held = {
        name: {"__type__": "BitArray", "__value__": {"array": {"__type__": "ndarray", "__value__": text}, "num_bits": bits}}
        for name, (text, bits) in fields.items()
    }
    data = {"__type__": "DataBin", "__value__": {"field_names": list(held), "shape": [], "fields": held}}
    pub = {"__type__": "SamplerPubResult", "__value__": {"data": data, "metadata": {}}}
    return {"__type__": "PrimitiveResult", "__value__": {"pub_results": [pub], "metadata": {}}}


ONE = "OPENQASM 3.0; bit[2] c; x $1; c[0] = measure $1;"


def _zipped(file: bytes) -> str:
    return base64.b64encode(zlib.compress(file, 9)).decode()


def _file(header: str, data: bytes = b"\x01\x02", *, length: int | None = None) -> str:
    text = header.encode()
    size = len(text) if length is None else length
    return _zipped(b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + text + data)


GOOD = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1), }"
ARRAYS = {
    "no base64": "%%%" + SECRET,
    "no zlib": base64.b64encode(SECRET.encode()).decode(),
    "no file": _zipped(SECRET.encode()),
    "cut off": _file(GOOD)[:-8],
    "more behind it": base64.b64encode(zlib.compress(b"\x93NUMPY") + b"more").decode(),
    "bomb": _zipped(b"\x00" * (ibm_arrays.MOST_BYTES * 4)),
    "objects": _file(GOOD.replace("|u1", "|O8")),
    "wide numbers": _file(GOOD.replace("|u1", "<u2")),
    "big-endian": _file(GOOD.replace("|u1", ">f8")),
    "columns first": _file(GOOD.replace("False", "True")),
    "code in the header": _file("{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (2, 1), }"),
    "huge shape": _file(GOOD.replace("(2, 1)", "(999999999999, 999999999999)")),
    "negative shape": _file(GOOD.replace("(2, 1)", "(-2, -1)")),
    "too little data": _file(GOOD, b"\x01"),
    "header beyond the end": _file(GOOD, length=60_000),
    "header that is cut": _file(GOOD, length=10),
    "other shape": _file(GOOD.replace("(2, 1)", "(1, 2)")),
    "flat": _file(GOOD.replace("(2, 1)", "(2,)")),
    "more bits than the register": _file(GOOD, b"\x01\x04"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_hostile_array_is_a_bad_payload_that_quotes_nothing(name: str, read: Make) -> None:
    """Results come from outside: no bomb may fill the memory, no header may run, no byte may reach the log."""
    with pytest.raises(BadPayload) as caught:
        read(_job([ONE, None, 2]), _typed({"c": (ARRAYS[name], 2)}))
    assert len(str(caught.value)) < 200
    assert SECRET not in str(caught.value)


def test_an_array_of_pickled_objects_is_never_loaded(ndarray: Make, read: Make) -> None:
    """NumPy's object arrays are pickles: loading one runs what its sender wants."""
    with pytest.raises(BadPayload):
        read(_job([ONE, None, 2]), _typed({"c": (ndarray([[{"a": 1}]], "O"), 2)}))


def test_a_circuit_that_inflates_without_end_is_refused(ndarray: Make, read: Make) -> None:
    """A megabyte on the wire must not become a gigabyte in the daemon."""
    bomb = {"__type__": "QuantumCircuit", "__value__": _zipped(b"QISKIT" + b"\x00" * (ibm_arrays.MOST_BYTES * 4))}
    with pytest.raises(BadPayload, match="after inflation"):
        read(_job([bomb, None, 2]), _typed({"c": (ndarray([[1], [2]]), 2)}))


def test_a_bomb_is_cut_while_it_is_inflated() -> None:
    """Refused only after it was unpacked, a bomb would have had its effect already."""
    bomb = _zipped(b"\x00" * (ibm_arrays.MOST_BYTES * 8))
    tracemalloc.start()
    try:
        with pytest.raises(BadPayload, match="after inflation"):
            ibm_arrays.inflated(bomb, "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * ibm_arrays.MOST_BYTES


BAD: dict[str, tuple[object, object]] = {
    "results are text": (_job([ONE]), b"Traceback (most recent call last): " + SECRET.encode()),
    "results are a list": (_job([ONE]), []),
    "no list of results": (_job([ONE]), {"results": SECRET}),
    "too few results": (_job([ONE], [ONE]), {"results": [{"data": {"c": {"samples": [], "num_bits": 2}}}]}),
    "pubs are text": (_job() | {"params": {"pubs": SECRET}}, {"results": []}),
    "an empty pub": (_job([]), {"results": [{"data": {}}]}),
    "a circuit of another type": (_job([{"__type__": SECRET}]), {"results": [{"data": {}}]}),
    "no registers": (_job([ONE]), {"results": [{"data": {}}]}),
    "no samples": (_job([ONE]), {"results": [{"data": {"c": {"num_bits": 2}}}]}),
    "no hexadecimal": (_job([ONE]), {"results": [{"data": {"c": {"samples": [SECRET], "num_bits": 2}}}]}),
    "a number": (_job([ONE]), {"results": [{"data": {"c": {"samples": [1], "num_bits": 2}}}]}),
    "a sample too wide": (_job([ONE]), {"results": [{"data": {"c": {"samples": ["0x4"], "num_bits": 2}}}]}),
    "no width": (_job([ONE]), {"results": [{"data": {"c": {"samples": ["0x1"]}}}]}),
    "a width beyond all": (_job([ONE]), {"results": [{"data": {"c": {"samples": ["0x1"], "num_bits": 10**9}}}]}),
    "values in words": (_job([ONE, [SECRET]]), {"results": [{"data": {"c": {"samples": ["0x1"], "num_bits": 2}}}]}),
    "ragged values": (_job([ONE, [[1], [1, 2]]]), {"results": [{"data": {"c": {"samples": ["0x1"], "num_bits": 2}}}]}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_answer_is_a_bad_payload_that_quotes_nothing(name: str, read: Make) -> None:
    """Half an answer must never become counts, and what it held must not be in a message."""
    job, results = BAD[name]
    with pytest.raises(BadPayload) as caught:
        read(job, results)
    assert len(str(caught.value)) < 200
    assert SECRET not in str(caught.value)


def test_registers_with_unequal_shots_are_refused(case: Make, read: Make) -> None:
    """Shots belong together row by row: with one missing, all later rows would be shifted."""
    found = deepcopy(case("ibm", "plain-two-registers"))
    found["results"]["results"][0]["data"]["a"]["samples"].pop()
    with pytest.raises(BadPayload, match="differ in their number of shots"):
        read(found["job"], found["results"])


@settings(derandomize=True, max_examples=200, deadline=None)
@given(name=st.sampled_from(CASES), place=st.floats(0, 1), cut=st.integers(0, 12), put=st.binary(max_size=6), of=st.booleans())
def test_no_change_of_an_answer_escapes_as_another_error(
    case: Make, make_raw: Make, make_job: Make, name: str, place: float, cut: int, put: bytes, of: bool
) -> None:
    """Whatever a proxy or a new release does to an answer, the daemon gets counts, a reason or a bad payload."""
    found = case("ibm", name)
    bodies = [json.dumps(found["job"]).encode(), json.dumps(found["results"]).encode()]
    at = int(place * len(bodies[of]))
    bodies[of] = bodies[of][:at] + put + bodies[of][at + cut :]
    told = ""
    try:
        execution = read_execution(make_raw(found["job"], **{PARAMETERS: bodies[0], RESULTS: bodies[1]}), make_job("ibm"))
        told = execution.missing or f"{len(execution.programs)} programs"
    except BadPayload as error:
        told = str(error)
    assert 0 < len(told) < 300


def test_registers_are_found_in_any_layout_of_a_program() -> None:
    """Declared order decides how registers are joined: comments and near words must not count as declarations."""
    text = "OPENQASM 3; // bit[9] no;\nbit [ 2 ] a; bits; bit b; bit[3] c = measure q; qubit[4] q; /* bit[7] x; /* bit[8] y;"
    assert list(declared_registers(text).items()) == [("a", 2), ("b", 1), ("c", 3)]
