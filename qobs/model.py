"""The words that every room of qobs shares: frozen, typed records without behaviour that touches the world.

Conventions that hold for every record here:

* a field that ends in ``_at`` is an aware datetime in UTC; ``None`` means that nobody told us;
* a field that ends in ``_seconds`` or ``_hertz`` is in that unit; an ``error`` or ``ratio`` lies in [0, 1];
* ``None`` is "not known", never zero; an empty tuple is "known to be none";
* provider strings that are kept (``raw_state``, ``Failure.message``) are already redacted.

The records are :class:`msgspec.Struct` classes: frozen like dataclasses, but built and encoded in a
fraction of the time, which is what lets one core ingest thousands of jobs a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from qobs.result import Verification

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Whole microseconds since 1970 of an aware datetime, exactly (a float timestamp would round).

    Example:
        >>> to_micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
        1000005
    """
    return (at - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of whole microseconds since 1970; inverse of :func:`to_micros`.

    Example:
        >>> from_micros(1000005).isoformat()
        '1970-01-01T00:00:01.000005+00:00'
    """
    return EPOCH + timedelta(microseconds=micros)


# --------------------------------------------------------------------------------------------- jobs


class JobState(StrEnum):
    """Where a job stands, in the one vocabulary that all providers are mapped to."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The provider used a word that we do not know, or no longer knows the job. Never terminal."""

    @property
    def terminal(self) -> bool:
        """True for states that a job does not leave, save by a provider's correction."""
        return self in TERMINAL


TERMINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})


class FailureClass(StrEnum):
    """Whose fault a failed job is, as far as the provider's code and message tell."""

    USER = "user"
    SDK = "sdk"
    AUTH = "auth"
    NETWORK = "network"
    QUEUE = "queue"
    PROVIDER = "provider"
    HARDWARE = "hardware"
    UNKNOWN = "unknown"


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a job failed.

    ``signature`` is a short stable digest of class, code and the message's shape (numbers, ids and quoted
    values removed): failures of one root cause share it, whatever job they hit.
    """

    kind: FailureClass
    code: str | None = None
    signature: str = ""
    message: str | None = None


class JobKey(NamedTuple):
    """Identity of a job: from configuration and provider, never from a position in a list."""

    provider: str
    account: str
    id: str


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One provider job in the normalized schema. Every field that nobody told us is ``None``.

    ``started_at`` and ``ended_at`` are the provider's own times. ``updated_at`` is the provider's revision time
    where it has one. ``settled`` is True once the provider has nothing further to tell (terminal, times and usage
    final): an unsettled job is asked for again by id.
    """

    provider: str
    source: str
    account: str
    id: str
    state: JobState
    raw_state: str = ""
    backend: str | None = None
    name: str | None = None

    submitted_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime | None = None
    settled: bool = False

    failure: Failure | None = None

    shots: int | None = None
    circuits: int | None = None
    qubits: int | None = None
    depth: int | None = None
    two_qubit_gates: int | None = None
    circuit_hash: str | None = None
    parameter_hash: str | None = None
    seed: int | None = None
    quantum_seconds: float | None = None
    """Seconds on the quantum processor as the provider reports or bills them, once final."""

    sdk: str | None = None
    sdk_version: str | None = None
    environment_hash: str | None = None

    priority: str | None = None
    workload: str | None = None
    """``production`` or ``exploratory``."""
    experiment: str | None = None
    team: str | None = None
    cost_center: str | None = None
    batch: str | None = None
    """The provider's session, batch or reservation: jobs that share a fate."""

    calibration_id: str | None = None
    cost_charged: Decimal | None = None
    cost_estimated: Decimal | None = None
    currency: str | None = None
    """ISO 4217 code, or ``credit`` or a vendor unit such as ``hqc``: never add two of them."""

    trace_id: str | None = None
    parent_run: str | None = None
    artifacts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    extra: str | None = None
    """JSON object of provider fields that the schema has no place for, redacted, at most 4 KiB."""

    @property
    def key(self) -> JobKey:
        """Identity of the job in the store."""
        return JobKey(self.provider, self.account, self.id)


LABEL_FIELDS = (
    "experiment",
    "priority",
    "team",
    "cost_center",
    "workload",
    "batch",
    "name",
    "sdk",
    "sdk_version",
    "circuit_hash",
    "parameter_hash",
    "environment_hash",
    "trace_id",
    "parent_run",
)
"""Fields of a job that an operator's labels and tag patterns may fill: text that the provider does not own."""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a job's append-only history.

    ``provider_at`` is the provider's time of the change, None where it tells none. ``anomalous`` marks a change that
    cannot be (a finished job that runs again): recorded and counted, but not believed.
    """

    key: JobKey
    state: JobState
    raw_state: str
    provider_at: datetime | None
    observed_at: datetime
    anomalous: bool = False


# ------------------------------------------------------------------------------- backends, calibration


class BackendState(StrEnum):
    """Whether a backend takes and runs jobs."""

    ONLINE = "online"
    OFFLINE = "offline"
    MAINTENANCE = "maintenance"
    RESERVED = "reserved"
    RETIRED = "retired"
    UNKNOWN = "unknown"


class BackendStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a provider publishes about one backend at ``observed_at``."""

    provider: str
    source: str
    account: str
    backend: str
    state: BackendState
    observed_at: datetime
    raw_state: str = ""
    queue_jobs: int | None = None
    queue_wait_seconds: float | None = None
    qubits: int | None = None
    version: str | None = None
    technology: str | None = None
    """``superconducting``, ``trapped_ion``, ``neutral_atom``, ``photonic``, ``simulator`` or None."""
    simulator: bool | None = None
    layers_per_second: float | None = None
    layer_error: float | None = None
    next_maintenance_at: datetime | None = None
    calibration_id: str | None = None


