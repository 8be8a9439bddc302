"""Every device snapshot that IBM ships with its client: read whole, in sane units.

``tests/fixtures/ibm/snapshots`` holds all properties and configurations of qiskit-ibm-runtime 0.51.0 (Apache-2.0): 68 devices
from one to 156 qubits, 2020 to 2026. What the test reads itself it reads straight from the JSON, not through the source.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest

from qobs.model import Batch, Calibration, Measured, Raw, Stream
from qobs.sources.quantum import ibm_calibration
from qobs.sources.quantum.ibm_jobs import Owner

SNAPSHOTS = Path(__file__).parents[2] / "fixtures" / "ibm" / "snapshots"
DEVICES = sorted(path.name.removeprefix("props_").removesuffix(".json.gz") for path in SNAPSHOTS.glob("props_*.json.gz"))
NOT_GATES = {"measure", "measure_2", "reset", "reset_2", "delay"}
FACTORS = {"us": 1e-6, "µs": 1e-6, "ns": 1e-9, "GHz": 1e9, "": 1.0}
QUBIT_FIELDS = {
    "T1": "t1_seconds",
    "T2": "t2_seconds",
    "frequency": "frequency_hertz",
    "anharmonicity": "anharmonicity_hertz",
    "readout_error": "readout_error",
    "prob_meas0_prep1": "prob_meas0_prep1",
    "prob_meas1_prep0": "prob_meas1_prep0",
    "readout_length": "readout_seconds",
}
FAULTY = {
    "fez": {"cz": 14, "rzz": 98},
    "marrakesh": {"cz": 26, "rzz": 136},
    "kingston": {"cz": 14, "rzz": 22, "id": 5, "rx": 5, "sx": 5, "x": 5},
    "berlin": {"cz": 12},
    "kyoto": {"ecr": 144},
}
"""Gates with an error of exactly 1, counted by hand in the published files."""

UNPUBLISHED = {"cairo": {(0, 1), (7, 10)}}
"""Couplings without a gate entry."""


class Snapshot(NamedTuple):
    """One device: the published JSON, and what the source made of it."""

    device: str
    published: dict[str, Any]
    batch: Batch
    calibration: Calibration


def _load(kind: str, device: str) -> bytes | None:
    path = SNAPSHOTS / f"{kind}_{device}.json.gz"
    return gzip.decompress(path.read_bytes()) if path.exists() else None


def _read(device: str) -> Snapshot:
    body, configuration = _load("props", device), _load("conf", device)
    assert body is not None
    raw = Raw(
        stream=Stream.CALIBRATIONS,
        kind="properties",
        body=body,
        fetched_at=datetime(2026, 9, 14, tzinfo=UTC),
        companions={} if configuration is None else {"configuration": configuration},
    )
    batch = ibm_calibration.calibration(raw, Owner("lab", "a/1:2"))
    return Snapshot(device, json.loads(body), batch, batch.calibrations[0])


@pytest.fixture(scope="module", params=DEVICES)
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    """Every device in turn, read once."""
    return _read(request.param)


def _measured(calibration: Calibration, fields: str) -> Iterator[Measured]:
    for record in (*calibration.qubits, *calibration.gates):
        for name in fields.split():
            value = getattr(record, name, None)
            if value is not None:
                yield value


def test_all_devices_are_here() -> None:
    """A glob that finds nothing would let every other claim here pass."""
    assert len(DEVICES) == 69, "68 devices, one of them in two forms"


def test_snapshot_is_read_whole_and_in_sane_units(snapshot: Snapshot) -> None:
    """One wrong prefix puts a T1 a thousandfold off, and every calibration verdict with it."""
    published, calibration = snapshot.published, snapshot.calibration
    assert (snapshot.batch.quarantined, snapshot.batch.unmapped) == ((), ())
    assert len(calibration.qubits) == len(published["qubits"])
    assert len(calibration.gates) == sum(gate["gate"] not in NOT_GATES for gate in published["gates"])
    assert calibration.calibrated_at == datetime.fromisoformat(published["last_update_date"])
    assert calibration.calibrated_at.tzinfo is UTC
    assert all(1e-9 < value.value < 0.1 for value in _measured(calibration, "t1_seconds t2_seconds"))
    assert all(1e9 < value.value < 1e11 for value in _measured(calibration, "frequency_hertz"))
    assert all(-1e9 < value.value <= 0 for value in _measured(calibration, "anharmonicity_hertz"))
    assert all(0 <= value.value < 1e-3 for value in _measured(calibration, "duration_seconds readout_seconds"))
    assert all(0 <= value.value <= 1 for value in _measured(calibration, "error readout_error prob_meas0_prep1 prob_meas1_prep0"))
    years = {value.at.year for value in _measured(calibration, "t1_seconds error duration_seconds") if value.at is not None}
    assert years <= set(range(2019, 2027))


def test_every_published_figure_of_a_qubit_is_kept_as_published(snapshot: Snapshot) -> None:
    """No figure is dropped, moved to another qubit, clipped or dated otherwise."""
    published, calibration = snapshot.published, snapshot.calibration
    for parameters, qubit in zip(published["qubits"], calibration.qubits, strict=True):
        wanted = {QUBIT_FIELDS[p["name"]]: p for p in parameters if p["name"] in QUBIT_FIELDS}
        for field, parameter in wanted.items():
            value = getattr(qubit, field)
            assert value.value == pytest.approx(parameter["value"] * FACTORS[parameter["unit"]], rel=1e-12)
            assert value.at == datetime.fromisoformat(parameter["date"])


def test_an_error_of_exactly_one_is_faulty_and_has_no_error(snapshot: Snapshot) -> None:
    """A mean over the mark of an uncalibrated gate is off by a factor of ten and more."""
    published, calibration = snapshot.published, snapshot.calibration
    marked = Counter(
        gate["gate"]
        for gate in published["gates"]
        for parameter in gate["parameters"]
        if gate["gate"] not in NOT_GATES and parameter["name"] == "gate_error" and parameter["value"] == 1
    )
    found = Counter(gate.gate for gate in calibration.gates if gate.faulty)
    assert found == marked
    assert all(gate.error is None for gate in calibration.gates if gate.faulty)
    assert all(gate.error is None or gate.error.value < 1 for gate in calibration.gates)
    if snapshot.device in FAULTY:
        assert found == FAULTY[snapshot.device]


def test_couplings_of_the_configuration_hold_all_pairs_with_a_gate(snapshot: Snapshot) -> None:
    """Where a configuration is missing the gates stand in: both must tell of the same chip."""
    pairs = {tuple(sorted(gate.qubits)) for gate in snapshot.calibration.gates if len(gate.qubits) == 2}
    couplings = {tuple(sorted(pair)) for pair in snapshot.calibration.couplings}
    assert couplings - pairs == UNPUBLISHED.get(snapshot.device, set())
    assert pairs <= couplings


def test_kingston_keeps_what_is_odd_about_it() -> None:
    """The service sends 07:15:15Z where the file says 09:15:15+02:00, and a qubit without T1 is not a qubit with T1 zero."""
    calibration = _read("kingston").calibration
    assert calibration.calibrated_at == datetime(2026, 4, 15, 7, 15, 15, tzinfo=UTC)
    qubit = calibration.qubits[146]
    assert (qubit.t1_seconds, qubit.t2_seconds, qubit.operational) == (None, None, False)
    assert qubit.readout_error is not None
    assert qubit.readout_error.value == pytest.approx(0.507, abs=5e-4)
    late = [
        value for value in _measured(calibration, "error duration_seconds") if value.at and value.at > calibration.calibrated_at
    ]
    assert late, "entries dated after the last update are kept with their own time"


def test_t2_above_twice_t1_is_kept_as_published() -> None:
    """Five qubits of torino are published so; clipping would hide that IBM's own figures need care."""
    qubits = _read("torino").calibration.qubits
    assert sum(q.t2_seconds.value > 2 * q.t1_seconds.value for q in qubits if q.t1_seconds and q.t2_seconds) == 5


