"""From a plan and its angles to the arrays of a kernel, for a whole batch at once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qobs.reference.chains import Chains, Errors, Sums
from qobs.reference.layered import Factor, Flip, Plan, Structure, added, planned
from qobs.reference.rebase import Terms
from qobs.reference.sizes import bucket

_PAIR = tuple((high, low) for high in (0, 1) for low in (0, 1))


class Layers(NamedTuple):
    """Arguments of :func:`~qobs.reference.kernels.layered`; couplings without a batch axis are shared."""

    cells: NDArray[Any]
    couplings: NDArray[Any]
    steps: int


class Gates(NamedTuple):
    """Arguments of :func:`~qobs.reference.kernels.gatewise`."""

    gates: NDArray[Any]
    exchanges: NDArray[np.int32]
    steps: int


class Gate(NamedTuple):
    """A two-qubit gate: matrices of two cells (None: nothing), then a controlled phase (None: none)."""

    low: int
    high: int
    low_cell: int | None
    high_cell: int | None
    angle: int | None


class Lowering:
    """How to fill the arrays of one structure. Immutable once built; shared by all circuits of the structure."""

    def __init__(self, plan: Plan) -> None:
        """Tell cells and angles that are always the same from those that depend on parameters."""
        self.plan = plan
        keys = list(plan.cells)
        moving = [key for key in keys if not all(map(_constant, plan.cells[key]))]
        still = [key for key in keys if key not in set(moving)]
        self._moving, self._still = Chains([plan.cells[key] for key in moving]), Chains([plan.cells[key] for key in still])
        self._keys = [still[one] for one in self._still.order] + [moving[one] for one in self._moving.order]
        self._still_count = len(still)
        self._still_values = self._still(np.ones((1, 1)), None, np.complex128)[..., 0]
        self._angles, self._places = _angles(plan)
        self._sums = Sums(self._angles) if self._angles else None
        self.shared = all(slot < 0 for angle in self._angles for _, slot in angle)
        self._gates = self._gate_list() if plan.width > 1 else []
        self._exchanges, self._final = _exchanges(self._gates, plan.width)

    @property
    def dense(self) -> bool:
        """True where whole layers are cheaper than single gates, which depends on how many gates fill a layer.

        Measured on a CPU: a layer takes as long as 3 gates at 5 qubits, 5 at 12, 6 at 16.
        """
        width = self.plan.width
        return width < 2 or 3 * len(self._gates) >= (width + 3) * self.plan.layers

    def masks(self, dense: bool) -> tuple[int, ...]:
        """For each bit of a kernel's indices the classical bits that tell it."""
        if dense:
            return self.plan.outcome
        found = [0] * self.plan.width
        for wire, bit in enumerate(self._final):
            found[bit] = self.plan.outcome[wire]
        return tuple(found)

    def layers(self, parameters: NDArray[np.float64], errors: Errors | None, dtype: Any) -> Layers:
        """Arrays for whole layers, of parameters (params + 1, batch) whose last row is 1."""
        width, size, batch = self.plan.width, bucket(self.plan.layers), parameters.shape[1]
        cells = np.zeros((batch, size, width, 2, 2), dtype=dtype)
        cells[..., 0, 0] = cells[..., 1, 1] = 1
        if self._keys:
            layer, wire = np.array(self._keys, dtype=np.intp).T
            count = self._still_count
            cells[:, layer[:count], wire[:count]] = self._still_values.transpose(2, 0, 1)
            if count < len(self._keys):
                moving = self._moving(parameters, errors, dtype)
                cells[:, layer[count:], wire[count:]] = moving.transpose(3, 2, 0, 1)
        return Layers(cells, self._couplings(parameters, size, cells.real.dtype), self.plan.layers)

    def gates(self, parameters: NDArray[np.float64], errors: Errors | None, dtype: Any) -> Gates:
        """Arrays for single gates, of parameters (params + 1, batch) whose last row is 1."""
        batch, count = parameters.shape[1], len(self._gates)
        size = bucket(count)
        values = np.zeros((2, 2, len(self._keys) + 1, batch), dtype=dtype)
        values[:, :, : self._still_count] = self._still_values[..., None]
        if self._still_count < len(self._keys):
            values[:, :, self._still_count : -1] = self._moving(parameters, errors, dtype)
        values[0, 0, -1] = values[1, 1, -1] = 1
        low = values[:, :, [-1 if gate.low_cell is None else gate.low_cell for gate in self._gates]]
        high = values[:, :, [-1 if gate.high_cell is None else gate.high_cell for gate in self._gates]]
        matrices = np.zeros((4, 4, size, batch), dtype=dtype)
        for row, (row_high, row_low) in enumerate(_PAIR):
            for column, (column_high, column_low) in enumerate(_PAIR):
                np.multiply(high[row_high, column_high], low[row_low, column_low], out=matrices[row, column, :count])
        if self._sums is not None:
            coupled = [place for place, gate in enumerate(self._gates) if gate.angle is not None]
            matrices[3][:, coupled] *= np.exp(1j * self._sums(parameters)).astype(dtype)
        exchanges = np.zeros((size, 2), dtype=np.int32)
        exchanges[:count] = self._exchanges
        return Gates(np.ascontiguousarray(matrices.transpose(3, 2, 0, 1)), exchanges, count)

    def _couplings(self, parameters: NDArray[np.float64], size: int, dtype: Any) -> NDArray[Any]:
        width = self.plan.width
        batch = 1 if self.shared else parameters.shape[1]
        found = np.zeros((batch, size, width, width), dtype=dtype)
        if self._sums is not None:
            turns = self._sums(np.ones((1, 1)) if self.shared else parameters) / np.pi
            layer, low, high = np.array(self._places, dtype=np.intp).T
            found[:, layer, low, high] = (turns - 2 * np.round(turns / 2)).T
        return found[0] if self.shared else found

    def _gate_list(self) -> list[Gate]:
        """Controlled phases in order, each with what its wires have waiting; at the end what is left, two wires at a time."""
        cells = {key: place for place, key in enumerate(self._keys)}
        gates = list[Gate]()
        by_wire: dict[int, list[tuple[int, int]]] = {}
        for key in sorted(cells, reverse=True):
            by_wire.setdefault(key[1], []).append(key)
        for angle, (layer, low, high) in enumerate(self._places):
            taken = []
            for wire in (low, high):
                queue = by_wire.get(wire, [])
                taken.append(cells[queue.pop()] if queue and queue[-1][0] <= layer else None)
            gates.append(Gate(low, high, taken[0], taken[1], angle))
        left: list[tuple[int, int | None]] = [(wire, cells[queue[-1]]) for wire, queue in by_wire.items() if queue]
        if len(left) % 2:
            left.append((0 if left[-1][0] else 1, None))
        gates.extend(
            Gate(low, high, low_cell, high_cell, None)
            for (low, low_cell), (high, high_cell) in zip(left[::2], left[1::2], strict=True)
        )
        return gates


