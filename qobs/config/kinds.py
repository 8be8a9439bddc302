"""What a single configuration value may be: each kind reads a node, says what is allowed, and draws its JSON Schema.

A kind never raises for a bad value: it reports a finding and gives None, so that everything wrong is told at once.
"""

from __future__ import annotations

import difflib
import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from qobs.config.document import Node, Place, Scalar
from qobs.errors import Finding

Schema = dict[str, Any]
T_co = TypeVar("T_co", covariant=True)

_SHOWN = 40
_INTEGER = re.compile(r"[-+]?[0-9](_?[0-9]){0,17}")


class Report:
    """Collects findings: errors stop the load, warnings go with the configuration."""

    def __init__(self) -> None:
        """Begin empty."""
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []

    def error(self, place: Place, found: str, hint: str, code: str = "config.invalid") -> None:
        """Something that cannot be used."""
        self.errors.append(Finding(place.file, place.path, found, hint, code, place.line))

    def warn(self, place: Place, found: str, hint: str, code: str) -> None:
        """Something that works but should not stay."""
        self.warnings.append(Finding(place.file, place.path, found, hint, code, place.line))


class Kind(Protocol[T_co]):
    """One sort of value."""

    def read(self, node: Node, report: Report) -> T_co | None:
        """The value, or None after a finding."""
        ...

    def schema(self) -> Schema:
        """The same rule as JSON Schema."""
        ...


def shown(node: Node) -> str:
    """What was found, for a message: kind and value, cut short."""
    if not isinstance(node, Scalar):
        return f"found {node.kind}"
    if node.tag == "null":
        return "found nothing"
    text = node.text if len(node.text) <= _SHOWN else node.text[:_SHOWN] + "…"
    return f"found {node.kind} {text!r}" if node.tag == "str" else f"found {node.kind} ({text})"


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A hint for a word that is not in ``allowed``: the closest one, and all that are."""
    names = sorted(allowed)
    close = difflib.get_close_matches(word, names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + "allowed: " + ", ".join(names)


@dataclass(frozen=True, slots=True)
class Text:
    """Text, of ``choices`` or matching ``pattern`` in full; ``allowed`` says the pattern in words."""

    choices: tuple[str, ...] = ()
    pattern: str | None = None
    allowed: str = "text"
    max_length: int = 1_000

    def read(self, node: Node, report: Report) -> str | None:
        """The text; numbers and booleans must be quoted to be text."""
        if not isinstance(node, Scalar) or node.tag != "str":
            quoted = isinstance(node, Scalar) and node.tag != "null" and (not self.choices or node.text in self.choices)
            quote = "; write it in quotes" if quoted else ""
            report.error(node.place, shown(node), f"must be {self._allowed()}{quote}")
            return None
        if self.choices and node.text not in self.choices:
            report.error(node.place, shown(node), nearest(node.text, self.choices), "config.choice")
            return None
        matches = self.pattern is None or re.fullmatch(self.pattern, node.text)
        if not matches or not node.text or len(node.text) > self.max_length:
            report.error(node.place, shown(node), f"must be {self._allowed()}")
            return None
        return node.text

    def schema(self) -> Schema:
        """A string."""
        if self.choices:
            return {"enum": list(self.choices)}
        drawn: Schema = {"type": "string", "minLength": 1, "maxLength": self.max_length}
        return drawn if self.pattern is None else drawn | {"pattern": f"^(?:{self.pattern})$"}

    def _allowed(self) -> str:
        return f"one of {', '.join(self.choices)}" if self.choices else self.allowed


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in [``low``, ``high``]."""

    low: int
    high: int

    def read(self, node: Node, report: Report) -> int | None:
        """The number."""
        if isinstance(node, Scalar) and node.tag == "int" and _INTEGER.fullmatch(node.text):
            value = int(node.text)
            if self.low <= value <= self.high:
                return value
        report.error(node.place, shown(node), f"must be a whole number from {self.low} to {self.high}")
        return None

    def schema(self) -> Schema:
        """An integer."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number."""

    def read(self, node: Node, report: Report) -> float | None:
        """The number as a float."""
        if isinstance(node, Scalar) and node.tag in {"int", "float"}:
            try:
                value = float(node.text)
            except ValueError:
                value = math.nan
            if math.isfinite(value):
                return value
        report.error(node.place, shown(node), "must be a decimal number")
        return None

    def schema(self) -> Schema:
        """A number."""
        return {"type": "number"}


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""

    def read(self, node: Node, report: Report) -> bool | None:
        """The boolean; YAML's yes, no, on and off are taken too."""
        if isinstance(node, Scalar) and node.tag == "bool":
            return node.text.lower() in {"true", "yes", "on"}
        report.error(node.place, shown(node), "must be true or false")
        return None

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in seconds, written ``30s``, ``1h30m``, ``7d`` or ISO 8601 ``PT30S``; in [``low``, ``high``]."""

    low: float = 1.0
    high: float = 3_660 * 86_400.0

    def read(self, node: Node, report: Report) -> float | None:
        """Seconds."""
        seconds = parse_duration(node.text) if isinstance(node, Scalar) else None
        if seconds is None:
            report.error(node.place, shown(node), "must be a duration such as 30s, 10m, 24h, 7d, 1h30m or PT30S")
            return None
        if not self.low <= seconds <= self.high:
            report.error(node.place, shown(node), f"must lie between {_spoken(self.low)} and {_spoken(self.high)}")
            return None
        return seconds

    def schema(self) -> Schema:
        """A string of numbers with units."""
        return {"type": "string", "pattern": f"^(?:{_SHORT}|{_ISO})$"}


_SHORT = r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d|w))+"
_ISO = r"P(?=.)(?:[0-9]+D)?(?:T(?=.)(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+(?:\.[0-9]+)?S)?)?"
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
_ISO_PART = re.compile(r"([0-9.]+)([DHMS])")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "D": 86_400, "H": 3600, "M": 60, "S": 1}


def parse_duration(text: str) -> float | None:
    """Seconds of ``30s``, ``1h30m``, ``7d``, ``PT30S``; None for anything else.

    Example:
        >>> parse_duration("1h30m"), parse_duration("PT1H30M"), parse_duration("90")
        (5400.0, 5400.0, None)
    """
    if len(text) > 32:
        return None
    if re.fullmatch(_SHORT, text, re.ASCII):
        return float(sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in _PART.findall(text)))
    if re.fullmatch(_ISO, text, re.ASCII):
        return float(sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in _ISO_PART.findall(text)))
    return None


def _spoken(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:g}s"


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, written ``64MiB``; in [``low``, ``high``]."""

    low: int
    high: int

    def read(self, node: Node, report: Report) -> int | None:
        """Bytes."""
        match = re.fullmatch(r"([0-9]{1,9})(B|KiB|MiB|GiB)", node.text, re.ASCII) if isinstance(node, Scalar) else None
        value = None if match is None else int(match[1]) << _SHIFT[match[2]]
        if value is None or not self.low <= value <= self.high:
            allowed = f"must be a size such as 64MiB, from {_size(self.low)} to {_size(self.high)}"
            report.error(node.place, shown(node), allowed)
            return None
        return value

    def schema(self) -> Schema:
        """A string of a number and a binary unit."""
        return {"type": "string", "pattern": "^[0-9]{1,9}(?:B|KiB|MiB|GiB)$"}


