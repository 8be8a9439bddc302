"""YAML or JSON text into trees in which every value knows its file, document, line and path.

Only the structure and the plain words of YAML are taken: nothing is constructed, so no tag can run code. What a plain word
means is decided here and not by YAML 1.1: ``12:30`` and ``2026-01-01`` stay text, ``1e3`` is a number, and numbers keep
every digit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from qobs.errors import Finding
from qobs.slo.openslo.compose import MAX_DEPTH, UNTAGGED, TooBigError, compose_all

MAX_CHARACTERS = 4 << 20
MAX_NODES = 500_000

Value = str | bool | Decimal | None

_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Mapping[str, Value] = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: truth for truth, name in ((True, "true"), (False, "false")) for word in (name, name.capitalize(), name.upper())
}
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_STRING_TAG = "tag:yaml.org,2002:str"
_KNOWN_TAGS = frozenset(
    {UNTAGGED, "!"}
    | {
        f"tag:yaml.org,2002:{name}"
        for name in ("null", "bool", "int", "float", "timestamp", "str", "seq", "map", "merge", "value")
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: ``document`` counts from 0 within the file, ``line`` from 1."""

    file: str
    document: int
    path: str
    line: int | None

    def below(self, key: str | int, line: int | None) -> Place:
        """The place of a child: ``spec.objectives[0].target``, ``metadata.annotations['qobs.dev/profile']``."""
        if isinstance(key, int):
            step = f"[{key}]"
        elif _PLAIN_KEY.fullmatch(key):
            step = f".{key}" if self.path else key
        else:
            step = f"[{key!r}]"
        return Place(self.file, self.document, self.path + step, line)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: text, truth, number or nothing; ``text`` is how it is written."""

    place: Place
    value: Value
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping in the order of the file; keys are text and unique."""

    place: Place
    entries: Mapping[str, Node]

    def get(self, *keys: str) -> Node | None:
        """What stands below ``keys``, one after the other; None where a step is missing, ``null`` or not a mapping."""
        here: Node | None = self
        for key in keys:
            here = here.entries.get(key) if isinstance(here, Table) else None
        return None if isinstance(here, Scalar) and here.value is None else here

    def table(self, *keys: str) -> Table | None:
        """The mapping below ``keys``; None where there is none."""
        found = self.get(*keys)
        return found if isinstance(found, Table) else None

    def rows(self, *keys: str) -> Sequence[Node]:
        """The items of the list below ``keys``; none where there is no list."""
        found = self.get(*keys)
        return found.items if isinstance(found, Row) else ()

    def text(self, *keys: str) -> str:
        """The text below ``keys``; empty where there is none."""
        found = self.get(*keys)
        return found.value if isinstance(found, Scalar) and isinstance(found.value, str) else ""

    def number(self, *keys: str) -> Decimal | None:
        """The number below ``keys``; None where there is none."""
        found = self.get(*keys)
        return found.value if isinstance(found, Scalar) and isinstance(found.value, Decimal) else None

    def truth(self, *keys: str) -> bool | None:
        """The truth value below ``keys``; None where there is none."""
        found = self.get(*keys)
        return found.value if isinstance(found, Scalar) and isinstance(found.value, bool) else None

    def place_of(self, key: str) -> Place:
        """Where ``key`` stands, or would stand."""
        child = self.entries.get(key)
        return self.place.below(key, self.place.line) if child is None else child.place


@dataclass(frozen=True, slots=True)
class Row:
    """A list."""

    place: Place
    items: Sequence[Node]


Node = Scalar | Table | Row
Plain = str | bool | Decimal | None | Mapping[str, "Plain"] | Sequence["Plain"]


def word(text: str) -> Value:
    """What an unquoted word means.

    >>> word("0.999"), word("true"), word("~"), word("2026-01-01 00:00:00")
    (Decimal('0.999'), True, None, '2026-01-01 00:00:00')
    """
    if text in _WORDS:
        return _WORDS[text]
    return Decimal(text) if _NUMBER.fullmatch(text) else text


def plain(node: Node, without: frozenset[Place] = frozenset()) -> Plain:
    """The value without its places: mappings, lists, text, truth, decimals and None. Fields at ``without`` are left out."""
    if isinstance(node, Table):
        return {key: plain(child, without) for key, child in node.entries.items() if child.place not in without}
    if isinstance(node, Row):
        return [plain(child, without) for child in node.items]
    return node.value


def read(file: str, text: str) -> tuple[tuple[Node, ...], tuple[Finding, ...]]:
    """The documents of one file, each item of a top-level list being one, and what cannot be read.

    Documents before a syntax error are kept, so that their findings are told in the same run.
    """
    if len(text) > MAX_CHARACTERS:
        return (), (_problem(file, 0, "the file is too long", f"at most {MAX_CHARACTERS >> 20} MiB are allowed"),)
    for loader in dict.fromkeys((_FAST, yaml.SafeLoader)):  # the slow one tells faults in the same words everywhere
        documents, findings, fault = _attempt(file, text, loader)
        if fault is None:
            break
        findings = (*findings, fault)
    return documents, findings


