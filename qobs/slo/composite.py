"""From events to what an objective measures: plain events, time slices, and the members of a composite.

Lines of an event file name no member. A composite evaluated on one stream gives that stream to every member, as a plain
objective ignores its own data source; to keep them apart, give one stream for each member, by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from qobs.slo.burn import Part, Subject, width
from qobs.slo.exclusions import Spans
from qobs.slo.history import Entry, History, micros
from qobs.slo.objective import Budgeting, FileEvent, Objective
from qobs.slo.slices import combined, sliced

Events = Sequence[FileEvent] | Mapping[str, Sequence[FileEvent]]
"""Events of an objective, or those of each member of a composite by the member's name."""


def flat(events: Events) -> Iterator[FileEvent]:
    """All events, of all streams."""
    for stream in events.values() if isinstance(events, Mapping) else (events,):
        yield from stream


def history_of(events: Iterable[FileEvent], spans: Spans, *, upto: int | None = None) -> History:
    """Counted events outside ``spans``, up to and including ``upto`` (None: all)."""
    entries = []
    for event in events:
        at = micros(event.at)
        if event.good is None or (upto is not None and at > upto) or spans.hold(at):
            continue
        good, bad = (event.weight, 0.0) if event.good else (0.0, event.weight)
        entries.append(Entry(at, good, bad, event.group))
    return History(entries)


def subject_of(objective: Objective, events: Events, spans: Spans, *, upto: int) -> Subject[Part]:
    """What the objective measured up to ``upto``, in microseconds.

    Raises:
        ValueError: Streams are given by name, and a member has none or the objective is no composite.
    """
    if not objective.members:
        if isinstance(events, Mapping):
            raise ValueError(f"`events` must be one stream, for {objective.slo} is no composite.")
        history = history_of(events, spans, upto=upto)
        if objective.budgeting is not Budgeting.OCCURRENCES:
            history = sliced(
                history,
                budgeting=objective.budgeting,
                length=_slice_length(objective),
                target=objective.time_slice_target,
                empty=objective.empty_slice,
                upto=upto,
                spans=spans,
            )
        return Subject((Part(history, Fraction(objective.budget)),))
    return _composite(objective, _streams(objective, events, spans, upto), spans, upto)


def _composite(objective: Objective, streams: Mapping[str, History], spans: Spans, upto: int) -> Subject[Part]:
    if objective.budgeting is Budgeting.OCCURRENCES:
        parts = tuple(
            Part(streams[member.name], Fraction(1 - member.target), Fraction(member.weight)) for member in objective.members
        )
        return Subject(parts, objective.worst_of)
    merged = combined(
        [
            (
                streams[member.name],
                member.weight,
                objective.time_slice_target if member.time_slice_target is None else member.time_slice_target,
            )
            for member in objective.members
        ],
        budgeting=objective.budgeting,
        length=_slice_length(objective),
        empty=objective.empty_slice,
        upto=upto,
        spans=spans,
    )
    return Subject((Part(merged, Fraction(objective.budget)),))


def _streams(objective: Objective, events: Events, spans: Spans, upto: int) -> dict[str, History]:
    if not isinstance(events, Mapping):
        shared = history_of(events, spans, upto=upto)
        return {member.name: shared for member in objective.members}
    missing = sorted({member.name for member in objective.members} - events.keys())
    if missing:
        raise ValueError(f"`events` must hold a stream for every member of {objective.slo}, but {missing} have none.")
    return {member.name: history_of(events[member.name], spans, upto=upto) for member in objective.members}


def _slice_length(objective: Objective) -> int:
    if objective.time_slice_window is None:
        raise ValueError(f"`time_slice_window` must be given for {objective.budgeting} ({objective.slo}).")
    return width(objective.time_slice_window)
