"""Alerts on verified results, rows of the table in :mod:`qobs.export.self_alerts`: tickets, one a backend, never pages."""

from __future__ import annotations

from collections.abc import Iterator

from qobs.export.self_alert import PLACE, SelfAlert, fresh, newborn
from qobs.slo.objective import Severity

_BACKEND = {"provider": "ibm", "source": "research", "backend": "ibm_fez"}
_WHERE = 'provider="ibm",source="research",backend="ibm_fez"'
_READ = ('qobs_data_staleness_seconds{provider="ibm",source="research",stream="jobs"}', "30x600")
_SILENT = (_READ[0], "3600x600")
_WINDOW = "6h"


def verification_alerts() -> Iterator[SelfAlert]:
    """One row for results beyond their margin, one for results that slide."""
    yield _results_worse()
    yield _backend_drift()


def _results_worse() -> SelfAlert:
    found = f"qobs_result_discoveries_total{{{_WHERE}}}"
    return SelfAlert(
        name="QobsResultsWorse",
        mode="F2",
        severity=Severity.TICKET,
        expression=f"(\n{newborn('qobs_result_discoveries_total', PLACE, _WINDOW)}\n)\n{fresh('jobs', 600)}",
        summary="Results of {backend} at {source} are worse than its calibration and its own history explain",
        description="Seen within six hours, with regard to how many results are judged. Do not trust what it measured meanwhile;"
        " look whether all circuits are hit or one.",
        dashboard="qobs-backend",
        fires=((found, "0x420 2x180"), _READ),
        at="8h",
        labels=_BACKEND,
        quiet=(
            ((found, "0x600"), _READ),
            ((found, "7x600"), _READ),
            ((found, "0x420 2x180"), _SILENT),
        ),
    )


def _backend_drift() -> SelfAlert:
    active = f"qobs_drift_active{{{_WHERE}}}"
    return SelfAlert(
        name="QobsBackendDrift",
        mode="F2",
        severity=Severity.TICKET,
        expression=f"max by ({PLACE}) (qobs_drift_active) == 1\n{fresh('jobs', 600)}",
        wait="5m",
        summary="Results of {backend} at {source} get worse since its last calibration",
        description="Job after job lies lower than the first fifty of this calibration, by more than chance. Wait for the next"
        " calibration, or run elsewhere; then run again what matters.",
        dashboard="qobs-backend",
        fires=((active, "1x600"), _READ),
        labels=_BACKEND,
        quiet=(
            ((active, "0x600"), _READ),
            ((active, "1x600"), _SILENT),
            ((active, "1x60 _x540"), _READ),
        ),
    )
