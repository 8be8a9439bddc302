"""The noise that a calibration predicts for a circuit, as random Pauli errors."""

from __future__ import annotations

from functools import lru_cache

from qobs.reference.channels import noise_ptm, relaxation_ptm, superoperator
from qobs.reference.circuit import Circuit
from qobs.reference.noise import GateNoise, NoiseModel, Relaxation
from qobs.reference.twirl import ErrorSite, Probabilities, TwirledNoise, twirl


def twirled(circuit: Circuit, model: NoiseModel) -> TwirledNoise:
    """``model``, made for ``circuit``, with every channel twirled."""
    return TwirledNoise(
        before=tuple(
            tuple(
                ErrorSite((qubit,), _relaxing(relaxation))
                for qubit, relaxation in zip(operation.qubits, relaxations, strict=True)
                if relaxation is not None
            )
            for operation, relaxations in zip(circuit.operations, model.idle, strict=True)
        ),
        after=tuple(
            () if noise is None else (ErrorSite(operation.qubits, _after(noise)),)
            for operation, noise in zip(circuit.operations, model.gates, strict=True)
        ),
        confusions={qubit: error.matrix() for qubit, error in model.readout.items()},
    )


@lru_cache(maxsize=4096)
def _after(noise: GateNoise) -> Probabilities:
    return _frozen(twirl(superoperator(noise_ptm(noise))))


@lru_cache(maxsize=4096)
def _relaxing(relaxation: Relaxation) -> Probabilities:
    return _frozen(twirl(superoperator(relaxation_ptm(relaxation))))


def _frozen(probabilities: Probabilities) -> Probabilities:
    probabilities.flags.writeable = False
    return probabilities
