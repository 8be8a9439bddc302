"""A fixed snapshot, a renderer without the process's own moving numbers, and a real Prometheus."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qobs.export.anomalies import AnomalyReading
from qobs.export.exposition import Exposition
from qobs.export.snapshot import (
    CalibrationReading,
    ExclusionReading,
    Exemplar,
    Histogram,
    ProcessState,
    RateLimit,
    ResultReading,
    ShardState,
    SliTotal,
    SliWindow,
    SloAlert,
    SloReading,
    SloWindow,
    Snapshot,
    SourceState,
    StoreState,
    VerificationState,
    group_counters,
)
from qobs.lab.clock import LabClock
from qobs.model import (
    BackendState,
    BackendStatus,
    Calibration,
    Counts,
    DeviceCalibration,
    GateCalibration,
    Measured,
    QubitCalibration,
    Quota,
    Reason,
    Series,
    Shard,
    Stream,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--refresh-golden`` rewrites tests/golden instead of comparing with it."""
    with contextlib.suppress(ValueError):
        parser.addoption("--refresh-golden", action="store_true", help="rewrite the golden exposition files")


@pytest.fixture
def now() -> datetime:
    """The moment of the fixed snapshot."""
    return NOW


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, bytes], None]:
    """Compares bytes with a golden file, or rewrites the file under ``--refresh-golden``."""

    def compare(name: str, found: bytes) -> None:
        path = request.config.rootpath / "tests" / "golden" / name
        if request.config.getoption("--refresh-golden", default=False):
            path.write_bytes(found)
        assert found.decode() == path.read_text(encoding="utf-8"), f"run pytest tests/export --refresh-golden to accept {name}"

    return compare


@pytest.fixture
def exposition() -> Exposition:
    """An exposition on a clock that stands still, without ``process_*``."""
    return Exposition(LabClock(NOW), min_interval_seconds=0.0)


@pytest.fixture
def snapshot() -> Snapshot:
    """Two clouds, three backends, every kind of row fed at least once."""
    return Snapshot(
        now=NOW,
        process=_process(),
        shards=_shards(),
        sources=_sources(),
        store=StoreState(
            size_bytes=81920,
            wal_bytes=4096,
            commits=Histogram((0.005, 0.05), (7, 2, 1), 0.375),
            oldest_record_at=NOW - timedelta(days=30),
        ),
        backends=_backends(),
        calibrations=_calibrations(),
        quotas=(
            Quota(
                provider="ibm",
                source="research",
                account="crn",
                dimension="quantum_seconds",
                scope="instance",
                observed_at=NOW,
                limit=600.0,
                used=42.5,
                held=3.0,
                period="28d",
            ),
        ),
        open_jobs={("ibm", "research", "ibm_fez", "queued"): 4, ("ibm", "research", "ibm_fez", "running"): 1},
        oldest_queued={("ibm", "research", "ibm_fez"): NOW - timedelta(minutes=7)},
        latencies={
            ("ibm", "research", "ibm_fez", "0.5"): 420.0,
            ("ibm", "research", "ibm_fez", "0.9"): 1875.5,
            ("ibm", "research", "ibm_fez", "0.99"): 7200.0,
        },
        counters=_counters(),
        exemplars={
            "qobs_job_queue_duration_seconds": {
                ("ibm", "research", "ibm_fez", "300.0"): Exemplar("4bf92f3577b34da6a3ce929d0e0e4736", 212.0, NOW)
            },
            "qobs_jobs_failed_total": {("ibm", "research", "ibm_fez", "provider"): Exemplar("00f067aa0ba902b7", 1.0)},
        },
        sli_totals=(SliTotal(SERIES, 40, 3), SliTotal(SILENT, 8, 1)),
        sli_windows=(
            SliWindow(SERIES, "1h", Counts(9, 10)),
            SliWindow(SERIES, "90d", Counts(37, 40)),
            SliWindow(SILENT, "1h", Counts(5, 5)),
        ),
        sli_thresholds={SERIES._replace(sli="queue_wait"): 300.0},
        slos=_slos(),
        anomalies=(
            AnomalyReading(
                provider="ibm", source="research", backend="ibm_fez", signal="calibration_t1", state="anomalous", score=1.25
            ),
            AnomalyReading(provider="ibm", source="research", backend="ibm_fez", signal="queue_wait", state="learning"),
        ),
        verification=_verification(),
        exclusions=(ExclusionReading("fridge", {"provider": ("ibm",), "backend": ("ibm_fez", "ibm_torino")}),),
    )


SERIES = Series("job_success", "ibm", "research", "ibm_fez", "high", "production", "chemistry")
SILENT = Series("job_success", "ionq", "trap", "qpu.aria-1")


