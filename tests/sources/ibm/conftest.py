"""One source, one emulated cloud and one way to the network for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from qobs.lab import ibm
from qobs.lab.clock import LabClock
from qobs.lab.ibm import API_KEY, INSTANCE
from qobs.lab.serve import serve
from qobs.lab.world import Cloud
from qobs.secret import Secret
from qobs.sources.base import Settings, Source
from qobs.sources.guard import Guard
from qobs.sources.http import Edge, HttpClient
from qobs.sources.quantum.ibm import SOURCE_TYPE

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """When the tests take place."""
    return NOW


@pytest.fixture
def make_source() -> Callable[..., Source]:
    """Builds a source for a base URL; options beyond the URL may be given."""

    def build(url: str = "http://127.0.0.1:1", *, api_key: str = API_KEY, **options: object) -> Source:
        return SOURCE_TYPE.build(
            Settings(
                name="lab",
                type="ibm",
                credentials={"api_key": lambda: Secret(api_key)},
                options={"instance": INSTANCE, "url": f"{url}/api/v1", "iam_url": url, **options},
            )
        )

    return build


@pytest.fixture
def open_client() -> Callable[[str], AbstractAsyncContextManager[HttpClient]]:
    """Opens the real HTTP client; its waits pass a thousand times faster than on the wall."""

    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[HttpClient]:
        edge = Edge(clock=LabClock(NOW, speed=1000.0), rng=Random(1), guard=Guard((), urls=(url,)))
        async with HttpClient(edge) as client:
            yield client

    return opened


@dataclass
class Lab:
    """An emulated IBM in service: its plan, its clock, every request it got, and what is wrong with it."""

    cloud: Cloud
    clock: LabClock
    url: str = ""
    seen: list[web.Request] = field(default_factory=list)
    fault: Callable[[web.Request], web.StreamResponse | None] | None = None

    def asked(self, path: str) -> list[web.Request]:
        """Requests whose path ends so."""
        return [request for request in self.seen if request.path.endswith(path)]


@pytest.fixture
def open_lab() -> Callable[..., AbstractAsyncContextManager[Lab]]:
    """Serves the emulated IBM on loopback, its clock standing still; ``fault`` may answer in its place."""

    @asynccontextmanager
    async def opened(cloud: Cloud | None = None, **options: int) -> AsyncIterator[Lab]:
        lab = Lab(cloud or ibm.default_cloud(3, NOW - timedelta(hours=4)), LabClock(NOW))
        app = ibm.application(lab.cloud, lab.clock, **options)
        app.middlewares.insert(0, _recorder(lab))
        async with serve(app) as lab.url:
            yield lab

    return opened


def _recorder(lab: Lab) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        lab.seen.append(request)
        wrong = lab.fault(request) if lab.fault else None
        return wrong if wrong is not None else await handler(request)

    return middleware
