"""The network edge that every source shares: deadlines, retries, limits and the host guard behind one protocol.

Per attempt: guard → token bucket → exchange → observer. Per request: attempts with full jitter, ``Retry-After`` as lower
bound, the retry budget of the source. Per poll (:meth:`HttpClient.for_poll`): a cap of requests and of time lost.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Protocol, Self
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from qobs.clock import Clock
from qobs.errors import BadPayload, Refused, SourceError
from qobs.model import Reason
from qobs.sources.backoff import backoff_seconds, retry_after_seconds
from qobs.sources.base import Answer
from qobs.sources.connector import Connector
from qobs.sources.exchange import Lost, Reply, Request, exchange
from qobs.sources.guard import Guard
from qobs.sources.limits import Limits
from qobs.sources.ratelimit import RetryBudget, TokenBucket, rate_remaining, rate_reset_seconds
from qobs.sources.redact import redact_url
from qobs.sources.resolver import GuardedResolver, Lookup, ThreadedLookup
from qobs.sources.status import RETRIED, status_class, status_error

_ON_THE_WIRE = re.compile(r"[!-~]+")


class HttpObserver(Protocol):
    """Who wants to count what happens on the wire. All labels are bounded; nothing here is a secret."""

    def request(self, endpoint: str, status_class: str, seconds: float) -> None:
        """One attempt ended: ``status_class`` is ``2xx`` … ``5xx``, or the :class:`~qobs.model.Reason` of no answer."""
        ...

    def retry(self, endpoint: str, reason: Reason, seconds: float) -> None:
        """Another attempt will be made after ``seconds``."""
        ...

    def throttled(self, endpoint: str, seconds: float) -> None:
        """A request waits ``seconds`` for the token bucket or the provider's own limit."""
        ...

    def skew(self, seconds: float) -> None:
        """The provider's clock is ``seconds`` ahead of ours, by its ``Date`` header (whole seconds)."""
        ...

    def rate_remaining(self, requests: int) -> None:
        """Requests that the provider says are left."""
        ...

    def certificate(self, host: str, expires_at: datetime) -> None:
        """A TLS connection was made; ``host``'s certificate ends at ``expires_at``."""
        ...


class SilentObserver:
    """Counts nothing."""

    def request(self, endpoint: str, status_class: str, seconds: float) -> None:
        """Ignore."""

    def retry(self, endpoint: str, reason: Reason, seconds: float) -> None:
        """Ignore."""

    def throttled(self, endpoint: str, seconds: float) -> None:
        """Ignore."""

    def skew(self, seconds: float) -> None:
        """Ignore."""

    def rate_remaining(self, requests: int) -> None:
        """Ignore."""

    def certificate(self, host: str, expires_at: datetime) -> None:
        """Ignore."""


@dataclass(slots=True)
class PollBudget:
    """What one poll has spent so far."""

    requests: int = 0
    lost_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What a client needs from outside: everything that is time, chance or policy."""

    clock: Clock
    rng: Random
    guard: Guard
    limits: Limits = field(default_factory=Limits)
    observer: HttpObserver = field(default_factory=SilentObserver)
    bucket: TokenBucket | None = None
    """Shared by all clients of one account; None: no rate of our own."""
    retries: RetryBudget = field(default_factory=RetryBudget)
    lookup: Lookup | None = None
    """Name service; None: the system's."""
    tls: ssl.SSLContext | None = None
    """Trust; None: the system's certificate authorities. Verification is never off."""
    user_agent: str = "qobs"
    retried: frozenset[int] = frozenset()
    """Statuses that this provider sends for what may pass, beside :data:`qobs.sources.status.RETRIED`."""


