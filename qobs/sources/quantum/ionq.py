"""IonQ Quantum Cloud: jobs, backend status and characterizations by the REST API v0.4 (both shapes of 2026) or v0.3.

How jobs are followed. The list is ordered by submission, newest first, and has no filter by change. A poll therefore pages
until a page lies wholly before ``since``: that finds every job that is new. What happens later to a job that was already
listed comes by its id: the engine asks again for every job that is not ``settled``. A correction of a settled job
(IonQ may turn ``completed`` into ``canceled``) is seen if it is still within the pages of a poll, and otherwise by the
daily reconcile.

Cost. v0.4 keeps the price apart from the job (``/jobs/{id}/cost``), so each completed processor job costs one request
more; the answer travels as a companion of its page, and a final one is remembered, so that a page which is read every
minute is not paid for every minute. A job is settled when its charge is known, when there will be none (failed, canceled,
dry run, simulator, no right to see it), or 30 days after its end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from msgspec import structs

from qobs.errors import BadPayload, Refused
from qobs.model import EPOCH, Ask, Batch, Job, Raw, Reason, Stream
from qobs.result import Execution
from qobs.secret import Secret
from qobs.sources.base import Answer, Http, Option, Settings, SourceType
from qobs.sources.decode import Records, decode_object, decode_records
from qobs.sources.http import segment
from qobs.sources.quantum import ionq_results
from qobs.sources.quantum.ionq_batch import backends_batch, characterizations_batch, jobs_batch
from qobs.sources.quantum.ionq_cost import Charges
from qobs.sources.quantum.ionq_devices import is_simulator
from qobs.sources.quantum.ionq_jobs import Reading, is_charged, latest_at, submitted_at
from qobs.sources.quantum.results import seen_at

MAX_PAGES = 10_000
"""Pages of one listing at most: a cursor that never ends is a fault of the service."""

HISTORY_PAGE = 10
"""Characterizations per page: the most that the service gives."""

_FOUND = frozenset({200, 404})
_COST_ANSWERS = frozenset({200, 403, 404})
_QUEUE_UNITS = {"ms": 0.001, "s": 1.0}

Params = Sequence[tuple[str, str]]


class IonQ:
    """One IonQ API key, that is one project: implements :class:`qobs.sources.base.Source`."""

    provider = "ionq"
    streams = frozenset({Stream.JOBS, Stream.STATUS, Stream.CALIBRATIONS})

    def __init__(self, settings: Settings) -> None:
        """Read the options; the key itself is read anew at every request."""
        options = {option.name: option.default for option in OPTIONS} | dict(settings.options)
        self._name = settings.name
        self._key: Callable[[], Secret] = settings.credentials["api_key"]
        self._version = str(options["api_version"])
        self._base = f"{str(options['url']).rstrip('/')}/{self._version}"
        self._queue_unit = _QUEUE_UNITS[str(options["queue_time_unit"])]
        self._page_size = int(options["page_size"])
        # v0.3 has the charge in the job and no cost endpoint.
        self._with_cost = bool(options["cost"]) and self._version == "v0.4"
        self._charges = Charges()
        self.account = str(options["account"] or settings.name)

    # ------------------------------------------------------------------------------------------------ fetch

    def fetch(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        """The answers to ``ask``: listings newest first, jobs asked by id one by one.

        Raises:
            SourceError: as :class:`Http`, and BadPayload for a cursor that repeats or never ends.
        """
        if ask.stream is Stream.STATUS:
            return self._status(http, ask)
        if ask.stream is Stream.CALIBRATIONS:
            return self._calibrations(http, ask)
        return self._jobs_by_id(http, ask) if ask.ids else self._jobs(http, ask)

    async def _get(
        self, http: Http, path: str, endpoint: str, params: Params = (), accept: frozenset[int] = frozenset({200})
    ) -> Answer:
        """GET below the versioned base; a refused key is read anew once, for it may have been rotated."""
        try:
            return await self._get_once(http, path, endpoint, params, accept)
        except Refused as refused:
            if refused.reason is not Reason.AUTH:
                raise
        return await self._get_once(http, path, endpoint, params, accept)

    async def _get_once(self, http: Http, path: str, endpoint: str, params: Params, accept: frozenset[int]) -> Answer:
        headers = {"Authorization": f"apiKey {self._key().reveal()}", "Accept": "application/json"}
        return await http.get(f"{self._base}{path}", endpoint=endpoint, headers=headers, params=params, accept=accept)

    async def _status(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        answer = await self._get(http, "/backends", "/backends")
        yield Raw(stream=Stream.STATUS, kind="backends", body=answer.body, fetched_at=ask.now, last=True)

    async def _jobs(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            params = [("limit", str(self._page_size))] + ([("next", cursor)] if cursor else [])
            answer = await self._get(http, "/jobs", "/jobs", params)
            page = decode_records(answer.body, path=("jobs",), what="jobs")
            cursor = _cursor(page.envelope, seen)
            last = cursor is None or _wholly_before(page, ask.since)
            yield await self._with_costs(http, page.records, _job_page("jobs", answer, ask, last=last))
            if last:
                return
        raise BadPayload(f"jobs: more than {MAX_PAGES} pages in one listing")

    async def _jobs_by_id(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        for job_id in ask.ids:
            answer = await self._get(http, f"/jobs/{segment(job_id)}", "/jobs/{id}", accept=_FOUND)
            if answer.status == 404:
                yield _job_page("job_missing", answer, ask, about={"id": job_id})
                continue
            page = decode_records(answer.body, path=(), what="job")
            yield await self._with_costs(http, page.records, _job_page("job", answer, ask, about={"id": job_id}))

    async def _with_costs(self, http: Http, rows: list[dict[str, Any]], raw: Raw) -> Raw:
        """The page with the costs of its jobs as companions, or with the note that we may not see them."""
        bodies: dict[str, bytes] = {}
        refused: dict[str, str] = {}
        for row in rows if self._with_cost else ():
            job_id = row.get("id")
            if not isinstance(job_id, str) or not job_id or not is_charged(row):
                continue
            body = await self._cost(http, job_id, raw.fetched_at)
            if body is None:
                refused[f"cost:{job_id}"] = "refused"
            elif body:
                bodies[f"cost:{job_id}"] = body
        return structs.replace(raw, about={**raw.about, **refused}, companions=bodies) if bodies or refused else raw

    async def _cost(self, http: Http, job_id: str, now: datetime) -> bytes | None:
        """The cost's body, empty where none is known yet, None where this key may not see costs."""
        known = self._charges.known(job_id)
        if known is not None or self._charges.refused(now):
            return known
        answer = await self._get(http, f"/jobs/{segment(job_id)}/cost", "/jobs/{id}/cost", accept=_COST_ANSWERS)
        return self._charges.learn(job_id, answer, now)

    async def _calibrations(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        """The newest characterization of each processor, or all since ``since``, oldest page last."""
        answer = await self._get(http, "/backends", "/backends")
        names = [name for row in decode_records(answer.body, path=None, what="backends").records if (name := _processor(row))]
        held: Raw | None = None
        for name in names:
            async for raw in self._characterizations(http, name, ask):
                if held is not None:
                    yield held
                held = raw
        if held is not None:
            yield structs.replace(held, last=True)

    async def _characterizations(self, http: Http, name: str, ask: Ask) -> AsyncIterator[Raw]:
        path, endpoint = self._characterization_path(name)
        if self._version == "v0.3" and ask.since is None:
            path, endpoint = f"{path}/current", f"{endpoint}/current"
        for number in range(1, MAX_PAGES + 1):
            params = self._characterization_params(ask.since, number)
            answer = await self._get(http, path, endpoint, params, accept=_FOUND)
            if answer.status == 404:
                return
            yield Raw(
                stream=Stream.CALIBRATIONS,
                kind="characterization" if endpoint.endswith("/current") else "characterizations",
                body=answer.body,
                fetched_at=ask.now,
                about={"backend": name},
            )
            if ask.since is None or not _pages_left(decode_object(answer.body, what="characterizations")):
                return
        raise BadPayload(f"characterizations: more than {MAX_PAGES} pages in one listing")

    def _characterization_path(self, name: str) -> tuple[str, str]:
        quoted = segment(name)
        if self._version == "v0.3":
            return f"/characterizations/backends/{quoted}", "/characterizations/backends/{backend}"
        return f"/backends/{quoted}/characterizations", "/backends/{backend}/characterizations"

    def _characterization_params(self, since: datetime | None, page: int) -> Params:
        if since is None:
            return () if self._version == "v0.3" else (("limit", "1"),)
        start = str(int(since.timestamp())) if self._version == "v0.3" else since.astimezone(UTC).date().isoformat()
        return ("start", start), ("limit", str(HISTORY_PAGE)), ("page", str(page))

    # ---------------------------------------------------------------------------------------------- results

    async def fetch_result(self, http: Http, job: Job) -> Raw:
        """The job, and where it names a compiled circuit, that and its probabilities; the same of a multi-circuit job's children.

        Raises:
            SourceError: IonQ could not be read; ``not_found`` where it no longer knows the job.
        """
        answer = await self._get(http, f"/jobs/{segment(job.id)}", "/jobs/{id}")
        told, companions = ionq_results.job_of(answer.body), dict[str, bytes]()
        if ionq_results.reason_not_to_read(told) is None:
            children = ionq_results.child_ids(told)
            companions = {} if children else await self._circuit(http, told, job.id)
            for child in children:
                one = await self._get(http, f"/jobs/{segment(child)}", "/jobs/{id}", accept=_FOUND)
                if one.status == 404:
                    break
                companions |= {f"job:{child}": one.body}
                companions |= await self._circuit(http, ionq_results.job_of(one.body), child)
        now, about = seen_at(job, EPOCH), {"id": job.id}
        return Raw(stream=Stream.JOBS, kind="result", body=answer.body, fetched_at=now, about=about, companions=companions)

    async def _circuit(self, http: Http, told: Mapping[str, Any], job_id: str) -> dict[str, bytes]:
        """The compiled circuit of one job and its probabilities, empty where they are gone or were never there."""
        artifact = ionq_results.compiled(told)
        if artifact is None or ionq_results.reason_not_to_read(told) is not None:
            return {}
        path, found = f"/jobs/{segment(job_id)}", dict[str, bytes]()
        circuit = await self._get(
            http, f"{path}/artifacts/{segment(artifact[0])}", "/jobs/{id}/artifacts/{artifact}", accept=_FOUND
        )
        results = await self._get(http, f"{path}/results/probabilities", "/jobs/{id}/results/probabilities", accept=_FOUND)
        for name, answer in (("circuit", circuit), ("probabilities", results)):
            found |= {f"{name}:{job_id}": answer.body} if answer.status == 200 else {}
        return found

    def execution(self, raw: Raw, job: Job) -> Execution:
        """Compiled circuits and probabilities of a job.

        Raises:
            BadPayload: an answer is not what the API promises.
        """
        return ionq_results.read_execution(raw, job)

    # -------------------------------------------------------------------------------------------- normalize

    def normalize(self, raw: Raw) -> Batch:
        """Translate one answer: pure, total over states, one bad record never costs its page.

        Raises:
            BadPayload: the answer as a whole is not what the contract says.
        """
        if raw.kind == "job_missing":
            return Batch(missing=(raw.about["id"],))
        if raw.kind in ("jobs", "job"):
            reading = Reading(source=self._name, account=self.account, now=raw.fetched_at, with_cost=self._with_cost)
            return jobs_batch(raw, reading, old=self._version == "v0.3")
        if raw.kind == "backends":
            return backends_batch(raw, self._name, self.account, self._queue_unit)
        return characterizations_batch(raw, self._name, self.account)


def _cursor(envelope: Mapping[str, Any], seen: set[str]) -> str | None:
    """The next page's cursor, None on the last page (null or absent); remembers it in ``seen``."""
    cursor = envelope.get("next")
    if cursor is None or cursor == "":
        return None
    if not isinstance(cursor, str):
        raise BadPayload("jobs: next: expected a string or null")
    if cursor in seen:
        raise BadPayload("jobs: the service repeats a page cursor")
    seen.add(cursor)
    return cursor


def _job_page(kind: str, answer: Answer, ask: Ask, *, about: Mapping[str, str] | None = None, last: bool = False) -> Raw:
    return Raw(stream=Stream.JOBS, kind=kind, body=answer.body, fetched_at=ask.now, about=about or {}, last=last)


def _wholly_before(page: Records, since: datetime | None) -> bool:
    """True if every time on the page lies before ``since``.

    A page that cannot be read in full is no reason to stop, nor is one that does not go from new to old: a service that
    ignored the order would begin with its oldest jobs, and stopping there would lose the new ones.
    """
    if since is None or page.bad or not page.records:
        return False
    latest = [latest_at(row) for row in page.records]
    submitted = [submitted_at(row) for row in page.records]
    falling = all(newer is not None and older is not None and newer >= older for newer, older in pairwise(submitted))
    return falling and all(at is not None and at < since for at in latest)


def _processor(row: Mapping[str, Any]) -> str | None:
    """Name of a backend that may have a characterization."""
    name = row.get("backend")
    return name if isinstance(name, str) and name and not is_simulator(name) and row.get("status") != "retired" else None


def _pages_left(body: Mapping[str, Any]) -> bool:
    pages = body.get("pages")
    return isinstance(pages, int) and pages > 0 and bool(body.get("characterizations"))


OPTIONS = (
    Option("url", "Base URL of the API, without a version", default="https://api.ionq.co"),
    Option("api_version", "Version of the API", default="v0.4", choices=("v0.4", "v0.3")),
    Option(
        "queue_time_unit", "Unit of average_queue_time, which IonQ's specification leaves open", default="ms", choices=("ms", "s")
    ),
    Option("page_size", "Jobs per page; the service gives at most 25", kind=int, default=25),
    Option("cost", "Ask for the cost of each completed job (v0.4: one request each)", kind=bool, default=True),
    Option("account", "Identity of the account in every job's key; the source's name if not given"),
)

SOURCE_TYPE = SourceType(
    type="ionq",
    title="IonQ Quantum Cloud",
    build=IonQ,
    hosts=("api.ionq.co",),
    options=OPTIONS,
    credentials=(frozenset({"api_key"}),),
    retried=frozenset({409}),
    poll_seconds={Stream.JOBS: 60.0, Stream.STATUS: 60.0, Stream.CALIBRATIONS: 3600.0},
)
