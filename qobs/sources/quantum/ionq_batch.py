"""One IonQ answer into one batch: each record is read on its own, and one that cannot be read is set aside alone."""

from __future__ import annotations

from collections.abc import Iterable

from qobs.errors import BadPayload
from qobs.model import BackendStatus, Batch, Calibration, Job, Quarantined, Raw, Stream, Unmapped
from qobs.sources.decode import BadRecord, decode_object, decode_records, quarantine, quarantine_aside
from qobs.sources.limits import Limits
from qobs.sources.quantum.ionq_cost import Cost, read_cost
from qobs.sources.quantum.ionq_devices import read_backend, read_characterization
from qobs.sources.quantum.ionq_jobs import DELETED, Read, Reading, ordinary_v03, ordinary_v04, read_v03, read_v04
from qobs.sources.quantum.ionq_wire import ORDINARY_V03, ORDINARY_V04, WireJobV04
from qobs.sources.typed import decode_typed

_LIMITS = Limits()
_NO_COST = Cost()
_NEVER_TOLD = Cost(final=True)


def jobs_batch(raw: Raw, reading: Reading, *, old: bool) -> Batch:
    """A page of the listing (``jobs``) or one job (``job``); ``old``: by API v0.3.

    Raises:
        BadPayload: the answer as a whole is not a page, or not a job.
    """
    batch = _ordinary_batch(raw, reading, old=old) if raw.kind == "jobs" else None
    return batch if batch is not None else _record_by_record(raw, reading, old=old)


def _ordinary_batch(raw: Raw, reading: Reading, *, old: bool) -> Batch | None:
    """A page whose records are all well typed and known to their last member; None for any other.

    Nearly every page is one, and typed decoding saves a third of what it costs (benchmarks/bench_normalize.py).
    """
    page = decode_typed(raw.body, ORDINARY_V03) if old else decode_typed(raw.body, ORDINARY_V04)
    if page is None or len(page.jobs) > _LIMITS.records_per_page:
        return None
    aside: list[Quarantined] = []
    rows: list[Read] = []
    try:
        for wire in page.jobs:
            cost, broken = _cost_of(wire.id, raw)
            aside += broken
            rows.append(ordinary_v04(wire, reading, cost) if isinstance(wire, WireJobV04) else ordinary_v03(wire, reading))
    except BadRecord:
        return None
    return _batch(rows, aside)


def _record_by_record(raw: Raw, reading: Reading, *, old: bool) -> Batch:
    page = decode_records(raw.body, path=("jobs",) if raw.kind == "jobs" else (), what=raw.kind)
    aside = [quarantine_aside(Stream.JOBS, bad) for bad in page.bad]
    rows: list[Read] = []
    for row in page.records:
        try:
            cost, broken = _cost_of(row.get("id"), raw)
            rows.append(read_v03(row, reading) if old else read_v04(row, reading, cost))
        except BadRecord as bad:
            aside.append(quarantine(Stream.JOBS, row, bad.reason, record_id=row.get("id")))
            continue
        aside += broken
    return _batch(rows, aside)


def _batch(rows: Iterable[Read], aside: list[Quarantined]) -> Batch:
    jobs: list[Job] = []
    missing: list[str] = []
    unmapped: dict[Unmapped, None] = {}
    for job, words in rows:
        if words:
            unmapped |= dict.fromkeys(words)
        if job is None:
            continue
        if job.raw_state.lower() == DELETED:
            missing.append(job.id)
        else:
            jobs.append(job)
    return Batch(jobs=tuple(jobs), quarantined=tuple(aside), unmapped=tuple(unmapped), missing=tuple(missing))


def _cost_of(job_id: object, raw: Raw) -> tuple[Cost, tuple[Quarantined, ...]]:
    """The job's cost; one that cannot be read is set aside, and the job counts without it."""
    if not raw.companions and not raw.about:
        return _NO_COST, ()
    key = f"cost:{job_id}"
    if raw.about.get(key) == "refused":
        return _NEVER_TOLD, ()
    body = raw.companions.get(key)
    if body is None:
        return _NO_COST, ()
    try:
        return read_cost(body), ()
    except (BadRecord, BadPayload) as bad:
        return _NO_COST, (quarantine(Stream.JOBS, body, f"cost: {bad}", record_id=job_id),)


def backends_batch(raw: Raw, source: str, account: str, queue_unit_seconds: float) -> Batch:
    """The answer of ``/backends``.

    Raises:
        BadPayload: the answer as a whole is not a list.
    """
    page = decode_records(raw.body, path=None, what="backends")
    found: list[BackendStatus] = []
    aside = [quarantine_aside(Stream.STATUS, bad) for bad in page.bad]
    unmapped: dict[Unmapped, None] = {}
    for row in page.records:
        try:
            status, words = read_backend(
                row, source=source, account=account, now=raw.fetched_at, queue_unit_seconds=queue_unit_seconds
            )
        except BadRecord as bad:
            aside.append(quarantine(Stream.STATUS, row, bad.reason, record_id=row.get("backend")))
            continue
        found.append(status)
        unmapped |= dict.fromkeys(words)
    return Batch(backends=tuple(found), quarantined=tuple(aside), unmapped=tuple(unmapped))


def characterizations_batch(raw: Raw, source: str, account: str) -> Batch:
    """One characterization, or a page of them.

    Raises:
        BadPayload: the answer as a whole is not what the contract says.
    """
    path = () if raw.kind == "characterization" else ("characterizations",)
    # Null is how the service says that a device has no characterization: neither zero nor an error.
    if path and decode_object(raw.body, what="characterizations").get("characterizations", ()) is None:
        return Batch()
    page = decode_records(raw.body, path=path, what="characterizations")
    found: list[Calibration] = []
    aside = [quarantine_aside(Stream.CALIBRATIONS, bad) for bad in page.bad]
    unmapped: dict[Unmapped, None] = {}
    for row in page.records:
        try:
            calibration, words = read_characterization(row, source=source, account=account, backend=raw.about.get("backend", ""))
        except BadRecord as bad:
            aside.append(quarantine(Stream.CALIBRATIONS, row, bad.reason, record_id=row.get("id")))
            continue
        found.append(calibration)
        unmapped |= dict.fromkeys(words)
    return Batch(calibrations=tuple(found), quarantined=tuple(aside), unmapped=tuple(unmapped))
