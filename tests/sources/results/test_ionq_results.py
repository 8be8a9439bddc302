"""IonQ's results: compiled circuits, decimal outcomes, what is missing, and hostile answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import BadPayload
from qobs.reference.counts import Order, read_counts
from qobs.reference.parse import parse
from qobs.result import Execution
from qobs.sources.quantum.ionq_results import read_execution, read_probabilities

Make = Callable[..., Any]
SECRET = "zq9T0PSECRET"


@pytest.fixture
def read(make_raw: Make, make_job: Make) -> Callable[..., Execution]:
    """Circuits and probabilities of a job and its companions."""
    return lambda job, companions: read_execution(make_raw(job, **companions), make_job("ionq"))


@pytest.mark.parametrize("name", ["native", "children"])
def test_every_answer_gives_what_was_worked_out_by_hand(name: str, case: Make, told: Make, read: Make) -> None:
    """Circuits and results of several children must not be mixed up, nor the gateset be lost."""
    found = case("ionq", name)
    execution = read(found["job"], found["companions"])
    assert execution.missing is None
    assert told(execution) == found["programs"]
    assert [program.index for program in execution.programs] == list(range(len(found["programs"])))


def test_the_outcomes_are_those_that_the_circuit_prepares(case: Make, read: Make) -> None:
    """Bit i of IonQ's decimal number is qubit i: from the other end, qubit 0 and qubit 2 would change places."""
    found = case("ionq", "native")
    (program,) = read(found["job"], found["companions"]).programs
    circuit = parse(program.circuit, kind=program.kind)
    counts = read_counts(program.probabilities, circuit, order=Order(program.order), shots=program.shots)
    assert counts == {0b001: 497, 0b101: 502, 0b000: 1}
    assert [operation.qubits for operation in circuit.operations if operation.name != "measure"] == [(0,), (2,)]


