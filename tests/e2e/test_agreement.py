"""Both modes on one history: what qobs counts in event time, and what Prometheus works out from qobs' counters.

The same jobs go into the store, from which the daemon's objectives are evaluated, and as counters, sampled every minute, into
a real Prometheus, which evaluates the generated recording rules over them.

**Tolerance.** Up to six hours: none. Jobs are told in the minute in which they end, and windows, steps and samples meet at full
minutes, so both count the same events. Beyond, Prometheus adds up five-minute slices, of which it sees four minutes and
estimates the fifth (``increase()`` extrapolates): each count n is off by about sqrt(n / 4), and three times that is allowed.
News that arrives late (a wait that was over its limit long before qobs heard of it) is counted by qobs at its own time and by
Prometheus on arrival; that is the difference between the modes, and no history here has it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from random import Random

import pytest
import yaml

from qobs.config import parse
from qobs.daemon.documents import CATALOGUE, documents
from qobs.daemon.sink import StoreSink
from qobs.daemon.slos import Slos
from qobs.daemon.wiring import open_store
from qobs.export.rules import generate
from qobs.export.rules_unit import Mode, units
from qobs.lab.clock import LabClock
from qobs.model import Batch, Failure, FailureClass, Job, JobState, Page, Shard, Stream
from qobs.slo.openslo import load_objectives
from qobs.slo.windows import WINDOWS, WindowTotals
from qobs.sources.registry import SOURCES

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=1, hours=2)
STEP = timedelta(minutes=1)
SHARD = Shard("lab", "ibm", "acct", Stream.JOBS)
EXACT = ("5m", "30m", "1h", "2h", "6h")

CONFIG = """\
store: sqlite://{directory}/qobs.db
sources:
  - {{name: lab, type: ionq, url: "http://127.0.0.1:1", credentials: {{api_key: {{file: {directory}/key}}}}}}
