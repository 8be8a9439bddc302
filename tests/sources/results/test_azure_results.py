"""Azure's results: two pairs of formats, real recorded blobs, what is missing, and links that must not be followed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from qobs.errors import BadPayload
from qobs.reference.counts import Order, read_counts
from qobs.reference.parse import parse
from qobs.result import Execution
from qobs.sources.guard import Guard
from qobs.sources.quantum.azure import SOURCE_TYPE
from qobs.sources.quantum.azure_results import INPUT, OUTPUT, links, read_execution

Make = Callable[..., Any]
SECRET = "zq9T0PSECRET"
RECORDINGS = Path(__file__).parents[2] / "fixtures" / "azure" / "recordings"
BASE = "https://eastus.quantum.azure.com"


@pytest.fixture
def read(make_raw: Make, make_job: Make) -> Callable[..., Execution]:
    """Circuit and results of a job and its blobs."""
    return lambda job, blobs: read_execution(make_raw(job, **blobs), make_job("azure"))


@pytest.mark.parametrize("name", ["ionq", "quantinuum"])
def test_every_format_gives_what_was_worked_out_by_hand(name: str, case: Make, told: Make, read: Make) -> None:
    """Registers come in any order, and a secret may lie among them: neither may show in the counts."""
    found = case("azure", name)
    execution = read(found["job"], found["blobs"])
    expected = [
        program | ({"circuit": json.loads(program["circuit"])} if name == "ionq" else {}) for program in found["programs"]
    ]
    assert told(execution) == expected
    assert "T0PSECRET0" not in repr(execution)


@pytest.mark.parametrize(
    ("name", "counts"), [("ionq", {0b001: 52, 0b101: 48}), ("quantinuum", {0b1000: 1, 0b1001: 1, 0b1010: 1})]
)
def test_the_outcomes_are_those_that_the_circuit_prepares(name: str, counts: dict[int, int], case: Make, read: Make) -> None:
    """The circuit sets one end of its bits: read from the other end, another qubit would seem broken."""
    found = case("azure", name)
    (program,) = read(found["job"], found["blobs"]).programs
    circuit = parse(program.circuit, kind=program.kind)
    given = program.probabilities or program.counts
    assert read_counts(given, circuit, order=Order(program.order), shots=program.shots) == counts


def recorded(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The job of a recording as it was when it had ended, with what its storage held."""
    text = gzip.decompress((RECORDINGS / f"{name}.yaml.gz").read_bytes())
    blobs: dict[str, str] = {}
    job: dict[str, Any] = {}
    for each in yaml.load(text, Loader=yaml.CSafeLoader)["interactions"]:
        uri, method, body = each["request"]["uri"], each["request"]["method"], each["response"]["body"]["string"]
        if "/inputData" in uri and method == "PUT":
            blobs[INPUT] = each["request"]["body"].removeprefix("b'").removesuffix("'").encode().decode("unicode_escape")
        elif "utputData" in uri and method == "GET":
            blobs[OUTPUT] = body
        elif "/jobs/" in uri and method == "GET":
            job = json.loads(body)
    return job, blobs


def test_a_recorded_ionq_job_is_read(read: Make) -> None:
    """What Azure really keeps of a GHZ circuit, once the number of shots is told (the recorded job left it out)."""
    job, blobs = recorded("job_submit_ionq")
    assert "number of shots" in read(job, blobs).missing
    (program,) = read(job | {"inputParams": {"shots": 100}}, blobs).programs
    assert program.probabilities == {"0": 0.5, "7": 0.5}
    counts = read_counts(program.probabilities, parse(program.circuit, kind="ionq"), order=Order.QUBITS_RIGHT, shots=100)
    assert counts == {0: 50, 7: 50}


def test_a_recorded_quantinuum_job_is_read(read: Make) -> None:
    """Three registers of one bit, a hundred shots each: joined with the last one leftmost."""
    job, blobs = recorded("job_submit_quantinuum_with_shots")
    (program,) = read(job, blobs).programs
    shots = json.loads(blobs[OUTPUT])
    rows = list(zip(shots["c2"], shots["c1"], shots["c0"], strict=True))
    assert program.counts == {" ".join(row): rows.count(row) for row in rows}
    assert (program.shots, program.kind) == (100, "openqasm2")


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("plugins_submit_qiskit_to_quantinuum", "qir.v1"),
        ("qiskit_endianness_submit_to_rigetti", "qir.v1"),
        ("job_submit_rigetti_with_count", "rigetti.quil.v1"),
        ("job_submit_pasqal_with_shots_param", "pasqal.pulser.v1"),
    ],
)
def test_recorded_jobs_in_other_languages_are_missing_with_the_format(name: str, format_: str, read: Make) -> None:
    """What cannot be simulated is told by its name, so that a user sees what is not covered."""
    job, blobs = recorded(name)
    assert format_ in read(job | {"status": "Succeeded"}, blobs).missing


