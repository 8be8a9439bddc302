"""The small decisions: errors in three forms, sign-in answers, when a job is settled, what any odd payload does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qobs.errors import BadPayload, SourceError
from qobs.model import Batch, Reason, Stream
from qobs.sources.base import Answer
from qobs.sources.quantum.azure import SOURCE_TYPE, peek, place
from qobs.sources.quantum.azure_auth import read_grant
from qobs.sources.quantum.azure_errors import Problem, is_about_one_job, problem, refusal, sign_in_refusal


def answer(status: int, body: str | bytes = b"", **headers: str) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=data, url="https://eastus.quantum.azure.com/x")


@pytest.mark.parametrize(
    ("given_answer", "read"),
    [
        (answer(401, www_authenticate='Bearer error="invalid_token"'), Problem("invalid_token", None)),
        (answer(401), Problem(None, None)),
        (answer(400, '{"error":{"code":"InvalidJobDefinition","message":"no"}}'), Problem("InvalidJobDefinition", "no")),
        (
            answer(401, '{"error":"invalid_client","error_description":"AADSTS7000222: x"}'),
            Problem("invalid_client", "AADSTS7000222: x"),
        ),
        (answer(403, "<html><body>no</body></html>"), Problem(None, None)),
        (answer(500, "gateway says no"), Problem(None, None)),
        (answer(400, '{"error":7}'), Problem(None, None)),
        (answer(400, "[]"), Problem(None, None)),
        (answer(400, b"\xff\xfe\x00"), Problem(None, None)),
    ],
)
def test_each_form_of_error_gives_its_code(given_answer: Answer, read: Problem) -> None:
    """Whoever is on call needs the service's own word for what is wrong, whichever service said it."""
    assert problem(given_answer) == read


def test_the_recorded_storage_error_is_read_in_spite_of_its_byte_order_mark(recording: Callable[..., Any]) -> None:
    """Blob storage answers in XML with a byte order mark; taken for JSON it would be an unreadable answer."""
    body = next(each.body for each in recording("job_submit_ionq") if each.status == 404)
    found = problem(answer(404, body))
    assert found.code == "ContainerNotFound"
    assert found.message is not None
    assert found.message.startswith("The specified container does not exist.")
    assert not is_about_one_job(answer(404, body))


@pytest.mark.parametrize(
    ("given_answer", "reason"),
    [
        (answer(401), Reason.AUTH),
        (answer(403, '{"error":{"code":"Forbidden"}}'), Reason.FORBIDDEN),
        (answer(403, "\ufeff<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>"), Reason.AUTH),
        (answer(404), Reason.NOT_FOUND),
        (answer(400, '{"error":{"code":"UnsupportedApiVersion"}}'), Reason.OTHER),
    ],
)
def test_a_refusal_has_its_bounded_reason(given_answer: Answer, reason: Reason) -> None:
    """An expired signature calls for new credentials, a missing right for an administrator: the label must tell which."""
    assert refusal(given_answer, what="W/jobs").reason is reason


def test_an_error_text_shows_no_secret() -> None:
    """Error messages quote the request, and requests carry signatures."""
    body = json.dumps({"error": {"code": "X", "message": "GET https://a.blob.core.windows.net/b?sv=1&sig=T0PSECRET= failed"}})
    for error in (refusal(answer(400, body), what="W/jobs"), sign_in_refusal(answer(400, body))):
        assert "T0PSECRET" not in str(error)
        assert "a.blob.core.windows.net" in str(error)


def test_a_missing_job_is_told_from_a_missing_workspace() -> None:
    """Only the first may mark a job as lost."""
    assert is_about_one_job(answer(404, '{"error":{"code":"JobNotFound"}}'))
    assert is_about_one_job(answer(404))
    for code in ("WorkspaceNotFound", "SubscriptionNotFound", "ResourceGroupNotFound"):
        assert not is_about_one_job(answer(404, json.dumps({"error": {"code": code}})))


@pytest.mark.parametrize("life", [3599, "3599", 1_791_503_799])
def test_a_sign_in_answer_is_read_and_its_life_is_bounded(life: object) -> None:
    """Managed identities write the life as text, and the recordings hold one of 56 years."""
    secret, seconds = read_grant(json.dumps({"token_type": "Bearer", "expires_in": life, "access_token": "t0ken"}).encode())
    assert secret.reveal() == "t0ken"
    assert seconds == (3599.0 if life in (3599, "3599") else 86_400.0)


@pytest.mark.parametrize(
    "grant",
    [
        {},
        {"access_token": "t"},
        {"access_token": "", "expires_in": 5},
        {"access_token": "t", "expires_in": "soon"},
        {"access_token": "t", "expires_in": 0},
        {"access_token": 7, "expires_in": 5},
    ],
)
def test_a_sign_in_answer_without_a_usable_token_is_an_error(grant: dict[str, object]) -> None:
    """A missing token must not travel as the word None."""
    with pytest.raises(BadPayload, match="access_token"):
        read_grant(json.dumps(grant).encode())


ENDED = {
    "id": "a",
    "status": "Succeeded",
    "providerId": "ionq",
    "creationTime": "2026-03-02T11:00:00Z",
    "endExecutionTime": "2026-03-02T11:30:00Z",
}


