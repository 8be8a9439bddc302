"""Several looks at one job: whichever of them the store has, they amount to one job without an impossible change."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

from qobs.model import Job, Raw, Stream
from qobs.sources.quantum.ibm_jobs import Owner, jobs_page, one_job
from qobs.store.fold import fold, history, observe

OWNER = Owner("lab", "a/1:2")
FETCHED = datetime(2026, 9, 12, 12, tzinfo=UTC)
TIMES = {"created": "2026-09-12T10:00:00.1Z", "running": "2026-09-12T10:00:05Z", "finished": "2026-09-12T10:00:15Z"}


def _raw(body: dict[str, Any], **companions: dict[str, Any]) -> Raw:
    return Raw(
        stream=Stream.JOBS,
        kind="job",
        body=json.dumps(body).encode(),
        fetched_at=FETCHED,
        companions={name: json.dumps(value).encode() for name, value in companions.items()},
    )


def _listed(word: str) -> Job:
    record = {"id": "d1", "status": word, "created": TIMES["created"], "program": {"id": "sampler"}}
    return jobs_page(_raw({"jobs": [record]}), OWNER).jobs[0]


def _asked(word: str, stamps: str, usage: str) -> Job:
    record = {"id": "d1", "status": word, "created": TIMES["created"], "program": {"id": "sampler"}}
    times = {name: TIMES[name] for name in stamps.split()}
    metrics = {"timestamps": times, "usage": {"status": usage, "qpu_charge_time_seconds": 9}, "qiskit_version": "2.3.0"}
    return one_job(_raw(record, metrics=metrics), OWNER).jobs[0]


LOOKS = (
    _listed("Queued"),
    _listed("Running"),
    _asked("Running", "created running", "pending"),
    _listed("Completed"),
    _asked("Completed", "created running finished", "pending"),
    _asked("Completed", "created running finished", "complete"),
)


def test_any_looks_in_any_order_amount_to_the_same_job() -> None:
    """A list tells of the end without its time: sorted before the start, every job would seem to come back to life."""
    ends = set()
    for size in range(1, len(LOOKS) + 1):
        for looks in itertools.combinations(LOOKS, size):
            ordered = [seen.job for seen in sorted(map(observe, looks), key=lambda seen: seen.version)]
            job = fold(ordered)
            assert history(ordered).anomalies == 0
            assert job.state.terminal == any(look.state.terminal for look in looks)
            assert job.settled == (LOOKS[-1] in looks)
            if job.settled:
                ends.add(job)
    assert ends == {LOOKS[-1]}
