"""IBM's dashboard export of a calibration, a CSV file, into :class:`~qobs.model.Calibration`. Pure.

Columns differ between exports (2023 to 2025), so they are found by their names, with the unit that each name states. Figures of
two-qubit gates share a cell, ``1_0:0.0076;1_2:0.0081`` or, later, ``0:0.0076;2:0.0081`` in the row of qubit 1. What the file
does not tell is None: early exports have no duration of one-qubit gates, and none tells a duration of RZZ.

The file holds neither its backend nor its time: both are in the name that IBM gives it, and in the first line of some exports.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from qobs.errors import BadPayload
from qobs.model import Calibration, GateCalibration, Measured, QubitCalibration, Unmapped

MOST_QUBITS = 4_096
"""Rows that are read; a file of more is no export of a device."""

_NAME = re.compile(r"([A-Za-z0-9]+(?:_[A-Za-z0-9]+)*?)_calibrations_(\d{4}-\d\d-\d\dT\d\d)_(\d\d)_(\d\d)Z")
_NOTHING = frozenset({"", "undefined", "null", "nan", "-"})
_MICRO, _NANO, _GIGA = 1e6, 1e9, 1e-9
"""Divisors to seconds, seconds and hertz: dividing keeps the digits that multiplying would change."""

_QUBIT_COLUMNS: Mapping[str, tuple[str, float]] = {
    "T1 (us)": ("t1_seconds", _MICRO),
    "T2 (us)": ("t2_seconds", _MICRO),
    "Frequency (GHz)": ("frequency_hertz", _GIGA),
    "Anharmonicity (GHz)": ("anharmonicity_hertz", _GIGA),
    "Readout assignment error": ("readout_error", 1.0),
    "Prob meas0 prep1": ("prob_meas0_prep1", 1.0),
    "Prob meas1 prep0": ("prob_meas1_prep0", 1.0),
    "Readout length (ns)": ("readout_seconds", _NANO),
}
_ONE_QUBIT_COLUMNS: Mapping[str, str] = {
    "ID error": "id",
    "RX error": "rx",
    "Z-axis rotation (rz) error": "rz",
    "√x (sx) error": "sx",
    "Pauli-X error": "x",
}
_TWO_QUBIT_COLUMNS: Mapping[str, str] = {"ECR error": "ecr", "CZ error": "cz", "CNOT error": "cx", "RZZ error": "rzz"}
_ONE_QUBIT_SECONDS = "Single-qubit gate length (ns)"
_TWO_QUBIT_SECONDS = ("Gate length (ns)", "Gate time (ns)")
_OPERATIONAL = "Operational"
_REPEATED = frozenset({"MEASURE error"})
"""What another column says as well."""
_KNOWN = {
    "Qubit",
    *_QUBIT_COLUMNS,
    *_ONE_QUBIT_COLUMNS,
    *_TWO_QUBIT_COLUMNS,
    _ONE_QUBIT_SECONDS,
    *_TWO_QUBIT_SECONDS,
    _OPERATIONAL,
    *_REPEATED,
}
_YES = frozenset({"true", "yes", "1"})


class Origin(NamedTuple):
    """What a file's name says: the backend, and when its figures were taken from the dashboard."""

    backend: str
    at: datetime


def origin(name: str) -> Origin | None:
    """Backend and time from a name as IBM gives it; None for any other.

    Example:
        >>> origin("ibm_torino_calibrations_2025-07-01T20_15_50Z.csv")
        Origin(backend='ibm_torino', at=datetime.datetime(2025, 7, 1, 20, 15, 50, tzinfo=datetime.timezone.utc))
    """
    match = _NAME.search(name[:512])
    if match is None:
        return None
    try:
        return Origin(match.group(1), datetime.fromisoformat(":".join(match.group(2, 3, 4))).replace(tzinfo=UTC))
    except ValueError:
        return None


def is_export(text: str) -> bool:
    """True where the text begins as an export does: with its columns, or with its name and then its columns."""
    return any(line.lstrip("\ufeff").replace('"', "").startswith("Qubit,T1 (us)") for line in text[:4096].splitlines()[:2])


def calibration(text: str, *, name: str, source: str = "", account: str = "") -> tuple[Calibration, tuple[Unmapped, ...]]:
    """The calibration of an export, and the columns and cells that were not understood.

    Args:
        text: The file.
        name: Its name as IBM gave it; not needed where the first line has it.
        source: Name of the configured source; empty for a file.
        account: The account; empty for a file.

    Raises:
        BadPayload: it is no such file, or neither name nor first line tells backend and time.
    """
    rows = _rows(text)
    found = origin(name)
    if rows and len(rows[0]) == 1:
        found = origin(rows[0][0]) or found
        rows = rows[1:]
    if not rows or rows[0][:1] != ["Qubit"]:
        raise BadPayload("ibm calibration export: its first column must be `Qubit`")
    if found is None:
        raise BadPayload("ibm calibration export: keep its name, <backend>_calibrations_<time>.csv, which tells backend and time")
    reader = _Reader(rows[0])
    for row in rows[1:]:
        reader.read(row)
    record = Calibration(
        provider="ibm",
        source=source,
        account=account,
        backend=found.backend,
        calibrated_at=found.at,
        qubits=tuple(reader.qubits[qubit] for qubit in sorted(reader.qubits)),
        gates=tuple(reader.gates),
        couplings=tuple(sorted({(gate.qubits[0], gate.qubits[1]) for gate in reader.gates if len(gate.qubits) == 2})),
    )
    return record, tuple(reader.unmapped)


