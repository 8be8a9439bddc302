"""IBM Quantum Platform (Qiskit Runtime REST API): jobs, backends, calibrations and usage of one service instance.

* One instance (CRN) is one account; a site with several configures one source for each.
* The API version is pinned by header: without it the service answers in the form of 2024.
* Jobs are listed by *creation* time: all pending ones, then the finished ones created since the watermark. A job that
  finishes long after its creation is found because the engine asks for every unsettled job by its id.
* The API key is exchanged for an access token at IAM. The key itself is never sent to the data API, although IBM would
  accept it: that would hide an outage of IAM.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from qobs.clock import SystemClock
from qobs.errors import BadPayload, ConfigError, Finding, Refused, SourceError, Unavailable
from qobs.model import EPOCH, Ask, Batch, Job, Raw, Reason, Stream
from qobs.result import Execution
from qobs.secret import Secret
from qobs.sources.base import Answer, Http, Option, Settings, SourceType
from qobs.sources.decode import BadRecord, convert_record, decode_object, decode_records
from qobs.sources.http import segment
from qobs.sources.quantum import ibm_backends, ibm_calibration, ibm_jobs, ibm_results
from qobs.sources.quantum.results import seen_at
from qobs.sources.token import Token, TokenCache, with_token_retry

API_VERSION = "2026-04-15"
IAM_URL = "https://iam.cloud.ibm.com"
PAGE_SIZE = 200
MAX_PAGES = 10_000
"""Pages of one listing; a service that never comes to an end is given up."""
TOGETHER = 4
"""Jobs asked for by id at a time."""

Params = tuple[tuple[str, str], ...]

_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
_FOUND = frozenset({200})
_OR_MISSING = frozenset({200, 404})
_OR_NOTHING = frozenset({200, 204, 404})
_REGION = 5
_ACCOUNT = 6
_GUID = 7


class _Exchange(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int
    expiration: int


class _PollTime(SystemClock):
    """The engine's time, as far as a source is told it: the moment of its latest poll."""

    def __init__(self) -> None:
        self._now = EPOCH

    def told(self, now: datetime) -> None:
        """Move to ``now``; never backwards, so that a wall clock that is set back renews no token twice."""
        self._now = max(self._now, now)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - EPOCH).total_seconds()


