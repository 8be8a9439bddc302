"""The emulated Azure Quantum workspace over HTTP: forms, refusals and paging as recorded from the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from qobs.lab import azure
from qobs.lab.clock import LabClock
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabJob
from qobs.model import JobState

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEY = {"x-ms-quantum-api-key": azure.API_KEY}
VERSION = {"api-version": "2025-12-01-preview"}
MINUTE = timedelta(minutes=1)


@dataclass
class Lab:
    """A served workspace and a plain HTTP session."""

    base: str
    cloud: Cloud
    clock: LabClock
    session: aiohttp.ClientSession
    tokens: azure.Tokens

    async def ask(self, path: str, *, headers: dict[str, str] | None = None, **params: str) -> tuple[int, Any, Any]:
        """Status, body and headers of one GET below the workspace."""
        url = path if path.startswith("http") else self.base + azure.Account().path + path
        query = {} if path.startswith("http") else VERSION | params
        async with self.session.get(url, params=query, headers=KEY if headers is None else headers) as response:
            return response.status, await response.json() if await response.read() else None, response.headers

    async def sign_in(self, tenant: str = azure.TENANT_ID, **changes: str) -> tuple[int, Any]:
        """Status and body of one token request."""
        form = {
            "grant_type": "client_credentials",
            "client_id": azure.CLIENT_ID,
            "client_secret": azure.CLIENT_SECRET,
            "scope": "https://quantum.microsoft.com/.default",
            **changes,
        }
        async with self.session.post(f"{self.base}/{tenant}/oauth2/v2.0/token", data=form) as response:
            return response.status, await response.json()


@pytest.fixture
async def lab(request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    """Six hours of the default cloud; parametrize indirectly with keywords of ``application``."""
    clock = LabClock(NOW)
    cloud = azure.default_cloud(7, NOW - timedelta(hours=6))
    app = azure.application(cloud, clock, **getattr(request, "param", {}))
    async with serve(app) as base, aiohttp.ClientSession() as session:
        yield Lab(base, cloud, clock, session, app[azure.TOKENS])


def plan(name: str, **changes: Any) -> LabJob:
    job = LabJob(name, "ionq.qpu.forte-1", NOW - 10 * MINUTE, NOW - 5 * MINUTE, NOW - MINUTE, JobState.COMPLETED, cost=3.5)
    return replace(job, **changes)


@pytest.mark.parametrize("headers", [{}, {"x-ms-quantum-api-key": "no"}, {"Authorization": "Bearer no"}])
async def test_a_caller_without_credentials_gets_an_empty_401(lab: Lab, headers: dict[str, str]) -> None:
    """The real refusal has no body: clients that expect JSON there must fail here, too."""
    status, body, answered = await lab.ask("/jobs", headers=headers)
    assert (status, body) == (401, None)
    assert answered["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_a_token_lets_in_until_it_ends(lab: Lab) -> None:
    """Expiry must follow the lab's clock, so that an hour can be tested in a moment."""
    status, grant = await lab.sign_in()
    assert (status, grant["token_type"], grant["expires_in"]) == (200, "Bearer", 3599)
    headers = {"Authorization": f"Bearer {grant['access_token']}"}
    assert (await lab.ask("/quotas", headers=headers))[0] == 200
    lab.clock.advance(timedelta(seconds=3598))
    assert (await lab.ask("/quotas", headers=headers))[0] == 200
    lab.clock.advance(timedelta(seconds=1))
    assert (await lab.ask("/quotas", headers=headers))[0] == 401


