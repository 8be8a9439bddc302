"""What a row of the metrics table is.

A row is pure data plus one function from a snapshot to samples. A sample is (label values, value): label values in the
order of the row's labels, the value a number, or a :class:`qobs.export.snapshot.Histogram` where the row's kind says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from qobs.export.snapshot import Histogram, Labels, Snapshot

WHERE = ("provider", "source", "backend")
SOURCE = ("provider", "source")
SHARD = ("provider", "source", "stream")

Sample = tuple[Labels, float]
HistogramSample = tuple[Labels, Histogram]


class Kind(StrEnum):
    """Type of a family. A stateset shows all its states, one of them 1; an info has the value 1."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"
    STATESET = "stateset"


class Tier(StrEnum):
    """Basic is shown for every backend; full (each qubit, each gate) only for those the operator names."""

    BASIC = "basic"
    FULL = "full"


class Metric(NamedTuple):
    """One family of the exposition. ``unit`` is the word the name ends in, empty for counts, infos and states.

    ``cap`` is the family's own limit of series, for families that many labels make large by design; None: the budget's default.
    """

    name: str
    help: str
    kind: Kind
    labels: Labels
    value: Callable[[Snapshot], Iterable[Sample]] | Callable[[Snapshot], Iterable[HistogramSample]]
    unit: str = ""
    tier: Tier = Tier.BASIC
    since: str = "0.1.0"
    cap: int | None = None

    @property
    def family(self) -> str:
        """Name of the family in OpenMetrics, which leaves out the ``_total`` and ``_info`` of its samples."""
        suffix = {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(self.kind, "")
        return self.name.removesuffix(suffix)


def known(pairs: Iterable[tuple[Labels, float | None]]) -> Iterator[Sample]:
    """The samples that have a value: what nobody told us is missing, never zero."""
    return ((labels, value) for labels, value in pairs if value is not None)


def times(pairs: Iterable[tuple[Labels, datetime | None]]) -> Iterator[Sample]:
    """Times as seconds since 1970, where they are known."""
    return ((labels, at.timestamp()) for labels, at in pairs if at is not None)


def single(value: float | None) -> tuple[Sample, ...]:
    """The one sample of a family without labels; none where the value is not known."""
    return () if value is None else (((), value),)
