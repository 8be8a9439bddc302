"""Restarts, exclusions, silence, batches and time that passes: what an objective must remember, leave out and notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from qobs.exclusion import Exclusion
from qobs.model import Series
from qobs.slo.clustering import Batches
from qobs.slo.evaluate import evaluate
from qobs.slo.live import Live, matches
from qobs.slo.objective import Budgeting, Calendar, DataState, NativeSource, Objective, PromSource, Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FEZ = NativeSource(sli="job_success", where={"backend": ("ibm_fez",)})
Make = Callable[..., Any]


def play(shelf: Any, series: Series, word: str, *, start: datetime = START, every: timedelta = MINUTE, group: str = "") -> Any:
    """Put a good event for each ``g``, a bad one for each ``b``, nothing for ``-``; returns the changes."""
    return [
        shelf.put(series, start + place * every, letter == "g", letter == "b", group)
        for place, letter in enumerate(word)
        if letter != "-"
    ]


def started(shelf: Any, at: datetime, *objectives: Objective, **more: Any) -> Live:
    live = Live(objectives, exclusions=more.pop("exclusions", ()))
    live.rebuild(shelf, at, **more)
    return live


def firing(live: Live, at: datetime) -> list[Any]:
    return [(found.since, [(alert.tier, alert.firing) for alert in found.evaluation.alerts]) for found in live.evaluate(at)]


@settings(max_examples=15, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    word=st.lists(st.tuples(st.sampled_from("ggbB-"), st.integers(1, 25)), min_size=2, max_size=8).map(
        lambda runs: "".join(letter * count for letter, count in runs)
    ),
    restarts=st.sets(st.integers(1, 60), max_size=6),
    delays=st.lists(st.integers(0, 2), min_size=1, max_size=7),
)
def test_a_restart_changes_no_alert(
    make_live_objective: Make, make_series: Make, make_shelf: Make, word: str, restarts: set[int], delays: list[int]
):
    """An update of the daemon in the middle of an incident must neither clear the page nor send it again."""
    shelf, objectives, kept = make_shelf(), [make_live_objective(), make_live_objective(slo="fez", source=FEZ)], {}
    steady, restarted = (started(shelf, START, *objectives) for _ in range(2))
    late: dict[int, list[Any]] = {}
    for place, letter in enumerate(word):
        at = START + place * 5 * MINUTE
        if letter != "-":
            events = (at - 10 * SECOND, int(letter == "g"), {"g": 0, "b": 1, "B": 3}[letter])
            late.setdefault(place + delays[place % len(delays)], []).append(events)
        for when, good, bad in late.pop(place, []):
            delta = shelf.put(make_series(), when, good, bad)
            steady.add(delta)
            restarted.add(delta)
        if place in restarts:
            restarted = started(shelf, at, *objectives, kept=kept)
        assert firing(restarted, at) == firing(steady, at)
        kept = {key: state for key, state in (kept | restarted.kept()).items() if state is not None}
        steady.kept()


def test_since_survives_a_restart(make_live_objective: Make, make_series: Make, shelf: Any):
    """A page of three hours must not look a minute old because the daemon was updated."""
    play(shelf, make_series(), "g" * 30 + "b" * 55)
    live = started(shelf, START + 80 * MINUTE, make_live_objective())
    (first,) = live.evaluate(START + 80 * MINUTE)
    assert first.since[Severity.PAGE, "fast"] == START + 80 * MINUTE
    kept = dict(live.kept())
    assert live.kept() == {}
    later = START + 84 * MINUTE
    assert started(shelf, later, make_live_objective(), kept=kept).evaluate(later)[0].since == first.since
    fresh = started(shelf, later, make_live_objective(), kept=dict.fromkeys(kept, b"\xff{")).evaluate(later)
    assert fresh[0].since[Severity.PAGE, "fast"] == later


def test_states_of_objectives_that_are_gone_are_forgotten(make_live_objective: Make, make_series: Make, shelf: Any):
    """The store must not fill up with alerts of objectives that nobody has any more."""
    play(shelf, make_series(), "g" * 30 + "b" * 55)
    at = START + 80 * MINUTE
    live = started(shelf, at, make_live_objective())
    live.evaluate(at)
    kept = dict(live.kept())
    other = started(shelf, at, make_live_objective(slo="other", source=FEZ), kept=kept)
    assert [key for key, state in other.kept().items() if state is None] == ["alerts/lab/jobs/0"]
    month = at + 31 * DAY
    gone = [key for key, state in started(shelf, month, kept=kept).kept().items() if state is None]
    assert sorted(gone) == sorted(kept)


def test_an_alert_goes_on_for_its_short_window(make_live_objective: Make, make_series: Make, shelf: Any):
    """One good minute must not resolve a page that comes back the next."""
    play(shelf, make_series(), "g" * 10 + "b" * 50 + "g" * 30)
    page = make_live_objective(pairs=make_live_objective().pairs[:1])
    live = started(shelf, START + HOUR, page)
    fires = [live.evaluate(START + HOUR + minute * MINUTE)[0].evaluation.alerts[0].firing for minute in range(20)]
    instant = [evaluate(page, shelf.events(), START + HOUR + minute * MINUTE).alerts[0].firing for minute in range(20)]
    ended = instant.index(False)
    assert fires.index(False) == ended + 5


@settings(max_examples=20, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    edges=st.tuples(st.integers(0, 8 * 86_400), st.integers(1, 2 * 86_400)),
    rows=st.lists(st.tuples(st.integers(0, 9 * 8640), st.booleans(), st.integers(0, 2), st.integers(0, 2)), max_size=30),
    scope=st.sampled_from(({}, {"backend": ("ibm_fez",)}, {"slo": ("all",)}, {"slo": ("no",)}, {"priority": ("high",)})),
    known=st.integers(0, 30),
)
def test_an_exclusion_takes_out_its_events_and_no_others(
    make_live_objective: Make,
    make_series: Make,
    make_shelf: Make,
    edges: tuple[int, int],
    rows: list[Any],
    scope: dict[str, tuple[str, ...]],
    known: int,
):
    """Maintenance of one backend must not hide another's failures, and taking it back must restore every count."""
    shelf, begin = make_shelf(), START + edges[0] * SECOND
    work = Exclusion(id="1", from_at=begin, to_at=begin + edges[1] * SECOND, reason="upgrade", scope=scope)
    objectives = [make_live_objective(slo="all"), make_live_objective(slo="fez", source=FEZ, window=_weeks())]
    series = {True: make_series(), False: make_series(backend="aria", priority="high")}
    changes = [(series[fez], START + 10 * bucket * SECOND, good, bad) for bucket, fez, good, bad in rows]
    for change in changes[:known]:
        shelf.put(*change)
    at = START + 9 * DAY + 17 * MINUTE
    live, plain = started(shelf, at, *objectives, exclusions=[work]), started(shelf, at, *objectives)
    for change in changes[known:]:
        delta = shelf.put(*change)
        live.add(delta)
        plain.add(delta)
    for found, whole in zip(live.evaluate(at), plain.evaluate(at), strict=True):
        slo, source = found.objective.slo, found.objective.source
        assert isinstance(source, NativeSource)

        def counted(each: Series, when: datetime, slo: str = slo, source: NativeSource = source) -> bool:
            inside = work.from_at <= when < work.to_at
            labels = {**each._asdict(), "slo": slo}
            covered = all(labels[label] in allowed for label, allowed in scope.items())
            return matches(source, each) and not (inside and covered)

        kept = [
            (good, good + bad) for each, when, good, bad in changes if counted(each, when) and (slo == "all" or when >= _week(at))
        ]
        assert found.evaluation.budget.total == sum(total for _, total in kept)
        assert found.evaluation.budget.bad == sum(total - good for good, total in kept)
        again = started(shelf, at, found.objective).evaluate(at)[0].evaluation
        assert again.windows == whole.evaluation.windows