"""


def history(rng: Random) -> Iterator[Job]:
    """Jobs at random times, sixty an hour; from time to time the service has a bad half hour."""
    at, number, failing = BEGIN + timedelta(minutes=7), 0, 0.03
    while at < END - timedelta(minutes=1):
        at += timedelta(seconds=round(rng.expovariate(60 / 3600)))
        if rng.random() < 0.02:
            failing = rng.choice((0.02, 0.05, 0.4))
        good = rng.random() > failing
        number += 1
        yield Job(
            provider="ibm",
            source="lab",
            account="acct",
            id=f"job-{number}",
            state=JobState.COMPLETED if good else JobState.FAILED,
            backend=rng.choice(("ibm_fez", "ibm_torino")),
            priority=rng.choice((None, "high")),
            submitted_at=at - timedelta(seconds=rng.choice((30, 300))),
            started_at=at - timedelta(seconds=20),
            ended_at=at,
            settled=True,
            failure=None if good else Failure(kind=FailureClass.HARDWARE),
        )


class Recorder:
    """What a scrape every minute would have seen, as OpenMetrics text."""

    def __init__(self) -> None:
        self._samples: dict[str, list[str]] = {"qobs_sli_events": [], "qobs_sli_bad_events": []}

    def scrape(self, sink: StoreSink, at: datetime) -> None:
        for total in sink.store.totals():
            labels = ",".join(f'{name}="{value}"' for name, value in total.series._asdict().items())
            for family, value in (("qobs_sli_events", total.exported_total), ("qobs_sli_bad_events", total.exported_bad)):
                self._samples[family].append(f"{family}_total{{{labels}}} {value} {at.timestamp():.0f}")

    def text(self) -> str:
        families = (f"# TYPE {family} counter\n" + "\n".join(lines) for family, lines in self._samples.items())
        return "\n".join(families) + "\n# EOF\n"


@asynccontextmanager
async def evaluated(directory: Path) -> AsyncIterator[tuple[StoreSink, Slos, LabClock, str]]:
    """Store and objectives as the daemon wires them, fed with the whole history, and the scrapes of its counters."""
    (directory / "key").write_text("k" * 20)
    (directory / "key").chmod(0o600)
    text = CONFIG.format(directory=directory)
    config = parse(text, file="test.yaml", source_types=SOURCES, environ={}, base=directory)
    sink = StoreSink(open_store(config), WindowTotals(WINDOWS), lambda seconds, failed: None)
    clock, recorder = LabClock(BEGIN), Recorder()
    slos = Slos(sink, clock, config)
    try:
        await slos.start()
        waiting = list(history(Random(11)))
        waiting.reverse()
        while clock.now() < END:
            clock.advance(STEP)
            now = clock.now()
            jobs = []
            while waiting and waiting[-1].ended_at is not None and waiting[-1].ended_at <= now:
                jobs.append(waiting.pop())
            if jobs:
                await sink.commit(Page(shard=SHARD, batch=Batch(jobs=tuple(jobs)), observed_at=now))
            recorder.scrape(sink, now)
        yield sink, slos, clock, recorder.text()
    finally:
        sink.close()


def recording_rules(directory: Path) -> tuple[Path, dict[str, str]]:
    """The file of the five-minute counts, which come first, and the expression of every recorded name by unit and name."""
    loaded = load_objectives(documents([CATALOGUE]))
    files = generate(loaded.objectives, mode=Mode.RECORDING)
    groups = [
        group for path, text in files.items() if path.startswith("alerts/rules/") for group in yaml.safe_load(text)["groups"]
    ]
    counts = directory / "counts.yaml"
    first = [group for group in groups if group["name"].startswith("qobs-slo-counts-")]
    counts.write_text(yaml.safe_dump({"groups": first}))
    expressions = {
        f"{rule['labels']['sloth_id']} {rule['record']}": rule["expr"]
        for group in groups
        for rule in group["rules"]
        if "record" in rule and "sloth_id" in rule.get("labels", {})
    }
    return counts, expressions


async def promtool(*arguments: str | Path) -> None:
    tool = shutil.which("promtool")
    assert tool is not None
    process = await asyncio.create_subprocess_exec(
        tool, *map(str, arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_both_modes_burn_alike(prometheus, tmp_path):
    """A team that moves from one mode to the other must not see another service: burn rates agree up to the windows' edges."""
    async with evaluated(tmp_path) as (_, slos, clock, scrapes):
        (tmp_path / "scrapes.om").write_text(scrapes)
        await promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", tmp_path / "scrapes.om", tmp_path / "data")
        counts, expressions = recording_rules(tmp_path)
        server = await prometheus()
        begin, end = (str(int(at.timestamp())) for at in (BEGIN, END))
        await promtool(
            *("tsdb", "create-blocks-from", "rules", "--quiet", "--url", server.url, "--start", begin, "--end", end),
            *("--output-dir", tmp_path / "data", counts),
        )
        await server.stop()
        server = await prometheus()
        shown = {(reading.service, reading.slo): reading for reading in slos.show(clock.now(), (), ())}
        compared = []
        for unit in units(load_objectives(documents([CATALOGUE])).objectives):
            reading = shown[unit.objective.service, unit.slo]
            budget = float(unit.objective.budget)
            for window in reading.windows:
                if window.window not in (*EXACT, "1d") or window.total == 0:
                    continue
                names = [f"{unit.id} qobs:slo_{kind}:count{window.window}" for kind in ("errors", "events")]
                bad, events = [await _value(server, expressions[name]) for name in names]
                compared.append((unit.id, window.window, window.bad > 0))
                if window.window in EXACT:
                    assert (bad, events) == (window.bad, window.total), (unit.id, window.window)
                    assert bad / events / budget == pytest.approx(window.burn_rate, rel=1e-12), (unit.id, window.window)
                else:
                    assert abs(events - window.total) <= 3 * sqrt(window.total / 4) + 1, (unit.id, window.window)
                    assert abs(bad - window.bad) <= 3 * sqrt(window.bad / 4) + 1, (unit.id, window.window)
                    assert bad / events / budget == pytest.approx(window.burn_rate, rel=0.2), (unit.id, window.window)
    # Were nothing bad, or the windows empty, agreement would prove nothing.
    assert len([None for _, window, burns in compared if burns and window in EXACT]) >= 6
    assert {unit for unit, window, burns in compared if burns and window == "1d"} == {
        "quantum-jobs-job-success",
        "quantum-jobs-job-success-high",
    }


async def _value(server, expression: str) -> float:
    data = await server.get("/api/v1/query", {"query": expression, "time": str(END.timestamp())})
    ((_, value),) = [(entry["metric"], float(entry["value"][1])) for entry in data["result"]]
    return value
