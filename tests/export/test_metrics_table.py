"""The table of metrics keeps its own rules, so that what is exposed is what the documentation says."""

from __future__ import annotations

import re

import pytest

from qobs.buckets import JOB_COUNTERS
from qobs.export.metrics import METRICS, markdown_table
from qobs.export.table import Kind, Metric, Tier

LABELS = {
    "provider", "source", "backend", "stream", "reason", "state", "endpoint", "code", "bucket", "field", "family", "format",
    "slo", "service", "objective", "severity", "tier", "exclusion", "signal", "verdict",
    "sli", "priority", "workload", "team", "window", "gate_arity", "qubit", "gate", "qubits", "dimension", "scope", "target",
    "period", "technology", "backend_version", "simulator", "version", "revision", "python",
}  # fmt: skip
UNITS = {"", "seconds", "bytes", "ratio", "hertz"}
RELIABILITY_NAMES = {
    "qobs_poll_total",
    "qobs_poll_errors_total",
    "qobs_poll_duration_seconds",
    "qobs_poll_last_success_timestamp_seconds",
    "qobs_data_staleness_seconds",
    "qobs_watermark_lag_seconds",
    "qobs_jobs_ingested_total",
    "qobs_jobs_updated_total",
    "qobs_jobs_noop_total",
    "qobs_jobs_quarantined_total",
    "qobs_transitions_total",
    "qobs_late_updates_total",
    "qobs_reconcile_differences_total",
    "qobs_breaker_state",
    "qobs_retry_total",
    "qobs_queue_bytes",
    "qobs_queue_capacity_bytes",
    "qobs_store_commit_seconds",
    "qobs_store_size_bytes",
    "qobs_wal_size_bytes",
    "qobs_series",
    "qobs_series_dropped_total",
    "qobs_event_loop_lag_seconds",
    "qobs_build_info",
    "qobs_config_hash",
}

each = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


@each
def test_name_is_in_base_units_and_lower_case(metric: Metric) -> None:
    """A dashboard would show milliseconds or percents as if they were seconds and ratios."""
    assert re.fullmatch(r"qobs_[a-z0-9]+(_[a-z0-9]+)*", metric.name)
    assert not re.search(r"_(percent|pct|ms|us|ns|ghz|mk|age|milliseconds|nanoseconds)(_|$)", metric.name)
    assert metric.unit in UNITS
    assert metric.name.removesuffix("_total").endswith(metric.unit)
    last = metric.name.removesuffix("_total").rsplit("_", 1)[-1]
    assert metric.unit == last or last not in UNITS or metric.name.endswith("_per_second")


@each
def test_suffix_tells_the_type(metric: Metric) -> None:
    """rate() on something that is no counter, or a counter that nobody rates, misleads."""
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.name.endswith("_info") == (metric.kind is Kind.INFO)


@each
def test_labels_are_bounded_ones_and_start_with_where(metric: Metric) -> None:
    """A job id or an error text as a label would flood the user's Prometheus; target labels would be overwritten."""
    assert set(metric.labels) <= LABELS
    assert len(set(metric.labels)) == len(metric.labels)
    if metric.name.startswith(("qobs_backend_", "qobs_qubit_", "qobs_gate_", "qobs_job_", "qobs_jobs_submitted")):
        assert metric.labels[:3] == ("provider", "source", "backend")


@each
def test_help_is_one_short_sentence(metric: Metric) -> None:
    """Help is what a user reads in the expression browser."""
    assert metric.help.endswith(".")
    assert len(metric.help) <= 120
    assert "\n" not in metric.help


def test_names_are_unique_in_both_formats() -> None:
    """Two families of one name make a scrape fail as a whole."""
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len({metric.family for metric in METRICS}) == len(METRICS)


def test_full_tier_is_what_has_a_qubit() -> None:
    """Per-qubit series by default would cost thousands of series a device that nobody asked for."""
    for metric in METRICS:
        assert (metric.tier is Tier.FULL) == bool({"qubit", "qubits"} & set(metric.labels))


def test_self_metrics_of_the_reliability_rules_are_there() -> None:
    """Shipped alerts watch these names."""
    assert not RELIABILITY_NAMES - {metric.name for metric in METRICS}


def test_every_job_counter_is_exposed_with_its_own_labels() -> None:
    """A counter that the store keeps and nobody shows is a hole in the dashboards."""
    rows = {metric.name: metric for metric in METRICS}
    for counter in JOB_COUNTERS:
        assert rows[counter.name].labels == counter.labels
        assert rows[counter.name].help == counter.help


def test_markdown_has_one_line_a_metric() -> None:
    """The README's table is this one."""
    lines = markdown_table().splitlines()
    assert len(lines) == len(METRICS) + 2
    assert "| `qobs_jobs` | gauge | `provider`, `source`, `backend`, `state` | basic | 0.1.0 |" in markdown_table()
