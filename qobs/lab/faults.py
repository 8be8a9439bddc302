"""Faults in front of an emulated cloud: scripted, by path and by the number of the request, the same on every run.

::

    faults = Faults()
    faults.add(status(429, headers={"Retry-After": "7"}), path="/v0.4/jobs", first=2)
    faults.install(application)

A fault stands between the caller and the cloud: it answers itself, or spoils the cloud's own answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Please sign in</form></body></html>"


@dataclass(frozen=True, slots=True)
class Meeting:
    """One request that a fault has caught: the request, the cloud's own handler, and the end of the test."""

    request: web.Request
    handler: Handler
    released: asyncio.Event


Fault = Callable[[Meeting], Awaitable[web.StreamResponse]]
"""What happens instead of the cloud's answer."""


@dataclass(slots=True)
class _Rule:
    fault: Fault
    path: str
    method: str
    first: int
    last: int | None
    met: int = 0

    def catches(self, request: web.Request) -> bool:
        """Count a request of this path, and say whether it is one of those to be spoilt."""
        if request.method != self.method or not fnmatchcase(request.path, self.path):
            return False
        self.met += 1
        return self.met >= self.first and (self.last is None or self.met <= self.last)


@dataclass(slots=True)
class Faults:
    """The script, and the log of what was asked."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request, in order of arrival."""
    _rules: list[_Rule] = field(default_factory=list)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, fault: Fault, *, path: str = "*", method: str = "GET", first: int = 1, times: int | None = 1) -> None:
        """Let ``fault`` happen to requests number ``first`` (from 1) and on, ``times`` of them (None: for ever).

        ``path`` is a shell pattern (``/jobs/*``). Each rule counts its own requests; of several that catch one request,
        the first added happens.
        """
        self._rules.append(_Rule(fault, path, method, first, None if times is None else first + times - 1))

    def clear(self) -> None:
        """Forget the script and let go of everything that stalls; the log stays."""
        self._rules.clear()
        self._released.set()
        self._released = asyncio.Event()

    def count(self, path: str) -> int:
        """How many requests had a path of this pattern."""
        return sum(1 for _, asked in self.requests if fnmatchcase(asked, path))

    def install(self, application: web.Application) -> web.Application:
        """Put the script in front of ``application``, before it is served; returns the application."""
        application.middlewares.insert(0, self._middleware())
        application.on_shutdown.append(self._release)
        return application

    async def _release(self, _: web.Application) -> None:
        self._released.set()

    def _middleware(self) -> Middleware:
        @web.middleware
        async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.requests.append((request.method, request.path))
            # every rule counts, also those that come too late for this request
            caught = [rule for rule in self._rules if rule.catches(request)]
            if not caught:
                return await handler(request)
            return await caught[0].fault(Meeting(request, handler, self._released))

        return spoil


# ------------------------------------------------------------------------------------------- faults that answer


def status(code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Fault:
    """An answer of one status, body and headers."""

    async def fault(_: Meeting) -> web.StreamResponse:
        return web.Response(status=code, body=body, headers=headers)

    return fault


def body(content: bytes, content_type: str = "application/json") -> Fault:
    """A 200 with a body that no record is in: empty, ``null``, a login page."""

    async def fault(_: Meeting) -> web.StreamResponse:
        return web.Response(body=content, content_type=content_type)

    return fault


def login_page() -> Fault:
    """A 200 with HTML, as gateways send when a session has ended."""
    return body(LOGIN_PAGE, "text/html")


def stall() -> Fault:
    """No answer until the script is cleared or the server goes down."""

    async def fault(met: Meeting) -> web.StreamResponse:
        await met.released.wait()
        return web.Response(status=503)

    return fault


# ------------------------------------------------------------------------------------------- faults that spoil


async def _whole(met: Meeting) -> web.Response:
    response = await met.handler(met.request)
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        raise TypeError(f"{met.request.path}: only plain responses can be spoilt")
    return response


def _like(response: web.Response, content: bytes) -> web.Response:
    headers = {name: value for name, value in response.headers.items() if name not in ("Content-Length", "Content-Type")}
    return web.Response(status=response.status, body=content, headers=headers, content_type=response.content_type)


def truncated(keep: float = 0.5) -> Fault:
    """The first part of the cloud's answer, sent as if it were whole: valid HTTP, broken JSON."""

    async def fault(met: Meeting) -> web.StreamResponse:
        response = await _whole(met)
        content = bytes(response.body or b"")  # type: ignore[arg-type]
        return _like(response, content[: int(len(content) * keep)])

    return fault


def reset() -> Fault:
    """The connection is torn down in the middle of the cloud's answer."""

    async def fault(met: Meeting) -> web.StreamResponse:
        response = await _whole(met)
        content = bytes(response.body or b"")  # type: ignore[arg-type]
        torn = web.StreamResponse(status=response.status, headers={"Content-Type": "application/json"})
        torn.content_length = len(content) + 1
        await torn.prepare(met.request)
        await torn.write(content[: len(content) // 2])
        if met.request.transport is not None:
            met.request.transport.close()
        return torn

    return fault


def edited(edit: Callable[[Any], Any]) -> Fault:
    """The cloud's answer with its JSON passed through ``edit``: wrong types, new words, doubled or reordered rows.

    ``edit`` may change its argument in place and return None, or return another value.
    """

    async def fault(met: Meeting) -> web.StreamResponse:
        response = await _whole(met)
        value = json.loads(response.body)  # type: ignore[arg-type]
        changed = edit(value)
        return _like(response, json.dumps(value if changed is None else changed).encode())

    return fault


def replayed() -> Fault:
    """The cloud's first answer again and again, whatever is asked: a cursor that never moves."""
    kept: list[web.Response] = []

    async def fault(met: Meeting) -> web.StreamResponse:
        if not kept:
            kept.append(await _whole(met))
        return _like(kept[0], bytes(kept[0].body or b""))  # type: ignore[arg-type]

    return fault
