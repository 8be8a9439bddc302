"""From a program to arrays for the kernel: channels fused into few matrices of two lines, for a whole batch at once.

Runs of channels on one line are multiplied together and into the next two-line channel; neighbours on the same pair become one.
What comes before a line's first partner only turns its initial Bloch vector; a line without any partner never enters the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qobs.reference.channels import Real, dephasing_ptm, product_ptm, reset_ptm, unitary_ptm
from qobs.reference.circuit import Circuit
from qobs.reference.exact_program import Item, Program
from qobs.reference.exact_values import gate_ptms, noise_ptms
from qobs.reference.matrices import matrix

Places = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program in numbers. ``alone`` and ``initial`` have a leading axis of the batch, or of 1 where all are equal."""

    coupled: tuple[int, ...]
    """Lines in the kernel: the n-th is digit n at the start."""
    alone: Mapping[int, Real]
    """Final Pauli components of lines that never meet another, (batch, 4)."""
    initial: Real
    """Pauli components of the coupled lines before their first meeting, (batch, lines, 4)."""
    channels: tuple[Real, ...]
    """Each (batch, 16, 16) or (1, 16, 16)."""
    exchanges: Places
    """For each channel, the positions that are exchanged with the two highest digits, (steps, 2)."""
    places: tuple[int, ...]
    """Where each coupled line is at the end."""


def lower(program: Program, circuits: Sequence[Circuit]) -> Lowered:
    """Numbers of ``circuits``, which all have the structure of ``program``."""
    fusion = _Fusion(program.lines)
    for item, value in zip(program.items, _values(program.items, circuits), strict=True):
        fusion.add(item.lines, value)
    fusion.close()
    coupled = program.coupled
    exchanges, places = _routes(fusion.pairs, coupled)
    vectors = {line: (fusion.pending(line) @ _GROUND) for line in range(program.lines)}
    batch = max((len(vectors[line]) for line in coupled), default=1)
    initial = [np.broadcast_to(vectors[line], (batch, 4)) for line in coupled]
    return Lowered(
        coupled=coupled,
        alone={line: vector for line, vector in vectors.items() if line not in coupled},
        initial=np.stack(initial, axis=1) if coupled else np.zeros((1, 0, 4)),
        channels=tuple(fusion.blocks),
        exchanges=exchanges,
        places=places,
    )


_GROUND = np.array([1.0, 0.0, 0.0, 1.0])
_GROUND.flags.writeable = False


class _Fusion:
    """Multiplies channels together while they concern the same lines."""

    def __init__(self, lines: int) -> None:
        self.pairs: list[tuple[int, int]] = []
        """Lines of each block: low digit, high digit."""
        self.blocks: list[Real] = []
        self._runs: dict[int, Real] = {}
        """Product of one-line channels since the line's last block, (batch, 4, 4)."""
        self._first: dict[int, Real] = {}
        """The run before the line's first block."""
        self._block: list[int | None] = [None] * lines

    def add(self, lines: tuple[int, ...], value: Real) -> None:
        """Append a channel, (batch, 4^k, 4^k) on k lines."""
        if len(lines) == 1:
            run = self._runs.get(lines[0])
            self._runs[lines[0]] = value if run is None else value @ run
            return
        low, high = lines
        last = self._block[low]
        for line in lines:
            if self._block[line] is None and line in self._runs:
                self._first[line] = self._runs.pop(line)
        value = self._with_runs(value, low, high)
        if last is not None and last == self._block[high]:
            block = self.blocks[last]
            self.blocks[last] = (value if self.pairs[last] == (low, high) else _turned(value)) @ block
            return
        self._block[low] = self._block[high] = len(self.blocks)
        self.pairs.append((low, high))
        self.blocks.append(value)

    def close(self) -> None:
        """Put what is left into the last block of each line."""
        for index, (low, high) in enumerate(self.pairs):
            runs = [self._runs.pop(line, None) if self._block[line] == index else None for line in (low, high)]
            if (product := _side_by_side(*runs)) is not None:
                self.blocks[index] = product @ self.blocks[index]

    def pending(self, line: int) -> Real:
        """What acts on a line before it meets another, (batch, 4, 4)."""
        found = self._first if self._block[line] is not None else self._runs
        return found.get(line, np.eye(4)[None])

    def _with_runs(self, value: Real, low: int, high: int) -> Real:
        product = _side_by_side(self._runs.pop(low, None), self._runs.pop(high, None))
        return value if product is None else value @ product