class IbmSource:
    """One service instance. Keeps an access token and, per backend, the configuration body it has read."""

    provider = ibm_jobs.PROVIDER
    streams = frozenset({Stream.JOBS, Stream.STATUS, Stream.CALIBRATIONS, Stream.QUOTAS})

    def __init__(self, settings: Settings) -> None:
        """Read the settings.

        Raises:
            ConfigError: ``instance`` is not a CRN, or ``page_size`` is not positive.
        """
        options = settings.options
        crn = _crn(settings)
        self.account = f"{crn[_ACCOUNT]}:{crn[_GUID]}"
        self._owner = ibm_jobs.Owner(settings.name, self.account)
        self._api_key = settings.credentials["api_key"]
        self._url = str(options.get("url") or api_url(crn[_REGION])).rstrip("/")
        self._iam_url = str(options.get("iam_url") or IAM_URL).rstrip("/")
        self._page_size = _page_size(settings)
        self._headers = {
            "Service-CRN": str(options["instance"]).strip(),
            "IBM-API-Version": str(options.get("api_version") or API_VERSION),
            "Accept": "application/json",
        }
        self._time = _PollTime()
        self._http: Http | None = None
        self._tokens = TokenCache(self._exchange, self._time)
        self._configurations: dict[str, bytes | None] = {}

    def fetch(self, http: Http, ask: Ask) -> AsyncGenerator[Raw, None]:
        """Yield the answers to ``ask``.

        Raises:
            SourceError: IBM could not be read. One backend without readable properties is told at the end, after
                those of the others.
        """
        self._time.told(ask.now)
        self._http = http
        match ask.stream:
            case Stream.JOBS:
                return self._jobs_by_id(http, ask) if ask.ids else self._jobs(http, ask)
            case Stream.STATUS:
                return self._one(http, ask, "/backends", "backends", (("fields", "wait_time_seconds"),))
            case Stream.CALIBRATIONS:
                return self._calibrations(http, ask)
            case Stream.QUOTAS:
                return self._one(http, ask, "/instances/usage", "usage", ())

    def normalize(self, raw: Raw) -> Batch:
        """Translate one answer.

        Raises:
            BadPayload: the answer as a whole is not what the API promises.
        """
        match raw.kind:
            case "jobs":
                return ibm_jobs.jobs_page(raw, self._owner)
            case "job":
                return ibm_jobs.one_job(raw, self._owner)
            case "missing":
                return Batch(missing=(raw.about["id"],))
            case "backends":
                return ibm_backends.backends(raw, self._owner)
            case "properties":
                return ibm_calibration.calibration(raw, self._owner)
            case "usage":
                return ibm_backends.usage(raw, self._owner)
        raise ValueError(f"kind must be one of the answers that fetch yields, but kind={raw.kind!r}")

    async def fetch_result(self, http: Http, job: Job) -> Raw:
        """The job, and where it may be read (:func:`ibm_results.reason_not_to_read`) its parameters and its results.

        Raises:
            SourceError: IBM could not be read; ``not_found`` where it no longer knows the job.
        """
        self._http = http
        path = f"/jobs/{segment(job.id)}"
        told = await self._get(http, path, "/jobs/{id}", (("exclude_params", "true"),))
        companions: dict[str, bytes] = {}
        if ibm_results.reason_not_to_read(told.body) is None:
            asked = await self._get(http, path, "/jobs/{id}", (("exclude_params", "false"),))
            results = await self._get(http, f"{path}/results", "/jobs/{id}/results", (), _OR_NOTHING)
            companions = {
                ibm_results.PARAMETERS: asked.body,
                ibm_results.RESULTS: results.body if results.status == 200 else b"",
            }
        now, about = seen_at(job, self._time.now()), {"id": job.id}
        return Raw(stream=Stream.JOBS, kind="result", body=told.body, fetched_at=now, about=about, companions=companions)

    def execution(self, raw: Raw, job: Job) -> Execution:
        """Circuits and counts of a sampler job.

        Raises:
            BadPayload: an answer is not what the API promises.
        """
        return ibm_results.read_execution(raw, job)

    # --- requests ---------------------------------------------------------------------------------------------

    async def _get(
        self,
        http: Http,
        path: str,
        endpoint: str,
        params: Params = (),
        accept: frozenset[int] = _FOUND,
    ) -> Answer:
        async def call(token: Token) -> Answer:
            headers = self._headers | {"Authorization": f"Bearer {token.value.reveal()}"}
            return await http.get(self._url + path, endpoint=endpoint, headers=headers, params=params, accept=accept)

        return await with_token_retry(self._tokens, call)

    async def _exchange(self) -> Token:
        """One exchange of the API key; IAM answers 400, not 401, to a key that it does not know."""
        if self._http is None:
            raise ValueError("a token is only asked for within a poll")
        answer = await self._http.post_form(
            f"{self._iam_url}/identity/token",
            endpoint="/identity/token",
            form={"grant_type": _GRANT, "apikey": self._api_key().reveal(), "response_type": "cloud_iam"},
            headers={"Accept": "application/json"},
            accept=frozenset({200, 400}),
        )
        if answer.status != 200:
            raise Refused("IAM does not accept the API key", reason=Reason.AUTH)
        try:
            told = convert_record(decode_object(answer.body, what="iam /identity/token"), _Exchange)
            expires_at = datetime.fromtimestamp(told.expiration, UTC)
            issued_at = datetime.fromtimestamp(told.expiration - told.expires_in, UTC)
        except (BadRecord, OverflowError, OSError, ValueError) as error:
            raise BadPayload(f"iam /identity/token: {error if isinstance(error, BadRecord) else 'expiration'}") from None
        return Token(Secret(told.access_token), issued_at, expires_at)

    # --- streams ----------------------------------------------------------------------------------------------

    async def _one(self, http: Http, ask: Ask, path: str, kind: str, params: Params) -> AsyncGenerator[Raw, None]:
        answer = await self._get(http, path, path, params)
        yield Raw(stream=ask.stream, kind=kind, body=answer.body, fetched_at=ask.now, last=True)

    async def _jobs(self, http: Http, ask: Ask) -> AsyncGenerator[Raw, None]:
        """Pending jobs first: one that finishes meanwhile is then in the second listing, and none falls in between."""
        async with aclosing(self._pages(http, (("pending", "true"),), stable=False)) as pages:
            async for body, _ in pages:
                yield Raw(stream=ask.stream, kind="jobs", body=body, fetched_at=ask.now)
        finished: Params = (("pending", "false"),)
        if ask.since is not None:
            finished += (("created_after", _iso(ask.since)),)
        async with aclosing(self._pages(http, finished, stable=True)) as pages:
            async for body, last in pages:
                yield Raw(stream=ask.stream, kind="jobs", body=body, fetched_at=ask.now, last=last)

    async def _pages(self, http: Http, query: Params, *, stable: bool) -> AsyncGenerator[tuple[bytes, bool], None]:
        """Pages of a listing, newest job first, each with whether it is the last.

        The list shifts when jobs arrive, which only repeats some. Where finished jobs are deleted while it is read
        (``stable``), some could be skipped: then it is given up, and the next poll reads it again.
        """
        offset, seen, count = 0, set[str](), -1
        for _ in range(MAX_PAGES):
            window = (("limit", str(self._page_size)), ("offset", str(offset)), ("sort", "DESC"), ("exclude_params", "true"))
            answer = await self._get(http, "/jobs", "/jobs", query + window)
            page = decode_records(answer.body, path=("jobs",), what="ibm /jobs")
            total = page.envelope.get("count")
            if stable and isinstance(total, int) and total < count:
                raise BadPayload("ibm /jobs: the list shrank while it was read")
            count = total if isinstance(total, int) else count
            new = {str(record.get("id")) for record in page.records} - seen
            seen |= new
            offset += min(len(page.records) + len(page.bad), self._page_size)
            last = not (new or page.bad) or (isinstance(total, int) and offset >= total)
            yield answer.body, last
            if last:
                return
        raise BadPayload(f"ibm /jobs: more than {MAX_PAGES} pages in one listing")

    async def _jobs_by_id(self, http: Http, ask: Ask) -> AsyncGenerator[Raw, None]:
        """Each job with its metrics, a few at a time; one that fails is told after the others of its group."""
        for start in range(0, len(ask.ids), TOGETHER):
            group = ask.ids[start : start + TOGETHER]
            answers = await asyncio.gather(*(self._job(http, ask, job_id) for job_id in group), return_exceptions=True)
            for answer in answers:
                if not isinstance(answer, BaseException):
                    yield answer
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer

    async def _job(self, http: Http, ask: Ask, job_id: str) -> Raw:
        path = f"/jobs/{segment(job_id)}"
        job = await self._get(http, path, "/jobs/{id}", (("exclude_params", "true"),), _OR_MISSING)
        about: Mapping[str, str] = {"id": job_id}
        if job.status == 404:
            return Raw(stream=ask.stream, kind="missing", body=job.body, fetched_at=ask.now, about=about)
        metrics = await self._get(http, f"{path}/metrics", "/jobs/{id}/metrics", (), _OR_MISSING)
        found = metrics.status == 200
        return Raw(
            stream=ask.stream,
            kind="job",
            body=job.body,
            fetched_at=ask.now,
            about=about if found else {**about, ibm_jobs.NO_METRICS: "yes"},
            companions={"metrics": metrics.body} if found else {},
        )

    async def _calibrations(self, http: Http, ask: Ask) -> AsyncGenerator[Raw, None]:
        """Properties of every backend that is not a simulator; a list with none is itself the answer."""
        listing = await self._get(http, "/backends", "/backends")
        names = ibm_backends.calibrated_names(listing.body)
        failed: SourceError | None = None
        found: Raw | None = None
        for name in names:
            try:
                raw = await self._properties(http, ask, name)
            except (Unavailable, BadPayload) as error:
                failed = failed or error
                continue
            if found is not None and raw is not None:
                yield found
            found = raw or found
        if failed is not None:
            if found is not None:
                yield found
            raise failed
        if found is None:
            found = Raw(stream=ask.stream, kind="backends", body=listing.body, fetched_at=ask.now)
        yield msgspec.structs.replace(found, last=True)

    async def _properties(self, http: Http, ask: Ask, name: str) -> Raw | None:
        path = f"/backends/{segment(name)}"
        answer = await self._get(http, f"{path}/properties", "/backends/{name}/properties", (), _OR_MISSING)
        if answer.status == 404:
            return None
        configuration = await self._configuration(http, name, path)
        companions = {} if configuration is None else {"configuration": configuration}
        return Raw(
            stream=ask.stream,
            kind="properties",
            body=answer.body,
            fetched_at=ask.now,
            about={"backend": name},
            companions=companions,
        )

    async def _configuration(self, http: Http, name: str, path: str) -> bytes | None:
        """The configuration, read once per backend and process: only its couplings are used, and they do not change."""
        if name not in self._configurations:
            answer = await self._get(http, f"{path}/configuration", "/backends/{name}/configuration", (), _OR_MISSING)
            self._configurations[name] = answer.body if answer.status == 200 else None
        return self._configurations[name]


