"""Maintenance windows: those of the configuration and those that callers add, kept in the store with their audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from http import HTTPStatus

from msgspec.structs import replace

from qobs.clock import Clock
from qobs.config.records import Maintenance
from qobs.daemon.sink import StoreSink
from qobs.exclusion import Exclusion, ExclusionChange
from qobs.store.base import Store
from qobs.web.maintenance import Refused, Wanted

CONFIGURATION = "configuration"
"""Author of the windows that the configuration file names: only it may change or withdraw them."""


def of_configuration(window: Maintenance, now: datetime) -> Exclusion:
    """A configured window as an exclusion. Its id follows from scope and times, so that a new reason is a change."""
    scope = {label: tuple(sorted(values)) for label, values in sorted(window.scope.items())}
    return Exclusion(
        id=f"config-{_digest(scope, window.from_at, window.to_at)}",
        from_at=window.from_at,
        to_at=window.to_at,
        reason=window.reason,
        scope=scope,
        author=CONFIGURATION,
        created_at=now,
    )


def adopt(store: Store, windows: Iterable[Maintenance], now: datetime) -> bool:
    """Make the store's configured exclusions those of ``windows``; those of other authors stay. True: something changed."""
    wanted = {exclusion.id: exclusion for exclusion in (of_configuration(window, now) for window in windows)}
    changed = [store.put_exclusion(exclusion, at=now, author=CONFIGURATION) for exclusion in wanted.values()]
    for exclusion in store.exclusions():
        if exclusion.author == CONFIGURATION and exclusion.id not in wanted:
            changed.append(store.withdraw_exclusion(exclusion.id, at=now, author=CONFIGURATION, detail="no longer configured"))
    return any(changed)


def _digest(scope: Mapping[str, tuple[str, ...]], *moments: datetime) -> str:
    told = json.dumps([scope, *(moment.isoformat() for moment in moments)])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


class MaintenanceBook:
    """What callers may do with maintenance windows; each change is in the audit before the answer is sent."""

    def __init__(self, sink: StoreSink, clock: Clock, on_change: Callable[[], Awaitable[None]]) -> None:
        """``on_change`` has objectives counted again without, or with, what a window covers."""
        self._sink, self._clock, self._on_change = sink, clock, on_change

    async def windows(self) -> tuple[tuple[Exclusion, ...], tuple[ExclusionChange, ...]]:
        """All windows, withdrawn ones too, and the audit."""
        store = self._sink.store
        return await self._sink.read(lambda: (store.exclusions(withdrawn=True), store.exclusion_log()))

    async def add(self, wanted: Wanted) -> Exclusion:
        """Put a window in force; asked for twice, it is the same window."""
        now = self._clock.now()
        exclusion = Exclusion(
            id=f"api-{_digest(wanted.scope, wanted.from_at, wanted.to_at)}",
            from_at=wanted.from_at,
            to_at=wanted.to_at,
            reason=wanted.reason,
            scope=wanted.scope,
            author=wanted.author,
            created_at=now,
        )
        return await self._put(exclusion, wanted.author, now)

    async def withdraw(self, id: str, author: str) -> Exclusion:
        """Take one out of force; what it covered counts again.

        Raises:
            Refused: it is not known, not in force, or the configuration's.
        """
        held = await self._own(id)
        if held.withdrawn_at is not None:
            raise Refused(HTTPStatus.CONFLICT, f"{id} was withdrawn at {held.withdrawn_at.isoformat()} already")
        now = self._clock.now()
        await self._sink.run(lambda: self._sink.store.withdraw_exclusion(id, at=now, author=author))
        await self._on_change()
        return replace(held, withdrawn_at=now)

    async def restore(self, id: str, author: str) -> Exclusion:
        """Put a withdrawn one back in force.

        Raises:
            Refused: it is not known, in force already, or the configuration's.
        """
        held = await self._own(id)
        if held.withdrawn_at is None:
            raise Refused(HTTPStatus.CONFLICT, f"{id} is in force already")
        return await self._put(replace(held, withdrawn_at=None), author, self._clock.now())

    async def _put(self, exclusion: Exclusion, author: str, now: datetime) -> Exclusion:
        if await self._sink.run(lambda: self._sink.store.put_exclusion(exclusion, at=now, author=author)):
            await self._on_change()
        return exclusion

    async def _own(self, id: str) -> Exclusion:
        held = {each.id: each for each in (await self.windows())[0]}.get(id)
        if held is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"no maintenance window has the id {id[:80]!r}")
        if held.author == CONFIGURATION:
            raise Refused(HTTPStatus.CONFLICT, f"{id} comes from the configuration: change it there, and reload")
        return held
