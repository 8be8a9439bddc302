"""The default alert pairs, their factors, and how they fit periods and targets."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import ConfigError
from qobs.slo.objective import Severity
from qobs.slo.openslo import default_pairs, derived_factor, load_objectives, rate_findings
from qobs.slo.openslo.profile import INTERVAL, PROFILES

TABLE = {
    ("0.02", 1): ("3.36", "6.72", "13.44", "14.4", "43.2", "175.2"),
    ("0.05", 6): ("1.4", "2.8", "5.6", "6", "18", "73"),
    ("0.10", 24): ("0.7", "1.4", "2.8", "3", "9", "36.5"),
    ("0.10", 72): ("0.233333333", "0.466666667", "0.933333333", "1", "3", "12.166666667"),
}
PERIODS = (7, 14, 28, 30, 90, 365)


@pytest.mark.parametrize(("share", "hours"), list(TABLE))
def test_factors_are_derived_as_the_published_table(share: str, hours: int) -> None:
    """A factor copied from a table for 30 days pages far too late or too early on any other period."""
    found = [derived_factor(Decimal(share), timedelta(days=days), timedelta(hours=hours)) for days in PERIODS]
    assert [str(factor) for factor in found] == list(TABLE[share, hours])


def described(pairs) -> list[tuple[str, str, int, int, str]]:
    """Pairs in minutes."""
    minute = timedelta(minutes=1)
    return [(pair.severity.value, pair.tier, pair.long // minute, pair.short // minute, str(pair.factor)) for pair in pairs]


def test_the_default_pages_on_a_day_and_sloths_profile_does_not() -> None:
    """Whoever comes from Sloth must not be woken by what was a ticket there."""
    assert described(default_pairs("qobs", timedelta(days=30))) == [
        ("page", "fast", 60, 5, "14.4"),
        ("page", "medium", 360, 30, "6"),
        ("page", "slow", 1440, 120, "3"),
        ("ticket", "slow", 4320, 360, "1"),
    ]
    assert [pair.severity.value for pair in default_pairs("sloth", timedelta(days=30))] == ["page", "page", "ticket", "ticket"]


def test_a_week_scales_all_windows_and_four_weeks_only_the_ticket() -> None:
    """On a week, 3 days at factor 0.23 would open a ticket while the objective is kept."""
    assert described(default_pairs("qobs", timedelta(days=7))) == [
        ("page", "fast", 14, 1, "14.4"),
        ("page", "medium", 84, 7, "6"),
        ("page", "slow", 336, 28, "3"),
        ("ticket", "slow", 1008, 84, "1"),
    ]
    assert described(default_pairs("qobs", timedelta(days=28))) == [
        ("page", "fast", 60, 5, "13.44"),
        ("page", "medium", 360, 30, "5.6"),
        ("page", "slow", 1440, 120, "2.8"),
        ("ticket", "slow", 4032, 336, "1"),
    ]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(minutes=st.integers(min_value=1, max_value=2 * 366 * 24 * 60), profile=st.sampled_from(sorted(PROFILES)))
def test_default_pairs_never_break_their_own_rules(minutes: int, profile: str) -> None:
    """A profile that fails its own checks on some period would refuse a right document."""
    period = timedelta(minutes=minutes)
    pairs = default_pairs(profile, period)
    for pair in pairs:
        assert pair.factor >= 1
        assert pair.long <= period
        assert 2 * INTERVAL <= pair.short < pair.long
        assert not pair.long % INTERVAL
        assert not pair.short % INTERVAL
    factors = [pair.factor for pair in pairs]
    assert factors == sorted(factors, reverse=True)


def test_pairs_that_do_not_fit_the_period_are_told(documents) -> None:
    """An SLO over ten minutes has no alerts left; silence about that would be mistaken for health."""
    loaded = load_objectives([("a", documents.slo(period="10m"))])
    assert loaded.objectives[0].pairs == ()
    assert [finding.code for finding in loaded.warnings] == ["profile_pair_dropped"]


def test_a_capped_factor_is_reached_by_eighty_percent_failures(documents) -> None:
    """At 90 % a factor of 14.4 can never be exceeded: the page would not come even in a total outage."""
    with pytest.raises(ConfigError, match="cap-factor"):
        load_objectives([("a", documents.slo(target="0.9"))])
    text = documents.slo(target="0.9", annotations="{qobs.dev/cap-factor: 'true'}")
    assert [str(pair.factor) for pair in load_objectives([("a", text)]).objectives[0].pairs] == ["8", "6", "3", "1"]


def test_an_unreachable_ticket_is_a_warning(documents) -> None:
    """A dead ticket is a nuisance, a dead page is a danger: only the page stops the load."""
    text = documents.slo(target="0.9", policies=documents.policy, edits=(("severity: critical", "severity: low"),))
    assert [finding.code for finding in load_objectives([("a", text)]).warnings] == ["unreachable"]


@pytest.mark.parametrize(("target", "reachable"), [("0.9306", True), ("0.9305", False), ("0.95", True), ("0.8334", False)])
def test_the_limit_of_reach_is_where_the_reference_says(documents, target: str, reachable: bool) -> None:
    """14.4 needs a target above 0.9306 (rounded): the check must neither cry early nor late."""
    if reachable:
        assert load_objectives([("a", documents.slo(target=target))]).objectives
        return
    with pytest.raises(ConfigError) as caught:
        load_objectives([("a", documents.slo(target=target))])
    assert {finding.code for finding in caught.value.findings} == {"unreachable"}


def test_the_mwmbr_annotation_adds_or_removes_default_pairs(documents) -> None:
    """Policies replace the default pairs unless the document asks for both."""

    def tiers(annotation: str, policies: str) -> list[str]:
        text = documents.slo(annotations=annotation, policies=policies)
        return [pair.policy or pair.severity.value for pair in load_objectives([("a", text)]).objectives[0].pairs]

    assert tiers("{}", documents.policy) == ["burns"]
    assert tiers("{qobs.dev/mwmbr: default}", documents.policy) == ["burns", "page", "page", "page", "ticket"]
    assert tiers("{qobs.dev/mwmbr: page}", "") == ["page", "page", "page"]
    assert tiers("{qobs.dev/mwmbr: none}", "") == []


def test_a_policy_that_does_not_alert_when_breaching_gives_no_pair(documents) -> None:
    """`alertWhenBreaching: false` is a switch, and must switch."""
    text = documents.slo(policies=documents.policy, edits=(("alertWhenBreaching: true", "alertWhenBreaching: false"),))
    assert load_objectives([("a", text)]).objectives[0].pairs == ()


def test_a_share_of_the_budget_gives_the_factor(documents) -> None:
    """2 % of a 30-day budget within an hour is a factor of 14.4; on 28 days it is 13.44, without an edit."""
    for period, factor in (("30d", "14.4"), ("28d", "13.44")):
        text = documents.slo(
            period=period,
            policies=documents.policy,
            edits=(
                ("metadata: {name: fast}", "metadata: {name: fast, annotations: {qobs.dev/budget-share: '0.02'}}"),
                ("threshold: 10, ", ""),
            ),
        )
        (pair,) = load_objectives([("a", text)]).objectives[0].pairs
        assert (str(pair.factor), pair.short, pair.severity) == (factor, timedelta(minutes=5), Severity.PAGE)


@pytest.mark.parametrize(("target", "needed"), [("0.95", 1.39), ("0.99", 6.94), ("0.999", 69.4)])
def test_one_failure_pages_below_the_published_rates(documents, target: str, needed: float) -> None:
    """At 99 % and five jobs an hour, one failed job is 20 times the budget: the operator must be told before the first night."""
    objective = load_objectives([("a", documents.slo(target=target))]).objectives[0]

    def first(rate: float) -> bool:
        return any(
            finding.code == "one_failure_pages" and finding.found.startswith("1h") for finding in rate_findings(objective, rate)
        )

    assert first(needed * 0.99)
    assert not first(needed * 1.01)


def test_a_budget_of_less_than_one_event_is_unmeasurable(documents) -> None:
    """99.9 % at one job an hour allows 0.72 failures in 30 days: no measurement can tell kept from broken."""
    objective = load_objectives([("a", documents.slo(target="0.999"))]).objectives[0]
    (finding,) = [finding for finding in rate_findings(objective, 1.0) if finding.code == "unmeasurable"]
    assert finding.found.startswith("0.72 failures")
    assert not [finding for finding in rate_findings(objective, 1.5) if finding.code == "unmeasurable"]
    assert rate_findings(objective, 0.0) == ()
