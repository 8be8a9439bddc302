"""CPU time that the store spends on a job, beside a plain insert of the same JSON in the same run.

    python benchmarks/bench_store.py --jobs 20000

Three runs over the same jobs: fresh pages, the same pages replayed, and pages in which each job moved on. The peer is
``executemany`` of (id, JSON) into one SQLite table with a text key, in transactions of the same size. The judge is the
daemon's own, three events and nine counts a job; its time is part of each figure, and measured apart too.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from qobs.model import Batch, Job, JobState, Page, Shard, Stream
from qobs.slo.indicators import Indicators
from qobs.store.sqlite import SqliteStore

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SHARD = Shard("bench", "ibm", "account", Stream.JOBS)


def make_jobs(first: int, count: int, *, moved: bool) -> tuple[Job, ...]:
    """Finished jobs; ``moved``: the same with a newer revision and their final usage."""
    return tuple(_job(number, moved) for number in range(first, first + count))


def _job(number: int, moved: bool) -> Job:
    submitted_at = BEGIN + timedelta(seconds=number)
    ended_at = submitted_at + timedelta(seconds=40)
    return Job(
        provider="ibm",
        source="bench",
        account="account",
        id=f"{number * 2654435761 % 2**32:08x}-{number:08d}",
        state=JobState.COMPLETED,
        raw_state="Completed",
        backend=f"device_{number % 7}",
        submitted_at=submitted_at,
        started_at=submitted_at + timedelta(seconds=20),
        ended_at=ended_at,
        updated_at=ended_at + timedelta(seconds=5 * moved),
        settled=moved,
        shots=4000,
        quantum_seconds=2.5 if moved else None,
        tags=("exp:vqe", "prio:high"),
    )


def pages(jobs: int, size: int, *, moved: bool = False) -> Iterator[Page]:
    """The jobs cut into pages; each is made when it is asked for, outside the measured time."""
    for first in range(0, jobs, size):
        batch = Batch(jobs=make_jobs(first, min(size, jobs - first), moved=moved))
        yield Page(shard=SHARD, batch=batch, observed_at=BEGIN + timedelta(days=30), watermark=batch.jobs[-1].updated_at)


def cpu(work: Callable[[Page], object], made: Iterator[Page]) -> float:
    """CPU seconds of ``work`` over all pages, without the time of making them."""
    spent = 0.0
    for page in made:
        begun = time.process_time()
        work(page)
        spent += time.process_time() - begun
    return spent


def plain_insert(path: Path) -> Callable[[Page], object]:
    """The peer: the same JSON into one table."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, record BLOB)")
    encode = msgspec.json.Encoder().encode

    def insert(page: Page) -> None:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO jobs VALUES (?, ?)", [(job.id, encode(job)) for job in page.batch.jobs])
        connection.execute("COMMIT")

    return insert


def main() -> None:
    """Run and print one JSON object; times in CPU microseconds a job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--page", type=int, default=100, help="jobs a page (default: 100)")
    options = parser.parse_args()
    n, size = options.jobs, options.page
    judge = Indicators()
    with tempfile.TemporaryDirectory() as directory:
        figures = {"peer_insert": cpu(plain_insert(Path(directory) / "peer.db"), pages(n, size))}
        store = SqliteStore(Path(directory) / "qobs.db", judge)
        figures["fresh"] = cpu(store.commit, pages(n, size))
        figures["replayed"] = cpu(store.commit, pages(n, size))
        figures["updated"] = cpu(store.commit, pages(n, size, moved=True))
        figures["judge_alone"] = cpu(lambda page: [judge.job(job, page.observed_at) for job in page.batch.jobs], pages(n, size))
        info = store.info()
        store.close()
    micros = {name: round(spent / n * 1e6, 1) for name, spent in figures.items()}
    result = {
        "jobs": n,
        "page": size,
        "cpu_us_per_job": micros,
        "fresh_over_peer": round(figures["fresh"] / figures["peer_insert"], 2),
        "fresh_jobs_per_cpu_second": round(n / figures["fresh"]),
        "bytes_per_job": round((info.size_bytes + info.wal_bytes) / n),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "sqlite": sqlite3.sqlite_version,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
