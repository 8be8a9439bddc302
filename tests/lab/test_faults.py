"""Scripted faults happen to the requests they are meant for, and to no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from qobs.lab.faults import Faults, body, edited, login_page, replayed, reset, stall, status, truncated
from qobs.lab.serve import serve


@dataclass
class Bench:
    """A service that counts, with a script in front."""

    url: str
    session: aiohttp.ClientSession
    faults: Faults

    async def get(self, path: str = "/count") -> tuple[int, bytes]:
        """Status and body."""
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.read()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A service whose answers are numbered."""
    numbers = iter(range(1, 1000))

    async def count(request: web.Request) -> web.Response:
        return web.json_response({"number": next(numbers), "padding": "x" * 4000})

    app = web.Application()
    app.router.add_get("/count", count)
    app.router.add_get("/other", count)
    faults = Faults()
    async with serve(faults.install(app)) as url, aiohttp.ClientSession() as session:
        yield Bench(url, session, faults)


async def test_only_the_chosen_requests_are_spoilt(bench: Bench) -> None:
    """A fault that strikes elsewhere makes a test pass for the wrong reason."""
    bench.faults.add(status(503), path="/count", first=2, times=2)
    assert [(await bench.get())[0] for _ in range(5)] == [200, 503, 503, 200, 200]
    assert (await bench.get("/other"))[0] == 200
    assert bench.faults.count("/count") == 5
    assert bench.faults.count("/*") == 6


async def test_the_first_of_two_rules_happens_and_both_count(bench: Bench) -> None:
    """Scripts are read from the top, and "the second request" means the second, whoever answered the first."""
    bench.faults.add(status(500), first=1)
    bench.faults.add(status(429, b"wait", {"Retry-After": "7"}), first=2)
    assert [(await bench.get())[0] for _ in range(3)] == [500, 429, 200]


async def test_for_ever_lasts_until_the_script_is_cleared(bench: Bench) -> None:
    """After the fault ends everything must be as before."""
    bench.faults.add(login_page(), times=None)
    assert [b"Sign in" in (await bench.get())[1] for _ in range(3)] == [True] * 3
    bench.faults.clear()
    assert b"number" in (await bench.get())[1]


async def test_bodies_are_sent_as_given(bench: Bench) -> None:
    """The empty body is the one that is easiest to lose on the way."""
    bench.faults.add(body(b""))
    bench.faults.add(body(b"null"), first=2)
    assert [await bench.get(), await bench.get()] == [(200, b""), (200, b"null")]


async def test_a_truncated_answer_is_whole_http_and_half_json(bench: Bench) -> None:
    """It must get past the HTTP layer, or the JSON layer is never tried."""
    bench.faults.add(truncated(0.25))
    code, content = await bench.get()
    assert (code, len(content)) == (200, int(len((await bench.get())[1]) * 0.25))


async def test_a_reset_tears_the_body(bench: Bench) -> None:
    """The HTTP layer has to notice it."""
    bench.faults.add(reset())
    with pytest.raises(aiohttp.ClientError):
        await bench.get()
    assert (await bench.get())[0] == 200


async def test_a_stalled_request_is_let_go_when_the_script_is_cleared(bench: Bench) -> None:
    """The server must be able to go down with a request still held."""
    bench.faults.add(stall())
    waiting = asyncio.create_task(bench.get())
    while bench.faults.count("/count") == 0:  # noqa: ASYNC110 (the request has no event of its own)
        await asyncio.sleep(0)
    assert not waiting.done()
    bench.faults.clear()
    assert (await waiting)[0] == 503


async def test_edits_change_the_answer_in_place_or_by_value(bench: Bench) -> None:
    """Both habits of writing an edit must work."""
    bench.faults.add(edited(lambda value: value.update(number=-1)))
    bench.faults.add(edited(lambda value: [value["number"]]), first=2)
    assert b'"number": -1' in (await bench.get())[1]
    assert (await bench.get())[1] == b"[2]"


async def test_a_replay_gives_the_first_answer_again(bench: Bench) -> None:
    """A cursor that never moves gives the same page for ever."""
    bench.faults.add(replayed(), first=2, times=None)
    answers = [(await bench.get())[1] for _ in range(4)]
    assert answers[1] == answers[2] == answers[3] != answers[0]