def test_parameter_times_may_be_months_older_than_the_snapshot() -> None:
    """Freshness judged by the snapshot's own date would call a two months old figure new."""
    calibration = _read("fez").calibration
    oldest = min(value.at for value in _measured(calibration, "t1_seconds error") if value.at is not None)
    assert oldest.date().isoformat() == "2024-12-28"
    assert (calibration.calibrated_at - oldest).days == 60


def test_figures_agree_with_an_export_of_the_dashboard() -> None:
    """IBM's dashboard shows the same device in its own units: an independent check of ours, ten weeks apart."""
    text = gzip.decompress((SNAPSHOTS.parent / "ibm_torino_calibrations_2025-05-02.csv.gz").read_bytes()).decode()
    rows = list(csv.DictReader(text.splitlines()))
    calibration = _read("torino").calibration
    assert len(rows) == len(calibration.qubits)
    for column, field, factor in (("T1 (us)", "t1_seconds", 1e6), ("T2 (us)", "t2_seconds", 1e6)):
        theirs = median(float(row[column]) for row in rows if row[column])
        ours = median(value.value * factor for value in _measured(calibration, field))
        assert theirs / 1.5 < ours < theirs * 1.5
    assert {float(row["Readout length (ns)"]) for row in rows} == {
        round(qubit.readout_seconds.value * 1e9) for qubit in calibration.qubits if qubit.readout_seconds
    }
