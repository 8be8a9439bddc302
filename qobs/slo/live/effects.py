"""Design effects of streams from counts by batch, summed over the series that feed each stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from qobs.columns import BatchCount
from qobs.model import Counts
from qobs.slo.clustering import Sizes
from qobs.slo.live.streams import Streams


def design_effects(batches: Iterable[BatchCount], streams: Streams, month: Mapping[int, Counts]) -> dict[int, float]:
    """Design effect by stream, of those that have batches; all others are 1.

    Args:
        batches: By series; one batch may be spread over several series of a stream.
        streams: What feeds what.
        month: All events of each stream in the last 30 days: those that are in no batch stand alone.
    """
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for series, group, total, bad in batches:
        if group and total > 0:
            for route in streams.routes(series):
                groups = found.setdefault(route.stream, {})
                known = groups.get(group, (0, 0))
                groups[group] = known[0] + total, known[1] + bad
    return {stream: _sizes(groups, month.get(stream, Counts(0, 0))).design_effect for stream, groups in found.items()}


def _sizes(groups: Mapping[str, tuple[int, int]], month: Counts) -> Sizes:
    batches: Counter[int] = Counter()
    squares: Counter[int] = Counter()
    events = failed = 0
    for total, bad in groups.values():
        batches[total] += 1
        squares[total] += bad * bad
        events += total
        failed += bad
    alone, bad_alone = max(0, month.total - events), max(0, month.bad - failed)
    bad_alone = min(alone, bad_alone)
    if alone:
        batches[1] += alone
        squares[1] += bad_alone
    return Sizes(events + alone, failed + bad_alone, batches, squares)
