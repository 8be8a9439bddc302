"""Declared registers, and what a text like ``q[3]`` means among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from qobs.errors import CircuitError
from qobs.reference.circuit import Register
from qobs.reference.limits import quoted, within

_INDEXED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*+)(?:\s*+\[\s*+([0-9]++)\s*+\])?")
_LONGEST_INDEX = 9


class Place(NamedTuple):
    """Bits that an operand names; ``whole`` where it is a register without an index, which a gate is applied along."""

    bits: tuple[int, ...]
    whole: bool


class Registers:
    """The registers of one kind (``qubits`` or ``classical bits``), in the order of declaration."""

    def __init__(self, kind: str, most: int) -> None:
        """``most`` bits are allowed in all of them together."""
        self.kind, self.most = kind, most
        self.size = 0
        self.named: dict[str, Register] = {}

    def declare(self, name: str, size: int) -> Register:
        """A new register after the others.

        Raises:
            CircuitError: the name is taken, the size is not at least 1, or there are too many bits.
        """
        if name in self.named:
            raise CircuitError(f"the register {quoted(name)} is declared twice", "each register has a name of its own")
        if size < 1:
            raise CircuitError(f"the register {quoted(name)} of size {size}", "a register has at least 1 bit")
        within(self.size + size, self.most, self.kind)
        self.named[name] = register = Register(name, self.size, size)
        self.size += size
        return register

    def find(self, text: str) -> Place:
        """What an operand names.

        Raises:
            CircuitError: no such register, or an index beyond it.
        """
        match = _INDEXED.fullmatch(text)
        register = self.named.get(match.group(1)) if match else None
        if match is None or register is None:
            raise CircuitError(f"{quoted(text)} where {self.kind} are named", f"declared are {self._declared()}")
        index = match.group(2)
        if index is None:
            return Place(tuple(range(register.first, register.first + register.size)), whole=True)
        if len(index) > _LONGEST_INDEX or int(index) >= register.size:
            raise CircuitError(f"{quoted(text)} is beyond its register", f"{register.name} has {register.size} {self.kind}")
        return Place((register.first + int(index),), whole=False)

    def _declared(self) -> str:
        shown = [f"{register.name}[{register.size}]" for register in list(self.named.values())[:5]]
        return ", ".join(shown) + (" and others" if len(self.named) > len(shown) else "") if shown else "none"


def aligned(places: Sequence[Place]) -> tuple[tuple[int, ...], ...]:
    """Operands bit by bit: whole registers side by side, single bits repeated beside them.

    Raises:
        CircuitError: whole registers of different sizes.

    Example:
        >>> aligned([Place((0,), False), Place((1, 2), True)])
        ((0, 1), (0, 2))
    """
    sizes = {len(place.bits) for place in places if place.whole}
    if len(sizes) > 1:
        raise CircuitError(
            f"registers of sizes {sorted(sizes)} in one statement", "whole registers are used side by side: equal sizes"
        )
    count = sizes.pop() if sizes else 1
    return tuple(zip(*(place.bits if place.whole else place.bits * count for place in places), strict=True))
