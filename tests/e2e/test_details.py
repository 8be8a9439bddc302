"""What a listing leaves out is asked for in the same poll, and listing a job again does not put the question off."""

from __future__ import annotations

from datetime import timedelta

from qobs.lab import faults


async def test_ended_jobs_of_a_short_listing_are_complete_after_one_poll(run):
    """IBM lists jobs without their times: a fresh install must not wait an hour to learn how long they queued."""
    await run.step(run.clock.now())
    ended = [job for job in run.sink.store.jobs() if job.provider == "ibm" and job.state.terminal]
    assert len(ended) >= 5
    assert all(job.ended_at is not None and job.settled for job in ended)


async def test_listing_an_incomplete_job_again_does_not_put_its_check_off(run):
    """While the answers by id fail, each poll lists the jobs anew; that must not push the missing times further away."""
    start = run.clock.now()
    run.faults["ibm"].add(faults.status(500), path="/api/v1/jobs/*", times=None)
    for minutes in (0, 1, 2):
        await run.step(start + timedelta(minutes=minutes))
    incomplete = [job for job in run.sink.store.jobs() if job.provider == "ibm" and job.state.terminal and not job.settled]
    assert incomplete
    run.faults["ibm"].clear()
    await run.step(run.clock.now() + timedelta(minutes=15))
    known = {job.id: job for job in run.sink.store.jobs() if job.provider == "ibm"}
    assert all(known[job.id].settled for job in incomplete)
