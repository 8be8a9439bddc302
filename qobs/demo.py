"""``qobs demo``: emulated clouds and the daemon in one process, on a store that is gone when it ends."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import MappingProxyType, ModuleType

from qobs.clock import Clock, SystemClock
from qobs.config import Config, OnSecret, ignore_secret, parse
from qobs.daemon import serve_until_stopped
from qobs.daemon.service import Daemon
from qobs.errors import QobsError
from qobs.lab import azure, ibm, ionq
from qobs.lab.clock import LabClock
from qobs.lab.serve import serve
from qobs.logs import setup
from qobs.sources.redact import SecretFilter, SecretRegistry
from qobs.sources.registry import SOURCES

HISTORY = timedelta(hours=24)
CLOUDS: Mapping[str, ModuleType] = MappingProxyType({"ibm": ibm, "ionq": ionq, "azure": azure})
"""The emulated clouds by the ``type`` of the source that reads them; each has ``default_cloud`` and ``application``."""
API_KEY = "demo-key-of-the-emulated-clouds"

CONFIG = """\
listen: 127.0.0.1:{port}
store: sqlite://{directory}/qobs.db
indicators:
  job_latency: {{threshold: 30m}}
  queue_wait: {{threshold: 10m, priorities: {{high: 5m}}}}
sources:
  - name: ibm-demo
    type: ibm
    instance: "{instance}"
    url: {ibm}/api/v1
    iam_url: {ibm}
    credentials: {{api_key: {{file: {directory}/key}}}}
    poll: {{jobs: 5s, status: 5s, calibrations: 60s, quotas: 60s}}
    tags: &tags
      experiment: '^exp(?:eriment)?:(?P<experiment>[\\w-]+)'
      priority: '^prio(?:rity)?:(?P<priority>\\w+)'
      team: '^team:(?P<team>\\w+)'
      workload: '^workload:(?P<workload>\\w+)'
  - name: ionq-demo
    type: ionq
    url: {ionq}
    credentials: {{api_key: {{file: {directory}/key}}}}
    poll: {{jobs: 5s, status: 5s, calibrations: 60s}}
    tags: *tags
  - name: azure-demo
    type: azure
    url: {azure}
    subscription_id: {subscription}
    resource_group: {group}
    workspace: {workspace}
    location: eastus
    credentials: {{api_key: {{file: {directory}/key}}}}
    poll: {{jobs: 5s, status: 5s, quotas: 60s}}
    tags: *tags
"""
"""The demo's whole configuration: what a user would write, with three emulated clouds in place of the real ones."""


def config_text(directory: Path, urls: Mapping[str, str], *, port: int = 0) -> str:
    """The demo's configuration: ``urls`` are the clouds' base URLs, the store and the file ``key`` lie in ``directory``."""
    return CONFIG.format(
        port=port,
        directory=directory,
        instance=ibm.INSTANCE,
        subscription=azure.SUBSCRIPTION_ID,
        group=azure.RESOURCE_GROUP,
        workspace=azure.WORKSPACE,
        **urls,
    )


@dataclass(frozen=True, slots=True)
class Demo:
    """A running set of clouds and the configuration that watches them."""

    config: Config
    clock: Clock
    clouds: tuple[str, ...]
    """Base URLs of the emulated clouds."""


@asynccontextmanager
async def clouds(*, port: int, speed: float, seed: int, on_secret: OnSecret = ignore_secret) -> AsyncIterator[Demo]:
    """Serve the three clouds on free loopback ports while the block runs; their files vanish with it."""
    now = datetime.now(UTC).replace(microsecond=0)
    lab_clock = LabClock(now, speed=speed)
    begins_at = (now - HISTORY).replace(minute=0, second=0)
    async with AsyncExitStack() as stack:
        urls = {}
        for name, module in CLOUDS.items():
            cloud = module.default_cloud(seed, begins_at)
            urls[name] = await stack.enter_async_context(serve(module.application(cloud, lab_clock, api_key=API_KEY)))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qobs-demo-")))
        key = directory / "key"
        key.touch(mode=0o600)
        key.write_text(API_KEY)
        text = config_text(directory, urls, port=port)
        config = parse(text, file="(demo)", source_types=SOURCES, environ={}, base=directory, on_secret=on_secret)
        # At normal speed the daemon runs on the machine's own clock, as it does in production.
        clock: Clock = SystemClock() if speed == 1.0 else lab_clock
        yield Demo(config, clock, tuple(urls.values()))


def run_demo(*, port: int, speed: float, seed: int) -> int:
    """Run the demo until Ctrl-C; returns the exit code."""
    secrets = SecretRegistry()
    setup(stream=sys.stderr, level="warning", filters=(SecretFilter(secrets),))
    try:
        return asyncio.run(_main(port=port, speed=speed, seed=seed, on_secret=secrets.add))
    except (QobsError, OSError) as error:
        logging.getLogger("qobs.demo").critical("cannot run", extra={"error": str(error)})
        return 2


async def _main(*, port: int, speed: float, seed: int, on_secret: OnSecret) -> int:
    async with clouds(port=port, speed=speed, seed=seed, on_secret=on_secret) as demo:
        daemon = Daemon(demo.config, clock=demo.clock, rng=Random(seed))  # noqa: S311 - jitter, not keys
        return await serve_until_stopped(daemon, on_started=lambda started: _tell(started, demo))


def _tell(daemon: Daemon, demo: Demo) -> None:
    lines = (
        "qobs demo: three emulated quantum clouds and the daemon that watches them",
        f"  overview   {daemon.url}/",
        f"  metrics    {daemon.url}/metrics",
        f"  readiness  {daemon.url}/readyz",
        f"  clouds     {'  '.join(demo.clouds)}",
        "A day of history is being read; jobs and calibrations appear within a minute. Ctrl-C ends it and leaves nothing.",
    )
    print("\n".join(lines), flush=True)
