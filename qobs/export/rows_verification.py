"""Rows about verified results: verdicts, the queue, distances from the reference, and drift of each backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qobs.export.snapshot import Labels, ResultReading, Snapshot
from qobs.export.table import WHERE, HistogramSample, Kind, Metric, Sample, known
from qobs.result import VERIFICATIONS_TOTAL


def _latest(of: Callable[[ResultReading], float | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    """A figure of each backend's latest compared result, or of its chart."""
    return lambda snapshot: known((reading.where, of(reading)) for reading in _results(snapshot))


def _results(snapshot: Snapshot) -> tuple[ResultReading, ...]:
    return () if snapshot.verification is None else snapshot.verification.results


def _queue(snapshot: Snapshot) -> Iterator[Sample]:
    if snapshot.verification is not None:
        yield from (((state,), count) for state, count in sorted(snapshot.verification.queue.items()))


def _durations(snapshot: Snapshot) -> Iterator[HistogramSample]:
    state = snapshot.verification
    if state is not None and state.durations is not None:
        labels: Labels = ()
        yield labels, state.durations


def _deaths(snapshot: Snapshot) -> Iterator[Sample]:
    if snapshot.verification is not None:
        yield from (((reason,), count) for reason, count in sorted(snapshot.verification.deaths.items()))


def _drifting(reading: ResultReading) -> float | None:
    return None if reading.drifting is None else int(reading.drifting)


def _ratio(name: str, help: str, of: Callable[[ResultReading], float | None]) -> Metric:
    return Metric(name, help, Kind.GAUGE, WHERE, _latest(of), "ratio")


VERIFICATION_ROWS = (
    Metric(
        VERIFICATIONS_TOTAL,
        "Circuits whose measured counts were compared with their reference, by verdict.",
        Kind.COUNTER,
        (*WHERE, "verdict"),
        lambda s: s.counters.get(VERIFICATIONS_TOTAL, {}).items(),
    ),
    Metric(
        "qobs_result_discoveries_total",
        "Results that are worse than the backend's margin even with regard to how many are judged (false discovery rate 5 %).",
        Kind.COUNTER,
        WHERE,
        _latest(lambda r: r.discoveries),
    ),
    _ratio(
        "qobs_result_distance_tvd_ratio", "Total variation distance of the latest result from its reference.", lambda r: r.tvd
    ),
    _ratio(
        "qobs_result_distance_floor_ratio",
        "Distance that shot noise alone would give the latest result: compare with the distance.",
        lambda r: r.floor,
    ),
    _ratio(
        "qobs_result_distance_excess_ratio",
        "Distance of the latest result beyond shot noise; may be slightly negative.",
        lambda r: r.excess,
    ),
    _ratio("qobs_result_xeb_ratio", "Linear cross-entropy of the latest result; 1: as the reference says.", lambda r: r.xeb),
    Metric(
        "qobs_drift_active",
        "1 while the results of the backend drift for the worse, 0 while they are judged; gone while the baseline is learnt.",
        Kind.GAUGE,
        WHERE,
        _latest(_drifting),
    ),
    _ratio(
        "qobs_drift_score_ratio",
        "How far the results' drift charts are toward their limit, which is 1.",
        lambda r: r.drift_score,
    ),
    Metric(
        "qobs_verification_queue", "Jobs that were chosen to be verified, by where they stand.", Kind.GAUGE, ("state",), _queue
    ),
    Metric(
        "qobs_verification_duration_seconds",
        "Computing time of one circuit's reference and verdict.",
        Kind.HISTOGRAM,
        (),
        _durations,
        "seconds",
    ),
    Metric(
        "qobs_verification_worker_deaths_total",
        "Worker processes that a task ended, by reason (deadline, killed).",
        Kind.COUNTER,
        ("reason",),
        _deaths,
    ),
)
