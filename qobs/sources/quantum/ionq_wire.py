"""The members of IonQ's answers that qobs reads, as typed structs: unknown members are ignored, wrong types refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from qobs.model import EPOCH
from qobs.sources.decode import BadRecord

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]

_MILLISECONDS_FROM = 10**11
"""Epoch numbers from here on are milliseconds: as seconds they would lie beyond the year 5138."""


class WireFailure(msgspec.Struct, frozen=True, gc=False):
    """Why a job failed: the text is ``message`` in v0.4 and ``error`` in v0.3."""

    code: str | None = None
    message: str | None = None
    error: str | None = None


class WireStats(msgspec.Struct, frozen=True, gc=False):
    """Size of a v0.4 job, and what was billed of it."""

    qubits: Count | None = None
    circuits: Count | None = None
    gate_counts: dict[str, Count | None] | None = None
    kwh: float | None = None
    predicted_quantum_compute_time_us: Amount | None = None
    billed_quantum_compute_time_us: Amount | None = None


class WireJobV04(msgspec.Struct, frozen=True, gc=False):
    """A job of v0.4, in both of its shapes of 2026. Only id and status are always there."""

    id: Name
    status: Name
    type: str | None = None
    backend: str | None = None
    dry_run: bool | None = None
    cost_model: str | None = None
    parent_job_id: str | None = None
    child_job_ids: list[str] | None = None
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = None
    submitted_at: Moment | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None
    predicted_wait_time_ms: Amount | None = None
    predicted_execution_duration_ms: Amount | None = None
    execution_duration_ms: Amount | None = None
    shots: Count | None = None
    failure: WireFailure | None = None
    settings: dict[str, Any] | None = None
    noise: dict[str, Any] | None = None
    stats: WireStats | None = None
    project_id: Any = None
    # Known and of no use.
    submitter_id: Any = None
    output: Any = None
    results: Any = None
    organization_id: Any = None
    deadline: Any = None
    registers: Any = None
    warning: Any = None
    preflight: Any = None


class WireJobV03(msgspec.Struct, frozen=True, gc=False):
    """A job of v0.3: times in epoch seconds, execution times in milliseconds."""

    id: Name
    status: Name
    target: str | None = None
    name: str | None = None
    parent_job_id: str | None = None
    children: list[str] | None = None
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    request: Amount | None = None
    start: Amount | None = None
    response: Amount | None = None
    execution_time: Amount | None = None
    predicted_execution_time: Amount | None = None
    shots: Count | None = None
    qubits: Count | None = None
    circuits: Count | None = None
    gate_counts: dict[str, Count | None] | None = None
    cost_usd: float | None = None
    error_mitigation: dict[str, Any] | None = None
    noise: dict[str, Any] | None = None
    failure: WireFailure | None = None
    # Known and of no use.
    results_url: Any = None
    warning: Any = None
    type: Any = None
    submitted_by: Any = None
    project_id: Any = None
    submitter_id: Any = None
    dry_run: Any = None


class _OrdinaryStats(WireStats, frozen=True, gc=False, forbid_unknown_fields=True):
    """Figures without members that qobs does not know."""


class _OrdinaryV04(WireJobV04, frozen=True, gc=False, forbid_unknown_fields=True):
    """A job without members that qobs does not know."""

    stats: _OrdinaryStats | None = None


class _OrdinaryV03(WireJobV03, frozen=True, gc=False, forbid_unknown_fields=True):
    """A job without members that qobs does not know."""


class OrdinaryPageV04(msgspec.Struct, frozen=True):
    """A page that holds ordinary jobs only."""

    jobs: list[_OrdinaryV04]


class OrdinaryPageV03(msgspec.Struct, frozen=True):
    """A page that holds ordinary jobs only."""

    jobs: list[_OrdinaryV03]


ORDINARY_V04 = msgspec.json.Decoder(OrdinaryPageV04)
ORDINARY_V03 = msgspec.json.Decoder(OrdinaryPageV03)


class WireMoney(msgspec.Struct, frozen=True):
    """An amount and its unit: a currency code in any case, or ``credit``."""

    value: float
    unit: Name


class WireCost(msgspec.Struct, frozen=True):
    """``/jobs/{id}/cost``: ``cost`` is absent until charged."""

    dry_run: bool | None = None
    estimated_cost: WireMoney | None = None
    cost: WireMoney | None = None


class WireBackend(msgspec.Struct, frozen=True):
    """One row of ``/backends``."""

    backend: Name
    status: Name
    qubits: Count | None = None
    average_queue_time: Amount | None = None
    degraded: bool | None = None
    characterization_id: str | None = None
    characterization_url: str | None = None


class WireFidelity(msgspec.Struct, frozen=True):
    """A published fidelity: ``median`` (v0.4) or ``mean`` (v0.3)."""

    median: Ratio | None = None
    mean: Ratio | None = None


class WireCharacterization(msgspec.Struct, frozen=True):
    """A characterization: medians over the device, times in seconds, fractional whatever the specification says."""

    date: Moment | Amount
    id: str | None = None
    backend: str | None = None
    qubits: Count | None = None
    connectivity: list[tuple[Count, Count]] | None = None
    fidelity: dict[str, WireFidelity | None] | None = None
    timing: dict[str, Amount | None] | None = None


def fields(kind: type[msgspec.Struct], *more: str) -> frozenset[str]:
    """Member names of a struct, and others that are known but of no use."""
    return frozenset(kind.__struct_fields__) | frozenset(more)


def utc(value: datetime | float | None) -> datetime | None:
    """A wire time as aware UTC: an aware datetime, or epoch seconds (or milliseconds, told apart by their size).

    Raises:
        BadRecord: the time lies outside the years 1 to 9999.
    """
    try:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value if value.tzinfo is UTC else value.astimezone(UTC)
        return EPOCH + timedelta(seconds=value / 1000 if value >= _MILLISECONDS_FROM else value)
    except (OverflowError, ValueError):
        raise BadRecord("a time lies outside the years 1 to 9999") from None
