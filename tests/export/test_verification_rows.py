"""Rows about verified results: shown where they are known, absent where nothing is."""

from __future__ import annotations

from datetime import UTC, datetime

from qobs.export.rows_verification import VERIFICATION_ROWS
from qobs.export.snapshot import Histogram, ProcessState, ResultReading, Snapshot, VerificationState
from qobs.result import VERIFICATIONS_TOTAL

PROCESS = ProcessState(version="0.1.0", revision="", python="3.11", started_at=datetime(2026, 3, 1, tzinfo=UTC))
WHERE = ("ibm", "lab", "fez")


def shown(state: VerificationState | None) -> dict[str, list[tuple[tuple[str, ...], object]]]:
    """Samples by metric, of metrics that have any."""
    counters = {VERIFICATIONS_TOTAL: {(*WHERE, "worse"): 3.0}} if state is not None else {}
    snapshot = Snapshot(now=PROCESS.started_at, process=PROCESS, verification=state, counters=counters)
    return {row.name: samples for row in VERIFICATION_ROWS if (samples := list(row.value(snapshot)))}


def test_nothing_is_shown_where_results_are_not_verified() -> None:
    """A zero would say that all results were looked at and none was bad."""
    assert shown(None) == {}


def test_every_row_shows_what_the_daemon_knows() -> None:
    """A dashboard's panel stays empty when a row reads the wrong field."""
    histogram = Histogram((0.1, 1.0), (1.0, 0.0, 0.0), 0.05)
    reading = ResultReading(
        provider="ibm", source="lab", backend="fez", tvd=0.3, floor=0.1, excess=0.2, xeb=0.5,
        drifting=True, drift_score=1.5, discoveries=2,
    )  # fmt: skip
    found = shown(
        VerificationState(queue={"queued": 4, "parked": 1}, durations=histogram, deaths={"deadline": 2}, results=(reading,))
    )
    assert found == {
        "qobs_verifications_total": [((*WHERE, "worse"), 3.0)],
        "qobs_result_discoveries_total": [(WHERE, 2)],
        "qobs_result_distance_tvd_ratio": [(WHERE, 0.3)],
        "qobs_result_distance_floor_ratio": [(WHERE, 0.1)],
        "qobs_result_distance_excess_ratio": [(WHERE, 0.2)],
        "qobs_result_xeb_ratio": [(WHERE, 0.5)],
        "qobs_drift_active": [(WHERE, 1)],
        "qobs_drift_score_ratio": [(WHERE, 1.5)],
        "qobs_verification_queue": [(("parked",), 1), (("queued",), 4)],
        "qobs_verification_duration_seconds": [((), histogram)],
        "qobs_verification_worker_deaths_total": [(("deadline",), 2)],
    }
    assert len(found) == len(VERIFICATION_ROWS)


def test_a_backend_that_is_being_learnt_has_no_drift_signal() -> None:
    """Zero would say that it was judged and is well."""
    learning = ResultReading(provider="ibm", source="lab", backend="fez")
    found = shown(VerificationState(results=(learning,)))
    assert set(found) == {"qobs_verifications_total", "qobs_result_discoveries_total"}
