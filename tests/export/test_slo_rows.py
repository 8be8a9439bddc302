"""Rows about objectives and exclusions: nothing is shown that is not known, and inhibition finds what it compares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from qobs.export.metrics import METRICS
from qobs.export.rows_slo import SCOPE_LABELS, SCOPES, STATES, exclusions
from qobs.export.snapshot import ExclusionReading, Snapshot
from qobs.slo.objective import DataState

ROWS = {metric.name: metric for metric in METRICS}


def shown(name: str, snapshot: Snapshot) -> dict[tuple[str, ...], Any]:
    samples: Iterable[Any] = ROWS[name].value(snapshot)
    return dict(samples)


def test_an_objective_without_data_has_a_state_and_no_windows(snapshot: Snapshot) -> None:
    """A ratio of the past beside a silent source reads as health."""
    assert shown("qobs_slo_state", snapshot)["trap-success", "quantum-jobs", "no_data"] == 1
    for name in ("qobs_slo_window_events", "qobs_slo_window_bad_events", "qobs_slo_error_ratio", "qobs_slo_burn_rate"):
        assert {labels[0] for labels in shown(name, snapshot)} == {"job-success"}
    assert shown("qobs_slo_silent_sources", snapshot)["trap-success", "quantum-jobs"] == 1


def test_a_window_without_events_has_counts_and_no_ratio(snapshot: Snapshot) -> None:
    """Zero of zero is neither perfect nor broken."""
    quiet = ("job-success", "quantum-jobs", "5m")
    assert shown("qobs_slo_window_events", snapshot)[quiet] == 0
    assert quiet not in shown("qobs_slo_error_ratio", snapshot)
    assert quiet not in shown("qobs_slo_burn_rate", snapshot)


def test_what_is_not_known_of_a_budget_is_not_shown(snapshot: Snapshot) -> None:
    """A budget that lasts must not look like one that is gone now."""
    for name in ("remaining_ratio", "remaining_low_ratio", "exhaustion_seconds", "exhaustion_probability_ratio"):
        assert ("trap-success", "quantum-jobs") not in shown(f"qobs_slo_error_budget_{name}", snapshot)
    assert shown("qobs_slo_error_budget_remaining_ratio", snapshot)["job-success", "quantum-jobs"] == -0.5


def test_each_state_is_shown_and_one_of_them_is_true(snapshot: Snapshot) -> None:
    """A state that the table does not know would show an objective in no state at all."""
    assert set(STATES) == {state.value for state in DataState}
    found = shown("qobs_slo_state", snapshot)
    assert [sum(found["job-success", "quantum-jobs", state] for state in STATES)] == [1]


def test_an_alert_tells_tier_by_tier_and_its_chance_where_there_is_one(snapshot: Snapshot) -> None:
    """A page of the tier evidence has no window: its series is all that rules can ask."""
    key = ("job-success", "quantum-jobs", "page")
    assert shown("qobs_slo_alert_active", snapshot) == {
        (*key, "fast"): 1, (*key, "evidence"): 0, ("job-success", "quantum-jobs", "ticket", "slow"): 1,
    }  # fmt: skip
    assert shown("qobs_slo_alert_chance_ratio", snapshot) == {(*key, "fast"): 0.0001220703125}


@pytest.mark.parametrize(
    ("scope", "name", "places"),
    [
        ({}, "everything", [{}]),
        ({"provider": ("ibm",)}, "provider", [{"provider": "ibm"}]),
        ({"backend": ("a", "b")}, "backend", [{"backend": "a"}, {"backend": "b"}]),
        ({"backend": ("a",), "provider": ("ibm",)}, "provider+backend", [{"provider": "ibm", "backend": "a"}]),
        ({"slo": ("x",), "service": ("y",)}, "service+slo", [{"service": "y", "slo": "x"}]),
        ({"cost-centre": ("7",)}, "partial", [{}]),
        ({"provider": ("ibm",), "team": ("chem",)}, "partial", [{}]),
        ({"backend": ("",)}, "partial", [{}]),
        ({"backend": tuple(map(str, range(501)))}, "partial", [{}]),
    ],
)  # fmt: skip
def test_an_exclusion_is_shown_place_by_place(
    scope: dict[str, tuple[str, ...]], name: str, places: list[dict[str, str]], snapshot: Snapshot
) -> None:
    """Inhibition compares single values; a scope that it cannot express must mute nothing rather than too much."""
    excluded = msgspec.structs.replace(snapshot, exclusions=(ExclusionReading("x", scope),))
    found = [dict(zip(("exclusion", "scope", *SCOPE_LABELS), labels, strict=True)) for labels, _ in exclusions(excluded)]
    assert [{key: value for key, value in each.items() if value} for each in found] == [
        {"exclusion": "x", "scope": name, **place} for place in places
    ]


def test_scopes_name_their_labels_in_the_order_of_the_series() -> None:
    """A combination in another order would never be found, and its exclusion would mute nothing."""
    for scope in SCOPES:
        assert scope == tuple(label for label in SCOPE_LABELS if label in scope)
