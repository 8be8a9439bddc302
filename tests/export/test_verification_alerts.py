"""Tickets on verified results, judged by Prometheus' own tool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from qobs.export.metrics import METRICS
from qobs.export.verification_alerts import verification_alerts
from qobs.slo.objective import Severity

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


def scenes() -> list[dict[str, Any]]:
    """Every row with the inputs that make it fire, and those that must not."""
    made = []
    for alert in verification_alerts():
        for inputs, expected in ((alert.fires, [{"exp_labels": alert.labels}]), *((quiet, []) for quiet in alert.quiet)):
            made.append(
                {
                    "interval": "1m",
                    "input_series": [{"series": series, "values": values} for series, values in inputs],
                    "alert_rule_test": [{"eval_time": alert.at, "alertname": alert.name, "exp_alerts": expected}],
                }
            )
    return made


@pytest.fixture
def promtool(tmp_path: Path) -> Any:
    """Runs promtool on the table's rules with these scenes."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("NO PROMTOOL: install Debian's package `prometheus` to run this test")

    def run(tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
        rules = [{"alert": each.name, "expr": each.expression, "for": each.wait or "0s"} for each in verification_alerts()]
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "results", "rules": rules}]}))
        told = {"rule_files": ["rules.yaml"], "evaluation_interval": "5m", "tests": tests}
        (tmp_path / "tests.yaml").write_text(yaml.safe_dump(told))
        return subprocess.run([tool, "test", "rules", str(tmp_path / "tests.yaml")], capture_output=True, text=True, check=False)

    return run


def test_tickets_fire_for_new_discoveries_and_drift_and_for_nothing_else(promtool: Any) -> None:
    """Yesterday's discoveries, and results that nobody has read lately, are no news."""
    done = promtool(scenes())
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_scene_that_is_wrong_would_be_found(promtool: Any) -> None:
    """The check itself can fail."""
    wrong = scenes()[:1]
    wrong[0]["alert_rule_test"][0]["exp_alerts"] = []
    assert promtool(wrong).returncode != 0


def test_alerts_read_metrics_that_exist_and_have_a_runbook_and_wake_nobody() -> None:
    """A renamed metric would silence its alert for ever, and a ticket without a runbook is a riddle."""
    names = {metric.name for metric in METRICS}
    for alert in verification_alerts():
        read = {series.partition("{")[0] for series, _ in alert.fires}
        assert read <= names
        assert all(name in alert.expression for name in read)
        assert (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8").startswith(f"# {alert.name}\n")
        assert alert.severity is Severity.TICKET
