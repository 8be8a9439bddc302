"""An emulated IonQ Quantum Cloud over HTTP: the routes of v0.4 and v0.3 that a monitor and the official clients read.

What it sends is a pure function of a :class:`~qobs.lab.world.Cloud` plan and the lab clock. It takes no submissions.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from qobs.lab import ionq_wire as wire
from qobs.lab.clock import LabClock
from qobs.lab.world import Cloud, LabBackend, LabJob

API_KEY = "lab-ionq-key"
PAGE_LIMIT = 25
HISTORY = timedelta(days=90)
"""Characterizations reach back this far before the plan begins."""

_OPEN_PATHS = ("backends", "characterizations/backends")
_PHRASES = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_FAILURES = (
    ("QuantumComputerError", "The quantum computer reported an error while executing the circuit"),
    ("InternalError", "Internal error, please try again"),
    ("TooManyGates", "The circuit has 4210 gates, which is over the limit of 3000"),
    ("QuotaExhaustedError", "The project has used its quota for this period"),
    ("SystemCancel", "The job was canceled by the system"),
)

Row = tuple[LabJob, str | None]


def default_cloud(seed: int, begins_at: datetime) -> Cloud:
    """Two trapped-ion processors and the simulator, with the failure codes of v0.4."""
    return Cloud(
        name="ionq",
        backends=(
            LabBackend("qpu.forte-1", 36, execution_seconds=90.0, jobs_per_hour=10.0, calibration_offset=timedelta(hours=5)),
            LabBackend(
                "qpu.forte-enterprise-1", 36, execution_seconds=70.0, jobs_per_hour=8.0, calibration_offset=timedelta(hours=11)
            ),
            LabBackend("simulator", 29, simulator=True, execution_seconds=2.0, jobs_per_hour=6.0, failure_ratio=0.01),
        ),
        seed=seed,
        begins_at=begins_at,
        failures=_FAILURES,
    )


def application(
    cloud: Cloud,
    clock: LabClock,
    *,
    api_key: str = API_KEY,
    versions: tuple[str, ...] = ("v0.4", "v0.3"),
    shape: str = "2026-09",
    statuses: Mapping[str, str] | None = None,
    requests_per_minute: int | None = None,
) -> web.Application:
    """The emulated service, to be served at the root of a host.

    Args:
        cloud: What happens.
        clock: When it is; also the ``Date`` header, so that a clock skew seen by callers is real.
        api_key: The one key that is let in.
        versions: API versions that are served; others answer 404, as after a sunset.
        shape: ``2026-05`` or ``2026-09``, the two forms of v0.4.
        statuses: Status word by backend, read at every request; ``available`` for those not named.
        requests_per_minute: Beyond it every request gets 429 with ``Retry-After`` (lab time). None: no limit.
    """
    service = _Service(cloud, clock, api_key, shape, statuses if statuses is not None else {})
    app = web.Application(middlewares=[_middleware(service, _Meter(clock, requests_per_minute))])
    if "v0.4" in versions:
        _add(app, "/v0.4", service.routes_v04())
    if "v0.3" in versions:
        _add(app, "/v0.3", service.routes_v03())
    return app


def _add(app: web.Application, prefix: str, routes: Mapping[str, Handler]) -> None:
    for path, handler in routes.items():
        app.router.add_get(prefix + path, handler)


class _ApiError(Exception):
    """An answer in IonQ's error form."""

    def __init__(
        self, status: int, message: str, *, keys: tuple[str, ...] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"statusCode": status, "error": _PHRASES[status], "message": message}
        if keys:
            self.body["validation"] = {"source": "query", "keys": list(keys)}
        self.headers = dict(headers or {})


class _Meter:
    """A fixed window of one lab minute."""

    def __init__(self, clock: LabClock, per_minute: int | None) -> None:
        self._clock, self._per_minute = clock, per_minute
        self._window, self._used = -1, 0

    def charge(self) -> None:
        """Count one request; raises 429 when the minute is used up."""
        if self._per_minute is None:
            return
        window, into = divmod(int(self._clock.now().timestamp()), 60)
        if window != self._window:
            self._window, self._used = window, 0
        self._used += 1
        if self._used > self._per_minute:
            raise _ApiError(429, "Too many requests", headers={"Retry-After": str(60 - into)})


