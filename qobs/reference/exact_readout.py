"""From Pauli components to probabilities of classical bits, readout errors included: one 2x2 pass for each measured bit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qobs.reference.channels import Real
from qobs.reference.exact_lowering import Lowered
from qobs.reference.exact_program import Measured, Program
from qobs.reference.readout import ReadoutError

_TO_PROBABILITIES = np.array([[0.5, 0.5], [0.5, -0.5]])
"""(I, Z) components of a qubit to its probabilities of 0 and 1."""
_TO_PROBABILITIES.flags.writeable = False


def read_out(program: Program, lowered: Lowered, components: Real, readout: Mapping[int, ReadoutError]) -> Real:
    """Probabilities over the measured bits, (batch, 2^bits): non-negative, of sum one, the first bit the lowest of the index.

    Args:
        program: Tells which lines are measured.
        lowered: Tells which lines were simulated together.
        components: I and Z components of those, (batch, 2^lines), the first line the lowest bit.
        readout: By the qubit that was measured.
    """
    told = {one.line: _told(one, readout) for one in program.measured}
    kept = [line for line in lowered.coupled if line in told]
    joint = _joint(lowered.coupled, components, told)
    rest = [line for line in told if line not in lowered.coupled]
    for line in rest:
        alone = lowered.alone[line][:, [0, 3]] @ told[line].T
        joint = (alone[:, :, None] * joint[:, None, :]).reshape(max(len(alone), len(joint)), -1)
    return _proper(_ordered(joint, [*kept, *rest], [one.line for one in program.measured]))


def _told(measured: Measured, readout: Mapping[int, ReadoutError]) -> Real:
    error = readout.get(measured.qubit)
    return _TO_PROBABILITIES if error is None else error.matrix() @ _TO_PROBABILITIES


def _joint(lines: tuple[int, ...], components: Real, told: Mapping[int, Real]) -> Real:
    """Probabilities of the measured ones of ``lines``; the others are traced out."""
    batch, low = len(components), 1
    state = components
    for line in lines:
        apart = state.reshape(batch, -1, 2, low)
        if line in told:
            state = np.einsum("ij,bhjl->bhil", told[line], apart)
            low *= 2
        else:
            state = apart[:, :, 0]
    return state.reshape(batch, -1)


def _ordered(joint: Real, lines: list[int], wanted: list[int]) -> Real:
    """The same with its bits in another order; both lists begin with the lowest."""
    count = len(lines)
    axes = [count - lines.index(line) for line in reversed(wanted)]
    return joint.reshape(-1, *(2,) * count).transpose(0, *axes).reshape(len(joint), -1)


def _proper(probabilities: Real) -> Real:
    """Without the last digits of arithmetic: no value below zero, and a sum of one."""
    clipped: Real = np.clip(probabilities, 0, None)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return clipped
