"""What an ideal quantum computer would answer: exact probabilities over a circuit's classical bits.

    circuit -> structure (cached) -> layers -> arrays for the batch (numpy) -> kernel (JAX) -> classical bits

Circuits that differ in angles only are one batch. A program is compiled for a width, a size of its lists and a size of batch,
never for a circuit. Single precision by default; ``complex128`` is switched on for the call alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from qobs.errors import CircuitError
from qobs.reference import kernels
from qobs.reference.chains import Errors
from qobs.reference.circuit import Circuit
from qobs.reference.layered import Structure, parameters, structure_of
from qobs.reference.limits import within
from qobs.reference.lowering import Lowering, lowering_of
from qobs.reference.outcomes import Outcomes
from qobs.reference.sizes import batch_bucket

Precision = Literal["complex64", "complex128"]
Kernel = Literal["auto", "layered", "gatewise"]
Distribution = NDArray[np.float64]

MAX_QUBITS = 24
_CHUNK_BYTES = 1 << 20


class Options(NamedTuple):
    """How to compute; every choice gives the same probabilities within the precision.

    ``chunk`` is how many circuits of a batch are computed together, a power of two; None: as many as fit in about 1 MiB.
    """

    precision: Precision = "complex64"
    kernel: Kernel = "auto"
    max_qubits: int = MAX_QUBITS
    chunk: int | None = None


DEFAULT = Options()


def probabilities(
    circuit: Circuit, *, precision: Precision = "complex64", max_qubits: int = MAX_QUBITS, kernel: Kernel = "auto"
) -> Distribution:
    """Probability of each outcome, (2^clbits,): classical bit 0 is the least significant bit of an outcome's index.

    Qubits that are not measured are summed over. A bit measured into twice tells its last measurement; one never measured
    into is 0.

    Args:
        circuit: Its measurements come last on each qubit.
        precision: Of the state; errors of a probability are below 1e-5, or 1e-12.
        max_qubits: Wider circuits, and those with more classical bits, are refused before any memory is taken.
        kernel: Which program computes it.

    Raises:
        CircuitError: too wide, not a known gate, a reset or mid-circuit measurement, or an angle that is not a finite number.
    """
    return probabilities_batch([circuit], Options(precision, kernel, max_qubits))[0]


def probabilities_batch(circuits: Sequence[Circuit], options: Options = DEFAULT) -> list[Distribution]:
    """:func:`probabilities` of each circuit; those of the same structure are computed together, wherever they stand."""
    groups: dict[Structure, list[int]] = {}
    for place, circuit in enumerate(circuits):
        _check_size(circuit, options.max_qubits)
        groups.setdefault(structure_of(circuit), []).append(place)
    found: list[Distribution] = [np.empty(0)] * len(circuits)
    for structure, places in groups.items():
        angles = np.array(parameters(circuits[place] for place in places), dtype=np.float64)
        results = swept(structure, angles, options)
        for place, row in zip(places, results, strict=True):
            found[place] = row
    return found


def sweep(circuit: Circuit, angles: NDArray[np.float64], options: Options = DEFAULT) -> Distribution:
    """Probabilities of one circuit at many angles, (sets, 2^clbits).

    Args:
        circuit: Its own angles are not used.
        angles: (sets, params): for each set the angles of all operations, in order.
        options: How to compute.

    Raises:
        CircuitError: as :func:`probabilities`, or ``angles`` has not the circuit's number of columns.
    """
    _check_size(circuit, options.max_qubits)
    structure = structure_of(circuit)
    if angles.ndim != 2 or angles.shape[1] != sum(structure.params):
        raise CircuitError(f"angles of shape {angles.shape}", f"(sets, {sum(structure.params)}) for this circuit")
    return swept(structure, angles, options)


def swept(structure: Structure, angles: NDArray[np.float64], options: Options) -> Distribution:
    """Probabilities for each row of ``angles``, (rows, 2^clbits)."""
    if not np.isfinite(angles).all():
        raise CircuitError("an angle that is not a finite number", "angles are finite radians")
    lowering = lowering_of(structure)
    outcomes = Outcomes(lowering.masks(is_dense(lowering, options)), structure.clbits)
    found = np.empty((len(angles), 1 << structure.clbits))
    first = 0
    for weights in states(lowering, angles, None, options):
        found[first : first + len(weights)] = outcomes(weights)
        first += len(weights)
    return found


def states(
    lowering: Lowering, angles: NDArray[np.float64], errors: Errors | None, options: Options
) -> Iterator[NDArray[np.floating[Any]]]:
    """Probabilities over wires, in chunks of (rows, 2^width), bits in the order of ``lowering.masks``.

    Args:
        lowering: Of the structure.
        angles: (rows, params).
        errors: Paulis of each row, (sites, rows); None for a structure without sites.
        options: How to compute.
    """
    rows = len(angles)
    most = options.chunk or _chunk(lowering.plan.width, options.precision)
    columns = np.vstack([angles.T, np.ones((1, rows))])
    # The last chunk is filled up with copies of its first row, so that few sizes are compiled.
    for first in range(0, rows, most):
        count = min(most, rows - first)
        taken = np.arange(first, first + batch_bucket(count, most))
        taken[count:] = first
        part = columns if len(taken) == rows else columns[:, taken]
        yield _run(lowering, part, None if errors is None else errors[:, taken], options)[:count]


def is_dense(lowering: Lowering, options: Options) -> bool:
    """Whether whole layers are computed, not single gates."""
    return lowering.dense if options.kernel == "auto" or lowering.plan.width < 2 else options.kernel == "layered"


def programs() -> int:
    """How many programs this process has compiled; a circuit that adds none was served by one compiled before."""
    compiled: Any = (kernels.layered, kernels.gatewise)
    return sum(kernel._cache_size() for kernel in compiled)


def keep_programs(directory: str) -> None:
    """Compiled programs are kept in ``directory`` and found there by later processes.

    Holds for all of this process, from the next program on: call it before the first circuit.
    """
    settings: Any = jax.config
    settings.update("jax_compilation_cache_dir", directory)
    settings.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    settings.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _run(lowering: Lowering, columns: NDArray[np.float64], errors: Errors | None, options: Options) -> NDArray[np.floating[Any]]:
    dtype, wires = np.dtype(options.precision), lowering.plan.width
    dense = is_dense(lowering, options)
    with _precision(options.precision):
        if dense:
            layers = lowering.layers(columns, errors, dtype)
            result = kernels.layered(*layers, wires=wires, shared=lowering.shared)
        else:
            result = kernels.gatewise(*lowering.gates(columns, errors, dtype), wires=wires)
        return np.asarray(result)


def _precision(precision: Precision) -> AbstractContextManager[object]:
    return jax.enable_x64(True) if precision == "complex128" else nullcontext()


def _chunk(width: int, precision: Precision) -> int:
    return int(max(1, _CHUNK_BYTES // (np.dtype(precision).itemsize << width)))


def _check_size(circuit: Circuit, max_qubits: int) -> None:
    within(circuit.width, max_qubits, "qubits")
    within(circuit.clbits, max_qubits, "classical bits")
    if circuit.width < 1:
        raise CircuitError("a circuit of no qubits", "at least one qubit is simulated")
