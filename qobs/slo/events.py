"""Event files: one JSON object a line, ``{"at": "2026-01-01T00:00:00Z", "good": true}``.

``good`` may be null (not counted); ``group`` names jobs that share a fate; ``weight`` is a positive number, 1 by default.
Blank lines are skipped. Everything wrong in a file is told at once, up to a limit, each with its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from qobs.errors import ConfigError, Finding
from qobs.slo.objective import FileEvent

KEYS = ("at", "good", "group", "weight")
"""Keys of a line."""

MOST_FINDINGS = 100
"""Findings told of one file; the rest is counted."""

SMALLEST_WEIGHT = 1e-12
LARGEST_WEIGHT = 1e12
"""Weights are exact: so small or large ones are a slip, and would cost much arithmetic."""

_FORM = 'one JSON object a line, such as {"at": "2026-01-01T00:00:00Z", "good": true}'


class _Wrong(Exception):
    """A line cannot be used: (path, found, hint, code)."""


def parse_events(source: str | Iterable[str], file: str) -> tuple[FileEvent, ...]:
    """All events of a file, in the order of its lines.

    Args:
        source: The text, or its lines.
        file: Name for messages.

    Raises:
        ConfigError: Any line cannot be used; it carries a finding for each of them.
    """
    events: list[FileEvent] = []
    findings: list[Finding] = []
    wrong = 0
    for number, line in _lines(source):
        try:
            events.append(_event(line))
        except _Wrong as error:
            wrong += 1
            if len(findings) < MOST_FINDINGS:
                path, found, hint, code = error.args
                findings.append(Finding(file=file, path=path, found=found, hint=hint, code=code, line=number))
    if wrong > len(findings):
        more = f"{wrong - len(findings)} more lines cannot be used"
        findings.append(Finding(file=file, path="", found=more, hint="correct those above first", code="events.more"))
    if findings:
        raise ConfigError(tuple(findings))
    return tuple(events)


def _lines(source: str | Iterable[str]) -> Iterator[tuple[int, str]]:
    """(number, text) of every line that is not blank. Only line feeds end a line: JSON may hold other separators."""
    lines = source.removeprefix("\ufeff").split("\n") if isinstance(source, str) else source
    for number, line in enumerate(lines, start=1):
        if text := line.strip():
            yield number, text


def _event(line: str) -> FileEvent:
    try:
        record = json.loads(line, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _Wrong("", f"no JSON: {error} in {_shown(line)}", _FORM, "events.json") from None
    if not isinstance(record, dict):
        raise _Wrong("", f"a {_kind(record)}: {_shown(record)}", _FORM, "events.object")
    if unknown := [key for key in record if key not in KEYS]:
        raise _Wrong(str(unknown[0])[:40], "unknown key", f"allowed are {', '.join(KEYS)}", "events.unknown_key")
    return FileEvent(_at(record), _good(record), _group(record), _weight(record))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise _Wrong("", "a key given twice", _FORM, "events.duplicate_key")
    return record


def _refuse_constant(name: str) -> float:
    raise _Wrong("", f"{name}, which is no JSON number", _FORM, "events.json")


def _at(record: dict[str, Any]) -> datetime:
    hint = 'a time with zone, such as "2026-01-01T00:00:00Z"'
    if "at" not in record:
        raise _Wrong("at", "missing", hint, "events.at")
    text = record["at"]
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None:
        raise _Wrong("at", _shown(text), hint, "events.at")
    if at.tzinfo is None:
        raise _Wrong("at", f"{_shown(text)}, which has no zone", hint, "events.at")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise _Wrong("at", f"{_shown(text)}, which is out of range", hint, "events.at") from None


def _good(record: dict[str, Any]) -> bool | None:
    if "good" not in record:
        raise _Wrong("good", "missing", "true, false, or null (not counted)", "events.good")
    good = record["good"]
    if good is not None and not isinstance(good, bool):
        raise _Wrong("good", _shown(good), "true, false, or null (not counted)", "events.good")
    return good


def _group(record: dict[str, Any]) -> str:
    group = record.get("group")
    if group is None:
        return ""
    if not isinstance(group, str):
        raise _Wrong("group", _shown(group), "a text", "events.group")
    return group


def _weight(record: dict[str, Any]) -> float:
    weight = record.get("weight", 1.0)
    hint = f"a number from {SMALLEST_WEIGHT:g} to {LARGEST_WEIGHT:g}"
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise _Wrong("weight", _shown(weight), hint, "events.weight")
    if not SMALLEST_WEIGHT <= weight <= LARGEST_WEIGHT or not isfinite(weight):
        raise _Wrong("weight", _shown(weight), hint, "events.weight")
    return float(weight)


def _shown(value: object) -> str:
    """What was found, short enough for a message."""
    text = value if isinstance(value, str) else json.dumps(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _kind(value: object) -> str:
    return {list: "list", str: "text", bool: "truth value", type(None): "null"}.get(type(value), "number")
