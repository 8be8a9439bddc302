"""Circuits of Clifford gates, of any width: stabiliser simulation by stim.

Without noise the outcomes of such a circuit are one affine space over bits, all equally likely: it is found exactly. With noise
the outcomes are sampled, with Pauli errors of the twirled noise model and asymmetric readout errors.

Source:
    S. Aaronson, D. Gottesman, Physical Review A 70 (2004), "Improved simulation of stabilizer circuits"; C. Gidney, Quantum 5
    (2021), "Stim: a fast stabilizer circuit simulator".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit
from qobs.reference.matrices import matrix
from qobs.reference.twirl import ErrorSite, TwirledNoise

Bits = NDArray[np.bool_]
"""Shots by classical bits."""

MAX_SAMPLES = 1_000_000
MAX_CELLS = 2**27
"""Samples times measurements: 128 MiB."""

_SPARE = 64
"""Random shots beyond the number of bits: the chance to miss a direction of the space is 2^-64."""
_SMALLEST_ANGLE = 1e-9
_UNMOVED = frozenset({"barrier", "delay", "id"})
_PAULIS = "IXYZ"


@dataclass(frozen=True, slots=True)
class Affine:
    """All outcomes of an ideal Clifford circuit, equally likely: ``offset`` plus any sum of rows of ``basis``.

    ``offset`` has shape (bits,), ``basis`` (dimension, bits) in reduced echelon form, ``pivots`` are the leading bits of rows.
    """

    offset: Bits
    basis: Bits
    pivots: tuple[int, ...]

    @property
    def dimension(self) -> int:
        """2^this outcomes are possible."""
        return len(self.basis)

    def checks(self) -> Bits:
        """Parities that no outcome changes, (bits - dimension, bits): each bit that is no pivot, with the pivots it follows."""
        bits = len(self.offset)
        free = [bit for bit in range(bits) if bit not in set(self.pivots)]
        found = np.zeros((len(free), bits), dtype=np.bool_)
        for row, bit in enumerate(free):
            found[row, bit] = True
            found[row, list(self.pivots)] = self.basis[:, bit]
        return found

    def outcomes(self) -> NDArray[np.bool_]:
        """All of them, (2^dimension, bits); meant for small dimensions."""
        numbers = (np.arange(1 << self.dimension)[:, None] >> np.arange(self.dimension)) & 1
        moved = (numbers @ self.basis.astype(np.int64)) & 1
        return np.asarray(moved.astype(np.bool_) ^ self.offset)


class CliffordCircuit:
    """A circuit as stim runs it; its measurements may be anywhere, and resets too."""

    def __init__(self, circuit: Circuit, noise: TwirledNoise | None = None) -> None:
        """Translate.

        Raises:
            CircuitError: a gate is not Clifford.
        """
        import stim

        self._circuit, self._noise = circuit, noise
        self._known: dict[tuple[str, tuple[float, ...]], Any] = {}
        self._stim = stim.Circuit()
        self._told: dict[int, int] = {}
        """Classical bit to the measurement, counted from 0, that was last told it."""
        self._measured: list[int] = []
        for index in range(len(circuit.operations)):
            self._add(index)

    @property
    def most_samples(self) -> int:
        """So many fit into memory."""
        return max(1, min(MAX_SAMPLES, MAX_CELLS // max(1, len(self._measured), self._circuit.clbits)))

    def ideal(self, seed: int = 0) -> Affine:
        """The outcomes without noise; the circuit must have been given none. ``seed`` chooses among equal descriptions only."""
        sampled = self._sampled(self._circuit.clbits + _SPARE, seed)
        offset = sampled[0]
        basis, pivots = _echelon(sampled[1:] ^ offset)
        offset = offset.copy()
        for row, pivot in zip(basis, pivots, strict=True):
            if offset[pivot]:
                offset ^= row
        return Affine(offset, basis, pivots)

    def samples(self, shots: int, *, seed: int) -> Bits:
        """Random shots with noise and readout errors, (shots, clbits); bits nothing is measured into are False.

        Raises:
            CircuitError: more than :attr:`most_samples`.
        """
        if not 1 <= shots <= self.most_samples:
            raise CircuitError(f"{shots} samples", f"from 1 to {self.most_samples} are drawn")
        found = self._sampled(shots, seed)
        confusions = {} if self._noise is None else self._noise.confusions
        rng = np.random.default_rng([seed, 1])
        for clbit, place in self._told.items():
            confusion = confusions.get(self._measured[place])
            if confusion is not None:
                flip = np.where(found[:, clbit], confusion[0, 1], confusion[1, 0])
                found[:, clbit] ^= rng.random(shots) < flip
        return found

    def _sampled(self, shots: int, seed: int) -> Bits:
        record = self._stim.compile_sampler(seed=seed).sample(shots)
        found = np.zeros((shots, self._circuit.clbits), dtype=np.bool_)
        for clbit, place in self._told.items():
            found[:, clbit] = record[:, place]
        return found

    def _add(self, index: int) -> None:
        name, qubits, params, clbits = self._circuit.operations[index]
        for site in () if self._noise is None else self._noise.before[index]:
            self._error(site)
        if name == "measure":
            self._told[clbits[0]] = len(self._measured)
            self._measured.append(qubits[0])
            self._stim.append("M", qubits)
        elif name == "reset":
            self._stim.append("R", qubits)
        elif name not in _UNMOVED:
            self._gate(name, params, qubits)
        for site in () if self._noise is None else self._noise.after[index]:
            self._error(site)

    def _gate(self, name: str, params: tuple[float, ...], qubits: tuple[int, ...]) -> None:
        key = (name, params)
        if key not in self._known:
            self._known[key] = _translated(name, params)
        for instruction in self._known[key]:
            targets = [qubits[target.value] for target in instruction.targets_copy()]
            self._stim.append(instruction.name, targets)

    def _error(self, site: ErrorSite) -> None:
        shares = site.probabilities
        if shares[0] >= 1.0:
            return
        if len(site.qubits) == 1:
            self._stim.append("PAULI_CHANNEL_1", site.qubits, shares[1:].tolist())
        elif len(site.qubits) == 2:
            # Stim counts IX, IY … with the second operand fastest; here the first one is.
            ordered = shares.reshape(4, 4).T.reshape(-1)[1:]
            self._stim.append("PAULI_CHANNEL_2", site.qubits, ordered.tolist())
        else:
            raise CircuitError(f"noise on {len(site.qubits)} qubits at once", "one or two are simulated")


def is_clifford(circuit: Circuit) -> bool:
    """True where every gate is, at its angles: nothing is simulated."""
    try:
        known: set[tuple[str, tuple[float, ...]]] = set()
        for name, _, params, _ in circuit.operations:
            if name not in _UNMOVED and name not in ("measure", "reset") and (name, params) not in known:
                _translated(name, params)
                known.add((name, params))
    except CircuitError:
        return False
    return True


def _translated(name: str, params: tuple[float, ...]) -> Any:
    """The gate in stim's own, on targets 0 and 1.

    Raises:
        CircuitError: it is not Clifford.
    """
    import stim

    unitary = matrix(name, params)
    try:
        if len(unitary) > 4:
            raise ValueError
        tableau = stim.Tableau.from_unitary_matrix(unitary, endian="little")
        # Stim tolerates what single precision does not tell apart; an angle that is nearly right is not Clifford.
        back = tableau.to_unitary_matrix(endian="little").astype(np.complex128)
    except ValueError:
        raise CircuitError(
            f"{name}{params if params else ''} is no Clifford gate", "stabiliser simulation takes these only"
        ) from None
    overlap = abs(np.vdot(back, unitary)) / len(unitary)
    if 1 - overlap > 1e-6 or not _exactly(params):
        raise CircuitError(f"{name}{params} is no Clifford gate", "stabiliser simulation takes these only")
    return tableau.to_circuit()


def _exactly(params: tuple[float, ...]) -> bool:
    """True where every angle is a multiple of a quarter of pi, within rounding: no Clifford gate has another."""
    eighth = np.pi / 4
    return all(abs(angle - eighth * round(angle / eighth)) < _SMALLEST_ANGLE * max(1.0, abs(angle)) for angle in params)


def _echelon(rows: Bits) -> tuple[Bits, tuple[int, ...]]:
    """Independent rows in reduced echelon form over bits, and their pivots."""
    rows = rows.copy()
    pivots: list[int] = []
    for bit in range(rows.shape[1]):
        rank = len(pivots)
        found = np.flatnonzero(rows[rank:, bit])
        if not found.size:
            continue
        first = rank + int(found[0])
        rows[[rank, first]] = rows[[first, rank]]
        others = np.flatnonzero(rows[:, bit])
        rows[others[others != rank]] ^= rows[rank]
        pivots.append(bit)
    return rows[: len(pivots)], tuple(pivots)
