"""promtool's unit tests for the rules of objectives on qobs' own events.

What must fire is worked out from the objective by exact fractions on counted events, not by reading the rules' expressions:
a wrong rule disagrees with it. Times stay under a day and begin at the first sample, where ``increase`` has nothing to guess.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import accumulate

from qobs.export import rules_alerts
from qobs.export.promql import quoted
from qobs.export.rows_sli import SERIES
from qobs.export.rules_expected import NOTHING_MORE, Counted, Told, exhausted_in_seconds, expected
from qobs.export.rules_unit import CURRENT, Settings, Unit, recorded_windows
from qobs.model import window_name
from qobs.slo.alerts import EVIDENCE_TIER
from qobs.slo.objective import NativeSource, Pair, Severity
from qobs.slo.verdicts import JOB_SUCCESS

BUSY = 1000
"""Events in five minutes of the busy scenarios."""

_PLACE = {"provider": "ibm", "source": "research", "backend": "ibm_fez"}


@dataclass(frozen=True, slots=True)
class Phase:
    """Some minutes of the counters, events a minute."""

    minutes: int
    bad: int
    events: int


def tests(members: Sequence[Unit], settings: Settings, rule_file: str) -> dict[str, object] | None:
    """A test file for the objectives of one rule file; None where none of them is about events that qobs counts."""
    held: list[dict[str, object]] = []
    order: list[str] = []
    for unit in members:
        order += _group_names(unit)
        if unit.native:
            held += _native(unit, settings)
        elif (labels := series_labels(unit)) is not None:
            held += _recording(unit, labels, settings)
    if not held:
        return None
    interval = "10m" if members[0].native else "5m"
    return {"rule_files": [rule_file], "evaluation_interval": interval, "group_eval_order": order, "tests": held}


def series_labels(unit: Unit) -> dict[str, str] | None:
    """Labels of a series that the objective counts; None where its source is not native, or its regex has no plain match."""
    source = unit.objective.source
    if not isinstance(source, NativeSource):
        return None
    labels = {"sli": source.sli, **_PLACE}
    for label, values in source.where.items():
        if (value := _example(values)) is None:
            return None
        labels[label] = value
    return {label: labels[label] for label in SERIES if labels.get(label)}


def _example(values: tuple[str, ...]) -> str | None:
    if not values[0].startswith("~"):
        return next((value for value in values if value), "")
    pattern = values[0][1:]
    tries = [*re.findall(r"[\w-]+", pattern), *_PLACE.values(), "", "x"]
    return next((text for text in tries if re.fullmatch(pattern, text)), None)


# ---------------------------------------------------------------------------------------------------- native


def _native(unit: Unit, settings: Settings) -> list[dict[str, object]]:
    windows = recorded_windows(unit)
    busy = {window: BUSY * (window // CURRENT) for window in windows}
    steady = {window: (0, events) for window, events in busy.items()}
    outage = {window: (events, events) for window, events in busy.items()}
    nothing = dict.fromkeys(windows, (0, 0))
    scenes: dict[str, Counted] = {"healthy": steady, "no traffic": nothing}
    for pair in unit.objective.pairs:
        name = f"{pair.severity.value} {window_name(pair.long)}/{window_name(pair.short)}"
        for words, long, short in (
            ("just over both limits", 1, 1),
            ("long window at its limit", 0, 1),
            ("short window at its limit", 1, 0),
        ):
            scenes[f"{name}: {words}"] = _at_limit(unit, pair, busy, long, short)
    held = [_native_scene(unit, name, counted, settings) for name, counted in scenes.items()]
    return [
        *held,
        _outage(unit, outage, settings),
        _few(unit, windows, settings),
        _maintenance(unit, outage),
        *(_by_events(unit, steady, nothing, settings) if unit.evidence_tier else ()),
        *([_never_bad(unit, steady)] if unit.counted else ()),
        *([_unproved(unit, outage, settings)] if not unit.counted and any(map(unit.gated, unit.objective.pairs)) else ()),
        _native_recovery(unit, outage, settings),
        *_native_absences(unit, windows, settings),
    ]


def _at_limit(unit: Unit, pair: Pair, busy: Mapping[timedelta, int], long: int, short: int) -> Counted:
    """Failures since the long window began, at the highest ratio that is not above the limit.

    There are ``long`` more of them in the long window, and ``short`` more in each shorter one.
    """
    limit = Fraction(pair.factor) * Fraction(unit.objective.budget)
    return {
        window: (
            min(events, math.floor(limit * busy[min(window, pair.long)]) + (short if window < pair.long else long)),
            events,
        )
        for window, events in busy.items()
    }


def _native_scene(
    unit: Unit,
    name: str,
    counted: Counted,
    settings: Settings,
    told: Told = NOTHING_MORE,
    more: Iterable[dict[str, str]] = (),
) -> dict[str, object]:
    inputs = [*_gauges(unit, [(counted, 41)], told), *more]
    test = _test(unit, name, inputs, [("30m", expected(unit, counted, settings, told))])
    return {**test, "promql_expr_test": [_burn_sample(unit, counted, "30m")]}


def _outage(unit: Unit, outage: Counted, settings: Settings) -> dict[str, object]:
    """Everything fails, and the message says of what, where the objective is about success."""
    labels, name = series_labels(unit), "outage"
    if labels is None or labels["sli"] != JOB_SUCCESS.name:
        return _native_scene(unit, name, outage, settings)
    place = {label: labels[label] for label in ("provider", "source", "backend")}
    failed = [
        {"series": _series("qobs_jobs_failed_total", {**place, "reason": reason}), "values": f"0+{pace}x40"}
        for reason, pace in (("user", 1), ("provider", 2), ("hardware", 0))
    ]
    return _native_scene(unit, name, outage, settings, Told(errors="provider 60, user 30 in 1h"), failed)


def _few(unit: Unit, windows: Iterable[timedelta], settings: Settings) -> dict[str, object]:
    """The last of few jobs fails."""
    hours = timedelta(hours=2)
    one = {window: (1, 1 if window <= hours else 1 + window // hours) for window in windows}
    return _native_scene(unit, "a single failure where there are few jobs", one, settings, Told(chance=0.05))


def _maintenance(unit: Unit, outage: Counted) -> dict[str, object]:
    """Nothing fires while the objective is excluded, whatever its windows still hold."""
    excluded = _status(unit, "qobs_slo_state", "1x40", state="excluded")
    return _test(unit, "maintenance", [*_gauges(unit, [(outage, 41)]), excluded], [("30m", [])])


def _by_events(unit: Unit, steady: Counted, nothing: Counted, settings: Settings) -> Iterable[dict[str, object]]:
    """The daemon's own verdict pages without any window, and also when its events are older than every window of a page."""
    told = Told(chance=0.5, by_events=True)
    verdict = _status(unit, "qobs_slo_alert_active", "1x40", severity=Severity.PAGE.value, tier=EVIDENCE_TIER)
    yield _native_scene(unit, "the last events alone are evidence", steady, settings, told, [verdict])
    if unit.counted:
        yield _native_scene(unit, "the last events alone are evidence, and old", nothing, settings, told, [verdict])


