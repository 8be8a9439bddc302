"""Alert policies of an SLO as multi-window pairs, receivers and switches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from qobs.slo.objective import PRESETS, Pair, Severity, Sparse
from qobs.slo.openslo.document import Node, Place, Scalar, Table, word
from qobs.slo.openslo.kinds import SHARE
from qobs.slo.openslo.periods import length
from qobs.slo.openslo.profile import PROFILES, derived_factor
from qobs.slo.openslo.report import Report, nearest, shown

SHORT_WINDOW = "qobs.dev/short-window"
MWMBR = "qobs.dev/mwmbr"
PROFILE = "qobs.dev/profile"
SPARSE = "qobs.dev/sparse"
CAP_FACTOR = "qobs.dev/cap-factor"
COMPOSITE = "qobs.dev/composite"
EMPTY_SLICE = "qobs.dev/empty-slice"
NO_DATA = "qobs.dev/alert-when-no-data"
ALERT_NAME = "qobs.dev/alert-name"
RUNBOOK = "qobs.dev/runbook-url"
DASHBOARD = "qobs.dev/dashboard-url"

CHOICES: Mapping[str, tuple[str, ...]] = {
    MWMBR: ("default", "page", "ticket", "none"),
    PROFILE: tuple(PROFILES),
    SPARSE: tuple(PRESETS),
    CAP_FACTOR: ("true", "false"),
    COMPOSITE: ("weighted", "worst_of"),
    EMPTY_SLICE: ("good", "bad", "skip"),
    NO_DATA: ("true", "false"),
}
"""Annotations of an SLO that choose, and the words of each."""

FREE = (SHORT_WINDOW, ALERT_NAME, RUNBOOK, DASHBOARD)
"""Annotations of an SLO with free text; all but the first are for those who generate alerts from objectives."""

SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(("page", "critical", "high", "urgent", "emergency", "fatal", "error", "p1", "sev1"), Severity.PAGE),
    **dict.fromkeys(
        ("ticket", "warning", "warn", "medium", "low", "minor", "major", "p2", "p3", "sev2", "sev3"), Severity.TICKET
    ),
    **dict.fromkeys(("info", "informational", "notice", "p4", "p5", "sev4", "sev5"), Severity.INFO),
}
"""Words for severities that are found in the wild, and what each means here. Compared in lower case."""

_FAST_BELOW = timedelta(hours=3)
_MEDIUM_BELOW = timedelta(hours=12)
_SHORT_SHARE = 12


@dataclass(frozen=True, slots=True)
class Condition:
    """One burn-rate condition of a policy, before the period is known: a factor or a share of the budget."""

    place: Place
    policy: str
    severity: Severity
    long: timedelta
    short: timedelta
    factor: Decimal | None
    share: Decimal | None

    def pair(self, period: timedelta) -> Pair:
        """The pair for a period."""
        factor = self.factor
        if factor is None:
            factor = derived_factor(self.share or Decimal(0), period, self.long)
        return Pair(
            severity=self.severity, tier=tier_of(self.long), long=self.long, short=self.short, factor=factor, policy=self.policy
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """One alert policy as read: ``condition`` None where it does not alert on burning."""

    condition: Condition | None
    receivers: tuple[str, ...]
    when_resolved: bool
    when_no_data: bool


def tier_of(long: timedelta) -> str:
    """How fast a pair of this long window is: under 3 hours fast, under 12 medium, else slow."""
    return "fast" if long < _FAST_BELOW else "medium" if long < _MEDIUM_BELOW else "slow"


def annotation(node: Table, name: str) -> str:
    """The annotation ``name`` of an object; empty where there is none."""
    return node.text("metadata", "annotations", name)


def check_annotations(slo: Table, report: Report) -> None:
    """Tell wrong words in the annotations of an SLO that qobs reads, and names under qobs.dev/ that it does not know."""
    notes = slo.table("metadata", "annotations")
    for name, node in {} if notes is None else notes.entries.items():
        if name in CHOICES:
            if not (isinstance(node, Scalar) and node.value in CHOICES[name]):
                report.error(node.place, shown(node), f"must be one of {', '.join(CHOICES[name])}", "one_of")
        elif name == SHORT_WINDOW:
            _short_annotation(slo, report)
        elif name.startswith("qobs.dev/") and name not in FREE:
            report.warning(node.place, name, nearest(name, (*CHOICES, *FREE)), "unknown_annotation")


def sparse_of(slo: Table) -> Sparse:
    """The evidence settings that the SLO chooses."""
    return PRESETS.get(annotation(slo, SPARSE) or "balanced", Sparse())


def condition_of(node: Table, policy: Table, slo: Table, severities: Mapping[str, Severity], report: Report) -> Condition | None:
    """The condition object ``node`` of ``policy`` as used by ``slo``. None after a finding."""
    burn = node.table("spec", "condition")
    severity = _severity(node, severities, report)
    long = None if burn is None else length(burn.text("lookbackWindow"))
    if burn is None or severity is None or long is None:
        return None
    if burn.text("op") in ("lt", "lte"):
        hint = "read as `burn is above the threshold`, as published examples mean it; write gt"
        report.warning(burn.place_of("op"), burn.text("op"), hint, "inverted_op")
    if (after := burn.get("alertAfter")) is not None and length(burn.text("alertAfter")) is not None:
        report.warning(after.place, shown(after), "not honoured: both windows already smooth the burn rate", "not_honoured")
    owner = next((owner for owner in (node, policy, slo) if annotation(owner, SHORT_WINDOW)), None)
    short = long / _SHORT_SHARE if owner is None else _short_annotation(owner, report)
    if short is None:
        return None
    share = word(annotation(node, SHARE)) if annotation(node, SHARE) else None
    return Condition(
        place=burn.place_of("threshold" if share is None else "lookbackWindow"),
        policy=policy.text("metadata", "name"),
        severity=severity,
        long=long,
        short=short,
        factor=None if share is not None else burn.number("threshold"),
        share=share if isinstance(share, Decimal) else None,
    )


def _short_annotation(owner: Table, report: Report) -> timedelta | None:
    node: Node | None = owner.get("metadata", "annotations", SHORT_WINDOW)
    chosen = length(annotation(owner, SHORT_WINDOW))
    if node is not None and chosen is None:
        report.error(node.place, shown(node), "must be a positive whole number and one of m h d w M Q Y, as in 5m", "duration")
    return chosen


def _severity(node: Table, severities: Mapping[str, Severity], report: Report) -> Severity | None:
    spec = node.table("spec")
    found = "" if spec is None else spec.text("severity")
    severity = severities.get(found.lower())
    if severity is None and spec is not None:
        hint = f"must be page, ticket, info or one of {', '.join(sorted(severities.keys() - set(Severity)))}"
        report.by_mode(spec.place_of("severity"), found, hint if report.strict else f"read as ticket; {hint}", "one_of")
        return None if report.strict else Severity.TICKET
    return severity
