"""Results on the emulated wire: calibrations that stop, links that open, and forms that the official clients expect."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest

from qobs.lab import azure, azure_wire, ibm, ibm_wire, ionq
from qobs.lab.clock import LabClock
from qobs.lab.ibm_devices import devices
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabJob, Trouble
from qobs.model import JobState

BEGINS = datetime(2026, 9, 14, tzinfo=UTC)
NOW = BEGINS + timedelta(hours=2)
AZURE_JOBS = f"{azure.Account().path}/jobs"
Open = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def served() -> Open:
    """A cloud on loopback: its plan, its URL and a caller that gives status and body."""

    @asynccontextmanager
    async def opened(module: Any, **headers: str) -> AsyncIterator[tuple[Cloud, str, Any]]:
        cloud = module.default_cloud(5, BEGINS)
        cloud.jobs(NOW)
        cloud.generate = False
        async with serve(module.application(cloud, LabClock(NOW))) as url, aiohttp.ClientSession() as session:

            async def ask(address: str) -> tuple[int, bytes]:
                async with session.get(address, headers=headers) as answer:
                    return answer.status, await answer.read()

            yield cloud, url, ask

    return opened


def planned(cloud: Cloud, backend: str, **changes: Any) -> LabJob:
    """One completed job more."""
    model = next(job for job in cloud.jobs(NOW) if job.outcome is JobState.COMPLETED and job.ended_at < NOW)
    return cloud.add(replace(model, id="00000000-0000-4000-8000-000000000001", backend=backend, **changes))


async def test_azure_links_open_the_blobs_without_a_key(served: Open) -> None:
    """As at the real service: the signature is the right, and a wrong one is refused in the storage's own form."""
    async with served(azure) as (cloud, url, ask):
        job = planned(cloud, "quantinuum.qpu.h2-2", experiment="qaoa-maxcut", qubits=3, shots=50)
        state = job.state(NOW)
        assert state is not None
        links = azure_wire.job_body(job, NOW, azure_wire.WORDS["V1"], url)
        assert (await ask(links["inputDataUri"]))[1].startswith(b"OPENQASM 2.0;")
        status, body = await ask(links["outputDataUri"])
        assert (status, body.count(b'"')) == (200, 4 + 2 * 2 * 50)
        status, body = await ask(links["outputDataUri"].replace("sig=", "sig=0"))
        assert (status, b"AuthenticationFailed" in body) == (403, True)
        other = links["outputDataUri"].replace("rawOutputData", "otherData")
        assert b"BlobNotFound" in (await ask(other))[1]
        cloud.remove(job.id)
        assert b"ContainerNotFound" in (await ask(links["outputDataUri"]))[1]


async def test_azure_refuses_a_key_that_is_sent_to_the_storage(served: Open) -> None:
    """A client that gives its token away with every link would pass unnoticed otherwise."""
    async with served(azure, Authorization="Bearer x") as (cloud, url, ask):
        job = planned(cloud, "quantinuum.qpu.h2-2")
        link = azure_wire.job_body(job, NOW, azure_wire.WORDS["V1"], url)["inputDataUri"]
        assert (await ask(link))[0] == 403


async def test_azure_links_of_a_served_job_lead_to_the_server_itself(served: Open) -> None:
    """Links into the real storage service would let a test ask the internet."""
    key = {"x-ms-quantum-api-key": azure.API_KEY}
    async with served(azure, **key) as (cloud, url, ask):
        job = planned(cloud, "ionq.qpu.forte-1")
        _, body = await ask(f"{url}{AZURE_JOBS}/{job.id}?api-version=2025-12-01-preview")
        assert body.count(urlsplit(url).netloc.encode()) == 3
        assert b"blob.core.windows.net" not in body


def test_ibm_typed_results_are_what_numpy_reads() -> None:
    """IBM's own client loads these arrays with NumPy: shape, type and bytes must be those of its file format."""
    cloud = ibm.default_cloud(5, BEGINS)
    job = planned(cloud, "ibm_fez", team="chemistry", experiment="qaoa-maxcut", qubits=4, gates_2q=1, shots=30)
    device = devices(cloud)["ibm_fez"]
    (pub,) = ibm_wire.results(job, device, cloud)["__value__"]["pub_results"]
    data = pub["__value__"]["data"]["__value__"]
    assert data["field_names"] == ["first", "rest"]
    read = {}
    for name, field in data["fields"].items():
        packed = field["__value__"]["array"]["__value__"]
        read[name] = np.load(io.BytesIO(zlib.decompress(base64.b64decode(packed))), allow_pickle=False)
        assert (read[name].shape, read[name].dtype) == ((30, 1), np.uint8)
    whole = [int(first) | int(rest) << 1 for first, rest in zip(read["first"][:, 0], read["rest"][:, 0], strict=True)]
    assert whole == ibm_wire.samples(job, device, cloud)


def test_an_ibm_estimator_has_mean_values_and_no_samples() -> None:
    """A monitor that expects samples everywhere would stumble over every fourth job."""
    cloud = ibm.default_cloud(5, BEGINS)
    job = planned(cloud, "ibm_fez", gates_2q=3)
    (result,) = ibm_wire.results(job, devices(cloud)["ibm_fez"], cloud)["results"]
    assert set(result["data"]) == {"evs", "stds"}
    assert -1 <= result["data"]["evs"] <= 1


async def test_a_stale_ionq_characterization_shows_on_every_route(served: Open) -> None:
    """F-scenario: list, newest and backend row must all stop, or one of them would give the game away."""
    async with served(ionq, Authorization=f"apiKey {ionq.API_KEY}") as (cloud, url, ask):
        routes = ("/v0.4/backends", "/v0.4/backends/qpu.forte-1/characterizations?limit=1")
        routes += ("/v0.3/characterizations/backends/qpu.forte-1/current",)
        before = [(await ask(url + route))[1] for route in routes]
        cloud.troubles.append(Trouble(backend="qpu.forte-1", since=BEGINS - timedelta(days=5), stale=True))
        after = [(await ask(url + route))[1] for route in routes]
        assert all(old != new for old, new in zip(before, after, strict=True))
