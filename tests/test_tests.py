"""Habits of the suite itself."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent


def test_every_test_says_what_breaks_for_the_user():
    """A test whose purpose nobody wrote down is deleted or obeyed blindly, and both are wrong."""
    silent = []
    for path in sorted(HERE.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
                and node.name.startswith("test_")
                and not ast.get_docstring(node)
            ):
                silent.append(f"{path.relative_to(HERE)}: {node.name}")
    assert silent == []


def test_no_test_uses_mock_objects():
    """A mock agrees with whatever the code does; real servers and small fakes do not."""
    guilty = [
        str(path.relative_to(HERE))
        for path in sorted(HERE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unittest.mock")
    ]
    assert guilty == []
