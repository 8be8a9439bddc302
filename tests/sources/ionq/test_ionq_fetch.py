"""What the IonQ source asks for, and how often, on the emulated service."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from qobs.errors import BadPayload
from qobs.lab.faults import edited, replayed, status
from qobs.model import BackendState, JobState, Stream

COSTS = "/v0.4/jobs/*/cost"
LISTING = "/v0.4/jobs"


def _charged(bench: Any) -> list[Any]:
    now = bench.clock.now()
    return [
        job
        for job in bench.cloud.jobs(now)
        if job.backend.startswith("qpu") and job.state(now) is JobState.COMPLETED and now >= job.ended_at + timedelta(seconds=30)
    ]


async def test_costs_are_those_of_the_plan(bench: Any) -> None:
    """The invoice of every processor job, and of no other, is what finance sees."""
    jobs = await bench.jobs(bench.source())
    priced = {job_id: job.cost_charged for job_id, job in jobs.items() if job.cost_charged is not None}
    assert priced == {job.id: Decimal(str(job.cost)) for job in _charged(bench)}
    assert {job.currency for job in jobs.values() if job.id in priced} == {"USD"}


async def test_a_final_cost_is_asked_for_once(bench: Any) -> None:
    """The newest page is read every minute: 25 more requests each time would use up the account's rate."""
    source = bench.source()
    first = await bench.jobs(source)
    asked = bench.faults.count(COSTS)
    assert asked >= len(_charged(bench)) > 10
    assert await bench.jobs(source) == first
    still_open = sum(1 for job in first.values() if job.state is JobState.COMPLETED and not job.settled)
    assert bench.faults.count(COSTS) == asked + still_open


async def test_a_charge_that_comes_late_settles_the_job(bench: Any) -> None:
    """A job whose invoice is not written yet must be asked for again until it is."""
    now = bench.clock.now()
    model = _charged(bench)[0]
    late = bench.cloud.add(replace(model, id="11111111-0000-4000-8000-000000000001", ended_at=now - timedelta(seconds=5)))
    source = bench.source()
    before = (await bench.jobs(source, ids=(late.id,)))[late.id]
    assert (before.state, before.settled, before.cost_charged) == (JobState.COMPLETED, False, None)
    assert before.cost_estimated is not None
    bench.clock.advance(timedelta(minutes=1))
    after = (await bench.jobs(source, ids=(late.id,)))[late.id]
    assert (after.settled, after.cost_charged) == (True, Decimal(str(model.cost)))


async def test_a_key_that_may_not_see_costs_still_reads_jobs(bench: Any) -> None:
    """Rights on billing are rarely given to a monitor: their lack must cost neither jobs nor a request per job."""
    bench.faults.add(status(403), path=COSTS, times=None)
    jobs = await bench.jobs(bench.source())
    assert len(jobs) == len(bench.cloud.jobs(bench.clock.now()))
    assert all(job.settled for job in jobs.values() if job.state is JobState.COMPLETED)
    assert bench.faults.count(COSTS) == 1


async def test_without_cost_nothing_is_asked_for_it(bench: Any) -> None:
    """An operator who switches costs off must see no request for them."""
    jobs = await bench.jobs(bench.source(cost=False))
    assert bench.faults.count(COSTS) == 0
    assert all(job.settled for job in jobs.values() if job.state.terminal)


async def test_paging_stops_at_the_first_page_that_lies_wholly_before_since(bench: Any) -> None:
    """Every poll would otherwise read the account's whole history."""
    jobs = bench.cloud.jobs(bench.clock.now())
    since = jobs[-10].submitted_at
    found = await bench.jobs(bench.source(cost=False), since=since)
    assert {job.id for job in jobs if job.submitted_at >= since} <= set(found)
    assert bench.faults.count(LISTING) <= 3 < len(jobs) / 25


async def test_a_listing_in_another_order_is_read_to_its_end(bench: Any) -> None:
    """A service that began with its oldest jobs would make the first page look like the end, and hide every new job."""

    def oldest_first(page: Any) -> None:
        page["jobs"].reverse()

    bench.faults.add(edited(oldest_first), path=LISTING, times=None)
    since = bench.clock.now() - timedelta(minutes=20)
    assert len(await bench.jobs(bench.source(cost=False), since=since)) == len(bench.cloud.jobs(bench.clock.now()))


async def test_a_cursor_that_repeats_aborts_the_poll(bench: Any) -> None:
    """Following it would never end, and stopping quietly would move the watermark over unread jobs."""
    bench.faults.add(replayed(), path=LISTING, times=None)
    with pytest.raises(BadPayload, match="cursor"):
        await bench.jobs(bench.source(cost=False))
    assert bench.faults.count(LISTING) == 2


