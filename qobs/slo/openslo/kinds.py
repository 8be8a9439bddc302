"""The kinds of OpenSLO v1: which fields each has, what they hold, and which fields exclude one another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from qobs.slo.openslo.document import Node, Row, Scalar, Table, word
from qobs.slo.openslo.fields import (
    LONGEST_DESCRIPTION,
    Check,
    Field,
    Rule,
    Shape,
    annotation_map,
    anything,
    bounded,
    delay,
    dns_label,
    duration,
    each,
    exactly,
    exclusive,
    label_map,
    local_time,
    non_empty_mapping,
    number,
    one_of,
    short_text,
    slice_window,
    target,
    text,
    time_zone,
    truth,
)
from qobs.slo.openslo.report import Report, shown

API = "openslo/v1"
BUDGETING = ("Occurrences", "Timeslices", "RatioTimeslices")
OPERATORS = ("lte", "gte", "lt", "gt")
SHARE = "qobs.dev/budget-share"

_DESCRIPTION = Field("description", short_text(LONGEST_DESCRIPTION))
_SECRET_KEY = re.compile(r"pass(word|wd|phrase)?|secret|token|api_?key|private_?key|authorization|credentials?", re.IGNORECASE)
_ENV_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_USERINFO = re.compile(r"//[^/@\s]*:[^/@\s]+@")
_HEADER_NAME = re.compile(r"(?:proxy-)?authorization|x-api-key|x-auth-token|cookie", re.IGNORECASE)

METADATA = Shape(
    (
        Field("name", dns_label, required=True),
        Field("displayName", short_text(63)),
        Field("labels", label_map),
        Field("annotations", annotation_map),
    )
)


def _metric_source(table: Table, report: Report) -> None:
    if table.get("type") is None and table.get("metricSourceRef") is None:
        hint = "`type` is required where there is no `metricSourceRef`"
        report.error(table.place_of("type"), "nothing", hint, "required")


_SOURCE = Shape(
    (Field("metricSourceRef", dns_label), Field("type", text), Field("spec", non_empty_mapping, required=True)),
    (_metric_source,),
)
_METRIC = Shape((Field("metricSource", _SOURCE, required=True),))


def _ratio(table: Table, report: Report) -> None:
    if exclusive(table, report, ("raw", "total")) == "total":
        exclusive(table, report, ("good", "bad"))
    if table.get("raw") is not None:
        _forbid(table, report, ("good", "bad"), "`raw` is the ratio itself")
        if table.get("rawType") is None:
            report.error(table.place_of("rawType"), "nothing", "`rawType` is required with `raw`: success or failure", "required")
    elif table.get("rawType") is not None:
        _forbid(table, report, ("rawType",), "`rawType` goes with `raw`")


def _forbid(table: Table, report: Report, names: tuple[str, ...], reason: str) -> None:
    for name in names:
        if table.get(name) is not None:
            report.error(table.place_of(name), name, f"must not be given: {reason}", "forbidden")


_RATIO = Shape(
    (
        Field("counter", truth),
        Field("good", _METRIC),
        Field("bad", _METRIC),
        Field("total", _METRIC),
        Field("raw", _METRIC),
        Field("rawType", one_of("success", "failure")),
    ),
    (_ratio,),
)


def _exactly_one(*names: str) -> Rule:
    def rule(table: Table, report: Report) -> None:
        exclusive(table, report, names)

    return rule


_SLI = Shape(
    (_DESCRIPTION, Field("thresholdMetric", _METRIC), Field("ratioMetric", _RATIO)),
    (_exactly_one("thresholdMetric", "ratioMetric"),),
)
_INLINE_SLI = Shape((Field("metadata", METADATA, required=True), Field("spec", _SLI, required=True)))
_INDICATOR = (Field("indicator", _INLINE_SLI), Field("indicatorRef", dns_label))


def _time_window(table: Table, report: Report) -> None:
    rolling, calendar = table.truth("isRolling"), table.get("calendar")
    if rolling and calendar is not None:
        found, hint = "isRolling with calendar", "a rolling window has no calendar: give one of them"
        report.error(table.place, found, hint, "time_window")
    elif not rolling and calendar is None:
        found, hint = "neither isRolling nor calendar", "set `isRolling: true`, or give a `calendar`"
        report.error(table.place, found, hint, "time_window")


_CALENDAR = Shape((Field("startTime", local_time, required=True), Field("timeZone", time_zone, required=True)))
_WINDOW = Shape(
    (Field("duration", duration, required=True), Field("isRolling", truth), Field("calendar", _CALENDAR)), (_time_window,)
)


def _reference_or(inline: Shape, reference: str) -> Check:
    """An item that refers by name, or that holds the whole object."""
    by_name = Shape((Field(reference, dns_label, required=True),))

    def check(node: Node, report: Report) -> None:
        if isinstance(node, Table) and node.get(reference) is not None:
            given = [name for name in ("kind", "metadata", "spec") if name in node.entries]
            if given:
                found, hint = f"{reference} and {', '.join(given)} together", "refer to an object or write it here, not both"
                report.error(node.place, found, hint, "mutually_exclusive")
            else:
                by_name(node, report)
        elif isinstance(node, Table) and not node.entries.keys() & {"kind", "metadata", "spec"}:
            hint = f"give `{reference}`, or `kind`, `metadata` and `spec` of the object"
            report.error(node.place, "neither a reference nor an object", hint, "mutually_exclusive")
        else:
            inline(node, report)

    return check


def _threshold_or_share(table: Table, report: Report) -> None:
    """A condition gives its burn rate, or by annotation the share of the budget from which it follows."""
    condition, share = table.table("spec", "condition"), table.get("metadata", "annotations", SHARE)
    threshold = None if condition is None else condition.get("threshold")
    if condition is not None and share is None and threshold is None:
        report.error(condition.place_of("threshold"), "nothing", "`threshold` is required", "required")
    if share is not None and threshold is not None:
        found, hint = f"{shown(threshold)} beside {SHARE}", f"give `threshold` or the annotation {SHARE}, not both"
        report.error(threshold.place, found, hint, "mutually_exclusive")
    if isinstance(share, Scalar) and isinstance(share.value, str):
        value = word(share.value)
        if not (isinstance(value, Decimal) and 0 < value <= 1):
            report.error(share.place, share.text, "must be a share of the budget above 0 and at most 1, as in '0.02'", "one_of")


_WHOLE: Mapping[str, tuple[Rule, ...]] = {"AlertCondition": (_threshold_or_share,)}
"""Rules that need both metadata and spec of a kind."""


def _inline(kind: str, spec: Shape) -> Shape:
    return Shape(
        (
            Field("kind", exactly(kind), required=True),
            Field("metadata", METADATA, required=True),
            Field("spec", spec, required=True),
        ),
        _WHOLE.get(kind, ()),
    )


def _strict_kind(table: Table, report: Report) -> None:
    if table.get("kind") is None:
        hint = "write `kind: burnrate`, the only kind there is"
        report.by_mode(table.place_of("kind"), "nothing", hint, "required")


_BURN_RATE = Shape(
    (
        Field("kind", exactly("burnrate")),
        Field("op", one_of(*OPERATORS), required=True),
        Field("threshold", bounded(gt="0")),
        Field("lookbackWindow", duration, required=True),
        Field("alertAfter", delay),
    ),
    (_strict_kind,),
)
_CONDITION = Shape((_DESCRIPTION, Field("severity", text, required=True), Field("condition", _BURN_RATE, required=True)))
_TARGET = Shape((_DESCRIPTION, Field("target", text, required=True)))
_POLICY = Shape(
    (
        _DESCRIPTION,
        Field("alertWhenBreaching", truth),
        Field("alertWhenResolved", truth),
        Field("alertWhenNoData", truth),
        Field(
            "conditions",
            each(_reference_or(_inline("AlertCondition", _CONDITION), "conditionRef"), least=1, most=1),
            required=True,
        ),
        Field(
            "notificationTargets",
            each(_reference_or(_inline("AlertNotificationTarget", _TARGET), "targetRef"), least=1),
            required=True,
        ),
    )
)


def _one_target(table: Table, report: Report) -> None:
    exclusive(table, report, ("target", "targetPercent"))


_OBJECTIVE = Shape(
    (
        Field("displayName", short_text(LONGEST_DESCRIPTION)),
        Field("op", one_of(*OPERATORS)),
        Field("value", number),
        Field("target", target("1")),
        Field("targetPercent", target("100")),
        Field("timeSliceTarget", bounded(gt="0", lte="1")),
        Field("timeSliceWindow", slice_window),
        *_INDICATOR,
        Field("compositeWeight", bounded(gt="0")),
    ),
    (_one_target,),
)


def _indicators(table: Table, report: Report) -> None:
    """The indicator stands on the SLO, or on every objective, and nowhere twice."""
    objectives = [node for node in table.rows("objectives") if isinstance(node, Table)]
    own = [node for node in objectives if node.get("indicator") is not None or node.get("indicatorRef") is not None]
    above = table.get("indicator") is not None or table.get("indicatorRef") is not None
    if above and own:
        found, hint = "indicators on the SLO and on its objectives", "give the indicator at one level only"
        report.error(table.place, found, hint, "mutually_exclusive")
    elif own:
        for node in objectives:
            exclusive(node, report, ("indicator", "indicatorRef"))
    else:
        exclusive(table, report, ("indicator", "indicatorRef"))
        for node in objectives:
            _forbid(node, report, ("compositeWeight",), "weights go with an indicator of each objective's own")


def _slices(table: Table, report: Report) -> None:
    needed = {"Timeslices": ("timeSliceTarget", "timeSliceWindow"), "RatioTimeslices": ("timeSliceWindow",)}
    method = table.text("budgetingMethod")
    for node in table.rows("objectives"):
        for name in needed.get(method, ()):
            if isinstance(node, Table) and node.get(name) is None:
                report.error(node.place_of(name), "nothing", f"`{name}` is required with {method}", "required")


_SLO = Shape(
    (
        _DESCRIPTION,
        Field("service", dns_label, required=True),
        *_INDICATOR,
        Field("budgetingMethod", one_of(*BUDGETING), required=True),
        Field("timeWindow", each(_WINDOW, least=1, most=1), required=True),
        Field("objectives", each(_OBJECTIVE, least=1), required=True),
        Field("alertPolicies", each(_reference_or(_inline("AlertPolicy", _POLICY), "alertPolicyRef"))),
    ),
    (_indicators, _slices),
)


def _no_secrets(node: Node, report: Report) -> None:
    """Connection details hold no secret in clear: ``${NAME}`` names an environment variable instead."""
    for name, child in node.entries.items() if isinstance(node, Table) else ():
        secret = _SECRET_KEY.search(name) or _HEADER_NAME.fullmatch(name)
        if isinstance(child, Scalar) and child.value not in (None, ""):
            if (secret and not _ENV_REFERENCE.fullmatch(child.text)) or _USERINFO.search(child.text):
                hint = "name an environment variable instead, as in ${PROMETHEUS_TOKEN}"
                report.error(child.place, "a secret in clear (not shown)", hint, "secret_in_clear")
        else:
            _no_secrets(child, report)
    for child in node.items if isinstance(node, Row) else ():
        _no_secrets(child, report)


_DATA_SOURCE = Shape(
    (_DESCRIPTION, Field("type", text, required=True), Field("connectionDetails", _no_secrets, required=True)),
)

SPECS: Mapping[str, Shape] = {
    "DataSource": _DATA_SOURCE,
    "Service": Shape((_DESCRIPTION,)),
    "SLI": _SLI,
    "SLO": _SLO,
    "AlertPolicy": _POLICY,
    "AlertCondition": _CONDITION,
    "AlertNotificationTarget": _TARGET,
}
"""Every kind and the shape of its spec."""


def document_shape(kind: str) -> Shape:
    """The whole document of a known kind."""
    return Shape(
        (
            Field("apiVersion", anything),
            Field("kind", anything),
            Field("metadata", METADATA, required=True),
            Field("spec", SPECS[kind], required=kind != "Service"),
        ),
        _WHOLE.get(kind, ()),
    )
