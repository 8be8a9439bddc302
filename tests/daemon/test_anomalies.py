"""Detectors fed from a real store: what they learn, what a look adds, and that a restart says the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qobs.daemon.anomalies import Anomalies
from qobs.exclusion import Exclusion
from qobs.export.anomalies import STATES, AnomalyReading
from qobs.insight.anomaly import State
from qobs.model import Batch, Calibration, DeviceCalibration, Job, JobState, Page, Shard, Stream
from qobs.slo.indicators import Indicators
from qobs.store.base import Store
from qobs.store.sqlite import SqliteStore

NOW = datetime(2026, 11, 18, 12, 30, tzinfo=UTC)
WIGGLE = (1.0, 1.02, 0.97, 1.01, 0.99, 1.03, 0.98, 1.0, 1.02, 0.99, 1.01, 0.98)
JOBS = Shard("lab", "acme", "a1", Stream.JOBS)
CALIBRATIONS = Shard("lab", "acme", "a1", Stream.CALIBRATIONS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store that judges as the daemon's does."""
    opened = SqliteStore(tmp_path / "qobs.db", Indicators())
    yield opened
    opened.close()


def calibrate(store: Store, day: int, error: float) -> None:
    at = NOW - timedelta(days=20 - day)
    told = Calibration(
        provider="acme",
        source="lab",
        account="a1",
        backend="qpu",
        calibrated_at=at,
        published=DeviceCalibration(gate_error_2q=error, t1_seconds=1e-4),
    )
    store.commit(Page(shard=CALIBRATIONS, batch=Batch(calibrations=(told,)), observed_at=at))


def job(number: str, *, queued: datetime, wait: timedelta | None, cancelled: bool = False) -> Job:
    started = None if wait is None else queued + wait
    state = JobState.CANCELLED if cancelled else JobState.QUEUED if started is None else JobState.COMPLETED
    ended = queued + timedelta(minutes=1) if cancelled else None if started is None else started + timedelta(seconds=2)
    return Job(
        provider="acme",
        source="lab",
        account="a1",
        id=number,
        backend="qpu",
        state=state,
        submitted_at=queued,
        started_at=started,
        ended_at=ended,
        settled=started is not None or cancelled,
    )


def commit(store: Store, *jobs: Job, at: datetime = NOW) -> None:
    store.commit(Page(shard=JOBS, batch=Batch(jobs=jobs), observed_at=at))


def four_weeks(store: Store) -> None:
    """Waits of two minutes, one job in every hour."""
    minute = timedelta(minutes=1)
    hours = range(25, 28 * 24)
    commit(store, *(job(f"old-{ago}", queued=NOW - timedelta(hours=ago) - 2 * minute, wait=2 * minute) for ago in hours))


def one(readings: tuple[AnomalyReading, ...], signal: str) -> AnomalyReading:
    return next(reading for reading in readings if reading.signal == signal)


def test_a_drift_that_began_before_the_start_is_known_at_once(store: Store) -> None:
    """A restart of the daemon must neither close the ticket nor learn the bad figures as normal."""
    running = Anomalies()
    running.learn(store, NOW)
    for day, factor in enumerate((*WIGGLE, 2.0, 2.0)):
        calibrate(store, day, 0.005 * factor)
        seen = running.look(store, NOW)
    restarted = Anomalies()
    restarted.learn(store, NOW)
    assert restarted.look(store, NOW) == seen
    found = one(seen, "calibration_gate_error_2q")
    assert (found.state, found.value) == ("anomalous", pytest.approx(0.01))
    assert found.score is not None
    assert found.score > 1
    assert found.where == ("acme", "lab", "qpu", "calibration_gate_error_2q")
    assert one(seen, "calibration_t1").state == "ok"


