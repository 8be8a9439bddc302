"""The token bucket, the retry budget, and the providers' rate headers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.sources.ratelimit import RetryBudget, TokenBucket, rate_remaining, rate_reset_seconds

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@given(st.floats(0.1, 50), st.integers(1, 20), st.lists(st.floats(0, 3), min_size=1, max_size=60))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_no_stretch_of_time_sees_more_than_burst_plus_rate(rate, burst, gaps):
    """The law that the provider enforces on its side."""
    bucket, at, starts = TokenBucket(rate=rate, burst=burst), 0.0, []
    for gap in gaps:
        at += gap
        starts.append(at + bucket.reserve(at))
    starts.sort()
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            assert last - first + 1 <= burst + rate * (starts[last] - starts[first]) + 1e-6


def test_waiters_queue_behind_each_other():
    """Two requests told the same time would break the rate together."""
    bucket = TokenBucket(rate=1.0, burst=1)
    assert [bucket.reserve(0.0) for _ in range(4)] == pytest.approx([0.0, 1.0, 2.0, 3.0])


def test_looking_takes_nothing_and_giving_back_undoes():
    """A request that was never made must not slow the next one."""
    bucket = TokenBucket(rate=1.0, burst=1)
    assert bucket.wait_seconds(0.0) == bucket.wait_seconds(0.0) == 0.0
    bucket.reserve(0.0)
    assert bucket.wait_seconds(0.0) == pytest.approx(1.0)
    bucket.give_back()
    assert bucket.reserve(0.0) == 0.0


def test_a_closed_bucket_opens_at_its_time():
    """The provider's own reset time beats our rate, and a later earlier wish does not shorten it."""
    bucket = TokenBucket(rate=10.0, burst=5)
    bucket.close_until(20.0)
    bucket.close_until(5.0)
    assert bucket.reserve(0.0) == pytest.approx(20.0)
    assert bucket.reserve(21.0) == 0.0


def test_a_clock_that_steps_back_breaks_nothing():
    """Time is an argument; a wrong one must not grant a burst."""
    bucket = TokenBucket(rate=1.0, burst=1)
    bucket.reserve(100.0)
    assert bucket.reserve(0.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (1, 0)])
def test_a_bucket_that_lets_nothing_pass_is_refused(rate, burst):
    """A zero in the configuration would stop the source silently."""
    with pytest.raises(ValueError, match="must be"):
        TokenBucket(rate=rate, burst=burst)


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=200))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_retries_of_a_minute_never_exceed_a_fifth_or_the_floor(steps):
    """The law that keeps an outage from being amplified."""
    budget, at, requests, retries = RetryBudget(ratio=0.2, floor=3), 0.0, [], []
    for gap, retry in steps:
        at += gap
        if not retry:
            budget.request(at)
            requests.append(at)
        elif budget.take(at):
            retries.append(at)
            recent = [time for time in requests if time > at - 60.0]
            assert len([time for time in retries if time > at - 60.0]) <= max(3, len(recent) // 5)


def test_the_floor_comes_back_after_a_minute():
    """A source that retried a while ago may retry again."""
    budget = RetryBudget(floor=1)
    assert [budget.take(0.0), budget.take(1.0), budget.take(61.0)] == [True, False, True]


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({}, None),
        ({"x-ratelimit-remaining": "0"}, 0),
        ({"x-ratelimit-remaining": "17"}, 17),
        ({"ratelimit-remaining": "3"}, 3),
        ({"x-ratelimit-remaining": "12, 500;w=60"}, 12),
        ({"x-ratelimit-remaining": "-1"}, None),
        ({"x-ratelimit-remaining": "many"}, None),
        ({"x-ratelimit-remaining": "nan"}, None),
    ],
)
def test_the_remaining_allowance_is_read_or_ignored(headers, left):
    """A wrong zero would stop the source; a wrong number would be exported."""
    assert rate_remaining(headers) == left


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        (str(int(NOW.timestamp()) + 45), 45.0),
        (str(int(NOW.timestamp()) - 45), 0.0),
        (str((int(NOW.timestamp()) + 45) * 1000), 45.0),
        ("999999", 3600.0),
        ("-3", None),
        ("tomorrow", None),
        ("inf", None),
    ],
)
def test_the_reset_time_is_seconds_or_a_time(text, seconds):
    """Providers disagree on what the header means; taking a time for seconds would wait for decades."""
    assert rate_reset_seconds({"x-ratelimit-reset": text}, now=NOW, cap=3600.0) == seconds
