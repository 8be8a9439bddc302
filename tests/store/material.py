"""What the store's tests are made of: a small judge, builders, and random yet consistent histories of jobs."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from qobs.columns import Columns
from qobs.model import (
    Batch,
    Calibration,
    Count,
    Delta,
    Event,
    Failure,
    FailureClass,
    Freshness,
    Job,
    JobState,
    Judgement,
    Page,
    Series,
    Shard,
    Stream,
)
from qobs.store import schema
from qobs.store.sqlite import SqliteStore

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHARD = Shard("lab", "ibm", "acct", Stream.JOBS)
END = T0 + timedelta(days=30)
"""Later than anything in a history: a last tick there makes all verdicts final."""


class SmallJudge:
    """Success, queue wait (bad from the moment it is overdue) and two counters: enough to move every table."""

    def __init__(self, overdue: timedelta = timedelta(minutes=5)) -> None:
        self.overdue = overdue

    @property
    def fingerprint(self) -> str:
        return f"small-{self.overdue.total_seconds()}"

    def job(self, job: Job, now: datetime) -> Judgement:
        events, counts, next_at = [], [], None
        counts.append(Count("jobs", (job.provider, job.state.value), 1.0))
        if job.state.terminal and job.ended_at is not None and job.state is not JobState.CANCELLED:
            good = job.state is JobState.COMPLETED
            events.append(Event(self._series("success", job), job.ended_at, good, job.batch or ""))
        if job.quantum_seconds is not None:
            counts.append(Count("quantum_seconds", (job.backend or "",), job.quantum_seconds))
        if job.submitted_at is not None:
            limit = job.submitted_at + self.overdue
            left_at = job.started_at or job.ended_at
            if left_at is not None:
                events.append(Event(self._series("queue", job), min(left_at, limit), left_at <= limit, job.batch or ""))
            elif now >= limit and not job.state.terminal:
                events.append(Event(self._series("queue", job), limit, False, job.batch or ""))
            elif not job.state.terminal:
                next_at = limit
        clamped = int(job.started_at is not None and job.ended_at is not None and job.ended_at < job.started_at)
        return Judgement(events=tuple(events), counts=tuple(counts), next_at=next_at, clamped=clamped)

    def freshness(self, reading: Freshness) -> Judgement:
        good = reading.calibrated_at is not None and reading.slice_at - reading.calibrated_at <= timedelta(hours=24)
        series = Series("freshness", reading.provider, reading.source, reading.backend)
        return Judgement(events=(Event(series, reading.slice_at, good),))

    @staticmethod
    def _series(name: str, job: Job) -> Series:
        return Series(name, job.provider, job.source, job.backend or "", job.priority or "")


def seconds(value: float) -> datetime:
    """T0 plus so many seconds."""
    return T0 + timedelta(seconds=value)


def make_job(id_: str = "j1", state: JobState = JobState.QUEUED, **fields: object) -> Job:
    """A job of the test account."""
    values = {"provider": "ibm", "source": "lab", "account": "acct", "backend": "fez", "raw_state": state.value, **fields}
    return Job(id=id_, state=state, **values)


def make_page(*jobs: Job, at: float = 0, watermark: datetime | None = None, **batch: object) -> Page:
    """A page seen ``at`` seconds after T0."""
    return Page(shard=SHARD, batch=Batch(jobs=jobs, **batch), observed_at=seconds(at), watermark=watermark)


def make_calibration(at: float = 0, backend: str = "fez", **fields: object) -> Calibration:
    """A small calibration."""
    return Calibration(provider="ibm", source="lab", account="acct", backend=backend, calibrated_at=seconds(at), **fields)


def make_reading(slice_at: float, calibrated_at: float | None, backend: str = "fez") -> Freshness:
    """A calibration reading."""
    known = None if calibrated_at is None else seconds(calibrated_at)
    return Freshness(
        provider="ibm", source="lab", account="acct", backend=backend, slice_at=seconds(slice_at), calibrated_at=known
    )


def life(rng: random.Random, id_: str) -> list[Job]:
    """All that a provider ever says about one job, in its own order, with what real ones do: gaps, corrections, nonsense."""
    dated = rng.random() < 0.5
    revised = rng.random() < 0.5
    submitted = rng.uniform(0, 3600)
    started = submitted + rng.uniform(1, 900)
    ended = started + rng.uniform(1, 900)
    base = make_job(id_, submitted_at=seconds(submitted), backend=rng.choice(["fez", "kyiv", None]))
    base = msgspec.structs.replace(base, batch=rng.choice(["one", "two", None]))
    told: list[tuple[float, dict[str, object]]] = [(submitted, {"state": JobState.QUEUED})]
    running = {"state": JobState.RUNNING, "started_at": seconds(started) if rng.random() < 0.8 else None}
    told.append((started, running))
    if rng.random() < 0.2:
        told.append((started + 0.5, {**running, "state": JobState.UNKNOWN, "raw_state": "POST_PROCESSING"}))
    if rng.random() < 0.85:
        told += _ends(rng, running, started, ended)
    jobs = []
    for at, fields in told:
        state = fields["state"]
        job = msgspec.structs.replace(base, **{"raw_state": str(state.value).upper(), **fields})
        if dated:
            job = msgspec.structs.replace(job, updated_at=seconds(at))
        if revised and rng.random() < 0.5:
            job = msgspec.structs.replace(job, extra=f'{{"position":{rng.randrange(3)}}}')
        if revised and rng.random() < 0.2:
            job = msgspec.structs.replace(job, batch="other")
        jobs.append(job)
    return jobs


def _ends(rng: random.Random, running: dict[str, object], started: float, ended: float) -> list[tuple[float, dict[str, object]]]:
    state = rng.choice([JobState.COMPLETED, JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
    end = {**running, "state": state, "ended_at": seconds(ended) if rng.random() < 0.9 else None}
    if state is JobState.FAILED:
        end["failure"] = Failure(kind=FailureClass.HARDWARE, code="1500")
    told = [(ended, end)]
    if rng.random() < 0.5:
        told.append((ended + 1, {**end, "settled": True, "quantum_seconds": round(rng.uniform(0, 60), 3)}))
    if rng.random() < 0.2:
        other = JobState.FAILED if state is JobState.COMPLETED else JobState.COMPLETED
        told.append((ended + 2, {**end, "state": other, "failure": None, "ended_at": seconds(ended + 1)}))
    if rng.random() < 0.2:
        told.append((ended + 3, {**running, "state": JobState.RUNNING, "updated_at": seconds(ended + 3)}))
    return told


def histories(seed: int, count: int) -> list[Job]:
    """Everything said about ``count`` jobs, job by job."""
    rng = random.Random(seed)
    return [said for number in range(count) for said in life(rng, f"job-{number:03d}")]


def shuffled_pages(rng: random.Random, said: Sequence[Job], *, repeat: float = 0.3) -> list[Page]:
    """The same news late, doubled, reordered, and cut into pages of random size."""
    news = [*said, *(job for job in said if rng.random() < repeat)]
    rng.shuffle(news)
    pages, at = [], 0.0
    while news:
        size = rng.randint(1, 12)
        head, news = news[:size], news[size:]
        at += rng.uniform(1, 400)
        pages.append(make_page(*head, at=at))
    return pages


def naive_buckets(judge: SmallJudge, jobs: Iterable[Job], now: datetime) -> dict[tuple[Series, int], tuple[int, int]]:
    """Good and total per series and bucket by judging every job once: what the stored buckets must equal."""
    sums: dict[tuple[Series, int], tuple[int, int]] = {}
    for job in jobs:
        for event in judge.job(job, now).events:
            key = (event.series, int(event.at.timestamp()) // 10 * 10)
            good, total = sums.get(key, (0, 0))
            sums[key] = (good + event.good, total + 1)
    return sums


def naive_batches(judge: SmallJudge, jobs: Iterable[Job], now: datetime) -> dict[tuple[Series, str], tuple[int, int]]:
    """Total and bad per series and group by judging every job once: what the stored batches must equal."""
    sums: dict[tuple[Series, str], tuple[int, int]] = {}
    for job in jobs:
        for event in judge.job(job, now).events:
            if event.group:
                total, bad = sums.get((event.series, event.group), (0, 0))
                sums[event.series, event.group] = (total + 1, bad + (not event.good))
    return sums


def sums_of_hours(deltas: Iterable[Delta]) -> dict[tuple[Series, int], tuple[int, int]]:
    """Good and total per series and hour: what the stored hours must equal."""
    sums: dict[tuple[Series, int], tuple[int, int]] = {}
    for series, bucket, good, total in deltas:
        known = sums.get((series, bucket // 3600 * 3600), (0, 0))
        sums[series, bucket // 3600 * 3600] = (known[0] + good, known[1] + total)
    return sums


def rows_of(columns: Columns) -> list[tuple[Series, int, int, int]]:
    """Columns row by row, as the deltas of ``buckets`` are."""
    series, *numbers = columns
    return [(series[number], start, good, total) for start, number, good, total in zip(*numbers, strict=True)]


def old_schema(path: Path, judge: SmallJudge, pages: Iterable[Page]) -> None:
    """A closed store of schema 1 that holds these pages: what a qobs of before exclusions left."""
    modern = path.with_name(path.name + ".modern")
    with closing(SqliteStore(modern, judge)) as store:
        for page in pages:
            store.commit(page)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.migrate(connection, steps=schema.MIGRATIONS[:1])
        connection.execute("ATTACH ? AS modern", (str(modern),))
        tables = [row[0] for row in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in tables:
            if "sqlite_" not in table:
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM modern.{table}")
