"""What is wrong, collected: errors stop a load, warnings are told."""

from __future__ import annotations

from difflib import get_close_matches

from qobs.errors import Finding
from qobs.slo.openslo.document import Node, Place, Row, Scalar, Table

_MOST_SHOWN = 80


class Report:
    """Collects findings. In lenient mode unknown fields and unknown severities are warnings, not errors."""

    def __init__(self, *, strict: bool = True) -> None:
        """Start without findings."""
        self.strict = strict
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []
        self.unknown: set[Place] = set()

    def error(self, place: Place, found: str, hint: str, code: str) -> None:
        """Tell something that stops the load."""
        self.errors.append(_finding(place, found, hint, code))

    def clean(self, place: Place) -> bool:
        """Whether no error was told at ``place`` or below it."""
        where = place.file, place.document
        return not any((error.file, error.document) == where and error.path.startswith(place.path) for error in self.errors)

    def warning(self, place: Place, found: str, hint: str, code: str) -> None:
        """Tell something that the operator should know."""
        self.warnings.append(_finding(place, found, hint, code))

    def unknown_field(self, place: Place, name: str, hint: str) -> None:
        """Tell a field that the specification does not have, and remember where it is."""
        self.unknown.add(place)
        self.by_mode(place, f"unknown field {name!r}", hint, "unknown_field")

    def by_mode(self, place: Place, found: str, hint: str, code: str) -> None:
        """An error in strict mode, a warning in lenient mode."""
        (self.error if self.strict else self.warning)(place, found, hint, code)


def shown(node: Node | None) -> str:
    """A value as a finding shows it, cut to a readable length."""
    if node is None or (isinstance(node, Scalar) and node.value is None):
        return "nothing"
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Row):
        return f"a list of {len(node.items)}"
    return node.text if len(node.text) <= _MOST_SHOWN else node.text[: _MOST_SHOWN - 1] + "…"


def nearest(name: str, known: tuple[str, ...]) -> str:
    """A hint that names the likeliest of ``known``, or all of them."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"allowed are {', '.join(known)}"


def _finding(place: Place, found: str, hint: str, code: str) -> Finding:
    return Finding(place.file, place.path, found, hint, code, place.line, place.document)
