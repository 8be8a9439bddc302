"""An emulated Azure Quantum workspace over HTTP, and the sign-in service that its bearer tokens come from.

What it sends is a pure function of a :class:`~qobs.lab.world.Cloud` plan and the lab clock; the only thing it remembers is
which tokens it gave out. It takes no submissions. Unlike the real service, one host plays all parts, storage too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from qobs.lab import azure_blobs as blobs
from qobs.lab import azure_wire as wire
from qobs.lab.azure_filter import BadFilter, parse_filter, parse_orderby
from qobs.lab.clock import LabClock
from qobs.lab.world import Cloud, LabBackend, LabJob

API_KEY = "lab-azure-key"
TENANT_ID = "7e0f2c51-0000-4000-8000-000000000001"
CLIENT_ID = "7e0f2c51-0000-4000-8000-000000000002"
CLIENT_SECRET = "lab-azure-client-secret"  # noqa: S105 (opens only this emulation)
SUBSCRIPTION_ID = "7e0f2c51-0000-4000-8000-000000000003"
RESOURCE_GROUP = "qobs-lab"
WORKSPACE = "lab-workspace"
LARGEST_PAGE = 100

_FAILURES = (
    (
        "InvalidInputData",
        "QVM reported a problem running your program: error when calling QVM: failed to perform multishot: "
        "Encountered the invalid instruction\n\n    a\n\nwhich could not be executed because the operator a is not known",
    ),
    ("PropertyNotSpecified", "The request does not contain a 'quotas' property."),
    ("InvalidInputError", "The input program could not be compiled for the target."),
    ("CannotTranslateOutputData", "The provider's output could not be translated to microsoft.quantum-results.v2."),
    ("RuntimeError", "The program ended with a runtime error after 12 of 500 shots."),
    ("quantinuum - 1001", "Job failed during compilation: too many measurements."),
)


def default_cloud(seed: int, begins_at: datetime) -> Cloud:
    """Targets of four providers that stand behind a workspace, with the failure codes that Azure reports for them."""
    return Cloud(
        name="azure",
        backends=(
            LabBackend("ionq.qpu.forte-1", 36, execution_seconds=80.0, jobs_per_hour=8.0),
            LabBackend("ionq.simulator", 29, simulator=True, execution_seconds=2.0, jobs_per_hour=6.0, failure_ratio=0.01),
            LabBackend("quantinuum.qpu.h2-2", 56, execution_seconds=240.0, jobs_per_hour=4.0),
            LabBackend("quantinuum.sim.h2-1e", 32, simulator=True, execution_seconds=30.0, jobs_per_hour=6.0),
            LabBackend("rigetti.qpu.cepheus-1-36q", 36, execution_seconds=6.0, jobs_per_hour=20.0),
            LabBackend("rigetti.sim.qvm", 30, simulator=True, execution_seconds=1.0, jobs_per_hour=6.0, failure_ratio=0.01),
            LabBackend("pasqal.qpu.fresnel", 100, execution_seconds=600.0, jobs_per_hour=1.0),
        ),
        seed=seed,
        begins_at=begins_at,
        failures=_FAILURES,
    )


@dataclass
class Tokens:
    """Bearer tokens that were given out, each with the time it ends. Tests revoke them."""

    _ends_at: dict[str, datetime] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def issued(self) -> int:
        """How many tokens were given out and not revoked."""
        return len(self._ends_at)

    def issue(self, ends_at: datetime) -> str:
        """A new token."""
        token = f"lab-azure-token-{next(self._numbers)}"
        self._ends_at[token] = ends_at
        return token

    def valid(self, token: str, now: datetime) -> bool:
        """True until the token ends or is revoked."""
        return token in self._ends_at and now < self._ends_at[token]

    def revoke(self) -> None:
        """Make every token given out so far worthless at once."""
        self._ends_at.clear()


TOKENS = web.AppKey("qobs.lab.azure.tokens", Tokens)
"""Where an application keeps its :class:`Tokens`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who is let in, and the names of what they see."""

    api_key: str = API_KEY
    tenant_id: str = TENANT_ID
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    subscription_id: str = SUBSCRIPTION_ID
    resource_group: str = RESOURCE_GROUP
    workspace: str = WORKSPACE

    @property
    def path(self) -> str:
        """Path of the workspace, without a trailing slash."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.Quantum/workspaces/{self.workspace}"
        )


def application(
    cloud: Cloud,
    clock: LabClock,
    *,
    api_key: str = API_KEY,
    account: Account | None = None,
    kind: str = "V1",
    token_seconds: float = 3599.0,
    availability: Mapping[str, str] | None = None,
) -> web.Application:
    """The emulated service, to be served at the root of a host.

    Args:
        cloud: What happens.
        clock: When it is; also the ``Date`` header.
        api_key: The access key that is let in; ``account`` overrides it.
        account: Names and credentials, where the defaults of this module do not do.
        kind: ``V1`` or ``V2``: which status words the workspace uses.
        token_seconds: Life of a bearer token, in lab time.
        availability: Available, Degraded or Unavailable by target, read at every request; Available for those not named.
    """
    known = account if account is not None else Account(api_key=api_key)
    tokens = Tokens()
    service = _Service(cloud, clock, known, tokens, kind, token_seconds, availability if availability is not None else {})
    app = web.Application(middlewares=[_middleware(service)])
    app[TOKENS] = tokens
    app.router.add_post("/{tenant}/oauth2/v2.0/token", service.token)
    for path, handler in service.routes().items():
        app.router.add_get(
            "/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.Quantum/workspaces/{ws}" + path, handler
        )
    app.router.add_get("/job-{id}/{blob}", service.blob)
    return app


