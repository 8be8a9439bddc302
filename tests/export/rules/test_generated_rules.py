"""What is generated is right by Prometheus' own tools, by arithmetic of its own, and byte for byte what is committed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from qobs.errors import ConfigError
from qobs.export.rules import differences, generate
from qobs.export.rules_unit import Mode, Settings
from qobs.slo.objective import (
    Budgeting,
    Calendar,
    Member,
    NativeSource,
    Objective,
    PromSource,
    Rolling,
    Severity,
    Sparse,
    ThresholdSource,
)

ROOT = Path(__file__).parents[3]
COMMITTED = sorted((ROOT / "alerts" / "tests").glob("*.yaml"))
Make = Callable[..., Objective]
Write = Callable[[Mapping[str, str]], Path]


SLICES: dict[str, Any] = {
    "budgeting": Budgeting.TIMESLICES,
    "time_slice_target": 0.9,
    "time_slice_window": timedelta(minutes=5),
}
MEMBERS = (
    Member(name="success", source=NativeSource(sli="job_success"), target=Decimal("0.95"), weight=3),
    Member(name="wait", source=NativeSource(sli="queue_wait"), target=Decimal("0.9"), weight=1),
)
MONTH = Calendar(start=datetime(2026, 1, 1), time_zone="Europe/Paris", count=1, unit="M")  # noqa: DTZ001


def rules_of(files: Mapping[str, str], name: str = "alerts/rules/jobs-success.yaml") -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(files[name])["groups"] for rule in group["rules"]]


def alerts_of(files: Mapping[str, str]) -> list[dict[str, Any]]:
    return [rule for rule in rules_of(files) if "alert" in rule]


def expression(files: Mapping[str, str], record: str) -> str:
    [found] = [rule["expr"] for rule in rules_of(files) if rule.get("record") == record]
    return str(found)


def prometheus(total: str = "sum(rate(jobs_total[{{.window}}]))", **more: str) -> PromSource:
    return PromSource(total=total, **(more or {"bad": 'sum(rate(jobs_total{code=~"5.."}[{{.window}}]))'}))


# ------------------------------------------------------------------------------------------------- committed


def test_committed_alerts_are_generated_from_the_catalogue(catalogue: tuple[Objective, ...]) -> None:
    """Somebody who edits slo/ and forgets `qobs generate` would be alerted by yesterday's objectives."""
    existing = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "alerts").rglob("*") if path.is_file()}
    assert differences(generate(catalogue), existing) == ()


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_unit_tests_pass(path: Path, promtool: Any) -> None:
    """An alert that nobody has seen fire does not fire when it must."""
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_every_committed_rule_file_has_unit_tests() -> None:
    """A rule file without tests would be trusted for nothing."""
    assert {path.name for path in COMMITTED} == {path.name for path in (ROOT / "alerts" / "rules").glob("*.yaml")}
    assert len(COMMITTED) >= 6