class HttpClient:
    """One source's way to the network; satisfies :class:`qobs.sources.base.Http`.

    Used directly, each request is a poll of its own; :meth:`for_poll` gives a view whose requests share one poll budget.
    Make and close it inside the event loop.
    """

    def __init__(self, edge: Edge) -> None:
        """Open no connection yet."""
        self._edge = edge
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def for_poll(self) -> PollHttp:
        """The same client with one budget for all requests made through it: one per poll."""
        return PollHttp(self, PollBudget())

    async def get(
        self,
        url: str,
        *,
        endpoint: str,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] = (),
        accept: frozenset[int] = frozenset({200}),
    ) -> Answer:
        """GET with retries, as :meth:`qobs.sources.base.Http.get`; ``url`` goes on the wire as it stands (:func:`wire_url`)."""
        return await self.for_poll().get(url, endpoint=endpoint, headers=headers, params=params, accept=accept)

    async def post_form(
        self,
        url: str,
        *,
        endpoint: str,
        form: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset({200}),
    ) -> Answer:
        """POST a form once, as :meth:`qobs.sources.base.Http.post_form`."""
        return await self.for_poll().post_form(url, endpoint=endpoint, form=form, headers=headers, accept=accept)

    async def attempt(self, request: Request, endpoint: str) -> Reply:
        """One attempt, observed. Raises as :func:`qobs.sources.exchange.exchange`."""
        edge = self._edge
        begun, asked_at = edge.clock.monotonic(), edge.clock.now()
        try:
            reply = await exchange(self._opened(), request, edge.limits)
        except (Lost, SourceError) as failed:
            error = failed.error if isinstance(failed, Lost) else failed
            edge.observer.request(endpoint, error.reason.value, edge.clock.monotonic() - begun)
            raise
        edge.observer.request(endpoint, status_class(reply.status), edge.clock.monotonic() - begun)
        self._observe_headers(reply, asked_at)
        return reply

    def _observe_headers(self, reply: Reply, asked_at: datetime) -> None:
        edge = self._edge
        if (at := _date(reply.headers.get("date"))) is not None:
            edge.observer.skew((at - (asked_at + (edge.clock.now() - asked_at) / 2)).total_seconds())
        if (left := rate_remaining(reply.headers)) is None:
            return
        edge.observer.rate_remaining(left)
        cap = edge.limits.retry_after_seconds
        reset = rate_reset_seconds(reply.headers, now=edge.clock.now(), cap=cap) if left == 0 else None
        if edge.bucket is not None and reset is not None:
            edge.bucket.close_until(edge.clock.monotonic() + reset)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _session(self._edge)
        return self._session

    @property
    def edge(self) -> Edge:
        """What the client was made with."""
        return self._edge


def _session(edge: Edge) -> aiohttp.ClientSession:
    limits = edge.limits
    resolver = GuardedResolver(edge.guard, timeout_seconds=limits.dns_seconds, lookup=edge.lookup or ThreadedLookup())
    session = aiohttp.ClientSession(
        connector=Connector(resolver, tls=edge.tls, limits=limits, on_certificate=edge.observer.certificate),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_seconds + limits.tls_seconds, sock_read=limits.idle_seconds
        ),
        headers={"User-Agent": edge.user_agent, "Accept-Encoding": "gzip, deflate"},
        auto_decompress=False,
        trust_env=False,
        requote_redirect_url=False,
    )
    # aiohttp's own silent second try of every broken connection would double what the retry budget allows in an outage
    session._retry_connection = False
    return session