@pytest.mark.parametrize(
    ("tenant", "changes", "status", "error"),
    [
        (azure.TENANT_ID, {"client_secret": "no"}, 401, "invalid_client"),
        (azure.TENANT_ID, {"client_id": "no"}, 401, "invalid_client"),
        (azure.TENANT_ID, {"scope": "https://management.azure.com/.default"}, 400, "invalid_scope"),
        (azure.TENANT_ID, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        ("another-tenant", {}, 400, "invalid_request"),
    ],
)
async def test_a_wrong_sign_in_is_refused_in_the_services_words(
    lab: Lab, tenant: str, changes: dict[str, str], status: int, error: str
) -> None:
    """An emulation that lets everybody in proves nothing about credentials."""
    answered, body = await lab.sign_in(tenant, **changes)
    assert (answered, body["error"]) == (status, error)
    assert body["error_description"].startswith("AADSTS")
    assert lab.tokens.issued == 0


async def test_pages_join_up_to_the_whole_plan_by_their_own_links(lab: Lab) -> None:
    """Links are absolute and complete: a caller follows them as they stand."""
    found: list[str] = []
    _, page, _ = await lab.ask("/jobs", orderby="CreationTime desc", top="30", filter="CreationTime le 2026-03-03")
    while True:
        assert len(page["value"]) <= 30
        found += [row["id"] for row in page["value"]]
        if page["nextLink"] is None:
            break
        assert page["nextLink"].startswith(
            lab.base + azure.Account().path + "/jobs?filter=CreationTime%20le%202026-03-03&orderby="
        )
        _, page, _ = await lab.ask(page["nextLink"])
    assert found == [job.id for job in reversed(lab.cloud.jobs(NOW))]


async def test_a_page_has_no_more_than_a_hundred_rows(lab: Lab) -> None:
    """The service ignores greed: callers must page."""
    assert len((await lab.ask("/jobs", top="5000"))[1]["value"]) == azure.LARGEST_PAGE


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/jobs/none", {}, 404, "JobNotFound"),
        ("/sessions/none", {}, 404, "SessionNotFound"),
        ("/sessions/none/jobs", {}, 404, "SessionNotFound"),
        ("/nothing", {}, 404, "ResourceNotFound"),
        ("/jobs", {"top": "0"}, 400, "InvalidQueryParameter"),
        ("/jobs", {"skip": "-1"}, 400, "InvalidQueryParameter"),
        ("/jobs", {"filter": "State is bad"}, 400, "InvalidQueryParameter"),
        ("/jobs", {"orderby": "Status desc"}, 400, "InvalidQueryParameter"),
        ("/jobs", {"api-version": ""}, 400, "MissingApiVersionParameter"),
    ],
)
async def test_a_wrong_question_is_answered_in_the_services_error_form(
    lab: Lab, path: str, params: dict[str, str], status: int, code: str
) -> None:
    """Callers' error handling is only tested if the errors look real."""
    answered, body, _ = await lab.ask(path, **params)
    assert (answered, body["error"]["code"]) == (status, code)


async def test_a_question_without_a_version_or_to_another_workspace_is_refused(lab: Lab) -> None:
    """The real service demands the version in every call."""
    root = lab.base + azure.Account().path
    assert (await lab.ask(f"{root}/jobs"))[1]["error"]["code"] == "MissingApiVersionParameter"
    other = lab.base + azure.Account(workspace="other").path
    status, body, _ = await lab.ask(f"{other}/jobs?api-version=1")
    assert (status, body["error"]["code"]) == (404, "WorkspaceNotFound")


@pytest.mark.parametrize(
    ("lab", "words"),
    [
        ({"kind": "V1"}, ["Waiting", "Executing", "Succeeded", "Failed", "Cancelled"]),
        ({"kind": "V2"}, ["Queued", "Executing", "Completed", "Failed", "Cancelled"]),
    ],
    indirect=["lab"],
)
async def test_a_job_is_told_stage_by_stage_in_the_words_of_its_workspace(lab: Lab, words: list[str]) -> None:
    """Times, errors and costs appear with the stage that they belong to, not earlier."""
    failed = {"outcome": JobState.FAILED, "failure": ("InvalidInputData", "no")}
    plans = [
        plan("waiting", started_at=NOW + MINUTE, ended_at=NOW + 2 * MINUTE),
        plan("running", ended_at=NOW + 2 * MINUTE),
        plan("done"),
        plan("failed", **failed),
        plan("cancelled", started_at=None, outcome=JobState.CANCELLED),
    ]
    rows = []
    for job in plans:
        lab.cloud.add(job)
        rows.append((await lab.ask(f"/jobs/{job.id}"))[1])
    assert [row["status"] for row in rows] == words
    assert [row["beginExecutionTime"] is not None for row in rows] == [False, True, True, True, False]
    assert [row["endExecutionTime"] is not None for row in rows] == [False, False, True, True, True]
    assert [(row["costEstimate"] or {}).get("estimatedTotal") for row in rows] == [None, None, 3.5, None, None]
    assert [(row["errorData"] or {}).get("code") for row in rows] == [None, None, None, "InvalidInputData", None]
    assert [row["cancellationTime"] is not None for row in rows] == [False, False, False, False, True]
    assert rows[0]["lastModifiedTime"] == rows[1]["lastModifiedTime"]
    assert all(row["creationTime"] == "2026-03-02T11:50:00.0000000+00:00" for row in rows)
    assert all("sig=" in row[link] for row in rows for link in ("containerUri", "inputDataUri", "outputDataUri"))


