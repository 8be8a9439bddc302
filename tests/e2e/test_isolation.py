"""One bad provider hurts only itself (R5), with the daemon's real loops and a provider that never answers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from qobs.clock import SystemClock
from qobs.config import parse
from qobs.daemon.service import Daemon
from qobs.demo import API_KEY, CLOUDS, config_text
from qobs.lab import faults
from qobs.lab.clock import LabClock
from qobs.lab.faults import Faults
from qobs.lab.serve import serve
from qobs.sources.registry import SOURCES


async def test_a_provider_that_never_answers_delays_nobody(tmp_path: Path):
    """While one cloud hangs, the others must be polled in time and the metrics be served as ever."""
    now = datetime.now(UTC)
    clock, hanging = LabClock(now, speed=1.0), Faults()
    hanging.add(faults.stall(), times=None)
    async with AsyncExitStack() as stack:
        urls = {}
        for name, module in CLOUDS.items():
            cloud = module.default_cloud(5, (now - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0))
            application = module.application(cloud, clock, api_key=API_KEY)
            urls[name] = await stack.enter_async_context(serve(hanging.install(application) if name == "ionq" else application))
        stack.callback(hanging.clear)
        (tmp_path / "key").write_text(API_KEY)
        text = config_text(tmp_path, urls).replace("5s", "1s")
        config = parse(text, file="test.yaml", source_types=SOURCES, environ={}, base=tmp_path)
        daemon = Daemon(config, clock=SystemClock(), rng=Random(1))
        await daemon.start()
        try:
            logs = {(log.shard.provider, log.shard.stream.value): log for log in daemon.group.shard_logs}
            others = [logs["ibm", "jobs"], logs["azure", "jobs"], logs["azure", "status"]]
            async with asyncio.timeout(60):
                while any(log.freeze().polls < 4 for log in others):  # noqa: ASYNC110 - the daemon's own loops decide
                    await asyncio.sleep(0.05)
            assert all(not log.freeze().errors for log in others)
            assert logs["ionq", "jobs"].last_success_at is None
            assert hanging.requests, "the hanging cloud was asked"
        finally:
            await daemon.stop()
