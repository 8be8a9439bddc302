"""Connections that cannot hurt: a cap on their number, an end to those that do not read, errors that tell nothing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

LOG = logging.getLogger("qobs.web")

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost. Times in seconds, sizes in bytes."""

    connections: int = 256
    header_bytes: int = 16 * 1024
    body_bytes: int = 1024 * 1024
    request_seconds: float = 30.0
    """The longest that a request may take, and the longest that a connection may be idle or take over its head."""
    stalled_seconds: float = 10.0
    """The longest that a client may leave sent bytes unread."""
    closing_seconds: float = 5.0
    """The longest that a stop waits for requests under way."""


class Door:
    """Makes one protocol a connection, up to a cap, and counts those that are open."""

    def __init__(self, server: web.Server, limits: Limits) -> None:
        """``server`` is aiohttp's: it knows how to handle a request."""
        self._server = server
        self.limits = limits
        self.open = 0
        """Connections that are open now."""

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Connection(self._server, self)

    def enter(self) -> bool:
        """Count one more; False where that is one too many."""
        self.open += 1
        return self.open <= self.limits.connections

    def leave(self) -> None:
        """Count one less."""
        self.open -= 1


class _Connection(RequestHandler):
    """aiohttp's protocol of one connection, with a cap in front and a timer behind."""

    __slots__ = ("_door", "_refused", "_stalled")

    def __init__(self, server: web.Server, door: Door) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=door.limits.request_seconds,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=door.limits.header_bytes,
            max_field_size=door.limits.header_bytes,
            lingering_time=1.0,
        )
        self._door = door
        self._refused = False
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        # Any byte that the client has not taken pauses us: so the timer below sees every client that does not read.
        stream.set_write_buffer_limits(high=0)
        if self._door.enter():
            super().connection_made(transport)
        else:
            self._refused = True
            stream.write(_FULL)
            stream.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._door.leave()
        self._calm()
        if not self._refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def eof_received(self) -> None:
        if not self._refused:
            super().eof_received()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None and self.transport is not None:
            self._stalled = self._loop.call_later(self._door.limits.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._calm()
        super().resume_writing()

    def _calm(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """An answer without a word about the program; what happened goes to the log, a bad request quietly."""
        LOG.log(logging.ERROR if status >= 500 else logging.DEBUG, "request failed: status=%d", status, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun and cannot become an error")
        response = web.Response(status=status, text="bad request\n" if status < 500 else "internal error\n")
        response.headers.update(SECURITY_HEADERS)
        response.headers["Server"] = "qobs"
        response.force_close()
        return response


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer; the content security policy is the pages' own."""
