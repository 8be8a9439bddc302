"""OpenSLO v2alpha read as v1: fields under their v1 names, each still knowing where it stands in the file."""

from __future__ import annotations

from collections.abc import Mapping

from qobs.slo.openslo.document import Node, Row, Scalar, Table
from qobs.slo.openslo.report import Report

API = "openslo.com/v2alpha"

_NAMES: Mapping[str, str] = {"sli": "indicator", "sliRef": "indicatorRef", "serviceRef": "service"}
_METRICS = ("thresholdMetric", "good", "bad", "total", "raw")
_DURATIONS = ("duration", "lookbackWindow", "alertAfter", "timeSliceWindow")
_DROPPED_UNITS = ("M", "Q", "Y")


def as_v1(document: Table, report: Report) -> Table:
    """The document with v1 names. Fields and units that v2alpha does not have are findings."""
    return _table(document, report)


def _node(node: Node, report: Report) -> Node:
    if isinstance(node, Table):
        return _table(node, report)
    if isinstance(node, Row):
        return Row(node.place, [_node(child, report) for child in node.items])
    return node


def _table(table: Table, report: Report) -> Table:
    entries: dict[str, Node] = {}
    for name, child in table.entries.items():
        if name == "metadata":
            _metadata(child, report)
        if name in ("metadata", "connectionDetails"):
            entries[name] = child
        elif name in _METRICS and isinstance(child, Table):
            entries[name] = _metric(child, report)
        else:
            _tell_v1_name(name, child, report)
            _tell_unit(name, child, report)
            entries[_NAMES.get(name, name)] = _node(child, report)
    return Table(table.place, entries)


def _metadata(node: Node, report: Report) -> None:
    if isinstance(node, Table) and "displayName" in node.entries:
        hint = "metadata has no displayName in v2alpha: use an annotation"
        report.unknown_field(node.entries["displayName"].place, "displayName", hint)


def _tell_v1_name(name: str, child: Node, report: Report) -> None:
    newer = {old: new for new, old in _NAMES.items() if old != "service"} | {"metricSource": "dataSourceRef"}
    if name in newer:
        report.unknown_field(child.place, name, f"v2alpha calls it `{newer[name]}`")


def _tell_unit(name: str, child: Node, report: Report) -> None:
    if name in _DURATIONS and isinstance(child, Scalar) and child.text.endswith(_DROPPED_UNITS):
        report.error(child.place, child.text, "v2alpha knows the units m h d w only", "duration")


def _metric(table: Table, report: Report) -> Table:
    """A flat metric, with ``dataSourceRef`` or ``dataSourceSpec`` beside ``spec``, as v1 nests it."""
    inner: dict[str, Node] = {}
    for name, child in table.entries.items():
        if name == "dataSourceRef":
            inner["metricSourceRef"] = child
        elif name == "dataSourceSpec" and isinstance(child, Table):
            inner |= {key: value for key, value in child.entries.items() if key == "type"}
            for key, value in child.entries.items():
                if key != "type":
                    report.warning(value.place, key, "not honoured: describe the connection in a DataSource", "not_honoured")
        elif name == "metricSource" and isinstance(child, Table):
            _tell_v1_name(name, child, report)
            inner |= child.entries
        else:
            inner[name] = child
    return Table(table.place, {"metricSource": Table(table.place, inner)})
