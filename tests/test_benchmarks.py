"""Each benchmark runs, in its smallest size: a benchmark that broke is found when it is needed most."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALLEST = {
    "bench_anomalies.py": ("--backends", "1", "--noises", "0.05"),
    "bench_detection.py": ("--rates", "10", "--events", "500", "--runs", "3", "--batches", "5"),
    "bench_idle.py": ("--seconds", "1"),
    "bench_ingest.py": ("--jobs", "500"),
    "bench_normalize.py": ("--jobs", "200"),
    "bench_noisy.py": ("--circuits", "ghz:2", "line:3x2", "--batch", "2", "--rounds", "1", "--calls", "1"),
    "bench_objectives.py": ("--objectives", "20", "--events", "20000", "--ticks", "20"),
    "bench_parse.py": ("--gates", "36", "60", "--rounds", "1"),
    "bench_scrape.py": ("--series", "4000", "--rounds", "1"),
    "bench_simulate.py": ("--single", "2", "--batched", "2", "--batch", "4", "--fresh", "3", "--noisy", "3", "--seconds", "0.01"),
    "bench_store.py": ("--jobs", "600"),
    "bench_verdicts.py": ("--replicates", "5", "--series", "2", "--qubits", "3"),
    "bench_windows.py": ("--series", "20", "--ticks", "20"),
}


def test_every_benchmark_has_a_smallest_size():
    """A new benchmark must not be forgotten here."""
    assert SMALLEST.keys() == {path.name for path in (ROOT / "benchmarks").glob("bench_*.py")}


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_benchmark_runs(name: str):
    """Figures that cannot be measured again are worth nothing."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / name), *SMALLEST[name]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 3
