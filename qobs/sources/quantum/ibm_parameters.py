"""Values of a circuit's open parameters as an IBM job gives them, and the OpenQASM 3 text with the values put in.

A set of values is an array along the circuit's parameters, which Qiskit keeps sorted by name, or an object of values by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qobs.errors import BadPayload
from qobs.sources.quantum.ibm_arrays import read_array

_INPUT = re.compile(r"\binput\s++(float|angle)(?:\s*+\[\s*+[0-9]{1,4}\s*+\])?\s++([A-Za-z_]\w{0,99})\s*+;")


class Bindings(NamedTuple):
    """``shape`` of the sets of values, ``sets`` flat in C order; each is a sequence, or a mapping by name."""

    shape: tuple[int, ...]
    sets: tuple[Sequence[float] | Mapping[str, float], ...]

    @property
    def several(self) -> int:
        """How many times the circuit ran."""
        return math.prod(self.shape)

    @property
    def single(self) -> bool:
        """Whether the circuit ran once."""
        return self.shape == ()


def bindings(value: object, where: str) -> Bindings:
    """The sets of values of one circuit; null, an empty array and an empty object mean that it has no parameters.

    Raises:
        BadPayload: not numbers, or arrays of different lengths.
    """
    if value is None or value == [] or value == {}:
        return Bindings((), ((),))
    if isinstance(value, dict) and value.get("__type__") == "ndarray":
        return _array(value, where)
    if isinstance(value, dict):
        return Bindings((), (_named(value, where),))
    shape, flat = _nested(value, where)
    return _grouped(shape, flat, where)


def _array(value: Mapping[str, Any], where: str) -> Bindings:
    array = read_array(value.get("__value__"), f"{where}: parameter values")
    if array.kind != "<f8" or not array.shape:
        raise BadPayload(f"{where}: parameter values: expected numbers along the circuit's parameters")
    return _grouped(array.shape, list(array.floats()), where)


def _grouped(shape: tuple[int, ...], flat: Sequence[float], where: str) -> Bindings:
    """The last dimension runs along the parameters."""
    if not all(math.isfinite(number) for number in flat):
        raise BadPayload(f"{where}: parameter values: expected finite numbers")
    size = shape[-1]
    return Bindings(shape[:-1], tuple(flat[at * size : (at + 1) * size] for at in range(min(math.prod(shape[:-1]), 10_000))))


def _named(value: Mapping[str, Any], where: str) -> Mapping[str, float]:
    if not all(_is_number(number) for number in value.values()):
        raise BadPayload(f"{where}: parameter values: expected a number for each name")
    return {name: float(number) for name, number in value.items()}


def _nested(value: object, where: str) -> tuple[tuple[int, ...], list[float]]:
    """Shape and items of nested arrays of numbers."""
    if _is_number(value):
        return (), [float(value)]  # type: ignore[arg-type]
    if not isinstance(value, list) or not value:
        raise BadPayload(f"{where}: parameter values: expected arrays of numbers")
    parts = [_nested(each, where) for each in value]
    if len({shape for shape, _ in parts}) != 1:
        raise BadPayload(f"{where}: parameter values: expected arrays of one length")
    return (len(parts), *parts[0][0]), [number for _, numbers in parts for number in numbers]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53


def bound(text: str, values: Bindings) -> list[str] | None:
    """The program once for each set of values, its ``input`` declarations made constants; None where they do not fit.

    Example:
        >>> bound("input float[64] b; input float[64] a; rx(a) q; ry(b) q;", Bindings((), ((0.25, 2.0),)))
        ['const float[64] b = 2.0; const float[64] a = 0.25; rx(a) q; ry(b) q;']
    """
    names = sorted({name for _, name in _INPUT.findall(text)})
    texts: list[str] = []
    for given in values.sets:
        if not isinstance(given, Mapping) and len(given) != len(names):
            return None
        named = given if isinstance(given, Mapping) else dict(zip(names, given, strict=True))
        if named.keys() != set(names):
            return None
        texts.append(_INPUT.sub(lambda match, named=named: f"const float[64] {match[2]} = {named[match[2]]!r};", text))  # type: ignore[misc]
    return texts
