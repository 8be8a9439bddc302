"""An evaluation against a slow one that looks at every event again, and its laws."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.exclusion import Exclusion
from qobs.slo.burn import absence_delay, factor_of, seconds_to_fire, windows_of
from qobs.slo.calendar import period
from qobs.slo.evaluate import evaluate, evaluation_json
from qobs.slo.objective import (
    PRESETS,
    Calendar,
    DataState,
    FileEvent,
    NativeSource,
    Objective,
    Pair,
    Rolling,
    Severity,
    Sparse,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MakeObjective = Callable[..., Objective]
MakeEvents = Callable[..., tuple[FileEvent, ...]]
LAWS = settings(max_examples=60, derandomize=True, deadline=None)

file_events = st.builds(
    FileEvent,
    # Steps of five minutes: many events lie exactly on the edges of windows.
    at=st.integers(0, 40 * 288).map(lambda step: START + step * timedelta(minutes=5)),
    good=st.sampled_from((True, True, True, False, None)),
    group=st.sampled_from(("", "", "a", "b")),
    weight=st.sampled_from((1.0, 1.0, 1.0, 0.1, 2.5, 1000.0)),
)
histories = st.lists(file_events, max_size=40)
moments = st.integers(0, 41 * 288).map(lambda step: START + step * timedelta(minutes=5))


def counted(events: Sequence[FileEvent], after: datetime, upto: datetime) -> tuple[Fraction, Fraction]:
    """(good, bad) of (after, upto], one event at a time."""
    inside = [event for event in events if after < event.at <= upto]
    good = sum((Fraction(event.weight) for event in inside if event.good is True), Fraction(0))
    bad = sum((Fraction(event.weight) for event in inside if event.good is False), Fraction(0))
    return good, bad


@LAWS
@given(events=histories, at=moments, target=st.sampled_from(("0.5", "0.95", "0.999")))
def test_an_evaluation_equals_a_rescan(make_objective: MakeObjective, events: list[FileEvent], at: datetime, target: str):
    """Burn rates and budget must be those of the events in the file, to the last bit."""
    objective = make_objective(target=Decimal(target))
    found = evaluate(objective, events, at)
    budget = Fraction(objective.budget)
    names = {"5m": 1 / 12, "30m": 0.5, "1h": 1, "2h": 2, "6h": 6, "1d": 24, "3d": 72, "30d": 720}
    assert found.windows.keys() == names.keys()
    for name, hours in names.items():
        good, bad = counted(events, at - hours * HOUR, at)
        window = found.windows[name]
        assert (window.good, window.bad, window.total) == (float(good), float(bad), float(good + bad))
        if good + bad:
            assert window.error_ratio == float(bad / (good + bad))
            assert window.burn_rate == float(bad / (good + bad) / budget)
        else:
            assert window.error_ratio is window.burn_rate is None
    good, bad = counted(events, at - 720 * HOUR, at)
    assert found.budget.remaining_ratio == (float(1 - bad / (good + bad) / budget) if good + bad else 1.0)


@LAWS
@given(events=histories, at=moments)
def test_pairs_fire_strictly_above_their_factor(make_objective: MakeObjective, events: list[FileEvent], at: datetime):
    """A burn equal to its factor is within what was agreed; without evidence tools nothing else decides."""
    objective = make_objective(sparse=Sparse(enabled=False), target=Decimal("0.9"))
    fires = {(alert.severity, alert.tier): alert.firing for alert in evaluate(objective, events, at).alerts}
    for pair in objective.pairs:
        burns = []
        for window in (pair.long, pair.short):
            good, bad = counted(events, at - window, at)
            burns.append(bad / (good + bad) / Fraction("0.1") if good + bad else Fraction(0))
        assert fires[pair.severity, pair.tier] == all(burn > Fraction(pair.factor) for burn in burns)


def test_a_burn_exactly_at_its_factor_does_not_fire(make_objective: MakeObjective, make_events: MakeEvents):
    """72 of 100 at 95 % is 14.4 times exactly; in floating point it would be a matter of luck."""
    objective = make_objective(sparse=Sparse(enabled=False))
    at = START + timedelta(minutes=59)
    fixed = [replace(event, good=place % 25 >= 18) for place, event in enumerate(make_events("g" * 50))]
    burning = evaluate(objective, fixed, fixed[-1].at)
    assert burning.windows["1h"].burn_rate == 14.4
    assert not fast(burning).firing
    worse = [*fixed[:-1], replace(fixed[-1], good=False), FileEvent(at, False)]
    assert evaluate(objective, worse, at).windows["1h"].burn_rate > 14.4


def fast(evaluation: Any) -> Any:
    return next(alert for alert in evaluation.alerts if alert.tier == "fast")


@LAWS
@given(events=st.lists(file_events, min_size=1, max_size=30), at=moments, place=st.integers(0, 29))
def test_more_bad_never_lowers_a_burn(make_objective: MakeObjective, events: list[FileEvent], at: datetime, place: int):
    """If a failure could calm an alert, an outage could hide itself."""
    place %= len(events)
    if events[place].good is not True:
        return
    worse = [*events[:place], replace(events[place], good=False), *events[place + 1 :]]
    before, after = evaluate(make_objective(), events, at), evaluate(make_objective(), worse, at)
    for name, window in before.windows.items():
        assert (window.burn_rate or 0.0) <= (after.windows[name].burn_rate or 0.0)
    assert after.budget.remaining_ratio <= before.budget.remaining_ratio


@LAWS
@given(events=histories, at=moments)
def test_the_order_of_lines_does_not_matter(make_objective: MakeObjective, events: list[FileEvent], at: datetime):
    """Exports come sorted by anything."""
    backwards = sorted(events, key=lambda event: (event.weight, str(event.good)))
    assert evaluate(make_objective(), events, at) == evaluate(make_objective(), backwards, at)


def test_sums_come_before_the_ratio(make_objective: MakeObjective, make_events: MakeEvents):
    """200 failures in ten minutes of a slow service are 13 % of its jobs, not the 1.2 % that a mean of ratios tells."""
    calm = make_events("g" * 1340, minutes=30)
    burst = make_events("b" * 200, minutes=0.05, start=calm[-1].at)
    found = evaluate(make_objective(), calm + burst, burst[-1].at)
    assert found.windows["30d"].error_ratio == pytest.approx(200 / 1540)


def test_a_window_is_open_at_its_far_edge_and_closed_at_its_near_one(make_objective: MakeObjective):
    """An event must be in a window for exactly the window's length."""
    events = [FileEvent(START, False)]
    seen = [
        evaluate(make_objective(), events, START + delay).windows["1h"].total
        for delay in (-timedelta(microseconds=1), timedelta(0), HOUR - timedelta(microseconds=1), HOUR)
    ]
    assert seen == [0, 1, 1, 0]


