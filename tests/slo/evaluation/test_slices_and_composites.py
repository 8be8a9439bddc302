"""Time slices of both kinds, what empty ones count as, and composites of several streams."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.exclusion import Exclusion
from qobs.slo.evaluate import evaluate
from qobs.slo.objective import Budgeting, Calendar, DataState, EmptySlice, FileEvent, Member, Objective, PromSource

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MakeObjective = Callable[..., Objective]
MakeEvents = Callable[..., tuple[FileEvent, ...]]
SOURCE = PromSource(total="t{{.window}}", bad="b{{.window}}")


def hour(evaluation: Any) -> tuple[float, float]:
    """(good, bad) of the last hour."""
    return evaluation.windows["1h"].good, evaluation.windows["1h"].bad


def slices(make_objective: MakeObjective, **changes: Any) -> Objective:
    """Ten-minute slices, good from 90 % on."""
    plain = {"budgeting": Budgeting.TIMESLICES, "time_slice_target": 0.9, "time_slice_window": 10 * MINUTE}
    return make_objective(**(plain | changes))


def test_a_slice_is_good_from_its_target_on(make_objective: MakeObjective, make_events: MakeEvents):
    """Nine of ten is 90 %: exactly at the target is good."""
    events = make_events("gggggggggb" + "ggggggggbb" + "g" * 10)
    assert hour(evaluate(slices(make_objective), events, START + 30 * MINUTE)) == (2, 1)


def test_a_slice_counts_once_it_is_complete(make_objective: MakeObjective, make_events: MakeEvents):
    """Half a slice would be judged twice, and change its mind."""
    events = make_events("b" * 20)
    seen = [hour(evaluate(slices(make_objective), events, START + at * MINUTE))[1] for at in (9, 10, 19.99, 20, 69, 70, 80)]
    assert seen == [0, 1, 1, 2, 2, 1, 0]


@pytest.mark.parametrize(("empty", "expected"), [(EmptySlice.SKIP, (1, 1)), (EmptySlice.GOOD, (5, 1)), (EmptySlice.BAD, (1, 5))])
def test_an_empty_slice_counts_as_configured(
    make_objective: MakeObjective, make_events: MakeEvents, empty: EmptySlice, expected: tuple[int, int]
):
    """Whether silence is an outage is the owner's decision."""
    events = (*make_events("g" * 10), *make_events("b" * 10, start=START + 30 * MINUTE))
    objective = slices(make_objective, empty_slice=empty)
    assert hour(evaluate(objective, events, START + HOUR)) == expected


def test_slices_before_the_first_event_are_unknown(make_objective: MakeObjective, make_events: MakeEvents):
    """Before the file begins nothing is known, not even that it was empty."""
    objective = slices(make_objective, empty_slice=EmptySlice.BAD)
    assert hour(evaluate(objective, make_events("g" * 10, start=START + 50 * MINUTE), START + HOUR)) == (1, 0)
    assert evaluate(objective, [], START + HOUR).state is DataState.NO_TRAFFIC


def test_a_slice_emptied_by_maintenance_does_not_count(make_objective: MakeObjective, make_events: MakeEvents):
    """Announced downtime must not be an outage because nothing ran in it."""
    objective = slices(make_objective, empty_slice=EmptySlice.BAD)
    events = (*make_events("g" * 20), *make_events("g" * 10, start=START + 50 * MINUTE))
    work = Exclusion(id="1", from_at=START + 20 * MINUTE, to_at=START + 40 * MINUTE, reason="upgrade")
    assert hour(evaluate(objective, events, START + HOUR)) == (3, 3)
    assert hour(evaluate(objective, events, START + HOUR, exclusions=[work])) == (3, 1)


def test_ratio_slices_average_their_ratios(make_objective: MakeObjective, make_events: MakeEvents):
    """The method asks for the mean over time, so that a busy hour counts as much as a quiet one."""
    objective = slices(make_objective, budgeting=Budgeting.RATIO_TIMESLICES, time_slice_target=None)
    events = (*make_events("gb" * 5), *make_events("gggb" * 100, minutes=0.02, start=START + 10 * MINUTE))
    assert evaluate(objective, events, START + HOUR).windows["1h"].error_ratio == pytest.approx((0.5 + 0.25) / 2)


