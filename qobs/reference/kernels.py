"""Probabilities of state vectors: two programs whose size, not whose circuit, decides what is compiled.

``layered`` does whole layers: a matrix on every wire as Kronecker products of up to four wires, then the diagonal
``exp(i pi b.Theta.b)``, where b are the bits of an index, split in a high and a low half. ``gatewise`` does one two-qubit gate at
a time, after exchanging its bits with the two highest; bits stay where an exchange left them, and the lowering keeps the account.
(On a CPU a choice among static exchanges was measured to take half of the time of a gather.)

The number of steps is data: what fills a bucket up is never executed, so it changes no bit.

Phases are in half turns, reduced to [-1, 1] first: a layer of CZ is then exact in single precision too.
Matrix products ask for full precision, which GPUs do not give by default.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_FULL = lax.Precision.HIGHEST
_GROUP = 4


@partial(jax.jit, static_argnames=("wires", "shared"))
def layered(cells: Array, couplings: Array, steps: Array, *, wires: int, shared: bool) -> Array:
    """Probabilities of all indices, (batch, 2^wires).

    Args:
        cells: Matrices, complex (batch, bucket, wires, 2, 2).
        couplings: Phases between wires in half turns, (bucket, wires, wires) or with the batch in front; entry (low, high).
        steps: How many layers of the bucket are to be done.
        wires: Qubits.
        shared: The couplings are the same for the whole batch.
    """
    dtype = cells.dtype
    groups = -(-wires // _GROUP)
    sizes = [wires // groups + (place < wires % groups) for place in range(groups)]
    low, high = _bits(wires // 2), _bits(wires - wires // 2)

    def one(cells: Array, couplings: Array) -> Array:
        def layer(index: Array, state: Array) -> Array:
            matrices, top = cells[index], wires
            for size in sizes:
                factor = _kronecker(matrices, top, size)
                # The group goes from the highest bits to the lowest: after all groups every bit is where it was.
                state = jnp.matmul(factor, state.reshape(2**size, -1), precision=_FULL).T
                top -= size
            return state.reshape(-1) * _diagonal(couplings[index], low, high, dtype)

        return _weights(lax.fori_loop(0, steps, layer, _ground(wires, dtype)))

    return jax.vmap(one, in_axes=(0, None if shared else 0))(cells, couplings)


@partial(jax.jit, static_argnames=("wires",))
def gatewise(gates: Array, exchanges: Array, steps: Array, *, wires: int) -> Array:
    """Probabilities of all indices, (batch, 2^wires), in the order of bits that the last exchange left.

    Args:
        gates: Matrices, complex (batch, bucket, 4, 4), on the two highest bits.
        exchanges: For each gate, the bits exchanged with the highest and then with the second highest before it, (bucket, 2).
        steps: How many gates of the bucket are to be done.
        wires: Qubits, at least 2.
    """
    batch, dtype = gates.shape[0], gates.dtype
    highest = [_exchange(wires - 1, bit, wires) for bit in range(wires)]
    second = [_exchange(wires - 2, bit, wires) for bit in range(wires)]

    def gate(step: Array, state: Array) -> Array:
        state = lax.switch(exchanges[step, 0], highest, state)
        state = lax.switch(exchanges[step, 1], second, state)
        mixed = jnp.matmul(gates[:, step], state.reshape(batch, 4, -1), precision=_FULL)
        return mixed.reshape(batch, -1)

    ground = jnp.broadcast_to(_ground(wires, dtype), (batch, 2**wires))
    return _weights(lax.fori_loop(0, steps, gate, ground))


def _exchange(high: int, low: int, wires: int) -> Callable[[Array], Array]:
    """Exchanges two bits of all indices; does nothing unless ``low`` is the lower one."""

    def exchanged(state: Array) -> Array:
        if low >= high:
            return state
        split = state.reshape(state.shape[0], 2 ** (wires - 1 - high), 2, 2 ** (high - 1 - low), 2, 2**low)
        return split.swapaxes(2, 4).reshape(state.shape)

    return exchanged


def _ground(wires: int, dtype: Any) -> Array:
    return jnp.zeros(2**wires, dtype=dtype).at[0].set(1)


def _weights(state: Array) -> Array:
    return state.real**2 + state.imag**2


def _bits(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Bits of all numbers below 2^count, (2^count, count)."""
    return ((np.arange(2**count)[:, None] >> np.arange(count)) & 1).astype(np.float64)


def _kronecker(matrices: Array, top: int, size: int) -> Array:
    """Product of the matrices of wires ``top - size`` … ``top - 1``, the last in the highest bit."""
    product = matrices[top - 1]
    for wire in range(top - 2, top - size - 1, -1):
        product = jnp.kron(product, matrices[wire])
    return product


def _diagonal(couplings: Array, low: Any, high: Any, dtype: Any) -> Array:
    """``exp(i pi b.Theta.b)`` for all indices."""
    real = couplings.dtype
    low, high, half = jnp.asarray(low, real), jnp.asarray(high, real), low.shape[1]
    inside_low = jnp.sum(jnp.matmul(low, couplings[:half, :half], precision=_FULL) * low, axis=-1)
    inside_high = jnp.sum(jnp.matmul(high, couplings[half:, half:], precision=_FULL) * high, axis=-1)
    rows = jnp.matmul(high, couplings[:half, half:].T, precision=_FULL)
    between = jnp.matmul(rows, low.T, precision=_FULL)
    turns = inside_high[:, None] + inside_low[None, :] + between
    angle = jnp.pi * (turns - 2 * jnp.round(turns / 2))
    return lax.complex(jnp.cos(angle), jnp.sin(angle)).reshape(-1).astype(dtype)
