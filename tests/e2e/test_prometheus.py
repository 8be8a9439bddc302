"""The whole chain, with nothing emulated behind the daemon: clouds, daemon, and a real Prometheus that scrapes it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import Random
from urllib.parse import urlsplit

from qobs.buckets import JOB_COUNTERS
from qobs.daemon.service import Daemon
from qobs.demo import clouds
from qobs.model import Stream

COUNTERS = {row.name: row.labels for row in JOB_COUNTERS if row.bounds is None}


async def test_prometheus_shows_what_the_store_holds(prometheus):
    """A dashboard that disagrees with the record is worse than none: every job counter must match to the last unit."""
    async with clouds(port=0, speed=1.0, seed=7) as demo:
        daemon = Daemon(demo.config, clock=demo.clock, rng=Random(7))
        await daemon.start()
        try:
            await _read_everything(daemon)
            # From here on nothing changes, so that both sides can be compared.
            await daemon.group.stop()
            await daemon.refresh_now()
            since = datetime.now(UTC).timestamp()
            server = await prometheus(urlsplit(daemon.url).port)
            await server.until("timestamp(up == 1)", lambda found: bool(found) and found[0][1] > since)
            shown = await server.query('{__name__=~"qobs_.+"}')
            up = await server.query("up")
            stored = {(entry.name, *entry.labels): entry.exported for entry in daemon.store.counters() if entry.name in COUNTERS}
            totals = {total.series: total for total in daemon.store.totals()}
        finally:
            await daemon.stop()
    assert [value for _, value in up] == [1.0]
    scraped = {
        (labels["__name__"], *(labels[name] for name in COUNTERS[labels["__name__"]])): value
        for labels, value in shown
        if labels["__name__"] in COUNTERS
    }
    assert {key: value for key, value in scraped.items() if value} == {key: value for key, value in stored.items() if value}
    assert len({key[1] for key in scraped}) == 3, "three clouds"
    bad = [(labels, value) for labels, value in shown if labels["__name__"] == "qobs_sli_bad_events_total"]
    assert len(bad) == len(totals)
    assert sum(value for _, value in bad) == sum(total.exported_bad for total in totals.values())
    slis = {labels["sli"] for labels, _ in bad}
    assert slis >= {"job_success", "job_latency", "queue_wait", "calibration_freshness"}
    calibrated = [labels["backend"] for labels, _ in shown if labels["__name__"] == "qobs_backend_calibration_timestamp_seconds"]
    assert {"ibm_fez", "ibm_kingston", "ibm_torino", "qpu.forte-1"} <= set(calibrated)


async def _read_everything(daemon: Daemon) -> None:
    """Wait until every stream was read once with success, unsettled jobs included, and freshness was read."""
    async with asyncio.timeout(90):
        for runner in daemon.group.runners:
            while runner.shard_log.last_success_at is None:  # noqa: ASYNC110 - the daemon's own loops run beside
                await asyncio.sleep(0.05)
    jobs = [runner for runner in daemon.group.runners if runner.shard.stream is Stream.JOBS]
    assert len(jobs) == 3
    await daemon.read_freshness()
