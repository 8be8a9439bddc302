"""A clock that a test or a demo can set, speed up or hold still."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta


class LabClock:
    """Wall time that runs ``speed`` times as fast as the machine's monotonic clock (0: stands still until moved).

    It satisfies :class:`qobs.clock.Clock`, so that the daemon and the emulated clouds can share it.
    """

    def __init__(self, start: datetime, *, speed: float = 0.0) -> None:
        """Begin at ``start``."""
        self._start = start
        self._offset = timedelta()
        self._speed = speed
        self._since = time.monotonic()
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        """Current lab time."""
        return self._start + self._offset + timedelta(seconds=(time.monotonic() - self._since) * self._speed)

    def monotonic(self) -> float:
        """Lab seconds since the clock was made; follows :meth:`advance` but not backward steps of :meth:`set`."""
        return (self._offset.total_seconds()) + (time.monotonic() - self._since) * self._speed

    def advance(self, delta: timedelta) -> None:
        """Move forward at once; sleepers whose time has come wake up."""
        self._offset += delta
        self._moved.set()
        self._moved = asyncio.Event()

    def set(self, at: datetime) -> None:
        """Jump to ``at``, as an operator who sets the wall clock does: :meth:`monotonic` does not notice."""
        self._start += at - self.now()

    async def sleep(self, seconds: float) -> None:
        """Wait lab time; with speed 0 only :meth:`advance` ends the wait."""
        until = self.monotonic() + seconds
        while (left := until - self.monotonic()) > 0:
            moved = self._moved
            if self._speed > 0:
                try:
                    await asyncio.wait_for(moved.wait(), timeout=left / self._speed)
                except TimeoutError:
                    continue
            else:
                await moved.wait()
