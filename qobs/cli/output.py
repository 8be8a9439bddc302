"""What every command prints: findings, tables, and the error form that scripts can read."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qobs.errors import Finding

OK, FINDINGS, CANNOT_RUN = 0, 1, 2
"""Exit codes."""


def plain(finding: Finding) -> dict[str, object]:
    """A finding as JSON."""
    return {
        "file": finding.file,
        "document": finding.document,
        "line": finding.line,
        "path": finding.path,
        "value": finding.found,
        "code": finding.code,
        "hint": finding.hint,
    }


def report(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print findings, as the documented JSON form or one line each on standard error; returns "cannot run"."""
    if as_json:
        say(json.dumps({"errors": [plain(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            print(finding, file=sys.stderr)
    return CANNOT_RUN


def cannot(message: str, *, as_json: bool = False) -> int:
    """Print why the command cannot run, in the same two forms."""
    if as_json:
        error = {"file": None, "document": None, "path": "", "value": message, "code": "cannot_run", "hint": ""}
        say(json.dumps({"errors": [error]}, indent=2))
    else:
        print(f"qobs: {message}", file=sys.stderr)
    return CANNOT_RUN


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print columns for people."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say(text: str) -> None:
    """Print a line to standard output."""
    print(text)
