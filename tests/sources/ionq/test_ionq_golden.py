"""Payload beside expected records. ``QOBS_REFRESH_GOLDEN=1`` writes what is read now: review the difference."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qobs.model import BackendState, Batch, FailureClass, Job, JobState, Raw
from qobs.sources.quantum.ionq import IonQ

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ionq"
CASES = sorted(path.parent.name for path in FIXTURES.glob("*/case.json"))

Read = Callable[[str], tuple[IonQ, Raw]]


def _normalized(read_case: Read, name: str) -> Batch:
    source, raw = read_case(name)
    return source.normalize(raw)


def _by_number(batch: Batch) -> dict[int, Job]:
    return {int(job.id[-4:]): job for job in batch.jobs}


@pytest.mark.parametrize("name", CASES)
def test_payload_gives_the_expected_records(read_case: Read, name: str) -> None:
    """Whatever changes in what a recorded answer means must be seen by a reviewer, field by field."""
    found = msgspec.json.format(msgspec.json.encode(_normalized(read_case, name), order="sorted"), indent=1) + b"\n"
    golden = FIXTURES / name / "expected.json"
    if os.environ.get("QOBS_REFRESH_GOLDEN"):
        golden.write_bytes(found)
    assert found == golden.read_bytes()
    assert msgspec.json.decode(found, type=Batch) == _normalized(read_case, name)


def test_there_are_golden_pairs_for_every_kind_and_version() -> None:
    """An empty folder would make the test above true of nothing."""
    assert len(CASES) >= 13


def test_every_v04_word_has_its_state_and_an_unknown_one_is_unknown(read_case: Read) -> None:
    """States drive every indicator: a slip here is a slip everywhere."""
    batch = _normalized(read_case, "v04-september-jobs")
    states = {number: job.state for number, job in _by_number(batch).items()}
    queued, completed = JobState.QUEUED, JobState.COMPLETED
    expected = {1: queued, 2: queued, 3: JobState.RUNNING, 4: completed, 5: JobState.FAILED, 6: JobState.CANCELLED}
    assert {number: states[number] for number in expected} == expected
    assert states[7] is JobState.UNKNOWN
    assert ("state", "paused_for_review") in batch.unmapped


def test_the_circuits_of_a_multi_circuit_job_are_not_counted_again(read_case: Read) -> None:
    """A parent and its two children are one job: counting three would triple success, failure and cost."""
    jobs = _by_number(_normalized(read_case, "v04-september-jobs"))
    assert 10 not in jobs
    assert jobs[9].circuits == 2


def test_times_qubits_and_billed_seconds_are_those_of_the_processor(read_case: Read) -> None:
    """Queue wait and cost per second are computed from these."""
    job = _by_number(_normalized(read_case, "v04-september-jobs"))[4]
    assert job.submitted_at == datetime(2026, 9, 11, 20, 47, 5, 440_000, tzinfo=UTC)
    assert job.started_at == datetime(2026, 9, 11, 20, 47, 10, tzinfo=UTC)
    assert job.ended_at == datetime(2026, 9, 11, 20, 47, 15, tzinfo=UTC)
    assert (job.qubits, job.two_qubit_gates, job.shots, job.seed) == (2, 1, 1000, 42)
    assert job.quantum_seconds == pytest.approx(0.0052)
    assert (job.sdk, job.sdk_version, job.batch) == ("qiskit-ionq", "1.1.1", "5e551011-0000-4000-8000-000000000001")


def test_a_simulator_has_no_times_and_nothing_billed(read_case: Read) -> None:
    """Null times must stay unknown: zero seconds of queue would be the best wait ever measured."""
    job = _by_number(_normalized(read_case, "v04-september-jobs"))[8]
    assert (job.state, job.started_at, job.ended_at, job.quantum_seconds) == (JobState.COMPLETED, None, None, None)
    assert job.settled is True
    assert (job.sdk, job.sdk_version) == ("cirq", None)


def test_money_keeps_its_unit_and_two_units_never_meet(read_case: Read) -> None:
    """Dollars added to credits are a number that means nothing."""
    jobs = _by_number(_normalized(read_case, "v04-september-jobs"))
    assert (jobs[4].cost_charged, jobs[4].cost_estimated, jobs[4].currency) == (Decimal("24.1"), Decimal("24.83"), "USD")
    assert (jobs[9].cost_charged, jobs[9].cost_estimated, jobs[9].currency) == (Decimal("120"), None, "credit")
    assert (jobs[13].cost_charged, jobs[13].cost_estimated, jobs[13].currency) == (Decimal("7.25"), Decimal("7.5"), "credit")


def test_a_job_is_settled_only_when_nothing_more_will_be_told(read_case: Read) -> None:
    """Settled too early loses a late invoice; never settled asks for a job for ever."""
    settled = {number: job.settled for number, job in _by_number(_normalized(read_case, "v04-september-jobs")).items()}
    still_open = {number for number, value in settled.items() if not value}
    assert still_open == {1, 2, 3, 7, 12, 17}


def test_a_cost_that_cannot_be_read_is_set_aside_and_its_job_counts(read_case: Read) -> None:
    """Success and wait of a job do not depend on its invoice."""
    batch = _normalized(read_case, "v04-september-jobs")
    assert _by_number(batch)[17].state is JobState.COMPLETED
    assert [(record.record_id, record.reason[:5]) for record in batch.quarantined] == [
        ("e1a09d90-b2ba-4ea5-9fd7-4bfc14ea0017", "cost:")
    ]


def test_a_deleted_job_is_missing(read_case: Read) -> None:
    """The word of the delete answer says what the 404 after it says."""
    batch = _normalized(read_case, "v04-september-jobs")
    assert batch.missing == ("e1a09d90-b2ba-4ea5-9fd7-4bfc14ea0016",)
    assert 16 not in _by_number(batch)


@pytest.mark.parametrize(
    ("case", "number", "kind", "message"),
    [
        ("v04-september-jobs", 5, FailureClass.HARDWARE, "Ion chain lost in job 88213"),
        ("v04-may-jobs", 2, FailureClass.USER, "2000000 shots exceed the limit"),
        ("v03-jobs", 5, FailureClass.SDK, "the compiler gave up"),
        ("v04-september-jobs", 15, FailureClass.UNKNOWN, None),
    ],
)
def test_a_failure_says_whose_it_is(read_case: Read, case: str, number: int, kind: FailureClass, message: str | None) -> None:
    """The text moved from ``error`` to ``message`` between the versions: reading one of them only loses the reason."""
    failure = _by_number(_normalized(read_case, case))[number].failure
    assert failure is not None
    assert (failure.kind, failure.message) == (kind, message)


def test_secrets_in_metadata_do_not_reach_a_record(read_case: Read) -> None:
    """Users put keys where they should not; what is stored must not repeat it."""
    batch = _normalized(read_case, "v04-september-jobs")
    assert b"hunter2" not in msgspec.json.encode(batch)
    assert _by_number(batch)[4].tags == ("team:chemistry", "experiment:vqe-h2", "api_key:***")


def test_v03_reads_epoch_seconds_and_milliseconds_of_execution(read_case: Read) -> None:
    """Milliseconds taken for seconds would make a 13 second job last over three hours."""
    jobs = _by_number(_normalized(read_case, "v03-jobs"))
    assert jobs[4].submitted_at == datetime(2025, 3, 2, 16, 27, tzinfo=UTC)
    assert jobs[4].ended_at == datetime(2025, 3, 2, 16, 27, 14, tzinfo=UTC)
    assert (jobs[4].quantum_seconds, jobs[4].cost_charged, jobs[4].currency) == (13.0, Decimal("12.41"), "USD")
    assert jobs[6].cost_charged is None
    assert jobs[9].submitted_at == jobs[4].submitted_at
    assert jobs[3].state is JobState.RUNNING


def test_each_record_of_wrong_types_is_set_aside_alone(read_case: Read) -> None:
    """Nineteen broken rows must not cost the three good ones between them."""
    batch = _normalized(read_case, "v04-wrong-types")
    assert sorted(_by_number(batch)) == [1, 13, 17]
    assert len(batch.quarantined) == 19
    assert all(record.reason and "1000" not in record.reason for record in batch.quarantined)
    assert sorted(_by_number(_normalized(read_case, "v04-not-a-number"))) == [1, 3]


def test_members_that_nobody_knows_are_counted_and_kept(read_case: Read) -> None:
    """The API changes in place: what is new must be seen, and must not be lost before it is understood."""
    batch = _normalized(read_case, "v04-may-jobs")
    assert set(batch.unmapped) == {("job", "a_new_member"), ("job", "stats.new_counter")}
    assert '"a_new_member":{"x":1}' in (_by_number(batch)[5].extra or "")


def test_a_completed_job_may_be_cancelled_later(read_case: Read) -> None:
    """IonQ corrects a finished job: the correction must come through, with its own state."""
    before, after = (_normalized(read_case, name).jobs[0] for name in ("job", "job-corrected"))
    assert before.id == after.id
    assert (before.state, after.state) == (JobState.COMPLETED, JobState.CANCELLED)
    assert after.settled is True


def test_backends_have_their_state_wait_and_technology(read_case: Read) -> None:
    """A degraded backend still takes jobs: calling it down would send users away from a working machine."""
    batch = _normalized(read_case, "v04-backends")
    found: dict[str, Any] = {status.backend: status for status in batch.backends}
    online, offline = BackendState.ONLINE, BackendState.OFFLINE
    assert [(name, status.state) for name, status in found.items()] == [
        ("qpu.forte-1", online),
        ("qpu.forte-enterprise-1", online),
        ("qpu.forte-enterprise-2", offline),
        ("qpu.harmony", BackendState.RETIRED),
        ("simulator", online),
        ("qpu.tempo-1", BackendState.UNKNOWN),
    ]
    assert found["qpu.forte-1"].queue_wait_seconds == pytest.approx(1181.215)
    assert found["qpu.forte-enterprise-1"].raw_state == "available (degraded)"
    assert [status.technology for status in found.values()].count("simulator") == 1
    assert set(batch.unmapped) == {("backend_state", "warming_up"), ("backend", "brand_new")}
    assert [record.record_id for record in batch.quarantined] == ["qpu.broken", None]


def test_v03_backends_say_more_words_and_seconds_if_configured(read_case: Read) -> None:
    """The unit of the queue time is the operator's to correct."""
    found = {status.backend: status for status in _normalized(read_case, "v03-backends").backends}
    assert [status.state.value for status in found.values()] == ["online", "maintenance", "reserved", "offline"]
    assert found["qpu.aria-1"].queue_wait_seconds == 90.0
    assert found["qpu.aria-1"].calibration_id == "aa54e783-0a9b-4f73-ad2f-63983b6aa4a8"
    assert found["qpu.aria-4"].queue_wait_seconds is None


