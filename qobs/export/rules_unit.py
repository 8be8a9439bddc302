"""What rules are made of: an objective with its identity in Prometheus, and the settings of a site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from qobs.export.promql import quoted, selector
from qobs.model import window_name
from qobs.slo.alerts import counts_events, has_evidence_tier
from qobs.slo.burn import windows_of
from qobs.slo.evaluate import PERIOD
from qobs.slo.objective import Budgeting, Calendar, NativeSource, Objective, Pair, PromSource, Severity, Source

Rule = dict[str, object]
"""One rule as Prometheus reads it."""

Group = dict[str, object]
"""One rule group as Prometheus reads it."""

IDENTITY = ("sloth_id", "sloth_service", "sloth_slo")
"""Labels that every recorded series carries; joins name all of them."""

ON = f"on ({', '.join(IDENTITY)})"

RUNBOOK = "qobs.dev/runbook-url"
DASHBOARD = "qobs.dev/dashboard-url"
ALERT_NAME = "qobs.dev/alert-name"

SLOTH_WINDOWS = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 60, 120, 360, 1440, 4320))
"""Windows that dashboards made for Sloth ask for."""

CURRENT = SLOTH_WINDOWS[0]
"""Window of the current burn rate."""

PACE = timedelta(hours=6)
"""Window that the time to exhaustion is projected from."""

UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_592_000, "Q": 7_776_000, "Y": 31_536_000}
"""Seconds of a calendar unit, nominal: rules know no calendar."""


class Mode(StrEnum):
    """Where burn rates come from: the daemon's own evaluation (event time), or Prometheus' arithmetic on counters."""

    NATIVE = "native"
    RECORDING = "recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingHours:
    """When tickets notify: ``start`` to ``end`` (HH:MM, up to 24:00; an end before the start is past midnight)."""

    start: str = "09:00"
    end: str = "17:00"
    weekdays: str = "monday:friday"
    location: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a site may choose about generated files. All have defaults that name no host.

    ``severities`` maps page, ticket and info to the site's words. ``runbook_base`` and ``dashboard_base`` go before a page's
    name. ``alertmanager_url`` and ``qobs_url`` add links to alerts where given. ``design_effect`` is how many jobs of a batch
    count as one in the evidence gate (1: independent), or in native mode the least; the daemon's measured one may be greater.
    """

    severities: Mapping[Severity, str] = field(default_factory=lambda: {severity: severity.value for severity in Severity})
    owner: str = "qobs"
    runbook_base: str = "docs/runbooks"
    dashboard_base: str = "/d"
    alertmanager_url: str = ""
    qobs_url: str = ""
    scrape_interval: timedelta = timedelta(seconds=30)
    working_hours: WorkingHours | None = None
    design_effect: Decimal = Decimal(1)
    queue_stall: timedelta = timedelta(hours=4)

    def runbook(self, page: str) -> str:
        """Where a runbook is; a page that is a path or a URL already stays."""
        return page if "/" in page else f"{self.runbook_base.rstrip('/')}/{page}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One objective as rules know it. ``id`` is unique among all objectives of a run, and stable.

    ``mode`` is its own: what is asked in PromQL can only be recorded, whatever the others do.
    """

    objective: Objective
    id: str
    slo: str
    mode: Mode = Mode.NATIVE

    @property
    def labels(self) -> dict[str, str]:
        """Identity labels of every recorded series."""
        return {"sloth_id": self.id, "sloth_service": self.objective.service, "sloth_slo": self.slo}

    @property
    def selected(self) -> str:
        """The matcher that picks this unit's recorded series."""
        return f"{{sloth_id={quoted(self.id)}}}"

    @property
    def alert(self) -> str:
        """Name of the alert before its kind: ``SLOBurn`` or ``SLONoData`` follows."""
        return camel(self.objective.service)

    @property
    def burn_alert(self) -> str:
        """Name of the burn-rate alert of any severity."""
        return self.objective.annotations.get(ALERT_NAME, f"{self.alert}SLOBurn")

    @property
    def absence_alert(self) -> str:
        """Name of the alert that says that nothing is known."""
        own = self.objective.annotations.get(ALERT_NAME)
        return f"{own}NoData" if own else f"{self.alert}SLONoData"

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where its events come from: one source, or one of each member."""
        if self.objective.source is not None:
            return (self.objective.source,)
        return tuple(member.source for member in self.objective.members)

    @property
    def native(self) -> bool:
        """Whether the daemon evaluates it, so that its gauges exist."""
        return self.mode is Mode.NATIVE

    @property
    def counted(self) -> bool:
        """Whether single events are counted: slices and joined burn rates have no counts to weigh or to tell."""
        source = self.objective.source
        if self.native and self.objective.budgeting is not Budgeting.OCCURRENCES:
            return False
        return isinstance(source, NativeSource) or (isinstance(source, PromSource) and not source.raw)

    @property
    def sparse(self) -> bool:
        """Whether rules handle few events with care: small short windows grow, and pages ask for evidence."""
        return self.counted and self.objective.sparse.enabled

    @property
    def evidence_tier(self) -> bool:
        """Whether the daemon judges each event as it comes, and may page without a window."""
        return self.native and has_evidence_tier(self.objective)

    def gated(self, pair: Pair) -> bool:
        """Whether the pair also asks for evidence. Tickets do not, so that slow weak burns are not lost."""
        weighed = self.counted or (self.native and counts_events(self.objective))
        return weighed and self.objective.sparse.enabled and pair.severity is Severity.PAGE

    def gauge_window(self, window: timedelta) -> str:
        """The label ``window`` of the daemon's gauges: that of a calendar period is its own, whatever its length."""
        asked = {each for pair in self.objective.pairs for each in (pair.long, pair.short)}
        calendar = isinstance(self.objective.window, Calendar)
        return PERIOD if calendar and window == period(self.objective) and window not in asked else window_name(window)

    def gauge(self, name: str, **labels: str) -> str:
        """A gauge of the daemon about this objective; several daemons that watch the same clouds agree, so one is taken."""
        where = {**labels, "service": self.objective.service, "slo": self.slo}
        return f"max({selector(name, {label: (value,) for label, value in where.items()})})"

    def pairs(self, severity: Severity) -> tuple[Pair, ...]:
        """The pairs of one severity, fastest first."""
        return tuple(
            sorted((p for p in self.objective.pairs if p.severity is severity), key=lambda pair: (pair.long, pair.short))
        )


