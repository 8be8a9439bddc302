"""Alerts of one objective: at most one identity for each severity, and one that says that nothing is known.

The pairs of a severity are joined by ``or`` into one alert, whose value is the burn rate over the long window of the first
active pair. A page also fires where the daemon's own tier ``evidence`` is active; in maintenance nothing does. Labels hold
nothing that moves: numbers are in the annotations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from urllib.parse import quote, urlencode

from qobs.export.promql import duration, indented, number, quoted, selector
from qobs.export.rules_recording import SLICE, expand
from qobs.export.rules_unit import DASHBOARD, ON, PACE, RUNBOOK, Group, Rule, Settings, Unit, period, record
from qobs.model import window_name
from qobs.slo.alerts import EVIDENCE_TIER
from qobs.slo.objective import Calendar, NativeSource, Objective, Pair, PromSource, Severity, Source
from qobs.slo.verdicts import JOB_SUCCESS

LEAST_EVENTS = 3
"""A short window with fewer events is too small to say anything: the next longer one is asked."""

ABSENT = "absent"
BY_EVENTS = "; the last events alone prove it"
EVALUATED_WITHIN = timedelta(minutes=10)
"""An evaluation that is older says nothing about now."""

NO_DATA_AT_LEAST = timedelta(minutes=10)

_LABEL_CHARACTERS = str.maketrans(dict.fromkeys("-./", "_"))


def evidence_rules(unit: Unit, windows: Sequence[timedelta], settings: Settings) -> list[Rule]:
    """What pairs ask for where events are few: the evidence of long windows, and a recent ratio of at least three events."""
    if not (unit.sparse and unit.objective.pairs):
        return []
    ladder = tuple(window for window in windows if unit.gauge_window(window) == window_name(window))
    longest = max(pair.long for pair in unit.objective.pairs)
    gated = sorted({pair.long for pair in unit.objective.pairs if unit.gated(pair)})
    shorts = sorted({pair.short for pair in unit.objective.pairs})
    return [
        *(record(unit, f"qobs:slo_burn_evidence:kl{window_name(long)}", evidence(unit, long, settings)) for long in gated),
        *(
            record(unit, f"qobs:slo_recent_error:ratio{window_name(short)}", _recent(unit, short, longest, ladder))
            for short in shorts
        ),
    ]


def evidence(unit: Unit, window: timedelta, settings: Settings) -> str:
    """The evidence n x KL(k/n || B) where k/n > B: the chance of so many failures within budget is at most exp of minus it.

    Source: Chernoff (1952).
    """
    name, budget, kept = window_name(window), number(unit.objective.budget), number(unit.objective.target)
    bad, events = (f"qobs:slo_{kind}:count{name}{unit.selected}" for kind in ("errors", "events"))
    ratio = f"({bad} / ({events} > 0))"
    good = f"(({events} - {bad}) / ({events} > 0))"
    design = f" / {_design_effect(unit, settings)}" if unit.native or settings.design_effect != 1 else ""
    return (
        f"(\n  {bad} * ln(clamp_min({ratio}, 1e-12) / {budget})\n"
        f"  +\n  ({events} - {bad}) * ln(clamp_min({good}, 1e-12) / {kept})\n){design}\n"
        f"and {ratio} > {budget}"
    )


def _design_effect(unit: Unit, settings: Settings) -> str:
    """How many jobs of a batch count as one: as the daemon measures it, and at least what the site says."""
    least = number(settings.design_effect)
    if not unit.native:
        return least
    return f"scalar(clamp_min({unit.gauge('qobs_slo_design_effect_ratio')} or vector(1), {least}))"


def _recent(unit: Unit, short: timedelta, longest: timedelta, windows: Sequence[timedelta]) -> str:
    """The error ratio of the first window from ``short`` upwards that has enough events; of the longest one if none has."""
    ladder = [window for window in windows if short <= window <= longest]
    steps = []
    for window in ladder:
        name = window_name(window)
        enough = "" if window == ladder[-1] else f" >= {LEAST_EVENTS}"
        events = f"(qobs:slo_events:count{name}{unit.selected}{enough or ' > 0'})"
        steps.append(f"qobs:slo_errors:count{name}{unit.selected} / {events}")
    return "\nor\n".join(steps)


def group(unit: Unit, settings: Settings) -> Group:
    """All alerts of the unit."""
    rules = [_burn(unit, severity, pairs, settings) for severity in Severity if (pairs := unit.pairs(severity))]
    if unit.objective.alert_when_no_data:
        rules.append(_absence(unit, no_data(unit), settings))
    return {"name": f"sloth-slo-alerts-{unit.id}", "interval": "30s", "limit": 2, "rules": rules}


def _burn(unit: Unit, severity: Severity, pairs: tuple[Pair, ...], settings: Settings) -> Rule:
    ways = [_pair(unit, pair, settings) for pair in pairs]
    if unit.evidence_tier and severity is Severity.PAGE:
        ways.append(_evidence_tier(unit, severity, pairs))
    expression = "\nor\n".join(f"(\n{indented(way)}\n)" for way in ways)
    if unit.native:
        expression = f"(\n{indented(expression)}\n)\nunless on ()\n({_excluded(unit)})"
    return {
        "alert": unit.burn_alert,
        "expr": expression,
        "keep_firing_for": duration(min(pair.short for pair in pairs)),
        "labels": labels(unit, severity, pairs[0].tier, settings),
        "annotations": burn_annotations(unit, severity, pairs, settings),
    }


def _pair(unit: Unit, pair: Pair, settings: Settings) -> str:
    """Both windows above the factor, strictly: compared as ratios, so that a ratio exactly at the limit is not above it."""
    limit = number(pair.factor * unit.objective.budget)
    long, short = window_name(pair.long), window_name(pair.short)
    burn = (
        f"max without (sloth_window) (slo:sli_error:ratio_rate{long}{unit.selected} > {limit}) / {number(unit.objective.budget)}"
    )
    recent = f"qobs:slo_recent_error:ratio{short}" if unit.sparse else f"slo:sli_error:ratio_rate{short}"
    both = f"{burn}\nand {ON}\n{recent}{unit.selected} > {limit}"
    if not unit.gated(pair):
        return both
    if not unit.counted:
        chance = unit.gauge("qobs_slo_alert_chance_ratio", severity=pair.severity.value, tier=pair.tier)
        return f"{both}\nand on ()\n({chance} <= {unit.objective.sparse.alpha:.10g})"
    return f"{both}\nand {ON}\nqobs:slo_burn_evidence:kl{long}{unit.selected} > {evidence_limit(unit.objective)}"


def _evidence_tier(unit: Unit, severity: Severity, pairs: tuple[Pair, ...]) -> str:
    """The daemon's verdict on the last events, with the burn over the longest window as value; 0 where that has no events."""
    longest = window_name(max(pair.long for pair in pairs))
    ratio = f"max without (sloth_window) (slo:sli_error:ratio_rate{longest}{unit.selected})"
    burn = f"{ratio} / {number(unit.objective.budget)}\nor {ON}\nslo:objective:ratio{unit.selected} * 0"
    active = unit.gauge("qobs_slo_alert_active", severity=severity.value, tier=EVIDENCE_TIER)
    return f"(\n{indented(burn)}\n)\nand on ()\n({active} == 1)"


