"""IBM's list of backends and the usage of an instance, as records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from qobs.errors import BadPayload
from qobs.model import BackendState, BackendStatus, Batch, Quota, Raw, Unmapped
from qobs.sources.decode import BadRecord, convert_record, decode_object, quarantine
from qobs.sources.quantum.ibm_jobs import PROVIDER, Owner
from qobs.sources.redact import redact

_STATES: Mapping[str, BackendState] = {
    "online": BackendState.ONLINE,
    "active": BackendState.ONLINE,
    "offline": BackendState.OFFLINE,
    "paused": BackendState.OFFLINE,
    "internal": BackendState.RESERVED,
    "dedicated": BackendState.RESERVED,
    "reserved": BackendState.RESERVED,
    "maintenance": BackendState.MAINTENANCE,
    "retired": BackendState.RETIRED,
}
"""The set of words is open; a paused backend still takes jobs but runs none."""

SIMULATORS = ("simulator_", "ibmq_qasm_simulator")
"""How simulators are called where the list tells nothing but names."""

_MOCK = "mock"

_Number = TypeVar("_Number", int, float)


class _Status(msgspec.Struct, frozen=True):
    name: str | None = None
    reason: str | None = None


class _Processor(msgspec.Struct, frozen=True):
    family: str | None = None
    revision: str | int | float | None = None


class _Figure(msgspec.Struct, frozen=True):
    value: float | None = None


class _Figures(msgspec.Struct, frozen=True):
    two_q_error_layered: _Figure | None = None


class _Wait(msgspec.Struct, frozen=True):
    average: float | None = None


class Device(msgspec.Struct, frozen=True):
    """One element of the list in the form of API versions since 2025-01-01."""

    name: str
    status: _Status | str | None = None
    is_simulator: bool | None = None
    qubits: int | None = None
    clops: _Figure | None = None
    processor_type: _Processor | None = None
    queue_length: int | None = None
    wait_time_seconds: _Wait | float | None = None
    performance_metrics: _Figures | None = None
    kind: str | None = msgspec.field(default=None, name="class")


class _Period(msgspec.Struct, frozen=True):
    start_time: datetime | None = None
    end_time: datetime | None = None


class _Usage(msgspec.Struct, frozen=True):
    usage_consumed_seconds: float
    usage_limit_seconds: float | None = None
    usage_allocation_seconds: float | None = None
    usage_period: _Period | None = None


def listed(body: bytes) -> list[Any]:
    """The elements of ``/backends``: objects, or bare names in API versions before 2025-01-01.

    Raises:
        BadPayload: the body is not a list of backends.
    """
    devices = decode_object(body, what="ibm /backends").get("devices")
    if not isinstance(devices, list):
        raise BadPayload("ibm /backends: expected array - at $.devices")
    return devices


def calibrated_names(body: bytes) -> tuple[str, ...]:
    """Names of the backends that may have calibrations: all but simulators and mock devices, in the order of the list.

    Raises:
        BadPayload: the body is not a list of backends.
    """
    names = []
    for entry in listed(body):
        name = entry.get("name") if isinstance(entry, dict) else entry
        if isinstance(name, str) and name and not _without_calibration(name, entry):
            names.append(name)
    return tuple(dict.fromkeys(names))


def _without_calibration(name: str, entry: object) -> bool:
    if isinstance(entry, dict):
        return entry.get("is_simulator") is True or entry.get("class") == _MOCK
    return name.startswith(SIMULATORS)


def backends(raw: Raw, owner: Owner) -> Batch:
    """State and queue of every backend. Where the list is bare names the state is unknown, and counted as such.

    Raises:
        BadPayload: the body is not a list of backends.
    """
    records: dict[str, BackendStatus] = {}
    quarantined = []
    unmapped: dict[Unmapped, None] = {}
    for entry in listed(raw.body):
        if isinstance(entry, str):
            unmapped[Unmapped("backends", "names only")] = None
            entry = {"name": entry}
        try:
            device = convert_record(entry, Device)
        except BadRecord as bad:
            name = entry.get("name") if isinstance(entry, dict) else None
            quarantined.append(quarantine(raw.stream, entry, bad.reason, record_id=name))
            continue
        if device.kind != _MOCK:
            records[device.name] = _status(device, raw.fetched_at, owner, unmapped)
    return Batch(backends=tuple(records.values()), quarantined=tuple(quarantined), unmapped=tuple(unmapped))


def _status(device: Device, at: datetime, owner: Owner, unmapped: dict[Unmapped, None]) -> BackendStatus:
    state, word = _state(device, unmapped)
    simulator = device.is_simulator if device.is_simulator is not None else (device.name.startswith(SIMULATORS) or None)
    metrics, processor = device.performance_metrics, device.processor_type
    wait = device.wait_time_seconds.average if isinstance(device.wait_time_seconds, _Wait) else device.wait_time_seconds
    return BackendStatus(
        provider=PROVIDER,
        source=owner.source,
        account=owner.account,
        backend=device.name,
        state=state,
        observed_at=at,
        raw_state=word,
        queue_jobs=_counted(device.queue_length, "queue_length", unmapped),
        queue_wait_seconds=_counted(wait, "wait_time_seconds", unmapped),
        qubits=device.qubits,
        version=_version(processor),
        technology="simulator" if simulator else "superconducting",
        simulator=simulator,
        layers_per_second=device.clops.value if device.clops else None,
        layer_error=metrics.two_q_error_layered.value if metrics and metrics.two_q_error_layered else None,
    )


def _state(device: Device, unmapped: dict[Unmapped, None]) -> tuple[BackendState, str]:
    """State and the provider's words for it; a reason of maintenance tells more than the word itself."""
    told = device.status if isinstance(device.status, _Status) else _Status(name=device.status)
    if told.name is None:
        return BackendState.UNKNOWN, ""
    word, reason = told.name.strip().lower(), (told.reason or "").strip().lower()
    state = _STATES.get(word, BackendState.UNKNOWN)
    if state is BackendState.UNKNOWN:
        unmapped[Unmapped("backend_state", told.name[:64])] = None
    if state is BackendState.OFFLINE and "maintenance" in reason:
        state = BackendState.MAINTENANCE
    shown = told.name if reason in ("", "available") else f"{told.name}: {told.reason}"
    return state, redact(shown)[:80]


