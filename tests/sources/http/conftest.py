"""Real servers on loopback, well-behaved and hostile, and a clock on which waiting takes no time."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from qobs.model import Reason
from qobs.sources.guard import Guard
from qobs.sources.http import Edge, HttpClient
from qobs.sources.limits import Limits

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class InstantClock:
    """A clock that only waiting moves, at once: what was waited for is in ``slept``."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._at = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._at)

    def monotonic(self) -> float:
        return self._at

    def advance(self, seconds: float) -> None:
        self._at += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._at += seconds
        await asyncio.sleep(0)


class Notes:
    """An observer that remembers everything it was told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.retries: list[tuple[str, Reason, float]] = []
        self.waits: list[tuple[str, float]] = []
        self.skews: list[float] = []
        self.left: list[int] = []
        self.certificates: list[tuple[str, datetime]] = []

    def request(self, endpoint: str, status_class: str, seconds: float) -> None:
        self.requests.append((endpoint, status_class))

    def retry(self, endpoint: str, reason: Reason, seconds: float) -> None:
        self.retries.append((endpoint, reason, seconds))

    def throttled(self, endpoint: str, seconds: float) -> None:
        self.waits.append((endpoint, seconds))

    def skew(self, seconds: float) -> None:
        self.skews.append(seconds)

    def rate_remaining(self, requests: int) -> None:
        self.left.append(requests)

    def certificate(self, host: str, expires_at: datetime) -> None:
        self.certificates.append((host, expires_at))


@pytest.fixture
def clock() -> InstantClock:
    return InstantClock()


@pytest.fixture
def notes() -> Notes:
    return Notes()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    """Start a real aiohttp server for one handler of every path and method; gives its base URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


class RawServer:
    """A server that says exactly what it is told; ``seen`` holds each request's head, ``asked`` is set by the first."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[bytes] = []
        self.asked = asyncio.Event()
        self.tasks: set[asyncio.Task[Any]] = set()


Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def serve_raw() -> AsyncIterator[Callable[..., Awaitable[RawServer]]]:
    """Start a server that hands each request's head, and the writer, to a coroutine; then closes the connection."""
    servers: list[tuple[asyncio.Server, RawServer]] = []

    async def start(talk: Talk, **options: Any) -> RawServer:
        raw = RawServer()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            raw.tasks.add(task)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                raw.seen.append(head)
                raw.asked.set()
                await talk(head, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, **options)
        servers.append((server, raw))
        raw.url = f"{'https' if options.get('ssl') else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return raw

    yield start
    for server, raw in servers:
        server.close()
        for task in raw.tasks:
            task.cancel()
        await asyncio.gather(*raw.tasks, return_exceptions=True)


@pytest.fixture
async def client(clock: InstantClock, notes: Notes) -> AsyncIterator[Callable[..., HttpClient]]:
    """Make a client for a base URL; any field of :class:`Edge` and any limit can be given by name."""
    made: list[HttpClient] = []
    limit_names = {field.name for field in dataclasses.fields(Limits)}

    def make(*urls: str, **given: Any) -> HttpClient:
        limits = Limits(**{name: given.pop(name) for name in list(given) if name in limit_names})
        guard = given.pop("guard", None) or Guard(given.pop("hosts", ()), urls=urls, allow=given.pop("allow", ()))
        fields: dict[str, Any] = {"clock": clock, "rng": Random(7), "observer": notes, "limits": limits, "guard": guard, **given}
        made.append(HttpClient(Edge(**fields)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@dataclasses.dataclass(frozen=True)
class Certificates:
    """PEM files of one key: a certificate for ``api.example`` that is valid, and one that has ended."""

    key: Path
    valid: Path
    expired: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Self-signed certificates made by the ``openssl`` command; the tests fail, not skip, where it is missing."""
    folder = tmp_path_factory.mktemp("tls")
    made = Certificates(folder / "key.pem", folder / "valid.pem", folder / "expired.pem")
    subject = ["-subj", "/CN=api.example", "-addext", "subjectAltName=DNS:api.example"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(made.key)]
    run = [
        ["openssl", "req", "-x509", *key, "-out", str(made.valid), "-days", "2", *subject],
        ["openssl", "req", "-new", "-key", str(made.key), *subject, "-out", str(folder / "request.pem")],
        ["openssl", "x509", "-req", "-in", str(folder / "request.pem"), "-signkey", str(made.key), "-days", "-1"],
    ]
    run[2] += ["-out", str(made.expired)]
    for command in run:
        subprocess.run(command, check=True, capture_output=True)
    return made
