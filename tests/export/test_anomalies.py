"""What is shown of anomalies, and the tickets that follow from it, judged by Prometheus' own tool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from qobs.export.anomalies import STATES, AnomalyReading
from qobs.export.anomaly_alerts import anomaly_alerts
from qobs.export.rows_anomalies import ANOMALY_ROWS
from qobs.slo.objective import Severity

READINGS = tuple(
    AnomalyReading(provider="ibm", source="lab", backend="ibm_fez", signal=signal, state=state, score=score)
    for signal, state, score in (
        ("calibration_t1", "anomalous", 1.5),
        ("calibration_t2", "suspect", 1.1),
        ("calibration_readout_error", "learning", None),
        ("queue_wait", "no_data", None),
    )
)
ROWS = {row.name: row for row in ANOMALY_ROWS}


def samples(name: str, readings: tuple[AnomalyReading, ...] = READINGS) -> dict[tuple[str, ...], Any]:
    snapshot: Any = SimpleNamespace(anomalies=readings)
    return {labels[3:]: value for labels, value in ROWS[name].value(snapshot)}


def test_what_is_not_judged_is_neither_active_nor_quiet() -> None:
    """A 0 for a detector that still learns would read as good news."""
    assert samples("qobs_anomaly_active") == {("calibration_t1",): 1, ("calibration_t2",): 0}
    assert samples("qobs_anomaly_score_ratio") == {("calibration_t1",): 1.5, ("calibration_t2",): 1.1}


def test_each_signal_is_in_exactly_one_state() -> None:
    """A panel of states must add up."""
    shown = samples("qobs_anomaly_state")
    assert len(shown) == len(READINGS) * len(STATES)
    assert [key for key, value in shown.items() if value] == [(reading.signal, reading.state) for reading in READINGS]
    assert samples("qobs_anomaly_state", ()) == {}


def test_an_anomaly_is_never_a_page() -> None:
    """Unlike itself is not the same as not good enough: nobody is woken for it."""
    assert {alert.severity for alert in anomaly_alerts()} == {Severity.TICKET}


@pytest.fixture
def promtool(tmp_path: Path) -> Any:
    """Runs promtool on the table's rules with the given inputs and the labels that must fire."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("NO PROMTOOL: install Debian's package `prometheus` to run this test")

    def run(tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
        rules = [
            {"alert": each.name, "expr": each.expression, "for": each.wait or "0s", "annotations": {"shown": "{{ $value }}"}}
            for each in anomaly_alerts()
        ]
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "anomalies", "rules": rules}]}))
        told = {"rule_files": ["rules.yaml"], "evaluation_interval": "5m", "tests": tests}
        (tmp_path / "tests.yaml").write_text(yaml.safe_dump(told))
        return subprocess.run([tool, "test", "rules", str(tmp_path / "tests.yaml")], capture_output=True, text=True, check=False)

    return run


def scenes() -> list[dict[str, Any]]:
    """Every row of the table with the inputs that make it fire, and those that must not."""
    made = []
    for alert in anomaly_alerts():
        fired = [{"exp_labels": alert.labels, "exp_annotations": {"shown": alert.shown or "1"}}]
        for inputs, expected in ((alert.fires, fired), *((quiet, []) for quiet in alert.quiet)):
            made.append(
                {
                    "interval": "1m",
                    "input_series": [{"series": series, "values": values} for series, values in inputs],
                    "alert_rule_test": [{"eval_time": alert.at, "alertname": alert.name, "exp_alerts": expected}],
                }
            )
    return made


def test_tickets_fire_once_a_backend_and_stay_quiet_when_they_must(promtool: Any) -> None:
    """Two drifting figures are one ticket; maintenance, old data and the other signal are none."""
    done = promtool(scenes())
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_scene_that_is_wrong_would_be_found(promtool: Any) -> None:
    """The check itself can fail."""
    wrong = scenes()[:1]
    wrong[0]["alert_rule_test"][0]["exp_alerts"] = []
    assert promtool(wrong).returncode != 0
