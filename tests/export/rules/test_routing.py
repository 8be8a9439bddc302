"""Who is told, and who is left alone: Alertmanager's own judgement of the generated configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from qobs.export.rules import generate
from qobs.export.rules_unit import Settings, WorkingHours
from qobs.slo.objective import Objective, Severity

Make = Callable[..., Objective]
Write = Callable[[Mapping[str, str]], Path]
ROUTING = "alerts/alertmanager.yml"


def configured(objectives: Any, settings: Settings | None = None) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(generate(objectives, settings=settings)[ROUTING])
    return loaded


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(working_hours=WorkingHours(location="Europe/Paris")),
        Settings(working_hours=WorkingHours(start="22:00", end="06:00", weekdays="friday:saturday")),
        Settings(severities={Severity.PAGE: "critical", Severity.TICKET: "warning", Severity.INFO: "info"}),
    ],
)
def test_alertmanager_accepts_the_configuration(settings: Settings, objective: Make, write: Write, amtool: Any) -> None:
    """A configuration that Alertmanager refuses leaves the old one running, or none."""
    files = generate([objective(receivers=("chem-pager", "chem-mail"))], settings=settings)
    done = amtool("check-config", write(files) / ROUTING)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("severity=page", "service=jobs", "sloth_id=jobs-other"), "page"),
        (("severity=ticket", "service=jobs"), "ticket"),
        (("severity=page", "failure_mode=F3"), "page"),
        (("severity=page", "sloth_id=jobs-success"), "chem-pager,chem-mail"),
        (("severity=ticket", "sloth_id=jobs-success"), "chem-pager,chem-mail"),
        (("severity=info", "alertname=QobsMaintenance", "failure_mode=self", "scope=everything"), "info"),
        (("severity=other",), "default"),
    ],
)
def test_alerts_reach_their_receivers(labels: tuple[str, ...], receiver: str, objective: Make, write: Write, amtool: Any) -> None:
    """A page that is routed to the ticket queue is read in the morning."""
    folder = write(generate([objective(receivers=("chem-pager", "chem-mail"))]))
    done = amtool("config", "routes", "test", f"--config.file={folder / ROUTING}", *labels)
    assert done.stdout.strip() == receiver, done.stderr


def test_the_root_route_takes_everything() -> None:
    """Matchers or mute times on the root are illegal, and would lose alerts."""
    route = configured([])["route"]
    assert not {"matchers", "mute_time_intervals", "active_time_intervals"} & route.keys()
    assert route["group_by"] == ["service", "slo", "failure_signature"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("30s", "5m", "4h")


def test_tickets_wait_for_working_hours_only_when_asked() -> None:
    """Nobody asked for silence at night; and qobs' own tickets must keep the same hours."""
    assert "time_intervals" not in configured([])
    asked = configured([], Settings(working_hours=WorkingHours(start="22:00", end="06:00", weekdays="friday:saturday")))
    [ticket] = [route for route in asked["route"]["routes"] if route["receiver"] == "ticket"]
    assert ticket["active_time_intervals"] == ticket["routes"][0]["active_time_intervals"] == ["working-hours"]
    [interval] = asked["time_intervals"]
    spans = [
        (span["times"][0]["start_time"], span["times"][0]["end_time"], span["weekdays"]) for span in interval["time_intervals"]
    ]
    assert spans == [("22:00", "24:00", ["friday", "saturday"]), ("00:00", "06:00", ["saturday", "sunday"])]
    [page] = [route for route in asked["route"]["routes"] if route["receiver"] == "page"]
    assert "active_time_intervals" not in page


def matches(matchers: list[str], labels: Mapping[str, str]) -> bool:
    """Alertmanager's matchers, for those that we write."""
    import re

    for matcher in matchers:
        label, operator, value = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher).groups()  # type: ignore[union-attr]
        found = labels.get(label, "")
        fits = re.fullmatch(value, found) is not None
        held = {"=": found == value, "!=": found != value, "=~": fits, "!~": not fits}[operator]
        if not held:
            return False
    return True


def mutes(rules: list[dict[str, Any]], source: Mapping[str, str], target: Mapping[str, str]) -> bool:
    """Whether an alert is muted by another, as Alertmanager decides it."""
    return any(
        matches(rule["source_matchers"], source)
        and matches(rule["target_matchers"], target)
        and all(source.get(label, "") == target.get(label, "") for label in rule["equal"])
        for rule in rules
    )


PAGE = {"severity": "page", "sloth_id": "a", "qobs_tier": "fast"}
ABSENT = {"severity": "ticket", "sloth_id": "a", "qobs_tier": "absent"}
SOURCE = {"provider": "ibm", "source": "research"}
BACKEND = {"provider": "ibm", "source": "research", "backend": "fez"}


