"""What a mapping or a list of the configuration may hold: tables of keys that read, document and draw themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from qobs.config.document import Node, Place, Row, Scalar, Table, scalar
from qobs.config.kinds import Kind, Report, Schema, Text, nearest, shown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record: ``default`` is written as the operator would write it; None leaves the record's own."""

    name: str
    kind: Kind[Any]
    help: str
    required: bool = False
    default: str | None = None
    field: str | None = None
    """Name of the record's field where it differs (a unit at its end)."""


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """A mapping with known keys that becomes ``build(**fields)``. Unknown keys are errors."""

    build: Callable[..., T]
    keys: tuple[Key, ...]

    def read(self, node: Node, report: Report) -> T | None:
        """The record, or None after at least one finding."""
        values = self.fields(node, report)
        return None if values is None else self.build(**values)

    def fields(self, node: Node, report: Report) -> Mapping[str, Any] | None:
        """The fields that were given or have a default; None after at least one finding."""
        table = as_table(node, report)
        if table is None:
            return None
        before = len(report.errors)
        known = {key.name for key in self.keys}
        for name, child in table.entries.items():
            if name not in known:
                _unknown_key(name, child.place, known, report)
        values = {key.field or key.name: value for key in self.keys if (value := _read_key(key, table, report)) is not None}
        return values if len(report.errors) == before else None

    def schema(self) -> Schema:
        """An object without further keys."""
        drawn: Schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {key.name: key_schema(key) for key in self.keys},
        }
        required = [key.name for key in self.keys if key.required]
        return drawn | {"required": required} if required else drawn


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list of one kind; ``null`` is the empty list."""

    item: Kind[T]
    least: int = 0
    most: int = 1_000
    noun: str = "entries"

    def read(self, node: Node, report: Report) -> tuple[T, ...] | None:
        """The items, or None after at least one finding."""
        items = () if isinstance(node, Scalar) and node.tag == "null" else node.items if isinstance(node, Row) else None
        if items is None:
            report.error(node.place, shown(node), "must be a list")
            return None
        if not self.least <= len(items) <= self.most:
            report.error(node.place, f"found {len(items)} {self.noun}", f"must have from {self.least} to {self.most}")
            return None
        values = [self.item.read(item, report) for item in items]
        good = tuple(value for value in values if value is not None)
        return good if len(good) == len(values) else None

    def schema(self) -> Schema:
        """An array."""
        return {"type": "array", "items": self.item.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True, slots=True)
class OneOrMore(Generic[T]):
    """One value, or a list of at least one: both become a tuple."""

    item: Kind[T]

    def read(self, node: Node, report: Report) -> tuple[T, ...] | None:
        """The values, or None after at least one finding."""
        if isinstance(node, Row):
            return ListOf(self.item, least=1, noun="values").read(node, report)
        value = self.item.read(node, report)
        return None if value is None else (value,)

    def schema(self) -> Schema:
        """Either form."""
        return {"anyOf": [self.item.schema(), ListOf(self.item, least=1).schema()]}


@dataclass(frozen=True, slots=True)
class MapOf(Generic[T]):
    """A mapping from free names (of ``names``) to one kind; ``null`` is the empty mapping."""

    value: Kind[T]
    names: Text = field(default_factory=Text)
    most: int = 1_000

    def read(self, node: Node, report: Report) -> Mapping[str, T] | None:
        """The mapping, or None after at least one finding."""
        table = as_table(node, report)
        if table is None:
            return None
        if len(table.entries) > self.most:
            report.error(node.place, f"found {len(table.entries)} entries", f"must have at most {self.most}")
            return None
        before = len(report.errors)
        pairs = {
            name: self.value.read(child, report) for name, child in table.entries.items() if self._named(name, child, report)
        }
        return {name: value for name, value in pairs.items() if value is not None} if len(report.errors) == before else None

    def schema(self) -> Schema:
        """An object with free keys."""
        return {"type": "object", "additionalProperties": self.value.schema(), "propertyNames": self.names.schema()}

    def _named(self, name: str, child: Node, report: Report) -> bool:
        return self.names.read(Scalar(child.place, name, "str"), report) is not None


def as_table(node: Node, report: Report) -> Table | None:
    """The mapping at ``node``; ``null`` is an empty one; None after a finding."""
    if isinstance(node, Scalar) and node.tag == "null":
        return Table(node.place, {})
    if isinstance(node, Table):
        return node
    report.error(node.place, f"found {node.kind}", "must be a mapping of keys and values")
    return None


def key_schema(key: Key) -> Schema:
    """The JSON Schema of one key, with its help and default."""
    drawn = key.kind.schema() | {"description": key.help}
    return drawn if key.default is None else drawn | {"default": key.default}


def walk(record: Record[Any], prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Every key below ``record`` with its dotted path, lists as ``[]`` and free names as ``<name>``."""
    for key in record.keys:
        path = f"{prefix}{key.name}"
        yield path, key
        yield from _inside(key.kind, path)


def _inside(kind: Kind[Any], path: str) -> Iterator[tuple[str, Key]]:
    if isinstance(kind, Record):
        yield from walk(kind, f"{path}.")
    elif isinstance(kind, ListOf):
        yield from _inside(kind.item, f"{path}[]")
    elif isinstance(kind, MapOf):
        yield from _inside(kind.value, f"{path}.<name>")


def _read_key(key: Key, table: Table, report: Report) -> object | None:
    node = table.entries.get(key.name)
    if node is None and key.default is not None:
        node = scalar(key.default, table.place.below(key.name, table.place.line))
    if node is not None:
        return key.kind.read(node, report)
    if key.required:
        report.error(
            table.place.below(key.name, table.place.line),
            "nothing is given",
            f"this key is required: {key.help}",
            "config.missing",
        )
    return None


def _unknown_key(name: str, place: Place, known: set[str], report: Report) -> None:
    report.error(place, "unknown key", nearest(name, known), "config.unknown_key")
