"""Maintenance windows over HTTP and from the configuration: who may change them, what is written down, what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import pytest

from qobs.clock import SystemClock
from qobs.config import Config
from qobs.daemon.service import Daemon

WINDOW = {
    "scope": {"backend": ["ibm_torino", "ibm_fez"], "provider": "ibm"},
    "from": "2026-12-01T08:00:00Z",
    "to": "2026-12-01T14:00:00+02:00",
    "reason": "upgrade",
    "author": "anna",
}
CONFIGURED = "maintenance: [{scope: {backend: ibm_fez}, from: 2026-12-01T08:00Z, to: 2026-12-01T12:00Z, reason: upgrade}]\n"


class Caller:
    """One caller on this machine."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url + "/api/v1/maintenance"

    async def __call__(self, method: str, path: str = "", body: Any = None, **headers: str) -> tuple[int, Any]:
        told = None if method == "GET" else body or {}
        async with self._session.request(method, self._url + path, json=told, headers=headers) as answer:
            return answer.status, await answer.json()

    async def log(self) -> list[tuple[str, str]]:
        """(action, author) of every line of the audit."""
        _, told = await self("GET")
        return [(line["action"], line["author"]) for line in told["log"]]


@asynccontextmanager
async def calling(config: Config, reload: Callable[[], Config] | None = None) -> AsyncIterator[tuple[Caller, Daemon]]:
    running = Daemon(config, clock=SystemClock(), rng=Random(1), reload=reload)
    try:
        await running.start()
        async with aiohttp.ClientSession() as session:
            yield Caller(session, running.url), running
    finally:
        await running.stop()


async def test_a_window_is_added_withdrawn_and_restored_and_each_change_is_on_record(configured):
    """An auditor must find who took events out of the budget, and who put them back, also after a restart."""
    async with calling(configured()) as (call, _):
        status, made = await call("POST", body=WINDOW)
        assert status == 201
        assert made["scope"] == {"backend": ["ibm_fez", "ibm_torino"], "provider": ["ibm"]}
        assert (made["from"], made["to"], made["author"]) == ("2026-12-01T08:00:00Z", "2026-12-01T12:00:00Z", "anna")
        status, gone = await call("DELETE", f"/{made['id']}", {"author": "ben"})
        assert (status, gone["id"]) == (200, made["id"])
        assert gone["withdrawn_at"] is not None
        status, again = await call("POST", f"/{made['id']}/restore", {"author": "anna"})
        assert (status, again["withdrawn_at"]) == (200, None)
    async with calling(configured()) as (call, _):
        _, told = await call("GET")
        assert [(each["id"], each["withdrawn_at"]) for each in told["maintenance"]] == [(made["id"], None)]
        assert await call.log() == [("added", "anna"), ("withdrawn", "ben"), ("restored", "anna")]


async def test_asking_twice_for_a_window_makes_one(configured):
    """A script that is run again must not leave two windows, of which the withdrawal takes only one."""
    async with calling(configured()) as (call, _):
        first, second = await call("POST", body=WINDOW), await call("POST", body=WINDOW)
        assert first[1]["id"] == second[1]["id"]
        _, told = await call("GET")
        assert len(told["maintenance"]) == len(told["log"]) == 1


async def test_windows_of_the_configuration_follow_it_and_nothing_else(configured):
    """A window that the file no longer names must end at the reload; a caller must not undo what the file says."""
    now = [configured(more=CONFIGURED)]
    async with calling(now[0], lambda: now[0]) as (call, running):
        _, told = await call("GET")
        (window,) = told["maintenance"]
        assert (window["author"], window["scope"]) == ("configuration", {"backend": ["ibm_fez"]})
        status, refused = await call("DELETE", f"/{window['id']}")
        assert status == 409
        assert "comes from the configuration" in refused["errors"][0]
        now[0] = configured()
        assert not (await running.reload()).findings
        _, told = await call("GET")
        assert told["maintenance"][0]["withdrawn_at"] is not None
        now[0] = configured(more=CONFIGURED)
        assert not (await running.reload()).findings
        assert [action for action, _ in await call.log()] == ["added", "withdrawn", "restored"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"to": "2026-12-01T08:00:00Z"}, "to: found '2026-12-01T08:00:00Z'; `from` must lie before `to`"),
        ({"from": "2026-12-01T08:00:00"}, "from: found '2026-12-01T08:00:00'; must be a time with its offset"),
        ({"from": 7}, "from: found 7; must be a time with its offset"),
        ({"scope": {"color": "red"}}, "scope.color: found 'an unknown label'; allowed: provider, source"),
        ({"scope": {"backend": []}}, "scope.backend: found []; must be a text, or a list of 1 to 100 texts"),
        ({"scope": None}, "scope: found null; must be an object of labels"),
        ({"reason": ""}, "reason: found ''; must be a text of 1 to 500 characters on one line"),
        ({"author": "a\nb"}, "author: found "),
        ({"until": "x"}, "until: found 'an unknown key'; allowed: scope, from, to, reason, author"),
    ],
)
async def test_an_unusable_window_is_refused_by_key(configured, change, said):
    """A slip at three in the morning must say what is wrong with which key, and change nothing."""
    async with calling(configured()) as (call, _):
        status, told = await call("POST", body=WINDOW | change)
        assert status == 422
        assert told["errors"][0].startswith(said)
        assert (await call("GET"))[1]["maintenance"] == []


async def test_only_programs_on_this_machine_change_windows(configured):
    """A web page open in an operator's browser must not be able to hide an outage."""
    async with calling(configured()) as (call, _):
        status, told = await call("POST", body=WINDOW, Origin="http://example.org")
        assert (status, told["errors"]) == (403, ["changes are open to programs on this machine only"])
        assert (await call("GET"))[1]["maintenance"] == []


async def test_unknown_and_settled_windows_are_told(configured):
    """A typo in an id must not look like success."""
    async with calling(configured()) as (call, _):
        assert (await call("DELETE", "/api-nothing"))[0] == 404
        _, made = await call("POST", body=WINDOW)
        assert (await call("POST", f"/{made['id']}/restore"))[0] == 409
        assert (await call("DELETE", f"/{made['id']}"))[0] == 200
        assert (await call("DELETE", f"/{made['id']}"))[0] == 409


async def test_what_is_no_json_object_is_refused(configured):
    """A form or a broken script must get an answer, not a stack trace."""
    async with calling(configured()) as (_, running), aiohttp.ClientSession() as session:
        url = running.url + "/api/v1/maintenance"
        async with session.post(url, data=b"[" * 9000, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 400
        async with session.post(url, data=b"{}", headers={"Content-Type": "text/plain"}) as answer:
            assert answer.status == 415
