"""Maintenance windows and their audit: a window is changed only together with the line of the log that tells it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from qobs.errors import StoreError
from qobs.exclusion import Exclusion, ExclusionChange
from qobs.model import from_micros, to_micros

ADDED, CHANGED, WITHDRAWN, RESTORED = "added", "changed", "withdrawn", "restored"

_SCOPE = msgspec.json.Decoder(dict[str, tuple[str, ...]])
_EXCLUSION = msgspec.json.Decoder(Exclusion)
_encode = msgspec.json.Encoder(order="deterministic").encode
_COLUMNS = "id, from_at, to_at, reason, scope, author, created_at, withdrawn_at"


class Line(NamedTuple):
    """A line of the log with its number and the exclusion as it left it."""

    number: int
    change: ExclusionChange
    content: Exclusion


def put(connection: sqlite3.Connection, exclusion: Exclusion, at: datetime, author: str) -> bool:
    """Bring an exclusion in force as it is given, inside the caller's transaction; False: it is so already.

    Its first ``created_at`` stays; ``author`` stands in for an exclusion that names none.

    Raises:
        StoreError: it cannot be kept.
    """
    _check(exclusion, author)
    known = read_one(connection, exclusion.id)
    created_at = exclusion.created_at or at if known is None else known.created_at
    new = msgspec.structs.replace(
        exclusion, author=exclusion.author or author, created_at=created_at, withdrawn_at=None, scope=dict(exclusion.scope)
    )
    if known is None:
        _write(connection, new, ExclusionChange(id=new.id, at=at, action=ADDED, author=author, detail=_told(new)))
        return True
    detail = _difference(known, new)
    if known.withdrawn_at is None and not detail:
        return False
    action = CHANGED if known.withdrawn_at is None else RESTORED
    _write(connection, new, ExclusionChange(id=new.id, at=at, action=action, author=author, detail=detail))
    return True


def withdraw(connection: sqlite3.Connection, id_: str, at: datetime, author: str, detail: str) -> bool:
    """Take an exclusion out of force, inside the caller's transaction; False: unknown, or withdrawn already.

    Raises:
        StoreError: author or detail cannot be kept.
    """
    _check_text(id=id_, author=author, detail=detail)
    known = read_one(connection, id_)
    if known is None or known.withdrawn_at is not None:
        return False
    change = ExclusionChange(id=id_, at=at, action=WITHDRAWN, author=author, detail=detail)
    _write(connection, msgspec.structs.replace(known, withdrawn_at=at), change)
    return True


def read(connection: sqlite3.Connection, *, withdrawn: bool) -> tuple[Exclusion, ...]:
    """All exclusions, or those in force, by the time they begin at."""
    which = "" if withdrawn else "WHERE withdrawn_at IS NULL "
    rows = connection.execute(f"SELECT {_COLUMNS} FROM exclusions {which}ORDER BY from_at, created_at, id")  # noqa: S608
    return tuple(_exclusion(row) for row in rows)


def read_one(connection: sqlite3.Connection, id_: str) -> Exclusion | None:
    """One exclusion, in force or not; None: unknown."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM exclusions WHERE id = ?", (id_,)).fetchone()  # noqa: S608
    return None if row is None else _exclusion(row)


def lines(connection: sqlite3.Connection) -> Iterator[Line]:
    """The log as it was written."""
    for number, id_, at, action, author, detail, content in connection.execute(
        "SELECT number, id, at, action, author, detail, content FROM exclusion_log ORDER BY number"
    ):
        change = ExclusionChange(id=id_, at=from_micros(at), action=action, author=author, detail=detail)
        yield Line(number, change, _EXCLUSION.decode(content))


def append(connection: sqlite3.Connection, change: ExclusionChange, content: Exclusion) -> None:
    """Add a line to the log, and make the table say what the line says."""
    _write(connection, content, change)


