"""Whose results are verified: accounts that can tell them, each with what its requests must respect."""

from __future__ import annotations

from dataclasses import dataclass

from qobs.daemon.group import SourceGroup
from qobs.daemon.shards import Gatekeeper
from qobs.daemon.wiring import Wired
from qobs.model import Shard, Stream
from qobs.sources.base import ResultSource
from qobs.sources.breaker import BreakerState


@dataclass(frozen=True, slots=True)
class Lane:
    """One account whose results can be read."""

    wired: Wired
    source: ResultSource
    gatekeeper: Gatekeeper
    shard: Shard

    def allows(self, at: float) -> bool:
        """Whether requests may be made at ``at`` (monotonic seconds); results never probe a breaker that is open."""
        keeper = self.gatekeeper
        return keeper.may_poll() and keeper.breaker.state(at) is BreakerState.CLOSED


def lanes_of(group: SourceGroup) -> tuple[Lane, ...]:
    """The accounts of a group whose jobs can be read and whose results can be asked for."""
    keepers = {(runner.shard.source, runner.shard.stream): runner.gatekeeper for runner in group.runners}
    found = []
    for wired in group.wired:
        source, name = wired.source, wired.config.name
        keeper = keepers.get((name, Stream.JOBS))
        if keeper is not None and isinstance(source, ResultSource):
            found.append(Lane(wired, source, keeper, Shard(name, source.provider, source.account, Stream.JOBS)))
    return tuple(found)