def _excluded(unit: Unit) -> str:
    return f"{unit.gauge('qobs_slo_state', state='excluded')} == 1"


def evidence_limit(objective: Objective) -> str:
    """ln(1/alpha), to ten digits."""
    return f"{-math.log(objective.sparse.alpha):.10g}"


def least_events(objective: Objective) -> int:
    """Fewest events that could ever prove a breach: ln(alpha) / ln(B), rounded up.

    Without an evidence gate that is one event.
    """
    if not objective.sparse.enabled:
        return 1
    return math.ceil(math.log(objective.sparse.alpha) / math.log(float(objective.budget)))


def labels(unit: Unit, severity: Severity, tier: str, settings: Settings) -> dict[str, str]:
    """Labels of one alert: identity, routing and the fastest tier it covers. None of them changes while it fires."""
    objective = unit.objective
    own = {label_name(key): literal(values[0]) for key, values in objective.labels.items() if len(values) == 1 and values[0]}
    where = objective.source.where if isinstance(objective.source, NativeSource) else {}
    pinned = {
        label: literal(values[0])
        for label in ("provider", "source", "backend", "team", "priority", "workload")
        if len(values := where.get(label, ())) == 1 and values[0] and not values[0].startswith("~")
    }
    fixed = {
        "severity": settings.severities[severity],
        "service": objective.service,
        "slo": objective.slo,
        "qobs_tier": tier,
        "qobs_mode": unit.mode.value,
        "sloth_severity": severity.value,
        **({"sli": objective.source.sli} if isinstance(objective.source, NativeSource) else {}),
        **({"objective": objective.name} if unit.slo != objective.slo else {}),
    }
    return {"owner": settings.owner, **own, **pinned, **fixed, **unit.labels}


