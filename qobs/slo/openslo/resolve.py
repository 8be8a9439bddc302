"""Documents that are right by themselves, put together: references followed, SLOs turned into objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from qobs.slo.objective import (
    Budgeting,
    Calendar,
    EmptySlice,
    Member,
    Objective,
    Pair,
    PromSource,
    Rolling,
    Source,
    Sparse,
)
from qobs.slo.openslo.alerts import (
    CAP_FACTOR,
    COMPOSITE,
    EMPTY_SLICE,
    MWMBR,
    NO_DATA,
    PROFILE,
    Policy,
    annotation,
    check_annotations,
    condition_of,
    sparse_of,
)
from qobs.slo.openslo.checks import check_pair, nominal_period
from qobs.slo.openslo.composites import composite_target
from qobs.slo.openslo.document import Node, Place, Row, Scalar, Table
from qobs.slo.openslo.index import Index, Surroundings, check_references
from qobs.slo.openslo.periods import UNITS, length, split, written
from qobs.slo.openslo.profile import PROFILES, capped, default_pairs
from qobs.slo.openslo.report import Report
from qobs.slo.openslo.sources import check_indicator, source_of

_UNNAMED = "composite"


@dataclass(frozen=True, slots=True)
class _Read:
    """One entry of ``objectives`` with its indicator."""

    node: Table
    name: str
    target: Decimal
    source: Source
    weight: float


def objectives_of(slo: Table, around: Surroundings, report: Report) -> tuple[Objective, ...]:
    """The objectives of one SLO; none after a finding."""
    before = len(report.errors)
    check_annotations(slo, report)
    spec = slo.table("spec")
    if spec is None:
        return ()
    _check_service(spec, around.index, report)
    policies = _policies(slo, around, report)
    entries = _entries(spec, around, report)
    window = _window(spec, report)
    if len(report.errors) > before or window is None or any(entry is None for entry in entries):
        return ()
    read = [entry for entry in entries if entry is not None]
    drafts = _drafts(slo, spec, window, policies, read, report)
    finished = tuple(_with_pairs(draft, place, slo, policies, around, report) for draft, place in drafts)
    return finished if len(report.errors) == before else ()


def check_alone(node: Table, kind: str, around: Surroundings, report: Report) -> None:
    """Tell what is wrong with an object that no SLO may refer to."""
    if kind == "SLI" and (spec := node.table("spec")) is not None:
        check_indicator(spec, around.known, report)
    elif kind == "AlertPolicy":
        _policy(node, node, around, report)
    elif kind == "AlertCondition":
        condition_of(node, node, node, around.severities, report)


def check_parts(node: Table, around: Surroundings, report: Report) -> None:
    """Tell what can be told of an object that has errors: its references, and its parts that are right."""
    check_references(node, around.index, report)
    indicator = node.table("spec", "indicator")
    if indicator is not None and (spec := indicator.table("spec")) is not None and report.clean(indicator.place):
        check_indicator(spec, around.known, report)
    for item in node.rows("spec", "alertPolicies"):
        if report.clean(item.place) and (policy := _object(item, "AlertPolicy", "alertPolicyRef", around.index, report)):
            _policy(policy, node, around, report)


def _check_service(spec: Table, index: Index, report: Report) -> None:
    """A service is a plain name, unless services are described: then it must be one of them."""
    services = index.names("Service")
    if services and spec.text("service") not in services:
        report.error(spec.place_of("service"), spec.text("service"), "no Service of this name is loaded", "ref_not_found")


def _window(spec: Table, report: Report) -> Rolling | Calendar | None:
    node = next((row for row in spec.rows("timeWindow") if isinstance(row, Table)), None)
    parts = None if node is None else split(node.text("duration"))
    if node is None or parts is None:
        return None
    count, unit = parts
    calendar = node.table("calendar")
    if calendar is not None:
        start = datetime.fromisoformat(calendar.text("startTime"))
        return Calendar(start=start, time_zone=calendar.text("timeZone"), count=count, unit=unit)
    if unit in ("M", "Q", "Y"):
        hint = f"a rolling {unit} is {UNITS[unit].days} days; write days, or give a calendar"
        report.warning(node.place_of("duration"), node.text("duration"), hint, "rolling_calendar_unit")
    return Rolling(length=count * UNITS[unit])


def _policies(slo: Table, around: Surroundings, report: Report) -> tuple[Policy, ...]:
    found: list[Policy] = []
    for item in slo.rows("spec", "alertPolicies"):
        policy = _object(item, "AlertPolicy", "alertPolicyRef", around.index, report)
        if policy is not None and (read := _policy(policy, slo, around, report)) is not None:
            found.append(read)
    return tuple(found)


def _object(item: Node, kind: str, reference: str, index: Index, report: Report) -> Table | None:
    """An inline object, or the one that is referred to."""
    if not isinstance(item, Table):
        return None
    return index.find(kind, item, reference, report) if item.get(reference) is not None else item


def _policy(policy: Table, slo: Table, around: Surroundings, report: Report) -> Policy | None:
    condition = None
    for item in policy.rows("spec", "conditions"):
        node = _object(item, "AlertCondition", "conditionRef", around.index, report)
        if node is not None:
            condition = condition_of(node, policy, slo, around.severities, report)
    targets = [
        _object(item, "AlertNotificationTarget", "targetRef", around.index, report)
        for item in policy.rows("spec", "notificationTargets")
    ]
    breaching = policy.truth("spec", "alertWhenBreaching")
    return Policy(
        condition=None if breaching is False else condition,
        receivers=tuple(target.text("metadata", "name") for target in targets if target is not None),
        when_resolved=bool(policy.truth("spec", "alertWhenResolved")),
        when_no_data=bool(policy.truth("spec", "alertWhenNoData")),
    )


def _indicator(owner: Table, index: Index, report: Report) -> Table | None:
    """The spec of the indicator that stands on ``owner``, or that it refers to."""
    if owner.get("indicatorRef") is not None:
        sli = index.find("SLI", owner, "indicatorRef", report)
        return None if sli is None else sli.table("spec")
    return owner.table("indicator", "spec")


def _entries(spec: Table, around: Surroundings, report: Report) -> list[_Read | None]:
    nodes = [node for node in spec.rows("objectives") if isinstance(node, Table)]
    shared = _indicator(spec, around.index, report)
    if shared is not None and shared.get("thresholdMetric") is not None and len(nodes) > 1:
        found, hint = f"{len(nodes)} objectives", "an SLO on a thresholdMetric has one objective"
        report.error(spec.place_of("objectives"), found, hint, "slice_length")
    names: set[str] = set()
    entries: list[_Read | None] = []
    for index, node in enumerate(nodes):
        indicator = shared or _indicator(node, around.index, report)
        source = None if indicator is None else source_of(indicator, node, around.known, report)
        if indicator is not None:
            _warn_raw(spec, indicator, report)
        name = _name(node, index, names, report)
        entries.append(None if source is None else _Read(node, name, _target(node), source, _weight(node)))
    return entries


def _warn_raw(spec: Table, indicator: Table, report: Report) -> None:
    raw = indicator.table("ratioMetric", "raw")
    if raw is not None and spec.text("budgetingMethod") == Budgeting.OCCURRENCES:
        hint = "a raw ratio has no event counts: its budget is a time average, and evidence gates are off"
        report.warning(raw.place, "raw with Occurrences", hint, "raw_no_counts")


def _name(node: Table, index: int, taken: set[str], report: Report) -> str:
    """The display name, or the index where there is none or it is taken."""
    name = node.text("displayName") or str(index)
    if name in taken:
        report.warning(node.place_of("displayName"), name, f"taken by an objective above: called {index}", "duplicate_name")
        name = str(index)
    taken.add(name)
    return name


def _target(node: Table) -> Decimal:
    """The target as a ratio, exactly: a percentage moves its point by two."""
    ratio = node.number("target")
    return ratio if ratio is not None else (node.number("targetPercent") or Decimal(0)).scaleb(-2).normalize()


def _weight(node: Table) -> float:
    weight = node.number("compositeWeight")
    return 1.0 if weight is None else float(weight)


def _drafts(
    slo: Table,
    spec: Table,
    window: Rolling | Calendar,
    policies: Sequence[Policy],
    read: Sequence[_Read],
    report: Report,
) -> list[tuple[Objective, Place]]:
    """Objectives without pairs yet, each with the place of its target."""
    composite = len(read) > 1 and spec.get("indicator") is None and spec.get("indicatorRef") is None
    if composite:
        _check_one_slice(read, report)
        place = spec.place_of("objectives")
        return [(_composite(_draft(slo, spec, window, policies, read[0]), slo, read), place)]
    return [(_draft(slo, spec, window, policies, entry), _target_place(entry.node)) for entry in read]


def _target_place(node: Table) -> Place:
    return node.place_of("target" if node.get("target") is not None else "targetPercent")


def _draft(slo: Table, spec: Table, window: Rolling | Calendar, policies: Sequence[Policy], entry: _Read) -> Objective:
    slice_target = entry.node.number("timeSliceTarget")
    raw = isinstance(entry.source, PromSource) and bool(entry.source.raw)
    return Objective(
        slo=slo.text("metadata", "name"),
        service=spec.text("service"),
        name=entry.name,
        target=entry.target,
        window=window,
        source=entry.source,
        budgeting=Budgeting(spec.text("budgetingMethod")),
        time_slice_target=None if slice_target is None else float(slice_target),
        time_slice_window=_slice_window(entry.node),
        empty_slice=EmptySlice(annotation(slo, EMPTY_SLICE) or EmptySlice.SKIP),
        sparse=Sparse(enabled=False) if raw else sparse_of(slo),
        description=spec.text("description"),
        display_name=slo.text("metadata", "displayName"),
        labels=_labels(slo),
        annotations=_annotations(slo),
        alert_when_no_data=_when_no_data(slo, policies),
        alert_when_resolved=not policies or any(policy.when_resolved for policy in policies),
        receivers=tuple(dict.fromkeys(name for policy in policies for name in policy.receivers)),
        file=slo.place.file,
    )


def _when_no_data(slo: Table, policies: Sequence[Policy]) -> bool:
    """As the annotation says; else as any policy does; without policies, yes."""
    chosen = annotation(slo, NO_DATA)
    return chosen == "true" if chosen else not policies or any(policy.when_no_data for policy in policies)


def _composite(draft: Objective, slo: Table, read: Sequence[_Read]) -> Objective:
    worst = annotation(slo, COMPOSITE) == "worst_of"
    members = tuple(
        Member(
            name=entry.name,
            source=entry.source,
            target=entry.target,
            weight=entry.weight,
            time_slice_target=None if (ratio := entry.node.number("timeSliceTarget")) is None else float(ratio),
        )
        for entry in read
    )
    return replace(
        draft,
        name=_UNNAMED,
        target=composite_target(members, worst_of=worst),
        source=None,
        time_slice_target=None,
        members=members,
        worst_of=worst,
    )


def _check_one_slice(read: Sequence[_Read], report: Report) -> None:
    """Slices of a composite are compared one by one, so all members have the same."""
    first = _slice_window(read[0].node)
    for entry in read[1:]:
        if _slice_window(entry.node) != first:
            found = entry.node.text("timeSliceWindow") or "another slice"
            hint = "all objectives of a composite have the same timeSliceWindow"
            report.error(entry.node.place_of("timeSliceWindow"), found, hint, "equal_to")


def _slice_window(node: Table) -> timedelta | None:
    minutes = node.number("timeSliceWindow")
    return length(node.text("timeSliceWindow")) if minutes is None else timedelta(minutes=int(minutes))


def _labels(slo: Table) -> dict[str, tuple[str, ...]]:
    table = slo.table("metadata", "labels")
    return {} if table is None else {key: _texts(node) for key, node in table.entries.items()}


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(item.text for item in (node.items if isinstance(node, Row) else (node,)) if isinstance(item, Scalar))


def _annotations(slo: Table) -> dict[str, str]:
    table = slo.table("metadata", "annotations")
    return {} if table is None else {key: node.text for key, node in table.entries.items() if isinstance(node, Scalar)}


def _with_pairs(
    draft: Objective, place: Place, slo: Table, policies: Sequence[Policy], around: Surroundings, report: Report
) -> Objective:
    """The objective with its pairs, each checked."""
    period = nominal_period(draft.window)
    placed = [(policy.condition.pair(period), policy.condition.place) for policy in policies if policy.condition is not None]
    placed += [(pair, place) for pair in _profile_pairs(slo, period, around.interval, place, report)]
    if annotation(slo, CAP_FACTOR) == "true":
        placed = [(replace(pair, factor=capped(pair.factor, draft.budget)), where) for pair, where in placed]
    for pair, where in placed:
        check_pair(draft, pair, around.interval, where, report)
    return replace(draft, pairs=tuple(pair for pair, _ in placed))


def _profile_pairs(slo: Table, period: timedelta, interval: timedelta, place: Place, report: Report) -> tuple[Pair, ...]:
    """The default pairs: all where the SLO has no policies, or as ``qobs.dev/mwmbr`` says."""
    chosen = annotation(slo, MWMBR) or ("none" if slo.rows("spec", "alertPolicies") else "default")
    if chosen == "none":
        return ()
    profile = annotation(slo, PROFILE) or "qobs"
    pairs = default_pairs(profile, period, interval=interval)
    if missing := len(PROFILES[profile]) - len(pairs):
        found = f"{missing} of {len(PROFILES[profile])} default alert pairs left out"
        hint = f"the period of {written(period)} is too short for their windows"
        report.warning(place, found, hint, "profile_pair_dropped")
    return pairs if chosen == "default" else tuple(pair for pair in pairs if pair.severity == chosen)
