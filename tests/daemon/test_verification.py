"""From a settled job to its verdict: choosing, asking, keeping, learning, and what happens when any of that fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest

from qobs.config import Config
from qobs.config.records import Reference, Sample
from qobs.daemon.shards import Gatekeeper
from qobs.daemon.sink import StoreSink
from qobs.daemon.verification import MOST_DEATHS, MOST_TRIES, Verifier
from qobs.daemon.verification_choice import Chooser, chosen, is_private
from qobs.daemon.verification_lanes import Lane
from qobs.daemon.verification_learning import PREFIX, Learnt
from qobs.daemon.verification_task import Answer, Task
from qobs.daemon.wiring import wire_source
from qobs.daemon.workers import NoWorkers, TaskFailed, WorkerDied
from qobs.errors import BadPayload, Refused, SourceError, Unavailable
from qobs.model import (
    Ask,
    BackendState,
    BackendStatus,
    Batch,
    Calibration,
    Job,
    JobKey,
    JobState,
    Page,
    Raw,
    Reason,
    Shard,
    Stream,
)
from qobs.result import Execution, Program, Verification
from qobs.slo.indicators import Indicators
from qobs.slo.windows import WINDOWS, WindowTotals
from qobs.sources.base import Http
from qobs.sources.breaker import Breaker
from qobs.store.base import QueueState
from qobs.store.sqlite import SqliteStore

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SHARD = Shard("lab", "ibm", "acct", Stream.JOBS)
Rule = Callable[[Task], Answer]


class ManualClock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.at, self.seconds = NOW, 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.go(seconds)
        await asyncio.sleep(0)

    def go(self, seconds: float) -> None:
        self.at, self.seconds = self.at + timedelta(seconds=seconds), self.seconds + seconds


@dataclass
class Account:
    """An account whose results are what the test says: an execution's programs, why there are none, or an error."""

    results: dict[str, tuple[Program, ...] | str | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    provider: str = "ibm"
    account: str = "acct"
    streams: frozenset[Stream] = frozenset({Stream.JOBS})
    together: int = 0
    most_together: int = 0

    def fetch(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        raise AssertionError("results are asked for, not listings")

    def normalize(self, raw: Raw) -> Batch:
        raise AssertionError("results are asked for, not listings")

    async def fetch_result(self, http: Http, job: Job) -> Raw:
        self.asked.append(job.id)
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        result = self.results.get(job.id, PROGRAMS)
        if isinstance(result, SourceError):
            raise result
        return Raw(stream=Stream.JOBS, kind="result", body=b"", fetched_at=NOW)

    def execution(self, raw: Raw, job: Job) -> Execution:
        result = self.results.get(job.id, PROGRAMS)
        if isinstance(result, Exception):
            raise result
        missing = result if isinstance(result, str) else None
        return Execution(
            key=job.key,
            source="lab",
            backend="fez",
            executed_at=job.started_at or NOW,
            programs=() if isinstance(result, str) else result,
            missing=missing,
        )


PROGRAMS = (Program(index=0, circuit=b"bell", counts={"0": 500, "1": 500}),)


def program(shape: str = "bell", index: int = 0, **counts: int) -> Program:
    """A circuit that is known by its shape alone, with counts for the rule to look at."""
    return Program(index=index, circuit=shape.encode(), counts=counts)


def by_counts(task: Task) -> Answer:
    """A rule for verdicts without any physics: the share of ``bad`` counts is the effect, and it is compared with the margin."""
    shape, counts = task.program.circuit.decode(), task.program.counts
    if shape in task.skip:
        return Answer(verdict="unverified", reason="known", shape=shape, skipped=True)
    shots = sum(counts.values())
    effect = counts.get("bad", 0) / shots
    worse = effect > task.margins.get(shape, 0.0)
    return Answer(
        verdict="worse" if worse else "consistent",
        reason="by the rule",
        method="rule",
        shots=shots,
        p_value=1e-9 if worse else 0.5,
        tvd=effect,
        floor=0.01,
        excess=effect - 0.01,
        effect=effect,
        margin=task.margins.get(shape, 0.0),
        xeb=1.0 - effect,
        shape=shape,
        seconds=0.01,
    )


class Workers:
    """Workers without a process: what a rule says, or raises."""

    def __init__(self, rule: Rule = by_counts) -> None:
        self.rule, self.tasks, self.closed = rule, [], False

    @property
    def deaths(self) -> Mapping[str, int]:
        return {"killed": 2}

    async def submit(self, task: bytes) -> bytes:
        told = msgspec.json.decode(task, type=Task)
        self.tasks.append(told)
        return msgspec.json.encode(self.rule(told))

    async def close(self) -> None:
        self.closed = True


@dataclass
class Bench:
    """A verifier with its parts at hand."""

    verifier: Verifier
    store: SqliteStore
    sink: StoreSink
    lane: Lane
    account: Account
    workers: Workers
    clock: ManualClock

    async def told(self, *jobs: Job, **batch: object) -> None:
        """A page of the provider."""
        page = Page(shard=SHARD, batch=Batch(jobs=jobs, **batch), observed_at=self.clock.now())
        await self.sink.commit(page)

    async def work(self) -> None:
        """Look once, and work until nothing is due."""
        await self.verifier.look(self.lane)
        while await self.verifier.turn(self.lane):
            pass

    def verdicts(self) -> dict[str, list[str]]:
        """Verdicts by job."""
        found: dict[str, list[str]] = {}
        for each in self.store.verifications():
            found.setdefault(each.key.id, []).append(each.verdict)
        return found

    def one(self, id_: str) -> Verification:
        """The only verification of a job."""
        (found,) = self.store.verifications(JobKey("ibm", "acct", id_))
        return found

    def entry(self, id_: str) -> tuple[QueueState, int, int, str]:
        """State, tries, deaths and reason of a job in the queue."""
        found = self.store.queued_verification(JobKey("ibm", "acct", id_))
        assert found is not None
        return found.state, found.tries, found.deaths, found.reason


def completed(id_: str, **fields: object) -> Job:
    """A job that ran ten minutes ago."""
    values = {
        "state": JobState.COMPLETED,
        "submitted_at": NOW - timedelta(minutes=20),
        "started_at": NOW - timedelta(minutes=10),
        "ended_at": NOW - timedelta(minutes=9),
        "settled": True,
        "priority": "high",
        "team": "blue",
        **fields,
    }
    return Job(provider="ibm", source="lab", account="acct", id=id_, backend="fez", **values)


def calibration(hours: float = 2.0, id_: str | None = "cal-1") -> Calibration:
    """A snapshot made so many hours ago."""
    at = NOW - timedelta(hours=hours)
    return Calibration(provider="ibm", source="lab", account="acct", backend="fez", calibrated_at=at, calibration_id=id_)


Open = Callable[..., "asyncio.Future[Bench]"]


@asynccontextmanager
async def bench(configured: Callable[..., Config], directory: Path, **choices: object) -> AsyncIterator[Bench]:
    """A verifier on the store in ``directory``; ``choices`` are settings, ``rule`` and ``may_poll``."""
    rule, may_poll = choices.pop("rule", by_counts), choices.pop("may_poll", lambda: True)
    clock, account, workers = ManualClock(), Account(), Workers(rule)
    store = SqliteStore(directory / "verify.db", Indicators())
    sink = StoreSink(store, WindowTotals(WINDOWS), lambda seconds, failed: None)
    config = configured()
    wired = wire_source(config.sources[0], config, clock=clock, rng=Random(1))
    lane = Lane(replace(wired, source=account), account, Gatekeeper(Breaker(), may_poll), SHARD)
    verifier = Verifier(Reference(**choices), sink, clock, workers)
    await verifier.recall()
    try:
        yield Bench(verifier, store, sink, lane, account, workers, clock)
    finally:
        await verifier.stop()
        await wired.client.close()
        await asyncio.to_thread(sink.close)


# ---------------------------------------------------------------------------------------------- from job to verdict


async def test_a_settled_job_gets_a_verdict_that_counts(configured: Callable[..., Config], tmp_path: Path) -> None:
    """M5 is made of these: a verdict that is not counted, with the job's own labels, at its own time, helps nobody."""
    async with bench(configured, tmp_path) as here:
        await here.told(completed("a"), calibrations=(calibration(), calibration(0.01, "after")))
        await here.work()
        found = here.one("a")
        assert (found.verdict, found.epoch, found.shape, found.team) == ("consistent", "cal-1", "bell", "blue")
        assert found.reason == "by the rule; calibrated 1.8 h before it ran"
        assert here.workers.tasks[0].calibration.calibration_id == "cal-1"
        (total,) = (each for each in here.store.totals() if each.series.sli == "result_consistency")
        assert (total.series.backend, total.series.priority, total.series.team) == ("fez", "high", "blue")
        assert (total.good, total.total) == (1, 1)
        assert here.entry("a")[0] is QueueState.DONE
        assert here.store.verify() == ()


async def test_the_same_job_is_asked_for_once(configured: Callable[..., Config], tmp_path: Path) -> None:
    """Listings tell a job again and again; its result costs requests and computing each time."""
    async with bench(configured, tmp_path) as here:
        for _ in range(3):
            await here.told(completed("a"), calibrations=(calibration(),))
            await here.work()
            here.clock.go(15)
        assert here.account.asked == ["a"]
        assert here.verdicts() == {"a": ["consistent"]}


async def test_every_circuit_of_a_job_has_its_own_verdict(configured: Callable[..., Config], tmp_path: Path) -> None:
    """One bad circuit among hundred good ones is what an average would hide."""
    async with bench(configured, tmp_path) as here:
        here.account.results["a"] = (program(good=10), program(index=1, good=5, bad=5), program("other", 2, good=10))
        await here.told(completed("a"), calibrations=(calibration(),))
        await here.work()
        assert here.verdicts() == {"a": ["consistent", "inconclusive", "consistent"]}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("results are kept for 30 days", "results are kept for 30 days"),
        (Refused("gone", reason=Reason.NOT_FOUND), "the provider keeps neither circuit nor counts of it"),
        ((), "it has no circuits"),
    ],
)
async def test_what_cannot_be_had_is_unverified_and_says_why(
    configured: Callable[..., Config], tmp_path: Path, result: object, reason: str
) -> None:
    """A job that silently has no verdict looks like one that nobody checked."""
    async with bench(configured, tmp_path) as here:
        here.account.results["a"] = result
        await here.told(completed("a"), calibrations=(calibration(),))
        await here.work()
        found = here.one("a")
        assert (found.verdict, found.reason, found.executed_at) == ("unverified", reason, NOW - timedelta(minutes=10))
        assert here.entry("a")[0] is QueueState.DONE
        assert [each for each in here.store.totals() if each.series.sli == "result_consistency"] == []


