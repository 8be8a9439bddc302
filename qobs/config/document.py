"""YAML text into a tree in which every value knows its file, line and key path.

Only the structure and the plain words of YAML are taken: nothing is constructed, so no tag can run code. Text from the
file never enters a message here, since it may be a secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import yaml

from qobs.errors import ConfigError, Finding

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 20_000

_QUOTED = re.compile(r"'([^']*)'")
_TAGS: Mapping[str, str] = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "a boolean",
    "timestamp": "a time",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: ``line`` counts from 1, None for a value that is not from a file's line."""

    file: str
    path: str
    line: int | None

    def below(self, key: str | int, line: int | None) -> Place:
        """The place of a child: ``sources[0].poll.jobs``."""
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if self.path else key
        return Place(self.file, self.path + step, line)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, as written. ``tag`` is YAML's word for what it looks like (str, int, float, bool, null)."""

    place: Place
    text: str
    tag: str

    @property
    def kind(self) -> str:
        """What this is, in words that hold nothing of the value."""
        return "nothing" if self.tag == "null" else _TAGS.get(self.tag, "a tagged value")


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping in the order of the file; keys are text and unique."""

    place: Place
    entries: Mapping[str, Node]

    @property
    def kind(self) -> str:
        """What this is, in words."""
        return "a mapping"


@dataclass(frozen=True, slots=True)
class Row:
    """A list."""

    place: Place
    items: Sequence[Node]

    @property
    def kind(self) -> str:
        """What this is, in words."""
        return "a list"


Node = Scalar | Table | Row


class _Resolver(Protocol):
    """The part of PyYAML that tells what a plain scalar looks like, typed."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str: ...


def scalar(text: str, place: Place) -> Scalar:
    """A plain scalar that was not read from YAML (an environment variable, a default), resolved as YAML would."""
    resolver = cast(_Resolver, yaml.SafeLoader(""))
    return Scalar(place, text, _short(resolver.resolve(yaml.ScalarNode, text, (True, False))))


def compose(text: str, file: str) -> Node:
    """The tree of one YAML document.

    Raises:
        ConfigError: not YAML, more than one document, duplicate keys, or deeper and larger than any configuration is.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as problem:
        raise ConfigError((_syntax(problem, file),)) from None
    except RecursionError:
        raise ConfigError((_too_big(file),)) from None
    except (ValueError, OverflowError, LookupError):  # PyYAML on impossible escapes and version numbers
        raise ConfigError((_syntax(yaml.YAMLError(), file),)) from None
    builder = _Builder(file)
    place = Place(file, "", 1 if root is None else _line(root))
    tree = Table(place, {}) if root is None else builder.node(root, place, depth=0)
    if builder.findings:
        raise ConfigError(tuple(builder.findings))
    return tree


class _Builder:
    """Turns YAML nodes into located ones within bounds; collects what cannot be."""

    def __init__(self, file: str) -> None:
        self.findings: list[Finding] = []
        self._file = file
        self._nodes = 0

    def node(self, raw: yaml.Node, place: Place, *, depth: int) -> Node:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise ConfigError((_too_big(self._file),))
        if isinstance(raw, yaml.MappingNode):
            return Table(place, dict(self._entries(raw, place, depth)))
        if isinstance(raw, yaml.SequenceNode):
            children = enumerate(raw.value)
            return Row(place, [self.node(child, place.below(i, _line(child)), depth=depth + 1) for i, child in children])
        return Scalar(place, str(raw.value), _short(raw.tag))

    def _entries(self, raw: yaml.MappingNode, place: Place, depth: int) -> Iterator[tuple[str, Node]]:
        seen: dict[str, int] = {}
        for key, value in raw.value:
            line = _line(key)
            if not isinstance(key, yaml.ScalarNode):
                self._add(place, line, "a key that is a list or a mapping", "keys are plain words")
                continue
            name = str(key.value)
            if name in seen:
                here = place.below(name, line)
                self._add(
                    here, line, f"the key is given twice (first on line {seen[name]})", "give it once", code="config.duplicate"
                )
                continue
            seen[name] = line
            yield name, self.node(value, place.below(name, line), depth=depth + 1)

    def _add(self, place: Place, line: int, found: str, hint: str, code: str = "config.syntax") -> None:
        self.findings.append(Finding(file=place.file, path=place.path, found=found, hint=hint, code=code, line=line))


def _short(tag: str) -> str:
    return tag.removeprefix("tag:yaml.org,2002:")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _syntax(problem: yaml.YAMLError, file: str) -> Finding:
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    reason = str(getattr(problem, "problem", None) or getattr(problem, "reason", None) or "the text cannot be read")
    if reason.startswith("but "):
        reason = f"{getattr(problem, 'context', '')} {reason}"
    return Finding(
        file=file,
        path="",
        found=f"not YAML: {_QUOTED.sub(_masked, reason)}",
        hint="check the indentation, quotes and brackets around this line",
        code="config.syntax",
        line=None if mark is None else int(mark.line) + 1,
    )


def _masked(quoted: re.Match[str]) -> str:
    """What PyYAML quotes: its own words and single characters stay, text of the file goes."""
    inside = quoted[1]
    return quoted[0] if len(inside) <= 1 or inside.startswith(("<", "\\")) else "(text not shown)"


def _too_big(file: str) -> Finding:
    return Finding(
        file=file,
        path="",
        found="the document is nested too deeply or expands to too many values",
        hint=f"at most {MAX_DEPTH} levels and {MAX_NODES} values are allowed",
        code="config.syntax",
    )