@pytest.mark.parametrize("last", ["null", "absent", "empty"])
async def test_the_last_page_may_say_so_in_each_known_way(bench: Any, last: str) -> None:
    """The specification sends null, other layers leave the member out: both end the list."""

    def edit(page: Any) -> None:
        if page.get("next") is None:
            page.pop("next")
            page.update({"null": {"next": None}, "absent": {}, "empty": {"next": ""}}[last])

    bench.faults.add(edited(edit), path=LISTING, times=None)
    assert len(await bench.jobs(bench.source(cost=False))) == len(bench.cloud.jobs(bench.clock.now()))


async def test_a_rotated_key_is_read_anew(bench: Any) -> None:
    """An operator replaces the file; nobody should have to restart the daemon."""
    bench.keys[:] = ["old-and-revoked", *bench.keys]
    assert await bench.jobs(bench.source(cost=False))


async def test_the_children_of_a_multi_circuit_job_are_one_job(bench: Any) -> None:
    """The service lists parent and children alike."""
    model = _charged(bench)[0]
    parent = bench.cloud.add(replace(model, id="11111111-0000-4000-8000-000000000002", circuits=3))
    for version in ("v0.4", "v0.3"):
        found = await bench.jobs(bench.source(cost=False, api_version=version))
        assert found[parent.id].circuits == 3
    listed = await bench.jobs(bench.source(cost=False))
    assert set(listed) == {job.id for job in bench.cloud.jobs(bench.clock.now())}


async def test_both_versions_tell_the_same_story(bench: Any) -> None:
    """A site that moves from v0.3 to v0.4 must not see its history change."""
    new = await bench.jobs(bench.source())
    old = await bench.jobs(bench.source(api_version="v0.3"))
    assert set(new) == set(old)
    for job_id, job in new.items():
        other = old[job_id]
        assert (job.state, job.backend, job.qubits, job.two_qubit_gates, job.tags) == (
            other.state,
            other.backend,
            other.qubits,
            other.two_qubit_gates,
            other.tags,
        )
        assert (job.failure and job.failure.kind) == (other.failure and other.failure.kind)
        if job.started_at is not None and other.started_at is not None:
            assert 0 <= (job.started_at - other.started_at).total_seconds() < 1


async def test_status_follows_the_service(bench: Any) -> None:
    """A backend that goes down must be seen at the next poll."""
    bench.statuses["qpu.forte-1"] = "unavailable"
    (batch,) = await bench.batches(bench.source(), Stream.STATUS)
    states = {found.backend: found.state for found in batch.backends}
    assert states == {
        "qpu.forte-1": BackendState.OFFLINE,
        "qpu.forte-enterprise-1": BackendState.ONLINE,
        "simulator": BackendState.ONLINE,
    }


@pytest.mark.parametrize("version", ["v0.4", "v0.3"])
async def test_every_processor_has_its_newest_calibration(bench: Any, version: str) -> None:
    """Freshness counts from this time, and the simulator has none."""
    batches = await bench.batches(bench.source(api_version=version), Stream.CALIBRATIONS)
    found = {calibration.backend: calibration for batch in batches for calibration in batch.calibrations}
    planned = {backend.name: backend for backend in bench.cloud.backends if not backend.simulator}
    assert {name: calibration.calibrated_at for name, calibration in found.items()} == {
        name: backend.calibrated_at(bench.clock.now()) for name, backend in planned.items()
    }
    assert all(calibration.published is not None for calibration in found.values())
    assert len(bench.faults.requests) == 3


@pytest.mark.parametrize("version", ["v0.4", "v0.3"])
async def test_calibrations_since_a_time_are_all_read(bench: Any, version: str) -> None:
    """A backfill needs each of them, over several pages."""
    since = bench.clock.now() - timedelta(days=25)
    batches = await bench.batches(bench.source(api_version=version), Stream.CALIBRATIONS, since=since)
    times = [calibration.calibrated_at for batch in batches for calibration in batch.calibrations]
    assert len(times) == len(set(times))
    assert 2 * 25 <= len(times) <= 2 * 26
    assert bench.faults.count("*/characterizations/*") + bench.faults.count("*/characterizations") == 6


async def test_a_processor_without_characterization_does_not_hide_the_others(bench: Any) -> None:
    """A new device answers 404 until it has been characterized."""
    bench.faults.add(status(404, b"{}"), path="/v0.4/backends/qpu.forte-1/characterizations", times=None)
    batches = await bench.batches(bench.source(), Stream.CALIBRATIONS)
    assert [found.backend for batch in batches for found in batch.calibrations] == ["qpu.forte-enterprise-1"]


async def test_the_account_is_the_sources_name_unless_configured(bench: Any) -> None:
    """It is part of every job's key: it must not depend on what the service answers."""
    assert bench.source().account == "lab"
    assert bench.source(account="project-7").account == "project-7"
