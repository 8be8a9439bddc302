"""Verdict tables: for every indicator, which record counts as what, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from qobs.model import Failure, FailureClass, Freshness, Job, JobState, Judge, Judgement
from qobs.slo.indicators import Indicators
from qobs.slo.thresholds import Limit, Thresholds
from qobs.slo.verdicts import SLIS

T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LATER = T0 + timedelta(days=2)
TICK = timedelta(microseconds=1)
WAIT, LATENCY, FRESH = timedelta(minutes=5), timedelta(hours=1), timedelta(hours=24)

QUEUED, RUNNING, COMPLETED = JobState.QUEUED, JobState.RUNNING, JobState.COMPLETED
FAILED, CANCELLED, UNKNOWN = JobState.FAILED, JobState.CANCELLED, JobState.UNKNOWN


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def job(state: JobState, **fields: object) -> Job:
    """A job submitted at minute 0; a field that ends in ``_at`` may be given in minutes."""
    times = {key: at(value) if isinstance(value, int | float) else value for key, value in fields.items() if key.endswith("_at")}
    kind = fields.pop("failure", None)
    failure = Failure(kind=kind) if isinstance(kind, FailureClass) else None
    told = {"submitted_at": T0, "backend": "ibm_fez", **fields, **times}
    return Job(provider="ibm", source="lab", account="a", id="1", state=state, failure=failure, **told)  # type: ignore[arg-type]


def verdict(judged: Judgement, sli: str) -> tuple[bool, float] | None:
    """(good, minute) of the indicator's event; None where it did not count."""
    found = [event for event in judged.events if event.series.sli == sli]
    assert len(found) <= 1
    return (found[0].good, (found[0].at - T0) / timedelta(minutes=1)) if found else None


SUCCESS = [
    ("completed", job(COMPLETED, ended_at=9), (True, 9)),
    ("completed, told by revision time only", job(COMPLETED, updated_at=11), (True, 11)),
    ("end before revision", job(COMPLETED, ended_at=9, updated_at=50), (True, 9)),
    ("completed, start known only", job(COMPLETED, started_at=4), (True, 4)),
    ("completed, submission known only", job(COMPLETED), (True, 0)),
    ("completed without any time", job(COMPLETED, submitted_at=None), None),
    ("failed without a reason", job(FAILED, ended_at=9), (False, 9)),
    *((f"failed by {kind}", job(FAILED, ended_at=9, failure=kind), (False, 9)) for kind in FailureClass if kind != "user"),
    ("failed by the user's own error", job(FAILED, ended_at=9, failure=FailureClass.USER), None),
    ("cancelled by the user", job(CANCELLED, ended_at=9), None),
    ("cancelled for the user's error", job(CANCELLED, ended_at=9, failure=FailureClass.USER), None),
    ("cancelled for a reason nobody knows", job(CANCELLED, ended_at=9, failure=FailureClass.UNKNOWN), None),
    ("cancelled by the provider", job(CANCELLED, ended_at=9, failure=FailureClass.PROVIDER), (False, 9)),
    ("cancelled by the hardware", job(CANCELLED, ended_at=9, failure=FailureClass.HARDWARE), (False, 9)),
    ("cancelled by the queue", job(CANCELLED, updated_at=9, failure=FailureClass.QUEUE), (False, 9)),
    ("queued", job(QUEUED), None),
    ("running", job(RUNNING, started_at=1), None),
    ("unknown, though it has an end", job(UNKNOWN, ended_at=9), None),
]


@pytest.mark.parametrize(("record", "expected"), [row[1:] for row in SUCCESS], ids=[row[0] for row in SUCCESS])
def test_job_success(record: Job, expected: tuple[bool, float] | None) -> None:
    """A user's own cancellation or error must not spend the provider's budget, and a provider's own must."""
    assert verdict(Indicators().job(record, LATER), "job_success") == expected


