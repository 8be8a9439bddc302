"""What a prediction is made of: distributions, marks of errors, and how much may be spent on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from qobs.reference.distance import Distribution
from qobs.reference.noise import Success

MAX_QUBITS = 24
TRAJECTORIES = 1024
TRAJECTORY_WORK = 2**34
"""Amplitudes passed over by all trajectories together: some minutes of one core."""

SAMPLES = 20_000
_ROWS = 2**14
"""Outcomes that are looked at together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A distribution over the measured bits.

    ``outcomes`` None: ``probabilities`` are of all 2^bits outcomes in order. Otherwise they are of these outcomes only (measured
    bit 0 lowest), and any other is impossible. ``worth_shots`` is infinite for an exact distribution, else the size of a plain
    sample that would have the same error.
    """

    method: str
    probabilities: Distribution
    outcomes: tuple[int, ...] | None = None
    worth_shots: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Where outcomes are too many to be listed: parities that no ideal run breaks, and samples with noise.

    ``checks`` has shape (checks, bits); ``values`` are the parities of an ideal run. ``broken`` counts samples that break any of
    them, then each; None without noise.
    """

    method: str
    checks: NDArray[np.bool_]
    values: NDArray[np.bool_]
    broken: NDArray[np.int64] | None
    samples: int

    def count(self, bits: NDArray[np.bool_], weights: NDArray[np.int64]) -> NDArray[np.int64]:
        """Shots that break any check, and each: ``bits`` has a row for each outcome, ``weights`` how often it came."""
        checks = self.checks.T.astype(np.float32)
        found = np.zeros(1 + len(self.checks), dtype=np.int64)
        for first in range(0, len(bits), _ROWS):
            # Sums of bits are small whole numbers, which single precision holds exactly.
            sums = bits[first : first + _ROWS].astype(np.float32) @ checks
            wrong = (sums.astype(np.int64) & 1).astype(np.bool_) ^ self.values
            weight = weights[first : first + _ROWS]
            found[0] += weight[wrong.any(axis=1)].sum()
            found[1:] += weight @ wrong
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a circuit should answer, and how that was found.

    ``method`` is that of the noisy distribution where there is one, else of the ideal one. ``qubits`` were simulated together.
    ``clbits`` are the classical bits that something is measured into: bit i of an outcome is ``clbits[i]``. ``esp`` and
    ``fidelity`` (which counts waiting too) are None without calibration. ``unverified`` is the reason why nothing could be
    computed, or None.
    """

    method: str
    qubits: int
    clbits: tuple[int, ...]
    ideal: Reference | None = None
    noisy: Reference | None = None
    marks: Marks | None = None
    esp: Success | None = None
    fidelity: float | None = None
    degraded: tuple[str, ...] = ()
    age_seconds: float | None = None
    parts: tuple[Prediction, ...] = ()
    """Where too many bits are measured for one distribution: predictions of groups of bits."""
    unverified: str | None = None

    def outcomes(self, reference: Reference, cells: Iterable[int]) -> list[int]:
        """Outcome indices over all classical bits of the circuit, of cells of one of the distributions."""
        listed = reference.outcomes
        compact = [cell if listed is None else listed[cell] for cell in cells]
        return [sum((outcome >> place & 1) << clbit for place, clbit in enumerate(self.clbits)) for outcome in compact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much may be spent; ``seed`` fixes everything that is sampled."""

    max_qubits: int = MAX_QUBITS
    trajectories: int = TRAJECTORIES
    trajectory_work: int = TRAJECTORY_WORK
    samples: int = SAMPLES
    matrix_product: bool = True
    seed: int = 0