def _side_by_side(low: Real | None, high: Real | None) -> Real | None:
    """Two one-line channels as one of two lines, (batch, 16, 16); None where both are absent."""
    if low is None and high is None:
        return None
    low = np.eye(4)[None] if low is None else low
    high = np.eye(4)[None] if high is None else high
    product = high[:, :, None, :, None] * low[:, None, :, None, :]
    return product.reshape(-1, 16, 16)


def _turned(value: Real) -> Real:
    """The same channel with its two lines exchanged."""
    return value.reshape(-1, 4, 4, 4, 4).transpose(0, 2, 1, 4, 3).reshape(-1, 16, 16)


def _routes(pairs: Sequence[tuple[int, int]], coupled: tuple[int, ...]) -> tuple[Places, tuple[int, ...]]:
    """Exchanges that bring each pair to the two highest digits, and where every line is after the last."""
    place = {line: digit for digit, line in enumerate(coupled)}
    at = list(coupled)
    top = len(coupled) - 1
    exchanges = np.zeros((len(pairs), 2), dtype=np.int32)
    for step, (low, high) in enumerate(pairs):
        for column, (line, target) in enumerate(((high, top), (low, top - 1))):
            here = place[line]
            exchanges[step, column] = here
            other = at[target]
            at[here], at[target] = other, line
            place[other], place[line] = here, target
    return exchanges, tuple(place[line] for line in coupled)


def _values(items: Sequence[Item], circuits: Sequence[Circuit]) -> list[Real]:
    """The channel of every item, noise included, each (batch or 1, 4^k, 4^k): items of one kind in one pass."""
    kinds: dict[tuple[str, int], list[int]] = {}
    for index, item in enumerate(items):
        kinds.setdefault((item.name, len(item.lines)), []).append(index)
    values: dict[int, Real] = {}
    for (name, lines), indices in kinds.items():
        noises = [items[index].noise for index in indices]
        found = _of_kind(name, [items[index] for index in indices], circuits)
        if any(noises):
            noise = noise_ptms(noises, lines)
            found = noise[None] if found is None else noise @ found
        elif found is None:
            found = np.broadcast_to(np.eye(4**lines), (1, len(indices), 4**lines, 4**lines))
        values.update({index: found[:, place] for place, index in enumerate(indices)})
    return [values[index] for index in range(len(items))]


def _of_kind(name: str, items: Sequence[Item], circuits: Sequence[Circuit]) -> Real | None:
    """Channels without noise, (batch or 1, items, 4^k, 4^k); None for items that are noise alone."""
    if name == "":
        return None
    if (fixed := _fixed(name)) is not None:
        return np.broadcast_to(fixed, (1, len(items), *fixed.shape))
    sources = [item.source for item in items]
    if None in sources:
        # Gates of a decomposition have no angles, and neither has any other gate of their name.
        return gate_ptms(name, np.zeros((1, len(items), 0)))
    angles = [[circuit.operations[source].params for source in sources if source is not None] for circuit in circuits]
    return gate_ptms(name, np.array(angles, dtype=np.float64))


def _fixed(name: str) -> Real | None:
    if name == "reset":
        return reset_ptm()
    if name == "forget":
        return dephasing_ptm()
    if name == "copy":
        # The second line is fresh: a controlled flip of it by a qubit that keeps no coherence.
        return unitary_ptm(matrix("cx", ())) @ product_ptm([dephasing_ptm(), np.eye(4)])
    return None