@pytest.mark.parametrize("mode", Mode)
def test_prometheus_accepts_every_rule(mode: Mode, catalogue: tuple[Objective, ...], write: Write, promtool: Any) -> None:
    """One rule that Prometheus refuses stops it from loading any."""
    folder = write(generate(catalogue, mode=mode))
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *(folder / "alerts" / "rules").glob("*.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mode", Mode)
def test_unit_tests_of_both_modes_pass(mode: Mode, objective: Make, fast: Any, write: Write, promtool: Any) -> None:
    """Both modes are offered, so both must fire and stay quiet as the arithmetic says."""
    files = generate([objective(pairs=(fast,))], mode=mode)
    done = promtool("test", "rules", write(files) / "alerts/tests/jobs-success.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("preset", [Sparse(enabled=False), Sparse(alpha=1e-5), Sparse(alpha=1e-3)])
def test_unit_tests_pass_with_every_evidence_setting(preset: Sparse, objective: Make, write: Write, promtool: Any) -> None:
    """With the gate off a single failure pages, and the generated tests must say so too."""
    files = generate([objective(target=Decimal("0.99"), sparse=preset)])
    done = promtool("test", "rules", write(files) / "alerts/tests/jobs-success.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ratio_rate1h{sloth_id=\"jobs-success\"} > 0.72)", "ratio_rate1h{sloth_id=\"jobs-success\"} >= 0.72)"),
        ("ratio_rate1h{sloth_id=\"jobs-success\"} > 0.72)", "ratio_rate1h{sloth_id=\"jobs-success\"} > 0.725)"),
        ("kl1h{sloth_id=\"jobs-success\"} > 9.210340372", "kl1h{sloth_id=\"jobs-success\"} > 2"),
        ("(qobs:slo_events:count1h{sloth_id=\"jobs-success\"} > 0)", "qobs:slo_events:count6h{sloth_id=\"jobs-success\"}"),
        ("window=\"5m\"}) * 0", "window=\"5m\"}) * 1"),
        ("keep_firing_for: 5m", "keep_firing_for: 3h"),
        ("silent_sources{service=\"jobs\",slo=\"success\"}) > 0", "silent_sources{service=\"jobs\",slo=\"success\"}) >= 0"),
        ("absent(max(qobs_slo_silent_sources", "absent(max(qobs_slo_objective_ratio"),
        ("\"}) > 600", "\"}) > 6000000"),
        ("tier=\"evidence\"}) == 1)", "tier=\"fast\"}) == 1)"),
        ("(max(qobs_slo_state{service=\"jobs\",slo=\"success\",state=\"excluded\"}) == 1)", "vector(2) > 3"),
        ("topk(3, ", "topk(1, "),
    ],
)  # fmt: skip
def test_a_wrong_rule_fails_its_unit_tests(
    right: str, wrong: str, objective: Make, fast: Any, write: Write, promtool: Any
) -> None:
    """Tests that agree with any rule would let a broken pager through."""
    files = dict(generate([objective(pairs=(fast,), sparse=Sparse(alpha=1e-4))]))
    name = "alerts/rules/jobs-success.yaml"
    assert right in files[name]
    files[name] = files[name].replace(right, wrong)
    assert promtool("test", "rules", write(files) / "alerts/tests/jobs-success.yaml").returncode != 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("unless on (provider, source)", "and on (provider, source)"),
        ("[5m])) * 0", "[5m])) * 1"),
    ],
)
def test_a_wrong_recorded_rule_fails_its_unit_tests(
    right: str, wrong: str, objective: Make, fast: Any, write: Write, promtool: Any
) -> None:
    """The recording mode is offered too, and its tests must not agree with any rule either."""
    files = dict(generate([objective(pairs=(fast,))], mode=Mode.RECORDING))
    name = "alerts/rules/jobs-success.yaml"
    assert right in files[name]
    files[name] = files[name].replace(right, wrong)
    assert promtool("test", "rules", write(files) / "alerts/tests/jobs-success.yaml").returncode != 0


# ------------------------------------------------------------------------------------------------ deterministic


@pytest.mark.parametrize("mode", Mode)
def test_order_and_place_of_the_files_change_nothing(mode: Mode, catalogue: tuple[Objective, ...]) -> None:
    """Two people who generate from the same objectives must not see each other's noise in a review."""
    shuffled = list(catalogue)
    random.Random(7).shuffle(shuffled)
    assert generate(shuffled, mode=mode) == generate(catalogue, mode=mode)


def test_the_header_names_the_file_to_edit_and_no_folder_of_this_machine(objective: Make) -> None:
    """Whoever opens a generated file must learn where to change it, the same on every machine."""
    text = generate([objective(file="/somewhere/slo/success.yaml")])["alerts/rules/jobs-success.yaml"]
    assert text.startswith("# generated from slo/success.yaml, edit that")
    assert "somewhere" not in text


@pytest.mark.parametrize(
    ("target", "objective_ratio", "budget", "limit"), [("0.95", "0.95", "0.05", "0.72"), ("0.999", "0.999", "0.001", "0.0144")]
)
def test_constants_are_decimals(target: str, objective_ratio: str, budget: str, limit: str, objective: Make) -> None:
    """0.0010000000000000009 in a rule is a ratio nobody agreed to."""
    files = generate([objective(target=Decimal(target))])
    assert expression(files, "slo:objective:ratio") == f"vector({objective_ratio})"
    assert expression(files, "slo:error_budget:ratio") == f"vector({budget})"
    assert f'ratio_rate1h{{sloth_id="jobs-success"}} > {limit})' in alerts_of(files)[0]["expr"]


