"""An emulated cloud, the real client, worker and store: jobs get verdicts, and a processor that falls sick is noticed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from qobs.config import parse
from qobs.config.records import Reference
from qobs.daemon.group import Shared, SourceGroup
from qobs.daemon.sink import StoreSink
from qobs.daemon.verification import Verifier
from qobs.daemon.verification_lanes import Lane, lanes_of
from qobs.daemon.wiring import open_store
from qobs.daemon.workers import LocalWorkers, Remembering
from qobs.lab import ionq
from qobs.lab.clock import LabClock
from qobs.lab.faults import Faults
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabJob, Trouble
from qobs.logs import Changes
from qobs.model import JobState, Stream
from qobs.slo.windows import WINDOWS, WindowTotals
from qobs.sources.limits import ByteGate
from qobs.sources.registry import SOURCES

BEGINS = datetime(2026, 9, 14, 1, tzinfo=UTC)
BACKEND = "qpu.forte-1"
HEALTHY, SICK, HEALED = 54, 6, 3

TEXT = """\
store: sqlite://{directory}/qobs.db
sources:
  - name: trap
    type: ionq
    url: {url}
    credentials: {{api_key: {{file: {directory}/key}}}}
reference: {{max_memory: 4GiB}}
"""


class Jumping(LabClock):
    """Sleepers wake at once, with the time moved on."""

    async def sleep(self, seconds: float) -> None:
        self.advance(timedelta(seconds=max(0.0, seconds)))


@dataclass
class World:
    """A daemon's parts on an emulated cloud."""

    clock: Jumping
    cloud: Cloud
    model: LabJob
    faults: Faults
    group: SourceGroup
    verifier: Verifier
    sink: StoreSink
    lane: Lane

    async def poll(self, stream: Stream) -> None:
        """One turn of a stream."""
        for runner in self.group.runners:
            if runner.shard.stream is stream:
                await runner.turn()

    def run(self, count: int, name: str) -> None:
        """So many jobs on the processor, one a minute, each over before the next begins; then the time after the last."""
        begin = self.clock.now()
        for number in range(count):
            self.cloud.add(job_at(self.model, begin + timedelta(minutes=number), f"{name}-{number:03d}"))
        self.clock.advance(timedelta(minutes=count + 10))

    async def verify(self) -> None:
        """Hear of the jobs, and verify all that are due."""
        await self.poll(Stream.JOBS)
        await self.verifier.look(self.lane)
        while await self.verifier.turn(self.lane):
            pass

    def verdicts(self, name: str) -> Counter[str]:
        """How often each verdict was found in the jobs of that name."""
        found = self.sink.store.verifications()
        return Counter(each.verdict for each in found if each.key.id.startswith(f"{name}-"))


def job_at(model: LabJob, at: datetime, id_: str) -> LabJob:
    """A job of three qubits and six entangling gates that ran at ``at``."""
    times = {"submitted_at": at, "started_at": at + timedelta(seconds=10), "ended_at": at + timedelta(seconds=40)}
    shape = {"experiment": "vqe-h2", "backend": BACKEND, "qubits": 3, "gates_2q": 6, "shots": 2000, "circuits": 1}
    return replace(model, id=id_, **times, **shape)


@asynccontextmanager
async def watched(directory: Path) -> AsyncIterator[World]:
    """A cloud of one processor whose calibration is known, and everything that watches it."""
    clock, drawn, faults = Jumping(BEGINS + timedelta(hours=1)), ionq.default_cloud(5, BEGINS), Faults()
    model = next(job for job in drawn.jobs(clock.now()) if job.outcome is JobState.COMPLETED)
    cloud = replace(drawn, generate=False, _jobs={}, _order=[], _free_at={}, _until=None, _stopped={})
    (directory / "key").write_text(ionq.API_KEY)
    (directory / "key").chmod(0o600)
    async with serve(faults.install(ionq.application(cloud, clock))) as url:
        text = TEXT.format(directory=directory, url=url)
        config = parse(text, file="test.yaml", source_types=SOURCES, environ={}, base=directory)
        settings = config.reference
        assert isinstance(settings, Reference)
        sink = StoreSink(open_store(config), WindowTotals(WINDOWS), lambda seconds, failed: None)
        changes = Changes(logging.getLogger("test"))
        group = SourceGroup(config, Shared(sink, ByteGate(1 << 26), clock, Random(5), changes, lambda: True))
        workers = LocalWorkers(
            cache=directory / "compiled", deadline_seconds=settings.deadline_seconds * 5, memory_bytes=settings.max_memory_bytes
        )
        verifier = Verifier(settings, sink, clock, Remembering(workers))
        try:
            await verifier.recall()
            (lane,) = lanes_of(group)
            world = World(clock, cloud, model, faults, group, verifier, sink, lane)
            await world.poll(Stream.CALIBRATIONS)
            await world.verify()
            yield world
        finally:
            await verifier.stop()
            await group.stop()
            sink.close()


async def test_a_processor_that_gets_noisier_is_noticed_and_so_is_its_recovery(tmp_path: Path) -> None:
    """The whole promise in one run: healthy results pass, sick ones are worse, M5 says so, and nothing sticks afterwards."""
    async with watched(tmp_path) as world:
        world.run(HEALTHY, "healthy")
        await world.verify()
        healthy = world.verdicts("healthy")
        assert healthy["worse"] == 0
        assert healthy["unverified"] == 0
        assert healthy.total() == HEALTHY
        sick_since = world.clock.now()
        world.cloud.troubles.append(Trouble(backend=BACKEND, since=sick_since, noise_factor=12.0))
        world.run(SICK, "sick")
        await world.verify()
        assert world.verdicts("sick") == {"worse": SICK}
        (reading,) = (each for each in world.verifier.state().results if each.backend == BACKEND)
        assert reading.discoveries == SICK
        assert reading.excess > 0.05
        world.cloud.troubles.clear()
        world.run(HEALED, "healed")
        await world.verify()
        assert world.verdicts("healed")["worse"] == 0
        totals = [each for each in world.sink.store.totals() if each.series.sli == "result_consistency"]
        everything = Counter(each.verdict for each in world.sink.store.verifications())
        assert sum(each.total - each.good for each in totals) == everything["worse"]
        assert sum(each.good for each in totals) == everything["consistent"]
        assert world.sink.store.verify() == ()


async def test_a_provider_that_gives_no_results_leaves_its_jobs_unverified(tmp_path: Path) -> None:
    """Without circuits there is nothing to compare, and the reason must reach whoever asks."""
    async with watched(tmp_path) as world:
        world.run(1, "gone")
        await world.poll(Stream.JOBS)
        await world.verifier.look(world.lane)
        world.cloud.remove("gone-000")
        assert await world.verifier.turn(world.lane)
        (found,) = world.sink.store.verifications()
        assert (found.verdict, found.reason) == ("unverified", "the provider keeps neither circuit nor counts of it")
