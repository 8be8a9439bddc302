"""Waits in one queue over four weeks, in bounded memory: a fair sample of each hour, the same whatever the order of arrival."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

HOUR = 3600
PER_HOUR = 32
"""Waits kept of one hour: four of the same hour of the week then make 128, more than the rule needs."""

WEEK_HOURS = 7 * 24
SPAN_HOURS = 4 * WEEK_HOURS
"""Hours that are kept."""


class Wait(NamedTuple):
    """A wait that ended at ``ended`` (seconds since 1970) after ``seconds``."""

    ended: float
    seconds: float


class _Hour:
    """The waits of one hour with the smallest tokens: tokens are random, so this is a fair sample, and order does not matter."""

    __slots__ = ("ends", "seconds", "tokens")

    def __init__(self) -> None:
        self.tokens = array("Q")
        self.ends = array("d")
        self.seconds = array("d")

    def note(self, token: int, wait: Wait) -> None:
        """Keep the wait, in place of what the same token told before, if it is among the chosen."""
        place = bisect_left(self.tokens, token)
        if place < len(self.tokens) and self.tokens[place] == token:
            self.ends[place], self.seconds[place] = wait
            return
        if place >= PER_HOUR:
            return
        for column, value in ((self.ends, wait.ended), (self.seconds, wait.seconds)):
            column.insert(place, value)
            del column[PER_HOUR:]
        self.tokens.insert(place, token)
        del self.tokens[PER_HOUR:]

    def __iter__(self) -> Iterator[Wait]:
        return map(Wait, self.ends, self.seconds)


class Waits:
    """Waits of one queue by the hour in which they ended: at most ``SPAN_HOURS * PER_HOUR`` of them."""

    def __init__(self) -> None:
        """Nothing known."""
        self._hours: dict[int, _Hour] = {}

    def note(self, token: int, wait: Wait) -> None:
        """Add one wait. ``token`` is a 64-bit digest of the job: told again with an end in the same hour, it is replaced."""
        self._hours.setdefault(int(wait.ended // HOUR), _Hour()).note(token, wait)

    def forget(self, now: float) -> None:
        """Drop the hours that no baseline reaches any more, and those that are further ahead than an hour."""
        current = int(now // HOUR)
        for hour in [hour for hour in self._hours if not current - SPAN_HOURS <= hour <= current + 1]:
            del self._hours[hour]

    def between(self, after: float, until: float) -> Iterator[Wait]:
        """Waits that ended in (``after``, ``until``], in no order."""
        for hour in range(int(after // HOUR), int(until // HOUR) + 1):
            for wait in self._hours.get(hour, ()):
                if after < wait.ended <= until:
                    yield wait

    def of_hours(self, first: int, last: int, step: int) -> Iterator[Wait]:
        """Waits of the hours ``first`` … ``last`` (since 1970), every ``step``-th, counted back from ``last``."""
        for hour in range(last, first - 1, -step):
            yield from self._hours.get(hour, ())

    def __len__(self) -> int:
        return sum(len(hour.tokens) for hour in self._hours.values())