LATENCY_ROWS = [
    ("in time", job(COMPLETED, ended_at=30), 60, (True, 30)),
    ("exactly on the limit", job(COMPLETED, ended_at=60), 2000, (True, 60)),
    ("just over the limit", job(COMPLETED, ended_at=at(60) + TICK), 2000, (False, 60)),
    ("hours late", job(COMPLETED, ended_at=700), 2000, (False, 60)),
    ("still queued, within the limit", job(QUEUED), 59, None),
    ("still queued, on the limit", job(QUEUED), 60, None),
    ("still queued, past the limit", job(QUEUED), 60.01, (False, 60)),
    ("still running, past the limit", job(RUNNING, started_at=2), 2000, (False, 60)),
    ("unknown, past the limit", job(UNKNOWN), 2000, (False, 60)),
    ("unknown, within the limit", job(UNKNOWN), 30, None),
    ("unknown, but ended in time", job(UNKNOWN, ended_at=9), 2000, None),
    ("failed in time", job(FAILED, ended_at=30), 2000, None),
    ("failed late", job(FAILED, ended_at=61), 2000, (False, 60)),
    ("failed late by the user's error", job(FAILED, ended_at=61, failure=FailureClass.USER), 2000, (False, 60)),
    ("cancelled in time", job(CANCELLED, ended_at=30), 2000, None),
    ("cancelled late", job(CANCELLED, ended_at=90), 2000, (False, 60)),
    ("failed, end unknown", job(FAILED, updated_at=90), 2000, None),
    ("completed, revised in time", job(COMPLETED, updated_at=30), 2000, (True, 30)),
    ("completed, revised late: end unknown", job(COMPLETED, updated_at=90), 2000, None),
    ("completed, no end at all", job(COMPLETED), 2000, None),
    ("submission unknown", job(COMPLETED, submitted_at=None, ended_at=30), 2000, None),
    ("open, submission unknown", job(QUEUED, submitted_at=None), 2000, None),
    ("ended before it was submitted", job(COMPLETED, ended_at=-3), 2000, (True, -3)),
    ("waiting counts, whatever queued_at says", job(COMPLETED, queued_at=50, ended_at=70), 2000, (False, 60)),
]


@pytest.mark.parametrize(
    ("record", "minute", "expected"), [row[1:] for row in LATENCY_ROWS], ids=[row[0] for row in LATENCY_ROWS]
)
def test_job_latency(record: Job, minute: float, expected: tuple[bool, float] | None) -> None:
    """A job that hangs must count from the moment it is late, and must not move when it ends at last."""
    assert verdict(Indicators().job(record, at(minute)), "job_latency") == expected


WAIT_ROWS = [
    ("started in time", job(RUNNING, started_at=3), 2000, (True, 3)),
    ("started exactly on the limit", job(RUNNING, started_at=5), 2000, (True, 5)),
    ("started just over the limit", job(RUNNING, started_at=at(5) + TICK), 2000, (False, 5)),
    ("started hours late, completed", job(COMPLETED, started_at=300, ended_at=301), 2000, (False, 5)),
    ("completed with a start in time", job(COMPLETED, started_at=1, ended_at=301), 2000, (True, 1)),
    ("failed with a start in time", job(FAILED, started_at=1, ended_at=2), 2000, (True, 1)),
    ("still queued, within the limit", job(QUEUED), 4, None),
    ("still queued, on the limit", job(QUEUED), 5, None),
    ("still queued, past the limit", job(QUEUED), 5.01, (False, 5)),
    ("ready later than submitted", job(QUEUED, queued_at=10), 14, None),
    ("ready later, past the limit", job(QUEUED, queued_at=10), 16, (False, 15)),
    ("only the queueing time is known", job(RUNNING, submitted_at=None, queued_at=2, started_at=4), 2000, (True, 4)),
    ("unknown, within the limit", job(UNKNOWN), 4, None),
    ("unknown, past the limit", job(UNKNOWN), 6, (False, 5)),
    ("unknown, with a start in time", job(UNKNOWN, started_at=3), 2000, (True, 3)),
    ("unknown, ended in time", job(UNKNOWN, ended_at=3), 2000, None),
    ("running, start unknown", job(RUNNING), 2000, None),
    ("completed, start unknown", job(COMPLETED, ended_at=90), 2000, None),
    ("cancelled while waiting in time", job(CANCELLED, ended_at=4), 2000, None),
    ("cancelled while waiting too long", job(CANCELLED, ended_at=40), 2000, (False, 5)),
    ("failed while waiting in time", job(FAILED, ended_at=4), 2000, None),
    ("failed while waiting too long", job(FAILED, ended_at=40), 2000, (False, 5)),
    ("cancelled, nobody knows when", job(CANCELLED, updated_at=40), 2000, None),
    ("submission unknown", job(RUNNING, submitted_at=None, started_at=3), 2000, None),
    ("started before it was submitted", job(RUNNING, started_at=-2), 2000, (True, -2)),
]


