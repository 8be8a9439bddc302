"""Connections that were checked: aiohttp's connector with our resolver, no name cache, and an eye on the certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp

from qobs.sources.limits import Limits
from qobs.sources.resolver import GuardedResolver

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class HandshakeLost(aiohttp.ClientError):
    """The TCP connection stood, but the TLS handshake stalled or broke off."""


class _WatchedSocket(socket.socket):
    """A socket that knows whether its TCP connection ever stood: what tells a stalled handshake from a dead host."""

    stood = False

    def getsockopt(self, *args: Any) -> Any:
        """The option; the event loop reads the pending error exactly when the connection stands or fails."""
        value = super().getsockopt(*args)
        if args[:2] == (socket.SOL_SOCKET, socket.SO_ERROR) and value == 0:
            self.stood = True
        return value


_SOCKETS: ContextVar[list[_WatchedSocket] | None] = ContextVar("qobs_sockets", default=None)
"""Sockets made for the request of the current task."""


def _watched_socket(address: tuple[Any, ...]) -> socket.socket:
    made = _WatchedSocket(family=address[0], type=address[1], proto=address[2])
    sockets = _SOCKETS.get()
    if sockets is not None:
        sockets.append(made)
    return made


class Connector(aiohttp.TCPConnector):
    """TCP and TLS to checked addresses only; every request tells the end of its connection's certificate."""

    def __init__(
        self,
        resolver: GuardedResolver,
        *,
        tls: ssl.SSLContext | None,
        limits: Limits,
        on_certificate: Callable[[str, datetime], None],
    ) -> None:
        """``tls`` None trusts the system's authorities."""
        super().__init__(
            resolver=resolver,
            use_dns_cache=False,
            ssl=tls if tls is not None else True,
            limit=limits.connections,
            socket_factory=_watched_socket,
        )
        self._on_certificate = on_certificate

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109 (aiohttp's name)
        """A connection from the pool or a new one.

        Raises:
            HandshakeLost: TCP connected, but TLS did not come about in time; a refused certificate raises aiohttp's own error.
        """
        sockets: list[_WatchedSocket] = []
        _SOCKETS.set(sockets)
        try:
            connection = await super().connect(req, traces, timeout)
        except aiohttp.ClientSSLError:
            raise
        except (OSError, aiohttp.ClientConnectorError) as error:
            if req.is_ssl() and any(made.stood for made in sockets):
                raise HandshakeLost("TLS handshake failed") from error
            raise
        if connection.transport is not None:
            expires_at = _expires_at(connection.transport.get_extra_info("peercert"))
            if expires_at is not None and req.url.raw_host is not None:
                self._on_certificate(req.url.raw_host, expires_at)
        return connection


def _expires_at(certificate: object) -> datetime | None:
    """``notAfter`` of a verified peer certificate; None for plain connections."""
    text = certificate.get("notAfter") if isinstance(certificate, dict) else None
    if not isinstance(text, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
