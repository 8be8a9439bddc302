"""A real Prometheus and Alertmanager with what is generated: an outage is one page, with its runbook, and no ticket beside it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from qobs.export.rules import generate
from qobs.slo.objective import Objective

PROMETHEUS, ALERTMANAGER = shutil.which("prometheus"), shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")


def outage() -> str:
    """The daemon's gauges in a total outage, as a scrape shows them."""
    lines = ["qobs_build_info 1", 'qobs_slo_silent_sources{service="jobs",slo="success"} 0']
    for events, window in enumerate(WINDOWS, 1):
        for kind in ("events", "bad_events"):
            lines.append(f'qobs_slo_window_{kind}{{service="jobs",slo="success",window="{window}"}} {10 * events}')
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


class Scraped:
    """What a scrape shows now."""

    def __init__(self, text: str) -> None:
        self.text = text


async def serve(stack: contextlib.AsyncExitStack, hook: Webhook, scraped: Scraped) -> int:
    """One loopback server: the scrape and the webhook."""

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(text=scraped.text, content_type="text/plain")

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
    configuration = yaml.safe_load(re.sub(r"group_(wait|interval): \w+", r"group_\1: 1s", text))
    for receiver in configuration["receivers"]:
        receiver["webhook_configs"] = [{"url": f"http://127.0.0.1:{port}/hook/{receiver['name']}"}]
    return yaml.safe_dump(configuration)


def hurried(text: str) -> str:
    """Rules that are looked at every second, and let go of what is over."""
    return re.sub(r"interval: (30s|1m)\b", "interval: 1s", re.sub(r" *keep_firing_for: .*\n", "", text))


async def start_both(
    stack: contextlib.AsyncExitStack, folder: Path, files: Mapping[str, str], rules: tuple[str, ...], port: int
) -> str:
    """A real Prometheus with these generated rule files, and a real Alertmanager: the address of its API."""
    if PROMETHEUS is None or ALERTMANAGER is None:
        pytest.skip("NO REAL PROMETHEUS AND ALERTMANAGER: install Debian's packages `prometheus` and `prometheus-alertmanager`")
    for name in rules:
        (folder / name).write_text(hurried(files[f"alerts/rules/{name}"]))
    (folder / "alertmanager.yml").write_text(routed(files["alerts/alertmanager.yml"], port))
    prometheus, alertmanager = free_port(), free_port()
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": list(rules),
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
                "scrape_configs": [{"job_name": "qobs", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
            }
        )
    )
    await start(
        stack, ALERTMANAGER, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'am'}",
        f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address=",
    )  # fmt: skip
    await start(
        stack, PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{prometheus}",
    )  # fmt: skip
    return f"http://127.0.0.1:{alertmanager}/api/v2/alerts"


async def test_an_outage_is_one_page_with_its_runbook_and_no_ticket(
    stack: contextlib.AsyncExitStack, tmp_path: Path, objective: Callable[..., Objective]
) -> None:
    """The whole chain once: gauges, rules, alert, inhibition, routing, one message that says what to do, one that it is over."""
    hook, scraped = Webhook(), Scraped(outage())
    port = await serve(stack, hook, scraped)
    url = await start_both(stack, tmp_path, generate([objective()]), ("jobs-success.yaml",), port)
    async with asyncio.timeout(120), aiohttp.ClientSession() as session:
        await hook.arrived.wait()
        states = await suppressed(session, url)
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
    hook.arrived.clear()
    scraped.text = re.sub(r"(bad_events\S+) \d+", r"\1 0", scraped.text)
    async with asyncio.timeout(120):
        await hook.arrived.wait()
    _, over = hook.received[1]
    assert [(each["status"], each["labels"]["severity"]) for each in over["alerts"]] == [("resolved", "page")]


def backend_down(*backends: str) -> str:
    """No source of the provider works, two backends are offline, and some are excluded."""
    lines = ["qobs_build_info 1"]
    lines += [f'qobs_backend_state{{provider="ibm",source="lab",backend="{name}",state="offline"}} 1' for name in ("fez", "kyiv")]
    empty = ",".join(f'{label}=""' for label in ("source", "service", "slo", "sli", "priority", "workload", "team"))
    lines += [
        f'qobs_exclusion_active{{exclusion="fridge",scope="provider+backend",provider="ibm",backend="{name}",{empty}}} 1'
        for name in backends
    ]
    return "\n".join(lines) + "\n"


async def test_maintenance_mutes_what_is_in_its_scope_and_nothing_else(
    stack: contextlib.AsyncExitStack, tmp_path: Path, objective: Callable[..., Objective]
) -> None:
    """Whoever announces maintenance of one backend is not told of it, and still hears of the other one."""
    hook = Webhook()
    port = await serve(stack, hook, Scraped(backend_down("fez")))
    files = dict(generate([objective()]))
    files["alerts/rules/qobs.yaml"] = re.sub(r" {8}for: .*\n", "", files["alerts/rules/qobs.yaml"])
    url = await start_both(stack, tmp_path, files, ("qobs.yaml",), port)
    async with asyncio.timeout(120), aiohttp.ClientSession() as session:
        states = await offline_states(session, url)
    assert states == {"fez": "suppressed", "kyiv": "active"}


async def offline_states(session: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """State of each backend's alert, asked again until Alertmanager has judged both."""
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(url) as answer:
                alerts = await answer.json()
            states = {
                alert["labels"]["backend"]: alert["status"]["state"]
                for alert in alerts
                if alert["labels"]["alertname"] == "QobsBackendOffline"
            }
            if set(states.values()) == {"active", "suppressed"}:
                return states
        await asyncio.sleep(0.1)


async def suppressed(session: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """State of each severity's alert, asked again until Alertmanager has seen both and muted one."""
    while True:
        async with session.get(url) as answer:
            alerts = await answer.json()
        states = {alert["labels"]["severity"]: alert["status"]["state"] for alert in alerts}
        if "suppressed" in states.values():
            return states
        await asyncio.sleep(0.1)
