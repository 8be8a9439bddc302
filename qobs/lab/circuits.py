"""Small circuits that the emulated processors really run: drawn per job, noisy by their own calibration, counted per shot.

A job's circuit follows from its id and experiment alone; what it measures follows from that, the noise of the moment and the
job's seed. Two to five qubits, simulated exactly as a density matrix in plain Python (about 0.1 s of CPU for the largest).

Conventions: qubit 0 and classical bit 0 are the least significant bits. Gates of one qubit are written in ``rz`` (free) and
``sx`` or ``x``, gates of two in ``cz``; after each that is not free comes depolarising noise of the reported average error, and
at the end each bit is misread with its own two probabilities.
"""

from __future__ import annotations

import random
from cmath import exp
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import pi
from typing import NamedTuple

from qobs.lab.world import LabJob, Trouble

MOST_QUBITS = 5
"""A larger plan runs a circuit of this width: density matrices grow fourfold with each qubit."""

_WORST = 0.45
"""Largest error that a noise factor makes of a gate or a reading."""

State = list[complex]
Matrix = tuple[complex, complex, complex, complex]

_SX: Matrix = (0.5 + 0.5j, 0.5 - 0.5j, 0.5 - 0.5j, 0.5 + 0.5j)
_X: Matrix = (0, 1, 1, 0)


class Gate(NamedTuple):
    """One gate by Qiskit's name: h, x, sx, rx, ry, rz, cx, cz. ``angle`` in radians where it has one."""

    name: str
    qubits: tuple[int, ...]
    angle: float = 0.0


@dataclass(frozen=True, slots=True)
class LabCircuit:
    """Gates on neighbours of a chain; ``measured[bit]`` is the qubit read into a classical bit.

    ``registers`` are (name, size) in declared order and hold all bits.
    """

    qubits: int
    gates: tuple[Gate, ...]
    measured: tuple[int, ...]
    registers: tuple[tuple[str, int], ...]

    def basis(self) -> tuple[Gate, ...]:
        """The same in rz, sx, x and cz, as the processors run it."""
        return tuple(_merged(low for gate in self.gates for low in _lowered(gate)))


@dataclass(frozen=True, slots=True)
class Noise:
    """Average gate errors and misreadings by the circuit's own qubits; what is not named is perfect.

    ``misread`` holds for each qubit the probability of reading 1 after 0, and of reading 0 after 1.
    """

    one: Mapping[int, float] = field(default_factory=dict)
    two: Mapping[tuple[int, int], float] = field(default_factory=dict)
    misread: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def times(self, factor: float) -> Noise:
        """Every error ``factor`` times as large, up to 0.45."""
        return Noise(
            {qubit: min(error * factor, _WORST) for qubit, error in self.one.items()},
            {pair: min(error * factor, _WORST) for pair, error in self.two.items()},
            {qubit: (min(up * factor, _WORST), min(down * factor, _WORST)) for qubit, (up, down) in self.misread.items()},
        )


def uniform(qubits: int, *, one: float, two: float, misread: tuple[float, float]) -> Noise:
    """The same figures for every qubit and every pair of neighbours."""
    pairs = [(low, low + 1) for low in range(qubits - 1)]
    every = range(qubits)
    return Noise(dict.fromkeys(every, one), dict.fromkeys(pairs, two), dict.fromkeys(every, misread))


# ------------------------------------------------------------------------------------------------------ circuits


def circuit_of(job: LabJob, index: int = 0) -> LabCircuit:
    """Circuit number ``index`` of a job: the shape by experiment and width, the angles by the job's id."""
    draw = random.Random(f"{job.id}:{index}:circuit")
    width = max(2, min(job.qubits, MOST_QUBITS))
    family = {"vqe-h2": _ansatz, "qaoa-maxcut": _alternating, "kernel-svm": _shallow}.get(job.experiment, _ghz)
    return family(width, draw)


def _ghz(width: int, draw: random.Random) -> LabCircuit:
    """Symmetric under every order of bits, as the usual benchmark is."""
    gates = [Gate("h", (0,)), *(Gate("cx", (low, low + 1)) for low in range(width - 1))]
    return LabCircuit(width, tuple(gates), tuple(range(width)), (("meas", width),))


def _ansatz(width: int, draw: random.Random) -> LabCircuit:
    """Two layers of rotations about a chain of cx, read in reverse order."""
    gates = [Gate("ry", (qubit,), _angle(draw)) for qubit in range(width)]
    gates += [Gate("cx", (low, low + 1)) for low in range(width - 1)]
    gates += [Gate("ry", (qubit,), _angle(draw)) for qubit in range(width)]
    return LabCircuit(width, tuple(gates), tuple(reversed(range(width))), (("c", width),))


