"""OpenSLO v1alpha in: kinds ``SLO`` and ``Service``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from qobs.slo.importing.bodies import LONGEST_DESCRIPTION, Draft, cap_if_unreachable, rolling
from qobs.slo.importing.reading import Reading, metric
from qobs.slo.openslo.document import Plain, plain
from qobs.slo.openslo.kinds import API as V1
from qobs.slo.openslo.periods import length, written
from qobs.slo.openslo.promql import WINDOW, fault, has_window

API = "openslo/v1alpha"

_UNITS: Mapping[str, str] = {"Minute": "m", "Hour": "h", "Day": "d", "Week": "w", "Month": "M", "Quarter": "Q", "Year": "Y"}
_RANGE = re.compile(r"\[\s*[0-9]+(?:ms|[smhdwy])(?:[0-9]+(?:ms|[smhdwy]))*\s*\]")
_OBJECTIVE_FIELDS = ("displayName", "op", "value", "timeSliceTarget")


def from_document(document: Reading) -> list[dict[str, Plain]]:
    """The documents in v1 of one in v1alpha: an SLO may become several, since v1 has one indicator for all objectives."""
    document.text("apiVersion")
    kind = document.text("kind")
    if kind == "Service":
        return _service(document)
    if kind == "SLO":
        return _slos(document)
    document.note("kind", kind, "v1alpha has the kinds SLO and Service", "not_honoured")
    return []


def _service(document: Reading) -> list[dict[str, Plain]]:
    metadata = document.child("metadata")
    name, title = metadata.name("name"), metadata.text("displayName")
    description = document.child("spec").text("description")
    if not name:
        return []
    told: dict[str, Plain] = {"name": name}
    if title:
        told["displayName"] = title[:63]
    spec: dict[str, Plain] = {"description": description[:LONGEST_DESCRIPTION]} if description else {}
    return [{"apiVersion": V1, "kind": "Service", "metadata": told, "spec": spec}]


def _slos(document: Reading) -> list[dict[str, Plain]]:
    metadata, spec = document.child("metadata"), document.child("spec")
    name, title = metadata.name("name"), metadata.text("displayName")
    if len(title) > 63:
        metadata.note("displayName", f"{len(title)} characters", "cut to 63", "not_honoured")
    service, window = spec.name("service"), _window(spec)
    budgeting = spec.text("budgetingMethod")
    if not budgeting:
        spec.note("budgetingMethod", "nothing", "read as Occurrences")
    shared = _threshold(spec.child("indicator")) if spec.has("indicator") else None
    description = spec.text("description")
    objectives = [(node, _objective(node, budgeting), _ratio(node) or shared) for node in spec.children("objectives")]
    if not (name and service and window):
        document.report.warning(document.place, "an SLO without name, service or window", "no SLO was made", "not_honoured")
        return []
    template = Draft(
        name=name,
        service=service,
        target=Decimal(0),
        indicator={},
        window=window,
        description=description[:LONGEST_DESCRIPTION],
        display_name=title[:63],
        budgeting=budgeting or "Occurrences",
    )
    usable = [(node, fields, indicator) for node, fields, indicator in objectives if _usable(node, fields, indicator)]
    return _documents(template, usable, spec)


def _usable(node: Reading, fields: Mapping[str, Plain], indicator: Mapping[str, Plain] | None) -> bool:
    target = fields.get("target")
    needed = ("op", "value") if indicator and "thresholdMetric" in indicator else ()
    sliced = ("timeSliceTarget",) if "timeSliceWindow" in fields else ()
    complete = all(fields.get(name) is not None for name in (*needed, *sliced))
    if isinstance(target, Decimal) and 0 < target < 1 and indicator and complete:
        return True
    hint = "no objective was made: it needs a target between 0 and 1, metrics that qobs reads, and what its method asks for"
    node.report.warning(node.place, "an objective", hint, "not_honoured")
    return False


def _documents(
    template: Draft, usable: Sequence[tuple[Reading, dict[str, Plain], Mapping[str, Plain] | None]], spec: Reading
) -> list[dict[str, Plain]]:
    """One SLO where all objectives measure the same ratio, else one for each."""
    indicators = [indicator or {} for _, _, indicator in usable]
    if not indicators:
        return []
    together = all(one == indicators[0] for one in indicators) and (len(indicators) == 1 or "ratioMetric" in indicators[0])
    groups = [list(range(len(usable)))] if together else [[index] for index in range(len(usable))]
    if len(groups) > 1:
        hint = "one SLO for each: in v1, objectives with metrics of their own would be one composite"
        spec.note("objectives", f"{len(groups)} objectives", hint, "split")
    found: list[dict[str, Plain]] = []
    for group in groups:
        name = template.name if len(groups) == 1 else f"{template.name[:60]}-{group[0]}"
        fields = [usable[index][1] for index in group]
        draft = replace(template, name=name, indicator=indicators[group[0]], objectives=fields, annotations={})
        targets = [target for item in fields if isinstance(target := item["target"], Decimal)]
        span = length(str(template.window["duration"]))
        if span is not None and cap_if_unreachable(draft, targets, span):
            hint = "even 100 % failures could not reach the fastest alert: its factor is capped by qobs.dev/cap-factor"
            spec.note("objectives", str(min(targets)), hint, "unreachable")
        found.append(draft.body())
    return found


def _window(spec: Reading) -> dict[str, Plain]:
    windows = spec.children("timeWindows")
    if len(windows) != 1:
        spec.note("timeWindows", f"{len(windows)} time windows", "no SLO was made: exactly one is needed", "not_honoured")
        return {}
    window = windows[0]
    count, unit, is_rolling = window.number("count"), window.text("unit"), window.truth("isRolling")
    duration = _duration(count, unit)
    if not duration:
        window.note("unit", f"{count} {unit}", "no SLO was made: a window is a whole number of minutes or more", "not_honoured")
        return {}
    if window.has("calendar") and not is_rolling:
        calendar = window.child("calendar")
        return {
            "duration": duration,
            "isRolling": False,
            "calendar": {"startTime": calendar.text("startTime"), "timeZone": calendar.text("timeZone")},
        }
    if not is_rolling:
        window.note("isRolling", "nothing", "read as a rolling window, since there is no calendar")
    return rolling(duration)


def _duration(count: Decimal | None, unit: str) -> str:
    """Count and unit as v1 writes them; empty where it cannot."""
    if count is None or count != count.to_integral_value() or not 0 < count < 10**9:
        return ""
    if unit == "Second":
        return written(timedelta(seconds=int(count))) if count % 60 == 0 else ""
    duration = f"{int(count)}{_UNITS[unit]}" if unit in _UNITS else ""
    return duration if length(duration) is not None else ""


def _objective(node: Reading, budgeting: str) -> dict[str, Plain]:
    ratio = node.has("ratioMetrics")
    fields: dict[str, Plain] = {}
    for name in _OBJECTIVE_FIELDS:
        if ratio and name in ("op", "value"):
            node.drop(name, "a ratio is not compared with a value")
        elif (found := node.node(name)) is not None:
            fields[name] = plain(found)
    if isinstance(title := fields.get("displayName"), Decimal):
        fields["displayName"] = f"{title}"
    fields["target"] = node.number("target")
    if budgeting == "Timeslices":
        node.note("timeSliceWindow", "nothing", "read as slices of 1m: v1alpha does not say how long they are")
        fields["timeSliceWindow"] = "1m"
    return fields


def _ratio(node: Reading) -> dict[str, Plain] | None:
    if not node.has("ratioMetrics"):
        return None
    ratio = node.child("ratioMetrics")
    counter = ratio.truth("incremental")
    good = _query(ratio.child("good"), counter=counter is not False, window=True)
    total = _query(ratio.child("total"), counter=counter is not False, window=True)
    if not good or not total:
        return None
    return {"ratioMetric": {"counter": counter is not False, "good": metric(good), "total": metric(total)}}


def _threshold(indicator: Reading) -> dict[str, Plain] | None:
    query = _query(indicator.child("thresholdMetric"), counter=False, window=False)
    return {"thresholdMetric": metric(query)} if query else None


def _query(source: Reading, *, counter: bool, window: bool) -> str:
    """The query with a window; empty, after a finding, where it is no PromQL of a Prometheus."""
    kind, language, query = source.text("source"), source.text("queryType"), source.text("query").strip()
    if kind.lower() != "prometheus" or language.lower() not in ("promql", "prometheus"):
        hint = "qobs reads source prometheus with queryType promql"
        source.note("source", f"{kind} {language}".strip() or "nothing", hint, "not_honoured")
        return ""
    if not query or (problem := fault(query)) is not None:
        hint = "it is empty" if not query else f"not PromQL: {problem}"
        source.note("query", query or "nothing", hint, "not_honoured")
        return ""
    return _windowed(source, query, counter=counter) if window and not has_window(query) else query


def _windowed(source: Reading, query: str, *, counter: bool) -> str:
    """The query over the window: its own fixed range widened, or counted in a subquery."""
    if _RANGE.search(query):
        source.note("query", query, f"its fixed range became {WINDOW}", "window_added")
        return _RANGE.sub(f"[{WINDOW}]", query)
    over = "increase" if counter else "sum_over_time"
    source.note("query", query, f"counted by {over} over {WINDOW}: write rate() inside for exact resets", "window_added")
    return f"{over}(({query})[{WINDOW}:])"