@lru_cache(maxsize=512)
def lowering_of(structure: Structure) -> Lowering:
    """The lowering of a structure.

    Raises:
        CircuitError: as :func:`~qobs.reference.layered.planned` does.
    """
    return Lowering(planned(structure))


def _angles(plan: Plan) -> tuple[list[Terms], list[tuple[int, int, int]]]:
    """Angles and (layer, low, high) of the controlled phases, those of the same wires in a layer added up."""
    found: dict[tuple[int, int, int], Terms] = {}
    for layer, low, high, angle in plan.couplings:
        place = (layer, low, high)
        found[place] = added(found[place], angle) if place in found else angle
    return list(found.values()), list(found)


def _exchanges(gates: list[Gate], width: int) -> tuple[NDArray[np.int32], list[int]]:
    """Bits exchanged with the highest and the second highest before each gate, (gates, 2), and at last the bit of each wire."""
    bit_of, wire_at = list(range(width)), list(range(width))
    found = np.zeros((len(gates), 2), dtype=np.int32)
    for place, gate in enumerate(gates):
        for column, wire in enumerate((gate.high, gate.low)):
            bit, wanted = bit_of[wire], width - 1 - column
            found[place, column] = bit
            other = wire_at[wanted]
            bit_of[wire], bit_of[other] = wanted, bit
            wire_at[wanted], wire_at[bit] = wire, other
    return found, bit_of


def _constant(factor: Factor) -> bool:
    if isinstance(factor, Flip):
        return False
    return isinstance(factor, np.ndarray) or all(slot < 0 for _, slot in factor)
