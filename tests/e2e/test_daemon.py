"""The daemon as its operator meets it: a process, a file, signals, and the things that go wrong at 3 a.m."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from qobs.demo import CLOUDS, config_text
from qobs.lab.clock import LabClock
from qobs.lab.serve import serve

KEY = "canary-7f3a9c51d2e84b60-key"


@dataclass
class Site:
    """Emulated clouds and the configuration file of an operator who uses them."""

    directory: Path
    config: Path
    text: str

    @property
    def database(self) -> Path:
        return self.directory / "qobs.db"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Three clouds with two hours of history, and a qobs.yaml."""
    now = datetime.now(UTC)
    clock = LabClock(now, speed=1.0)
    async with AsyncExitStack() as stack:
        urls = {}
        for name, module in CLOUDS.items():
            cloud = module.default_cloud(11, (now - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0))
            urls[name] = await stack.enter_async_context(serve(module.application(cloud, clock, api_key=KEY)))
        (tmp_path / "key").write_text(KEY)
        text = config_text(tmp_path, urls)
        (tmp_path / "qobs.yaml").write_text(text)
        yield Site(tmp_path, tmp_path / "qobs.yaml", text)


@dataclass
class Running:
    """A daemon process and what it has said."""

    process: asyncio.subprocess.Process
    url: str
    log: list[str]

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.text()

    async def metric(self, line: str) -> float | None:
        """Value of the series that begins with ``line``; None where it is absent."""
        _, text = await self.get("/metrics")
        found = re.search(rf"^{re.escape(line)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None

    async def until(self, line: str, *, at_least: float) -> None:
        """Wait until the series has reached a value."""
        async with asyncio.timeout(60):
            # Another process is asked: there is no event to wait for.
            while (value := await self.metric(line)) is None or value < at_least:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def ready(self) -> None:
        """Wait until the daemon says that it is ready."""
        async with asyncio.timeout(60):
            while (await self.get("/readyz"))[0] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def said(self, event: str) -> str:
        """The first log line that holds ``event``, as soon as there is one."""
        async with asyncio.timeout(60):
            while not (lines := [line for line in self.log if event in line]):
                assert self.process.returncode is None, "\n".join(self.log)
                await asyncio.sleep(0.02)
        return lines[0]

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def daemon(config: Path, *arguments: str) -> AsyncIterator[Running]:
    """``qobs run`` in a process of its own, started and reachable."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qobs", "run", "--config", str(config), *arguments, stderr=asyncio.subprocess.PIPE
    )
    running = Running(process, "", [])
    reader = asyncio.create_task(_read(process, running.log))
    try:
        started = await running.said("event=started")
        match = re.search(r"url=(\S+)", started)
        assert match
        running.url = match[1]
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader


async def _read(process: asyncio.subprocess.Process, log: list[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        log.append(line.decode().rstrip())


async def test_sigterm_ends_the_daemon_in_good_order(site):
    """A rolling restart must exit 0, keep every commit, and find the same store again."""
    async with daemon(site.config) as running:
        await running.until('qobs_jobs_ingested_total{provider="ionq",source="ionq-demo"}', at_least=1)
        assert (await running.get("/livez"))[0] == 200
        await running.ready()
        assert await running.stop() == 0
    with contextlib.closing(sqlite3.connect(site.database)) as connection:
        (before,) = connection.execute("SELECT count(*) FROM jobs").fetchone()
    assert before > 0
    async with daemon(site.config) as again:
        await again.until('qobs_jobs_noop_total{provider="ionq",source="ionq-demo"}', at_least=1)
        assert await again.stop() == 0


async def test_a_reload_adopts_a_good_configuration_and_refuses_a_bad_one(site):
    """A typo in the configuration must be told and must not take the running daemon with it."""
    async with daemon(site.config) as running:
        site.config.write_text(site.text.replace("type: ionq", "type: inoq"))
        running.process.send_signal(signal.SIGHUP)
        assert "inoq" in await running.said("reload refused")
        await running.until("qobs_config_last_reload_successful", at_least=0)
        status, body = await running.get("/readyz")
        assert status == 503
        assert "config" in body
        site.config.write_text(site.text.replace("name: ionq-demo", "name: ions"))
        running.process.send_signal(signal.SIGHUP)
        await running.said("event=reloaded")
        await running.until('qobs_poll_total{provider="ionq",source="ions",stream="jobs"}', at_least=1)
        await running.ready()
        assert await running.stop() == 0


async def test_a_second_daemon_on_one_store_is_refused(site):
    """Two writers on one file would corrupt it: the second must say who holds it, and leave."""
    async with daemon(site.config) as running:
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "qobs", "run", "--config", str(site.config), stderr=asyncio.subprocess.PIPE
        )
        _, said = await second.communicate()
        assert second.returncode == 2
        assert str(running.process.pid) in said.decode()
        assert await running.stop() == 0


async def test_a_killed_daemon_goes_on_where_it_was(site):
    """After kill -9 no operator may be needed, and nothing that was committed may be missing or doubled."""
    async with daemon(site.config) as running:
        await running.until('qobs_jobs_ingested_total{provider="azure",source="azure-demo"}', at_least=1)
        await running.stop(signal.SIGKILL)
    async with daemon(site.config) as again:
        await again.until('qobs_poll_total{provider="azure",source="azure-demo",stream="jobs"}', at_least=1)
        assert await again.stop() == 0
    for where in (("--config", str(site.config)), ("--path", str(site.database))):
        told = await _qobs("store", "verify", *where)
        assert told.code == 0, told


async def test_a_corrupt_store_is_kept_aside_and_filled_again(site):
    """A damaged disk block must cost time and not data: the old file stays, and history comes back from the providers."""
    async with daemon(site.config) as running:
        await running.until('qobs_jobs_ingested_total{provider="azure",source="azure-demo"}', at_least=1)
        assert await running.stop() == 0
    with site.database.open("r+b") as file:
        file.write(b"this is no database" * 200)
    for sidecar in site.directory.glob("qobs.db-*"):
        sidecar.unlink()
    async with daemon(site.config) as again:
        assert "store was damaged" in await again.said("store was damaged")
        await again.until('qobs_jobs_ingested_total{provider="azure",source="azure-demo"}', at_least=1)
        assert await again.stop() == 0
    assert list(site.directory.glob("qobs.db.corrupt-*"))


async def test_a_wrong_token_is_told_once_and_hurts_only_its_source(site):
    """An expired key must page once with its reason, while the other clouds are watched as before."""
    wrong = site.directory / "wrong"
    wrong.write_text("not-the-key")
    blocks = site.text.split("  - name: ")
    blocks = [block.replace("/key}", "/wrong}") if block.startswith("ionq-demo") else block for block in blocks]
    site.config.write_text("  - name: ".join(blocks))
    async with daemon(site.config) as running:
        await running.until('qobs_poll_errors_total{provider="ionq",source="ionq-demo",stream="jobs",reason="auth"}', at_least=1)
        await running.until('qobs_jobs_ingested_total{provider="ibm",source="ibm-demo"}', at_least=1)
        await running.until('qobs_provider_up{provider="azure",source="azure-demo"}', at_least=1)
        assert await running.stop() == 0
    assert len([line for line in running.log if "source fails" in line and "stream=jobs" in line]) == 1


async def test_a_process_near_its_memory_limit_leaves_in_good_order(site):
    """Better to be restarted with everything committed than to be killed by the kernel in the middle of a page."""
    site.config.write_text(site.text + "limits: {max_memory: 64MiB}\n")
    async with daemon(site.config) as running:
        async with asyncio.timeout(60):
            assert await running.process.wait() == 3
        assert [line for line in running.log if "out of memory" in line]
    told = await _qobs("store", "verify", "--config", str(site.config))
    assert told.code == 0, told


async def test_no_secret_leaves_the_process(site, spellings):
    """A key in a log, a metric or the database ends up in a ticket, and then everywhere."""
    async with daemon(site.config) as running:
        for provider in CLOUDS:
            await running.until(f'qobs_jobs_ingested_total{{provider="{provider}",source="{provider}-demo"}}', at_least=1)
        shown = "".join([(await running.get(path))[1] for path in ("/metrics", "/", "/readyz", "/livez")])
        command_line = await asyncio.to_thread(Path(f"/proc/{running.process.pid}/cmdline").read_bytes)
        assert await running.stop() == 0
    for form in spellings(KEY):
        assert form not in shown
        assert form not in "\n".join(running.log)
        assert form.encode() not in command_line
        for file in site.directory.glob("qobs.db*"):
            if file.is_file():
                assert form.encode() not in file.read_bytes(), f"{form} in {file.name}"


@dataclass
class Told:
    code: int
    out: str
    err: str


async def _qobs(*arguments: str, env: dict[str, str] | None = None) -> Told:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "qobs",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    out, err = await process.communicate()
    return Told(process.returncode or 0, out.decode(), err.decode())


async def test_check_tries_every_source(site):
    """Before a deployment, one command must say which credentials work."""
    told = await _qobs("check", "--config", str(site.config), "--json")
    result = json.loads(told.out)
    assert (told.code, result["ok"]) == (0, True), told
    assert {source["name"]: source["ok"] for source in result["sources"]} == {
        "ibm-demo": True,
        "ionq-demo": True,
        "azure-demo": True,
    }


async def test_check_names_what_is_wrong_with_each_source(site):
    """A wrong key and an unreachable provider are different problems with different owners."""
    (site.directory / "wrong").write_text("not-the-key")
    text = re.sub(r"url: http://127.0.0.1:\d+\n    subscription", "url: http://127.0.0.1:1\n    subscription", site.text)
    blocks = text.split("  - name: ")
    blocks = [block.replace("/key}", "/wrong}") if block.startswith("ionq-demo") else block for block in blocks]
    site.config.write_text("  - name: ".join(blocks))
    told = await _qobs("check", "--config", str(site.config))
    assert told.code == 1
    lines = {line.split()[0]: line for line in told.out.splitlines() if line.strip()}
    assert "ok" in lines["ibm-demo"].split()
    assert "auth" in lines["ionq-demo"]
    assert "connect" in lines["azure-demo"]


async def test_check_offline_contacts_nobody(site):
    """A pipeline without network must still be able to validate the file."""
    site.config.write_text(re.sub(r"http://127.0.0.1:\d+", "http://127.0.0.1:1", site.text))
    told = await _qobs("check", "--offline", "--config", str(site.config))
    assert told.code == 0, told
    assert told.out.count("skipped") == 3


async def test_check_reports_every_finding_with_its_place(site):
    """An operator must not have to fix one typo to learn of the next."""
    site.config.write_text(site.text.replace("type: ionq", "type: inoq").replace("listen:", "lisen:"))
    told = await _qobs("check", "--config", str(site.config), "--json")
    errors = json.loads(told.out)["errors"]
    assert told.code == 1
    assert {error["path"] for error in errors} >= {"lisen", "sources[1].type"}
    assert all({"file", "document", "path", "value", "code", "hint"} <= error.keys() for error in errors)


async def test_check_without_a_file_cannot_run(tmp_path):
    """A missing file is not a finding in it: pipelines tell the two apart by the exit code."""
    told = await _qobs("check", "--config", str(tmp_path / "none.yaml"), "--json")
    assert told.code == 2
    assert "none.yaml" in json.loads(told.out)["errors"][0]["value"]


async def test_the_schema_is_printed():
    """Editors complete the configuration from it."""
    told = await _qobs("check", "--schema")
    assert json.loads(told.out)["properties"]["sources"]


async def test_store_commands_work_beside_a_running_daemon(site):
    """Looking at the store must not need a maintenance window."""
    async with daemon(site.config) as running:
        await running.until('qobs_jobs_ingested_total{provider="azure",source="azure-demo"}', at_least=1)
        info = json.loads((await _qobs("store", "info", "--config", str(site.config), "--json")).out)
        assert info["rows"]["jobs"] > 0
        assert (await _qobs("store", "verify", "--config", str(site.config))).code == 0
        copy = site.directory / "copy.db"
        assert (await _qobs("store", "backup", "--config", str(site.config), str(copy))).code == 0
        assert await running.stop() == 0
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_an_open_address_needs_a_clear_word(site):
    """Metrics must not be served to the whole network because of a default."""
    told = await _qobs("run", "--config", str(site.config), "--listen", "0.0.0.0:0")
    assert told.code == 2
    assert "--insecure-listen" in told.err
