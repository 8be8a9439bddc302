"""What is promised of alerts at a rate, against histories played through them."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from qobs.slo.backtest import backtest
from qobs.slo.explain import explain, explanation_json, explanation_text, pages_of, pair_failures
from qobs.slo.history import micros
from qobs.slo.objective import PRESETS, FileEvent, Objective, Rolling
from qobs.slo.simulation import median_wait, poisson_at_least, rate_bound, simulated

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MakeObjective = Callable[..., Objective]


@pytest.mark.parametrize(("rate", "runs", "reference"), [(2, 61, 107), (10, 41, 27)])
def test_median_detection_of_an_outage_is_that_of_the_reference(
    make_objective: MakeObjective, rate: int, runs: int, reference: float
):
    """Within 20 %: an on-call engineer is told how long an outage stays unseen."""
    rng, waits = random.Random(3), []
    onset = START + 26 * HOUR
    for _ in range(runs):
        calm = simulated(rng.random, start=START, length=26 * HOUR, events_per_hour=rate, error_ratio=0.025)
        dark = simulated(rng.random, start=onset, length=10 * HOUR, events_per_hour=rate, error_ratio=1.0)
        pages = pages_of(backtest((make_objective(pairs=make_objective().pairs[:3]),), (*calm, *dark)))
        waits.append(min(begin for begin, _ in pages if begin > micros(onset)) - micros(onset))
    median = statistics.median(waits) / 60e6
    assert median == pytest.approx(reference, rel=0.2)
    promised = explain(make_objective(), events_per_hour=rate, events=100).detection_seconds
    assert promised == pytest.approx(60 * median, rel=0.2)


def test_plain_alerts_page_for_nothing_at_two_jobs_an_hour(make_objective: MakeObjective):
    """The reason for all this: six false pages a month inside the objective, against none."""
    pages = make_objective().pairs[:3]
    plain = explain(make_objective(pairs=pages, sparse=PRESETS["off"]), events_per_hour=2, events=8000).false_pages
    gated = explain(make_objective(pairs=pages), events_per_hour=2, events=8000).false_pages
    assert plain[0].per_month == pytest.approx(6, rel=0.35)
    assert plain[1].per_month == pytest.approx(13, rel=0.35)
    assert gated[0].per_month == 0.0
    assert gated[1].per_month <= 0.5
    assert gated[0].at_most < 1.0


def test_known_batches_do_not_page_and_hidden_ones_do(make_objective: MakeObjective):
    """The CUSUM without the design effect is worse than no CUSUM."""
    rng = random.Random(5)
    history = tuple(
        simulated(rng.random, start=START, length=timedelta(days=25), events_per_hour=10, error_ratio=0.05, batch_size=10)
    )
    known = pages_of(backtest((make_objective(),), history))
    hidden = pages_of(backtest((make_objective(),), [FileEvent(event.at, event.good) for event in history]))
    assert len(known) <= 1
    assert len(hidden) > 10


def test_failures_needed_follow_from_burn_and_chance(make_objective: MakeObjective):
    """The larger of the two decides: 73 of 100 for 14.4 times burn, 8 of 10, and nothing of two."""
    objective = make_objective()
    hour, _, _, ticket = objective.pairs
    assert [pair_failures(objective, hour, events=events) for events in (2, 3, 4, 10, 100)] == [None, None, 4, 8, 73]
    assert pair_failures(objective, ticket, events=100) == 6
    assert pair_failures(objective, hour, events=20, design_effect=10.0) is None


def test_objectives_out_of_reach_are_told(make_objective: MakeObjective):
    """A page that can never fire looks, on a dashboard, exactly like a healthy service."""
    lax = explain(make_objective(target=Decimal("0.9")), events_per_hour=10, events=200)
    assert [remark for remark in lax.remarks if remark.startswith("unreachable: page fast (1h)")]
    rare = explain(make_objective(target=Decimal("0.999")), events_per_hour=1, events=200)
    assert rare.budget_events == pytest.approx(0.72)
    assert [remark for remark in rare.remarks if remark.startswith("unmeasurable")]
    plain = explain(make_objective(sparse=PRESETS["off"]), events_per_hour=1, events=200)
    assert [remark for remark in plain.remarks if remark.startswith("one failure pages: page fast (1h)")]
    short = make_objective(window=Rolling(length=timedelta(days=1)))
    idle = explain(short, events_per_hour=0.1, events=10)
    assert [remark for remark in idle.remarks if remark.startswith("insufficient_data")]
    fine = explain(make_objective(), events_per_hour=100, events=200)
    assert fine.remarks == ()


def test_the_same_question_has_the_same_answer(make_objective: MakeObjective):
    """Figures that change from run to run cannot be put into a document."""
    asked = {"events_per_hour": 2.0, "batch_size": 2.0, "events": 500}
    first, second = (explain(make_objective(), **asked) for _ in range(2))
    assert first == second
    told = explanation_json(first)
    json.dumps(told, allow_nan=False)
    assert told["needs"][-1]["tier"] == "evidence"
    text = explanation_text(first)
    assert "page fast" in text
    assert "cannot fire" in text
    assert all(remark in text for remark in first.remarks)


def test_poisson_waits_agree_with_their_closed_forms():
    """Median waits and bounds are read off these sums."""
    assert median_wait(1, 2.0) == pytest.approx(0.34657359)
    assert poisson_at_least(2, 3.0) == pytest.approx(0.8008517)
    assert rate_bound(0) == pytest.approx(2.9957323)
    assert poisson_at_least(1, 0.0) == 0.0


@pytest.mark.parametrize(
    "wrong", [{"events_per_hour": 0.0}, {"events_per_hour": float("nan")}, {"events_per_hour": 1, "batch_size": 0.5}]
)
def test_a_rate_that_cannot_be_is_refused(make_objective: MakeObjective, wrong: dict[str, float]):
    """Zero jobs an hour have no explanation."""
    with pytest.raises(ValueError, match="events_per_hour"):
        explain(make_objective(), **wrong)
