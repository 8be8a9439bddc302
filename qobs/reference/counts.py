"""Counts as clouds write them, to counts by outcome index (classical bit 0 is the least significant bit).

Clouds differ in what a key is (bits as text, hexadecimal, a decimal number, a list of bits), in whether they count or give
probabilities, and in the order of the bits; the order cannot be seen in a key and is said by ``order``:

============== ============================================================ ========================================
order          a key reads                                                  used by
============== ============================================================ ========================================
CLBITS_RIGHT   classical bit 0 rightmost; registers apart by spaces, the    IBM, Qiskit, Quantinuum's own register strings
               last declared leftmost                                       (machine API, Azure's blobs)
CLBITS_LEFT    classical bit 0 leftmost, registers in declared order        pytket's converted results, Rigetti ``ro``,
                                                                            Azure v2, IQM (order of ``measurement_keys``)
QUBITS_LEFT    the first of ``measured`` qubits leftmost                    Braket (``measuredQubits``)
QUBITS_RIGHT   a number whose bit i is qubit i                              IonQ (decimal keys)
============== ============================================================ ========================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit, Register
from qobs.reference.limits import quoted

Key = str | int | Sequence[int]
_BITS = re.compile(r"[01]++(?:[ _][01]++)*+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,4096}")
_DECIMAL = re.compile(r"[0-9]{1,4096}")
_LISTED = re.compile(r"\[\s*+[01](?:\s*+,\s*+[01])*+\s*+\]")
_TOTAL_SLACK = 0.01
_DECIMAL_DIGITS = 1200
_LARGEST = 2**53


class Order(Enum):
    """What the places of a key stand for."""

    CLBITS_RIGHT = "clbits_right"
    CLBITS_LEFT = "clbits_left"
    QUBITS_LEFT = "qubits_left"
    QUBITS_RIGHT = "qubits_right"


def read_counts(
    given: Mapping[Key, float] | Iterable[Key],
    circuit: Circuit | Sequence[Register],
    *,
    order: Order = Order.CLBITS_RIGHT,
    shots: int | None = None,
    measured: Sequence[int] | None = None,
) -> dict[int, int]:
    """Counts by outcome index, of outcomes that occurred.

    Args:
        given: counts by key, probabilities by key (with ``shots``), or one key per shot. A key is text of 0 and 1, with or
            without spaces between registers, ``0x…``, a number (as decimal text with QUBITS_RIGHT only), or a list of bits.
        circuit: what was run, or only its registers. The orders by qubit need the circuit, for they follow its measurements.
        order: what the places of a key stand for; see the table above.
        shots: how many shots the probabilities are of. They are rounded to whole counts with that sum (largest remainders first).
        measured: with QUBITS_LEFT, the dense qubit of each place; None for all measured qubits, ascending.

    Raises:
        CircuitError: a key or a count that is none, or that does not fit the circuit.

    Example:
        >>> read_counts({"01 110": 7}, [Register("a", 0, 3), Register("b", 3, 2)])
        {14: 7}
    """
    reader = _Keys(circuit, order, measured)
    pairs = list(given.items()) if isinstance(given, Mapping) else [(key, 1.0) for key in given]
    indices = [reader.index(key) for key, _ in pairs]
    weights = _whole([weight for _, weight in pairs], shots, mapped=isinstance(given, Mapping))
    counts: dict[int, int] = {}
    for index, weight in zip(indices, weights, strict=True):
        if weight:
            counts[index] = counts.get(index, 0) + weight
    return counts


class _Keys:
    """Keys of one circuit in one order."""

    def __init__(self, circuit: Circuit | Sequence[Register], order: Order, measured: Sequence[int] | None) -> None:
        self.order = order
        self.registers = circuit.registers if isinstance(circuit, Circuit) else tuple(circuit)
        ends = [register.first + register.size for register in self.registers]
        self.clbits = circuit.clbits if isinstance(circuit, Circuit) else max(ends, default=0)
        self.places = self._places(circuit, measured)

    def _places(self, circuit: Circuit | Sequence[Register], measured: Sequence[int] | None) -> tuple[int | None, ...]:
        """The classical bit of each place of a key, from the rightmost (least significant) on; None for a place to ignore."""
        if self.order is Order.CLBITS_RIGHT:
            return tuple(range(self.clbits))
        if self.order is Order.CLBITS_LEFT:
            return tuple(reversed(range(self.clbits)))
        if not isinstance(circuit, Circuit):
            raise CircuitError(
                "registers alone, for keys in the order of qubits", "give the circuit: its measurements tell the bits"
            )
        return _by_qubit(circuit, measured, left=self.order is Order.QUBITS_LEFT)

    def index(self, key: object) -> int:
        """The outcome index of a key."""
        if isinstance(key, str):
            return self._text(key.strip())
        if isinstance(key, int) and not isinstance(key, bool):
            return self._number(key, key)
        if isinstance(key, Sequence) and not isinstance(key, (bytes, bytearray)) and all(bit in (0, 1) for bit in key):
            return self._bits("".join(str(int(bit)) for bit in key), key)
        raise self._misfit(key, "is no key")

    def _text(self, key: str) -> int:
        if _HEX.fullmatch(key):
            return self._number(int(key, 16), key)
        if _LISTED.fullmatch(key):
            return self._bits(re.sub(r"[^01]", "", key), key)
        if self.order is Order.QUBITS_RIGHT and _DECIMAL.fullmatch(key) and len(key) <= _DECIMAL_DIGITS:
            return self._number(int(key), key)
        if not _BITS.fullmatch(key):
            raise self._misfit(key, "is no key")
        if " " in key or "_" in key:
            self._check_spacing(key)
        return self._bits(key.replace(" ", "").replace("_", ""), key)

    def _check_spacing(self, key: str) -> None:
        """Nothing, where the registers that spaces keep apart have the sizes of the circuit's."""
        sizes = [register.size for register in self.registers]
        if self.order is Order.CLBITS_RIGHT:
            sizes.reverse()
        if [len(part) for part in re.split("[ _]", key)] != sizes:
            raise self._misfit(key, f"is not apart as the registers, of sizes {sizes}")

    def _bits(self, bits: str, key: object) -> int:
        if len(bits) != len(self.places):
            raise self._misfit(key, f"has {len(bits)} bits, not {len(self.places)}")
        return self._number(int(bits or "0", 2), key)

    def _number(self, number: int, key: object) -> int:
        if number < 0 or number.bit_length() > len(self.places):
            raise self._misfit(key, f"needs more than {len(self.places)} bits")
        if self.order is Order.CLBITS_RIGHT:
            return number
        index = 0
        for place, clbit in enumerate(self.places):
            if clbit is not None and number >> place & 1:
                index |= 1 << clbit
        return index

    def _misfit(self, key: object, why: str) -> CircuitError:
        allowed = f"keys of {len(self.places)} bits in the order {self.order.value} fit this circuit"
        return CircuitError(f"the key {quoted(key)} of the counts {why}", allowed)


