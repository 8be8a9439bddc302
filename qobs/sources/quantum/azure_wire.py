"""An Azure Quantum job as the wire has it: typed members, times and counts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from qobs.sources.decode import BadRecord, convert_record


class Charge(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One dimension of a bill: gate shots, HQC, centiseconds."""

    dimension_id: str | None = None
    dimension_name: str | None = None
    measure_unit: str | None = None
    amount_billed: float | None = None
    amount_consumed: float | None = None
    unit_price: float | None = None


class CostEstimate(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What a job costs. ``estimated_total`` is in ``currency_code``, as a number or as text; ``events`` are charges."""

    currency_code: str | None = None
    estimated_total: Any = None
    events: tuple[dict[str, Any], ...] | None = None


class ErrorData(msgspec.Struct, frozen=True, gc=False):
    """Why a job failed; both fields were seen null together."""

    code: str | None = None
    message: str | None = None


class QuantumComputingData(msgspec.Struct, frozen=True, gc=False):
    """``count`` is the number of circuits."""

    count: int | None = None


class WireJob(msgspec.Struct, frozen=True, rename="camel", gc=False):
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
    # Kept in ``extra``, whatever they are.
    job_type: Any = None
    input_data_format: Any = None
    output_data_format: Any = None
    usage: Any = None
    # Named so that they are known and left out: who it was, and addresses that can open the job's storage.
    container_uri: Any = None
    input_data_uri: Any = None
    output_data_uri: Any = None
    is_cancelling: Any = None
    created_by: Any = None
    created_by_type: Any = None
    last_modified_by: Any = None
    last_modified_by_type: Any = None
    system_data: Any = None


KNOWN = frozenset(WireJob.__struct_encode_fields__)
"""Every member of a job that is read, or left out on purpose."""


class _OrdinaryJob(WireJob, frozen=True, rename="camel", gc=False, forbid_unknown_fields=True):
    """A job without members that qobs does not know."""


class OrdinaryPage(msgspec.Struct, frozen=True):
    """A page of the listing that holds ordinary jobs only."""

    value: list[_OrdinaryJob]


ORDINARY_PAGE = msgspec.json.Decoder(OrdinaryPage)


class _Bill(msgspec.Struct, frozen=True, rename="camel"):
    estimated_total: Decimal | None = None
    events: tuple[Charge, ...] | None = None


class _Billed(msgspec.Struct, frozen=True, rename="camel"):
    cost_estimate: _Bill


def charges(cost: CostEstimate | None) -> tuple[Charge, ...]:
    """The lines of a bill.

    Raises:
        BadRecord: a member has the wrong type.
    """
    if cost is None or not cost.events:
        return ()
    return convert_record({"costEstimate": {"events": cost.events}}, _Billed).cost_estimate.events or ()


def total(cost: CostEstimate | None) -> Decimal | None:
    """The price of a job; None where none is told.

    Raises:
        BadRecord: it is no finite number.
    """
    if cost is None:
        return None
    told = cost.estimated_total
    if type(told) is float:
        price: Decimal | None = Decimal(repr(told))  # as msgspec reads a float, in half the time
    else:
        price = convert_record({"costEstimate": {"estimatedTotal": told}}, _Billed).cost_estimate.estimated_total
    if price is not None and not price.is_finite():
        raise BadRecord("expected a finite number in costEstimate.estimatedTotal")
    return price


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
    zone = at.tzinfo
    if zone is UTC:
        return at
    try:
        return at.replace(tzinfo=UTC) if zone is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the year 1 or after the year 9999") from None


def whole(value: object) -> int | None:
    """A count that may be written as a number or as text; None if it is neither, or negative.

    Example:
        >>> whole("16"), whole(100), whole(True), whole("many")
        (16, 100, None, None)
    """
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
