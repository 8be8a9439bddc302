"""Rows about service-level indicators: lifetime events, events per window in event time, and the limits that decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qobs.export.snapshot import SliWindow, Snapshot
from qobs.export.table import Kind, Metric, Sample
from qobs.model import Counts, Series, Stream

SERIES = ("sli", "provider", "source", "backend", "priority", "workload", "team")

CALIBRATION_SLI = "calibration_freshness"
"""The one indicator that lives on calibrations; all others live on jobs."""

SILENT_AFTER_SECONDS = 600.0
"""A source that has been silent this long, and for three of its own intervals, has no data: its windows are not shown."""


def heard_sources(snapshot: Snapshot) -> frozenset[tuple[str, Stream]]:
    """(source, stream) pairs that answered lately: of the others nothing is known, which is neither good nor bad."""
    heard = set()
    for state in snapshot.shards:
        patience = max(SILENT_AFTER_SECONDS, 3 * state.interval_seconds)
        if state.last_success_at is not None and (snapshot.now - state.last_success_at).total_seconds() <= patience:
            heard.add((state.shard.source, state.shard.stream))
    return frozenset(heard)


def stream_of(series: Series) -> Stream:
    """The stream that an indicator's events come from."""
    return Stream.CALIBRATIONS if series.sli == CALIBRATION_SLI else Stream.JOBS


def live_windows(snapshot: Snapshot) -> Iterator[SliWindow]:
    """Windows of the series whose source answers."""
    heard = heard_sources(snapshot)
    return (window for window in snapshot.sli_windows if (window.series.source, stream_of(window.series)) in heard)


def _windows(of: Callable[[Counts], int]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: (((*entry.series, entry.window), of(entry.counts)) for entry in live_windows(snapshot))


SLI_ROWS = (
    Metric(
        "qobs_sli_events_total",
        "Events of the indicator that count, good or bad, since the store began.",
        Kind.COUNTER,
        SERIES,
        lambda s: ((tuple(entry.series), entry.total) for entry in s.sli_totals),
        cap=10_000,
    ),
    Metric(
        "qobs_sli_bad_events_total",
        "Events of the indicator that were bad, since the store began.",
        Kind.COUNTER,
        SERIES,
        lambda s: ((tuple(entry.series), entry.bad) for entry in s.sli_totals),
        cap=10_000,
    ),
    Metric(
        "qobs_sli_window_events",
        "Events of the indicator in the window, in event time; absent while the source is silent.",
        Kind.GAUGE,
        (*SERIES, "window"),
        _windows(lambda counts: counts.total),
        cap=20_000,
    ),
    Metric(
        "qobs_sli_window_bad_events",
        "Bad events of the indicator in the window, in event time; absent while the source is silent.",
        Kind.GAUGE,
        (*SERIES, "window"),
        _windows(lambda counts: counts.bad),
        cap=20_000,
    ),
    Metric(
        "qobs_sli_threshold_seconds",
        "Limit that decides whether an event of the indicator is good.",
        Kind.GAUGE,
        SERIES,
        lambda s: ((tuple(series), seconds) for series, seconds in s.sli_thresholds.items()),
        "seconds",
        cap=10_000,
    ),
)
