"""What the landing page shows, from the latest snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from qobs import __version__
from qobs.daemon.group import SourceGroup
from qobs.export.snapshot import ExclusionReading, SloReading, Snapshot
from qobs.model import Counts
from qobs.stats import jeffreys_interval
from qobs.web.pages import BackendRow, IndicatorRow, Overview, SloRow, SourceRow

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
            own_queued=snapshot.open_jobs.get((status.provider, status.source, status.backend, "queued"), 0),
            own_running=snapshot.open_jobs.get((status.provider, status.source, status.backend, "running"), 0),
        )
        for status in snapshot.backends
    )
    return Overview(
        version=__version__,
        now=now,
        sources=sources,
        backends=backends,
        indicators=tuple(_indicators(snapshot)),
        slos=tuple(map(_slo, snapshot.slos)),
        maintenance=tuple(map(_scope, snapshot.exclusions)),
    )


def _slo(reading: SloReading) -> SloRow:
    burns = {window.window: window.burn_rate for window in reading.windows}
    longest = max(reading.windows, key=lambda window: window.total, default=None)
    return SloRow(
        slo=reading.slo,
        service=reading.service,
        target=reading.target_ratio,
        state=reading.state,
        events=0 if longest is None else longest.total,
        burn_1h=burns.get("1h"),
        burn_6h=burns.get("6h"),
        burn_3d=burns.get("3d"),
        remaining=reading.remaining_ratio,
        low=reading.remaining_low_ratio,
        high=reading.remaining_high_ratio,
        exhausted_in_seconds=reading.exhausted_in_seconds,
        firing=tuple(f"{alert.severity} ({alert.tier})" for alert in reading.alerts if alert.active),
    )


def _scope(exclusion: ExclusionReading) -> str:
    """Which events a window leaves out, in words."""
    labels = (f"{label} {' or '.join(values)}" for label, values in exclusion.scope.items())
    return ", ".join(labels) or "everything"


def _indicators(snapshot: Snapshot) -> Iterator[IndicatorRow]:
    """Counts of the last day summed by indicator and source, with Jeffreys' interval."""
    sums: dict[tuple[str, str], Counts] = {}
    for entry in snapshot.sli_windows:
        if entry.window == "1d":
            key = (entry.series.sli, entry.series.source)
            known = sums.get(key, Counts(0, 0))
            sums[key] = Counts(known.good + entry.counts.good, known.total + entry.counts.total)
    for (sli, source), counts in sorted(sums.items()):
        low, high = jeffreys_interval(bad=counts.good, total=counts.total)
        yield IndicatorRow(indicator=sli, source=source, good=counts.good, total=counts.total, low=low, high=high)