@pytest.mark.parametrize(
    ("changes", "minutes", "settled"),
    [
        ({}, 59, False),
        ({}, 60, True),
        ({"costEstimate": {"estimatedTotal": 1.5}}, 0, True),
        ({"providerId": "microsoft-qc"}, 0, True),
        (
            {"endExecutionTime": None, "costEstimate": {"estimatedTotal": 1.5}, "lastModifiedTime": "2026-03-02T11:30:00Z"},
            59,
            False,
        ),
        ({"status": "Failed"}, 0, True),
        ({"status": "Cancelled"}, 0, True),
        ({"status": "Finishing"}, 6000, False),
        ({"status": "Paused"}, 6000, False),
    ],
)
def test_a_job_is_settled_once_its_bill_has_come_or_will_not_come(
    changes: dict[str, Any], minutes: int, settled: bool, normalize: Callable[..., Batch]
) -> None:
    """Settled too early, a cost is never read; never settled, every old job is asked for again for ever."""
    at = datetime.fromisoformat("2026-03-02T11:30:00+00:00") + timedelta(minutes=minutes)
    (job,) = normalize({**ENDED, **changes}, kind="job", fetched_at=at, id="a").jobs
    assert job.settled is settled


def test_the_streams_are_those_that_the_service_has(make_source: Callable[..., Any]) -> None:
    """A calibration stream that can only fail would keep an alert burning."""
    assert make_source().streams == {Stream.JOBS, Stream.STATUS, Stream.QUOTAS} == set(SOURCE_TYPE.poll_seconds)
    assert make_source().provider == SOURCE_TYPE.type == "azure"


def test_an_address_is_made_of_location_or_given_whole(make_source: Callable[..., Any]) -> None:
    """Names with odd characters must stay one path segment: a workspace is chosen by configuration, not by accident."""
    assert make_source("", url=None, location="westus")._base == "https://westus.quantum.azure.com"
    assert "/workspaces/a%2Fb" in make_source(workspace="a/b")._workspace


def test_places_are_compared_without_spelling() -> None:
    """The recorded links write the host as configured or with its port: both are the same place."""
    assert place("https://EASTUS.quantum.azure.com:443/a/B?x") == place("https://eastus.quantum.azure.com/A/b")
    assert place("http://eastus.quantum.azure.com/a") != place("https://eastus.quantum.azure.com/a")
    assert place("https://u@eastus.quantum.azure.com/a") is None
    assert place("nothing") is None


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["2026-03-02T10:00:00Z", "Waiting"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        *(
            "id",
            "status",
            "name",
            "providerId",
            "target",
            "sessionId",
            "metadata",
            "inputParams",
            "tags",
            "jobPriority",
            "itemType",
        ),
        *("creationTime", "beginExecutionTime", "endExecutionTime", "cancellationTime", "lastModifiedTime", "errorData"),
        *("quantumComputingData", "costEstimate", "containerUri", "usage", "somethingNew"),
    ]
)


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(FIELDS, ODD, max_size=4), kind=st.sampled_from(["jobs", "job"]))
def test_whatever_a_field_holds_the_record_is_read_or_set_aside(
    changes: dict[str, Any], kind: str, normalize: Callable[..., Batch]
) -> None:
    """One exception in here would stop the whole source for one odd job."""
    good = {**ENDED, "id": "good"}
    odd = {**ENDED, **changes}
    body = json.dumps({"value": [odd, good], "nextLink": None} if kind == "jobs" else odd).encode()
    try:
        batch = normalize(body, kind=kind, id="a")
    except SourceError:
        assert kind == "job"
        return
    session = odd.get("itemType") == "Session" and not batch.quarantined
    assert len(batch.jobs) + len(batch.quarantined) + session == (2 if kind == "jobs" else 1)
    assert kind == "job" or "good" in {job.id for job in batch.jobs}
    assert msgspec.json.decode(msgspec.json.encode(batch), type=Batch) == batch


@settings(derandomize=True, max_examples=40, deadline=None)
@given(link=ODD, rows=st.lists(ODD, max_size=3))
def test_a_peek_into_a_page_finds_its_link_or_refuses_the_page(link: Any, rows: list[Any]) -> None:
    """The look that decides whether to go on must not be cleverer, or weaker, than the reading itself."""
    body = json.dumps({"value": rows, "nextLink": link}).encode()
    try:
        found, created = peek(body, what="jobs")
    except BadPayload:
        return
    assert (found or "") == (link or "")
    assert len(created) == len(rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"note": "sig=T0PSECRET0"}},
        {"metadata": {"meas_map": "https://a.example/b?sv=1&sig=T0PSECRET0"}},
        {"metadata": {"metadata": '{"token": "T0PSECRET0"}'}},
        {"metadata": {"access_token": "T0PSECRET0"}},
        {"inputParams": {"entryPoint": "Bearer T0PSECRET0token"}},
        {"inputParams": {"items": [{"password": "T0PSECRET0"}]}},
        {"costEstimate": {"events": [{"dimensionId": "x", "dimensionName": "api_key=T0PSECRET0"}]}},
        {"usage": {"client_secret": "T0PSECRET0"}},
        {"brandNew": {"apiKey": "T0PSECRET0"}},
        {"jobType": "\u00e9 key=T0PSECRET0"},
    ],
)
def test_what_is_kept_beside_the_schema_holds_no_secret(changes: dict[str, Any], normalize: Callable[..., Batch]) -> None:
    """Users put tokens into metadata and parameters; what the store keeps, every backup of it shows."""
    (job,) = normalize({**ENDED, **changes}, kind="job", id="a").jobs
    assert job.extra is not None
    assert "T0PSECRET0" not in job.extra
    assert json.loads(job.extra)["providerId"] == "ionq"
