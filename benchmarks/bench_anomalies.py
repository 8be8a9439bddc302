"""How often the drift rule opens a ticket for nothing, how soon it finds a fault, and what it says of real devices.

    .venv/bin/python benchmarks/bench_anomalies.py [--backends 200] [--csv FOLDER]

Made-up devices publish five figures once a day with independent lognormal noise. False tickets: a steady device, all figures
and both tests together. Detection: from day 40 on the error of two-qubit gates is doubled, or grows by 2 % a day.
``--csv`` reads calibration tables as IBM's dashboard exports them (``ibm_fez_calibrations_2025-05-02T00_22_19Z.csv``; the
columns differ from export to export) and plays them through the detector, backend by backend.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from qobs.insight.anomaly import State, Verdict
from qobs.insight.drift import Watch, histories
from qobs.insight.figures import Observation, Reading, observed
from qobs.insight.track import LEAST
from qobs.model import Calibration, GateCalibration, Measured, QubitCalibration

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DEVICE = {"t1": 2e-4, "t2": 1.5e-4, "readout_error": 0.015, "gate_error_1q": 2.5e-4, "gate_error_2q": 7e-3}
CHANGED = "gate_error_2q"
CHANGE_DAY = 40
FAULTS: Mapping[str, Callable[[int], float]] = {
    "error x2": lambda days: 2.0,
    "error +2 %/day": lambda days: 1.02 ** (days + 1),
}

NOTHING = Verdict(signal="", state=State.NO_DATA, score=0.0)

Row = tuple[object, ...]


def device(rng: random.Random, days: int, noise: float, fault: Callable[[int], float] | None = None) -> list[Observation]:
    """Daily snapshots of one device; the fault multiplies one error from its day on."""
    told = []
    for day in range(days):
        values = {name: usual * math.exp(rng.gauss(0.0, noise)) for name, usual in DEVICE.items()}
        if fault is not None and day >= CHANGE_DAY:
            values[CHANGED] *= fault(day - CHANGE_DAY)
        readings = {name: Reading(value) for name, value in values.items()}
        told.append(Observation(at=BEGIN + timedelta(days=day), readings=readings))
    return told


def alarming(watch: Watch) -> list[str]:
    """Figures that are anomalous."""
    return [verdict.signal for verdict in watch.verdicts if verdict.state is State.ANOMALOUS]


def tickets(told: Sequence[Observation]) -> int:
    """How often the first figure of a device becomes anomalous."""
    alarms = [bool(alarming(watch)) for watch in histories(told)]
    return sum(now and not before for before, now in zip([False, *alarms], alarms, strict=False))


def false_tickets(noises: Sequence[float], backends: int, seed: int) -> Iterator[Row]:
    """One row for each level of noise."""
    for noise in noises:
        rng = random.Random(seed)
        begin = time.process_time()
        each = [tickets(device(rng, 100, noise)) for _ in range(backends)]
        opened, hit = sum(each), sum(map(bool, each))
        cost = (time.process_time() - begin) / (backends * 100)
        judged = backends * (100 - LEAST)
        yield f"{noise:.0%}", judged, opened, f"{1000 * opened / judged:.2f}", f"{hit / backends:.3f}", f"{1e6 * cost:.0f}"


def detections(noises: Sequence[float], backends: int, seed: int) -> Iterator[Row]:
    """One row for each level of noise and fault."""
    for noise in noises:
        for name, fault in FAULTS.items():
            rng = random.Random(seed)
            delays = sorted(delay(device(rng, 100, noise, fault)) for _ in range(backends))
            yield f"{noise:.0%}", name, statistics.median(delays), delays[math.ceil(0.95 * len(delays)) - 1]


def delay(told: Sequence[Observation]) -> float:
    """Snapshots from the first changed one to the ticket on the changed figure, both counted."""
    for day, watch in enumerate(histories(told)):
        if day >= CHANGE_DAY and f"calibration_{CHANGED}" in alarming(watch):
            return day - CHANGE_DAY + 1
    return math.inf


def real(folder: Path) -> Iterator[Row]:
    """One row for each backend of a folder of exports."""
    series: dict[str, list[Calibration]] = {}
    for path in sorted(folder.rglob("*_calibrations_*.csv")):
        calibration = read_export(path)
        series.setdefault(calibration.backend, []).append(calibration)
    for backend, calibrations in sorted(series.items()):
        told = sorted(map(observed, calibrations), key=lambda each: each.order)
        watches = list(zip((each.at for each in told), histories(told), strict=True))
        judged = sum(any(v.score is not None for v in watch.verdicts) for _, watch in watches)
        score = max((v.score, v.signal) for _, watch in watches for v in (*watch.verdicts, NOTHING) if v.score is not None)
        highest = f"{score[0]:.2f} {score[1].removeprefix('calibration_')}" if judged else "-"
        found = "too few" if judged < 2 else f"calibration_{CHANGED}" in alarming(deque(histories(spoilt(told)), maxlen=1)[0])
        yield backend, len(told), judged, "; ".join(openings(watches)) or "none", highest, found


def spoilt(told: Sequence[Observation]) -> list[Observation]:
    """The history with twice the error of two-qubit gates in the last two snapshots."""
    worse = []
    for each in told[-2:]:
        reading = each.readings[CHANGED]
        worse.append(Observation(at=each.at, readings={**each.readings, CHANGED: Reading(2.0 * reading.value)}))
    return [*told[:-2], *worse]


def openings(watches: Sequence[tuple[datetime, Watch]]) -> Iterator[str]:
    """Every breach: when, which figure, from which baseline to which value."""
    for at, watch in watches:
        for verdict in watch.verdicts:
            if verdict.state in (State.SUSPECT, State.ANOMALOUS):
                change = f"{verdict.baseline:.3g} to {verdict.value:.3g}"
                yield f"{at:%Y-%m-%d} {verdict.state} {verdict.signal.removeprefix('calibration_')} {change} ({verdict.test})"


def read_export(path: Path) -> Calibration:
    """One table of IBM's dashboard. Errors of exactly 1 are the mark of a gate that is not calibrated."""
    backend, _, moment = path.stem.partition("_calibrations_")
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if "," in line]
    rows = [{key.strip(): value.strip() for key, value in row.items() if key} for row in csv.DictReader(lines)]
    return Calibration(
        provider="ibm",
        source="exports",
        account="",
        backend=backend,
        calibrated_at=datetime.strptime(moment, "%Y-%m-%dT%H_%M_%SZ").replace(tzinfo=UTC),
        qubits=tuple(map(_qubit, rows)),
        gates=tuple(gate for row in rows for gate in (*_single(row), *_double(row))),
    )