def label_name(key: str) -> str:
    """A document's label as Prometheus allows it.

    Example:
        >>> label_name("cost-centre"), label_name("2nd.line")
        ('cost_centre', '_2nd_line')
    """
    name = key.translate(_LABEL_CHARACTERS)
    return f"_{name}" if name[:1].isdigit() else name


def literal(text: str) -> str:
    """Text that Prometheus' templates leave as it is.

    Example:
        >>> literal("a {{ b")
        'a {{"{{"}} b'
    """
    return text.replace("{{", '{{"{{"}}')


def burn_annotations(unit: Unit, severity: Severity, pairs: tuple[Pair, ...], settings: Settings) -> dict[str, str]:
    """Words for people: how fast, how many, how much is left, and where to go."""
    longs = list(dict.fromkeys(window_name(pair.long) for pair in pairs))
    objective = unit.objective
    summary = (
        f'{unit.slo} of {objective.service} spends its error budget {{{{ $value | printf "%.1f" }}}} times too fast '
        f"(over {', '.join(longs[:-1])}{' or ' if len(longs) > 1 else ''}{longs[-1]})"
    )
    counts = "; ".join(f"{name}: {_share(unit, name)}" for name in longs)
    annotations = {
        "summary": summary,
        "description": f"{counts}; {percent(objective.budget)} % allowed.{_left(unit)}{_exhausted(unit)}",
        **_links(unit, unit.burn_alert, severity, settings),
    }
    if unit.native and isinstance(objective.source, NativeSource) and objective.source.sli == JOB_SUCCESS.name:
        annotations["top_errors"] = _top_errors(objective.source)
    if any(map(unit.gated, pairs)) and not unit.counted:
        annotations["evidence"] = _least_chance(unit, severity) + _by_events(unit, severity)
    elif any(map(unit.gated, pairs)):
        weights = f'max({{__name__=~"qobs:slo_burn_evidence:kl.+",sloth_id={quoted(unit.id)}}})'
        annotations["evidence"] = f"chance of this within budget: at most {_number(f'exp(-{weights})', '%.1g', 'unknown')}"
        annotations["evidence"] += _by_events(unit, severity)
    return annotations


def _least_chance(unit: Unit, severity: Severity) -> str:
    """The smallest chance that the daemon found for any tier."""
    where = {"service": (unit.objective.service,), "severity": (severity.value,), "slo": (unit.slo,)}
    query = f"min({selector('qobs_slo_alert_chance_ratio', where)})"
    return f"chance of this within budget: at most {_number(query, '%.1g', 'unknown')}"