async def test_sessions_hold_their_jobs_and_live_as_long_as_one_of_them(lab: Lab) -> None:
    """A session with a failed job and a live one has the word that looks final and is not."""
    failed = {"outcome": JobState.FAILED, "failure": ("RuntimeError", "no")}
    for job in (
        plan("a", batch="one", **failed),
        plan("b", batch="one", ended_at=NOW + MINUTE),
        plan("c", batch="two", **failed),
        plan("d", batch="three"),
        plan("e", batch="four", started_at=NOW + MINUTE, ended_at=NOW + 2 * MINUTE),
    ):
        lab.cloud.add(job)
    _, page, _ = await lab.ask("/sessions")
    assert {row["id"]: (row["status"], row["endExecutionTime"] is None) for row in page["value"]} == {
        "one": ("Failure(s)", True),
        "two": ("Failed", False),
        "three": ("Succeeded", False),
        "four": ("Waiting", True),
    }
    assert (await lab.ask("/sessions/one"))[1]["itemType"] == "Session"
    assert [row["id"] for row in (await lab.ask("/sessions/one/jobs"))[1]["value"]] == ["a", "b"]
    _, items, _ = await lab.ask("/topLevelItems", filter="(ItemType eq 'Session')")
    assert {row["id"] for row in items["value"]} == {"one", "two", "three", "four"}
    _, items, _ = await lab.ask(
        "/topLevelItems", filter="(Target eq 'ionq.qpu.forte-1') and CreationTime ge 2026-03-02T11:50:00Z"
    )
    assert {row["id"] for row in items["value"]}.isdisjoint({"a", "b", "c", "d", "e"})


@pytest.mark.parametrize(
    "lab",
    [
        {
            "availability": {
                "rigetti.sim.qvm": "Degraded",
                "rigetti.qpu.cepheus-1-36q": "Unavailable",
                "pasqal.qpu.fresnel": "Unavailable",
            }
        }
    ],
    indirect=True,
)
async def test_a_target_that_is_not_available_reports_a_queue_of_zero(lab: Lab) -> None:
    """The real service does exactly that, and callers have to know better."""
    for number in range(3):
        lab.cloud.add(plan(f"w{number}", backend="rigetti.qpu.cepheus-1-36q", started_at=NOW + MINUTE, ended_at=NOW + 2 * MINUTE))
        lab.cloud.add(plan(f"v{number}", started_at=NOW + MINUTE, ended_at=NOW + 2 * MINUTE))
    _, page, _ = await lab.ask("/providerStatus")
    assert {row["id"]: row["currentAvailability"] for row in page["value"]} == {
        "ionq": "Available",
        "quantinuum": "Available",
        "rigetti": "Degraded",
        "pasqal": "Unavailable",
    }
    targets = {target["id"]: target for row in page["value"] for target in row["targets"]}
    assert targets["rigetti.qpu.cepheus-1-36q"]["averageQueueTime"] == 0
    assert targets["ionq.qpu.forte-1"]["averageQueueTime"] >= 3 * 80
    assert "key=" in targets["quantinuum.qpu.h2-2"]["statusPage"]


async def test_an_allowance_is_used_up_by_what_jobs_cost(lab: Lab) -> None:
    """A budget that never moves cannot be watched."""

    async def used() -> float:
        _, page, _ = await lab.ask("/quotas")
        return next(float(row["utilization"]) for row in page["value"] if row["providerId"] == "ionq")

    before = await used()
    lab.cloud.add(plan("dear", cost=1000.25))
    lab.cloud.add(plan("last-month", cost=7.0, submitted_at=NOW - timedelta(days=3), ended_at=NOW - timedelta(days=3)))
    assert await used() == pytest.approx(before + 1000.25)


async def test_the_answers_date_is_the_labs_own(lab: Lab) -> None:
    """The skew of a provider's clock is read off this header."""
    lab.clock.set(NOW + timedelta(hours=5))
    _, _, headers = await lab.ask("/quotas")
    assert headers["Date"] == "Mon, 02 Mar 2026 17:00:00 GMT"


def test_one_seed_gives_one_history() -> None:
    """A demo that differs from run to run cannot be compared with anything."""
    first, second = (azure.default_cloud(3, NOW - timedelta(hours=3)).jobs(NOW) for _ in range(2))
    assert first == second
    assert azure.default_cloud(4, NOW - timedelta(hours=3)).jobs(NOW) != first
    assert {job.outcome for job in azure.default_cloud(3, NOW - timedelta(days=2)).jobs(NOW)} == {
        JobState.COMPLETED,
        JobState.FAILED,
        JobState.CANCELLED,
    }
