"""The quick judgement of an ordinary job is the one that the judges would give one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.model import Event, Job, JobState, Judgement, Series
from qobs.slo.indicators import Indicators
from qobs.slo.tallies import Tallies
from qobs.slo.thresholds import Thresholds
from qobs.slo.verdicts import JOB_SLIS

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = T0 + timedelta(days=2)
lengths = st.sampled_from([0.0, 1.0, 299.0, 300.0, 301.0, 3600.0, 86_400.0]) | st.floats(0.0, 90_000.0)


def one_by_one(job: Job, now: datetime) -> Judgement:
    """What the table of indicators says, for a job whose times are not ahead."""
    thresholds, events = Thresholds(), []
    limits = {"job_latency": thresholds.job_latency, "queue_wait": thresholds.queue_wait}
    for sli in JOB_SLIS:
        limit = limits[sli.name].of(backend="b", priority="") if sli.name in limits else timedelta()
        good, at = sli.judge(job, limit, now)
        if good is not None and at is not None:
            events.append(Event(Series(sli.name, "p", "s", "b"), at, good))
    return Judgement(tuple(events), Tallies().tally(job))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(lengths, lengths, st.none() | st.integers(-1, 500), st.none() | st.floats())
def test_a_completed_job_is_judged_as_one_by_one(wait: float, run: float, shots: int | None, used: float | None) -> None:
    """Nearly all events come this way: a slip here is an error in every ratio that is shown."""
    started = T0 + timedelta(seconds=wait)
    job = Job(
        provider="p",
        source="s",
        account="a",
        id="1",
        state=JobState.COMPLETED,
        backend="b",
        submitted_at=T0,
        started_at=started,
        ended_at=started + timedelta(seconds=run),
        shots=shots,
        quantum_seconds=used,
    )
    now = NOW + timedelta(days=1)
    assert Indicators().job(job, now) == one_by_one(job, now)
