"""A metric of an indicator as a source of events: native, PromQL or a threshold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from qobs.slo.objective import NativeSource, PromSource, Source, ThresholdSource
from qobs.slo.openslo.document import Node, Row, Scalar, Table
from qobs.slo.openslo.promql import WINDOW, expanded, fault, has_window
from qobs.slo.openslo.report import Report, nearest, shown

NATIVE_SLIS = (
    "job_success",
    "job_latency",
    "queue_wait",
    "calibration_freshness",
    "result_consistency",
    "artifact_reproducibility",
    "cost_within_budget",
    "telemetry_coverage",
    "time_to_repair",
    "sdk_compatibility",
    "multi_backend_success",
)
"""Indicators that qobs counts itself."""

NATIVE_LABELS = ("provider", "source", "backend", "priority", "workload", "team")
_EVENTS = {"good": "good", "bad": "bad", "total": "all"}


@dataclass(frozen=True, slots=True)
class Known:
    """What a metric source may name. With ``ignored`` faults of sources are warnings: the events come from elsewhere."""

    data_sources: Mapping[str, str | None] = field(default_factory=dict)
    """Type of each data source by name; None where its own document has errors."""
    slis: tuple[str, ...] = NATIVE_SLIS
    ignored: bool = False


def source_of(spec: Table, objective: Table, known: Known, report: Report) -> Source | None:
    """The source of an SLI's ``spec``; ``op`` and ``value`` of a threshold are the objective's. None after a finding."""
    threshold = spec.table("thresholdMetric")
    if threshold is not None:
        return _threshold(threshold, objective, known, report)
    for name in ("op", "value"):
        if objective.get(name) is not None:
            hint = "must not be given: only a thresholdMetric is compared with a value"
            report.error(objective.place_of(name), shown(objective.get(name)), hint, "forbidden")
    ratio = spec.table("ratioMetric")
    return None if ratio is None else _ratio(ratio, known, report)


@dataclass(frozen=True, slots=True)
class _Metric:
    """One metric source with its type settled: ``qobs``, ``prometheus`` or another."""

    node: Table
    spec: Table
    type: str
    data_source: str


def _metric(parent: Table, name: str, known: Known, report: Report) -> _Metric | None:
    node = parent.table(name, "metricSource")
    spec = None if node is None else node.table("spec")
    if node is None or spec is None:
        return None
    reference = node.text("metricSourceRef")
    kind = node.text("type").lower()
    if reference and reference not in known.data_sources:
        told = report.warning if known.ignored else report.error
        told(node.place_of("metricSourceRef"), reference, "no DataSource of this name is loaded", "ref_not_found")
        if not known.ignored:
            return None
    referred = known.data_sources.get(reference)
    if referred and kind and referred != kind:
        found, hint = f"{kind} for a DataSource of type {referred}", "leave `type` out, or write the DataSource's own"
        report.error(node.place_of("type"), found, hint, "equal_to")
        return None
    return _Metric(node, spec, kind or referred or "prometheus", reference)


def _supported(metric: _Metric, known: Known, report: Report) -> bool:
    """Whether qobs can read the source's type; tells where not."""
    if metric.type in ("qobs", "prometheus"):
        return True
    told = report.warning if known.ignored else report.error
    at = "type" if metric.node.get("type") is not None else "metricSourceRef"
    told(metric.node.place_of(at), metric.type, "qobs reads sources of type qobs or prometheus", "one_of")
    return known.ignored


def _query(metric: _Metric, known: Known, report: Report, *, window: bool) -> str | None:
    """The metric's PromQL; None after a finding that stops."""
    told = report.warning if known.ignored else report.error
    query, place = expanded(metric.spec.text("query").strip(), WINDOW), metric.spec.place_of("query")
    for name, child in metric.spec.entries.items():
        if name != "query" and metric.type == "prometheus":
            report.unknown_field(child.place, name, "a prometheus source has a `query` and no more")
    if not query:
        told(place, shown(metric.spec.get("query")), "a prometheus source needs a `query` in PromQL", "required")
    elif (problem := fault(query)) is not None:
        told(place, shown(metric.spec.get("query")), f"not PromQL: {problem}", "promql")
    elif window and not has_window(query):
        hint = f"write the window as {WINDOW}, as in rate(jobs_total[{WINDOW}]), so that every window can be asked for"
        told(place, shown(metric.spec.get("query")), hint, "window_placeholder")
    else:
        return query
    return query if known.ignored else None


def check_indicator(spec: Table, known: Known, report: Report) -> None:
    """Tell what is wrong with an indicator that may have no objective yet."""
    place = spec.place
    compared = Table(place, {"op": Scalar(place, "lt", "lt"), "value": Scalar(place, Decimal(0), "0")})
    threshold = spec.get("thresholdMetric") is not None
    source_of(spec, compared if threshold else Table(place, {}), known, report)


def _threshold(parent: Table, objective: Table, known: Known, report: Report) -> ThresholdSource | None:
    complete = True
    for name in ("op", "value"):
        if objective.get(name) is None:
            report.error(objective.place_of(name), "nothing", f"`{name}` is required with a thresholdMetric", "required")
            complete = False
    metric = _metric(Table(parent.place, {"m": parent}), "m", known, report)
    if metric is None or not _supported(metric, known, report):
        return None
    if metric.type == "qobs":
        hint = "a native indicator is a verdict already: use it in a ratioMetric"
        report.error(metric.node.place, "a qobs source in a thresholdMetric", hint, "forbidden")
        return None
    query, value = _query(metric, known, report, window=False), objective.number("value")
    if query is None or value is None or not complete:
        return None
    return ThresholdSource(query=query, op=objective.text("op"), value=float(value), data_source=metric.data_source)


