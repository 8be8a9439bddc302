"""What holds for every job, however odd: verdicts are pure, and time alone adds events but moves none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.model import Event, Failure, FailureClass, Job, JobState
from qobs.slo.indicators import Indicators

T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

moments = st.none() | st.integers(-7200, 20_000).map(lambda seconds: T0 + timedelta(seconds=seconds))
jobs = st.builds(
    Job,
    provider=st.sampled_from(["ibm", "ionq"]),
    source=st.just("lab"),
    account=st.just("a"),
    id=st.just("1"),
    state=st.sampled_from(JobState),
    backend=st.sampled_from([None, "ibm_fez", "forte-1"]),
    submitted_at=moments,
    queued_at=st.none() | moments,
    started_at=moments,
    ended_at=moments,
    updated_at=moments,
    failure=st.none() | st.builds(Failure, kind=st.sampled_from(FailureClass)),
    shots=st.none() | st.integers(-5, 10_000),
    quantum_seconds=st.none() | st.floats(),
    priority=st.sampled_from([None, "high"]),
    team=st.sampled_from([None, "chemistry"]),
)
# Never a whole second, as the moments above are: only an event that was moved to "now" lies at it.
nows = st.integers(0, 50_000).map(lambda seconds: T0 + timedelta(seconds=seconds, microseconds=7))


def settled(events: tuple[Event, ...], now: datetime) -> set[Event]:
    """Events that were not moved because their time lay too far ahead: those before ``now`` itself."""
    return {event for event in events if event.at != now}


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.lists(st.tuples(jobs, nows), min_size=1, max_size=6))
def test_a_judgement_depends_on_the_record_and_the_moment_only(asked: list[tuple[Job, datetime]]) -> None:
    """Counts rebuilt from the records must equal those kept along the way, whatever was judged in between."""
    judge = Indicators()
    first = [judge.job(record, now) for record, now in asked]
    assert [judge.job(record, now) for record, now in reversed(asked)] == first[::-1]
    assert [Indicators().job(record, now) for record, now in asked] == first


@settings(derandomize=True, max_examples=250, deadline=None)
@given(jobs, nows, nows)
def test_time_alone_never_moves_an_event(record: Job, one: datetime, other: datetime) -> None:
    """An event that moved between buckets while nothing happened would make burn rates jump."""
    early, late = min(one, other), max(one, other)
    judge = Indicators()
    before, after = judge.job(record, early), judge.job(record, late)
    assert settled(before.events, early) <= set(after.events)
    assert before.counts == after.counts


@settings(derandomize=True, max_examples=250, deadline=None)
@given(jobs, nows, nows)
def test_nothing_changes_before_the_announced_moment(record: Job, one: datetime, other: datetime) -> None:
    """The store judges a job again only at ``next_at``: a change before it would be missed."""
    early, late = min(one, other), max(one, other)
    judge = Indicators()
    before = judge.job(record, early)
    assert before.next_at is None or before.next_at > early
    if before.next_at is None or late < before.next_at:
        after = judge.job(record, late)
        assert settled(after.events, late) == settled(before.events, early)
        assert after.next_at == before.next_at


@settings(derandomize=True, max_examples=150, deadline=None)
@given(jobs, nows)
def test_a_job_counts_at_most_once_per_indicator_and_never_good_while_unknown(record: Job, now: datetime) -> None:
    """Totals are sums over jobs: one job is one event, and an unknown state is no success."""
    judged = Indicators().job(record, now)
    assert len({event.series.sli for event in judged.events}) == len(judged.events)
    assert all(event.at <= now + timedelta(minutes=5) for event in judged.events)
    if not record.state.terminal:
        assert all(event.series.sli != "job_success" for event in judged.events)
        assert not any(event.good for event in judged.events if event.series.sli == "job_latency")


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.integers(1, 40_000))
def test_a_late_job_counts_at_one_moment_through_its_whole_life(length: int) -> None:
    """Bad once, at the limit, while it waits, runs and after it has ended: never twice, never elsewhere."""
    judge, end = Indicators(), T0 + timedelta(seconds=length)
    job = Job(provider="ibm", source="lab", account="a", id="1", state=JobState.QUEUED, submitted_at=T0)
    running = Job(provider="ibm", source="lab", account="a", id="1", state=JobState.RUNNING, submitted_at=T0, started_at=end)
    ended = Job(
        provider="ibm", source="lab", account="a", id="1", state=JobState.COMPLETED, submitted_at=T0, started_at=end, ended_at=end
    )
    seen = {
        event
        for record in (job, running, ended)
        for event in judge.job(record, end).events
        if event.series.sli == "queue_wait" and not event.good
    }
    assert seen == (
        {event for event in judge.job(ended, end).events if event.series.sli == "queue_wait"} if length > 300 else set()
    )