def test_without_events_the_budget_is_full_and_nothing_is_known(make_objective: MakeObjective):
    """An idle weekend is no outage, no success and no NaN."""
    found = evaluate(make_objective(), [FileEvent(START, None)], START)
    assert found.state is DataState.NO_TRAFFIC
    assert (found.budget.remaining_ratio, found.budget.low, found.budget.high) == (1.0, None, None)
    assert not any(alert.firing for alert in found.alerts)
    assert found.windows["1h"].burn_rate is None
    json.dumps(evaluation_json(found), allow_nan=False)


def test_too_few_events_are_never_ok(make_objective: MakeObjective, make_events: MakeEvents):
    """Three good jobs of an objective of 95 % prove nothing and must not be shown as green."""
    states = [evaluate(make_objective(), make_events("g" * count), START + HOUR).state for count in range(6)]
    insufficient = DataState.INSUFFICIENT_DATA
    assert states == [DataState.NO_TRAFFIC, insufficient, insufficient, insufficient, DataState.OK, DataState.OK]
    plain = make_objective(sparse=PRESETS["off"])
    assert evaluate(plain, make_events("g"), START + HOUR).state is DataState.OK


def test_one_batch_is_not_enough_to_know(make_objective: MakeObjective, make_events: MakeEvents):
    """Thirty jobs of one batch share one fate: they are one observation."""
    assert evaluate(make_objective(), make_events("g" * 30, group="a"), START + HOUR).state is DataState.INSUFFICIENT_DATA


def test_a_silent_source_is_no_data_whatever_was_seen(make_objective: MakeObjective, make_events: MakeEvents):
    """A dead exporter must not look like a healthy service."""
    found = evaluate(make_objective(), make_events("g" * 30), START + HOUR, source_silent=True)
    assert found.state is DataState.NO_DATA


def test_one_failure_at_a_few_jobs_an_hour_does_not_page(make_objective: MakeObjective, make_events: MakeEvents):
    """Plain alerts wake somebody for a single failed job; the gate does not."""
    events = make_events("g" * 40 + "b", minutes=70)
    plain, gated = (
        [alert.tier for alert in evaluate(objective, events, events[-1].at).alerts if alert.firing and alert.severity == "page"]
        for objective in (make_objective(sparse=PRESETS["off"]), make_objective())
    )
    assert plain == ["fast"]
    assert gated == []


