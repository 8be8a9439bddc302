"""Pyrra in: ``pyrra.dev/v1alpha1`` objects of kind ``ServiceLevelObjective``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from qobs.slo.importing.bodies import LONGEST_DESCRIPTION, Draft, cap_if_unreachable, rolling
from qobs.slo.importing.reading import Reading, is_label_key, metric
from qobs.slo.openslo.alerts import ALERT_NAME, MWMBR, NO_DATA, PROFILE
from qobs.slo.openslo.document import Plain
from qobs.slo.openslo.periods import LONGEST, length
from qobs.slo.openslo.promql import WINDOW, fault

API = "pyrra.dev/v1alpha1"
KIND = "ServiceLevelObjective"

_PROPAGATED = "pyrra.dev/"
_KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"
_DURATION = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")
_PART = re.compile(r"([0-9]+)(ms|[smhdwy])")
_MILLISECONDS: Mapping[str, int] = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
_SELECTOR = re.compile(
    r"""(?P<series>[A-Za-z_:][A-Za-z0-9_:]*(?:\s*\{(?:[^{}"']|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*\})?)
    (?P<offset>\s+offset\s+-?[0-9a-z]+)?""",
    re.VERBOSE,
)
_BUCKET = re.compile(r"""[{,]\s*le\s*=\s*["']""")


def from_kubernetes(document: Reading) -> list[dict[str, Plain]]:
    """The SLO of a Pyrra object; none where its indicator cannot be said in PromQL with a window."""
    document.text("apiVersion")
    document.text("kind")
    document.drop("status", "written by Pyrra's controller")
    metadata, spec = document.child("metadata"), document.child("spec")
    name = metadata.name("name")
    service = metadata.name("namespace") or name
    labels, annotations = _labels(metadata)
    percent, duration = _percent(spec), _window(spec)
    indicator = _indicator(spec.child("indicator"))
    annotations |= {PROFILE: "sloth"} | _alerting(spec.child("alerting"))
    description = spec.text("description")
    if not (name and indicator and duration) or percent is None:
        found = "an objective without name, target, window or indicator"
        document.report.warning(document.place, found, "no SLO was made", "not_honoured")
        return []
    if not metadata.has("namespace"):
        metadata.note("namespace", "nothing", f"the service is called {service}: Pyrra has no services")
    if len(description) > LONGEST_DESCRIPTION:
        spec.note("description", f"{len(description)} characters", f"cut to {LONGEST_DESCRIPTION}", "not_honoured")
    draft = Draft(
        name=name,
        service=service,
        target=percent.scaleb(-2).normalize(),
        indicator=indicator,
        window=rolling(duration),
        description=description[:LONGEST_DESCRIPTION],
        labels=labels,
        annotations=annotations,
    )
    _finish(spec, draft, percent.scaleb(-2), duration)
    return [draft.body()]


def _percent(spec: Reading) -> Decimal | None:
    """The target; None where it is missing or, told, leaves no budget or promises nothing."""
    percent = spec.number("target")
    if percent is None or 0 < percent < 100:
        return percent
    spec.note("target", str(percent), "no SLO was made: a target lies between 0 and 100, without both", "not_honoured")
    return None


def _finish(spec: Reading, draft: Draft, target: Decimal, duration: str) -> None:
    """Tell how the alerts differ, and cap what could never fire."""
    span = length(duration)
    if draft.annotations.get(MWMBR) != "none":
        hint = "alerts use the profile sloth: the same four tiers with windows up to 3 days, factors derived, and no `for`"
        spec.note("window", duration, hint, "alert_windows")
    if span is not None and cap_if_unreachable(draft, [target], span):
        hint = "even 100 % failures could not reach the fastest alert: its factor is capped by qobs.dev/cap-factor"
        spec.note("target", f"{target.scaleb(2).normalize():f}", hint, "unreachable")


def _labels(metadata: Reading) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations. ``pyrra.dev/team`` becomes ``team``, as in its rules; other prefixed labels, annotations."""
    labels: dict[str, str] = {}
    child = metadata.child("labels")
    annotations: dict[str, str] = {}
    for key in child.table.entries:
        if key.startswith(_PROPAGATED) and is_label_key(key.removeprefix(_PROPAGATED)):
            labels[key.removeprefix(_PROPAGATED)] = child.text(key)
        elif "/" in key:
            annotations[key] = child.text(key)
        elif is_label_key(key):
            labels[key] = child.text(key)
    notes = metadata.child("annotations")
    notes.drop(_KUBECTL, "kubectl's own copy of the object")
    for key in notes.table.entries:
        if key != _KUBECTL:
            annotations[key] = notes.text(key)
    return labels, annotations


def _window(spec: Reading) -> str:
    """The window as OpenSLO writes it; empty where it cannot."""
    written = spec.text("window")
    milliseconds = _milliseconds(written)
    if milliseconds is None:
        return ""
    for unit in ("w", "d", "h", "m"):
        if milliseconds and milliseconds % _MILLISECONDS[unit] == 0:
            count = milliseconds // _MILLISECONDS[unit]
            if count * timedelta(milliseconds=_MILLISECONDS[unit]) > LONGEST:
                break
            return written if re.fullmatch(r"[0-9]+[mhdw]", written) else f"{count}{unit}"
    spec.note("window", written, "no SLO was made: a window is a whole number of minutes", "not_honoured")
    return ""


def _milliseconds(text: str) -> int | None:
    """A Prometheus duration; None where it is none or longer than any window."""
    if len(text) > 24 or not _DURATION.fullmatch(text):
        return None
    return sum(int(count) * _MILLISECONDS[unit] for count, unit in _PART.findall(text))


def _indicator(indicator: Reading) -> dict[str, Plain]:
    for name, build in (("ratio", _ratio), ("latency", _latency), ("latencyNative", _native), ("bool_gauge", _gauge)):
        if indicator.has(name):
            child = indicator.child(name)
            child.drop("grouping", "an SLO is one series; write one SLO for each group that matters")
            return build(child)
    return {}


def _ratio(ratio: Reading) -> dict[str, Plain]:
    bad, total = _increase(ratio.child("errors"), "sum({})"), _increase(ratio.child("total"), "sum({})")
    return {"ratioMetric": {"counter": True, "bad": metric(bad), "total": metric(total)}} if bad and total else {}


def _latency(latency: Reading) -> dict[str, Plain]:
    success, total = latency.child("success"), _increase(latency.child("total"), "sum({})")
    good = _increase(success, "sum({})")
    if good and not _BUCKET.search(good):
        hint = "no SLO was made: the success metric must select one bucket by `le`, which is the threshold"
        success.note("metric", good, hint, "latency.threshold_not_on_bucket")
        return {}
    return {"ratioMetric": {"counter": True, "good": metric(good), "total": metric(total)}} if good and total else {}


def _native(native: Reading) -> dict[str, Plain]:
    """Counts of a native histogram; the fraction under the limit is interpolated inside one bucket."""
    limit = native.text("latency")
    milliseconds = _milliseconds(limit)
    histogram = native.child("total")
    total = _increase(histogram, "sum(histogram_count({}))")
    if not total or not milliseconds:
        native.note("latency", limit or "nothing", "no SLO was made: a duration as in 200ms is needed", "not_honoured")
        return {}
    seconds = f"{Decimal(milliseconds).scaleb(-3).normalize():f}"
    series = total.removeprefix("sum(histogram_count(").removesuffix("))")
    good = f"sum(histogram_fraction(0, {seconds}, {series}) * histogram_count({series}))"
    native.note("latency", limit, "good events are interpolated inside the bucket that holds the limit", "interpolated")
    return {"ratioMetric": {"counter": True, "good": metric(good), "total": metric(total)}}


def _gauge(gauge: Reading) -> dict[str, Plain]:
    selected = _selected(gauge)
    if not selected:
        return {}
    good, total = f"sum(sum_over_time({selected}))", f"sum(count_over_time({selected}))"
    return {"ratioMetric": {"counter": False, "good": metric(good), "total": metric(total)}}


def _increase(query: Reading, form: str) -> str:
    """``form`` around the increase of a metric over the window; empty where the metric is no selector."""
    selected = _selected(query)
    return form.format(f"increase({selected})") if selected else ""


def _selected(query: Reading) -> str:
    """A selector with its window; empty, after a finding, where the metric is something else."""
    written = query.text("metric").strip()
    match = _SELECTOR.fullmatch(written)
    if match is None or fault(written) is not None:
        query.note("metric", written or "nothing", "no SLO was made: a metric is one selector, as in up{job='x'}", "not_honoured")
        return ""
    return f"{match['series']}[{WINDOW}]{match['offset'] or ''}"


def _alerting(alerting: Reading) -> dict[str, str]:
    found: dict[str, str] = {}
    if name := alerting.text("name"):
        found[ALERT_NAME] = name
    burnrates, disabled = alerting.truth("burnrates"), alerting.truth("disabled")
    if disabled or burnrates is False:
        found[MWMBR] = "none"
    absent = alerting.truth("absent")
    if absent is False or disabled:
        found[NO_DATA] = "false"
    if alerting.table.text("burnRateType") == "static":
        alerting.text("burnRateType")
    else:
        alerting.drop("burnRateType", "qobs asks for evidence instead, see qobs.dev/sparse")
    return found
