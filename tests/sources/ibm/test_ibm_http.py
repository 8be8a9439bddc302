"""The IBM source over real HTTP: paging, tokens, and what happens when the service misbehaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from aiohttp import web

from qobs.errors import BadPayload, Refused, SourceError, Unavailable
from qobs.lab import ibm, ibm_wire
from qobs.lab.world import Cloud, LabBackend, LabJob
from qobs.model import Ask, BackendState, Batch, Job, JobState, Raw, Reason, Stream
from qobs.sources.base import Http, Source


async def _raws(source: Source, http: Http, ask: Ask) -> list[Raw]:
    return [raw async for raw in source.fetch(http, ask)]


async def _collect(source: Source, http: Http, ask: Ask, raws: list[Raw]) -> None:
    """Fill ``raws`` as far as it goes: what was yielded before a failure stands."""
    async for raw in source.fetch(http, ask):
        raws.append(raw)


def _batches(source: Source, raws: list[Raw]) -> list[Batch]:
    return [source.normalize(raw) for raw in raws]


def _jobs(source: Source, raws: list[Raw]) -> dict[str, Job]:
    return {job.id: job for batch in _batches(source, raws) for job in batch.jobs}


STATES = {
    "Queued": JobState.QUEUED,
    "Running": JobState.RUNNING,
    "Completed": JobState.COMPLETED,
    "Failed": JobState.FAILED,
    "Cancelled": JobState.CANCELLED,
}


def _told(job: LabJob, now: datetime) -> JobState:
    """The state that a reader should arrive at."""
    state = job.state(now)
    assert state is not None
    return state


async def test_listing_holds_every_job_with_its_state(make_source: Any, open_client: Any, open_lab: Any, now: datetime) -> None:
    """A job that paging drops would never be counted at all."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url, page_size=7)
        raws = await _raws(source, http, Ask(stream=Stream.JOBS, now=now))
        found = _jobs(source, raws)
    planned = lab.cloud.jobs(now)
    assert {job_id: job.state for job_id, job in found.items()} == {job.id: _told(job, now) for job in planned}
    assert len(raws) > len(planned) / 7
    assert [raw.last for raw in raws] == [False] * (len(raws) - 1) + [True]
    assert not any(job.settled for job in found.values())


async def test_listing_asks_only_for_what_finished_since(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """Without the lower bound each poll would read the whole history again."""
    since = now - timedelta(hours=1)
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url)
        found = _jobs(source, await _raws(source, http, Ask(stream=Stream.JOBS, since=since, now=now)))
    wanted = {job.id for job in lab.cloud.jobs(now) if job.submitted_at >= since or ibm_wire.pending(job, now)}
    assert set(found) == wanted
    listed = [request.query for request in lab.asked("/jobs")]
    assert all(query["exclude_params"] == "true" for query in listed)
    assert ["created_after" in query for query in listed] == [query["pending"] == "false" for query in listed]


