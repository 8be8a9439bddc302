"""The daemon: wiring across rooms, and the loops that keep it going.

``run`` is the whole program: read the configuration, open the store, serve, poll, until a signal says stop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from qobs.clock import SystemClock
from qobs.config import Config, load
from qobs.daemon.service import Daemon
from qobs.errors import QobsError
from qobs.logs import RateLimit, setup
from qobs.sources.redact import SecretFilter, SecretRegistry
from qobs.sources.registry import SOURCES
from qobs.web.binding import refuse_open_bind

log = logging.getLogger("qobs.daemon")

OK, FAILED, CANNOT_RUN, OUT_OF_MEMORY = 0, 1, 2, 3


def run(path: Path, *, insecure_listen: bool = False, environ: Mapping[str, str] | None = None) -> int:
    """Run the daemon of one configuration file until SIGTERM or SIGINT; returns the exit code.

    Raises:
        ConfigError: the configuration is not usable; nothing was started.
    """
    secrets = SecretRegistry()

    def read() -> Config:
        return load(path, SOURCES, environ=environ, on_secret=secrets.add)

    config = read()
    setup(stream=sys.stderr, level=config.log.level, style=config.log.format, filters=(RateLimit(), SecretFilter(secrets)))
    for finding in config.warnings:
        log.warning("configuration", extra={"finding": str(finding)})
    try:
        if refuse_open_bind(config.listen.host, insecure_listen):
            log.warning("reachable by other machines without TLS or authentication", extra={"listen": str(config.listen)})
        return asyncio.run(_main(config, read))
    except (QobsError, OSError) as error:
        log.critical("cannot run", extra={"error": str(error)})
        return CANNOT_RUN


async def _main(config: Config, read: Callable[[], Config]) -> int:
    daemon = Daemon(config, clock=SystemClock(), rng=Random(), reload=read)  # noqa: S311 - jitter, not keys
    return await serve_until_stopped(daemon)


async def serve_until_stopped(daemon: Daemon, on_started: Callable[[Daemon], None] | None = None) -> int:
    """Start, wait for a signal (or for memory to run out), stop; a second signal ends the process at once."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    reloads: set[asyncio.Task[object]] = set()

    def reload() -> None:
        task: asyncio.Task[object] = loop.create_task(daemon.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)
        task.add_done_callback(_tell_failure)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_leave, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        await daemon.start()
        if on_started is not None:
            on_started(daemon)
        waiting = [asyncio.create_task(event.wait()) for event in (stop, daemon.out_of_memory)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
    finally:
        await daemon.stop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
    return OUT_OF_MEMORY if daemon.out_of_memory.is_set() else OK


def _tell_failure(task: asyncio.Task[object]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("reload failed", exc_info=error)


def _stop_or_leave(stop: asyncio.Event) -> None:
    if stop.is_set():
        # The operator asked twice: whatever hangs, the store's last commit is safe.
        sys.stderr.flush()
        os._exit(FAILED)
    stop.set()
