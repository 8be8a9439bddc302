"""Names to addresses: looked up once, in time, in threads of its own, and every address checked before use."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from qobs.sources.guard import Guard

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses as text; raises OSError for a name that does not resolve."""


class NameRefused(OSError):
    """The name does not resolve, not in time, or to an address that may not be reached."""


class GuardedResolver(AbstractResolver):
    """Resolver of one source's connections. A name with one forbidden address is refused whole."""

    def __init__(self, guard: Guard, *, timeout_seconds: float, lookup: Lookup) -> None:
        """Ask ``lookup``, for at most ``timeout_seconds``, and let ``guard`` judge every address."""
        self._guard = guard
        self._timeout = timeout_seconds
        self._lookup = lookup

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """The checked addresses of ``host``.

        Raises:
            NameRefused: no address, no answer in time, or an address that ``host`` may not have.
        """
        if not self._guard.allows_host(host):
            raise NameRefused(f"{host}: the host is not allowed")
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._lookup(host, port)
        except TimeoutError:
            raise NameRefused(f"{host}: no answer from the name service in {self._timeout:g} s") from None
        except (OSError, UnicodeError) as error:
            raise NameRefused(f"{host}: the name does not resolve") from error
        if not found:
            raise NameRefused(f"{host}: the name has no address")
        return [self._checked(host, port, text, family) for text in dict.fromkeys(found)]

    def _checked(self, host: str, port: int, text: str, family: socket.AddressFamily) -> ResolveResult:
        try:
            address = ip_address(text)
        except ValueError:
            raise NameRefused(f"{host}: the name service gave something that is no address") from None
        if not self._guard.allows_address(host, address, port):
            raise NameRefused(f"{host}: resolves to an address that is not public and not in the allow-list")
        return ResolveResult(
            hostname=host,
            host=text,
            port=port,
            family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
            proto=socket.IPPROTO_TCP,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )

    async def close(self) -> None:
        """Nothing is held open."""


class ThreadedLookup:
    """The system's resolver in a few daemon threads of its own.

    A name service that hangs so neither fills the event loop's pool, which the store works in, nor delays the exit.
    """

    def __init__(self, *, threads: int = 4) -> None:
        """Let at most ``threads`` lookups run at a time; others wait, and time out waiting."""
        self._free = asyncio.Semaphore(threads)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Addresses of ``host``; raises OSError as :func:`socket.getaddrinfo`."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()
        threading.Thread(target=self._work, args=(loop, answer, host, port), name="qobs-dns", daemon=True).start()
        return await answer

    def _work(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Sequence[str]], host: str, port: int) -> None:
        result: Sequence[str] | Exception
        try:
            result = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            result = error
        try:
            loop.call_soon_threadsafe(self._finish, answer, result)
        except RuntimeError:
            return  # the loop has ended meanwhile: nobody waits any more

    def _finish(self, answer: asyncio.Future[Sequence[str]], result: Sequence[str] | Exception) -> None:
        """On the loop: the thread is free only now, even where its caller gave up long ago."""
        self._free.release()
        if answer.done():
            return
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
