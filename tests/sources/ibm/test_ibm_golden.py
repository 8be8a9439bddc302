"""Golden pairs: what IBM sends, and the records that qobs makes of it.

Each folder of ``tests/fixtures/ibm/golden`` holds ``payload.json``, companions, and ``expected.json``. After a wanted change run
with ``QOBS_REFRESH_GOLDEN=1`` and read the difference.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest

from qobs.errors import BadPayload
from qobs.model import Batch, Calibration, GateCalibration, QubitCalibration, Raw, Stream
from qobs.sources.base import Source

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ibm"
GOLDEN = FIXTURES / "golden"
REFRESH = os.environ.get("QOBS_REFRESH_GOLDEN") == "1"
FETCHED = datetime(2026, 9, 12, 12, tzinfo=UTC)

KINDS = {
    "jobs": (Stream.JOBS, "jobs"),
    "job": (Stream.JOBS, "job"),
    "backends": (Stream.STATUS, "backends"),
    "properties": (Stream.CALIBRATIONS, "properties"),
    "usage": (Stream.QUOTAS, "usage"),
}
ABOUT = {"job": {"id": "d2job"}, "properties": {"backend": "ibm_golden"}}
SPECIAL: dict[str, tuple[str, dict[str, str]]] = {
    "job_missing": ("missing", {"id": "d2gone"}),
    "job_without_metrics": ("job", {"id": "d2job", "no metrics": "yes"}),
}
CASES = sorted(path.name for path in GOLDEN.iterdir())


def _raw(case: str) -> Raw:
    stream, kind = KINDS[case.split("_")[0]]
    kind, about = SPECIAL.get(case, (kind, ABOUT.get(kind, {})))
    bodies = {path.stem: path.read_bytes() for path in sorted((GOLDEN / case).glob("*.json")) if path.stem != "expected"}
    return Raw(stream=stream, kind=kind, body=bodies.pop("payload"), fetched_at=FETCHED, about=about, companions=bodies)


def _check(path: Path, found: bytes) -> None:
    if REFRESH:
        path.write_bytes(found)
    assert found.decode() == path.read_text()


@pytest.mark.parametrize("case", CASES)
def test_payload_gives_exactly_the_expected_records(case: str, make_source: Callable[..., Source]) -> None:
    """A field that moves or a unit that changes shows here first, before it bends a chart."""
    batch = make_source().normalize(_raw(case))
    _check(GOLDEN / case / "expected.json", msgspec.json.format(msgspec.json.encode(batch), indent=1) + b"\n")


@pytest.mark.parametrize("case", CASES)
def test_expected_records_survive_a_round_trip(case: str) -> None:
    """A golden file that does not decode into the schema would compare text, not records."""
    batch = msgspec.json.decode((GOLDEN / case / "expected.json").read_bytes(), type=Batch)
    assert msgspec.json.decode(msgspec.json.encode(batch), type=Batch) == batch


def _summary(calibration: Calibration) -> dict[str, Any]:
    """Counts, medians and a few whole entries: what a reader can check by hand against a 0.5 MB snapshot."""
    names = sorted({gate.gate for gate in calibration.gates})
    figures = [field.name for field in msgspec.structs.fields(QubitCalibration) if field.name not in ("qubit", "operational")]

    def by_gate(test: Callable[[GateCalibration], bool]) -> dict[str, int]:
        return {name: sum(gate.gate == name and test(gate) for gate in calibration.gates) for name in names}

    def middle(values: list[float]) -> float | None:
        return median(values) if values else None

    return {
        "calibrated_at": calibration.calibrated_at,
        "version": calibration.version,
        "qubits": len(calibration.qubits),
        "not_operational": [qubit.qubit for qubit in calibration.qubits if not qubit.operational],
        "published": {name: sum(getattr(q, name) is not None for q in calibration.qubits) for name in figures},
        "medians": {
            name: middle([getattr(q, name).value for q in calibration.qubits if getattr(q, name) is not None]) for name in figures
        },
        "gates": by_gate(lambda gate: True),
        "faulty": by_gate(lambda gate: gate.faulty),
        "median_errors": {
            name: middle([gate.error.value for gate in calibration.gates if gate.gate == name and gate.error is not None])
            for name in names
        },
        "couplings": len(calibration.couplings),
        "first_qubit": calibration.qubits[0],
        "last_qubit": calibration.qubits[-1],
        "first_faulty": next((gate for gate in calibration.gates if gate.faulty), None),
        "last_gate": calibration.gates[-1],
    }


@pytest.mark.parametrize("device", ["torino", "brisbane", "kingston", "berlin"])
def test_large_snapshot_gives_the_expected_figures(device: str, make_source: Callable[..., Source]) -> None:
    """Faulty gates, missing parameters and medians of whole devices stay what a hand count says."""
    read = {
        kind: gzip.decompress((FIXTURES / "snapshots" / f"{kind}_{device}.json.gz").read_bytes()) for kind in ("props", "conf")
    }
    raw = Raw(
        stream=Stream.CALIBRATIONS,
        kind="properties",
        body=read["props"],
        fetched_at=FETCHED,
        about={"backend": f"ibm_{device}"},
        companions={"configuration": read["conf"]},
    )
    (calibration,) = make_source().normalize(raw).calibrations
    _check(
        FIXTURES / "summaries" / f"{device}.json",
        msgspec.json.format(msgspec.json.encode(_summary(calibration)), indent=1) + b"\n",
    )


@pytest.mark.parametrize("kind", ["jobs", "job", "backends", "properties", "usage"])
@pytest.mark.parametrize("body", [b"", b"<html>maintenance</html>", b"null", b"[]", b'{"jobs": [', b'"ok"'])
def test_answer_that_is_no_object_is_refused_as_a_whole(kind: str, body: bytes, make_source: Callable[..., Source]) -> None:
    """A maintenance page must count as a failed poll, never as an empty list of jobs."""
    with pytest.raises(BadPayload):
        make_source().normalize(Raw(stream=Stream.JOBS, kind=kind, body=body, fetched_at=FETCHED))


@pytest.mark.parametrize(("kind", "body"), [("jobs", {"count": 0}), ("jobs", {"jobs": {}}), ("backends", {"devices": "none"})])
def test_object_without_its_list_is_refused_as_a_whole(
    kind: str, body: dict[str, Any], make_source: Callable[..., Source]
) -> None:
    """An error object with status 200 must not read as "no jobs"."""
    with pytest.raises(BadPayload):
        make_source().normalize(Raw(stream=Stream.JOBS, kind=kind, body=json.dumps(body).encode(), fetched_at=FETCHED))
