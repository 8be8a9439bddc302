"""Time slices: a stretch of time is judged as a whole, and becomes one event at its end.

Slice i of length s holds [i s, (i + 1) s), counted from 1970, so that all objectives cut time at the same places. It is judged
once complete: its event is its last microsecond, which every window that ends at or after the slice's end sees. Timeslices:
good where the good part reaches the target. RatioTimeslices: the good part itself, so that the mean over slices is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from qobs.slo.exclusions import Spans
from qobs.slo.history import Entry, History
from qobs.slo.objective import Budgeting, EmptySlice

Cell = tuple[int, float | None]
"""(end of the slice in microseconds, part of it that was good; None: nothing happened)."""


def cells(history: History, length: int, *, upto: int, since: int | None = None) -> Iterator[Cell]:
    """Every complete slice from the first event (or from ``since``) to ``upto``, with its good part.

    Args:
        history: Events.
        length: Of a slice, microseconds.
        upto: Slices that end later are left out.
        since: Begin with the slice that holds this moment, in microseconds, also where nothing happened yet.
    """
    if not history.times and since is None:
        return
    begin = history.times[0] if since is None else since
    first = begin // length * length
    place = history.place(first - 1)
    for end in range(first + length, upto + 2, length):
        after = place
        while place < len(history.times) and history.times[place] < end:
            place += 1
        tally = history.slice(after, place)
        yield end, tally.good / tally.total if tally.total else None


def judged(
    good: float | None, *, budgeting: Budgeting, target: float | None, empty: EmptySlice, excluded: bool
) -> tuple[float, float] | None:
    """(good, bad) of one slice, adding to 1. None: it does not count.

    A slice that is empty because of an exclusion never counts.
    """
    if good is None:
        if excluded or empty is EmptySlice.SKIP:
            return None
        good = 1.0 if empty is EmptySlice.GOOD else 0.0
    elif budgeting is Budgeting.TIMESLICES:
        good = 1.0 if target is None or good >= target else 0.0
    return good, 1.0 - good


def sliced(
    history: History, *, budgeting: Budgeting, length: int, target: float | None, empty: EmptySlice, upto: int, spans: Spans
) -> History:
    """The slices of one stream as events of weight 1."""
    entries = []
    for end, part in cells(history, length, upto=upto):
        verdict = judged(part, budgeting=budgeting, target=target, empty=empty, excluded=spans.touch(end - length, end))
        if verdict is not None:
            entries.append(Entry(end - 1, *verdict))
    return History(entries)


def combined(
    members: Sequence[tuple[History, float, float | None]],
    *,
    budgeting: Budgeting,
    length: int,
    empty: EmptySlice,
    upto: int,
    spans: Spans,
) -> History:
    """The slices of a composite as events of weight 1.

    Timeslices: a slice is bad if it is bad for any member. RatioTimeslices: its good part is max(0, 1 - sum of
    weight x bad part). A slice that counts for no member does not count.

    Args:
        members: (events, weight, slice target) of each.
        budgeting: One of the two methods.
        length: Of a slice, microseconds.
        empty: What a member's slice without events counts as.
        upto: Slices that end later are left out.
        spans: Exclusions.
    """
    starts = [history.times[0] for history, _, _ in members if history.times]
    if not starts:
        return History(())
    streams = [cells(history, length, upto=upto, since=min(starts)) for history, _, _ in members]
    entries = []
    for row in zip(*streams, strict=True):
        end = row[0][0]
        excluded = spans.touch(end - length, end)
        parts = [(part, weight, target) for (_, part), (_, weight, target) in zip(row, members, strict=True)]
        verdict = jointly(parts, budgeting=budgeting, empty=empty, excluded=excluded)
        if verdict is not None:
            entries.append(Entry(end - 1, *verdict))
    return History(entries)


def jointly(
    parts: Sequence[tuple[float | None, float, float | None]], *, budgeting: Budgeting, empty: EmptySlice, excluded: bool
) -> tuple[float, float] | None:
    """(good, bad) of a composite's slice, adding to 1, from (good part, weight, slice target) of each member; None: no count."""
    losses = []
    for part, weight, target in parts:
        verdict = judged(part, budgeting=budgeting, target=target, empty=empty, excluded=excluded)
        if verdict is not None:
            losses.append((Fraction(weight), Fraction(verdict[1])))
    return _shared(losses, budgeting) if losses else None


def _shared(losses: Sequence[tuple[Fraction, Fraction]], budgeting: Budgeting) -> tuple[float, float]:
    """(good, bad) of a composite's slice from the (weight, bad part) of its members."""
    if budgeting is Budgeting.TIMESLICES:
        bad = float(any(loss for _, loss in losses))
    else:
        bad = float(min(Fraction(1), sum((weight * loss for weight, loss in losses), Fraction(0))))
    return 1.0 - bad, bad
