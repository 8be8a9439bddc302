"""The emulated IBM Quantum Platform keeps the wire format and follows its plan."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from qobs.lab import ibm, ibm_wire
from qobs.lab.clock import LabClock
from qobs.lab.ibm_devices import DEVICES, iso, load
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabBackend, LabJob
from qobs.model import JobState

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
GRANT = "urn:ibm:params:oauth:grant-type:apikey"


@dataclass
class Caller:
    """A client of the emulated service that sends what it is told to."""

    cloud: Cloud
    clock: LabClock
    url: str
    session: aiohttp.ClientSession
    token: str = ""

    async def login(self, key: str = ibm.API_KEY, grant: str = GRANT) -> tuple[int, dict[str, Any]]:
        """Exchange a key; keeps the token."""
        async with self.session.post(f"{self.url}/identity/token", data={"grant_type": grant, "apikey": key}) as response:
            body = await response.json()
            self.token = body.get("access_token", "")
            return response.status, body

    async def get(self, path: str, *, version: str | None = "2026-04-15", **headers: str) -> tuple[int, Any]:
        """GET below ``/api/v1``, with JSON decoded."""
        sent = {"Authorization": f"Bearer {self.token}", "Service-CRN": ibm.INSTANCE}
        sent |= {} if version is None else {"IBM-API-Version": version}
        async with self.session.get(f"{self.url}/api/v1{path}", headers=sent | headers) as response:
            text = await response.text()
            assert response.headers["uber-trace-id"]
            return response.status, json.loads(text) if response.content_type == "application/json" else text


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    """A caller that is logged in, four hours after the plan began."""
    cloud, clock = ibm.default_cloud(5, NOW - timedelta(hours=4)), LabClock(NOW)
    async with serve(ibm.application(cloud, clock)) as url, aiohttp.ClientSession() as session:
        found = Caller(cloud, clock, url, session)
        await found.login()
        yield found


async def test_token_has_the_form_and_life_of_an_iam_token(caller: Caller) -> None:
    """IBM's client decodes the token and reads ``iat`` and ``exp``; without them it cannot start."""
    status, body = await caller.login()
    part = body["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert status == 200
    assert claims["iat"] == NOW.timestamp()
    assert claims["exp"] == body["expiration"] == claims["iat"] + body["expires_in"] == claims["iat"] + 3600


@pytest.mark.parametrize(("key", "grant"), [("other", GRANT), (ibm.API_KEY, "password")])
async def test_bad_exchange_is_400_as_at_ibm(key: str, grant: str, caller: Caller) -> None:
    """The trap is the status: 400, not 401."""
    status, body = await caller.login(key, grant)
    assert status == 400
    assert body["errorCode"].startswith("BXNIM")


async def test_token_ends_with_lab_time(caller: Caller) -> None:
    """An expiry that real time decides could not be played in a test or a demo."""
    assert (await caller.get("/backends"))[0] == 200
    caller.clock.advance(timedelta(minutes=61))
    status, body = await caller.get("/backends")
    assert (status, body["errors"][0]["code"]) == (401, 1201)
    assert set(body) == {"trace", "errors"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer x.y.z"}, 401),
        ({"Authorization": ""}, 401),
        ({"Authorization": "apikey wrong"}, 401),
        ({"Authorization": f"apikey {ibm.API_KEY}"}, 200),
        ({"Service-CRN": "crn:other"}, 403),
        ({"IBM-API-Version": "newest"}, 400),
    ],
)
async def test_request_is_let_in_by_token_instance_and_version(headers: dict[str, str], status: int, caller: Caller) -> None:
    """A lab that lets everything in proves nothing about the client's headers."""
    assert (await caller.get("/backends", **headers))[0] == status


async def test_version_header_decides_the_form_of_the_backend_list(caller: Caller) -> None:
    """Without the header the service gives bare names: the trap that pinning the version avoids."""
    assert (await caller.get("/backends", version=None))[1] == {"devices": list(DEVICES)}
    assert (await caller.get("/backends", version="2024-01-01"))[1] == {"devices": list(DEVICES)}
    _, body = await caller.get("/backends?fields=wait_time_seconds")
    assert [device["name"] for device in body["devices"]] == list(DEVICES)
    assert all("average" in device["wait_time_seconds"] for device in body["devices"])
    _, without = await caller.get("/backends")
    assert not any("wait_time_seconds" in device for device in without["devices"])


