"""Applying the jobs of one page: what is new, what it makes of the job, and what that changes in history and counts.

Most jobs of a page take one of two short ways. One never seen before leaves one row (its only content is its observation
and its history too) and a verdict. One whose content is the newest that is known leaves nothing. Neither is given a version,
a digest or more than one of its times; together with the narrow index that halved the CPU time of both
(``benchmarks/bench_store.py`` measures it). All other news are observed, sorted and folded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

import msgspec

from qobs.model import TERMINAL, Job, JobKey, JobState, Judge, Judgement, from_micros
from qobs.store.contents import admitted, distinct, in_order
from qobs.store.counts import Sums
from qobs.store.fold import (
    Observation,
    Version,
    decode,
    digest,
    encode,
    facts,
    fold,
    history,
    latest,
    merge,
    micros,
    observe,
    submitted,
    times,
)
from qobs.store.history import Entry, told_by
from qobs.store.presence import MISSES_TO_UNKNOWN, next_check, public
from qobs.store.rows import JobRows, Known, id_hash, load_known

_TEXT = {state: state.value for state in JobState}
_UNREADABLE = (ValueError, OverflowError, TypeError)

Said = tuple[Job, bytes]
"""A job of a page and its encoded form."""


class Outcome(msgspec.Struct):
    """What applying jobs changed so far; ``unreadable`` are jobs that cannot be kept, each with the reason."""

    sums: Sums
    ingested: int = 0
    updated: int = 0
    unchanged: int = 0
    transitions: int = 0
    anomalous: int = 0
    corrections: int = 0
    unreadable: list[tuple[Job, Exception]] = []


class JobWriter:
    """Applies jobs inside one transaction; rows are gathered and written at the end in bulk."""

    def __init__(self, connection: sqlite3.Connection, judge: Judge, now: datetime, *, checked: bool = False) -> None:
        """``now`` is when the jobs were observed; ``checked``: they were asked for by id."""
        self._checked = checked
        self._connection = connection
        self._judge = judge
        self._now = now
        self._micros = micros(now)
        self._rows = JobRows(connection)
        self._next_ref = 0
        self._verdicts: list[Judgement] = []
        self._taken_back: list[Judgement] = []
        self.outcome = Outcome(Sums())

    # --- jobs of a page --------------------------------------------------------------------------------------------
    def apply(self, jobs: Iterable[Job]) -> None:
        """Take in any jobs, in any order, repeated or not."""
        accounts: dict[tuple[str, str], dict[str, Said]] = {}
        repeated: dict[JobKey, list[Said]] = {}
        for job in jobs:
            try:
                payload = encode(job)
            except _UNREADABLE as error:
                self.outcome.unreadable.append((job, error))
                continue
            told = accounts.setdefault((job.provider, job.account), {})
            if told.setdefault(job.id, said := (job, payload)) is not said:
                repeated.setdefault(job.key, []).append(said)
        self._next_ref = self._rows.next_ref()
        for (provider, account), told in accounts.items():
            self._apply(load_known(self._connection, provider, account, tuple(told)), told, repeated)
        self._write()

    def _write(self) -> None:
        self.outcome.sums.add_all(self._verdicts, self._taken_back)
        self._verdicts.clear()
        self._taken_back.clear()
        self.outcome.transitions += self._rows.write()

    def _apply(self, known: dict[str, Known], told: dict[str, Said], repeated: dict[JobKey, list[Said]]) -> None:
        unchanged = 0
        for id_, (job, payload) in told.items():
            row = known.get(id_)
            if repeated and job.key in repeated:
                self._settle(row, [(job, payload), *repeated[job.key]])
            elif row is None:
                self._add(job, payload)
            elif payload == row.record if row.head is None else digest(payload) == row.head:
                unchanged += 1
                if row.next_check_at is not None or row.missing:
                    self._sighted(row)
            else:
                self._settle(row, [(job, payload)])
        self.outcome.unchanged += unchanged

    def _add(self, job: Job, payload: bytes) -> None:
        """A job never seen before, of which the page holds one content."""
        now, state = self._micros, job.state
        try:
            latest_at = latest(job)
            submitted_at = check_at = None
            if ended := state in TERMINAL:
                transitions = 2 + (job.started_at is not None) - (job.submitted_at is None and job.queued_at is None)
            else:
                transitions = len(facts(job, times(job)))
            if not (ended and job.settled):
                submitted_at = submitted(job)
                # An ended job that the list does not tell in full is worth asking for at once: its times are missing.
                check_at = now if ended else next_check(job, submitted_at, now, now)
        except _UNREADABLE as error:
            self.outcome.unreadable.append((job, error))
            return
        judgement = self._judge.job(job, self._now)
        self._verdicts.append(judgement)
        next_at = judgement.next_at
        judge_at = None if next_at is None else max(micros(next_at), now + 1)
        latest_at = now if latest_at is None or latest_at > now else latest_at
        ref, id_ = self._next_ref, job.id
        key = (ref, id_hash(id_), job.provider, job.account, id_, now, job.source, job.backend, _TEXT[state])
        self._rows.seen_once.append((*key, 0 if ended else 1, submitted_at, latest_at, now, judge_at, check_at, payload))
        self._next_ref += 1
        self.outcome.ingested += 1
        self.outcome.transitions += transitions

    # --- news that need their order --------------------------------------------------------------------------------
    def _settle(self, known: Known | None, said: list[Said]) -> None:
        seen = []
        for job, payload in said:
            try:
                seen.append(observe(job, payload))
            except _UNREADABLE as error:
                self.outcome.unreadable.append((job, error))
        if not seen:
            return
        if known is None:
            self._ingest(seen)
        else:
            self._update(known, seen)

    def _ingest(self, seen: list[Observation]) -> None:
        """A job never seen before, of which the page tells more than once."""
        fresh = admitted(0, distinct(seen))
        self.outcome.unchanged += len(seen) - len(fresh)
        if len(fresh) == 1:
            self._add(fresh[0].job, fresh[0].payload)
            return
        ref, now, jobs = self._next_ref, self._micros, [one.job for one in fresh]
        merged, told, head = fold(jobs), history(jobs), fresh[-1].version
        judgement = self._judge.job(merged, self._now)
        self._verdicts.append(judgement)
        judge_at = None if judgement.next_at is None else max(micros(judgement.next_at), now + 1)
        check_at = next_check(merged, submitted(merged), now, now)
        self._rows.folded.append(
            (
                *(ref, id_hash(merged.id), merged.provider, merged.account, merged.id, now),
                *self._columns(merged, now, check_at),
                *(now, judge_at, check_at, encode(merged), *head, len(fresh), told.anomalies),
            )
        )
        self._keep(ref, fresh)
        self._rows.tell(ref, self._entries(told.facts, merged))
        self._next_ref += 1
        self.outcome.ingested += 1
        self.outcome.updated += len(fresh) - 1
        self.outcome.anomalous += told.anomalies

    def _update(self, known: Known, seen: list[Observation]) -> None:
        """A job that the store has: usually newer news of it, sometimes none, rarely late or impossible ones."""
        old, told, first = decode(known.record), set[tuple[JobState, int]](), None
        if known.head is None:
            first = observe(old, known.record)
            head = first.version
        else:
            head = Version(known.revision or 0, known.rank or 0, known.head)
        fresh = admitted(known.contents, self._unseen(known, head, seen))
        self.outcome.unchanged += len(seen) - len(fresh)
        if not fresh:
            self._sighted(known)
            return
        if first is not None:
            entries = told_by(old, first.times, known.first_seen_at)
            told = {(entry.state, entry.at) for entry in entries}
            self._rows.observations.append((known.ref, head.digest, *head[:2], known.first_seen_at, known.record))
            self._rows.tell_first(known.ref, entries)
        self._keep(known.ref, fresh)
        merged, anomalies = old, known.anomalies
        if not known.anomalies and in_order(head, old, fresh):
            for one in fresh:
                merged = merge(merged, one.job)
                entries = told_by(one.job, one.times, self._micros)
                self._rows.tell(known.ref, [entry for entry in entries if entry[:2] not in told])
        else:
            merged, anomalies = self._refold(known, head, fresh)
        self.outcome.updated += len(fresh)
        self.outcome.anomalous += anomalies - known.anomalies
        if old.state in TERMINAL and merged.state is not old.state:
            self.outcome.corrections += 1
        self._replace(known, old, merged, (*max(head, fresh[-1].version), known.contents + len(fresh), anomalies))

    def _unseen(self, known: Known, head: Version, seen: list[Observation]) -> list[Observation]:
        candidates = [one for one in distinct(seen) if one.version != head]
        if not candidates or candidates[0].version > head or known.contents == 1:
            return candidates
        rows = self._connection.execute("SELECT digest FROM observations WHERE job = ?", (known.ref,))
        digests = {row[0] for row in rows}
        return [one for one in candidates if one.version.digest not in digests]

    def _refold(self, known: Known, head: Version, fresh: list[Observation]) -> tuple[Job, int]:
        """Start again from all observations: the only way to get a late or impossible one right."""
        ref = known.ref
        rows = self._connection.execute("SELECT revision, rank, digest, payload FROM observations WHERE job = ?", (ref,))
        everything = [(Version(row[0], row[1], row[2]), decode(row[3])) for row in rows]
        if known.contents == 1:
            everything.append((head, decode(known.record)))
        everything += [(one.version, one.job) for one in fresh]
        everything.sort(key=lambda pair: pair[0])
        jobs = [job for _, job in everything]
        merged, told = fold(jobs), history(jobs)
        entries = self._entries(told.facts, merged)
        self._rows.tell(ref, entries)
        self._rows.mark(ref, entries)
        return merged, told.anomalies

    def _keep(self, ref: int, fresh: Iterable[Observation]) -> None:
        for one in fresh:
            revision, rank, content = one.version
            self._rows.observations.append((ref, content, revision, rank, self._micros, one.payload))

    def _entries(self, told: dict[tuple[JobState, int], bool], job: Job) -> list[Entry]:
        state, raw, now = job.state, job.raw_state, self._micros
        return [Entry(entered, at, raw if entered is state else "", now, flag) for (entered, at), flag in told.items()]

    # --- rows of jobs that changed ---------------------------------------------------------------------------------
    def _columns(self, job: Job, first_seen_at: int, check_at: int | None) -> tuple[object, ...]:
        """Columns that queries need, of the public job."""
        told, state = latest(job), job.state
        latest_at = first_seen_at if told is None else min(told, self._micros)
        is_open = state not in TERMINAL
        submitted_at = submitted(job) if is_open or check_at is not None else None
        return (job.source, job.backend, _TEXT[state], int(is_open), submitted_at, latest_at)

    def _replace(self, known: Known, old: Job, merged: Job, head: tuple[object, ...]) -> None:
        """Write the job anew and move the counts by the difference of the two verdicts."""
        back = known.missing_at is None or self._micros > known.missing_at
        gone_at = None if back else known.gone_at
        missing = (0, None, gone_at) if back else (known.missing, known.missing_at, gone_at)
        before = public(old, known.gone_at)
        self._change(known, before, public(merged, gone_at), (encode(merged), *head), missing)

    def _change(
        self, known: Known, old: Job, new: Job, content: tuple[object, ...], missing: tuple[int, int | None, int | None]
    ) -> None:
        """Gather a changed row; ``content`` is record, version, contents, anomalies, and ``missing`` ends with ``gone_at``."""
        judged_at = max(known.judged_at, self._micros)
        judge_at = self._rejudge(old, known.judged_at, new, judged_at)
        check_at = None
        if missing[2] is None:
            check_at = next_check(new, submitted(new), known.first_seen_at, self._micros)
            if check_at is not None and new.state in TERMINAL and not self._checked:
                check_at = self._micros
        columns = self._columns(new, known.first_seen_at, check_at)
        self._rows.changed.append((*columns, judged_at, judge_at, check_at, *content, known.checks + 1, *missing, known.ref))

    def _rejudge(self, old: Job, old_at: int, new: Job, new_at: int) -> int | None:
        """Move the sums from the old verdict to the new one; returns when the new one may change, in µs."""
        self._taken_back.append(self._judge.job(old, from_micros(old_at)))
        after = self._judge.job(new, from_micros(new_at))
        self._verdicts.append(after)
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
            self._overlay(known, job, (0, None, None))
            return
        if not (back or self._checked) and job.state in TERMINAL:
            return  # listed again is not asked for: what its list does not tell is still missing
        check_at = next_check(job, submitted(job), known.first_seen_at, self._micros)
        missing = (0, None) if back else (known.missing, known.missing_at)
        self._rows.sighted.append((check_at, known.checks + int(due), *missing, known.ref))

    def miss(self, provider: str, account: str, ids: Iterable[str]) -> None:
        """The provider does not know these jobs; said three times at different moments, a job's state is unknown."""
        for known in load_known(self._connection, provider, account, tuple(dict.fromkeys(ids))).values():
            if known.missing_at is not None and known.missing_at >= self._micros:
                continue
            job = decode(known.record)
            if job.settled or known.gone_at is not None:
                continue
            misses = known.missing + 1
            if misses >= MISSES_TO_UNKNOWN:
                self._overlay(known, job, (misses, self._micros, self._micros))
            else:
                check_at = next_check(job, submitted(job), known.first_seen_at, self._micros)
                self._rows.sighted.append((check_at, known.checks + 1, misses, self._micros, known.ref))
        self._write()

    def _overlay(self, known: Known, job: Job, missing: tuple[int, int | None, int | None]) -> None:
        """Mark a job as gone, or as back, without a new observation of it."""
        content = (known.record, known.revision, known.rank, known.head, known.contents, known.anomalies)
        self._change(known, public(job, known.gone_at), public(job, missing[2]), content, missing)