class Measured(msgspec.Struct, frozen=True, array_like=True):
    """A calibrated value with the provider's own time of measurement (None: not told)."""

    value: float
    at: datetime | None = None


class QubitCalibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Published figures of one qubit, as published (no clipping of T2 > 2 T1 and the like)."""

    qubit: int
    operational: bool = True
    t1_seconds: Measured | None = None
    t2_seconds: Measured | None = None
    frequency_hertz: Measured | None = None
    anharmonicity_hertz: Measured | None = None
    readout_error: Measured | None = None
    prob_meas0_prep1: Measured | None = None
    prob_meas1_prep0: Measured | None = None
    readout_seconds: Measured | None = None


class GateCalibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Published figures of one gate on an ordered tuple of qubits.

    ``faulty`` is the provider's "not calibrated" mark (IBM publishes an error of exactly 1): such a gate has
    ``error`` None and stays out of every median.
    """

    gate: str
    qubits: tuple[int, ...]
    error: Measured | None = None
    duration_seconds: Measured | None = None
    faulty: bool = False


class DeviceCalibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Device-level medians: published as such (IonQ), or computed from per-qubit values."""

    t1_seconds: float | None = None
    t2_seconds: float | None = None
    readout_error: float | None = None
    gate_error_1q: float | None = None
    gate_error_2q: float | None = None
    gate_error_1q_worst: float | None = None
    gate_error_2q_worst: float | None = None
    gate_1q_seconds: float | None = None
    gate_2q_seconds: float | None = None
    readout_seconds: float | None = None
    faulty_qubits: int | None = None
    faulty_gates: int | None = None


class Calibration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One calibration snapshot of a backend. ``calibrated_at`` is the provider's own "last update" time.

    Per-parameter times may be older by months or later by seconds: see :class:`Measured`.
    ``published`` holds device-level figures the provider publishes itself, None where it publishes none.
    """

    provider: str
    source: str
    account: str
    backend: str
    calibrated_at: datetime
    calibration_id: str | None = None
    version: str | None = None
    qubits: tuple[QubitCalibration, ...] = ()
    gates: tuple[GateCalibration, ...] = ()
    couplings: tuple[tuple[int, int], ...] = ()
    published: DeviceCalibration | None = None


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One allowance of an account, in the provider's own unit (``dimension`` names it)."""

    provider: str
    source: str
    account: str
    dimension: str
    scope: str
    observed_at: datetime
    target: str | None = None
    """The sub-provider the allowance is for (Azure: ionq, quantinuum …)."""
    limit: float | None = None
    used: float | None = None
    held: float | None = None
    period: str | None = None


# ------------------------------------------------------------------------------------ polling, pages


class Stream(StrEnum):
    """What a poll asks for; each (source, stream) pair has its own schedule and cursor."""

    JOBS = "jobs"
    STATUS = "status"
    CALIBRATIONS = "calibrations"
    QUOTAS = "quotas"


class Shard(NamedTuple):
    """One stream of one account of one configured source: the unit of scheduling, cursors and leases."""

    source: str
    provider: str
    account: str
    stream: Stream


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll wants: the jobs of ``ids``, or all of ``stream`` that changed at or after ``since`` (None: all there is)."""

    stream: Stream
    since: datetime | None = None
    ids: tuple[str, ...] = ()
    now: datetime


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """One provider answer, untouched: what ``normalize`` reads and golden files hold.

    ``kind`` names the answer within the source (``jobs``, ``job``, ``properties`` …). ``about`` carries the context the
    body lacks (backend, job id). ``companions`` are further bodies of the same record (IBM: ``metrics`` of a job).
    ``last`` is True on the last page of a complete listing: only then may the watermark move.
    """

    stream: Stream
    kind: str
    body: bytes
    fetched_at: datetime
    about: Mapping[str, str] = {}
    companions: Mapping[str, bytes] = {}
    last: bool = False


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be read: kept aside with the reason, so that the rest of its page counts."""

    stream: Stream
    reason: str
    """Short and bounded: field path and what was expected, never the value."""
    body: bytes
    """Raw bytes, at most 64 KiB, redacted."""
    record_id: str | None = None