@pytest.mark.parametrize(("record", "minute", "expected"), [row[1:] for row in WAIT_ROWS], ids=[row[0] for row in WAIT_ROWS])
def test_queue_wait(record: Job, minute: float, expected: tuple[bool, float] | None) -> None:
    """A stalled queue starts no job at all: its waiting jobs must be bad without ever starting."""
    assert verdict(Indicators().job(record, at(minute)), "queue_wait") == expected


NEXT = [
    ("queued: first the wait", job(QUEUED), 0, at(5) + TICK),
    ("queued, wait is over: then the latency", job(QUEUED), 6, at(60) + TICK),
    ("queued, all is over", job(QUEUED), 61, None),
    ("running: the latency", job(RUNNING, started_at=1), 2, at(60) + TICK),
    ("unknown: like queued", job(UNKNOWN), 1, at(5) + TICK),
    ("ended", job(COMPLETED, started_at=1, ended_at=2), 3, None),
    ("cancelled", job(CANCELLED), 3, None),
    ("no times at all", job(QUEUED, submitted_at=None), 3, None),
]


@pytest.mark.parametrize(("record", "minute", "expected"), [row[1:] for row in NEXT], ids=[row[0] for row in NEXT])
def test_judgement_says_when_time_alone_will_change_it(record: Job, minute: float, expected: datetime | None) -> None:
    """Without this moment an overdue job would be found only by judging every job at every tick."""
    assert Indicators().job(record, at(minute)).next_at == expected


def test_at_the_announced_moment_the_verdict_has_changed() -> None:
    """A judge that announces a moment and then finds nothing new would be asked again for ever."""
    judge, waiting = Indicators(), job(QUEUED)
    before = judge.job(waiting, at(0))
    assert before.next_at is not None
    after = judge.job(waiting, before.next_at)
    assert verdict(after, "queue_wait") == (False, 5)
    assert after.next_at is not None
    assert after.next_at > before.next_at


def reading(calibrated: datetime | None, *, backend: str = "ibm_fez") -> Freshness:
    return Freshness(provider="ibm", source="lab", account="a", backend=backend, slice_at=LATER, calibrated_at=calibrated)


FRESHNESS = [
    ("fresh", LATER - timedelta(hours=3), True, 0),
    ("exactly on the limit", LATER - FRESH, True, 0),
    ("just over the limit", LATER - FRESH - TICK, False, 0),
    ("a week old", LATER - timedelta(days=7), False, 0),
    ("a little ahead", LATER + timedelta(minutes=4), True, 0),
    ("far ahead: skewed clock", LATER + timedelta(hours=4), True, 1),
    ("none published", None, None, 0),
]


