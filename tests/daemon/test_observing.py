"""What the daemon notices about its sources over a long life."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from random import Random

from qobs.clock import SystemClock
from qobs.daemon.group import Shared, SourceGroup
from qobs.daemon.observe import SourceLog
from qobs.daemon.shards import RECONCILE_AGAIN, RECONCILE_EVERY
from qobs.daemon.sink import StoreSink
from qobs.daemon.wiring import open_store
from qobs.logs import Changes
from qobs.model import Stream
from qobs.slo.windows import WindowTotals
from qobs.sources.limits import ByteGate, Limits

SOON = datetime(2026, 12, 1, tzinfo=UTC)


def test_a_renewed_certificate_ends_the_warning():
    """Once the provider has renewed its certificate, the alert on its end must clear without a restart."""
    log = SourceLog("acme", "lab")
    log.certificate("a.example", SOON)
    log.certificate("b.example", SOON + timedelta(days=20))
    assert log.freeze().certificate_expires_at == SOON
    log.certificate("a.example", SOON + timedelta(days=90))
    assert log.freeze().certificate_expires_at == SOON + timedelta(days=20)


async def test_a_failed_reconcile_is_told_and_tried_again_in_an_hour(configured, caplog):
    """A provider that is down for the one daily reconcile must not cost a whole day without any, in silence."""
    config, clock = configured(), SystemClock()
    sink = StoreSink(open_store(config), WindowTotals(), lambda seconds, failed: None)
    logs = Changes(logging.getLogger("test"))
    shared = Shared(sink, ByteGate(1 << 20), clock, Random(1), logs, lambda: True, Limits(attempts=1))
    group = SourceGroup(config, shared)
    runner = next(runner for runner in group.runners if runner.shard.stream is Stream.JOBS)
    await runner._reconcile(runner.watched)
    assert "reconcile failed" in caplog.text
    left = runner.reconciled_at + RECONCILE_EVERY.total_seconds() - clock.monotonic()
    assert 0 < left <= RECONCILE_AGAIN.total_seconds()
    await group.stop()
    await asyncio.to_thread(sink.close)
