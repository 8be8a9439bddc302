"""Exact outcome probabilities of a wide circuit, by holding together only those qubits that are entangled at the moment.

A qubit is alone until something really couples it to another, and alone again once its state is a product with the rest: a
routing SWAP leaves its path as it found it. So an executed circuit that touches 70 qubits of a device, ten of which carry the
computation, costs little more than those ten. Nothing is approximated: what cannot be told apart stays together, and a circuit
whose entangled part outgrows the limit is refused before memory is taken.

Work is counted in amplitudes that were passed over, so that the limit is the same on every machine.
"""

from __future__ import annotations

from cmath import exp
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit, Operation
from qobs.reference.distance import Distribution
from qobs.reference.matrices import Complex
from qobs.reference.rebase import REBASED, ControlledPhase, Exchange, Fixed, Phase, Terms

MAX_WORK = 2**33
"""Amplitudes passed over: some minutes of one core."""

MAX_OUTCOMES_BITS = 24
"""128 MiB of probabilities."""

PURE = 1e-9
"""A qubit whose smaller eigenvalue is below this is a product with the rest."""

_WORTH_SPLITTING = 2
_IDENTITY: Complex = np.eye(2, dtype=np.complex128)
_IDENTITY.flags.writeable = False


class _Group:
    """Qubits that are held together: ``qubits[i]`` is bit i of the index of ``state``."""

    __slots__ = ("qubits", "state")

    def __init__(self, qubits: list[int], state: Complex) -> None:
        self.qubits, self.state = qubits, state

    def place(self, qubit: int) -> NDArray[np.complex128]:
        """A view with the qubit's own axis, (higher, 2, lower)."""
        return self.state.reshape(-1, 2, 1 << self.qubits.index(qubit))


