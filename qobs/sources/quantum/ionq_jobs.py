"""IonQ jobs into records: v0.4 in both shapes of 2026, and v0.3. Pure.

Rows with a ``parent_job_id`` are the single circuits of a multi-circuit job. They are left out on purpose: the parent has
the same life, carries the sums and is what is charged, so that counting both would count everything twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import ValidationError, convert

from qobs.model import Failure, Job, JobState, Unmapped
from qobs.sources.decode import BadRecord, convert_record, unknown_fields
from qobs.sources.failure import Failures
from qobs.sources.quantum.ionq_cost import Cost, decimal
from qobs.sources.quantum.ionq_extra import Clean, extra_v03, extra_v04
from qobs.sources.quantum.ionq_wire import (
    Amount,
    Moment,
    WireFailure,
    WireJobV03,
    WireJobV04,
    WireStats,
    fields,
    utc,
)
from qobs.sources.redact import redact

STATES: Mapping[str, JobState] = {
    "submitted": JobState.QUEUED,
    "ready": JobState.QUEUED,
    "started": JobState.RUNNING,
    "running": JobState.RUNNING,
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELLED,
    "cancelled": JobState.CANCELLED,
}
"""IonQ's words in lower case; v0.4 says ``started`` for what v0.3 calls ``running``."""

DELETED = "deleted"
"""The word of a job that the service is about to forget: reported as missing."""

COST_PATIENCE = timedelta(days=30)
"""A charge that has not come this long after the end of its job is no longer waited for."""

_MAX_TAGS = 32
_CLIENT_KEYS = frozenset({"user_agent", "qiskit_header", "qobj_id", "shots", "sampler_seed", "qubit_numbers", "measurements"})
"""Metadata that the SDKs write for themselves: not the user's tags."""
_USER_AGENT = re.compile(r"([A-Za-z][\w.-]{0,39})/([\w.+-]{1,40})")

_KNOWN_V04 = fields(WireJobV04)
_KNOWN_V03 = fields(WireJobV03)
_KNOWN_STATS = fields(WireStats)


# An enum member costs more to look up on its class than to compare.
_COMPLETED, _FAILED, _UNKNOWN = JobState.COMPLETED, JobState.FAILED, JobState.UNKNOWN

_NO_STATS = WireStats()
_NOTHING: Mapping[str, Any] = MappingProxyType({})

_TIMES = ("submitted_at", "started_at", "completed_at", "request", "start", "response")


class Reading:
    """Whose jobs a page holds and when it was fetched, whether their costs are asked for, and the page's memory."""

    __slots__ = ("account", "clean", "failures", "now", "source", "with_cost")

    def __init__(self, *, source: str, account: str, now: datetime, with_cost: bool) -> None:
        """To be made anew for each page. A charge that is overdue at ``now`` is given up."""
        self.source = source
        self.account = account
        self.now = now
        self.with_cost = with_cost
        self.clean = Clean()
        self.failures = Failures("ionq")


class Read(NamedTuple):
    """One row, read: ``job`` is None for the rows that are left out."""

    job: Job | None
    unmapped: tuple[Unmapped, ...]


def is_child(row: Mapping[str, Any]) -> bool:
    """True for a circuit of a multi-circuit job."""
    return isinstance(row.get("parent_job_id"), str) and bool(row["parent_job_id"])


def is_charged(row: Mapping[str, Any]) -> bool:
    """True for a row whose cost is worth asking for: completed, on a processor, not a dry run, not a child."""
    return (
        str(row.get("status")).lower() == "completed"
        and not row.get("dry_run")
        and not _simulated(row.get("backend"))
        and not is_child(row)
    )


def _charged(wire: WireJobV04, state: JobState) -> bool:
    """As :func:`is_charged`."""
    return state is _COMPLETED and not wire.dry_run and not _simulated(wire.backend) and not wire.parent_job_id


def latest_at(row: Mapping[str, Any]) -> datetime | None:
    """The newest time in a row of either version; None for a row without times, or with one that cannot be read."""
    return max(_times(row, *_TIMES), default=None)


def submitted_at(row: Mapping[str, Any]) -> datetime | None:
    """When a row of either version was submitted; None as :func:`latest_at`."""
    return next(iter(_times(row, "submitted_at", "request")), None)


def _times(row: Mapping[str, Any], *names: str) -> list[datetime]:
    try:
        times = [utc(convert(row[name], Moment | Amount)) for name in names if row.get(name) is not None]
    except (ValidationError, BadRecord):
        return []
    return [at for at in times if at is not None]


def read_v04(row: Mapping[str, Any], reading: Reading, cost: Cost) -> Read:
    """A v0.4 row as a job; ``cost`` is what ``/jobs/{id}/cost`` said, all None where it was not asked or had nothing.

    Raises:
        BadRecord: the row is not what the contract says.
    """
    wire = convert_record(row, WireJobV04)
    names = unknown_fields(row, _KNOWN_V04)
    unknown = {name: row[name] for name in names if name in row}
    if isinstance(row.get("stats"), dict):
        names += tuple(f"stats.{name}" for name in unknown_fields(row["stats"], _KNOWN_STATS))
    return ordinary_v04(wire, reading, cost, unknown, names)


