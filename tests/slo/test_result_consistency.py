"""M5: which verdicts on results are events, where they fall, and that their counts are those that anyone would count."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.model import Count, JobKey, Series
from qobs.result import VERIFICATIONS_TOTAL, Verification
from qobs.slo.indicators import Indicators
from qobs.slo.openslo import NATIVE_SLIS
from qobs.slo.verdicts import RESULT_CONSISTENCY
from qobs.store.base import Queued
from qobs.store.sqlite import SqliteStore

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def verified(verdict: str, *, at: datetime = AT, **fields: object) -> Verification:
    """A verdict on a run at ``at``, found an hour later."""
    values = {"key": JobKey("ibm", "acct", "j"), "index": 0, "verified_at": AT + timedelta(hours=1), **fields}
    return Verification(source="lab", backend="fez", executed_at=at, verdict=verdict, reason="because", method="exact", **values)


@pytest.mark.parametrize(
    ("verdict", "good"), [("consistent", True), ("worse", False), ("inconclusive", None), ("unverified", None)]
)
def test_only_what_was_decided_is_counted(verdict: str, good: bool | None) -> None:
    """Counting the undecided as good hides drift, as bad pages for short jobs; and a verdict counts when the job ran."""
    judgement = Indicators().verification(verified(verdict, priority="high", workload="production", team="blue"))
    series = Series("result_consistency", "ibm", "lab", "fez", "high", "production", "blue")
    assert [tuple(event) for event in judgement.events] == ([] if good is None else [(series, AT, good, "")])
    assert judgement.counts == (Count(VERIFICATIONS_TOTAL, ("ibm", "lab", "fez", verdict), 1.0),)


def test_a_run_in_the_far_future_counts_when_it_was_verified() -> None:
    """A provider's wrong clock must not put events where no window will look for years."""
    ahead = Indicators().verification(verified("worse", at=AT + timedelta(days=900)))
    near = Indicators().verification(verified("worse", at=AT + timedelta(minutes=64)))
    assert (ahead.events[0].at, ahead.clamped) == (AT + timedelta(hours=1), 1)
    assert (near.events[0].at, near.clamped) == (AT + timedelta(minutes=64), 0)


def test_objectives_may_name_the_indicator() -> None:
    """An objective on M5 would be refused as unknown."""
    assert RESULT_CONSISTENCY.name in NATIVE_SLIS


VERDICTS = st.sampled_from(("consistent", "worse", "inconclusive", "unverified"))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(verdicts=st.lists(st.tuples(VERDICTS, st.integers(0, 86_400)), min_size=1, max_size=25))
def test_stored_counts_equal_a_naive_recount(verdicts: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """M5's burn rate is made of incremental sums: they must say what the verdicts say."""
    with closing(SqliteStore(tmp_path_factory.mktemp("m5") / "q.db", Indicators())) as store:
        for number, (verdict, seconds) in enumerate(verdicts):
            key = JobKey("ibm", "acct", str(number))
            at = AT - timedelta(seconds=seconds)
            entry = Queued(key=key, source="lab", due_at=at, ended_at=at)
            store.keep_verifications([verified(verdict, at=at, key=key)], entry=entry, states={})
        naive = Counter(verdict for verdict, _ in verdicts)
        totals = {each.series.sli: (each.good, each.total) for each in store.totals()}
        good, decided = naive["consistent"], naive["consistent"] + naive["worse"]
        assert totals == ({"result_consistency": (good, decided)} if decided else {})
        counted = {each.labels[-1]: each.value for each in store.counters()}
        assert counted == {verdict: float(count) for verdict, count in naive.items()}
        assert sum(delta.total for delta in store.buckets(AT - timedelta(days=2))) == decided
        assert store.verify() == ()