def _by_events(unit: Unit, severity: Severity) -> str:
    if not unit.evidence_tier:
        return ""
    query = f"{unit.gauge('qobs_slo_alert_active', severity=severity.value, tier=EVIDENCE_TIER)} == 1"
    return f"{{{{ with query `{query}` }}}}{BY_EVENTS}{{{{ end }}}}"


def _top_errors(source: NativeSource) -> str:
    """The most frequent classes of failure of an hour at the places that the objective selects; empty where nothing failed."""
    where = {label: values for label, values in source.where.items() if label in ("provider", "source", "backend")}
    failed = selector("qobs_jobs_failed_total", where)
    query = f"sort_desc(topk(3, sum by (reason) (increase({failed}[1h])) > 0))"
    each = '{{ if $i }}, {{ end }}{{ .Labels.reason }} {{ .Value | printf "%.0f" }}'
    return f"{{{{ with query `{query}` }}}}{{{{ range $i, $e := . }}}}{each}{{{{ end }}}} in 1h{{{{ end }}}}"


def percent(ratio: Decimal) -> str:
    """A ratio in percent, exactly.

    Example:
        >>> percent(Decimal("0.05")), percent(Decimal("0.001"))
        ('5', '0.1')
    """
    return number(ratio * 100)


def _share(unit: Unit, window: str) -> str:
    if not unit.counted:
        return f"{_number(f'100 * slo:sli_error:ratio_rate{window}{unit.selected}', '%.1f', 'unknown')} % bad"
    bad = _number(f"qobs:slo_errors:count{window}{unit.selected}", "%.0f", "0")
    return f"{bad} of {_number(f'qobs:slo_events:count{window}{unit.selected}', '%.0f', '0')} bad"


def _left(unit: Unit) -> str:
    """What is left of the budget, or how many times over it is spent; nothing where the period is not recorded."""
    left = f"100 * slo:period_error_budget_remaining:ratio{unit.selected} > 0"
    spent = f"slo:period_burn_rate:ratio{unit.selected} >= 1"
    return _said(left, " Budget left: ", "%.0f", f" % of {_period(unit)}.") + _said(
        spent, f" The budget of {_period(unit)} is spent ", "%.1f", " times."
    )


def _exhausted(unit: Unit) -> str:
    """Time to exhaustion at the pace of the last six hours; nothing is said where the budget is gone or the pace is none."""
    after = f" h at the pace of the last {window_name(PACE)}."
    left = f"(slo:period_error_budget_remaining:ratio{unit.selected} > 0)"
    if unit.native:
        query = f"{unit.gauge('qobs_slo_error_budget_exhaustion_seconds')} / 3600 and on () {left}"
        return _said(query, " Exhausted in ", "%.0f", after) + _probability(unit)
    hours = number(Decimal(int(period(unit.objective).total_seconds())) / 3600)
    pace = f"(slo:sli_error:ratio_rate{window_name(PACE)}{unit.selected} > 0)"
    query = f"{hours} * {number(unit.objective.budget)} * {left} / {ON} {pace}"
    return _said(query, " Exhausted in ", "%.0f", after)


def _probability(unit: Unit) -> str:
    if not isinstance(unit.objective.window, Calendar):
        return ""
    query = f"100 * {unit.gauge('qobs_slo_error_budget_exhaustion_probability_ratio')}"
    return _said(query, " Chance that it is gone at the end of the period: ", "%.0f", " %.")


def _said(query: str, before: str, form: str, after: str) -> str:
    """A template that says something about the query's value, and nothing where there is none."""
    return f'{{{{ with query `{query}` }}}}{before}{{{{ . | first | value | printf "{form}" }}}}{after}{{{{ end }}}}'


def _period(unit: Unit) -> str:
    return window_name(period(unit.objective))


