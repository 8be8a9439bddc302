"""Right documents: every kind and form, and what becomes of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from qobs.errors import ConfigError
from qobs.slo.objective import (
    PRESETS,
    Budgeting,
    Calendar,
    EmptySlice,
    NativeSource,
    Pair,
    PromSource,
    Rolling,
    Severity,
    ThresholdSource,
)
from qobs.slo.openslo import load_objectives

REFERENCED = """\
- {apiVersion: openslo/v1, kind: Service, metadata: {name: cloud}, spec: {description: The cloud}}
- {apiVersion: openslo/v1, kind: DataSource, metadata: {name: main}, spec: {type: Prometheus, connectionDetails: {url: x}}}
- apiVersion: openslo/v1
  kind: SLI
  metadata: {name: success}
  spec:
    ratioMetric:
      counter: true
      bad: {metricSource: {metricSourceRef: main, spec: {query: 'sum(rate(bad_total[{{ .window }}]))'}}}
      total: {metricSource: {metricSourceRef: main, spec: {query: 'sum(rate(all_total[{{.window}}]))'}}}
- apiVersion: openslo/v1
  kind: AlertNotificationTarget
  metadata: {name: on-call}
  spec: {target: pager}
- apiVersion: openslo/v1
  kind: AlertCondition
  metadata: {name: quick, annotations: {qobs.dev/short-window: 10m}}
  spec: {severity: HIGH, condition: {kind: burnrate, op: lte, threshold: 8, lookbackWindow: 1h, alertAfter: 5m}}
- apiVersion: openslo/v1
  kind: AlertPolicy
  metadata: {name: paging}
  spec:
    alertWhenNoData: true
    conditions: [{conditionRef: quick}]
    notificationTargets: [{targetRef: on-call}]
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: jobs, displayName: Jobs, labels: {team: [a, b], tier: gold}, annotations: {example.org/note: n}}
  spec:
    description: Jobs succeed.
    service: cloud
    indicatorRef: success
    timeWindow: [{duration: 4w, isRolling: true}]
    budgetingMethod: Occurrences
    objectives: [{displayName: main, targetPercent: 99.50}, {target: 0.9990}]
    alertPolicies: [{alertPolicyRef: paging}]
