"""Rules of the alerts on failure modes and on qobs itself, and their unit tests, made of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from qobs.export.rules_unit import Group, Rule, Settings
from qobs.export.self_alert import Inputs, SelfAlert
from qobs.export.self_alerts import alerts


def groups(settings: Settings) -> list[Group]:
    """Two groups of alerting rules: maintenance is looked at as often as what it mutes."""
    muting, *others = (_rule(alert, settings) for alert in alerts(settings))
    return [
        {"name": "qobs-maintenance", "interval": "30s", "rules": [muting]},
        {"name": "qobs-failure-modes", "interval": "1m", "rules": others},
    ]


def _rule(alert: SelfAlert, settings: Settings) -> Rule:
    rule: Rule = {
        "alert": alert.name,
        "expr": alert.expression,
        "keep_firing_for": "5m",
        "labels": _labels(alert, settings),
        "annotations": _texts(alert, settings, {label: f"{{{{ $labels.{label} }}}}" for label in alert.labels}, None),
    }
    return {**rule, "for": alert.wait} if alert.wait else rule


def _labels(alert: SelfAlert, settings: Settings) -> dict[str, str]:
    return {
        "severity": settings.severities[alert.severity],
        **({} if "service" in alert.silent_labels else {"service": "qobs"}),
        "owner": settings.owner,
        "failure_mode": alert.mode,
    }


def _texts(alert: SelfAlert, settings: Settings, labels: dict[str, str], shown: str | None) -> dict[str, str]:
    value = f"{{{{ $value | {alert.form} }}}}" if shown is None else shown
    link = f"{settings.dashboard_base.rstrip('/')}/{alert.dashboard}?from=now-6h&to=now"
    for label in alert.labels:
        link += f"&var-{label}={labels[label]}"
    return {
        "summary": alert.summary.format(**labels, value=value),
        "description": alert.description.format(**labels, value=value),
        "runbook_url": settings.runbook(alert.name),
        "dashboard_url": link,
    }


def tests(settings: Settings, rule_file: str) -> dict[str, object]:
    """Unit tests of the table for promtool: each alert fires on its inputs with every word, and stays quiet on the others.

    Scenes whose alerts read different metrics cannot disturb one another, and share a test: promtool starts each from nothing.
    """
    shared: list[tuple[set[str], list[Scene]]] = []
    for scene in _scenes(settings):
        metrics = set(re.findall(r"qobs_\w+", scene.alert.expression))
        for taken, scenes in shared:
            if taken.isdisjoint(metrics):
                taken |= metrics
                scenes.append(scene)
                break
        else:
            shared.append((metrics, [scene]))
    return {"rule_files": [rule_file], "evaluation_interval": "5m", "tests": [_test(scenes) for _, scenes in shared]}


class Scene(NamedTuple):
    """Inputs, and what the alert must show for them."""

    name: str
    alert: SelfAlert
    inputs: Inputs
    expected: tuple[object, ...] = ()


def _scenes(settings: Settings) -> Iterator[Scene]:
    for alert in alerts(settings):
        expected = {
            "exp_labels": {**alert.labels, **alert.silent_labels, **_labels(alert, settings)},
            "exp_annotations": _texts(alert, settings, alert.labels, alert.shown),
        }
        yield Scene(f"{alert.name} fires", alert, alert.fires, (expected,))
        for index, inputs in enumerate(alert.quiet, 1):
            yield Scene(f"{alert.name} stays quiet ({index})", alert, inputs)


def _test(scenes: Iterable[Scene]) -> dict[str, object]:
    held = tuple(scenes)
    return {
        "name": "; ".join(scene.name for scene in held),
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for scene in held for series, values in scene.inputs],
        "alert_rule_test": [
            {"eval_time": scene.alert.at, "alertname": scene.alert.name, "exp_alerts": list(scene.expected)} for scene in held
        ],
    }
