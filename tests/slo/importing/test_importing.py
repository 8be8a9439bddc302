"""Sloth, Pyrra and older OpenSLO in: what becomes of them, and that nothing is dropped without a word."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from qobs.errors import ConfigError
from qobs.slo.importing import Imported, annotated, export, import_documents
from qobs.slo.objective import Objective, PromSource, Rolling, Severity
from qobs.slo.openslo import load_objectives

FIXTURES = Path(__file__).parents[2] / "fixtures" / "slo"


def imported(name: str) -> tuple[Imported, dict[str, Objective]]:
    """The outcome for one fixture, and its objectives by SLO."""
    outcome = import_documents([(name, (FIXTURES / name).read_text(encoding="utf-8"))])
    return outcome, {objective.slo: objective for objective in load_objectives([("out.yaml", outcome.text)]).objectives}


def told(outcome: Imported) -> list[tuple[str, str]]:
    """Code and path of all that was not honoured."""
    return [(finding.code, finding.path) for finding in outcome.not_honoured]


def test_sloth_becomes_ratios_of_bad_events_with_sloths_severities() -> None:
    """A user of Sloth keeps queries, labels, runbook and who is woken by what."""
    _, objectives = imported("sloth.yaml")
    compiled = objectives["compile-success"]
    assert compiled.source == PromSource(
        total="sum(rate(transpile_total[{{.window}}]))", bad='sum(rate(transpile_total{outcome="error"}[{{.window}}]))'
    )
    assert (compiled.service, str(compiled.target), compiled.window) == (
        "transpiler",
        "0.995",
        Rolling(length=timedelta(days=30)),
    )
    assert compiled.labels == {"team": ("compilers",), "tier": ("1",)}
    assert [(pair.severity, str(pair.factor)) for pair in compiled.pairs] == [(Severity.PAGE, "14.4"), (Severity.PAGE, "6")]
    assert compiled.annotations["qobs.dev/alert-name"] == "TranspilerErrors"
    assert compiled.annotations["qobs.dev/runbook-url"] == "https://runbooks.example/transpiler"
    raw = objectives["compile-time"]
    assert isinstance(raw.source, PromSource)
    assert raw.source.raw.startswith("1 - (\n")
    assert (raw.source.raw_type, raw.pairs, raw.alert_when_no_data) == ("failure", (), False)


def test_everything_of_sloth_that_is_not_honoured_is_told() -> None:
    """A label that routed pages and silently vanished is found out at night."""
    outcome, objectives = imported("sloth.yaml")
    assert told(outcome) == [
        ("not_honoured", "labels._internal"),
        ("renamed", "slos[0].name"),
        ("not_honoured", "slos[0].infoLabels"),
        ("not_honoured", "slos[0].interval"),
        ("not_honoured", "slos[0].alerting.labels"),
        ("not_honoured", "slos[0].alerting.annotations.summary"),
        ("not_honoured", "slos[0].alerting.page_alert.labels"),
        ("not_honoured", "slos[2]"),
        ("not_honoured", "slos[2].sli.plugin"),
    ]
    assert set(objectives) == {"compile-success", "compile-time"}


def test_sloths_kubernetes_kind_is_read_with_its_own_spelling() -> None:
    """The same SLO as a file and as a Kubernetes object must give the same rules."""
    outcome, objectives = imported("sloth-kubernetes.yaml")
    assert objectives["submit-availability"].source == PromSource(
        total="sum(rate(submissions_total[{{.window}}]))", bad='sum(rate(submissions_total{code=~"5.."}[{{.window}}]))'
    )
    assert [pair.severity for pair in objectives["submit-availability"].pairs] == [Severity.TICKET, Severity.TICKET]
    assert told(outcome) == [
        ("not_honoured", "metadata"),
        ("not_honoured", "spec.slos[0].alerting.ticketAlert.annotations"),
        ("not_honoured", "status"),
    ]


def test_the_period_of_sloths_documents_is_an_argument() -> None:
    """Sloth keeps the period on its command line, so its files do not say it."""
    text = (FIXTURES / "sloth.yaml").read_text(encoding="utf-8")
    outcome = import_documents([("s", text)], period="28d")
    assert load_objectives([("o", outcome.text)]).objectives[0].window == Rolling(length=timedelta(days=28))
    with pytest.raises(ConfigError, match="30 days"):
        import_documents([("s", text)], period="30 days")


def test_pyrras_four_indicators_become_queries_with_a_window() -> None:
    """Pyrra's metrics are bare selectors: each kind of indicator counts in its own way."""
    _, objectives = imported("pyrra.yaml")
    assert {name: (item.source.good or item.source.bad, item.source.total) for name, item in objectives.items()} == {
        "gateway-errors": (
            'sum(increase(http_requests_total{job="gateway",code=~"5.."}[{{.window}}]))',
            'sum(increase(http_requests_total{job="gateway"}[{{.window}}]))',
        ),
        "gateway-latency": (
            'sum(increase(http_request_seconds_bucket{job="gateway",le="1"}[{{.window}}] offset 1m))',
            'sum(increase(http_request_seconds_count{job="gateway"}[{{.window}}] offset 1m))',
        ),
        "gateway-native": (
            'sum(histogram_fraction(0, 0.2, increase(http_request_seconds{job="gateway"}[{{.window}}])) '
            '* histogram_count(increase(http_request_seconds{job="gateway"}[{{.window}}])))',
            'sum(histogram_count(increase(http_request_seconds{job="gateway"}[{{.window}}])))',
        ),
        "gateway-up": (
            'sum(sum_over_time(up{job="gateway"}[{{.window}}]))',
            'sum(count_over_time(up{job="gateway"}[{{.window}}]))',
        ),
    }


