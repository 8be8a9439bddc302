"""Noisy outcomes of circuits too wide for a density matrix: state vectors with random Pauli errors, averaged.

The case without any error is computed exactly and weighs ``no_error``; only the rest is sampled, each trajectory under the
condition that it has an error. Errors are folded into the matrices that the ideal circuit has anyway, so a batch of trajectories
is a batch of circuits of one structure. Readout errors are applied exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qobs.errors import CircuitError
from qobs.reference.chains import Errors
from qobs.reference.circuit import Circuit
from qobs.reference.engine import DEFAULT, Options, is_dense, states, swept
from qobs.reference.layered import Sites, parameters, structure_of
from qobs.reference.limits import within
from qobs.reference.lowering import lowering_of
from qobs.reference.outcomes import Distribution, Outcomes, misread
from qobs.reference.twirl import ErrorSite, PauliNoise


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A distribution with its own sampling error.

    ``standard_errors`` are those of ``probabilities``, outcome by outcome. ``no_error`` is the weight of the exact part.
    """

    probabilities: Distribution
    standard_errors: Distribution
    no_error: float
    trajectories: int

    @property
    def tvd_error(self) -> float:
        """Expected total variation distance to the model's exact distribution, from sampling alone (normal errors)."""
        return float(self.standard_errors.sum() / sqrt(2 * pi))


class _Merged(NamedTuple):
    """All sites in order; ``sites`` places their operands before operations."""

    errors: tuple[ErrorSite, ...]
    sites: Sites


def noisy_probabilities(
    circuit: Circuit, noise: PauliNoise, *, trajectories: int = 1024, seed: int, options: Options = DEFAULT
) -> Sampled:
    """Probability of each outcome, (2^clbits,), under Pauli noise and readout errors.

    Args:
        circuit: As :func:`~qobs.reference.engine.probabilities` takes it. Noise on a qubit after its measurement is ignored.
        noise: Of this circuit, operation by operation.
        trajectories: Sampled ones, at least 2; none are needed where nothing can go wrong.
        seed: The same seed gives the same trajectories.
        options: How to compute.

    Raises:
        CircuitError: as :func:`~qobs.reference.engine.probabilities`, or noise that does not fit the circuit.
    """
    within(circuit.width, options.max_qubits, "qubits")
    within(circuit.clbits, options.max_qubits, "classical bits")
    if trajectories < 2:
        raise CircuitError(f"{trajectories} trajectories", "at least 2, to tell their own error")
    merged = _merged(circuit, noise)
    confusions = _told(circuit, noise)
    ideal = misread(swept(structure_of(circuit), np.array(parameters([circuit])), options)[0], confusions)
    quiet = np.array([site.probabilities[0] for site in merged.errors])
    no_error = float(np.prod(quiet))
    if no_error == 1.0:
        return Sampled(probabilities=ideal, standard_errors=np.zeros_like(ideal), no_error=1.0, trajectories=0)
    errors = sampled_errors(merged.errors, trajectories, np.random.default_rng(seed))
    total, squares = _moments(circuit, merged.sites, errors, ideal, confusions, options)
    mean = total / trajectories
    variance = (squares / trajectories - mean**2).clip(0.0) * trajectories / (trajectories - 1)
    return Sampled(
        probabilities=ideal + (1 - no_error) * mean,
        standard_errors=(1 - no_error) * np.sqrt(variance / trajectories),
        no_error=no_error,
        trajectories=trajectories,
    )


def sampled_errors(sites: Sequence[ErrorSite], count: int, rng: np.random.Generator) -> Errors:
    """Paulis of each operand of each site in order, (operands, count); every column has at least one error.

    The place of the first error is drawn from its distribution under that condition; the sites after it are independent.
    """
    quiet = np.array([site.probabilities[0] for site in sites])
    reached = np.concatenate([[1.0], np.cumprod(quiet)[:-1]])
    cumulative = np.cumsum(reached * (1 - quiet))
    # Errors that never happen have no share, so `side="right"` cannot choose them.
    first = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right").clip(max=len(sites) - 1)
    rows = list[NDArray[np.int8]]()
    for place, site in enumerate(sites):
        drawn = rng.random(count)
        share = drawn * (1 - quiet[place])
        shifted = np.where(first < place, drawn, np.where(first == place, quiet[place] + share, 0.0))
        paulis = np.searchsorted(np.cumsum(site.probabilities), shifted, side="right").clip(max=len(site.probabilities) - 1)
        paulis[first > place] = 0
        rows.extend(((paulis >> (2 * operand)) & 3).astype(np.int8) for operand in range(len(site.qubits)))
    return np.array(rows, dtype=np.int8)


def _moments(
    circuit: Circuit,
    sites: Sites,
    errors: Errors,
    ideal: Distribution,
    confusions: Mapping[int, Distribution],
    options: Options,
) -> tuple[Distribution, Distribution]:
    """Sums over trajectories of their distance to the ideal distribution, and of its square."""
    structure = structure_of(circuit, sites)
    lowering = lowering_of(structure)
    outcomes = Outcomes(lowering.masks(is_dense(lowering, options)), circuit.clbits)
    # Where errors are rare most trajectories have a single one, and many are the same: each is computed once.
    distinct, times = np.unique(errors, axis=1, return_counts=True)
    angles = np.repeat(np.array(parameters([circuit])), len(times), axis=0)
    total, squares, first = np.zeros_like(ideal), np.zeros_like(ideal), 0
    for weights in states(lowering, angles, distinct, options):
        away = misread(outcomes(weights), confusions) - ideal
        shares = times[first : first + len(away)].astype(np.float64)
        total += shares @ away
        squares += shares @ away**2
        first += len(away)
    return total, squares


def _merged(circuit: Circuit, noise: PauliNoise) -> _Merged:
    """Errors after an operation and before the next, in one list; sites where nothing can happen are left out."""
    count = len(circuit.operations)
    if len(noise.before) != count or len(noise.after) != count:
        raise CircuitError(
            f"noise of {len(noise.before)} and {len(noise.after)} operations", f"the circuit has {count} operations"
        )
    errors = list[ErrorSite]()
    places = list[tuple[tuple[int, ...], ...]]()
    measured = set[int]()
    for place in range(count + 1):
        found = [*(noise.after[place - 1] if place else ()), *(noise.before[place] if place < count else ())]
        found = [site for site in found if site.probabilities[0] < 1 and not measured.issuperset(site.qubits)]
        for site in found:
            _check(site, circuit.width)
        errors += found
        places.append(tuple(site.qubits for site in found))
        if place < count and circuit.operations[place].name == "measure":
            measured.update(circuit.operations[place].qubits)
    return _Merged(tuple(errors), tuple(places))


def _check(site: ErrorSite, width: int) -> None:
    if site.probabilities.shape != (4 ** len(site.qubits),):
        raise CircuitError(f"{site.probabilities.size} Pauli probabilities on qubits {list(site.qubits)}", "4^k for k qubits")
    if not all(0 <= qubit < width for qubit in site.qubits):
        raise CircuitError(f"noise on qubits {list(site.qubits)}", f"qubits from 0 to {width - 1}")


def _told(circuit: Circuit, noise: PauliNoise) -> dict[int, Distribution]:
    """Confusion matrices by classical bit, from the qubit that each was last measured from."""
    last = {operation.clbits[0]: operation.qubits[0] for operation in circuit.operations if operation.name == "measure"}
    return {clbit: noise.confusions[qubit] for clbit, qubit in last.items() if qubit in noise.confusions}
