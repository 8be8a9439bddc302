"""Exact outcome probabilities of a noisy circuit: Pauli components of the density matrix, for about ten qubits and less.

Nothing is sampled and nothing is approximated beyond the arithmetic: measurements in the middle and resets included. Work grows
as 4^n, n being the qubits that meet another and can reach a measured bit, and one more for each result measured in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from qobs.errors import CircuitError
from qobs.reference.channels import Real
from qobs.reference.circuit import Circuit
from qobs.reference.exact_kernel import evolve
from qobs.reference.exact_lowering import Lowered, lower
from qobs.reference.exact_program import Program, program
from qobs.reference.exact_readout import read_out
from qobs.reference.noise import NoiseModel

Precision = Literal["complex64", "complex128"]
"""Of a state. The Pauli components are the real halves of it, float32 and float64."""

MAX_LINES = 12
"""64 MiB of Pauli components in single precision, and minutes of work for a deep circuit."""

MAX_CLBITS = 24
"""128 MiB of probabilities, one bit less each time that a batch doubles."""

MAX_ITEMS = 65_536
"""Gates, noises and waits of one circuit."""

_LOWERED = 64
_LOWERED_ITEMS = 65_536
"""Circuits, and channels of all of them, whose numbers are worked out at once: bounds memory."""

_BATCH = 16
_BATCHED_LINES = 7
"""From here on a state outgrows the nearest cache, and running several at once gains nothing."""

_BUCKETS = (16, 128, 1024, 8192, MAX_ITEMS)
"""Steps that a program has room for. Its padding is not executed: it costs memory only."""


class Outcomes(NamedTuple):
    """Probabilities over measured bits, (batch, 2^len(clbits)): ``clbits`` ascend, the first is the lowest bit of the index."""

    clbits: tuple[int, ...]
    probabilities: Real


def noisy_probabilities(
    circuit: Circuit, model: NoiseModel | None, *, precision: Precision = "complex64", max_lines: int = MAX_LINES
) -> Real:
    """Probability of each value of the classical bits, shape (2^clbits,), float64; bit 0 is the lowest of the index.

    Args:
        circuit: At most :data:`MAX_CLBITS` classical bits; measured in part, in any order, in the middle, with resets.
        model: Made for a circuit of the same structure; None: without noise.
        precision: ``complex128`` works in double precision, at about twice the cost.
        max_lines: Refuse where more qubits and results kept in the middle would have to be simulated together.

    Raises:
        CircuitError: the circuit is too wide; nothing was allocated.
    """
    found: Real = batch_noisy_probabilities([circuit], model, precision=precision, max_lines=max_lines)[0]
    return found


def batch_noisy_probabilities(
    circuits: Sequence[Circuit], model: NoiseModel | None, *, precision: Precision = "complex64", max_lines: int = MAX_LINES
) -> Real:
    """As :func:`noisy_probabilities`, of circuits that differ in angles only, shape (batch, 2^clbits).

    Raises:
        CircuitError: too wide, or the circuits are not of one structure.
    """
    if circuits and circuits[0].clbits > MAX_CLBITS - (len(circuits) - 1).bit_length():
        raise CircuitError(
            f"{_of(circuits)} {circuits[0].clbits} classical bits",
            f"at most {MAX_CLBITS} are written out, fewer in a batch; ask for the outcomes of measured bits",
        )
    outcomes = noisy_outcomes(circuits, model, precision=precision, max_lines=max_lines)
    size = 1 << circuits[0].clbits if circuits else 1
    whole = np.zeros((len(outcomes.probabilities), size))
    whole[:, _indices(outcomes.clbits)] = outcomes.probabilities
    return whole


def noisy_outcomes(
    circuits: Sequence[Circuit], model: NoiseModel | None, *, precision: Precision = "complex64", max_lines: int = MAX_LINES
) -> Outcomes:
    """As :func:`batch_noisy_probabilities`, over those bits only that something is measured into.

    Raises:
        CircuitError: too wide, or the circuits are not of one structure.
    """
    if not circuits:
        return Outcomes((), np.ones((0, 1)))
    _require_one_structure(circuits, model)
    steps = program(circuits[0], model)
    _require_possible(steps, circuits, max_lines)
    at_once = max(1, min(_LOWERED, _LOWERED_ITEMS // max(1, len(steps.items))))
    parts = [_outcomes(steps, circuits[start : start + at_once], model, precision) for start in range(0, len(circuits), at_once)]
    return Outcomes(tuple(one.clbit for one in steps.measured), np.concatenate(parts))


def coupled_lines(circuit: Circuit) -> int:
    """How many qubits and kept results would have to be simulated together: the n of 4^n. Nothing is simulated for it."""
    return len(program(circuit, None).coupled)


def _outcomes(steps: Program, circuits: Sequence[Circuit], model: NoiseModel | None, precision: Precision) -> Real:
    lowered = lower(steps, circuits)
    components = _evolved(lowered, precision) if lowered.coupled else np.ones((1, 1))
    found = read_out(steps, lowered, components, {} if model is None else model.readout)
    return np.broadcast_to(found, (len(circuits), found.shape[1]))


def _evolved(lowered: Lowered, precision: Precision) -> Real:
    """I and Z components of the coupled lines at the end, (batch, 2^lines), the lowest bit for the first of them."""
    batch = max(len(lowered.initial), *(len(channel) for channel in lowered.channels))
    lines = len(lowered.coupled)
    size = _BATCH if batch > 1 and lines <= _BATCHED_LINES else 1
    bucket = next(bucket for bucket in _BUCKETS if len(lowered.channels) <= bucket)
    picked = _indices([2 * place for place in lowered.places]) * 3
    real = np.float64 if precision == "complex128" else np.float32
    found = []
    for start in range(0, batch, size):
        initial = np.zeros((size, lines, 4), dtype=real)
        channels = np.zeros((bucket, size, 16, 16), dtype=real)
        initial[: batch - start] = _part(lowered.initial, start, size)
        for step, channel in enumerate(lowered.channels):
            channels[step, : batch - start] = _part(channel, start, size)
        exchanges = np.zeros((bucket, 2), dtype=np.int32)
        exchanges[: len(lowered.exchanges)] = lowered.exchanges
        with jax.enable_x64(precision == "complex128"):
            steps = np.int32(len(lowered.channels))
            state = evolve(initial, channels, exchanges, steps, picked.astype(np.int32), lines=lines)
            found.append(np.asarray(state, dtype=np.float64)[: batch - start])
    return np.concatenate(found)


def _part(values: Real, start: int, size: int) -> Real:
    """Rows of a batch; a single row stands for all."""
    return values if len(values) == 1 else values[start : start + size]


def _indices(bits: Sequence[int]) -> NDArray[np.int64]:
    """For every value of the listed bits, the number that has it there and zeros elsewhere, (2^len(bits),).

    Example:
        >>> _indices([0, 3]).tolist()
        [0, 1, 8, 9]
    """
    found = np.zeros(1, dtype=np.int64)
    for bit in bits:
        found = np.concatenate([found, found | (1 << bit)])
    return found


def _of(circuits: Sequence[Circuit]) -> str:
    return f"{len(circuits)} circuits of" if len(circuits) > 1 else "a circuit of"


def _require_possible(steps: Program, circuits: Sequence[Circuit], max_lines: int) -> None:
    if len(steps.coupled) > max_lines:
        raise CircuitError(
            f"{len(steps.coupled)} qubits and kept results that meet", f"an exact density matrix has at most {max_lines}"
        )
    if len(steps.measured) > MAX_CLBITS - (len(circuits) - 1).bit_length():
        raise CircuitError(
            f"{_of(circuits)} {len(steps.measured)} measured bits",
            f"an exact distribution has at most {MAX_CLBITS}, fewer in a batch",
        )
    if len(steps.items) > MAX_ITEMS:
        raise CircuitError(f"{len(steps.items)} gates and noises", f"an exact density matrix takes at most {MAX_ITEMS}")


def _require_one_structure(circuits: Sequence[Circuit], model: NoiseModel | None) -> None:
    first = circuits[0]
    if model is not None and len(model.gates) != len(first.operations):
        raise CircuitError(f"{len(first.operations)} operations", f"the noise model was made for {len(model.gates)}")
    if len(circuits) == 1:
        return
    structure = _structure(first)
    for number, circuit in enumerate(circuits):
        if circuit is not first and _structure(circuit) != structure:
            raise CircuitError(
                f"circuit {number} of the batch has another structure", "circuits of a batch differ in angles only"
            )


def _structure(circuit: Circuit) -> tuple[object, ...]:
    operations = [
        (op.name, op.qubits, op.clbits, op.params if op.name == "delay" else len(op.params)) for op in circuit.operations
    ]
    return circuit.width, circuit.clbits, circuit.physical, operations
