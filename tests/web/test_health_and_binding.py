"""When the program counts as alive, and where it may listen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from qobs.lab.clock import LabClock
from qobs.web.binding import OpenBind, refuse_open_bind
from qobs.web.health import Heartbeat, Readiness


async def test_a_heart_that_stops_is_noticed_after_ten_seconds() -> None:
    """A loop that is held by a bug must lead to a restart."""
    clock = LabClock(datetime(2026, 1, 1, tzinfo=UTC))
    heart = Heartbeat(clock)
    running = asyncio.create_task(heart.run())
    await asyncio.sleep(0)
    clock.advance(timedelta(seconds=1.5))
    for _ in range(5):
        await asyncio.sleep(0)
    assert heart.lag_seconds == pytest.approx(0.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    clock.advance(timedelta(seconds=10))
    assert heart.alive()
    clock.advance(timedelta(seconds=0.5))
    assert not heart.alive()


def test_ready_means_nothing_stands_against_it() -> None:
    """One reason is enough to take the daemon out of a load balancer."""
    assert Readiness().ready
    assert not Readiness((("store", "read-only"),)).ready


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_word(host: str) -> None:
    """The default must just work."""
    assert refuse_open_bind(host, insecure=False) is False


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", "", "localhost.evil.example"])
def test_any_other_address_needs_the_operators_word(host: str) -> None:
    """Metrics must not become public by a typing error."""
    with pytest.raises(OpenBind, match="--insecure-listen"):
        refuse_open_bind(host, insecure=False)
    assert refuse_open_bind(host, insecure=True) is True
