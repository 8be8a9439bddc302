"""Contents of one job: which of them are distinct, which are kept, and whether they follow what is known."""

from __future__ import annotations

import logging

from qobs.model import TERMINAL, Job
from qobs.store.fold import Observation, Version, believed

MAX_CONTENTS = 1_000
"""Contents kept of one job. Beyond them only those that say it has ended are, up to twice as many: a job that a provider
tells differently at every poll must not grow without end, and its end must not be missed for it."""

_LOG = logging.getLogger("qobs.store")


def distinct(seen: list[Observation]) -> list[Observation]:
    """Observations in version order, each content once."""
    if len(seen) == 1:
        return seen
    return [one for _, one in sorted({one.version: one for one in seen}.items())]


def in_order(head: Version, old: Job, fresh: list[Observation]) -> bool:
    """True if the news can simply be put on top of what is known."""
    if fresh[0].version < head:
        return False
    previous = old
    for one in fresh:
        if not believed(previous, one.job):
            return False
        previous = one.job
    return True


def admitted(kept: int, fresh: list[Observation]) -> list[Observation]:
    """Those of the new contents that are kept of a job that has ``kept`` already: see :data:`MAX_CONTENTS`."""
    if kept + len(fresh) <= MAX_CONTENTS:
        return fresh
    taken: list[Observation] = []
    for one in fresh:
        most = 2 * MAX_CONTENTS if one.job.state in TERMINAL else MAX_CONTENTS
        if kept + len(taken) < most:
            taken.append(one)
    if kept < MAX_CONTENTS:
        key = fresh[0].job.key
        _LOG.warning("job %s: %d contents are kept; from now on only those that say it has ended are", key, MAX_CONTENTS)
    return taken
