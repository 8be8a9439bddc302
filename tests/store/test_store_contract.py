"""What every store keeps, whatever engine is behind it."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from store_material import (
    END,
    SHARD,
    T0,
    SmallJudge,
    histories,
    make_calibration,
    make_job,
    make_page,
    make_reading,
    naive_buckets,
    seconds,
)

from qobs.model import (
    Applied,
    BackendState,
    BackendStatus,
    Failure,
    FailureClass,
    Job,
    JobState,
    Poll,
    Quarantined,
    Quota,
    Reason,
    Stream,
)
from qobs.store import command
from qobs.store.base import Store, window_counts
from qobs.store.contents import MAX_CONTENTS
from qobs.store.presence import MISSES_TO_UNKNOWN
from qobs.store.rows import id_hash

DONE = {"submitted_at": seconds(0), "started_at": seconds(60), "ended_at": seconds(100)}


def done(id_: str = "j1", state: JobState = JobState.COMPLETED, **fields: object) -> Job:
    """A finished, settled job."""
    return make_job(id_, state, **{**DONE, "settled": True, **fields})


def _totals(store: Store) -> dict[str, tuple[int, int]]:
    return {one.series.sli: (one.good, one.total) for one in store.totals()}


def test_a_job_reads_back_as_it_was_written(store: Store) -> None:
    """A field that got lost on the way could never be explained to a user."""
    job = done(failure=Failure(kind=FailureClass.USER, code="x"), tags=("a", "é😀"), quantum_seconds=1.5, extra='{"k":1}')
    store.commit(make_page(job, at=200))
    assert store.job(job.key) == job
    assert list(store.jobs()) == [job]


def test_r2_a_replayed_page_changes_nothing_and_says_so(store: Store) -> None:
    """Overlapping polls repeat most pages: a repeat must not count, nor grow the file."""
    page = make_page(done(), make_job("j2", submitted_at=seconds(5)), at=200, watermark=seconds(100))
    first = store.commit(page)
    dump = list(store.canonical())
    again = store.commit(page)
    assert (first.ingested, first.transitions, len(first.deltas)) == (2, 4, 2)
    assert again == Applied(unchanged=2)
    assert list(store.canonical()) == dump


def test_r3_the_cursor_moves_with_its_page_and_never_back(store: Store) -> None:
    """A cursor that went back or ahead would read a year again, or skip a day."""
    assert store.cursor(SHARD) is None
    store.commit(make_page(at=1, watermark=seconds(50)))
    store.commit(make_page(done(), at=2))
    store.commit(make_page(at=3, watermark=seconds(20)))
    cursor = store.cursor(SHARD)
    assert cursor is not None
    assert (cursor.watermark, cursor.committed_at) == (seconds(50), seconds(1))


def test_r4_a_late_end_counts_in_the_bucket_of_its_own_time(store: Store) -> None:
    """A job that ended yesterday must spend yesterday's budget, not today's."""
    store.commit(make_page(make_job(submitted_at=seconds(0)), at=1, watermark=seconds(90_000)))
    applied = store.commit(make_page(done(), at=90_000))
    assert {(d.series.sli, d.bucket - int(T0.timestamp())) for d in applied.deltas} == {("success", 100), ("queue", 60)}
    assert applied.late == 2


def test_a_terminal_job_does_not_run_again_but_the_claim_is_kept(store: Store) -> None:
    """A provider's glitch must not turn a finished job into an open one, nor go unseen."""
    store.commit(make_page(done(), at=200))
    applied = store.commit(make_page(make_job(state=JobState.RUNNING, started_at=seconds(300), updated_at=seconds(301)), at=400))
    job = store.job(done().key)
    assert job is not None
    assert (job.state, job.started_at, job.settled) == (JobState.COMPLETED, seconds(60), True)
    assert applied.anomalous == 1
    assert [(one.state, one.anomalous) for one in store.transitions(job.key)] == [
        (JobState.QUEUED, False),
        (JobState.RUNNING, False),
        (JobState.COMPLETED, False),
        (JobState.RUNNING, True),
        (JobState.RUNNING, True),
    ]
    assert store.verify() == ()


def test_a_corrected_end_moves_the_counts(store: Store) -> None:
    """A provider that turns completed into failed takes a good event back and adds a bad one."""
    store.commit(make_page(done(), at=200))
    failure = Failure(kind=FailureClass.HARDWARE)
    applied = store.commit(make_page(done(state=JobState.FAILED, failure=failure), at=210))
    assert applied.corrections == 1
    assert _totals(store)["success"] == (0, 1)
    back = store.commit(make_page(done(updated_at=seconds(500)), at=510))
    assert back.corrections == 1
    assert _totals(store)["success"] == (1, 1)
    job = store.job(done().key)
    assert job is not None
    assert job.failure is None, "a failure belongs to the state it explains"
    success = next(one for one in store.totals() if one.series.sli == "success")
    assert (success.exported_bad, success.exported_total) == (1, 1), "what was exported never decreases"


