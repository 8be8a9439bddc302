"""Which jobs are verified: those that settled since the last look, as far as the policy takes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

from qobs.clock import Clock
from qobs.config.records import Sample
from qobs.daemon.sink import StoreSink
from qobs.model import Job, JobKey, Shard
from qobs.store.base import Queued

log = logging.getLogger("qobs.verify")

LOOKED_KEY = "verify/looked/"
OVERLAP = timedelta(minutes=10)
"""A look begins so long before the last one: pages are committed after they were observed."""

FIRST_LOOK = timedelta(days=1)
"""Jobs that ended so long before verification was switched on are not verified."""

LATE = timedelta(days=7)
"""How far back jobs may have ended that are heard of only now."""


class Chooser:
    """Looks for jobs and queues them. One per daemon."""

    def __init__(self, sink: StoreSink, clock: Clock, sample: Sample) -> None:
        """``sample`` is the policy."""
        self._sink, self._clock, self._sample = sink, clock, sample
        self._looked: dict[str, tuple[datetime, datetime]] = {}
        """Of each source, when the first look was made, and up to when the last one saw."""

    async def look(self, shard: Shard, room: int) -> int:
        """Queue an account's new jobs, ``room`` at most, and remember how far the look went; returns how many."""
        store, now, key = self._sink.store, self._clock.now(), LOOKED_KEY + shard.source
        if key not in self._looked:
            self._looked[key] = _looks((await self._sink.read(store.states)).get(key), now)
        began, last = self._looked[key]
        ended_since = max(now - LATE, began - FIRST_LOOK)
        changed_since = last - OVERLAP
        entries, seen = await self._sink.read(
            lambda: self._choose(store.verification_candidates(shard, changed_since=changed_since, ended_since=ended_since), room)
        )
        # A full queue ends the look: the next one begins where this one stopped.
        looked = (began, seen or now)
        states: dict[str, bytes | None] = {key: msgspec.json.encode(looked)}
        added = await self._sink.run(lambda: store.queue_verifications(entries, states=states))
        self._looked[key] = looked
        return added

    def _choose(self, candidates: Iterable[tuple[Job, datetime]], room: int) -> tuple[list[Queued], datetime | None]:
        """Entries for the queue, and where the look stopped; None: it saw everything."""
        entries: list[Queued] = []
        for job, changed_at in candidates:
            if not chosen(job.key, self._sample) or is_private(job):
                continue
            if len(entries) >= room:
                return entries, changed_at
            ended_at = job.ended_at or job.updated_at or changed_at
            entries.append(Queued(key=job.key, source=job.source, due_at=changed_at, ended_at=ended_at))
        return entries, None


def chosen(key: JobKey, sample: Sample) -> bool:
    """Whether the policy takes a job: by its identity alone, so that every daemon and every restart chooses alike."""
    if sample.every == 1:
        return True
    digest = blake2b("\0".join(key).encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % sample.every == 0


def is_private(job: Job) -> bool:
    """Whether the provider marks the job's circuits and results as nobody's business."""
    if job.extra is None or '"private"' not in job.extra:
        return False
    try:
        extra = msgspec.json.decode(job.extra, type=dict[str, object])
    except msgspec.MsgspecError:
        return True  # it speaks of privacy, and cannot be read
    return bool(extra.get("private"))


def _looks(state: bytes | None, now: datetime) -> tuple[datetime, datetime]:
    """When the first look was made, and up to when the last one saw; for a first look, a day back."""
    if state is not None:
        try:
            began, last = msgspec.json.decode(state, type=tuple[datetime, datetime])
        except msgspec.MsgspecError:
            log.warning("when results were last looked for cannot be read: it begins anew")
        else:
            return began, last
    return now, now - FIRST_LOOK
