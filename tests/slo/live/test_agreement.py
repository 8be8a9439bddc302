"""Live evaluation against the evaluation of a file, against a backtest, and against a slow count of the buckets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from qobs.model import EPOCH, Series, window_name
from qobs.slo.alerts import EVIDENCE_TIER
from qobs.slo.backtest import backtest
from qobs.slo.burn import windows_of
from qobs.slo.evaluate import evaluate
from qobs.slo.live import Live, matches
from qobs.slo.objective import (
    PRESETS,
    Budgeting,
    Calendar,
    EmptySlice,
    Evaluation,
    Fired,
    Member,
    NativeSource,
    Objective,
    Rolling,
)
from qobs.slo.windows import step_seconds

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LAWS = settings(max_examples=25, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate))
FEZ = NativeSource(sli="job_success", where={"backend": ("ibm_fez",)})
FEZ_OR_MORE = NativeSource(sli="job_success", where={"backend": ("~ibm_.*",)})
BACKENDS = ("ibm_fez", "ibm_torino", "aria")

# Events lie ten seconds after five-minute marks and are looked at on whole hours: then "whole buckets, whole steps" and
# "(at - W, at]" hold the same events.
event_times = st.integers(0, 29 * 288 - 1).map(lambda step: step * 300 + 10)
clumps = (
    st.integers(0, 29 * 288 - 40)
    .flatmap(lambda begin: st.lists(st.integers(begin, begin + 39), min_size=4, max_size=16))
    .map(lambda steps: [step * 300 + 10 for step in steps])
)
rows = st.tuples(event_times, st.sampled_from(BACKENDS), st.integers(0, 3), st.integers(0, 2))
clump_rows = st.builds(
    lambda times, backend, bad: [(time, backend, 0 if bad else 1, 1 if bad else 0) for time in times],
    clumps,
    st.sampled_from(BACKENDS),
    st.booleans(),
)
histories = st.tuples(st.lists(rows, max_size=25), st.lists(clump_rows, max_size=3)).map(
    lambda both: [*both[0], *(row for clump in both[1] for row in clump)]
)
moments = st.integers(0, 30 * 24).map(lambda hours: START + hours * HOUR)


def january(unit: str = "M") -> Calendar:
    return Calendar(start=datetime(2025, 12, 1), time_zone="UTC", count=1, unit=unit)  # noqa: DTZ001


def variants(make: Callable[..., Objective]) -> list[Objective]:
    """One objective of each kind."""
    members = (
        Member(name="a", source=FEZ, target=Decimal("0.95"), weight=3.0, time_slice_target=0.5),
        Member(name="b", source=NativeSource(sli="job_success", where={"backend": ("aria",)}), target=Decimal("0.9")),
    )
    slices = {"time_slice_window": 30 * MINUTE, "time_slice_target": 0.7}
    return [
        make(slo="all"),
        make(slo="fez", source=FEZ, sparse=PRESETS["sensitive"]),
        make(slo="plain", source=FEZ_OR_MORE, sparse=PRESETS["off"], window=Rolling(length=7 * DAY)),
        make(slo="weeks", source=FEZ_OR_MORE, window=january("w"), target=Decimal("0.9")),
        make(slo="both", source=None, members=members, target=Decimal("0.9")),
        make(slo="worst", source=None, members=members, target=Decimal("0.9"), worst_of=True),
        make(slo="slices", budgeting=Budgeting.TIMESLICES, **slices),
        make(slo="empty", budgeting=Budgeting.TIMESLICES, empty_slice=EmptySlice.BAD, source=FEZ, **slices),
        make(slo="months", budgeting=Budgeting.TIMESLICES, window=january(), **slices),
        make(slo="joined", budgeting=Budgeting.TIMESLICES, source=None, members=members, target=Decimal("0.9"), **slices),
    ]


def file_events(objective: Objective, shelf: Any) -> Any:
    """The objective's events as a file would hold them."""

    def of(source: Any) -> Any:
        return shelf.events(lambda series: matches(source, series))

    return {member.name: of(member.source) for member in objective.members} if objective.members else of(objective.source)


