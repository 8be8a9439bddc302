"""A real Prometheus reads what we write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from qobs.export.exposition import Exposition
from qobs.export.snapshot import Snapshot
from qobs.export.stock import StockMetrics
from qobs.lab.clock import LabClock


@pytest.fixture
def live(snapshot: Snapshot) -> Exposition:
    """An exposition that holds the fixed snapshot and the process's own metrics."""
    exposition = Exposition(LabClock(snapshot.now), stock=StockMetrics(), min_interval_seconds=0.0)
    exposition.refresh(snapshot)
    return exposition


@pytest.fixture
async def port(live: Exposition) -> AsyncIterator[int]:
    """A plain server on loopback that answers scrapes from the exposition."""

    async def metrics(request: web.Request) -> web.Response:
        rendered = live.rendered(request.headers.get("Accept", ""))
        assert rendered is not None
        return web.Response(body=rendered.plain, headers={"Content-Type": rendered.content_type})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_prometheus_scrapes_every_series_and_sees_a_backend_go(
    prometheus: Any, port: int, live: Exposition, snapshot: Snapshot
) -> None:
    """What Prometheus stores is what qobs says it shows; a vanished backend goes stale at once, not after five minutes."""
    server = await prometheus(port)
    await server.until("up", lambda found: bool(found) and found[0][1] == 1)
    scraped = await server.until("scrape_samples_scraped", lambda found: bool(found) and found[0][1] > 0)
    assert scraped[0][1] == live.series
    assert [value for _, value in await server.query("qobs_series")] == [live.series]
    [(labels, value)] = await server.query('qobs_backend_queue_jobs{backend="ibm_fez"}')
    assert (labels["provider"], labels["source"], labels["job"], value) == ("ibm", "research", "qobs", 17.0)
    assert "exported_job" not in labels
    [(_, upper)] = await server.query("histogram_quantile(0.5, qobs_job_queue_duration_seconds_bucket)")
    assert 1 < upper <= 10

    remaining = tuple(backend for backend in snapshot.backends if backend.backend != "ibm_fez")
    live.refresh(msgspec.structs.replace(snapshot, backends=remaining))
    await server.until('qobs_backend_queue_jobs{backend="ibm_fez"}', lambda found: not found)
    assert [value for _, value in await server.query("up")] == [1.0]


async def test_prometheus_keeps_the_exemplar(prometheus: Any, port: int, live: Exposition) -> None:
    """From a slow bucket in a graph to the trace of one job is one click."""
    server = await prometheus(port)
    await server.until("scrape_samples_scraped", lambda found: bool(found) and found[0][1] > 0)
    params = {"query": "qobs_job_queue_duration_seconds_bucket", "start": "1700000000", "end": "1900000000"}
    found = await server.get("/api/v1/query_exemplars", params)
    assert [exemplar["labels"] for entry in found for exemplar in entry["exemplars"]] == [
        {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    ]
