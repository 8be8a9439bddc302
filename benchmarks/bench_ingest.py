"""Jobs per CPU-second from a provider's HTTP answer to committed rows, transitions and counts.

The emulated provider runs in a process of its own and serves ready-made pages, so that only the daemon's side is measured:
request, inflate-free read, decode, normalize, judge, commit, window totals. The peer, in the same run, is the least that any
program could do with the same bytes: decode each page with the standard library and insert each job as one JSON row.

    python benchmarks/bench_ingest.py --jobs 50000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web

from qobs.config import parse
from qobs.daemon.group import Shared, SourceGroup
from qobs.daemon.sink import StoreSink
from qobs.daemon.wiring import open_store
from qobs.logs import Changes
from qobs.model import Stream
from qobs.slo.windows import WINDOWS, WindowTotals
from qobs.sources.limits import ByteGate
from qobs.sources.registry import SOURCES

PAGE = 100
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PREFIX = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Quantum/workspaces/w"
CONFIG = """\
store: sqlite://{directory}/qobs.db
sources:
  - {{name: bench, type: azure, url: "{url}", subscription_id: s, resource_group: g, workspace: w, location: eastus,
      credentials: {{api_key: {{file: {directory}/key}}}}}}
"""


def job(index: int, total: int, draw: Random) -> dict[str, Any]:
    """One job as the provider writes it, newest first."""
    submitted = NOW - timedelta(days=6) * (index / total)
    started = submitted + timedelta(seconds=draw.uniform(1, 600))
    ended = started + timedelta(seconds=draw.uniform(1, 60))
    failed = draw.random() < 0.05
    return {
        "id": f"{draw.getrandbits(128):032x}",
        "itemType": "Job",
        "name": f"circuit-{index}",
        "providerId": "ionq",
        "target": draw.choice(("ionq.qpu.forte-1", "rigetti.qpu.cepheus-1-36q", "quantinuum.sim.h2-1e")),
        "jobType": "QuantumComputing",
        "status": "Failed" if failed else "Succeeded",
        "inputDataFormat": "ionq.circuit.v1",
        "outputDataFormat": "ionq.quantum-results.v1",
        "inputParams": {"shots": 100},
        "metadata": {"qiskit": "True", "num_qubits": "5"},
        "creationTime": submitted.isoformat(),
        "beginExecutionTime": started.isoformat(),
        "endExecutionTime": ended.isoformat(),
        "cancellationTime": None,
        "errorData": {"code": "InternalError", "message": "something broke"} if failed else None,
        "quantumComputingData": {"count": 1},
        "tags": ["exp:vqe"],
        "sessionId": None,
        "outputDataUri": "https://store.blob.core.windows.net/job/rawOutputData",
        "costEstimate": {"currencyCode": "USD", "estimatedTotal": 1.25, "events": []},
    }


def pages(count: int) -> list[bytes]:
    """All pages as bytes, without their links."""
    draw = Random(1)
    jobs = [job(index, count, draw) for index in range(count)]
    return [json.dumps({"value": jobs[begin : begin + PAGE]}).encode()[:-1] for begin in range(0, count, PAGE)]


def provider(bodies: list[bytes], told: Connection) -> None:
    """Serve the pages until killed."""

    async def listing(request: web.Request) -> web.Response:
        place = int(request.query.get("skip", "0"))
        more = place + PAGE < len(bodies) * PAGE
        link = f'"{request.url.origin()}{PREFIX}/jobs?top={PAGE}&skip={place + PAGE}"' if more else "null"
        body = bodies[place // PAGE] + b', "nextLink": ' + link.encode() + b"}"
        return web.Response(body=body, content_type="application/json")

    async def main() -> None:
        app = web.Application()
        app.router.add_get(f"{PREFIX}/jobs", listing)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def ingest(url: str, directory: Path) -> tuple[float, float, float, int]:
    """CPU seconds of a first and a second full read, their wall seconds, and the jobs stored."""
    (directory / "key").write_text("key")
    config = parse(CONFIG.format(url=url, directory=directory), file="bench", source_types=SOURCES, environ={}, base=directory)
    totals = WindowTotals(WINDOWS)
    sink = StoreSink(open_store(config), totals, lambda seconds, failed: None)
    sink.windows(NOW)
    clock = FixedClock()
    import logging

    shared = Shared(sink, ByteGate(1 << 26), clock, Random(1), Changes(logging.getLogger()), lambda: True)
    group = SourceGroup(config, shared)
    (runner,) = [runner for runner in group.runners if runner.shard.stream is Stream.JOBS]
    began, wall = time.process_time(), time.perf_counter()
    outcome = await runner.poll()
    first, first_wall = time.process_time() - began, time.perf_counter() - wall
    if outcome.poll.reason is not None:
        raise SystemExit(f"the poll failed: {outcome.poll.message}")
    sink.store.reset_cursor(runner.shard)  # type: ignore[attr-defined]
    began = time.process_time()
    await runner.poll()
    second = time.process_time() - began
    stored = sink.store.info().rows["jobs"]
    await group.stop()
    sink.close()
    return first, second, first_wall, stored


class FixedClock:
    """Stands at one moment; intervals are real."""

    def now(self) -> datetime:
        """Always the same."""
        return NOW

    def monotonic(self) -> float:
        """The machine's."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """The machine's."""
        await asyncio.sleep(seconds)


def peer(bodies: list[bytes], path: Path) -> float:
    """CPU seconds to decode the same pages and insert each job as one row: no history, no counts, no network."""
    began = time.process_time()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, record TEXT)")
    for body in bodies:
        with connection:
            connection.executemany("INSERT OR REPLACE INTO jobs VALUES (?, ?)", _rows(body))
    connection.close()
    return time.process_time() - began


def _rows(body: bytes) -> Iterator[tuple[str, str]]:
    for row in json.loads(body + b"}")["value"]:
        yield row["id"], json.dumps(row)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Jobs per CPU-second, end to end.")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs to read (default: 20000)")
    count = parser.parse_args().jobs // PAGE * PAGE
    bodies = pages(count)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=provider, args=(bodies, theirs), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        with tempfile.TemporaryDirectory() as name:
            first, second, wall, stored = asyncio.run(ingest(url, Path(name)))
            plain = peer(bodies, Path(name) / "peer.db")
    finally:
        server.kill()
    if stored != count:
        raise SystemExit(f"{count} jobs were offered, {stored} are stored")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"jobs                    {count:>12,}   of {sum(map(len, bodies)) / count:,.0f} bytes, pages of {PAGE}")
    print(f"fresh                   {count / first:>12,.0f}   jobs per CPU-second ({count / wall:,.0f} per second)")
    print(f"read again, no change   {count / second:>12,.0f}   jobs per CPU-second")
    print(
        f"peer: json + one row    {count / plain:>12,.0f}   jobs per CPU-second; fresh costs {first / plain:.2f} times the peer"
    )
    print(f"peak memory             {peak:>12,.0f}   MiB, the pages themselves included")


if __name__ == "__main__":
    main()
