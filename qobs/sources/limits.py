"""The caps of the network edge (reliability rule R7): what one answer, one request and one poll may cost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every cap and deadline of an outgoing request. All are positive; the defaults are the product's."""

    body_bytes: int = 32 * 1024 * 1024
    """Bytes of one body after decompression, counted while inflating: a compressed bomb is cut here."""
    json_depth: int = 64
    """Nesting of objects and arrays; deeper JSON is refused before it is parsed."""
    records_per_page: int = 10_000
    """Records of one answer."""
    pages_per_poll: int = 10_000
    """Requests of one poll: a page token that repeats for ever ends here."""
    string_bytes: int = 64 * 1024
    """UTF-8 bytes of one JSON string; a longer one sets its record aside."""
    dns_seconds: float = 5.0
    """Time to resolve a name."""
    connect_seconds: float = 5.0
    """Time for the TCP connection."""
    tls_seconds: float = 5.0
    """Time for the TLS handshake."""
    idle_seconds: float = 15.0
    """Longest silence between two reads."""
    request_seconds: float = 60.0
    """Whole request, headers and body: what ends a body that trickles one byte at a time."""
    attempts: int = 6
    """Tries of one request, the first one included."""
    poll_seconds: float = 300.0
    """Time that one poll may lose to failed attempts and waits. Time spent on good pages is not counted, so that a long
    backlog is not given up because of its length."""
    retry_after_seconds: float = 3600.0
    """Longest wish of a provider that is honoured."""
    connections: int = 4
    """Connections of one source at a time."""


class ByteGate:
    """Admission between fetch and commit, bounded by bytes: who does not fit waits, in order of arrival.

    Something larger than the whole capacity is admitted alone, so that it passes without a deadlock.
    """

    def __init__(self, capacity: int) -> None:
        """Let at most ``capacity`` bytes (> 0) be held at a time."""
        if capacity <= 0:
            raise ValueError(f"capacity must be > 0, but capacity={capacity}")
        self._capacity = capacity
        self._held = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def capacity(self) -> int:
        """Bytes that may be held at a time."""
        return self._capacity

    @property
    def bytes(self) -> int:
        """Bytes held now; above :attr:`capacity` only while one oversized holder is alone."""
        return self._held

    @property
    def waiting(self) -> int:
        """Holders that wait for room."""
        return len(self._waiters)

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold ``size`` bytes (>= 0) for the body of the ``async with``; waits until there is room."""
        if size < 0:
            raise ValueError(f"size must be >= 0, but size={size}")
        await self._acquire(size)
        try:
            yield
        finally:
            self._held -= size
            self._admit()

    def _fits(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._capacity

    async def _acquire(self, size: int) -> None:
        if not self._waiters and self._fits(size):
            self._held += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(size, turn)
            raise

    def _leave(self, size: int, turn: asyncio.Future[None]) -> None:
        """Undo a cancelled wait: whether or not the turn had come, nobody behind it may starve."""
        if turn.done() and not turn.cancelled():
            self._held -= size
        else:
            self._waiters.remove((size, turn))
        self._admit()

    def _admit(self) -> None:
        while self._waiters and self._fits(self._waiters[0][0]):
            size, turn = self._waiters.popleft()
            if turn.done():
                continue
            self._held += size
            turn.set_result(None)
