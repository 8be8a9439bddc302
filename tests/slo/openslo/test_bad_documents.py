"""Every wrong document of ``bad/`` beside exactly what is told about it: ``bad/errors.json`` holds the words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qobs.errors import ConfigError
from qobs.slo.openslo import load_objectives

BAD = Path(__file__).parent / "bad"
FILES = sorted(path for path in BAD.iterdir() if path.name != "errors.json")
EXPECTED = json.loads((BAD / "errors.json").read_text(encoding="utf-8"))


def told(path: Path) -> list[dict[str, object]]:
    """The findings of one file as the errors form of ``--json``, with the line beside it."""
    with pytest.raises(ConfigError) as caught:
        load_objectives([(path.name, path.read_text(encoding="utf-8"))])
    return [
        {
            "file": finding.file,
            "document": finding.document,
            "line": finding.line,
            "path": finding.path,
            "value": finding.found,
            "code": finding.code,
            "hint": finding.hint,
        }
        for finding in caught.value.findings
    ]


def test_there_are_at_least_sixty_bad_documents_and_each_has_its_errors() -> None:
    """A file without its expected errors would be tested against nothing."""
    assert len(FILES) >= 60
    assert sorted(EXPECTED) == [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_bad_document_is_told_exactly(path: Path) -> None:
    """An operator who gets another place, code or hint than the right one looks for the fault in the wrong line."""
    assert told(path) == EXPECTED[path.name]


def test_every_error_code_of_the_documentation_is_provoked_by_a_document() -> None:
    """A code that no document provokes may never be raised."""
    codes = {finding["code"] for findings in EXPECTED.values() for finding in findings}
    assert codes >= {
        *("required", "equal_to", "string_dns_label", "string_max_length", "string_match_regexp", "duration"),
        *("duplicate_object", "ref_not_found", "mutually_exclusive", "map_min_length", "one_of", "slice_length"),
        *("time_window", "time_zone", "string_date_time", "lt", "lte", "gt", "gte", "no_objective", "forbidden"),
        *("window_placeholder", "promql", "queries_equal", "native_pair", "regex", "type", "unknown_field", "syntax"),
        *("unreachable", "below_budget_pace", "window_longer_than_period", "short_not_shorter", "window_not_whole_intervals"),
        *("secret_in_clear", "duplicate_key"),
    }


def test_secrets_in_clear_are_not_repeated() -> None:
    """An error message ends in logs and tickets: a password must not travel there with it."""
    assert "hunter2" not in json.dumps(EXPECTED["secret-in-clear.yaml"])
    assert "abcdef" not in json.dumps(EXPECTED["secret-in-clear.yaml"])