def test_slices_are_counted_in_their_own_calendar_period(make_objective: MakeObjective, make_events: MakeEvents):
    """The slice that ends at midnight belongs to the day that ends there."""
    window = Calendar(start=datetime(2026, 1, 1), time_zone="UTC", count=1, unit="d")  # noqa: DTZ001
    objective = slices(make_objective, window=window, pairs=())
    events = make_events("b" * 20, start=START + timedelta(days=1) - 10 * MINUTE)
    budget = evaluate(objective, events, START + timedelta(days=1) + 10 * MINUTE).budget
    assert (budget.total, budget.bad) == (1, 1)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 600), st.booleans()), max_size=60),
    length=st.sampled_from((1, 5, 7, 10)),
    target=st.sampled_from((0.5, 0.9, 1.0)),
    upto=st.integers(0, 700),
)
def test_slices_equal_a_recount(
    make_objective: MakeObjective, rows: list[tuple[int, bool]], length: int, target: float, upto: int
):
    """Slices are cut in one pass; cutting each by itself must tell the same."""
    events = [FileEvent(START + minute * MINUTE, good) for minute, good in rows]
    at = START + upto * MINUTE
    objective = slices(make_objective, time_slice_target=target, time_slice_window=length * MINUTE)
    offset = int(START.timestamp()) // 60 % length
    by_slice: dict[int, list[bool]] = {}
    for minute, good in rows:
        if ((minute + offset) // length + 1) * length - offset <= upto:
            by_slice.setdefault((minute + offset) // length, []).append(good)
    good = sum(sum(each) / len(each) >= target for each in by_slice.values())
    window = evaluate(objective, events, at).windows["30d"]
    assert (window.good, window.bad) == (good, len(by_slice) - good)


def composite(make_objective: MakeObjective, **changes: Any) -> Objective:
    """Two members: 95 % with weight 3, 90 % with weight 1."""
    members = (
        Member(name="a", source=SOURCE, target=Decimal("0.95"), weight=3.0),
        Member(name="b", source=SOURCE, target=Decimal("0.9"), weight=1.0),
    )
    return make_objective(**({"members": members, "target": Decimal("0.9")} | changes))


def streams(make_events: MakeEvents, a: str, b: str) -> dict[str, tuple[FileEvent, ...]]:
    return {"a": make_events(a), "b": make_events(b)}


def test_a_composite_burns_at_the_weighted_mean_of_its_members(make_objective: MakeObjective, make_events: MakeEvents):
    """(3 x 2 + 1 x 5) / 4: each member by its own budget."""
    events = streams(make_events, "bggggggggg", "bbbbbggggg")
    window = evaluate(composite(make_objective), events, START + HOUR / 2).windows["1h"]
    assert window.burn_rate == pytest.approx((3 * 2 + 1 * 5) / 4)
    assert window.error_ratio == pytest.approx(window.burn_rate * 0.1)
    assert (window.good, window.bad, window.total) == (14, 6, 20)
    worst = evaluate(composite(make_objective, worst_of=True), events, START + HOUR / 2)
    assert worst.windows["1h"].burn_rate == 5.0
    assert worst.budget.remaining_ratio == -4.0


def test_a_member_without_events_is_left_out(make_objective: MakeObjective, make_events: MakeEvents):
    """No evidence is no zero: a silent member must not dilute a burning one."""
    found = evaluate(composite(make_objective), streams(make_events, "", "bbbbbggggg"), START + HOUR / 2)
    assert found.windows["1h"].burn_rate == 5.0
    assert found.state is DataState.OK
    assert evaluate(composite(make_objective), streams(make_events, "", ""), START).state is DataState.NO_TRAFFIC
    few = evaluate(composite(make_objective), streams(make_events, "g", "g" * 50), START + HOUR / 2)
    assert few.state is DataState.INSUFFICIENT_DATA


def test_a_composite_on_one_file_gives_it_to_every_member(make_objective: MakeObjective, make_events: MakeEvents):
    """An SLO evaluated on an event file ignores its data source: so do its members."""
    events = make_events("bggggggggg")
    single = evaluate(composite(make_objective), events, START + HOUR / 2)
    assert single == evaluate(composite(make_objective), {"a": events, "b": events}, START + HOUR / 2)
    assert single.windows["1h"].burn_rate == pytest.approx((3 * 2 + 1 * 1) / 4)


def test_streams_that_do_not_fit_are_refused(make_objective: MakeObjective, make_events: MakeEvents):
    """A misspelt member would be judged healthy for ever."""
    with pytest.raises(ValueError, match="'b'"):
        evaluate(composite(make_objective), {"a": make_events("g")}, START)
    with pytest.raises(ValueError, match="no composite"):
        evaluate(make_objective(), {"a": make_events("g")}, START)


def test_a_composite_slice_is_bad_if_any_member_is(make_objective: MakeObjective, make_events: MakeEvents):
    """Users of a chain see the weakest link, slice by slice."""
    objective = composite(make_objective, budgeting=Budgeting.TIMESLICES, time_slice_target=0.9, time_slice_window=10 * MINUTE)
    events = streams(make_events, "g" * 10 + "b" * 10 + "g" * 10, "g" * 20 + "b" * 10)
    assert hour(evaluate(objective, events, START + HOUR)) == (1, 2)


def test_a_composite_of_ratios_loses_the_weighted_sum(make_objective: MakeObjective, make_events: MakeEvents):
    """max(0, 1 - sum of weight x loss): losses add up, and no slice is worse than lost."""
    members = (
        Member(name="a", source=SOURCE, target=Decimal("0.95"), weight=0.5),
        Member(name="b", source=SOURCE, target=Decimal("0.9"), weight=1.5),
    )
    objective = composite(make_objective, members=members, budgeting=Budgeting.RATIO_TIMESLICES, time_slice_window=10 * MINUTE)
    events = streams(make_events, "gb" * 5 + "b" * 10, "gggggggggb" + "b" * 10)
    window = evaluate(objective, events, START + HOUR).windows["1h"]
    assert (window.good, window.bad) == pytest.approx((1 - 0.5 * 0.5 - 1.5 * 0.1, 0.5 * 0.5 + 1.5 * 0.1 + 1))
