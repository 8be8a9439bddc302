"""The commands about objectives, as a user types them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qobs.cli import main

ROOT = Path(__file__).parents[2]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: jobs}
spec:
  service: quantum
  indicator:
    metadata: {name: success}
    spec:
      ratioMetric:
        good: {metricSource: {type: qobs, spec: {sli: job_success, events: good}}}
        total: {metricSource: {type: qobs, spec: {sli: job_success, events: all}}}
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{displayName: complete, target: 0.95}]
---
apiVersion: openslo/v1
kind: Service
metadata: {name: quantum}
spec: {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An SLO and ten hours of events, six an hour, of which the last two hours all fail."""
    (tmp_path / "slo.yaml").write_text(SLO)
    lines = [{"at": (BEGIN + timedelta(minutes=10 * index)).isoformat(), "good": index < 48} for index in range(60)]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_evaluate_prints_the_documented_form(folder, capsys):
    """Scripts and other tools read this; a renamed key breaks them silently."""
    at = "2026-01-01T09:59:00Z"
    assert run("slo", "evaluate", folder / "slo.yaml", "--events", folder / "events.jsonl", "--at", at, "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["slo"], told["objective"], told["target"], told["at"]) == ("jobs", "complete", 0.95, at)
    assert told["windows"]["1h"] == {"good": 0, "bad": 6, "total": 6, "error_ratio": 1.0, "burn_rate": 20.0}
    assert told["windows"]["30d"]["total"] == 60
    assert told["budget"]["bad"] == 12
    assert told["budget"]["remaining_ratio"] == pytest.approx(1 - 12 / (0.05 * 60))
    assert {"severity", "tier", "firing", "evidence"} <= told["alerts"][0].keys()
    assert any(alert["firing"] for alert in told["alerts"] if alert["severity"] == "page")


def test_an_empty_window_has_no_ratio(folder, capsys):
    """Before the first event nothing is known: a zero would be a lie and a NaN would break every reader."""
    assert (
        run("slo", "evaluate", folder / "slo.yaml", "--events", folder / "events.jsonl", "--at", "2025-12-31T00:00:00Z", "--json")
        == 0
    )
    (told,) = json.loads(capsys.readouterr().out)
    assert told["state"] == "no_traffic"
    assert told["windows"]["1h"]["error_ratio"] is None
    assert told["windows"]["1h"]["burn_rate"] is None


def test_backtest_tells_what_would_have_paged(folder, capsys):
    """Before an objective goes live its owner must see which pages last month would have had."""
    assert run("slo", "backtest", folder / "slo.yaml", "--events", folder / "events.jsonl", "--json") == 0
    alerts = json.loads(capsys.readouterr().out)["alerts"]
    assert alerts
    assert {alert["slo"] for alert in alerts} == {"jobs"}
    pages = [alert for alert in alerts if alert["severity"] == "page"]
    assert min(alert["fired_at"] for alert in pages) > "2026-01-01T08:00:00Z", "nothing failed before"


def test_explain_tells_what_it_takes(folder, capsys):
    """An objective that can never page, or always does, must be found before it is trusted."""
    assert run("slo", "explain", folder / "slo.yaml", "--rate", "2", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["slo"] == "jobs"
    assert run("slo", "explain", folder / "slo.yaml", "--events", folder / "events.jsonl") == 0
    assert "events an hour" in capsys.readouterr().out


def test_people_get_tables(folder, capsys):
    """The same commands without --json are for eyes."""
    at = "2026-01-01T10:00:00Z"
    assert run("slo", "evaluate", folder / "slo.yaml", "--events", folder / "events.jsonl", "--at", at) == 0
    assert "BURN RATE" in capsys.readouterr().out
    assert run("slo", "backtest", folder / "slo.yaml", "--events", folder / "events.jsonl") == 0
    assert "FIRED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"slo.yaml": SLO.replace("0.95", "1.5")}, 2),
        ({"slo.yaml": "apiVersion: ["}, 2),
        ({"events.jsonl": '{"at": "2026-01-01T00:00:00", "good": true}'}, 2),
        ({"events.jsonl": '{"good": true}'}, 2),
    ],
    ids=["target", "yaml", "naive time", "no time"],
)
def test_bad_input_is_told_with_its_place(folder, capsys, change, code):
    """A script must be able to tell bad input from a bad service: exit 2 and the documented error form."""
    for name, text in change.items():
        (folder / name).write_text(text)
    assert (
        run("slo", "evaluate", folder / "slo.yaml", "--events", folder / "events.jsonl", "--at", "2026-01-01T10:00:00Z", "--json")
        == code
    )
    (error, *_) = json.loads(capsys.readouterr().out)["errors"]
    assert {"file", "document", "path", "value", "code", "hint"} <= error.keys()
    assert Path(error["file"]).name in change