def test_an_empty_short_window_neither_fires_nor_resolves(make_objective: MakeObjective, make_events: MakeEvents):
    """At ten jobs an hour five minutes are often empty, and an outage goes on all the same."""
    events = make_events("g" * 20 + "b" * 9, minutes=6)
    at = events[-1].at + timedelta(minutes=5, seconds=30)
    assert evaluate(make_objective(), events, at).windows["5m"].total == 0
    assert fast(evaluate(make_objective(), events, at)).firing
    assert not fast(evaluate(make_objective(sparse=PRESETS["off"]), events, at)).firing
    recovered = (*events, *make_events("ggg", minutes=1, start=events[-1].at + timedelta(minutes=1)))
    assert not fast(evaluate(make_objective(), recovered, recovered[-1].at)).firing


def test_a_failing_batch_does_not_page_alone(make_objective: MakeObjective, make_events: MakeEvents):
    """One broken circuit submitted thirty times is one mistake, not thirty."""
    calm = tuple(
        event
        for number in range(30)
        for event in make_events("g" * 10, minutes=0.1, start=START + number * HOUR, group=f"calm-{number}")
    )
    batch = make_events("b" * 10, minutes=0.1, start=START + 31 * HOUR, group="broken")
    at = batch[-1].at
    paged = [alert.tier for alert in evaluate(make_objective(), calm + batch, at).alerts if alert.firing]
    assert paged == []
    loose = tuple(replace(event, group="") for event in calm + batch)
    paged = [alert.tier for alert in evaluate(make_objective(), loose, at).alerts if alert.firing]
    assert "evidence" in paged


def test_events_of_a_maintenance_window_leave_budget_and_alerts(make_objective: MakeObjective, make_events: MakeEvents):
    """Announced work must neither spend the budget nor wake anybody, and taking it back must restore both."""
    events = (*make_events("g" * 60), *make_events("b" * 55, start=START + HOUR))
    objective = make_objective(source=NativeSource(sli="job_success", where={"backend": ("ibm_fez",)}), service="lab")
    at = events[-1].at

    def excluded(**scope: tuple[str, ...]) -> Any:
        work = Exclusion(id="1", from_at=START + HOUR, to_at=START + 2 * HOUR, reason="upgrade", scope=scope)
        return evaluate(objective, events, at, exclusions=[work])

    assert excluded().state is DataState.EXCLUDED
    assert excluded().budget.bad == 0
    assert excluded(backend=("ibm_fez", "ibm_torino")).budget.bad == 0
    assert excluded(slo=("jobs",)).budget.bad == 0
    for other in ({"backend": ("ibm_torino",)}, {"priority": ("high",)}, {"slo": ("other",)}):
        assert excluded(**other).budget.bad == 55
        assert fast(excluded(**other)).firing
    assert not any(alert.firing for alert in excluded().alerts)
    after = evaluate(
        objective,
        events,
        START + 2 * HOUR,
        exclusions=[Exclusion(id="1", from_at=START + HOUR, to_at=START + 2 * HOUR, reason="upgrade")],
    )
    assert after.state is DataState.OK
    assert after.budget.total == 60


def test_a_calendar_budget_starts_full_and_pages_look_back(make_objective: MakeObjective, make_events: MakeEvents):
    """At midnight of the first the budget is new, but an outage that is going on must not clear."""
    window = Calendar(start=datetime(2026, 1, 1), time_zone="UTC", count=1, unit="M")  # noqa: DTZ001
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    events = make_events("g" * 30 + "b" * 30, start=midnight - HOUR)
    objective = make_objective(window=window)
    before, after = evaluate(objective, events, midnight - timedelta(seconds=1)), evaluate(objective, events, midnight)
    assert before.budget.bad == 30
    assert (after.budget.total, after.budget.remaining_ratio) == (0.0, 1.0)
    assert after.windows["period"].burn_rate is None
    assert after.state is DataState.NO_TRAFFIC
    assert any(alert.firing for alert in after.alerts)
    assert (after.budget.period_from, after.budget.period_to) == period(window, midnight)
    assert after.budget.ideal_remaining_ratio == 1.0


