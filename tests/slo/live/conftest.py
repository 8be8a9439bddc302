"""A store in memory, objectives, and histories for the tests of live evaluation."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from qobs.columns import HOUR_SECONDS, BatchCount, Columns
from qobs.model import EPOCH, Delta, Series
from qobs.slo.objective import FileEvent, NativeSource, Objective, Pair, Rolling, Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def second_of(at: datetime) -> int:
    return (at - EPOCH) // timedelta(seconds=1)


class Shelf:
    """Buckets by series, kept as a store keeps them; everything that is put is also told as a change."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, Series], tuple[int, int]] = {}
        self.groups: dict[tuple[Series, str], tuple[int, int]] = {}

    def put(self, series: Series, at: datetime | int, good: int, bad: int, group: str = "") -> Delta:
        """Count events; negative ones are taken back."""
        second = at if isinstance(at, int) else second_of(at)
        bucket = second - second % 10
        known = self.cells.get((bucket, series), (0, 0))
        self.cells[bucket, series] = known[0] + good, known[1] + good + bad
        if group:
            held = self.groups.get((series, group), (0, 0))
            self.groups[series, group] = held[0] + good + bad, held[1] + bad
        return Delta(series, bucket, good, good + bad)

    def _columns(self, cells: Mapping[tuple[int, Series], tuple[int, int]]) -> Columns:
        rows = sorted((start, series, good, total) for (start, series), (good, total) in cells.items() if total or good)
        series = tuple(sorted({row[1] for row in rows}))
        places = {each: place for place, each in enumerate(series)}
        return Columns(
            series,
            array("q", [row[0] for row in rows]),
            array("i", [places[row[1]] for row in rows]),
            array("q", [row[2] for row in rows]),
            array("q", [row[3] for row in rows]),
        )

    def hour_columns(self, since: datetime) -> Columns:
        sums: dict[tuple[int, Series], tuple[int, int]] = {}
        for (start, series), (good, total) in self.cells.items():
            hour = start - start % HOUR_SECONDS
            if hour >= second_of(since):
                known = sums.get((hour, series), (0, 0))
                sums[hour, series] = known[0] + good, known[1] + total
        return self._columns(sums)

    def bucket_columns(
        self, since: datetime, until: datetime | None = None, *, series: Iterable[Series] | None = None
    ) -> Columns:
        wanted = None if series is None else set(series)
        end = None if until is None else second_of(until)
        return self._columns(
            {
                (start, each): counts
                for (start, each), counts in self.cells.items()
                if start >= second_of(since) and (end is None or start < end) and (wanted is None or each in wanted)
            }
        )

    def first_buckets(self) -> Mapping[Series, datetime]:
        found: dict[Series, datetime] = {}
        for start, series in sorted(key for key, counts in self.cells.items() if any(counts)):
            found.setdefault(series, EPOCH + timedelta(seconds=start))
        return found

    def batches(self, since: datetime) -> tuple[BatchCount, ...]:
        return tuple(BatchCount(series, group, *counts) for (series, group), counts in self.groups.items())

    def events(self, keep: Callable[[Series], bool] = lambda series: True) -> tuple[FileEvent, ...]:
        """The same as an event file: each event at the start of its bucket."""
        return tuple(
            FileEvent(EPOCH + timedelta(seconds=start), place < good)
            for (start, series), (good, total) in self.cells.items()
            if keep(series)
            for place in range(total)
        )


@pytest.fixture
def shelf() -> Shelf:
    """An empty one."""
    return Shelf()


@pytest.fixture(scope="session")
def make_shelf() -> Callable[[], Shelf]:
    """Empty ones, for property tests."""
    return Shelf


@pytest.fixture(scope="session")
def make_series() -> Callable[..., Series]:
    """A series of job successes on one backend; anything can be changed."""

    def make(**changes: str) -> Series:
        plain = {"sli": "job_success", "provider": "ibm", "source": "lab", "backend": "ibm_fez"}
        return Series(**(plain | changes))

    return make


@pytest.fixture(scope="session")
def make_live_objective() -> Callable[..., Objective]:
    """95 % of job successes over 30 rolling days with the default profile; anything can be changed."""
    rows = (
        (Severity.PAGE, "fast", 1, 5, "14.4"),
        (Severity.PAGE, "medium", 6, 30, "6"),
        (Severity.PAGE, "slow", 24, 120, "3"),
        (Severity.TICKET, "slow", 72, 360, "1"),
    )
    pairs = tuple(
        Pair(severity=severity, tier=tier, long=hours * HOUR, short=timedelta(minutes=minutes), factor=Decimal(factor))
        for severity, tier, hours, minutes, factor in rows
    )

    def make(**changes: Any) -> Objective:
        plain: dict[str, Any] = {
            "slo": "jobs",
            "service": "lab",
            "name": "0",
            "target": Decimal("0.95"),
            "window": Rolling(length=timedelta(days=30)),
            "source": NativeSource(sli="job_success"),
            "pairs": pairs,
        }
        return Objective(**(plain | changes))

    return make
