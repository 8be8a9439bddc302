"""The configuration's table, drawn: JSON Schema for editors, Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qobs.config.catalogue import catalogue
from qobs.config.credentials import Vault
from qobs.config.load import ignore_secret
from qobs.config.sources import SourceTypeLike, source_record
from qobs.config.structure import Key, Record, walk

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(source_types: Mapping[str, SourceTypeLike]) -> dict[str, Any]:
    """JSON Schema of the configuration file: what ``qobs check --schema`` prints."""
    drawn = catalogue(source_types, Path(), _no_vault()).schema()
    return {"$schema": DIALECT, "title": "qobs configuration"} | drawn


def documented_keys(source_types: Mapping[str, SourceTypeLike]) -> Iterator[tuple[str, Key]]:
    """Every key with its path: ``listen``, ``log.level``, ``sources[].name`` …; keys of all types once."""
    for path, key in walk(catalogue(source_types, Path(), _no_vault())):
        yield path, key
        if path == "sources":
            yield from _source_keys(source_types)


def markdown_table(source_types: Mapping[str, SourceTypeLike]) -> str:
    """The documentation's table of keys."""
    rows = [f"| `{path}` | {_default(key)} | {key.help} |" for path, key in documented_keys(source_types)]
    return "\n".join(["| key | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def _source_keys(source_types: Mapping[str, SourceTypeLike]) -> Iterator[tuple[str, Key]]:
    found: dict[str, dict[str, Key]] = {}
    for entry in source_types.values():
        record: Record[Any] = source_record(entry, _no_vault())
        for path, key in walk(record, "sources[]."):
            found.setdefault(path, {})[entry.type] = key
    for path, by_type in found.items():
        yield path, _merged(by_type, everywhere=len(by_type) == len(source_types))


def _merged(by_type: Mapping[str, Key], *, everywhere: bool) -> Key:
    """One row for a key of several types: who has it, and whose meaning it is where they differ."""
    helps: dict[str, list[str]] = {}
    for name, key in by_type.items():
        helps.setdefault(key.help, []).append(name)
    if everywhere and len(helps) == 1:
        told = next(iter(helps))
    else:
        told = "; ".join(f"*{', '.join(names)}:* {text}" for text, names in helps.items())
    return replace(next(iter(by_type.values())), help=told)


def _default(key: Key) -> str:
    if key.required:
        return "required"
    return "" if key.default is None else f"`{key.default}`"


def _no_vault() -> Vault:
    return Vault(Path(), {}, private=False, on_secret=ignore_secret)