def _weeks() -> Calendar:
    return Calendar(start=datetime(2026, 1, 1, 0, 30), time_zone="UTC", count=1, unit="w")  # noqa: DTZ001


def _week(at: datetime) -> datetime:
    return START + 7 * DAY + 30 * MINUTE


def test_maintenance_mutes_and_ends_by_itself(make_live_objective: Make, make_series: Make, shelf: Any):
    """Announced work must not wake anybody; when it is over, the objective must be watched again without any event."""
    play(shelf, make_series(), "g" * 60 + "b" * 90)
    work = Exclusion(id="1", from_at=START + 100 * MINUTE, to_at=START + 110 * MINUTE, reason="upgrade")
    live = started(shelf, START + 99 * MINUTE, make_live_objective(), exclusions=[work])
    states = []
    for minute in (99, 100, 109, 110):
        (found,) = live.evaluate(START + minute * MINUTE)
        states.append((found.evaluation.state, bool(found.since)))
    assert states == [(DataState.OK, True), (DataState.EXCLUDED, False), (DataState.EXCLUDED, False), (DataState.OK, True)]


def test_silence_is_no_data_only_where_every_source_is_silent(make_live_objective: Make, make_series: Make, shelf: Any):
    """A dead source must not look healthy, and must not hide those that live."""
    play(shelf, make_series(source="a"), "g" * 30)
    play(shelf, make_series(source="b", backend="aria"), "g" * 30)
    live = started(shelf, START + HOUR, make_live_objective(), make_live_objective(slo="fez", source=FEZ))
    told = {
        silent: [(found.evaluation.state, found.silent_sources) for found in live.evaluate(START + HOUR, silent=silent)]
        for silent in ((), ("a",), ("a", "b", "c"))
    }
    assert told[()] == [(DataState.OK, ()), (DataState.OK, ())]
    assert told["a",] == [(DataState.OK, ("a",)), (DataState.NO_DATA, ("a",))]
    assert told["a", "b", "c"] == [(DataState.NO_DATA, ("a", "b")), (DataState.NO_DATA, ("a",))]


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("", "", "a", "b", "c", "d")), st.booleans(), st.booleans()), max_size=40))
def test_the_design_effect_is_that_of_the_batches(
    make_live_objective: Make, make_series: Make, make_shelf: Make, rows: list[Any]
):
    """A batch that spans two backends is still one fate: a live page must be as hard to set off as one of a file."""
    shelf, kept = make_shelf(), Batches()
    for place, (group, bad, fez) in enumerate(rows):
        series = make_series(backend="ibm_fez" if fez else "aria")
        shelf.put(series, START + place * MINUTE, not bad, bad, group)
        kept.add(group, bad=bad)
    live = started(shelf, START + HOUR, make_live_objective())
    (found,) = live.evaluate(START + HOUR)
    assert found.design_effect == (kept.design_effect if any(group for group, _, _ in rows) else 1.0)


