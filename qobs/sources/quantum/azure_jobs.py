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
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from qobs.model import Failure, Job, JobState, Unmapped
from qobs.sources.decode import BadRecord, convert_record, extra_json, unknown_fields
from qobs.sources.extra import Extras
from qobs.sources.failure import Failures
from qobs.sources.quantum.azure_wire import KNOWN, Charge, ErrorData, WireJob, charges, instant, total, whole
from qobs.sources.redact import Redacted, redact

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

# An enum member costs more to look up on its class than to compare.
_COMPLETED, _FAILED = JobState.COMPLETED, JobState.FAILED

START_TOLERANCE = timedelta(seconds=60)
"""A start that lies further before the creation comes from a broken provider clock and says nothing."""

BILL_GRACE = timedelta(hours=1)
"""How long after its end a completed job is asked again for a bill that has not come."""


class Times(NamedTuple):
    """The provider's times of one job; ``started`` is None when it is impossible."""

    created: datetime | None
    started: datetime | None
    ended: datetime | None
    updated: datetime | None


def times(wire: WireJob) -> Times:
    """Creation, start, end and newest revision of a job.

    Raises:
        ValueError: one of the texts is not a time.
    """
    created, started, ended = instant(wire.creation_time), instant(wire.begin_execution_time), instant(wire.end_execution_time)
    if created is not None and started is not None and started < created and created - started > START_TOLERANCE:
        started = None
    cancelled = instant(wire.cancellation_time)
    if ended is None and wire.status == "Cancelled":
        ended = cancelled
    updated = started
    for at in (ended, cancelled, instant(wire.last_modified_time), instant(wire.last_updated_time)):
        if at is not None and (updated is None or at > updated):
            updated = at
    return Times(created, started, ended, updated)


def shots(params: object) -> int | None:
    """Shots from a job's input parameters; older jobs say ``count``, Quantinuum's ``num_shots``. None where none is told."""
    if not isinstance(params, dict):
        return None
    for key in ("shots", "count", "num_shots"):
        count = whole(params.get(key))
        if count is not None:
            return count
    return None


_SECONDS_PER_UNIT: Mapping[str | None, float] = {"qpu_time_centiseconds": 0.01, "compute-time-qpu": 3600.0}


def quantum_seconds(bill: tuple[Charge, ...]) -> float | None:
    """Billed seconds on the quantum processor, for the providers that bill time (Rigetti, Pasqal); None for the others."""
    amounts = [
        charge.amount_consumed * _SECONDS_PER_UNIT[charge.dimension_id]
        for charge in bill
        if charge.dimension_id in _SECONDS_PER_UNIT and charge.amount_consumed is not None
    ]
    return round(sum(amounts), 6) if amounts else None


def bill_is_final(wire: WireJob, known: Times, fetched_at: datetime) -> bool:
    """Whether a completed job has nothing further to tell about its end and its cost.

    Microsoft's own targets (estimator, echo) are never billed. For others a missing bill is waited for, but only for
    :data:`BILL_GRACE` after the newest time of the job, since V2 workspaces may send none at all.
    """
    if known.ended is not None and (wire.cost_estimate is not None or (wire.provider_id or "").lower().startswith("microsoft")):
        return True
    newest = known.updated or known.created
    return newest is not None and fetched_at - newest >= BILL_GRACE


_NO_ERROR = ErrorData()


def failure_of(wire: WireJob, failures: Failures) -> Failure:
    """Why a failed job failed. The error may be null, or hold nothing, even then."""
    error = wire.error_data or _NO_ERROR
    return failures.read(error.code or ("TimedOut" if wire.status == "TimedOut" else None), error.message)