def test_an_untimed_change_gives_way_to_its_time(store: Store) -> None:
    """A history that shows one start twice makes every queue time ambiguous."""
    store.commit(make_page(make_job(state=JobState.RUNNING, submitted_at=seconds(0)), at=70))
    assert [one.provider_at for one in store.transitions(done().key)] == [seconds(0), None]
    store.commit(make_page(done(), at=200))
    assert [(one.state, one.provider_at) for one in store.transitions(done().key)] == [
        (JobState.QUEUED, seconds(0)),
        (JobState.RUNNING, seconds(60)),
        (JobState.COMPLETED, seconds(100)),
    ]


def test_a_queued_job_is_bad_from_the_moment_it_is_overdue(store: Store) -> None:
    """Time alone changes a verdict: a stuck queue must burn budget while it is stuck."""
    store.commit(make_page(make_job(submitted_at=seconds(0)), at=10))
    assert store.tick(seconds(299)).deltas == ()
    (delta,) = store.tick(seconds(300)).deltas
    assert (delta.good, delta.total, delta.bucket) == (0, 1, int(T0.timestamp()) + 300)
    assert store.tick(seconds(301)).deltas == ()
    assert window_counts(store.buckets(T0))[delta.series].bad == 1
    assert store.verify() == ()


def test_unsettled_jobs_come_due_ever_less_often(store: Store) -> None:
    """Asking for every open job at every poll would spend the provider's rate limit."""
    store.commit(make_page(make_job(submitted_at=seconds(0)), done("j2"), at=0))
    assert store.due(SHARD, seconds(29)) == ()
    (due,) = store.due(SHARD, seconds(30))
    assert (due.key.id, due.submitted_at, due.checks) == ("j1", seconds(0), 0)
    store.commit(make_page(make_job(submitted_at=seconds(0)), at=30))
    assert store.due(SHARD, seconds(59)) == ()
    assert store.due(SHARD, seconds(60))[0].checks == 1
    store.commit(make_page(make_job(submitted_at=seconds(0)), at=100_000))
    assert store.due(SHARD, seconds(103_599)) == ()
    assert len(store.due(SHARD, seconds(103_600))) == 1


def test_a_vanished_job_is_unknown_after_three_misses_and_may_come_back(store: Store) -> None:
    """A job that a provider forgot is not failed, and must not be asked for until the end of time."""
    job = make_job(submitted_at=seconds(0))
    store.commit(make_page(job, at=0))
    for miss in range(MISSES_TO_UNKNOWN):
        for _ in range(4):  # a replay is not another miss
            store.commit(make_page(at=100 * (miss + 1), missing=("j1", "never-seen")))
        found = store.job(job.key)
        assert found is not None
        assert (found.state is JobState.UNKNOWN) == (miss == MISSES_TO_UNKNOWN - 1)
    assert store.due(SHARD, END) == ()
    assert store.transitions(job.key)[-1].raw_state == "missing"
    assert store.open_jobs() == {("ibm", "lab", "fez", "unknown"): 1}
    assert store.verify() == ()
    store.commit(make_page(job, at=250))  # seen before it went
    assert store.job(job.key).state is JobState.UNKNOWN
    store.commit(make_page(job, at=500))
    assert store.job(job.key) == job
    assert len(store.due(SHARD, END)) == 1
    assert store.verify() == ()


def test_the_end_of_a_job_stays_known_when_the_provider_forgets_it(store: Store) -> None:
    """A terminal state is a fact that a later 404 does not undo."""
    job = done(settled=False)
    store.commit(make_page(job, at=200))
    for at in (300, 400, 500):
        store.commit(make_page(at=at, missing=("j1",)))
    assert store.job(job.key) == job
    assert store.due(SHARD, END) == ()


def test_keys_of_other_accounts_do_not_collide(store: Store) -> None:
    """Two accounts may use one job id: each has its own job."""
    store.commit(make_page(done(), done(account="other", state=JobState.FAILED), at=200))
    assert {job.account: job.state for job in store.jobs()} == {"acct": JobState.COMPLETED, "other": JobState.FAILED}
    assert store.commit(make_page(done(account="third"), at=210)).ingested == 1
    assert store.commit(make_page(make_job(account="fourth"), at=210)).ingested == 1
    assert len(list(store.jobs())) == 4
    assert store.verify() == ()


