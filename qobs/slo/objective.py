"""An objective as everything that evaluates, explains or generates it sees it: resolved, validated, frozen.

One OpenSLO document may hold several objectives; each is one :class:`Objective`, the unit of evaluation. Where an
objective came from (OpenSLO, Sloth, Pyrra) makes no difference from here on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class Severity(StrEnum):
    """How loud an alert is; one setting maps these to a site's own words."""

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


class Budgeting(StrEnum):
    """How the error ratio of a period is made of what happened in it."""

    OCCURRENCES = "Occurrences"
    TIMESLICES = "Timeslices"
    RATIO_TIMESLICES = "RatioTimeslices"


class EmptySlice(StrEnum):
    """What a time slice without events counts as."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"


class DataState(StrEnum):
    """What is known about an objective at a moment."""

    OK = "ok"
    NO_TRAFFIC = "no_traffic"
    """The source is alive and nothing happened."""
    NO_DATA = "no_data"
    """The source is silent: unknown, neither good nor bad."""
    INSUFFICIENT_DATA = "insufficient_data"
    """Fewer events than could ever prove a breach: never shown as green."""
    EXCLUDED = "excluded"
    """Inside a maintenance window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """The last ``length`` before the moment of evaluation. M, Q and Y are 30, 90 and 365 days."""

    length: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Periods of ``count`` ``unit`` (one of m h d w M Q Y) counted from ``start``: local time, without zone, in ``time_zone``."""

    start: datetime
    time_zone: str
    count: int
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One multi-window alert pair: active while the burn over ``long`` and over ``short`` both exceed ``factor`` (strictly).

    ``tier`` is fast, medium, slow (or evidence and absent, which are no pairs). Give ``factor`` as resolved: derived as
    budget share x period / long window where the document gave a share.
    """

    severity: Severity
    tier: str
    long: timedelta
    short: timedelta
    factor: Decimal
    policy: str = ""
    """Name of the AlertPolicy it came from; empty: the profile's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse:
    """Evidence settings for few events: ``alpha`` of the gate, ``phi`` tolerated false pages per 30 days at burn 1."""

    enabled: bool = True
    alpha: float = 1e-4
    phi: float = 0.1


PRESETS: Mapping[str, Sparse] = {
    "quiet": Sparse(alpha=1e-5, phi=0.02),
    "balanced": Sparse(alpha=1e-4, phi=0.1),
    "sensitive": Sparse(alpha=1e-3, phi=1.0),
    "off": Sparse(enabled=False),
}
"""Named evidence settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSource:
    """Events that qobs counts itself. ``where`` maps a label to allowed values, or to one ``~regex``."""

    sli: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromSource:
    """PromQL with the window placeholder ``{{.window}}``: total with good or bad, or a raw ratio.

    ``raw_type`` is success or failure where ``raw`` is given.
    """

    total: str = ""
    good: str = ""
    bad: str = ""
    raw: str = ""
    raw_type: str = ""
    data_source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSource:
    """A metric compared with a value: ``op`` is lte, gte, lt or gt."""

    query: str
    op: str
    value: float
    data_source: str = ""


Source = NativeSource | PromSource | ThresholdSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One objective inside a composite, with its own indicator and weight."""

    name: str
    source: Source
    target: Decimal
    weight: float = 1.0
    time_slice_target: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One evaluated unit: (SLO, objective).

    ``target`` lies in (0, 1) exactly as written (Decimal, so that 0.999 prints as 0.999). ``slo`` and ``service`` are DNS
    labels; ``name`` is the objective's display name or its index as text. ``members`` is non-empty for composites, whose
    ``source`` is None.
    ``worst_of`` chooses the maximum instead of the weighted mean for composites.
    """

    slo: str
    service: str
    name: str
    target: Decimal
    window: Rolling | Calendar
    source: Source | None
    budgeting: Budgeting = Budgeting.OCCURRENCES
    time_slice_target: float | None = None
    time_slice_window: timedelta | None = None
    empty_slice: EmptySlice = EmptySlice.SKIP
    pairs: tuple[Pair, ...] = ()
    sparse: Sparse = Sparse()
    members: tuple[Member, ...] = ()
    worst_of: bool = False
    description: str = ""
    display_name: str = ""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    alert_when_no_data: bool = True
    alert_when_resolved: bool = True
    receivers: tuple[str, ...] = ()
    file: str = ""

    @property
    def budget(self) -> Decimal:
        """Error budget as a ratio, exactly: 1 - target."""
        return 1 - self.target


@dataclass(frozen=True, slots=True)
class FileEvent:
    """One line of an event file. ``good`` None: not counted. ``group`` names jobs that share a fate; ``weight`` > 0."""

    at: datetime
    good: bool | None
    group: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowReading:
    """Counts and ratios of one window; a ratio that does not exist is None. ``good`` and ``bad`` are sums of weights."""

    good: float
    bad: float
    total: float
    error_ratio: float | None
    burn_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReading:
    """The period's budget: ``remaining_ratio`` may be negative; ``low`` and ``high`` bound it (95 %; None without events).

    ``exhausted_in_seconds`` is the time to exhaustion at the pace of the last 6 hours (None: never at this pace).
    ``exhaustion_probability`` is for calendar periods. ``ideal_remaining_ratio`` is the even burn-down line.
    """

    total: float
    bad: float
    remaining_ratio: float
    low: float | None = None
    high: float | None = None
    exhausted_in_seconds: float | None = None
    exhaustion_probability: float | None = None
    ideal_remaining_ratio: float | None = None
    period_from: datetime | None = None
    period_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReading:
    """One tier of one severity at a moment. ``evidence`` is the probability of so many failures within budget (None: no gate)."""

    severity: Severity
    tier: str
    firing: bool
    evidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is known about an objective at ``at``. ``windows`` is keyed by the window as people write it (``1h``)."""

    objective: Objective
    at: datetime
    state: DataState
    windows: Mapping[str, WindowReading]
    budget: BudgetReading
    alerts: tuple[AlertReading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """One alert of a backtest; ``cleared_at`` None: still firing at the end."""

    slo: str
    objective: str
    severity: Severity
    tier: str
    fired_at: datetime
    cleared_at: datetime | None
