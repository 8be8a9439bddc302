"""How long to wait: laws that hold for every draw."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.sources.backoff import backoff_seconds, retry_after_seconds

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@given(st.integers(0, 10_000), st.integers(), st.floats(0, 3600))
@settings(max_examples=120, derandomize=True, deadline=None)
def test_a_wait_lies_between_the_wish_and_the_wish_plus_the_ceiling(attempt, seed, wish):
    """Shorter hammers the provider, longer loses fresh data."""
    wait = backoff_seconds(attempt, rng=Random(seed), at_least=wish)
    assert wish <= wait <= wish + min(60.0, 2.0 ** min(attempt, 10))


def test_waits_fill_the_whole_range():
    """Full jitter: clients that failed together must not come back together."""
    rng = Random(1)
    waits = [backoff_seconds(3, rng=rng) for _ in range(2000)]
    assert min(waits) < 0.1
    assert max(waits) > 7.9
    assert sum(waits) / len(waits) == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-1", None),
        ("+3", None),
        ("1_000", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1000000000", 3600.0),
        ("9" * 60, 3600.0),
        ("9" * 400, None),
        ("1e9", 3600.0),
        ("1e999", None),
        ("7 seconds", None),
        ("Mon, 99 Foo 2026 99:99:99 GMT", None),
        ("Sun, 01 Mar 2026 11:59:00 GMT", None),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60.0),
        ("Sun, 01 Mar 2026 12:01:00 -0000", 60.0),
        ("Sun, 01 Mar 2026 13:01:00 +0100", 60.0),
        ("Tue, 01 Mar 2089 12:00:00 GMT", 3600.0),
        ("Thu, 01 Jan 99999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_or_ignored(text, seconds):
    """The header is the provider's text: seconds, a date, or nonsense that must not be slept on."""
    assert retry_after_seconds(text, now=NOW) == seconds


@given(st.integers(1, 3600))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_a_date_means_the_seconds_until_then(seconds):
    """Both forms of the header say the same thing."""
    text = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(text, now=NOW) == retry_after_seconds(str(seconds), now=NOW) == seconds


@given(st.text(max_size=80))
@settings(max_examples=120, derandomize=True, deadline=None)
def test_no_text_breaks_it(text):
    """Whatever a header holds, the result is None or a wait within the cap."""
    seconds = retry_after_seconds(text, now=NOW)
    assert seconds is None or 0.0 <= seconds <= 3600.0