def _never_bad(unit: Unit, steady: Counted) -> dict[str, object]:
    """Events without a series of bad ones: the ratio is zero, not missing."""
    gauges = [each for each in _gauges(unit, [(steady, 41)]) if "bad_events" not in each["series"]]
    test = _test(unit, "healthy, without a series of bad events", gauges, [("30m", [])])
    return {**test, "promql_expr_test": [_burn_sample(unit, steady, "30m")]}


def _unproved(unit: Unit, outage: Counted, settings: Settings) -> dict[str, object]:
    """The daemon finds that chance may explain it: no page."""
    return _native_scene(unit, "an outage of a few events", outage, settings, Told(chance=0.5))


def _native_recovery(unit: Unit, outage: Counted, settings: Settings) -> dict[str, object]:
    """Short windows are good again, long ones still remember."""
    short = max((pair.short for pair in unit.objective.pairs if pair.severity is Severity.PAGE), default=timedelta(hours=2))
    better = {window: (0 if window <= short else bad, events) for window, (bad, events) in outage.items()}
    kept = max((pair.short for pair in unit.objective.pairs), default=CURRENT) // timedelta(minutes=1)
    checks = [("30m", expected(unit, outage, settings)), (f"{60 + kept + 20}m", expected(unit, better, settings))]
    return _test(unit, "outage and recovery", _gauges(unit, [(outage, 60), (better, kept + 31)]), checks)