def test_batches_that_are_learnt_later_count_at_once(make_live_objective: Make, make_series: Make, shelf: Any):
    """One broken circuit submitted thirty times is one mistake: when that is known, the page must go."""
    play(shelf, make_series(), "g" * 40)
    live = started(shelf, START + 50 * MINUTE, make_live_objective())
    for delta in play(shelf, make_series(), "b" * 9, start=START + 50 * MINUTE, group="broken"):
        live.add(delta)
    at = START + HOUR
    assert live.evaluate(at)[0].evaluation.alerts[-1].firing
    live.learn_batches(shelf.batches(at), at)
    (found,) = live.evaluate(at)
    assert found.design_effect is not None
    assert found.design_effect > 1.5
    assert not found.evaluation.alerts[-1].firing


def test_late_events_correct_a_slice(make_live_objective: Make, make_series: Make, shelf: Any):
    """A slice judged good before its failures were known must not stay good."""
    objective = make_live_objective(
        budgeting=Budgeting.TIMESLICES, time_slice_window=10 * MINUTE, time_slice_target=0.9, target=Decimal("0.9")
    )
    play(shelf, make_series(), "g" * 30)
    at = START + HOUR
    live = started(shelf, at, objective)
    seen = [live.evaluate(at)[0].evaluation.windows["1h"]]
    live.add(shelf.put(make_series(), START + 12 * MINUTE, 0, 5))
    seen.append(live.evaluate(at)[0].evaluation.windows["1h"])
    live.add(shelf.put(make_series(), START + 12 * MINUTE, 0, -5))
    seen.append(live.evaluate(at)[0].evaluation.windows["1h"])
    assert [(window.good, window.bad) for window in seen] == [(3, 0), (2, 1), (3, 0)]


