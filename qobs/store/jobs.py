"""Applying the jobs of one page: what is new, what it makes of the job, and what that changes in history and counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from qobs.model import TERMINAL, Job, JobState, Judge, from_micros
from qobs.store.counts import Sums
from qobs.store.fold import (
    Fact,
    Observation,
    Times,
    Version,
    believed,
    decode,
    encode,
    facts,
    fold,
    history,
    merge,
    micros,
    observe,
    times,
)

MISSES_TO_UNKNOWN = 3
"""Checks in a row that the provider must not know a job before its state is unknown."""

_CHUNK = 500
_SIZES = (10, 50, 100, 200, _CHUNK)
"""Few lengths of the id list, so that few statements are prepared."""
_TEXT = {state: state.value for state in JobState}


class Known(NamedTuple):
    """A row of ``jobs`` as far as applying a page needs it; times in µs."""

    ref: int
    id: str
    version: Version
    record: bytes
    contents: int
    anomalies: int
    first_seen_at: int
    judged_at: int
    next_check_at: int | None
    checks: int
    missing: int
    missing_at: int | None
    gone_at: int | None


_COLUMNS = (
    "ref, id, revision, rank, digest, record, contents, anomalies, first_seen_at, judged_at, next_check_at, checks, missing,"
    " missing_at, gone_at"
)


class Outcome(msgspec.Struct):
    """What applying jobs changed so far."""

    sums: Sums
    ingested: int = 0
    updated: int = 0
    unchanged: int = 0
    transitions: int = 0
    anomalous: int = 0
    corrections: int = 0


def public(job: Job, gone_at: int | None) -> Job:
    """The job as everybody sees it: one that the provider no longer knows is unknown, unless its end is known."""
    if gone_at is None or job.state in TERMINAL:
        return job
    return msgspec.structs.replace(job, state=JobState.UNKNOWN)


def next_check(job: Job, told: Times, first_seen_at: int, now: int) -> int | None:
    """When to ask for the job by id again, in µs; None for a settled job.

    A twentieth of its age, between 30 s and 1 h: young jobs change soon, old ones rarely.
    """
    if job.settled:
        return None
    born = first_seen_at if told.submitted is None else min(first_seen_at, told.submitted)
    return now + min(max((now - born) // 20, 30_000_000), 3_600_000_000)


def load_known(connection: sqlite3.Connection, provider: str, account: str, ids: Sequence[str]) -> Iterator[Known]:
    """Rows of those of the ids that the store has."""
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        size = next(size for size in _SIZES if size >= len(chunk))
        marks = ",".join("?" * size)
        padding = [None] * (size - len(chunk))
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE provider = ? AND account = ? AND id IN ({marks})",  # noqa: S608
            (provider, account, *chunk, *padding),
        )
        for row in rows:
            yield Known(row[0], row[1], Version(row[2], row[3], row[4]), *row[5:])


class JobWriter:
    """Applies observations inside one transaction; rows are gathered and written at the end in bulk."""

    def __init__(self, connection: sqlite3.Connection, judge: Judge, now: datetime) -> None:
        """``now`` is when the observations were made."""
        self._connection = connection
        self._judge = judge
        self._now = now
        self._micros = micros(now)
        self._next_ref = 0
        self._new_jobs: list[tuple[object, ...]] = []
        self._changed_jobs: list[tuple[object, ...]] = []
        self._observations: list[tuple[object, ...]] = []
        self._facts: list[tuple[object, ...]] = []
        self._marks: list[tuple[object, ...]] = []
        self._sightings: list[tuple[object, ...]] = []
        self.outcome = Outcome(Sums())

    # --- observations ----------------------------------------------------------------------------------------------
    def apply(self, observations: Iterable[Observation]) -> None:
        """Take in observations of any jobs, in any order, repeated or not."""
        by_account: dict[tuple[str, str], dict[str, list[Observation]]] = {}
        for seen in observations:
            jobs = by_account.setdefault((seen.job.provider, seen.job.account), {})
            jobs.setdefault(seen.job.id, []).append(seen)
        self._next_ref = self._connection.execute("SELECT coalesce(max(ref), 0) + 1 FROM jobs").fetchone()[0]
        for (provider, account), jobs in by_account.items():
            known = {row.id: row for row in load_known(self._connection, provider, account, tuple(jobs))}
            for id_, seen_of_job in jobs.items():
                row = known.get(id_)
                if row is None:
                    self._ingest(seen_of_job)
                else:
                    self._update(row, seen_of_job)
        self._write()

    def _ingest(self, seen: list[Observation]) -> None:
        """A job never seen before: nearly always one content of it."""
        if len(seen) == 1:
            self._tell(self._next_ref, seen[0])
            self._add_job(seen[0], seen[0].version, contents=1, anomalies=0)
            return
        fresh = _distinct(seen)
        merged, told = fold(one.job for one in fresh), history([one.job for one in fresh])
        self._facts += [self._fact(self._next_ref, fact, merged, flag) for fact, flag in told.facts.items()]
        if len(fresh) > 1:
            self._keep(self._next_ref, fresh)
        self.outcome.anomalous += told.anomalies
        self.outcome.unchanged += len(seen) - len(fresh)
        self.outcome.updated += len(fresh) - 1
        self._add_job(observe(merged), fresh[-1].version, contents=len(fresh), anomalies=told.anomalies)

    def _add_job(self, merged: Observation, head: Version, *, contents: int, anomalies: int) -> None:
        job, now = merged.job, self._micros
        ref, self._next_ref = self._next_ref, self._next_ref + 1
        judgement = self._judge.job(job, self._now)
        self.outcome.sums.add(judgement)
        self.outcome.ingested += 1
        judge_at = None if judgement.next_at is None else max(micros(judgement.next_at), now + 1)
        columns = self._columns(job, merged.times, now)
        check_at = next_check(job, merged.times, now, now)
        key = (ref, job.provider, job.account, job.id, now)
        self._new_jobs.append((*key, *columns, *head, contents, anomalies, now, judge_at, check_at, merged.payload))

    def _update(self, known: Known, seen: list[Observation]) -> None:
        """A job that the store has: usually nothing new, sometimes newer, rarely late or impossible."""
        fresh = self._unseen(known, seen)
        self.outcome.unchanged += len(seen) - len(fresh)
        if not fresh:
            self._sighted(known)
            return
        old = decode(known.record)
        if known.contents == 1:
            first = (known.ref, known.version.digest, *known.version[:2], known.first_seen_at, known.record)
            self._observations.append(first)
        self._keep(known.ref, fresh)
        merged, anomalies = old, known.anomalies
        if self._in_order(known, old, fresh):
            for one in fresh:
                merged = merge(merged, one.job)
                self._tell(known.ref, one)
        else:
            merged, anomalies = self._refold(known, fresh)
        self.outcome.updated += len(fresh)
        self.outcome.anomalous += anomalies - known.anomalies
        if old.state in TERMINAL and merged.state is not old.state:
            self.outcome.corrections += 1
        head = max(known.version, fresh[-1].version)
        self._replace(known, old, merged, head, (known.contents + len(fresh), anomalies))

    def _unseen(self, known: Known, seen: list[Observation]) -> list[Observation]:
        candidates = [one for one in _distinct(seen) if one.version != known.version]
        if not candidates or candidates[0].version > known.version:
            return candidates
        if known.contents == 1:
            return candidates
        rows = self._connection.execute("SELECT digest FROM observations WHERE job = ?", (known.ref,))
        digests = {row[0] for row in rows}
        return [one for one in candidates if one.version.digest not in digests]

    @staticmethod
    def _in_order(known: Known, old: Job, fresh: list[Observation]) -> bool:
        if known.anomalies or fresh[0].version < known.version:
            return False
        previous = old
        for one in fresh:
            if not believed(previous, one.job):
                return False
            previous = one.job
        return True

    def _refold(self, known: Known, fresh: list[Observation]) -> tuple[Job, int]:
        """Start again from all observations: the only way to get a late or impossible one right."""
        ref = known.ref
        rows = self._connection.execute("SELECT revision, rank, digest, payload FROM observations WHERE job = ?", (ref,))
        everything = [(Version(row[0], row[1], row[2]), decode(row[3])) for row in rows]
        if known.contents == 1:
            everything.append((known.version, decode(known.record)))
        everything += [(one.version, one.job) for one in fresh]
        everything.sort(key=lambda pair: pair[0])
        jobs = [job for _, job in everything]
        merged, told = fold(jobs), history(jobs)
        self._facts += [self._fact(ref, fact, merged, flag) for fact, flag in told.facts.items()]
        self._marks += [(int(flag), ref, _TEXT[fact[0]], fact[1], int(flag)) for fact, flag in told.facts.items()]
        return merged, told.anomalies

    # --- what an observation leaves behind -------------------------------------------------------------------------
    def _keep(self, ref: int, fresh: Iterable[Observation]) -> None:
        for one in fresh:
            version = one.version
            row = (ref, version.digest, version.revision, version.rank, self._micros, one.payload)
            self._observations.append(row)

    def _tell(self, ref: int, seen: Observation) -> None:
        state, raw, now = seen.job.state, seen.job.raw_state, self._micros
        for entered, at in facts(seen.job, seen.times):
            self._facts.append((ref, _TEXT[entered], at, raw if entered is state else "", now, 0))

    def _fact(self, ref: int, fact: Fact, job: Job, anomalous: bool) -> tuple[object, ...]:
        raw = job.raw_state if fact[0] is job.state else ""
        return (ref, _TEXT[fact[0]], fact[1], raw, self._micros, int(anomalous))

    def _columns(self, job: Job, told: Times, first_seen_at: int) -> tuple[object, ...]:
        """Columns that queries need, of the public job."""
        latest_at = first_seen_at if told.latest is None else min(told.latest, self._micros)
        state = job.state
        return (job.source, job.backend, _TEXT[state], 0 if state in TERMINAL else 1, told.submitted, latest_at)

    def _replace(self, known: Known, old: Job, merged: Job, head: Version, sizes: tuple[int, int]) -> None:
        """Write the job anew and move the counts by the difference of the two verdicts."""
        back = known.missing_at is None or self._micros > known.missing_at
        gone_at = None if back else known.gone_at
        shown, told = public(merged, gone_at), times(merged)
        judged_at = max(known.judged_at, self._micros)
        judge_at = self._rejudge(public(old, known.gone_at), known.judged_at, shown, judged_at)
        check_at = None if gone_at is not None else next_check(merged, told, known.first_seen_at, self._micros)
        missing = (0, None) if back else (known.missing, known.missing_at)
        self._changed_jobs.append(
            (
                *self._columns(shown, told, known.first_seen_at),
                *head,
                *sizes,
                *(judged_at, judge_at, check_at, known.checks + 1, *missing, gone_at),
                encode(merged),
                known.ref,
            )
        )

    def _rejudge(self, old: Job, old_at: int, new: Job, new_at: int) -> int | None:
        """Move the sums from the old verdict to the new one; returns when the new one may change, in µs."""
        before = self._judge.job(old, from_micros(old_at))
        after = self._judge.job(new, from_micros(new_at))
        self.outcome.sums.add(before, -1)
        self.outcome.sums.add(after)
        return None if after.next_at is None else max(micros(after.next_at), new_at + 1)

    # --- jobs that were only seen, or not found --------------------------------------------------------------------
    def _sighted(self, known: Known) -> None:
        """Nothing new: move the check schedule on if it was due, and take back a false loss."""
        back = known.missing > 0 and known.missing_at is not None and self._micros > known.missing_at
        due = known.next_check_at is not None and known.next_check_at <= self._micros
        if not (back or due):
            return
        job = decode(known.record)
        if back and known.gone_at is not None:
            self._overlay(known, job, gone_at=None, missing=0, missing_at=None)
            return
        check_at = next_check(job, times(job), known.first_seen_at, self._micros)
        missing = (0, None) if back else (known.missing, known.missing_at)
        self._sightings.append((check_at, known.checks + int(due), *missing, known.ref))

    def miss(self, provider: str, account: str, ids: Iterable[str]) -> None:
        """The provider does not know these jobs; said three times at different moments, a job's state is unknown."""
        for known in load_known(self._connection, provider, account, tuple(dict.fromkeys(ids))):
            if known.missing_at is not None and known.missing_at >= self._micros:
                continue
            job = decode(known.record)
            if job.settled or known.gone_at is not None:
                continue
            misses = known.missing + 1
            if misses >= MISSES_TO_UNKNOWN:
                self._overlay(known, job, gone_at=self._micros, missing=misses, missing_at=self._micros)
            else:
                check_at = next_check(job, times(job), known.first_seen_at, self._micros)
                self._sightings.append((check_at, known.checks + 1, misses, self._micros, known.ref))
        self._write()

    def _overlay(self, known: Known, job: Job, *, gone_at: int | None, missing: int, missing_at: int | None) -> None:
        """Mark a job as gone, or as back, without a new observation of it."""
        shown = public(job, gone_at)
        judged_at = max(known.judged_at, self._micros)
        judge_at = self._rejudge(public(job, known.gone_at), known.judged_at, shown, judged_at)
        check_at = None if gone_at is not None else next_check(job, times(job), known.first_seen_at, self._micros)
        self._changed_jobs.append(
            (
                *self._columns(shown, times(job), known.first_seen_at),
                *known.version,
                known.contents,
                known.anomalies,
                *(judged_at, judge_at, check_at, known.checks + 1, missing, missing_at, gone_at),
                known.record,
                known.ref,
            )
        )

    # --- writing ---------------------------------------------------------------------------------------------------
    def _write(self) -> None:
        """Write all gathered rows; jobs first, as the others point at them."""
        run = self._connection.executemany
        if self._new_jobs:
            run(_INSERT_JOB, self._new_jobs)
        if self._changed_jobs:
            run(_UPDATE_JOB, self._changed_jobs)
        if self._observations:
            run(_INSERT_OBSERVATION, self._observations)
        if self._facts:
            self.outcome.transitions += run(_INSERT_TRANSITION, self._facts).rowcount
        if self._marks:
            run(_MARK_TRANSITION, self._marks)
        if self._sightings:
            run(_UPDATE_SIGHTING, self._sightings)
        for rows in (self._new_jobs, self._changed_jobs, self._observations, self._facts, self._marks, self._sightings):
            rows.clear()