def away(scope: str, **place: str) -> dict[str, str]:
    """An exclusion's alert."""
    return {"alertname": "QobsMaintenance", "severity": "info", "exclusion": "x", "scope": scope, "service": "qobs", **place}


@pytest.mark.parametrize(
    ("source", "target", "muted"),
    [
        (PAGE, {"severity": "ticket", "sloth_id": "a", "qobs_tier": "slow"}, True),
        (PAGE, {"severity": "ticket", "sloth_id": "b", "qobs_tier": "slow"}, False),
        (PAGE, {"severity": "ticket", "alertname": "QobsPollStale"}, False),
        ({"alertname": "QobsPollStale", **SOURCE}, {"alertname": "QobsQueueStalled", **BACKEND}, True),
        ({"alertname": "QobsPollStale", **SOURCE, "source": "second"}, {"alertname": "QobsQueueStalled", **BACKEND}, False),
        ({"alertname": "QobsProviderDown", "provider": "ibm"}, {"alertname": "QobsCalibrationStale", **BACKEND}, True),
        ({"alertname": "QobsProviderDown", "provider": "ionq"}, {"alertname": "QobsCalibrationStale", **BACKEND}, False),
        ({"alertname": "QobsBackendMaintenance", **BACKEND}, {**PAGE, "provider": "ibm", "backend": "fez"}, True),
        ({"alertname": "QobsBackendMaintenance", **BACKEND}, {**PAGE, "provider": "ibm", "backend": "kyiv"}, False),
        ({"alertname": "QobsBackendOffline", **BACKEND}, PAGE, False),
        (ABSENT, PAGE, False),
        ({"alertname": "QobsAuthFailing", **SOURCE}, {"alertname": "QobsPollStale", **SOURCE}, True),
        ({"alertname": "QobsDown"}, {**ABSENT, "qobs_mode": "native"}, True),
        ({"alertname": "QobsDown"}, {**ABSENT, "qobs_mode": "recording"}, False),
        ({"alertname": "QobsDown"}, {**PAGE, "qobs_mode": "native"}, False),
        (away("everything"), PAGE, True),
        (away("everything"), {"alertname": "QobsProviderDown", "provider": "ibm", "failure_mode": "F5"}, True),
        (away("everything"), {"alertname": "QobsDown", "failure_mode": "F6"}, False),
        (away("everything"), {"alertname": "QobsStoreWriteFailures", "failure_mode": "self"}, False),
        (away("everything"), away("everything"), False),
        (away("provider", provider="ibm"), {"alertname": "QobsProviderDown", "provider": "ibm"}, True),
        (away("provider", provider="ibm"), {"alertname": "QobsProviderDown", "provider": "ionq"}, False),
        (away("provider", provider="ibm"), PAGE, False),
        (away("provider+backend", provider="ibm", backend="fez"), {**PAGE, **BACKEND}, True),
        (away("provider+backend", provider="ibm", backend="fez"), {**PAGE, "provider": "ibm"}, False),
        (away("backend", backend="fez"), {"alertname": "QobsQueueStalled", **BACKEND}, True),
        (away("source", source="research"), {"alertname": "QobsPollStale", **SOURCE}, True),
        (away("source", source="research"), {"alertname": "QobsPollStale", "provider": "ibm", "source": "lab"}, False),
        (away("service", service="jobs"), {**PAGE, "service": "jobs", "slo": "x"}, True),
        (away("service", service="jobs"), {**PAGE, "service": "other", "slo": "x"}, False),
        (away("slo", slo="x"), {**PAGE, "service": "jobs", "slo": "x"}, True),
        (away("service+slo", service="jobs", slo="x"), {**PAGE, "service": "other", "slo": "x"}, False),
        (away("team", team="chem"), {**PAGE, "team": "chem"}, True),
        (away("sli", sli="queue_wait"), {**ABSENT, "sli": "queue_wait"}, True),
        (away("partial"), PAGE, False),
        ({"alertname": "QobsOther", "scope": "everything"}, PAGE, False),
    ],
)  # fmt: skip
def test_an_alert_mutes_only_what_it_explains(source: dict[str, str], target: dict[str, str], muted: bool) -> None:
    """Too little muting pages five times for one cause; too much hides the second incident."""
    rules = configured([])["inhibit_rules"]
    assert mutes(rules, source, target) is muted


def test_no_alert_can_mute_itself(catalogue: tuple[Objective, ...]) -> None:
    """Source and target of each rule must be disjoint."""
    files = generate(catalogue)
    rules = yaml.safe_load(files[ROUTING])["inhibit_rules"]
    alerts = [
        {**rule["labels"], "alertname": rule["alert"], **BACKEND, "scope": "everything"}
        for name, text in files.items()
        if name.startswith("alerts/rules/")
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert len(alerts) > 20
    assert [alert["alertname"] for alert in alerts if mutes(rules, alert, alert)] == []