def _attempt(file: str, text: str, loader: Any) -> tuple[tuple[Node, ...], tuple[Finding, ...], Finding | None]:
    """Documents and findings by one of YAML's readers, and where it gave up."""
    reader = _Reader(file)
    documents: list[Node] = []
    fault: Finding | None = None
    try:
        for document in reader.documents(_without_tabs(text), loader):
            documents.append(document)
    except yaml.YAMLError as problem:
        fault = _syntax(problem, file, reader.index)
    except (RecursionError, TooBigError):
        hint = f"at most {MAX_DEPTH} levels and {MAX_NODES} values are allowed"
        found = "the document is nested too deeply or expands to too many values"
        reader.findings.append(_problem(file, reader.index, found, hint))
    except (ValueError, OverflowError, LookupError):  # PyYAML on impossible escapes and version numbers
        fault = _syntax(yaml.YAMLError(), file, reader.index)
    return tuple(documents), tuple(reader.findings), fault


class _Reader:
    """Turns the YAML nodes of one file into located ones within bounds; collects what cannot be."""

    def __init__(self, file: str) -> None:
        self.findings: list[Finding] = []
        self.index = 0
        self._file = file
        self._nodes = 0

    def documents(self, text: str, loader: Any) -> Iterator[Node]:
        for root in compose_all(yaml.parse(text, Loader=loader)):
            roots = root.value if isinstance(root, yaml.SequenceNode) else [root]
            for raw in roots:
                node = self._node(raw, Place(self._file, self.index, "", _line(raw)), 0)
                if not (isinstance(node, Scalar) and node.value is None):
                    yield node
                self.index += 1

    def _node(self, raw: yaml.Node, place: Place, depth: int) -> Node:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise TooBigError
        if raw.tag not in _KNOWN_TAGS:
            self._add(place, f"the tag {raw.tag}", "write plain values without tags")
        if isinstance(raw, yaml.MappingNode):
            return Table(place, self._entries(raw, place, depth))
        if isinstance(raw, yaml.SequenceNode):
            return Row(place, [self._node(child, place.below(i, _line(child)), depth + 1) for i, child in enumerate(raw.value)])
        return self._scalar(raw, place)

    def _scalar(self, raw: yaml.Node, place: Place) -> Scalar:
        text = _joined(str(raw.value))
        quoted = isinstance(raw, yaml.ScalarNode) and bool(raw.style or raw.tag in (_STRING_TAG, "!"))
        return Scalar(place, text if quoted else word(text), text)

    def _entries(self, raw: yaml.MappingNode, place: Place, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in raw.value:
            if not isinstance(key, yaml.ScalarNode):
                self._add(place, "a key that is a list or a mapping", "keys are plain words", _line(key))
            elif not key.style and key.value == "<<":
                merged |= self._merged(value, place, depth)
            elif _joined(str(key.value)) in entries:
                here = place.below(_joined(str(key.value)), _line(key))
                self._add(here, "the key is given twice", "give it once", here.line, code="duplicate_key")
            else:
                name = _joined(str(key.value))
                entries[name] = self._node(value, place.below(name, _line(key)), depth + 1)
        return entries | {name: node for name, node in merged.items() if name not in entries}

    def _merged(self, value: yaml.Node, place: Place, depth: int) -> dict[str, Node]:
        """What ``<<`` brings in: earlier mappings win over later ones."""
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        found: dict[str, Node] = {}
        for source in sources:
            node = self._node(source, place, depth + 1)
            if isinstance(node, Table):
                found = dict(node.entries) | found
            else:
                self._add(place, "a merge of something that is not a mapping", "`<<` takes a mapping or a list of them")
        return found

    def _add(self, place: Place, found: str, hint: str, line: int | None = None, code: str = "syntax") -> None:
        self.findings.append(Finding(place.file, place.path, found, hint, code, line or place.line, place.document))


def _without_tabs(text: str) -> str:
    """JSON may be indented by tabs, which YAML refuses; inside a JSON string a tab is not legal anyway."""
    return text.replace("\t", " ") if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") else text


def _joined(text: str) -> str:
    """Surrogate pairs of JSON escapes as the characters they mean; a lone half becomes the replacement character."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _syntax(problem: yaml.YAMLError, file: str, document: int) -> Finding:
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    reason = str(getattr(problem, "problem", None) or getattr(problem, "reason", None) or "the text cannot be read")
    if reason.startswith("but "):
        reason = f"{getattr(problem, 'context', '')} {reason}"
    line = None if mark is None else int(mark.line) + 1
    return Finding(file, "", reason, "check the indentation, quotes and brackets around this line", "syntax", line, document)


def _problem(file: str, document: int, found: str, hint: str) -> Finding:
    return Finding(file, "", found, hint, "syntax", None, document)
