"""``qobs maintenance`` as an operator types it, against a running daemon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest

from qobs.cli import main
from qobs.clock import SystemClock
from qobs.daemon.service import Daemon

ADD = ("add", "--scope", "backend=ibm_fez", "--from", "2026-12-01T08:00Z", "--to", "2026-12-01T12:00Z", "--reason", "upgrade")

Typed = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def typed(configured, capsys) -> AsyncIterator[Typed]:
    """Types ``qobs maintenance …`` and gives exit code and output."""
    daemon = Daemon(configured(), clock=SystemClock(), rng=Random(1))
    await daemon.start()

    async def type_(action: str, *arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["maintenance", action, "--url", daemon.url, *arguments])
        return code, capsys.readouterr().out

    yield type_
    await daemon.stop()


async def test_a_window_goes_in_and_out_and_in_again(typed: Typed):
    """The whole life of a window must be possible from the command line, with the audit to look at."""
    code, said = await typed(*ADD, "--author", "anna")
    assert code == 0
    window = said.split(": ")[1].split(",")[0]
    assert said == f"in force: {window}, 2026-12-01T08:00:00Z to 2026-12-01T12:00:00Z\n"
    code, said = await typed("list")
    assert (code, said.splitlines()[1].split()[:2]) == (0, [window, "backend=ibm_fez"])
    assert await typed("withdraw", window) == (0, f"withdrawn: {window}\n")
    assert window not in (await typed("list"))[1]
    assert await typed("restore", window) == (0, f"in force again: {window}\n")
    _, said = await typed("list", "--all")
    assert [line.split()[2:4] for line in said.splitlines() if line.split()[1:2] == [window]] == [
        ["added", "anna"],
        ["withdrawn", "cli"],
        ["restored", "cli"],
    ]


async def test_what_the_daemon_refuses_is_told_with_exit_one(typed: Typed):
    """A refused change must not pass for a made one in a script."""
    code, said = await typed(*ADD[:-1], "", "--json")
    assert (code, json.loads(said)["errors"][0].split(":")[0]) == (1, "reason")
    code, said = await typed("withdraw", "api-nothing")
    assert (code, said) == (1, "no maintenance window has the id 'api-nothing'\n")


async def test_a_scope_must_be_label_and_value(typed: Typed):
    """A scope that is misread would hide the wrong thing."""
    code, _ = await typed("add", "--scope", "ibm_fez", *ADD[3:])
    assert code == 2


def test_without_a_daemon_it_says_so(capsys: pytest.CaptureFixture[str]):
    """A wrong address must be named, with what to do about it."""
    assert main(["maintenance", "list", "--url", "http://127.0.0.1:9"]) == 2
    assert "http://127.0.0.1:9: no daemon answers there" in capsys.readouterr().err
    assert main(["maintenance", "list", "--url", "file:///etc"]) == 2
