"""What several test rooms share: a real Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

PROMETHEUS = shutil.which("prometheus")


class RealPrometheus:
    """Debian's Prometheus, scraping loopback targets every second, asked through its own API."""

    def __init__(self, url: str, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> None:
        """Wrap a server that listens at ``url``."""
        self.url = url
        self._process = process
        self._session = session

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The instant vector of an expression now: (labels, value) pairs."""
        data = await self.get("/api/v1/query", {"query": expression})
        return [(entry["metric"], float(entry["value"][1])) for entry in data["result"]]

    async def get(self, path: str, params: dict[str, str]) -> Any:
        """The ``data`` of any API answer."""
        async with self._session.get(f"{self.url}{path}", params=params) as answer:
            body = await answer.json()
        assert body["status"] == "success", body
        return body["data"]

    async def until(
        self, expression: str, holds: Callable[[list[tuple[dict[str, str], float]]], bool]
    ) -> list[tuple[dict[str, str], float]]:
        """Ask again and again until the answer satisfies ``holds``: the API says when, not a clock."""
        async with asyncio.timeout(60):
            while True:
                found = await self.query(expression)
                if holds(found):
                    return found
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """End the server in good order, so that another may open what it kept."""
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()

    async def healthy(self) -> None:
        """Wait until the server answers."""
        async with asyncio.timeout(60):
            while True:
                assert self._process.returncode is None, "prometheus ended while starting"
                with contextlib.suppress(aiohttp.ClientError):
                    async with self._session.get(f"{self.url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)


StartPrometheus = Callable[..., Any]


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[StartPrometheus]:
    """A function that starts a real Prometheus, which scrapes the given loopback ports every second as job ``qobs``."""
    if PROMETHEUS is None:
        pytest.skip("NO REAL PROMETHEUS: install Debian's package `prometheus` to run this test")
    async with contextlib.AsyncExitStack() as stack:

        async def start(*ports: int) -> RealPrometheus:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            process, url = await _spawn(tmp_path, ports)
            stack.push_async_callback(_end, process)
            server = RealPrometheus(url, process, session)
            await server.healthy()
            return server

        yield start


async def _spawn(folder: Path, ports: tuple[int, ...]) -> tuple[asyncio.subprocess.Process, str]:
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: qobs, static_configs: [{{targets: [{targets}]}}]}}]\n",
        encoding="utf-8",
    )
    port = _free_port()
    assert PROMETHEUS is not None
    process = await asyncio.create_subprocess_exec(
        PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage", "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return process, f"http://127.0.0.1:{port}"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
