"""Lints of our own over everything that is generated: names exist, divisions are guarded, alerts say what they must."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.export.metrics import METRICS
from qobs.export.rules import generate
from qobs.export.rules_unit import Mode, Settings
from qobs.export.rules_yaml import to_yaml
from qobs.export.self_alerts import alerts
from qobs.slo.objective import Objective, Severity

LABELS = {metric.name: set(metric.labels) for metric in METRICS}
COUNTERS = {metric.name for metric in METRICS if metric.kind == "counter"}
IDENTITY = {
    "sloth_id",
    "sloth_service",
    "sloth_slo",
    "sloth_window",
    "alertname",
    "alertstate",
    "member",
    "qobs_state",
    "__name__",
}
NESTED = r"\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*? (?:> 0|>= 3|> 5)\s*\)"
GUARD = re.compile(rf"^(?:on \([^)]*\)\s*)?(?:[0-9.]+\b|slo:error_budget:ratio|{NESTED}|scalar\(clamp_min\()")
"""A constant, something that is filtered to be above zero, or something that is kept above zero."""


@pytest.fixture(scope="module", params=list(Mode))
def rules(request: pytest.FixtureRequest, catalogue: tuple[Objective, ...]) -> list[dict[str, Any]]:
    """Every rule of one mode."""
    files = generate(catalogue, mode=request.param)
    texts = [text for name, text in files.items() if name.startswith("alerts/rules/")]
    return [rule for text in texts for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def fired(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alerts among them."""
    return [rule for rule in rules if "alert" in rule]


def selectors(expression: str) -> list[tuple[str, str]]:
    """(metric, text of its matchers) of every metric of qobs."""
    return re.findall(r"\b(qobs_[a-z0-9_]+)(?:\{([^}]*)\})?", re.sub(r"qobs_(?:state|tier|mode)\b(?!=)", "", expression))


def unknown(expression: str) -> list[str]:
    """Metrics and labels that do not exist."""
    used = [(metric, set(re.findall(r"(\w+)(?:=~|!=|!~|=)", matchers))) for metric, matchers in selectors(expression)]
    wrong = [metric for metric, _ in used if metric not in LABELS]
    wrong += [f"{metric}{{{label}}}" for metric, labels in used if metric in LABELS for label in labels - LABELS[metric]]
    known = set().union(IDENTITY, *(LABELS.get(metric, set()) for metric, _ in used))
    grouped = {
        label.strip() for group in re.findall(r"\b(?:by|on|without) \(([^)]*)\)", expression) for label in group.split(",")
    }
    return wrong + sorted(label for label in grouped - {""} if label not in known)


def unguarded(expression: str) -> list[str]:
    """Divisions by something that may be zero."""
    text = re.sub(r'"[^"]*"', '""', expression)
    return [
        text[match.start() : match.start() + 60]
        for match in re.finditer(r"/\s", text)
        if not GUARD.match(text[match.end() :].lstrip())
    ]


def bare_counters(expression: str) -> list[str]:
    """Counters whose value is compared as it is: they only mean something as an increase, or by being there."""
    text = re.sub(r"(?:increase|rate)\(qobs_\w+(?:\{[^}]*\})?\[", "", expression)
    text = re.sub(r"count by \([^)]*\) \(qobs_\w+(?:\{[^}]*\})?\)", "", text)
    text = re.sub(r"sum by \([^)]*\) \(qobs_\w+\) unless sum by \([^)]*\) \(qobs_\w+ offset \w+\)", "", text)
    return [metric for metric, _ in selectors(text) if metric in COUNTERS]


def test_rules_name_only_metrics_and_labels_that_exist(rules: list[dict[str, Any]]) -> None:
    """A rule on a metric that nobody exports is silent for ever."""
    assert [found for rule in rules for found in unknown(rule["expr"])] == []


def test_every_division_is_guarded(rules: list[dict[str, Any]]) -> None:
    """Zero by zero is NaN, and NaN is neither above nor below anything."""
    assert [found for rule in rules for found in unguarded(rule["expr"])] == []


def test_counters_are_read_as_increases(rules: list[dict[str, Any]]) -> None:
    """A counter's value says how old it is, not how bad it is."""
    assert [found for rule in rules for found in bare_counters(rule["expr"])] == []


def test_the_lints_find_what_they_look_for() -> None:
    """A lint that never fires is decoration."""
    assert unknown('sum(qobs_nothing) + sum by (colour) (qobs_jobs{shape="x"})') == ["qobs_nothing", "qobs_jobs{shape}", "colour"]
    assert unguarded("sum(qobs_series) / sum(qobs_series_limit)") != []
    assert unguarded("sum(qobs_series) / (sum(qobs_series_limit) > 0)") == []
    assert bare_counters("qobs_poll_total > 5") == ["qobs_poll_total"]


