"""A backtest against an evaluation at every single look, with the rules' own way of keeping an alert firing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.exclusion import Exclusion
from qobs.slo.backtest import backtest, backtest_json
from qobs.slo.evaluate import evaluate
from qobs.slo.objective import (
    PRESETS,
    Budgeting,
    EmptySlice,
    FileEvent,
    Fired,
    Member,
    Objective,
    Pair,
    PromSource,
    Severity,
    Sparse,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LOOK = timedelta(seconds=30)
MakeObjective = Callable[..., Objective]
MakeEvents = Callable[..., tuple[FileEvent, ...]]
SOURCE = PromSource(total="t{{.window}}", bad="b{{.window}}")

PAIRS = (
    Pair(severity=Severity.PAGE, tier="fast", long=12 * MINUTE, short=1 * MINUTE, factor=Decimal(4)),
    Pair(severity=Severity.PAGE, tier="fast", long=20 * MINUTE, short=3 * MINUTE, factor=Decimal(3)),
    Pair(severity=Severity.TICKET, tier="slow", long=40 * MINUTE, short=4 * MINUTE, factor=Decimal(1)),
)
"""Short windows, so that a history of an hour has many looks at which something happens."""


def watched(objective: Objective, events: Sequence[FileEvent], exclusions: Sequence[Exclusion]) -> set[Fired]:
    """Every look, one evaluation each; an alert clears when its condition has not held for its short window."""
    interval = LOOK // timedelta(microseconds=1)

    def look_after(at: datetime) -> datetime:
        micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return at + (-micros % interval) * timedelta(microseconds=1)

    keeps: dict[tuple[Severity, str], timedelta] = {(Severity.PAGE, "evidence"): timedelta(0)}
    for pair in objective.pairs:
        key = pair.severity, pair.tier
        keeps[key] = max(pair.short, keeps.get(key, timedelta(0)))
    fired: set[Fired] = set()
    since: dict[tuple[Severity, str], datetime] = {}
    quiet: dict[tuple[Severity, str], datetime] = {}

    def told(key: tuple[Severity, str], cleared: datetime | None) -> None:
        severity, tier = key
        fired.add(
            Fired(
                slo=objective.slo,
                objective=objective.name,
                severity=severity,
                tier=tier,
                fired_at=since.pop(key),
                cleared_at=cleared,
            )
        )

    at, last = look_after(min(event.at for event in events)), look_after(max(event.at for event in events))
    while at <= last:
        for alert in evaluate(objective, events, at, exclusions=exclusions).alerts:
            key = alert.severity, alert.tier
            if alert.firing:
                since.setdefault(key, at)
                quiet.pop(key, None)
            elif key in since and at - quiet.setdefault(key, at) >= keeps[key]:
                told(key, at)
                del quiet[key]
        at += LOOK
    for key in list(since):
        told(key, None)
    return fired


stretches = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from((0, 1, 7, 30, 45, 200)), st.sampled_from((0, 1, 5, 9)), st.booleans()),
    min_size=1,
    max_size=8,
)


def history(rows: list[tuple[int, int, int, bool]]) -> tuple[FileEvent, ...]:
    """Stretches of events: so many, so many seconds apart, so many of ten bad, in one batch or none."""
    events, at = [], START
    for number, (count, seconds, bad, grouped) in enumerate(rows):
        for place in range(count):
            at += timedelta(seconds=seconds, milliseconds=number if grouped else 0)
            events.append(FileEvent(at, (place * 7 + number) % 10 >= bad, f"b{number}" if grouped else ""))
    return tuple(events)


objectives = st.sampled_from(
    (
        {},
        {"sparse": PRESETS["off"]},
        {"sparse": Sparse(alpha=0.05, phi=1000.0)},
        {"budgeting": Budgeting.TIMESLICES, "time_slice_target": 0.5, "time_slice_window": MINUTE},
        {
            "budgeting": Budgeting.TIMESLICES,
            "time_slice_target": 0.9,
            "time_slice_window": 2 * MINUTE,
            "empty_slice": EmptySlice.BAD,
        },
        {"budgeting": Budgeting.RATIO_TIMESLICES, "time_slice_window": MINUTE, "empty_slice": EmptySlice.GOOD},
        {
            "members": (
                Member(name="a", source=SOURCE, target=Decimal("0.9"), weight=2.0),
                Member(name="b", source=SOURCE, target=Decimal("0.7")),
            )
        },
    )
)
exclusions = st.sampled_from(
    ((), (Exclusion(id="x", from_at=START + 5 * MINUTE, to_at=START + 9 * MINUTE + 10 * LOOK / 30, reason="upgrade"),))
)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(rows=stretches, changes=objectives, excluded=exclusions)
def test_a_backtest_equals_an_evaluation_at_every_look(
    make_objective: MakeObjective,
    rows: list[tuple[int, int, int, bool]],
    changes: dict[str, object],
    excluded: tuple[Exclusion, ...],
):
    """What a backtest promises must be what the daemon would have done, to the second."""
    objective = make_objective(target=Decimal("0.9"), pairs=PAIRS, **changes)
    events = history(rows)
    assert set(backtest([objective], events, exclusions=excluded)) == watched(objective, events, excluded)


def test_an_outage_pages_and_clears_with_its_times(make_objective: MakeObjective, make_events: MakeEvents):
    """The figures an incident review asks for: who was paged, when, and when it was over."""
    calm = make_events("g" * 24 * 20, minutes=3)
    outage = START + timedelta(hours=24)
    events = (
        *calm,
        *make_events("b" * 20, minutes=3, start=outage),
        *make_events("g" * 300, minutes=3, start=outage + timedelta(hours=1)),
    )
    fired = {(each.severity, each.tier): each for each in backtest([make_objective()], events)}
    assert {tier for _, tier in fired} == {"fast", "evidence"}
    evidence, fast = fired[Severity.PAGE, "evidence"], fired[Severity.PAGE, "fast"]
    # The sixth failure reaches ln(2 x 14,400 / 0.1): six of 2.667 from 0, for the score before the outage is 0.
    assert evidence.fired_at == outage + 15 * MINUTE - 3 * MINUTE
    assert fast.fired_at == outage + 42 * MINUTE
    assert evidence.cleared_at == outage + timedelta(hours=1) + 12 * MINUTE
    assert fast.cleared_at is not None
    assert fast.cleared_at > outage + timedelta(hours=1)


def test_an_alert_that_goes_on_is_not_cleared(make_objective: MakeObjective, make_events: MakeEvents):
    """What happens after the last line is unknown: an open incident must not be told as over."""
    fired = backtest([make_objective()], make_events("g" * 60 + "b" * 60))
    assert fired
    assert {each.cleared_at for each in fired} == {None}
    told = backtest_json(fired)
    assert told["alerts"][0].keys() >= {"slo", "severity", "tier", "fired_at", "cleared_at"}
    assert all(alert["cleared_at"] is None for alert in told["alerts"])
    json.dumps(told, allow_nan=False)


def test_uncounted_lines_say_how_long_the_history_goes_on(make_objective: MakeObjective, make_events: MakeEvents):
    """A cancelled job is no verdict, but it proves that the exporter lived: alerts clear meanwhile."""
    events = (*make_events("g" * 60 + "b" * 60), *make_events("n", start=START + timedelta(days=8)))
    cleared = [each.cleared_at for each in backtest([make_objective(sparse=PRESETS["off"])], events)]
    assert cleared
    assert None not in cleared


def test_a_healthy_or_empty_history_pages_nobody(make_objective: MakeObjective, make_events: MakeEvents):
    """False pages cost the trust that true ones need."""
    assert backtest([make_objective()], make_events("g" * 500)) == ()
    assert backtest([make_objective()], ()) == ()
    assert backtest([make_objective()], make_events("nnn")) == ()


def test_several_objectives_are_told_in_order_of_time(make_objective: MakeObjective, make_events: MakeEvents):
    """One list for an incident, whichever objective saw it first."""
    strict, lax = make_objective(slo="strict", target=Decimal("0.99")), make_objective(slo="lax", target=Decimal("0.9"))
    fired = backtest([lax, strict], make_events("g" * 200 + "b" * 40 + "g" * 100))
    assert {each.slo for each in fired} == {"strict", "lax"}
    assert [each.fired_at for each in fired] == sorted(each.fired_at for each in fired)
