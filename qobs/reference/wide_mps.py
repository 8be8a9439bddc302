"""Wide circuits that stay entangled, by a matrix product state: qiskit-aer's, where it is installed.

What is sampled is the ideal distribution; singular values below a threshold are dropped, which is where such a simulation errs.
How much was dropped is added up and told; a state that lost more than :data:`MOST_DISCARDED` is no reference.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import numpy as np

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit
from qobs.reference.distance import Distribution
from qobs.reference.matrices import matrix

BOND = 128
TRUNCATION = 1e-10
"""Weight that may be dropped at each gate."""

MOST_DISCARDED = 0.01
"""Weight of all that was dropped: about the error of the distribution that it makes."""

MAX_GATES = 50_000
MEMORY_MIB = 4_096


class Missing(Exception):
    """The library is not installed; the message says which would help."""


def sampled(circuit: Circuit, *, shots: int, seed: int, bond: int = BOND) -> tuple[Distribution, str]:
    """Shares of samples over the classical bits, (2^clbits,), and how they were made.

    Args:
        circuit: Its measurements come last.
        shots: Samples.
        seed: Of the samples.
        bond: Largest dimension between two neighbours.

    Raises:
        Missing: qiskit-aer is not installed.
        CircuitError: it cannot be simulated so, or too much had to be dropped.
    """
    if find_spec("qiskit_aer") is None:
        raise Missing("a matrix product state might fit it: install qiskit-aer")
    if len(circuit.operations) > MAX_GATES:
        raise CircuitError(f"{len(circuit.operations)} operations", f"a matrix product state takes at most {MAX_GATES}")
    counts, discarded = _run(circuit, shots, seed, bond)
    if discarded > MOST_DISCARDED:
        raise CircuitError(
            f"a matrix product state with bonds to {bond} that loses a weight of {discarded:.2g}",
            f"at most {MOST_DISCARDED} may be lost",
        )
    found = np.zeros(1 << circuit.clbits)
    for key, count in counts.items():
        found[int(key, 16)] += count
    method = f"matrix product state (qiskit-aer, bonds to {bond}, weight {discarded:.1g} dropped), {shots} samples"
    return found / found.sum(), method


def _run(circuit: Circuit, shots: int, seed: int, bond: int) -> tuple[dict[str, int], float]:
    from qiskit import QuantumCircuit
    from qiskit.circuit.library import UnitaryGate
    from qiskit_aer import AerSimulator

    written = QuantumCircuit(circuit.width, circuit.clbits)
    for name, qubits, params, clbits in circuit.operations:
        if name == "measure":
            written.measure(qubits[0], clbits[0])
        elif name not in ("barrier", "delay", "id"):
            written.append(UnitaryGate(matrix(name, params), check_input=False), list(qubits))
    simulator = AerSimulator(
        method="matrix_product_state",
        matrix_product_state_max_bond_dimension=bond,
        matrix_product_state_truncation_threshold=TRUNCATION,
        mps_log_data=True,
        max_memory_mb=MEMORY_MIB,
        seed_simulator=seed,
    )
    result = simulator.run(written, shots=shots).result()
    if not result.success:
        raise CircuitError("too wide and entangled for a matrix product state", f"qiskit-aer: {str(result.status)[-200:]}")
    return result.data(0)["counts"], _discarded(result.results[0].metadata)


def _discarded(metadata: dict[str, Any]) -> float:
    """What Aer's log of the simulation says was dropped, added up."""
    return sum(map(float, re.findall(r"discarded_value=([0-9.e+-]+[0-9])", str(metadata.get("MPS_log_data", "")))))
