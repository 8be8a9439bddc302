"""Pauli transfer matrices of all gates of a batch at once: circuits that differ in angles only share one pass over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from qobs.reference.channels import Real, unitary_ptm
from qobs.reference.matrices import matrix
from qobs.reference.noise import GateNoise, Relaxation

Angles = NDArray[np.float64]


def gate_ptms(name: str, angles: Angles) -> Real:
    """PTMs of one kind of gate, (batch, count, params) to (batch, count, 4^k, 4^k); batch is 1 where there are no angles.

    Each distinct list of angles is worked out once; the rotations that machines emit are closed forms on whole arrays.
    """
    batch, count, params = angles.shape
    if params == 0:
        constant = unitary_ptm(matrix(name, ()))
        return np.broadcast_to(constant, (1, count, *constant.shape))
    if (rotation := _ROTATIONS.get(name)) is not None:
        return rotation(angles[..., 0])
    distinct, places = np.unique(angles.reshape(-1, params), axis=0, return_inverse=True)
    found = unitary_ptm(np.array([matrix(name, tuple(row)) for row in distinct.tolist()]))
    return found[places.reshape(batch, count)]


def noise_ptms(noises: Sequence[GateNoise | None], qubits: int) -> Real:
    """What follows each gate, (count, 4^k, 4^k); the identity for None. Each distinct object is worked out once."""
    places: dict[int, int] = {}
    distinct: list[GateNoise | None] = []
    for noise in noises:
        if id(noise) not in places:
            places[id(noise)] = len(distinct)
            distinct.append(noise)
    ptms = _relaxations([None if noise is None else noise.relaxation[0] for noise in distinct])
    for operand in range(1, qubits):
        higher = _relaxations([None if noise is None else noise.relaxation[operand] for noise in distinct])
        size = 4 * ptms.shape[-1]
        ptms = (higher[:, :, None, :, None] * ptms[:, None, :, None, :]).reshape(-1, size, size)
    # Depolarising comes first: it scales what relaxation acts on, but for the first component.
    ptms[:, :, 1:] *= np.array([1.0 if noise is None else 1 - noise.depolarizing for noise in distinct])[:, None, None]
    return ptms[[places[id(noise)] for noise in noises]]


def _relaxations(relaxations: Sequence[Relaxation | None]) -> Real:
    """PTMs of one qubit each, (count, 4, 4); the identity for None."""
    rates = [(0.0, 0.0) if one is None else (one.seconds / one.t1_seconds, one.seconds / one.t2_seconds) for one in relaxations]
    kept, coherence = np.exp(-np.array(rates).reshape(-1, 2)).T
    ptms = np.zeros((len(rates), 4, 4))
    ptms[:, 0, 0] = 1
    ptms[:, 1, 1] = ptms[:, 2, 2] = coherence
    ptms[:, 3, 3], ptms[:, 3, 0] = kept, 1 - kept
    return ptms


def _about(angles: Angles, first: int, second: int) -> Real:
    """A rotation that turns Pauli component ``first`` into ``second``, (..., 4, 4)."""
    ptm = np.zeros((*angles.shape, 4, 4))
    ptm[..., range(4), range(4)] = 1
    cosine, sine = np.cos(angles), np.sin(angles)
    ptm[..., first, first] = ptm[..., second, second] = cosine
    ptm[..., second, first], ptm[..., first, second] = sine, -sine
    return ptm


def _rx(angles: Angles) -> Real:
    return _about(angles, 2, 3)


def _ry(angles: Angles) -> Real:
    return _about(angles, 3, 1)


def _rz(angles: Angles) -> Real:
    return _about(angles, 1, 2)


_ROTATIONS: Mapping[str, Callable[[Angles], Real]] = {"rx": _rx, "ry": _ry, "rz": _rz, "p": _rz}
"""A global phase makes no difference here, so ``p`` is ``rz``."""