def _alternating(width: int, draw: random.Random) -> LabCircuit:
    """Rotations, a chain of cz, rotations; read into two registers, the first of them one bit wide."""
    gates = [Gate("ry", (qubit,), _angle(draw)) for qubit in range(width)]
    gates += [Gate("cz", (low, low + 1)) for low in range(width - 1)]
    gates += [Gate("rx", (qubit,), _angle(draw)) for qubit in range(width)]
    return LabCircuit(width, tuple(gates), tuple(range(width)), (("first", 1), ("rest", width - 1)))


def _shallow(width: int, draw: random.Random) -> LabCircuit:
    """Rotations about all axes, with cx and cz between neighbours, one shape for each width; the measurement turns the qubits."""
    shape = random.Random(f"{width}:shallow")
    gates: list[Gate] = []
    for _ in range(width - 1):
        gates += [Gate(shape.choice(("rx", "ry", "rz")), (qubit,), _angle(draw)) for qubit in range(width)]
        low = shape.randrange(width - 1)
        gates.append(Gate(shape.choice(("cx", "cz")), shape.choice(((low, low + 1), (low + 1, low)))))
    gates += [Gate("ry", (qubit,), _angle(draw)) for qubit in range(width)]
    turned = tuple((bit + 1) % width for bit in range(width))
    return LabCircuit(width, tuple(gates), turned, (("c", width),))


def _angle(draw: random.Random) -> float:
    """Three decimals, so that a circuit's text says the angle exactly."""
    return round(draw.uniform(0.2, 2.6), 3)


def _lowered(gate: Gate) -> list[Gate]:
    """One gate in rz, sx, x and cz, up to a phase of the whole.

    Source:
        ry(a) = rz(pi) sx rz(a - pi) sx read from the right, and rx(a) is ry(a) between rz(pi/2) and rz(-pi/2).
    """
    name, qubits, angle = gate
    target = (qubits[-1],)
    if name == "h":
        return [Gate("rz", target, pi / 2), Gate("sx", target), Gate("rz", target, pi / 2)]
    if name == "ry":
        return [Gate("sx", target), Gate("rz", target, angle - pi), Gate("sx", target), Gate("rz", target, pi)]
    if name == "rx":
        return [Gate("rz", target, pi / 2), *_lowered(Gate("ry", target, angle)), Gate("rz", target, -pi / 2)]
    if name == "cx":
        return [*_lowered(Gate("h", target)), Gate("cz", qubits), *_lowered(Gate("h", target))]
    return [gate]


def _merged(gates: Iterable[Gate]) -> list[Gate]:
    """Rotations about z that follow one another on a qubit as one; those before a measurement change nothing and go."""
    merged: list[Gate] = []
    pending: dict[int, float] = {}
    for gate in gates:
        if gate.name == "rz":
            pending[gate.qubits[0]] = pending.get(gate.qubits[0], 0.0) + gate.angle
            continue
        for qubit in gate.qubits if gate.name != "cz" else ():
            if angle := round(pending.pop(qubit, 0.0), 12):
                merged.append(Gate("rz", (qubit,), angle))
        merged.append(gate)
    return merged


# -------------------------------------------------------------------------------------------------------- running


def outcomes(circuit: LabCircuit, noise: Noise, *, shots: int, seed: str, trouble: Trouble | None = None) -> list[int]:
    """One outcome per shot, classical bit 0 the lowest: drawn by ``seed``, spoilt by ``trouble``."""
    weights = probabilities(circuit, noise if trouble is None else noise.times(trouble.noise_factor))
    drawn = random.Random(seed).choices(range(len(weights)), weights, k=shots)
    return drawn if trouble is None else [_spoilt(outcome, len(circuit.measured), trouble) for outcome in drawn]


def _spoilt(outcome: int, bits: int, trouble: Trouble) -> int:
    if trouble.flipped_bit is not None and trouble.flipped_bit < bits:
        outcome ^= 1 << trouble.flipped_bit
    return int(f"{outcome:0{bits}b}"[::-1], 2) if trouble.reversed_bits else outcome