class Recycled:
    """Runs a circuit whose measurements come last. ``widest`` is the largest number of qubits that were held together."""

    def __init__(self, width: int, *, max_qubits: int, max_work: int = MAX_WORK) -> None:
        """All qubits begin alone, in their ground state."""
        ground = np.array([1, 0], dtype=np.complex128)
        self._groups = [_Group([qubit], ground.copy()) for qubit in range(width)]
        self._waiting: dict[int, Complex] = {}
        """Matrices that were not multiplied into a state yet."""
        self._named = list(range(width))
        """The line that carries each qubit: exchanges only rename."""
        self._max_qubits, self._left = max_qubits, max_work
        self.widest = 1

    def apply(self, operation: Operation) -> None:
        """One gate.

        Raises:
            CircuitError: more qubits would have to be held together, or more work done, than allowed.
        """
        for primitive in REBASED[operation.name]:
            if isinstance(primitive, Fixed):
                self._turn(operation.qubits[primitive.operand], primitive.matrix)
            elif isinstance(primitive, Phase):
                factor = exp(1j * _angle(primitive.angle, operation.params))
                self._turn(operation.qubits[primitive.operand], np.array([[1, 0], [0, factor]]))
            elif isinstance(primitive, ControlledPhase):
                first, second = operation.qubits[primitive.first], operation.qubits[primitive.second]
                self._couple(self._named[first], self._named[second], exp(1j * _angle(primitive.angle, operation.params)))
            elif isinstance(primitive, Exchange):
                first, second = operation.qubits[primitive.first], operation.qubits[primitive.second]
                self._named[first], self._named[second] = self._named[second], self._named[first]

    def probabilities(self, qubits: Sequence[int]) -> Distribution:
        """Of all values of these qubits, the first in the lowest bit, (2^qubits,)."""
        lines = [self._named[qubit] for qubit in qubits]
        joint, order = np.ones(1), list[int]()
        for group in dict.fromkeys(self._groups[line] for line in lines):
            told = [line for line in group.qubits if line in lines]
            for line in told:
                self._flush(line)
            weights = np.abs(group.state) ** 2
            axes = len(group.qubits)
            rest = tuple(axes - 1 - bit for bit, line in enumerate(group.qubits) if line not in told)
            own = weights.reshape((2,) * axes).sum(axis=rest).reshape(-1)
            joint, order = np.kron(own, joint), order + told
        count = len(order)
        axes_of = [count - 1 - order.index(line) for line in reversed(lines)]
        found = joint.reshape((2,) * count).transpose(axes_of).reshape(-1)
        return np.asarray(found / found.sum(), dtype=np.float64)

    def _turn(self, qubit: int, matrix: Complex) -> None:
        line = self._named[qubit]
        self._waiting[line] = matrix @ self._waiting.get(line, _IDENTITY)

    def _couple(self, first: int, second: int, factor: complex) -> None:
        """``diag(1, 1, 1, factor)``."""
        if abs(factor - 1) < 1e-15:
            return
        for line in (first, second):
            if not _diagonal(self._waiting.get(line, _IDENTITY)) or len(self._groups[line].qubits) == 1:
                self._flush(line)
        for line, other in ((first, second), (second, first)):
            known = self._known(line)
            if known is not None:
                # One of both is in a known basis state: the other gets a phase, or nothing.
                if known:
                    self._waiting[other] = np.diag([1, factor]) @ self._waiting.get(other, _IDENTITY)
                return
        group = self._joined(first, second)
        low, high = sorted((group.qubits.index(first), group.qubits.index(second)))
        group.state.reshape(-1, 2, 1 << (high - low - 1), 2, 1 << low)[:, 1, :, 1] *= factor
        self._spend(group)
        for line in (first, second):
            self._split(line)

    def _known(self, line: int) -> int | None:
        """The basis state of a qubit that is alone in one; None for any other."""
        group = self._groups[line]
        if len(group.qubits) > 1:
            return None
        weights = np.abs(group.state) ** 2
        return 0 if weights[1] < PURE**2 else 1 if weights[0] < PURE**2 else None

    def _joined(self, first: int, second: int) -> _Group:
        one, other = self._groups[first], self._groups[second]
        if one is other:
            return one
        size = len(one.qubits) + len(other.qubits)
        if size > self._max_qubits:
            raise CircuitError(f"{size} qubits that are entangled at once", f"at most {self._max_qubits} are simulated together")
        joint = np.kron(other.state, one.state).astype(np.complex128, copy=False)
        group = _Group(one.qubits + other.qubits, joint)
        for line in group.qubits:
            self._groups[line] = group
        self.widest = max(self.widest, size)
        return group

    def _flush(self, line: int) -> None:
        matrix = self._waiting.pop(line, None)
        if matrix is None:
            return
        group = self._groups[line]
        before = group.place(line)
        after = np.empty_like(before)
        for row in (0, 1):
            np.multiply(before[:, 0], matrix[row, 0], out=after[:, row])
            after[:, row] += matrix[row, 1] * before[:, 1]
        group.state = after.reshape(-1)
        self._spend(group)

    def _split(self, line: int) -> None:
        """Let a qubit go that is a product with the rest of its group."""
        group = self._groups[line]
        if len(group.qubits) < _WORTH_SPLITTING:
            return
        state = group.place(line)
        zero, one = state[:, 0], state[:, 1]
        p0, p1 = float(np.vdot(zero, zero).real), float(np.vdot(one, one).real)
        self._spend(group)
        cross = np.vdot(zero, one)
        # Eigenvalues of [[p0, c*], [c, p1]]: their product is what the determinant says.
        if p0 * p1 - abs(cross) ** 2 > PURE * (p0 + p1) ** 2:
            return
        own = np.array([p0, cross]) if p0 >= p1 else np.array([np.conj(cross), p1])
        own = own / np.linalg.norm(own)
        rest = np.conj(own[0]) * zero + np.conj(own[1]) * one
        rest = (rest / np.linalg.norm(rest)).reshape(-1)
        others = [each for each in group.qubits if each != line]
        group.qubits, group.state = others, np.ascontiguousarray(rest, dtype=np.complex128)
        self._groups[line] = _Group([line], own.astype(np.complex128))

    def _spend(self, group: _Group) -> None:
        self._left -= group.state.size
        if self._left < 0:
            raise CircuitError(
                f"a circuit whose simulation passes over too many amplitudes ({self.widest} qubits at once)",
                "fewer gates or fewer entangled qubits are simulated exactly",
            )


def recycled_probabilities(circuit: Circuit, *, max_qubits: int, max_work: int = MAX_WORK) -> tuple[Distribution, int]:
    """Probabilities over the classical bits without noise, (2^clbits,), and how many qubits were held together at most.

    Args:
        circuit: Its measurements come last and each of its bits is measured, as :func:`~qobs.reference.cone.deferred` makes it.
        max_qubits: Held together at most.
        max_work: Amplitudes passed over at most.

    Raises:
        CircuitError: it takes more than allowed; bits or operations are not as they should be.
    """
    if circuit.clbits > MAX_OUTCOMES_BITS:
        raise CircuitError(f"{circuit.clbits} measured bits", f"at most {MAX_OUTCOMES_BITS} are written out")
    simulation = Recycled(circuit.width, max_qubits=max_qubits, max_work=max_work)
    told: dict[int, int] = {}
    for operation in circuit.operations:
        if operation.name == "measure":
            told[operation.clbits[0]] = operation.qubits[0]
        elif operation.name not in ("barrier", "delay"):
            simulation.apply(operation)
    qubits = [told[clbit] for clbit in range(circuit.clbits)]
    return simulation.probabilities(qubits), simulation.widest


def _angle(terms: Terms, params: tuple[float, ...]) -> float:
    return sum(weight * (1.0 if slot < 0 else params[slot]) for weight, slot in terms)


def _diagonal(matrix: Complex) -> bool:
    return bool(abs(matrix[0, 1]) < 1e-14 and abs(matrix[1, 0]) < 1e-14)
