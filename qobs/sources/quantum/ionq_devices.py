"""IonQ backends and characterizations into records. Pure.

IonQ publishes medians over a device and no table of its qubits, so a calibration has ``published`` and couplings only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from qobs.model import BackendState, BackendStatus, Calibration, DeviceCalibration, Unmapped
from qobs.sources.decode import BadRecord, convert_record, unknown_fields
from qobs.sources.quantum.ionq_wire import WireBackend, WireCharacterization, WireFidelity, fields, utc
from qobs.sources.redact import redact

STATES: Mapping[str, BackendState] = {
    "available": BackendState.ONLINE,
    "running": BackendState.ONLINE,
    "unavailable": BackendState.OFFLINE,
    "offline": BackendState.OFFLINE,
    "calibrating": BackendState.MAINTENANCE,
    "reserved": BackendState.RESERVED,
    "retired": BackendState.RETIRED,
}
"""IonQ's words in lower case: an open set."""

_KNOWN_BACKEND = fields(
    WireBackend,
    "last_updated",
    "location",
    "kw",
    "supported_gates",
    "supported_native_gates",
    "supported_error_mitigations",
    "has_access",
    "noise_models",
)
_KNOWN_CHARACTERIZATION = fields(WireCharacterization)


def is_simulator(backend: str) -> bool:
    """True for the backends that have no hardware and so no characterization."""
    return backend.startswith("simulator")


def read_backend(
    row: Mapping[str, Any], *, source: str, account: str, now: datetime, queue_unit_seconds: float
) -> tuple[BackendStatus, tuple[Unmapped, ...]]:
    """One row of ``/backends``. A degraded backend takes jobs: it is online, and its raw state says so.

    Args:
        row: A decoded record.
        source: Name of the configured source.
        account: The account.
        now: When the row was fetched.
        queue_unit_seconds: Seconds in one unit of ``average_queue_time``: the specification contradicts itself there.

    Raises:
        BadRecord: the row is not what the contract says.
    """
    wire = convert_record(row, WireBackend)
    state = STATES.get(wire.status.lower(), BackendState.UNKNOWN)
    word = redact(wire.status[:64])
    simulator = is_simulator(wire.backend)
    unmapped = tuple(Unmapped("backend", name) for name in unknown_fields(row, _KNOWN_BACKEND))
    if state is BackendState.UNKNOWN:
        unmapped = (Unmapped("backend_state", word), *unmapped)
    status = BackendStatus(
        provider="ionq",
        source=source,
        account=account,
        backend=wire.backend,
        state=state,
        observed_at=now,
        raw_state=f"{word} (degraded)" if wire.degraded else word,
        queue_wait_seconds=None if wire.average_queue_time is None else wire.average_queue_time * queue_unit_seconds,
        qubits=wire.qubits,
        technology="simulator" if simulator else "trapped_ion",
        simulator=simulator,
        calibration_id=wire.characterization_id or _last_part(wire.characterization_url),
    )
    return status, unmapped


def read_characterization(
    row: Mapping[str, Any], *, source: str, account: str, backend: str
) -> tuple[Calibration, tuple[Unmapped, ...]]:
    """One characterization; ``backend`` is whom it was asked of, the row's own name goes first.

    Raises:
        BadRecord: the row is not what the contract says.
    """
    wire = convert_record(row, WireCharacterization)
    at = utc(wire.date)
    if at is None or not (wire.backend or backend):
        raise BadRecord("a characterization needs a date and a backend")
    calibration = Calibration(
        provider="ionq",
        source=source,
        account=account,
        backend=wire.backend or backend,
        calibrated_at=at,
        calibration_id=wire.id,
        couplings=tuple(wire.connectivity or ()),
        published=_published(wire),
    )
    return calibration, tuple(Unmapped("characterization", name) for name in unknown_fields(row, _KNOWN_CHARACTERIZATION))


def _published(wire: WireCharacterization) -> DeviceCalibration:
    fidelity, timing = wire.fidelity or {}, wire.timing or {}
    return DeviceCalibration(
        t1_seconds=timing.get("t1"),
        t2_seconds=timing.get("t2"),
        readout_error=_error(fidelity.get("spam")),
        gate_error_1q=_error(fidelity.get("1q")),
        gate_error_2q=_error(fidelity.get("2q")),
        gate_1q_seconds=timing.get("1q"),
        gate_2q_seconds=timing.get("2q"),
        readout_seconds=timing.get("readout"),
    )


def _error(fidelity: WireFidelity | None) -> float | None:
    """One minus the fidelity, without the digits that binary subtraction invents (1 - 0.9998 = 0.00019999999999997797)."""
    if fidelity is None:
        return None
    value = fidelity.median if fidelity.median is not None else fidelity.mean
    return None if value is None else round(1 - value, 12)


def _last_part(url: str | None) -> str | None:
    return url.rstrip("/").rpartition("/")[2] or None if url else None
