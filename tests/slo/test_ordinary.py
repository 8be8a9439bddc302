"""The quick judgement of an ordinary job is the one that the judges would give one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

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
            events.append(Event(Series(sli.name, "p", "s", "b"), at, good, job.batch or ""))
    return Judgement(tuple(events), Tallies().tally(job))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(lengths, lengths, st.none() | st.integers(-1, 500), st.none() | st.floats(), st.sampled_from([None, "", "session-1"]))
def test_a_completed_job_is_judged_as_one_by_one(
    wait: float, run: float, shots: int | None, used: float | None, batch: str | None
) -> None:
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
        batch=batch,
    )
    now = NOW + timedelta(days=1)
    assert Indicators().job(job, now) == one_by_one(job, now)


@pytest.mark.parametrize("ordinary", [True, False])
def test_jobs_of_one_batch_share_a_group_of_bounded_length(*, ordinary: bool) -> None:
    """Failures of one batch are one incident; a provider's endless name must not make every row as long."""

    def groups(batch: str | None) -> set[str]:
        state = JobState.COMPLETED if ordinary else JobState.FAILED
        job = Job(provider="p", source="s", account="a", id="1", state=state, backend="b", batch=batch)
        job = replace(job, submitted_at=T0, started_at=T0, ended_at=T0)
        return {event.group for event in Indicators().job(job, NOW).events}

    assert groups(None) == groups("") == {""}
    assert groups("b" * 64) == {"b" * 64}
    (long,), (other,) = groups("b" * 65), groups("b" * 64 + "c")
    assert (len(long), len(other), long != other) == (16, 16, True)
    assert int(long, 16) > 0
    assert long == "ffd56409119da4bb"
