"""What happens in the emulated clouds: seeded, reproducible, and the same for every wire format.

A :class:`Cloud` is a plan: each job's whole life (submitted, started, ended, outcome) is drawn when it is created, and what
a caller sees is a pure function of that plan and the time asked about. So an emulated API needs no background task,
and any two runs with one seed agree to the byte.
"""

from __future__ import annotations

import random
import uuid
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from qobs.model import JobState

_CHUNK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LabJob:
    """One planned job. ``failure`` is (provider code, message) when ``outcome`` is FAILED."""

    id: str
    backend: str
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime
    outcome: JobState
    failure: tuple[str, str] | None = None
    name: str = "bell"
    shots: int = 1000
    circuits: int = 1
    qubits: int = 2
    gates_1q: int = 4
    gates_2q: int = 1
    priority: str = "standard"
    experiment: str = "bell"
    team: str = "lab"
    workload: str = "production"
    batch: str | None = None
    cost: float = 0.0
    private: bool = False

    def state(self, now: datetime) -> JobState | None:
        """State at ``now``; None before submission."""
        if now < self.submitted_at:
            return None
        if now >= self.ended_at:
            return self.outcome
        if self.started_at is not None and now >= self.started_at:
            return JobState.RUNNING
        return JobState.QUEUED


@dataclass(frozen=True, slots=True)
class LabBackend:
    """One emulated backend. Calibrated every ``calibration_every``, counted from 1970 plus ``calibration_offset``."""

    name: str
    qubits: int
    simulator: bool = False
    execution_seconds: float = 20.0
    jobs_per_hour: float = 12.0
    failure_ratio: float = 0.03
    calibration_every: timedelta = timedelta(hours=24)
    calibration_offset: timedelta = timedelta()

    def calibrated_at(self, now: datetime) -> datetime:
        """Time of the last calibration at or before ``now``."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC) + self.calibration_offset
        return epoch + ((now - epoch) // self.calibration_every) * self.calibration_every


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong with one backend's results or calibrations from ``since`` (until ``until``) on.

    ``noise_factor`` multiplies every error of its gates and readings, ``flipped_bit`` is a classical bit that is always read
    wrong, ``reversed_bits`` turns the order of the bits around, ``stale`` stops the publication of new calibrations.
    """

    backend: str
    since: datetime
    until: datetime | None = None
    noise_factor: float = 1.0
    flipped_bit: int | None = None
    reversed_bits: bool = False
    stale: bool = False

    def covers(self, backend: str, at: datetime) -> bool:
        """Whether it is at work on ``backend`` at ``at``."""
        return backend == self.backend and self.since <= at and (self.until is None or at < self.until)