# --------------------------------------------------------------------------------------------------- findings


@pytest.mark.parametrize(
    ("changes", "mode", "code", "found"),
    [
        ({"source": NativeSource(sli="result_consistency")}, Mode.NATIVE, "rules.unknown_sli", "result_consistency"),
        ({"source": NativeSource(sli="job_success", where={"qubit": ("1",)})}, Mode.RECORDING, "rules.unknown_label", "qubit"),
        (SLICES, Mode.RECORDING, "rules.budgeting", "Timeslices"),
        ({**SLICES, "source": ThresholdSource(query="x", op="lte", value=1.0)}, Mode.NATIVE, "rules.budgeting", "Timeslices"),
        ({"source": None, "members": MEMBERS}, Mode.RECORDING, "rules.composite", "a composite"),
    ],
)  # fmt: skip
def test_what_rules_cannot_say_is_a_finding(changes: dict[str, Any], mode: Mode, code: str, found: str, objective: Make) -> None:
    """An objective that is left out silently is an objective that nobody watches."""
    with pytest.raises(ConfigError) as caught:
        generate([objective(**changes)], mode=mode)
    [finding] = caught.value.findings
    assert (finding.code, finding.found, finding.file) == (code, found, "slo/success.yaml")


def test_a_window_of_ones_own_is_read_in_both_modes(objective: Make, fast: Any, write: Write, promtool: Any) -> None:
    """The daemon reads every window that a pair asks for: an alert on a gauge that does not exist looks like health."""
    odd = type(fast)(
        severity=fast.severity, tier="fast", long=timedelta(minutes=14), short=timedelta(minutes=5), factor=Decimal(14)
    )
    for mode in Mode:
        files = generate([objective(pairs=(odd,))], mode=mode)
        assert "count14m" in files["alerts/rules/jobs-success.yaml"]
    done = promtool("test", "rules", write(generate([objective(pairs=(odd,))])) / "alerts/tests/jobs-success.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_all_findings_come_at_once(objective: Make) -> None:
    """One mistake a run is a long evening."""
    wrong = [objective(slo=name, source=NativeSource(sli="cost_within_budget")) for name in ("a", "b")]
    with pytest.raises(ConfigError) as caught:
        generate(wrong)
    assert len(caught.value.findings) == 2


def test_differences_name_what_is_missing_changed_and_left_over() -> None:
    """`--check` must say what to do, not only that something is wrong."""
    found = differences(
        {"alerts/a": "1\n2\n", "alerts/b": "same\n", "alerts/d": "new\n"},
        {"alerts/a": "1\n3\n", "alerts/b": "same\n", "alerts/c": "old\n", "elsewhere": "mine\n"},
    )
    assert [(finding.file, finding.found, finding.line) for finding in found] == [
        ("alerts/a", "differs from line 2 on", 2),
        ("alerts/c", "not generated from any objective", None),
        ("alerts/d", "missing", None),
    ]


# ------------------------------------------------------------------------------------------------ other sources


@pytest.mark.parametrize(
    "changes",
    [
        {"source": prometheus()},
        {"source": prometheus(good='sum(rate(jobs_total{code="200"}[{{.window}}]))')},
        {"source": PromSource(raw="avg_over_time(up[{{.window}}])", raw_type="success")},
        {"source": ThresholdSource(query="max(queue_seconds)", op="lte", value=300.0)},
        {"window": MONTH},
        {"window": Rolling(length=timedelta(days=28))},
        {"labels": {"team": ("chemistry",), "2nd-line": ("a {{ b",)}, "receivers": ("chem-pager",)},
        {"source": NativeSource(sli="job_success", where={"backend": ("ibm_fez", "ibm.torino+"), "team": ("~chem.*",)})},
        {"alert_when_no_data": False, "pairs": ()},
    ],
)  # fmt: skip
def test_every_kind_of_source_gives_rules_that_prometheus_accepts(
    changes: dict[str, Any], objective: Make, write: Write, promtool: Any
) -> None:
    """People bring PromQL, thresholds, calendars and regular expressions."""
    for mode in Mode:
        folder = write(generate([objective(**changes)], mode=mode))
        done = promtool("check", "rules", "--lint=all", "--lint-fatal", folder / "alerts/rules/jobs-success.yaml")
        assert done.returncode == 0, done.stdout + done.stderr


def test_promql_objectives_are_recorded_in_native_mode_too(objective: Make) -> None:
    """There is no gauge of qobs for what only Prometheus knows."""
    native, recording = (generate([objective(source=prometheus())], mode=mode) for mode in Mode)
    assert rules_of(native) != []
    assert "qobs_sli_window" not in native["alerts/rules/jobs-success.yaml"]
    assert expression(native, "qobs:slo_events:count1h") == "sum(sum(rate(jobs_total[1h]))) * 3600"
    assert expression(native, "qobs:slo_events:count1h") == expression(recording, "qobs:slo_events:count1h")


def test_days_are_sums_of_five_minute_counts_never_means_of_ratios(objective: Make) -> None:
    """A mean of ratios reads 1 % where 13 % of the jobs failed in a burst."""
    files = generate([objective()], mode=Mode.RECORDING)
    for window in ("1d", "3d", "30d"):
        counts = expression(files, f"qobs:slo_errors:count{window}")
        assert counts == f'sum_over_time(qobs:slo_errors:increase5m{{sloth_id="jobs-success"}}[{window}])'
    assert "avg_over_time" not in files["alerts/rules/jobs-success.yaml"]
    assert "qobs_sli_bad_events_total" in expression(files, "qobs:slo_errors:count6h")
    [counts_group] = [
        group
        for group in yaml.safe_load(files["alerts/rules/jobs-success.yaml"])["groups"]
        if group["name"].startswith("qobs-slo-counts")
    ]
    assert counts_group["interval"] == "5m"


# ------------------------------------------------------------------------------------- what the daemon works out


@pytest.mark.parametrize(
    "changes",
    [
        {"source": None, "members": MEMBERS},
        {"source": None, "members": MEMBERS, "worst_of": True, "sparse": Sparse(enabled=False)},
        SLICES,
        {**SLICES, "budgeting": Budgeting.RATIO_TIMESLICES, "time_slice_target": None},
        {**SLICES, "source": None, "members": MEMBERS},
        {"window": MONTH},
        {"window": MONTH, **SLICES},
    ],
    ids=["composite", "worst of", "slices", "slice ratios", "slices of members", "month", "slices of a month"],
)
def test_what_the_daemon_works_out_alerts_in_native_mode(
    changes: dict[str, Any], objective: Make, fast: Any, write: Write, promtool: Any
) -> None:
    """Composites, time slices and calendar periods page like everything else, at exactly their limits."""
    folder = write(generate([objective(pairs=(fast,), **changes)]))
    rules, tests = folder / "alerts/rules/jobs-success.yaml", folder / "alerts/tests/jobs-success.yaml"
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", rules)
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("test", "rules", tests)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(yaml.safe_load(tests.read_text())["tests"]) > 10


def test_slices_have_no_gate_and_no_counts(objective: Make) -> None:
    """A slice is no trial and its weight no number of jobs: neither may be told as if it were."""
    page = alerts_of(generate([objective(**SLICES)]))[0]
    assert "chance" not in page["expr"]
    assert "evidence" not in page["expr"]
    assert "evidence" not in page["annotations"]
    assert "qobs:slo_events" not in page["annotations"]["description"]
    assert "% bad" in page["annotations"]["description"]


def test_a_composite_pages_only_where_the_daemon_finds_evidence(objective: Make) -> None:
    """Counts of several indicators cannot be weighed as one; the daemon weighs each member."""
    page, ticket, _ = alerts_of(generate([objective(source=None, members=MEMBERS)]))
    for tier in ("fast", "medium", "slow"):
        chance = f'max(qobs_slo_alert_chance_ratio{{service="jobs",severity="page",slo="success",tier="{tier}"}}) <= 0.0001'
        assert chance in page["expr"]
    assert "chance" not in ticket["expr"]


def test_a_calendar_period_is_the_daemons_own_window(objective: Make) -> None:
    """A rolling month in place of this month's budget would remember what the new month forgives."""
    files = generate([objective(window=MONTH)])
    assert 'window="period"' in expression(files, "qobs:slo_events:count30d")
    assert 'window="1d"' in expression(files, "qobs:slo_events:count1d")
    assert "at the end of the period" in alerts_of(files)[0]["annotations"]["description"]


def test_names_that_are_recorded_do_not_depend_on_the_mode(objective: Make) -> None:
    """Dashboards and people must not care where a burn rate was worked out."""
    names = [
        {
            rule["record"]
            for rule in rules_of(generate([objective()], mode=mode))
            if "record" in rule and "5m" not in rule["record"]
        }
        for mode in Mode
    ]
    assert names[0] == names[1]
    assert len(names[0]) > 20


STATE_TEST = """
rule_files: [alerts/rules/jobs-success.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'qobs_slo_state{service="jobs",slo="success",state="ok"}', values: "_x10 1x4 0x20"}
      - {series: 'qobs_slo_state{service="jobs",slo="success",state="no_traffic"}', values: "_x10 0x4 1x20"}
    promql_expr_test:
      - {expr: 'qobs:slo_state:info', eval_time: 8m, exp_samples: [{labels: NO_DATA, value: 1}]}
      - {expr: 'qobs:slo_state:info', eval_time: 12m, exp_samples: [{labels: OK, value: 1}]}
      - {expr: 'qobs:slo_state:info', eval_time: 20m, exp_samples: [{labels: NO_TRAFFIC, value: 1}]}
      - {expr: 'slo:period_error_budget_remaining:ratio', eval_time: 12m, exp_samples: []}
      - {expr: 'slo:period_error_budget_remaining:ratio', eval_time: 20m, exp_samples: [{labels: LEFT, value: 1}]}
"""


def test_the_recorded_state_is_the_daemons_and_no_data_without_one(objective: Make, write: Write, promtool: Any) -> None:
    """An objective that nobody evaluates must not keep the last colour that it had; without traffic its budget is whole."""
    files = dict(generate([objective(**SLICES)]))
    identity = 'sloth_id="jobs-success", sloth_service="jobs", sloth_slo="success"'
    text = STATE_TEST.replace("LEFT", f"'slo:period_error_budget_remaining:ratio{{{identity}}}'")
    for state in ("no_data", "no_traffic", "ok"):
        text = text.replace(f"labels: {state.upper()},", f"labels: 'qobs:slo_state:info{{{identity}, qobs_state=\"{state}\"}}',")
    files["test.yaml"] = text
    done = promtool("test", "rules", write(files) / "test.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


DESIGN_TEST = """
rule_files: [alerts/rules/jobs-success.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'qobs_slo_window_events{service="jobs",slo="success",window="1h"}', values: "8x20"}
      - {series: 'qobs_slo_window_bad_events{service="jobs",slo="success",window="1h"}', values: "8x20"}
      - {series: 'qobs_slo_design_effect_ratio{service="jobs",slo="success"}', values: "_x10 4x10"}
    promql_expr_test:
      - {expr: 'round(qobs:slo_burn_evidence:kl1h, 0.001)', eval_time: 8m, exp_samples: [{labels: LABELS, value: 23.966}]}
      - {expr: 'round(qobs:slo_burn_evidence:kl1h, 0.001)', eval_time: 18m, exp_samples: [{labels: LABELS, value: 5.991}]}
"""


def test_a_batch_that_fails_as_one_is_as_much_evidence_as_the_daemon_measured(
    objective: Make, write: Write, promtool: Any
) -> None:
    """Eight jobs of two batches of four are two failures: 8 ln 20 = 23.966 becomes a quarter of it, and pages nobody."""
    files = dict(generate([objective()]))
    labels = '\'{sloth_id="jobs-success", sloth_service="jobs", sloth_slo="success"}\''
    files["test.yaml"] = DESIGN_TEST.replace("LABELS", labels)
    done = promtool("test", "rules", write(files) / "test.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


# ------------------------------------------------------------------------------------------------ identity


def test_objectives_of_one_document_keep_apart(objective: Make, write: Write, promtool: Any) -> None:
    """Two objectives under one id would add up to nonsense."""
    files = generate([objective(name="Fast"), objective(name="Slow", target=Decimal("0.99"))])
    ids = {rule["labels"]["sloth_id"] for rule in rules_of(files)}
    assert ids == {"jobs-success-fast", "jobs-success-slow"}
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", write(files) / "alerts/rules/jobs-success.yaml")
    assert done.returncode == 0, done.stdout


def test_severities_can_have_a_sites_own_words(objective: Make) -> None:
    """A site whose routing knows `critical` and `warning` must not have to rewrite it."""
    words = {Severity.PAGE: "critical", Severity.TICKET: "warning", Severity.INFO: "none"}
    files = generate([objective()], settings=Settings(severities=words))
    assert [rule["labels"]["severity"] for rule in alerts_of(files)] == ["critical", "warning", "warning"]
    assert [rule["labels"]["sloth_severity"] for rule in alerts_of(files)] == ["page", "ticket", "ticket"]
    assert 'severity=\\"critical\\"' in files["alerts/alertmanager.yml"]


@pytest.mark.parametrize(("target", "wait"), [("0.95", "43m12s"), ("0.99", "10m")])
def test_absence_waits_as_long_as_an_outage_needs_to_page(target: str, wait: str, objective: Make) -> None:
    """Silence that alerts faster than failure makes noise; slower, it hides an outage."""
    [absence] = [
        rule for rule in alerts_of(generate([objective(target=Decimal(target))])) if rule["labels"]["qobs_tier"] == "absent"
    ]
    assert (absence["alert"], absence["for"]) == ("JobsSLONoData", wait)


def test_names_and_links_of_a_document_are_used(objective: Make) -> None:
    """A site that has its own runbooks wants them in its pages."""
    annotations = {
        "qobs.dev/alert-name": "QobsJobFailureRatioHigh",
        "qobs.dev/runbook-url": "JobSuccess",
        "qobs.dev/dashboard-url": "https://grafana.example/d/x",
    }
    settings = Settings(runbook_base="https://wiki.example/runbooks/", alertmanager_url="https://am.example")
    page = alerts_of(generate([objective(annotations=annotations)], settings=settings))[0]
    assert page["alert"] == "QobsJobFailureRatioHigh"
    assert page["annotations"]["runbook_url"] == "https://wiki.example/runbooks/JobSuccess.md"
    assert page["annotations"]["dashboard_url"] == "https://grafana.example/d/x"
    assert page["annotations"]["silence_url"].startswith("https://am.example/#/silences/new?filter=%7Bsloth_id%3D%22jobs-success")


def test_a_sites_own_settings_keep_the_unit_tests_true(objective: Make, fast: Any, write: Write, promtool: Any) -> None:
    """Whoever changes words, links or limits generates tests for exactly that."""
    settings = Settings(
        severities={Severity.PAGE: "critical", Severity.TICKET: "warning", Severity.INFO: "none"},
        owner="sre",
        runbook_base="https://wiki.example/r",
        dashboard_base="https://grafana.example/d",
        alertmanager_url="https://am.example",
        qobs_url="https://qobs.example",
        design_effect=Decimal(3),
        queue_stall=timedelta(hours=2),
    )
    made = objective(
        pairs=(fast,), source=NativeSource(sli="queue_wait", where={"team": ("~chem|bio",), "workload": ("", "production")})
    )
    folder = write(generate([made], settings=settings))
    done = promtool("test", "rules", folder / "alerts/tests/jobs-success.yaml", folder / "alerts/tests/qobs.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "critical" in (folder / "alerts/rules/jobs-success.yaml").read_text()