def ordinary_v04(
    wire: WireJobV04, reading: Reading, cost: Cost, unknown: Mapping[str, Any] = _NOTHING, names: tuple[str, ...] = ()
) -> Read:
    """A job whose members have the right types, with the members and member names that qobs does not know.

    Raises:
        BadRecord: a time is none.
    """
    stats, clean = wire.stats or _NO_STATS, reading.clean
    state = _state(wire.status)
    submitted_at, ended_at = utc(wire.submitted_at), utc(wire.completed_at)
    settled = state.terminal
    if settled and reading.with_cost and not cost.final and _charged(wire, state):
        known_at = ended_at or submitted_at
        settled = known_at is not None and reading.now - known_at > COST_PATIENCE
    gates, metadata = stats.gate_counts, wire.metadata or _NOTHING
    sdk, version = _sdk(metadata)
    job = Job(
        provider="ionq",
        source=reading.source,
        account=reading.account,
        id=wire.id,
        state=state,
        raw_state=clean.text(wire.status) or "",
        backend=clean.text(wire.backend),
        name=clean.text(wire.name),
        submitted_at=submitted_at,
        started_at=utc(wire.started_at),
        ended_at=ended_at,
        settled=settled,
        failure=_failure(state, wire.failure, reading.failures),
        shots=wire.shots,
        circuits=stats.circuits if stats.circuits is not None else (len(wire.child_job_ids or ()) or None),
        qubits=stats.qubits,
        two_qubit_gates=gates.get("2q") if gates else None,
        seed=_seed(metadata),
        quantum_seconds=_scaled(stats.billed_quantum_compute_time_us, 1e6),
        sdk=sdk,
        sdk_version=version,
        batch=clean.text(wire.session_id),
        cost_charged=cost.charged,
        cost_estimated=cost.estimated,
        currency=cost.currency,
        tags=_tags(metadata, clean),
        extra=extra_v04(wire, stats, unknown, clean),
    )
    return Read(None if wire.parent_job_id else job, _unmapped(state, wire.status, names))


def read_v03(row: Mapping[str, Any], reading: Reading) -> Read:
    """A v0.3 row as a job: whole seconds since 1970, the charge in the row itself.

    Raises:
        BadRecord: the row is not what the contract says.
    """
    wire = convert_record(row, WireJobV03)
    names = unknown_fields(row, _KNOWN_V03)
    return ordinary_v03(wire, reading, {name: row[name] for name in names if name in row}, names)


def ordinary_v03(wire: WireJobV03, reading: Reading, unknown: Mapping[str, Any] = _NOTHING, names: tuple[str, ...] = ()) -> Read:
    """As :func:`ordinary_v04`."""
    state, clean = _state(wire.status), reading.clean
    price = None if wire.cost_usd is None else decimal(wire.cost_usd)
    completed = state is _COMPLETED
    metadata = wire.metadata or _NOTHING
    sdk, version = _sdk(metadata)
    job = Job(
        provider="ionq",
        source=reading.source,
        account=reading.account,
        id=wire.id,
        state=state,
        raw_state=clean.text(wire.status) or "",
        backend=clean.text(wire.target),
        name=clean.text(wire.name),
        submitted_at=utc(wire.request),
        started_at=utc(wire.start),
        ended_at=utc(wire.response),
        settled=state.terminal,
        failure=_failure(state, wire.failure, reading.failures),
        shots=wire.shots,
        circuits=wire.circuits if wire.circuits is not None else (len(wire.children or ()) or None),
        qubits=wire.qubits,
        two_qubit_gates=(wire.gate_counts or {}).get("2q"),
        seed=_seed(metadata),
        quantum_seconds=_scaled(wire.execution_time, 1e3) if completed and not _simulated(wire.target) else None,
        sdk=sdk,
        sdk_version=version,
        batch=clean.text(wire.session_id),
        cost_charged=price if completed else None,
        cost_estimated=None if completed else price,
        currency=None if price is None else "USD",
        tags=_tags(metadata, clean),
        extra=extra_v03(wire, unknown, clean),
    )
    return Read(None if wire.parent_job_id else job, _unmapped(state, wire.status, names))


def _state(word: str) -> JobState:
    return STATES.get(word.lower(), _UNKNOWN)


def _unmapped(state: JobState, word: str, unknown: tuple[str, ...]) -> tuple[Unmapped, ...]:
    if state is not _UNKNOWN and not unknown:
        return ()
    words = (Unmapped("state", redact(word[:64])),) if state is _UNKNOWN and word.lower() != DELETED else ()
    return words + tuple(Unmapped("job", name) for name in unknown)


def _failure(state: JobState, wire: WireFailure | None, failures: Failures) -> Failure | None:
    if wire is None:
        return failures.read(None, None) if state is _FAILED else None
    return failures.read(wire.code, wire.message or wire.error)


def _seed(metadata: Mapping[str, Any]) -> int | None:
    seed = metadata.get("sampler_seed")
    return int(seed) if isinstance(seed, str) and seed.isascii() and seed.isdigit() and len(seed) <= 18 else None


def _sdk(metadata: Mapping[str, Any]) -> tuple[str | None, str | None]:
    agent = metadata.get("user_agent")
    if isinstance(agent, str) and (found := _USER_AGENT.match(agent)):
        return found[1].lower(), found[2]
    if not metadata:
        return None, None
    # cirq-ionq names no version, but only it writes its measurement keys so: "measurement0": "key<US>0,1<RS>…".
    if any(name.startswith("measurement") and isinstance(value, str) and "\x1f" in value for name, value in metadata.items()):
        return "cirq", None
    return None, None


def _tags(metadata: Mapping[str, Any], clean: Clean) -> tuple[str, ...]:
    if not metadata or metadata.keys() <= _CLIENT_KEYS:
        return ()
    tags = []
    for name, value in metadata.items():
        if name in _CLIENT_KEYS or name.startswith("measurement") or not isinstance(value, str | int | float):
            continue
        tags.append(clean.text(f"{name}:{value}") or "")
        if len(tags) == _MAX_TAGS:
            break
    return tuple(tags)


def _simulated(backend: object) -> bool:
    return isinstance(backend, str) and backend.startswith("simulator")


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