class PollHttp:
    """The requests of one poll; satisfies :class:`qobs.sources.base.Http`."""

    def __init__(self, client: HttpClient, budget: PollBudget) -> None:
        """Spend ``budget`` through ``client``."""
        self._client = client
        self._edge = client.edge
        self._budget = budget

    async def get(
        self,
        url: str,
        *,
        endpoint: str,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] = (),
        accept: frozenset[int] = frozenset({200}),
    ) -> Answer:
        """GET with retries, as :meth:`qobs.sources.base.Http.get`; ``url`` goes on the wire as it stands (:func:`wire_url`)."""
        target = wire_url(url, params)
        _check_headers(headers or {}, endpoint)
        request = Request("GET", target, _where("GET", target, endpoint), headers or {}, None, accept)
        return await self._send(request, endpoint, attempts=self._edge.limits.attempts)

    async def post_form(
        self,
        url: str,
        *,
        endpoint: str,
        form: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset({200}),
    ) -> Answer:
        """POST a form once, as :meth:`qobs.sources.base.Http.post_form`."""
        target = wire_url(url)
        _check_headers(headers or {}, endpoint)
        typed = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        body = urlencode(list(form.items())).encode()
        request = Request("POST", target, _where("POST", target, endpoint), typed, body, accept)
        return await self._send(request, endpoint, attempts=1)

    async def _send(self, request: Request, endpoint: str, *, attempts: int) -> Answer:
        edge = self._edge
        edge.guard.check_url(request.url)
        self._budget.requests += 1
        if self._budget.requests > edge.limits.pages_per_poll:
            raise BadPayload(f"{request.where}: over {edge.limits.pages_per_poll} requests in one poll")
        edge.retries.request(edge.clock.monotonic())
        for attempt in range(attempts):
            await self._wait_turn(request, endpoint)
            begun = edge.clock.monotonic()
            try:
                reply = await self._client.attempt(request, endpoint)
            except Lost as lost:
                error = lost.error
            else:
                if reply.status in request.accept:
                    return Answer(reply.status, reply.headers, reply.body, redact_url(str(request.url)))
                error = self._unaccepted(reply, request.where)
            self._budget.lost_seconds += edge.clock.monotonic() - begun
            await self._pause_or_raise(error, endpoint, attempt, last=attempt + 1 >= attempts)
        raise AssertionError("unreachable: the last attempt raises")

    def _unaccepted(self, reply: Reply, where: str) -> SourceError:
        """The error of a status that may pass; raises that of one that will not."""
        edge = self._edge
        wish = retry_after_seconds(reply.headers.get("retry-after"), now=edge.clock.now(), cap=edge.limits.retry_after_seconds)
        error = status_error(reply.status, where, wish)
        if reply.status not in RETRIED and reply.status not in edge.retried:
            raise error
        return error

    async def _pause_or_raise(self, error: SourceError, endpoint: str, attempt: int, *, last: bool) -> None:
        edge = self._edge
        wait = backoff_seconds(attempt, rng=edge.rng, at_least=error.retry_after_seconds or 0.0)
        if last or self._budget.lost_seconds + wait > edge.limits.poll_seconds or not edge.retries.take(edge.clock.monotonic()):
            raise error
        edge.observer.retry(endpoint, error.reason, wait)
        self._budget.lost_seconds += wait
        await edge.clock.sleep(wait)

    async def _wait_turn(self, request: Request, endpoint: str) -> None:
        edge = self._edge
        if edge.bucket is None:
            return
        wait = edge.bucket.reserve(edge.clock.monotonic())
        if wait <= 0:
            return
        edge.observer.throttled(endpoint, wait)
        if wait > edge.limits.poll_seconds:
            edge.bucket.give_back()
            raise Refused(
                f"{request.where}: the account's rate limit is used up", reason=Reason.RATE_LIMITED, retry_after_seconds=wait
            )
        await edge.clock.sleep(wait)


def wire_url(url: str, params: Sequence[tuple[str, str]] = ()) -> URL:
    """``url`` as it goes on the wire: text that is already percent-encoded is not encoded again, nor changed in any way.

    ``params`` are encoded and put behind the query that ``url`` may have. Text with spaces, control or non-ASCII
    characters is not yet encoded and is quoted here. The fragment is dropped.

    Raises:
        BadPayload: not a URL with a host.
    """
    bare = url.partition("#")[0]
    try:
        if params:
            bare += ("&" if "?" in bare else "?") + urlencode(list(params), quote_via=quote)
        target = URL(bare, encoded=_ON_THE_WIRE.fullmatch(bare) is not None)
        known = target.raw_host is not None and target.port is not None
    except ValueError:
        known = False
    if not known:
        raise BadPayload("a URL without a host, or not a URL at all")
    return target


def segment(value: str) -> str:
    """``value`` as one segment of a URL's path, percent-encoded once: a job id can name no other path.

    Example:
        >>> segment("crn:v1:a/b"), segment("..")
        ('crn%3Av1%3Aa%2Fb', '%2E%2E')
    """
    return value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="")


def _check_headers(headers: Mapping[str, str], endpoint: str) -> None:
    """A line break at the end of a secret's file is a common slip: say so, instead of sending a broken request."""
    for name, value in headers.items():
        if not value.isprintable():
            raise Refused(f"{endpoint}: the value of header {name} has a line break or control character", reason=Reason.AUTH)


def _where(method: str, url: URL, endpoint: str) -> str:
    return f"{method} {url.raw_host}{endpoint if endpoint.startswith('/') else ' ' + endpoint}"


def _date(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text) if text and len(text) <= 64 else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)
