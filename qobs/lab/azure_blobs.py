"""What lies in an emulated workspace's storage: circuits as submitted and results as the providers write them.

IonQ's and Quantinuum's jobs have both; for those of other providers the storage answers that there is no such blob.
Azure has no calibrations: the errors here are the providers' published typical ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from qobs.lab.azure_wire import provider_of
from qobs.lab.circuit_texts import ionq_qis, openqasm2
from qobs.lab.circuits import (
    MOST_QUBITS,
    LabCircuit,
    Noise,
    by_register,
    circuit_of,
    everywhere,
    outcomes,
    probabilities,
    uniform,
)
from qobs.lab.world import Cloud, LabBackend, LabJob
from qobs.model import JobState

INPUT, OUTPUT = "inputData", "rawOutputData"

_NOISE: Mapping[str, Noise] = {
    "ionq": uniform(MOST_QUBITS, one=2e-4, two=5.4e-3, misread=(2.3e-3, 5.3e-3)),
    "quantinuum": uniform(MOST_QUBITS, one=2.9e-5, two=1.28e-3, misread=(5e-4, 2.5e-3)),
}
_IDEAL = frozenset({"ionq.simulator"})


def circuit(job: LabJob) -> LabCircuit:
    """What the job ran; IonQ reads every qubit into the bit of its number."""
    drawn = circuit_of(job)
    return everywhere(drawn) if provider_of(job.backend) == "ionq" else drawn


def measured(job: LabJob, cloud: Cloud) -> list[int]:
    """One outcome per shot, classical bit 0 the lowest."""
    at, noise = job.started_at or job.ended_at, _NOISE.get(provider_of(job.backend), Noise())
    noise = Noise() if job.backend in _IDEAL else noise
    seed, trouble = f"{cloud.seed}:{job.id}:blob", cloud.trouble(job.backend, at)
    return outcomes(circuit(job), noise, shots=job.shots, seed=seed, trouble=trouble)


def blob(job: LabJob, name: str, state: JobState, cloud: Cloud, backend: LabBackend) -> bytes | None:
    """One blob of a job; None where the storage has none of that name (yet)."""
    provider = provider_of(backend.name)
    if provider not in _NOISE or (name == OUTPUT and state is not JobState.COMPLETED):
        return None
    if name == INPUT:
        return msgspec.json.encode(ionq_qis(circuit(job))) if provider == "ionq" else openqasm2(circuit(job)).encode()
    if name != OUTPUT:
        return None
    return msgspec.json.encode(_histogram(job, cloud) if provider == "ionq" else _registers(job, cloud))


def _histogram(job: LabJob, cloud: Cloud) -> dict[str, Any]:
    """IonQ's: probabilities by decimal number, exact ones of an ideal simulation."""
    if job.backend in _IDEAL:
        chances = enumerate(probabilities(circuit(job), Noise()))
        return {"histogram": {str(outcome): chance for outcome, chance in chances if chance > 1e-12}}
    counts = sorted(Counter(measured(job, cloud)).items())
    return {"histogram": {str(outcome): count / job.shots for outcome, count in counts}}


def _registers(job: LabJob, cloud: Cloud) -> dict[str, list[str]]:
    """Quantinuum's: for each register one text of bits per shot, its last bit leftmost."""
    run = circuit(job)
    found: dict[str, list[str]] = {name: [] for name, _ in run.registers}
    for outcome in measured(job, cloud):
        for (name, size), number in zip(run.registers, by_register(run, outcome), strict=True):
            found[name].append(f"{number:0{size}b}")
    return found
