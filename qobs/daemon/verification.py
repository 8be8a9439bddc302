"""Verifies what finished jobs measured: chooses them, fetches circuits and counts, has them simulated, keeps the verdicts.

Each account has its own lane, and one job at a time in it: requests go through the account's own client and limits, and wait
while its breaker is open. What is half done when the daemon ends is done again; what was kept is kept once. A job that cannot be
verified says why: its verdict is *unverified*. A job that ends workers is parked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from qobs.clock import Clock
from qobs.config.records import Config, Reference
from qobs.daemon.group import SourceGroup
from qobs.daemon.observe import Observations
from qobs.daemon.sink import StoreSink
from qobs.daemon.verification_choice import Chooser, is_private
from qobs.daemon.verification_lanes import Lane, lanes_of
from qobs.daemon.verification_learning import PREFIX, Learnt, calibrated, place_of
from qobs.daemon.verification_records import epoch_of, unverified, verification
from qobs.daemon.verification_task import UNVERIFIED, Answer, Task
from qobs.daemon.workers import LocalWorkers, NoWorkers, Remembering, TaskFailed, WorkerDied, Workers
from qobs.errors import BadPayload, SourceError, StoreError
from qobs.export.snapshot import VerificationState
from qobs.model import Calibration, Job, JobKey, Reason
from qobs.result import Execution, Program, Verification
from qobs.store.base import Queued, QueueState

log = logging.getLogger("qobs.verify")

LOOK_SECONDS = 30.0
IDLE_SECONDS = 5.0
STORE_PAUSE_SECONDS = 30.0
STOP_SECONDS = 10.0

MOST_QUEUED = 10_000
MOST_CIRCUITS = 100
"""Circuits of one job that are verified, the first ones."""

MOST_WAITS = 3
WAIT = timedelta(minutes=20)
"""How often, and how long, a job waits for the first calibration of its backend."""

MOST_TRIES = 8
MOST_BAD = 2
"""Answers of one job that may be unreadable before it is given up."""

MOST_DEATHS = 2
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
DURATIONS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)


def open_verifier(config: Config, sink: StoreSink, clock: Clock) -> Verifier | None:
    """The verifier that a configuration asks for, with workers on this machine; None: it asks for none. Nothing is started."""
    settings, path = config.reference, config.store.path
    if settings is None:
        return None
    workers = LocalWorkers(
        cache=path.with_name(path.name + ".compiled"),
        deadline_seconds=settings.deadline_seconds,
        memory_bytes=settings.max_memory_bytes,
    )
    return Verifier(settings, sink, clock, Remembering(workers))


class Verifier:
    """All lanes, their queue in the store, and what is learnt. One per daemon."""

    def __init__(self, settings: Reference, sink: StoreSink, clock: Clock, workers: Workers) -> None:
        """Nothing runs before :meth:`start`; ``workers`` are closed by :meth:`stop`."""
        self._settings, self._sink, self._clock, self._workers = settings, sink, clock, workers
        self._learnt = Learnt(alpha=settings.alpha)
        self._durations = Observations(DURATIONS)
        self._lanes: tuple[Lane, ...] = ()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._queue: Mapping[QueueState, int] = {}
        self._chooser = Chooser(sink, clock, settings.sample)

    # ------------------------------------------------------------------------------------------- start and stop

    async def start(self, group: SourceGroup) -> None:
        """Take up what an earlier life left, then work on the accounts of ``group``."""
        await self.recall()
        self.adopt(group)

    async def recall(self) -> None:
        """Know what was learnt before, and put back what was begun."""
        resumed = await self._sink.run(self._sink.store.resume_verifications)
        if resumed:
            log.info("taken up again", extra={"jobs": resumed})
        kept = await self._sink.read(self._sink.store.states)
        if not self._learnt.restore({key: state for key, state in kept.items() if key.startswith(PREFIX)}):
            states = await self._sink.read(lambda: self._learnt.replay(self._sink.store.verifications()))
            await self._sink.run(lambda: self._sink.store.keep_states(states))
        await self._count()

    def adopt(self, group: SourceGroup) -> None:
        """Work on the accounts of this group from now on; call :meth:`pause` before the former group is stopped."""
        self._lanes = lanes_of(group)
        names = ", ".join(lane.shard.source for lane in self._lanes)
        log.info("results are verified", extra={"sources": names or "none can tell results"})
        self._tasks = tuple(asyncio.create_task(self._serve(lane), name=f"verify {lane.shard.source}") for lane in self._lanes)

    async def pause(self) -> None:
        """Stop all lanes; what they had begun is queued again. Bounded in time."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        self._tasks = ()
        try:
            await self._sink.run(self._sink.store.resume_verifications)
        except StoreError as error:
            log.warning("jobs stay marked as begun until the next start", extra={"error": str(error)[:300]})

    async def stop(self) -> None:
        """Stop all lanes and the workers, whatever they do. Bounded in time."""
        await self.pause()
        await self._workers.close()

    def state(self) -> VerificationState:
        """What is shown of it."""
        return VerificationState(
            queue={state.value: count for state, count in self._queue.items()},
            durations=self._durations.freeze(),
            deaths=self._workers.deaths,
            results=self._learnt.readings(),
        )

    async def _serve(self, lane: Lane) -> None:
        """Look for jobs and work on them, for ever. Nothing that goes wrong here ends it."""
        looked = float("-inf")
        while True:
            pause = 0.0
            try:
                if self._clock.monotonic() - looked >= LOOK_SECONDS:
                    looked = self._clock.monotonic()
                    await self.look(lane)
                pause = 0.0 if await self.turn(lane) else IDLE_SECONDS
            except StoreError as error:
                log.warning("store refuses writes", extra={"error": str(error)[:300]})
                pause = STORE_PAUSE_SECONDS
            except Exception:
                log.exception("verification failed and goes on", extra={"source": lane.shard.source})
                pause = STORE_PAUSE_SECONDS
            await self._clock.sleep(pause)

    # ------------------------------------------------------------------------------------------------- the queue

    async def look(self, lane: Lane) -> int:
        """Queue the jobs that settled since the last look and that the policy takes; returns how many."""
        room = MOST_QUEUED - self._queue.get(QueueState.QUEUED, 0)
        added = await self._chooser.look(lane.shard, room) if room > 0 else 0
        if added:
            await self._count()
        return added

    async def _count(self) -> None:
        self._queue = await self._sink.read(self._sink.store.verification_queue)

    # ---------------------------------------------------------------------------------------------- one job's turn

    async def turn(self, lane: Lane) -> bool:
        """Work on the job that is due longest; False: none is due, or its account may not be asked now."""
        store = self._sink.store
        if not lane.allows(self._clock.monotonic()):
            return False
        entry = await self._sink.read(lambda: store.next_verification(lane.shard, self._clock.now()))
        if entry is None:
            return False
        begun = msgspec.structs.replace(entry, state=QueueState.RUNNING)
        await self._sink.run(lambda: store.move_verification(begun))
        try:
            await self._work(lane, entry)
        finally:
            await self._count()
        return True

    async def _work(self, lane: Lane, entry: Queued) -> None:
        job = await self._sink.read(lambda: self._sink.store.job(entry.key))
        if job is None or is_private(job):
            await self._move(entry, QueueState.DONE, "the job is private" if job else "the job is no longer known")
            return
        if (reason := await self._in_vain(job)) is not None:
            if entry.tries < MOST_WAITS and not await self._calibrated(job):
                # The daemon may just have begun: calibrations are read more rarely than jobs.
                await self._later(msgspec.structs.replace(entry, tries=entry.tries + 1), reason, WAIT)
                return
            await self._keep(entry, (unverified(job, None, 0, reason, self._clock.now()),))
            return
        try:
            raw = await lane.source.fetch_result(lane.wired.client.for_poll(), job)
            execution = await asyncio.to_thread(lane.source.execution, raw, job)
            await self._verify(entry, job, execution)
        except SourceError as error:
            await self._unanswered(entry, job, error)
        except WorkerDied as death:
            await self._killed(entry, job, death)
        except NoWorkers as error:
            log.warning("no worker", extra={"error": str(error)[:300]})
            await self._later(entry, str(error), FIRST_PAUSE)
        except (StoreError, asyncio.CancelledError):
            raise
        except Exception as error:
            # A bug of ours, or an answer that no contract foresees: this job is out, the others go on.
            log.exception("job cannot be verified", extra={"job": entry.key.id, "source": entry.source})
            await self._give_up(entry, job, f"it failed here: {type(error).__name__}")

    async def _verify(self, entry: Queued, job: Job, execution: Execution) -> None:
        if execution.missing is not None or not execution.programs:
            await self._keep(
                entry, (unverified(job, execution, 0, execution.missing or "it has no circuits", self._clock.now()),)
            )
            return
        calibration, reason = await self._calibration(execution.key, execution.backend, execution.executed_at)
        if reason is not None:
            now = self._clock.now()
            told = [unverified(job, execution, each.index, reason, now) for each in execution.programs[:MOST_CIRCUITS]]
            await self._keep(entry, told)
            return
        found = []
        for program in execution.programs[:MOST_CIRCUITS]:
            answer = await self._ask(job, execution, program, calibration)
            if not answer.skipped:
                found.append(self._verification(job, execution, program, calibration, answer))
        if len(execution.programs) > MOST_CIRCUITS:
            log.info("only the first circuits are verified", extra={"job": entry.key.id, "circuits": len(execution.programs)})
        await self._keep(entry, found)

    async def _in_vain(self, job: Job) -> str | None:
        """Why asking for the result would be in vain, as far as the job itself tells; None: it is worth a request."""
        ran_at = job.started_at or job.ended_at
        if ran_at is None or job.backend is None:
            return None
        return (await self._calibration(job.key, job.backend, ran_at))[1]

    async def _calibrated(self, job: Job) -> bool:
        """Whether any calibration of the job's backend is known by now, from before or after it ran."""
        now, (provider, account, _) = self._clock.now(), job.key
        known = await self._sink.read(lambda: self._sink.store.calibration_before(provider, account, job.backend or "", now))
        return known is not None

    async def _calibration(self, key: JobKey, backend: str, at: datetime) -> tuple[Calibration | None, str | None]:
        """The calibration in force at ``at``, or why there is nothing to compare with. A simulator needs none."""
        provider, account, _ = key
        store = self._sink.store
        calibration = await self._sink.read(lambda: store.calibration_before(provider, account, backend, at))
        if calibration is not None:
            return calibration, None
        statuses = await self._sink.read(store.backends)
        places = {(each.provider, each.account, each.backend) for each in statuses if each.simulator}
        return None, None if (provider, account, backend) in places else "no calibration from before it ran is known"

    async def _ask(self, job: Job, execution: Execution, program: Program, calibration: Calibration | None) -> Answer:
        place = (job.provider, execution.source, execution.backend)
        skip: Iterable[str] = ()
        if self._settings.sample.per_shape:
            skip = await self._sink.read(lambda: self._sink.store.verified_shapes(*place, epoch_of(calibration)))
        task = Task(
            program=program,
            executed_at=execution.executed_at,
            calibration=calibration,
            margins=dict(sorted(self._learnt.margins(place).items())),
            skip=tuple(sorted(skip)),
            alpha=self._settings.alpha,
            max_qubits=self._settings.max_qubits,
        )
        try:
            answer = msgspec.json.decode(await self._workers.submit(msgspec.json.encode(task)), type=Answer)
        except TaskFailed as failure:
            return Answer(verdict=UNVERIFIED, reason=str(failure))
        self._durations.observe(answer.seconds)
        return answer

    def _verification(
        self, job: Job, execution: Execution, program: Program, calibration: Calibration | None, answer: Answer
    ) -> Verification:
        """The answer as a record, with the calibration's age, and with regard to what is known of the backend."""
        found = verification(job, execution, program, calibration, answer, self._clock.now())
        if found.verdict == UNVERIFIED:
            return found
        place = place_of(found)
        return calibrated(found, self._learnt.margins(place), self._learnt.distances(place, found.shape))

    # ----------------------------------------------------------------------------------------------- how it ended

    async def _keep(self, entry: Queued, found: Sequence[Verification]) -> None:
        """Verdicts, counts, the place in the queue and what is learnt, all in one transaction."""
        known = {each.index: each for each in await self._sink.read(lambda: list(self._sink.store.verifications(entry.key)))}
        fresh = [each for each in found if each.index not in known or known[each.index].verdict == UNVERIFIED]
        # The writer ends what it began, also where this lane is stopped meanwhile: what is learnt must follow.
        await asyncio.shield(asyncio.create_task(self._learn(entry, fresh)))

    async def _learn(self, entry: Queued, fresh: Sequence[Verification]) -> None:
        lesson = self._learnt.lesson(fresh)
        done = msgspec.structs.replace(entry, state=QueueState.DONE, reason="")
        await self._sink.keep_verifications(fresh, entry=done, states=lesson.states if lesson.known else {})
        self._learnt.adopt(lesson)

    async def _unanswered(self, entry: Queued, job: Job, error: SourceError) -> None:
        """The provider has no answer: never, not now, or none that can be read."""
        if error.reason is Reason.NOT_FOUND:
            found = unverified(job, None, 0, "the provider keeps neither circuit nor counts of it", self._clock.now())
            await self._keep(entry, (found,))
            return
        tries = entry.tries + 1
        if tries >= (MOST_BAD if isinstance(error, BadPayload) else MOST_TRIES):
            await self._give_up(msgspec.structs.replace(entry, tries=tries), job, f"its result could not be read: {error}")
            return
        wish = timedelta(seconds=error.retry_after_seconds or 0.0)
        pause = max(wish, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1)))
        await self._later(msgspec.structs.replace(entry, tries=tries), str(error), pause)

    async def _killed(self, entry: Queued, job: Job, death: WorkerDied) -> None:
        """A worker ended on it: once may be chance, twice is the job's own doing."""
        after = msgspec.structs.replace(entry, deaths=entry.deaths + 1)
        log.warning("a worker ended", extra={"job": entry.key.id, "source": entry.source, "error": str(death)[:300]})
        if after.deaths >= MOST_DEATHS:
            await self._give_up(after, job, f"it ended {after.deaths} workers, the last time: {death}")
        else:
            await self._later(after, str(death), FIRST_PAUSE)

    async def _give_up(self, entry: Queued, job: Job, reason: str) -> None:
        parked = msgspec.structs.replace(entry, state=QueueState.PARKED, reason=reason)
        found = unverified(job, None, 0, reason, self._clock.now())
        await self._sink.keep_verifications((found,), entry=parked, states={})

    async def _later(self, entry: Queued, reason: str, pause: timedelta) -> None:
        due_at = self._clock.now() + pause
        await self._move(msgspec.structs.replace(entry, due_at=due_at), QueueState.QUEUED, reason)

    async def _move(self, entry: Queued, state: QueueState, reason: str) -> None:
        moved = msgspec.structs.replace(entry, state=state, reason=reason)
        await self._sink.run(lambda: self._sink.store.move_verification(moved))
