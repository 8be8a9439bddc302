"""Window totals of many objectives over a long history: built at start-up, kept up at every tick, against a re-scan.

    python benchmarks/bench_objectives.py [--objectives 1000] [--events 10000000] [--ticks 360]

A synthetic history of 90 days, without a store: events at random times, one in twenty bad, as a store would give them,
in sums of whole hours for the longest window and in 10-second buckets for the others. One tick is 10 s of the clock with
the events that came in it, up to the names of the objectives that changed; then the counts of those are read. The first
tick begins a full hour, when every objective has events that leave the longest window. The peer, in the same run, is the
plain re-scan of all events, once in Python and once in numpy; all answers are compared. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qobs.columns import HOUR_SECONDS
from qobs.model import BUCKET_SECONDS, EPOCH, Counts
from qobs.slo.cells import CELL_BYTES
from qobs.slo.windows import KeyedColumns, Totals, needed, step_seconds

WINDOWS = (
    *(timedelta(minutes=minutes) for minutes in (5, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 6)),
    *(timedelta(days=days) for days in (1, 3, 90)),
)
START = datetime(2026, 3, 1, 11, 59, 50, tzinfo=UTC)
TICK = timedelta(seconds=BUCKET_SECONDS)
HISTORY = WINDOWS[-1]

Column = NDArray[np.int64]
Events = tuple[Column, Column, Column]
"""Buckets (seconds since 1970, ascending), numbers of objectives, and 1 for a good event or 0."""


def seconds(at: datetime) -> int:
    """Whole seconds since 1970."""
    return (at - EPOCH) // timedelta(seconds=1)


def history(objectives: int, events: int, chance: np.random.Generator) -> Events:
    """Events of the 90 days before the start."""
    ages = chance.integers(0, HISTORY // timedelta(seconds=1), events)
    buckets = np.sort((seconds(START) - ages) // BUCKET_SECONDS * BUCKET_SECONDS)
    return buckets, chance.integers(0, objectives, events), (chance.random(events) > 0.05).astype(np.int64)


def stored(events: Events, keys: Sequence[str], width: int, since: datetime) -> KeyedColumns[str]:
    """Sums by step and objective, as a store keeps them."""
    first = int(np.searchsorted(events[0], seconds(since)))
    buckets, numbers, good = (column[first:] for column in events)
    places, inverse = np.unique(buckets // width * len(keys) + numbers, return_inverse=True)
    steps, of = np.divmod(places, len(keys))
    sums = np.zeros((2, len(places)), dtype=np.int64)
    np.add.at(sums[0], inverse, good)
    np.add.at(sums[1], inverse, 1)
    return KeyedColumns(keys, steps * width, of, sums[0], sums[1])


def first_seconds(now: datetime) -> list[int]:
    """Where each window starts, by the documented rule."""
    pairs = [(window // timedelta(seconds=1), step_seconds(window)) for window in WINDOWS]
    return [(seconds(now) - length) // step * step for length, step in pairs]


def rescan(events: Events, keys: Sequence[str], now: datetime) -> Mapping[str, tuple[Counts, ...]]:
    """Every event looked at again, from the newest window to the oldest."""
    starts = first_seconds(now)
    good, total = [[0] * len(WINDOWS) for _ in keys], [[0] * len(WINDOWS) for _ in keys]
    for bucket, number, was_good in zip(*(column.tolist() for column in events), strict=True):
        for place in range(len(starts) - 1, -1, -1):
            if bucket < starts[place]:
                break
            good[number][place] += was_good
            total[number][place] += 1
    return {key: tuple(map(Counts, good[number], total[number])) for number, key in enumerate(keys) if any(total[number])}


def rescan_columns(events: Events, keys: Sequence[str], now: datetime) -> Mapping[str, tuple[Counts, ...]]:
    """The same, window by window with whole columns."""
    buckets, numbers, good = events
    shown = []
    for start in first_seconds(now):
        first = int(np.searchsorted(buckets, start))
        total = np.bincount(numbers[first:], minlength=len(keys)).tolist()
        was_good = np.bincount(numbers[first:][good[first:] == 1], minlength=len(keys)).tolist()
        shown.append(list(map(Counts, was_good, total)))
    rows = zip(keys, zip(*shown, strict=True), strict=True)
    return {key: row for key, row in rows if any(counts.total for counts in row)}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def live(totals: Totals[str], events: Events, keys: Sequence[str], ticks: int, chance: np.random.Generator) -> dict[str, Any]:
    """Let the clock run: CPU seconds of each tick and each read, and all events with those that came."""
    came, tick_seconds, read_seconds, changed, now = [events], [], [], [], START
    rate = len(events[0]) / (HISTORY / TICK)
    totals.take_changed()
    for _ in range(ticks):
        now += TICK
        count = int(chance.poisson(rate))
        fresh = (np.full(count, seconds(now)), chance.integers(0, len(keys), count), chance.integers(0, 2, count))
        came.append(fresh)
        rows = [(keys[number], bucket, good) for bucket, number, good in zip(*(column.tolist() for column in fresh), strict=True)]
        began = time.process_time()
        totals.advance(now)
        for key, bucket, good in rows:
            totals.add(key, bucket, good, 1)
        named = totals.take_changed()
        tick_seconds.append(time.process_time() - began)
        began = time.process_time()
        shown = totals.all()
        changed.append(len([shown[key] for key in named]))
        read_seconds.append(time.process_time() - began)
    return {
        "now": now,
        "events": tuple(np.concatenate(columns) for columns in zip(*came, strict=True)),
        "tick": tick_seconds,
        "read": read_seconds,
        "changed": changed,
    }


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """All ways on one history; figures by name."""
    chance = np.random.default_rng(arguments.seed)
    keys = [f"objective-{number}" for number in range(arguments.objectives)]
    events = history(len(keys), arguments.events, chance)
    hours_since, buckets_since = needed(WINDOWS, START)
    hours, buckets = stored(events, keys, HOUR_SECONDS, hours_since), stored(events, keys, BUCKET_SECONDS, buckets_since)
    totals = Totals[str](WINDOWS)
    rebuild, _ = timed(lambda: totals.rebuild(hours, buckets, START))
    ran = live(totals, events, keys, arguments.ticks, chance)
    python, table = timed(lambda: rescan(ran["events"], keys, ran["now"]))
    columns, again = timed(lambda: rescan_columns(ran["events"], keys, ran["now"]))
    if not totals.all() == table == again:
        raise SystemExit("the incremental totals differ from a re-scan")
    once = statistics.mean(ran["tick"]) + statistics.mean(ran["read"])
    return {
        "objectives": len(keys),
        "windows": len(WINDOWS),
        "events": len(ran["events"][0]),
        "hour_rows": len(hours.starts),
        "bucket_rows": len(buckets.starts),
        "rebuild_cpu_seconds": round(rebuild, 3),
        "tick_cpu_milliseconds_mean": round(1e3 * statistics.mean(ran["tick"]), 3),
        "tick_cpu_milliseconds_worst": round(1e3 * max(ran["tick"]), 3),
        "read_changed_cpu_milliseconds_mean": round(1e3 * statistics.mean(ran["read"]), 3),
        "read_changed_cpu_milliseconds_worst": round(1e3 * max(ran["read"]), 3),
        "changed_objectives_per_tick": round(statistics.mean(ran["changed"]), 1),
        "rescan_cpu_seconds": round(python, 3),
        "rescan_numpy_cpu_seconds": round(columns, 3),
        "rescan_over_tick_and_read": round(python / once, 1),
        "rescan_numpy_over_tick_and_read": round(columns / once, 1),
        "cells_mib": round(totals.cells * CELL_BYTES / 2**20, 1),
        "peak_memory_of_the_benchmark_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objectives", type=int, default=1000)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--ticks", type=int, default=360)
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(run(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