def _ratio(ratio: Table, known: Known, report: Report) -> Source | None:
    if ratio.get("raw") is not None:
        return _raw(ratio, known, report)
    part = "good" if ratio.get("good") is not None else "bad"
    total, counted = _metric(ratio, "total", known, report), _metric(ratio, part, known, report)
    if total is None or counted is None:
        return None
    supported = [_supported(metric, known, report) for metric in (total, counted)]
    if not all(supported):
        return None
    if (total.type == "qobs") != (counted.type == "qobs"):
        found = f"{counted.type} for {part} and {total.type} for total"
        report.error(ratio.place, found, "both metrics of a ratio must come from one kind of source", "native_pair")
        return None
    if total.type == "qobs":
        return _native_pair(ratio, total, counted, part, known, report)
    return _prom_pair(ratio, total, counted, part, known, report)


def _raw(ratio: Table, known: Known, report: Report) -> PromSource | None:
    metric = _metric(ratio, "raw", known, report)
    if metric is None or not _supported(metric, known, report):
        return None
    if metric.type == "qobs":
        report.error(
            metric.node.place, "a qobs source as raw", "native indicators count: give `total` with `good` or `bad`", "forbidden"
        )
        return None
    query = _query(metric, known, report, window=True)
    return None if query is None else PromSource(raw=query, raw_type=ratio.text("rawType"), data_source=metric.data_source)


def _prom_pair(ratio: Table, total: _Metric, counted: _Metric, part: str, known: Known, report: Report) -> PromSource | None:
    queries = [_query(metric, known, report, window=True) for metric in (total, counted)]
    all_of, some = queries
    if all_of is None or some is None:
        return None
    if "".join(all_of.split()) == "".join(some.split()) and not known.ignored:
        found = shown(counted.spec.get("query"))
        report.error(counted.spec.place_of("query"), found, f"the queries of {part} and total must differ", "queries_equal")
        return None
    if total.data_source and counted.data_source and total.data_source != counted.data_source:
        found = f"{counted.data_source} for {part} and {total.data_source} for total"
        hint = "both metrics of a ratio must come from one DataSource"
        report.error(counted.node.place_of("metricSourceRef"), found, hint, "equal_to")
        return None
    data_source = total.data_source or counted.data_source
    if part == "good":
        return PromSource(total=all_of, good=some, data_source=data_source)
    return PromSource(total=all_of, bad=some, data_source=data_source)


def _native_pair(ratio: Table, total: _Metric, counted: _Metric, part: str, known: Known, report: Report) -> NativeSource | None:
    first, second = _native(total, "total", known, report), _native(counted, part, known, report)
    if first is None or second is None:
        return None
    if first != second:
        found = f"{part} and total name different events"
        report.error(ratio.place, found, "`sli` and `where` must be the same in both metrics of a ratio", "native_pair")
        return None
    return first


def _native(metric: _Metric, role: str, known: Known, report: Report) -> NativeSource | None:
    before = len(report.errors)
    spec = metric.spec
    for name, child in spec.entries.items():
        if name not in ("sli", "events", "where"):
            report.unknown_field(child.place, name, nearest(name, ("sli", "events", "where")))
    if spec.get("sli") is None:
        report.error(spec.place_of("sli"), "nothing", f"`sli` is required: one of {', '.join(known.slis)}", "required")
    elif spec.text("sli") not in known.slis:
        report.error(spec.place_of("sli"), shown(spec.get("sli")), nearest(spec.text("sli"), known.slis), "one_of")
    if spec.get("events") is not None and spec.text("events") != _EVENTS[role]:
        report.error(spec.place_of("events"), shown(spec.get("events")), f"must be {_EVENTS[role]} for `{role}`", "equal_to")
    where = _where(spec, report)
    return NativeSource(sli=spec.text("sli"), where=where) if len(report.errors) == before else None


def _where(spec: Table, report: Report) -> Mapping[str, tuple[str, ...]]:
    node = spec.get("where")
    if node is None:
        return {}
    if not isinstance(node, Table):
        report.error(node.place, shown(node), "must be a mapping from labels to a value, a list or a ~regex", "type")
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for label, child in sorted(node.entries.items()):
        if label not in NATIVE_LABELS:
            report.error(child.place, label, nearest(label, NATIVE_LABELS), "one_of")
        else:
            found[label] = _allowed(child, report)
    return found


def _allowed(node: Node, report: Report) -> tuple[str, ...]:
    """The values that a label may have, or one ``~regex``."""
    items = node.items if isinstance(node, Row) else (node,)
    if not items:
        report.error(node.place, "an empty list", "nothing could match: give a value or leave the label out", "slice_length")
    texts: list[str] = []
    for item in items:
        if not (isinstance(item, Scalar) and isinstance(item.value, str)):
            report.error(item.place, shown(item), "must be text (quote numbers and truth values)", "type")
        elif item.value.startswith("~") and len(items) > 1:
            report.error(item.place, item.text, "a ~regex stands alone: write the list as one regex with |", "forbidden")
        elif item.value.startswith("~") and (problem := _regex_fault(item.value[1:])):
            report.error(item.place, item.text, f"not a regular expression: {problem}", "regex")
        else:
            texts.append(item.value)
    return tuple(sorted(set(texts)))


def _regex_fault(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError, FutureWarning) as problem:
        return str(problem)
    return ""
