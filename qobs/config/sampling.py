"""Kinds of the reference section: which jobs are sampled, and a share between nothing and all."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qobs.config.document import Node, Scalar, Table
from qobs.config.kinds import Integer, Report, Schema, shown
from qobs.config.records import Sample

_ALLOWED = "must be `all`, `per_shape`, or a mapping such as {every: 10}"


@dataclass(frozen=True, slots=True)
class SampleKind:
    """``all``, ``per_shape`` or ``{every: N}``."""

    def read(self, node: Node, report: Report) -> Sample | None:
        """The sample."""
        if isinstance(node, Scalar) and node.tag == "str" and node.text in ("all", "per_shape"):
            return Sample(per_shape=node.text == "per_shape")
        if isinstance(node, Table) and node.entries.keys() == {"every"}:
            every = Integer(1, 1_000_000).read(node.entries["every"], report)
            return None if every is None else Sample(every=every)
        report.error(node.place, shown(node), _ALLOWED)
        return None

    def schema(self) -> Schema:
        """A word, or an object with one key."""
        every = {
            "type": "object",
            "additionalProperties": False,
            "properties": {"every": Integer(1, 1_000_000).schema()},
            "required": ["every"],
        }
        return {"anyOf": [{"enum": ["all", "per_shape"]}, every]}


@dataclass(frozen=True, slots=True)
class Share:
    """A number greater than 0 and less than 1."""

    def read(self, node: Node, report: Report) -> float | None:
        """The number."""
        if isinstance(node, Scalar) and node.tag in {"int", "float"}:
            try:
                value = float(node.text)
            except ValueError:
                value = math.nan
            if 0.0 < value < 1.0:
                return value
        report.error(node.place, shown(node), "must be a number greater than 0 and less than 1")
        return None

    def schema(self) -> Schema:
        """A number; the ends, which the loader refuses, are finer than the schema's words."""
        return {"type": "number", "minimum": 0, "maximum": 1}