def _version(processor: _Processor | None) -> str | None:
    """Family and revision, e.g. ``Heron r2``: the revision is a string on some families and a number on others."""
    if processor is None or processor.family is None:
        return None
    return processor.family if processor.revision is None else f"{processor.family} r{processor.revision}"


def _counted(value: _Number | None, name: str, unmapped: dict[Unmapped, None]) -> _Number | None:
    """A count or a time; a negative one, which the service has sent, tells nothing."""
    if value is not None and value < 0:
        unmapped[Unmapped(name, "negative")] = None
        return None
    return value


def usage(raw: Raw, owner: Owner) -> Batch:
    """What the instance has used of its allowance in the current period, in seconds on processors.

    Raises:
        BadPayload: the body is no JSON object.
    """
    body = decode_object(raw.body, what="ibm /instances/usage")
    try:
        told = convert_record(body, _Usage)
    except BadRecord as bad:
        return Batch(quarantined=(quarantine(raw.stream, body, bad.reason),))
    limit = told.usage_limit_seconds if told.usage_limit_seconds is not None else told.usage_allocation_seconds
    quota = Quota(
        provider=PROVIDER,
        source=owner.source,
        account=owner.account,
        dimension="qpu_seconds",
        scope="instance",
        observed_at=raw.fetched_at,
        limit=limit,
        used=told.usage_consumed_seconds,
        period=_period(told.usage_period),
    )
    return Batch(quotas=(quota,))


def _period(period: _Period | None) -> str | None:
    """Length of the period in days, e.g. ``28d``: its ends move with every reading."""
    if period is None or period.start_time is None or period.end_time is None:
        return None
    if (period.start_time.tzinfo is None) != (period.end_time.tzinfo is None):
        return None
    return f"{round((period.end_time - period.start_time).total_seconds() / 86400)}d"
