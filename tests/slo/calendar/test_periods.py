"""Calendar periods against clocks of ten zones, looked up minute by minute."""

# ruff: noqa: DTZ001 - anchors are local times without zone

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.slo.calendar import instant, period
from qobs.slo.objective import Calendar

ZONES = (
    "Africa/Cairo",
    "America/Havana",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
)
"""Gaps at midnight, at two and at a quarter to three; half-hour steps; negative summer time; a skipped day."""

FIRST, LAST = datetime(2010, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def wall(at: datetime, zone: ZoneInfo) -> datetime:
    """What clocks show."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def changes(name: str) -> list[datetime]:
    """Every moment between the two years at which clocks of a zone jump, to the second."""
    zone, found, day = ZoneInfo(name), [], FIRST
    while day < LAST:
        low, high = day, day + DAY
        if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                same = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high.replace(microsecond=0))
        day += DAY
    return found


def looked_up(local: datetime, zone: ZoneInfo) -> datetime:
    """The first minute of UTC that shows ``local``; where none does, the first that shows more."""
    start = local.replace(tzinfo=UTC) - timedelta(hours=15)
    minutes = [start + i * MINUTE for i in range(54 * 60)]
    shown = [wall(at, zone) for at in minutes]
    if local in shown:
        return minutes[shown.index(local)]
    return next(at for (_, before), (at, after) in pairwise(zip(minutes, shown, strict=True)) if before < local < after)


@pytest.mark.parametrize("name", ZONES)
def test_every_change_of_clocks_lies_in_contiguous_periods(name: str) -> None:
    """A gap or overlap of periods at a clock change would lose or double events of that night."""
    found = changes(name)
    assert len(found) >= 4, "the tz database must know this zone's changes"
    for change in found:
        start = wall(change, ZoneInfo(name)).replace(hour=0, minute=0, second=0) - timedelta(days=400)
        for count, unit in ((1, "h"), (1, "d"), (1, "M")):
            window = Calendar(start=start, time_zone=name, count=count, unit=unit)
            begin, end = period(window, change)
            assert begin <= change < end
            assert period(window, begin) == (begin, end)
            assert period(window, end)[0] == end
            assert period(window, end - timedelta(microseconds=1)) == (begin, end)


@pytest.mark.parametrize("name", ZONES)
def test_boundaries_near_every_change_are_where_the_clocks_say(name: str) -> None:
    """A day that starts at a skipped or doubled time must start at the moment that the documentation names."""
    zone = ZoneInfo(name)
    for change in changes(name)[-6:]:
        before, after = wall(change - timedelta(seconds=1), zone) + timedelta(seconds=1), wall(change, zone)
        for local in {before, after, min(before, after) + abs(after - before) / 2}:
            local = local.replace(second=0, microsecond=0)
            assert instant(local, zone) == looked_up(local, zone), local


def test_a_time_that_clocks_skip_is_the_first_moment_after_the_gap() -> None:
    """A daily budget at 02:30 in Berlin begins at 03:00 summer time on the day of the change, not at 03:30."""
    window = Calendar(start=datetime(2026, 1, 1, 2, 30), time_zone="Europe/Berlin", count=1, unit="d")
    begin, end = period(window, datetime(2026, 3, 29, 12, tzinfo=UTC))
    assert begin == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert end == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


def test_a_time_that_clocks_show_twice_is_the_earlier() -> None:
    """A daily budget at 02:30 in Berlin begins before the clocks go back, and that day has 25 hours."""
    window = Calendar(start=datetime(2026, 1, 1, 2, 30), time_zone="Europe/Berlin", count=1, unit="d")
    begin, end = period(window, datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert begin == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert end - begin == timedelta(hours=25)


def test_days_have_23_24_or_25_hours_and_hours_have_one() -> None:
    """A day around a clock change that were taken as 24 hours would drift away from midnight."""
    lengths = set()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    days = Calendar(start=datetime(2026, 1, 1), time_zone="America/New_York", count=1, unit="d")
    hours = Calendar(start=datetime(2026, 1, 1), time_zone="America/New_York", count=6, unit="h")
    while at < datetime(2027, 1, 1, tzinfo=UTC):
        begin, end = period(days, at)
        lengths.add((end - begin) / timedelta(hours=1))
        first, last = period(hours, at)
        assert last - first == timedelta(hours=6)
        at = end
    assert lengths == {23.0, 24.0, 25.0}


def test_months_clamp_from_the_anchor() -> None:
    """A budget from the 31st must come back to the 31st after February, also in a leap year."""
    window = Calendar(start=datetime(2024, 1, 31), time_zone="UTC", count=1, unit="M")
    starts, at = [], datetime(2024, 1, 31, tzinfo=UTC)
    for _ in range(14):
        begin, at = period(window, at)
        starts.append((begin.month, begin.day))
    assert starts == [
        *((1, 31), (2, 29), (3, 31), (4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30), (10, 31), (11, 30), (12, 31)),
        *((1, 31), (2, 28)),
    ]


@pytest.mark.parametrize(("unit", "months"), [("M", 1), ("Q", 3), ("Y", 12)])
def test_a_leap_day_anchor_comes_back_every_four_years(unit: str, months: int) -> None:
    """A yearly budget from 29 February starts on the 28th in other years."""
    window = Calendar(start=datetime(2024, 2, 29), time_zone="UTC", count=12 // months, unit=unit)
    starts = [period(window, datetime(year, 6, 1, tzinfo=UTC))[0].day for year in range(2023, 2029)]
    assert starts == [28, 29, 28, 28, 28, 29]


def test_a_skipped_day_is_an_empty_period() -> None:
    """Samoa had no 30 December 2011: its neighbours must touch, and no moment may fall between them."""
    window = Calendar(start=datetime(2011, 1, 1), time_zone="Pacific/Apia", count=1, unit="d")
    jump = datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert period(window, jump - timedelta(microseconds=1)) == (jump - timedelta(days=1), jump)
    assert period(window, jump) == (jump, jump + timedelta(days=1))


def test_an_event_at_a_boundary_belongs_to_the_new_period() -> None:
    """Midnight must not be counted in two months, nor in none."""
    window = Calendar(start=datetime(2026, 1, 1), time_zone="UTC", count=1, unit="M")
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    assert period(window, midnight) == (midnight, datetime(2026, 3, 1, tzinfo=UTC))
    assert period(window, midnight - timedelta(microseconds=1))[1] == midnight


calendars = st.builds(
    Calendar,
    start=st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1)),
    time_zone=st.sampled_from(ZONES),
    count=st.integers(1, 40),
    unit=st.sampled_from("mhdwMQY"),
)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(window=calendars, at=moments)
def test_every_instant_lies_in_exactly_one_period(window: Calendar, at: datetime) -> None:
    """Periods must cover time without gap or overlap, also before their anchor."""
    begin, end = period(window, at)
    assert begin <= at < end
    assert period(window, begin) == (begin, end)
    assert period(window, end)[0] == end
    earlier, touching = period(window, begin - timedelta(microseconds=1))
    assert earlier < touching == begin


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"count": 0}, "positive"),
        ({"unit": "y"}, "positive"),
    ],
)
def test_a_wrong_window_is_refused_by_name(change: dict[str, object], message: str) -> None:
    """A typo in a zone must say so, not be taken for UTC."""
    good = {"start": datetime(2026, 1, 1), "time_zone": "UTC", "count": 1, "unit": "d"}
    with pytest.raises(ValueError, match=message):
        period(Calendar(**(good | change)), datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]


def test_a_naive_moment_is_refused() -> None:
    """A moment without zone is off by hours, silently."""
    with pytest.raises(ValueError, match="aware"):
        period(Calendar(start=datetime(2026, 1, 1), time_zone="UTC", count=1, unit="d"), datetime(2026, 1, 1))
