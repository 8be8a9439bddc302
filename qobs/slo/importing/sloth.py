"""Sloth in: ``prometheus/v1`` files and the Kubernetes kind ``PrometheusServiceLevel``.

Both say the same with other spellings, so one table of names reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from qobs.slo.importing.bodies import LONGEST_DESCRIPTION, Draft, cap_if_unreachable, rolling
from qobs.slo.importing.reading import Reading, metric
from qobs.slo.openslo.alerts import ALERT_NAME, DASHBOARD, MWMBR, NO_DATA, PROFILE, RUNBOOK
from qobs.slo.openslo.document import Plain
from qobs.slo.openslo.periods import length

VERSION = "prometheus/v1"
API = "sloth.slok.dev/v1"
KIND = "PrometheusServiceLevel"

_LINKS: Mapping[str, str] = {
    "runbook": RUNBOOK,
    "runbook_url": RUNBOOK,
    "runbookUrl": RUNBOOK,
    "dashboard": DASHBOARD,
    "dashboard_url": DASHBOARD,
    "dashboardUrl": DASHBOARD,
}
"""Alert annotations that mean the same in qobs."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one of the two forms writes the names of its fields."""

    error_query: str
    total_query: str
    error_ratio_query: str
    page_alert: str
    ticket_alert: str


SNAKE = Spelling("error_query", "total_query", "error_ratio_query", "page_alert", "ticket_alert")
CAMEL = Spelling("errorQuery", "totalQuery", "errorRatioQuery", "pageAlert", "ticketAlert")


def from_file(document: Reading, period: str) -> list[dict[str, Plain]]:
    """The SLOs of a ``prometheus/v1`` document."""
    document.text("version")
    return _slos(document, SNAKE, period)


def from_kubernetes(document: Reading, period: str) -> list[dict[str, Plain]]:
    """The SLOs of a ``PrometheusServiceLevel``. Its own name and labels do not reach Sloth's rules either."""
    document.text("apiVersion")
    document.text("kind")
    document.drop("metadata", "the object's own name and labels are no part of its SLOs")
    document.drop("status", "written by Sloth's controller")
    return _slos(document.child("spec"), CAMEL, period)


def _slos(spec: Reading, spelling: Spelling, period: str) -> list[dict[str, Plain]]:
    service = spec.name("service")
    labels = spec.labels("labels")
    if not service:
        spec.note("service", "nothing", "no SLO was made: `service` is required", "not_honoured")
    found = [_slo(slo, service, labels, spelling, period) for slo in spec.children("slos")]
    return [body for body in found if body is not None]


def _slo(slo: Reading, service: str, labels: Mapping[str, str], spelling: Spelling, period: str) -> dict[str, Plain] | None:
    name, percent = slo.name("name"), slo.number("objective")
    indicator = _indicator(slo.child("sli"), spelling)
    own = slo.labels("labels")
    description = slo.text("description")
    annotations = _alerting(slo.child("alerting"), spelling)
    if percent is not None and not 0 < percent < 100:
        hint = "no SLO was made: an objective lies between 0 and 100, without both"
        slo.note("objective", str(percent), hint, "not_honoured")
    elif not (name and service and indicator) or percent is None:
        slo.report.warning(slo.place, "an SLO without name, service, objective or events", "no SLO was made", "not_honoured")
    else:
        if len(description) > LONGEST_DESCRIPTION:
            slo.note("description", f"{len(description)} characters", f"cut to {LONGEST_DESCRIPTION}", "not_honoured")
        draft = Draft(
            name=name,
            service=service,
            target=percent.scaleb(-2).normalize(),
            indicator=indicator,
            window=rolling(period),
            description=description[:LONGEST_DESCRIPTION],
            labels={**labels, **own},
            annotations={PROFILE: "sloth"} | annotations,
        )
        _cap(slo, draft, percent.scaleb(-2), period)
        return draft.body()
    return None


def _cap(slo: Reading, draft: Draft, target: Decimal, period: str) -> None:
    span = length(period)
    if span is not None and cap_if_unreachable(draft, [target], span):
        hint = "even 100 % failures could not reach the fastest alert: its factor is capped by qobs.dev/cap-factor"
        slo.note("objective", f"{target.scaleb(2).normalize():f}", hint, "unreachable")


def _indicator(sli: Reading, spelling: Spelling) -> dict[str, Plain]:
    sli.drop("plugin", "a plugin is a program; write the queries that it makes as `events`")
    if sli.has("raw"):
        query = sli.child("raw").query(spelling.error_ratio_query)
        return {"ratioMetric": {"raw": metric(query), "rawType": "failure"}} if query else {}
    if not sli.has("events"):
        return {}
    events = sli.child("events")
    bad, total = events.query(spelling.error_query), events.query(spelling.total_query)
    if bad and "".join(bad.split()) == "".join(total.split()):
        events.note(spelling.error_query, bad, "no SLO was made: the queries of errors and total are the same", "not_honoured")
        return {}
    return {"ratioMetric": {"counter": True, "bad": metric(bad), "total": metric(total)}} if bad and total else {}


def _alerting(alerting: Reading, spelling: Spelling) -> dict[str, str]:
    """The annotations that say the same; labels of alerts are told."""
    found: dict[str, str] = {}
    if name := alerting.text("name"):
        found[ALERT_NAME] = name
    found |= _links(alerting.child("annotations"))
    alerting.drop("labels", "alerts carry the SLO's own labels; route by severity, service and team")
    disabled = []
    for word, field in (("page", spelling.page_alert), ("ticket", spelling.ticket_alert)):
        alert = alerting.child(field)
        if alert.truth("disable"):
            disabled.append(word)
        alert.drop("labels", f"alerts of this kind carry severity={word}, which maps to a site's own words")
        alert.drop("annotations", "annotations of one kind of alert")
    if disabled:
        kept = {"page": "ticket", "ticket": "page"}
        found[MWMBR] = "none" if len(disabled) > 1 else kept[disabled[0]]
    if len(disabled) > 1:
        found[NO_DATA] = "false"
    return found


def _links(annotations: Reading) -> dict[str, str]:
    return {_LINKS[key]: annotations.text(key) for key in annotations.table.entries if key in _LINKS}
