"""An Azure Quantum job as the wire has it, and the one normalized job that it means: pure.

Decisions, each from recorded traffic:

* ``TimedOut`` (a session word that also reaches jobs) is a failure; ``Failure(s)`` is a live session word and never terminal.
* ``lastModifiedTime`` does not move when a job starts: ``Waiting`` and ``Executing`` of one job were recorded with the same
  one. So ``updated_at`` is the newest of the revision, start, end and cancellation times; None where none of them is told.
* ``costEstimate`` appears together with ``Succeeded``; for a job that has ended its ``estimatedTotal`` is what was charged.
  Failed and cancelled jobs, and those of Microsoft's own targets, carry none, ever. Under credits it is 0.0 while the
  consumed amounts are real: those stay readable in ``extra``.
* every URI of a job's container may hold a signature that opens it: none is kept in any form.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from qobs.model import Failure, Job, JobState, Unmapped
from qobs.sources.decode import BadRecord, convert_record, extra_json, unknown_fields
from qobs.sources.failure import failure
from qobs.sources.redact import redact

STATES: Mapping[str, JobState] = {
    "Queued": JobState.QUEUED,
    "Waiting": JobState.QUEUED,
    "Executing": JobState.RUNNING,
    "Finishing": JobState.RUNNING,
    "CancellationRequested": JobState.RUNNING,
    "Cancelling": JobState.RUNNING,
    "Failure(s)": JobState.RUNNING,
    "Succeeded": JobState.COMPLETED,
    "Completed": JobState.COMPLETED,
    "Failed": JobState.FAILED,
    "TimedOut": JobState.FAILED,
    "Cancelled": JobState.CANCELLED,
}
"""Every status word of jobs and sessions, of both workspace kinds (V2 says Queued and Completed for Waiting and Succeeded)."""

START_TOLERANCE = timedelta(seconds=60)
"""A start that lies further before the creation comes from a broken provider clock and says nothing."""

BILL_GRACE = timedelta(hours=1)
"""How long after its end a completed job is asked again for a bill that has not come."""


class Charge(msgspec.Struct, frozen=True, rename="camel"):
    """One dimension of a bill: gate shots, HQC, centiseconds."""

    dimension_id: str | None = None
    dimension_name: str | None = None
    measure_unit: str | None = None
    amount_billed: float | None = None
    amount_consumed: float | None = None
    unit_price: float | None = None


class CostEstimate(msgspec.Struct, frozen=True, rename="camel"):
    """What a job costs. ``estimated_total`` is in ``currency_code``."""

    currency_code: str | None = None
    estimated_total: Decimal | None = None
    events: tuple[Charge, ...] | None = None


class ErrorData(msgspec.Struct, frozen=True):
    """Why a job failed; both fields were seen null together."""

    code: str | None = None
    message: str | None = None


class QuantumComputingData(msgspec.Struct, frozen=True):
    """``count`` is the number of circuits."""

    count: int | None = None


class WireJob(msgspec.Struct, frozen=True, rename="camel"):
    """A job as Azure writes it. Times are RFC 3339 text with 0 to 7 fraction digits."""

    id: str
    status: str
    item_type: str = "Job"
    name: str | None = None
    provider_id: str | None = None
    target: str | None = None
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    input_params: Any = None
    tags: tuple[str, ...] | None = None
    priority: str | None = None
    job_priority: str | None = None
    creation_time: str | None = None
    begin_execution_time: str | None = None
    end_execution_time: str | None = None
    cancellation_time: str | None = None
    last_modified_time: str | None = None
    last_updated_time: str | None = None
    error_data: ErrorData | None = None
    quantum_computing_data: QuantumComputingData | None = None
    cost_estimate: CostEstimate | None = None
    # Named so that they are known and left out: each can carry a signature that opens the job's storage.
    container_uri: Any = None
    input_data_uri: Any = None
    output_data_uri: Any = None


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's times of one job; ``started`` is None when it is impossible."""

    created: datetime | None
    started: datetime | None
    ended: datetime | None
    updated: datetime | None


def instant(text: str | None) -> datetime | None:
    """The UTC time of an RFC 3339 text; digits beyond microseconds are cut off, no zone means UTC.

    Raises:
        ValueError: the text is not a time.

    Example:
        >>> instant("2024-03-29T20:45:46.1740459Z").isoformat()
        '2024-03-29T20:45:46.174045+00:00'
    """
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the year 1 or after the year 9999") from None


def times(wire: WireJob) -> Times:
    """Creation, start, end and newest revision of a job.

    Raises:
        ValueError: one of the texts is not a time.
    """
    created, started = instant(wire.creation_time), instant(wire.begin_execution_time)
    if created is not None and started is not None and created - started > START_TOLERANCE:
        started = None
    cancelled = instant(wire.cancellation_time)
    ended = instant(wire.end_execution_time) or (cancelled if wire.status == "Cancelled" else None)
    revised = (instant(wire.last_modified_time), instant(wire.last_updated_time), started, ended, cancelled)
    known = [at for at in revised if at is not None]
    return Times(created=created, started=started, ended=ended, updated=max(known) if known else None)


def state(word: str) -> JobState:
    """The normalized state of a status word; UNKNOWN for one that is not in :data:`STATES`."""
    return STATES.get(word, JobState.UNKNOWN)


