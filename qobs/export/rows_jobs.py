"""Rows about our own jobs: how many are open, and the counters and histograms that the store derives from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from qobs.buckets import FAILED, FINISHED, JOB_COUNTERS, SUM, JobCounter, bucket_labels
from qobs.export.snapshot import Histogram, Labels, Snapshot
from qobs.export.table import WHERE, HistogramSample, Kind, Metric, Sample, times
from qobs.model import TERMINAL, FailureClass, JobState

_OPEN_STATES = tuple(state.value for state in JobState if state not in TERMINAL)
_VALUES = {
    FINISHED.name: tuple(sorted(state.value for state in TERMINAL)),
    FAILED.name: tuple(kind.value for kind in FailureClass),
}
"""All values of a counter's label beyond (provider, source, backend)."""


def job_places(snapshot: Snapshot) -> list[Labels]:
    """Every (provider, source, backend) that jobs can be on: known backends, and where the store has jobs."""
    counted = (labels[:3] for readings in snapshot.counters.values() for labels in readings)
    published = ((status.provider, status.source, status.backend) for status in snapshot.backends)
    return sorted(set(chain(published, (key[:3] for key in snapshot.open_jobs), counted)))


def open_jobs(snapshot: Snapshot) -> Iterator[Sample]:
    """Open jobs by state; a known place without any has a true zero."""
    for where in job_places(snapshot):
        for state in _OPEN_STATES:
            yield (*where, state), snapshot.open_jobs.get((where[0], where[1], where[2], state), 0)


def _counter(counter: JobCounter) -> Callable[[Snapshot], Iterator[Sample]]:
    """Readings of a counter, with zeros for all that could be counted at known places."""
    values = _VALUES.get(counter.name)

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        zeros = (
            (*where, *more) for where in job_places(snapshot) for more in ([(value,) for value in values] if values else [()])
        )
        return iter((dict.fromkeys(zeros, 0.0) | dict(snapshot.counters.get(counter.name, {}))).items())

    return samples


def _histogram(counter: JobCounter, bounds: tuple[float, ...]) -> Callable[[Snapshot], Iterator[HistogramSample]]:
    """Histograms of the places where the store has observations."""
    index = {le: position for position, le in enumerate(bucket_labels(bounds))}

    def samples(snapshot: Snapshot) -> Iterator[HistogramSample]:
        counts: dict[Labels, list[float]] = {}
        sums: dict[Labels, float] = {}
        for labels, value in snapshot.counters.get(counter.name, {}).items():
            where, bucket = labels[:-1], labels[-1]
            row = counts.setdefault(where, [0.0] * len(index))
            if bucket == SUM:
                sums[where] = value
            elif bucket in index:
                row[index[bucket]] += value
        return ((where, Histogram(bounds, tuple(row), sums.get(where, 0.0))) for where, row in counts.items())

    return samples


def _row(counter: JobCounter) -> Metric:
    unit = "seconds" if counter.name.removesuffix("_total").endswith("_seconds") else ""
    if counter.bounds is None:
        return Metric(counter.name, counter.help, Kind.COUNTER, counter.labels, _counter(counter), unit)
    return Metric(
        counter.name, counter.help, Kind.HISTOGRAM, counter.labels, _histogram(counter, counter.bounds), unit, cap=5_000
    )


def _latency(name: str, quantile: str) -> Metric:
    """One quantile is one family: Prometheus keeps the label ``quantile`` for its own summaries."""
    return Metric(
        f"qobs_job_latency_{name}_seconds",
        f"Time from submission to result of the last day's jobs, {name}; open jobs count as at least so long.",
        Kind.GAUGE,
        WHERE,
        lambda s: ((labels[:3], seconds) for labels, seconds in s.latencies.items() if labels[3] == quantile),
        "seconds",
    )


JOB_ROWS = (
    Metric("qobs_jobs", "Jobs that have not ended, by state.", Kind.GAUGE, (*WHERE, "state"), open_jobs),
    *(_latency(name, quantile) for name, quantile in (("median", "0.5"), ("p90", "0.9"), ("p99", "0.99"))),
    Metric(
        "qobs_oldest_queued_job_timestamp_seconds",
        "Submission time of the oldest job that is still queued.",
        Kind.GAUGE,
        WHERE,
        lambda s: times(s.oldest_queued.items()),
        "seconds",
    ),
    *map(_row, JOB_COUNTERS),
)
