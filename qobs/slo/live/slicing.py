"""Time slices while they happen: a complete slice is one event of its last bucket, told again when late events change it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from qobs.model import BUCKET_SECONDS
from qobs.slo.objective import Budgeting, EmptySlice, Objective
from qobs.slo.slices import jointly, judged

RATIO_UNIT = 1_000_000
"""One slice of the mean of ratios: its good part is kept in millionths."""

Told = tuple[int, int, int]
"""(bucket, good, total) as it changes the sums."""


class SliceMember(NamedTuple):
    """One stream of a sliced objective, with its weight and the good part that makes a slice good."""

    stream: int
    weight: float
    target: float | None


class Slices:
    """The slices of one objective, cut as :mod:`qobs.slo.slices` cuts them."""

    def __init__(
        self, objective: Objective, members: Sequence[SliceMember], stretches: Sequence[tuple[int, int]], *, keep_seconds: int
    ) -> None:
        """Judge slices of ``members``; ``stretches`` are those that exclusions take out, ``keep_seconds`` how long slices count.

        Raises:
            ValueError: The slice is not a positive whole number of buckets.
        """
        length = objective.time_slice_window
        self.length = 0 if length is None else int(length.total_seconds())
        if length is None or self.length < BUCKET_SECONDS or length.total_seconds() % BUCKET_SECONDS:
            raise ValueError(
                f"`time_slice_window` must be a whole number of {BUCKET_SECONDS} s, but {objective.slo} has {length}."
            )
        self.unit = RATIO_UNIT if objective.budgeting is Budgeting.RATIO_TIMESLICES else 1
        self.members = tuple(members)
        self._objective = objective
        self._stretches = tuple(stretches)
        self._keep = -(-keep_seconds // self.length) + 1
        """Complete slices that any window may hold."""
        self._sums: list[dict[int, tuple[int, int]]] = [{} for _ in members]
        self._told: dict[int, tuple[int, int]] = {}
        self._stale: set[int] = set()
        self._first: int | None = None
        self._next: int | None = None

    def oldest(self, second: int) -> int:
        """When the first slice begins that counts at ``second``."""
        return (second // self.length - self._keep) * self.length

    def begin(self, began: int) -> None:
        """History goes back to this second: slices count from there, also empty ones."""
        first = began // self.length
        if self._first is None or first < self._first:
            if self._next is not None:
                self._stale.update(range(max(first, self._next - self._keep), self._first or self._next))
            self._first = first

    def add(self, member: int, bucket: int, good: int, total: int) -> None:
        """Follow a change of one member's events."""
        number, sums = bucket // self.length, self._sums[member]
        if self._next is not None and number < self._next - self._keep:
            return
        known = sums.get(number, (0, 0))
        sums[number] = known[0] + good, known[1] + total
        self._stale.add(number)
        if total > 0:
            self.begin(bucket)

    def settle(self, second: int) -> Iterator[Told]:
        """What changes by all that was added and by the slices that are complete at ``second``."""
        if self._first is None:
            return
        end = second // self.length
        since = max(self._first, end - self._keep)
        fresh = range(max(since, since if self._next is None else self._next), end)
        late = {number for number in self._stale if since <= number < fresh.start}
        self._next = max(end, self._next or end)
        self._stale = {number for number in self._stale if number >= self._next}
        for number in (*sorted(late), *self._judged(fresh)):
            yield from self._tell(number)
        if fresh and end % (self._keep // 16 + 1) == 0:
            self._trim(since)

    def _judged(self, numbers: range) -> Iterable[int]:
        """Those of ``numbers`` that can count: all, or where empty slices are skipped those in which something happened."""
        if self._objective.empty_slice is not EmptySlice.SKIP or len(numbers) < 2:
            return numbers
        return sorted({number for sums in self._sums for number in sums if number in numbers})

    def _tell(self, number: int) -> Iterator[Told]:
        verdict, known = self._verdict(number), self._told.get(number, (0, 0))
        if verdict == known:
            return
        self._told[number] = verdict
        yield (number + 1) * self.length - BUCKET_SECONDS, verdict[0] - known[0], verdict[1] - known[1]

    def _verdict(self, number: int) -> tuple[int, int]:
        """(good, total) of one slice in units; (0, 0) where it does not count."""
        begin, end = number * self.length, (number + 1) * self.length
        parts = []
        for member, sums in zip(self.members, self._sums, strict=True):
            good, total = sums.get(number, (0, 0))
            parts.append((good / total if total else None, member.weight, member.target))
        excluded = any(since < end and begin < until for since, until in self._stretches)
        chosen = self._objective
        if chosen.members:
            verdict = jointly(parts, budgeting=chosen.budgeting, empty=chosen.empty_slice, excluded=excluded)
        else:
            part, _, target = parts[0]
            verdict = judged(part, budgeting=chosen.budgeting, target=target, empty=chosen.empty_slice, excluded=excluded)
        return (0, 0) if verdict is None else (round(verdict[0] * self.unit), self.unit)

    def _trim(self, since: int) -> None:
        """Forget slices that no window holds any more."""
        for sums in (*self._sums, self._told):
            for number in [number for number in sums if number < since]:
                del sums[number]