_SHIFT = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30}


def _size(value: int) -> str:
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if value >= 1 << _SHIFT[unit] or unit == "B")
    return f"{value >> _SHIFT[unit]}{unit}"


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment with its offset from UTC, ISO 8601."""

    def read(self, node: Node, report: Report) -> datetime | None:
        """The moment in UTC."""
        if isinstance(node, Scalar) and node.tag in {"str", "timestamp"}:
            try:
                at = datetime.fromisoformat(node.text)
                if at.tzinfo is not None:
                    return at.astimezone(UTC)
            except (ValueError, OverflowError):
                pass
        report.error(node.place, shown(node), "must be a time with its offset, such as 2026-12-01T08:00Z")
        return None

    def schema(self) -> Schema:
        """A string; the format is finer than JSON Schema's, which asks for seconds."""
        return {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*(?:Z|[+-][0-9]{2}:?[0-9]{2})$"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression whose named groups are among ``groups``; at least one."""

    groups: tuple[str, ...]
    max_length: int = 500

    def read(self, node: Node, report: Report) -> re.Pattern[str] | None:
        """The compiled expression."""
        if not isinstance(node, Scalar) or node.tag != "str" or len(node.text) > self.max_length:
            report.error(node.place, shown(node), f"must be a regular expression of at most {self.max_length} characters")
            return None
        try:
            with warnings.catch_warnings(action="error"):  # an ambiguous expression is a mistake too
                expression = re.compile(node.text)
        except (re.error, Warning, RecursionError, OverflowError) as problem:
            reason = getattr(problem, "msg", None) or "ambiguous or too complex"
            report.error(node.place, f"{shown(node)}: {reason}", "must be a regular expression", "config.regex")
            return None
        for name in expression.groupindex:
            if name not in self.groups:
                report.error(node.place, f"found the group {name!r}", nearest(name, self.groups), "config.regex")
                return None
        if not expression.groupindex:
            hint = f"name a group after the job field it fills, such as (?P<{self.groups[0]}>...)"
            report.error(node.place, f"{shown(node)} has no named group", hint, "config.regex")
            return None
        return expression

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "format": "regex", "maxLength": self.max_length}