"""


def test_references_are_followed_across_documents_in_any_order() -> None:
    """A catalogue is written once and referred to: a lost reference would lose the alert with it."""
    loaded = load_objectives([("all.yaml", REFERENCED)])
    first, second = loaded.objectives
    assert first.source == PromSource(
        total="sum(rate(all_total[{{.window}}]))", bad="sum(rate(bad_total[{{.window}}]))", data_source="main"
    )
    hour, ten = timedelta(hours=1), timedelta(minutes=10)
    assert first.pairs == (Pair(severity=Severity.PAGE, tier="fast", long=hour, short=ten, factor=Decimal(8), policy="paging"),)
    assert (first.receivers, first.alert_when_no_data, first.alert_when_resolved) == (("on-call",), True, False)
    assert (first.labels, first.annotations) == ({"team": ("a", "b"), "tier": ("gold",)}, {"example.org/note": "n"})
    assert (first.slo, first.service, first.display_name, first.description) == ("jobs", "cloud", "Jobs", "Jobs succeed.")
    assert [(item.name, str(item.target)) for item in (first, second)] == [("main", "0.995"), ("1", "0.9990")]
    assert (first.window, first.file) == (Rolling(length=timedelta(weeks=4)), "all.yaml")
    assert [item.kind for item in loaded.objects].count("AlertCondition") == 1


def test_what_is_read_otherwise_than_written_is_told() -> None:
    """An operator who wrote lte or alertAfter must know what qobs does instead."""
    loaded = load_objectives([("all.yaml", REFERENCED)])
    told = [(finding.code, finding.document, finding.path) for finding in loaded.warnings]
    assert told == [
        ("inverted_op", 4, "spec.condition.op"),
        ("not_honoured", 4, "spec.condition.alertAfter"),
    ]


def test_files_refer_to_one_another() -> None:
    """Alert policies live in a file of their own in every real catalogue."""
    documents = REFERENCED.split("- apiVersion: openslo/v1\n  kind: SLO\n")
    slo = "- apiVersion: openslo/v1\n  kind: SLO\n" + documents[1]
    assert load_objectives([("slo.yaml", slo), ("shared.yaml", documents[0])]).objectives


def test_json_and_yaml_give_the_same(documents) -> None:
    """A generator that writes JSON, tabs included, must not get other objectives than a person who writes YAML."""
    body = {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": "jobs", "annotations": {}},
        "spec": {
            "service": "cloud",
            "indicator": {
                "metadata": {"name": "success"},
                "spec": {
                    "ratioMetric": {
                        "counter": True,
                        "good": {"metricSource": {"type": "qobs", "spec": {"sli": "job_success", "events": "good"}}},
                        "total": {"metricSource": {"type": "qobs", "spec": {"sli": "job_success", "events": "all"}}},
                    }
                },
            },
            "timeWindow": [{"duration": "30d", "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"target": 0.99}],
        },
    }
    from_yaml = load_objectives([("x", documents.slo())]).objectives
    for indent in (None, "\t", 2):
        assert load_objectives([("x", json.dumps(body, indent=indent))]).objectives == from_yaml
    assert load_objectives([("x", json.dumps([body]))]).objectives == from_yaml


def test_a_native_source_keeps_its_labels_sorted_and_unique(documents) -> None:
    """Two files that say the same in another order are the same indicator, and are counted once."""
    where = "where: {priority: high, backend: [b, a, b], team: '~q.*'}"
    text = documents.slo(edits=(("events: good", f"events: good, {where}"), ("events: all", where)))
    source = load_objectives([("a", text)]).objectives[0].source
    assert source == NativeSource(sli="job_success", where={"backend": ("a", "b"), "priority": ("high",), "team": ("~q.*",)})


def test_known_names_of_native_indicators_are_the_callers(documents) -> None:
    """An indicator that this build does not have must be refused, and one that it has accepted."""
    assert load_objectives([("a", documents.slo())], known_slis=("job_success",)).objectives
    with pytest.raises(ConfigError, match="job_success"):
        load_objectives([("a", documents.slo())], known_slis=("queue_wait",))


def test_a_calendar_window_keeps_its_start_zone_and_unit(documents) -> None:
    """A month in Madrid is neither 30 days nor a month in UTC."""
    window = "{duration: 1M, calendar: {startTime: 2026-01-31 00:00:00, timeZone: Europe/Madrid}}"
    objective = load_objectives([("a", documents.slo(window=window))]).objectives[0]
    assert objective.window == Calendar(
        start=datetime(2026, 1, 31),  # noqa: DTZ001 (local to the zone)
        time_zone="Europe/Madrid",
        count=1,
        unit="M",
    )
    assert [str(pair.factor) for pair in objective.pairs] == ["14.4", "6", "3", "1"]


@pytest.mark.parametrize(("unit", "days"), [("M", 30), ("Q", 90), ("Y", 365)])
def test_a_rolling_month_is_a_number_of_days_and_is_told(documents, unit: str, days: int) -> None:
    """Whoever writes a rolling month may expect a calendar month."""
    loaded = load_objectives([("a", documents.slo(period=f"1{unit}", target="0.999"))])
    assert loaded.objectives[0].window == Rolling(length=timedelta(days=days))
    assert [finding.code for finding in loaded.warnings] == ["rolling_calendar_unit"]


def test_time_slices_take_minutes_or_durations(documents) -> None:
    """`timeSliceWindow: 5` and `5m` are the same five minutes."""
    for written in ("5", "5m"):
        text = documents.slo(
            annotations="{qobs.dev/empty-slice: bad}",
            edits=(
                ("Occurrences", "Timeslices"),
                ("target: 0.99}", f"target: 0.99, timeSliceTarget: 0.9, timeSliceWindow: {written}}}"),
            ),
        )
        objective = load_objectives([("a", text)]).objectives[0]
        assert (objective.budgeting, objective.time_slice_target) == (Budgeting.TIMESLICES, 0.9)
        assert (objective.time_slice_window, objective.empty_slice) == (timedelta(minutes=5), EmptySlice.BAD)


def test_a_threshold_has_its_operator_and_value(documents) -> None:
    """A queue of 50 jobs at most: without the value there is nothing to compare with."""
    text = documents.slo().split("      ratioMetric:")[0]
    text += "      thresholdMetric: {metricSource: {type: prometheus, spec: {query: max(queue)}}}\n"
    text += "  timeWindow: [{duration: 30d, isRolling: true}]\n  budgetingMethod: Occurrences\n"
    text += "  objectives: [{target: 0.99, op: lte, value: 5e1}]\n"
    assert load_objectives([("a", text)]).objectives[0].source == ThresholdSource(query="max(queue)", op="lte", value=50.0)


def test_a_raw_ratio_has_no_evidence_gate_and_says_so(documents) -> None:
    """Without counts no chance can be computed: a gate on invented counts would be worse than none."""
    raw = "raw: {metricSource: {type: prometheus, spec: {query: 'x[{{.window}}]'}}}\n        rawType: failure\n"
    good, total = (line for line in documents.slo().splitlines(keepends=True) if "metricSource" in line)
    text = documents.slo(edits=((good, f"        {raw}"), (total, "")))
    loaded = load_objectives([("a", text)])
    assert not loaded.objectives[0].sparse.enabled
    assert [finding.code for finding in loaded.warnings] == ["raw_no_counts"]


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_sparse_annotation_chooses_a_preset(documents, preset: str) -> None:
    """The word in the file and the numbers that are used must belong together."""
    text = documents.slo(annotations=f"{{qobs.dev/sparse: '{preset}'}}")
    assert load_objectives([("a", text)]).objectives[0].sparse == PRESETS[preset]


COMPOSITE = """\
  objectives:
    - {{displayName: success, target: {first}, compositeWeight: 3, indicatorRef: success}}
    - {{displayName: wait, target: {second}, indicatorRef: wait}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {{name: success}}
spec: &sli
  ratioMetric:
    good: {{metricSource: {{type: qobs, spec: {{sli: job_success}}}}}}
    total: {{metricSource: {{type: qobs, spec: {{sli: job_success}}}}}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {{name: wait}}
spec:
  ratioMetric:
    good: {{metricSource: {{type: qobs, spec: {{sli: queue_wait}}}}}}
    total: {{metricSource: {{type: qobs, spec: {{sli: queue_wait}}}}}}
"""


def composite(documents, first: str, second: str, annotations: str = "{}") -> str:
    """Two indicators under one SLO."""
    text = documents.slo(annotations=annotations)
    head, tail = text.split("  indicator:\n")
    tail = tail[tail.index("  timeWindow") : tail.index("  objectives")]
    return head + tail + COMPOSITE.format(first=first, second=second)


def test_a_composite_is_one_objective_with_weighted_members(documents) -> None:
    """Two objectives with indicators of their own share one budget; as two SLOs each would page alone."""
    (objective,) = load_objectives([("a", composite(documents, "0.99", "0.99"))]).objectives
    assert (objective.name, objective.source, objective.worst_of, objective.target) == ("composite", None, False, Decimal("0.99"))
    assert [(member.name, member.weight, str(member.target)) for member in objective.members] == [
        ("success", 3.0, "0.99"),
        ("wait", 1.0, "0.99"),
    ]


def test_a_composites_budget_is_what_a_total_outage_burns(documents) -> None:
    """Burn and error ratio of a composite must agree: with all failing, the weighted burn is 1 over the budget."""
    (objective,) = load_objectives([("a", composite(documents, "0.99", "0.98"))]).objectives
    outage = (3 / Decimal("0.01") + 1 / Decimal("0.02")) / 4
    assert abs(objective.budget * outage - 1) < Decimal("1e-6")
    (worst,) = load_objectives([("a", composite(documents, "0.99", "0.98", "{qobs.dev/composite: worst_of}"))]).objectives
    assert (worst.worst_of, worst.target) == (True, Decimal("0.99"))


def test_lenient_mode_takes_what_strict_mode_refuses_and_tells_it(documents) -> None:
    """Documents of other tools carry fields of their own; they load, and nothing about them is hidden."""
    text = documents.slo(
        policies=documents.policy, edits=(("kind: burnrate, ", "tool: x, "), ("severity: critical", "severity: odd"))
    )
    with pytest.raises(ConfigError) as caught:
        load_objectives([("a", text)])
    assert {finding.code for finding in caught.value.findings} == {"unknown_field", "required"}
    loaded = load_objectives([("a", text)], strict=False)
    assert {finding.code for finding in loaded.warnings} == {"unknown_field", "required", "one_of"}
    assert loaded.objectives[0].pairs[0].severity is Severity.TICKET


def test_severity_words_may_be_a_sites_own(documents) -> None:
    """A site that says `wake` for page gets a page."""
    text = documents.slo(policies=documents.policy, edits=(("severity: critical", "severity: wake"),))
    loaded = load_objectives([("a", text)], severities={"wake": Severity.PAGE})
    assert loaded.objectives[0].pairs[0].severity is Severity.PAGE


def test_an_event_file_needs_no_readable_source(documents) -> None:
    """`slo evaluate` takes events from a file: a query for another tool must not stop it."""
    text = documents.slo(
        edits=(("type: qobs, spec: {sli: job_success, events: good}", "type: datadog, spec: {query: 'sum:x{*}'}"),)
    )
    text = text.replace(
        "type: qobs, spec: {sli: job_success, events: all}", "metricSourceRef: gone, spec: {query: 'rate(x[5m])'}"
    )
    with pytest.raises(ConfigError):
        load_objectives([("a", text)])
    loaded = load_objectives([("a", text)], ignore_sources=True)
    assert len(loaded.objectives) == 1
    assert {finding.code for finding in loaded.warnings} >= {"one_of", "ref_not_found"}


def test_v2alpha_is_read_under_its_own_names(documents) -> None:
    """The next version of the specification says the same with other names."""
    v2 = """\
apiVersion: openslo.com/v2alpha
kind: SLO
metadata: {name: jobs}
spec:
  serviceRef: cloud
  sli:
    metadata: {name: success}
    spec:
      ratioMetric:
        counter: true
        good: {dataSourceSpec: {type: qobs}, spec: {sli: job_success, events: good}}
        total: {dataSourceSpec: {type: qobs}, spec: {sli: job_success, events: all}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
"""
    assert load_objectives([("a", v2)]).objectives == load_objectives([("a", documents.slo())]).objectives


def test_merge_keys_and_anchors_are_followed(documents) -> None:
    """Catalogues share blocks by anchors; a merged block must count as written."""
    text = documents.slo(edits=(("{duration: 30d, isRolling: true}", "{<<: {duration: 7d, isRolling: true}, duration: 30d}"),))
    assert load_objectives([("a", text)]).objectives == load_objectives([("a", documents.slo())]).objectives


def test_a_file_without_documents_is_told() -> None:
    """An empty file in slo/ is more often a mistake than a wish."""
    loaded = load_objectives([("empty.yaml", "# nothing yet\n")])
    assert (loaded.objectives, [finding.code for finding in loaded.warnings]) == ((), ["no_documents"])


def test_annotations_with_a_wrong_name_are_told(documents) -> None:
    """A misspelt annotation changes nothing, and nobody would notice."""
    loaded = load_objectives([("a", documents.slo(annotations="{qobs.dev/spars: quiet}"))])
    (finding,) = loaded.warnings
    assert (finding.code, finding.hint) == ("unknown_annotation", "did you mean `qobs.dev/sparse`?")


def test_objectives_of_one_name_stay_apart(documents) -> None:
    """Two objectives with one display name would share their series and overwrite each other."""
    text = documents.slo(
        edits=(("    - {target: 0.99}", "    - {target: 0.99, displayName: a}\n    - {target: 0.98, displayName: a}"),)
    )
    loaded = load_objectives([("a", text)])
    assert [item.name for item in loaded.objectives] == ["a", "1"]
    assert [finding.code for finding in loaded.warnings] == ["duplicate_name"]
