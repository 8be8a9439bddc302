"""Short-lived access tokens: fetched once, renewed in time, thrown away when refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from qobs.clock import Clock
from qobs.errors import Refused, SourceError
from qobs.model import Reason
from qobs.secret import Secret

T = TypeVar("T")

REFRESH_AT = 0.8
"""Share of its life after which a token is renewed."""
DEAD_SECONDS = 10.0
"""A token is not used in the last seconds of its life: the request has to arrive before it ends."""
RETRY_SECONDS = 30.0
"""Pause after a failed early renewal, while the old token still works."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and its life, by one clock (the provider's or ours: only the difference counts)."""

    value: Secret
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Held:
    token: Token
    renew_at: float
    dead_at: float


class TokenCache:
    """The current token of one account. Safe to share by concurrent requests: one exchange is in flight at a time."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]], clock: Clock) -> None:
        """``fetch`` makes one exchange with the provider; what it raises reaches every caller that needs a token."""
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._held: _Held | None = None

    async def get(self) -> Token:
        """A token with life left: the held one, or a new one after 80 % of its life.

        Where an early renewal fails, the held token serves until 10 s before its end.

        Raises:
            SourceError: no usable token is held and the exchange failed.
        """
        held = self._held
        if held is not None and self._clock.monotonic() < held.renew_at:
            return held.token
        async with self._lock:
            return await self._renew()

    async def _renew(self) -> Token:
        held = self._held
        begun = self._clock.monotonic()
        if held is not None and begun < held.renew_at:
            return held.token
        try:
            token = await self._fetch()
        except SourceError:
            if held is None or self._held is not held or self._clock.monotonic() >= held.dead_at:
                raise
            self._held = _Held(held.token, min(self._clock.monotonic() + RETRY_SECONDS, held.dead_at), held.dead_at)
            return held.token
        self._held = _life(token, begun)
        return token

    def drop(self, token: Token | None = None) -> None:
        """Forget the held token; with ``token`` given only if it is the held one.

        A late refusal of an old token so does not throw away its successor.
        """
        if self._held is not None and (token is None or self._held.token is token):
            self._held = None


def _life(token: Token, begun: float) -> _Held:
    """Deadlines on the monotonic clock, counted from before the exchange: a step of the wall clock does not move them."""
    seconds = (token.expires_at - token.issued_at).total_seconds()
    dead_at = begun + max(seconds - DEAD_SECONDS, 0.0)
    return _Held(token, min(begun + seconds * REFRESH_AT, dead_at), dead_at)


async def with_token_retry(cache: TokenCache, call: Callable[[Token], Awaitable[T]]) -> T:
    """The result of ``call`` with a token; a refused token is replaced and the call repeated exactly once.

    Raises:
        Refused: reason ``auth``, for the second time; any other error of ``call`` or of the exchange at once.
    """
    token = await cache.get()
    try:
        return await call(token)
    except Refused as refused:
        if refused.reason is not Reason.AUTH:
            raise
        cache.drop(token)
    return await call(await cache.get())
