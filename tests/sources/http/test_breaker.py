"""The circuit breaker as a value: when it opens, what passes, how it closes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.sources.breaker import Breaker, BreakerState


def failed(breaker, *, times, at=0.0, step=100.0):
    for number in range(times):
        breaker = breaker.record(ok=False, at=at + number * step, draw=0.5)
    return breaker


def opened(at=0.0):
    return Breaker().trip(at=at, draw=0.5)


def test_it_opens_at_the_fifth_failure_in_a_row():
    """Four slow failures may be bad luck; the fifth is an outage."""
    assert failed(Breaker(), times=4).state(500.0) is BreakerState.CLOSED
    assert failed(Breaker(), times=5).state(401.0) is BreakerState.OPEN


def test_a_success_in_between_starts_the_count_again():
    """A provider that answers now and then is not down."""
    breaker = failed(Breaker(), times=4).record(ok=True, at=450.0, draw=0.5)
    assert failed(breaker, times=4, at=1000.0).state(1400.0) is BreakerState.CLOSED


@pytest.mark.parametrize(("polls", "state"), [("xx.x", 2), ("x.x.", 0), ("x.xx", 2), ("xxx", 0), ("..x.xx.", 0), ("..xxxx", 2)])
def test_it_opens_when_more_than_half_of_a_minute_failed(polls, state):
    """Many streams of one account fail together: no need to wait for five in a row of one."""
    breaker = Breaker()
    for number, mark in enumerate(polls):
        breaker = breaker.record(ok=mark == ".", at=number * 5.0, draw=0.5)
    assert breaker.state(len(polls) * 5.0) == state


def test_failures_of_more_than_a_minute_ago_do_not_count_as_recent():
    """A bad minute this morning must not open the breaker now."""
    breaker = failed(Breaker(), times=3, step=1.0)
    breaker = breaker.record(ok=True, at=100.0, draw=0.5)
    assert failed(breaker, times=3, at=101.0, step=1.0).state(104.0) is BreakerState.OPEN
    assert failed(breaker, times=2, at=161.0, step=1.0).state(163.0) is BreakerState.CLOSED


def test_open_lets_nothing_pass_until_the_probe():
    """An ill provider needs rest."""
    breaker = opened()
    assert not breaker.allows(29.9)
    assert breaker.wait_seconds(10.0) == pytest.approx(20.0)
    assert breaker.allows(30.0)
    assert breaker.state(30.0) is BreakerState.HALF_OPEN


def test_half_open_lets_one_poll_pass():
    """All waiting streams at once would be the next overload."""
    breaker = opened().begin(30.0)
    assert not breaker.allows(31.0)
    assert breaker.state(31.0) is BreakerState.HALF_OPEN
    assert breaker.wait_seconds(31.0) > 0


def test_a_good_probe_closes_it():
    """Recovery takes one poll, and forgets the outage."""
    breaker = opened().begin(30.0).record(ok=True, at=31.0, draw=0.5)
    assert breaker.state(31.0) is BreakerState.CLOSED
    assert failed(breaker, times=2, at=32.0, step=1.0).state(40.0) is BreakerState.CLOSED


def test_failed_probes_come_at_longer_pauses_up_to_ten_minutes():
    """An outage of hours is probed a few times an hour, not thousands of times."""
    breaker, at, pauses = opened(), 0.0, []
    for _ in range(8):
        pauses.append(breaker.wait_seconds(at))
        at = breaker.probe_at
        breaker = breaker.begin(at).record(ok=False, at=at, draw=0.5)
    assert pauses == pytest.approx([30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 600.0])


def test_a_probe_that_was_cancelled_or_lost_does_not_block_for_ever():
    """A poll that died without a verdict must not keep its provider shut out."""
    assert opened().begin(30.0).cancelled().allows(31.0)
    lost = opened().begin(30.0)
    assert not lost.allows(600.0)
    assert lost.allows(630.0)


def test_a_late_failure_of_an_older_poll_does_not_lengthen_the_pause():
    """Polls in flight when the breaker opened fail after it: they tell nothing new."""
    breaker = opened()
    assert breaker.record(ok=False, at=5.0, draw=0.5).probe_at == breaker.probe_at


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.floats(0, 0.999)), max_size=80))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_laws_of_any_history(history):
    """Whatever happens: a known state, pauses in bounds, one probe at a time, bounded memory, and a way back."""
    breaker, at = Breaker(), 0.0
    for wait, ok, draw in history:
        at += wait
        if not breaker.allows(at):
            assert 0 < breaker.wait_seconds(at) <= 720.0
            at += breaker.wait_seconds(at)
            assert breaker.allows(at + 1e-6)
        breaker = breaker.begin(at)
        if breaker.state(at) is BreakerState.HALF_OPEN:
            assert not breaker.allows(at)
        breaker = breaker.record(ok=ok, at=at, draw=draw)
        if ok:
            assert breaker.state(at) is BreakerState.CLOSED
        assert len(breaker.recent) <= 256
