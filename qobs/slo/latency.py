"""M2 as a figure: quantiles of the time from submission to result, with jobs that have not ended taken for what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from qobs.model import Job, JobState
from qobs.stats import Duration, survival_quantile

QUANTILES = (0.5, 0.9, 0.99)

Place = tuple[str, str, str]
"""(provider, source, backend)"""


def latency_quantiles(
    jobs: Iterable[Job], *, since: datetime, now: datetime, quantiles: tuple[float, ...] = QUANTILES
) -> Mapping[tuple[Place, float], float]:
    """Seconds within which the given parts of the jobs have their result, by backend.

    A job that is open at ``now`` has taken "at least so long"; one that failed or was cancelled stopped waiting without a
    result, and counts as "at least so long" as well: leaving either out would make a stuck backend look fast.

    Args:
        jobs: Any jobs; those submitted in [``since``, ``now``] count.
        since: Earliest submission.
        now: When it is.
        quantiles: Parts in (0, 1].

    Returns:
        (place, quantile) to seconds; a quantile that too few jobs have reached is left out.
    Source:
        Kaplan and Meier's estimate, see :func:`qobs.stats.survival_quantile`.
    """
    durations: dict[Place, list[Duration]] = {}
    for job in jobs:
        submitted = job.submitted_at
        if submitted is None or not since <= submitted <= now or job.state is JobState.UNKNOWN:
            continue
        until = job.ended_at if job.state.terminal else now
        if until is None:
            continue
        seconds = max(0.0, (until - submitted).total_seconds())
        place = (job.provider, job.source, job.backend or "")
        durations.setdefault(place, []).append(Duration(seconds, job.state is JobState.COMPLETED))
    return {
        (place, quantile): reached
        for place, told in sorted(durations.items())
        for quantile in quantiles
        if (reached := survival_quantile(told, quantile)) is not None
    }