def _native_absences(unit: Unit, windows: Iterable[timedelta], settings: Settings) -> Iterable[dict[str, object]]:
    """What is not known is told after its time and not before; not in maintenance."""
    wait = math.ceil(rules_alerts.absence_for(unit.objective) / timedelta(minutes=1))
    steps = wait + 60
    shown = _gauges(unit, [(dict.fromkeys(windows, (0, 10)), 11)])
    ticking = _status(unit, "qobs_slo_evaluation_timestamp_seconds", f"0+60x{steps}")
    silent = _status(unit, "qobs_slo_silent_sources", f"0x10 1x{steps}")
    heard = _status(unit, "qobs_slo_silent_sources", f"0x{steps}")
    excluded = _status(unit, "qobs_slo_state", f"1x{steps}", state="excluded")
    told, end = _absence_alert(unit, settings), f"{steps}m"
    gone: tuple[str, list[object]] = (f"{wait - 1}m", [])
    yield _absence_scene(unit, "a source falls silent", [*shown, ticking, silent], [(f"{wait}m", []), (end, told)])
    yield _absence_scene(unit, "all sources answer", [ticking, heard], [(end, [])])
    yield _absence_scene(unit, "nobody evaluates it", [], [gone, (end, told)])
    still = _status(unit, "qobs_slo_evaluation_timestamp_seconds", f"0x{steps}")
    yield _absence_scene(unit, "its evaluation stands still", [still, heard], [(f"{wait}m", []), (end, told)])
    yield _absence_scene(unit, "a source is silent in maintenance", [ticking, silent, excluded], [(end, [])])


def _absence_alert(unit: Unit, settings: Settings) -> list[object]:
    if not unit.objective.alert_when_no_data:
        return []
    return [
        {
            "exp_labels": rules_alerts.labels(unit, Severity.TICKET, rules_alerts.ABSENT, settings),
            "exp_annotations": rules_alerts.absence_annotations(unit, settings),
        }
    ]


def _absence_scene(
    unit: Unit, name: str, inputs: list[dict[str, str]], checks: Sequence[tuple[str, list[object]]]
) -> dict[str, object]:
    test = _test(unit, name, inputs, [(checks[-1][0], [])])
    absences = [{"eval_time": at, "alertname": unit.absence_alert, "exp_alerts": firing} for at, firing in checks]
    burns = test["alert_rule_test"]
    assert isinstance(burns, list)
    return {**test, "alert_rule_test": [*absences, *burns]}


def _gauges(unit: Unit, phases: Sequence[tuple[Counted, int]], told: Told = NOTHING_MORE) -> list[dict[str, str]]:
    """The daemon's gauges through some phases of so many minutes each."""
    made = []
    for window in phases[0][0]:
        name = unit.gauge_window(window)
        rows = [(counted[window], minutes) for counted, minutes in phases]
        if unit.counted:
            made.append(_status(unit, "qobs_slo_window_bad_events", _phased((bad, n) for (bad, _), n in rows), window=name))
            made.append(_status(unit, "qobs_slo_window_events", _phased((events, n) for (_, events), n in rows), window=name))
        else:
            ratios = ((bad / events if events else None, minutes) for (bad, events), minutes in rows)
            made.append(_status(unit, "qobs_slo_error_ratio", _phased(ratios), window=name))
    lasting = [(exhausted_in_seconds(unit, counted), minutes) for counted, minutes in phases]
    made.append(_status(unit, "qobs_slo_error_budget_exhaustion_seconds", _phased(lasting)))
    tiers = () if unit.counted else dict.fromkeys(pair.tier for pair in unit.objective.pairs if unit.gated(pair))
    for tier in tiers:
        chance = f"{told.chance:.15f}x{sum(minutes for _, minutes in phases)}"
        made.append(_status(unit, "qobs_slo_alert_chance_ratio", chance, severity=Severity.PAGE.value, tier=tier))
    return made


def _phased(values: Iterable[tuple[float | None, int]]) -> str:
    """Values in promtool's notation, each for so many minutes; None is a missing sample."""
    return " ".join(f"_x{minutes}" if value is None else f"{value!r}x{minutes - 1}" for value, minutes in values)


def _status(unit: Unit, name: str, values: str, **labels: str) -> dict[str, str]:
    place = {**labels, "service": unit.objective.service, "slo": unit.slo}
    return {"series": _series(name, place), "values": values}


# ------------------------------------------------------------------------------------------------- recording


