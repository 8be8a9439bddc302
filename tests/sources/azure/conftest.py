"""What the Azure tests share: recorded traffic, a source, an emulated workspace, and a real client to read it with."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.typedefs import Handler

from qobs.clock import Clock, SystemClock
from qobs.lab import azure as lab
from qobs.lab.clock import LabClock
from qobs.lab.serve import serve
from qobs.lab.world import Cloud
from qobs.model import Ask, Batch, Raw, Stream
from qobs.secret import Secret
from qobs.sources.base import Settings
from qobs.sources.guard import Guard
from qobs.sources.http import Edge, HttpClient
from qobs.sources.quantum.azure import SOURCE_TYPE, Azure

FIXTURES = Path(__file__).parents[2] / "fixtures" / "azure"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Exchange:
    """One recorded request and its answer."""

    method: str
    uri: str
    status: int
    body: str

    @property
    def path(self) -> str:
        """Path below the workspace, without the query; the whole URI for other services."""
        return self.uri.partition("/workspaces/myworkspace")[2].partition("?")[0] or self.uri


@cache
def read_recording(name: str) -> tuple[Exchange, ...]:
    """All exchanges of one recording, in order."""
    text = gzip.decompress((FIXTURES / "recordings" / f"{name}.yaml.gz").read_bytes())
    return tuple(
        Exchange(
            method=each["request"]["method"],
            uri=each["request"]["uri"],
            status=each["response"]["status"]["code"],
            body=each["response"]["body"]["string"],
        )
        for each in yaml.load(text, Loader=yaml.CSafeLoader)["interactions"]
    )


@pytest.fixture(scope="session")
def recording() -> Callable[[str], tuple[Exchange, ...]]:
    """Reads a recording by its name."""
    return read_recording


@pytest.fixture(scope="session")
def recordings() -> Mapping[str, tuple[Exchange, ...]]:
    """Every recording there is, by name."""
    names = sorted(path.name.removesuffix(".yaml.gz") for path in (FIXTURES / "recordings").glob("*.yaml.gz"))
    return {name: read_recording(name) for name in names}


def build(base: str = "https://eastus.quantum.azure.com", *, clock: Clock | None = None, **changes: Any) -> Azure:
    """A source of the lab's workspace; ``changes`` are options, or ``credentials``."""
    credentials: Mapping[str, str] = changes.pop("credentials", {"api_key": lab.API_KEY})
    options = {
        "subscription_id": lab.SUBSCRIPTION_ID,
        "resource_group": lab.RESOURCE_GROUP,
        "workspace": lab.WORKSPACE,
        "location": "eastus",
        "url": base,
        "authority": base,
        **changes,
    }
    readers = {name: (lambda value=value: Secret(value)) for name, value in credentials.items()}
    return Azure(Settings(name="lab-azure", type="azure", credentials=readers, options=options), clock)


APPLICATION = {"tenant_id": lab.TENANT_ID, "client_id": lab.CLIENT_ID, "client_secret": lab.CLIENT_SECRET}


@pytest.fixture
def make_source() -> Callable[..., Azure]:
    """Builds a source of the lab's workspace."""
    return build


@pytest.fixture
def application_credentials() -> dict[str, str]:
    """Tenant, client and secret that the lab lets in."""
    return dict(APPLICATION)


@pytest.fixture
def normalize() -> Callable[..., Batch]:
    """Translates a body (text or JSON value) as the source does; the kind is that of the listing by default."""
    source = build()

    def run(body: object, *, kind: str = "jobs", fetched_at: datetime = NOW, **about: str) -> Batch:
        data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        stream = {"providerStatus": Stream.STATUS, "quotas": Stream.QUOTAS}.get(kind, Stream.JOBS)
        return source.normalize(Raw(stream=stream, kind=kind, body=data, fetched_at=fetched_at, about=about))

    return run


@dataclass
class Workspace:
    """An emulated workspace on a loopback port."""

    base: str
    cloud: Cloud
    clock: LabClock
    tokens: lab.Tokens
    requests: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    """Method, path with query, headers of every request, in order."""

    def count(self, fragment: str) -> int:
        """Requests whose path has ``fragment``."""
        return sum(fragment in path for _, path, _ in self.requests)


@pytest.fixture
async def workspace(request: pytest.FixtureRequest) -> AsyncIterator[Workspace]:
    """Six hours of the default cloud; parametrize indirectly with keywords of the lab's ``application``."""
    clock = LabClock(NOW)
    cloud = lab.default_cloud(7, NOW - timedelta(hours=6))
    app = lab.application(cloud, clock, **getattr(request, "param", {}))
    seen: list[tuple[str, str, Mapping[str, str]]] = []

    @web.middleware
    async def remember(asked: web.Request, handler: Handler) -> web.StreamResponse:
        seen.append((asked.method, asked.path_qs, asked.headers.copy()))
        return await handler(asked)

    app.middlewares.insert(0, remember)
    async with serve(app) as base:
        yield Workspace(base, cloud, clock, app[lab.TOKENS], seen)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[str], HttpClient]]:
    """Makes a real client that may reach the given base URL; closed at the end."""
    opened: list[HttpClient] = []

    def make(base: str) -> HttpClient:
        guard = Guard(SOURCE_TYPE.hosts, urls=[base])
        opened.append(HttpClient(Edge(clock=SystemClock(), rng=Random(1), guard=guard)))
        return opened[-1]

    yield make
    for client in opened:
        await client.close()


async def collect(source: Azure, http: HttpClient, stream: Stream = Stream.JOBS, **ask: Any) -> list[Raw]:
    """All answers of one ask."""
    return [raw async for raw in source.fetch(http, Ask(stream=stream, now=NOW, **ask))]


@pytest.fixture
def fetch() -> Callable[..., Any]:
    """Reads all answers of one ask."""
    return collect


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of recordings and golden pairs."""
    return FIXTURES