@pytest.mark.parametrize("version", ["2025-05-01", "2026-03-15", "2026-04-15"])
async def test_usage_has_the_form_of_its_version(version: str, caller: Caller) -> None:
    """Three forms in one year: each must be there to be read."""
    job = caller.cloud.jobs(NOW)[0]
    _, body = await caller.get(f"/jobs/{job.id}/metrics", version=version)
    charged = ibm_wire.charged_seconds(job)
    if version == "2025-05-01":
        assert body["bss"]["seconds"] == body["usage"]["quantum_seconds"] == charged
        assert "qpu_charge_time_seconds" not in body["usage"]
    else:
        assert body["usage"]["qpu_charge_time_seconds"] == charged
        assert ("circuits_execution_time_ns" in body) == (version == "2026-04-15")
        assert ("circuits_execution_time_ns" in body["usage"]) == (version == "2026-03-15")


async def test_list_pages_filters_and_sorts(caller: Caller) -> None:
    """The filters are what qobs' listing stands on."""
    planned = caller.cloud.jobs(NOW)
    newest = [job.id for job in reversed(planned)]
    _, page = await caller.get("/jobs?limit=5&offset=3")
    assert [job["id"] for job in page["jobs"]] == newest[3:8]
    assert (page["count"], page["limit"], page["offset"]) == (len(planned), 5, 3)
    _, oldest = await caller.get("/jobs?sort=ASC&limit=1")
    assert oldest["jobs"][0]["id"] == newest[-1]
    middle = planned[len(planned) // 2].submitted_at
    _, later = await caller.get(f"/jobs?created_after={iso(middle)}")
    assert later["count"] == sum(job.submitted_at >= middle for job in planned)
    _, earlier = await caller.get(f"/jobs?created_before={iso(middle)}")
    assert earlier["count"] == sum(job.submitted_at <= middle for job in planned)
    _, done = await caller.get("/jobs?pending=false&backend=ibm_fez")
    assert done["count"] == sum(job.backend == "ibm_fez" and not ibm_wire.pending(job, NOW) for job in planned)
    _, tagged = await caller.get("/jobs?tags=prio:high&tags=team:chemistry")
    assert tagged["count"] == sum(job.priority == "high" and job.team == "chemistry" for job in planned) > 0


@pytest.mark.parametrize("query", ["limit=many", "offset=-1", "created_after=yesterday"])
async def test_bad_query_is_400(query: str, caller: Caller) -> None:
    """A config bug must read as one."""
    status, body = await caller.get(f"/jobs?{query}")
    assert status == 400
    assert body["errors"][0]["message"]


async def test_a_job_lives_through_its_states() -> None:
    """What a caller sees is the plan at lab time, billing included."""
    begin = NOW
    second = timedelta(seconds=1)
    cloud = Cloud("ibm", (LabBackend("ibm_fez", 156),), 1, begin, generate=False)
    cloud.add(LabJob("d1", "ibm_fez", begin, begin + 10 * second, begin + 20 * second, JobState.COMPLETED, shots=7, qubits=3))
    clock = LabClock(begin)
    seen = []
    async with serve(ibm.application(cloud, clock)) as url, aiohttp.ClientSession() as session:
        caller = Caller(cloud, clock, url, session)
        await caller.login()
        for _ in range(4):
            _, job = await caller.get("/jobs/d1?exclude_params=true")
            _, metrics = await caller.get("/jobs/d1/metrics")
            stamps = metrics["timestamps"]
            seen.append(
                (job["status"], stamps["running"] is not None, stamps["finished"] is not None, metrics["usage"]["status"])
            )
            results, body = await caller.get("/jobs/d1/results")
            assert results == (200 if job["status"] == "Completed" else 404)
            clock.advance(10 * second)
        _, whole = await caller.get("/jobs/d1")
    assert seen == [
        ("Queued", False, False, "pending"),
        ("Running", True, False, "pending"),
        ("Completed", True, True, "pending"),
        ("Completed", True, True, "complete"),
    ]
    assert whole["params"]["pubs"][0][2] == 7
    samples = body["results"][0]["data"]["meas"]["samples"]
    assert len(samples) == 7
    assert all(0 <= int(sample, 16) < 8 for sample in samples)


async def test_properties_move_with_each_calibration_and_keep_their_form(caller: Caller) -> None:
    """A trend needs values that move; a calibration that is asked for twice must be the same one."""
    _, first = await caller.get("/backends/ibm_kingston/properties")
    _, again = await caller.get("/backends/ibm_kingston/properties")
    assert first == again
    assert first["last_update_date"] == "2026-09-14T07:00:00Z"
    caller.clock.advance(timedelta(hours=24))
    await caller.login()
    _, next_day = await caller.get("/backends/ibm_kingston/properties")
    _, before = await caller.get("/backends/ibm_kingston/properties?updated_before=2026-09-15T00:00:00Z")
    assert next_day["last_update_date"] == "2026-09-15T07:00:00Z"
    assert before == first
    assert first["qubits"][0][0]["value"] != next_day["qubits"][0][0]["value"]


@pytest.mark.parametrize("backend", DEVICES)
async def test_emulated_properties_stay_close_to_the_real_snapshot(backend: str, caller: Caller) -> None:
    """Marks, zeros and missing parameters are what makes real calibrations hard: they must survive the drawing."""
    _, body = await caller.get(f"/backends/{backend}/properties")
    real = load("props", backend)
    moved = datetime.fromisoformat(body["last_update_date"]) - datetime.fromisoformat(real["last_update_date"])
    pairs = [
        (ours, theirs)
        for mine, yours in zip(
            [*body["qubits"], *(gate["parameters"] for gate in body["gates"])],
            [*real["qubits"], *(gate["parameters"] for gate in real["gates"])],
            strict=True,
        )
        for ours, theirs in zip(mine, yours, strict=True)
    ]
    for ours, theirs in pairs:
        assert (ours["name"], ours["unit"]) == (theirs["name"], theirs["unit"])
        assert ours["date"].endswith("Z")
        assert datetime.fromisoformat(ours["date"]) == datetime.fromisoformat(theirs["date"]) + moved
        assert (ours["value"] in (0, 1)) == (theirs["value"] in (0, 1)) or theirs["name"] not in ("gate_error",)
        assert ours["value"] == pytest.approx(theirs["value"], rel=0.5)


async def test_unknown_things_are_404_in_the_error_form(caller: Caller) -> None:
    """Jobs of another instance and retired backends answer so."""
    for path in (
        "/jobs/d0",
        "/jobs/d0/metrics",
        "/jobs/d0/logs",
        "/backends/ibm_none/properties",
        "/backends/ibm_none/status",
        "/x",
    ):
        status, body = await caller.get(path)
        assert (status, set(body)) == (404, {"trace", "errors"})


async def test_workloads_are_paged_by_cursor(caller: Caller) -> None:
    """Every workload once, following the service's own links."""
    path, found = "/workloads?limit=50", []
    while True:
        status, body = await caller.get(path)
        assert status == 200
        found += [workload["id"] for workload in body["workloads"]]
        if "next" not in body:
            break
        path = body["next"]["href"].removeprefix("/api/v1")
    assert found == [job.id for job in reversed(caller.cloud.jobs(NOW))]


async def test_usage_adds_up_final_charges(caller: Caller) -> None:
    """Quota and jobs must tell one story."""
    _, body = await caller.get("/instances/usage")
    final = [job for job in caller.cloud.jobs(NOW) if job.ended_at + ibm_wire.BILLING_LAG <= NOW]
    assert body["usage_consumed_seconds"] == sum(map(ibm_wire.charged_seconds, final)) > 0
    assert (await caller.get("/instances/configuration"))[1] == {"instance_limit": body["usage_limit_seconds"]}


async def test_two_runs_with_one_seed_agree_to_the_byte() -> None:
    """A demo that differs from run to run cannot be checked against anything."""

    async def bodies() -> list[Any]:
        cloud, clock = ibm.default_cloud(9, NOW - timedelta(hours=2)), LabClock(NOW)
        async with serve(ibm.application(cloud, clock)) as url, aiohttp.ClientSession() as session:
            caller = Caller(cloud, clock, url, session)
            await caller.login()
            return [await caller.get(path) for path in ("/jobs", "/backends", "/backends/ibm_fez/properties", "/instances/usage")]

    assert await bodies() == await bodies()
