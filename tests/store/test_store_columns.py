"""Hours, batches and columns: what windows are rebuilt from must equal the buckets and jobs that they stand for."""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_material import (
    END,
    T0,
    SmallJudge,
    histories,
    make_calibration,
    make_job,
    make_page,
    make_reading,
    naive_batches,
    old_schema,
    rows_of,
    seconds,
    shuffled_pages,
    sums_of_hours,
)

from qobs.errors import StoreError
from qobs.model import JobState, Series
from qobs.store import schema
from qobs.store.base import Store
from qobs.store.readonly import ReadOnlyStore
from qobs.store.sqlite import SqliteStore

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
LONG_AGO = datetime(1960, 1, 1, tzinfo=UTC)
QUEUE = Series("queue", "ibm", "lab", "fez")


def done(id_: str = "j1", at: float = 150, **fields: object):
    """A job that waited 100 s and ended ``at``."""
    times = {"submitted_at": seconds(at - 150), "started_at": seconds(at - 50), "ended_at": seconds(at)}
    return make_job(id_, **{"state": JobState.COMPLETED, **times, **fields})


def hours_of(store: Store) -> dict[tuple[Series, int], tuple[int, int]]:
    """The stored hours by series and start."""
    return {(series, hour): (good, total) for series, hour, good, total in rows_of(store.hour_columns(LONG_AGO))}


def batches_of(store: Store) -> dict[tuple[Series, str], tuple[int, int]]:
    """The stored batches by series and group."""
    return {(one.series, one.group): (one.total, one.bad) for one in store.batches(LONG_AGO)}


def assert_counts_agree(store: Store, judge: SmallJudge) -> None:
    """Hours are sums of buckets, batches are those of all kept jobs, columns are the buckets, and nothing else differs."""
    buckets = list(store.buckets(LONG_AGO))
    assert rows_of(store.bucket_columns(LONG_AGO)) == buckets
    assert hours_of(store) == sums_of_hours(buckets)
    assert store.verify() == ()
    with closing(ReadOnlyStore(Path(store.info().location), judge)) as looked_at:
        assert looked_at.hour_columns(LONG_AGO) == store.hour_columns(LONG_AGO)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**9))