def units(objectives: Iterable[Objective], mode: Mode = Mode.NATIVE) -> tuple[Unit, ...]:
    """All objectives in the order of their ids; a document's only objective does not show its name in the id."""
    held = tuple(objectives)
    siblings = Counter((objective.service, objective.slo) for objective in held)
    made = []
    for objective in held:
        alone = siblings[objective.service, objective.slo] == 1
        slo = objective.slo if alone else f"{objective.slo}-{slug(objective.name)}"
        recorded = objective.source is not None and not isinstance(objective.source, NativeSource)
        own = Mode.RECORDING if recorded else mode
        made.append(Unit(objective=objective, id=f"{objective.service}-{slo}", slo=slo, mode=own))
    return tuple(sorted(made, key=lambda unit: unit.id))


def recorded_windows(unit: Unit) -> tuple[timedelta, ...]:
    """Windows to record, ascending: those of the alerts, those of Sloth's dashboards, and the period.

    In native mode, those that the daemon reads.
    """
    objective = unit.objective
    if unit.native:
        return tuple(sorted({*windows_of(objective), period(objective)}))
    pairs = {window for pair in objective.pairs for window in (pair.long, pair.short)}
    return tuple(sorted({*SLOTH_WINDOWS, *pairs, period(objective)}))


def period(objective: Objective) -> timedelta:
    """Length of the budget's period; nominal for calendar units."""
    window = objective.window
    return timedelta(seconds=window.count * UNITS[window.unit]) if isinstance(window, Calendar) else window.length


def record(unit: Unit, name: str, expression: str, **labels: str) -> Rule:
    """One recording rule with the unit's identity."""
    return {"record": name, "expr": expression, "labels": {**unit.labels, **labels}}


def camel(text: str) -> str:
    """A DNS label in CamelCase.

    Example:
        >>> camel("quantum-jobs"), camel("3rd")
        ('QuantumJobs', 'Service3rd')
    """
    joined = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", text))
    return joined if joined[:1].isalpha() else f"Service{joined}"


def slug(text: str) -> str:
    """A name in lower case with hyphens.

    Example:
        >>> slug("Fast enough (p99)")
        'fast-enough-p99'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "objective"
