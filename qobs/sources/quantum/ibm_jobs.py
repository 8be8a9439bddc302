"""IBM job records into :class:`~qobs.model.Job`: list pages, and single jobs with their metrics.

What IBM tells where: the list and ``/jobs/{id}`` carry state, reason, creation time, tags and usage; the times of running
and finishing stand only in ``/jobs/{id}/metrics``. So a job from a list is never settled, and a job asked for by id is
settled once it is terminal, has its finishing time, and its usage is no longer ``pending``.

IBM has no revision time. So that looks at one job sort rightly, ``updated_at`` is the end once that is known, and the
creation time before: then the state decides which of two looks is the later one.

``cost`` is the longest execution the submitter allowed, in seconds: not money. ``user_id`` and ``params`` are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import structs

from qobs.errors import BadPayload
from qobs.model import Batch, Job, JobState, Quarantined, Raw, Unmapped
from qobs.sources.decode import (
    BadRecord,
    convert_record,
    decode_object,
    decode_records,
    extra_json,
    quarantine,
    quarantine_aside,
    unknown_fields,
)
from qobs.sources.failure import failure
from qobs.sources.redact import redact

PROVIDER = "ibm"

NO_METRICS = "no metrics"
"""Key in ``Raw.about``, there (``"yes"``) where the provider said that it has no metrics of the job."""

_STATES: Mapping[str, JobState] = {
    "queued": JobState.QUEUED,
    "running": JobState.RUNNING,
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "canceled": JobState.CANCELLED,
    "cancelled - ran too long": JobState.FAILED,
}
"""State words in lower case: the API capitalises them, its clients do not care."""

_RAN_TOO_LONG = "1305"
"""Reason code of a job that the service stopped at its maximum execution time and calls ``Cancelled``."""

_PENDING = "pending"


class _State(msgspec.Struct, frozen=True):
    status: str | None = None
    reason: str | None = None
    reason_code: int | str | None = None
    old_reason_code: int | str | None = msgspec.field(default=None, name="reasonCode")


class _Program(msgspec.Struct, frozen=True):
    id: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    """Usage in all its versions: charge time since 2026-03-15, quantum seconds or plain seconds before."""

    qpu_charge_time_seconds: float | None = None
    quantum_seconds: float | None = None
    seconds: float | None = None
    status: str | None = None
    circuits_execution_time_ns: int | None = None


class _Billed(msgspec.Struct, frozen=True):
    seconds: float | None = None


class _Times(msgspec.Struct, frozen=True):
    created: datetime | None = None
    running: datetime | None = None
    finished: datetime | None = None


class _Metrics(msgspec.Struct, frozen=True):
    timestamps: _Times | None = None
    usage: _Usage | None = None
    bss: _Billed | None = None
    circuits_execution_time_ns: int | None = None
    qiskit_version: str | None = None


class _Record(msgspec.Struct, frozen=True):
    id: str
    backend: str | None = None
    state: _State | str | None = None
    status: str | None = None
    reason: str | None = None
    reason_code: int | str | None = None
    old_reason_code: int | str | None = msgspec.field(default=None, name="reasonCode")
    program: _Program | None = None
    created: datetime | None = None
    runtime: str | None = None
    cost: float | None = None
    tags: tuple[str, ...] | None = None
    session_id: str | None = None
    usage: _Usage | None = None
    private: bool | None = None
    estimated_running_time_seconds: float | None = None
    calibration_id: str | None = None


class _Extra(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept though the schema has no place for it."""

    circuits_execution_nanoseconds: int | None = None
    estimated_running_seconds: float | None = None
    max_execution_seconds: float | None = None
    private: bool | None = None
    program: str | None = None
    runtime: str | None = None


_NOT_ASKED = _Metrics()
"""In place of metrics for a job from a list: no times, so such a job is never settled."""

_TEXT = 512
"""Longest kept tag, program or runtime name, in characters."""

_DROPPED = frozenset({"user_id", "params"})
"""Who submitted, and what: neither is a monitor's business."""

