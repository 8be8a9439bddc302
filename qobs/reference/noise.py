"""The noise that a calibration snapshot predicts for one circuit, operation by operation.

After each physical gate: depolarising noise, then relaxation of its qubits for its duration, together of the reported error;
before each operation: relaxation of qubits that had to wait for it; at each measurement: an asymmetric bit flip.
Rotations about z are free. What the calibration does not tell is left out and listed, never filled in.

Left out always: crosstalk, coherent and leakage errors, drift since the calibration, correlated readout, thermal population.

Source:
    qiskit-aer's ``NoiseModel.from_backend`` for the gates (equal to it, and tested so). It adds no idle noise to a circuit that
    is not scheduled; here waiting counts by default, since it often dominates deep circuits (``idle=False`` leaves it out).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp, prod
from typing import NamedTuple

from qobs.model import Calibration
from qobs.reference.circuit import Circuit, Operation
from qobs.reference.noise_figures import Coherence, Degraded, Figures, Flaw
from qobs.reference.noise_schedule import waits
from qobs.reference.readout import ReadoutError


class Relaxation(NamedTuple):
    """A qubit left alone for a while, relaxing to its ground state; ``t2_seconds`` is at most ``2 * t1_seconds``."""

    t1_seconds: float
    t2_seconds: float
    seconds: float

    @property
    def decay(self) -> float:
        """Probability that an excited qubit has fallen to the ground state."""
        return 1 - exp(-self.seconds / self.t1_seconds)

    @property
    def coherence(self) -> float:
        """What is left of the off-diagonal elements, in [0, 1]."""
        return exp(-self.seconds / self.t2_seconds)


class GateNoise(NamedTuple):
    """What follows one ideal operation: :attr:`depolarizing` on all its qubits, then :attr:`relaxation` of each.

    ``error`` is the reported average infidelity. ``depolarizing`` is the weight of the completely mixed state, in
    [0, 4^k / (4^k - 1)] for k qubits. ``relaxation`` is in the order of the operands, None where nothing relaxes.
    """

    error: float
    depolarizing: float
    relaxation: tuple[Relaxation | None, ...]


class Inconsistent(NamedTuple):
    """A gate whose reported error no channel of the model has, with hardware's own numbers of its qubits.

    Below ``least`` (what relaxation makes in the gate's time): it has relaxation only. Above ``most``: it is fully depolarising.
    """

    gate: str
    qubits: tuple[int, ...]
    error: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseModel:
    """Noise of one circuit on its hardware qubits. It fits every circuit that differs from it in angles only.

    ``gates`` and ``idle`` run along the circuit's operations. ``readout`` is by dense qubit, for measured qubits that have
    figures.
    """

    gates: tuple[GateNoise | None, ...]
    """None: free, or left out and listed in ``degraded``. A delay has relaxation only."""
    idle: tuple[tuple[Relaxation | None, ...], ...]
    """Relaxation of each operand while it waited for the operation."""
    readout: Mapping[int, ReadoutError]
    degraded: tuple[Degraded, ...]
    """What the prediction leaves out, in the order met; empty: every figure was there."""
    inconsistent: tuple[Inconsistent, ...] = ()
    """Gates whose figures contradict each other: in use, at the physical limit."""
    calibrated_at: datetime
    age_seconds: float | None = None
    """Age of the snapshot when the job began; None: nobody told when."""
    device_level: bool = False
    """True where figures are the provider's medians over the whole device: no qubit differs from another."""


class Success(NamedTuple):
    """Estimated probability that nothing went wrong, of gates and of readout."""

    gates: float
    readout: float

    @property
    def total(self) -> float:
        """Of a whole shot."""
        return self.gates * self.readout


def noise_model(
    calibration: Calibration, circuit: Circuit, *, idle: bool = True, executed_at: datetime | None = None
) -> NoiseModel:
    """The noise that ``calibration`` predicts for ``circuit``; nothing is computed for qubits that the circuit does not use.

    Args:
        calibration: The latest snapshot not later than the execution.
        circuit: Its ``physical`` names the hardware qubits; figures are looked up by these.
        idle: Schedule the circuit (as soon as possible) and let waiting qubits relax. False: only written delays count.
        executed_at: When the job began, for the snapshot's age.
    """
    figures = Figures(calibration, frozenset(circuit.physical))
    age = None if executed_at is None else (executed_at - calibration.calibrated_at).total_seconds()
    if age is not None and age < 0:
        figures.note(Flaw.SNAPSHOT_LATER)
    builder = _Builder(figures, circuit)
    last = max((place for place, each in enumerate(circuit.operations) if each.name not in {"measure", "barrier"}), default=-1)
    # The length of a measurement matters where something may wait for it.
    gates = tuple([builder.after(each, middle=idle and place < last) for place, each in enumerate(circuit.operations)])
    waiting = waits(circuit, builder.seconds) if idle else [(0.0,) * len(each.qubits) for each in circuit.operations]
    return NoiseModel(
        gates=gates,
        idle=tuple([builder.while_waiting(*pair) for pair in zip(circuit.operations, waiting, strict=True)]),
        readout=builder.readout,
        degraded=figures.degraded,
        inconsistent=tuple(builder.inconsistent),
        calibrated_at=calibration.calibrated_at,
        age_seconds=age,
        device_level=calibration.published is not None and not (calibration.qubits and calibration.gates),
    )


def esp(circuit: Circuit, model: NoiseModel) -> float:
    """Estimated success probability of a shot, gates and readout together: see :func:`success`."""
    return success(circuit, model).total


def success(circuit: Circuit, model: NoiseModel) -> Success:
    """Estimated success probability: the product of ``1 - error`` over gates, and over measurements.

    Idle noise has no part in it, and what ``model.degraded`` names counts as perfect: an upper bound then.
    """
    gates = prod(1 - noise.error for noise in model.gates if noise is not None)
    measured = (op.qubits[0] for op in circuit.operations if op.name == "measure")
    return Success(gates, prod(1 - model.readout[qubit].error for qubit in measured if qubit in model.readout))


def relaxation_infidelity(relaxation: Sequence[Relaxation | None]) -> float:
    """Average gate infidelity of relaxing qubits, None standing for one that does not relax.

    Source:
        F_avg = (d F_pro + 1) / (d + 1) with the process fidelity of each qubit a quarter of its Pauli transfer matrix's trace.

    Example:
        >>> relaxation_infidelity([None])
        0.0
        >>> round(relaxation_infidelity([Relaxation(1.0, 1.0, 1e-3)]), 9)
        0.00049975
    """
    dimension = 2.0 ** len(relaxation)
    process = prod(1.0 if one is None else (2 - one.decay + 2 * one.coherence) / 4 for one in relaxation)
    return 1 - (dimension * process + 1) / (dimension + 1)


def depolarizing_weight(error: float, infidelity: float, qubits: int) -> float:
    """Weight of depolarising noise that, with relaxation of ``infidelity`` after it, makes an average infidelity of ``error``.

    0 where relaxation alone makes more; at most what is physical.

    Source:
        p = d (e - r) / (d (1 - r) - 1), the rule of qiskit-aer's device models.

    Example:
        >>> round(depolarizing_weight(0.01, 0.0, 1), 9), depolarizing_weight(0.01, 0.02, 1)
        (0.02, 0.0)
    """
    dimension = 2.0**qubits
    error = min(error, dimension / (dimension + 1))
    if error <= infidelity:
        return 0.0
    most = dimension**2 / (dimension**2 - 1)
    left = dimension * (1 - infidelity) - 1
    # Where relaxation leaves no more of a state than mixing does, no weight makes the error larger.
    return min(dimension * (error - infidelity) / left, most) if left > 0 else most


class _Builder:
    """Reads the figures of one circuit: each gate on each qubits once."""

    def __init__(self, figures: Figures, circuit: Circuit) -> None:
        self._figures, self._physical = figures, circuit.physical
        self._coherence: dict[int, Coherence | None] = {}
        self._gates: dict[tuple[str, tuple[int, ...]], tuple[GateNoise | None, float]] = {}
        self.seconds: list[float] = []
        """Duration of each operation so far."""
        self.readout: dict[int, ReadoutError] = {}
        self.inconsistent: list[Inconsistent] = []

    def after(self, operation: Operation, *, middle: bool) -> GateNoise | None:
        """What follows the operation; its duration is appended to :attr:`seconds`. ``middle``: something may wait for it."""
        noise, seconds = self._read(operation, middle)
        self.seconds.append(seconds)
        return noise

    def while_waiting(self, operation: Operation, seconds: tuple[float, ...]) -> tuple[Relaxation | None, ...]:
        """Relaxation of each operand before an operation that it waited for."""
        if not any(seconds):
            return (None,) * len(seconds)
        return tuple(map(self.relaxation, operation.qubits, seconds))

    def relaxation(self, qubit: int, seconds: float) -> Relaxation | None:
        """Of a dense qubit over a time; None where nothing relaxes."""
        coherence = self._known(qubit) if seconds > 0 else None
        return None if coherence is None else Relaxation(*coherence, seconds)

    def _read(self, operation: Operation, middle: bool) -> tuple[GateNoise | None, float]:
        name, qubits = operation.name, operation.qubits
        if name == "barrier":
            return None, 0.0
        if name == "delay":
            seconds = operation.params[0]
            relaxation = tuple(self.relaxation(qubit, seconds) for qubit in qubits)
            return (GateNoise(0.0, 0.0, relaxation) if any(relaxation) else None), seconds
        if name == "measure":
            return None, self._measure(qubits[0], middle)
        if name == "reset":
            self._figures.note(Flaw.RESET_UNKNOWN, self._physical[qubits[0]], gate=name)
            return None, 0.0
        key = (name, qubits)
        if key not in self._gates:
            for qubit in qubits:
                self._known(qubit)
            self._gates[key] = self._gate(name, qubits)
        return self._gates[key]

    def _measure(self, qubit: int, middle: bool) -> float:
        physical = self._physical[qubit]
        self._known(qubit)
        if (error := self._figures.readout(physical)) is not None:
            self.readout[qubit] = error
        return self._figures.readout_seconds(physical, matters=middle)

    def _gate(self, name: str, qubits: tuple[int, ...]) -> tuple[GateNoise | None, float]:
        physical = tuple(self._physical[qubit] for qubit in qubits)
        figure = self._figures.gate(name, physical)
        if figure is None or figure == (0.0, 0.0):
            return None, 0.0
        relaxation = tuple(self.relaxation(qubit, figure.seconds) for qubit in qubits)
        least, dimension = relaxation_infidelity(relaxation), 2 ** len(qubits)
        most = dimension / (dimension + 1)
        if not least <= figure.error <= most:
            self.inconsistent.append(Inconsistent(name, physical, figure.error, least, most))
        weight = depolarizing_weight(figure.error, least, len(qubits))
        return GateNoise(figure.error, weight, relaxation), figure.seconds

    def _known(self, qubit: int) -> Coherence | None:
        if qubit not in self._coherence:
            physical = self._physical[qubit]
            self._figures.check(physical)
            self._coherence[qubit] = self._figures.coherence(physical)
        return self._coherence[qubit]