def test_groups_run_at_most_every_five_minutes_and_have_names_of_their_own(catalogue: tuple[Objective, ...]) -> None:
    """Slower groups leave holes in graphs; equal names in one file are refused."""
    for mode in Mode:
        for name, text in generate(catalogue, mode=mode).items():
            if name.startswith("alerts/rules/"):
                groups = yaml.safe_load(text)["groups"]
                assert {group["interval"] for group in groups} <= {"30s", "1m", "2m", "5m"}
                assert max(Counter(group["name"] for group in groups).values()) == 1


def test_recorded_names_follow_the_convention(rules: list[dict[str, Any]]) -> None:
    """Level, metric, operation; colons belong to recorded names only."""
    names = {rule["record"] for rule in rules if "record" in rule}
    assert [name for name in names if not re.fullmatch(r"(?:slo|qobs):[a-z_]+:[a-z0-9_]+|sloth_slo_info", name)] == []
    assert {"slo:sli_error:ratio_rate5m", "slo:sli_error:ratio_rate30d", "slo:current_burn_rate:ratio"} <= names


def test_alerts_are_named_and_labelled_by_the_conventions(fired: list[dict[str, Any]]) -> None:
    """Routing, ownership and dedup hang on these labels; a value among them makes a new alert of every change."""
    for alert in fired:
        labels = alert["labels"]
        assert re.fullmatch(r"Qobs[A-Z][A-Za-z]+|[A-Z][A-Za-z0-9]+SLO(?:Burn|NoData)", alert["alert"])
        assert labels["severity"] in {"page", "ticket", "info"}
        assert labels["owner"]
        assert "service" in labels or '"service", "qobs", "service", ""' in alert["expr"]
        assert not [value for value in labels.values() if "$value" in value or "{{" in value]
        assert alert["keep_firing_for"]


def test_alerts_say_what_who_and_where_to_go(fired: list[dict[str, Any]]) -> None:
    """A page at three in the morning without a runbook is a riddle."""
    for alert in fired:
        annotations = alert["annotations"]
        assert {"summary", "description", "runbook_url", "dashboard_url"} <= annotations.keys()
        assert all(annotations.values())
        assert "\n" not in annotations["summary"]


def test_an_alert_has_one_identity_for_each_objective_and_severity(fired: list[dict[str, Any]]) -> None:
    """Two identities are two pages for one incident."""
    identities = Counter((rule["alert"], rule["labels"]["severity"], rule["labels"].get("sloth_id")) for rule in fired)
    assert set(identities.values()) == {1}


def test_every_failure_mode_with_a_signal_has_an_alert() -> None:
    """F4, F7, F9 and F10 have no signal yet; all others must be told."""
    modes = {alert.mode for alert in alerts(Settings())}
    assert modes == {"F1", "F2", "F3", "F5", "F6", "F8", "self"}
    pages = {alert.name for alert in alerts(Settings()) if alert.severity is Severity.PAGE}
    assert pages == {"QobsAuthFailing", "QobsDown", "QobsProviderDown", "QobsStoreWriteFailures"}


def test_every_catalogue_objective_has_an_owner_a_runbook_and_a_signal(catalogue: tuple[Objective, ...]) -> None:
    """Nobody answers for an objective without an owner."""
    assert len(catalogue) >= 5
    for objective in catalogue:
        assert objective.labels["owner"]
        assert objective.annotations["qobs.dev/runbook-url"]
        assert objective.description.startswith("M")


TREE: Callable[[Any], Any] = lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)  # noqa: E731


@settings(derandomize=True, max_examples=60)
@given(
    value=st.dictionaries(
        st.text(max_size=6), st.recursive(st.text(max_size=12) | st.booleans() | st.integers(), TREE, max_leaves=8), min_size=1
    )
)
def test_yaml_survives_a_round_trip(value: dict[str, Any]) -> None:
    """A rule that is read back as another rule is another rule."""
    assert yaml.safe_load(to_yaml(value)) == value


@pytest.mark.parametrize(
    "text", ["yes", "null", "1h", "0.5", "1e3", "12:30", "a: b", "# no", "- x", "a\n  b", " x", "x\n", "", "~", "é\u0085"]
)
def test_yaml_keeps_text_text(text: str) -> None:
    """`on` becoming true, or 1:30 becoming 90, is how YAML breaks alerts."""
    assert yaml.safe_load(to_yaml({"k": text, "l": [text]})) == {"k": text, "l": [text]}


def test_the_document_lists_every_alert(catalogue: tuple[Objective, ...]) -> None:
    """Who reads docs/alerts.md must not meet an alert that it does not know."""
    text = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()
    assert [alert.name for alert in alerts(Settings()) if f"`{alert.name}`" not in text] == []
    assert [objective.slo for objective in catalogue if f"slo/{objective.slo}.yaml" not in text] == []