def _rows(text: str) -> list[list[str]]:
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.lstrip("\ufeff").splitlines()) if row]
    except csv.Error as error:
        raise BadPayload(f"ibm calibration export: no CSV: {error}") from None
    if len(rows) > MOST_QUBITS + 2:
        raise BadPayload(f"ibm calibration export: {len(rows)} lines; at most {MOST_QUBITS} qubits are read")
    return rows


class _Reader:
    """Reads row by row; what cannot be read costs only itself, and is counted."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self.qubits: dict[int, QubitCalibration] = {}
        self.gates: list[GateCalibration] = []
        self.unmapped: dict[Unmapped, None] = {
            Unmapped("calibration_csv", column[:40]): None for column in columns if column not in _KNOWN
        }

    def read(self, row: Sequence[str]) -> None:
        """One qubit, with the gates that begin on it."""
        cells = dict(zip(self._columns, row, strict=False))
        qubit = _index(cells["Qubit"])
        if qubit is None or qubit in self.qubits:
            self._skip("Qubit", "no number of a qubit" if qubit is None else "a qubit twice")
            return
        single = list(self._one_qubit_gates(qubit, cells))
        self.gates += single
        self.gates += self._two_qubit_gates(qubit, cells)
        figures: dict[str, Any] = {
            field: self._figure(cells, column, divisor) for column, (field, divisor) in _QUBIT_COLUMNS.items()
        }
        undriven = [gate.faulty for gate in single if gate.gate in ("sx", "x")]
        operational = cells.get(_OPERATIONAL, "yes").lower() in _YES and not (undriven and all(undriven))
        self.qubits[qubit] = QubitCalibration(qubit=qubit, operational=operational, **figures)

    def _one_qubit_gates(self, qubit: int, cells: Mapping[str, str]) -> Iterator[GateCalibration]:
        seconds = self._figure(cells, _ONE_QUBIT_SECONDS, _NANO)
        for column, gate in _ONE_QUBIT_COLUMNS.items():
            if column in cells and (error := self._figure(cells, column, 1.0)) is not None:
                # Virtual: IBM turns a frame instead, in no time.
                yield _gate(gate, (qubit,), error, Measured(0.0) if gate == "rz" and error.value == 0 else seconds)

    def _two_qubit_gates(self, qubit: int, cells: Mapping[str, str]) -> Iterator[GateCalibration]:
        seconds: dict[int, float] = {}
        for column in _TWO_QUBIT_SECONDS:
            seconds |= self._partners(qubit, cells, column)
        for column, gate in _TWO_QUBIT_COLUMNS.items():
            for partner, error in self._partners(qubit, cells, column).items():
                length = seconds.get(partner) if gate != "rzz" else None
                if not 0 <= error <= 1:
                    self._skip(column, "out of range")
                else:
                    yield _gate(gate, (qubit, partner), Measured(error), None if length is None else Measured(length / _NANO))

    def _partners(self, qubit: int, cells: Mapping[str, str], column: str) -> dict[int, float]:
        """Values of a shared cell by the other qubit."""
        found: dict[int, float] = {}
        for part in cells.get(column, "").split(";"):
            if part.strip().lower() in _NOTHING:
                continue
            pair, _, value = part.partition(":")
            own, _, partner = pair.strip().rpartition("_")
            other, number = _index(partner), _number(value)
            if other is None or other == qubit or number is None or number < 0 or own not in ("", str(qubit)):
                self._skip(column, "not <qubit>:<value>")
            else:
                found[other] = number
        return found

    def _figure(self, cells: Mapping[str, str], column: str, divisor: float) -> Measured | None:
        text = cells.get(column, "")
        if text.lower() in _NOTHING:
            return None
        value = _number(text)
        # Times are not negative and ratios lie in [0, 1]; an anharmonicity may well be negative.
        if value is None or (divisor == 1.0 and not 0 <= value <= 1) or (value < 0 and column != "Anharmonicity (GHz)"):
            self._skip(column, "not a number" if value is None else "out of range")
            return None
        return Measured(value / divisor)

    def _skip(self, column: str, why: str) -> None:
        self.unmapped[Unmapped(f"calibration_csv.{column[:40]}", why)] = None


def _gate(gate: str, qubits: tuple[int, ...], error: Measured, seconds: Measured | None) -> GateCalibration:
    """An error of exactly one is IBM's mark of a gate that is not calibrated."""
    faulty = error.value == 1.0
    return GateCalibration(gate=gate, qubits=qubits, error=None if faulty else error, duration_seconds=seconds, faulty=faulty)


def _index(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None


def _number(text: str) -> float | None:
    try:
        value = float(text) if len(text) <= 64 else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
