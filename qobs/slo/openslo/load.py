"""OpenSLO in: documents become objectives, or everything that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from qobs.errors import ConfigError, Finding
from qobs.slo.objective import Objective, Severity
from qobs.slo.openslo import renames
from qobs.slo.openslo.alerts import SEVERITIES
from qobs.slo.openslo.document import Node, Place, Plain, Table, plain, read
from qobs.slo.openslo.index import Index, Surroundings
from qobs.slo.openslo.kinds import API, SPECS, document_shape
from qobs.slo.openslo.profile import INTERVAL
from qobs.slo.openslo.report import Report, nearest, shown
from qobs.slo.openslo.resolve import check_alone, check_parts, objectives_of
from qobs.slo.openslo.sources import NATIVE_SLIS, Known

_APIS = (API, renames.API)
_NATIVE = Known()


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One document as read, under its v1 names. ``body`` is the whole of it: text, truth, Decimal, lists and mappings."""

    kind: str
    name: str
    body: Mapping[str, Plain]
    file: str = ""
    document: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """All that a load gives: objectives in the order of the files, what to know about them, and the documents as read."""

    objectives: tuple[Objective, ...]
    warnings: tuple[Finding, ...]
    objects: tuple[Object, ...]


def load_objectives(
    documents: Sequence[tuple[str, str]],
    *,
    strict: bool = True,
    known_slis: Sequence[str] = NATIVE_SLIS,
    severities: Mapping[str, Severity] = SEVERITIES,
    interval: timedelta = INTERVAL,
    ignore_sources: bool = False,
) -> Loaded:
    """Objectives of OpenSLO v1 and v2alpha documents that are loaded together, so that they may refer to one another.

    Args:
        documents: File name and text of each file, YAML or JSON: one document, several, or one list of them.
        strict: False: unknown fields, a missing ``kind: burnrate`` and unknown severities are warnings.
        known_slis: Names that a source of type ``qobs`` may use.
        severities: What the words for severities mean, in lower case.
        interval: How often alerts are evaluated; every alert window must be a whole number of these.
        ignore_sources: True where the events come from a file: faults of data sources and queries are warnings then.

    Raises:
        ConfigError: Something is wrong; the findings tell all of it.
    """
    report = Report(strict=strict)
    nodes = [node for name, text in documents for node in _documents(name, text, report)]
    known = Known(slis=tuple(known_slis), ignored=ignore_sources)
    loaded = load_nodes(nodes, report, known=known, severities=severities, interval=interval)
    order = [name for name, _ in documents]
    if report.errors:
        raise ConfigError(ordered(report.errors, order))
    return replace(loaded, warnings=ordered(report.warnings, order))


def load_nodes(
    nodes: Sequence[Node],
    report: Report,
    *,
    known: Known = _NATIVE,
    severities: Mapping[str, Severity] = SEVERITIES,
    interval: timedelta = INTERVAL,
    keep_unknown: bool = True,
) -> Loaded:
    """Objectives of documents that are read already; what is wrong is in ``report``.

    ``keep_unknown`` False leaves fields that the specification does not have out of ``objects``.
    """
    tables = [table for node in nodes if (table := _versioned(node, report)) is not None]
    checked = [(table, *_checked(table, report)) for table in tables]
    index = _index(checked, report)
    around = Surroundings(index, replace(known, data_sources=_source_types(index)), severities, interval)
    right = [(table, kind) for table, kind, fine in checked if fine]
    objectives = [found for table, kind in right if kind == "SLO" for found in objectives_of(table, around, report)]
    for table, kind in right:
        check_alone(table, kind, around, report)
    for table, _, fine in checked:
        if not fine:
            check_parts(table, around, report)
    without = frozenset() if keep_unknown else frozenset(report.unknown)
    objects = tuple(_object(table, kind, without) for table, kind, _ in checked)
    return Loaded(objectives=tuple(objectives), warnings=tuple(report.warnings), objects=objects)


def _documents(name: str, text: str, report: Report) -> tuple[Node, ...]:
    nodes, findings = read(name, text)
    report.errors.extend(findings)
    if not nodes and not findings:
        report.warnings.append(Finding(name, "", "nothing", "the file holds no document", "no_documents"))
    return nodes


def _versioned(node: Node, report: Report) -> Table | None:
    """The document under v1 names; None after a finding about its version."""
    if not isinstance(node, Table):
        report.error(node.place, shown(node), "a document is a mapping with apiVersion, kind, metadata and spec", "type")
        return None
    version = node.get("apiVersion")
    if version is None:
        hint = "run `qobs slo import`" if node.text("version") == "prometheus/v1" else f"`apiVersion` is required: {API}"
        report.error(node.place_of("apiVersion"), "nothing", hint, "required")
    elif node.text("apiVersion") not in _APIS:
        hint = f"must be {' or '.join(_APIS)}; `qobs slo import` reads openslo/v1alpha, Sloth and Pyrra"
        report.error(version.place, shown(version), hint, "equal_to")
    else:
        return renames.as_v1(node, report) if node.text("apiVersion") == renames.API else node
    return None


def _checked(node: Table, report: Report) -> tuple[str, bool]:
    """Kind of a document, and whether it is right by itself."""
    kind = node.text("kind")
    before = len(report.errors)
    if node.get("kind") is None:
        report.error(node.place_of("kind"), "nothing", f"`kind` is required: one of {', '.join(SPECS)}", "required")
    elif kind not in SPECS:
        report.error(node.place_of("kind"), shown(node.get("kind")), nearest(kind, tuple(SPECS)), "equal_to")
        kind = ""
    else:
        document_shape(kind)(node, report)
    return kind, len(report.errors) == before


def _index(checked: Sequence[tuple[Table, str, bool]], report: Report) -> Index:
    objects: dict[tuple[str, str], Table | None] = {}
    first: dict[tuple[str, str], Table] = {}
    for node, kind, right in checked:
        key = kind, node.text("metadata", "name")
        if not all(key):
            continue
        if key in first:
            where = first[key].place
            hint = f"the first is document {where.document} of {where.file}: names are unique within a kind"
            metadata = node.table("metadata") or node
            report.error(metadata.place_of("name"), f"{kind} {key[1]}", hint, "duplicate_object")
        else:
            first[key] = node
            objects[key] = node if right else None
    return Index(objects)


def _source_types(index: Index) -> dict[str, str | None]:
    return {
        name: None if node is None else node.text("spec", "type").lower()
        for (kind, name), node in index.objects.items()
        if kind == "DataSource"
    }


def _object(node: Table, kind: str, without: frozenset[Place]) -> Object:
    body = {key: plain(child, without) for key, child in node.entries.items() if child.place not in without}
    body["apiVersion"] = API
    place = node.place
    return Object(kind=kind, name=node.text("metadata", "name"), body=body, file=place.file, document=place.document)


def ordered(findings: Sequence[Finding], files: Sequence[str]) -> tuple[Finding, ...]:
    """Each finding once, in the order of the files and of their lines."""
    rank = {name: index for index, name in reversed(list(enumerate(files)))}
    once = tuple(dict.fromkeys(findings))
    return tuple(sorted(once, key=lambda finding: (rank.get(finding.file, 0), finding.document or 0, finding.line or 0)))
