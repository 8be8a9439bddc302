"""Samples to bytes, fast: everything about a line but its number is made once and kept.

The two formats differ in headers and exemplars only, so the lines of a family are made once for both. Label values are
escaped (backslash, quote, line feed) when their prefix is first made. A number that is not finite is a missing sample:
it has no line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from qobs.buckets import bucket_labels
from qobs.export.snapshot import Exemplar, Histogram, Labels
from qobs.export.table import Kind, Metric

EXEMPLAR_CHARACTERS = 128
"""OpenMetrics 1.0: the names and values of an exemplar's labels together."""

_FORGET_BEYOND = 2


class Family(NamedTuple):
    """Lines of one family: the same text for both formats, unless exemplars make OpenMetrics longer."""

    plain: str
    openmetrics: str
    series: int


def escape(text: str) -> str:
    r"""A label value as both formats want it between the quotes.

    Example:
        >>> print(escape('a "b" \\ c'))
        a \"b\" \\ c
    """
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def prefix(name: str, names: Labels, values: Labels) -> str:
    """All of a line but its number.

    Example:
        >>> prefix("qobs_tasks", (), ()), prefix("qobs_series", ("family",), ("a",))
        ('qobs_tasks ', 'qobs_series{family="a"} ')
    """
    if not names:
        return f"{name} "
    pairs = ",".join([f'{label}="{escape(value)}"' for label, value in zip(names, values, strict=True)])
    return f"{name}{{{pairs}}} "


def headers(metric: Metric) -> tuple[str, str]:
    """HELP, TYPE (and UNIT) lines of the text format and of OpenMetrics, which names families without their suffix."""
    help_text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    kind = metric.kind if metric.kind in (Kind.COUNTER, Kind.HISTOGRAM) else Kind.GAUGE
    plain = f"# HELP {metric.name} {help_text}\n# TYPE {metric.name} {kind}\n"
    om_kind = Kind.GAUGE if metric.kind is Kind.STATESET else metric.kind
    om_help = help_text.replace('"', r"\"")
    openmetrics = f"# HELP {metric.family} {om_help}\n# TYPE {metric.family} {om_kind}\n"
    return plain, openmetrics + (f"# UNIT {metric.family} {metric.unit}\n" if metric.unit else "")


def exemplar_text(exemplar: Exemplar) -> str:
    """What follows a number in OpenMetrics; empty where the trace id is longer than the format allows."""
    if len("trace_id") + len(exemplar.trace_id) > EXEMPLAR_CHARACTERS:
        return ""
    at = "" if exemplar.at is None else f" {exemplar.at.timestamp()!r}"
    return f' # {{trace_id="{escape(exemplar.trace_id)}"}} {exemplar.value!r}{at}'


class _Line(NamedTuple):
    """One line as it was made: the number itself, all before it, and the whole."""

    value: float
    begin: str
    text: str


def _with_exemplar(line: _Line, exemplar: Exemplar | None) -> str:
    return line.text if exemplar is None else f"{line.begin}{+line.value!r}{exemplar_text(exemplar)}\n"


class FamilyRenderer:
    """Renders one row of the table, again and again."""

    def __init__(self, metric: Metric) -> None:
        """Make the headers; prefixes come with the samples."""
        self.metric = metric
        self._plain_header, self._openmetrics_header = headers(metric)
        self._lines: dict[Labels, _Line] = {}
        self._bucket_prefixes: dict[tuple[Labels, tuple[float, ...]], tuple[str, ...]] = {}

    def numbers(self, samples: Iterable[tuple[Labels, float]], exemplars: Mapping[Labels, Exemplar]) -> Family:
        """Lines of samples that are numbers, in the order of their labels. Of equal labels the last one counts."""
        lines = self._lines = self._number_lines(samples)
        plain = "".join(sorted([line.text for line in lines.values()]))
        openmetrics = plain
        if exemplars and self.metric.kind is Kind.COUNTER:
            openmetrics = "".join(sorted([_with_exemplar(line, exemplars.get(labels)) for labels, line in lines.items()]))
        return self._family(plain, openmetrics, len(lines))

    def _number_lines(self, samples: Iterable[tuple[Labels, float]]) -> dict[Labels, _Line]:
        """Lines by labels: those of the render before are kept where the number is the very same object."""
        lines: dict[Labels, _Line] = {}
        before, name, names = self._lines, self.metric.name, self.metric.labels
        for labels, value in samples:
            line = before.get(labels)
            if line is not None and line.value is value:
                lines[labels] = line
            elif value - value == 0:  # else it is NaN or infinite
                begin = prefix(name, names, labels) if line is None else line.begin
                # Unary plus turns a bool into the 0 or 1 that the formats know.
                lines[labels] = _Line(value, begin, f"{begin}{+value!r}\n")
            else:
                lines.pop(labels, None)
        return lines

    def histograms(self, samples: Iterable[tuple[Labels, Histogram]], exemplars: Mapping[Labels, Exemplar]) -> Family:
        """Lines of histograms: cumulative buckets, ``+Inf``, count and sum."""
        by_labels = {labels: histogram for labels, histogram in samples if histogram.sum - histogram.sum == 0}
        series = sum(len(histogram.bounds) + 3 for histogram in by_labels.values())
        plain = "".join(self._histogram(labels, by_labels[labels], {}) for labels in sorted(by_labels))
        openmetrics = plain
        if exemplars:
            openmetrics = "".join(self._histogram(labels, by_labels[labels], exemplars) for labels in sorted(by_labels))
        if len(self._bucket_prefixes) > _FORGET_BEYOND * len(by_labels) + 100:
            self._bucket_prefixes.clear()
        return self._family(plain, openmetrics, series)

    def _histogram(self, labels: Labels, histogram: Histogram, exemplars: Mapping[Labels, Exemplar]) -> str:
        *buckets, total, count = self._buckets(labels, histogram.bounds)
        lines, seen = [], 0.0
        for begin, le, amount in zip(buckets, bucket_labels(histogram.bounds), histogram.counts, strict=True):
            seen += amount
            exemplar = exemplars.get((*labels, le))
            lines.append(f"{begin}{seen!r}{exemplar_text(exemplar) if exemplar else ''}\n")
        return f"{''.join(lines)}{count}{seen!r}\n{total}{histogram.sum!r}\n"

    def _buckets(self, labels: Labels, bounds: tuple[float, ...]) -> tuple[str, ...]:
        """Prefixes of the buckets, then of the sum and the count."""
        key = (labels, bounds)
        if key not in self._bucket_prefixes:
            name, names = self.metric.name, self.metric.labels
            buckets = [prefix(f"{name}_bucket", (*names, "le"), (*labels, le)) for le in bucket_labels(bounds)]
            self._bucket_prefixes[key] = (*buckets, prefix(f"{name}_sum", names, labels), prefix(f"{name}_count", names, labels))
        return self._bucket_prefixes[key]

    def _family(self, plain: str, openmetrics: str, series: int) -> Family:
        if not series:
            return Family("", "", 0)
        return Family(self._plain_header + plain, self._openmetrics_header + openmetrics, series)