async def test_without_a_calibration_from_before_nothing_is_compared(configured: Callable[..., Config], tmp_path: Path) -> None:
    """A snapshot from after the run may be the repair of what spoilt it."""
    async with bench(configured, tmp_path) as here:
        await here.told(completed("a"), calibrations=(calibration(0.01),))
        await here.work()
        assert here.one("a").reason == "no calibration from before it ran is known"
        assert (here.account.asked, here.workers.tasks) == ([], [])  # known before a request is made


async def test_a_job_waits_an_hour_for_the_first_calibration_of_its_backend(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    """A daemon that has just begun hears of jobs first: an early word would leave all of them unverified for ever."""
    async with bench(configured, tmp_path) as here:
        await here.told(completed("early"))
        await here.work()
        assert here.entry("early")[:2] == (QueueState.QUEUED, 1)
        await here.told(calibrations=(calibration(),))
        here.clock.go(1200)
        await here.work()
        assert here.one("early").verdict == "consistent"
        elsewhere = msgspec.structs.replace(completed("never"), backend="uncalibrated")
        await here.told(elsewhere)
        for _ in range(4):
            await here.work()
            here.clock.go(1200)
        assert here.one("never").reason == "no calibration from before it ran is known"
        assert here.account.asked == ["early"]


async def test_a_simulator_needs_no_calibration(configured: Callable[..., Config], tmp_path: Path) -> None:
    """Its reference is the ideal distribution: nobody calibrates it."""
    status = BackendStatus(
        provider="ibm", source="lab", account="acct", backend="fez", state=BackendState.ONLINE, observed_at=NOW, simulator=True
    )
    async with bench(configured, tmp_path) as here:
        await here.told(completed("a"), backends=(status,))
        await here.work()
        assert (here.one("a").verdict, here.one("a").epoch) == ("consistent", "ideal")


# ------------------------------------------------------------------------------------------------------- choosing


async def test_private_jobs_are_never_asked_for(configured: Callable[..., Config], tmp_path: Path) -> None:
    """Somebody said that nobody else may see this circuit."""
    async with bench(configured, tmp_path) as here:
        await here.told(
            completed("secret", extra='{"private":true}'),
            completed("open", extra='{"private":false}'),
            calibrations=(calibration(),),
        )
        await here.work()
        assert here.account.asked == ["open"]
        assert is_private(completed("odd", extra='{"private":tru'))


async def test_a_sample_is_the_same_whoever_draws_it(configured: Callable[..., Config], tmp_path: Path) -> None:
    """A sample that changes with each restart ends in asking for everything."""
    keys = [JobKey("ibm", "acct", f"job-{number}") for number in range(400)]
    taken = [key for key in keys if chosen(key, Sample(every=4))]
    assert 70 < len(taken) < 130
    async with bench(configured, tmp_path, sample=Sample(every=4)) as here:
        await here.told(*(completed(key.id) for key in keys[:40]), calibrations=(calibration(),))
        await here.work()
        assert sorted(here.account.asked) == sorted(key.id for key in taken if key in keys[:40])


async def test_each_shape_is_computed_once_per_calibration(configured: Callable[..., Config], tmp_path: Path) -> None:
    """An optimisation loop runs one circuit a thousand times: its first result tells about the backend."""
    async with bench(configured, tmp_path, sample=Sample(per_shape=True)) as here:
        here.account.results["c"] = (program("other", good=10),)
        await here.told(completed("a"), completed("b"), completed("c"), calibrations=(calibration(),))
        await here.work()
        assert here.verdicts() == {"a": ["consistent"], "c": ["consistent"]}
        here.clock.go(3600)
        fresh = calibration(0.0, "cal-2")
        later = completed("d", started_at=NOW + timedelta(minutes=30), ended_at=NOW + timedelta(minutes=31))
        await here.told(later, calibrations=(fresh,))
        await here.work()
        assert here.one("d").epoch == "cal-2"
        assert {here.entry(id_)[0] for id_ in "abcd"} == {QueueState.DONE}


async def test_a_first_look_goes_back_a_day_and_not_further(configured: Callable[..., Config], tmp_path: Path) -> None:
    """Switching it on must not ask the provider for a year of results."""
    old = {"submitted_at": NOW - timedelta(days=3), "started_at": NOW - timedelta(days=3), "ended_at": NOW - timedelta(days=3)}
    async with bench(configured, tmp_path) as here:
        await here.told(completed("old", **old), completed("new"), calibrations=(calibration(),))
        await here.work()
        assert here.account.asked == ["new"]
        here.clock.go(3 * 86_400)
        await here.told(completed("older", **old), completed("late"))
        await here.work()
        assert here.account.asked == ["new", "late"]  # the late one ended after the day before the first look


# --------------------------------------------------------------------------------------------------- what goes wrong


async def test_an_account_whose_breaker_is_open_is_not_asked(configured: Callable[..., Config], tmp_path: Path) -> None:
    """A provider that is down must not be asked for results on top."""
    async with bench(configured, tmp_path) as here:
        await here.told(completed("a"), calibrations=(calibration(),))
        await here.verifier.look(here.lane)
        here.lane.gatekeeper.breaker = Breaker().trip(at=here.clock.monotonic(), draw=0.5)
        assert not await here.verifier.turn(here.lane)
        here.lane.gatekeeper.breaker = Breaker()
        assert await here.verifier.turn(here.lane)


async def test_nothing_is_asked_while_memory_or_disk_press(configured: Callable[..., Config], tmp_path: Path) -> None:
    """Under pressure polling pauses: verification, which nobody waits for, must pause as well."""
    async with bench(configured, tmp_path, may_poll=lambda: False) as here:
        await here.told(completed("a"), calibrations=(calibration(),))
        await here.verifier.look(here.lane)
        assert not await here.verifier.turn(here.lane)
        assert here.account.asked == []


async def test_a_failing_provider_is_asked_again_later_and_not_for_ever(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    """One unreadable result must neither be lost at the first hiccup nor be asked for until the end of time."""
    async with bench(configured, tmp_path) as here:
        here.account.results["a"] = Unavailable("502", retry_after_seconds=90.0)
        await here.told(completed("a"), calibrations=(calibration(),))
        await here.work()
        assert here.entry("a")[:2] == (QueueState.QUEUED, 1)
        here.clock.go(89)
        assert not await here.verifier.turn(here.lane)
        for _ in range(MOST_TRIES - 1):
            here.clock.go(6 * 3600 + 1)
            assert await here.verifier.turn(here.lane)
        assert here.entry("a")[:2] == (QueueState.PARKED, MOST_TRIES)
        assert here.one("a").verdict == "unverified"
        here.clock.go(86_400)
        assert not await here.verifier.turn(here.lane)
        assert here.store.verify() == ()


async def test_an_unreadable_answer_is_given_up_sooner(configured: Callable[..., Config], tmp_path: Path) -> None:
    """What the contract does not know will not become readable by waiting."""
    async with bench(configured, tmp_path) as here:
        here.account.results["a"] = BadPayload("results: found text, a list was expected")
        await here.told(completed("a"), calibrations=(calibration(),))
        await here.work()
        here.clock.go(3600)
        await here.work()
        assert here.entry("a")[0] is QueueState.PARKED
        assert "a list was expected" in here.one("a").reason


def deadly(task: Task) -> Answer:
    """A rule that ends the worker on some circuits."""
    if task.program.circuit == b"poison":
        raise WorkerDied("killed", "the worker ended: signal SIGSEGV")
    return by_counts(task)


async def test_a_job_that_ends_workers_twice_is_parked_and_the_others_go_on(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    """A poison job would end one worker after the other, and nothing else would ever be verified."""
    async with bench(configured, tmp_path, rule=deadly) as here:
        here.account.results["bad"] = (program("poison", good=1),)
        await here.told(completed("bad"), completed("good"), calibrations=(calibration(),))
        await here.work()
        assert here.entry("bad")[:3] == (QueueState.QUEUED, 0, 1)
        assert here.verdicts() == {"good": ["consistent"]}
        here.clock.go(3600)
        await here.work()
        assert here.entry("bad")[:3] == (QueueState.PARKED, 0, MOST_DEATHS)
        assert "SIGSEGV" in here.one("bad").reason
        assert here.verifier.state().queue == {"queued": 0, "running": 0, "parked": 1}


async def test_a_machine_without_workers_blames_no_job(configured: Callable[..., Config], tmp_path: Path) -> None:
    """With a broken installation all jobs would be parked for nothing."""

    def nobody(task: Task) -> Answer:
        raise NoWorkers("the worker did not start: exit status 1")

    async with bench(configured, tmp_path, rule=nobody) as here:
        await here.told(completed("a"), calibrations=(calibration(),))
        for _ in range(4):
            await here.work()
            here.clock.go(3600)
        assert here.entry("a")[:3] == (QueueState.QUEUED, 0, 0)
        here.workers.rule = by_counts
        await here.work()
        assert here.verdicts() == {"a": ["consistent"]}


async def test_a_circuit_without_an_answer_does_not_cost_the_others_theirs(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    """Too little memory for one circuit says nothing about the next."""

    def small(task: Task) -> Answer:
        if task.program.index == 0:
            raise TaskFailed("it needs more memory than a worker may have")
        return by_counts(task)

    async with bench(configured, tmp_path, rule=small) as here:
        here.account.results["a"] = (program(good=1), program(index=1, good=1))
        await here.told(completed("a"), calibrations=(calibration(),))
        await here.work()
        assert here.verdicts() == {"a": ["unverified", "consistent"]}


async def test_a_bug_of_ours_costs_one_job(
    configured: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that nobody foresaw must not stop the lane, nor be hidden."""
    async with bench(configured, tmp_path) as here:
        here.account.results["odd"] = KeyError("counts")
        await here.told(completed("odd"), completed("plain"), calibrations=(calibration(),))
        with caplog.at_level(logging.CRITICAL, logger="qobs.verify"):
            await here.work()
        assert here.verdicts() == {"odd": ["unverified"], "plain": ["consistent"]}
        assert here.entry("odd")[0] is QueueState.PARKED


# --------------------------------------------------------------------------------------------- restarts and learning


async def test_a_daemon_that_stops_in_the_middle_finishes_after_its_restart(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    """Each update of qobs would otherwise lose the jobs in hand."""
    async with bench(configured, tmp_path) as here:
        await here.told(*(completed(id_) for id_ in "abcd"), calibrations=(calibration(),))
        await here.verifier.look(here.lane)
        await here.verifier.turn(here.lane)
        begun = here.store.next_verification(SHARD, here.clock.now())
        here.store.move_verification(msgspec.structs.replace(begun, state=QueueState.RUNNING))  # and there it dies
    async with bench(configured, tmp_path) as here:
        assert here.verifier.state().queue["queued"] == 3
        await here.work()
        assert here.verdicts() == {id_: ["consistent"] for id_ in "abcd"}
        assert sorted(here.account.asked) == ["b", "c", "d"]
        assert here.store.verify() == ()


async def test_stopping_is_bounded_and_puts_back_what_was_begun(configured: Callable[..., Config], tmp_path: Path) -> None:
    """A daemon that cannot be stopped is killed, and a job that stays begun is never done."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    async with bench(configured, tmp_path) as here:
        await here.told(completed("a"), calibrations=(calibration(),))

        async def hang(task: bytes) -> bytes:
            reached.set()
            await go_on.wait()
            return b""

        here.workers.submit = hang  # type: ignore[method-assign]
        serving = asyncio.create_task(here.verifier._serve(here.lane))
        here.verifier._tasks = (serving,)
        await reached.wait()
        assert here.entry("a")[0] is QueueState.RUNNING
        await here.verifier.stop()
        assert serving.cancelled()
        assert here.workers.closed
        assert here.entry("a")[0] is QueueState.QUEUED


async def fed(here: Bench, count: int, bad: int = 0, *, shape: str = "bell", name: str = "job") -> None:
    """So many jobs of one shape, each with slightly other counts, with ``bad`` of 1000 shots off on top."""
    ids = [f"{name}-{number:03d}" for number in range(count)]
    for number, id_ in enumerate(ids):
        off = bad + number % 20
        here.account.results[id_] = (program(shape, good=1000 - off, bad=off),)
    await here.told(*map(completed, ids), calibrations=(calibration(),))
    await here.work()
    here.clock.go(60)


async def test_nothing_is_called_worse_before_the_margin_is_known(configured: Callable[..., Config], tmp_path: Path) -> None:
    """Every real device differs from its calibration: without a margin all results would be bad, and M5 useless."""
    async with bench(configured, tmp_path) as here:
        await fed(here, 49)
        found = Counter(verdict for verdicts in here.verdicts().values() for verdict in verdicts)
        assert found == {"consistent": 3, "inconclusive": 46}
        assert "48 of 50 results of this backend and circuit family" in here.one("job-048").reason
        await fed(here, 1, name="last")
        await fed(here, 3, bad=200, name="broken")
        assert [here.one(f"broken-00{number}").verdict for number in range(3)] == ["worse"] * 3
        await fed(here, 1, bad=200, shape="other", name="unknown")
        assert here.one("unknown-000").verdict == "inconclusive"
        assert "0 of 50" in here.one("unknown-000").reason


async def test_worse_results_do_not_widen_the_margin(configured: Callable[..., Config], tmp_path: Path) -> None:
    """A backend that stays bad would otherwise become its own standard."""
    async with bench(configured, tmp_path) as here:
        await fed(here, 50)
        before = here.workers.tasks[-1].margins
        await fed(here, 60, bad=300, name="broken")
        await fed(here, 1, name="probe")
        assert before == {}
        assert here.workers.tasks[-1].margins == {"bell": pytest.approx(0.018, abs=0.002)}
        (reading,) = here.verifier.state().results
        assert reading.discoveries == 60


async def test_drift_is_noticed_and_its_signal_is_gone_while_the_baseline_is_learnt(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    """A backend that slides within its margin is F2: no single result is bad, their run is."""
    async with bench(configured, tmp_path) as here:
        await fed(here, 30)
        (reading,) = here.verifier.state().results
        assert (reading.drifting, reading.drift_score) == (None, None)
        await fed(here, 30, name="more")
        (reading,) = here.verifier.state().results
        assert reading.drifting is False
        await fed(here, 15, bad=40, name="slide")
        (reading,) = here.verifier.state().results
        assert reading.drifting is True
        assert reading.drift_score >= 1.0


async def test_what_is_learnt_survives_a_restart_and_can_be_learnt_again(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    """After a restart the same results must have the same verdicts; and a lost state must not cost fifty jobs."""
    async with bench(configured, tmp_path) as here:
        await fed(here, 60)
        await fed(here, 5, bad=300, name="broken")
        await fed(here, 5, shape="other", name="other")
        kept = {key: state for key, state in here.store.states().items() if key.startswith(PREFIX)}
        learnt, expected = Learnt(alpha=0.01), here.verifier.state().results
        replayed = learnt.replay(here.store.verifications())
        assert replayed == {key: state for key, state in kept.items() if not key.startswith("verify/looked/")}
        assert learnt.readings() == expected
    async with bench(configured, tmp_path) as here:
        assert here.verifier.state().results == expected
        await fed(here, 1, bad=300, name="again")
        assert here.one("again-000").verdict == "worse"
        here.store.keep_states({"verify/version": b"0"})
    async with bench(configured, tmp_path) as here:
        await fed(here, 1, bad=300, name="still")
        assert here.one("still-000").verdict == "worse"
        assert here.store.verify() == ()


async def test_an_account_is_asked_for_one_result_at_a_time(configured: Callable[..., Config], tmp_path: Path) -> None:
    """Results are large, and the account's allowance is for the jobs of those who pay."""
    async with bench(configured, tmp_path) as here:
        await here.told(*(completed(f"{number}") for number in range(12)), calibrations=(calibration(),))
        serving = asyncio.create_task(here.verifier._serve(here.lane))
        async with asyncio.timeout(30):
            while len(here.verdicts()) < 12:  # noqa: ASYNC110 - the lane has no event for it
                await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.wait([serving])
        assert here.account.most_together == 1
        assert len(here.account.asked) == 12


async def test_a_lane_that_is_stopped_in_mid_commit_has_learnt_what_was_kept(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    """A reload stops lanes at any moment: what is learnt in memory must not fall behind what stands in the store."""
    go_on = threading.Event()
    async with bench(configured, tmp_path) as here:
        await here.told(completed("a"), calibrations=(calibration(),))
        await here.verifier.look(here.lane)
        blocking: list[asyncio.Task[bool]] = []

        def block_the_writer(task: Task) -> Answer:
            blocking.append(asyncio.create_task(here.sink.run(lambda: go_on.wait(30))))
            return by_counts(task)

        here.workers.rule = block_the_writer
        turning = asyncio.create_task(here.verifier.turn(here.lane))
        while not blocking:  # noqa: ASYNC110 - the turn has no event for it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)  # into the commit, which waits for the writer
        turning.cancel()
        await asyncio.wait([turning], timeout=0.1)
        go_on.set()
        await asyncio.gather(*blocking)
        await here.sink.run(lambda: None)  # the one writer: what came before is done
        await asyncio.sleep(0)
        assert here.verdicts() == {"a": ["consistent"]}
        again = Learnt(alpha=0.01)
        again.replay(here.store.verifications())
        assert here.verifier.state().results == again.readings() != ()


async def test_a_full_queue_ends_a_look_and_the_next_one_goes_on(configured: Callable[..., Config], tmp_path: Path) -> None:
    """A backfill of a month must not fill the disk with a queue, nor be forgotten for it."""
    async with bench(configured, tmp_path) as here:
        chooser = Chooser(here.sink, here.clock, Sample())
        await here.told(*(completed(str(number)) for number in range(7)), calibrations=(calibration(),))
        assert [await chooser.look(SHARD, 3) for _ in range(4)] == [3, 3, 1, 0]
        assert here.store.verification_queue()[QueueState.QUEUED] == 7
        here.clock.go(30)
        assert await Chooser(here.sink, here.clock, Sample()).look(SHARD, 3) == 0
