"""Products of chains of 2x2 factors for many parameter sets at once: numpy over the batch, the structure worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qobs.reference.layered import Factor, Flip
from qobs.reference.matrices import Complex
from qobs.reference.rebase import Terms

Select = slice | NDArray[np.intp]
Errors = NDArray[np.int8]
"""Paulis as numbers (I, X, Y, Z are 0 to 3), shape (errors, batch)."""


class Sums:
    """Many angles as sums of weighted parameters."""

    def __init__(self, angles: Sequence[Terms]) -> None:
        """Each angle has at least one term."""
        self._weights = np.array([weight for angle in angles for weight, _ in angle])[:, None]
        self._slots = np.array([slot for angle in angles for _, slot in angle], dtype=np.intp)
        self._starts = np.cumsum([0, *(len(angle) for angle in angles)])[:-1]
        self._single = len(self._slots) == len(angles)

    def __call__(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Angles, (angles, batch), of parameters (params + 1, batch); the last row is the constant 1."""
        terms: NDArray[np.float64] = parameters[self._slots]
        terms *= self._weights
        return terms if self._single else np.add.reduceat(terms, self._starts, axis=0)


class _Phases(NamedTuple):
    cells: Select
    angles: slice


class _Matrices(NamedTuple):
    cells: Select
    matrices: Complex


class _Flips(NamedTuple):
    cells: Select
    errors: NDArray[np.intp]


class Chains:
    """The products of chains; ``order`` says which chain each product belongs to."""

    def __init__(self, chains: Sequence[Sequence[Factor]]) -> None:
        """Sort out the factors by their place and kind."""
        self.order = sorted(range(len(chains)), key=lambda one: tuple(_kind(factor) for factor in chains[one]), reverse=True)
        chains = [chains[one] for one in self.order]
        self._count, self._steps = len(chains), list[_Phases | _Matrices | _Flips]()
        angles: list[Terms] = []
        for place in range(max(map(len, chains), default=0)):
            for kind in range(3):
                cells = [one for one, chain in enumerate(chains) if len(chain) > place and _kind(chain[place]) == kind]
                if cells:
                    self._steps.append(_step(kind, cells, [chains[one][place] for one in cells], angles))
        self._sums = Sums(angles) if angles else None

    def __call__(self, parameters: NDArray[np.float64], errors: Errors | None, dtype: Any) -> NDArray[Any]:
        """Products of shape (2, 2, chains, batch), of parameters (params + 1, batch) whose last row is 1."""
        batch = parameters.shape[1]
        product = np.zeros((2, 2, self._count, batch), dtype=dtype)
        product[0, 0] = product[1, 1] = 1
        turns = None if self._sums is None else _turns(self._sums(parameters), dtype)
        for step in self._steps:
            upper, lower = product[0], product[1]
            if isinstance(step, _Phases):
                assert turns is not None
                lower[:, step.cells] *= turns[step.angles]
            elif isinstance(step, _Matrices):
                above, below = upper[:, step.cells], lower[:, step.cells]
                entries = step.matrices.astype(dtype, copy=False)
                mixed = entries[0, 0] * above + entries[0, 1] * below
                lower[:, step.cells] = entries[1, 0] * above + entries[1, 1] * below
                upper[:, step.cells] = mixed
            else:
                assert errors is not None
                _flip(upper, lower, step.cells, errors[step.errors])
        return product


def _kind(factor: Factor) -> int:
    return 2 if isinstance(factor, Flip) else 1 if isinstance(factor, np.ndarray) else 0


def _step(kind: int, cells: list[int], factors: list[Any], angles: list[Terms]) -> _Phases | _Matrices | _Flips:
    first, last = cells[0], cells[-1] + 1
    select: Select = slice(first, last) if last - first == len(cells) else np.array(cells, dtype=np.intp)
    if kind == 0:
        angles.extend(factors)
        return _Phases(select, slice(len(angles) - len(factors), len(angles)))
    if kind == 1:
        return _Matrices(select, np.stack(factors, axis=-1)[..., None])
    return _Flips(select, np.array([factor.error for factor in factors], dtype=np.intp))


def _turns(angles: NDArray[np.float64], dtype: Any) -> NDArray[Any]:
    """``exp(i angle)``."""
    found = np.empty(angles.shape, dtype=dtype)
    found.real, found.imag = np.cos(angles), np.sin(angles)
    return found


def _flip(upper: NDArray[Any], lower: NDArray[Any], cells: Select, errors: Errors) -> None:
    """Paulis up to a global phase: X and Y exchange the rows, then Y and Z change the sign of the lower one."""
    above, below = upper[:, cells], lower[:, cells]
    exchanged = (errors == 1) | (errors == 2)
    sign = np.where(errors >= 2, -1, 1).astype(upper.real.dtype)
    upper[:, cells], lower[:, cells] = np.where(exchanged, below, above), np.where(exchanged, above, below) * sign
