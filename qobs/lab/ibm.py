"""An emulated IBM Quantum Platform over HTTP: IAM token exchange and the read side of the Qiskit Runtime API.

What it sends is a pure function of a :class:`~qobs.lab.world.Cloud` plan and the lab clock. It takes no submissions.
The unmodified qiskit-ibm-runtime client reads it (``tests/contract/ibm``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from qobs.lab import ibm_wire as wire
from qobs.lab.clock import LabClock
from qobs.lab.ibm_devices import Device, devices
from qobs.lab.world import Cloud, LabBackend, LabJob
from qobs.model import JobState

API_KEY = "lab-ibm-key"
INSTANCE = (
    "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef0123456789abcdef:4ab5c6d7-lab0-4ab0-8ab0-00000000c0de::"
)
"""The one service instance of the emulated account."""

VERSIONS = ("2024-01-01", "2025-01-01", "2025-05-01", "2026-02-15", "2026-03-15", "2026-04-15")
TOKEN_SECONDS = 3600
LIMIT = 200
WORKLOADS_LIMIT = 50
USAGE_LIMIT_SECONDS = 1_000_000

_FAILURES = (
    ("1305", "Job ran longer than its maximum execution time"),
    ("1002", "Error in the validation process of the job"),
    ("1003", "Error in transpilation of the circuit"),
    ("5204", "Internal error in the execution of the program"),
    ("9999", "Internal error"),
)


def default_cloud(seed: int, begins_at: datetime) -> Cloud:
    """Three Heron processors with real snapshots, and failures from user errors to internal ones."""
    day = timedelta(hours=24)
    return Cloud(
        name="ibm",
        backends=(
            LabBackend("ibm_fez", 156, execution_seconds=18.0, jobs_per_hour=14.0, calibration_every=day),
            LabBackend("ibm_kingston", 156, execution_seconds=14.0, jobs_per_hour=18.0, calibration_offset=timedelta(hours=7)),
            LabBackend("ibm_torino", 133, execution_seconds=22.0, jobs_per_hour=9.0, calibration_offset=timedelta(hours=15)),
        ),
        seed=seed,
        begins_at=begins_at,
        failures=_FAILURES,
        uuid_ids=False,
    )


def application(
    cloud: Cloud,
    clock: LabClock,
    *,
    api_key: str = API_KEY,
    instance: str = INSTANCE,
    token_seconds: int = TOKEN_SECONDS,
) -> web.Application:
    """The emulated service, to be served at the root of a host (IAM and Runtime API share it).

    Args:
        cloud: What happens.
        clock: When it is; also the ``Date`` header and the times in tokens.
        api_key: The one API key that IAM exchanges.
        instance: The one CRN whose jobs these are; another one gets 403.
        token_seconds: Life of an access token.
    """
    service = _Service(cloud, clock, _Iam(clock, api_key, token_seconds), instance, devices(cloud))
    app = web.Application(middlewares=[_middleware(service)])
    app.router.add_post("/identity/token", service.token)
    for path, handler in service.routes().items():
        app.router.add_get("/api/v1" + path, handler)
    return app


class _ApiError(Exception):
    """An answer in the service's error form."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class _Iam:
    """Issues and checks tokens without keeping any: the signature tells."""

    clock: LabClock
    api_key: str
    token_seconds: int

    def issue(self) -> dict[str, Any]:
        """The answer to a good API key: a JWT-shaped token that lives ``token_seconds`` of lab time."""
        issued = int(self.clock.now().timestamp())
        expires = issued + self.token_seconds
        claims = {"iam_id": "IBMid-0000000000", "iat": issued, "exp": expires, "scope": "ibm openid"}
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT', 'kid': 'lab'})}.{_part(claims)}"
        return {
            "access_token": f"{signed}.{self._signature(signed)}",
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": self.token_seconds,
            "expiration": expires,
            "scope": "ibm openid",
        }

    def check(self, authorization: str) -> None:
        """Let a request in; raises 401 for a token that is expired or not ours."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "apikey" and hmac.compare_digest(token, self.api_key):
            return
        signed, _, signature = token.rpartition(".")
        if scheme.lower() != "bearer" or not hmac.compare_digest(signature, self._signature(signed)):
            raise _ApiError(401, 1200, "Not authorized: the access token is not valid.")
        if _claims(signed)["exp"] <= self.clock.now().timestamp():
            raise _ApiError(401, 1201, "Not authorized: the access token has expired.")

    def _signature(self, signed: str) -> str:
        return _text(hmac.digest(self.api_key.encode(), signed.encode(), hashlib.sha256))


@dataclass(frozen=True)
class _Service:
    """The handlers. Each reads the clock once, so that one answer shows one moment."""

    cloud: Cloud
    clock: LabClock
    iam: _Iam
    instance: str
    devices: dict[str, Device]
    traces: itertools.count[int] = field(default_factory=itertools.count)

    def routes(self) -> dict[str, Handler]:
        """Handlers by path below ``/api/v1``."""
        return {
            "/versions": self.versions,
            "/backends": self.backends,
            "/backends/{name}/status": self.status,
            "/backends/{name}/configuration": self.configuration,
            "/backends/{name}/properties": self.properties,
            "/jobs": self.jobs,
            "/jobs/{id}": self.job,
            "/jobs/{id}/metrics": self.metrics,
            "/jobs/{id}/results": self.results,
            "/jobs/{id}/logs": self.logs,
            "/instances/usage": self.usage,
            "/instances/configuration": self.limits,
            "/workloads": self.workloads,
        }

    def admit(self, request: web.Request) -> None:
        """Check token, instance and version header of a data request."""
        if request.path in ("/identity/token", "/api/v1/versions"):
            return
        self.iam.check(request.headers.get("Authorization", ""))
        if request.headers.get("Service-CRN") != self.instance:
            raise _ApiError(403, 1200, "Not authorized for this service instance.")
        if (version := request.headers.get("IBM-API-Version")) is not None and not _is_date(version):
            raise _ApiError(400, 1100, f"IBM-API-Version is {version!r}, expected a date such as {VERSIONS[-1]}.")

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "urn:ibm:params:oauth:grant-type:apikey":
            return _json({"errorCode": "BXNIM0106E", "errorMessage": "Property grant_type is missing or unknown."}, 400)
        if form.get("apikey") != self.iam.api_key:
            return _json({"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."}, 400)
        return _json(self.iam.issue())

    async def versions(self, request: web.Request) -> web.Response:
        return _json({"versions": list(VERSIONS)})

    async def backends(self, request: web.Request) -> web.Response:
        if _version(request) < wire.NAMES_ONLY_BEFORE:
            return _json({"devices": list(self.devices)})
        now, wait = self.clock.now(), request.query.get("fields") == "wait_time_seconds"
        return _json({"devices": [wire.backend_body(device, self.cloud, now, wait=wait) for device in self.devices.values()]})

    def _device(self, request: web.Request) -> Device:
        device = self.devices.get(request.match_info["name"])
        if device is None:
            raise _ApiError(404, 1007, f"Backend {request.match_info['name']} not found.")
        return device

    async def status(self, request: web.Request) -> web.Response:
        device = self._device(request)
        return _json(
            {
                "state": True,
                "status": "active",
                "message": "available",
                "length_queue": self.cloud.queue_length(device.backend.name, self.clock.now()),
                "backend_version": device.configuration["backend_version"],
            }
        )

    async def configuration(self, request: web.Request) -> web.Response:
        return _json(self._device(request).configuration)

    async def properties(self, request: web.Request) -> web.Response:
        device = self._device(request)
        if device.backend.simulator:
            raise _ApiError(404, 1007, f"Backend {device.backend.name} has no properties.")
        before = _time(request, "updated_before")
        at = self.clock.now() if before is None else before - timedelta(microseconds=1)
        published = self.cloud.calibrated_at(device.backend, at)
        return web.Response(body=device.properties(published), content_type="application/json")

    async def jobs(self, request: web.Request) -> web.Response:
        now, version = self.clock.now(), _version(request)
        limit, offset = _whole(request, "limit", LIMIT), _whole(request, "offset", 0)
        listed = list(filter(_filter(request, now), self.cloud.jobs(now)))
        if request.query.get("sort", "DESC").upper() != "ASC":
            listed.reverse()
        bodies = [
            wire.job_body(job, now, version) | self._params(job, request, "true") for job in listed[offset : offset + limit]
        ]
        return _json({"jobs": bodies, "count": len(listed), "limit": limit, "offset": offset})

    def _params(self, job: LabJob, request: web.Request, default: str) -> dict[str, Any]:
        """What was submitted, unless the caller leaves it out; the list leaves it out by default, a single job does not."""
        excluded = request.query.get("exclude_params", default).lower() == "true"
        return {} if excluded else {"params": wire.parameters(job, self.devices[job.backend])}

    def _job(self, request: web.Request, now: datetime) -> LabJob:
        job = self.cloud.job(request.match_info["id"], now)
        if job is None:
            raise _ApiError(404, 1291, "Job not found.")
        return job

    async def job(self, request: web.Request) -> web.Response:
        now = self.clock.now()
        job = self._job(request, now)
        return _json(wire.job_body(job, now, _version(request)) | self._params(job, request, "false"))

    async def metrics(self, request: web.Request) -> web.Response:
        now = self.clock.now()
        return _json(wire.metrics(self._job(request, now), now, _version(request)))

    async def results(self, request: web.Request) -> web.Response:
        now = self.clock.now()
        job = self._job(request, now)
        if job.state(now) is JobState.COMPLETED:
            return _json(wire.results(job, self.devices[job.backend], self.cloud))
        if job.state(now) is JobState.FAILED:
            return web.Response(text=f"Traceback (most recent call last):\nRuntimeError: {(job.failure or ('', ''))[1]}\n")
        raise _ApiError(404, 1291, "The job has no results.")

    async def logs(self, request: web.Request) -> web.Response:
        self._job(request, self.clock.now())
        return web.Response(text="")

    async def usage(self, request: web.Request) -> web.Response:
        return _json(wire.instance_usage(self.cloud, self.clock.now(), self.instance, USAGE_LIMIT_SECONDS))

    async def limits(self, request: web.Request) -> web.Response:
        return _json({"instance_limit": USAGE_LIMIT_SECONDS})

    async def workloads(self, request: web.Request) -> web.Response:
        now = self.clock.now()
        limit = min(_whole(request, "limit", 10), WORKLOADS_LIMIT)
        begin = _cursor(request.query.get("next"))
        jobs = list(filter(_filter(request, now), self.cloud.jobs(now)))
        if request.query.get("sort", "-createdAt").startswith("-"):
            jobs.reverse()
        page = [wire.workload(job, now, self.instance) for job in jobs[begin : begin + limit]]
        body: dict[str, Any] = {"workloads": page, "total_count": len(jobs), "limit": limit}
        if begin + limit < len(jobs):
            body["next"] = {"href": f"{request.path}?limit={limit}&next={_text(str(begin + limit).encode())}"}
        return _json(body)


def _middleware(service: _Service) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        trace = f"lab{next(service.traces):013x}"
        try:
            service.admit(request)
            response = await handler(request)
        except _ApiError as error:
            response = _json(wire.error_body(error.code, str(error), trace), error.status)
        except web.HTTPNotFound:
            response = _json(wire.error_body(1100, f"No such resource: {request.path}", trace), 404)
        response.headers["uber-trace-id"] = f"{trace}:{trace}:0:1"
        response.headers["Date"] = format_datetime(service.clock.now().astimezone(UTC), usegmt=True)
        return response

    return middleware


def _filter(request: web.Request, now: datetime) -> Callable[[LabJob], bool]:
    """The selection that the query asks for."""
    query = request.query
    after, before = _time(request, "created_after"), _time(request, "created_before")
    wanted = set(query.getall("tags", []))
    checks: list[Callable[[LabJob], bool]] = []
    if "pending" in query:
        pending = query["pending"].lower() == "true"
        checks.append(lambda job: wire.pending(job, now) == pending)
    if after is not None:
        checks.append(lambda job: job.submitted_at >= after)
    if before is not None:
        checks.append(lambda job: job.submitted_at <= before)
    if "backend" in query:
        checks.append(lambda job: job.backend == query["backend"])
    if "program" in query:
        checks.append(lambda job: wire.program(job) == query["program"])
    if "session_id" in query:
        checks.append(lambda job: job.batch == query["session_id"])
    if wanted:
        checks.append(lambda job: wanted <= set(wire.tags(job)))
    return lambda job: all(check(job) for check in checks)


def _version(request: web.Request) -> str:
    return request.headers.get("IBM-API-Version", VERSIONS[0])


def _is_date(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _whole(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise _ApiError(400, 1100, f"{name} is {text!r}, expected a whole number.")
    return int(text)


def _time(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _ApiError(400, 1100, f"{name} is {text!r}, expected an ISO 8601 time.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _cursor(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raise _ApiError(400, 1100, "next is not a cursor of this service.") from None


def _json(body: object, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _part(value: dict[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _claims(signed: str) -> dict[str, Any]:
    part = signed.rpartition(".")[2]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
