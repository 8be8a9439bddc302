"""The running daemon: starts everything in order, keeps the loops going, and ends in order.

Loops beside the shards' own: *tick* (verdicts that change by time), *freshness* (one calibration reading per backend and
slice), *refresh* (the snapshot that scrapes see), *housekeeping* (pressure, backups, retention) and the heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from random import Random

from qobs import __version__
from qobs.clock import Clock, SystemClock
from qobs.config import Config
from qobs.daemon.anomalies import Anomalies
from qobs.daemon.documents import load_configured
from qobs.daemon.group import Shared, SourceGroup
from qobs.daemon.maintenance import MaintenanceBook
from qobs.daemon.observe import COMMIT_BOUNDS, Observations
from qobs.daemon.overview import overview
from qobs.daemon.pressure import Level, Reading, read_pressure
from qobs.daemon.sink import StoreSink
from qobs.daemon.slos import Slos
from qobs.daemon.snapshots import SnapshotBuilder, freeze_logs
from qobs.daemon.verification import open_verifier
from qobs.daemon.wiring import budget, open_store, thresholds
from qobs.errors import ConfigError, StoreError
from qobs.export.anomalies import AnomalyReading
from qobs.export.exposition import Exposition
from qobs.export.snapshot import Histogram, ProcessState, Snapshot, StoreState
from qobs.export.stock import StockMetrics
from qobs.logs import Changes
from qobs.model import EPOCH, Freshness, Stream
from qobs.slo.openslo import Loaded
from qobs.slo.windows import WINDOWS, WindowTotals
from qobs.sources.limits import ByteGate
from qobs.store.base import Store, StoreInfo
from qobs.web.health import Health, Heartbeat, Readiness
from qobs.web.server import Reload, Server, Surface

log = logging.getLogger("qobs.daemon")

TICK_SECONDS = 10.0
REFRESH_SECONDS = 1.0
REFRESH_AT_LEAST_SECONDS = 10.0
LEAST_RENDER_SECONDS = 0.5
HOUSEKEEPING_SECONDS = 10.0
INFO_EVERY_SECONDS = 60.0
ANOMALIES_SECONDS = 60.0
PRUNE_EVERY = timedelta(days=1)
SLICE = timedelta(minutes=5)
KNOWN_FOR_INTERVALS = 3
"""A calibration counts as known while its stream was read within this many intervals."""


class Daemon:
    """One daemon on one store. ``reload`` gives the configuration anew, or raises ConfigError; None: fixed."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        rng: Random,
        reload: Callable[[], Config] | None = None,
        store: Store | None = None,
    ) -> None:
        """Open the store and wire everything; nothing runs yet.

        Raises:
            ConfigError: an option of a source is not usable.
            StoreError: the store cannot be opened.
        """
        self.config = config
        self._clock, self._rng, self._reload = clock, rng, reload
        self._started_at = clock.now()
        self._commits = Observations(COMMIT_BOUNDS)
        self._write_failures = 0
        self._changes = Changes(log)
        self._store = store if store is not None else open_store(config)
        self._recovering = bool(self._store.recoveries)
        for recovery in self._store.recoveries:
            log.error("store was damaged", extra={"recovery": str(recovery)})
        self._sink = StoreSink(self._store, WindowTotals(WINDOWS), self._note_commit)
        self._gate = ByteGate(config.limits.max_queue_bytes)
        self._pressure: Reading | None = None
        try:
            self._group = SourceGroup(config, self._shared())
            self._slos = Slos(self._sink, clock, config)
            self._verifier = open_verifier(config, self._sink, clock)
        except BaseException:
            # Left open, the store would be taken for crashed and damaged at the next start.
            self._sink.close()
            raise
        self._builder = SnapshotBuilder(self._sink, self._slos, thresholds(config), full=frozenset(config.tier.full))
        self._exposition = Exposition(
            SystemClock(), budget=budget(config), stock=StockMetrics(), min_interval_seconds=LEAST_RENDER_SECONDS
        )
        # The process's own health is measured on the machine's clock, whatever time the records live in.
        self._heartbeat = Heartbeat(SystemClock())
        self._in_force = config
        """What listen, store, limits of memory and thresholds were taken from: a reload does not change those."""
        self._turning = asyncio.Lock()
        """Held while sources start, stop or are replaced: two reloads at once would leave pollers that nobody stops."""
        self._stopping = False
        self._reload_ok = True
        self._reloaded_at = self._started_at
        self._server = Server(self._surface())
        self._tasks: list[asyncio.Task[None]] = []
        self._refreshed_at = float("-inf")
        self.out_of_memory = asyncio.Event()

    # ------------------------------------------------------------------------------------------- start and stop

    async def start(self) -> None:
        """Count again if the thresholds changed, then serve, then poll. A reload that is asked for meanwhile waits."""
        async with self._turning:
            await self._start()

    async def _start(self) -> None:
        differing = await self._sink.run(self._store.recount)
        if differing:
            log.info("counted again after a change of thresholds", extra={"series": len(differing)})
        await self._sink.run(lambda: self._sink.rebuild(self._clock.now()))
        await self._slos.start()
        await self._refresh(force=True)
        await self._server.start(self.config.listen.host, self.config.listen.port)
        loops: tuple[tuple[str, float, Callable[[], Awaitable[object]]], ...] = (
            ("tick", TICK_SECONDS, self._tick),
            ("freshness", 60.0, self.read_freshness),
            ("refresh", REFRESH_SECONDS, self._refresh),
            ("housekeeping", HOUSEKEEPING_SECONDS, self._housekeeping),
            ("anomalies", ANOMALIES_SECONDS, self._look_for_anomalies),
        )
        self._tasks = [asyncio.create_task(self._heartbeat.run(), name="heartbeat")]
        self._tasks += [asyncio.create_task(self._every(seconds, work, name), name=name) for name, seconds, work in loops]
        await self._group.start()
        if self._verifier is not None:
            await self._verifier.start(self._group)
        log.info("started", extra={"url": self.url, "sources": len(self.config.sources), "version": __version__})
        for key in self.config.unused:
            log.warning("configured but not used by this version", extra={"key": key})

    async def stop(self) -> None:
        """Stop fetching, finish the commit under way, close the server and the store."""
        self._stopping = True
        async with self._turning:
            if self._verifier is not None:
                await self._verifier.stop()
            await self._group.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()
        await asyncio.to_thread(self._sink.close)
        log.info("stopped")

    @property
    def url(self) -> str:
        """Where the HTTP surface is, once started."""
        host = self._in_force.listen.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.port}"

    @property
    def store(self) -> Store:
        """The store, for reading."""
        return self._store

    @property
    def group(self) -> SourceGroup:
        """The sources."""
        return self._group

    async def refresh_now(self) -> None:
        """Render what is known at this moment, so that the next scrape shows it."""
        while not await self._refresh(force=True):  # noqa: ASYNC110 - renders have a least distance in time
            await asyncio.sleep(LEAST_RENDER_SECONDS)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[object]], name: str) -> None:
        while True:
            await self._clock.sleep(seconds)
            try:
                await work()
            except StoreError as error:
                self._changes.note("store", False, "store refuses writes", {"error": str(error)[:300]})
            except Exception:
                log.exception("loop failed and goes on", extra={"loop": name})

    # ------------------------------------------------------------------------------------------------- the loops

    async def _tick(self) -> None:
        await self._sink.tick(self._clock.now())
        await self._slos.tick()

    async def read_freshness(self) -> None:
        """One reading for each backend whose calibration stream is alive, per slice of five minutes."""
        now = self._clock.now()
        slice_at = now - (now - EPOCH) % SLICE
        alive = {
            shard_log.shard.source
            for shard_log in self._group.shard_logs
            if shard_log.shard.stream is Stream.CALIBRATIONS
            and shard_log.last_success_at is not None
            and now - shard_log.last_success_at <= KNOWN_FOR_INTERVALS * timedelta(seconds=shard_log.interval_seconds)
        }
        calibrations = await asyncio.to_thread(self._store.calibrations)
        readings = [
            Freshness(
                provider=calibration.provider,
                source=calibration.source,
                account=calibration.account,
                backend=calibration.backend,
                slice_at=slice_at,
                calibrated_at=calibration.calibrated_at,
            )
            for calibration in calibrations
            if calibration.source in alive
        ]
        if readings:
            await self._sink.read_freshness(readings)

    async def _refresh(self, *, force: bool = False) -> bool:
        """Render when something changed, and every ten seconds for the daemon's own numbers; False: nothing was rendered."""
        at = self._clock.monotonic()
        if not force and not self._sink.dirty and at - self._refreshed_at < REFRESH_AT_LEAST_SECONDS:
            return False
        changed = self._sink.take_changes()
        shards, sources = freeze_logs(self._group.shard_logs, self._group.source_logs)
        process, now = self._process(), self._clock.now()
        # Taken here, on the loop: a reload may put another builder in place, and commits may end, while the thread works.
        builder, commits, failures = self._builder, self._commits.freeze(), self._write_failures
        anomalies = self._anomalous
        verification = None if self._verifier is None else self._verifier.state()

        def work() -> bool:
            store = self._store_state(commits, failures)
            snapshot: Snapshot = builder.build(
                now,
                process=process,
                shards=shards,
                sources=sources,
                store=store,
                changed=changed,
                anomalies=anomalies,
                verification=verification,
            )
            self._latest = snapshot
            return self._exposition.refresh(snapshot)

        rendered = False
        try:
            rendered = await asyncio.to_thread(work)
        finally:
            if rendered:
                self._refreshed_at = at
            else:
                self._sink.mark(changed)
        return rendered

    async def _look_for_anomalies(self) -> None:
        """What is unlike its own past, in a thread; the first look reads the whole history."""
        now, exclusions = self._clock.now(), self._slos.exclusions

        def look() -> tuple[AnomalyReading, ...]:
            if self._detectors is None:
                self._detectors = Anomalies()
                self._detectors.learn(self._store, now)
            return self._detectors.look(self._store, now, exclusions)

        self._anomalous = await asyncio.to_thread(look)

    async def _housekeeping(self) -> None:
        """Read the pressure; make the hourly backup and the daily pruning when they are due."""
        self._pressure = await asyncio.to_thread(
            read_pressure, self._in_force.store.path, memory_limit_bytes=self._in_force.limits.max_memory_bytes
        )
        pressure = self._pressure
        self._changes.note("memory", pressure.memory is Level.NORMAL, f"memory {pressure.memory.name.lower()}")
        self._changes.note("disk", pressure.disk is Level.NORMAL, f"disk {pressure.disk.name.lower()}")
        if pressure.memory is Level.HARD:
            log.error("out of memory, leaving in good order", extra={"bytes": pressure.memory_bytes})
            self.out_of_memory.set()
        at = self._clock.monotonic()
        if at - self._pruned_at >= PRUNE_EVERY.total_seconds() or pressure.disk is not Level.NORMAL:
            self._pruned_at = at
            removed = await self._sink.run(lambda: self._store.prune(self._clock.now()))
            log.info("pruned", extra=dict(removed))
        if at - self._backed_up_at >= self.config.backups.every_seconds and pressure.disk is Level.NORMAL:
            self._backed_up_at = at
            await self._backup()

    _detectors: Anomalies | None = None
    _anomalous: tuple[AnomalyReading, ...] = ()
    _latest: Snapshot | None = None
    _info: tuple[float, StoreInfo] | None = None
    _pruned_at = float("-inf")
    _backed_up_at = float("-inf")

    async def _backup(self) -> None:
        try:
            path = await asyncio.to_thread(self._store.keep_backup, self._clock.now(), keep=self.config.backups.keep)
        except StoreError as error:
            self._changes.note("backup", False, "backup failed", {"error": str(error)[:300]})
        else:
            self._changes.note("backup", True, "backup works again", {"path": str(path)})

    # ------------------------------------------------------------------------------------------- what is asked of us

    def _surface(self) -> Surface:
        return Surface(
            metrics=self._exposition.rendered,
            health=Health(alive=self._heartbeat.alive, ready=self.readiness),
            overview=lambda: overview(self._latest, self._group, self._clock.now()),
            reload=None if self._reload is None else self.reload,
            maintenance=MaintenanceBook(self._sink, self._clock, self._maintenance_changed),
        )

    def readiness(self) -> Readiness:
        """Reasons why the daemon cannot do its work (store, disk, memory, configuration) or has not yet begun to."""
        return Readiness(tuple(self._unready()))

    def _unready(self) -> Iterable[tuple[str, str]]:
        if self._sink.full:
            yield "store", "the store refuses writes; polling is paused until it accepts them again"
        pressure = self._pressure
        if pressure is not None and pressure.disk is Level.HARD:
            yield "disk", f"{pressure.disk_free_ratio:.1%} free; polling is paused until space returns"
        if pressure is not None and pressure.memory is Level.HARD:
            yield "memory", "over 90 % of the limit"
        unknown = [log for log in self._group.shard_logs if log.last_ok is None]
        if unknown:
            yield "sources", f"{len(unknown)} of {len(self._group.shard_logs)} streams have not been polled yet"
        if self._recovering and any(log.last_ok is not True for log in self._group.shard_logs):
            yield "store", "recovering: the store was damaged, and history is being read from the providers again"
        if not self._reload_ok:
            yield "config", "the configuration on disk is not usable; the last good one stays in use"

    async def reload(self) -> Reload:
        """Read the configuration again; a bad one changes nothing but ``qobs_config_last_reload_successful``."""
        if self._reload is None:
            return Reload()
        async with self._turning:
            if self._stopping:
                return Reload(("the daemon is stopping",))
            try:
                config = await asyncio.to_thread(self._reload)
                loaded = await asyncio.to_thread(load_configured, config)
                group = SourceGroup(config, self._shared(), before=self._group)
            except ConfigError as error:
                self._reload_ok = False
                log.error("reload refused", extra={"findings": str(error)})
                return Reload(tuple(str(finding) for finding in error.findings))
            await self._adopt(config, group, loaded)
        return Reload()

    async def _maintenance_changed(self) -> None:
        async with self._turning:
            if not self._stopping:
                await self._slos.count_again()

    async def _adopt(self, config: Config, group: SourceGroup, loaded: Loaded) -> None:
        for name in ("listen", "store", "limits", "indicators", "retention", "log", "reference"):
            if getattr(config, name) != getattr(self._in_force, name):
                log.warning("takes effect at the next start", extra={"key": name})
        old, self._group = self._group, group
        if self._verifier is not None:
            await self._verifier.pause()
        await old.stop()
        self.config = config
        # The limits shown stay those that the store judges by.
        self._builder = SnapshotBuilder(self._sink, self._slos, thresholds(self._in_force), full=frozenset(config.tier.full))
        await self._slos.change(config, loaded)
        self._sink.mark()
        self._reload_ok, self._reloaded_at = True, self._clock.now()
        await group.start()
        if self._verifier is not None:
            self._verifier.adopt(group)
        log.info("reloaded", extra={"sources": len(config.sources), "config": config.fingerprint()})

    # ------------------------------------------------------------------------------------------------------ parts

    def _shared(self) -> Shared:
        return Shared(self._sink, self._gate, self._clock, self._rng, self._changes, self._may_poll)

    def _may_poll(self) -> bool:
        pressure = self._pressure
        return pressure is None or (pressure.memory is Level.NORMAL and pressure.disk is not Level.HARD)

    def _note_commit(self, seconds: float, failed: bool) -> None:
        self._commits.observe(seconds)
        self._write_failures += failed

    def _process(self) -> ProcessState:
        return ProcessState(
            version=__version__,
            revision="",
            python=platform.python_version(),
            started_at=self._started_at,
            event_loop_lag_seconds=self._heartbeat.lag_seconds,
            tasks=len(asyncio.all_tasks()),
            queue_bytes=self._gate.bytes,
            queue_capacity_bytes=self._gate.capacity,
            config_hash=int(self.config.fingerprint()[:12], 16),
            reload_ok=self._reload_ok,
            reloaded_at=self._reloaded_at,
        )

    def _store_state(self, commits: Histogram, failures: int) -> StoreState:
        """Sizes as of the last minute: counting rows at every render would cost more than the render."""
        at = self._clock.monotonic()
        if self._info is None or at - self._info[0] >= INFO_EVERY_SECONDS:
            self._info = (at, self._store.info())
        info = self._info[1]
        return StoreState(
            size_bytes=info.size_bytes,
            wal_bytes=info.wal_bytes,
            commits=commits,
            write_failures=failures,
            oldest_record_at=info.oldest_job_at,
        )
