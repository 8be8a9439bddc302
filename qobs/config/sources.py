"""The entries of ``sources``: keys that every source has, and those that its type brings along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qobs.config.addresses import HOST, Url
from qobs.config.credentials import Credentials, Vault
from qobs.config.document import Node, Scalar
from qobs.config.kinds import Boolean, Duration, Integer, Kind, Number, Pattern, Report, Schema, Text, nearest, shown
from qobs.config.records import SourceConfig
from qobs.config.structure import Key, ListOf, MapOf, Record, as_table, key_schema
from qobs.model import LABEL_FIELDS, Stream

NAME = Text(pattern=r"[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?", allowed="1 to 63 of a-z, 0-9, dash, dot and underscore")


class OptionLike(Protocol):
    """What is needed of a source type's option."""

    @property
    def name(self) -> str:
        """Its key."""
        ...

    @property
    def help(self) -> str:
        """One sentence."""
        ...

    @property
    def kind(self) -> type:
        """str, int, float, bool, or tuple for a list of text."""
        ...

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        ...

    @property
    def default(self) -> Any:
        """Value where it is not given."""
        ...

    @property
    def choices(self) -> tuple[str, ...]:
        """Allowed words; empty: any."""
        ...


class SourceTypeLike(Protocol):
    """What is needed of a registered source type."""

    @property
    def type(self) -> str:
        """The word after ``type:``."""
        ...

    @property
    def title(self) -> str:
        """What it is called."""
        ...

    @property
    def options(self) -> Sequence[OptionLike]:
        """Keys of its own."""
        ...

    @property
    def credentials(self) -> tuple[frozenset[str], ...]:
        """Sets of credentials, one of which is needed in full."""
        ...

    @property
    def poll_seconds(self) -> Mapping[Stream, float]:
        """Default intervals of the streams it has."""
        ...


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One entry of ``sources``: which keys are allowed depends on its ``type``."""

    types: Mapping[str, SourceTypeLike]
    vault: Vault

    def read(self, node: Node, report: Report) -> SourceConfig | None:
        """The source, or None after at least one finding."""
        table = as_table(node, report)
        if table is None:
            return None
        found = table.entries.get("type")
        if not isinstance(found, Scalar) or found.text not in self.types:
            place = table.place if found is None else found.place
            word = found.text if isinstance(found, Scalar) else ""
            told = "no type is given" if found is None else shown(found)
            report.error(place, told, nearest(word, self.types), "config.missing" if found is None else "config.choice")
            return None
        chosen = self.types[found.text]
        values = source_record(chosen, self.vault).fields(table, report)
        return None if values is None else _build(chosen, values)

    def schema(self) -> Schema:
        """One alternative for each type."""
        return {"anyOf": [_type_schema(entry, self.vault) for entry in self.types.values()]}


def source_record(entry: SourceTypeLike, vault: Vault) -> Record[SourceConfig]:
    """All keys that a source of this type may have; an option with the name of a common key replaces its help."""
    common = {key.name: key for key in _common(entry, vault)}
    own = {option.name: _option_key(option) for option in entry.options}
    return Record(SourceConfig, tuple((common | own).values()))


def _common(entry: SourceTypeLike, vault: Vault) -> tuple[Key, ...]:
    needed = bool(entry.credentials) and frozenset() not in entry.credentials
    fields = Text(choices=LABEL_FIELDS)
    hosts = Text(pattern=rf"(?:\*\.)?{HOST}", allowed="a host name such as api.example or *.example")
    return (
        Key("name", NAME, "the `source` label of everything that comes from here; unique", required=True),
        Key("type", Text(choices=(entry.type,)), "the provider's API", required=True),
        Key("url", Url(), "base URL of the API where it is not the provider's own; plain http only on this machine"),
        Key("allow_hosts", ListOf(hosts, most=50), "further hosts that requests may go to, even at private addresses"),
        Key("poll", _poll(entry), "how often each stream is asked for", field="poll_seconds"),
        Key("labels", MapOf(Text(max_length=200), names=fields), "job fields with a fixed value for every job of this source"),
        Key(
            "tags",
            MapOf(Pattern(LABEL_FIELDS), names=Text(max_length=63), most=32),
            "patterns on job tags; named groups fill job fields",
        ),
        Key(
            "credentials",
            Credentials(entry.credentials, vault),
            "secrets, each as `{file: PATH}` or `{env: NAME}`",
            required=needed,
        ),
    )


def _poll(entry: SourceTypeLike) -> Record[Mapping[Stream, float]]:
    intervals = entry.poll_seconds or dict.fromkeys(Stream)
    keys = (Key(stream.value, Duration(), f"interval of the {stream.value} stream") for stream in Stream if stream in intervals)
    return Record(lambda **given: {Stream(name): seconds for name, seconds in given.items()}, tuple(keys))


def _option_key(option: OptionLike) -> Key:
    told = (
        ""
        if option.default in (None, "", ())
        else f" (default: `{str(option.default).lower() if option.kind is bool else option.default}`)"
    )
    return Key(option.name, _option_kind(option), option.help + told, required=option.required)


def _option_kind(option: OptionLike) -> Kind[Any]:
    if option.kind is int:
        return Integer(1, 2**31 - 1)
    if option.kind in {tuple, list}:
        return ListOf(Text(choices=option.choices))
    if option.name == "url" or option.name.endswith("_url") or str(option.default).startswith("https://"):
        return Url()
    plain: Mapping[type, Kind[Any]] = {float: Number(), bool: Boolean()}
    return plain.get(option.kind) or Text(choices=option.choices)


def _build(entry: SourceTypeLike, values: Mapping[str, Any]) -> SourceConfig:
    own = {option.name for option in entry.options}
    defaults = {option.name: option.default for option in entry.options}
    options = defaults | {name: value for name, value in values.items() if name in own | {"url"}}
    common = {name: value for name, value in values.items() if name not in own or name == "url"}
    return SourceConfig(**common, options=options)


def _type_schema(entry: SourceTypeLike, vault: Vault) -> Schema:
    record = source_record(entry, vault)
    drawn = record.schema()
    properties = {key.name: key_schema(key) for key in record.keys} | {"type": {"const": entry.type}}
    return drawn | {"title": entry.title, "properties": properties}
