"""Reloads as they really come: two at once, in the middle of a start, or with what cannot change while running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from qobs.clock import SystemClock
from qobs.config import Config
from qobs.daemon.service import Daemon
from qobs.daemon.wiring import open_store
from qobs.errors import ConfigError, StoreError
from qobs.lab.clock import LabClock
from qobs.model import Stream


@asynccontextmanager
async def daemon(config: Config, reload: Callable[[], Config]) -> AsyncIterator[Daemon]:
    made = Daemon(config, clock=SystemClock(), rng=Random(1), reload=reload)
    try:
        yield made
    finally:
        await made.stop()


def pollers() -> list[str]:
    return sorted(task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("poll ") and not task.done())


async def test_two_reloads_at_once_leave_one_set_of_pollers(configured):
    """A burst of SIGHUP must not leave pollers that nobody stops and that ask every provider twice."""
    async with daemon(configured(), configured) as running:
        await running.start()
        once = pollers()
        assert once
        await asyncio.gather(*(running.reload() for _ in range(3)))
        assert pollers() == once
    assert pollers() == []


async def test_a_reload_during_the_start_leaves_one_set_of_pollers(configured):
    """A SIGHUP that comes while the store is still being counted must not start every source twice."""
    async with daemon(configured(), configured) as running:
        starting = asyncio.create_task(running.start())
        await asyncio.sleep(0)
        await asyncio.gather(starting, running.reload())
        assert len(pollers()) == len(running.group.runners)
    assert pollers() == []


async def test_nothing_polls_after_a_stop_that_meets_a_reload(configured):
    """SIGHUP and SIGTERM together must end in a stopped daemon, not in pollers on a closed store."""
    async with daemon(configured(), configured) as running:
        await running.start()
        reloading = asyncio.create_task(running.reload())
        await asyncio.sleep(0)
        await running.stop()
        await reloading
        assert pollers() == []
        assert (await running.reload()).findings


async def test_a_reload_does_not_move_what_needs_a_restart(configured):
    """After a changed listen, store or threshold the daemon must go on watching the disk and the port that it really uses."""
    changed = configured(listen="127.0.0.2:1", store="nowhere/qobs.db", more="indicators: {job_latency: {threshold: 77m}}\n")
    async with daemon(configured(), lambda: changed) as running:
        await running.start()
        before = running.url
        assert not (await running.reload()).findings
        assert running.url == before
        await running._housekeeping()
        judged, shown = running._in_force.indicators, running._builder._thresholds
        assert shown.job_latency.default.total_seconds() == judged.job_latency.threshold_seconds != 77 * 60


async def test_sources_start_while_the_store_cannot_be_read(configured, monkeypatch):
    """A reload during a disk fault must not leave a daemon that is up and polls nothing for ever."""
    async with daemon(configured(), configured) as running:
        await running.start()
        once = pollers()

        def refuse(shard: object) -> None:
            raise StoreError("disk I/O error")

        monkeypatch.setattr(running.store, "cursor", refuse)
        await running.reload()
        assert pollers() == once


async def test_a_start_refused_for_an_option_leaves_the_store_in_order(configured):
    """A typo in an option must not make the next start report a damaged store and lost commits."""
    good = configured()
    wrong = replace(good.sources[0], type="ibm", options={"instance": "crn:nonsense"})
    with pytest.raises(ConfigError, match="CRN"):
        Daemon(replace(good, sources=(wrong,)), clock=SystemClock(), rng=Random(1))
    store = open_store(good)
    assert store.recoveries == ()
    store.close()


async def test_a_reload_forgets_nothing_of_the_sources_that_stay(configured):
    """A reload must not read as a restart: no counter that begins again, no source that counts as never polled."""
    async with daemon(configured(), configured) as running:
        await running.start()
        before = running.group.shard_logs
        for shard_log in before:
            shard_log.broken()
        assert not (await running.reload()).findings
        kept = {state.shard: state.freeze() for state in running.group.shard_logs}
        assert len(kept) == len(before)
        assert all(state.polls >= 1 and state.last_ok is False for state in kept.values())


async def test_the_time_of_the_last_reconcile_outlives_the_process(configured):
    """A daemon that is restarted every night must reconcile all the same: its day must not begin anew each time."""
    clock = LabClock(datetime(2026, 11, 1, tzinfo=UTC))
    for hours, expected in ((0, 0.0), (7, 7 * 3600.0)):
        clock.advance(timedelta(hours=hours))
        made = Daemon(configured(), clock=clock, rng=Random(1))
        (runner,) = [runner for runner in made.group.runners if runner.shard.stream is Stream.JOBS]
        assert await runner._seconds_since_reconcile() == expected
        await made.stop()