def _qubit(row: Mapping[str, str]) -> QubitCalibration:
    return QubitCalibration(
        qubit=int(row["Qubit"]),
        operational=row.get("Operational", "true").lower() in ("true", "yes"),
        t1_seconds=_number(row.get("T1 (us)"), 1e-6),
        t2_seconds=_number(row.get("T2 (us)"), 1e-6),
        readout_error=_number(row.get("Readout assignment error"), 1.0),
        readout_seconds=_number(row.get("Readout length (ns)"), 1e-9),
    )


def _single(row: Mapping[str, str]) -> Iterator[GateCalibration]:
    error = _number(row.get("√x (sx) error"), 1.0)
    if error is not None:
        faulty = error.value == 1.0
        yield GateCalibration(gate="sx", qubits=(int(row["Qubit"]),), error=None if faulty else error, faulty=faulty)


def _double(row: Mapping[str, str]) -> Iterator[GateCalibration]:
    """Two-qubit gates of the row's qubit: ``0_15:0.0036;0_1:0.0028``, or ``15:0.0036;1:0.0028``."""
    own = int(row["Qubit"])
    durations = dict(_pairs(row.get("Gate time (ns)") or row.get("Gate length (ns)")))
    for name in ("ECR", "CZ"):
        for pair, error in _pairs(row.get(f"{name} error")):
            faulty = error == 1.0
            seconds = durations.get(pair)
            yield GateCalibration(
                gate=name.lower(),
                qubits=(own, int(pair.rpartition("_")[2])),
                error=None if faulty else Measured(error),
                duration_seconds=None if seconds is None else Measured(seconds * 1e-9),
                faulty=faulty,
            )


def _pairs(text: str | None) -> Iterator[tuple[str, float]]:
    for entry in (text or "").split(";"):
        pair, colon, value = entry.partition(":")
        if colon:
            yield pair, float(value)


def _number(text: str | None, unit: float) -> Measured | None:
    return Measured(float(text) * unit) if text else None


def show(title: str, heads: Sequence[str], rows: Iterator[Row]) -> None:
    """Print a table."""
    print(f"\n{title}\n")
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", type=int, default=200, help="simulated for each row")
    parser.add_argument(
        "--noises", type=float, nargs="*", default=[0.03, 0.05, 0.1, 0.2], help="of one snapshot, as a part of the value"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", type=Path, help="folder of exported calibration tables")
    given = parser.parse_args()
    heads = ("noise", "snapshots judged", "false tickets", "per 1000", "devices with any", "CPU us a snapshot")
    show("False tickets of a steady device", heads, false_tickets(given.noises, given.backends, given.seed))
    heads = ("noise", "fault", "median snapshots to the ticket", "95 %")
    show("Detection", heads, detections(given.noises, given.backends, given.seed))
    if given.csv is not None:
        heads = ("backend", "snapshots", "judged", "breaches", "highest score", "ticket if the last two had twice the 2q error")
        show("Real devices", heads, real(given.csv))


if __name__ == "__main__":
    main()
