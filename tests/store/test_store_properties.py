"""Whatever order, however often, in whatever pages: the same facts give the same store."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from store_material import END, SmallJudge, histories, make_page, naive_buckets, shuffled_pages

from qobs.model import Applied
from qobs.store.sqlite import SqliteStore

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _run(directory: str, name: str, pages: list) -> tuple[list[str], SqliteStore]:
    store = SqliteStore(Path(directory) / name, SmallJudge())
    for page in pages:
        store.commit(page)
    store.tick(END)
    return list(store.canonical()), store


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**9))
def test_r2_r4_any_order_and_repetition_gives_the_dump_of_the_sorted_run(seed: int) -> None:
    """A provider's late, doubled or reordered pages would change what users see about their jobs."""
    said = histories(seed, 8)
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        sorted_run, one = _run(directory, "sorted.db", [make_page(job, at=10_000) for job in said])
        shuffled, two = _run(directory, "shuffled.db", shuffled_pages(random.Random(seed), said))
        try:
            assert shuffled == sorted_run
            assert two.verify() == ()
            assert one.verify() == ()
        finally:
            one.close()
            two.close()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**9))
def test_stored_buckets_equal_a_naive_rescan_of_all_jobs(seed: int) -> None:
    """Error budgets are built from these buckets: they must equal a re-scan to the last integer."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        _, store = _run(directory, "q.db", shuffled_pages(random.Random(seed), histories(seed, 10)))
        try:
            stored = {(d.series, d.bucket): (d.good, d.total) for d in store.buckets(END.replace(year=2000))}
            assert stored == naive_buckets(SmallJudge(), store.jobs(), END)
        finally:
            store.close()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**9))
def test_returned_deltas_add_up_to_the_stored_buckets(seed: int) -> None:
    """Window totals follow the deltas: if these drift from the store, burn rates change at every restart."""
    sums: dict = {}

    def follow(applied: Applied) -> None:
        for delta in applied.deltas:
            good, total = sums.get(delta[:2], (0, 0))
            sums[delta[:2]] = (good + delta.good, total + delta.total)

    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        store = SqliteStore(Path(directory) / "q.db", SmallJudge())
        for number, page in enumerate(shuffled_pages(random.Random(seed), histories(seed, 6))):
            follow(store.commit(page))
            if number % 3 == 0:
                follow(store.tick(page.observed_at))
        stored = {(d.series, d.bucket): (d.good, d.total) for d in store.buckets(END.replace(year=2000))}
        store.close()
    assert {key: value for key, value in sums.items() if any(value)} == stored


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**9))
def test_r2_replaying_all_pages_changes_nothing(seed: int) -> None:
    """After a crash pages are fetched again: no counter may move."""
    pages = shuffled_pages(random.Random(seed), histories(seed, 6))
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        before, store = _run(directory, "q.db", pages)
        replayed = [store.commit(page) for page in pages]
        after = list(store.canonical())
        found = store.verify()
        store.close()
    assert after == before
    assert found == ()
    assert all(not a.deltas and a.ingested == a.updated == a.transitions == a.anomalous == 0 for a in replayed)