def _by_qubit(circuit: Circuit, measured: Sequence[int] | None, *, left: bool) -> tuple[int | None, ...]:
    """The bit that each qubit was last measured into, in the order of the key's places from the right.

    Raises:
        CircuitError: a qubit measured into several bits, or a bit into which several qubits were.
    """
    held = {operation.qubits[0]: operation.clbits[0] for operation in circuit.operations if operation.name == "measure"}
    measures = sum(operation.name == "measure" for operation in circuit.operations)
    if len(held) != measures or len(set(held.values())) != measures:
        raise CircuitError("a qubit or a bit measured twice, for keys in the order of qubits", "each is measured once")
    if not left:
        return tuple(held.get(qubit) for qubit in range(circuit.width))
    qubits = sorted(held) if measured is None else list(measured)
    if len(set(qubits)) != len(qubits) or not all(0 <= qubit < circuit.width for qubit in qubits):
        raise CircuitError(f"measured qubits {qubits[:8]}", f"different qubits from 0 to {circuit.width - 1}")
    if not set(held) <= set(qubits):
        raise CircuitError(f"measured qubits {qubits[:8]}", f"they include those that the circuit measures: {sorted(held)[:8]}")
    return tuple(held.get(qubit) for qubit in reversed(qubits))


def _whole(weights: list[float], shots: int | None, *, mapped: bool) -> list[int]:
    """Counts as they are, or probabilities as counts.

    Raises:
        CircuitError: a negative or not finite number, or fractions that are no probabilities of known shots.
    """
    for weight in weights:
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not 0 <= weight <= _LARGEST:
            raise CircuitError(f"the count {quoted(weight)}", f"a count is a whole number from 0 to {_LARGEST}, or a probability")
    if shots is None:
        if not all(float(weight).is_integer() for weight in weights):
            raise CircuitError("counts that are not whole", "give `shots` with probabilities")
        return [int(weight) for weight in weights]
    if shots < 1:
        raise CircuitError(f"{shots} shots", "at least 1")
    if mapped and math.isclose(sum(weights), 1.0, abs_tol=_TOTAL_SLACK):
        return _rounded([weight / sum(weights) * shots for weight in weights], shots)
    if sum(weights) != shots:
        raise CircuitError(
            f"counts with the sum {sum(weights):g}", f"probabilities with the sum 1, or counts with the sum {shots}"
        )
    return [int(weight) for weight in weights]


def _rounded(exact: list[float], shots: int) -> list[int]:
    """Whole numbers with the sum ``shots``, each next to its exact value."""
    counts = [math.floor(value) for value in exact]
    missing = shots - sum(counts)
    for place in sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])[:missing]:
        counts[place] += 1
    return counts
