"""Whatever IBM may send, normalizing stays total: properties over arbitrary words, units, times and broken records."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import BadPayload, ConfigError
from qobs.lab.ibm import INSTANCE
from qobs.model import Ask, Batch, Job, JobState, Raw, Stream, Unmapped
from qobs.secret import Secret
from qobs.sources.base import Settings, Source
from qobs.sources.quantum.ibm import SOURCE_TYPE, api_url

FETCHED = datetime(2026, 9, 12, 12, tzinfo=UTC)
KNOWN = {
    "queued": JobState.QUEUED,
    "running": JobState.RUNNING,
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "canceled": JobState.CANCELLED,
    "cancelled - ran too long": JobState.FAILED,
}
FEW = settings(derandomize=True, max_examples=60, deadline=None)

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
"""Text without what no record may hold (NUL, half characters): that is the decoder's to refuse."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds are the API
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def _build(**options: object) -> Source:
    return SOURCE_TYPE.build(
        Settings(
            name="lab",
            type="ibm",
            credentials={"api_key": lambda: Secret("k")},
            options={"instance": INSTANCE, **options},
        )
    )


SOURCE = _build()


def _normal(kind: str, body: object, **companions: object) -> Batch:
    return SOURCE.normalize(
        Raw(
            stream=Stream.JOBS,
            kind=kind,
            body=json.dumps(body).encode(),
            fetched_at=FETCHED,
            about={"id": "d1", "backend": "ibm_x"},
            companions={name: json.dumps(value).encode() for name, value in companions.items()},
        )
    )


def _job(fields: dict[str, Any], metrics: dict[str, Any] | None = None) -> Job:
    (job,) = _normal("job", {"id": "d1", **fields}, **({} if metrics is None else {"metrics": metrics})).jobs
    return job


@FEW
@given(words)
def test_any_state_word_has_a_state(word: str) -> None:
    """A new word of IBM's is unknown and counted; it neither crashes nor passes for a state."""
    batch = _normal("jobs", {"jobs": [{"id": "d1", "status": word}]})
    state = KNOWN.get(word.strip().lower(), JobState.UNKNOWN)
    assert [job.state for job in batch.jobs] == [state]
    assert (Unmapped("state", word) in batch.unmapped) == (state is JobState.UNKNOWN)


@pytest.mark.parametrize("word", KNOWN)
@pytest.mark.parametrize("change", [str.upper, str.capitalize, str.title, lambda word: f" {word} "])
def test_state_words_are_read_in_any_case(word: str, change: Any) -> None:
    """IBM's own client does not care about case, and old versions wrote another one."""
    assert _job({"state": {"status": change(word)}}).state is KNOWN[word]


@pytest.mark.parametrize("code", [1305, "1305"])
@pytest.mark.parametrize("name", ["reason_code", "reasonCode"])
@pytest.mark.parametrize("nested", [True, False])
def test_cancelled_for_running_too_long_is_a_failure(code: object, name: str, nested: bool) -> None:
    """Counted as a cancellation, a job that hit its limit would leave the success ratio untouched."""
    fields = {"status": "Cancelled", **({"state": {"status": "Cancelled", name: code}} if nested else {name: code})}
    job = _job(fields)
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.code == "1305"


@FEW
@given(times, zones)
def test_a_time_is_the_same_instant_in_any_zone(at: datetime, zone: timezone) -> None:
    """The client's snapshots carry local offsets; read as UTC they would be hours off."""
    job = _job({"status": "Queued", "created": at.astimezone(zone).isoformat()})
    assert job.submitted_at == at
    assert job.submitted_at.tzinfo is UTC


@FEW
@given(
    st.sampled_from(sorted(KNOWN)), *[st.none() | times] * 3, st.floats(-1e6, 1e6), st.sampled_from(["pending", "complete", None])
)
def test_settled_means_that_everything_is_told(
    word: str, created: datetime | None, running: datetime | None, finished: datetime | None, used: float, usage: str | None
) -> None:
    """An unsettled job is asked for again, a settled one never: its end and its seconds must be there, and not negative."""
    stamps = {"created": created, "running": running, "finished": finished}
    metrics = {
        "timestamps": {name: at.isoformat() if at else None for name, at in stamps.items()},
        "usage": {"qpu_charge_time_seconds": used, "status": usage},
    }
    job = _job({"status": word}, metrics)
    assert job.settled == (job.state.terminal and finished is not None and usage != "pending")
    assert job.quantum_seconds == (used if job.state.terminal and usage != "pending" and used >= 0 else None)
    assert job.ended_at == (finished if job.state.terminal else None)
    assert job.started_at == (None if job.state is JobState.QUEUED else running)


@FEW
@given(
    st.dictionaries(
        st.sampled_from(["id", "status", "state", "created", "tags", "usage", "cost", "program", "backend"]), json_values
    )
)
def test_a_broken_record_is_set_aside_and_its_page_is_kept(fields: dict[str, Any]) -> None:
    """One bad record must cost one record."""
    batch = _normal("jobs", {"jobs": [{"id": "good1", "status": "Queued"}, fields, {"id": "good2", "status": "Failed"}]})
    assert len(batch.jobs) + len(batch.quarantined) == 3
    assert {"good1", "good2"} <= {job.id for job in batch.jobs}


