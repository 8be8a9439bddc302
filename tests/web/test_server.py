"""The HTTP surface against well-behaved, careless and hostile clients, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import pytest

from qobs.web.connections import Limits
from qobs.web.health import Health, Readiness
from qobs.web.pages import BackendRow, Overview, SourceRow
from qobs.web.server import Reload, Server, Surface

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Bytes:
    """A body in both packings."""

    plain: bytes
    content_type: str = "text/plain; version=0.0.4; charset=utf-8"

    @property
    def packed(self) -> bytes:
        return gzip.compress(self.plain, 1)


@dataclass
class Daemon:
    """What the endpoints show; tests change it as they like."""

    body: Bytes | None = field(default_factory=lambda: Bytes(b"qobs_tasks 1\n"))
    living: bool = True
    reasons: tuple[tuple[str, str], ...] = ()
    accepts: list[str] = field(default_factory=list)
    reload: Callable[[], Awaitable[Reload]] | None = None
    overview: Overview = field(default_factory=lambda: Overview("0.1.0", NOW))

    def surface(self) -> Surface:
        return Surface(
            metrics=self.metrics,
            health=Health(lambda: self.living, lambda: Readiness(self.reasons)),
            overview=lambda: self.overview,
            reload=self.reload,
        )

    def metrics(self, accept: str) -> Bytes | None:
        self.accepts.append(accept)
        return self.body


@asynccontextmanager
async def serving(daemon: Daemon, limits: Limits | None = None) -> AsyncIterator[tuple[aiohttp.ClientSession, Server]]:
    server = Server(daemon.surface(), limits)
    await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", auto_decompress=False) as session:
            yield session, server
    finally:
        await server.stop()


async def exchange(port: int, request: bytes) -> bytes:
    """Send bytes as they are; return all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def test_metrics_are_served_as_they_are() -> None:
    """Bytes, type and length of the body reach the scraper unchanged; the Accept header decides elsewhere."""
    daemon = Daemon()
    async with (
        serving(daemon) as (session, _),
        session.get("/metrics", headers={"Accept": "a/b", "Accept-Encoding": ""}) as answer,
    ):
        assert await answer.read() == b"qobs_tasks 1\n"
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"
        assert "Content-Encoding" not in answer.headers
    assert daemon.accepts == ["a/b"]


@pytest.mark.parametrize(
    ("accept", "packed"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False), ("identity", False), ("gzip;q=x", False)],
)
async def test_gzip_is_sent_to_those_who_take_it(accept: str, packed: bool) -> None:
    """A tenth of the traffic, but never to a client that cannot unpack it."""
    async with serving(Daemon()) as (session, _), session.get("/metrics", headers={"Accept-Encoding": accept}) as answer:
        body = await answer.read()
        assert (answer.headers.get("Content-Encoding") == "gzip") is packed
        assert (gzip.decompress(body) if packed else body) == b"qobs_tasks 1\n"


