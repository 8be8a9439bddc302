"""Which answers are asked for again, how long is waited, and what is raised in the end."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from qobs.errors import BadPayload, Refused, Unavailable, Unreachable
from qobs.model import Reason
from qobs.sources.quantum.ionq import SOURCE_TYPE
from qobs.sources.ratelimit import RetryBudget, TokenBucket


def failing(times, status, headers=None):
    """A handler that fails ``times`` times, then answers; ``calls`` counts."""
    calls = []

    async def handler(request):
        calls.append(request.path)
        if len(calls) <= times:
            return web.Response(status=status, headers=headers, text="secret body")
        return web.json_response({"ok": True})

    return handler, calls


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529])
async def test_a_passing_failure_is_asked_again_until_it_passes(serve, client, clock, notes, status):
    """One bad minute at a provider must not cost a poll interval."""
    handler, calls = failing(2, status)
    answer = await client(base := await serve(handler)).get(f"{base}/jobs", endpoint="/jobs")
    assert answer.body == b'{"ok": true}'
    assert len(calls) == 3
    assert len(clock.slept) == 2
    assert [endpoint for endpoint, _, _ in notes.retries] == ["/jobs", "/jobs"]


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (400, Refused, Reason.OTHER),
        (401, Refused, Reason.AUTH),
        (403, Refused, Reason.FORBIDDEN),
        (404, Refused, Reason.NOT_FOUND),
        (409, Refused, Reason.OTHER),
        (422, Refused, Reason.OTHER),
        (204, BadPayload, Reason.BAD_PAYLOAD),
        (301, BadPayload, Reason.BAD_PAYLOAD),
        (304, BadPayload, Reason.BAD_PAYLOAD),
    ],
)
async def test_a_final_answer_is_asked_once(serve, client, clock, status, error, reason):
    """Asking again with a refused credential hammers the provider and can lock the account."""
    handler, calls = failing(9, status)
    with pytest.raises(error) as caught:
        await client(base := await serve(handler)).get(f"{base}/jobs", endpoint="/jobs")
    assert caught.value.reason is reason
    assert (len(calls), clock.slept) == (1, [])


async def test_a_status_that_passes_at_one_provider_is_asked_again_there(serve, client, clock):
    """IonQ answers a read with 409 while it writes: that must not fail a poll, nor may a conflict elsewhere be hammered."""
    handler, calls = failing(2, 409)
    base = await serve(handler)
    answer = await client(base, retried=SOURCE_TYPE.retried).get(f"{base}/jobs", endpoint="/jobs")
    assert (answer.status, len(calls), len(clock.slept)) == (200, 3, 2)


async def test_a_form_is_not_sent_again_whatever_the_status(serve, client, clock):
    """A sign-in that is repeated blindly can lock the account."""
    handler, calls = failing(9, 409)
    base = await serve(handler)
    with pytest.raises(Refused):
        await client(base, retried=frozenset({409})).post_form(f"{base}/token", endpoint="/token", form={"a": "b"})
    assert (len(calls), clock.slept) == (1, [])


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (429, Refused, Reason.RATE_LIMITED),
        (500, Unavailable, Reason.SERVER_ERROR),
        (503, Unavailable, Reason.SERVER_ERROR),
        (408, Unreachable, Reason.TIMEOUT),
    ],
)
async def test_a_failure_that_stays_is_raised_with_its_reason(serve, client, clock, status, error, reason):
    """The operator's error label must tell a rate limit from an outage."""
    handler, calls = failing(99, status)
    with pytest.raises(error) as caught:
        await client(base := await serve(handler), attempts=4).get(f"{base}/jobs", endpoint="/jobs")
    assert caught.value.reason is reason
    assert (len(calls), len(clock.slept)) == (4, 3)