@pytest.mark.parametrize("at", ["yesterday", "2026-01-01T10:00:00"])
def test_a_moment_needs_a_zone(folder, capsys, at):
    """A time without a zone would be read as another moment on another machine."""
    assert run("slo", "evaluate", folder / "slo.yaml", "--events", folder / "events.jsonl", "--at", at) == 2
    assert "zone" in capsys.readouterr().err


def test_a_missing_file_is_named(folder, capsys):
    """'No such file' without the name costs minutes at night."""
    assert run("slo", "backtest", folder / "none.yaml", "--events", folder / "events.jsonl") == 2
    assert "none.yaml" in capsys.readouterr().err


def test_import_gives_documents_that_load_again(folder, capsys):
    """Whoever moves from Sloth must be able to use the result as it is, and see what was lost."""
    (folder / "sloth.yaml").write_text(
        "version: prometheus/v1\nservice: web\nslos:\n  - name: requests\n    objective: 99.9\n    description: x\n"
        "    sli: {events: {error_query: 'sum(rate(bad[{{.window}}]))', total_query: 'sum(rate(all[{{.window}}]))'}}\n"
        "    alerting: {name: WebHigh, page_alert: {labels: {team: a}}}\n"
    )
    assert run("slo", "import", folder / "sloth.yaml", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    (folder / "imported.yaml").write_text(told["openslo"])
    assert (
        run(
            "slo",
            "evaluate",
            folder / "imported.yaml",
            "--events",
            folder / "events.jsonl",
            "--at",
            "2026-01-01T10:00:00Z",
            "--json",
        )
        == 0
    )
    assert isinstance(told["not_honoured"], list)


def test_the_committed_rules_are_those_of_the_catalogue(capsys):
    """Rules that were edited by hand, or forgotten after an edit of an objective, are caught here."""
    assert run("generate", "--slo", ROOT / "slo", "--out", ROOT, "--check") == 0, capsys.readouterr().out


def test_generate_writes_checks_and_cleans_up(tmp_path, capsys):
    """A second run must change nothing, an edited file must be found, a left-over one must go."""
    shutil.copytree(ROOT / "slo", tmp_path / "slo")
    assert run("generate", "--slo", tmp_path / "slo", "--out", tmp_path) == 0
    assert run("generate", "--slo", tmp_path / "slo", "--out", tmp_path, "--check") == 0
    files = sorted((tmp_path / "alerts").rglob("*.yaml"))
    files[0].write_text("groups: []\n")
    (tmp_path / "alerts" / "rules" / "old.yaml").write_text("groups: []\n")
    assert run("generate", "--slo", tmp_path / "slo", "--out", tmp_path, "--check", "--json") == 1
    capsys.readouterr()
    assert run("generate", "--slo", tmp_path / "slo", "--out", tmp_path) == 0
    assert run("generate", "--slo", tmp_path / "slo", "--out", tmp_path, "--check") == 0
    assert not (tmp_path / "alerts" / "rules" / "old.yaml").exists()


def test_generate_takes_a_configuration(folder, tmp_path, capsys):
    """A site that names a configuration must learn that it cannot be used, and get the same files where it says nothing."""
    (folder / "key").write_text("secret")
    config = folder / "qobs.yaml"
    config.write_text("store: sqlite:qobs.db\nsources: [{name: a, type: ionq, credentials: {api_key: {file: key}}}]\n")
    assert run("generate", "--slo", ROOT / "slo", "--out", ROOT, "--check", "--config", config) == 0, capsys.readouterr().out
    config.write_text("sources: 7\n")
    assert run("generate", "--slo", ROOT / "slo", "--out", tmp_path, "--config", config) == 2
    assert "qobs.yaml" in capsys.readouterr().err
    assert not (tmp_path / "alerts").exists()
    assert run("generate", "--slo", ROOT / "slo", "--out", tmp_path, "--config", tmp_path / "none.yaml") == 2
    assert "none.yaml" in capsys.readouterr().err


def test_check_validates_the_configured_objectives(folder, capsys):
    """A broken objective must be found before the deployment, with its file and path."""
    config = folder / "qobs.yaml"
    config.write_text(
        "store: sqlite:qobs.db\nslo: [slo.yaml]\nsources: [{name: a, type: ionq, credentials: {api_key: {file: key}}}]\n"
    )
    (folder / "key").write_text("secret")
    assert run("check", "--offline", "--config", config) == 0
    assert "valid objectives: 1" in capsys.readouterr().out
    (folder / "slo.yaml").write_text(SLO.replace("0.95", "1.5"))
    assert run("check", "--offline", "--config", config, "--json") == 1
    (error, *_) = json.loads(capsys.readouterr().out)["errors"]
    assert (Path(error["file"]).name, error["code"]) == ("slo.yaml", "lt")
