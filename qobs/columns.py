"""Many counts at once: the forms in which whole histories go from the store to the sums."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from qobs.model import Series

HOUR_SECONDS = 3600
"""Width of the buckets that long windows are counted in."""


class Columns(NamedTuple):
    """Many buckets at once, column by column, in order of time: what windows are rebuilt from.

    ``starts`` are seconds since 1970 (``array('q')``), ``numbers`` are places in ``series`` (``array('i')``), ``good`` and
    ``total`` are counts (``array('q')``); the four are of one length.
    """

    series: tuple[Series, ...]
    starts: array[int]
    numbers: array[int]
    good: array[int]
    total: array[int]


class BatchCount(NamedTuple):
    """Events of one series that share a fate: how many, and how many of them were bad."""

    series: Series
    group: str
    total: int
    bad: int
