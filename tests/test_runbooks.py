"""Runbooks: one for every alert, and each names only metrics, labels, commands and pages that exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from qobs.cli import build_parser
from qobs.export.metrics import METRICS
from qobs.export.table import Kind

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
HEADINGS = ["What it means", "Impact", "First look", "Decide", "Act", "Escalate", "Rehearse", "Clears when"]
RULES: list[dict[str, Any]] = [
    rule
    for path in sorted((ROOT / "alerts" / "rules").glob("*.yaml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
SLOTH = {"sloth_id", "sloth_service", "sloth_slo", "sloth_window"}
PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
SERIES = r"\b(?:qobs|slo)(?::[a-z0-9_]+)+|\bqobs_[a-z0-9_]+"


def known_series() -> dict[str, set[str]]:
    """Labels of every series that can be queried."""
    found = {rule["record"]: SLOTH for rule in RULES if "record" in rule} | {"up": {"job", "instance"}}
    for metric in METRICS:
        own = set(metric.labels) | {"job", "instance"}
        if metric.kind is Kind.HISTOGRAM:
            found |= {f"{metric.name}_bucket": own | {"le"}, f"{metric.name}_sum": own, f"{metric.name}_count": own}
        else:
            found[metric.name] = own
    return found


def queries(page: Path) -> list[str]:
    """Every PromQL query of a page."""
    blocks = re.findall(r"^```promql\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [query.strip() for block in blocks for query in re.split(r"\n\s*\n", block)]


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """The link of a page at night must lead somewhere, and no runbook may outlive its alert."""
    assert {rule["annotations"]["runbook_url"] for rule in ALERTS} == {path.relative_to(ROOT).as_posix() for path in PAGES}


def test_the_index_lists_every_alert_with_severity_and_runbook() -> None:
    """Whoever has only the name of an alert finds its page."""
    rows = {
        (alert, severity, target)
        for alert, severity, target in re.findall(
            r"^\| `(\w+)`[^|]* \| (\w+) \| \[\w+\]\((\w+\.md)\) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE
        )
    }
    assert rows == {(r["alert"], r["labels"]["severity"], Path(r["annotations"]["runbook_url"]).name) for r in ALERTS}


@PAGE
def test_a_runbook_has_all_headings_in_order(page: Path) -> None:
    """At 3 a.m. everything stands where it always stands, with something under it."""
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert all(part.strip() for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])
    assert queries(page), "no query to begin with"


@PAGE
def test_a_runbook_names_only_series_and_labels_that_exist(page: Path) -> None:
    """A query on a metric that nobody exports answers nothing, which reads as good news."""
    known = known_series()
    for query in queries(page):
        bare = re.sub(r'"[^"]*"', '""', query)
        names = set(re.findall(SERIES, bare)) | set(re.findall(r"^up\b", bare))
        assert names <= known.keys(), query
        for name, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", bare):
            assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= known[name], query
        labels = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", bare) for label in group.split(",")}
        everything = set().union(*(known[name] for name in names)) | {"__name__"}
        assert labels <= everything, query
    spoken = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    assert set(re.findall(r"`(qobs_[a-z0-9_]+)[`{]", spoken)) <= known.keys()


def test_every_query_parses(tmp_path: Path) -> None:
    """A query with a mistake costs the minutes that nobody has."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NO PROMTOOL: install Debian's package `prometheus` to run this test")
    rules = [{"record": f"runbook:{page.stem}:{n}", "expr": query} for page in PAGES for n, query in enumerate(queries(page))]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "README.md"], ids=lambda page: page.stem)
def test_every_command_of_qobs_exists(page: Path) -> None:
    """A command that the program refuses is worse than none."""
    text = page.read_text()
    indented = re.findall(r"^ {4,}(qobs (?:demo|run|check|store|slo|generate)\b.*)$", text, re.MULTILINE)
    for command in [*indented, *re.findall(r"`(qobs \w[^`]* [^`]+)`", text)]:
        if command == "qobs store backup":
            continue
        build_parser().parse_args(shlex.split(command)[1:])
    for word in re.findall(r"`qobs (\w+)`", text):
        assert word in {"demo", "run", "check", "store", "slo", "generate"}, word


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "README.md"], ids=lambda page: page.stem)
def test_every_link_and_file_of_a_runbook_exists(page: Path) -> None:
    """A dead link is a question that nobody answers."""
    text = page.read_text()
    anchors = {
        "#" + title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", (FOLDER / "README.md").read_text(), re.M)
    }
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]+)?\)", text):
        assert (FOLDER / target).exists(), target
        assert not anchor or anchor in anchors, anchor
    for name in re.findall(r"\b(?:alerts|slo|deploy)/[\w./*-]+\.(?:yaml|yml|service)", text):
        assert list(ROOT.glob(name)), name
