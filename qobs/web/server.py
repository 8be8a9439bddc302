"""The HTTP surface: metrics, health, reload and the landing page, with limits that hold against any client.

Everything that the endpoints show is handed in as functions, so that this room knows none of the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from qobs.web import maintenance
from qobs.web.callers import from_here
from qobs.web.connections import SECURITY_HEADERS, Door, Limits
from qobs.web.health import Health
from qobs.web.pages import STYLE_HASH, Overview, landing

LOG = logging.getLogger("qobs.web")

_PIECE_BYTES = 128 * 1024
_POLICY = f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Body(Protocol):
    """One format of the metrics, ready to be sent."""

    @property
    def content_type(self) -> str:
        """The Content-Type header, with version and charset."""
        ...

    @property
    def plain(self) -> bytes:
        """The bytes."""
        ...

    @property
    def packed(self) -> bytes:
        """The same bytes in gzip."""
        ...


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of a reload: no findings means that the new configuration is in use."""

    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surface:
    """What the endpoints show.

    ``metrics`` takes an Accept header and never blocks. ``reload`` and ``maintenance`` None: not offered.
    """

    metrics: Callable[[str], Body | None]
    health: Health
    overview: Callable[[], Overview]
    reload: Callable[[], Awaitable[Reload]] | None = None
    maintenance: maintenance.Book | None = None


def build_app(surface: Surface, limits: Limits) -> web.Application:
    """The application, without a socket."""
    app = web.Application(middlewares=[_guard(limits)], client_max_size=limits.body_bytes)
    app.on_response_prepare.append(_secure)
    app.router.add_get("/", _landing(surface))
    app.router.add_get("/metrics", _metrics(surface))
    app.router.add_get("/livez", _livez(surface))
    app.router.add_get("/readyz", _readyz(surface))
    app.router.add_post("/-/reload", _reload(surface))
    if surface.maintenance is not None:
        maintenance.add_routes(app, surface.maintenance)
    return app


class Server:
    """A listening server; :attr:`port` tells where, once started."""

    def __init__(self, surface: Surface, limits: Limits | None = None) -> None:
        """Nothing listens before :meth:`start`."""
        self._limits = limits or Limits()
        self._runner = web.AppRunner(build_app(surface, self._limits), shutdown_timeout=self._limits.closing_seconds)
        self._sockets: asyncio.Server | None = None
        self._door: Door | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            OSError: the address is taken or not ours.
        """
        await self._runner.setup()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner was set up but has no server")
        self._door = Door(server, self._limits)
        self._sockets = await asyncio.get_running_loop().create_server(self._door, host, port, backlog=128)
        self.port = int(self._sockets.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return 0 if self._door is None else self._door.open

    async def stop(self) -> None:
        """Stop listening, let requests under way end (bounded), close the rest."""
        if self._sockets is not None:
            self._sockets.close()
        await self._runner.cleanup()


# ------------------------------------------------------------------------------------------ for every request


def _guard(limits: Limits) -> Middleware:
    """Header size and time of every request."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        head = len(request.path_qs) + sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
        if head > limits.header_bytes:
            return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        try:
            async with asyncio.timeout(limits.request_seconds):
                return await handler(request)
        except TimeoutError:
            if request.writer.output_size and request.transport is not None:
                request.transport.abort()
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE)

    return guard


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    # aiohttp would name itself and the versions of itself and of Python.
    response.headers["Server"] = "qobs"


def _plain(status: HTTPStatus) -> web.Response:
    return web.Response(status=status, text=f"{status.phrase.lower()}\n")


def _json(status: HTTPStatus, body: object) -> web.Response:
    return web.json_response(body, status=status)


# ----------------------------------------------------------------------------------------------- endpoints


def _metrics(surface: Surface) -> Handler:
    async def metrics(request: web.Request) -> web.StreamResponse:
        body = surface.metrics(",".join(request.headers.getall("Accept", [])))
        if body is None:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE)
        packed = gzip_accepted(",".join(request.headers.getall("Accept-Encoding", [])))
        response = web.StreamResponse(headers={"Content-Type": body.content_type, "Vary": "Accept, Accept-Encoding"})
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        return await _send(request, response, body.packed if packed else body.plain)

    return metrics


async def _send(request: web.Request, response: web.StreamResponse, body: bytes) -> web.StreamResponse:
    """Send piece by piece, each after the client took the one before: a slow client holds one piece, not a copy of all."""
    response.content_length = len(body)
    await response.prepare(request)
    if request.method != "HEAD":
        view = memoryview(body)
        for begin in range(0, len(body), _PIECE_BYTES):
            await response.write(view[begin : begin + _PIECE_BYTES])
    await response.write_eof()
    return response


def gzip_accepted(header: str) -> bool:
    """True where an Accept-Encoding header takes gzip: named, or by ``*``, with a quality above zero.

    Example:
        >>> gzip_accepted("gzip, deflate"), gzip_accepted("gzip;q=0"), gzip_accepted("*;q=0.1"), gzip_accepted("")
        (True, False, True, False)
    """
    qualities = {}
    for part in header.lower().split(","):
        coding, _, parameter = part.partition(";")
        name, _, quality = parameter.strip().partition("=")
        try:
            qualities[coding.strip()] = float(quality) if name.strip() == "q" else 1.0
        except ValueError:
            continue
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _livez(surface: Surface) -> Handler:
    async def livez(request: web.Request) -> web.Response:
        if surface.health.alive():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the event loop has not run lately\n")

    return livez


def _readyz(surface: Surface) -> Handler:
    async def readyz(request: web.Request) -> web.Response:
        readiness = surface.health.ready()
        reasons = [{"subject": subject, "reason": reason} for subject, reason in readiness.reasons]
        status = HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, {"ready": readiness.ready, "reasons": reasons})

    return readyz


def _reload(surface: Surface) -> Handler:
    async def reload(request: web.Request) -> web.Response:
        if request.content_type != "application/json" or "Content-Type" not in request.headers:
            return _json(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {"errors": ["Content-Type must be application/json"]})
        if surface.reload is None or not from_here(request):
            return _json(HTTPStatus.FORBIDDEN, {"errors": ["reload is open to programs on this machine only"]})
        await request.read()
        outcome = await surface.reload()
        if outcome.findings:
            return _json(HTTPStatus.UNPROCESSABLE_ENTITY, {"errors": list(outcome.findings)})
        return _json(HTTPStatus.OK, {"reloaded": True})

    return reload


def _landing(surface: Surface) -> Handler:
    async def page(request: web.Request) -> web.Response:
        text = landing(surface.overview())
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _POLICY})

    return page