NOT_READ: dict[str, tuple[dict[str, Any], str]] = {
    "failed": ({"status": "Failed"}, "did not complete"),
    "several circuits": ({"quantumComputingData": {"count": 3}}, "several circuits"),
    "no shots": ({"inputParams": {}}, "number of shots"),
    "other output": ({"outputDataFormat": "microsoft.quantum-results.v2"}, "are not read"),
    "hostile format": ({"inputDataFormat": f"https://x/?sig={SECRET} x"}, "(unknown)"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_a_job_that_cannot_be_verified_says_why(name: str, case: Make, read: Make) -> None:
    """A reason is shown to users: it must be one, and hold nothing secret."""
    found = case("azure", "ionq")
    changes, reason = NOT_READ[name]
    execution = read(found["job"] | changes, found["blobs"])
    assert execution.programs == ()
    assert reason in execution.missing
    assert SECRET not in execution.missing


@pytest.mark.parametrize("gone", [INPUT, OUTPUT])
def test_what_the_storage_no_longer_keeps_is_missing(gone: str, case: Make, read: Make) -> None:
    """Containers are cleaned up: an absent blob is not an empty one."""
    found = case("azure", "quantinuum")
    assert "no longer keeps" in read(found["job"], {name: body for name, body in found["blobs"].items() if name != gone}).missing


def test_registers_that_the_circuit_does_not_declare_are_missing_with_the_reason(case: Make, read: Make) -> None:
    """Bits of an unknown register could be any of the circuit's."""
    found = deepcopy(case("azure", "quantinuum"))
    found["blobs"][OUTPUT]["other"] = ["0", "0", "0"]
    assert "not those that the circuit declares" in read(found["job"], found["blobs"]).missing


OUTPUTS: dict[str, object] = {
    "text": SECRET.encode(),
    "a list": [],
    "no registers": {"access_token": SECRET},
    "numbers": {"low": [0, 1], "high": [1, 1]},
    "decimal": {"low": ["2"], "high": ["100"]},
    "words": {"low": [SECRET], "high": ["100"]},
    "unequal widths": {"low": ["0", "10"], "high": ["100", "100"]},
    "unequal shots": {"low": ["0"], "high": ["100", "100"]},
    "no shots": {"low": [], "high": []},
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_malformed_blob_is_a_bad_payload_that_quotes_nothing(name: str, case: Make, read: Make) -> None:
    """Blobs are written by others: half of one must not become counts, and none of it may reach a log."""
    found = case("azure", "quantinuum")
    with pytest.raises(BadPayload) as caught:
        read(found["job"], found["blobs"] | {OUTPUT: OUTPUTS[name]})
    assert len(str(caught.value)) < 200
    assert SECRET not in str(caught.value)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["ionq", "quantinuum"]),
    blob=st.sampled_from([INPUT, OUTPUT]),
    body=st.binary(max_size=60) | st.dictionaries(st.text(max_size=6), st.lists(st.text("01 ", max_size=3), max_size=3)),
)
def test_any_blob_is_a_program_a_reason_or_a_bad_payload(
    case: Make, make_raw: Make, make_job: Make, name: str, blob: str, body: object
) -> None:
    """Whatever lies in a container, the daemon gets an answer that it knows."""
    found = case("azure", name)
    told = ""
    try:
        execution = read_execution(make_raw(found["job"], **{**found["blobs"], blob: body}), make_job("azure"))
        told = execution.missing or f"{len(execution.programs)} programs"
    except BadPayload as error:
        told = str(error)
    assert 0 < len(told) < 300


# ------------------------------------------------------------------------------------------------------------ links

SIGNED = f"?sv=2024&se=2050&sp=r&sig={SECRET}%3D"
ELSEWHERE = [
    "https://attacker.example/job-1/inputData",
    "https://acct.blob.core.windows.net.attacker.example/job-1/inputData",
    "https://blob.core.windows.net/job-1/inputData",
    "https://evilblob.core.windows.net/job-1/inputData",
    "http://acct.blob.core.windows.net/job-1/inputData",
    "https://acct.blob.core.windows.net:8443/job-1/inputData",
    "https://user@acct.blob.core.windows.net/job-1/inputData",
    "https://acct.blob.core.windows.net:nan/job-1/inputData",
    "https://169.254.169.254/metadata",
    "http://eastus.quantum.azure.com/job-1/inputData",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_link_to_another_place_is_refused_without_being_quoted(place: str) -> None:
    """A job's links come from an answer: they must not lead the daemon into a network, nor into its own log."""
    with pytest.raises(BadPayload) as caught:
        links({"inputDataUri": place + SIGNED, "outputDataUri": None}, BASE)
    assert SECRET not in str(caught.value)
    assert "inputDataUri" in str(caught.value)


@pytest.mark.parametrize(
    "host", ["acct.blob.core.windows.net", "acct.blob.core.windows.net:443", "a.blob.core.usgovcloudapi.net"]
)
def test_a_signed_link_to_the_storage_is_taken_and_a_bare_one_is_not(host: str) -> None:
    """Bare links open nothing: asking them would only count as refused."""
    bare = {"inputDataUri": f"https://{host}/j/inputData", "outputDataUri": f"https://{host}/j/outputData"}
    assert links(bare, BASE) is None
    found = links({name: link + SIGNED for name, link in bare.items()}, BASE)
    assert found is not None
    assert found.results == f"https://{host}/j/outputData{SIGNED}"
    assert SECRET not in str(links(bare, BASE))


def test_the_guard_lets_azure_requests_into_azures_storage_alone() -> None:
    """The second lock behind the first: also a link that slipped through must not leave."""
    guard = Guard(SOURCE_TYPE.hosts)
    guard.check_url(URL("https://acct.blob.core.windows.net/job-1/inputData"))
    for place in (
        "https://blob.core.windows.net/x",
        "https://a.blob.core.windows.net.attacker.example/x",
        "https://core.windows.net/x",
    ):
        with pytest.raises(BadPayload):
            guard.check_url(URL(place))
