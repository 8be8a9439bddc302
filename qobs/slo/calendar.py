"""Calendar periods: which one holds a moment, in the local time of a zone.

Period i runs from boundary i to boundary i + 1, half-open: what happens exactly at a boundary belongs to the new period.
Boundaries are counted from the anchor, also backwards, so that every instant lies in exactly one period:

- ``m`` and ``h`` are absolute: 3,600 s are an hour on every day.
- ``d`` and ``w`` add days to the local date: such a day has 23, 24 or 25 hours.
- ``M``, ``Q`` and ``Y`` add months to the local date. A day of the month that does not exist becomes the last one, always
  from the anchor itself: 31 January, 28 February, 31 March.

A boundary that local clocks skip is the first instant after the gap; one that they show twice is the earlier. Where a zone
skips a whole day (Samoa, 30 December 2011), the period of that day is empty and holds no instant.

Zones come from the system's tz database through :mod:`zoneinfo`, or from the package ``tzdata`` where there is none.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from qobs.slo.objective import Calendar

_ABSOLUTE = {"m": timedelta(minutes=1), "h": timedelta(hours=1)}
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_SECOND = timedelta(seconds=1)


def period(window: Calendar, at: datetime) -> tuple[datetime, datetime]:
    """The period [from, to) that holds ``at``, both ends in UTC.

    Args:
        window: Anchor, zone and length.
        at: Any aware time.

    Raises:
        ValueError: ``at`` is naive, the count is not positive, the unit is unknown, or the zone is not in the tz database.

    Example:
        >>> months = Calendar(start=datetime(2026, 1, 31), time_zone="Europe/Berlin", count=1, unit="M")
        >>> [str(end) for end in period(months, datetime(2026, 3, 15, tzinfo=UTC))]
        ['2026-02-27 23:00:00+00:00', '2026-03-30 22:00:00+00:00']
    """
    if at.tzinfo is None:
        raise ValueError(f"`at` must be an aware time, but at={at}.")
    zone = zone_of(window.time_zone)
    number = _guess(window, at, zone)
    while _boundary(window, number, zone) > at:
        number -= 1
    while (until := _boundary(window, number + 1, zone)) <= at:
        number += 1
    return _boundary(window, number, zone), until


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name.

    Raises:
        ValueError: There is no such zone in the tz database of this machine.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"`time_zone` must be a name of the tz database, but time_zone={name!r}.") from error


def _guess(window: Calendar, at: datetime, zone: tzinfo) -> int:
    """A period near the one sought; at most a few boundaries off."""
    if window.count < 1 or window.unit not in _ABSOLUTE.keys() | _DAYS.keys() | _MONTHS.keys():
        raise ValueError(f"a period must be a positive number of m, h, d, w, M, Q or Y, but it is {window.count}{window.unit}.")
    if window.unit in _ABSOLUTE:
        return (at - instant(window.start, zone)) // (window.count * _ABSOLUTE[window.unit])
    local = at.astimezone(zone).replace(tzinfo=None)
    if window.unit in _DAYS:
        return (local - window.start) // timedelta(days=window.count * _DAYS[window.unit])
    months = (local.year - window.start.year) * 12 + local.month - window.start.month
    return months // (window.count * _MONTHS[window.unit])


def _boundary(window: Calendar, number: int, zone: tzinfo) -> datetime:
    """Start of period ``number``, in UTC."""
    steps = number * window.count
    if window.unit in _ABSOLUTE:
        return instant(window.start, zone) + steps * _ABSOLUTE[window.unit]
    if window.unit in _DAYS:
        return instant(window.start + timedelta(days=steps * _DAYS[window.unit]), zone)
    return instant(_months_later(window.start, steps * _MONTHS[window.unit]), zone)


def _months_later(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))


def instant(local: datetime, zone: tzinfo) -> datetime:
    """The UTC instant at which clocks of ``zone`` show ``local``: the earlier of two, or the first after a gap.

    Source:
        PEP 495: inside a gap ``fold=0`` takes the offset from before it and ``fold=1`` the one from after it.
    """
    late = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == local.replace(fold=0):
        return late
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    low, high = 0, (late - early) // _SECOND
    while low < high:  # the first second whose local time is not before `local`: clocks jump at whole seconds
        middle = (low + high) // 2
        if (early + middle * _SECOND).astimezone(zone).replace(tzinfo=None, fold=0) < local:
            low = middle + 1
        else:
            high = middle
    return (early + low * _SECOND).replace(microsecond=0)
