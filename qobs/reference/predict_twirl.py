"""From a noise model to random Pauli errors, as trajectories and stabiliser simulations need them, and to words for its gaps."""

from __future__ import annotations

from collections.abc import Callable

from qobs.reference.channels import noise_ptm, superoperator
from qobs.reference.circuit import Circuit
from qobs.reference.noise import GateNoise, NoiseModel
from qobs.reference.twirl import ErrorSite, Probabilities, TwirledNoise, twirl

_LISTED = 8


def twirled(circuit: Circuit, model: NoiseModel) -> TwirledNoise:
    """The model's noise as Pauli errors: idle noise before each operation, gate noise after it, readout by dense qubit.

    Args:
        circuit: What the model was made for.
        model: Of this circuit.
    """
    known: dict[GateNoise, Probabilities] = {}

    def site(qubits: tuple[int, ...], noise: GateNoise) -> ErrorSite:
        if noise not in known:
            known[noise] = twirl(superoperator(noise_ptm(noise)))
        return ErrorSite(qubits, known[noise])

    before, after = [], []
    for operation, noise, idle in zip(circuit.operations, model.gates, model.idle, strict=True):
        waits = zip(operation.qubits, idle, strict=False)
        before.append(tuple(site((qubit,), GateNoise(0.0, 0.0, (wait,))) for qubit, wait in waits if wait is not None))
        after.append(() if noise is None else _sites(operation.qubits, noise, site))
    confusions = {qubit: error.matrix() for qubit, error in model.readout.items()}
    return TwirledNoise(before=tuple(before), after=tuple(after), confusions=confusions)


def _sites(
    qubits: tuple[int, ...], noise: GateNoise, make: Callable[[tuple[int, ...], GateNoise], ErrorSite]
) -> tuple[ErrorSite, ...]:
    if noise.depolarizing == 0.0:
        # Without a joint error each operand relaxes alone; a delay may act on any number of qubits.
        pairs = zip(qubits, noise.relaxation, strict=True)
        return tuple(make((qubit,), GateNoise(0.0, 0.0, (each,))) for qubit, each in pairs if each is not None)
    return (make(qubits, noise),)


def gaps(model: NoiseModel) -> tuple[str, ...]:
    """What the prediction leaves out or doubts, one sentence part for each kind of flaw, in the order met."""
    places: dict[str, list[tuple[int, ...]]] = {}
    for flaw in model.degraded:
        places.setdefault(f"{flaw.flaw}{f' of {flaw.gate}' if flaw.gate else ''}", []).append(flaw.qubits)
    for contradiction in model.inconsistent:
        places.setdefault(f"gate_error_contradicts_times of {contradiction.gate}", []).append(contradiction.qubits)
    told = tuple(f"{flaw}{_where(qubits)}" for flaw, qubits in places.items())
    return (*told, "device_medians: no qubit differs from another") if model.device_level else told


def _where(places: list[tuple[int, ...]]) -> str:
    named = ["-".join(map(str, qubits)) for qubits in places if qubits]
    if not named:
        return ""
    more = f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
    return f" on {', '.join(named[:_LISTED])}{more}"
