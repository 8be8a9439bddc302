"""From probabilities over wires to probabilities over classical bits, and what readout errors make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Distribution = NDArray[np.float64]


class Outcomes:
    """Sums over wires that nobody measures, and puts every other wire's bit where it was told."""

    def __init__(self, masks: Sequence[int], clbits: int) -> None:
        """``masks[wire]`` are the classical bits that tell the wire, 0 for none."""
        wires = len(masks)
        self._shape = (-1, *(2,) * wires)
        # Axis 0 is the batch; wire w is axis wires - w, since the highest wire is the slowest axis.
        self._summed = tuple(wires - wire for wire, mask in enumerate(masks) if not mask)
        told = [mask for mask in masks if mask]
        self._size = 1 << clbits
        place = np.zeros(1, dtype=np.int64)
        for mask in told:
            place = np.concatenate([place, place | mask])
        self._same = len(place) == self._size and bool((place == np.arange(self._size)).all())
        self._place = place

    def __call__(self, weights: NDArray[np.floating[Any]]) -> Distribution:
        """(batch, 2^wires) to (batch, 2^clbits), normalized."""
        rows = len(weights)
        exact = weights.astype(np.float64)
        if self._summed:
            exact = exact.reshape(self._shape).sum(axis=self._summed)
        exact = exact.reshape(rows, -1)
        exact /= exact.sum(axis=1, keepdims=True)
        if self._same:
            return exact
        found = np.zeros((rows, self._size))
        found[:, self._place] = exact
        return found


def misread(distributions: Distribution, confusions: Mapping[int, Distribution]) -> Distribution:
    """Distributions over outcomes, (..., 2^clbits), as they are told: ``confusions`` by classical bit, ``A[told, true]``."""
    found = distributions
    for clbit, confusion in confusions.items():
        pairs = found.reshape(*found.shape[:-1], -1, 2, 1 << clbit)
        found = np.einsum("tb,...hbl->...htl", confusion, pairs).reshape(found.shape)
    return found
