"""Try every configured source once, with its own credentials, before the daemon depends on it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from qobs.clock import Clock, SystemClock
from qobs.config import Config
from qobs.daemon.wiring import Wired, wire_source
from qobs.errors import ConfigError, SourceError
from qobs.model import Ask, Raw, Stream
from qobs.sources.limits import Limits

DEADLINE_SECONDS = 20.0
ATTEMPTS = 2
"""Of each request: more would let the deadline come first, and hide what is really wrong."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one source answered. ``ok`` None: it was not asked."""

    name: str
    type: str
    ok: bool | None
    detail: str

    def row(self) -> tuple[str, str, str, str]:
        """Cells of the table for people."""
        return (self.name, self.type, {True: "ok", False: "failed", None: "skipped"}[self.ok], self.detail)

    def plain(self) -> dict[str, Any]:
        """The same as JSON."""
        return {"name": self.name, "type": self.type, "ok": self.ok, "detail": self.detail}


def skip_all(config: Config) -> tuple[Result, ...]:
    """A result for each source that says it was not asked; its options are still checked."""
    clock, rng = SystemClock(), Random()  # noqa: S311
    return tuple(_wire(entry, config, clock, rng)[1] for entry in config.sources)


def preflight_all(config: Config) -> tuple[Result, ...]:
    """Ask every source for the first page of its jobs, all at once; nothing is stored."""
    return asyncio.run(_preflight_all(config, SystemClock(), Random()))  # noqa: S311


async def _preflight_all(config: Config, clock: Clock, rng: Random) -> tuple[Result, ...]:
    wired = [_wire(entry, config, clock, rng) for entry in config.sources]
    return tuple(await asyncio.gather(*(_preflight(source, clock) if source else _as_it_is(result) for source, result in wired)))


def _wire(entry: Any, config: Config, clock: Clock, rng: Random) -> tuple[Wired | None, Result]:
    try:
        wired = wire_source(entry, config, clock=clock, rng=rng, deadlines=Limits(attempts=ATTEMPTS))
        return wired, Result(entry.name, entry.type, None, "not asked (--offline)")
    except ConfigError as error:
        return None, Result(entry.name, entry.type, False, "; ".join(str(finding) for finding in error.findings))


async def _as_it_is(result: Result) -> Result:
    return result


async def _preflight(wired: Wired, clock: Clock) -> Result:
    name, kind = wired.config.name, wired.config.type
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            pages = await _first_pages(wired, clock)
    except TimeoutError:
        return Result(name, kind, False, f"timeout: no answer within {DEADLINE_SECONDS:g} s")
    except (SourceError, ConfigError) as error:
        reason = f"{error.reason}: " if isinstance(error, SourceError) else ""
        return Result(name, kind, False, f"{reason}{error}")
    finally:
        await wired.client.close()
    return Result(name, kind, True, pages)


async def _first_pages(wired: Wired, clock: Clock) -> str:
    """Read the first page of jobs (which needs the credentials) and of status, and say what they held."""
    told = []
    for stream in (Stream.JOBS, Stream.STATUS):
        if stream not in wired.source.streams:
            continue
        ask = Ask(stream=stream, since=clock.now(), now=clock.now())
        async with aclosing(cast("Any", wired.source.fetch(wired.client.for_poll(), ask))) as pages:
            raw: Raw | None = await anext(pages, None)
        if raw is not None:
            batch = wired.source.normalize(raw)
            told.append(f"{len(batch.backends)} backends" if stream is Stream.STATUS else "jobs readable")
    return ", ".join(told) or "answers"