def test_fidelities_become_errors_without_invented_digits(read_case: Read) -> None:
    """1 - 0.9998 is 0.00019999999999997797 in binary: a chart of that is noise, and equality is gone."""
    newest, older, *_ = _normalized(read_case, "v04-characterizations").calibrations
    assert newest.published is not None
    assert (newest.published.readout_error, newest.published.gate_error_1q, newest.published.gate_error_2q) == (
        0.0038,
        0.0002,
        0.0054,
    )
    assert (newest.published.t1_seconds, newest.published.gate_2q_seconds) == (100.0, 0.00097)
    assert newest.couplings == ((0, 1), (0, 2), (1, 2))
    assert older.published is not None
    assert (older.published.readout_error, older.published.gate_error_1q, older.published.t1_seconds) == (0.01, None, None)
    assert older.calibrated_at == datetime(2026, 6, 15, tzinfo=UTC)


def test_characterizations_that_cannot_be_are_set_aside(read_case: Read) -> None:
    """A fidelity of 1.2 or a negative time would become an error rate below zero."""
    batch = _normalized(read_case, "v04-characterizations")
    assert [record.record_id for record in batch.quarantined] == ["c", "d", "e", "f"]
    assert [calibration.calibration_id for calibration in batch.calibrations][2:] == ["g"]
    assert batch.unmapped == (("characterization", "tomography"),)


def test_no_characterization_is_no_calibration(read_case: Read) -> None:
    """Null means "none published": neither an error nor a perfect device."""
    assert _normalized(read_case, "v04-characterizations-null") == Batch()
