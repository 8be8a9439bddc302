"""All configured sources running together: started, stopped and replaced as one when the configuration changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from qobs.clock import Clock
from qobs.config import Config
from qobs.daemon.observe import ShardLog, SourceLog
from qobs.daemon.shards import Gatekeeper, ShardRunner
from qobs.daemon.sink import StoreSink
from qobs.daemon.wiring import Wired, wire_source
from qobs.errors import StoreError
from qobs.logs import Changes
from qobs.model import Shard
from qobs.sources.breaker import Breaker
from qobs.sources.limits import ByteGate, Limits

STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sources share."""

    sink: StoreSink
    gate: ByteGate
    clock: Clock
    rng: Random
    changes: Changes
    may_poll: Callable[[], bool]
    deadlines: Limits | None = None
    """Caps and deadlines of requests; None: the product's."""


class SourceGroup:
    """The sources of one configuration. Build it (which checks every option), then start it, then stop it."""

    def __init__(self, config: Config, shared: Shared, *, before: SourceGroup | None = None) -> None:
        """Wire everything; no request is made yet.

        ``before``: the group that this one replaces. What it noticed of the shards that stay goes on; breakers begin anew, for
        who reloads wants to see whether it works now.

        Raises:
            ConfigError: an option of a source is not usable.
        """
        known = _Known(before)
        self._wired = tuple(
            wire_source(
                entry,
                config,
                clock=shared.clock,
                rng=shared.rng,
                deadlines=shared.deadlines,
                log=known.sources.get(entry.name),
            )
            for entry in config.sources
        )
        gatekeepers: dict[tuple[str, str], Gatekeeper] = {}
        self.runners = tuple(
            ShardRunner(
                watched=watched,
                client=wired.client,
                interval_seconds=interval,
                sink=shared.sink,
                gate=shared.gate,
                clock=shared.clock,
                rng=shared.rng,
                shard_log=known.shard_log(watched.shard, interval),
                source_log=wired.log,
                gatekeeper=gatekeepers.setdefault(
                    (watched.shard.provider, watched.shard.account), Gatekeeper(Breaker(), shared.may_poll)
                ),
                changes=shared.changes,
            )
            for wired in self._wired
            for watched, interval in wired.watched
        )
        self._sink = shared.sink
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    @property
    def wired(self) -> tuple[Wired, ...]:
        """The sources."""
        return self._wired

    @property
    def shard_logs(self) -> tuple[ShardLog, ...]:
        """How each shard goes."""
        return tuple(runner.shard_log for runner in self.runners)

    @property
    def source_logs(self) -> tuple[SourceLog, ...]:
        """How each provider goes."""
        return tuple(wired.log for wired in self._wired)

    async def start(self) -> None:
        """Begin to poll, from the watermarks that the store holds."""
        for runner in self.runners:
            try:
                runner.shard_log.watermark = await self._sink.watermark(runner.shard)
            except StoreError as error:
                # Only shown, never asked from: the polls read it themselves, as soon as the store can be read.
                logging.getLogger("qobs.poll").warning("watermark unknown", extra={"error": str(error)[:300]})
        self._tasks = tuple(
            asyncio.create_task(_guarded(runner), name=f"poll {runner.shard.source}/{runner.shard.stream}")
            for runner in self.runners
        )

    async def stop(self) -> None:
        """Stop fetching; a commit under way ends by itself in the store's thread. Bounded in time."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        closed = await asyncio.gather(*(wired.client.close() for wired in self._wired), return_exceptions=True)
        for error in filter(None, closed):
            logging.getLogger("qobs.poll").warning("connections did not close", extra={"error": str(error)[:300]})


class _Known:
    """What an earlier group noticed, by what it is about. Empty at the first start."""

    def __init__(self, before: SourceGroup | None) -> None:
        self.sources = {} if before is None else {log.source: log for log in before.source_logs}
        self._shards = {} if before is None else {log.shard: log for log in before.shard_logs}

    def shard_log(self, shard: Shard, interval_seconds: float) -> ShardLog:
        log = self._shards.get(shard) or ShardLog(shard, interval_seconds)
        log.interval_seconds = interval_seconds
        return log


async def _guarded(runner: ShardRunner) -> None:
    """A loop that dies is a bug of ours: say it loudly and begin again, so that one shard never goes silent for ever."""
    while True:
        try:
            await runner.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            logging.getLogger("qobs.poll").exception(
                "shard loop crashed and starts again",
                extra={"source": runner.shard.source, "stream": runner.shard.stream.value},
            )
            await runner.clock.sleep(runner.interval_seconds)
