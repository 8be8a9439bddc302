"""CPU and memory of a scrape at many series: our renderer and prometheus_client, in the same run, on the same facts.

Run: ``python benchmarks/bench_scrape.py [--series 100000] [--rounds 3]``. The client gets a custom collector (its fastest
way), which is handed the finished samples; ours starts from the snapshot and goes all the way to both packed formats.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from qobs.clock import SystemClock
from qobs.export.budget import Budget
from qobs.export.exposition import Exposition
from qobs.export.metrics import STATE_ROWS
from qobs.export.snapshot import CalibrationReading, ProcessState, Snapshot
from qobs.model import Calibration, DeviceCalibration, GateCalibration, Measured, QubitCalibration

QUBITS = 156
GATES = 820
SERIES_PER_DEVICE = 9 * QUBITS + 2 * GATES
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def device(index: int, shift: float = 0.0) -> CalibrationReading:
    """A heavy-hex device of 156 qubits, every qubit and gate shown."""
    name = f"ibm_bench_{index:03}"
    figure = Measured(0.000123 + index * 1e-9 + shift)
    qubits = tuple(
        QubitCalibration(
            qubit=qubit,
            t1_seconds=figure,
            t2_seconds=figure,
            frequency_hertz=Measured(4.9e9 + qubit * 1.1e6 + shift * 1e12),
            anharmonicity_hertz=Measured(-3.1e8 - shift * 1e12),
            readout_error=figure,
            prob_meas0_prep1=figure,
            prob_meas1_prep0=figure,
            readout_seconds=Measured(1.56e-06 + shift),
        )
        for qubit in range(QUBITS)
    )
    gates = tuple(
        GateCalibration(
            gate="cz",
            qubits=(n // 6, n % 6 + 200),
            error=Measured(0.0029 + n * 1e-7 + shift),
            duration_seconds=Measured(8.4e-08 + shift),
        )
        for n in range(GATES)
    )
    full = Calibration(provider="ibm", source="bench", account="a", backend=name, calibrated_at=NOW, qubits=qubits, gates=gates)
    return CalibrationReading(
        provider="ibm", source="bench", backend=name, calibrated_at=NOW, device=DeviceCalibration(), full=full
    )


def snapshot(series: int, shift: float = 0.0) -> Snapshot:
    """About ``series`` series of calibrations; another ``shift`` changes every number."""
    devices = tuple(device(index, shift) for index in range(round(series / SERIES_PER_DEVICE)))
    process = ProcessState(version="bench", revision="", python="", started_at=NOW)
    return Snapshot(now=NOW, process=process, calibrations=devices)


class Finished:
    """A custom collector over samples that were worked out before."""

    def __init__(self, families: list[tuple[Any, list[tuple[tuple[str, ...], float]]]]) -> None:
        """Keep the samples of each row."""
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Families as the client's documentation says to make them."""
        for row, samples in self._families:
            family = GaugeMetricFamily(row.name, row.help, labels=row.labels)
            for labels, value in samples:
                family.add_metric(labels, value)
            yield family


def cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """Median CPU seconds of ``work``."""
    taken = []
    for _ in range(rounds):
        gc.collect()
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return median(taken)


def peak_bytes(work: Callable[[], object]) -> int:
    """Most memory that ``work`` held beyond what was there."""
    gc.collect()
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    state = snapshot(arguments.series)
    exposition = Exposition(
        SystemClock(), budget=Budget(total=10**7, per_family=10**7, families=_unlimited()), min_interval_seconds=0.0
    )
    first = cpu_seconds(lambda: exposition.refresh(state), 1)
    ours = cpu_seconds(lambda: exposition.refresh(state), arguments.rounds)
    changed = iter([snapshot(arguments.series, (turn + 1) * 1e-9) for turn in range(arguments.rounds)])
    renewed = cpu_seconds(lambda: exposition.refresh(next(changed)), arguments.rounds)
    exposition.refresh(state)
    families = [(row, samples) for row in STATE_ROWS if row.kind == "gauge" and (samples := list(row.value(state)))]
    registry = CollectorRegistry()
    registry.register(Finished(families))  # type: ignore[arg-type]
    text = cpu_seconds(lambda: generate_latest(registry), arguments.rounds)
    openmetrics = cpu_seconds(lambda: generate_openmetrics(registry), arguments.rounds)
    serve = cpu_seconds(lambda: [exposition.rendered("application/openmetrics-text") for _ in range(1000)], 1) / 1000
    rendered = {
        name: exposition.rendered(accept) for name, accept in (("text", ""), ("openmetrics", "application/openmetrics-text"))
    }
    unpacked = _render_only(exposition, state, arguments.rounds)
    print(
        json.dumps(
            {
                "series": exposition.series,
                "ours_first_seconds": round(first, 4),
                "ours_both_formats_and_gzip_seconds": round(ours, 4),
                "ours_every_number_changed_seconds": round(renewed, 4),
                "ours_lines_of_both_formats_seconds": round(unpacked, 4),
                "client_text_seconds": round(text, 4),
                "client_openmetrics_seconds": round(openmetrics, 4),
                "times_faster_all_work_for_both_formats": round((text + openmetrics) / ours, 1),
                "times_faster_all_work_every_number_changed": round((text + openmetrics) / renewed, 1),
                "times_faster_rendering_both_formats": round((text + openmetrics) / unpacked, 1),
                "times_faster_our_both_against_client_text_alone": round(text / unpacked, 1),
                "serve_seconds_a_scrape": serve,
                "body_bytes": {name: len(each.plain) for name, each in rendered.items() if each is not None},
                "gzip_bytes": {name: len(each.packed) for name, each in rendered.items() if each is not None},
                "peak_bytes_ours": peak_bytes(lambda: exposition.refresh(state)),
                "peak_bytes_client_text": peak_bytes(lambda: generate_latest(registry)),
            },
            indent=2,
        )
    )


def _unlimited() -> dict[str, int]:
    return {row.name: 10**7 for row in STATE_ROWS}


def _render_only(exposition: Exposition, state: Snapshot, rounds: int) -> float:
    """Lines of both formats from the snapshot, without encoding and packing."""
    return cpu_seconds(lambda: [exposition._family(renderer, state) for renderer in exposition._renderers], rounds)


if __name__ == "__main__":
    main()
