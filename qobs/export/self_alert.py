"""One row of the table of alerts on failure modes, on anomalies and on qobs itself: what fires, what it says, what proves it."""

from __future__ import annotations

from dataclasses import dataclass, field

from qobs.slo.objective import Severity

Inputs = tuple[tuple[str, str], ...]
"""Series of a unit test with their values in promtool's notation, one value a minute."""

PLACE = "provider, source, backend"
"""Labels of a backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAlert:
    """One alert. In texts ``{label}`` stands for a label and ``{value}`` for the value in ``form``.

    ``fires`` makes it fire at ``at`` with ``labels``, ``silent_labels`` (of which no text speaks) and ``shown`` as value; each of
    ``quiet`` must not.
    """

    name: str
    mode: str
    severity: Severity
    expression: str
    summary: str
    description: str
    fires: Inputs
    quiet: tuple[Inputs, ...]
    wait: str = ""
    form: str = 'printf "%.0f"'
    at: str = "2h"
    shown: str = ""
    dashboard: str = "qobs-self"
    labels: dict[str, str] = field(default_factory=dict)
    silent_labels: dict[str, str] = field(default_factory=dict)


def fresh(stream: str, seconds: int) -> str:
    """Condition that the stream was read lately."""
    return f'and on (provider, source)\nmax by (provider, source) (qobs_data_staleness_seconds{{stream="{stream}"}}) < {seconds}'


def newborn(metric: str, by: str, window: str = "1d") -> str:
    """More than before: an increase, or a series that was not there, whose first count ``increase`` cannot see."""
    return (
        f"sum by ({by}) (increase({metric}[{window}])) > 0\n"
        f"or\n(sum by ({by}) ({metric}) unless sum by ({by}) ({metric} offset {window})) > 0"
    )


def failed_share(reasons: str) -> str:
    """Share of the polls of half an hour that failed for one of the reasons, where there were enough polls."""
    errors = f'sum by (provider, source) (increase(qobs_poll_errors_total{{reason=~"{reasons}"}}[30m]))'
    return f"{errors}\n/\n(sum by (provider, source) (increase(qobs_poll_total[30m])) > 5)\n> 0.2"
