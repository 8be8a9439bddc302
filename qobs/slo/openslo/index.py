"""What is loaded together: named objects, and references among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from qobs.slo.objective import Severity
from qobs.slo.openslo.document import Node, Row, Table
from qobs.slo.openslo.report import Report
from qobs.slo.openslo.sources import Known


@dataclass(frozen=True, slots=True)
class Index:
    """Every named object of a load; the value is None where the object has errors of its own."""

    objects: Mapping[tuple[str, str], Table | None]

    def find(self, kind: str, node: Table, key: str, report: Report) -> Table | None:
        """The object of ``kind`` that ``node`` refers to by ``key``; None where it has errors or, told, is not there."""
        name = node.text(key)
        if (kind, name) not in self.objects:
            report.error(node.place_of(key), name, f"no {kind} of this name is loaded", "ref_not_found")
        return self.objects.get((kind, name))

    def names(self, kind: str) -> frozenset[str]:
        """Names of all objects of a kind, right or wrong."""
        return frozenset(name for of, name in self.objects if of == kind)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for every SLO of a load."""

    index: Index
    known: Known
    severities: Mapping[str, Severity]
    interval: timedelta


_REFERENCES: Mapping[str, str] = {
    "indicatorRef": "SLI",
    "alertPolicyRef": "AlertPolicy",
    "conditionRef": "AlertCondition",
    "targetRef": "AlertNotificationTarget",
}


def check_references(node: Node, index: Index, report: Report) -> None:
    """Every reference below ``node`` that is well written leads somewhere."""
    for child in node.items if isinstance(node, Row) else node.entries.values() if isinstance(node, Table) else ():
        check_references(child, index, report)
    for name, kind in _REFERENCES.items() if isinstance(node, Table) else ():
        if isinstance(node, Table) and node.text(name) and report.clean(node.place_of(name)):
            index.find(kind, node, name, report)
