"""Access tokens: one exchange at a time, renewed early, thrown away when refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from qobs.errors import Refused, Unavailable
from qobs.model import Reason
from qobs.secret import Secret
from qobs.sources.token import Token, TokenCache, with_token_retry


class Exchange:
    """A token endpoint: numbers its tokens, lives ``seconds``, fails while ``broken``."""

    def __init__(self, clock, seconds=3600.0):
        self.clock, self.seconds, self.calls, self.broken = clock, seconds, 0, None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self):
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        now = self.clock.now()
        return Token(Secret(f"token-{number}"), now, now + timedelta(seconds=self.seconds))


@pytest.fixture
def exchange(clock):
    return Exchange(clock)


@pytest.fixture
def cache(exchange, clock):
    return TokenCache(exchange, clock)


async def value(cache):
    return (await cache.get()).value.reveal()


async def test_a_token_is_used_until_four_fifths_of_its_life(cache, exchange, clock):
    """Every exchange is a request that the provider counts."""
    assert await value(cache) == "token-1"
    clock.advance(2879)
    assert await value(cache) == "token-1"
    clock.advance(2)
    assert await value(cache) == "token-2"
    assert exchange.calls == 2


async def test_many_requests_cause_one_exchange(cache, exchange):
    """A start with ten streams must not ask for ten tokens."""
    exchange.gate.clear()
    waiting = [asyncio.create_task(value(cache)) for _ in range(20)]
    await asyncio.sleep(0)
    exchange.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"token-1"}
    assert exchange.calls == 1


async def test_a_failed_early_renewal_keeps_the_living_token(cache, exchange, clock):
    """A token endpoint that is down for ten minutes must cost nothing while the token lives."""
    await cache.get()
    exchange.broken = Unavailable("down")
    clock.advance(2900)
    assert await value(cache) == "token-1"
    assert await value(cache) == "token-1"
    assert exchange.calls == 2
    clock.advance(31)
    assert await value(cache) == "token-1"
    assert exchange.calls == 3


async def test_a_token_is_dead_ten_seconds_before_its_end(cache, exchange, clock):
    """A request sent in the last second arrives after it."""
    await cache.get()
    exchange.broken = Unavailable("down")
    clock.advance(3589)
    assert await value(cache) == "token-1"
    clock.advance(1)
    with pytest.raises(Unavailable):
        await cache.get()
    exchange.broken = None
    assert await value(cache) == f"token-{exchange.calls}"


async def test_a_failed_first_exchange_reaches_the_caller(cache, exchange):
    """No token, no poll: with the reason of the exchange."""
    exchange.broken = Refused("wrong key", reason=Reason.AUTH)
    with pytest.raises(Refused):
        await cache.get()


async def test_a_dropped_token_is_not_handed_out_again(cache, exchange):
    """It was refused."""
    await cache.get()
    cache.drop()
    assert await value(cache) == "token-2"


async def test_a_late_refusal_of_an_old_token_spares_its_successor(cache, exchange):
    """Ten requests refused together cause one exchange, not ten."""
    old = await cache.get()
    cache.drop(old)
    assert await value(cache) == "token-2"
    cache.drop(old)
    assert await value(cache) == "token-2"
    assert exchange.calls == 2


@pytest.mark.parametrize("seconds", [0.0, 5.0, -100.0])
async def test_a_token_with_no_life_is_used_once(clock, seconds):
    """A provider with a wrong clock must not cause a loop of exchanges, nor a crash."""
    exchange = Exchange(clock, seconds)
    cache = TokenCache(exchange, clock)
    assert [await value(cache), await value(cache)] == ["token-1", "token-2"]


async def test_cancelling_the_one_who_fetches_lets_the_next_fetch(cache, exchange):
    """A poll cancelled in mid-exchange must not leave the others without a token."""
    exchange.gate.clear()
    first = asyncio.create_task(value(cache))
    second = asyncio.create_task(value(cache))
    await asyncio.sleep(0)
    first.cancel()
    exchange.gate.set()
    assert await second == "token-2"


async def test_a_refused_call_gets_one_new_token_and_one_more_try(cache, exchange):
    """A rotated or revoked token heals by itself."""
    seen = []

    async def call(token):
        seen.append(token.value.reveal())
        if len(seen) == 1:
            raise Refused("expired", reason=Reason.AUTH)
        return "answer"

    assert await with_token_retry(cache, call) == "answer"
    assert seen == ["token-1", "token-2"]


async def test_a_call_that_stays_refused_is_not_repeated_further(cache, exchange):
    """No hammering with a key that was withdrawn."""
    seen = []

    async def call(token):
        seen.append(token.value.reveal())
        raise Refused("no", reason=Reason.AUTH)

    with pytest.raises(Refused):
        await with_token_retry(cache, call)
    assert len(seen) == exchange.calls == 2


@pytest.mark.parametrize(
    "error", [Refused("no", reason=Reason.FORBIDDEN), Refused("slow", reason=Reason.RATE_LIMITED), Unavailable("ill")]
)
async def test_other_failures_do_not_cost_the_token(cache, exchange, error):
    """Rights, rates and outages have nothing to do with the token."""

    async def call(token):
        raise error

    with pytest.raises(type(error)):
        await with_token_retry(cache, call)
    assert await value(cache) == "token-1"