@LAWS
@given(history=histories, at=moments)
def test_live_and_file_evaluation_agree(
    make_live_objective: Callable[..., Objective],
    make_series: Callable[..., Series],
    make_shelf: Callable[[], Any],
    history: list[Any],
    at: datetime,
):
    """Two answers to one question would leave nobody knowing which to trust: windows, budget, bounds, alerts and state."""
    shelf = make_shelf()
    for second, backend, good, bad in history:
        shelf.put(make_series(backend=backend), START + timedelta(seconds=second), good, bad)
    objectives = variants(make_live_objective)
    live = Live(objectives)
    live.rebuild(shelf, at)
    for found, objective in zip(live.evaluate(at), objectives, strict=True):
        expected = evaluate(objective, file_events(objective, shelf), at)
        if any(start < (at - 3 * DAY - EPOCH) // timedelta(seconds=1) for start, _ in shelf.cells):
            # A CUSUM without a kept state replays three days: of longer histories only the other tiers can be compared.
            expected, told = (_without_evidence(each) for each in (expected, found.evaluation))
        else:
            told = found.evaluation
        assert told == expected, objective.slo


def _without_evidence(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, alerts=tuple(alert for alert in evaluation.alerts if alert.tier != EVIDENCE_TIER))


@LAWS
@given(history=histories, first=moments, steps=st.lists(st.integers(1, 200), max_size=4), late=st.integers(0, 3))
def test_changes_lead_where_counting_again_leads(
    make_live_objective: Callable[..., Objective],
    make_series: Callable[..., Series],
    make_shelf: Callable[[], Any],
    history: list[Any],
    first: datetime,
    steps: list[int],
    late: int,
):
    """A daemon that has run for weeks must tell what a fresh start tells, in whatever order events came."""
    shelf, objectives = make_shelf(), variants(make_live_objective)
    live, fresh = Live(objectives), Live(objectives)
    live.rebuild(shelf, first)
    at, left = first, list(enumerate(history))
    for step in [0, *steps]:
        at += step * 10 * MINUTE
        for number, (second, backend, good, bad) in left[:]:
            if number % 4 >= late or step == 0:
                live.add(shelf.put(make_series(backend=backend), START + timedelta(seconds=second), good, bad))
                left.remove((number, (second, backend, good, bad)))
        told = live.evaluate(at)
        fresh.rebuild(shelf, at)
        for one, other in zip(told, fresh.evaluate(at), strict=True):
            assert one.evaluation.windows == other.evaluation.windows, one.objective.slo
            budgets = [
                replace(
                    each.evaluation.budget,
                    low=None,
                    high=None,
                    exhausted_in_seconds=None,
                    exhaustion_probability=None,
                    ideal_remaining_ratio=None,
                )
                for each in (one, other)
            ]
            assert budgets[0].total == budgets[1].total
            assert budgets[0].remaining_ratio == budgets[1].remaining_ratio
            assert one.evaluation.state == other.evaluation.state


@LAWS
@given(
    history=st.lists(st.tuples(st.integers(0, 40 * 8640), st.integers(0, 2), st.integers(0, 2)), max_size=40),
    looks=st.lists(st.integers(0, 40 * 86_400), min_size=1, max_size=4).map(sorted),
    known=st.integers(0, 40),
)
def test_windows_are_those_of_a_slow_count(
    make_live_objective: Callable[..., Objective],
    make_series: Callable[..., Series],
    make_shelf: Callable[[], Any],
    history: list[Any],
    looks: list[int],
    known: int,
):
    """Every window holds [floor((now - W) / w) w, floor(now / 10 s) 10 s + 10 s) of the stored buckets, at any moment."""
    shelf, objective = make_shelf(), make_live_objective()
    live, series = Live([objective]), make_series()
    base = (START - EPOCH) // timedelta(seconds=1)
    for bucket, good, bad in history[:known]:
        shelf.put(series, base + bucket * 10, good, bad)
    live.rebuild(shelf, START + timedelta(seconds=looks[0]))
    rest = history[known:]
    for number, look in enumerate(looks):
        for bucket, good, bad in rest[number :: len(looks)]:
            live.add(shelf.put(series, base + bucket * 10, good, bad))
        (found,) = live.evaluate(START + timedelta(seconds=look))
        now = base + look
        for window in windows_of(objective):
            step = step_seconds(window)
            begin = (now - window // timedelta(seconds=1)) // step * step
            inside = [counts for (start, _), counts in shelf.cells.items() if begin <= start < now // 10 * 10 + 10]
            good, total = sum(each[0] for each in inside), sum(each[1] for each in inside)
            told = found.evaluation.windows[window_name(window)]
            assert (told.good, told.total) == (good, total)
            assert told.burn_rate == (float(Fraction(total - good, total) / Fraction(objective.budget)) if total else None)


@settings(max_examples=12, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    word=st.lists(st.tuples(st.sampled_from("ggggbB-"), st.integers(1, 30)), min_size=1, max_size=12).map(
        lambda runs: "".join(letter * count for letter, count in runs)
    )
)
def test_alerts_fire_and_clear_as_in_a_backtest(
    make_live_objective: Callable[..., Objective], make_series: Callable[..., Series], make_shelf: Callable[[], Any], word: str
):
    """What a backtest promises before an objective goes live must be what the daemon then does."""
    shelf = make_shelf()
    objectives = [make_live_objective(), make_live_objective(slo="off", sparse=PRESETS["off"])]
    live = Live(objectives)
    live.rebuild(shelf, START)
    fired: list[Fired] = []
    before: dict[tuple[int, Any], datetime] = {}
    for place, letter in enumerate(word + "-"):
        at = START + place * 5 * MINUTE
        for number, found in enumerate(live.evaluate(at)):
            firing = {(number, key): since for key, since in found.since.items()}
            mine = {key: since for key, since in before.items() if key[0] == number}
            fired += [_fired(objectives, key, since, at) for key, since in mine.items() if key not in firing]
            before = {key: since for key, since in before.items() if key[0] != number} | firing
        if letter in "gbB":
            live.add(
                shelf.put(make_series(), at + timedelta(seconds=10), letter == "g", (letter != "g") * (2 if letter == "B" else 1))
            )
    fired += [_fired(objectives, key, since, None) for key, since in before.items()]
    events = shelf.events()
    if not events:
        assert fired == []
        return
    expected = backtest(objectives, events, interval=5 * MINUTE)
    last = START + len(word) * 5 * MINUTE
    assert sorted(fired, key=str) == sorted((_until(each, last) for each in expected), key=str)


def _fired(objectives: list[Objective], key: Any, since: datetime, until: datetime | None) -> Fired:
    number, (severity, tier) = key
    objective = objectives[number]
    return Fired(slo=objective.slo, objective=objective.name, severity=severity, tier=tier, fired_at=since, cleared_at=until)


def _until(fired: Fired, last: datetime) -> Fired:
    """As known at ``last``: the backtest may look one step further."""
    return fired if fired.cleared_at is None or fired.cleared_at <= last else replace(fired, cleared_at=None)


def test_agreement_of_ratio_slices_is_to_a_millionth(
    make_live_objective: Callable[..., Objective], make_series: Callable[..., Series], shelf: Any
):
    """Good parts of slices are kept in millionths: the only place where live evaluation rounds."""
    objective = make_live_objective(budgeting=Budgeting.RATIO_TIMESLICES, time_slice_window=10 * MINUTE)
    for place in range(200):
        shelf.put(make_series(), START + place * 5 * MINUTE + timedelta(seconds=10), place % 3, 1)
    live, at = Live([objective]), START + 20 * HOUR
    live.rebuild(shelf, at)
    found, expected = live.evaluate(at)[0].evaluation, evaluate(objective, shelf.events(), at)
    for name, window in expected.windows.items():
        told = found.windows[name]
        assert told.total == window.total
        assert told.error_ratio == pytest.approx(window.error_ratio, abs=1e-6)
    assert [alert.firing for alert in found.alerts] == [alert.firing for alert in expected.alerts]
