"""IBM backend properties into :class:`~qobs.model.Calibration`.

* Values are converted by their ``unit`` (SI prefix and base unit) to seconds, hertz and ratios, and are otherwise kept as
  published: zeros, T2 above 2 T1, readout errors above one half.
* A ``gate_error`` of exactly 1 is IBM's mark of a gate that is not calibrated: ``faulty``, with no error.
* A qubit is not operational where its ``operational`` parameter is 0, or where all its calibrated one-qubit gates are faulty.
* ``measure``, ``measure_2``, ``reset``, ``reset_2`` and ``delay`` are not gates: left out, save that ``measure`` stands in
  for a qubit's readout figures where those are absent. ``rz`` and the like, virtual with error 0 in time 0, stay.
* A parameter that is absent, of another type, in another unit or out of range is None, and all but the first are counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from qobs.errors import BadPayload
from qobs.model import Batch, Calibration, GateCalibration, Measured, QubitCalibration, Raw, Unmapped
from qobs.sources.decode import BadRecord, convert_record, decode_object, quarantine
from qobs.sources.quantum.ibm_jobs import PROVIDER, Owner
from qobs.sources.typed import decode_typed

_PREFIXES: Mapping[str, int] = {
    "": 0,
    "f": -15,
    "p": -12,
    "n": -9,
    "u": -6,
    "\N{MICRO SIGN}": -6,
    "\N{GREEK SMALL LETTER MU}": -6,
    "m": -3,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
}
"""Powers of ten. The service writes micro as ``u``; some saved snapshots have the sign."""

SECOND, HERTZ, RATIO = "s", "Hz", ""

_QUBIT_FIELDS: Mapping[str, tuple[str, str]] = {
    "T1": ("t1_seconds", SECOND),
    "T2": ("t2_seconds", SECOND),
    "frequency": ("frequency_hertz", HERTZ),
    "anharmonicity": ("anharmonicity_hertz", HERTZ),
    "readout_error": ("readout_error", RATIO),
    "prob_meas0_prep1": ("prob_meas0_prep1", RATIO),
    "prob_meas1_prep0": ("prob_meas1_prep0", RATIO),
    "readout_length": ("readout_seconds", SECOND),
}

_NOT_GATES = frozenset({"measure", "measure_2", "reset", "reset_2", "delay"})
_VIRTUAL = frozenset({"rz", "u1", "p", "id"})
"""One-qubit gates whose figures say nothing about whether the qubit can be driven."""

_NOT_CALIBRATED = 1.0


class _Parameter(msgspec.Struct, frozen=True, gc=False):
    """One figure. Any member may be of any type: what cannot be used costs only itself."""

    name: Any = None
    value: Any = None
    unit: Any = ""
    date: Any = None


class _Gate(msgspec.Struct, frozen=True, gc=False):
    gate: str
    qubits: tuple[int, ...]
    parameters: list[_Parameter] = []


class _Properties(msgspec.Struct, frozen=True):
    last_update_date: datetime
    backend_name: str | None = None
    backend_version: str | None = None
    qubits: list[list[_Parameter]] = []
    gates: list[dict[str, Any]] = []


class _Ordinary(msgspec.Struct, frozen=True):
    """Properties whose gates can all be read."""

    last_update_date: datetime
    backend_name: str | None = None
    backend_version: str | None = None
    qubits: list[list[_Parameter]] = []
    gates: list[_Gate] = []


_ORDINARY = msgspec.json.Decoder(_Ordinary)


class _Configuration(msgspec.Struct, frozen=True):
    coupling_map: tuple[tuple[int, int], ...] | None = None


@dataclass(slots=True)
class _Reader:
    """Reads parameters of one snapshot: remembers times already parsed, and counts what it could not use."""

    unmapped: dict[Unmapped, None] = field(default_factory=dict)
    _times: dict[str, datetime | None] = field(default_factory=dict)
    _powers: dict[tuple[str, str], int | None] = field(default_factory=dict)

    def measured(self, parameter: _Parameter, base: str) -> Measured | None:
        """The parameter in base units with its own time; None where it cannot be used."""
        value, unit = parameter.value, parameter.unit
        kind = type(value)
        if (kind is not float and kind is not int) or not math.isfinite(value):
            self._skip(parameter, "not a number")
            return None
        power = self._power(unit, base) if isinstance(unit, str) else None
        if power is None:
            self._skip(parameter, f"unit {str(unit)[:16]}")
            return None
        scaled = value * 10.0**power if power >= 0 else value / 10.0**-power
        # Times are not negative and ratios lie in [0, 1]; an anharmonicity may well be negative.
        if (scaled > 1 and base == RATIO) or (scaled < 0 and (base == RATIO or parameter.name != "anharmonicity")):
            self._skip(parameter, "out of range")
            return None
        return Measured(scaled, self.time(parameter.date))

    def _power(self, unit: str, base: str) -> int | None:
        key = (unit, base)
        if key not in self._powers:
            self._powers[key] = _power(unit, base)
        return self._powers[key]

    def _skip(self, parameter: _Parameter, why: str) -> None:
        self.unmapped[Unmapped(f"properties.{str(parameter.name)[:40]}", why)] = None

    def time(self, text: object) -> datetime | None:
        """An ISO 8601 time with any offset as UTC; one without an offset is UTC."""
        if not isinstance(text, str):
            return None
        if text not in self._times:
            self._times[text] = self._parsed(text)
        return self._times[text]

    def _parsed(self, text: str) -> datetime | None:
        try:
            return _utc(datetime.fromisoformat(text))
        except (ValueError, BadRecord):
            self.unmapped[Unmapped("properties.date", "not a time")] = None
            return None


def calibration(raw: Raw, owner: Owner) -> Batch:
    """``/backends/{name}/properties``, with ``configuration`` as companion where the couplings are known from it.

    An empty object is a backend without properties: an empty batch.

    Raises:
        BadPayload: the body is no JSON object.
    """
    backend = raw.about.get("backend")
    reader = _Reader()
    try:
        properties = _properties(raw.body, reader)
        if properties is None:
            return Batch()
        calibrated_at = _utc(properties.last_update_date)
    except BadRecord as bad:
        return Batch(quarantined=(quarantine(raw.stream, raw.body, bad.reason, record_id=backend),))
    gates = tuple([_gate(gate, reader) for gate in properties.gates if gate.gate not in _NOT_GATES])
    record = Calibration(
        provider=PROVIDER,
        source=owner.source,
        account=owner.account,
        backend=backend or properties.backend_name or "",
        calibrated_at=calibrated_at,
        version=properties.backend_version,
        qubits=_qubits(properties, gates, reader),
        gates=gates,
        couplings=_couplings(raw, gates, reader),
    )
    return Batch(calibrations=(record,), unmapped=tuple(reader.unmapped))


def _properties(body: bytes, reader: _Reader) -> _Ordinary | None:
    """The properties; None for an empty object.

    Raises:
        BadRecord: they are not what the contract says.
        BadPayload: the body is no JSON object.
    """
    # Nearly every snapshot can be decoded as it should be: 18 ms where dictionaries take 55.
    if (ordinary := decode_typed(body, _ORDINARY)) is not None:
        return ordinary
    told = decode_object(body, what="ibm /backends/{name}/properties")
    return _usable(convert_record(told, _Properties), reader) if told else None


def _usable(properties: _Properties, reader: _Reader) -> _Ordinary:
    """Without the gates that cannot be read, which are counted."""
    gates = []
    for entry in properties.gates:
        try:
            gates.append(convert_record(entry, _Gate))
        except BadRecord:
            reader.unmapped[Unmapped("properties.gates", "not a gate")] = None
    return _Ordinary(
        last_update_date=properties.last_update_date,
        backend_name=properties.backend_name,
        backend_version=properties.backend_version,
        qubits=properties.qubits,
        gates=gates,
    )


def _qubits(properties: _Ordinary, gates: tuple[GateCalibration, ...], reader: _Reader) -> tuple[QubitCalibration, ...]:
    faulty, readout = _undriven(gates), _readout(properties.gates, reader)
    qubits = []
    for qubit, parameters in enumerate(properties.qubits):
        fields: dict[str, Any] = dict(readout.get(qubit, {}))
        operational = qubit not in faulty
        for parameter in parameters:
            name = parameter.name
            if name == "operational":
                operational = operational and bool(parameter.value)
            elif isinstance(name, str) and name in _QUBIT_FIELDS:
                target, base = _QUBIT_FIELDS[name]
                fields[target] = reader.measured(parameter, base)
        qubits.append(QubitCalibration(qubit=qubit, operational=operational, **fields))
    return tuple(qubits)


def _undriven(gates: Iterable[GateCalibration]) -> frozenset[int]:
    """Qubits none of whose physical one-qubit gates is calibrated."""
    good: set[int] = set()
    faulty: set[int] = set()
    for gate in gates:
        if len(gate.qubits) == 1 and gate.gate not in _VIRTUAL:
            (faulty if gate.faulty else good).add(gate.qubits[0])
    return frozenset(faulty - good)


def _gate(gate: _Gate, reader: _Reader) -> GateCalibration:
    error = duration = None
    for parameter in gate.parameters:
        if parameter.name == "gate_error":
            error = reader.measured(parameter, RATIO)
        elif parameter.name == "gate_length":
            duration = reader.measured(parameter, SECOND)
    faulty = error is not None and error.value == _NOT_CALIBRATED
    return GateCalibration(
        gate=gate.gate, qubits=gate.qubits, error=None if faulty else error, duration_seconds=duration, faulty=faulty
    )


def _readout(gates: Iterable[_Gate], reader: _Reader) -> dict[int, dict[str, Measured]]:
    """Readout figures by qubit from the ``measure`` entries of the snapshots that have them."""
    figures: dict[int, dict[str, Measured]] = {}
    for gate in gates:
        if gate.gate != "measure" or len(gate.qubits) != 1:
            continue
        read = _gate(gate, reader)
        found = {"readout_error": read.error, "readout_seconds": read.duration_seconds}
        figures[gate.qubits[0]] = {name: value for name, value in found.items() if value is not None}
    return figures


def _couplings(raw: Raw, gates: tuple[GateCalibration, ...], reader: _Reader) -> tuple[tuple[int, int], ...]:
    """Directed pairs: of the configuration where it is at hand, else those on which a two-qubit gate is listed."""
    companion = raw.companions.get("configuration")
    if companion is not None:
        try:
            told = convert_record(decode_object(companion, what="ibm configuration"), _Configuration).coupling_map
            if told is not None:
                return told
        except (BadPayload, BadRecord):
            reader.unmapped[Unmapped("configuration", "coupling_map")] = None
    pairs = {(gate.qubits[0], gate.qubits[1]) for gate in gates if len(gate.qubits) == 2}
    return tuple(sorted(pairs))


def _power(unit: str, base: str) -> int | None:
    """The power of ten from ``unit`` to ``base``; None where ``unit`` is of another kind.

    Example:
        >>> _power("us", "s"), _power("GHz", "Hz"), _power("", ""), _power("us", "Hz")
        (-6, 9, 0, None)
    """
    unit = unit.strip()
    if base == RATIO:
        return 0 if unit == "" else None
    return _PREFIXES.get(unit.removesuffix(base)) if unit.endswith(base) else None


def _utc(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise BadRecord("a time lies outside the years 1 to 9999") from None
