"""The source reads an emulated workspace over HTTP, through the client that it has in production."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from qobs.errors import BadPayload, Refused, SourceError
from qobs.lab import azure as lab
from qobs.lab.serve import serve
from qobs.lab.world import LabJob
from qobs.model import Ask, JobState, Raw, Reason, Stream
from qobs.secret import Secret
from qobs.sources.base import Settings
from qobs.sources.http import HttpClient
from qobs.sources.quantum.azure import SOURCE_TYPE, Azure, wholly_before

Fetch = Callable[..., Awaitable[list[Raw]]]
MakeSource = Callable[..., Azure]
Connect = Callable[[str], HttpClient]
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["key", "application"])
async def test_all_jobs_of_the_plan_arrive_with_either_credential(
    kind: str,
    workspace: Any,
    connect: Connect,
    fetch: Fetch,
    make_source: MakeSource,
    application_credentials: dict[str, str],
) -> None:
    """Both ways to sign in must show the same jobs, each once, in every state of the plan."""
    credentials = {"api_key": lab.API_KEY} if kind == "key" else application_credentials
    source = make_source(workspace.base, credentials=credentials, page_size=40)
    raws = await fetch(source, connect(workspace.base))
    batches = [source.normalize(raw) for raw in raws]
    planned = {job.id: job for job in workspace.cloud.jobs(NOW)}
    read = {job.id: job for batch in batches for job in batch.jobs}
    assert not any(batch.quarantined or batch.unmapped for batch in batches)
    assert read.keys() == planned.keys()
    assert {name: job.state for name, job in read.items()} == {name: job.state(NOW) for name, job in planned.items()}
    assert {job.backend for job in read.values()} == {job.backend for job in planned.values()}
    assert len(raws) == -(-len(planned) // 40)
    assert [raw.last for raw in raws] == [False] * (len(raws) - 1) + [True]
    assert workspace.count("/token") == (0 if kind == "key" else 1)


async def test_a_new_poll_reads_only_down_to_its_watermark(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """Reading the whole history at every poll would use up the provider's patience, and stop late."""
    source = make_source(workspace.base, page_size=10)
    since = NOW - timedelta(minutes=30)
    raws = await fetch(source, connect(workspace.base), since=since)
    read = {job.id for raw in raws for job in source.normalize(raw).jobs}
    wanted = {job.id for job in workspace.cloud.jobs(NOW) if job.submitted_at >= since}
    assert wanted <= read
    assert raws[-1].last
    assert len(raws) < len(workspace.cloud.jobs(NOW)) / 10


@pytest.mark.parametrize(
    ("created", "before"),
    [
        ([NOW - timedelta(hours=2), NOW - timedelta(hours=3)], True),
        ([NOW - timedelta(hours=1), NOW - timedelta(hours=3)], False),
        ([NOW - timedelta(hours=3), NOW - timedelta(hours=2)], False),
        ([NOW - timedelta(hours=2), None], False),
        ([], False),
    ],
)
def test_a_page_ends_the_reading_only_if_it_is_old_ordered_and_readable(created: list[datetime | None], before: bool) -> None:
    """A service that ignored the order would show its oldest jobs first: stopping there would miss every new one."""
    assert wholly_before(created, NOW - timedelta(hours=1)) is before
    assert not wholly_before(created, None)