async def test_an_accepted_404_is_an_answer(serve, client):
    """A vanished job is news about that job, not a failure of the poll."""
    handler, calls = failing(1, 404)
    answer = await client(base := await serve(handler)).get(f"{base}/jobs/1", endpoint="/jobs/{id}", accept=frozenset({200, 404}))
    assert (answer.status, answer.body, len(calls)) == (404, b"secret body", 1)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("7", 7.0, 8.0), ("7.5", 7.5, 8.5), ("soon", 0.0, 1.0), ("-1", 0.0, 1.0), ("nan", 0.0, 1.0), ("", 0.0, 1.0)],
)
async def test_retry_after_is_a_lower_bound_and_garbage_is_ignored(serve, client, clock, header, least, most):
    """A provider that asks for seven seconds gets them; one that talks nonsense gets the normal backoff."""
    handler, _ = failing(1, 429, {"Retry-After": header})
    await client(base := await serve(handler)).get(f"{base}/jobs", endpoint="/jobs")
    assert least <= clock.slept[0] <= most


async def test_retry_after_as_a_date_is_waited_for(serve, client, clock):
    """Half of the providers send a date instead of seconds."""
    handler, _ = failing(1, 503, {"Retry-After": format_datetime(clock.now() + timedelta(seconds=42), usegmt=True)})
    await client(base := await serve(handler)).get(f"{base}/jobs", endpoint="/jobs")
    assert 42.0 <= clock.slept[0] <= 43.0


@pytest.mark.parametrize("header", ["1000000000", "1e9", "3600", "301"])
async def test_a_wish_beyond_the_poll_budget_ends_the_poll_and_is_handed_on(serve, client, clock, header):
    """The schedule, not a sleeping request, waits for an hour: other streams of the source go on meanwhile."""
    handler, calls = failing(9, 429, {"Retry-After": header})
    with pytest.raises(Refused) as caught:
        await client(base := await serve(handler)).get(f"{base}/jobs", endpoint="/jobs")
    assert caught.value.retry_after_seconds == min(float(header), 3600.0)
    assert (len(calls), clock.slept) == (1, [])


async def test_one_poll_loses_at_most_its_budget_to_failures(serve, client, clock):
    """An outage of an hour must not hold a poll for an hour."""
    handler, calls = failing(999, 503, {"Retry-After": "40"})
    base = await serve(handler)
    poll = client(base, retries=RetryBudget(floor=999), attempts=50).for_poll()
    with pytest.raises(Unavailable):
        await poll.get(f"{base}/jobs", endpoint="/jobs")
    assert 200.0 <= sum(clock.slept) <= 300.0
    before = len(calls)
    with pytest.raises(Unavailable):
        await poll.get(f"{base}/jobs?page=2", endpoint="/jobs")
    assert len(calls) <= before + 2


async def test_time_spent_on_good_pages_is_not_lost_time(serve, client, clock):
    """A backlog that takes hours to read would never be finished if its length counted against the budget."""
    handler, _ = failing(0, 200)
    base = await serve(handler)
    poll = client(base).for_poll()
    for page in range(5):
        await poll.get(f"{base}/jobs?page={page}", endpoint="/jobs")
        clock.advance(200.0)
    failing_handler, calls = failing(1, 503)
    other = await serve(failing_handler)
    poll = client(base, other).for_poll()
    await poll.get(f"{other}/jobs", endpoint="/jobs")
    assert len(calls) == 2


async def test_an_outage_is_not_amplified(serve, client, clock):
    """Retries over all requests of a minute stay within a fifth of them, whatever each request would like."""
    handler, calls = failing(10_000, 503)
    base = await serve(handler)
    asking = client(base, retries=RetryBudget(ratio=0.2, floor=2))
    for _ in range(60):
        before = clock.monotonic()
        with pytest.raises(Unavailable):
            await asking.get(f"{base}/jobs", endpoint="/jobs")
        clock.advance(-(clock.monotonic() - before))
    assert 60 < len(calls) <= 60 * 1.2


async def test_a_single_request_may_still_retry(serve, client):
    """A source that asks once a minute would never retry under the bare twenty per cent."""
    handler, calls = failing(3, 502)
    await client(base := await serve(handler)).get(f"{base}/jobs", endpoint="/jobs")
    assert len(calls) == 4


