"""Golden pairs of IonQ, and a source made of options alone."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qobs.lab.clock import LabClock
from qobs.lab.faults import Faults
from qobs.lab.ionq import API_KEY, application, default_cloud
from qobs.lab.serve import serve
from qobs.lab.world import Cloud
from qobs.model import Ask, Batch, Job, Raw, Stream
from qobs.secret import Secret
from qobs.sources.base import Settings
from qobs.sources.guard import Guard
from qobs.sources.http import Edge, HttpClient
from qobs.sources.quantum.ionq import IonQ

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ionq"
FETCHED_AT = datetime(2026, 9, 11, 21, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def make_source() -> Callable[..., IonQ]:
    """A source with some options."""

    def make(**options: Any) -> IonQ:
        return IonQ(Settings(name="ionq-lab", type="ionq", credentials={"api_key": lambda: Secret("k")}, options=options))

    return make


@pytest.fixture(scope="session")
def read_case(make_source: Callable[..., IonQ]) -> Callable[[str], tuple[IonQ, Raw]]:
    """The source and the raw answer of a fixture folder."""

    def read(name: str) -> tuple[IonQ, Raw]:
        case = json.loads((FIXTURES / name / "case.json").read_bytes())
        raw = Raw(
            stream=Stream(case["stream"]),
            kind=case["kind"],
            body=(FIXTURES / name / "payload.json").read_bytes(),
            fetched_at=FETCHED_AT,
            about=case["about"],
            companions={key: msgspec.json.encode(body) for key, body in case["companions"].items()},
        )
        return make_source(**case["options"]), raw

    return read


BEGINS = datetime(2026, 9, 14, tzinfo=UTC)
NOW = BEGINS + timedelta(hours=4)


class Jumping(LabClock):
    """Sleepers wake at once, with the time moved on."""

    async def sleep(self, seconds: float) -> None:
        """Move on by ``seconds``."""
        self.advance(timedelta(seconds=max(0.0, seconds)))


@dataclass
class Bench:
    """A source on the emulated IonQ, with its requests in ``faults.requests``."""

    cloud: Cloud
    clock: LabClock
    faults: Faults
    statuses: dict[str, str]
    url: str
    client: HttpClient
    keys: list[str] = field(default_factory=lambda: [API_KEY])
    """Keys that the credential's file holds, one reading after the other; the last one stays."""

    def source(self, **options: Any) -> IonQ:
        """A source of these options that reads the emulated service."""

        def key() -> Secret:
            return Secret(self.keys.pop(0) if len(self.keys) > 1 else self.keys[0])

        return IonQ(Settings(name="lab", type="ionq", credentials={"api_key": key}, options={"url": self.url, **options}))

    async def batches(self, source: IonQ, stream: Stream = Stream.JOBS, **ask: Any) -> list[Batch]:
        """All answers, normalized."""
        wanted = Ask(stream=stream, now=self.clock.now(), **ask)
        return [source.normalize(raw) async for raw in source.fetch(self.client.for_poll(), wanted)]

    async def jobs(self, source: IonQ, **ask: Any) -> dict[str, Job]:
        """All jobs by id."""
        return {job.id: job for batch in await self.batches(source, **ask) for job in batch.jobs}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Four hours of the default cloud, which stands still."""
    cloud, clock, faults, statuses = default_cloud(5, BEGINS), LabClock(NOW), Faults(), dict[str, str]()
    cloud.jobs(NOW)
    cloud.generate = False
    app = faults.install(application(cloud, clock, statuses=statuses))
    async with serve(app) as url:
        edge = Edge(clock=Jumping(NOW), rng=random.Random(2), guard=Guard((), urls=[url]))
        async with HttpClient(edge) as client:
            yield Bench(cloud, clock, faults, statuses, url, client)