def probabilities(circuit: LabCircuit, noise: Noise) -> list[float]:
    """Probability of each outcome; its index has classical bit 0 as its lowest."""
    state, width = _run(circuit, noise), circuit.qubits
    weights = [max(state[basis | basis << width].real, 0.0) for basis in range(1 << width)]
    for qubit in range(width):
        weights = _misread(weights, qubit, *noise.misread.get(qubit, (0.0, 0.0)))
    found = [0.0] * (1 << len(circuit.measured))
    for basis, weight in enumerate(weights):
        found[sum((basis >> qubit & 1) << bit for bit, qubit in enumerate(circuit.measured))] += weight
    return found


def _run(circuit: LabCircuit, noise: Noise) -> State:
    """The density matrix at the end; its element of row r and column c stands at r + c * 2^qubits."""
    width = circuit.qubits
    state: State = [0j] * (1 << 2 * width)
    state[0] = 1 + 0j
    for gate in circuit.basis():
        if gate.name == "cz":
            state = _flip_phases(state, gate.qubits, width)
            error = noise.two.get((min(gate.qubits), max(gate.qubits)), 0.0)
        elif gate.name == "rz":
            state = _turned(state, gate.qubits[0], gate.angle, width)
            error = 0.0
        else:
            state = _applied(state, gate.qubits[0], _SX if gate.name == "sx" else _X, width)
            error = noise.one.get(gate.qubits[0], 0.0)
        state = _depolarised(state, gate.qubits, error, width) if error else state
    return state


def _applied(state: State, qubit: int, matrix: Matrix, width: int) -> State:
    """The matrix on the rows, its conjugate on the columns."""
    rows = _on_bit(state, 1 << qubit, matrix)
    a, b, c, d = (complex(value).conjugate() for value in matrix)
    return _on_bit(rows, 1 << (qubit + width), (a, b, c, d))


def _on_bit(state: State, bit: int, matrix: Matrix) -> State:
    a, b, c, d = matrix
    after = list(state)
    for low, amplitude in enumerate(state):
        if not low & bit:
            other = state[low | bit]
            after[low], after[low | bit] = a * amplitude + b * other, c * amplitude + d * other
    return after


def _turned(state: State, qubit: int, angle: float, width: int) -> State:
    """A rotation about z: a phase for elements whose row and column differ in the qubit."""
    row, column, ahead = 1 << qubit, 1 << (qubit + width), exp(1j * angle)
    phases = {0: 1.0 + 0j, row: ahead, column: ahead.conjugate(), row | column: 1.0 + 0j}
    return [value * phases[place & (row | column)] for place, value in enumerate(state)]


def _flip_phases(state: State, pair: tuple[int, ...], width: int) -> State:
    rows = 1 << pair[0] | 1 << pair[1]
    columns = rows << width
    return [-value if (place & rows == rows) != (place & columns == columns) else value for place, value in enumerate(state)]


def _depolarised(state: State, qubits: tuple[int, ...], error: float, width: int) -> State:
    """Mixed with the state that has forgotten the qubits, by the weight that makes the average infidelity ``error``.

    Source:
        weight = error * d / (d - 1) for dimension d.
    """
    dimension = 2 ** len(qubits)
    weight = min(error * dimension / (dimension - 1), 1.0)
    diagonals = [_placed(value, qubits) for value in range(dimension)]
    mask = diagonals[-1] | diagonals[-1] << width
    after = [value * (1 - weight) for value in state]
    places = [diagonal | diagonal << width for diagonal in diagonals]
    for rest in range(len(state)):
        if not rest & mask:
            share = weight * sum(state[rest | place] for place in places) / dimension
            for place in places:
                after[rest | place] += share
    return after


def _placed(value: int, qubits: tuple[int, ...]) -> int:
    return sum((value >> place & 1) << qubit for place, qubit in enumerate(qubits))


def _misread(weights: list[float], qubit: int, up: float, down: float) -> list[float]:
    bit = 1 << qubit
    after = list(weights)
    for low, weight in enumerate(weights):
        if not low & bit:
            high = weights[low | bit]
            after[low], after[low | bit] = weight * (1 - up) + high * down, weight * up + high * (1 - down)
    return after


def everywhere(circuit: LabCircuit) -> LabCircuit:
    """The circuit with bit i reading qubit i in one register: all that IonQ's circuits can say."""
    return LabCircuit(circuit.qubits, circuit.gates, tuple(range(circuit.qubits)), (("output_all", circuit.qubits),))


def by_register(circuit: LabCircuit, outcome: int) -> tuple[int, ...]:
    """The number that each register holds, its bit 0 the lowest."""
    found, first = [], 0
    for _, size in circuit.registers:
        found.append(outcome >> first & ((1 << size) - 1))
        first += size
    return tuple(found)