def differences(connection: sqlite3.Connection) -> Iterator[str]:
    """One line for each exclusion that is not what the log makes of it."""
    replayed = {line.change.id: line.content for line in lines(connection)}
    kept = {exclusion.id: exclusion for exclusion in read(connection, withdrawn=True)}
    for id_ in sorted(replayed.keys() | kept.keys()):
        if replayed.get(id_) != kept.get(id_):
            yield f"exclusion {id_!r}: kept {kept.get(id_)!r}, by its log {replayed.get(id_)!r}"


def _write(connection: sqlite3.Connection, exclusion: Exclusion, change: ExclusionChange) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO exclusions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
        (
            exclusion.id,
            to_micros(exclusion.from_at),
            to_micros(exclusion.to_at),
            exclusion.reason,
            _encode(exclusion.scope).decode(),
            exclusion.author,
            to_micros(exclusion.created_at or change.at),
            None if exclusion.withdrawn_at is None else to_micros(exclusion.withdrawn_at),
        ),
    )
    connection.execute(
        "INSERT INTO exclusion_log (id, at, action, author, detail, content) VALUES (?, ?, ?, ?, ?, ?)",
        (change.id, to_micros(change.at), change.action, change.author, change.detail, _encode(exclusion)),
    )


def _exclusion(row: tuple[str, int, int, str, str, str, int, int | None]) -> Exclusion:
    id_, from_at, to_at, reason, scope, author, created_at, withdrawn_at = row
    return Exclusion(
        id=id_,
        from_at=from_micros(from_at),
        to_at=from_micros(to_at),
        reason=reason,
        scope=_SCOPE.decode(scope),
        author=author,
        created_at=from_micros(created_at),
        withdrawn_at=None if withdrawn_at is None else from_micros(withdrawn_at),
    )


def _check(exclusion: Exclusion, author: str) -> None:
    if not exclusion.id:
        raise StoreError("exclusion: id: '' found, a name that is not empty allowed")
    if exclusion.from_at >= exclusion.to_at:
        raise StoreError(
            f"exclusion {exclusion.id!r}: from_at: {exclusion.from_at.isoformat()} found,"
            f" a time before to_at ({exclusion.to_at.isoformat()}) allowed"
        )
    texts = {f"scope.{label}": f"{label}{''.join(values)}" for label, values in exclusion.scope.items()}
    _check_text(id=exclusion.id, reason=exclusion.reason, author=exclusion.author + author, **texts)


def _check_text(**texts: str) -> None:
    """Text that is not Unicode (a lone surrogate out of JSON) can be kept by no database."""
    for name, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise StoreError(f"exclusion: {name!a}: {text[error.start]!a} found, Unicode text allowed") from error


def _told(exclusion: Exclusion) -> str:
    """An exclusion in short words."""
    return (
        f"{exclusion.from_at.isoformat()} to {exclusion.to_at.isoformat()}, scope {_scope(exclusion.scope)}:"
        f" {exclusion.reason or '(no reason)'}"
    )


def _difference(old: Exclusion, new: Exclusion) -> str:
    """What a change changes, old → new; empty: nothing that counts."""
    pairs = (
        (old.from_at != new.from_at, "from_at", old.from_at.isoformat(), new.from_at.isoformat()),
        (old.to_at != new.to_at, "to_at", old.to_at.isoformat(), new.to_at.isoformat()),
        (old.reason != new.reason, "reason", repr(old.reason), repr(new.reason)),
        (_sets(old.scope) != _sets(new.scope), "scope", _scope(old.scope), _scope(new.scope)),
    )
    return "; ".join(f"{name}: {before} → {after}" for differs, name, before, after in pairs if differs)


def _sets(scope: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    return {label: frozenset(values) for label, values in scope.items()}


def _scope(scope: Mapping[str, tuple[str, ...]]) -> str:
    """A scope in one spelling, whatever the order of its labels and values.

    Example:
        >>> _scope({"team": ("b", "a"), "backend": ("fez",)})
        'backend=fez, team=a|b'
        >>> _scope({})
        'everything'
    """
    return ", ".join(f"{label}={'|'.join(sorted(set(values)))}" for label, values in sorted(scope.items())) or "everything"