def _middleware(service: _Service, meter: _Meter) -> Middleware:
    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            meter.charge()
            service.authorize(request)
            response = await handler(request)
        except _ApiError as error:
            response = _json(error.body, status=error.status, headers=error.headers)
        except web.HTTPNotFound:
            response = _json(_ApiError(404, "Route not found").body, status=404)
        response.headers["Date"] = format_datetime(service.clock.now().astimezone(UTC), usegmt=True)
        return response

    return answer


def _json(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


class _Service:
    """The handlers, with what they read."""

    def __init__(self, cloud: Cloud, clock: LabClock, api_key: str, shape: str, statuses: Mapping[str, str]) -> None:
        self.cloud, self.clock, self.shape, self.statuses = cloud, clock, shape, statuses
        self._expected = f"apiKey {api_key}"

    def routes_v04(self) -> Mapping[str, Handler]:
        """Handlers by path below ``/v0.4``."""
        return {
            "/whoami": self.whoami,
            "/backends": self.backends,
            "/backends/{backend}": self.backend,
            "/backends/{backend}/characterizations": self.characterizations,
            "/backends/{backend}/characterizations/{id}": self.characterization,
            "/jobs": self.jobs,
            "/jobs/{id}": self.job,
            "/jobs/{id}/cost": self.cost,
            "/jobs/{id}/results/probabilities": self.probabilities,
            "/jobs/{id}/results/probabilities/aggregated": self.aggregated,
            "/jobs/{id}/artifacts/{artifact}": self.artifact,
            "/sessions": self.sessions,
        }

    def routes_v03(self) -> Mapping[str, Handler]:
        """Handlers by path below ``/v0.3``."""
        return {
            "/whoami": self.whoami,
            "/backends": self.backends,
            "/characterizations/backends/{backend}": self.characterizations,
            "/characterizations/backends/{backend}/current": self.current,
            "/characterizations/{id}": self.characterization,
            "/jobs": self.jobs,
            "/jobs/{id}": self.job,
            "/jobs/{id}/results": self.probabilities,
        }

    def authorize(self, request: web.Request) -> None:
        """Let the key in; backends and their characterization lists are open to all, as specified."""
        below = request.path.partition("/v0.")[2].partition("/")[2]
        single = "characterizations/" in below and below.startswith("backends/")
        if below.startswith(_OPEN_PATHS) and not single:
            return
        if request.headers.get("Authorization") != self._expected:
            raise _ApiError(401, "Invalid API key")

    # ------------------------------------------------------------------------------------- identity, backends

    async def whoami(self, request: web.Request) -> web.Response:
        """The key and its project."""
        return _json({"key_id": wire.ORGANIZATION_ID, "key_name": "lab", "project_id": wire.PROJECT_ID})

    async def backends(self, request: web.Request) -> web.Response:
        """A bare array."""
        now = self.clock.now()
        return _json([self._row(backend, now) for backend in self.cloud.backends])

    async def backend(self, request: web.Request) -> web.Response:
        """One row of :meth:`backends`."""
        return _json(self._row(self._backend(request.match_info["backend"]), self.clock.now()))

    def _row(self, backend: LabBackend, now: datetime) -> wire.Json:
        queued = self.cloud.queue_length(backend.name, now)
        status, published = self.statuses.get(backend.name, "available"), self.cloud.calibrated_at(backend, now)
        return wire.backend_row(backend, now, queued=queued, status=status, calibrated_at=published)

    def _backend(self, name: str) -> LabBackend:
        backend = self.cloud.backend(name)
        if backend is None:
            raise _ApiError(404, "Backend not found")
        return backend

    # ------------------------------------------------------------------------------------- characterizations

    async def characterizations(self, request: web.Request) -> web.Response:
        """Newest first; ``pages`` is how many remain; null where the backend has none."""
        backend = self._backend(request.match_info["backend"])
        limit, page = _number(request.query, "limit", 10, top=10), _number(request.query, "page", 1, top=10_000)
        begin = _moment(request.query, "start") or self.cloud.begins_at - HISTORY
        times = self._calibrated(backend, begin, _moment(request.query, "end") or self.clock.now())
        chosen = times[(page - 1) * limit : page * limit]
        left = max(0, -(-len(times) // limit) - page)
        rows = [wire.characterization(backend, at, self.cloud.seed) for at in chosen]
        return _json({"characterizations": rows or None, "pages": left})

    async def current(self, request: web.Request) -> web.Response:
        """The newest characterization (v0.3)."""
        backend = self._backend(request.match_info["backend"])
        if backend.simulator:
            raise _ApiError(404, "No characterization found")
        return _json(wire.characterization(backend, self.cloud.calibrated_at(backend, self.clock.now()), self.cloud.seed))

    async def characterization(self, request: web.Request) -> web.Response:
        """One characterization by id."""
        wanted, begin = request.match_info["id"], self.cloud.begins_at - HISTORY
        for backend in self.cloud.backends:
            for at in self._calibrated(backend, begin, self.clock.now()):
                if wire.characterization_id(backend, at) == wanted:
                    return _json(wire.characterization(backend, at, self.cloud.seed))
        raise _ApiError(404, "Characterization not found")

    def _calibrated(self, backend: LabBackend, begin: datetime, end: datetime) -> list[datetime]:
        times: list[datetime] = []
        at = min(backend.calibrated_at(end), self.cloud.calibrated_at(backend, self.clock.now()))
        while not backend.simulator and at >= max(begin, self.cloud.begins_at - HISTORY):
            times.append(at)
            at -= backend.calibration_every
        return times

    # ------------------------------------------------------------------------------------- jobs

    async def jobs(self, request: web.Request) -> web.Response:
        """A page of jobs, newest first; parents and children are rows alike."""
        query = await _query(request)
        limit = min(_number(query, "limit", PAGE_LIMIT, top=1_000_000), PAGE_LIMIT)
        rows = [row for row in self._rows() if self._wanted(row, request, query)]
        begin = _after(rows, query.get("next"))
        chosen = rows[begin : begin + limit]
        body: wire.Json = {"jobs": [self._render(row, request) for row in chosen]}
        more = begin + limit < len(rows)
        if more:
            body["next"] = _cursor(chosen[-1])
        elif not request.headers.get("User-Agent", "").startswith("cirq/"):
            # cirq-ionq ends only when the key is absent; everybody else gets the null that is specified.
            body["next"] = None
        return _json(body)

    async def job(self, request: web.Request) -> web.Response:
        """One job, parent or child."""
        return _json(self._render(self._find(request.match_info["id"]), request))

    async def cost(self, request: web.Request) -> web.Response:
        """Estimate, and the charge once it is known."""
        job, _ = self._find(request.match_info["id"])
        return _json(wire.cost(job, self._backend(job.backend), self.clock.now()))

    def _probabilities(self, job: LabJob) -> dict[str, float]:
        return wire.probabilities(job, self._backend(job.backend), self.cloud)

    async def probabilities(self, request: web.Request) -> web.Response:
        """Decimal outcome to probability."""
        return _json(self._probabilities(self._finished(request)))

    async def aggregated(self, request: web.Request) -> web.Response:
        """Probabilities of each child, by its id."""
        job = self._finished(request)
        return _json({child.id: self._probabilities(child) for child in wire.children(job)})

    async def artifact(self, request: web.Request) -> web.Response:
        """A result artifact of the September shape."""
        job = self._finished(request)
        body = wire.artifact(job, self._backend(job.backend), self.cloud, request.match_info["artifact"])
        if body is None:
            raise _ApiError(404, "Artifact not found")
        return _json(body)

    async def sessions(self, request: web.Request) -> web.Response:
        """The sessions that the planned jobs name."""
        known: dict[str, wire.Json] = {}
        for job in self.cloud.jobs(self.clock.now()):
            if job.batch is not None and job.batch not in known:
                known[job.batch] = {
                    "id": job.batch,
                    "created_at": wire.iso(job.submitted_at),
                    "started_at": wire.iso(job.started_at),
                    "ended_at": None,
                    "backend": job.backend,
                    "project_id": wire.PROJECT_ID,
                    "creator_id": wire.SUBMITTER_ID,
                    "ender_id": None,
                    "active": True,
                    "status": "started",
                    "settings": {},
                }
        return _json({"organization_id": wire.ORGANIZATION_ID, "sessions": list(known.values())})

    def _rows(self) -> list[Row]:
        rows: list[Row] = []
        for job in reversed(self.cloud.jobs(self.clock.now())):
            rows.extend((child, job.id) for child in wire.children(job))
            rows.append((job, None))
        return rows

    def _wanted(self, row: Row, request: web.Request, query: Mapping[str, Any]) -> bool:
        job, parent = row
        ids = request.query.getall("ids", [])
        targets = str(query.get("target", "")).split(",") if query.get("target") else []
        status = wire.word(job, self.clock.now(), _version(request))
        return (
            (not ids or job.id in ids)
            and (not targets or job.backend in targets)
            and query.get("status", status) == status
            and query.get("session_id", job.batch) == job.batch
            and query.get("parent_job_id", parent) == parent
            and query.get("submitter_id", wire.SUBMITTER_ID) == wire.SUBMITTER_ID
        )

    def _find(self, job_id: str) -> Row:
        now = self.clock.now()
        job = self.cloud.job(job_id, now)
        if job is not None:
            return job, None
        row = next((row for row in self._rows() if row[0].id == job_id), None)
        if row is None:
            raise _ApiError(404, "Job not found")
        return row

    def _finished(self, request: web.Request) -> LabJob:
        job, _ = self._find(request.match_info["id"])
        if wire.word(job, self.clock.now()) != "completed":
            raise _ApiError(404, "Results not found")
        return job

    def _render(self, row: Row, request: web.Request) -> wire.Json:
        job, parent = row
        backend, now = self._backend(job.backend), self.clock.now()
        if _version(request) == "v0.3":
            return wire.job_v03(job, backend, now)
        return wire.job_v04(job, backend, now, shape=self.shape, parent=parent)


def _version(request: web.Request) -> str:
    return request.path.split("/", 2)[1]


async def _query(request: web.Request) -> dict[str, Any]:
    """Query parameters over those of a JSON body, which cirq-ionq sends with its GET."""
    body: Any = {}
    if request.can_read_body:
        try:
            body = await request.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise _ApiError(400, "Invalid request payload JSON format") from None
    return {**(body if isinstance(body, dict) else {}), **request.query}


def _number(query: Mapping[str, Any], name: str, default: int, *, top: int) -> int:
    try:
        value = int(query.get(name, default))
    except (TypeError, ValueError):
        value = 0
    if not 1 <= value <= top:
        raise _ApiError(400, f'"{name}" must be an integer from 1 to {top}', keys=(name,))
    return value


def _moment(query: Mapping[str, Any], name: str) -> datetime | None:
    """An ISO date or time (v0.4), or epoch seconds (v0.3)."""
    text = query.get(name)
    if text is None:
        return None
    try:
        if text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise _ApiError(400, f'"{name}" must be a date', keys=(name,)) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(row[0].id.encode()).decode().rstrip("=")


def _after(rows: list[Row], cursor: str | None) -> int:
    """Index of the first row after the one that the cursor names."""
    if cursor is None:
        return 0
    try:
        wanted = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        wanted = ""
    index = next((index for index, row in enumerate(rows) if row[0].id == wanted), None)
    if index is None:
        raise _ApiError(400, "Invalid cursor", keys=("next",))
    return index + 1