def test_pyrras_labels_alerts_and_absence_are_kept() -> None:
    """`pyrra.dev/team` is the label `team` in Pyrra's rules, and `absent: false` was a decision."""
    _, objectives = imported("pyrra.yaml")
    errors = objectives["gateway-errors"]
    assert errors.labels == {"prometheus": ("k8s",), "team": ("operations",)}
    assert errors.annotations["app.kubernetes.io/part-of"] == "cloud"
    assert errors.annotations["qobs.dev/alert-name"] == "GatewayErrorBudgetBurn"
    assert (errors.alert_when_no_data, errors.service, str(errors.target)) == (False, "monitoring", "0.999")
    assert objectives["gateway-latency"].pairs == ()


def test_everything_of_pyrra_that_is_not_honoured_is_told() -> None:
    """Grouping is Pyrra's best known feature: dropping it silently would hide that one handler fails."""
    outcome, objectives = imported("pyrra.yaml")
    assert told(outcome) == [
        ("alert_windows", "spec.window"),
        ("not_honoured", "spec.indicator.ratio.grouping"),
        ("assumed", "metadata.namespace"),
        ("alert_windows", "items[0].spec.window"),
        ("interpolated", "items[0].spec.indicator.latencyNative.latency"),
        ("not_honoured", "items[0].spec.alerting.burnRateType"),
        ("alert_windows", "items[1].spec.window"),
        ("not_honoured", "items[1].spec.partial_response_strategy"),
        ("not_honoured", "items[2]"),
        ("latency.threshold_not_on_bucket", "items[2].spec.indicator.latency.success.metric"),
    ]
    assert "no-bucket" not in objectives


def test_v1alpha_becomes_one_slo_for_each_indicator() -> None:
    """Objectives with metrics of their own are a composite in v1, which is not what v1alpha meant."""
    outcome, objectives = imported("openslo-v1alpha.yaml")
    assert list(objectives) == ["gateway-success", "gateway-tiers-0", "gateway-tiers-1", "queue-length-0", "queue-length-1"]
    assert objectives["gateway-tiers-0"].source == PromSource(
        good="increase((sum(gold_ok_total))[{{.window}}:])", total="increase((sum(gold_total))[{{.window}}:])"
    )
    assert objectives["gateway-tiers-1"].time_slice_window == timedelta(minutes=1)
    assert objectives["queue-length-0"].window == Rolling(length=timedelta(weeks=1))
    assert {code for code, _ in told(outcome)} == {"assumed", "not_honoured", "split", "unreachable", "window_added"}
    lost = [finding.path for finding in outcome.not_honoured if finding.code == "not_honoured"]
    assert lost == ["spec.objectives[0].value", "spec.indicator.thresholdMetric.source", "spec.objectives[0]"]


def test_v2alpha_comes_out_as_v1() -> None:
    """Reading the next version is one thing; what is written must be the version that tools read."""
    outcome, objectives = imported("openslo-v2alpha.yaml")
    assert "v2alpha" not in outcome.text
    assert list(objectives) == ["gateway-success"]
    assert outcome.not_honoured == ()


def test_unknown_fields_of_openslo_are_left_out_and_told() -> None:
    """The outcome must load in strict mode, so a field that nobody reads cannot stay."""
    text = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: cloud}\nspec: {description: d, tier: 1}\n"
    outcome = import_documents([("a", text)])
    assert yaml.safe_load(outcome.text)["spec"] == {"description": "d"}
    assert told(outcome) == [("unknown_field", "spec.tier")]


def test_a_target_that_no_alert_could_reach_is_capped_and_told() -> None:
    """Sloth generates the unreachable page without a word; here it becomes one that can fire."""
    text = (FIXTURES / "sloth.yaml").read_text(encoding="utf-8").replace("objective: 99.5", "objective: 90")
    outcome = import_documents([("s", text)])
    assert ("unreachable", "slos[0].objective") in told(outcome)
    assert load_objectives([("o", outcome.text)]).objectives[0].annotations["qobs.dev/cap-factor"] == "true"