def api_url(region: str) -> str:
    """Base URL of the API in a region; ``us-east`` is the one without a name in its host.

    Example:
        >>> api_url("us-east"), api_url("eu-de")
        ('https://quantum.cloud.ibm.com/api/v1', 'https://eu-de.quantum.cloud.ibm.com/api/v1')
    """
    host = "quantum.cloud.ibm.com" if region == "us-east" else f"{region}.quantum.cloud.ibm.com"
    return f"https://{host}/api/v1"


def _crn(settings: Settings) -> list[str]:
    text = str(settings.options["instance"]).strip()
    parts = text.split(":")
    if len(parts) < _GUID + 1 or parts[0] != "crn" or not all((parts[_REGION], parts[_ACCOUNT], parts[_GUID])):
        hint = "expected crn:v1:bluemix:public:quantum-computing:<region>:a/<account>:<instance>::"
        raise ConfigError((Finding("", f"sources.{settings.name}.instance", f"{text[:100]!r} is not a CRN", hint),))
    return parts


def _page_size(settings: Settings) -> int:
    size = settings.options.get("page_size") or PAGE_SIZE
    if not 1 <= int(size) <= PAGE_SIZE:
        raise ConfigError((Finding("", f"sources.{settings.name}.page_size", str(size), f"expected 1 to {PAGE_SIZE}"),))
    return int(size)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _build(settings: Settings) -> IbmSource:
    return IbmSource(settings)


SOURCE_TYPE = SourceType(
    type="ibm",
    title="IBM Quantum Platform",
    build=_build,
    hosts=("quantum.cloud.ibm.com", "*.quantum.cloud.ibm.com", "iam.cloud.ibm.com"),
    options=(
        Option("instance", "CRN of the service instance; one source per instance", required=True),
        Option("url", "Base URL of the API up to and including /api/v1; default: from the region in the CRN"),
        Option("iam_url", "Host that exchanges the API key, without /identity/token", default=IAM_URL),
        Option("api_version", "IBM-API-Version header", default=API_VERSION),
        Option("page_size", f"Jobs per page, 1 to {PAGE_SIZE}", kind=int, default=PAGE_SIZE),
    ),
    credentials=(frozenset({"api_key"}),),
    poll_seconds={Stream.JOBS: 30.0, Stream.STATUS: 60.0, Stream.CALIBRATIONS: 600.0, Stream.QUOTAS: 900.0},
)
"""What configuration, checks and docs know about this source."""
