"""Verdicts on results and their queue in the store: kept once, counted once, in their order, whatever is replayed."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_material import SHARD, T0, SmallJudge, make_calibration, make_job, make_page, seconds

from qobs.model import Count, Event, Job, JobKey, JobState, Judgement, Series
from qobs.result import Verification
from qobs.store import schema
from qobs.store.base import Queued, QueueState, Store
from qobs.store.sqlite import SqliteStore

OpenStore = Callable[..., Store]
RESULT = "result_consistency"


class ResultJudge(SmallJudge):
    """Counts consistent as good and worse as bad, and every verdict; ``strict`` calls inconclusive bad as well."""

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__()
        self.strict = strict

    @property
    def fingerprint(self) -> str:
        return f"result-{self.strict}"

    def verification(self, verification: Verification) -> Judgement:
        where = (verification.key.provider, verification.source, verification.backend)
        counts = (Count("verdicts", (*where, verification.verdict), 1.0),)
        bad = ("worse", "inconclusive") if self.strict else ("worse",)
        if verification.verdict not in ("consistent", *bad):
            return Judgement(counts=counts)
        series = Series(RESULT, *where, verification.priority or "")
        return Judgement((Event(series, verification.executed_at, verification.verdict == "consistent"),), counts)


def verified(id_: str = "j1", verdict: str = "consistent", *, at: float = 0, index: int = 0, **fields: object) -> Verification:
    """A verdict on one circuit of a job that ran ``at`` seconds after T0."""
    values = {"source": "lab", "backend": "fez", "reason": "because", "method": "exact", "shots": 1000, **fields}
    return Verification(
        key=JobKey("ibm", "acct", id_),
        index=index,
        executed_at=seconds(at),
        verified_at=seconds(at + 60),
        verdict=verdict,
        **values,
    )


def entry(id_: str = "j1", *, at: float = 0, **fields: object) -> Queued:
    """A job's place in the queue, due ``at`` seconds after T0."""
    return Queued(key=JobKey("ibm", "acct", id_), source="lab", due_at=seconds(at), ended_at=seconds(at), **fields)


def completed(id_: str, *, at: float = 0, **fields: object) -> Job:
    """A job that ran to its end and is settled."""
    times = {"submitted_at": seconds(at), "started_at": seconds(at + 1), "ended_at": seconds(at + 2)}
    return make_job(id_, JobState.COMPLETED, **{"settled": True, **times, **fields})


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """An empty store whose judge counts results."""
    return open_store(judge=ResultJudge())


def keep(store: Store, *verifications: Verification, states: dict[str, bytes | None] | None = None) -> object:
    """Queue the job of the verifications, and keep them."""
    store.queue_verifications([entry(verifications[0].key.id)], states={})
    done = entry(verifications[0].key.id, state=QueueState.DONE)
    return store.keep_verifications(verifications, entry=done, states=states or {})


def test_a_verdict_its_count_and_its_place_in_the_queue_are_kept_together(store: Store) -> None:
    """A verdict that is kept but not counted, or counted but computed again, makes M5 a number of its own."""
    applied = keep(store, verified(verdict="worse"), states={"verify/x": b"1"})
    (delta,) = applied.deltas
    assert (delta.series.sli, delta.good, delta.total) == (RESULT, 0, 1)
    assert [each.verdict for each in store.verifications()] == ["worse"]
    assert store.queued_verification(JobKey("ibm", "acct", "j1")).state is QueueState.DONE
    assert store.states()["verify/x"] == b"1"
    assert store.verify() == ()


def test_keeping_a_verdict_again_changes_nothing(store: Store) -> None:
    """A daemon that was killed after the commit says it all again."""
    keep(store, verified())
    before = list(store.canonical())
    again = keep(store, verified(verdict="worse"))
    assert (again.ingested, again.updated, again.unchanged, again.deltas) == (0, 0, 1, ())
    assert list(store.canonical()) == before


def test_unverified_gives_way_to_a_verdict_and_its_count_is_taken_back(store: Store) -> None:
    """A job without calibration yesterday must not be lost to M5 for ever, nor be counted as both."""
    keep(store, verified(verdict="unverified"))
    applied = keep(store, verified(verdict="consistent"))
    assert (applied.updated, len(applied.deltas)) == (1, 1)
    assert {entry.labels[-1]: entry.value for entry in store.counters()} == {"consistent": 1.0, "unverified": 0.0}
    assert store.verify() == ()


