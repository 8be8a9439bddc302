"""How often verdicts are wrong, and how soon a change is found: false positives, power, and delays of the drift charts.

    python benchmarks/bench_verdicts.py [--replicates 400] [--series 150]

Three shapes of distributions (deep random circuits, GHZ with noise, peaked) at 5, 8 and 10 qubits. Prints three tables; the last
column of the first is the band in which a true rate of alpha would fall 99 times of 100.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from qobs.reference.drift import FEWEST, run_length
from qobs.reference.goodness import Score, bootstrap, measure, p_values

Distribution = NDArray[np.float64]
SHOTS = (100, 1000, 10_000)
ALPHAS = (0.01, 0.05)


def shapes(qubits: int) -> Iterator[tuple[str, Distribution]]:
    """Noiseless distributions by name."""
    weights = np.random.default_rng(qubits).exponential(size=2**qubits)
    yield "random", weights / weights.sum()
    ghz = np.zeros(2**qubits)
    ghz[[0, -1]] = 0.5
    yield "ghz", ghz
    tail = np.array([0.1 ** outcome.bit_count() for outcome in range(2**qubits)])
    yield "peaked", tail / tail.sum()


def read_out(p: Distribution, error: float) -> Distribution:
    """The distribution after symmetric readout errors on every bit."""
    qubits = p.size.bit_length() - 1
    told = p.reshape((2,) * qubits)
    flip = np.array([[1.0 - error, error], [error, 1.0 - error]])
    for axis in range(qubits):
        told = np.moveaxis(np.tensordot(flip, told, axes=(1, axis)), 0, axis)
    return told.reshape(-1)


def noisy(p: Distribution, *, survival: float = 0.9, error: float = 0.01) -> Distribution:
    """Gates that survive with ``survival`` (else uniform), then readout."""
    return read_out(survival * p + (1.0 - survival) / p.size, error)


def rate(reference: Distribution, truth: Distribution, shots: int, alpha: float, replicates: int, seed: int) -> float:
    """Share of replicates drawn from ``truth`` that are called different from ``reference``."""
    found = 0
    for number, counts in enumerate(np.random.default_rng(seed).multinomial(shots, truth / truth.sum(), size=replicates)):
        measured = measure(reference, counts)
        told = bootstrap(reference, counts, seed=number, replicates=299) if measured.bootstrap else p_values(measured)
        found += told.pair <= alpha
    return found / replicates


def false_positives(replicates: int, qubits: tuple[int, ...]) -> None:
    """The rate at which good results are called worse."""
    print("false positives of the pair (pooled X2 and linear XEB)")
    print(f"{'shape':8} {'qubits':>6} {'shots':>7} {'alpha':>6} {'rate':>6} {'band':>15}")
    for number in qubits:
        for name, p in shapes(number):
            reference = noisy(p)
            for shots in SHOTS:
                for alpha in ALPHAS:
                    found = rate(reference, reference, shots, alpha, replicates, number)
                    half = 2.576 * sqrt(alpha * (1 - alpha) / replicates)
                    band = f"{max(0.0, alpha - half):.3f} to {alpha + half:.3f}"
                    print(f"{name:8} {number:6} {shots:7} {alpha:6} {found:6.3f} {band:>15}")


def power(replicates: int, qubits: tuple[int, ...]) -> None:
    """How often a change is found at 4,000 shots and alpha 0.05."""
    print("\npower at 4,000 shots, alpha 0.05")
    print(f"{'shape':8} {'qubits':>6} {'readout x1.5':>13} {'2q error x2':>12}")
    for number in qubits:
        for name, p in shapes(number):
            reference = noisy(p)
            by_readout = rate(reference, noisy(p, error=0.015), 4000, 0.05, replicates, 7)
            by_gates = rate(reference, noisy(p, survival=0.81), 4000, 0.05, replicates, 8)
            print(f"{name:8} {number:6} {by_readout:13.2f} {by_gates:12.2f}")


def delays(series: int, jitter: float) -> None:
    """Jobs until the drift charts alarm after a change at job 50 of 200, with benign jitter of the gate error between jobs."""
    print(f"\ndrift: 5 qubits, 4,000 shots, XEB score, change at job 50 of 200, {jitter:.0%} jitter, {series} series")
    print(f"{'shape':8} {'change':14} {'alarmed before':>15} {'found':>6} {'median delay':>13}")
    for name, p in shapes(5):
        for change, survival, error in (("none", 0.9, 0.01), ("readout x1.5", 0.9, 0.015), ("2q error x2", 0.81, 0.01)):
            early, waits = 0, []
            for number in range(series):
                found = run_length(scores(p, survival, error, jitter, np.random.default_rng((11, number))))
                if found is not None and found < 50:
                    early += 1
                elif found is not None:
                    waits.append(found - 50)
            median = f"{float(np.median(waits)):.0f}" if waits else "-"
            print(f"{name:8} {change:14} {early / series:15.2f} {len(waits) / series:6.2f} {median:>13}")


def scores(p: Distribution, survival: float, error: float, jitter: float, rng: np.random.Generator) -> Iterator[float]:
    """Standardised scores of a baseline and 200 jobs, of which the last 150 changed."""
    reference = noisy(p)
    score = Score.of(reference)
    for job in range(FEWEST + 200):
        changed = job >= FEWEST + 50
        lost = (1.0 - (survival if changed else 0.9)) * float(np.clip(1.0 + jitter * rng.normal(), 0.1, 2.0))
        truth = noisy(p, survival=1.0 - lost, error=error if changed else 0.01)
        yield float(score.z(reference, rng.multinomial(4000, truth / truth.sum()))[0])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--series", type=int, default=150)
    parser.add_argument("--qubits", type=int, nargs="+", default=[5, 8, 10])
    parser.add_argument("--jitter", type=float, default=0.3)
    arguments = parser.parse_args()
    false_positives(arguments.replicates, tuple(arguments.qubits))
    power(max(50, arguments.replicates // 2) if arguments.replicates > 50 else arguments.replicates, tuple(arguments.qubits))
    delays(arguments.series, arguments.jitter)


if __name__ == "__main__":
    main()
