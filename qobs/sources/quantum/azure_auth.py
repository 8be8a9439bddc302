"""Who asks: a workspace access key, or an application that signs in and gets bearer tokens. Secrets are read at each use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Protocol
from urllib.parse import quote

from qobs.clock import Clock
from qobs.errors import BadPayload, Refused
from qobs.model import Reason
from qobs.secret import Secret
from qobs.sources.base import Answer, Http
from qobs.sources.decode import decode_object
from qobs.sources.quantum.azure_errors import sign_in_refusal
from qobs.sources.token import Token, TokenCache, with_token_retry

SCOPE = "https://quantum.microsoft.com/.default"
LONGEST_LIFE_SECONDS = 86_400.0
"""No token is trusted for longer than a day, whatever its answer says."""

Call = Callable[[Mapping[str, str]], Awaitable[Answer]]
"""One request with the given headers; raises Refused with reason ``auth`` when they are not accepted."""


class Authorization(Protocol):
    """Makes a call with credentials; tries a second time, once, when they were refused and there are newer ones."""

    async def call(self, http: Http, request: Call) -> Answer:
        """The answer of ``request`` with valid headers.

        Raises:
            SourceError: what ``request`` or the sign-in raised.
        """
        ...


class ApiKey:
    """A workspace access key. A refused key is read again, and used once more if it has been rotated."""

    def __init__(self, read: Callable[[], Secret]) -> None:
        """``read`` gives the current key."""
        self._read = read

    async def call(self, http: Http, request: Call) -> Answer:
        """See :class:`Authorization`."""
        key = self._read()
        try:
            return await request({"x-ms-quantum-api-key": key.reveal()})
        except Refused as refused:
            rotated = self._read()
            if refused.reason is not Reason.AUTH or rotated == key:
                raise
        return await request({"x-ms-quantum-api-key": rotated.reveal()})


class Application:
    """An application (service principal) with a client secret: the client-credentials grant.

    The token is shared by all streams of the source, renewed in time, and replaced once when it is refused.
    """

    def __init__(self, credentials: Mapping[str, Callable[[], Secret]], authority: str, clock: Clock) -> None:
        """``credentials`` has readers of ``tenant_id``, ``client_id`` and ``client_secret``."""
        self._credentials = credentials
        self._authority = authority.rstrip("/")
        self._clock = clock
        self._cache: TokenCache | None = None
        self._http: Http | None = None

    async def call(self, http: Http, request: Call) -> Answer:
        """See :class:`Authorization`."""
        self._http = http
        if self._cache is None:
            self._cache = TokenCache(self._sign_in, self._clock)
        return await with_token_retry(self._cache, lambda token: request({"Authorization": f"Bearer {token.value.reveal()}"}))

    async def _sign_in(self) -> Token:
        if self._http is None:
            raise RuntimeError("the token cache is used by call() only")
        tenant = quote(self._credentials["tenant_id"]().reveal(), safe="")
        issued_at = self._clock.now()
        answer = await self._http.post_form(
            f"{self._authority}/{tenant}/oauth2/v2.0/token",
            endpoint="/{tenant}/oauth2/v2.0/token",
            form={
                "grant_type": "client_credentials",
                "client_id": self._credentials["client_id"]().reveal(),
                "client_secret": self._credentials["client_secret"]().reveal(),
                "scope": SCOPE,
            },
            accept=frozenset({200, 400, 401, 403}),
        )
        if answer.status != 200:
            raise sign_in_refusal(answer)
        value, seconds = read_grant(answer.body)
        return Token(value=value, issued_at=issued_at, expires_at=issued_at + timedelta(seconds=seconds))


def read_grant(body: bytes) -> tuple[Secret, float]:
    """Token and life in seconds, at most a day, from a sign-in answer; the life may be written as text.

    Raises:
        BadPayload: no token, or no positive life.
    """
    grant = decode_object(body, what="sign-in")
    value, life = grant.get("access_token"), grant.get("expires_in")
    try:
        seconds = float(life) if isinstance(life, int | float | str) else 0.0
    except ValueError:
        seconds = 0.0
    if not isinstance(value, str) or not value or not seconds > 0:
        raise BadPayload("sign-in: expected access_token (text) and expires_in (> 0)")
    return Secret(value), min(seconds, LONGEST_LIFE_SECONDS)