class _ApiError(Exception):
    """An answer in Azure's error form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message}}


class _Unauthorized(Exception):
    """The answer without a body that a wrong key or token gets."""


def _middleware(service: _Service) -> Middleware:
    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except _Unauthorized:
            response = web.Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        except _ApiError as error:
            response = _json(error.body, status=error.status)
        except BadFilter as error:
            response = _json(_ApiError(400, "InvalidQueryParameter", str(error)).body, status=400)
        except web.HTTPNotFound:
            response = _json(_ApiError(404, "ResourceNotFound", "The requested route does not exist.").body, status=404)
        response.headers["Date"] = format_datetime(service.clock.now().astimezone(UTC), usegmt=True)
        return response

    return answer


def _json(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", charset="utf-8")


class _Service:
    """The handlers, with what they read."""

    def __init__(
        self,
        cloud: Cloud,
        clock: LabClock,
        account: Account,
        tokens: Tokens,
        kind: str,
        token_seconds: float,
        availability: Mapping[str, str],
    ) -> None:
        self.cloud, self.clock, self.account = cloud, clock, account
        self._tokens, self._life, self._availability = tokens, timedelta(seconds=token_seconds), availability
        self._words = wire.WORDS[kind]

    def routes(self) -> Mapping[str, Handler]:
        """Handlers by path below the workspace, each behind the credential check."""
        below: Mapping[str, Handler] = {
            "/jobs": self.jobs,
            "/jobs/{id}": self.job,
            "/sessions": self.sessions,
            "/sessions/{id}": self.session,
            "/sessions/{id}/jobs": self.session_jobs,
            "/topLevelItems": self.items,
            "/providerStatus": self.providers,
            "/quotas": self.quotas,
        }
        return {path: self._guarded(handler) for path, handler in below.items()}

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self._authorize(request)
            named = tuple(request.match_info[part] for part in ("sub", "group", "ws"))
            if named != (self.account.subscription_id, self.account.resource_group, self.account.workspace):
                raise _ApiError(404, "WorkspaceNotFound", "The workspace does not exist.")
            if not request.query.get("api-version"):
                raise _ApiError(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
            return await handler(request)

        return guarded

    def _authorize(self, request: web.Request) -> None:
        if request.headers.get("x-ms-quantum-api-key") == self.account.api_key:
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._tokens.valid(token, self.clock.now()):
            raise _Unauthorized

    # -------------------------------------------------------------------------------------------------- sign-in

    async def token(self, request: web.Request) -> web.Response:
        """The client-credentials grant."""
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return _grant_error("unsupported_grant_type", 70003, "The app requested an unsupported grant type.", 400)
        if request.match_info["tenant"] != self.account.tenant_id:
            return _grant_error("invalid_request", 90002, "Tenant not found.", 400)
        if form.get("scope") != "https://quantum.microsoft.com/.default":
            return _grant_error("invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid.", 400)
        if (form.get("client_id"), form.get("client_secret")) != (self.account.client_id, self.account.client_secret):
            return _grant_error("invalid_client", 7000215, "Invalid client secret provided.", 401)
        token = self._tokens.issue(self.clock.now() + self._life)
        seconds = int(self._life.total_seconds())
        return _json({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token})

    # ----------------------------------------------------------------------------------------------------- jobs

    async def jobs(self, request: web.Request) -> web.Response:
        """A page of jobs."""
        return self._page_of_jobs(request, self.cloud.jobs(self.clock.now()))

    async def job(self, request: web.Request) -> web.Response:
        """One job by id."""
        now = self.clock.now()
        job = self.cloud.job(request.match_info["id"], now)
        if job is None:
            raise _ApiError(404, "JobNotFound", "The job does not exist.")
        return _json(wire.job_body(job, now, self._words, _storage(request)))

    async def blob(self, request: web.Request) -> web.Response:
        """What a job read or wrote, by a signed link: no key and no token opens it."""
        now, job_id, name = self.clock.now(), request.match_info["id"], request.match_info["blob"]
        if request.query.get("sig") != wire.signature(job_id) or "Authorization" in request.headers:
            return _xml(403, "AuthenticationFailed", "Server failed to authenticate the request. Signature did not match.")
        job = self.cloud.job(job_id, now)
        backend = self.cloud.backend(job.backend) if job is not None else None
        state = job.state(now) if job is not None else None
        if job is None or backend is None or state is None:
            return _xml(404, "ContainerNotFound", "The specified container does not exist.")
        body = blobs.blob(job, name, state, self.cloud, backend)
        if body is None:
            return _xml(404, "BlobNotFound", "The specified blob does not exist.")
        return web.Response(body=body, content_type="application/octet-stream")

    def _page_of_jobs(self, request: web.Request, jobs: Sequence[LabJob]) -> web.Response:
        now = self.clock.now()
        key, newest_first = parse_orderby(request.query.get("orderby", ""))
        if key == "creationTime" and not request.query.get("filter"):
            # The plan is in this order already: render the page alone.
            ordered = list(reversed(jobs)) if newest_first else jobs
            begin, end = _window(request, len(ordered))
            rows = [wire.job_body(job, now, self._words, _storage(request)) for job in ordered[begin:end]]
            return _json({"value": rows, "nextLink": _next_link(request, end, end < len(ordered))})
        return _listing(request, [wire.job_body(job, now, self._words, _storage(request)) for job in jobs])

    # ------------------------------------------------------------------------------------------------- sessions

    def _sessions(self) -> dict[str, list[LabJob]]:
        grouped: dict[str, list[LabJob]] = {}
        for job in self.cloud.jobs(self.clock.now()):
            if job.batch is not None:
                grouped.setdefault(job.batch, []).append(job)
        return grouped

    def _session_bodies(self) -> list[dict[str, Any]]:
        now = self.clock.now()
        return [wire.session_body(name, jobs, now, self._words) for name, jobs in self._sessions().items()]

    async def sessions(self, request: web.Request) -> web.Response:
        """The sessions that the planned jobs name."""
        return _listing(request, self._session_bodies())

    async def session(self, request: web.Request) -> web.Response:
        """One session by id."""
        name = request.match_info["id"]
        return _json(wire.session_body(name, self._session(name), self.clock.now(), self._words))

    async def session_jobs(self, request: web.Request) -> web.Response:
        """The jobs of one session."""
        return self._page_of_jobs(request, self._session(request.match_info["id"]))

    def _session(self, name: str) -> list[LabJob]:
        jobs = self._sessions().get(name)
        if jobs is None:
            raise _ApiError(404, "SessionNotFound", "The session does not exist.")
        return jobs

    async def items(self, request: web.Request) -> web.Response:
        """Sessions, and the jobs that belong to none."""
        now = self.clock.now()
        alone = [wire.job_body(job, now, self._words, _storage(request)) for job in self.cloud.jobs(now) if job.batch is None]
        return _listing(request, alone + self._session_bodies())

    # ------------------------------------------------------------------------------------------ status, quotas

    async def providers(self, request: web.Request) -> web.Response:
        """Availability and queue time of every target."""
        return _json({"value": wire.provider_bodies(self.cloud, self.clock.now(), self._availability), "nextLink": None})

    async def quotas(self, request: web.Request) -> web.Response:
        """The allowances of the workspace."""
        return _json({"value": wire.quota_bodies(self.cloud, self.clock.now()), "nextLink": None})


def _storage(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _xml(status: int, code: str, message: str) -> web.Response:
    """An error in the storage service's form, with its byte order mark."""
    text = f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")