def test_a_snapshot_that_was_seen_before_adds_nothing(store: Store) -> None:
    """The latest calibration is read at every look: one bad snapshot must not become two by being looked at twice."""
    detectors = Anomalies()
    for day, factor in enumerate((*WIGGLE, 2.0)):
        calibrate(store, day, 0.005 * factor)
    detectors.learn(store, NOW)
    states = {one(detectors.look(store, NOW + timedelta(minutes=n)), "calibration_gate_error_2q").state for n in range(5)}
    assert states == {"suspect"}
    calibrate(store, 13, 0.01)
    assert one(detectors.look(store, NOW, calibrations=False), "calibration_gate_error_2q").state == "suspect"
    assert one(detectors.look(store, NOW), "calibration_gate_error_2q").state == "anomalous"


def test_exclusions_mute_and_are_taken_back(store: Store) -> None:
    """Maintenance that is announced late takes its figures out, and withdrawn it brings them back."""
    for day, factor in enumerate((*WIGGLE, 2.0, 2.0)):
        calibrate(store, day, 0.005 * factor)
    detectors = Anomalies()
    detectors.learn(store, NOW)

    def state(*exclusions: Exclusion) -> str:
        return one(detectors.look(store, NOW, exclusions), "calibration_gate_error_2q").state

    scope = {"backend": ("qpu",)}
    past = Exclusion(id="p", from_at=NOW - timedelta(days=9), to_at=NOW - timedelta(days=1), reason="", scope=scope)
    running = Exclusion(id="r", from_at=NOW - timedelta(hours=1), to_at=NOW + timedelta(hours=1), reason="", scope=scope)
    assert [state(), state(past), state(running), state()] == ["anomalous", "ok", "excluded", "anomalous"]


def test_a_slow_queue_is_found_from_jobs_that_ended_and_jobs_that_wait(store: Store) -> None:
    """The store's own jobs are the evidence: no provider tells how long others really waited."""
    four_weeks(store)
    detectors = Anomalies()
    detectors.learn(store, NOW)
    assert one(detectors.look(store, NOW), "queue_wait").state == "no_data"
    commit(store, *(job(f"new-{n}", queued=NOW - timedelta(minutes=50 - n), wait=timedelta(minutes=40)) for n in range(2)))
    commit(store, job("open", queued=NOW - timedelta(minutes=45), wait=None))
    commit(store, job("young", queued=NOW - timedelta(seconds=30), wait=None))
    commit(store, job("given up", queued=NOW - timedelta(minutes=45), wait=None, cancelled=True))
    found = [one(detectors.look(store, NOW + timedelta(minutes=n)), "queue_wait") for n in (0, 5)]
    assert [reading.state for reading in found] == ["suspect", "anomalous"]
    assert (found[0].value, found[0].baseline, found[0].limit) == (2400.0, 120.0, 180.0)
    restarted = Anomalies()
    restarted.learn(store, NOW + timedelta(minutes=5))
    assert one(restarted.look(store, NOW + timedelta(minutes=5)), "queue_wait").state == "anomalous"


def test_jobs_that_have_waited_for_days_are_not_forgotten_and_go_when_they_end(store: Store) -> None:
    """Nothing is told of a job while it waits: its silence must not look like its end, nor its end like silence."""
    four_weeks(store)
    detectors = Anomalies()
    detectors.learn(store, NOW)
    commit(store, *(job(f"stuck-{n}", queued=NOW, wait=None) for n in range(4)))
    detectors.look(store, NOW)
    days = NOW + timedelta(days=2)
    assert one(detectors.look(store, days), "queue_wait").value == timedelta(days=2) / timedelta(seconds=1)
    commit(store, *(job(f"stuck-{n}", queued=NOW, wait=None, cancelled=True) for n in range(4)), at=days)
    assert one(detectors.look(store, days + timedelta(minutes=5)), "queue_wait").state == "no_data"


def test_an_empty_store_says_nothing(store: Store) -> None:
    """No backend, no reading: a zero would be a claim."""
    detectors = Anomalies()
    detectors.learn(store, NOW)
    assert detectors.look(store, NOW) == ()


def test_the_exposition_knows_every_state_of_a_detector() -> None:
    """A state that the state set does not list would be shown as none at all."""
    assert set(STATES) == {state.value for state in State}
