"""Three emulated clouds with a planned history, and the daemon's own parts driven step by step on a clock that never waits."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from qobs.config import parse
from qobs.daemon.group import Shared, SourceGroup
from qobs.daemon.sink import StoreSink
from qobs.daemon.wiring import open_store
from qobs.demo import API_KEY, CLOUDS, config_text
from qobs.lab.faults import Faults
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabJob
from qobs.logs import Changes
from qobs.model import JobState, Stream
from qobs.slo.windows import WindowTotals
from qobs.sources.limits import ByteGate, Limits
from qobs.sources.registry import SOURCES

BEGIN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
END = BEGIN + timedelta(hours=3)
QUICK = Limits(
    dns_seconds=0.3, connect_seconds=0.3, tls_seconds=0.3, idle_seconds=0.25, request_seconds=0.4, attempts=3, poll_seconds=120.0
)


class SteppingClock:
    """A clock on which every sleep is over at once, and takes the time that it should."""

    def __init__(self, start: datetime) -> None:
        self._start, self._passed = start, 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        self._passed += max(0.0, seconds)
        await asyncio.sleep(0)

    def reach(self, at: datetime) -> None:
        """Pass on to ``at``, if it lies ahead."""
        self._passed = max(self._passed, (at - self._start).total_seconds())


def planned(name: str, seed: int = 3) -> Cloud:
    """A cloud whose whole history is known beforehand: some jobs of the morning, some that live while we watch."""
    cloud = CLOUDS[name].default_cloud(seed, BEGIN - timedelta(hours=1))
    drawn = [job for job in cloud.jobs(BEGIN - timedelta(minutes=1)) if job.submitted_at < BEGIN][:8]
    fresh = replace(cloud, generate=False, _jobs={}, _order=[], _free_at={}, _until=None, _stopped={})
    for job in drawn:
        fresh.add(job)
    backends = [backend.name for backend in cloud.backends]
    for index in range(8):
        fresh.add(_live_job(name, index, backends[index % len(backends)], cloud.failures))
    return fresh


def _live_job(name: str, index: int, backend: str, failures: tuple[tuple[str, str], ...]) -> LabJob:
    submitted = BEGIN + timedelta(minutes=3 * index - 6, seconds=index)
    started = submitted + timedelta(minutes=1 + 5 * (index % 3))
    outcome = (JobState.COMPLETED, JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)[index % 4]
    return LabJob(
        id=f"00000000-0000-4000-8000-{name.encode().hex():0>8}{index:04d}" if name != "ibm" else f"dlive{index:015d}",
        backend=backend,
        submitted_at=submitted,
        started_at=started,
        ended_at=started + timedelta(minutes=2 + index),
        outcome=outcome,
        failure=failures[index % len(failures)] if outcome is JobState.FAILED else None,
    )


def spellings(secret: str) -> tuple[str, ...]:
    """Six ways in which a key could be written down."""
    raw = secret.encode()
    return (
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(b"apikey:" + raw).decode()[12:40],
        raw.hex(),
    )


@dataclass
class Run:
    """One daemon's parts on one store, and the clouds it watches."""

    clock: SteppingClock
    group: SourceGroup
    sink: StoreSink
    faults: dict[str, Faults]
    clouds: dict[str, Cloud]
    store_path: Path

    async def step(self, at: datetime) -> None:
        """Let every shard have one turn at ``at``; calibrations, which are large and do not change here, at both ends only."""
        self.clock.reach(at)
        for runner in self.group.runners:
            if runner.shard.stream is not Stream.CALIBRATIONS or at in (BEGIN, END):
                await runner.turn()

    async def through(self, during: Callable[[int], None] | None = None) -> None:
        """From begin to end: eight close steps (``during`` may change the world before each), then wide ones."""
        for index in range(8):
            if during is not None:
                during(index)
            await self.step(BEGIN + index * timedelta(minutes=4))
        for minutes in (40, 65, 100, 140):
            await self.step(BEGIN + timedelta(minutes=minutes))
        await self.step(END)
        await self.sink.tick(max(END, self.clock.now()) + timedelta(hours=1))

    def leaks(self, said: str) -> list[str]:
        """Where the clouds' key can be found: in what was logged, or in any file of the store."""
        found = [f"log: {form}" for form in spellings(API_KEY) if form in said]
        for file in self.store_path.parent.glob(self.store_path.name + "*"):
            if file.is_file():
                content = file.read_bytes()
                found += [f"{file.name}: {form}" for form in spellings(API_KEY) if form.encode() in content]
        return found

    def dump(self) -> list[str]:
        """The canonical facts, without the steps that the provider gave no time for: who polls less often sees fewer."""
        return [line for line in self.sink.store.canonical() if not (line.startswith("transition") and " - anomalous" in line)]


@asynccontextmanager
async def running(directory: Path, *, log: logging.Logger | None = None) -> AsyncIterator[Run]:
    """Clouds, store and sources, wired as the daemon wires them."""
    clock = SteppingClock(BEGIN)
    clouds = {name: planned(name) for name in CLOUDS}
    faults = {name: Faults() for name in CLOUDS}
    async with AsyncExitStack() as stack:
        urls = {}
        for name, module in CLOUDS.items():
            application = faults[name].install(module.application(clouds[name], clock, api_key=API_KEY))
            urls[name] = await stack.enter_async_context(serve(application))
        (directory / "key").write_text(API_KEY)
        text = config_text(directory, urls)
        config = parse(text, file="test.yaml", source_types=SOURCES, environ={}, base=directory)
        sink = StoreSink(open_store(config), WindowTotals(), lambda seconds, failed: None)
        shared = Shared(sink, ByteGate(1 << 26), clock, Random(5), Changes(log or logging.getLogger("test")), lambda: True, QUICK)
        group = SourceGroup(config, shared)
        try:
            yield Run(clock, group, sink, faults, clouds, config.store.path)
        finally:
            for released in faults.values():
                released.clear()
            await group.stop()
            sink.close()


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """A fresh run."""
    async with running(tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The canonical facts of a run in which nothing goes wrong."""

    async def go() -> list[str]:
        async with running(tmp_path_factory.mktemp("healthy")) as started:
            await started.through()
            assert not list(started.sink.store.verify())
            return started.dump()

    return asyncio.run(go())


@pytest.fixture(name="spellings")
def spellings_fixture() -> Callable[[str], tuple[str, ...]]:
    """The function :func:`spellings`."""
    return spellings
