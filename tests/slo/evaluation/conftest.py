"""Objectives and histories for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from qobs.slo.objective import FileEvent, Objective, Pair, Rolling, Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MakeObjective = Callable[..., Objective]
MakeEvents = Callable[..., tuple[FileEvent, ...]]


@pytest.fixture(scope="session")
def default_pairs() -> tuple[Pair, ...]:
    """The default profile for 30 days: three pages and a ticket."""
    rows = (
        (Severity.PAGE, "fast", 1, 5, "14.4"),
        (Severity.PAGE, "medium", 6, 30, "6"),
        (Severity.PAGE, "slow", 24, 120, "3"),
        (Severity.TICKET, "slow", 72, 360, "1"),
    )
    return tuple(
        Pair(severity=severity, tier=tier, long=hours * HOUR, short=timedelta(minutes=minutes), factor=Decimal(factor))
        for severity, tier, hours, minutes, factor in rows
    )


@pytest.fixture(scope="session")
def make_objective(default_pairs: tuple[Pair, ...]) -> MakeObjective:
    """95 % over 30 rolling days with the default profile; anything can be changed."""

    def make(**changes: Any) -> Objective:
        plain: dict[str, Any] = {
            "slo": "jobs",
            "service": "lab",
            "name": "0",
            "target": Decimal("0.95"),
            "window": Rolling(length=timedelta(days=30)),
            "source": None,
            "pairs": default_pairs,
        }
        return Objective(**(plain | changes))

    return make


@pytest.fixture(scope="session")
def make_events() -> MakeEvents:
    """Events from a word such as ``ggbg``, one every ``minutes``; ``-`` is a pause, ``n`` is not counted."""

    def make(word: str, *, minutes: float = 1.0, start: datetime = START, group: str = "") -> tuple[FileEvent, ...]:
        verdicts = {"g": True, "b": False, "n": None}
        step = timedelta(minutes=minutes)
        return tuple(
            FileEvent(start + place * step, verdicts[letter], group) for place, letter in enumerate(word) if letter != "-"
        )

    return make