def test_an_ended_job_whose_usage_is_not_final_is_asked_for_again(store: Store) -> None:
    """Providers bill after the end: a job that is dropped at its end never gets its quantum seconds."""
    store.commit(make_page(done("billed"), done("unbilled", settled=False), at=200))
    (due,) = store.due(SHARD, seconds(4000))
    assert (due.key.id, due.submitted_at) == ("unbilled", seconds(0))


def test_a_page_of_many_jobs_counts_each(store: Store) -> None:
    """Rows are written fifty at a time: none may be lost between two batches, nor counted in both."""
    jobs = [done(f"j{n}", ended_at=seconds(60 + 11 * n), backend=f"b{n}", quantum_seconds=n / 7) for n in range(113)]
    assert store.commit(make_page(*jobs, at=5000)).ingested == 113
    assert {(d.series, d.bucket): (d.good, d.total) for d in store.buckets(T0)} == naive_buckets(SmallJudge(), jobs, END)
    assert store.commit(make_page(*jobs, at=5100)) == Applied(unchanged=113)
    assert store.verify() == ()


def test_an_event_older_than_the_kept_buckets_counts_for_life_only(store: Store) -> None:
    """A backfill must not put buckets back that retention removed, nor lose its jobs from the lifetime counts."""
    store.prune(T0 + timedelta(days=200))
    store.commit(make_page(done(), at=200))
    assert list(store.buckets(T0)) == []
    assert _totals(store) == {"success": (1, 1), "queue": (1, 1)}
    assert store.verify() == ()


def test_an_unreadable_record_is_set_aside_once_and_the_rest_counts(store: Store) -> None:
    """One bad record must cost neither its page nor the disk."""
    bad = Quarantined(stream=Stream.JOBS, reason="state: string expected", body=b"x" * 100_000, record_id="j\x00\ud800")
    zoneless = done("zoneless", submitted_at=None, started_at=None, ended_at=seconds(1).replace(tzinfo=None))
    changed = done(ended_at=seconds(2).replace(tzinfo=None))
    page = make_page(done(), make_job("\ud800"), zoneless, changed, at=1, quarantined=(bad,))
    first, again = store.commit(page), store.commit(page)
    assert (first.ingested, first.quarantined, again.quarantined, again.unchanged) == (1, 4, 0, 1)
    assert store.info().rows["quarantine"] == 4
    assert store.commit(make_page(changed, at=2)).updated == 0
    assert store.verify() == ()


def test_a_history_only_grows(store: Store) -> None:
    """What a user once read about a job must still be there, with the time at which it was first known."""
    store.commit(make_page(make_job(submitted_at=seconds(0), raw_state="Queued"), at=10))
    (queued,) = store.transitions(done().key)
    assert (queued.raw_state, queued.observed_at) == ("Queued", seconds(10))
    applied = store.commit(make_page(done(), at=200))
    after = store.transitions(done().key)
    assert (after[0], applied.transitions) == (queued, 2)
    assert [one.observed_at for one in after[1:]] == [seconds(200), seconds(200)]


def test_ids_that_share_a_hash_are_two_jobs(store: Store) -> None:
    """Jobs are found by a short hash of their id: two that share it must not become one."""
    one, two = make_job("plumless", submitted_at=seconds(1)), make_job("buckeroo", submitted_at=seconds(1))
    assert id_hash(one.id) == id_hash(two.id)
    store.commit(make_page(one, at=200))
    assert store.job(two.key) is None
    assert store.transitions(two.key) == ()
    assert store.commit(make_page(two, at=210)).ingested == 1
    assert store.commit(make_page(one, two, at=220)).unchanged == 2
    for at in (230, 240, 250):
        store.commit(make_page(at=at, missing=("buckeroo",)))
    assert store.job(one.key) == one
    assert store.job(two.key).state is JobState.UNKNOWN
    assert store.verify() == ()


def test_a_job_that_is_told_differently_at_every_poll_stops_growing(store: Store, caplog) -> None:
    """One flapping job must not fill the disk, and its end must be seen all the same."""
    looks = [make_job(submitted_at=seconds(0), updated_at=seconds(n), extra=str(n)) for n in range(MAX_CONTENTS + 9)]
    first = store.commit(make_page(*looks[:-5], at=10_000))
    assert (first.ingested, first.updated, first.unchanged) == (1, MAX_CONTENTS - 1, 4)
    assert store.commit(make_page(*looks, at=10_010)) == Applied(unchanged=MAX_CONTENTS + 9)
    assert store.info().rows["observations"] == MAX_CONTENTS
    assert [record.levelname for record in caplog.records if "contents are kept" in record.message] == ["WARNING"]
    end = done(updated_at=seconds(20_000))
    assert store.commit(make_page(end, at=20_010)).updated == 1
    assert store.job(end.key).state is JobState.COMPLETED
    assert store.verify() == ()


