"""Is a queue slower than it usually is at this hour of the week? A quantile rule, for waits are skewed.

x is the **median** of the recent waits: those that ended within the last hour (or the last three within six), and those that
go on and have already lasted longer than the limit, taken at their age so far. A median, because one job that hangs is not a
slow queue, and because the true wait of an unfinished job can only be longer (right-censored): the median of what these jobs
will really have waited is not smaller than x. Younger unfinished waits prove nothing yet and are left out.

x is anomalous where it exceeds the 0.99 quantile of the waits that ended in the same hour of the week (UTC) over four weeks
*and* 1.5 times their median *and* their median by a minute. With fewer than 100 of them the same hour of every day is asked,
then all hours; with fewer than 100 in all the queue is still being learnt. The last day is never part of its own baseline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import NamedTuple

from qobs.insight.anomaly import CLEARS_AT, Quiet, State, Verdict
from qobs.insight.waits import HOUR, SPAN_HOURS, WEEK_HOURS, Wait, Waits
from qobs.model import EPOCH

SIGNAL = "queue_wait"
QUANTILE = 0.99
ENOUGH = 100
"""Waits that a baseline needs."""

LEAST_RATIO = 1.5
LEAST_SECONDS = 60.0
EVIDENCE = 3
"""Recent waits that a judgement needs."""

RECENT = float(HOUR)
RECENT_AT_MOST = 6.0 * HOUR
DAY_HOURS = 24
STEP = 300
"""Seconds between readings: looks within one step are one reading."""


class Usual(NamedTuple):
    """What is usual: median and 0.99 quantile of the waits of ``hours`` (``hour of week``, ``hour of day`` or ``all``)."""

    median: float
    high: float
    hours: str

    @property
    def limit(self) -> float:
        """Seconds beyond which a wait is unusual enough to matter."""
        return max(self.high, LEAST_RATIO * self.median, self.median + LEAST_SECONDS)

    def score(self, seconds: float) -> float:
        """How far toward the limit, which is 1: the smallest of the three conditions decides."""
        toward = [(seconds - self.median) / LEAST_SECONDS]
        toward += [seconds / bound for bound in (self.high, LEAST_RATIO * self.median) if bound > 0.0]
        return max(0.0, min(toward))


@dataclass(frozen=True, slots=True)
class Alarm:
    """All that must be kept between readings. ``step`` is the last one, in whole steps since 1970; None: none yet."""

    step: int | None = None
    breached: bool = False
    anomalous: bool = False


class Queue:
    """What is known of one queue: waits that ended, and since when the others wait (seconds since 1970)."""

    def __init__(self) -> None:
        """Nothing known."""
        self.waits = Waits()
        self.open: dict[int, float] = {}

    def recent(self, now: float, limit: float, quiet: Quiet) -> list[float]:
        """Seconds of the waits that tell how the queue was at ``now``."""
        ended = sorted(_outside(quiet, self.waits.between(now - RECENT_AT_MOST, now)), reverse=True)
        fresh = [wait for wait in ended if wait.ended > now - RECENT]
        later = self.waits.between(now, now + RECENT_AT_MOST)
        began = [*self.open.values(), *(wait.ended - wait.seconds for wait in later)]
        told = fresh if len(fresh) >= EVIDENCE else ended[:EVIDENCE]
        return [wait.seconds for wait in told] + [now - since for since in began if now - since > limit]

    def usual(self, now: float, quiet: Quiet) -> Usual | None:
        """The baseline for ``now``; None while too little is known."""
        hour = int(now // HOUR)
        for step, name in ((WEEK_HOURS, "hour of week"), (DAY_HOURS, "hour of day"), (1, "all")):
            known = [
                wait.seconds
                for wait in _outside(quiet, self.waits.of_hours(hour - SPAN_HOURS, hour - max(step, DAY_HOURS), step))
            ]
            if len(known) >= ENOUGH:
                known.sort()
                return Usual(median(known), known[ceil(QUANTILE * len(known)) - 1], name)
        return None


def judged(queue: Queue, alarm: Alarm, at: datetime, quiet: Quiet) -> tuple[Verdict, Alarm]:
    """The verdict at a moment, and the alarm to remember. A score beyond 1 in two readings in a row is an anomaly."""
    if quiet.at(at):
        return Verdict(signal=SIGNAL, state=State.EXCLUDED), Alarm()
    now = (at - EPOCH) / timedelta(seconds=1)
    usual = queue.usual(now, quiet)
    if usual is None:
        return Verdict(signal=SIGNAL, state=State.LEARNING), Alarm()
    recent = queue.recent(now, usual.limit, quiet)
    if len(recent) < EVIDENCE:
        return Verdict(signal=SIGNAL, state=State.NO_DATA, baseline=usual.median, limit=usual.limit), Alarm()
    value = median(recent)
    score = usual.score(value)
    alarm = _moved(alarm, score, int(now // STEP))
    verdict = Verdict(
        signal=SIGNAL,
        state=State.ANOMALOUS if alarm.anomalous else State.SUSPECT if alarm.breached else State.OK,
        score=score,
        limit=usual.limit,
        value=value,
        baseline=usual.median,
        test="quantile",
    )
    return verdict, alarm


def replayed(queue: Queue, at: datetime, quiet: Quiet, *, steps: int = 24) -> Alarm:
    """The alarm that looks at the last ``steps`` steps before ``at`` would have led to: what a restart begins with."""
    alarm = Alarm()
    for back in range(steps, 0, -1):
        _, alarm = judged(queue, alarm, at - timedelta(seconds=back * STEP), quiet)
    return alarm


def _moved(alarm: Alarm, score: float, step: int) -> Alarm:
    if alarm.anomalous:
        return Alarm(step, score > 1.0, score >= CLEARS_AT)
    if alarm.step == step:
        return alarm
    return Alarm(step, score > 1.0, score > 1.0 and alarm.breached)


def _outside(quiet: Quiet, waits: Iterable[Wait]) -> Iterable[Wait]:
    """The waits that ended in times that count."""
    if not quiet.spans:
        return waits
    return (wait for wait in waits if not quiet.at(EPOCH + timedelta(seconds=wait.ended)))
