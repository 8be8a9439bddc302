"""From objectives to what must be counted for them: streams, slices and their sums, each kept once however many ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import NamedTuple

from qobs.exclusion import Exclusion
from qobs.slo.alerts import has_evidence_tier
from qobs.slo.budget import PACE_WINDOW, SEASONS
from qobs.slo.burn import nominal_length, width, windows_of
from qobs.slo.cusum import RATE_WINDOW
from qobs.slo.exclusions import Spans, covering, shields, sources_of
from qobs.slo.live.alarms import Alarms
from qobs.slo.live.ledger import Ledger, Rate
from qobs.slo.live.part import Counted, LivePart
from qobs.slo.live.plan import Plan
from qobs.slo.live.score import Score
from qobs.slo.live.slicing import SliceMember, Slices
from qobs.slo.live.streams import Streams, stretches_of
from qobs.slo.live.tape import Tape
from qobs.slo.objective import Budgeting, Calendar, NativeSource, Objective
from qobs.slo.windows import step_seconds

_SECOND = timedelta(seconds=1)


def is_native(objective: Objective) -> bool:
    """Whether qobs counts all of the objective's events itself."""
    return all(isinstance(source, NativeSource) for source in sources_of(objective))


class Book(NamedTuple):
    """The slices of one objective, and their sums."""

    slices: Slices
    counted: Counted


class Building:
    """Everything that is counted for a set of objectives.

    Streams are numbered from 0, slices from -1 down: the keys of the window totals. ``windows`` are those that any objective
    reads, in whole steps; a window that is none is read as the next longer one that is.
    """

    def __init__(self, objectives: Iterable[Objective], exclusions: Sequence[Exclusion]) -> None:
        """Count for these; those that are not native are left out.

        Raises:
            ValueError: A time slice is not a whole number of buckets, or a regex cannot be compiled.
        """
        self.objectives = tuple(objective for objective in objectives if is_native(objective))
        self.streams = Streams()
        self.counted: dict[int, Counted] = {}
        self.books: list[Book] = []
        self.sliced: dict[int, list[tuple[Book, int]]] = {}
        """Slices that a stream feeds, with its place among their members."""
        self.windows, self._places = _windows(self.objectives)
        self.plans = tuple(self._plan(objective, exclusions) for objective in self.objectives)
        self.dependents: dict[int, list[int]] = {}
        """Places of the objectives that read a stream or slices."""
        for place, plan in enumerate(self.plans):
            for number in {each.number for each in (*plan.counted, *(part.counted for part in plan.parts))}:
                self.dependents.setdefault(number, []).append(place)

    def _plan(self, objective: Objective, exclusions: Sequence[Exclusion]) -> Plan:
        numbers = []
        for source in sources_of(objective):
            assert isinstance(source, NativeSource)
            numbers.append(self.streams.number(source, shields(objective, source, exclusions)))
        for number in numbers:
            self.counted.setdefault(number, Counted(number, Tape()))
        if objective.budgeting is Budgeting.OCCURRENCES:
            parts = self._plain(objective, numbers)
        else:
            parts = [self._sliced(objective, numbers)]
        counted = [self.counted[number] for number in numbers]
        spans = covering(objective, exclusions)
        return Plan(objective, parts, counted=counted, spans=spans, alarms=Alarms(objective))

    def _plain(self, objective: Objective, numbers: Sequence[int]) -> list[LivePart]:
        members = [(Fraction(1 - member.target), Fraction(member.weight)) for member in objective.members]
        phi = objective.sparse.phi / len(numbers) if has_evidence_tier(objective) else None
        return [
            self._part(objective, self.counted[number], budget, weight, phi)
            for number, (budget, weight) in zip(numbers, members or [(Fraction(objective.budget), Fraction(1))], strict=True)
        ]

    def _sliced(self, objective: Objective, numbers: Sequence[int]) -> LivePart:
        members = [
            (member.weight, objective.time_slice_target if member.time_slice_target is None else member.time_slice_target)
            for member in objective.members
        ] or [(1.0, objective.time_slice_target)]
        slices = Slices(
            objective,
            [SliceMember(number, *member) for number, member in zip(numbers, members, strict=True)],
            sorted({stretch for number in numbers for stretch in _stretches(self.streams, number)}),
            keep_seconds=self._kept_seconds(objective),
        )
        book = Book(slices, Counted(-1 - len(self.books), Tape(slices.unit), unit=slices.unit))
        self.books.append(book)
        self.counted[book.counted.number] = book.counted
        for place, number in enumerate(numbers):
            self.sliced.setdefault(number, []).append((book, place))
        return self._part(objective, book.counted, Fraction(objective.budget), Fraction(1), None)

    def _part(self, objective: Objective, counted: Counted, budget: Fraction, weight: Fraction, phi: float | None) -> LivePart:
        calendar = objective.window if isinstance(objective.window, Calendar) else None
        if calendar is not None:
            counted.ledgers.setdefault(calendar, Ledger(calendar))
        if phi is not None:
            counted.rate = counted.rate or Rate()
            counted.scores.setdefault((budget, phi), Score(budget=float(budget), phi=phi))
        return LivePart(counted, budget=budget, weight=weight, places=self._places, calendar=calendar, phi=phi)

    def _kept_seconds(self, objective: Objective) -> int:
        """How long slices count: as far back as any window, and for calendars as far as the forecast looks."""
        longest = max(self.windows) // _SECOND
        if isinstance(objective.window, Calendar):
            longest = max(longest, (SEASONS + 2) * (nominal_length(objective) // _SECOND))
        return longest


def _stretches(streams: Streams, number: int) -> tuple[tuple[int, int], ...]:
    """All that exclusions take out of a stream, of whatever series."""
    return stretches_of(Spans((shield.begin, shield.end) for shield in streams.keys[number][2]))


def _windows(objectives: Iterable[Objective]) -> tuple[tuple[timedelta, ...], dict[int, int]]:
    """(windows in whole steps, place among them by the length asked for in microseconds)."""
    asked = {window for objective in objectives for window in windows_of(objective)} | {PACE_WINDOW, RATE_WINDOW}
    whole = {window: _whole(window) for window in asked}
    windows = tuple(sorted(set(whole.values())))
    return windows, {width(window): windows.index(read) for window, read in whole.items()}


def _whole(window: timedelta) -> timedelta:
    step = timedelta(seconds=step_seconds(window))
    longer = -(-window // step) * step
    return longer if step_seconds(longer) == step_seconds(window) else _whole(longer)