async def test_open_jobs_are_asked_for_by_id_and_a_gone_one_is_missing(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """Nothing else tells when a listed job ends; and a job that was deleted must not be asked for in all eternity."""
    source = make_source(workspace.base)
    known = workspace.cloud.jobs(NOW)[0].id
    raws = await fetch(source, connect(workspace.base), ids=(known, "no-such-job", "../quotas?x=1"))
    batches = [source.normalize(raw) for raw in raws]
    assert [job.id for batch in batches for job in batch.jobs] == [known]
    assert [name for batch in batches for name in batch.missing] == ["no-such-job", "../quotas?x=1"]
    assert workspace.count("/quotas") == 0


async def test_a_workspace_that_is_gone_is_an_error_and_not_a_thousand_missing_jobs(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """A typing mistake in the configuration must not mark every open job as lost."""
    source = make_source(workspace.base, workspace="other")
    for ask in ({}, {"ids": ("a",)}):
        with pytest.raises(Refused, match="WorkspaceNotFound") as caught:
            await fetch(source, connect(workspace.base), **ask)
        assert caught.value.reason is Reason.NOT_FOUND


@pytest.mark.parametrize("workspace", [{"availability": {"ionq.qpu.forte-1": "Unavailable"}}], indirect=True)
async def test_targets_and_allowances_are_read(workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource) -> None:
    """Status and quotas come from the same workspace, with the same credentials."""
    source, http = make_source(workspace.base), connect(workspace.base)
    (status,) = [source.normalize(raw) for raw in await fetch(source, http, Stream.STATUS)]
    assert {each.backend: each.state.value for each in status.backends} == {
        backend.name: "offline" if backend.name == "ionq.qpu.forte-1" else "online" for backend in workspace.cloud.backends
    }
    assert next(each for each in status.backends if each.backend == "ionq.qpu.forte-1").queue_wait_seconds is None
    assert {each.simulator for each in status.backends} == {True, False}
    (quotas,) = [source.normalize(raw) for raw in await fetch(source, http, Stream.QUOTAS)]
    assert {quota.target for quota in quotas.quotas} == {"ionq", "quantinuum", "rigetti", "pasqal"}
    assert all(quota.used is not None and quota.limit == 100_000.0 for quota in quotas.quotas)


@pytest.mark.parametrize("workspace", [{"kind": "V2"}], indirect=True)
async def test_a_v2_workspace_means_the_same_by_its_new_words(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """Workspaces are being moved to V2: the day that happens must not look like an outage."""
    source = make_source(workspace.base)
    jobs = [job for raw in await fetch(source, connect(workspace.base)) for job in source.normalize(raw).jobs]
    assert {job.raw_state for job in jobs} >= {"Completed", "Failed"}
    assert {job.raw_state for job in jobs}.isdisjoint({"Succeeded", "Waiting"})
    assert {job.id: job.state for job in jobs} == {job.id: job.state(NOW) for job in workspace.cloud.jobs(NOW)}


# ------------------------------------------------------------------------------------------------- credentials


async def test_a_revoked_token_is_replaced_once_and_the_poll_goes_on(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource, application_credentials: dict[str, str]
) -> None:
    """Tokens end in the middle of polls; that must cost one request, not a page of lost data."""
    source = make_source(workspace.base, credentials=application_credentials)
    http = connect(workspace.base)
    await fetch(source, http, Stream.QUOTAS)
    workspace.tokens.revoke()
    await fetch(source, http, Stream.QUOTAS)
    await fetch(source, http, Stream.STATUS)
    assert workspace.count("/token") == 2
    assert workspace.count("/quotas") == 3
    assert workspace.count("/providerStatus") == 1


async def test_an_expired_token_is_replaced_by_the_clock_before_it_is_refused(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource, application_credentials: dict[str, str]
) -> None:
    """A source that waits for the refusal makes a failed request every hour, which looks like an attack."""
    source = make_source(workspace.base, credentials=application_credentials, clock=workspace.clock)
    http = connect(workspace.base)
    await fetch(source, http, Stream.QUOTAS)
    workspace.clock.advance(timedelta(seconds=3600))
    await fetch(source, http, Stream.QUOTAS)
    assert workspace.count("/token") == 2
    assert workspace.count("/quotas") == 2


async def test_a_wrong_client_secret_is_refused_with_one_request_and_a_pause(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource, application_credentials: dict[str, str]
) -> None:
    """Hammering the sign-in service with a wrong secret locks the account for everybody."""
    source = make_source(workspace.base, credentials={**application_credentials, "client_secret": "wr0ng-secret"})
    with pytest.raises(Refused, match="invalid_client") as caught:
        await fetch(source, connect(workspace.base))
    assert caught.value.reason is Reason.AUTH
    assert caught.value.retry_after_seconds == 300.0
    assert "wr0ng-secret" not in str(caught.value)
    assert [path for _, path, _ in workspace.requests] == [f"/{lab.TENANT_ID}/oauth2/v2.0/token"]


async def test_a_wrong_access_key_is_refused_at_once_although_the_answer_is_empty(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """Azure answers a wrong key with an empty body: reading it as JSON would hide the cause."""
    source = make_source(workspace.base, credentials={"api_key": "wr0ng-key"})
    with pytest.raises(Refused, match="401 invalid_token") as caught:
        await fetch(source, connect(workspace.base))
    assert caught.value.reason is Reason.AUTH
    assert len(workspace.requests) == 1


async def test_a_rotated_access_key_is_read_again_once(workspace: Any, connect: Connect) -> None:
    """After a rotation the new key is already in its file: the next request must use it without a restart."""
    keys = iter(["old-key", lab.API_KEY, lab.API_KEY])
    options = {
        "subscription_id": lab.SUBSCRIPTION_ID,
        "resource_group": lab.RESOURCE_GROUP,
        "workspace": lab.WORKSPACE,
        "location": "eastus",
        "url": workspace.base,
    }
    settings = Settings(name="a", type="azure", credentials={"api_key": lambda: Secret(next(keys))}, options=options)
    source = SOURCE_TYPE.build(settings)
    raws = [raw async for raw in source.fetch(connect(workspace.base), Ask(stream=Stream.QUOTAS, now=NOW))]
    assert len(raws) == 1
    assert workspace.count("/quotas") == 2


async def test_only_the_configured_credential_travels(
    workspace: Any, connect: Connect, fetch: Fetch, make_source: MakeSource, application_credentials: dict[str, str]
) -> None:
    """A key in a query string ends up in access logs."""
    await fetch(make_source(workspace.base), connect(workspace.base), Stream.QUOTAS)
    await fetch(make_source(workspace.base, credentials=application_credentials), connect(workspace.base), Stream.QUOTAS)
    for _, path, headers in workspace.requests:
        assert lab.API_KEY not in path
        assert lab.CLIENT_SECRET not in path
        assert not ("x-ms-quantum-api-key" in headers and "Authorization" in headers)


# ---------------------------------------------------------------------------------------------------- next link


class Scripted:
    """A server that answers every listing from a list of bodies, the last one for ever."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = bodies
        self.asked: list[str] = []

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        """The next body, with ``{base}`` and ``{path}`` filled in."""
        body = self.bodies[min(len(self.asked), len(self.bodies) - 1)]
        self.asked.append(request.path_qs)
        filled = body.replace("{base}", f"http://{request.host}").replace("{path}", request.path)
        return web.Response(text=filled, content_type="application/json")


ROW = '{"id":"a","status":"Waiting","creationTime":"2026-03-02T11:59:00Z"}'


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/subscriptions/x?skip=100",
        "https://evil.quantum.azure.com{path}?skip=100",
        "{base}.evil.example{path}?skip=100",
        "{base}/elsewhere?skip=100",
        "{base}{path}/../quotas?skip=100",
        "http://user:word@{base}{path}?skip=100",
        "//evil.example{path}",
        "not a link",
        "http://[::1",
        "http://127.0.0.1:99999{path}",
    ],
)
async def test_a_next_link_to_another_place_is_refused_before_the_key_is_sent(
    link: str, connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """A forged next link would hand the workspace's key to whoever forged it."""
    server = Scripted(f'{{"value":[{ROW}],"nextLink":"{link}"}}')
    async with serve(server.application()) as base:
        with pytest.raises(BadPayload, match="another place"):
            await fetch(make_source(base), connect(base))
    assert len(server.asked) == 1


async def test_a_next_link_is_followed_with_our_own_api_version(connect: Connect, fetch: Fetch, make_source: MakeSource) -> None:
    """The service repeats an old version in its links: following it would change the shape of the answers mid-way."""
    server = Scripted(
        f'{{"value":[{ROW}],"nextLink":"{{base}}{{path}}?orderby=CreationTime%20desc&top=100&skip=100&api-version=1999-01-01"}}',
        '{"value":[],"nextLink":null}',
    )
    async with serve(server.application()) as base:
        raws = await fetch(make_source(base, api_version="2026-01-15-preview"), connect(base))
    assert [raw.last for raw in raws] == [False, True]
    assert server.asked[1].partition("?")[2] == ("api-version=2026-01-15-preview&orderby=CreationTime%20desc&top=100&skip=100")


async def test_a_next_link_that_leads_in_a_circle_ends_the_poll(connect: Connect, fetch: Fetch, make_source: MakeSource) -> None:
    """A paging bug of the provider must not keep a poll running for ever."""
    server = Scripted(f'{{"value":[{ROW}],"nextLink":"{{base}}{{path}}?skip=100"}}')
    async with serve(server.application()) as base:
        with pytest.raises(BadPayload, match="circle"):
            await fetch(make_source(base), connect(base))
    assert len(server.asked) == 2


async def test_a_row_that_shifts_onto_the_next_page_is_one_row(workspace: Any, connect: Connect, make_source: MakeSource) -> None:
    """New jobs arrive while pages are read: offsets shift, and a job seen twice must stay one job."""
    source = make_source(workspace.base, page_size=50)
    seen: list[str] = []
    async for raw in source.fetch(connect(workspace.base), Ask(stream=Stream.JOBS, now=NOW)):
        seen += [job.id for job in source.normalize(raw).jobs]
        if len(seen) == 50:
            late = LabJob("late", "ionq.simulator", NOW, None, NOW + timedelta(minutes=1), JobState.COMPLETED)
            workspace.cloud.add(late)
    before = {job.id for job in workspace.cloud.jobs(NOW)} - {"late"}
    assert set(seen) == before
    assert len(seen) == len(before) + 1


# ------------------------------------------------------------------------------------------------ odd answers


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        "<html>sign in</html>",
        '{"value":null}',
        '{"value":{}}',
        '{"value":[],"nextLink":7}',
        '{"value":[{"id":',
    ],
)
@pytest.mark.parametrize("stream", sorted(SOURCE_TYPE.poll_seconds))
async def test_an_answer_that_is_no_page_is_never_zero_jobs(
    body: str, stream: Stream, connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """A login page read as an empty list would move the watermark past every job of the outage."""
    async with serve(Scripted(body).application()) as base:
        with pytest.raises(SourceError) as caught:
            await fetch(make_source(base), connect(base), stream)
    assert caught.value.reason is Reason.BAD_PAYLOAD


async def test_one_odd_record_does_not_take_its_page_along(connect: Connect, fetch: Fetch, make_source: MakeSource) -> None:
    """A number that no JSON may hold, in one job, must not hide the other jobs of the page."""
    odd = '{"id":"b","status":"Waiting","costEstimate":{"estimatedTotal":NaN}}'
    server = Scripted(f'{{"value":[{odd},{ROW}],"nextLink":null}}')
    async with serve(server.application()) as base:
        source = make_source(base)
        (raw,) = await fetch(source, connect(base))
    batch = source.normalize(raw)
    assert [job.id for job in batch.jobs] == ["a"]
    assert len(batch.quarantined) == 1


async def test_every_recorded_page_arrives_through_the_source(
    recording: Callable[..., Any], connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """The real listing, served page by page: all 239 jobs, and not a request more than pages."""
    pages = [each.body for each in recording("list_jobs_orderby_desc") if each.path == "/jobs"]
    host = "https://eastus.quantum.azure.com"
    server = Scripted(*(page.replace(host, "{base}") for page in pages))
    options = {
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "resource_group": "myresourcegroup",
        "workspace": "myworkspace",
    }
    async with serve(server.application()) as base:
        source = make_source(base, **options)
        raws = await fetch(source, connect(base))
    jobs = [job for raw in raws for job in source.normalize(raw).jobs]
    assert len(jobs) == len({job.id for job in jobs}) == 239
    assert [len(source.normalize(raw).jobs) for raw in raws] == [100, 100, 39]
    assert len(server.asked) == 3
    assert "skip=200" in server.asked[2]
    assert source.account == "00000000-0000-0000-0000-000000000000/myworkspace"
    assert all(json.loads(raw.body)["value"] for raw in raws)


async def test_the_recorded_listing_stops_at_a_watermark(
    recording: Callable[..., Any], connect: Connect, fetch: Fetch, make_source: MakeSource
) -> None:
    """The recorded pages go from new to old: one page beyond the watermark is enough."""
    pages = [each.body for each in recording("list_jobs_orderby_desc") if each.path == "/jobs"]
    host = "https://eastus.quantum.azure.com"
    server = Scripted(*(page.replace(host, "{base}") for page in pages))
    options = {
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "resource_group": "myresourcegroup",
        "workspace": "myworkspace",
    }
    async with serve(server.application()) as base:
        raws = await fetch(make_source(base, **options), connect(base), since=datetime(2024, 3, 23, tzinfo=UTC))
    assert [raw.last for raw in raws] == [False, True]
