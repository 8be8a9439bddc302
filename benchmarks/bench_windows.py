"""Burn totals of many SLI label sets over 90 days: kept up to date, against counting again, in one run.

    python benchmarks/bench_windows.py [--series 1000] [--per-hour 0.5] [--ticks 360] [--scans 3]

Both answer the same question, the good and total events of every label set in every window at every tick;
the answers are compared. The re-scan is the fair plain one: it looks
at each stored bucket once for all windows. Times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
import tracemalloc
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from qobs.columns import HOUR_SECONDS
from qobs.model import BUCKET_SECONDS, EPOCH, Counts, Delta, Series
from qobs.slo.cells import CELL_BYTES
from qobs.slo.windows import WINDOWS, KeyedColumns, WindowTotals, needed, step_seconds

START = datetime(2026, 3, 1, tzinfo=UTC)
HISTORY = timedelta(days=90)
TICK = timedelta(seconds=10)

Table = dict[Series, list[list[int]]]


def label_sets(count: int) -> list[Series]:
    """Series as a large site has them: indicators by backend and priority."""
    slis = ("job_success", "job_latency", "queue_wait", "calibration_freshness")
    return [Series(slis[n % 4], "ibm", "lab", f"backend-{n // 4 % 50}", f"class-{n // 200}") for n in range(count)]


def bucket_of(at: datetime) -> int:
    """Start of the stored bucket, in seconds since 1970."""
    return (at - EPOCH) // timedelta(seconds=BUCKET_SECONDS) * BUCKET_SECONDS


def history(series: Sequence[Series], per_hour: float, rng: random.Random) -> Iterator[Delta]:
    """Stored buckets of the last 90 days: events at random times, one in twenty bad."""
    count = int(len(series) * per_hour * (HISTORY / timedelta(hours=1)))
    for _ in range(count):
        at = START - HISTORY * rng.random()
        yield Delta(series[rng.randrange(len(series))], bucket_of(at), int(rng.random() > 0.05), 1)


def columns(series: Sequence[Series], deltas: Iterable[Delta], width: int, since: datetime) -> KeyedColumns[Series]:
    """Sums by step of ``width`` seconds, in order of time: what a store gives at start-up."""
    numbers = {each: number for number, each in enumerate(series)}
    sums: dict[tuple[int, int], list[int]] = {}
    for delta in deltas:
        if delta.bucket >= bucket_of(since):
            sum_ = sums.setdefault((delta.bucket // width * width, numbers[delta.series]), [0, 0])
            sum_[0] += delta.good
            sum_[1] += delta.total
    rows = sorted((start, number, good, total) for (start, number), (good, total) in sums.items())
    starts, places, good, total = zip(*rows, strict=True)
    return KeyedColumns(series, array("q", starts), array("i", places), array("q", good), array("q", total))


def rescan(buckets: Sequence[Delta], now: datetime) -> Table:
    """Every stored bucket looked at again."""
    second = (now - EPOCH) // timedelta(seconds=1)
    starts = []
    for window in WINDOWS:
        step = step_seconds(window)
        starts.append((second - window // timedelta(seconds=1)) // step * step)
    table: Table = {}
    for series, bucket, good, total in buckets:
        if bucket > second:
            continue
        for place in range(len(starts) - 1, -1, -1):
            if bucket < starts[place]:
                break
            row = table.get(series)
            if row is None:
                row = table[series] = [[0, 0] for _ in starts]
            row[place][0] += good
            row[place][1] += total
    return table


def require_equal(totals: WindowTotals, table: Table) -> None:
    """Stop where the two ways of counting differ in any number."""
    told = {series: tuple(Counts(good, total) for good, total in rows) for series, rows in table.items()}
    shown = {series: rows for series, rows in totals.all().items() if any(row.total or row.good for row in rows)}
    if shown != {series: rows for series, rows in told.items() if any(row.total or row.good for row in rows)}:
        raise SystemExit("the incremental totals differ from the re-scan")


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Both ways on one history; figures by name."""
    rng = random.Random(arguments.seed)
    series = label_sets(arguments.series)
    stored = list(history(series, arguments.per_hour, rng))

    hours_since, buckets_since = needed(WINDOWS, START)
    hours, buckets = columns(series, stored, HOUR_SECONDS, hours_since), columns(series, stored, BUCKET_SECONDS, buckets_since)
    tracemalloc.start()
    totals = WindowTotals()
    totals.rebuild(hours, buckets, START)
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    began = time.process_time()
    totals.rebuild(hours, buckets, START)
    rebuild_seconds = time.process_time() - began

    events_a_tick = arguments.series * arguments.per_hour * (TICK / timedelta(hours=1))
    ticks, reads, added, clock = [], [], 0, START
    for _ in range(arguments.ticks):
        clock += TICK
        fresh = [
            Delta(series[rng.randrange(len(series))], bucket_of(clock), int(rng.random() > 0.05), 1)
            for _ in range(int(events_a_tick + rng.random()))
        ]
        added += len(fresh)
        stored.extend(fresh)
        began = time.process_time()
        totals.advance(clock)
        for delta in fresh:
            totals.add_delta(delta)
        totals.take_changed()
        ticks.append(time.process_time() - began)
        began = time.process_time()
        totals.all()
        reads.append(time.process_time() - began)

    scans = []
    for _ in range(arguments.scans):
        began = time.process_time()
        table = rescan(stored, clock)
        scans.append(time.process_time() - began)
    require_equal(totals, table)

    incremental = statistics.mean(ticks) + statistics.mean(reads)
    return {
        "series": arguments.series,
        "windows": len(WINDOWS),
        "stored_buckets": len(stored),
        "events_per_tick": round(added / arguments.ticks, 2),
        "tick_cpu_seconds_mean": round(statistics.mean(ticks), 7),
        "tick_cpu_seconds_worst": round(max(ticks), 7),
        "read_all_cpu_seconds_mean": round(statistics.mean(reads), 6),
        "rescan_cpu_seconds_best": round(min(scans), 4),
        "rescan_over_tick_and_read": round(min(scans) / incremental, 1),
        "rescan_over_tick": round(min(scans) / statistics.mean(ticks), 1),
        "rebuild_cpu_seconds": round(rebuild_seconds, 3),
        "rebuild_rows": len(hours.starts) + len(buckets.starts),
        "memory_mib": round(memory / 2**20, 1),
        "cells": totals.cells,
        "cells_mib": round(totals.cells * CELL_BYTES / 2**20, 1),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--per-hour", type=float, default=0.5, help="events of one label set an hour")
    parser.add_argument("--ticks", type=int, default=360)
    parser.add_argument("--scans", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(run(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