async def test_jobs_that_arrive_while_paging_are_only_repeated(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """New jobs shift the pages under the reader: no older one may slip through."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url, page_size=10)
        before = {job.id for job in lab.cloud.jobs(now)}
        raws: list[Raw] = []
        async for raw in source.fetch(http, Ask(stream=Stream.JOBS, now=now)):
            raws.append(raw)
            lab.clock.advance(timedelta(minutes=3))
        found = _jobs(source, raws)
    repeated = sum(len(batch.jobs) for batch in _batches(source, raws)) - len(found)
    assert before <= set(found)
    assert repeated > 0
    assert raws[-1].last


async def test_job_by_id_is_settled_once_everything_is_told(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """Times and usage come from the metrics; a job settled too early would keep them empty for ever."""
    cloud = Cloud("ibm", (LabBackend("ibm_fez", 156),), 1, now, generate=False)
    second = timedelta(seconds=1)
    begin = now - 60 * second
    cloud.add(LabJob("dqueued", "ibm_fez", begin, now + second, now + 9 * second, JobState.COMPLETED))
    cloud.add(LabJob("drunning", "ibm_fez", begin, now - second, now + 9 * second, JobState.COMPLETED))
    cloud.add(LabJob("dbilling", "ibm_fez", begin, now - 9 * second, now - second, JobState.COMPLETED))
    cloud.add(LabJob("ddone", "ibm_fez", begin, now - 40 * second, now - 30 * second, JobState.COMPLETED))
    cloud.add(LabJob("dtoolong", "ibm_fez", begin, now - 40 * second, now - 30 * second, JobState.FAILED, ("1305", "too long")))
    cloud.add(LabJob("dunstarted", "ibm_fez", begin, None, now - 30 * second, JobState.CANCELLED))
    ids = tuple(job.id for job in cloud.jobs(now))
    async with open_lab(cloud) as lab, open_client(lab.url) as http:
        source = make_source(lab.url)
        raws = await _raws(source, http, Ask(stream=Stream.JOBS, ids=(*ids, "dgone/../x"), now=now))
    jobs = _jobs(source, raws)
    assert set(jobs) == set(ids)
    assert {job_id for job_id, job in jobs.items() if job.settled} == {"ddone", "dtoolong", "dunstarted"}
    assert [missing for batch in _batches(source, raws) for missing in batch.missing] == ["dgone/../x"]
    for job_id, job in jobs.items():
        plan = cloud.job(job_id, now)
        assert plan is not None
        assert job.state is _told(plan, now)
        assert job.submitted_at == plan.submitted_at
        assert job.started_at == (plan.started_at if plan.started_at and plan.started_at <= now else None)
        assert job.ended_at == (plan.ended_at if plan.ended_at <= now else None)
        assert job.quantum_seconds == (ibm_wire.charged_seconds(plan) if job.settled else None)
    assert jobs["dtoolong"].raw_state == "Cancelled"
    assert jobs["dtoolong"].failure is not None
    assert jobs["dtoolong"].failure.code == "1305"
    assert not any(raw.last for raw in raws)


@pytest.mark.parametrize("version", ["2025-05-01", "2026-03-15", "2026-04-15"])
async def test_usage_is_the_same_in_every_api_version(
    version: str, make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """A version bump that renames the usage field must not turn billed seconds into nothing."""
    async with open_lab() as lab, open_client(lab.url) as http:
        old = next(job for job in lab.cloud.jobs(now) if job.ended_at < now - timedelta(hours=1))
        source = make_source(lab.url, api_version=version)
        job = _jobs(source, await _raws(source, http, Ask(stream=Stream.JOBS, ids=(old.id,), now=now)))[old.id]
    assert job.quantum_seconds == ibm_wire.charged_seconds(old)
    assert job.settled


async def test_status_usage_and_calibrations_are_read(make_source: Any, open_client: Any, open_lab: Any, now: datetime) -> None:
    """Each stream gives its records, and tells where its listing ends."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url)
        found = {
            stream: await _raws(source, http, Ask(stream=stream, now=now))
            for stream in (Stream.STATUS, Stream.QUOTAS, Stream.CALIBRATIONS, Stream.CALIBRATIONS)
        }
        await _raws(source, http, Ask(stream=Stream.CALIBRATIONS, now=now))
    (status,) = _batches(source, found[Stream.STATUS])
    assert {b.backend: b.state for b in status.backends} == {b.name: BackendState.ONLINE for b in lab.cloud.backends}
    assert {b.backend: b.queue_jobs for b in status.backends} == {
        b.name: lab.cloud.queue_length(b.name, now) for b in lab.cloud.backends
    }
    assert all(b.queue_wait_seconds is not None for b in status.backends)
    (usage,) = _batches(source, found[Stream.QUOTAS])
    assert usage.quotas[0].used == sum(
        ibm_wire.charged_seconds(job) for job in lab.cloud.jobs(now) if job.ended_at <= now - ibm_wire.BILLING_LAG
    )
    calibrations = [record for batch in _batches(source, found[Stream.CALIBRATIONS]) for record in batch.calibrations]
    assert {c.backend: c.calibrated_at for c in calibrations} == {b.name: b.calibrated_at(now) for b in lab.cloud.backends}
    assert all(raws[-1].last and not any(raw.last for raw in raws[:-1]) for raws in found.values())
    assert len(lab.asked("/configuration")) == len(lab.cloud.backends)


async def test_requests_carry_instance_version_and_token_but_never_the_key(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """Without the version header the service answers in the form of 2024; the key belongs to IAM alone."""
    async with open_lab() as lab, open_client(lab.url) as http:
        for stream in Stream:
            await _raws(make_source(lab.url), http, Ask(stream=stream, now=now))
    data = [request for request in lab.seen if request.path.startswith("/api/v1")]
    assert len(data) > len(Stream)
    for request in data:
        assert request.headers["Service-CRN"] == ibm.INSTANCE
        assert request.headers["IBM-API-Version"] == "2026-04-15"
        assert request.headers["Authorization"].startswith("Bearer ey")
        assert ibm.API_KEY not in str(request.url) + str(dict(request.headers))


async def test_expired_token_is_replaced_without_a_failed_poll(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """A token that ends early, as a revoked one does, costs one refused request and nothing more."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url)
        await _raws(source, http, Ask(stream=Stream.QUOTAS, now=now))
        lab.clock.advance(timedelta(hours=2))
        (raw,) = await _raws(source, http, Ask(stream=Stream.QUOTAS, now=now))
    assert source.normalize(raw).quotas
    assert len(lab.asked("/identity/token")) == 2
    assert len(lab.asked("/instances/usage")) == 3


async def test_token_is_kept_and_renewed_ahead_of_its_end(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """One exchange serves many polls, and no poll has to fail for the next one to happen."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url)
        exchanges = []
        for minutes in (0, 20, 40, 47, 49, 80):
            at = now + timedelta(minutes=minutes)
            lab.clock.set(at)
            await _raws(source, http, Ask(stream=Stream.QUOTAS, now=at))
            exchanges.append(len(lab.asked("/identity/token")))
    assert exchanges == [1, 1, 1, 1, 2, 2]
    assert len(lab.asked("/instances/usage")) == 6


async def test_token_refused_for_ever_is_given_up_after_one_renewal(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """A source that hammers IAM while its access is withdrawn gets the whole site locked out."""
    async with open_lab() as lab, open_client(lab.url) as http:
        lab.fault = lambda request: web.json_response({}, status=401) if request.path.startswith("/api") else None
        with pytest.raises(Refused) as refused:
            await _raws(make_source(lab.url), http, Ask(stream=Stream.STATUS, now=now))
    assert refused.value.reason is Reason.AUTH
    assert len(lab.asked("/identity/token")) == 2
    assert len(lab.asked("/backends")) == 2


async def test_unknown_api_key_is_an_auth_failure_without_the_key_in_its_words(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """IAM says 400, not 401: taken for a bad request, nobody would look at the key."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url, api_key="wrong-key-of-somebody")
        with pytest.raises(Refused) as refused:
            await _raws(source, http, Ask(stream=Stream.JOBS, now=now))
    assert refused.value.reason is Reason.AUTH
    assert "wrong-key" not in repr(refused.value)
    assert [request.path for request in lab.seen] == ["/identity/token"]


@pytest.mark.parametrize(
    "body",
    [{}, {"access_token": 5, "expires_in": 1, "expiration": 1}, {"access_token": "t", "expires_in": 1, "expiration": 10**17}],
)
async def test_token_answer_of_another_form_is_bad_payload(
    body: dict[str, object], make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """A changed IAM is told as such, not as a crash in the token arithmetic."""
    async with open_lab() as lab, open_client(lab.url) as http:
        lab.fault = lambda request: web.json_response(body) if request.path == "/identity/token" else None
        with pytest.raises(BadPayload, match="identity/token"):
            await _raws(make_source(lab.url), http, Ask(stream=Stream.STATUS, now=now))


async def test_wrong_instance_is_forbidden_and_not_retried(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """A wrong CRN needs its owner, not another token."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url, instance=ibm.INSTANCE.replace("lab0", "lab1"))
        with pytest.raises(Refused) as refused:
            await _raws(source, http, Ask(stream=Stream.STATUS, now=now))
    assert refused.value.reason is Reason.FORBIDDEN
    assert len(lab.seen) == 2


@pytest.mark.parametrize("status", [429, 503, 504])
async def test_passing_trouble_is_outwaited(
    status: int, make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """One refused request of a listing must not cost the listing."""
    turns = count()
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url)
        lab.fault = lambda request: (
            web.Response(status=status, text="<html>busy</html>", headers={"Retry-After": "2"})
            if request.path == "/api/v1/jobs" and next(turns) == 1
            else None
        )
        found = _jobs(source, await _raws(source, http, Ask(stream=Stream.JOBS, now=now)))
    assert set(found) == {job.id for job in lab.cloud.jobs(now)}


async def test_one_backend_without_properties_does_not_hide_the_others(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """The poll counts as failed, yet the calibrations that could be read are there."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url)
        lab.fault = lambda request: web.Response(status=500) if request.path.endswith("ibm_fez/properties") else None
        raws: list[Raw] = []
        with pytest.raises(Unavailable):
            await _collect(source, http, Ask(stream=Stream.CALIBRATIONS, now=now), raws)
    assert [raw.about["backend"] for raw in raws] == ["ibm_kingston", "ibm_torino"]
    assert not any(raw.last for raw in raws)


async def test_backend_without_calibrations_is_passed_over(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """Simulators are not asked, retired backends answer 404: neither fails the poll."""
    async with open_lab() as lab, open_client(lab.url) as http:
        source = make_source(lab.url)
        lab.fault = lambda request: web.json_response({}, status=404) if "/backends/" in request.path else None
        raws = await _raws(source, http, Ask(stream=Stream.CALIBRATIONS, now=now))
    assert [(raw.kind, raw.last) for raw in raws] == [("backends", True)]
    assert len(source.normalize(raws[0]).backends) == 3


async def test_one_job_that_cannot_be_read_does_not_hide_the_others(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """Answers already had are kept when another of the same round fails."""
    async with open_lab() as lab, open_client(lab.url) as http:
        ids = [job.id for job in lab.cloud.jobs(now)[:3]]
        lab.fault = lambda request: web.Response(status=500) if request.path.endswith(ids[1]) else None
        source = make_source(lab.url)
        raws: list[Raw] = []
        with pytest.raises(SourceError):
            await _collect(source, http, Ask(stream=Stream.JOBS, ids=tuple(ids), now=now), raws)
    assert set(_jobs(source, raws)) == {ids[0], ids[2]}


def _page(ids: list[str], total: int | None) -> web.Response:
    body: dict[str, object] = {"jobs": [{"id": job_id, "status": "Completed"} for job_id in ids]}
    return web.json_response(body | ({} if total is None else {"count": total}))


def _scripted(pages: list[web.Response]) -> Callable[[web.Request], web.Response | None]:
    """Finished jobs page by page as scripted; nothing is pending."""
    left = iter(pages)

    def fault(request: web.Request) -> web.Response | None:
        if request.path != "/api/v1/jobs":
            return None
        return _page([], 0) if request.query["pending"] == "true" else next(left)

    return fault


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        ([(["a", "b"], 1000), ([], 1000)], 2),
        ([(["a", "b"], 3), (["c"], 3)], 2),
        ([(["a", "b"], None), (["c"], None), ([], None)], 3),
        ([(["a", "b"], 9), (["a", "b"], 9)], 2),
        ([([], 0)], 1),
    ],
    ids=["empty page before the count", "count reached", "no count", "the same page again", "nothing"],
)
async def test_listing_ends(
    pages: list[tuple[list[str], int | None]], asked: int, make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """IBM's own client loops for ever on a short page; a monitor must not."""
    async with open_lab() as lab, open_client(lab.url) as http:
        lab.fault = _scripted([_page(ids, total) for ids, total in pages])
        raws = await _raws(make_source(lab.url, page_size=2), http, Ask(stream=Stream.JOBS, now=now))
    assert [raw.last for raw in raws] == [False] * asked + [True]
    finished = [request.query["offset"] for request in lab.asked("/jobs") if request.query["pending"] == "false"]
    assert finished[0] == "0"
    assert len(finished) == asked


async def test_list_that_shrinks_while_it_is_read_is_read_again_next_time(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """Deleted jobs pull later ones to pages already read: the watermark must not pass them."""
    async with open_lab() as lab, open_client(lab.url) as http:
        lab.fault = _scripted([_page(["a", "b"], 5), _page(["d"], 4)])
        raws: list[Raw] = []
        with pytest.raises(BadPayload, match="shrank"):
            await _collect(make_source(lab.url, page_size=2), http, Ask(stream=Stream.JOBS, now=now), raws)
    assert not any(raw.last for raw in raws)


async def test_truncated_page_fails_the_poll_and_moves_nothing(
    make_source: Any, open_client: Any, open_lab: Any, now: datetime
) -> None:
    """Half a page must not pass for a short one."""
    async with open_lab() as lab, open_client(lab.url) as http:
        text = json.dumps({"jobs": [{"id": "a", "status": "Completed"}], "count": 1})
        lab.fault = _scripted([web.Response(text=text[:-5], content_type="application/json")])
        raws: list[Raw] = []
        with pytest.raises(BadPayload):
            await _collect(make_source(lab.url), http, Ask(stream=Stream.JOBS, now=now), raws)
    assert not any(raw.last for raw in raws)
