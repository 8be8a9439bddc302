"""What the landing page shows, from the latest snapshot."""

from __future__ import annotations

from datetime import datetime

from qobs import __version__
from qobs.daemon.group import SourceGroup
from qobs.export.snapshot import Snapshot
from qobs.web.pages import BackendRow, Overview, SourceRow

BREAKER_NOTES = {1: "breaker half-open: probing", 2: "breaker open: polling is paused"}


def overview(snapshot: Snapshot | None, group: SourceGroup, now: datetime) -> Overview:
    """Sources as they are this moment, backends as of the last snapshot."""
    notes = {log.source: BREAKER_NOTES.get(log.breaker, "") for log in group.source_logs}
    sources = tuple(
        SourceRow(
            source=log.shard.source,
            provider=log.shard.provider,
            stream=log.shard.stream.value,
            healthy=log.last_ok,
            last_success_at=log.last_success_at,
            note=notes.get(log.shard.source, ""),
        )
        for log in group.shard_logs
    )
    if snapshot is None:
        return Overview(version=__version__, now=now, sources=sources)
    calibrated = {reading.where: reading.calibrated_at for reading in snapshot.calibrations}
    backends = tuple(
        BackendRow(
            source=status.source,
            provider=status.provider,
            backend=status.backend,
            state=status.state.value,
            queue_jobs=status.queue_jobs,
            calibrated_at=calibrated.get((status.provider, status.source, status.backend)),
        )
        for status in snapshot.backends
    )
    return Overview(version=__version__, now=now, sources=sources, backends=backends)