def test_latest_status_quota_and_calibration_win_in_any_order(store: Store) -> None:
    """A late page must not turn a backend's state back."""

    def status(at: float, state: BackendState) -> BackendStatus:
        return BackendStatus(
            provider="ibm", source="lab", account="acct", backend="fez", state=state, observed_at=seconds(at), queue_jobs=int(at)
        )

    def quota(at: float) -> Quota:
        return Quota(provider="ibm", source="lab", account="acct", dimension="s", scope="month", observed_at=seconds(at), used=at)

    new = {"backends": (status(20, BackendState.OFFLINE),), "quotas": (quota(20),), "calibrations": (make_calibration(20),)}
    old = {"backends": (status(10, BackendState.ONLINE),), "quotas": (quota(10),), "calibrations": (make_calibration(10),)}
    store.commit(make_page(at=20, **new))
    store.commit(make_page(at=10, **old))
    store.commit(make_page(at=20, **new))
    assert store.backends() == new["backends"]
    assert store.quotas() == new["quotas"]
    assert store.calibrations() == new["calibrations"]
    assert store.info().rows["calibrations"] == 2


def test_the_newest_calibration_of_a_slice_decides_it(store: Store) -> None:
    """A reading that is repeated or improved counts once."""
    assert store.read_freshness([make_reading(600, None), make_reading(600, 0)]).deltas[0][2:] == (1, 1)
    assert store.read_freshness([make_reading(600, None), make_reading(600, 0)]) == Applied(unchanged=2)
    assert _totals(store) == {"freshness": (1, 1)}
    assert store.verify() == ()


def test_open_jobs_and_the_oldest_queued_are_told_by_backend(store: Store) -> None:
    """These gauges are the first look at a queue."""
    store.commit(
        make_page(
            make_job("a", submitted_at=seconds(9)),
            make_job("b", submitted_at=seconds(5)),
            make_job("c", JobState.RUNNING, submitted_at=seconds(1), backend=None),
            done("d"),
            at=10,
        )
    )
    assert store.open_jobs() == {("ibm", "lab", "fez", "queued"): 2, ("ibm", "lab", "", "running"): 1}
    assert store.oldest_queued() == {("ibm", "lab", "fez"): seconds(5)}
    assert [job.id for job in store.jobs(since=seconds(6))] == ["a", "d"]


def test_other_thresholds_recount_all_and_keep_what_was_exported(open_store) -> None:
    """After a change of thresholds counts must be as if they had always been so, and no counter may fall."""
    said = histories(3, 12)
    first = open_store()
    first.commit(make_page(*said, at=5000))
    first.tick(END)
    exported = {one.series: one.exported_total for one in first.totals()}
    first.close()
    other = SmallJudge(timedelta(seconds=30))
    second = open_store(judge=other)
    assert any("thresholds" in line for line in second.verify())
    changed = second.recount()
    assert {series.sli for series in changed} == {"queue"}
    assert second.recount() == ()
    assert second.verify() == ()
    fresh = open_store("fresh", judge=other)
    fresh.commit(make_page(*said, at=5000))
    fresh.tick(END)
    second.tick(END)
    assert list(second.canonical()) == list(fresh.canonical())
    assert all(one.exported_total >= exported.get(one.series, 0) for one in second.totals())


def test_a_commit_under_other_thresholds_recounts_by_itself(open_store) -> None:
    """Taking back a verdict by other thresholds than it was given with would leave ghosts in the counts."""
    first = open_store()
    first.commit(make_page(make_job(submitted_at=seconds(0), started_at=seconds(60), state=JobState.RUNNING), at=70))
    first.close()
    second = open_store(judge=SmallJudge(timedelta(seconds=30)))
    second.commit(make_page(done(), at=200))
    assert _totals(second)["queue"] == (0, 1)
    assert second.verify() == ()


