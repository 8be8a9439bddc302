"""From a job, what it ran and a worker's answer to the record that is kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from qobs.daemon.verification_task import UNVERIFIED, Answer
from qobs.model import Calibration, Job
from qobs.result import Execution, Program, Verification

_ANSWERED = (
    *("verdict", "method", "shots", "p_value", "tvd", "floor", "excess", "effect", "margin", "z", "xeb", "shape", "seconds"),
    "degraded",
)


def unverified(job: Job, execution: Execution | None, index: int, reason: str, now: datetime) -> Verification:
    """A circuit of which nothing is known but where and when it ran."""
    ran_at = job.started_at or job.ended_at or job.updated_at or job.submitted_at or now
    return Verification(
        key=job.key,
        index=index,
        source=job.source if execution is None else execution.source,
        backend=(job.backend or "") if execution is None else execution.backend,
        executed_at=ran_at if execution is None else execution.executed_at,
        verified_at=now,
        verdict=UNVERIFIED,
        reason=reason,
        method="none",
        priority=job.priority,
        workload=job.workload,
        team=job.team,
    )


def epoch_of(calibration: Calibration | None) -> str:
    """The calibration epoch: the provider's name for it, else its time."""
    if calibration is None:
        return "ideal"
    return calibration.calibration_id or calibration.calibrated_at.isoformat()


def verification(
    job: Job, execution: Execution, program: Program, calibration: Calibration | None, answer: Answer, now: datetime
) -> Verification:
    """A worker's answer as a record; the reason tells the calibration's age."""
    reason = answer.reason + _age(calibration, execution)
    told = unverified(job, execution, program.index, reason, now)
    epoch = epoch_of(calibration) if answer.shape else None
    return msgspec.structs.replace(told, epoch=epoch, **{name: getattr(answer, name) for name in _ANSWERED})


def _age(calibration: Calibration | None, execution: Execution) -> str:
    if calibration is None:
        return ""
    hours = (execution.executed_at - calibration.calibrated_at) / timedelta(hours=1)
    return f"; calibrated {hours:.1f} h before it ran"
