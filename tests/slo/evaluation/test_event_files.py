"""Event files: what is read, and what is told about what cannot be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from qobs.errors import ConfigError
from qobs.slo.events import MOST_FINDINGS, parse_events
from qobs.slo.objective import FileEvent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_every_field_is_read():
    """An event file is the only input that needs no daemon: a field that is dropped changes the answer."""
    text = (
        '{"at": "2026-01-01T12:00:00Z", "good": true}\n'
        "\n"
        '{"at": "2026-01-01T13:00:00+01:00", "good": false, "group": "batch-7", "weight": 2.5}\r\n'
        '{"at": "2026-01-01T12:00:00.000000Z", "good": null, "group": null, "weight": 3}'
    )
    assert parse_events(text, "e.jsonl") == (
        FileEvent(NOON, True),
        FileEvent(NOON, False, "batch-7", 2.5),
        FileEvent(NOON, None, "", 3.0),
    )


def test_lines_are_as_good_as_text():
    """A big file is read line by line."""
    line = '{"at": "2026-01-01T12:00:00Z", "good": true}'
    assert parse_events([line + "\n", line], "e") == parse_events(f"\ufeff{line}\n{line}\n", "e") == (FileEvent(NOON, True),) * 2


def test_an_empty_file_has_no_events():
    """No events is an answer (no_traffic), not an error."""
    assert parse_events("", "e") == parse_events("\n  \n", "e") == ()


BAD = [
    ("nonsense", "", "no JSON"),
    ("[1]", "", "a list"),
    ("3", "", "a number"),
    ("null", "", "a null"),
    ('{"good": true}', "at", "missing"),
    ('{"at": "2026-01-01T12:00:00", "good": true}', "at", "no zone"),
    ('{"at": "2026-01-01", "good": true}', "at", "no zone"),
    ('{"at": "yesterday", "good": true}', "at", "yesterday"),
    ('{"at": 1767225600, "good": true}', "at", "1767225600"),
    ('{"at": "0001-01-01T00:00:00+10:00", "good": true}', "at", "out of range"),
    ('{"at": "2026-01-01T12:00:00Z"}', "good", "missing"),
    ('{"at": "2026-01-01T12:00:00Z", "good": 1}', "good", "1"),
    ('{"at": "2026-01-01T12:00:00Z", "good": "true"}', "good", "true"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "group": 7}', "group", "7"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "weight": 0}', "weight", "0"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "weight": -1}', "weight", "-1"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "weight": NaN}', "", "NaN"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "weight": 1e999}', "weight", "Infinity"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "weight": true}', "weight", "true"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "weight": "2"}', "weight", "2"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "good": false}', "", "twice"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true, "wieght": 2}', "wieght", "unknown key"),
    ('{"at": "2026-01-01T12:00:00Z", "good": true', "", "no JSON"),
    ("[" * 100_000, "", "no JSON"),
]


@pytest.mark.parametrize(("line", "path", "found"), BAD, ids=range(len(BAD)))
def test_a_bad_line_is_told_with_place_and_reason(line: str, path: str, found: str):
    """Whoever exports events must see which line and which field to correct."""
    with pytest.raises(ConfigError) as caught:
        parse_events('{"at": "2026-01-01T12:00:00Z", "good": true}\n' + line, "e.jsonl")
    (finding,) = caught.value.findings
    assert (finding.file, finding.line, finding.path) == ("e.jsonl", 2, path)
    assert found in finding.found
    assert finding.hint
    assert finding.code.startswith("events.")


def test_all_bad_lines_are_told_at_once():
    """Correcting a file one message at a time takes an afternoon."""
    with pytest.raises(ConfigError) as caught:
        parse_events("\n".join(line for line, _, _ in BAD), "e.jsonl")
    assert [finding.line for finding in caught.value.findings] == list(range(1, len(BAD) + 1))


def test_findings_of_a_wholly_wrong_file_end():
    """A wrong file of a million lines must not print a million messages."""
    with pytest.raises(ConfigError) as caught:
        parse_events("x\n" * (MOST_FINDINGS + 23), "e.jsonl")
    assert len(caught.value.findings) == MOST_FINDINGS + 1
    assert "23 more" in caught.value.findings[-1].found
