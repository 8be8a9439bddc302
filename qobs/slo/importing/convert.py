"""Import: what each document is, who reads it, and the proof that the outcome loads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qobs.errors import ConfigError, Finding
from qobs.slo.importing import openslo_v1alpha, pyrra, sloth
from qobs.slo.importing.export import export
from qobs.slo.importing.reading import Reading
from qobs.slo.openslo import renames
from qobs.slo.openslo.document import Node, Place, Plain, Row, Scalar, Table, read
from qobs.slo.openslo.fields import duration as check_duration
from qobs.slo.openslo.kinds import API
from qobs.slo.openslo.load import Object, load_nodes, load_objectives, ordered
from qobs.slo.openslo.report import Report, shown

DEFAULT_PERIOD = "30d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """OpenSLO v1 in YAML, and everything that was left out, changed or assumed on the way."""

    text: str
    not_honoured: tuple[Finding, ...]


def import_documents(documents: Sequence[tuple[str, str]], *, period: str = DEFAULT_PERIOD) -> Imported:
    """OpenSLO v1, v1alpha and v2alpha, Sloth and Pyrra as OpenSLO v1, which is loaded once to prove that it can be.

    Args:
        documents: File name and text of each file.
        period: SLO period for Sloth's documents, which name none.

    Raises:
        ConfigError: A document is of no known kind, cannot be read, or gives SLOs that are wrong; all findings at once.
    """
    report = Report(strict=False)
    check_duration(Scalar(Place("--period", 0, "", None), period, period), report)
    nodes: list[Node] = []
    for name, text in documents:
        found, findings = read(name, text)
        report.errors.extend(findings)
        nodes.extend(item for node in found for item in _items(node, report))
    objects = _converted(nodes, period, report)
    order = [name for name, _ in documents]
    if report.errors:
        raise ConfigError(ordered(report.errors, order))
    text = export(objects)
    _prove(text, objects)
    return Imported(text=text, not_honoured=ordered(report.warnings, order))


def _prove(text: str, objects: Sequence[Object]) -> None:
    """Load the outcome; what is wrong is told with the file that it came from."""
    try:
        load_objectives([("", text)])
    except ConfigError as problem:
        found = [
            replace(finding, file=f"{objects[finding.document or 0].file} as {API}", line=None) for finding in problem.findings
        ]
        raise ConfigError(tuple(found)) from None


def _items(node: Node, report: Report) -> Sequence[Node]:
    """The documents in a Kubernetes list, or the one document."""
    rows = node.entries.get("items") if isinstance(node, Table) and node.text("kind").endswith("List") else None
    if not (isinstance(node, Table) and isinstance(rows, Row)):
        return (node,)
    wrapper = Reading(node, report)
    for name in ("apiVersion", "kind", "items"):
        wrapper.node(name)
    wrapper.finish()
    return rows.items


def _converted(nodes: Sequence[Node], period: str, report: Report) -> list[Object]:
    own = [node for node in nodes if isinstance(node, Table) and node.text("apiVersion") in (API, renames.API)]
    kept = {id(node) for node in own}
    loaded = load_nodes(own, report, keep_unknown=False)
    others = [node for node in nodes if id(node) not in kept]
    foreign = [(node.place.file, body) for node in others for body in _foreign(node, period, report)]
    return [*(_completed(item) for item in loaded.objects), *_unique(foreign, report)]


def _foreign(node: Node, period: str, report: Report) -> list[dict[str, Plain]]:
    if not isinstance(node, Table):
        report.error(node.place, shown(node), "a document is a mapping", "type")
        return []
    reading = Reading(node, report)
    version, kind = node.text("apiVersion"), node.text("kind")
    if node.text("version") == sloth.VERSION:
        bodies = sloth.from_file(reading, period)
    elif (version, kind) == (sloth.API, sloth.KIND):
        bodies = sloth.from_kubernetes(reading, period)
    elif (version, kind) == (pyrra.API, pyrra.KIND):
        bodies = pyrra.from_kubernetes(reading)
    elif version == openslo_v1alpha.API:
        bodies = openslo_v1alpha.from_document(reading)
    else:
        found = f"apiVersion {version or 'missing'}, kind {kind or 'missing'}"
        known = (
            f"{API}, {openslo_v1alpha.API}, {renames.API}, {sloth.VERSION}, {sloth.API} {sloth.KIND}, {pyrra.API} {pyrra.KIND}"
        )
        report.error(node.place, found, f"known are {known}", "equal_to")
        return []
    reading.finish()
    return bodies


def _unique(bodies: Sequence[tuple[str, dict[str, Plain]]], report: Report) -> Iterator[Object]:
    """Objects with names of their own: one that is taken gets its service before it."""
    taken: set[tuple[str, str]] = set()
    for file, body in bodies:
        kind, metadata, spec = str(body["kind"]), body["metadata"], body["spec"]
        if not isinstance(metadata, dict) or not isinstance(spec, dict):
            continue
        name = str(metadata["name"])
        if (kind, name) in taken and kind == "SLO":
            renamed = f"{spec['service']}-{name}"[:63].strip("-")
            report.warnings.append(Finding(file, "metadata.name", name, f"taken: called {renamed}", "renamed"))
            metadata["name"] = name = renamed
        taken.add((kind, name))
        yield Object(kind=kind, name=name, body=body, file=file)


def _completed(item: Object) -> Object:
    """The object with ``kind: burnrate`` wherever a condition leaves it out, which lenient loading allows."""
    body = _with_kind(item.body)
    return Object(kind=item.kind, name=item.name, body=body if isinstance(body, dict) else item.body, file=item.file)


def _with_kind(value: Plain) -> Plain:
    if isinstance(value, list):
        return [_with_kind(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _with_kind(item) for key, item in value.items()}
    return {"kind": "burnrate"} | found if "lookbackWindow" in found and found.get("kind") is None else found
