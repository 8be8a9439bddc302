"""Rows on anomalies: signals that are unlike their own past, beside the limits that objectives set."""

from __future__ import annotations

from collections.abc import Iterator

from qobs.export.anomalies import ANOMALOUS, STATES
from qobs.export.snapshot import Snapshot
from qobs.export.table import WHERE, Kind, Metric, Sample, known

_SIGNAL = (*WHERE, "signal")
_JUDGED = {"ok", "suspect", ANOMALOUS}


def active(snapshot: Snapshot) -> Iterator[Sample]:
    """1 for anomalous signals, 0 for the judged others: what is not judged is neither."""
    for reading in snapshot.anomalies:
        if reading.state in _JUDGED:
            yield reading.where, int(reading.state == ANOMALOUS)


def state(snapshot: Snapshot) -> Iterator[Sample]:
    """1 for the state that a signal is in, 0 for the others."""
    for reading in snapshot.anomalies:
        for name in STATES:
            yield (*reading.where, name), int(reading.state == name)


ANOMALY_ROWS = (
    Metric(
        "qobs_anomaly_active",
        "1 while the signal is anomalous, 0 while it is judged and is not; gone while it cannot be judged.",
        Kind.GAUGE,
        _SIGNAL,
        active,
    ),
    Metric(
        "qobs_anomaly_score_ratio",
        "How far the signal is toward its limit, which is 1; 0 for a change for the better.",
        Kind.GAUGE,
        _SIGNAL,
        lambda s: known((reading.where, reading.score) for reading in s.anomalies),
        "ratio",
    ),
    Metric(
        "qobs_anomaly_state",
        "1 for the state of the signal's detector, 0 for the others.",
        Kind.STATESET,
        (*_SIGNAL, "state"),
        state,
    ),
)