_KNOWN = frozenset(field.encode_name for field in structs.fields(_Record)) | _DROPPED


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose jobs these are: goes into every record."""

    source: str
    account: str


class _Clean(dict[str, str]):
    """Text without credentials, remembered for one page: tags and programs repeat from job to job."""

    def __missing__(self, text: str) -> str:
        cleaned = self[text] = redact(text)[:_TEXT]
        return cleaned


def jobs_page(raw: Raw, owner: Owner) -> Batch:
    """One page of ``/jobs``. The same job told twice in the same words is one record; in different words, both are kept.

    Raises:
        BadPayload: the page as a whole is not a job list.
    """
    page = decode_records(raw.body, path=("jobs",), what="ibm /jobs")
    jobs: list[Job] = []
    known: dict[str, Job] = {}
    quarantined = [quarantine_aside(raw.stream, aside) for aside in page.bad]
    unmapped: dict[Unmapped, None] = {}
    clean = _Clean()
    for fields in page.records:
        try:
            job, words = _job(fields, owner, clean)
        except BadRecord as bad:
            quarantined.append(quarantine(raw.stream, _kept(fields), bad.reason, record_id=fields.get("id")))
            continue
        if known.get(job.id) != job:
            jobs.append(job)
            known[job.id] = job
        unmapped.update(dict.fromkeys(words))
    return Batch(jobs=tuple(jobs), quarantined=tuple(quarantined), unmapped=tuple(unmapped))


def one_job(raw: Raw, owner: Owner) -> Batch:
    """``/jobs/{id}`` with ``/jobs/{id}/metrics`` as companion. Metrics that cannot be read leave the job unsettled.

    Raises:
        BadPayload: the body is no JSON object.
    """
    fields = decode_object(raw.body, what="ibm /jobs/{id}")
    metrics, quarantined = _metrics(raw)
    try:
        job, words = _job(fields, owner, _Clean(), metrics)
    except BadRecord as bad:
        return Batch(quarantined=(quarantine(raw.stream, _kept(fields), bad.reason, record_id=raw.about.get("id")), *quarantined))
    if raw.about.get(NO_METRICS) == "yes":
        job = structs.replace(job, settled=job.state.terminal)
    return Batch(jobs=(job,), quarantined=quarantined, unmapped=words)


def _kept(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in _DROPPED}


def _metrics(raw: Raw) -> tuple[_Metrics, tuple[Quarantined, ...]]:
    body = raw.companions.get("metrics")
    if body is None:
        return _NOT_ASKED, ()
    try:
        return convert_record(decode_object(body, what="ibm /jobs/{id}/metrics"), _Metrics), ()
    except (BadPayload, BadRecord) as bad:
        return _NOT_ASKED, (quarantine(raw.stream, body, f"metrics: {bad}", record_id=raw.about.get("id")),)


def _job(fields: dict[str, Any], owner: Owner, clean: _Clean, metrics: _Metrics = _NOT_ASKED) -> tuple[Job, tuple[Unmapped, ...]]:
    record = convert_record(fields, _Record)
    if not record.id:
        raise BadRecord("expected a non-empty string - at $.id")
    unknown = unknown_fields(fields, _KNOWN)
    word, code, message = _told(record)
    state = _state(word, code)
    times = _visible(metrics.timestamps or _Times(), state)
    submitted_at, ended_at = _utc(record.created or times.created), _utc(times.finished)
    final = state.terminal and _usage_final(record.usage, metrics)
    job = Job(
        provider=PROVIDER,
        source=owner.source,
        account=owner.account,
        id=record.id,
        state=state,
        raw_state=clean[word][:64],
        backend=record.backend,
        submitted_at=submitted_at,
        started_at=_utc(times.running),
        ended_at=ended_at,
        updated_at=ended_at or submitted_at,
        settled=final and ended_at is not None,
        failure=failure(PROVIDER, code, message) if state is JobState.FAILED else None,
        quantum_seconds=_quantum_seconds(record.usage, metrics) if final else None,
        sdk="qiskit" if metrics.qiskit_version else None,
        sdk_version=metrics.qiskit_version,
        batch=record.session_id,
        calibration_id=record.calibration_id,
        tags=tuple([clean[tag] for tag in record.tags]) if record.tags else (),
        extra=_extra(record, metrics, clean, {name: fields[name] for name in unknown if name in fields}),
    )
    return job, _unmapped(state, word, unknown)


def _unmapped(state: JobState, word: str, unknown: tuple[str, ...]) -> tuple[Unmapped, ...]:
    fields = tuple(Unmapped("job", name) for name in unknown)
    return (Unmapped("state", redact(word)[:64]), *fields) if state is JobState.UNKNOWN else fields


def _told(record: _Record) -> tuple[str, str | None, str | None]:
    """State word, reason code and reason, wherever this API version puts them."""
    state = record.state if isinstance(record.state, _State) else _State(status=record.state)
    word = state.status or record.status or ""
    codes = (state.reason_code, state.old_reason_code, record.reason_code, record.old_reason_code)
    code = next((str(code) for code in codes if code is not None), None)
    return word, code, state.reason or record.reason


def _state(word: str, code: str | None) -> JobState:
    state = _STATES.get(word.strip().lower(), JobState.UNKNOWN)
    return JobState.FAILED if state is JobState.CANCELLED and code == _RAN_TOO_LONG else state


def _visible(times: _Times, state: JobState) -> _Times:
    """The times that fit the state. Metrics are read after the state and may be ahead of it: the next look has both."""
    if state is JobState.QUEUED:
        return _Times(created=times.created)
    if state is JobState.RUNNING:
        return _Times(created=times.created, running=times.running)
    return times


def _usage_final(listed: _Usage | None, metrics: _Metrics) -> bool:
    """Anything but ``pending`` is final: the word for final has been both ``complete`` and ``completed``."""
    usage = metrics.usage or listed
    return usage is None or usage.status is None or usage.status.strip().lower() != _PENDING


def _quantum_seconds(listed: _Usage | None, metrics: _Metrics) -> float | None:
    for usage in (metrics.usage, listed):
        for figure in (usage.qpu_charge_time_seconds, usage.quantum_seconds, usage.seconds) if usage else ():
            if figure is not None and figure >= 0:
                return figure
    billed = metrics.bss.seconds if metrics.bss else None
    return billed if billed is not None and billed >= 0 else None


def _extra(record: _Record, metrics: _Metrics, clean: _Clean, unknown: dict[str, Any]) -> str | None:
    nanoseconds = metrics.circuits_execution_time_ns
    if nanoseconds is None and metrics.usage is not None:
        nanoseconds = metrics.usage.circuits_execution_time_ns
    extra = _Extra(
        circuits_execution_nanoseconds=nanoseconds,
        estimated_running_seconds=record.estimated_running_time_seconds,
        max_execution_seconds=record.cost,
        private=record.private or None,
        program=clean[record.program.id] if record.program and record.program.id else None,
        runtime=clean[record.runtime] if record.runtime else None,
    )
    if unknown:
        return extra_json(unknown | structs.asdict(extra))
    text = msgspec.json.encode(extra).decode()
    return None if text == "{}" else text


def _utc(at: datetime | None) -> datetime | None:
    """The instant in UTC; a time without a zone is UTC, as the service's own client takes it."""
    if at is None or at.tzinfo is UTC:
        return at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