def _recording(unit: Unit, labels: dict[str, str], settings: Settings) -> list[dict[str, object]]:
    rate = 10 * BUSY
    windows = recorded_windows(unit)
    scenes = {
        "healthy": [Phase(120, 0, rate)],
        "outage": [Phase(120, rate, rate)],
        "outage and recovery": [Phase(120, rate, rate), Phase(180, 0, rate)],
        "no traffic": [Phase(120, 0, 0)],
    }
    for pair in unit.objective.pairs:
        edge = Fraction(pair.factor) * Fraction(unit.objective.budget) * rate
        name = f"{pair.severity.value} {window_name(pair.long)}/{window_name(pair.short)}"
        for words, bad in (("under", math.ceil(edge) - 1), ("over", math.floor(edge) + 1)):
            scenes[f"{name} just {words} its limit"] = _burst(pair, min(bad, rate), rate)
    held = [_recording_scene(unit, labels, name, phases, windows, settings) for name, phases in scenes.items()]
    if unit.sparse:
        held += _single_failure(unit, labels)
    return [*held, _recorded_never_bad(unit, labels, rate), _reset(unit, labels, rate), *_absences(unit, labels, settings)]


def _burst(pair: Pair, bad: int, rate: int) -> list[Phase]:
    """Failures during the long window after a healthy time; for windows over six hours, failures from the start."""
    if pair.long > timedelta(hours=6):
        return [Phase(360, bad, rate)]
    minutes = max(5, pair.long // timedelta(minutes=5) * 5)
    return [Phase(240 if minutes <= 60 else 720, 0, rate), Phase(minutes, bad, rate)]


def _recording_scene(
    unit: Unit, labels: dict[str, str], name: str, phases: list[Phase], windows: Iterable[timedelta], settings: Settings
) -> dict[str, object]:
    end = sum(phase.minutes for phase in phases)
    counted = {window: _counted(phases, window) for window in windows}
    return _test(unit, name, _counters(labels, phases), [(f"{end}m", expected(unit, counted, settings))])


def _recorded_never_bad(unit: Unit, labels: dict[str, str], rate: int) -> dict[str, object]:
    """Events without a series of bad ones: the ratio is zero, not missing."""
    inputs = [each for each in _counters(labels, [Phase(120, 0, rate)]) if "bad_events" not in each["series"]]
    test = _test(unit, "healthy, without a series of bad events", inputs, [("120m", [])])
    return {**test, "promql_expr_test": [_burn_sample(unit, {CURRENT: (0, rate)}, "120m")]}


def _counted(phases: Iterable[Phase], window: timedelta) -> tuple[int, int]:
    """Events of the last ``window`` of the phases."""
    left = min(window // timedelta(minutes=1), sum(phase.minutes for phase in phases))
    bad = events = 0
    for phase in reversed(list(phases)):
        taken = min(left, phase.minutes)
        bad, events, left = bad + taken * phase.bad, events + taken * phase.events, left - taken
    return bad, events


def _counters(labels: dict[str, str], phases: list[Phase]) -> list[dict[str, str]]:
    return [
        {"series": _series("qobs_sli_bad_events_total", labels), "values": _climb([(p.minutes, p.bad) for p in phases])},
        {"series": _series("qobs_sli_events_total", labels), "values": _climb([(p.minutes, p.events) for p in phases])},
        {
            "series": _series("qobs_sli_window_events", {**labels, "window": "5m"}),
            "values": f"0x{sum(p.minutes for p in phases)}",
        },
    ]


def _climb(phases: Sequence[tuple[int, int]]) -> str:
    """A counter from 0 on, a sample a minute, in promtool's notation."""
    starts = [0, *accumulate(minutes * rate for minutes, rate in phases)]
    parts = ["0"]
    for start, (minutes, rate) in zip(starts, phases, strict=False):
        parts.append(f"{start + rate}+{rate}x{minutes - 1}")
    return " ".join(parts)


def _single_failure(unit: Unit, labels: dict[str, str]) -> list[dict[str, object]]:
    """The last of few jobs fails: a raw ratio would page, for the last hour has nothing but failures.

    Jobs are as rare as a day allows while one failure keeps the slowest pair quiet; nothing where a day is too short.
    """
    lowest = min((pair.factor for pair in unit.objective.pairs), default=None)
    if lowest is None:
        return []
    needed = math.ceil(2 / (lowest * unit.objective.budget))
    every = min(60, 22 * 60 // needed // 5 * 5)
    if every < 5:
        return []
    phases = [part for _ in range(needed) for part in (Phase(every - 1, 0, 0), Phase(1, 0, 1))]
    phases[-1] = Phase(1, 1, 1)
    test = _test(unit, "a single failure where there are few jobs", _counters(labels, phases), [(f"{needed * every}m", [])])
    return [test]


def _reset(unit: Unit, labels: dict[str, str], rate: int) -> dict[str, object]:
    """A counter that begins again is no negative event and no burst. Counts around it are estimates, so no words are compared."""
    values = f"0+{rate}x59 0+{rate}x120"
    inputs = [
        {"series": _series(name, labels), "values": values} for name in ("qobs_sli_bad_events_total", "qobs_sli_events_total")
    ]
    burns = [severity for severity in Severity if unit.pairs(severity)]
    test = _test(unit, "counter reset during an outage", inputs, [])
    selected = f'alertname={quoted(unit.burn_alert)},alertstate="firing",sloth_id={quoted(unit.id)}'
    test["promql_expr_test"] = [
        {
            "expr": f"max(slo:sli_error:ratio_rate{name}{unit.selected})",
            "eval_time": "2h",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for name in ("5m", "1h", "6h", "1d")
    ] + [{"expr": f"count(ALERTS{{{selected}}})", "eval_time": "2h", "exp_samples": [{"labels": "{}", "value": len(burns)}]}]
    return test


def _absences(unit: Unit, labels: dict[str, str], settings: Settings) -> Iterable[dict[str, object]]:
    """Silence of the source is told after its time and not before; with nothing at all there is nothing to say."""
    wait = math.ceil(rules_alerts.absence_for(unit.objective) / timedelta(minutes=1))
    steps = wait + 60
    shown = {"series": _series("qobs_sli_window_events", {**labels, "window": "5m"}), "values": "10x10"}
    known = {"series": _series("qobs_sli_events_total", labels), "values": f"10x{steps}"}
    place = {label: labels.get(label, "") for label in ("provider", "source")}
    polled = {"series": _series("qobs_data_staleness_seconds", {**place, "stream": "jobs"}), "values": f"0+60x{steps}"}
    told = _absence_alert(unit, settings)
    checks = [("10m", []), (f"{wait}m", []), (f"{10 + 5 + wait + 15}m", told)]
    yield _absence_scene(unit, "the source falls silent", [known, polled, shown], checks)
    yield _absence_scene(unit, "the source is no longer configured", [known, shown], [(f"{steps}m", [])])
    missing = _test(unit, "missing series", [], [("30m", [])])
    missing["promql_expr_test"] = [{"expr": f"slo:current_burn_rate:ratio{unit.selected}", "eval_time": "30m", "exp_samples": []}]
    yield missing


# --------------------------------------------------------------------------------------------------- promtool


def _group_names(unit: Unit) -> list[str]:
    """Groups in the order they build on one another; promtool has none of its own."""
    counted = f"sloth-slo-sli-recordings-{unit.id}"
    sources = [counted]
    if not unit.native:
        sources = [f"qobs-slo-counts-{unit.id}", counted, f"{counted}-day", f"{counted}-long"]
    return [*sources, f"sloth-slo-meta-recordings-{unit.id}", f"sloth-slo-alerts-{unit.id}"]


def _test(unit: Unit, name: str, inputs: list[dict[str, str]], checks: Iterable[tuple[str, list[object]]]) -> dict[str, object]:
    return {
        "name": f"{unit.id}: {name}",
        "interval": "1m",
        "input_series": inputs,
        "alert_rule_test": [{"eval_time": at, "alertname": unit.burn_alert, "exp_alerts": firing} for at, firing in checks],
    }


def _burn_sample(unit: Unit, counted: Counted, at: str) -> dict[str, object]:
    name = f"slo:current_burn_rate:ratio{unit.selected}"
    if CURRENT not in counted or counted[CURRENT][1] == 0:
        return {"expr": name, "eval_time": at, "exp_samples": []}
    bad, events = counted[CURRENT]
    labels = ", ".join(f"{label}={quoted(value)}" for label, value in sorted(unit.labels.items()))
    value = f"{bad / events / float(unit.objective.budget)!r}"
    return {
        "expr": name,
        "eval_time": at,
        "exp_samples": [{"labels": f"slo:current_burn_rate:ratio{{{labels}}}", "value": float(value)}],
    }


def _series(name: str, labels: Mapping[str, str]) -> str:
    return f"{name}{{{', '.join(f'{label}={quoted(labels[label])}' for label in sorted(labels))}}}"
