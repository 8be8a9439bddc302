"""The life of one shard: wait, poll, take note, decide when to come back. One bad provider hurts only itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from qobs.clock import Clock
from qobs.daemon.observe import ShardLog, SourceLog
from qobs.daemon.sink import StoreSink
from qobs.errors import ApiChanged, StoreError
from qobs.logs import Changes
from qobs.model import Reason, Shard, Stream
from qobs.sources.breaker import Breaker, BreakerState
from qobs.sources.http import HttpClient
from qobs.sources.limits import ByteGate
from qobs.sources.poller import Outcome, Watched, poll_once, reconcile_once
from qobs.sources.schedule import first_poll_seconds, next_poll_at

log = logging.getLogger("qobs.poll")

RECONCILE_EVERY = timedelta(days=1)
RECONCILE_AGAIN = timedelta(hours=1)
"""When to try again after a reconcile that could not be read to its end."""
LATE_WINDOW = timedelta(days=7)
STORE_PAUSE_SECONDS = 30.0


@dataclass(slots=True)
class Gatekeeper:
    """What several shards share: the breaker of an account, and the reasons for which nothing may be polled now."""

    breaker: Breaker
    may_poll: Callable[[], bool]


@dataclass(slots=True)
class ShardRunner:
    """Everything that one shard's loop needs, and where it stands."""

    watched: Watched
    client: HttpClient
    interval_seconds: float
    sink: StoreSink
    gate: ByteGate
    clock: Clock
    rng: Random
    shard_log: ShardLog
    source_log: SourceLog
    gatekeeper: Gatekeeper
    changes: Changes
    failures: int = 0
    reconciled_at: float | None = None

    @property
    def shard(self) -> Shard:
        """The shard."""
        return self.watched.shard

    async def run(self) -> None:
        """Poll for ever, beginning after a pause that differs from shard to shard."""
        clock = self.clock
        pause = first_poll_seconds(self.shard, interval=self.interval_seconds, draw=self.rng.random())
        next_at = clock.monotonic() + pause
        self.reconciled_at = clock.monotonic() - await self._seconds_since_reconcile()
        while True:
            self._announce(next_at)
            await clock.sleep(max(0.0, next_at - clock.monotonic()))
            next_at = await self.turn()

    async def _seconds_since_reconcile(self) -> float:
        """As the store remembers it, so that a daemon that is restarted every day reconciles all the same; 0 at first."""
        if self.shard.stream is not Stream.JOBS:
            return 0.0
        try:
            kept = await self.sink.read(lambda: self.sink.store.states().get(self._reconcile_key))
        except StoreError:
            return 0.0
        if kept is None:
            await self._remember_reconcile()
            return 0.0
        return max(0.0, (self.clock.now() - datetime.fromisoformat(kept.decode())).total_seconds())

    async def _remember_reconcile(self) -> None:
        state = {self._reconcile_key: self.clock.now().isoformat().encode()}
        try:
            await self.sink.run(lambda: self.sink.store.keep_states(state))
        except StoreError as error:
            log.warning("time of the reconcile not kept", extra={**self._labels(), "error": str(error)[:300]})

    @property
    def _reconcile_key(self) -> str:
        return f"reconcile/{self.shard.source}/{self.shard.provider}/{self.shard.account}"

    async def turn(self) -> float:
        """One scheduled turn: a poll if breaker and pressure allow, and the monotonic time of the next."""
        clock, keeper = self.clock, self.gatekeeper
        started = clock.monotonic()
        if not keeper.may_poll():
            return started + STORE_PAUSE_SECONDS
        if not keeper.breaker.allows(started):
            return started + max(1.0, keeper.breaker.wait_seconds(started))
        keeper.breaker = keeper.breaker.begin(started)
        try:
            outcome = await self.poll()
        except StoreError as error:
            keeper.breaker = keeper.breaker.cancelled()
            self.changes.note("store", False, "store refuses writes", {"error": str(error)[:300]})
            return clock.monotonic() + STORE_PAUSE_SECONDS
        except asyncio.CancelledError:
            keeper.breaker = keeper.breaker.cancelled()
            raise
        except Exception:
            # A bug of ours: loud, counted, and no reason for the other shards to stop.
            log.exception("poll crashed", extra=self._labels())
            self.shard_log.broken()
            self._record(ok=False)
            self.failures += 1
            return self._next(started, Reason.OTHER, None)
        return self._next(started, outcome.poll.reason, outcome.error.retry_after_seconds if outcome.error else None)

    async def poll(self) -> Outcome:
        """Poll once, reconcile where that is due, and take note of what happened."""
        watched = replace(self.watched, http=self.client.for_poll())
        outcome = await poll_once(watched, self.sink, self.gate.hold, self.clock)
        await self.sink.record_poll(outcome.poll)
        self._note(outcome)
        if outcome.poll.reason is None and self._reconcile_due():
            await self._reconcile(watched)
        return outcome

    def _note(self, outcome: Outcome) -> None:
        ok = outcome.poll.reason is None
        self.failures = 0 if ok else self.failures + 1
        self.shard_log.poll(outcome, self.clock.now())
        self.source_log.unmapped(outcome.unmapped)
        self._record(ok=ok, trip=isinstance(outcome.error, ApiChanged))
        self.changes.note("store", True, "store accepts writes again")
        self.changes.note(
            f"{self.shard.source}/{self.shard.stream}",
            ok,
            "source recovered" if ok else "source fails",
            {**self._labels(), **({} if ok else {"reason": outcome.poll.reason, "error": outcome.poll.message})},
        )

    def _record(self, *, ok: bool, trip: bool = False) -> None:
        keeper, now = self.gatekeeper, self.clock.monotonic()
        keeper.breaker = keeper.breaker.record(ok=ok, at=now, draw=self.rng.random())
        if trip and keeper.breaker.state(now) is BreakerState.CLOSED:
            keeper.breaker = keeper.breaker.trip(at=now, draw=self.rng.random())
        self.source_log.breaker = int(keeper.breaker.state(now))

    def _reconcile_due(self) -> bool:
        since = self.reconciled_at
        if self.shard.stream is not Stream.JOBS or since is None:
            return False
        return self.clock.monotonic() - since >= RECONCILE_EVERY.total_seconds()

    async def _reconcile(self, watched: Watched) -> None:
        """Read the late window again in full: whatever differs was lost by the provider's own listing."""
        began = self.clock.monotonic()
        self.reconciled_at = began - (RECONCILE_EVERY - RECONCILE_AGAIN).total_seconds()
        outcome = await reconcile_once(watched, self.sink, self.gate.hold, self.clock, window=LATE_WINDOW)
        differences = outcome.differences
        self.shard_log.differences += differences
        self.shard_log.applied(outcome.applied)
        if outcome.poll.reason is None:
            self.reconciled_at = began
            await self._remember_reconcile()
        else:
            told = {"reason": outcome.poll.reason, "error": outcome.poll.message}
            log.warning("reconcile failed and is tried again in an hour", extra={**self._labels(), **told})
        if differences:
            log.warning("reconcile repaired differences", extra={**self._labels(), "differences": differences})

    def _next(self, started: float, reason: Reason | None, retry_after: float | None) -> float:
        return next_poll_at(
            started_at=started,
            now=self.clock.monotonic(),
            interval=self.interval_seconds,
            draw=self.rng.random(),
            failures=self.failures,
            reason=reason,
            retry_after=retry_after,
        )

    def _announce(self, next_at: float) -> None:
        self.shard_log.next_run_at = self.clock.now() + timedelta(seconds=max(0.0, next_at - self.clock.monotonic()))

    def _labels(self) -> dict[str, object]:
        return {"provider": self.shard.provider, "source": self.shard.source, "stream": self.shard.stream.value}