def _verification() -> VerificationState:
    drifting = ResultReading(
        provider="ibm",
        source="research",
        backend="ibm_fez",
        tvd=0.125,
        floor=0.0625,
        excess=0.0625,
        xeb=0.75,
        drifting=True,
        drift_score=1.5,
        discoveries=2,
    )
    learning = ResultReading(provider="ionq", source="trap", backend="qpu.aria-1", tvd=0.25)
    return VerificationState(
        queue={"parked": 1, "queued": 3, "running": 1},
        durations=Histogram((0.1, 1.0), (30.0, 9.0, 1.0), 12.5),
        deaths={"deadline": 2},
        results=(drifting, learning),
    )


def _slos() -> tuple[SloReading, ...]:
    success = SloReading(
        slo="job-success",
        service="quantum-jobs",
        objective="Jobs complete",
        sli="job_success",
        target_ratio=0.95,
        period_seconds=2_592_000.0,
        state="ok",
        events_total=40,
        bad_events_total=3,
        windows=(SloWindow("5m", 0, 0), SloWindow("1h", 10, 1, 0.1, 2.0), SloWindow("30d", 40, 3, 0.075, 1.5)),
        remaining_ratio=-0.5,
        remaining_low_ratio=-2.25,
        remaining_high_ratio=0.5,
        ideal_remaining_ratio=0.25,
        exhausted_in_seconds=0.0,
        exhaustion_probability=0.875,
        alerts=(
            SloAlert("page", "fast", True, NOW, 0.0001220703125),
            SloAlert("page", "evidence", False),
            SloAlert("ticket", "slow", True),
        ),
        design_effect=1.25,
        evaluated_at=NOW - timedelta(seconds=5),
    )
    silent = SloReading(
        slo="trap-success",
        service="quantum-jobs",
        objective="0",
        sli="job_success",
        target_ratio=0.9,
        period_seconds=604_800.0,
        state="no_data",
        windows=(SloWindow("1h", 5, 0, 0.0, 0.0),),
        silent_sources=1,
        evaluated_at=NOW - timedelta(seconds=5),
    )
    return success, silent


def _process() -> ProcessState:
    return ProcessState(
        version="0.1.0",
        revision="abc1234",
        python="3.11.2",
        started_at=NOW - timedelta(hours=1),
        event_loop_lag_seconds=0.0015,
        tasks=9,
        queue_bytes=0,
        queue_capacity_bytes=67108864,
        config_hash=271828182845,
        reload_ok=True,
        reloaded_at=NOW - timedelta(hours=1),
    )


def _shards() -> tuple[ShardState, ...]:
    def shard(source: str, provider: str, stream: Stream, **more: Any) -> ShardState:
        return ShardState(shard=Shard(source, provider, "account", stream), interval_seconds=60.0, **more)

    good = {
        "polls": 60,
        "last_ok": True,
        "last_success_at": NOW - timedelta(seconds=12),
        "next_run_at": NOW + timedelta(seconds=48),
    }
    return (
        shard(
            "research",
            "ibm",
            Stream.JOBS,
            **good,
            watermark=NOW - timedelta(seconds=95),
            ingested=43,
            updated=12,
            unchanged=230,
            quarantined=1,
            transitions=118,
            late=2,
            durations=Histogram((0.5, 5.0), (50, 9, 1), 31.25),
        ),
        shard("research", "ibm", Stream.STATUS, **good),
        shard(
            "trap",
            "ionq",
            Stream.JOBS,
            polls=9,
            last_ok=False,
            errors={Reason.AUTH: 7, Reason.TIMEOUT: 1},
            last_success_at=NOW - timedelta(minutes=50),
        ),
        shard("trap", "ionq", Stream.STATUS),
    )


def _sources() -> tuple[SourceState, ...]:
    return (
        SourceState(
            provider="ibm",
            source="research",
            clock_skew_seconds=-0.25,
            credential_expires_at=NOW + timedelta(days=20),
            certificate_expires_at=NOW + timedelta(days=60),
            rate_limits=(RateLimit(bucket="requests", remaining=97.0, limit=100.0, reset_at=NOW + timedelta(seconds=30)),),
            requests={("/jobs", "2xx"): 60, ("/jobs/{id}/metrics", "2xx"): 41, ("/jobs", "5xx"): 1},
            request_durations=Histogram((0.1, 1.0), (80, 20, 2), 17.5),
            retries=1,
            unmapped={"status": 2},
        ),
        SourceState(provider="ionq", source="trap", breaker=2, throttled=3),
    )