def _number(query: str, form: str, otherwise: str) -> str:
    return f'{{{{ with query `{query}` }}}}{{{{ . | first | value | printf "{form}" }}}}{{{{ else }}}}{otherwise}{{{{ end }}}}'


def _links(unit: Unit, alert: str, severity: Severity, settings: Settings) -> dict[str, str]:
    annotations = unit.objective.annotations
    variables = urlencode({"var-service": unit.objective.service, "var-slo": unit.slo, "from": "now-6h", "to": "now"})
    links = {
        "runbook_url": settings.runbook(annotations.get(RUNBOOK, alert)),
        "dashboard_url": annotations.get(DASHBOARD, f"{settings.dashboard_base.rstrip('/')}/qobs-slo?{variables}"),
    }
    if settings.alertmanager_url:
        chosen = quote(f'{{sloth_id="{unit.id}"}}', safe="")
        links["silence_url"] = f"{settings.alertmanager_url.rstrip('/')}/#/silences/new?filter={chosen}"
    if settings.qobs_url:
        links["qobs_url"] = f"{settings.qobs_url.rstrip('/')}/slos/{quote(unit.id)}"
    return links


def no_data(unit: Unit) -> str:
    """What is true while nothing is known.

    Native: a source is silent, the objective is not evaluated at all, or its evaluation stands still; and it is not in
    maintenance. Recording: a polled source that had events shows no windows, or the query has no answer.
    """
    if not unit.native:
        return "\nor\n".join(map(_silent, unit.sources))
    silent = unit.gauge("qobs_slo_silent_sources")
    evaluated = unit.gauge("qobs_slo_evaluation_timestamp_seconds")
    late = f"time() - {evaluated} > {int(EVALUATED_WITHIN.total_seconds())}"
    return f"(\n  {silent} > 0\n  or\n  absent({silent})\n  or\n  {late}\n)\nunless on ()\n({_excluded(unit)})"


def _silent(source: Source) -> str:
    if isinstance(source, NativeSource):
        where = {**source.where, "sli": (source.sli,)}
        known = f"count by (provider, source) ({selector('qobs_sli_events_total', where)})"
        shown = f"count by (provider, source) ({selector('qobs_sli_window_events', {**where, 'window': ('5m',)})})"
        # Counters outlive their source: one that is no longer configured has no staleness either, and is no loss.
        polled = "count by (provider, source) (qobs_data_staleness_seconds)"
        return f"count(\n  {known}\n  and on (provider, source)\n  {polled}\n  unless on (provider, source)\n  {shown}\n) > 0"
    if isinstance(source, PromSource):
        return f"absent({expand(source.raw or source.total, SLICE)})"
    return f"absent({expand(source.query, SLICE)})"


def absence_for(objective: Objective) -> timedelta:
    """As long as a full outage would need to page: max(10 min, f1 x B x 1 h), f1 the fastest page factor."""
    factors = [pair.factor for pair in objective.pairs if pair.severity is Severity.PAGE]
    outage = timedelta(seconds=math.ceil(max(factors, default=Decimal(0)) * objective.budget * 3600))
    return max(NO_DATA_AT_LEAST, outage)


def _absence(unit: Unit, expression: str, settings: Settings) -> Rule:
    return {
        "alert": unit.absence_alert,
        "expr": expression,
        "for": duration(absence_for(unit.objective)),
        "keep_firing_for": "5m",
        "labels": {**labels(unit, Severity.TICKET, ABSENT, settings)},
        "annotations": absence_annotations(unit, settings),
    }


def absence_annotations(unit: Unit, settings: Settings) -> dict[str, str]:
    """Words for the alert that knows nothing."""
    return {
        "summary": f"{unit.slo} of {unit.objective.service}: no data, so nothing is known about its error budget",
        "description": "At least one source of its events is silent, or nobody evaluates it. No data is neither good nor bad:"
        " burn alerts are blind until it is back.",
        **_links(unit, unit.absence_alert, Severity.TICKET, settings),
    }
