"""Durations as OpenSLO writes them (``5m``, ``30d``, ``1M``) and as text again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

UNITS: Mapping[str, timedelta] = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "M": timedelta(days=30),
    "Q": timedelta(days=90),
    "Y": timedelta(days=365),
}
"""Nominal length of each unit; M, Q and Y have no other where no calendar is."""

LONGEST = timedelta(days=36_500)
_SHORTHAND = re.compile(r"([0-9]{1,9})([mhdwMQY])")


def split(text: str) -> tuple[int, str] | None:
    """Count and unit; None where ``text`` is no duration, is zero or longer than a hundred years.

    >>> split("30d"), split("1M"), split("0m"), split("5 m"), split("1y")
    ((30, 'd'), (1, 'M'), None, None, None)
    """
    match = _SHORTHAND.fullmatch(text)
    if match is None:
        return None
    count, unit = int(match[1]), match[2]
    return (count, unit) if count > 0 and count <= LONGEST // UNITS[unit] else None


def length(text: str) -> timedelta | None:
    """Nominal length; None as in :func:`split`."""
    parts = split(text)
    return None if parts is None else parts[0] * UNITS[parts[1]]


def written(window: timedelta) -> str:
    """The window as people write it, in seconds where it is no whole minute.

    >>> written(timedelta(hours=1)), written(timedelta(minutes=84)), written(timedelta(seconds=90)), written(timedelta(days=1))
    ('1h', '84m', '90s', '1d')
    """
    for unit in ("d", "h", "m"):
        if window and not window % UNITS[unit]:
            return f"{window // UNITS[unit]}{unit}"
    return f"{window // timedelta(seconds=1)}s"