@FEW
@given(
    st.lists(
        st.lists(st.dictionaries(st.sampled_from(["name", "value", "unit", "date"]), json_values, max_size=4), max_size=3),
        max_size=3,
    ),
    st.lists(st.dictionaries(st.sampled_from(["gate", "qubits", "parameters"]), json_values, max_size=3), max_size=3),
)
def test_broken_parameters_cost_only_themselves(qubits: list[Any], gates: list[Any]) -> None:
    """A calibration with one odd figure is still a calibration of all the others."""
    body = {"last_update_date": "2026-04-15T07:15:15Z", "qubits": qubits, "gates": gates}
    (calibration,) = _normal("properties", body).calibrations
    assert len(calibration.qubits) == len(qubits)
    assert len(calibration.gates) <= len(gates)


@FEW
@given(st.floats(0.001, 999), st.sampled_from(["f", "p", "n", "u", "µ", "μ", "m", ""]))
def test_a_length_is_the_same_in_any_unit(value: float, prefix: str) -> None:
    """IBM has written microseconds in two ways already."""
    powers = {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "": 0}
    parameter = {"name": "T1", "value": value, "unit": f"{prefix}s", "date": "2026-04-15T07:15:15Z"}
    body = {"last_update_date": "2026-04-15T07:15:15Z", "qubits": [[parameter]], "gates": []}
    t1 = _normal("properties", body).calibrations[0].qubits[0].t1_seconds
    assert t1 is not None
    assert t1.value == pytest.approx(value * 10.0 ** powers[prefix], rel=1e-12)


@FEW
@given(json_values)
def test_answers_of_any_form_are_read_or_refused(body: object) -> None:
    """Only ``BadPayload`` may come out: anything else stops the poller as a bug."""
    for kind in ("jobs", "job", "backends", "properties", "usage"):
        with suppress(BadPayload):
            assert isinstance(_normal(kind, body), Batch)


@FEW
@given(st.lists(json_values, max_size=4))
def test_backends_of_any_form_are_records_or_set_aside(devices: list[Any]) -> None:
    """One odd entry in the list must not hide the state of the others."""
    batch = _normal("backends", {"devices": [*devices, {"name": "ibm_good", "status": {"name": "online"}}]})
    assert "ibm_good" in {status.backend for status in batch.backends}


def test_a_time_before_the_calendar_costs_only_its_record() -> None:
    """One absurd time crashed the poll of all jobs, and of all calibrations."""
    absurd = "0001-01-01T00:00:00+14:00"
    jobs = _normal("jobs", {"jobs": [{"id": "a", "created": absurd}, {"id": "b", "state": "Queued"}]})
    assert [job.id for job in jobs.jobs] == ["b"]
    assert [bad.record_id for bad in jobs.quarantined] == ["a"]
    snapshot = _normal("properties", {"last_update_date": absurd, "qubits": [], "gates": []})
    assert (len(snapshot.calibrations), len(snapshot.quarantined)) == (0, 1)


def test_who_submitted_and_what_is_kept_nowhere() -> None:
    """Names and circuits of users are not a monitor's to keep, not even of a record that is set aside."""
    fields = {"status": "Failed", "user_id": "IBMid-55000", "params": {"pubs": ["OPENQASM 3.0;"]}}
    good = _normal("jobs", {"jobs": [{"id": "d1", **fields}, {"id": 5, **fields}]})
    one = _normal("job", {"id": 5, **fields})
    assert (len(good.jobs), len(good.quarantined), len(one.quarantined)) == (1, 1, 1)
    assert b"IBMid" not in repr((good, one)).encode()
    assert b"OPENQASM" not in repr((good, one)).encode()


def test_account_is_that_of_the_crn() -> None:
    """Two instances of one account are two accounts of qobs: their job ids must not meet."""
    assert SOURCE.account == "a/0123456789abcdef0123456789abcdef:4ab5c6d7-lab0-4ab0-8ab0-00000000c0de"
    assert (SOURCE.provider, SOURCE.streams) == ("ibm", frozenset(Stream))


@pytest.mark.parametrize(
    "instance", ["", "my-instance", "crn:v1:bluemix:public:quantum-computing:us-east", "crn:v1:b:p:q::a/1:2::"]
)
def test_instance_that_is_no_crn_is_told_with_its_key(instance: str) -> None:
    """A name instead of a CRN would only show as 403 on every poll."""
    with pytest.raises(ConfigError, match=r"sources\.lab\.instance: .* expected crn:v1"):
        _build(instance=instance)


@pytest.mark.parametrize("size", [-1, 201])
def test_page_size_out_of_range_is_told_with_its_key(size: int) -> None:
    """The service answers 400 to it, which says nothing about the file to mend."""
    with pytest.raises(ConfigError, match=r"sources\.lab\.page_size"):
        _build(page_size=size)


@pytest.mark.parametrize(("region", "host"), [("us-east", "quantum.cloud.ibm.com"), ("eu-de", "eu-de.quantum.cloud.ibm.com")])
def test_region_of_the_crn_gives_the_host(region: str, host: str) -> None:
    """An instance in Europe is not served by the American host."""
    assert api_url(region) == f"https://{host}/api/v1"


def test_an_answer_of_an_unknown_kind_is_a_bug_and_loud() -> None:
    """It can only come from the code itself, never from IBM."""
    with pytest.raises(ValueError, match="kind"):
        _normal("results", {})


def test_every_stream_can_be_asked_for() -> None:
    """The engine schedules all streams that a source names."""
    for stream in SOURCE.streams:
        assert SOURCE.fetch(None, Ask(stream=stream, now=FETCHED)) is not None  # type: ignore[arg-type]
