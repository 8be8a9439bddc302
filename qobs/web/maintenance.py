"""``/api/v1/maintenance``: look at maintenance windows and their audit, add, withdraw and restore them.

Looking is open to whoever may scrape; changing is for programs on this machine, as a reload is.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from qobs.exclusion import Exclusion, ExclusionChange
from qobs.web.callers import from_here

LABELS = ("provider", "source", "backend", "sli", "priority", "workload", "team", "slo", "service")
"""Labels that a scope may name."""

LONGEST_TEXT = 500
MOST_VALUES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A window that a caller asks for."""

    scope: Mapping[str, tuple[str, ...]]
    from_at: datetime
    to_at: datetime
    reason: str
    author: str


class Refused(Exception):
    """The change cannot be made: a status and the reason in words."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        """``reason`` is shown to the caller."""
        super().__init__(reason)
        self.status = status


class Book(Protocol):
    """Where windows are kept. Changes raise :class:`Refused`."""

    async def windows(self) -> tuple[tuple[Exclusion, ...], tuple[ExclusionChange, ...]]:
        """All windows, withdrawn ones too, and the audit."""
        ...

    async def add(self, wanted: Wanted) -> Exclusion:
        """Put a window in force."""
        ...

    async def withdraw(self, id: str, author: str) -> Exclusion:
        """Take one out of force."""
        ...

    async def restore(self, id: str, author: str) -> Exclusion:
        """Put a withdrawn one back in force."""
        ...


def add_routes(app: web.Application, book: Book) -> None:
    """The endpoints of ``book``."""
    app.router.add_get("/api/v1/maintenance", _list(book))
    app.router.add_post("/api/v1/maintenance", _changing(lambda request, body: book.add(_wanted(body)), HTTPStatus.CREATED))
    app.router.add_delete(
        "/api/v1/maintenance/{id}", _changing(lambda request, body: book.withdraw(request.match_info["id"], _author(body)))
    )
    app.router.add_post(
        "/api/v1/maintenance/{id}/restore", _changing(lambda request, body: book.restore(request.match_info["id"], _author(body)))
    )


def _list(book: Book) -> Handler:
    async def windows(request: web.Request) -> web.Response:
        held, audit = await book.windows()
        return web.json_response({"maintenance": [window_json(each) for each in held], "log": [_change(each) for each in audit]})

    return windows


def _changing(
    change: Callable[[web.Request, dict[str, Any]], Awaitable[Exclusion]], status: HTTPStatus = HTTPStatus.OK
) -> Handler:
    async def changed(request: web.Request) -> web.Response:
        if request.content_type != "application/json" or "Content-Type" not in request.headers:
            return _errors(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
        if not from_here(request):
            return _errors(HTTPStatus.FORBIDDEN, "changes are open to programs on this machine only")
        try:
            made = await change(request, _object(await request.read()))
        except Refused as refused:
            return _errors(refused.status, str(refused))
        return web.json_response(window_json(made), status=status)

    return changed


def _errors(status: HTTPStatus, *reasons: str) -> web.Response:
    return web.json_response({"errors": list(reasons)}, status=status)


def window_json(window: Exclusion) -> dict[str, Any]:
    """One window as the API shows it; times in RFC 3339, null where there is none."""
    return {
        "id": window.id,
        "scope": {label: list(values) for label, values in window.scope.items()},
        "from": _time(window.from_at),
        "to": _time(window.to_at),
        "reason": window.reason,
        "author": window.author,
        "created_at": _time(window.created_at),
        "withdrawn_at": _time(window.withdrawn_at),
    }


def _change(change: ExclusionChange) -> dict[str, Any]:
    return {"id": change.id, "at": _time(change.at), "action": change.action, "author": change.author, "detail": change.detail}


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


# ------------------------------------------------------------------------------------------- what callers send


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return told


def _wanted(body: dict[str, Any]) -> Wanted:
    allowed = ("scope", "from", "to", "reason", "author")
    if unknown := sorted(set(body) - set(allowed)):
        raise _unusable(unknown[0][:40], "an unknown key", f"allowed: {', '.join(allowed)}")
    begin, end = _moment(body, "from"), _moment(body, "to")
    if begin >= end:
        raise _unusable("to", _time(end), "`from` must lie before `to`")
    return Wanted(scope=_scope(body), from_at=begin, to_at=end, reason=_text(body, "reason"), author=_author(body))


def _scope(body: dict[str, Any]) -> Mapping[str, tuple[str, ...]]:
    scope = body.get("scope")
    if not isinstance(scope, dict):
        raise _unusable("scope", scope, 'must be an object of labels, such as {"backend": "ibm_fez"}; {} means everything')
    found = {}
    for label, given in scope.items():
        values = given if isinstance(given, list) else [given]
        if label not in LABELS:
            raise _unusable(f"scope.{label[:40]}", "an unknown label", f"allowed: {', '.join(LABELS)}")
        fits = all(isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT for value in values)
        if not fits or not 0 < len(values) <= MOST_VALUES:
            raise _unusable(f"scope.{label}", given, f"must be a text, or a list of 1 to {MOST_VALUES} texts")
        found[label] = tuple(sorted(set(values)))
    return dict(sorted(found.items()))


def _moment(body: dict[str, Any], key: str) -> datetime:
    text = body.get(key)
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _unusable(key, text, "must be a time with its offset, such as 2026-12-01T08:00:00Z")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise _unusable(key, text, "must lie between the years 1 and 9999") from None


def _text(body: dict[str, Any], key: str) -> str:
    text = body.get(key)
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT or not text.isprintable():
        raise _unusable(key, text, f"must be a text of 1 to {LONGEST_TEXT} characters on one line")
    return text.strip()


def _author(body: dict[str, Any]) -> str:
    return _text(body, "author") if "author" in body else "api"


def _unusable(path: str, found: object, hint: str) -> Refused:
    shown = json.dumps(found) if not isinstance(found, str) else repr(found)
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{path}: found {shown[:80]}; {hint}")