def test_retention_removes_rows_and_keeps_lifetime_counts(store: Store) -> None:
    """Counters that fell when old rows went would look like a restart to Prometheus."""
    store.commit(make_page(make_job(submitted_at=seconds(0)), at=100))
    store.commit(make_page(done(), make_job("open", submitted_at=seconds(0)), at=200, calibrations=(make_calibration(1),)))
    store.read_freshness([make_reading(600, 0)])
    shard_poll = Poll(shard=SHARD, started_at=T0, duration_seconds=1.0, pages=1, records=2, reason=Reason.TIMEOUT)
    store.record_poll(shard_poll)
    store.tick(END)
    before, counters = store.totals(), store.counters()
    assert store.prune(T0 + timedelta(days=10))["jobs"] == 0
    removed = store.prune(T0 + timedelta(days=500))
    assert (removed["jobs"], removed["transitions"], removed["freshness"], removed["polls"]) == (1, 3, 1, 1)
    assert [job.id for job in store.jobs()] == ["open"]
    assert list(store.buckets(T0)) == []
    assert (store.totals(), store.counters()) == (before, counters)
    assert store.verify() == ()
    assert store.read_freshness([make_reading(600, 0)]).deltas == (), "a reading past retention must not count twice"
    assert store.verify() == ()


def test_an_impossible_amount_is_cut_and_counted(store: Store) -> None:
    """One absurd figure must neither stop the page nor swallow the sum of all others."""
    applied = store.commit(make_page(done(quantum_seconds=1e300), done("j2", quantum_seconds=0.1), at=200))
    assert applied.clamped == 1
    value = {one.name: one.value for one in store.counters()}["quantum_seconds"]
    assert value == pytest.approx(1e10 + 0.1)


def test_verify_finds_what_was_tampered_with(open_store, tmp_path: Path) -> None:
    """A check that cannot fail proves nothing."""
    store = open_store("tampered")
    store.commit(make_page(*histories(4, 4), at=5000))
    assert store.verify() == ()
    with sqlite3.connect(tmp_path / "tampered.db") as other:
        other.execute("UPDATE sli_totals SET good = 99")
        other.execute("UPDATE jobs SET record = replace(record, 'fez', 'fox')")
        other.execute("DELETE FROM transitions WHERE state = 'running'")
    other.close()
    found = "\n".join(store.verify())
    assert "total" in found
    assert "transition" in found
    assert "job" in found


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE jobs SET hash = hash + 1",
        "UPDATE jobs SET record = replace(record, '\"alone\"', '\"other\"')",
        "UPDATE jobs SET digest = zeroblob(16)",
        "UPDATE jobs SET state = 'failed'",
        "INSERT INTO transitions SELECT ref, 'running', 5, '', 5, 0 FROM jobs",
        "INSERT INTO transitions VALUES (99, 'running', 5, '', 5, 0)",
        "INSERT INTO observations SELECT ref, zeroblob(16), 5, 0, 5, record FROM jobs",
        "INSERT INTO jobs (hash, provider, account, id, source, state, open, latest_at, first_seen_at, judged_at, record)"
        " SELECT hash, provider, account, id, source, state, open, latest_at, first_seen_at, judged_at, record FROM jobs",
    ],
)
def test_verify_finds_a_wrong_row_of_a_job_seen_once(open_store, tmp_path: Path, tampering: str) -> None:
    """Most jobs have no observation or history of their own: their one row must be held against itself."""
    store = open_store("tampered")
    store.commit(make_page(done("alone"), at=5000))
    assert store.verify() == ()
    with sqlite3.connect(tmp_path / "tampered.db") as other:
        other.execute(tampering)
    other.close()
    assert store.verify() != ()


def test_a_backup_is_a_whole_store(open_store, tmp_path: Path) -> None:
    """A backup that cannot be opened is none."""
    store = open_store()
    store.commit(make_page(*histories(6, 4), at=5000))
    store.backup(tmp_path / "copy.db")
    copy = open_store("copy")
    assert list(copy.canonical()) == list(store.canonical())
    assert copy.verify() == ()


def test_the_store_commands_print_for_people_and_machines(store: Store, tmp_path: Path) -> None:
    """An operator reads these at three in the morning."""
    store.commit(make_page(done(), at=200))
    assert "jobs            1 rows" in command.info(store).text
    assert '"schema_version"' in command.info(store, as_json=True).text
    assert (command.verify(store).status, command.verify(store, as_json=True).status) == (0, 0)
    assert "opened and checked" in command.backup(store, tmp_path / "b.db").text
    assert '"size_bytes"' in command.backup(store, tmp_path / "c.db", as_json=True).text
    assert "jobs            1 rows removed" in command.prune(store, T0 + timedelta(days=500)).text
    assert '"removed"' in command.prune(store, END, as_json=True).text