def whole(value: object) -> int | None:
    """A count that may be written as a number or as text; None if it is neither, or negative.

    Example:
        >>> whole("16"), whole(100), whole(True), whole("many")
        (16, 100, None, None)
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def shots(params: object) -> int | None:
    """Shots from a job's input parameters; older jobs say ``count``, Quantinuum's ``num_shots``. None where none is told."""
    if not isinstance(params, Mapping):
        return None
    counts = (whole(params.get(key)) for key in ("shots", "count", "num_shots"))
    return next((count for count in counts if count is not None), None)


_SECONDS_PER_UNIT: Mapping[str | None, float] = {"qpu_time_centiseconds": 0.01, "compute-time-qpu": 3600.0}


def quantum_seconds(cost: CostEstimate | None) -> float | None:
    """Billed seconds on the quantum processor, for the providers that bill time (Rigetti, Pasqal); None for the others."""
    amounts = [
        charge.amount_consumed * _SECONDS_PER_UNIT[charge.dimension_id]
        for charge in (cost.events if cost and cost.events else ())
        if charge.dimension_id in _SECONDS_PER_UNIT and charge.amount_consumed is not None
    ]
    return round(sum(amounts), 6) if amounts else None


def bill_is_final(wire: WireJob, known: Times, fetched_at: datetime) -> bool:
    """Whether a completed job has nothing further to tell about its end and its cost.

    Microsoft's own targets (estimator, echo) are never billed. For others a missing bill is waited for, but only for
    :data:`BILL_GRACE` after the newest time of the job, since V2 workspaces may send none at all.
    """
    free = (wire.provider_id or "").lower().startswith("microsoft")
    if known.ended is not None and (free or wire.cost_estimate is not None):
        return True
    newest = known.updated or known.created
    return newest is not None and fetched_at - newest >= BILL_GRACE


def failure_of(wire: WireJob) -> Failure | None:
    """Why a failed job failed; None for every other state. The error may be null, or hold nothing, even then."""
    if state(wire.status) is not JobState.FAILED:
        return None
    error = wire.error_data or ErrorData()
    return failure("azure", error.code or ("TimedOut" if wire.status == "TimedOut" else None), error.message)


def extra(record: Mapping[str, Any], unknown: tuple[str, ...]) -> str | None:
    """What the schema has no place for: provider, formats, other parameters and metadata, the bill's lines, unknown fields."""
    cost = record.get("costEstimate")
    parts = {name: record.get(name) for name in (*_KEPT, *unknown)}
    parts["inputParams"] = _without(record.get("inputParams"), _USED_PARAMS)
    parts["metadata"] = _without(record.get("metadata"), _USED_METADATA)
    parts["charges"] = (cost.get("events") or None) if isinstance(cost, Mapping) else None
    return extra_json(parts)


def _without(members: object, used: frozenset[str]) -> object:
    if not isinstance(members, Mapping):
        return members
    return {name: value for name, value in members.items() if name not in used and value not in ("{}", None)} or None


_KEPT = ("providerId", "jobType", "inputDataFormat", "outputDataFormat", "usage")
_USED_PARAMS = frozenset({"shots", "count", "num_shots"})
_USED_METADATA = frozenset({"qiskit", "num_qubits", "name"})
_LEFT_OUT = ("isCancelling", "createdBy", "createdByType", "lastModifiedBy", "lastModifiedByType", "systemData")
_KNOWN = frozenset({*WireJob.__struct_encode_fields__, *_KEPT, *_LEFT_OUT})


def normalized(record: Mapping[str, Any], *, source: str, account: str, fetched_at: datetime) -> tuple[Job, tuple[Unmapped, ...]]:
    """One job of the listing, or the answer to a question by id, and the words in it that have no translation.

    Raises:
        BadRecord: a member has the wrong type or is not a time; names the member, never the value.
    """
    wire = convert_record(record, WireJob)
    if not wire.id:
        raise BadRecord("expected text in id, found none")
    try:
        known = times(wire)
    except ValueError:
        raise BadRecord("expected RFC 3339 times in creationTime, …ExecutionTime, cancellationTime, last…Time") from None
    if wire.cost_estimate and (total := wire.cost_estimate.estimated_total) is not None and not total.is_finite():
        raise BadRecord("expected a finite number in costEstimate.estimatedTotal")
    unknown = unknown_fields(record, _KNOWN)
    unmapped = tuple(Unmapped("job", name) for name in unknown)
    if wire.status not in STATES:
        unmapped += (Unmapped("state", redact(wire.status)[:64]),)
    return _job(wire, known, source, account, fetched_at, extra(record, unknown)), unmapped


def _job(wire: WireJob, known: Times, source: str, account: str, fetched_at: datetime, rest: str | None) -> Job:
    now = state(wire.status)
    cost = wire.cost_estimate
    total = cost.estimated_total if cost is not None else None
    metadata = wire.metadata or {}
    return Job(
        provider="azure",
        source=source,
        account=account,
        id=wire.id,
        state=now,
        raw_state=wire.status if wire.status in STATES else redact(wire.status)[:64],
        backend=wire.target,
        name=redact(wire.name) if wire.name else None,
        submitted_at=known.created,
        started_at=known.started,
        ended_at=known.ended,
        updated_at=known.updated,
        settled=now.terminal and (now is not JobState.COMPLETED or bill_is_final(wire, known, fetched_at)),
        failure=failure_of(wire),
        shots=shots(wire.input_params),
        circuits=wire.quantum_computing_data.count if wire.quantum_computing_data else None,
        qubits=whole(metadata.get("num_qubits")),
        quantum_seconds=quantum_seconds(cost) if now.terminal else None,
        sdk="qiskit" if str(metadata.get("qiskit")).lower() == "true" else None,
        priority=(wire.job_priority or wire.priority or "").lower() or None,
        batch=wire.session_id,
        cost_charged=total if now.terminal else None,
        cost_estimated=total,
        currency=cost.currency_code if cost is not None else None,
        tags=tuple(redact(tag) for tag in wire.tags or ()),
        extra=rest,
    )
