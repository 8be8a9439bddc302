"""How many series may be exposed, and what gives way when there are more.

The rules, in the order in which they apply to a family:

1. A label may have ``per_label`` values. Those seen first stay; the samples of the others fold into the value ``other``,
   where counters and histograms are summed, and gauges, whose sum would mean nothing, are left out.
2. A family may have its own ``cap`` of series, else ``per_family``. A family of tier full that is larger is left out whole,
   since half a device is worse than none. One of tier basic folds further, its most varied label first.
3. All families together may have ``total`` series. Whole families go: tier full before basic, last in the table first.

Never a random sample: what is folded or left out is the same at the next render. All that is missing is counted by family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from qobs.export.snapshot import Histogram, Labels
from qobs.export.table import Kind, Metric, Tier

OTHER = "other"
FIXED_LABELS = frozenset({"qubit", "qubits", "window", "sli", "family"})
"""Labels whose values a device or this program bounds: they are never folded (a qubit named ``other`` tells nothing)."""

_T = TypeVar("_T", float, Histogram)


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of series. ``families`` overrides ``per_family`` and the table's own caps by metric name."""

    total: int = 50_000
    per_family: int = 2_000
    per_label: int = 200
    families: Mapping[str, int] = field(default_factory=dict)

    def cap(self, metric: Metric) -> int:
        """Limit of one family: the operator's, else the table's, else the default."""
        return self.families.get(metric.name, metric.cap or self.per_family)


def weight(samples: Sequence[tuple[Labels, float | Histogram]]) -> int:
    """Series that the samples make: a histogram is its buckets, ``+Inf``, sum and count."""
    if not samples or not isinstance(samples[0][1], Histogram):
        return len(samples)
    return sum(len(value.bounds) + 3 for _, value in samples if isinstance(value, Histogram))


class Folder:
    """Applies rules 1 and 2, and remembers which label values came first, so that they stay when others come."""

    def __init__(self, budget: Budget) -> None:
        """Begin with no label value known."""
        self._budget = budget
        self._admitted: dict[tuple[str, int], list[str]] = {}

    def fit(self, metric: Metric, samples: list[tuple[Labels, _T]]) -> list[tuple[Labels, _T]]:
        """The samples as far as they fit; compare lengths (``weight``) to see what is missing."""
        cap = self._budget.cap(metric)
        size = weight(samples)
        if size <= cap and len(samples) <= self._budget.per_label:
            return samples
        values = self._values(metric, samples)
        limits = dict.fromkeys(values, self._budget.per_label)
        fitted = self._fold(metric, samples, values, limits)
        if metric.tier is Tier.FULL:
            return fitted if weight(fitted) <= cap else []
        while weight(fitted) > cap:
            widest = max(values, key=lambda index: (min(limits[index], len(values[index])), -index), default=None)
            if widest is None or limits[widest] == 0:
                return []
            limits[widest] = min(limits[widest], len(values[widest])) // 2
            # What is folded already folds on: the large list is walked once.
            fitted = self._fold(metric, fitted, values, limits)
        return fitted

    @staticmethod
    def _values(metric: Metric, samples: Sequence[tuple[Labels, _T]]) -> dict[int, set[str]]:
        """Distinct values of each label that may be folded, by the label's position."""
        foldable = [index for index, label in enumerate(metric.labels) if label not in FIXED_LABELS]
        return {index: {entry[0][index] for entry in samples} - {OTHER} for index in foldable}

    def _fold(
        self, metric: Metric, samples: list[tuple[Labels, _T]], values: Mapping[int, set[str]], limits: Mapping[int, int]
    ) -> list[tuple[Labels, _T]]:
        adds = metric.kind in (Kind.COUNTER, Kind.HISTOGRAM)
        for index, limit in limits.items():
            if len(values[index]) > limit:
                kept = self._admit(metric.name, index, values[index], limit)
                samples = _merge(samples, index, kept) if adds else [entry for entry in samples if entry[0][index] in kept]
        return samples

    def _admit(self, name: str, index: int, present: set[str], limit: int) -> frozenset[str]:
        before = [text for text in self._admitted.get((name, index), ()) if text in present]
        fresh = sorted(present.difference(before)) if len(before) < limit else []
        admitted = self._admitted[name, index] = (before + fresh)[:limit]
        return frozenset(admitted)


def _merge(samples: list[tuple[Labels, _T]], index: int, kept: frozenset[str]) -> list[tuple[Labels, _T]]:
    """The samples with one label's values outside ``kept`` replaced by ``other``, and what became equal added up."""
    whole = [entry for entry in samples if entry[0][index] in kept]
    sums: dict[Labels, _T] = {}
    for entry in samples:
        if entry[0][index] not in kept:
            labels = replaced(entry[0], index)
            sums[labels] = sums[labels] + entry[1] if labels in sums else entry[1]
    return whole + list(sums.items())


def replaced(labels: Labels, index: int) -> Labels:
    """The labels with the value at ``index`` folded.

    Example:
        >>> replaced(("ibm", "lab", "fez"), 2)
        ('ibm', 'lab', 'other')
    """
    return (*labels[:index], OTHER, *labels[index + 1 :])
