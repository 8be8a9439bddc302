"""Alerts on anomalies, as rows of the table in :mod:`qobs.export.self_alerts`: tickets, one for each backend, never pages."""

from __future__ import annotations

from collections.abc import Iterator

from qobs.export.self_alert import PLACE, SelfAlert, fresh
from qobs.slo.objective import Severity

_BACKEND = {"provider": "ibm", "source": "research", "backend": "ibm_fez"}
_WHERE = 'provider="ibm",source="research",backend="ibm_fez"'
_STALENESS = 'qobs_data_staleness_seconds{provider="ibm",source="research",stream="%s"}'
_AWAY = f'qobs_backend_state{{{_WHERE},state="maintenance"}}'
_IN_SERVICE = f'unless on ({PLACE})\nmax by ({PLACE}) (qobs_backend_state{{state=~"maintenance|retired"}}) == 1'


def anomaly_alerts() -> Iterator[SelfAlert]:
    """One row for drifting calibrations, one for slow queues."""
    yield _calibration_drift()
    yield _queue_anomaly()


def _calibration_drift() -> SelfAlert:
    active = f'qobs_anomaly_active{{{_WHERE},signal="%s"}}'
    one, other, queue = (active % signal for signal in ("calibration_t1", "calibration_gate_error_2q", "queue_wait"))
    read = (_STALENESS % "calibrations", "300x200")
    return SelfAlert(
        name="QobsCalibrationDrift",
        mode="F2",
        severity=Severity.TICKET,
        expression=f'sum by ({PLACE}) (max by ({PLACE}, signal) (qobs_anomaly_active{{signal=~"calibration_.+"}})) > 0\n'
        f"{fresh('calibrations', 3600)}\n{_IN_SERVICE}",
        wait="5m",
        summary="The calibration of {backend} at {source} drifts",
        description="{value} of its figures are worse than their own last 30 snapshots explain, twice in a row. Look which, then"
        " recalibrate, wait, or run elsewhere.",
        dashboard="qobs-backend",
        fires=((one, "1x200"), (other, "1x200"), read, (_AWAY, "0x200")),
        labels=_BACKEND,
        shown="2",
        quiet=(
            ((one, "0x200"), (other, "0x200"), read),
            ((queue, "1x200"), read),
            ((one, "1x200"), read, (_AWAY, "1x200")),
            ((one, "1x200"), (read[0], "7200x200")),
            ((one, "1x60 _x140"), read),
        ),
    )


def _queue_anomaly() -> SelfAlert:
    active = f'qobs_anomaly_active{{{_WHERE},signal="queue_wait"}}'
    drift = f'qobs_anomaly_active{{{_WHERE},signal="calibration_t1"}}'
    read = (_STALENESS % "jobs", "30x200")
    return SelfAlert(
        name="QobsQueueAnomaly",
        mode="F1",
        severity=Severity.TICKET,
        expression=f'max by ({PLACE}) (qobs_anomaly_active{{signal="queue_wait"}}) == 1\n{fresh("jobs", 600)}\n{_IN_SERVICE}',
        wait="5m",
        summary="The queue of {backend} at {source} is slower than usual for this hour",
        description="The median wait is beyond 99 % of the waits of the same hour of the week, and beyond 1.5 times their median."
        " Move what is urgent to another backend.",
        dashboard="qobs-backend",
        fires=((active, "1x200"), read, (_AWAY, "0x200")),
        labels=_BACKEND,
        quiet=(
            ((active, "0x200"), read),
            ((drift, "1x200"), read),
            ((active, "1x200"), read, (_AWAY, "1x200")),
            ((active, "1x200"), (read[0], "3600x200")),
            ((active, "1x60 _x140"), read),
        ),
    )