@dataclass
class Cloud:
    """One provider's jobs and backends. ``failures`` are the (code, message) pairs its failed jobs draw from.

    ``troubles`` may be changed at any time; of several that cover one moment the last one counts.
    """

    name: str
    backends: tuple[LabBackend, ...]
    seed: int
    begins_at: datetime
    failures: tuple[tuple[str, str], ...] = (("internal", "internal error"),)
    uuid_ids: bool = True
    generate: bool = True
    troubles: list[Trouble] = field(default_factory=list)
    _jobs: dict[str, LabJob] = field(default_factory=dict)
    _order: list[tuple[datetime, str]] = field(default_factory=list)
    _free_at: dict[str, datetime] = field(default_factory=dict)
    _until: datetime | None = None
    _stopped: dict[str, bool] = field(default_factory=dict)

    def backend(self, name: str) -> LabBackend | None:
        """The backend of that name, None if this cloud has none such."""
        return next((backend for backend in self.backends if backend.name == name), None)

    def trouble(self, backend: str, at: datetime) -> Trouble | None:
        """What is wrong with ``backend`` at ``at``; None: nothing."""
        return next((each for each in reversed(self.troubles) if each.covers(backend, at)), None)

    def calibrated_at(self, backend: LabBackend, now: datetime) -> datetime:
        """Time of the last calibration that is published at ``now``; the processor itself is calibrated in any case."""
        trouble = self.trouble(backend.name, now)
        return backend.calibrated_at(trouble.since if trouble is not None and trouble.stale else now)

    def add(self, job: LabJob) -> LabJob:
        """Plan one job (tests plan their own), or replace the plan of the same id."""
        if job.id in self._jobs:
            self._order.remove((self._jobs[job.id].submitted_at, job.id))
        self._jobs[job.id] = job
        entry = (job.submitted_at, job.id)
        self._order.insert(bisect_right(self._order, entry), entry)
        return job

    def change(self, job_id: str, **fields: object) -> LabJob:
        """Rewrite a plan: corrections, late revisions."""
        return self.add(replace(self._jobs[job_id], **fields))  # type: ignore[arg-type]

    def remove(self, job_id: str) -> None:
        """Forget a job, as a provider that deletes does."""
        job = self._jobs.pop(job_id)
        self._order.remove((job.submitted_at, job_id))

    def jobs(self, now: datetime) -> list[LabJob]:
        """All jobs submitted by ``now``, oldest first."""
        self._grow(now)
        end = bisect_right(self._order, (now, "\U0010ffff"))
        return [self._jobs[job_id] for _, job_id in self._order[:end]]

    def job(self, job_id: str, now: datetime) -> LabJob | None:
        """The job, or None if unknown or not yet submitted."""
        self._grow(now)
        job = self._jobs.get(job_id)
        return job if job is not None and job.submitted_at <= now else None

    def queue_length(self, backend: str, now: datetime) -> int:
        """Jobs queued on ``backend`` at ``now``."""
        return sum(1 for job in self.jobs(now) if job.backend == backend and job.state(now) is JobState.QUEUED)

    def _grow(self, now: datetime) -> None:
        if not self.generate:
            return
        cursor = self._until or self.begins_at
        while cursor <= now:
            for backend in self.backends:
                self._plan_chunk(backend, cursor)
            cursor += _CHUNK
        self._until = cursor

    def _plan_chunk(self, backend: LabBackend, begin: datetime) -> None:
        draw = random.Random(f"{self.seed}:{self.name}:{backend.name}:{begin.isoformat()}")
        at = begin
        while True:
            at += timedelta(seconds=draw.expovariate(backend.jobs_per_hour / 3600))
            at = at.replace(microsecond=at.microsecond // 1000 * 1000)
            if at >= begin + _CHUNK:
                return
            self.add(self._plan_job(backend, at, draw))

    def _plan_job(self, backend: LabBackend, at: datetime, draw: random.Random) -> LabJob:
        free_at = max(self._free_at.get(backend.name, at), at)
        started = free_at + timedelta(milliseconds=draw.randrange(500, 5000))
        ended = started + timedelta(milliseconds=int(1000 * backend.execution_seconds * draw.uniform(0.4, 1.8)))
        self._free_at[backend.name] = ended
        fate = draw.random()
        outcome, failure = JobState.COMPLETED, None
        if fate < backend.failure_ratio:
            outcome, failure = JobState.FAILED, draw.choice(self.failures)
        elif fate < backend.failure_ratio + 0.01:
            outcome = JobState.CANCELLED
        # Few enough to be simulated exactly (qobs.lab.circuits).
        qubits = 2 + draw.randint(2, min(12, backend.qubits)) % 4
        experiment = draw.choice(("vqe-h2", "qaoa-maxcut", "ghz-benchmark", "kernel-svm"))
        return LabJob(
            id=str(uuid.UUID(int=draw.getrandbits(128), version=4)) if self.uuid_ids else f"d{draw.getrandbits(95):019x}"[:20],
            backend=backend.name,
            submitted_at=at,
            started_at=started,
            ended_at=ended,
            outcome=outcome,
            failure=failure,
            name=experiment,
            shots=draw.choice((500, 1000, 4000)),
            qubits=qubits,
            gates_1q=qubits * 4,
            gates_2q=qubits - 1,
            priority="high" if draw.random() < 0.2 else "standard",
            experiment=experiment,
            team=draw.choice(("chemistry", "optimisation")),
            workload="exploratory" if draw.random() < 0.25 else "production",
            cost=round(draw.uniform(0.5, 30.0), 2),
        )
