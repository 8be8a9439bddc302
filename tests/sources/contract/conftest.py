"""Every registered source behind the real HTTP client, in front of its emulated cloud with scripted faults."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import pkgutil
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from qobs.lab.clock import LabClock
from qobs.lab.faults import Faults
from qobs.lab.serve import serve
from qobs.lab.world import Cloud
from qobs.model import Ask, Batch, Job, Raw, Stream
from qobs.sources.base import Source, SourceType
from qobs.sources.guard import Guard
from qobs.sources.http import Edge, HttpClient
from qobs.sources.limits import Limits

BEGINS = datetime(2026, 9, 14, tzinfo=UTC)
NOW = BEGINS + timedelta(hours=3)
ADAPTERS = Path(__file__).with_name("adapters")


def registered() -> Mapping[str, SourceType]:
    """The registry, or, where a registered module cannot be imported yet, every module that exposes a source type."""
    try:
        return importlib.import_module("qobs.sources.registry").SOURCES  # type: ignore[no-any-return]
    except ImportError:
        return dict(_exposed())


def _exposed() -> list[tuple[str, SourceType]]:
    package = importlib.import_module("qobs.sources.quantum")
    found = []
    for entry in pkgutil.iter_modules(package.__path__, "qobs.sources.quantum."):
        try:
            module = importlib.import_module(entry.name)
        except ImportError:
            continue
        if isinstance(kind := getattr(module, "SOURCE_TYPE", None), SourceType):
            found.append((kind.type, kind))
    return found


def load_adapter(kind: str) -> ModuleType:
    """The module ``adapters/<type>.py``; fails, and does not skip, for a source that has none."""
    path = ADAPTERS / f"{kind}.py"
    assert path.is_file(), f"source type {kind!r} has no contract adapter: write tests/sources/contract/adapters/{kind}.py"
    spec = importlib.util.spec_from_file_location(f"contract_adapter_{kind}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Jumping(LabClock):
    """A clock whose sleepers wake at once, with the time moved on: what was waited can be read off it."""

    async def sleep(self, seconds: float) -> None:
        """Move on by ``seconds`` and let others run."""
        self.advance(timedelta(seconds=max(0.0, seconds)))
        await asyncio.sleep(0)


@dataclass
class Bench:
    """A source at work on its emulated cloud."""

    adapter: ModuleType
    cloud: Cloud
    faults: Faults
    clock: Jumping
    source: Source
    client: HttpClient

    @property
    def planned(self) -> set[str]:
        """Ids of all jobs that the cloud has."""
        return {job.id for job in self.cloud.jobs(NOW)}

    async def pages(self, ask: Ask | None = None) -> list[Raw]:
        """All answers to ``ask``, by default the whole job list."""
        wanted = ask or Ask(stream=Stream.JOBS, now=NOW)
        return [raw async for raw in self.source.fetch(self.client.for_poll(), wanted)]

    async def batches(self, ask: Ask | None = None) -> list[Batch]:
        """The same, normalized."""
        return [self.source.normalize(raw) for raw in await self.pages(ask)]

    async def jobs(self) -> dict[str, Job]:
        """The whole job list by id; a job listed twice counts once."""
        return {job.id: job for batch in await self.batches() for job in batch.jobs}


@asynccontextmanager
async def _bench(kind: str, limits: Limits) -> AsyncIterator[Bench]:
    adapter, faults = load_adapter(kind), Faults()
    cloud: Cloud = adapter.cloud(3, BEGINS)
    cloud.jobs(NOW)
    cloud.generate = False
    application = faults.install(adapter.application(cloud, LabClock(NOW)))
    async with serve(application) as url:
        clock = Jumping(NOW)
        settings = adapter.settings(url)
        source = registered()[kind].build(settings)
        guard = Guard((), urls=[url])
        async with HttpClient(Edge(clock=clock, rng=random.Random(1), guard=guard, limits=limits)) as client:
            yield Bench(adapter, cloud, faults, clock, source, client)


@pytest.fixture(params=sorted(registered()))
def kind(request: pytest.FixtureRequest) -> str:
    """Every registered source type in turn."""
    return str(request.param)


@pytest.fixture
def adapter(kind: str) -> ModuleType:
    """What the suite must know of the source type."""
    return load_adapter(kind)


@pytest.fixture
async def bench(kind: str) -> AsyncIterator[Bench]:
    """A fault-free start; the test scripts its faults."""
    async with _bench(kind, Limits()) as made:
        yield made


@pytest.fixture
async def hasty(kind: str) -> AsyncIterator[Bench]:
    """The same with a deadline of one second for a request, and two attempts."""
    async with _bench(kind, Limits(request_seconds=1.0, idle_seconds=1.0, attempts=2)) as made:
        yield made