NOT_READ: dict[str, tuple[dict[str, Any], str]] = {
    "failed": ({"status": "failed"}, "did not complete"),
    "simulated": ({"backend": "simulator", "noise": {"model": "forte-1"}}, "a simulation"),
    "dry run": ({"dry_run": True}, "dry run"),
    "debiased": ({"settings": {"error_mitigation": {"debiasing": True}}}, "debiased"),
    "debiased by default": ({"settings": {}}, "debiased"),
    "debiased by default too": ({"settings": {"error_mitigation": {"debiasing": None}}}, "debiased"),
    "debiased in the end": (
        {"output": {"error_mitigation": {"debiasing": {"variants": []}}, "compilation": {}}},
        "debiased",
    ),
    "no artifact": ({"output": {}}, "gives back no circuit"),
    "of May": ({"output": None}, "gives back no circuit"),
    "other language": ({"output": {"compilation": {"compiled_circuits": {"ionq.qir.v1": {"id": "x"}}}}}, "gives back no circuit"),
    "ideal": ({"shots": None}, "computed, not measured"),
    "processor's qubits": ({"stats": {"qubits": 2}}, "nobody tells which is which"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_a_job_that_cannot_be_verified_says_why(name: str, case: Make, read: Make) -> None:
    """A verdict on the wrong circuit would be worse than none."""
    found = case("ionq", "native")
    changes, reason = NOT_READ[name]
    execution = read(found["job"] | changes, found["companions"])
    assert execution.programs == ()
    assert reason in execution.missing


def test_few_shots_are_never_debiased(case: Make, read: Make) -> None:
    """Below 500 shots IonQ does not debias: its silence is then no reason to leave the job out."""
    found = case("ionq", "native")
    assert read(found["job"] | {"settings": {}, "shots": 499}, found["companions"]).programs


@pytest.mark.parametrize("gone", ["circuit:j1", "probabilities:j1"])
def test_what_the_service_no_longer_keeps_is_missing(gone: str, case: Make, read: Make) -> None:
    """Artifacts expire: an empty answer is not an empty circuit."""
    found = case("ionq", "native")
    kept = {name: body for name, body in found["companions"].items() if name != gone}
    assert "no longer keeps" in read(found["job"], kept).missing


def test_a_child_that_is_gone_makes_its_job_missing(case: Make, read: Make) -> None:
    """The index of a circuit is its place among the children: none may be left out in the middle."""
    found = case("ionq", "children")
    kept = {name: body for name, body in found["companions"].items() if name != "job:k1"}
    assert "no longer knows" in read(found["job"], kept).missing


def test_an_openqasm_artifact_is_read_as_such(case: Make, read: Make) -> None:
    """IonQ names two formats: the one without JSON must not be parsed as JSON."""
    found = deepcopy(case("ionq", "native"))
    compiled = found["job"]["output"]["compilation"]["compiled_circuits"]
    compiled["ionq.qasm3.v1"] = compiled.pop("ionq.native.v1")
    text = "OPENQASM 3.0; qubit[3] q; bit[3] c; x q[0]; c = measure q;"
    (program,) = read(found["job"], found["companions"] | {"circuit:j1": text}).programs
    assert (program.kind, program.circuit) == ("openqasm3", text.encode())


PROBABILITIES: dict[str, object] = {
    "text": SECRET.encode(),
    "a list": [0.5, 0.5],
    "empty": {},
    "nested": {"registers": {"output_all": {"00": 1.0}}},
    "bits": {"0x1": 1.0},
    "negative outcome": {"-1": 1.0},
    "words": {SECRET: 1.0},
    "endless digits": {"9" * 400: 1.0},
    "other digits": {"\u0661": 1.0},
    "text value": {"0": SECRET},
    "true": {"0": True},
    "negative": {"0": -0.5, "1": 1.5},
    "no sum": {"0": 0.2, "1": 0.2},
    "not a number": b'{"0": NaN}',
    "infinite": b'{"0": 1e999}',
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_what_is_no_distribution_is_a_bad_payload_that_quotes_nothing(name: str, case: Make, read: Make) -> None:
    """Numbers that are no probabilities must not be rounded into counts."""
    found = case("ionq", "native")
    with pytest.raises(BadPayload) as caught:
        read(found["job"], found["companions"] | {"probabilities:j1": PROBABILITIES[name]})
    assert len(str(caught.value)) < 200
    assert SECRET not in str(caught.value)


BAD_JOBS: dict[str, dict[str, Any]] = {
    "ids of another type": {"child_job_ids": [1, 2]},
    "an id that leads elsewhere": {"child_job_ids": ["../../whoami"]},
    "an artifact that leads elsewhere": {"output": {"compilation": {"compiled_circuits": {"ionq.native.v1": {"id": "../x?y"}}}}},
    "an artifact without id": {"output": {"compilation": {"compiled_circuits": {"ionq.native.v1": SECRET}}}},
    "shots in words": {"shots": SECRET},
    "endless shots": {"shots": 10**12},
    "no shots at all": {"shots": 0},
}


@pytest.mark.parametrize("name", BAD_JOBS)
def test_a_malformed_job_is_a_bad_payload_that_quotes_nothing(name: str, case: Make, read: Make) -> None:
    """An id out of an answer must not choose another path of the API."""
    found = case("ionq", "native")
    with pytest.raises(BadPayload) as caught:
        read(found["job"] | BAD_JOBS[name], found["companions"])
    assert SECRET not in str(caught.value)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(body=st.binary(max_size=40) | st.dictionaries(st.text(max_size=5), st.floats() | st.text(max_size=3) | st.none()))
def test_any_bytes_are_probabilities_or_a_bad_payload(body: object) -> None:
    """Nothing else may come out of the reader, whatever goes in."""
    given_bytes = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = ""
    try:
        total = sum(read_probabilities(given_bytes, what="x").values())
        told = "a distribution" if abs(total - 1) < 0.02 else ""
    except BadPayload as error:
        told = str(error)
    assert 0 < len(told) < 300
