"""The table of all metrics: what is exposed, documented, linted and budgeted is what stands here, and nothing else.

The order is the order of the exposition and of importance: when the series budget is spent, whole families go, those of
tier full first, and within a tier the last ones first. To add a metric, add a row to one of the ``rows_*`` modules.

OpenMetrics wants a stateset's label to be named after its family; a series' labels must not depend on the format that a
scraper asked for, so state sets are exposed with the label ``state`` and the type gauge in both formats.
"""

from __future__ import annotations

from qobs.export.rows_anomalies import ANOMALY_ROWS
from qobs.export.rows_backends import BACKEND_ROWS
from qobs.export.rows_calibrations import CALIBRATION_ROWS, FULL_ROWS
from qobs.export.rows_jobs import JOB_ROWS
from qobs.export.rows_self import EXPORTER_ROWS, INGEST_ROWS, POLL_ROWS, PROCESS_ROWS, STORE_ROWS
from qobs.export.rows_sli import SLI_ROWS
from qobs.export.rows_slo import SLO_ROWS
from qobs.export.rows_verification import VERIFICATION_ROWS
from qobs.export.table import Metric

STATE_ROWS: tuple[Metric, ...] = (
    *PROCESS_ROWS,
    *POLL_ROWS,
    *SLO_ROWS,
    *SLI_ROWS,
    *JOB_ROWS,
    *INGEST_ROWS,
    *STORE_ROWS,
    *BACKEND_ROWS,
    *VERIFICATION_ROWS,
    *ANOMALY_ROWS,
    *CALIBRATION_ROWS,
    *FULL_ROWS,
)
"""Rows that a snapshot from the daemon feeds."""

METRICS: tuple[Metric, ...] = (*STATE_ROWS, *EXPORTER_ROWS)
"""Every row; the last ones are about the exposition and are filled in by the renderer."""


def markdown_table(metrics: tuple[Metric, ...] = METRICS) -> str:
    """The table for readers, in Markdown: one line a metric, in the order of the exposition."""
    lines = ["| metric | type | labels | tier | since | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.tier} | {metric.since} | {metric.help} |")
    return "\n".join(lines) + "\n"
