"""A real Prometheus and Alertmanager with what is generated: an outage is one page, with its runbook, and no ticket beside it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from qobs.export.rules import generate
from qobs.slo.objective import Objective
from qobs.slo.windows import WINDOWS

PROMETHEUS, ALERTMANAGER = shutil.which("prometheus"), shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def outage() -> str:
    """The window gauges of a total outage, as a scrape shows them."""
    lines = ["qobs_build_info 1"]
    for window, events in zip(
        ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "7d", "30d", "90d"), range(10, 10 + 10 * len(WINDOWS), 10), strict=True
    ):
        for kind in ("events", "bad_events"):
            place = f'sli="job_success",provider="ibm",source="research",backend="ibm_fez",priority="high",window="{window}"'
            lines.append(f"qobs_sli_window_{kind}{{{place}}} {events}")
    return "\n".join(lines) + "\n"


class Webhook:
    """Receives what Alertmanager sends, by receiver."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.arrived = asyncio.Event()

    async def receive(self, request: web.Request) -> web.Response:
        self.received.append((request.match_info["receiver"], await request.json()))
        self.arrived.set()
        return web.Response()


@pytest.fixture
async def stack() -> AsyncIterator[contextlib.AsyncExitStack]:
    """Ends all that a test started."""
    async with contextlib.AsyncExitStack() as held:
        yield held


async def serve(stack: contextlib.AsyncExitStack, hook: Webhook) -> int:
    """One loopback server: the scrape and the webhook."""

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(text=outage(), content_type="text/plain")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_post("/hook/{receiver}", hook.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


async def start(stack: contextlib.AsyncExitStack, *command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)

    async def end() -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    stack.push_async_callback(end)


def routed(text: str, port: int) -> str:
    """The generated configuration with a webhook for each receiver, and waits of a second."""
    configuration = yaml.safe_load(re.sub(r"group_wait: \w+", "group_wait: 1s", text))
    for receiver in configuration["receivers"]:
        receiver["webhook_configs"] = [{"url": f"http://127.0.0.1:{port}/hook/{receiver['name']}"}]
    return yaml.safe_dump(configuration)


async def test_an_outage_is_one_page_with_its_runbook_and_no_ticket(
    stack: contextlib.AsyncExitStack, tmp_path: Path, objective: Callable[..., Objective]
) -> None:
    """The whole chain once: gauges, rules, alert, inhibition, routing, one message that says what to do."""
    if PROMETHEUS is None or ALERTMANAGER is None:
        pytest.skip("NO REAL PROMETHEUS AND ALERTMANAGER: install Debian's packages `prometheus` and `prometheus-alertmanager`")
    hook = Webhook()
    port = await serve(stack, hook)
    files = generate([objective()])
    (tmp_path / "rules.yaml").write_text(files["alerts/rules/jobs-success.yaml"].replace("interval: 30s", "interval: 1s"))
    (tmp_path / "alertmanager.yml").write_text(routed(files["alerts/alertmanager.yml"], port))
    prometheus, alertmanager = free_port(), free_port()
    (tmp_path / "prometheus.yml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": ["rules.yaml"],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
                "scrape_configs": [{"job_name": "qobs", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
            }
        )
    )
    await start(
        stack, ALERTMANAGER, f"--config.file={tmp_path / 'alertmanager.yml'}", f"--storage.path={tmp_path / 'am'}",
        f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address=",
    )  # fmt: skip
    await start(
        stack, PROMETHEUS, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{prometheus}",
    )  # fmt: skip
    async with asyncio.timeout(120), aiohttp.ClientSession() as session:
        await hook.arrived.wait()
        states = await suppressed(session, f"http://127.0.0.1:{alertmanager}/api/v2/alerts")
    assert states == {"page": "active", "ticket": "suppressed"}
    [(receiver, message)] = hook.received
    assert receiver == "page"
    [alert] = message["alerts"]
    assert alert["status"] == "firing"
    assert alert["labels"]["alertname"] == "JobsSLOBurn"
    assert (alert["labels"]["severity"], alert["labels"]["slo"], alert["labels"]["priority"]) == ("page", "success", "high")
    assert alert["annotations"]["runbook_url"] == "docs/runbooks/JobsSLOBurn.md"
    assert alert["annotations"]["summary"].startswith("success of jobs spends its error budget 20.0 times too fast")
    assert alert["annotations"]["description"].startswith("1h: 30 of 30 bad; 6h: 50 of 50 bad; 1d: 60 of 60 bad; 5 % allowed.")


async def suppressed(session: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """State of each severity's alert, asked again until Alertmanager has seen both and muted one."""
    while True:
        async with session.get(url) as answer:
            alerts = await answer.json()
        states = {alert["labels"]["severity"]: alert["status"]["state"] for alert in alerts}
        if "suppressed" in states.values():
            return states
        await asyncio.sleep(0.1)