async def test_a_post_is_never_sent_twice(serve, client, clock):
    """A token exchange that is repeated blindly can burn a one-time code or lock an account."""
    handler, calls = failing(1, 503)
    with pytest.raises(Unavailable):
        await client(base := await serve(handler)).post_form(f"{base}/token", endpoint="/token", form={"a": "b"})
    assert (len(calls), clock.slept) == (1, [])


async def test_a_form_arrives_encoded(serve, client):
    """An API key with reserved characters must reach the token exchange unchanged."""

    async def handler(request):
        return web.json_response({"method": request.method, **await request.post()})

    base = await serve(handler)
    answer = await client(base).post_form(f"{base}/token", endpoint="/token", form={"apikey": "a+b/c=d &é"})
    assert answer.body.decode() == '{"method": "POST", "apikey": "a+b/c=d &\\u00e9"}'


async def test_a_page_token_that_repeats_for_ever_ends_at_the_cap(serve, client):
    """A provider's paging bug must not keep one poll running for ever."""
    handler, calls = failing(0, 200)
    base = await serve(handler)
    poll = client(base, pages_per_poll=5).for_poll()
    for _ in range(5):
        await poll.get(f"{base}/jobs?token=same", endpoint="/jobs")
    with pytest.raises(BadPayload, match="5 requests in one poll"):
        await poll.get(f"{base}/jobs?token=same", endpoint="/jobs")
    assert len(calls) == 5


async def test_requests_keep_the_rate_of_their_account(serve, client, clock, notes):
    """Asking faster than the account's limit gets every client of that account refused."""
    handler, _ = failing(0, 200)
    base = await serve(handler)
    asking = client(base, bucket=TokenBucket(rate=2.0, burst=1))
    for _ in range(5):
        await asking.get(f"{base}/jobs", endpoint="/jobs")
    assert clock.slept == pytest.approx([0.5] * 4)
    assert [endpoint for endpoint, _ in notes.waits] == ["/jobs"] * 4


async def test_a_used_up_allowance_is_waited_for(serve, client, clock, notes):
    """The provider said zero left until then: the next request before that would be refused."""

    async def handler(request):
        return web.json_response({}, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "33"})

    base = await serve(handler)
    asking = client(base, bucket=TokenBucket(rate=100.0, burst=10))
    await asking.get(f"{base}/jobs", endpoint="/jobs")
    await asking.get(f"{base}/jobs", endpoint="/jobs")
    assert clock.slept == pytest.approx([33.0])
    assert notes.left == [0, 0]


async def test_an_allowance_that_is_gone_for_long_ends_the_poll(serve, client, clock):
    """Waiting half an hour inside a request would block the source's other streams."""

    async def handler(request):
        return web.json_response({}, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800"})

    base = await serve(handler)
    asking = client(base, bucket=TokenBucket(rate=100.0, burst=10))
    await asking.get(f"{base}/jobs", endpoint="/jobs")
    with pytest.raises(Refused) as caught:
        await asking.get(f"{base}/jobs", endpoint="/jobs")
    assert caught.value.reason is Reason.RATE_LIMITED
    assert caught.value.retry_after_seconds == pytest.approx(1800.0)
    assert clock.slept == []


async def test_everything_that_happened_was_told(serve, client, clock, notes):
    """The daemon's self-metrics are made of these observations."""

    async def handler(request):
        status = 503 if len(notes.requests) == 0 else 200
        return web.json_response(
            {}, status=status, headers={"Date": format_datetime(clock.now() + timedelta(hours=1), usegmt=True)}
        )

    base = await serve(handler)
    await client(base).get(f"{base}/jobs/1", endpoint="/jobs/{id}")
    assert notes.requests == [("/jobs/{id}", "5xx"), ("/jobs/{id}", "2xx")]
    assert notes.retries[0][:2] == ("/jobs/{id}", Reason.SERVER_ERROR)
    assert notes.skews == pytest.approx([3600.0, 3600.0], abs=1.5)
