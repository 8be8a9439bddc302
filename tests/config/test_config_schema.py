"""The JSON Schema, the documentation and the loader are one table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from qobs.config import OVERRIDES, documented_keys, json_schema, markdown_table
from qobs.sources.base import SourceType

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "configuration.md"


UNDERSTOOD = {
    "$schema",
    "title",
    "description",
    "default",
    "type",
    "enum",
    "const",
    "anyOf",
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "additionalProperties",
    "propertyNames",
}


def problems(value: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """What a validator of the few JSON Schema words that qobs uses would say."""
    assert schema.keys() <= UNDERSTOOD
    if "anyOf" in schema:
        if all(any(problems(value, way, path)) for way in schema["anyOf"]):
            yield f"{path}: none of the alternatives"
        return
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        yield f"{path}: not an allowed word"
    sorts: Mapping[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
        "object": dict,
    }
    if "type" in schema and not isinstance(value, sorts[schema["type"]]):
        yield f"{path}: not {schema['type']}"
        return
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: does not match {schema['pattern']}"
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(item, schema["items"], f"{path}[{index}]")
    if isinstance(value, dict):
        yield from (f"{path}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        known, further = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name, item in value.items():
            if name not in known and further is False:
                yield f"{path}: {name} is unknown"
            yield from problems(name, schema.get("propertyNames", {}), path)
            yield from problems(item, known.get(name, further if isinstance(further, dict) else {}), f"{path}.{name}")


class _Words(yaml.SafeLoader):
    """As an editor reads YAML: times stay text."""


_Words.yaml_implicit_resolvers = {
    first: [entry for entry in entries if not entry[0].endswith("timestamp")]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def as_editors_read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=_Words)


@pytest.mark.parametrize("name", ["full", "least"])
def test_the_schema_accepts_what_the_loader_accepts(name: str, source_types: Mapping[str, SourceType]) -> None:
    """An editor that underlines a good file teaches people to ignore it."""
    value = as_editors_read(ROOT / "tests" / "config" / "good" / f"{name}.yaml")
    assert list(problems(value, json_schema(source_types))) == []


@pytest.mark.parametrize(
    "name",
    ["unknown_top_level_key", "unknown_nested_key", "no_sources", "listen_number", "log_level", "source_option_unknown",
     "source_option_required", "poll_unknown_stream", "label_not_a_job_field", "limit_size", "tier_text", "store_postgresql"],
)  # fmt: skip
def test_the_schema_refuses_what_the_loader_refuses(name: str, source_types: Mapping[str, SourceType]) -> None:
    """The editor shows the mistake before the daemon does."""
    value = as_editors_read(ROOT / "tests" / "config" / "bad" / f"{name}.yaml")
    assert list(problems(value, json_schema(source_types))) != []


def test_every_key_and_override_is_documented() -> None:
    """A key that nobody can find might as well not exist; the table is drawn from the loader's own."""
    registry = pytest.importorskip("qobs.sources.registry", reason="the source types are not there yet", exc_type=ImportError)
    text = DOC.read_text()
    block = text.split("<!-- keys:begin -->\n")[1].split("<!-- keys:end -->")[0]
    assert block == markdown_table(registry.SOURCES)
    assert all(f"`{path}`" in block for path, _ in documented_keys(registry.SOURCES))
    assert all(f"`{variable}`" in text for variable in OVERRIDES)
