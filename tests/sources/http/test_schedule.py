"""When to poll next."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.model import Reason, Shard, Stream
from qobs.sources.schedule import first_poll_seconds, jittered, next_poll_at, recheck_seconds, spread_ratio

draws = st.floats(0, 1, exclude_max=True)


def shard(number):
    return Shard(source=f"s{number}", provider="ibm", account="a", stream=Stream.JOBS)


def test_shards_are_spread_evenly():
    """After a restart a hundred streams must not ask in the same second."""
    ratios = [spread_ratio(shard(number)) for number in range(1000)]
    counts = [sum(low / 10 <= ratio < (low + 1) / 10 for ratio in ratios) for low in range(10)]
    assert all(60 < count < 140 for count in counts)


def test_a_shards_place_is_the_same_in_every_process():
    """Python's own hash differs between processes: replicas would pile up by chance."""
    assert spread_ratio(shard(1)) == 0.7778202482589909
    assert spread_ratio(Shard("a", "b", "c", Stream.JOBS)) != spread_ratio(Shard("a", "b", "c", Stream.STATUS))


@given(draws, st.floats(1, 86_400))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_the_first_poll_comes_soon(draw, interval):
    """A new user sees data within seconds, also of streams that are polled every ten minutes."""
    assert 0 <= first_poll_seconds(shard(3), interval=interval, draw=draw) <= min(interval, 20.0) * 1.1


@given(draws, st.floats(1, 1e5), st.floats(0, 1e4), st.floats(0, 1e4))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_a_healthy_stream_keeps_its_interval_within_ten_percent(draw, interval, started, took):
    """The interval is from start to start, whatever a poll takes, and never lies in the past."""
    at = next_poll_at(started_at=started, now=started + took, interval=interval, draw=draw)
    assert at >= started + took
    if took < interval * 0.9:
        assert started + interval * 0.9 - 1e-6 <= at <= started + interval * 1.1 + 1e-6


@given(draws, st.integers(1, 200), st.floats(1, 5000), st.floats(0, 3600))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_failures_stretch_the_interval_up_to_a_bound_and_a_wish_is_kept(draw, failures, interval, wish):
    """An ill provider is asked less often, but never forgotten; and never before it asked us to come back."""
    at = next_poll_at(started_at=0.0, now=1.0, interval=interval, draw=draw, failures=failures, retry_after=wish)
    assert at >= 1.0 + wish
    assert at <= max(1.1 * max(interval, 600.0), 1.0 + wish)


@pytest.mark.parametrize("reason", [Reason.AUTH, Reason.FORBIDDEN])
@given(draw=draws)
@settings(max_examples=50, derandomize=True, deadline=None)
def test_a_refused_credential_is_tried_at_most_once_a_minute(reason, draw):
    """Hammering with a wrong key locks accounts."""
    at = next_poll_at(started_at=0.0, now=0.1, interval=5.0, draw=draw, failures=1, reason=reason)
    assert at >= 60.0 - 1e-9


@given(draws, st.floats(-1e9, 1e9))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_an_open_job_is_asked_again_between_half_a_minute_and_an_hour(draw, age):
    """Young jobs change soon, old ones rarely; a clock that lies must not stop the asking."""
    assert 27.0 <= recheck_seconds(age, draw=draw) <= 3960.0


def test_the_older_the_job_the_longer_the_pause():
    """A job that waits for days must not be asked for twice a minute."""
    pauses = [recheck_seconds(age, draw=0.5) for age in (0, 300, 600, 3600, 36_000, 1e6)]
    assert pauses == pytest.approx([30.0, 30.0, 60.0, 360.0, 3600.0, 3600.0])


def test_jitter_is_symmetric():
    """A mean that drifts would poll more or less often than configured."""
    assert [jittered(100.0, draw) for draw in (0.0, 0.5, 1.0)] == pytest.approx([90.0, 100.0, 110.0])