@pytest.mark.parametrize(("calibrated", "good", "clamped"), [row[1:] for row in FRESHNESS], ids=[row[0] for row in FRESHNESS])
def test_calibration_freshness(calibrated: datetime | None, good: bool | None, clamped: int) -> None:
    """A backend that nobody calibrated since yesterday is stale, one that publishes nothing is not called fresh."""
    judged = Indicators().freshness(reading(calibrated))
    assert [(event.at, event.good) for event in judged.events] == ([] if good is None else [(LATER, good)])
    assert judged.clamped == clamped
    assert judged.next_at is None
    assert judged.counts == ()


def test_freshness_labels_are_those_of_the_backend_only() -> None:
    """A device has no team, priority or workload: they must be empty, not invented."""
    assert Indicators().freshness(reading(LATER)).events[0].series == (
        "calibration_freshness",
        "ibm",
        "lab",
        "ibm_fez",
        "",
        "",
        "",
    )


def test_every_event_carries_the_jobs_labels() -> None:
    """An objective chooses by these labels; exploratory jobs are counted under their own."""
    told = job(COMPLETED, started_at=1, ended_at=2, priority="high", workload="exploratory", team="chemistry")
    series = {event.series.sli: event.series[1:] for event in Indicators().job(told, LATER).events}
    assert series == dict.fromkeys(
        ("job_success", "job_latency", "queue_wait"), ("ibm", "lab", "ibm_fez", "high", "exploratory", "chemistry")
    )


def test_labels_that_nobody_told_are_empty() -> None:
    """None must not become the word None in a label."""
    told = job(COMPLETED, ended_at=2, backend=None)
    assert Indicators().job(told, LATER).events[0].series == ("job_success", "ibm", "lab", "", "", "", "")


def test_limits_by_priority_and_backend() -> None:
    """Five minutes are for priority jobs; a slow ion trap has its own idea of late."""
    judge = Indicators(
        Thresholds(
            queue_wait=Limit(
                default=timedelta(minutes=20),
                by_priority={"high": timedelta(minutes=2)},
                by_backend={"forte-1": timedelta(hours=2)},
            ),
            job_latency=Limit(default=LATENCY, by_backend={"forte-1": timedelta(hours=9)}),
            calibration_freshness=Limit(default=FRESH, by_backend={"forte-1": timedelta(days=7)}),
        )
    )
    for backend, priority, minute, good in [
        ("ibm_fez", None, 19, True),
        ("ibm_fez", "high", 19, False),
        ("forte-1", None, 100, True),
        ("forte-1", "standard", 121, False),
        ("forte-1", "high", 3, False),
    ]:
        judged = judge.job(job(RUNNING, backend=backend, priority=priority, started_at=minute), at(minute))
        found = verdict(judged, "queue_wait")
        assert found is not None
        assert found[0] is good, (backend, priority, minute)
    assert verdict(judge.job(job(COMPLETED, backend="forte-1", ended_at=500), LATER), "job_latency") == (True, 500)
    assert judge.freshness(reading(LATER - timedelta(days=5), backend="forte-1")).events[0].good
    assert not judge.freshness(reading(LATER - timedelta(days=5))).events[0].good


def test_a_time_far_ahead_is_counted_now_and_moves_home_when_its_time_comes() -> None:
    """A provider whose clock is an hour ahead must not put its events where no window looks for them."""
    judge, ahead = Indicators(), job(COMPLETED, started_at=1, ended_at=90)
    early = judge.job(ahead, at(30))
    assert verdict(early, "job_success") == (True, 30)
    assert verdict(early, "job_latency") == (False, 30)
    assert verdict(early, "queue_wait") == (True, 1)
    assert early.clamped == 2
    assert early.next_at == at(55)
    between = judge.job(ahead, at(55))
    assert verdict(between, "job_latency") == (False, 60)
    assert verdict(between, "job_success") == (True, 55)
    assert (between.clamped, between.next_at) == (1, at(85))
    home = judge.job(ahead, at(85))
    assert verdict(home, "job_success") == (True, 90)
    assert (home.clamped, home.next_at) == (0, None)