def test_the_json_form_is_the_documented_one(make_objective: MakeObjective, make_events: MakeEvents):
    """Programs read these keys; a renamed one breaks them silently."""
    events = make_events("g" * 18 + "bb")
    told = evaluation_json(evaluate(make_objective(), events, START + timedelta(minutes=19)))
    assert {key: told[key] for key in ("slo", "objective", "target", "at", "state")} == {
        "slo": "jobs",
        "objective": "0",
        "target": 0.95,
        "at": "2026-01-01T00:19:00Z",
        "state": "ok",
    }
    assert told["windows"]["1h"] == {"good": 18, "bad": 2, "total": 20, "error_ratio": 0.1, "burn_rate": 2.0}
    assert {key: told["budget"][key] for key in ("total", "bad", "remaining_ratio")} == {
        "total": 20,
        "bad": 2,
        "remaining_ratio": -1.0,
    }
    assert [(alert["severity"], alert["tier"]) for alert in told["alerts"]] == [
        ("page", "fast"),
        ("page", "medium"),
        ("page", "slow"),
        ("ticket", "slow"),
        ("page", "evidence"),
    ]
    assert told["alerts"][0].keys() == {"severity", "tier", "firing", "evidence"}
    json.dumps(told, allow_nan=False)


def test_an_objective_without_pages_is_never_paged(make_objective: MakeObjective, make_events: MakeEvents):
    """Whoever asked for tickets only must not be woken by the evidence tier."""
    tickets = tuple(pair for pair in make_objective().pairs if pair.severity is Severity.TICKET)
    found = evaluate(make_objective(pairs=tickets), make_events("b" * 40), START + HOUR)
    assert {alert.severity for alert in found.alerts} == {Severity.TICKET}
    assert evaluate(make_objective(pairs=()), make_events("b" * 40), START + HOUR).alerts == ()


def test_pairs_of_one_severity_and_tier_are_one_alert(make_objective: MakeObjective, make_events: MakeEvents):
    """Two conditions of one policy must not page twice."""
    twice = make_objective(pairs=make_objective().pairs[:1] * 2)
    assert [alert.tier for alert in evaluate(twice, make_events("b" * 40), START + HOUR).alerts] == ["fast", "evidence"]


@pytest.mark.parametrize(
    ("share", "hours", "factors"),
    [
        ("0.02", 1, {7: 3.36, 14: 6.72, 28: 13.44, 30: 14.4, 90: 43.2, 365: 175.2}),
        ("0.05", 6, {7: 1.4, 14: 2.8, 28: 5.6, 30: 6.0, 90: 18.0, 365: 73.0}),
        ("0.10", 24, {7: 0.7, 14: 1.4, 28: 2.8, 30: 3.0, 90: 9.0, 365: 36.5}),
        ("0.10", 72, {7: 7 / 30, 14: 14 / 30, 28: 28 / 30, 30: 1.0, 90: 3.0, 365: 365 / 30}),
    ],
)
def test_factors_follow_from_shares_of_the_budget(share: str, hours: int, factors: dict[int, float]):
    """14.4, 6, 3 and 1 hold for thirty days only; other periods have their own."""
    for days, factor in factors.items():
        assert float(factor_of(Fraction(share), period=timedelta(days=days), long=hours * HOUR)) == factor


def test_times_to_fire_are_those_of_the_reference(make_objective: MakeObjective):
    """A total outage pages after 43.2 minutes at 95 %; an objective of 90 % never reaches the factor."""
    pair = make_objective().pairs[0]
    assert seconds_to_fire(pair, budget=Fraction("0.05"), error_ratio=Fraction(1)) == 43.2 * 60
    assert seconds_to_fire(pair, budget=Fraction("0.1"), error_ratio=Fraction(1)) is None
    assert absence_delay(make_objective()) == timedelta(minutes=43.2)
    assert absence_delay(make_objective(target=Decimal("0.999"))) == timedelta(minutes=10)
    assert absence_delay(make_objective(pairs=())) == timedelta(minutes=10)


def test_windows_are_those_of_pairs_and_period(make_objective: MakeObjective):
    """A short period has no windows longer than itself, but every pair's own."""
    pair = Pair(severity=Severity.PAGE, tier="fast", long=4 * HOUR, short=HOUR / 3, factor=Decimal(2))
    objective = make_objective(window=Rolling(length=timedelta(days=1)), pairs=(pair,))
    assert [window / HOUR for window in windows_of(objective)] == pytest.approx([1 / 12, 1 / 3, 0.5, 1, 2, 4, 6, 24])
    assert set(evaluate(objective, [], START).windows) == {"5m", "20m", "30m", "1h", "2h", "4h", "6h", "1d"}


def test_a_naive_moment_is_refused(make_objective: MakeObjective):
    """A moment without zone is off by hours, silently."""
    with pytest.raises(ValueError, match="aware"):
        evaluate(make_objective(), [], datetime(2026, 1, 1))  # noqa: DTZ001
