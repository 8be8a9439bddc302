"""Sizes that programs are compiled for: circuits are filled up to the next, so that few programs serve all."""

from __future__ import annotations

_SMALLEST = 4


def bucket(count: int) -> int:
    """The smallest size of 4, 6, 9, 14, 21, … (each about 1.5 times the one before) that holds ``count``.

    Example:
        >>> [bucket(count) for count in (0, 4, 5, 10, 20, 100)]
        [4, 4, 6, 14, 21, 108]
    """
    size = _SMALLEST
    while size < count:
        size = -(-3 * size // 2)
    return size


def batch_bucket(count: int, most: int) -> int:
    """How many circuits one call holds: a power of two, not above ``most`` (itself a power of two).

    Example:
        >>> batch_bucket(5, 32), batch_bucket(100, 32), batch_bucket(1, 32)
        (8, 32, 1)
    """
    return min(most, 1 << max(0, count - 1).bit_length())
