"""Availability, queue times and allowances of an Azure Quantum workspace as records: pure.

Decisions:

* ``Degraded`` targets still take jobs, so they are online; the word stays readable in ``raw_state``.
* ``averageQueueTime`` is 0 where a target is not fully available. That 0 is "nobody knows" and is not passed on.
* whether a target is a simulator is told by its name alone; where the name does not tell, nobody knows.
* the status page's address can carry a key and is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from qobs.model import BackendState, BackendStatus, Quota, Unmapped
from qobs.sources.decode import BadRecord, convert_record
from qobs.sources.redact import redact

AVAILABILITY: Mapping[str, BackendState] = {
    "Available": BackendState.ONLINE,
    "Degraded": BackendState.ONLINE,
    "Unavailable": BackendState.OFFLINE,
}
"""Every availability word."""

TECHNOLOGIES: Mapping[str, str] = {
    "ionq": "trapped_ion",
    "quantinuum": "trapped_ion",
    "aqt": "trapped_ion",
    "rigetti": "superconducting",
    "qci": "superconducting",
    "iqm": "superconducting",
    "pasqal": "neutral_atom",
    "atom-computing": "neutral_atom",
}
"""Qubits by provider; None for providers that build none."""

_SIMULATOR = re.compile(r"(?:^|[.-])(?:sim|simulator|emulator)(?:$|[.-])", re.IGNORECASE)
_PROCESSOR = re.compile(r"[.](?:qpu|machine\d*)(?:$|[.-])", re.IGNORECASE)


class WireProvider(msgspec.Struct, frozen=True, rename="camel"):
    """One provider with its targets; each target is read on its own, so that a bad one does not hide the others."""

    id: str
    targets: list[dict[str, Any]] | None = None


class WireTarget(msgspec.Struct, frozen=True, rename="camel"):
    """One target. ``average_queue_time`` is in seconds."""

    id: str
    current_availability: str | None = None
    average_queue_time: float | None = None
    num_qubits: int | None = None


class WireQuota(msgspec.Struct, frozen=True, rename="camel"):
    """One allowance in the unit that ``dimension`` names."""

    dimension: str
    scope: str
    provider_id: str | None = None
    utilization: float | None = None
    holds: float | None = None
    limit: float | None = None
    period: str | None = None


def provider(record: Mapping[str, Any]) -> WireProvider:
    """One provider of the answer.

    Raises:
        BadRecord: it has no id, or its targets are no array of objects.
    """
    return convert_record(record, WireProvider)


def is_simulator(target: str) -> bool | None:
    """What a target's name tells; None where it tells nothing.

    Example:
        >>> [is_simulator(name) for name in ("quantinuum.sim.h2-1e", "ionq.simulator", "ionq.qpu.forte-1", "echo-output")]
        [True, True, False, None]
    """
    if _SIMULATOR.search(target):
        return True
    return False if _PROCESSOR.search(target) else None


def target_status(
    record: Mapping[str, Any], provider_id: str, *, source: str, account: str, observed_at: datetime
) -> tuple[BackendStatus, tuple[Unmapped, ...]]:
    """One target's status, and its availability word where that is unknown.

    Raises:
        BadRecord: a member is missing or has the wrong type.
    """
    wire = convert_record(record, WireTarget)
    word = wire.current_availability or ""
    simulator = is_simulator(wire.id)
    known = word in AVAILABILITY
    status = BackendStatus(
        provider="azure",
        source=source,
        account=account,
        backend=wire.id,
        state=AVAILABILITY.get(word, BackendState.UNKNOWN),
        observed_at=observed_at,
        raw_state=word if known else redact(word)[:64],
        queue_wait_seconds=_queue_seconds(wire),
        qubits=wire.num_qubits,
        technology="simulator" if simulator else TECHNOLOGIES.get(provider_id.lower()),
        simulator=simulator,
    )
    return status, () if known else (Unmapped("availability", status.raw_state),)


def _queue_seconds(wire: WireTarget) -> float | None:
    seconds = wire.average_queue_time
    if seconds is None or seconds < 0 or (seconds == 0 and wire.current_availability != "Available"):
        return None
    return seconds


def quota(record: Mapping[str, Any], *, source: str, account: str, observed_at: datetime) -> Quota:
    """One allowance; the period ``None`` (as text) means that it does not renew.

    Raises:
        BadRecord: a member is missing or has the wrong type.
    """
    wire = convert_record(record, WireQuota)
    if not wire.dimension or not wire.scope:
        raise BadRecord("expected text in dimension and scope, found none")
    return Quota(
        provider="azure",
        source=source,
        account=account,
        dimension=wire.dimension,
        scope=wire.scope,
        observed_at=observed_at,
        target=wire.provider_id,
        limit=wire.limit,
        used=wire.utilization,
        held=wire.holds,
        period=None if wire.period in (None, "None") else wire.period,
    )
