"""Azure Quantum: the jobs, targets and allowances of one workspace, over the REST data plane (preview versions only exist).

* Jobs are listed newest first and read until a page lies wholly before the watermark; jobs that were open then are asked
  for again by id. The listing's own ``CreationTime`` filter knows days only, so it is not used.
* ``nextLink`` is absolute and offset based: it is followed only on the configured host and path, with our own API
  version, and a row that shifts onto the next page is one row.
* There is no calibration in this API, so there is no such stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from qobs.clock import Clock, SystemClock
from qobs.errors import BadPayload
from qobs.model import EPOCH, Ask, Batch, Job, Raw, Stream
from qobs.result import Execution
from qobs.sources.base import Answer, Http, Option, Settings, SourceType
from qobs.sources.decode import decode_records
from qobs.sources.http import segment
from qobs.sources.quantum import azure_results
from qobs.sources.quantum.azure_auth import ApiKey, Application, Authorization
from qobs.sources.quantum.azure_batch import jobs_batch, quota_batch, status_batch
from qobs.sources.quantum.azure_errors import HANDLED, is_about_one_job, refusal
from qobs.sources.quantum.azure_wire import instant
from qobs.sources.quantum.results import seen_at

API_VERSION = "2025-12-01-preview"
LOGIN = "https://login.microsoftonline.com"
MOST_PAGES = 10_000
_BLOB_ANSWERS = frozenset({200, 403, 404})

Params = Sequence[tuple[str, str]]


class Azure:
    """One workspace."""

    provider = "azure"
    streams = frozenset({Stream.JOBS, Stream.STATUS, Stream.QUOTAS})

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """``clock`` measures the life of tokens; None: the machine's."""
        options = settings.options
        self._name = settings.name
        self._base = str(options.get("url") or f"https://{options['location']}.quantum.azure.com").rstrip("/")
        self._workspace = (
            f"/subscriptions/{segment(options['subscription_id'])}/resourceGroups/{segment(options['resource_group'])}"
            f"/providers/Microsoft.Quantum/workspaces/{segment(options['workspace'])}"
        )
        self._version = str(options.get("api_version") or API_VERSION)
        self._page_size = int(options.get("page_size") or 100)
        self._account = f"{options['subscription_id']}/{options['workspace']}"
        authority = str(options.get("authority") or LOGIN)
        self._authorization = _authorization(settings, authority, clock or SystemClock())

    @property
    def account(self) -> str:
        """Subscription and workspace."""
        return self._account

    async def fetch(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        """See :meth:`qobs.sources.base.Source.fetch`."""
        if ask.ids:
            pages = self._jobs_by_id(http, ask)
        elif ask.stream is Stream.JOBS:
            order = [("orderby", "CreationTime desc"), ("top", str(self._page_size)), ("skip", "0")]
            pages = self._pages(http, ask, "/jobs", order)
        elif ask.stream is Stream.STATUS:
            pages = self._pages(http, ask, "/providerStatus", [])
        elif ask.stream is Stream.QUOTAS:
            pages = self._pages(http, ask, "/quotas", [])
        else:
            raise ValueError(f"stream must be one of {sorted(self.streams)}, but stream={ask.stream}")
        async for raw in pages:
            yield raw

    def normalize(self, raw: Raw) -> Batch:
        """See :meth:`qobs.sources.base.Source.normalize`."""
        if raw.kind == "missing":
            return Batch(missing=(raw.about["id"],))
        return _READERS[raw.kind](raw, self._name, self._account)

    async def fetch_result(self, http: Http, job: Job) -> Raw:
        """The job, and where its formats are read, what lies in its storage: by the job's own signed links, without our key.

        Raises:
            SourceError: the workspace or its storage could not be read; ``not_found`` where the job is unknown.
        """
        answer = await self._get(http, f"{self._base}{self._workspace}/jobs/{segment(job.id)}", "W/jobs/{id}", [])
        if answer.status != 200:
            raise refusal(answer, what="/jobs/{id}")
        told, about, blobs = azure_results.job_of(answer.body), {"id": job.id}, dict[str, bytes]()
        if azure_results.reason_not_to_read(told) is None:
            signed = azure_results.links(told, self._base)
            if signed is None:
                about["missing"] = "the job carries no signed links to its storage"
            else:
                blobs = await self._blob(http, signed.circuit, azure_results.INPUT)
                blobs |= await self._blob(http, signed.results, azure_results.OUTPUT) if blobs else {}
        now = seen_at(job, EPOCH)
        return Raw(stream=Stream.JOBS, kind="result", body=answer.body, fetched_at=now, about=about, companions=blobs)

    async def _blob(self, http: Http, link: str, name: str) -> dict[str, bytes]:
        """What lies behind a signed link, by ``name``; empty where it is gone. The link itself is in no message."""
        answer = await http.get(link, endpoint=f"blob {name}", accept=_BLOB_ANSWERS)
        if answer.status == 403:
            raise refusal(answer, what=f"blob {name}")
        return {name: answer.body} if answer.status == 200 else {}

    def execution(self, raw: Raw, job: Job) -> Execution:
        """Circuit and results of a job, where their formats are documented.

        Raises:
            BadPayload: an answer is not what its format promises.
        """
        return azure_results.read_execution(raw, job)

    async def _pages(self, http: Http, ask: Ask, path: str, params: Params) -> AsyncIterator[Raw]:
        """Every page of a listing; for jobs, down to the first page that lies wholly before ``ask.since``."""
        url = self._base + self._workspace + path
        followed: set[tuple[tuple[str, str], ...]] = set()
        while True:
            answer = await self._get(http, url, f"W{path}", params)
            if answer.status != 200:
                raise refusal(answer, what=path)
            link, created = peek(answer.body, what=path)
            last = link is None or (ask.stream is Stream.JOBS and wholly_before(created, ask.since))
            yield Raw(stream=ask.stream, kind=path.strip("/"), body=answer.body, fetched_at=ask.now, last=last)
            if last or link is None:
                return
            params = self._follow(link, url)
            if tuple(params) in followed or len(followed) >= MOST_PAGES:
                raise BadPayload(f"{path}: nextLink leads in a circle, or over {MOST_PAGES} pages")
            followed.add(tuple(params))

    async def _jobs_by_id(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        for job_id in ask.ids:
            url = f"{self._base}{self._workspace}/jobs/{segment(job_id)}"
            answer = await self._get(http, url, "W/jobs/{id}", [])
            if answer.status == 404 and is_about_one_job(answer):
                yield Raw(stream=ask.stream, kind="missing", body=b"", fetched_at=ask.now, about={"id": job_id})
            elif answer.status != 200:
                raise refusal(answer, what="/jobs/{id}")
            else:
                yield Raw(stream=ask.stream, kind="job", body=answer.body, fetched_at=ask.now, about={"id": job_id})

    async def _get(self, http: Http, url: str, endpoint: str, params: Params) -> Answer:
        query = [("api-version", self._version), *params]

        async def request(headers: Mapping[str, str]) -> Answer:
            answer = await http.get(url, endpoint=endpoint, headers=headers, params=query, accept=HANDLED)
            if answer.status == 401:
                raise refusal(answer, what=endpoint)
            return answer

        return await self._authorization.call(http, request)

    def _follow(self, link: str, url: str) -> Params:
        """The query of a next link, less its API version.

        Raises:
            BadPayload: the link leaves the listing it came from: another scheme, host, port or path, or with a user.
        """
        if place(link) is None or place(link) != place(url):
            raise BadPayload("nextLink leads to another place than the listing it came from; it was not followed")
        query = parse_qsl(urlsplit(link).query, keep_blank_values=True)
        return [(name, value) for name, value in query if name.lower() != "api-version"]


class _Row(msgspec.Struct, rename="camel"):
    creation_time: Any = None


class _Page(msgspec.Struct, rename="camel"):
    value: list[_Row]
    next_link: str | None = None


def peek(body: bytes, *, what: str) -> tuple[str | None, list[datetime | None]]:
    """Next link and creation times of a page, as far as it can be read at all.

    Raises:
        BadPayload: the page is not JSON, has no ``value``, or its link is no text.
    """
    try:
        page = msgspec.json.decode(body, type=_Page)
        link: Any = page.next_link
        texts = [row.creation_time for row in page.value]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Something in it is odd. The tolerant reading decides whether it is a record or the page.
        records = decode_records(body, path=("value",), what=what)
        link = records.envelope.get("nextLink")
        texts = [record.get("creationTime") for record in records.records] + [None] * len(records.bad)
    if link is not None and not isinstance(link, str):
        raise BadPayload(f"{what}: nextLink must be text or null")
    return link or None, [_time_or_none(text) for text in texts]


def _time_or_none(text: object) -> datetime | None:
    try:
        return instant(text) if isinstance(text, str) else None
    except ValueError:
        return None


def wholly_before(created: Sequence[datetime | None], since: datetime | None) -> bool:
    """Whether every row is older than ``since`` and the page really goes from new to old.

    A service that ignored the ordering would begin with its oldest jobs: stopping there would lose all new ones.
    """
    times = [at for at in created if at is not None]
    if since is None or not created or len(times) != len(created):
        return False
    falling = all(newer >= older for newer, older in pairwise(times))
    return falling and times[0] < since


def place(url: str) -> tuple[str, str, int | None, str] | None:
    """Scheme, host, port and path of a URL, in one spelling; None for one with a user, or that is no URL.

    Example:
        >>> place("https://EastUS.quantum.azure.com:443/a?x=1") == place("https://eastus.quantum.azure.com/a")
        True
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.password is not None or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or {"https": 443, "http": 80}.get(parts.scheme), parts.path.lower()


def _authorization(settings: Settings, authority: str, clock: Clock) -> Authorization:
    if "api_key" in settings.credentials:
        return ApiKey(settings.credentials["api_key"])
    return Application(settings.credentials, authority, clock)


_READERS: Mapping[str, Callable[[Raw, str, str], Batch]] = {
    "jobs": jobs_batch,
    "job": jobs_batch,
    "providerStatus": status_batch,
    "quotas": quota_batch,
}

SOURCE_TYPE = SourceType(
    type="azure",
    title="Azure Quantum workspace",
    build=Azure,
    hosts=(
        "*.quantum.azure.com",
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
        *azure_results.STORAGE_HOSTS,
    ),
    options=(
        Option("subscription_id", "Azure subscription of the workspace", required=True),
        Option("resource_group", "resource group of the workspace", required=True),
        Option("workspace", "name of the workspace", required=True),
        Option("location", "region of the workspace, e.g. eastus", required=True),
        Option("url", "data plane of the workspace; default https://{location}.quantum.azure.com (V2: {location}-v2)"),
        Option("api_version", "version of the data plane that is asked for", default=API_VERSION),
        Option("authority", "sign-in service for tenant_id, client_id and client_secret", default=LOGIN),
        Option("page_size", "jobs per page, at most 100", kind=int, default=100),
    ),
    credentials=(frozenset({"api_key"}), frozenset({"tenant_id", "client_id", "client_secret"})),
    poll_seconds={Stream.JOBS: 30.0, Stream.STATUS: 60.0, Stream.QUOTAS: 600.0},
)
