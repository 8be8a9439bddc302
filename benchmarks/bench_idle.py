"""What the daemon costs while nothing happens: CPU share of one core and resident memory, beside a bare Python with aiohttp.

The clouds run in this process, the daemon in one of its own, so that only the daemon is measured.

    python benchmarks/bench_idle.py --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from qobs.demo import API_KEY, CLOUDS, config_text
from qobs.lab.clock import LabClock
from qobs.lab.serve import serve

TICKS = os.sysconf("SC_CLK_TCK")
POLLS = {
    "{jobs: 5s": "{jobs: 30s",
    "status: 5s": "status: 60s",
    "calibrations: 60s": "calibrations: 10m",
    "quotas: 60s": "quotas: 15m",
}
"""The demo polls faster than a production daemon: these are the intervals of real providers."""
PEER = "import asyncio, aiohttp.web, msgspec, yaml, sqlite3; asyncio.run(asyncio.sleep(3600))"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def until_read(url: str) -> None:
    """Wait until the history of every cloud has been read."""
    wanted = [f'qobs_poll_total{{provider="{name}",source="{name}-demo",stream="jobs"}}' for name in ("ibm", "ionq", "azure")]
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/metrics") as answer:
                text = await answer.text()
            values = [line.rsplit(" ", 1)[1] for line in text.splitlines() for name in wanted if line.startswith(name)]
            if len(values) == len(wanted) and all(float(value) >= 1 for value in values):
                return
            await asyncio.sleep(0.5)


async def measure(seconds: float) -> tuple[float, float, float, float]:
    """CPU share and MiB of the daemon, then the peer's MiB and the daemon's MiB just after reading the history."""
    now = datetime.now(UTC)
    clock = LabClock(now, speed=1.0)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {}
        for name, module in CLOUDS.items():
            cloud = module.default_cloud(7, (now - timedelta(hours=12)).replace(minute=0, second=0, microsecond=0))
            urls[name] = await stack.enter_async_context(serve(module.application(cloud, clock, api_key=API_KEY)))
        (directory / "key").write_text(API_KEY)
        text = config_text(directory, urls)
        for quick, usual in POLLS.items():
            text = text.replace(quick, usual)
        (directory / "qobs.yaml").write_text(text)
        daemon = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "qobs", "run", "--config", str(directory / "qobs.yaml"), stderr=asyncio.subprocess.PIPE
        )
        peer = await asyncio.create_subprocess_exec(sys.executable, "-c", PEER)
        try:
            assert daemon.stderr is not None
            url = ""
            while not url:
                line = (await daemon.stderr.readline()).decode()
                url = line.split("url=")[1].split()[0] if "url=" in line else ""
            await until_read(url)
            after_reading = resident_mib(daemon.pid)
            before = cpu_seconds(daemon.pid)
            await asyncio.sleep(seconds)
            share = (cpu_seconds(daemon.pid) - before) / seconds
            return share, resident_mib(daemon.pid), resident_mib(peer.pid), after_reading
        finally:
            for process in (daemon, peer):
                process.kill()
                await process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU and memory of an idle daemon.")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to watch (default: 30)")
    share, memory, peer, after_reading = asyncio.run(measure(parser.parse_args().seconds))
    print(f"idle CPU              {share:8.2%} of one core (3 sources, 10 streams at their usual intervals)")
    print(f"memory, history read  {after_reading:8.1f} MiB")
    print(f"memory, idle          {memory:8.1f} MiB: {memory / peer:.1f} times a bare interpreter with its libraries")


if __name__ == "__main__":
    main()