def test_a_time_a_little_ahead_is_believed() -> None:
    """Clocks differ by seconds: that is no reason to touch a time."""
    judged = Indicators().job(job(COMPLETED, ended_at=4), at(0))
    assert verdict(judged, "job_success") == (True, 4)
    assert (judged.clamped, judged.next_at) == (0, None)


@pytest.mark.parametrize(
    ("record", "clamped"),
    [
        (job(RUNNING, started_at=-1), 1),
        (job(COMPLETED, started_at=1, ended_at=-1), 2),
        (job(COMPLETED, ended_at=-1), 1),
        (job(COMPLETED, started_at=2, ended_at=1), 1),
        (job(COMPLETED, queued_at=5, started_at=4, ended_at=6), 1),
        (job(COMPLETED, started_at=0, ended_at=0), 0),
        (job(QUEUED), 0),
        (job(COMPLETED, submitted_at=None, started_at=1, ended_at=2), 0),
    ],
)
def test_negative_durations_are_counted_as_clamped(record: Job, clamped: int) -> None:
    """A skewed provider clock is shown, not hidden."""
    assert Indicators().job(record, LATER).clamped == clamped


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("submitted", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_are_no_crash(state: JobState, submitted: datetime) -> None:
    """A provider's sentinel date (year 1, year 9999) must not stop the page that carries it."""
    judged = Indicators().job(job(state, submitted_at=submitted), LATER)
    assert all(event.at <= LATER + timedelta(minutes=5) for event in judged.events)


def test_fingerprint_changes_with_every_threshold() -> None:
    """A store that does not notice a changed limit would mix verdicts of two rules."""
    hour = timedelta(hours=2)
    variants = [
        Thresholds(),
        Thresholds(queue_wait=Limit(default=hour)),
        Thresholds(queue_wait=Limit(default=WAIT, by_priority={"high": hour})),
        Thresholds(queue_wait=Limit(default=WAIT, by_backend={"high": hour})),
        Thresholds(job_latency=Limit(default=hour)),
        Thresholds(calibration_freshness=Limit(default=hour)),
        Thresholds(future_tolerance=hour),
    ]
    assert len({Indicators(variant).fingerprint for variant in variants}) == len(variants)


def test_fingerprint_does_not_depend_on_the_order_of_a_table() -> None:
    """Sorting a YAML file must not make the store count ninety days again."""
    one, two = timedelta(hours=1), timedelta(hours=2)
    left = Thresholds(queue_wait=Limit(default=WAIT, by_priority={"high": one, "low": two}))
    right = Thresholds(queue_wait=Limit(default=WAIT, by_priority={"low": two, "high": one}))
    assert Indicators(left).fingerprint == Indicators(right).fingerprint


@pytest.mark.parametrize(
    "table",
    [
        {"default": timedelta()},
        {"default": -WAIT},
        {"default": WAIT, "by_priority": {"high": timedelta()}},
        {"default": WAIT, "by_backend": {"ibm_fez": -WAIT}},
    ],
)
def test_a_limit_that_nothing_can_meet_is_refused(table: dict[str, timedelta]) -> None:
    """A limit of zero would page for every job."""
    with pytest.raises(ValueError, match="longer than zero"):
        Limit(**table)  # type: ignore[arg-type]


def test_a_negative_tolerance_is_refused() -> None:
    """A negative tolerance would move present events."""
    with pytest.raises(ValueError, match="future_tolerance"):
        Thresholds(future_tolerance=-TICK)


def test_indicators_are_the_judge_that_the_store_asks_for() -> None:
    """The store counts by this contract alone."""
    judge: Judge = Indicators()
    assert judge.fingerprint == Indicators().fingerprint


def test_the_table_names_every_indicator_and_says_what_it_counts() -> None:
    """The README's table is made of these rows."""
    assert [sli.name for sli in SLIS] == [
        "job_success",
        "job_latency",
        "queue_wait",
        "calibration_freshness",
        "result_consistency",
    ]
    assert all(sli.good and sli.bad and sli.not_counted for sli in SLIS)