def test_verdicts_are_told_in_the_order_in_which_they_were_added(store: Store) -> None:
    """What is learnt of them depends on their order, and must come out the same after a restart."""
    for id_ in ("c", "a", "b"):
        keep(store, verified(id_, "unverified"))
    keep(store, verified("c", "worse"))
    assert [each.key.id for each in store.verifications()] == ["a", "b", "c"]
    assert [each.index for each in store.verifications(JobKey("ibm", "acct", "a"))] == [0]


def test_shapes_are_known_by_backend_and_epoch(store: Store) -> None:
    """Sampling by shape would otherwise skip what was never looked at."""
    keep(store, verified("a", shape="s1", epoch="e1"), verified("a", shape="s2", epoch="e1", index=1))
    keep(store, verified("b", shape="s3", epoch="e2"))
    keep(store, verified("c", shape="s4", epoch="e1", backend="kyiv"))
    assert store.verified_shapes("ibm", "lab", "fez", "e1") == {"s1", "s2"}


def test_a_job_enters_the_queue_once(store: Store) -> None:
    """A second entry would verify, count and ask the provider twice."""
    assert store.queue_verifications([entry("a"), entry("b")], states={"verify/looked": b"now"}) == 2
    keep(store, verified("a"))
    assert store.queue_verifications([entry("a"), entry("b"), entry("c")], states={}) == 1
    assert store.queued_verification(JobKey("ibm", "acct", "a")).state is QueueState.DONE
    assert store.states()["verify/looked"] == b"now"


def test_the_queue_gives_what_is_due_longest_and_keeps_what_was_noted(store: Store) -> None:
    """A job that waits for its next try must not hold up the others, nor forget how often it was tried."""
    store.queue_verifications([entry("late", at=10), entry("early", at=5)], states={})
    first = store.next_verification(SHARD, seconds(20))
    assert first.key.id == "early"
    moved = msgspec.structs.replace(first, tries=3, deaths=1, due_at=seconds(100), reason="rate\x00limited")
    store.move_verification(moved)
    assert store.next_verification(SHARD, seconds(20)).key.id == "late"
    again = store.next_verification(SHARD, seconds(200))
    kept = store.queued_verification(first.key)
    assert again.key.id == "late"
    assert (kept.tries, kept.deaths, kept.reason) == (3, 1, "rate\\x00limited")
    assert store.next_verification(SHARD, seconds(4)) is None
    assert store.next_verification(SHARD._replace(source="other"), seconds(20)) is None


def test_what_was_begun_is_queued_again_after_a_restart(open_store: OpenStore) -> None:
    """A job that was being simulated when the daemon died would never get its verdict."""
    store = open_store(judge=ResultJudge())
    store.queue_verifications([entry("a"), entry("b"), entry("c")], states={})
    store.move_verification(entry("a", state=QueueState.RUNNING))
    store.move_verification(entry("b", state=QueueState.PARKED))
    store.close()
    again = open_store(judge=ResultJudge())
    assert again.resume_verifications() == 1
    assert again.verification_queue() == {
        QueueState.QUEUED: 2,
        QueueState.RUNNING: 0,
        QueueState.PARKED: 1,
    }


def test_candidates_are_completed_settled_and_not_yet_queued(store: Store) -> None:
    """Asking for the result of a job that failed, or still runs, costs requests and gives nothing."""
    jobs = [
        completed("good"),
        completed("queued"),
        completed("unsettled", settled=False),
        make_job("failed", JobState.FAILED, settled=True, ended_at=seconds(2)),
        make_job("open", JobState.RUNNING),
        completed("elsewhere", account="other"),
        completed("old", at=-1_000_000),
    ]
    store.commit(make_page(*jobs, at=10))
    store.commit(make_page(completed("later", at=4), at=30))
    store.queue_verifications([entry("queued")], states={})

    def ids(changed_since: float) -> list[str]:
        found = store.verification_candidates(SHARD, changed_since=seconds(changed_since), ended_since=seconds(-3600))
        return [job.id for job, _ in found]

    assert ids(0) == ["good", "later"]
    assert ids(20) == ["later"]


def test_a_job_that_settles_later_becomes_a_candidate_then(store: Store) -> None:
    """Listings tell jobs that still run: the change counts, not the first sight."""
    store.commit(make_page(make_job("j", JobState.RUNNING, submitted_at=seconds(0)), at=10))
    store.commit(make_page(completed("j"), at=500))
    ((job, changed_at),) = store.verification_candidates(SHARD, changed_since=seconds(400), ended_since=T0 - timedelta(days=1))
    assert (job.state, changed_at) == (JobState.COMPLETED, seconds(500))