def _backends() -> tuple[BackendStatus, ...]:
    def backend(provider: str, source: str, name: str, state: BackendState, **more: Any) -> BackendStatus:
        more.setdefault("observed_at", NOW - timedelta(seconds=12))
        return BackendStatus(provider=provider, source=source, account="account", backend=name, state=state, **more)

    return (
        backend(
            "ibm",
            "research",
            "ibm_fez",
            BackendState.ONLINE,
            queue_jobs=17,
            queue_wait_seconds=840.0,
            qubits=156,
            version="1.3.2",
            simulator=False,
            technology="superconducting",
            layers_per_second=195000.0,
            layer_error=0.0031,
        ),
        backend("ibm", "research", "ibm_retired", BackendState.ONLINE, observed_at=NOW - timedelta(hours=2)),
        backend(
            "ionq",
            "trap",
            "qpu.aria-1",
            BackendState.MAINTENANCE,
            queue_wait_seconds=5400.0,
            qubits=25,
            next_maintenance_at=NOW + timedelta(days=2),
            observed_at=NOW - timedelta(minutes=50),
        ),
    )


def _calibrations() -> tuple[CalibrationReading, ...]:
    full = Calibration(
        provider="ibm",
        source="research",
        account="account",
        backend="ibm_fez",
        calibrated_at=NOW - timedelta(hours=3),
        qubits=(
            QubitCalibration(
                qubit=0,
                t1_seconds=Measured(0.000151),
                t2_seconds=Measured(0.00009),
                frequency_hertz=Measured(4.9e9),
                anharmonicity_hertz=Measured(-3.1e8),
                readout_error=Measured(0.0125),
                prob_meas0_prep1=Measured(0.015),
                prob_meas1_prep0=Measured(0.01),
                readout_seconds=Measured(1.56e-06),
            ),
            QubitCalibration(qubit=1, operational=False),
        ),
        gates=(
            GateCalibration(gate="cz", qubits=(0, 1), error=Measured(0.0029), duration_seconds=Measured(8.4e-08)),
            GateCalibration(gate="cz", qubits=(1, 2), error=Measured(1.0), faulty=True),
        ),
    )
    return (
        CalibrationReading(
            provider="ibm",
            source="research",
            backend="ibm_fez",
            calibrated_at=NOW - timedelta(hours=3),
            fetched_at=NOW,
            oldest_parameter_at=NOW - timedelta(days=9),
            full=full,
            device=DeviceCalibration(
                t1_seconds=0.000142,
                t2_seconds=0.0001,
                gate_error_1q=0.00025,
                gate_error_2q=0.0029,
                gate_error_1q_worst=0.004,
                gate_error_2q_worst=0.09,
                gate_1q_seconds=2.4e-08,
                gate_2q_seconds=8.4e-08,
                readout_seconds=1.56e-06,
                faulty_qubits=1,
                faulty_gates=1,
            ),
        ),
        CalibrationReading(
            provider="ionq",
            source="trap",
            backend="qpu.aria-1",
            calibrated_at=NOW - timedelta(days=2),
            device=DeviceCalibration(t1_seconds=10.0, readout_error=0.0042),
        ),
    )


def _counters() -> dict[str, dict[tuple[str, ...], float]]:
    fez = ("ibm", "research", "ibm_fez")
    return group_counters(
        [
            ("qobs_jobs_submitted_total", fez, 43.0),
            ("qobs_jobs_finished_total", (*fez, "completed"), 35.0),
            ("qobs_jobs_finished_total", (*fez, "failed"), 3.0),
            ("qobs_jobs_failed_total", (*fez, "provider"), 3.0),
            ("qobs_job_shots_total", fez, 140000.0),
            ("qobs_job_quantum_seconds_total", fez, 98.5),
            ("qobs_job_queue_duration_seconds", (*fez, "10.0"), 20.0),
            ("qobs_job_queue_duration_seconds", (*fez, "300.0"), 17.0),
            ("qobs_job_queue_duration_seconds", (*fez, "+Inf"), 1.0),
            ("qobs_job_queue_duration_seconds", (*fez, "sum"), 702345.5),
            ("qobs_job_execution_duration_seconds", (*fez, "5.0"), 35.0),
            ("qobs_job_execution_duration_seconds", (*fez, "sum"), 98.5),
            ("qobs_job_turnaround_duration_seconds", (*fez, "3600.0"), 35.0),
            ("qobs_job_turnaround_duration_seconds", (*fez, "sum"), 31500.25),
            ("qobs_verifications_total", (*fez, "consistent"), 38.0),
            ("qobs_verifications_total", (*fez, "worse"), 2.0),
        ]
    )