def _grant_error(error: str, code: int, message: str, status: int) -> web.Response:
    body = {"error": error, "error_description": f"AADSTS{code}: {message}", "error_codes": [code], "trace_id": "lab"}
    return _json(body, status=status)


def _listing(request: web.Request, rows: Sequence[dict[str, Any]]) -> web.Response:
    """A filtered, ordered page; equal keys keep the order of creation."""
    wanted = parse_filter(request.query.get("filter", ""))
    key, descending = parse_orderby(request.query.get("orderby", ""))
    chosen = sorted((row for row in rows if wanted(row)), key=lambda row: _sort_key(row, key), reverse=descending)
    begin, end = _window(request, len(chosen))
    return _json({"value": chosen[begin:end], "nextLink": _next_link(request, end, end < len(chosen))})


def _sort_key(row: Mapping[str, Any], key: str) -> tuple[str, datetime]:
    at = wire.instant(row["creationTime"])
    return ("" if key == "creationTime" else str(row.get(key) or ""), at)


def _window(request: web.Request, rows: int) -> tuple[int, int]:
    """First row of the page and the row after its last, both within ``rows``."""
    begin = min(_number(request, "skip", 0, least=0), rows)
    return begin, min(begin + min(_number(request, "top", LARGEST_PAGE, least=1), LARGEST_PAGE), rows)


def _number(request: web.Request, name: str, default: int, *, least: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise _ApiError(400, "InvalidQueryParameter", f"'{name}' must be a whole number of {least} or more.")
    return int(text)


def _next_link(request: web.Request, skip: int, more: bool) -> str | None:
    """The absolute address of the next page, in the order of parameters that was recorded."""
    if not more:
        return None
    kept = {name: request.query[name] for name in ("filter", "orderby") if request.query.get(name)}
    top = request.query.get("top", str(LARGEST_PAGE))
    query = {**kept, "top": top, "skip": str(skip), "api-version": request.query["api-version"]}
    return f"{request.scheme}://{request.host}{request.path}?{urlencode(query, quote_via=quote)}"