def test_the_calibration_is_the_last_one_before_the_run(store: Store) -> None:
    """A snapshot from after the run explains nothing: it may be the repair of what spoilt the run."""
    calibrations = [make_calibration(at) for at in (0, 100, 200)] + [make_calibration(150, "kyiv")]
    store.commit(make_page(calibrations=tuple(calibrations)))
    found = store.calibration_before("ibm", "acct", "fez", seconds(199))
    assert found.calibrated_at == seconds(100)
    assert store.calibration_before("ibm", "acct", "fez", seconds(200)).calibrated_at == seconds(200)
    assert store.calibration_before("ibm", "acct", "fez", seconds(-1)) is None


def test_another_judge_counts_the_verdicts_again(open_store: OpenStore) -> None:
    """A changed rule must hold for the past as well, or a window mixes two rules."""
    store = open_store(judge=ResultJudge())
    keep(store, verified("a"), verified("a", "inconclusive", index=1))
    store.close()
    strict = open_store(judge=ResultJudge(strict=True))
    (series,) = strict.recount()
    (total,) = (each for each in strict.totals() if each.series.sli == RESULT)
    assert (series.sli, total.good, total.total) == (RESULT, 1, 2)
    assert strict.verify() == ()


def test_a_tampered_verdict_is_found(store: Store, tmp_path: Path) -> None:
    """Counts that no longer follow from the verdicts must not pass for sound."""
    keep(store, verified("a"), verified("a", index=1))
    (path,) = tmp_path.glob("*.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE verifications SET backend = 'kyiv' WHERE place = 0")
        connection.execute("DELETE FROM verifications WHERE place = 1")
        connection.commit()
    lines = store.verify()
    assert any(line.startswith("verification (") for line in lines)
    assert any(line.startswith("verification total") for line in lines)


def test_old_verdicts_go_and_their_lifetime_count_stays(open_store: OpenStore) -> None:
    """A counter that falls when rows are pruned looks like a restart, and a table that never shrinks fills the disk."""
    store = open_store(judge=ResultJudge())
    keep(store, verified("old", "worse"))
    keep(store, verified("new", at=86_400.0 * 399))
    removed = store.prune(T0 + timedelta(days=401))
    assert (removed["verifications"], removed["verify_queue"]) == (1, 2)  # both jobs are said to have ended at T0
    assert [each.key.id for each in store.verifications()] == ["new"]
    (total,) = (each for each in store.totals() if each.series.sli == RESULT)
    assert (total.exported_bad, total.exported_total) == (1, 2)
    assert {each.labels[-1]: each.exported for each in store.counters()} == {"worse": 1.0, "consistent": 1.0}
    assert store.verify() == ()


def test_a_store_of_the_version_before_gets_the_tables(tmp_path: Path) -> None:
    """An upgrade must not lose what was there, nor refuse to start."""
    path = tmp_path / "q.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        schema.migrate(connection, steps=schema.MIGRATIONS[:2])
    with closing(SqliteStore(path, ResultJudge())) as store:
        keep(store, verified())
        assert store.info().rows["verifications"] == 1
        assert store.verify() == ()


VERDICTS = st.sampled_from(("consistent", "worse", "inconclusive", "unverified"))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    told=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), VERDICTS, st.integers(0, 500)), max_size=30),
    seed=st.integers(0, 99),
)
def test_counts_equal_a_naive_recount_whatever_comes_twice(
    told: list[tuple[int, int, str, int]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """M5 is read from incremental sums: they must be what anyone would count from the verdicts."""
    path = tmp_path_factory.mktemp("v") / "q.db"
    with closing(SqliteStore(path, ResultJudge())) as store:
        kept: dict[tuple[int, int], tuple[str, int]] = {}
        repeated = [*told, *random.Random(seed).sample(told, len(told) // 2)]
        for job, index, verdict, at in repeated:
            keep(store, verified(str(job), verdict, at=at, index=index))
            if kept.get((job, index), ("unverified", 0))[0] == "unverified" and (
                (job, index) not in kept or verdict != "unverified"
            ):
                kept[job, index] = (verdict, at)
        naive = Counter(verdict for verdict, _ in kept.values())
        counted = {each.labels[-1]: each.value for each in store.counters() if each.value}
        assert counted == {verdict: float(count) for verdict, count in naive.items()}
        buckets: Counter[int] = Counter()
        for delta in store.buckets(T0 - timedelta(days=1)):
            buckets[delta.bucket] += delta.total
        expected = Counter(
            int(seconds(at).timestamp()) // 10 * 10 for verdict, at in kept.values() if verdict in ("consistent", "worse")
        )
        assert +buckets == expected
        assert store.verify() == ()
