"""Queues that are slower than usual for the hour: which past is compared, what counts as recent, and bounded memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.exclusion import Exclusion
from qobs.insight.anomaly import Quiet, State, Verdict
from qobs.insight.queueing import ENOUGH, STEP, Alarm, Queue, Usual, judged, replayed
from qobs.insight.waits import HOUR, PER_HOUR, SPAN_HOURS, Wait, Waits
from qobs.model import EPOCH

NOW = datetime(2026, 11, 18, 12, 30, tzinfo=UTC)
SECONDS = (NOW - EPOCH) / timedelta(seconds=1)
EVERYWHERE = Quiet((), {})
SETTINGS = settings(derandomize=True, max_examples=40, deadline=None)


def fill(queue: Queue, *, hours: range, per_hour: int, wait: Callable[[int, int], float]) -> None:
    """Waits that end ``hours`` ago, spread over their hour."""
    for ago in hours:
        for n in range(per_hour):
            queue.waits.note(hash((ago, n)) & (2**64 - 1), Wait(SECONDS - ago * HOUR - n, wait(ago, n)))


def recent(queue: Queue, *waits: float, ago: float = 60.0) -> None:
    for n, seconds in enumerate(waits):
        queue.waits.note(10**18 + n, Wait(SECONDS - ago - n, seconds))


def usual_queue() -> Queue:
    """Four weeks, 30 waits in each hour: 100 s … 129 s."""
    queue = Queue()
    fill(queue, hours=range(24, SPAN_HOURS + 1), per_hour=30, wait=lambda ago, n: 100.0 + n)
    return queue


def at_once(queue: Queue, at: datetime = NOW, quiet: Quiet = EVERYWHERE) -> Verdict:
    return judged(queue, Alarm(), at, quiet)[0]


def twice(queue: Queue) -> Verdict:
    """Two readings, a step apart."""
    _, alarm = judged(queue, Alarm(), NOW - timedelta(seconds=STEP), EVERYWHERE)
    return judged(queue, alarm, NOW, EVERYWHERE)[0]


def test_the_limit_is_the_largest_of_quantile_ratio_and_least_effect() -> None:
    """Each of the three alone calls ordinary waits anomalous: short ones, steady ones, or skewed ones."""
    assert Usual(median=10.0, high=12.0, hours="all").limit == 70.0
    assert Usual(median=1000.0, high=1010.0, hours="all").limit == 1500.0
    assert Usual(median=1000.0, high=9000.0, hours="all").limit == 9000.0
    for usual in (Usual(10.0, 12.0, "all"), Usual(1000.0, 1010.0, "all"), Usual(1000.0, 9000.0, "all"), Usual(0.0, 0.0, "all")):
        assert usual.score(usual.limit) == pytest.approx(1.0)


@SETTINGS
@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=5), st.floats(0, 1e4), st.floats(0, 1e5))
def test_a_longer_wait_never_scores_less(waits: list[float], middle: float, above: float) -> None:
    """Monotone: else a slower queue could look better."""
    scores = [Usual(middle, middle + above, "all").score(seconds) for seconds in sorted(waits)]
    assert scores == sorted(scores)


def test_the_quantile_is_a_wait_that_was_seen() -> None:
    """Nearest rank: at least 99 % of the past waits are not longer, and the value is one of them."""
    queue = usual_queue()
    usual = queue.usual(SECONDS, EVERYWHERE)
    known = sorted(100.0 + n for n in range(30) for _ in range(4))
    assert usual is not None
    assert (usual.hours, usual.high) == ("hour of week", known[ceil(0.99 * len(known)) - 1])


def test_a_thin_past_is_widened_and_then_waited_for() -> None:
    """Monday at nine is compared with Mondays at nine where there are enough, else with what there is, else with nothing."""
    told = []
    for per_hour in (25, 24, 4, 3, 1):
        queue = Queue()
        fill(queue, hours=range(24, 24 * 28 + 1 if per_hour > 1 else 24 * 4), per_hour=per_hour, wait=lambda ago, n: 100.0)
        usual = queue.usual(SECONDS, EVERYWHERE)
        told.append(None if usual is None else usual.hours)
    assert told == ["hour of week", "hour of day", "hour of day", "all", None]
    assert at_once(queue).state is State.LEARNING
    assert ENOUGH == 100


def test_only_the_same_hour_of_the_week_is_compared() -> None:
    """A wait that is usual on Wednesdays at noon is no anomaly then, however short all other waits are."""
    queue = Queue()
    fill(queue, hours=range(24, SPAN_HOURS + 1), per_hour=30, wait=lambda ago, n: 900.0 + n if ago % 168 == 0 else 20.0)
    recent(queue, 905.0, 910.0, 915.0)
    assert twice(queue).state is State.OK
    other = NOW + timedelta(days=1)
    recent(queue, 905.0, 910.0, 915.0, ago=-(24 * HOUR - 60.0))
    assert at_once(queue, other).state is State.SUSPECT


def test_a_slow_queue_is_suspected_once_and_anomalous_twice() -> None:
    """Looks of the same five minutes see the same waits: they are one reading."""
    queue = usual_queue()
    recent(queue, 400.0, 500.0, 600.0)
    verdict, alarm = judged(queue, Alarm(), NOW, EVERYWHERE)
    again, alarm = judged(queue, alarm, NOW + timedelta(seconds=60), EVERYWHERE)
    later, _ = judged(queue, alarm, NOW + timedelta(seconds=STEP), EVERYWHERE)
    assert [verdict.state, again.state, later.state] == [State.SUSPECT, State.SUSPECT, State.ANOMALOUS]
    assert (later.value, later.baseline, later.limit) == (500.0, 114.5, 174.5)


def test_one_stuck_job_is_not_a_slow_queue() -> None:
    """That is what QobsQueueStalled is for: the median of the others is as always."""
    queue = usual_queue()
    recent(queue, 110.0, 115.0, 120.0)
    queue.open = {1: SECONDS - 50_000.0}
    assert twice(queue).state is State.OK


def test_jobs_that_still_wait_count_as_soon_as_they_are_beyond_the_limit() -> None:
    """In a queue that stands still nothing ends, and the waits that ended before it stood still look fine."""
    queue = usual_queue()
    recent(queue, 110.0, 115.0, 120.0, ago=5400.0)
    queue.open = {n: SECONDS - 3600.0 - n for n in range(4)}
    assert twice(queue).state is State.ANOMALOUS
    queue.open = {n: SECONDS - 100.0 - n for n in range(4)}
    assert twice(queue).state is State.OK


def test_an_idle_queue_is_no_data() -> None:
    """Nobody waited, so nobody knows: not good, not bad, and an old alarm ends."""
    queue = usual_queue()
    recent(queue, 500.0, 600.0)
    verdict, alarm = judged(queue, Alarm(anomalous=True), NOW, EVERYWHERE)
    assert (verdict.state, verdict.score, alarm) == (State.NO_DATA, None, Alarm())


def test_it_ends_below_seventy_percent_of_the_limit() -> None:
    """A queue that hovers at the limit must not open and close a ticket every ten minutes."""
    for wait, expected in ((125.0, State.ANOMALOUS), (115.0, State.OK)):
        queue = usual_queue()
        recent(queue, *[wait * (174.5 / 129.0)] * 3)
        score = at_once(queue).score
        assert score is not None
        assert judged(queue, Alarm(anomalous=True), NOW, EVERYWHERE)[0].state is (State.ANOMALOUS if score >= 0.7 else State.OK)
        assert (score >= 0.7) is (expected is State.ANOMALOUS)


def test_the_last_day_is_no_part_of_its_own_baseline() -> None:
    """A queue that has been slow since last night must not have become usual by noon."""
    queue = usual_queue()
    fill(queue, hours=range(24), per_hour=30, wait=lambda ago, n: 5000.0)
    assert twice(queue).state is State.ANOMALOUS


def test_excluded_waits_are_neither_judged_nor_learnt_from() -> None:
    """The queue after an announced maintenance is nobody's surprise, and must not be next week's normal."""
    queue = usual_queue()
    recent(queue, 400.0, 500.0, 600.0)
    week = timedelta(days=7)
    now = Exclusion(id="now", from_at=NOW - timedelta(hours=1), to_at=NOW + timedelta(hours=1), reason="")
    past = Exclusion(id="past", from_at=NOW - 2 * week - timedelta(hours=1), to_at=NOW - 2 * week + timedelta(hours=1), reason="")
    over = Exclusion(id="over", from_at=NOW - timedelta(hours=1), to_at=NOW, reason="")
    assert at_once(queue, quiet=Quiet([now], {})).state is State.EXCLUDED
    assert at_once(queue, quiet=Quiet([over], {})).state is State.NO_DATA
    usual = queue.usual(SECONDS, Quiet([past], {}))
    assert usual is not None
    assert usual.hours == "hour of day"


def test_a_restart_finds_the_alarm_again() -> None:
    """Replaying the last two hours from the store gives the state that the daemon had."""
    queue = usual_queue()
    fill(queue, hours=range(4), per_hour=30, wait=lambda ago, n: 800.0)
    alarm = replayed(queue, NOW, EVERYWHERE)
    assert alarm.anomalous
    assert judged(queue, alarm, NOW, EVERYWHERE)[0].state is State.ANOMALOUS
    assert not replayed(usual_queue(), NOW, EVERYWHERE).anomalous


@SETTINGS
@given(st.integers(1, 200), st.integers(0, 10**6))
def test_what_is_kept_does_not_depend_on_the_order(count: int, seed: int) -> None:
    """A restart reads the jobs in another order than they happened: the baseline must be the same."""
    rng = random.Random(seed)
    told = [(rng.getrandbits(64), Wait(SECONDS + rng.random() * 3 * HOUR, rng.random() * 100)) for _ in range(count)]
    kept = []
    for order in (told, told[::-1], told + told):
        waits = Waits()
        for token, wait in order:
            waits.note(token, wait)
        kept.append(sorted(waits.between(SECONDS - HOUR, SECONDS + 5 * HOUR)))
    assert kept[0] == kept[1] == kept[2]
    assert len(kept[0]) <= 4 * PER_HOUR


def test_memory_is_bounded_whatever_comes() -> None:
    """A provider with a thousand jobs an hour, or with a wrong clock, must not fill the daemon's memory."""
    waits = Waits()
    rng = random.Random(1)
    for hour in range(-900, 100):
        for _ in range(40):
            waits.note(rng.getrandbits(64), Wait(SECONDS + hour * HOUR, 1.0))
    waits.forget(SECONDS)
    assert len(waits) == (SPAN_HOURS + 2) * PER_HOUR
