"""Objects as OpenSLO v1 in YAML: what was read, and nothing else; reading it again gives the same objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

import yaml

from qobs.slo.openslo.document import Plain, word
from qobs.slo.openslo.load import Object

_WIDTH = 120
_LONGEST_PLAIN = 30
_FIRST = ("apiVersion", "kind", "metadata", "spec")


class _Dumper(yaml.SafeDumper):
    """Writes decimals digit by digit, quotes what would be read as another kind, and shares no nodes."""

    def ignore_aliases(self, data: object) -> bool:
        """Anchors would hide from a reader what an object holds."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else "'" if not isinstance(word(value), str) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.ScalarNode:
    text = _digits(value)
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'int' if text.lstrip('-').isdigit() else 'float'}", text)


def _digits(value: Decimal) -> str:
    """A number in a form that every YAML reader takes for one: with a point before an exponent."""
    if abs(value.adjusted()) < _LONGEST_PLAIN:
        return f"{value:f}"
    mantissa, exponent = f"{value:e}".split("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}"


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, _decimal)


def export(objects: Iterable[Object]) -> str:
    """The objects as one YAML text, a document each, in their order; empty for none.

    Equal objects give equal bytes. Fields keep the order in which they were read.
    """
    bodies = [_in_order(item.body) for item in objects]
    if not bodies:
        return ""
    return yaml.dump_all(bodies, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, explicit_start=True)


def annotated(item: Object, annotations: Mapping[str, str]) -> Object:
    """The object with annotations added; one that it has already stays as it is."""
    metadata = item.body.get("metadata")
    old = dict(metadata) if isinstance(metadata, Mapping) else {}
    before = old.get("annotations")
    merged = {**annotations, **(before if isinstance(before, Mapping) else {})}
    return replace(item, body={**item.body, "metadata": {**old, "annotations": dict(sorted(merged.items()))}})


def _in_order(body: Mapping[str, Plain]) -> dict[str, Plain]:
    """The four fields of a document first, as everyone writes them."""
    return {
        key: body[key] for key in (*(name for name in _FIRST if name in body), *(name for name in body if name not in _FIRST))
    }