def test_a_calendar_budget_is_new_at_its_boundary(make_live_objective: Make, make_series: Make, shelf: Any):
    """At midnight of the first, in the zone of the contract and to the second, the budget begins anew without any event."""
    window = Calendar(start=datetime(2026, 1, 1), time_zone="Asia/Kolkata", count=1, unit="d")  # noqa: DTZ001
    objective = make_live_objective(window=window)
    midnight = START + DAY - timedelta(hours=5, minutes=30)
    play(shelf, make_series(), "g" * 8 + "bb" + "gggg", start=midnight - 10 * MINUTE)
    live = started(shelf, midnight - HOUR, objective)
    totals = [live.evaluate(midnight + delay)[0].evaluation.budget.total for delay in (-SECOND, timedelta(), 3 * MINUTE)]
    assert totals == [10, 1, 4]
    late = started(shelf, midnight + 4 * HOUR, objective).evaluate(midnight + 4 * HOUR)[0].evaluation
    assert (late.budget.total, late.budget.bad) == (4, 0)


def test_what_does_not_change_is_not_worked_out_again(make_live_objective: Make, make_series: Make, shelf: Any):
    """A thousand quiet objectives must cost next to nothing, and still be known to hold now."""
    play(shelf, make_series(), "g" * 30)
    other = make_live_objective(slo="fez", source=NativeSource(sli="job_success", where={"backend": ("aria",)}))
    live = started(shelf, START + HOUR, make_live_objective(), other)
    before = live.evaluate(START + HOUR)
    live.add(shelf.put(make_series(), START + HOUR, 1, 0))
    after = live.evaluate(START + HOUR + SECOND)
    assert [one.evaluation is two.evaluation for one, two in zip(before, after, strict=True)] == [False, True]
    assert {found.evaluated_at for found in after} == {START + HOUR + SECOND}


def test_promql_objectives_are_named_as_skipped(make_live_objective: Make, shelf: Any):
    """An objective that is silently not evaluated is worse than none."""
    queried = make_live_objective(slo="queried", source=PromSource(total="t{{.window}}", bad="b{{.window}}"))
    live = started(shelf, START, queried, make_live_objective())
    assert live.skipped == (queried,)
    assert [found.objective.slo for found in live.evaluate(START)] == ["jobs"]


def test_a_backfill_of_old_failures_pages_nobody(make_live_objective: Make, make_series: Make, shelf: Any):
    """The first listing of a new source, newest page first, must not page about last week."""
    live = started(shelf, START + 5 * DAY, make_live_objective())
    for delta in play(shelf, make_series(), "g" * 50, start=START + 5 * DAY - 50 * MINUTE):
        live.add(delta)
    live.evaluate(START + 5 * DAY)
    for delta in play(shelf, make_series(), "b" * 50, start=START + DAY):
        live.add(delta)
    (found,) = live.evaluate(START + 5 * DAY + MINUTE)
    assert found.evaluation.budget.bad == 50
    assert (Severity.PAGE, "evidence") not in found.since


def test_an_odd_window_is_read_in_whole_steps(make_live_objective: Make, make_series: Make, shelf: Any):
    """A lookback of 421 minutes is legal OpenSLO and must not stop the daemon."""
    pair = replace(make_live_objective().pairs[0], long=421 * MINUTE, short=timedelta(seconds=125))
    play(shelf, make_series(), "g" * 30)
    (found,) = started(shelf, START + HOUR, make_live_objective(pairs=(pair,))).evaluate(START + HOUR)
    assert found.evaluation.windows["421m"].total == 30
    with pytest.raises(ValueError, match="time_slice_window"):
        Live([make_live_objective(budgeting=Budgeting.TIMESLICES, time_slice_window=timedelta(seconds=7))])
