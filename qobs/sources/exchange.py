"""One attempt at one request: what the wire gives becomes a reply, or an error with its bounded reason."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from qobs.errors import BadPayload, SourceError, Unreachable
from qobs.model import Reason
from qobs.sources.connector import HandshakeLost
from qobs.sources.inflate import BodyCut, read_body
from qobs.sources.limits import Limits


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers (names in lower case) and the whole inflated body, which is empty for an unaccepted status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What goes on the wire, and ``where``: method, host and endpoint for messages."""

    method: str
    url: URL
    where: str
    headers: Mapping[str, str]
    data: bytes | None
    accept: frozenset[int]


class Lost(Exception):
    """An attempt that failed in a way that may pass: carries the error to raise when no further attempt is made."""

    def __init__(self, error: SourceError) -> None:
        """Wrap ``error``."""
        super().__init__(str(error))
        self.error = error


async def exchange(session: aiohttp.ClientSession, request: Request, limits: Limits) -> Reply:
    """One request and its reply, within the whole-request deadline.

    Raises:
        Lost: no complete reply; another attempt may succeed.
        BadPayload: a reply that no further attempt will mend (over a limit, unknown coding).
        Unreachable: TLS refused.
    """
    try:
        async with asyncio.timeout(limits.request_seconds):
            return await _exchange(session, request, limits)
    except BodyCut:
        raise Lost(BadPayload(f"{request.where}: compressed body ends too early")) from None
    except BadPayload as error:
        raise BadPayload(f"{request.where}: {error}") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _translated(error, request.where) from None


async def _exchange(session: aiohttp.ClientSession, request: Request, limits: Limits) -> Reply:
    async with session.request(
        request.method, request.url, headers=request.headers, data=request.data, allow_redirects=False
    ) as response:
        headers = _lower(response.headers.items())
        if response.status not in request.accept:
            response.close()
            return Reply(response.status, headers, b"")
        body = await read_body(_chunks(response), coding=headers.get("content-encoding", ""), limit=limits.body_bytes)
        return Reply(response.status, headers, body)


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names in lower case; values of a repeated header joined as RFC 9110 section 5.3 says."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while chunk := await response.content.readany():
        yield chunk


def _translated(error: Exception, where: str) -> Exception:
    """The wire's exception as ours. Its own text is dropped: it may show URLs, headers or bytes of the body."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Lost(Unreachable(f"{where}: {_dns_text(error)}", reason=Reason.DNS))
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Unreachable(f"{where}: {_certificate_text(error)}", reason=Reason.TLS)
    if isinstance(error, HandshakeLost):
        return Lost(Unreachable(f"{where}: the TLS handshake stalled or broke off", reason=Reason.TLS))
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Unreachable(f"{where}: TLS refused", reason=Reason.TLS)
    if isinstance(error, TimeoutError):
        return Lost(Unreachable(f"{where}: no complete answer in time", reason=Reason.TIMEOUT))
    if isinstance(error, aiohttp.ClientPayloadError):
        return Lost(Unreachable(f"{where}: the body did not arrive whole", reason=Reason.CONNECT))
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL | ValueError):
        return Lost(BadPayload(f"{where}: not a valid HTTP answer"))
    return Lost(Unreachable(f"{where}: connection failed ({type(error).__name__})", reason=Reason.CONNECT))


def _dns_text(error: aiohttp.ClientConnectorDNSError) -> str:
    return str(error.os_error.args[0])[:200] if error.os_error.args else "the name does not resolve"


def _certificate_text(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    detail = getattr(cause, "verify_message", "") or "certificate refused"
    return f"TLS certificate refused ({detail[:100]})"
