"""Reading a foreign document so that nothing is lost: what nobody took is told as not honoured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from qobs.slo.openslo.document import Node, Place, Plain, Row, Scalar, Table, word
from qobs.slo.openslo.promql import WINDOW, fault, has_window
from qobs.slo.openslo.report import Report, shown

_NOT_IN_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 63
_MOST_SHOWN = 80
_LABEL_KEY = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")


class Reading:
    """A mapping of which every field is either taken or told by :meth:`finish`."""

    def __init__(self, table: Table, report: Report) -> None:
        """Read ``table``; findings go to ``report``."""
        self.table = table
        self.report = report
        self._taken: set[str] = set()
        self._children: list[Reading] = []

    @property
    def place(self) -> Place:
        """Where the mapping stands."""
        return self.table.place

    def node(self, name: str) -> Node | None:
        """The value of a field, whole; None where it is missing or ``null``."""
        self._taken.add(name)
        return self.table.get(name)

    def text(self, name: str) -> str:
        """A field's text as written, also of numbers; empty where it is missing."""
        node = self.node(name)
        if isinstance(node, Scalar):
            return node.text
        if node is not None:
            self.lost(node.place, node, "must be text")
        return ""

    def number(self, name: str) -> Decimal | None:
        """A number, quoted or not; None where it is missing or, told, no number."""
        node = self.node(name)
        value = word(node.text) if isinstance(node, Scalar) else None
        if isinstance(value, Decimal):
            return value
        if node is not None:
            self.lost(node.place, node, "must be a number")
        return None

    def truth(self, name: str) -> bool | None:
        """True or false; None where it is missing or, told, neither."""
        node = self.node(name)
        value = word(node.text) if isinstance(node, Scalar) else None
        if isinstance(value, bool):
            return value
        if node is not None:
            self.lost(node.place, node, "must be true or false")
        return None

    def child(self, name: str) -> Reading:
        """The mapping at a field; an empty one where there is none."""
        node = self.node(name)
        if node is not None and not isinstance(node, Table):
            self.lost(node.place, node, "must be a mapping")
        child = Reading(node if isinstance(node, Table) else Table(self.table.place_of(name), {}), self.report)
        self._children.append(child)
        return child

    def children(self, name: str) -> Sequence[Reading]:
        """The mappings in the list at a field."""
        node = self.node(name)
        if node is not None and not isinstance(node, Row):
            self.lost(node.place, node, "must be a list")
        items = node.items if isinstance(node, Row) else ()
        for item in items:
            if not isinstance(item, Table):
                self.lost(item.place, item, "must be a mapping")
        found = [Reading(item, self.report) for item in items if isinstance(item, Table)]
        self._children.extend(found)
        return found

    def labels(self, name: str) -> dict[str, str]:
        """Texts by key that OpenSLO takes as labels; others are told."""
        child = self.child(name)
        return {key: child.text(key) for key in child.table.entries if is_label_key(key)}

    def query(self, name: str) -> str:
        """PromQL with a window placeholder; empty where it is missing or, told, something else."""
        written = self.text(name).strip()
        problem = fault(written) if written else None
        if problem is not None:
            self.note(name, written[:_MOST_SHOWN], f"no SLO was made: not PromQL: {problem}", "not_honoured")
        elif written and not has_window(written):
            self.note(name, written[:_MOST_SHOWN], f"no SLO was made: the query has no window {WINDOW}", "not_honoured")
        else:
            return written
        return ""

    def has(self, name: str) -> bool:
        """Whether a field is there, without taking it."""
        return self.table.get(name) is not None

    def drop(self, name: str, hint: str) -> None:
        """Tell that a field, if it is there, is not honoured, and why."""
        node = self.node(name)
        if node is not None and not _nothing(node):
            self.lost(node.place, node, hint)

    def lost(self, place: Place, node: Node | None, hint: str) -> None:
        """Tell that a value is not honoured."""
        self.report.warning(place, shown(node), hint, "not_honoured")

    def note(self, name: str, found: str, hint: str, code: str = "assumed") -> None:
        """Tell something that was decided in the author's place."""
        self.report.warning(self.table.place_of(name), found, hint, code)

    def name(self, name: str) -> str:
        """A field's text as a DNS label; a change is told. Empty where nothing is left."""
        written = self.text(name)
        return self.label_of(name, written)

    def label_of(self, name: str, written: str) -> str:
        """``written`` as a DNS label; a change is told at the field ``name``."""
        label = _NOT_IN_NAME.sub("-", written.lower()).strip("-")[:_LONGEST_NAME].strip("-")
        if written and label != written:
            self.note(name, written, f"called {label or '(nothing)'}: names are DNS labels", "renamed")
        return label

    def finish(self) -> None:
        """Tell every field that nobody took, here and below."""
        for name, node in self.table.entries.items():
            if name not in self._taken and not _nothing(node):
                self.lost(node.place, node, "qobs has no such setting")
        for child in self._children:
            child.finish()


def is_label_key(key: str) -> bool:
    """Whether OpenSLO takes ``key`` as the key of a label."""
    return _LABEL_KEY.fullmatch(key) is not None


def metric(query: str, kind: str = "prometheus") -> dict[str, Plain]:
    """A metric with an inline source."""
    return {"metricSource": {"type": kind, "spec": {"query": query}}}


def _nothing(node: Node) -> bool:
    if isinstance(node, Scalar):
        return node.value is None or node.value == ""
    return not (node.entries if isinstance(node, Table) else node.items)