def _distinct(seen: list[Observation]) -> list[Observation]:
    """Observations in version order, each content once."""
    if len(seen) == 1:
        return seen
    return [one for _, one in sorted({one.version: one for one in seen}.items())]


_INSERT_JOB = (
    "INSERT INTO jobs (ref, provider, account, id, first_seen_at, source, backend, state, open, submitted_at, latest_at,"
    " revision, rank, digest, contents, anomalies, judged_at, judge_at, next_check_at, record)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_JOB = (
    "UPDATE jobs SET source = ?, backend = ?, state = ?, open = ?, submitted_at = ?, latest_at = ?, revision = ?, rank = ?,"
    " digest = ?, contents = ?, anomalies = ?, judged_at = ?, judge_at = ?, next_check_at = ?, checks = ?, missing = ?,"
    " missing_at = ?, gone_at = ?, record = ? WHERE ref = ?"
)
_INSERT_OBSERVATION = "INSERT INTO observations (job, digest, revision, rank, observed_at, payload) VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_TRANSITION = (
    "INSERT INTO transitions (job, state, provider_at, raw_state, observed_at, anomalous) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (job, state, provider_at) DO NOTHING"
)
_MARK_TRANSITION = "UPDATE transitions SET anomalous = ? WHERE job = ? AND state = ? AND provider_at = ? AND anomalous <> ?"
_UPDATE_SIGHTING = "UPDATE jobs SET next_check_at = ?, checks = ?, missing = ?, missing_at = ? WHERE ref = ?"