class _Extra(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """What the schema has no place for: provider, formats, other parameters and metadata, the bill's lines."""

    charges: Any = None
    input_data_format: Any = None
    input_params: Any = None
    job_type: Any = None
    metadata: Any = None
    output_data_format: Any = None
    provider_id: Any = None
    usage: Any = None


def extra(wire: WireJob, unknown: Mapping[str, Any], extras: Extras) -> str | None:
    """The members of :class:`_Extra`, and those that qobs does not know."""
    known = _Extra(
        (wire.cost_estimate.events or None) if wire.cost_estimate is not None else None,
        wire.input_data_format,
        _without(wire.input_params, _USED_PARAMS),
        wire.job_type,
        _without(wire.metadata, _USED_METADATA),
        wire.output_data_format,
        wire.provider_id,
        wire.usage,
    )
    return extra_json({**unknown, **msgspec.to_builtins(known)}) if unknown else extras.text(known)


def _without(members: object, used: frozenset[str]) -> object:
    if not isinstance(members, dict):
        return members
    if members.keys() <= used:
        return None
    return {name: value for name, value in members.items() if name not in used and value is not None and value != "{}"} or None


_USED_PARAMS = frozenset({"shots", "count", "num_shots"})
_USED_METADATA = frozenset({"qiskit", "num_qubits", "name"})


class Reading:
    """Whose jobs a page holds and when it was fetched, and what need not be worked out twice on one page."""

    __slots__ = ("account", "clean", "extras", "failures", "fetched_at", "source")

    def __init__(self, *, source: str, account: str, fetched_at: datetime) -> None:
        """To be made anew for each page."""
        self.source = source
        self.account = account
        self.fetched_at = fetched_at
        self.clean = Redacted()
        self.extras = Extras()
        self.failures = Failures("azure")


def normalized(record: Mapping[str, Any], reading: Reading) -> tuple[Job, tuple[Unmapped, ...]]:
    """One job of the listing, or the answer to a question by id, and the words in it that have no translation.

    Raises:
        BadRecord: a member has the wrong type or is not a time; names the member, never the value.
    """
    wire = convert_record(record, WireJob)
    names = unknown_fields(record, KNOWN)
    job, words = ordinary(wire, reading, {name: record.get(name) for name in names})
    return job, tuple(Unmapped("job", name) for name in names) + words


def ordinary(
    wire: WireJob, reading: Reading, unknown: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Job, tuple[Unmapped, ...]]:
    """One job whose members have the right types, and its status word where that is not known. Raises as :func:`normalized`."""
    if not wire.id:
        raise BadRecord("expected text in id, found none")
    try:
        known = times(wire)
    except ValueError:
        raise BadRecord("expected RFC 3339 times in creationTime, …ExecutionTime, cancellationTime, last…Time") from None
    now = STATES.get(wire.status)
    if now is not None:
        return _job(wire, known, now, wire.status, reading, unknown), ()
    word = redact(wire.status)[:64]
    return _job(wire, known, JobState.UNKNOWN, word, reading, unknown), (Unmapped("state", word),)


def _job(wire: WireJob, known: Times, now: JobState, word: str, reading: Reading, unknown: Mapping[str, Any]) -> Job:
    cost, clean = wire.cost_estimate, reading.clean
    price, bill = total(cost), charges(cost)
    ended = now.terminal
    metadata = wire.metadata or _NO_METADATA
    return Job(
        provider="azure",
        source=reading.source,
        account=reading.account,
        id=wire.id,
        state=now,
        raw_state=word,
        backend=wire.target,
        name=clean[wire.name] if wire.name else None,
        submitted_at=known.created,
        started_at=known.started,
        ended_at=known.ended,
        updated_at=known.updated,
        settled=ended and (now is not _COMPLETED or bill_is_final(wire, known, reading.fetched_at)),
        failure=failure_of(wire, reading.failures) if now is _FAILED else None,
        shots=shots(wire.input_params),
        circuits=wire.quantum_computing_data.count if wire.quantum_computing_data else None,
        qubits=whole(metadata.get("num_qubits")),
        quantum_seconds=quantum_seconds(bill) if bill and ended else None,
        sdk="qiskit" if str(metadata.get("qiskit")).lower() == "true" else None,
        priority=(wire.job_priority or wire.priority or "").lower() or None,
        batch=wire.session_id,
        cost_charged=price if ended else None,
        cost_estimated=price,
        currency=cost.currency_code if cost is not None else None,
        tags=tuple([clean[tag] for tag in wire.tags]) if wire.tags else (),
        extra=extra(wire, unknown, reading.extras),
    )


_NO_METADATA: Mapping[str, Any] = MappingProxyType({})