def test_names_that_meet_are_kept_apart_and_told() -> None:
    """Two services with an SLO of the same name are normal in Sloth, whose names hold the service."""
    text = (FIXTURES / "sloth.yaml").read_text(encoding="utf-8")
    outcome = import_documents([("a", text), ("b", text.replace("service: transpiler", "service: optimizer"))])
    names = {objective.slo for objective in load_objectives([("o", outcome.text)]).objectives}
    assert names == {"compile-success", "compile-time", "optimizer-compile-success", "optimizer-compile-time"}
    assert [finding.found for finding in outcome.not_honoured if finding.path == "metadata.name"] == [
        "compile-success",
        "compile-time",
    ]


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("[{{.window}}]", "[5m]", "slos[0].sli.events.error_query"),
        ("sum(rate(transpile_total{", "sum(rate(transpile_total{{", "slos[0].sli.events.error_query"),
        ('{outcome="error"}', "", "slos[0].sli.events.error_query"),
        ("objective: 99.5", "objective: 100", "slos[0].objective"),
        ("objective: 99.5", "objective: high", "slos[0].objective"),
    ],
)
def test_an_slo_that_cannot_be_made_is_left_out_and_told(old: str, new: str, path: str) -> None:
    """One wrong SLO among many must not stop the import, nor vanish from it."""
    text = (FIXTURES / "sloth.yaml").read_text(encoding="utf-8")
    assert old in text
    outcome = import_documents([("s", text.replace(old, new))])
    assert ("not_honoured", path) in told(outcome)
    assert "compile-success" not in outcome.text


def test_a_document_of_another_kind_is_refused() -> None:
    """A file given by mistake must not become an empty success."""
    with pytest.raises(ConfigError) as caught:
        import_documents([("d.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"), ("e.yaml", "- 1\n")])
    assert [(finding.file, finding.code) for finding in caught.value.findings] == [("d.yaml", "equal_to"), ("e.yaml", "type")]


def test_annotations_are_added_and_never_replaced() -> None:
    """What an author wrote wins over what a tool adds."""
    text = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: cloud, annotations: {a: mine}}\nspec: {}\n"
    (item,) = load_objectives([("a", text)]).objects
    body = yaml.safe_load(export([annotated(item, {"a": "theirs", "b": "added"})]))
    assert body["metadata"]["annotations"] == {"a": "mine", "b": "added"}


def test_export_is_the_same_bytes_every_time() -> None:
    """Generated files are committed and compared byte by byte."""
    loaded = load_objectives([("v2", (FIXTURES / "openslo-v2alpha.yaml").read_text(encoding="utf-8"))])
    assert export(loaded.objects) == export(loaded.objects)
    assert export(()) == ""


def test_what_still_cannot_load_is_told_with_its_file() -> None:
    """An error in generated text that names no file of the user's cannot be mended."""
    text = (FIXTURES / "openslo-v1alpha.yaml").read_text(encoding="utf-8").replace("service: gateway", "service: elsewhere", 1)
    with pytest.raises(ConfigError) as caught:
        import_documents([("old.yaml", text)])
    assert {(finding.file, finding.path, finding.code) for finding in caught.value.findings} == {
        ("old.yaml as openslo/v1", "spec.service", "ref_not_found")
    }


def mappings(node: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Paths of all mappings below a plain value."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    own = [path] if isinstance(node, dict) else []
    return own + [found for key, child in inner for found in mappings(child, (*path, key))]


def with_extra(node: object, path: tuple[object, ...]) -> object:
    """The plain value with one more field in the mapping at ``path``."""
    if isinstance(node, dict):
        inner = {key: with_extra(child, path[1:]) if path and key == path[0] else child for key, child in node.items()}
        return inner if path else inner | {"extra_field": "extra value"}
    if isinstance(node, list):
        return [with_extra(child, path[1:]) if path and index == path[0] else child for index, child in enumerate(node)]
    return node


@pytest.mark.parametrize("name", ["sloth.yaml", "sloth-kubernetes.yaml", "pyrra.yaml", "openslo-v1alpha.yaml"])
def test_no_field_anywhere_is_dropped_silently(name: str) -> None:
    """Whatever field the next version of a tool adds, wherever it stands: it is in the outcome, or it is told."""
    documents = list(yaml.safe_load_all((FIXTURES / name).read_text(encoding="utf-8")))
    silent = []
    for index, document in enumerate(documents):
        for path in mappings(document):
            text = yaml.safe_dump(with_extra(document, path), default_style=None)
            outcome = import_documents([("one.yaml", text)])
            where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).strip(".")
            honest = any(finding.path == where or "extra_field" in finding.path for finding in outcome.not_honoured)
            lost = [finding.path for finding in outcome.not_honoured if finding.code == "not_honoured" and finding.path]
            above = any(where.startswith(path_lost) for path_lost in lost)
            if not (honest or above or "extra_field" in outcome.text):
                silent.append((index, where))
    assert silent == []