async def test_head_has_the_headers_and_no_body() -> None:
    """A probe by HEAD must be cheap and true."""
    async with serving(Daemon()) as (session, server):
        async with session.head("/metrics", headers={"Accept-Encoding": ""}) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "13")
        raw = await exchange(server.port, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert raw.endswith(b"\r\n\r\n")


async def test_metrics_before_the_first_render_are_unavailable() -> None:
    """An empty scrape would say that everything has vanished."""
    async with serving(Daemon(body=None)) as (session, _), session.get("/metrics") as answer:
        assert answer.status == 503


async def test_a_hundred_parallel_scrapes_are_served_from_the_snapshot() -> None:
    """Many scrapers at once get whole and equal answers."""
    body = Bytes(b"".join(b'qobs_x{backend="b%06d"} 1\n' % index for index in range(20_000)))
    async with serving(Daemon(body=body)) as (session, _):

        async def scrape() -> bytes:
            async with session.get("/metrics", headers={"Accept-Encoding": ""}) as answer:
                return await answer.read()

        answers = await asyncio.gather(*(scrape() for _ in range(100)))
    assert set(answers) == {body.plain}


@pytest.mark.parametrize("size", [200_000, 40_000_000])
async def test_a_client_that_never_reads_is_closed(size: int) -> None:
    """A scraper that hangs must not hold memory and a connection for ever."""
    daemon = Daemon(body=Bytes(b"x" * size))
    async with serving(daemon, Limits(stalled_seconds=0.2)) as (session, server):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
            await loop.sock_sendall(client, request * 60)
            await eventually(lambda: len(daemon.accepts) >= 1)
            await eventually(lambda: server.connections == 0)
        async with session.get("/livez") as answer:
            assert answer.status == 200


async def test_a_client_that_never_asks_is_closed() -> None:
    """A connection that sends half a request head must not stay for ever."""
    async with serving(Daemon(), Limits(request_seconds=0.2)) as (_, server):
        assert await exchange(server.port, b"GET /metrics HTTP/1.1\r\nHos") == b""
        assert await exchange(server.port, b"") == b""


async def test_connections_are_capped_and_free_again() -> None:
    """Ten thousand connections must not take the file handles that polling needs."""
    async with serving(Daemon(), Limits(connections=4)) as (session, server):
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
        await eventually(lambda: server.connections == 4)
        refused = await exchange(server.port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 503") or refused == b""
        for _, writer in held:
            writer.close()
        await eventually(lambda: server.connections == 0)
        async with session.get("/livez") as answer:
            assert answer.status == 200


async def test_large_heads_and_bodies_are_refused() -> None:
    """Header 16 KiB, body 1 MiB: more is an attack or a mistake."""

    async def accept() -> Reload:
        return Reload()

    async with serving(Daemon(reload=accept)) as (session, server):
        one = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n"
        assert b" 400 " in (await exchange(server.port, one)).split(b"\r\n")[0]
        several = b"".join(b"X-%d: %s\r\n" % (index, b"a" * 1000) for index in range(20))
        answer = await exchange(server.port, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + several + b"\r\n")
        assert b" 431 " in answer.split(b"\r\n")[0]
        headers = {"Content-Type": "application/json"}
        async with session.post("/-/reload", data=io.BytesIO(b"x" * (1024 * 1024 + 1)), headers=headers) as reply:
            assert reply.status == 413


async def test_a_request_that_takes_too_long_ends() -> None:
    """A reload that hangs must not hang its caller."""

    async def forever() -> Reload:
        await asyncio.Event().wait()
        return Reload()

    daemon = Daemon(reload=forever)
    async with serving(daemon, Limits(request_seconds=0.2)) as (session, _), session.post("/-/reload", json={}) as answer:
        assert answer.status == 503


@pytest.mark.parametrize(("living", "status"), [(True, 200), (False, 503)])
async def test_livez_tells_whether_the_loop_runs(living: bool, status: int) -> None:
    """Kubernetes restarts the pod on this answer, and on nothing else."""
    async with serving(Daemon(living=living, reasons=(("store", "full"),))) as (session, _), session.get("/livez") as answer:
        assert answer.status == status


async def test_readyz_names_what_is_missing() -> None:
    """An operator must see why, without reading the log."""
    daemon = Daemon()
    async with serving(daemon) as (session, _):
        async with session.get("/readyz") as answer:
            assert (answer.status, json.loads(await answer.read())) == (200, {"ready": True, "reasons": []})
        daemon.reasons = (("store", "no space left"),)
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert json.loads(await answer.read()) == {
                "ready": False,
                "reasons": [{"subject": "store", "reason": "no space left"}],
            }


async def test_reload_tells_what_is_wrong_with_the_file() -> None:
    """The old configuration stays, and the caller learns why."""
    findings: list[tuple[str, ...]] = [(), ("qobs.yaml:3: sources: unknown key",)]

    async def reload() -> Reload:
        return Reload(findings.pop(0))

    async with serving(Daemon(reload=reload)) as (session, _):
        async with session.post("/-/reload", json={}) as answer:
            assert (answer.status, json.loads(await answer.read())) == (200, {"reloaded": True})
        async with session.post("/-/reload", json={}) as answer:
            assert (answer.status, json.loads(await answer.read())) == (422, {"errors": ["qobs.yaml:3: sources: unknown key"]})


async def test_reload_is_not_for_web_pages() -> None:
    """A page of another site in the operator's browser can send forms, and must not change state here."""
    calls = []

    async def reload() -> Reload:
        calls.append(1)
        return Reload()

    async with serving(Daemon(reload=reload)) as (session, _):
        async with session.post("/-/reload", data={"a": "b"}) as answer:
            assert answer.status == 415
        async with session.post("/-/reload", json={}, headers={"Origin": "https://evil.example"}) as answer:
            assert answer.status == 403
        async with session.get("/-/reload") as answer:
            assert answer.status == 405
    async with serving(Daemon()) as (session, _), session.post("/-/reload", json={}) as answer:
        assert answer.status == 403
    assert not calls


async def test_answers_carry_security_headers_and_no_versions() -> None:
    """Errors too: an attacker learns nothing about what runs here."""
    async with serving(Daemon()) as (session, server):
        for path in ("/", "/metrics", "/livez", "/readyz", "/nothing"):
            async with session.get(path) as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Server"] == "qobs"
        raw = await exchange(server.port, b"\x16\x03\x01 nonsense\r\n\r\n")
    assert raw.startswith(b"HTTP/1.")
    for word in (b"aiohttp", b"Python", b"Traceback"):
        assert word not in raw


async def test_a_bug_in_an_endpoint_shows_nothing_of_the_program(caplog: pytest.LogCaptureFixture) -> None:
    """No traceback leaves the house; it is in the log."""
    daemon = Daemon()
    daemon.metrics = lambda accept: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    async with serving(daemon) as (session, _), session.get("/metrics") as answer:
        assert (answer.status, await answer.read()) == (500, b"internal error\n")
        assert answer.headers["Server"] == "qobs"
    assert "ZeroDivisionError" in caplog.text


async def test_the_landing_page_escapes_what_providers_say() -> None:
    """A backend's name is a stranger's text."""
    rows = (
        SourceRow("lab", "ionq", "jobs", False, NOW, note='<script>alert("x")</script>'),
        SourceRow("a", "ibm", "jobs", None, None),
    )
    backends = (BackendRow("lab", "ionq", "<b>qpu</b>", "online", queue_jobs=3, calibrated_at=NOW),)
    daemon = Daemon(overview=Overview("0.1.0", NOW, rows, backends))
    async with serving(daemon) as (session, _), session.get("/") as answer:
        text = (await answer.read()).decode()
        policy = answer.headers["Content-Security-Policy"]
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;qpu&lt;/b&gt;" in text
    assert "default-src 'none'; style-src 'sha256-" in policy
    assert 'href="/metrics"' in text
    assert 'lang="en"' in text


async def test_stop_lets_a_request_under_way_end() -> None:
    """A scrape in the moment of a restart is answered."""
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Reload:
        started.set()
        await go_on.wait()
        return Reload()

    server = Server(Daemon(reload=slow).surface())
    await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:

        async def ask() -> int:
            async with session.post(f"http://127.0.0.1:{server.port}/-/reload", json={}) as answer:
                return answer.status

        asking = asyncio.create_task(ask())
        await started.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        go_on.set()
        assert await asking == 200
        await stopping
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask()
