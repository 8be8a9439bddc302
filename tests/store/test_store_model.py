"""The store against a small in-memory model, under any sequence of pages, replays, ticks, misses and restarts."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_material import END, SHARD, T0, SmallJudge, histories, make_page, naive_buckets, seconds

from qobs.model import Job, JobState, Page
from qobs.store.fold import observe
from qobs.store.sqlite import SqliteStore

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
ENDS = {JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}


class Model:
    """What must be true, in the plainest way: everything ever said, kept in sets."""

    def __init__(self) -> None:
        self.said: dict[str, dict[bytes, Job]] = {}
        self.misses: dict[str, int] = {}
        self.gone: set[str] = set()
        self.watermark: datetime | None = None

    def page(self, page: Page) -> None:
        for job in page.batch.jobs:
            self.said.setdefault(job.id, {})[observe(job).payload] = job
            self.misses.pop(job.id, None)
            self.gone.discard(job.id)
        for id_ in page.batch.missing:
            if id_ in self.said and not self.settled(id_) and id_ not in self.gone:
                self.misses[id_] = self.misses.get(id_, 0) + 1
                if self.misses[id_] == 3:
                    self.gone.add(id_)
        if page.watermark is not None:
            self.watermark = max(page.watermark, self.watermark or T0)

    def in_order(self, id_: str) -> list[Job]:
        return sorted(self.said[id_].values(), key=lambda job: observe(job).version)

    def state(self, id_: str) -> JobState:
        told = self.in_order(id_)
        ends = [job.state for job in told if job.state in ENDS]
        if ends:
            return ends[-1]
        return JobState.UNKNOWN if id_ in self.gone else told[-1].state

    def settled(self, id_: str) -> bool:
        return any(job.settled for job in self.in_order(id_))

    def ended_at(self, id_: str) -> datetime | None:
        return next((job.ended_at for job in reversed(self.in_order(id_)) if job.ended_at and job.state in ENDS), None)


class Ingest(RuleBasedStateMachine):
    """Drives a store and the model with the same news."""

    @initialize(seed=st.integers(0, 10**6))
    def begin(self, seed: int) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.path = Path(self.folder.name) / "q.db"
        self.store = SqliteStore(self.path, SmallJudge())
        self.model = Model()
        self.news = histories(seed, 5)
        self.clock = 0.0
        self.pages: list[Page] = []

    def _commit(self, page: Page) -> None:
        self.store.commit(page)
        self.model.page(page)

    @rule(picks=st.lists(st.integers(0, 10**6), max_size=6), mark=st.none() | st.integers(0, 10_000))
    def page_of_jobs(self, picks: list[int], mark: int | None) -> None:
        self.clock += 60
        jobs = [self.news[pick % len(self.news)] for pick in picks]
        page = make_page(*jobs, at=self.clock, watermark=None if mark is None else seconds(mark))
        self.pages.append(page)
        self._commit(page)

    @rule(pick=st.integers(0, 10**6))
    def replay_last_page(self, pick: int) -> None:
        if self.pages:
            applied = self.store.commit(self.pages[-1])
            assert applied.deltas == ()
            assert applied.ingested == applied.updated == applied.transitions == 0

    @rule(pick=st.integers(0, 4))
    def miss(self, pick: int) -> None:
        self.clock += 60
        page = make_page(at=self.clock, missing=(f"job-{pick:03d}",))
        self.pages.append(page)
        self._commit(page)

    @rule(ahead=st.integers(0, 1000))
    def tick(self, ahead: int) -> None:
        self.store.tick(seconds(self.clock + ahead))

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = SqliteStore(self.path, SmallJudge())
        assert self.store.recoveries == ()

    @invariant()
    def jobs_and_cursor_are_those_of_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        jobs = {job.id: job for job in self.store.jobs()}
        assert {id_: job.state for id_, job in jobs.items()} == {id_: self.model.state(id_) for id_ in self.model.said}
        for id_, job in jobs.items():
            assert job.settled == self.model.settled(id_)
            assert not job.state.terminal or job.ended_at == self.model.ended_at(id_)
        cursor = self.store.cursor(SHARD)
        assert (cursor.watermark if cursor else None) == self.model.watermark

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        assert self.store.verify() == ()
        self.store.tick(END)
        stored = {(d.series, d.bucket): (d.good, d.total) for d in self.store.buckets(T0)}
        assert stored == naive_buckets(SmallJudge(), self.store.jobs(), END)
        self.store.close()
        self.folder.cleanup()


TestIngest = Ingest.TestCase
TestIngest.settings = settings(max_examples=20, stateful_step_count=20, deadline=None, derandomize=True)
