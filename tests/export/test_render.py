"""Our renderer says what the stock client says, whatever stands in a label."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.core import Metric as ClientMetric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from qobs.buckets import bucket_labels
from qobs.export.render import Family, FamilyRenderer, escape
from qobs.export.snapshot import Histogram, Labels
from qobs.export.table import Kind, Metric

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["\\", '"', "\n", '\\n"', "ünï 😀", "\r", "\x00", "{}, #"]
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**53)
HELP = 'What it says, with a \\ and a "quote".'
BOUNDS = (0.5, 10.0, 3600.0)

numbers = st.dictionaries(st.tuples(TEXTS, TEXTS), NUMBERS, max_size=6)
histograms = st.dictionaries(
    st.tuples(TEXTS, TEXTS),
    st.builds(Histogram, st.just(BOUNDS), st.tuples(*[st.integers(0, 9).map(float)] * 4), st.floats(0, 1e9)),
    max_size=4,
)


class Once:
    """A collector of one family, for the stock client to render."""

    def __init__(self, family: ClientMetric) -> None:
        self.family = family

    def collect(self) -> Iterator[ClientMetric]:
        yield self.family


def row(name: str, kind: Kind, unit: str = "") -> Metric:
    return Metric(name, HELP, kind, ("backend", "state"), lambda _: (), unit)


def parsed(text: str, openmetrics: bool) -> list[object]:
    families = parse_openmetrics(text) if openmetrics else parse_text(text)
    return [
        (f.name, f.documentation, f.type, f.unit, sorted((s.name, sorted(s.labels.items()), s.value) for s in f.samples))
        for f in families
    ]


def agree(ours: Family, theirs: ClientMetric) -> None:
    registry = CollectorRegistry()
    registry.register(Once(theirs))  # type: ignore[arg-type]
    if not ours.series:
        return
    assert parsed(ours.plain, False) == parsed(generate_latest(registry).decode(), False)
    assert parsed(ours.openmetrics + "# EOF\n", True) == parsed(generate_openmetrics(registry).decode(), True)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(numbers)
def test_gauges_equal_the_stock_client(samples: dict[Labels, float]) -> None:
    """A provider's backend may be called anything."""
    theirs = GaugeMetricFamily("qobs_x_seconds", HELP, labels=("backend", "state"), unit="seconds")
    for labels, value in samples.items():
        theirs.add_metric(labels, value)
    agree(FamilyRenderer(row("qobs_x_seconds", Kind.GAUGE, "seconds")).numbers(samples.items(), {}), theirs)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.dictionaries(st.tuples(TEXTS, TEXTS), st.floats(0, 1e15), max_size=6))
def test_counters_equal_the_stock_client(samples: dict[Labels, float]) -> None:
    """OpenMetrics names the family without ``_total``, the text format with it."""
    theirs = CounterMetricFamily("qobs_x", HELP, labels=("backend", "state"))
    for labels, value in samples.items():
        theirs.add_metric(labels, value)
    agree(FamilyRenderer(row("qobs_x_total", Kind.COUNTER)).numbers(samples.items(), {}), theirs)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(histograms)
def test_histograms_equal_the_stock_client(samples: dict[Labels, Histogram]) -> None:
    """Buckets are cumulative, and their bounds are spelled as everybody spells them."""
    theirs = HistogramMetricFamily("qobs_x_seconds", HELP, labels=("backend", "state"), unit="seconds")
    for labels, histogram in samples.items():
        cumulated = [sum(histogram.counts[: index + 1]) for index in range(len(histogram.counts))]
        theirs.add_metric(labels, list(zip(bucket_labels(BOUNDS), cumulated, strict=True)), histogram.sum)
    agree(FamilyRenderer(row("qobs_x_seconds", Kind.HISTOGRAM, "seconds")).histograms(samples.items(), {}), theirs)


def test_an_info_equals_the_stock_client() -> None:
    """OpenMetrics has a type for facts; the text format shows them as a gauge."""
    theirs = InfoMetricFamily("qobs_x", HELP)
    theirs.add_metric((), {"backend": "a\\b", "state": 'c"d'})
    agree(FamilyRenderer(row("qobs_x_info", Kind.INFO)).numbers([(("a\\b", 'c"d'), 1)], {}), theirs)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(TEXTS)
def test_escaping_can_be_undone(text: str) -> None:
    """Two different labels must never become one."""
    undone = escape(text).replace(r"\\", "\0\0").replace(r"\n", "\n").replace(r"\"", '"').replace("\0\0", "\\")
    assert undone == text or "\0\0" in text


def test_what_is_not_finite_is_missing() -> None:
    """A NaN would poison every sum; the truth is that there is no value."""
    samples: list[tuple[Labels, float]] = [
        (("a", "b"), math.nan),
        (("c", "d"), math.inf),
        (("e", "f"), -math.inf),
        (("g", "h"), 2.5),
    ]
    family = FamilyRenderer(row("qobs_x", Kind.GAUGE)).numbers(samples, {})
    assert family.series == 1
    assert family.plain.endswith('\nqobs_x{backend="g",state="h"} 2.5\n')


def test_no_sample_means_no_family() -> None:
    """Headers without samples would promise what is not there."""
    assert FamilyRenderer(row("qobs_x", Kind.GAUGE)).numbers([], {}) == Family("", "", 0)


def test_a_label_set_is_shown_once() -> None:
    """A provider that lists a qubit twice would make Prometheus refuse the scrape."""
    family = FamilyRenderer(row("qobs_x", Kind.GAUGE)).numbers([(("a", "b"), 1.0), (("a", "b"), 2.0)], {})
    assert family.plain.splitlines()[2:] == ['qobs_x{backend="a",state="b"} 2.0']


def test_prefixes_of_vanished_labels_are_forgotten() -> None:
    """A daemon that runs for a year meets many labels: memory must follow those that are shown, not all there ever were."""
    renderer = FamilyRenderer(row("qobs_x", Kind.GAUGE))
    for generation in range(10):
        renderer.numbers([((f"g{generation}-{index}", "x"), 1.0) for index in range(1000)], {})
    assert len(renderer._lines) == 1000


def test_a_flag_is_a_number() -> None:
    """Python's True is not a number that Prometheus reads."""
    family = FamilyRenderer(row("qobs_x", Kind.GAUGE)).numbers([(("a", "b"), True)], {})
    assert family.plain.splitlines()[-1].endswith("} 1")