def test_hours_and_batches_follow_any_history_of_pages_ticks_recounts_and_prunes(seed: int) -> None:
    """A long window is built from hours and evidence from batches: a slip in either is a wrong error budget after a restart."""
    rng, judge = random.Random(seed), SmallJudge()
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        path = Path(directory) / "q.db"
        store = SqliteStore(path, judge)
        clock = T0
        for page in shuffled_pages(rng, histories(seed, 8)):
            store.commit(page)
            clock = max(clock, page.observed_at)
            match rng.randrange(8):
                case 0:
                    store.tick(clock)
                case 1:
                    at = rng.uniform(0, 7200)
                    store.read_freshness([make_reading(at // 10 * 10, at - rng.uniform(0, 2 * 86400))])
                case 2:
                    clock = max(clock, T0 + timedelta(days=91, seconds=rng.uniform(0, 5400)))
                    store.prune(clock)
                case 3:
                    store.close()
                    judge = SmallJudge(timedelta(seconds=rng.choice([30, 300, 600])))
                    store = SqliteStore(path, judge)
                    store.recount()
        store.tick(END + timedelta(days=100))
        if rng.random() < 0.3:
            store.prune(T0 + timedelta(days=401, seconds=rng.uniform(0, 5400)))
        with closing(store):
            assert_counts_agree(store, judge)
            assert batches_of(store) == naive_batches(judge, store.jobs(), END + timedelta(days=100))


def test_an_event_that_is_taken_back_leaves_its_hour_and_its_batch(store: Store) -> None:
    """An hour or batch that keeps a corrected event would count it for ninety days."""
    store.commit(make_page(done(batch="b"), at=200))
    hour = int(T0.timestamp())
    assert hours_of(store)[QUEUE, hour] == (1, 1)
    assert batches_of(store)[QUEUE, "b"] == (1, 0)
    moved = done(at=5000, batch="other", updated_at=seconds(6000))
    store.commit(make_page(moved, at=6100))
    assert {start for _, start in hours_of(store)} == {hour + 3600}
    assert {group for _, group in batches_of(store)} == {"other"}
    assert store.verify() == ()


def test_a_batch_is_told_whole_while_its_newest_event_is_recent(store: Store) -> None:
    """Half of a batch would look like a smaller one, and its failures like more than one incident."""
    store.commit(make_page(done("a", 150, batch="b"), done("c", 9000, batch="b"), done("d", 160, batch="old"), at=10_000))
    recent = {(one.series.sli, one.group): (one.total, one.bad) for one in store.batches(seconds(8000))}
    assert recent == {("queue", "b"): (2, 0), ("success", "b"): (2, 0)}
    store.commit(make_page(done("c", 100, batch="b", updated_at=seconds(9500)), at=10_100))
    assert {one.group for one in store.batches(seconds(8000))} == {"b"}, "a batch that was active stays so"
    assert store.verify() == ()


def test_a_job_without_a_batch_stands_alone(store: Store) -> None:
    """Every job would be a batch of one, and the table as large as the jobs."""
    store.commit(make_page(done(), done("j2", batch=""), at=200))
    assert store.batches(LONG_AGO) == ()
    assert store.info().rows["sli_batches"] == 0


def test_a_batch_goes_with_its_last_job(store: Store) -> None:
    """Batches of years ago would grow the file for ever."""
    store.commit(make_page(done(batch="b"), done("late", 86_400 * 20, batch="b"), at=86_400 * 21))
    before = store.totals()
    removed = store.prune(T0 + timedelta(days=410))
    assert (removed["jobs"], removed["sli_batches"]) == (1, 0)
    assert batches_of(store)[QUEUE, "b"] == (1, 0)
    assert store.prune(T0 + timedelta(days=430))["sli_batches"] == 2
    assert (batches_of(store), store.totals()) == ({}, before)
    assert store.verify() == ()


def test_an_hour_that_is_pruned_in_part_keeps_the_rest(store: Store) -> None:
    """The oldest hour of a 90-day window would jump at every prune."""
    jobs = [done(f"j{number}", 200 + 600 * number) for number in range(12)]
    store.commit(make_page(*jobs, at=8000))
    removed = store.prune(T0 + timedelta(days=91, seconds=4600))
    assert removed["sli_hours"] == 2
    assert removed["sli_buckets"] > 10
    kept = hours_of(store)
    assert {start for _, start in kept} == {int(seconds(3600).timestamp())}
    assert kept == sums_of_hours(store.buckets(LONG_AGO))
    assert store.prune(T0 + timedelta(days=91, seconds=4600))["sli_hours"] == 0
    assert store.verify() == ()


def test_hours_before_1970_are_whole_hours_too(store: Store) -> None:
    """Broken clocks report such times, and a remainder with the wrong sign would put them into the next hour."""
    old = datetime(1969, 12, 31, 23, 10, 5, tzinfo=UTC)
    store.commit(make_page(make_job(state=JobState.COMPLETED, ended_at=old), at=10))
    assert {start for _, start in hours_of(store)} == {-3600}
    assert store.verify() == ()
    store.recount()
    assert hours_of(store) == sums_of_hours(store.buckets(LONG_AGO))


def test_columns_are_cut_at_the_times_and_series_that_were_asked_for(store: Store) -> None:
    """A bucket too many or too few at the edge of a window is a wrong ratio."""
    store.commit(make_page(done("a", 150), done("b", 160), done("c", 3750), at=4000))
    store.read_freshness([make_reading(600, 0)])
    every = list(store.buckets(LONG_AGO))
    begin, end = seconds(100), seconds(150)
    assert rows_of(store.bucket_columns(begin, end)) == [d for d in every if begin.timestamp() <= d.bucket < end.timestamp()]
    part = timedelta(microseconds=1)
    late = [start for _, start, _, _ in rows_of(store.bucket_columns(begin + part, end + part))]
    assert (min(late), max(late)) == (int(seconds(110).timestamp()), int(end.timestamp()))
    assert rows_of(store.bucket_columns(LONG_AGO, series=[QUEUE])) == [d for d in every if d.series == QUEUE]
    assert rows_of(store.bucket_columns(LONG_AGO, series=iter([QUEUE, Series("no", "such", "series", "b")]))) != []
    nothing = store.bucket_columns(LONG_AGO, series=[])
    assert [len(column) for column in nothing] == [0, 0, 0, 0, 0]
    assert len(store.hour_columns(T0).starts) == 5
    assert len(store.hour_columns(T0 + part).starts) == 2
    assert store.bucket_columns(begin).starts.typecode == store.hour_columns(begin).total.typecode == "q"


@pytest.mark.parametrize("rows", [9_999, 10_000, 10_001, 25_000])
def test_columns_lose_nothing_where_one_chunk_ends_and_the_next_begins(store: Store, tmp_path: Path, rows: int) -> None:
    """A row lost or doubled at each seam would show only in large stores."""
    store.commit(make_page(done("a"), done("b", backend="kyiv"), at=200))
    with closing(sqlite3.connect(tmp_path / "qobs.db")) as other:
        first = int(seconds(86_400).timestamp())
        many = [(first + number // 3 * 10, number % 3 + 1, number, number + 1) for number in range(rows)]
        other.executemany("INSERT INTO sli_buckets (bucket, series, good, total) VALUES (?, ?, ?, ?)", many)
        other.executemany("INSERT INTO sli_hours (hour, series, good, total) VALUES (?, ?, ?, ?)", many)
        other.commit()
    expected = list(store.buckets(seconds(86_400)))
    assert len(expected) == rows
    assert rows_of(store.bucket_columns(seconds(86_400))) == expected
    assert rows_of(store.hour_columns(seconds(86_400))) == expected
    of_one = [delta for delta in expected if delta.series == QUEUE]
    assert rows_of(store.bucket_columns(seconds(86_400), series=[QUEUE])) == of_one != []


def test_an_empty_store_has_empty_columns(store: Store) -> None:
    """The first start must not fail on having nothing to rebuild."""
    assert store.hour_columns(LONG_AGO).series == ()
    assert len(store.bucket_columns(LONG_AGO).starts) == 0
    assert (store.first_buckets(), store.batches(LONG_AGO), store.states()) == ({}, (), {})


def test_the_first_bucket_of_a_series_is_its_oldest_kept_one(store: Store) -> None:
    """An objective's age is told from it: younger than it is, and a full window looks like a part of one."""
    store.commit(make_page(done("a", 7150), done("b", 4150), done("c", 3950, backend="kyiv"), at=8000))
    store.commit(make_page(done("d", 4000, state=JobState.FAILED), at=8100))
    oldest: dict[Series, int] = {}
    for series, bucket, _, _ in store.buckets(LONG_AGO):
        oldest[series] = min(bucket, oldest.get(series, bucket))
    assert {series: int(at.timestamp()) for series, at in store.first_buckets().items()} == oldest
    assert len(oldest) == 4


def test_kept_calibrations_are_told_oldest_first_and_no_more_than_asked(store: Store) -> None:
    """A baseline that is learnt from the wrong end, or from another backend's snapshots, calls every job bad."""
    made = [make_calibration(at, backend) for at in (0, 3600, 7200, 10_800) for backend in ("kyiv", "fez")]
    store.commit(make_page(at=20_000, calibrations=tuple(made)))
    told = [(one.backend, one.calibrated_at) for one in store.calibration_history(seconds(3600), newest=2)]
    assert told == [(backend, seconds(at)) for backend in ("fez", "kyiv") for at in (7200, 10_800)]
    assert [one.calibrated_at for one in store.calibration_history(seconds(7200.5))] == [seconds(10_800)] * 2
    assert list(store.calibration_history(seconds(99_999))) == []


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE sli_hours SET good = good + 1", "hour"),
        ("DELETE FROM sli_hours", "hour"),
        ("UPDATE sli_buckets SET total = total + 1", "hour"),
        ("UPDATE sli_batches SET bad = bad + 1", "job batch"),
        ("DELETE FROM sli_batches", "job batch"),
        ("UPDATE sli_batches SET latest = latest - 10", "newest bucket"),
    ],
)
def test_verify_finds_an_hour_or_batch_that_is_not_what_it_should_be(
    open_store, tmp_path: Path, tampering: str, told: str
) -> None:
    """Nobody sees a wrong sum by looking at it."""
    store = open_store("tampered")
    store.commit(make_page(done(batch="b"), at=200))
    with closing(sqlite3.connect(tmp_path / "tampered.db")) as other:
        other.execute(tampering)
        other.commit()
    assert any(told in line for line in store.verify())


def test_a_recount_mends_hours_and_batches(tmp_path: Path) -> None:
    """After a change of thresholds nothing of the old sums may be left, not even a mistake in them."""
    path = tmp_path / "q.db"
    with closing(SqliteStore(path, SmallJudge())) as store:
        store.commit(make_page(*histories(5, 8), at=9000))
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE sli_hours SET good = good + 7")
        other.execute("DELETE FROM sli_batches")
        other.commit()
    judge = SmallJudge(timedelta(seconds=30))
    with closing(SqliteStore(path, judge)) as store:
        store.recount()
        assert_counts_agree(store, judge)
        assert batches_of(store) == naive_batches(judge, store.jobs(), seconds(9000))


def test_a_store_of_the_first_schema_becomes_what_it_would_be_today(tmp_path: Path) -> None:
    """An upgrade that lost the history of the windows would show a perfect quarter."""
    path, judge = tmp_path / "q.db", SmallJudge()
    pages = [make_page(*histories(9, 12), at=9000, watermark=seconds(8000))]
    old_schema(path, judge, pages)
    with closing(sqlite3.connect(path)) as connection:
        assert schema.schema_version(connection) == 1
    with closing(SqliteStore(path, judge, now=T0)) as store, closing(SqliteStore(tmp_path / "new.db", judge)) as fresh:
        assert hours_of(store) == sums_of_hours(store.buckets(LONG_AGO)) != {}
        store.recount()
        fresh.commit(pages[0])
        assert list(store.canonical()) == list(fresh.canonical())
        assert (hours_of(store), batches_of(store)) == (hours_of(fresh), batches_of(fresh))
        assert store.exclusions(withdrawn=True) == store.exclusion_log() == ()
        assert store.verify() == ()
        assert store.recoveries == ()
    (kept,) = tmp_path.glob(f"q.db.before-schema-{schema.SCHEMA_VERSION}-*")
    with closing(sqlite3.connect(kept)) as connection:
        assert schema.schema_version(connection) == 1


def test_an_old_file_can_be_looked_at_and_backed_up_before_it_is_migrated(tmp_path: Path) -> None:
    """Whoever upgrades wants a backup first, and `qobs store` is how he makes one."""
    path, judge = tmp_path / "q.db", SmallJudge()
    old_schema(path, judge, [make_page(done(), at=200)])
    with closing(ReadOnlyStore(path, judge)) as store:
        info = store.info()
        assert (info.schema_version, info.rows["jobs"], "sli_hours" in info.rows) == (1, 1, False)
        assert store.verify() == (f"schema: version 1 found, {schema.SCHEMA_VERSION} expected: start the daemon once to migrate",)
        store.backup(tmp_path / "copy.db")
        with pytest.raises(StoreError, match="sli_hours"):
            store.hour_columns(T0)
    with closing(SqliteStore(tmp_path / "copy.db", judge)) as store:
        store.recount()
        assert store.verify() == ()
