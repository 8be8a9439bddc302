"""IBM job records into :class:`~qobs.model.Job`: list pages, and single jobs with their metrics.

What IBM tells where: the list and ``/jobs/{id}`` carry state, reason, creation time, tags and usage; the times of running
and finishing stand only in ``/jobs/{id}/metrics``. So a job from a list is never settled, and a job asked for by id is
settled once it is terminal, has its finishing time, and its usage is no longer ``pending``.

IBM has no revision time. So that looks at one job sort rightly, ``updated_at`` is the end once that is known, and the
creation time before: then the state decides which of two looks is the later one.

``cost`` is the longest execution the submitter allowed, in seconds: not money. ``user_id`` and ``params`` are not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
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
from qobs.sources.failure import Failures
from qobs.sources.limits import Limits
from qobs.sources.redact import redact
from qobs.sources.typed import decode_typed

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

_LIMITS = Limits()

# An enum member costs more to look up on its class than to compare.
_FAILED, _UNKNOWN, _QUEUED, _RUNNING = JobState.FAILED, JobState.UNKNOWN, JobState.QUEUED, JobState.RUNNING


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
    # Who submitted, and what: neither is a monitor's business. Known, and dropped.
    user_id: Any = None
    params: Any = None


class _OrdinaryRecord(_Record, frozen=True, forbid_unknown_fields=True):
    """A job without members that qobs does not know."""


class _OrdinaryPage(msgspec.Struct, frozen=True):
    jobs: list[_OrdinaryRecord]


_ORDINARY = msgspec.json.Decoder(_OrdinaryPage)


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
"""Not even kept of a record that is set aside."""

_KNOWN = frozenset(field.encode_name for field in structs.fields(_Record))


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose jobs these are: goes into every record."""

    source: str
    account: str


class _Memory:
    """What need not be worked out twice on one page: tags, programs and failures repeat from job to job."""

    __slots__ = ("clean", "failures")

    def __init__(self) -> None:
        self.clean = _Clean()
        self.failures = Failures(PROVIDER)


class _Clean(dict[str, str]):
    """Text without credentials, at most 512 characters."""

    def __missing__(self, text: str) -> str:
        cleaned = self[text] = redact(text)[:_TEXT]
        return cleaned


def jobs_page(raw: Raw, owner: Owner) -> Batch:
    """One page of ``/jobs``. The same job told twice in the same words is one record; in different words, both are kept.

    Raises:
        BadPayload: the page as a whole is not a job list.
    """
    batch = _ordinary_page(raw, owner)
    return batch if batch is not None else _record_by_record(raw, owner)


def _ordinary_page(raw: Raw, owner: Owner) -> Batch | None:
    """A page whose records are all well typed and known to their last member; None for any other."""
    page = decode_typed(raw.body, _ORDINARY)
    if page is None or len(page.jobs) > _LIMITS.records_per_page:
        return None
    memory = _Memory()
    try:
        return _batch(_read(record, owner, memory) for record in page.jobs)
    except BadRecord:
        return None


def _record_by_record(raw: Raw, owner: Owner) -> Batch:
    page = decode_records(raw.body, path=("jobs",), what="ibm /jobs")
    quarantined = [quarantine_aside(raw.stream, aside) for aside in page.bad]
    memory = _Memory()
    read: list[tuple[Job, tuple[Unmapped, ...]]] = []
    for fields in page.records:
        try:
            read.append(_job(fields, owner, memory))
        except BadRecord as bad:
            quarantined.append(quarantine(raw.stream, _kept(fields), bad.reason, record_id=fields.get("id")))
    return structs.replace(_batch(read), quarantined=tuple(quarantined))


def _batch(read: Iterable[tuple[Job, tuple[Unmapped, ...]]]) -> Batch:
    jobs: list[Job] = []
    known: dict[str, Job] = {}
    unmapped: dict[Unmapped, None] = {}
    for job, words in read:
        if known.get(job.id) != job:
            jobs.append(job)
            known[job.id] = job
        if words:
            unmapped.update(dict.fromkeys(words))
    return Batch(jobs=tuple(jobs), unmapped=tuple(unmapped))


def one_job(raw: Raw, owner: Owner) -> Batch:
    """``/jobs/{id}`` with ``/jobs/{id}/metrics`` as companion. Metrics that cannot be read leave the job unsettled.

    Raises:
        BadPayload: the body is no JSON object.
    """
    fields = decode_object(raw.body, what="ibm /jobs/{id}")
    metrics, quarantined = _metrics(raw)
    try:
        job, words = _job(fields, owner, _Memory(), metrics)
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


def _job(
    fields: dict[str, Any], owner: Owner, memory: _Memory, metrics: _Metrics = _NOT_ASKED
) -> tuple[Job, tuple[Unmapped, ...]]:
    record = convert_record(fields, _Record)
    names = unknown_fields(fields, _KNOWN)
    job, words = _read(record, owner, memory, metrics, {name: fields[name] for name in names if name in fields})
    return job, words + tuple(Unmapped("job", name) for name in names)


def _read(
    record: _Record,
    owner: Owner,
    memory: _Memory,
    metrics: _Metrics = _NOT_ASKED,
    unknown: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Job, tuple[Unmapped, ...]]:
    """One job whose members have the right types, and its state word where that is not known."""
    if not record.id:
        raise BadRecord("expected a non-empty string - at $.id")
    clean = memory.clean
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
        failure=memory.failures.read(code, message) if state is _FAILED else None,
        quantum_seconds=_quantum_seconds(record.usage, metrics) if final else None,
        sdk="qiskit" if metrics.qiskit_version else None,
        sdk_version=metrics.qiskit_version,
        batch=record.session_id,
        calibration_id=record.calibration_id,
        tags=tuple([clean[tag] for tag in record.tags]) if record.tags else (),
        extra=_extra(record, metrics, clean, unknown),
    )
    return job, ((Unmapped("state", redact(word)[:64]),) if state is _UNKNOWN else ())


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
    if state is _QUEUED:
        return _Times(created=times.created)
    if state is _RUNNING:
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


def _extra(record: _Record, metrics: _Metrics, clean: _Clean, unknown: Mapping[str, Any]) -> str | None:
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
        return extra_json({**unknown, **structs.asdict(extra)})
    text = msgspec.json.encode(extra).decode()
    return None if text == "{}" else text


def _utc(at: datetime | None) -> datetime | None:
    """The instant in UTC; a time without a zone is UTC, as the service's own client takes it.

    Raises:
        BadRecord: the time lies outside the years 1 to 9999.
    """
    if at is None or at.tzinfo is UTC:
        return at
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise BadRecord("a time lies outside the years 1 to 9999") from None
