"""The objectives in force and the maintenance windows that they leave out: adopted at the start, at a reload, at a change."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from qobs.clock import Clock
from qobs.config import Config
from qobs.daemon.documents import load_configured
from qobs.daemon.maintenance import adopt
from qobs.daemon.objectives import SloReadings
from qobs.daemon.sink import StoreSink
from qobs.exclusion import Exclusion
from qobs.export.snapshot import ExclusionReading, ShardState, SliTotal, SloReading
from qobs.model import Stream
from qobs.slo.live import Live, matches
from qobs.slo.openslo import Loaded

log = logging.getLogger("qobs.slo")

SILENT_AFTER = timedelta(minutes=10)
"""A source that has been silent this long, and for three of its own intervals, has no data."""

BATCHES_EVERY = timedelta(minutes=10)
BATCHES_SINCE = timedelta(days=30)


def silent_sources(shards: Iterable[ShardState], now: datetime) -> frozenset[str]:
    """Configured sources whose jobs, or whose calibrations where they have no jobs, have not been heard of lately."""
    heard: dict[str, bool] = {}
    for state in sorted(shards, key=lambda each: each.shard.stream is Stream.JOBS):
        if state.shard.stream in (Stream.JOBS, Stream.CALIBRATIONS):
            patience = max(SILENT_AFTER, 3 * timedelta(seconds=state.interval_seconds))
            last = state.last_success_at
            heard[state.shard.source] = last is not None and now - last <= patience
    return frozenset(source for source, answers in heard.items() if not answers)


class Slos:
    """What is evaluated, and how it is shown. One per daemon."""

    def __init__(self, sink: StoreSink, clock: Clock, config: Config) -> None:
        """Check the documents that ``config`` names; nothing is evaluated before :meth:`start`.

        Raises:
            ConfigError: the documents are not usable.
        """
        self._sink, self._clock = sink, clock
        self._loaded = load_configured(config)
        self._config = config
        self._readings = SloReadings((), matches)
        self._exclusions: tuple[Exclusion, ...] = ()
        self._batches_at: datetime | None = None

    async def start(self) -> None:
        """Take up the configured windows and objectives, and count from the store."""
        now = self._clock.now()
        windows = self._config.maintenance
        if await self._sink.run(lambda: adopt(self._sink.store, windows, now)):
            log.info("maintenance windows changed by the configuration")
        await self.count_again()

    async def change(self, config: Config, loaded: Loaded) -> None:
        """Go over to other objectives and windows; what was counted stays counted."""
        self._config, self._loaded = config, loaded
        await self.start()

    async def count_again(self) -> None:
        """Count all objectives from the store: without, or with, what a window covers."""
        await self._sink.keep_alerts()
        now = self._clock.now()
        exclusions = await self._sink.read(self._sink.store.exclusions)
        live = Live(self._loaded.objectives, exclusions=exclusions)
        for objective in live.skipped:
            log.info("evaluated by Prometheus, not here", extra={"slo": objective.slo, "objective": objective.name})
        await self._sink.adopt(live, now)
        self._exclusions = exclusions
        self._readings = SloReadings(self._loaded.objectives, matches)
        self._batches_at = None
        log.info("objectives in force", extra={"objectives": len(self._loaded.objectives), "exclusions": len(exclusions)})

    async def tick(self) -> None:
        """Keep what alerts must remember, and learn every ten minutes how much jobs of a batch share their fate."""
        now = self._clock.now()
        if self._batches_at is None or now - self._batches_at >= BATCHES_EVERY:
            self._batches_at = now
            await self._sink.learn_batches(now - BATCHES_SINCE, now)
        await self._sink.keep_alerts()

    def show(self, now: datetime, shards: Iterable[ShardState], totals: Iterable[SliTotal]) -> tuple[SloReading, ...]:
        """Every objective as of ``now``; callable from any thread."""
        readings = self._readings
        return readings.of(self._sink.evaluate(now, silent_sources(shards, now)), totals)

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """Maintenance windows in force, past and future ones too."""
        return self._exclusions

    def active(self, now: datetime) -> tuple[ExclusionReading, ...]:
        """Maintenance windows that hold ``now``."""
        return tuple(ExclusionReading(each.id, each.scope) for each in self._exclusions if each.from_at <= now < each.to_at)
