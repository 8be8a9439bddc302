"""The methods of a prediction, tried in order of quality; why one was not taken is remembered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qobs.errors import CircuitError
from qobs.reference import clifford
from qobs.reference.cone import Reduced, deferred
from qobs.reference.esp_fidelity import expected_fidelity
from qobs.reference.noise import NoiseModel, success
from qobs.reference.predict_records import Effort, Marks, Prediction, Reference
from qobs.reference.predict_twirl import gaps, twirled

EXACT_QUBITS = 8
"""An exact density matrix is the fastest noisy method up to here."""

TRAJECTORY_QUBITS = 20
FEWEST_TRAJECTORIES = 64
"""With fewer the prediction's own error hides what it should show."""

DENSE_BITS = 20
"""Distributions over more measured bits are not written out: their outcomes are listed, or marked."""

_SPARSE_DIMENSION = 16
"""At most 2^this outcomes are listed."""

_WORD_BITS = 62


class Predictor:
    """One reduced circuit; :meth:`run` is called once."""

    def __init__(self, found: Reduced, effort: Effort) -> None:
        self._found, self._effort = found, effort
        self._late = deferred(found)
        self._qubits = self._late.circuit.width
        self._clifford = clifford.is_clifford(found.circuit)
        self._why: list[str] = []
        self._why_ideal: list[str] = []
        self._marks: Marks | None = None

    def run(self) -> Prediction:
        """The prediction."""
        model = self._found.model
        ideal = self._ideal()
        noisy = None if model is None else self._noisy(model)
        self._mark(noisy, ideal)
        best = noisy or ideal or self._marks
        reason = None if best else "; ".join(dict.fromkeys([*self._why_ideal, *self._why]))
        return Prediction(
            method=best.method if best else "estimated success probability" if model else "none",
            qubits=self._qubits,
            clbits=self._found.clbits,
            ideal=ideal,
            noisy=noisy,
            marks=self._marks,
            esp=None if model is None else success(self._found.circuit, model),
            fidelity=None if model is None else expected_fidelity(self._found.circuit, model),
            degraded=(*(() if model is None else gaps(model)), *dict.fromkeys(self._why)),
            age_seconds=None if model is None else model.age_seconds,
            unverified=reason,
        )

    # --------------------------------------------------------------------------------------------- ideal

    def _ideal(self) -> Reference | None:
        circuit = self._late.circuit
        if circuit.clbits <= DENSE_BITS and circuit.width <= self._effort.max_qubits and not self._slow():
            from qobs.reference.engine import probabilities

            return Reference(method="state vector", probabilities=probabilities(circuit, max_qubits=self._effort.max_qubits))
        if self._clifford:
            if (listed := self._stabilised()) is not None:
                return listed
        elif circuit.clbits > DENSE_BITS:
            self._why_ideal.append(
                f"{circuit.clbits} measured bits: distributions over more than {DENSE_BITS} are not written out"
            )
        return self._recycled() if circuit.clbits <= DENSE_BITS else None

    def _slow(self) -> bool:
        """True where a state vector is possible, but stabilisers give the same at once."""
        return self._late.circuit.width > TRAJECTORY_QUBITS and self._clifford

    def _stabilised(self) -> Reference | None:
        """All outcomes of a Clifford circuit where they are few enough."""
        method = "stabilisers (stim), exact"
        space = clifford.CliffordCircuit(self._found.circuit).ideal(self._effort.seed)
        if space.dimension > _SPARSE_DIMENSION:
            self._why_ideal.append(f"2^{space.dimension} outcomes are equally likely: too many to be listed")
            return None
        outcomes = _packed(space.outcomes())
        share = np.full(len(outcomes), 1.0 / len(outcomes))
        if self._found.circuit.clbits > DENSE_BITS:
            return Reference(method=method, probabilities=share, outcomes=tuple(outcomes))
        whole = np.zeros(1 << self._found.circuit.clbits)
        whole[outcomes] = share
        return Reference(method=method, probabilities=whole)

    def _recycled(self) -> Reference | None:
        from qobs.reference.recycle import recycled_probabilities

        circuit = self._late.circuit
        try:
            found, widest = recycled_probabilities(circuit, max_qubits=self._effort.max_qubits)
        except CircuitError as error:
            self._why_ideal.append(str(error))
            return self._product_state()
        self._qubits = widest
        return Reference(method=f"state vector, {widest} of {circuit.width} qubits at once", probabilities=found)

    def _product_state(self) -> Reference | None:
        if not self._effort.matrix_product:
            return None
        from qobs.reference.wide_mps import Missing, sampled

        try:
            found, method = sampled(self._late.circuit, shots=self._effort.samples, seed=self._effort.seed)
        except Missing as missing:
            self._why_ideal.append(str(missing))
            return None
        except CircuitError as error:
            self._why_ideal.append(str(error))
            return None
        return Reference(method=method, probabilities=found, worth_shots=self._effort.samples)

    # --------------------------------------------------------------------------------------------- noisy

    def _noisy(self, model: NoiseModel) -> Reference | None:
        circuit = self._found.circuit
        if circuit.clbits <= DENSE_BITS:
            if (found := self._exact(model)) is not None:
                return found
            if (found := self._trajectories()) is not None:
                return found
            if self._clifford:
                return self._sampled_densely(model)
        if not self._clifford:
            self._why.append("the noisy distribution was not computed: its level is estimated only")
        return None

    def _exact(self, model: NoiseModel) -> Reference | None:
        from qobs.reference.exact import coupled_lines, noisy_outcomes

        if coupled_lines(self._found.circuit) > min(EXACT_QUBITS, self._effort.max_qubits):
            return None
        try:
            outcomes = noisy_outcomes([self._found.circuit], model, max_lines=EXACT_QUBITS)
        except CircuitError as error:
            self._why.append(str(error))
            return None
        return Reference(method="density matrix, exact", probabilities=outcomes.probabilities[0])

    def _trajectories(self) -> Reference | None:
        circuit, model = self._late.circuit, self._late.model
        assert model is not None
        count = min(
            self._effort.trajectories, self._effort.trajectory_work // (max(1, len(circuit.operations)) << min(circuit.width, 40))
        )
        if circuit.width > min(TRAJECTORY_QUBITS, self._effort.max_qubits) or count < min(
            FEWEST_TRAJECTORIES, self._effort.trajectories
        ):
            return None
        from qobs.reference.engine import Options
        from qobs.reference.trajectories import noisy_probabilities
        from qobs.reference.wide_sampled import worth

        noise = twirled(circuit, model)
        found = noisy_probabilities(
            circuit,
            noise,
            trajectories=max(2, int(count)),
            seed=self._effort.seed,
            options=Options(max_qubits=self._effort.max_qubits),
        )
        method = f"Pauli trajectories ({found.trajectories}), exact no-error branch of weight {found.no_error:.2g}"
        if not found.trajectories:
            method = "state vector with readout errors, exact"
        return Reference(
            method=method,
            probabilities=found.probabilities,
            worth_shots=worth(found.probabilities, found.standard_errors),
        )

    def _sampled_densely(self, model: NoiseModel) -> Reference:
        circuit = self._found.circuit
        rows = self._sampled(model)
        counts = np.bincount(_packed(rows), minlength=1 << circuit.clbits)
        method = f"stabilisers (stim) with Pauli errors, {len(rows)} samples"
        return Reference(method=method, probabilities=counts / counts.sum(), worth_shots=len(rows))

    def _sampled(self, model: NoiseModel) -> NDArray[np.bool_]:
        circuit = self._found.circuit
        found = clifford.CliffordCircuit(circuit, twirled(circuit, model))
        return found.samples(min(self._effort.samples, found.most_samples), seed=self._effort.seed)

    def _mark(self, noisy: Reference | None, ideal: Reference | None) -> None:
        """Parities to look at, where a Clifford circuit has no distribution that could be compared with."""
        model, circuit = self._found.model, self._found.circuit
        enough = noisy is not None or (model is None and ideal is not None)
        if enough or not self._clifford:
            return
        space = clifford.CliffordCircuit(circuit).ideal(self._effort.seed)
        checks = space.checks()
        values = ((checks.astype(np.uint8) @ space.offset.astype(np.uint8)) & 1).astype(np.bool_)
        if not len(checks):
            self._why_ideal.append("all outcomes are equally likely: no result can be told from noise")
            return
        method = "stabilisers (stim)"
        marks = Marks(method=method, checks=checks, values=values, broken=None, samples=0)
        if model is not None:
            rows = clifford.CliffordCircuit(circuit, twirled(circuit, model)).samples(
                self._effort.samples, seed=self._effort.seed
            )
            marks = Marks(
                method=f"{method} with Pauli errors, {len(rows)} samples",
                checks=checks,
                values=values,
                broken=marks.count(rows, np.ones(len(rows), dtype=np.int64)),
                samples=len(rows),
            )
        self._marks = marks


def _packed(rows: NDArray[np.bool_]) -> list[int]:
    """Outcomes as numbers, bit 0 lowest."""
    if rows.shape[1] <= _WORD_BITS:
        packed: list[int] = (rows @ (1 << np.arange(rows.shape[1], dtype=np.int64))).tolist()
        return packed
    return [int("".join("1" if bit else "0" for bit in row[::-1]), 2) for row in rows]
