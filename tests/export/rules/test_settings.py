"""What a site chooses about generated files: used as given, or refused with its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from qobs.errors import ConfigError
from qobs.export.rules_settings import settings_of
from qobs.export.rules_unit import Settings, WorkingHours
from qobs.slo.objective import Severity


@dataclass(frozen=True)
class Chosen:
    """A configuration's section as its loader gives it."""

    owner: str | None = None
    runbook_base: str | None = None
    dashboard_base: str | None = None
    alertmanager_url: str | None = None
    qobs_url: str | None = None
    scrape_interval_seconds: float | None = None
    queue_stall_seconds: float | None = None
    design_effect: float | None = None
    severities: Mapping[str, str] = field(default_factory=dict)
    working_hours: WorkingHours | None = None


def test_what_is_not_chosen_keeps_its_default() -> None:
    """A site that only wants another owner must not get other alerts."""
    assert settings_of(Chosen()) == Settings()
    assert settings_of(Chosen(owner="sre")) == Settings(owner="sre")


def test_every_choice_is_used() -> None:
    """A key that is read and not used is a lie in the configuration."""
    hours = WorkingHours(start="08:00", end="18:00", weekdays="monday:saturday", location="Europe/Paris")
    chosen = Chosen(
        owner="sre", runbook_base="https://wiki.example", dashboard_base="https://grafana.example/d",
        alertmanager_url="https://am.example", qobs_url="https://qobs.example", scrape_interval_seconds=15.0,
        queue_stall_seconds=7200.0, design_effect=2.5, severities={"page": "critical"}, working_hours=hours,
    )  # fmt: skip
    assert settings_of(chosen) == Settings(
        owner="sre", runbook_base="https://wiki.example", dashboard_base="https://grafana.example/d",
        alertmanager_url="https://am.example", qobs_url="https://qobs.example", scrape_interval=timedelta(seconds=15),
        queue_stall=timedelta(hours=2), design_effect=Decimal("2.5"), working_hours=hours,
        severities={Severity.PAGE: "critical", Severity.TICKET: "ticket", Severity.INFO: "info"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "path", "found"),
    [
        ({"severities": {"paeg": "critical"}}, "generate.severities.paeg", "paeg"),
        ({"severities": {"page": "ticket"}}, "generate.severities", "ticket, ticket, info"),
        ({"severities": {"page": ""}}, "generate.severities", ", ticket, info"),
        ({"design_effect": 0.5}, "generate.design_effect", "0.5"),
        ({"design_effect": float("nan")}, "generate.design_effect", "nan"),
        ({"scrape_interval_seconds": 0.0}, "generate.scrape_interval", "0"),
        ({"queue_stall_seconds": -1.0}, "generate.queue_stall", "-1"),
        ({"working_hours": WorkingHours(start="nine")}, "generate.working_hours", "nine to 17:00, monday:friday"),
        ({"working_hours": WorkingHours(weekdays="mon")}, "generate.working_hours", "09:00 to 17:00, mon"),
        ({"working_hours": WorkingHours(location="Europe/Atlantis")}, "generate.working_hours.location", "Europe/Atlantis"),
    ],
)
def test_a_choice_that_cannot_be_used_is_named(changes: dict[str, Any], path: str, found: str) -> None:
    """Alertmanager would refuse the file at night, or silently mute what must be heard."""
    with pytest.raises(ConfigError) as caught:
        settings_of(Chosen(**changes), "qobs.yaml")
    assert (path, found) in [(finding.path, finding.found) for finding in caught.value.findings]
    assert caught.value.findings[0].file == "qobs.yaml"
