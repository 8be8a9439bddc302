"""One Azure answer into one batch: each record is read on its own, and one that cannot be read is set aside alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qobs.model import BackendStatus, Batch, Job, Quarantined, Quota, Raw, Stream, Unmapped
from qobs.sources.decode import BadRecord, decode_records, quarantine, quarantine_aside
from qobs.sources.limits import Limits
from qobs.sources.quantum.azure_jobs import Reading, normalized, ordinary
from qobs.sources.quantum.azure_status import provider, quota, target_status
from qobs.sources.quantum.azure_wire import ORDINARY_PAGE
from qobs.sources.typed import decode_typed

_LIMITS = Limits()


def jobs_batch(raw: Raw, source: str, account: str) -> Batch:
    """A page of the listing (``jobs``) or one job (``job``). Sessions, which mixed listings hold too, are no jobs.

    Raises:
        BadPayload: the answer as a whole is not a page, or not a job.
    """
    batch = _ordinary_batch(raw, source, account) if raw.kind == "jobs" else None
    return batch if batch is not None else _record_by_record(raw, source, account)


def _ordinary_batch(raw: Raw, source: str, account: str) -> Batch | None:
    """A page whose records are all well typed and known to their last member; None for any other.

    Nearly every page is one, and typed decoding saves a third of what it costs (benchmarks/bench_normalize.py).
    """
    page = decode_typed(raw.body, ORDINARY_PAGE)
    if page is None or len(page.value) > _LIMITS.records_per_page:
        return None
    reading = Reading(source=source, account=account, fetched_at=raw.fetched_at)
    jobs: dict[str, Job] = {}
    unmapped: list[Unmapped] = []
    for wire in page.value:
        if wire.item_type == "Session":
            continue
        try:
            job, words = ordinary(wire, reading)
        except BadRecord:
            return None
        if job.id not in jobs:
            jobs[job.id] = job
            unmapped.extend(words)
    return Batch(jobs=tuple(jobs.values()), unmapped=tuple(unmapped))


def _record_by_record(raw: Raw, source: str, account: str) -> Batch:
    page = decode_records(raw.body, path=("value",) if raw.kind == "jobs" else (), what=raw.kind)
    reading = Reading(source=source, account=account, fetched_at=raw.fetched_at)
    jobs: dict[str, Job] = {}
    aside = [quarantine_aside(Stream.JOBS, bad) for bad in page.bad]
    unmapped: list[Unmapped] = []
    for record in page.records:
        if record.get("itemType") == "Session":
            continue
        try:
            job, words = normalized(record, reading)
        except BadRecord as bad:
            aside.append(_aside(Stream.JOBS, record, bad))
            continue
        if job.id not in jobs:
            jobs[job.id] = job
            unmapped.extend(words)
    return Batch(jobs=tuple(jobs.values()), quarantined=tuple(aside), unmapped=tuple(unmapped))


def status_batch(raw: Raw, source: str, account: str) -> Batch:
    """The targets of every provider.

    Raises:
        BadPayload: the answer as a whole is not a list of providers.
    """
    page = decode_records(raw.body, path=("value",), what=raw.kind)
    backends: dict[str, BackendStatus] = {}
    aside = [quarantine_aside(Stream.STATUS, bad) for bad in page.bad]
    unmapped: list[Unmapped] = []
    for record in page.records:
        try:
            of = provider(record)
        except BadRecord as bad:
            aside.append(_aside(Stream.STATUS, record, bad))
            continue
        for target in of.targets or ():
            try:
                status, words = target_status(target, of.id, source=source, account=account, observed_at=raw.fetched_at)
            except BadRecord as bad:
                aside.append(_aside(Stream.STATUS, target, bad))
                continue
            if status.backend not in backends:
                backends[status.backend] = status
                unmapped.extend(words)
    return Batch(backends=tuple(backends.values()), quarantined=tuple(aside), unmapped=tuple(unmapped))


def quota_batch(raw: Raw, source: str, account: str) -> Batch:
    """The allowances of the workspace.

    Raises:
        BadPayload: the answer as a whole is not a list of allowances.
    """
    page = decode_records(raw.body, path=("value",), what=raw.kind)
    quotas: list[Quota] = []
    aside = [quarantine_aside(Stream.QUOTAS, bad) for bad in page.bad]
    for record in page.records:
        try:
            quotas.append(quota(record, source=source, account=account, observed_at=raw.fetched_at))
        except BadRecord as bad:
            aside.append(_aside(Stream.QUOTAS, record, bad))
    return Batch(quotas=tuple(quotas), quarantined=tuple(aside))


_LINKS = ("containerUri", "inputDataUri", "outputDataUri", "statusPage")


def _aside(stream: Stream, record: Mapping[str, Any], bad: BadRecord) -> Quarantined:
    """The record without its signed links: not even a masked signature is kept."""
    kept = {name: value for name, value in record.items() if name not in _LINKS}
    return quarantine(stream, kept, bad.reason, record_id=record.get("id"))