class Unmapped(NamedTuple):
    """A provider word or field that qobs has no translation for: counted, never a crash."""

    field: str
    value: str


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """All that one provider answer says, in records."""

    jobs: tuple[Job, ...] = ()
    backends: tuple[BackendStatus, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    quotas: tuple[Quota, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    unmapped: tuple[Unmapped, ...] = ()
    missing: tuple[str, ...] = ()
    """Ids of jobs that the provider says it does not have (404)."""


class Reason(StrEnum):
    """Why a poll failed: a bounded label."""

    TIMEOUT = "timeout"
    CONNECT = "connect"
    TLS = "tls"
    DNS = "dns"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    BAD_PAYLOAD = "bad_payload"
    CANCELLED = "cancelled"
    OTHER = "other"


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """One poll attempt, failed or not: ``reason`` is None for success, ``message`` is redacted."""

    shard: Shard
    started_at: datetime
    duration_seconds: float
    pages: int
    records: int
    reason: Reason | None = None
    message: str | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What the store applies in one transaction: records, counts, and the cursor with them.

    ``watermark`` None leaves the cursor where it is; a value moves it (never backwards).
    """

    shard: Shard
    batch: Batch
    observed_at: datetime
    watermark: datetime | None = None
    checked: bool = False
    """True for answers about jobs that were asked for by id: what is unchanged in them was looked at, not only listed."""


# ---------------------------------------------------------------------------------- indicators, counts


class Series(NamedTuple):
    """Labels of one SLI series. All bounded by configuration; the empty string means "not known"."""

    sli: str
    provider: str
    source: str
    backend: str
    priority: str = ""
    workload: str = ""
    team: str = ""


class Event(NamedTuple):
    """A verdict: one good or bad event of an SLI at an event time. ``group`` (a batch, a session) shares its fate; "": none."""

    series: Series
    at: datetime
    good: bool
    group: str = ""


class Count(NamedTuple):
    """A contribution of one job to a counter: metric name, label values (in the metric's order), amount.

    Histograms contribute to ``name`` with a trailing label that is the upper bound of the one bucket that holds the value
    (``+Inf`` above the last; not cumulative: see :mod:`qobs.buckets`) or the word ``sum``.
    """

    name: str
    labels: tuple[str, ...]
    amount: float


class Judgement(msgspec.Struct, frozen=True):
    """All that one record adds to the counts, judged at one moment.

    ``next_at`` is when the verdict may change by the passing of time alone (a queued job that becomes overdue);
    None: never. ``clamped`` counts impossible times (negative durations, far future) that were corrected for counting.
    """

    events: tuple[Event, ...] = ()
    counts: tuple[Count, ...] = ()
    next_at: datetime | None = None
    clamped: int = 0


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether qobs knew a backend's calibration during one time slice: the record that M4 judges.

    Key: (provider, account, backend, slice_at). ``calibrated_at`` None: the provider publishes none yet.
    """

    provider: str
    source: str
    account: str
    backend: str
    slice_at: datetime
    calibrated_at: datetime | None


class Judge(Protocol):
    """Turns records into counts: pure, so that counts can be rebuilt from records at any time."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same record could be judged differently (thresholds): the store then recounts."""
        ...

    def job(self, job: Job, now: datetime) -> Judgement:
        """Verdicts and counts of one job as known at ``now``."""
        ...

    def freshness(self, reading: Freshness) -> Judgement:
        """Verdict on one calibration reading."""
        ...

    def verification(self, verification: Verification) -> Judgement:
        """What the verdict on one circuit's result adds."""
        ...


class Delta(NamedTuple):
    """A change of one SLI bucket: what the store committed and the window totals must follow.

    ``bucket`` is the start of a 10-second bucket in whole seconds since 1970. ``good`` and ``total`` may be negative
    (a correction).
    """

    series: Series
    bucket: int
    good: int
    total: int


BUCKET_SECONDS = 10
"""Width of a stored SLI bucket; every wider bucket is a sum of these."""


def window_name(window: timedelta) -> str:
    """A window as people write it, in the largest unit that divides it: in metrics' labels, in rules and in JSON alike.

    Example:
        >>> [window_name(timedelta(minutes=minutes)) for minutes in (5, 60, 90, 1440, 43200)]
        ['5m', '1h', '90m', '1d', '30d']
    """
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1))):
        if window % length == timedelta():
            return f"{window // length}{unit}"
    return f"{window / timedelta(seconds=1):g}s"


class Counts(NamedTuple):
    """Good and total events of one window. Counts add: over windows' parts, backends, teams and days."""

    good: int
    total: int

    @property
    def bad(self) -> int:
        """Events that spent budget."""
        return self.total - self.good


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What a committed page really changed. A replayed page gives all zeros and no deltas."""

    ingested: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0
    transitions: int = 0
    anomalous: int = 0
    corrections: int = 0
    late: int = 0
    """Updates whose event time lies before the shard's watermark at commit."""
    clamped: int = 0
    deltas: tuple[Delta, ...] = ()
