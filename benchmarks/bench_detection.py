"""How often alerts page for nothing, and how soon they page in an outage, at few and at many jobs an hour.

    .venv/bin/python benchmarks/bench_detection.py

Made-up histories (Poisson arrivals, objective 95 %, 30 days) are played through :mod:`qobs.slo.backtest`, once with the
evidence tools and once as plain multi-window multi-burn-rate alerts. False pages: a month of failures at half the allowed
rate (burn 0.5) and at exactly the allowed one (burn 1). Detection: after a day at burn 0.5 every job fails.
Batches: all jobs of one are good or bad together; told with the groups known, and with the groups hidden.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from qobs.slo.backtest import backtest
from qobs.slo.explain import pages_of
from qobs.slo.history import micros, moment_of
from qobs.slo.objective import PRESETS, FileEvent, Objective, Pair, Rolling, Severity
from qobs.slo.simulation import rate_bound, simulated

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
WARM_UP = timedelta(hours=26)
LONGEST_OUTAGE = timedelta(hours=24)
PAGES = (("fast", 1, 5, "14.4"), ("medium", 6, 30, "6"), ("slow", 24, 120, "3"))
MEDIANS = {2: (107, 50), 10: (27, 44), 100: (3, 42)}
"""Reference: median minutes to page, with the evidence tools and without, by jobs an hour."""


def objective(preset: str) -> Objective:
    """95 % over 30 days with the default pages."""
    pairs = tuple(
        Pair(
            severity=Severity.PAGE,
            tier=tier,
            long=timedelta(hours=hours),
            short=timedelta(minutes=minutes),
            factor=Decimal(factor),
        )
        for tier, hours, minutes, factor in PAGES
    )
    return Objective(
        slo="simulated",
        service="simulated",
        name="0",
        target=Decimal("0.95"),
        window=Rolling(length=MONTH),
        source=None,
        pairs=pairs,
        sparse=PRESETS[preset],
    )


def ungrouped(events: Sequence[FileEvent]) -> tuple[FileEvent, ...]:
    """The same events, their batches hidden."""
    return tuple(replace(event, group="") for event in events)


def false_pages(
    preset: str, *, rate: float, burn: float, events: int, rng: random.Random, batch: int = 1, hidden: bool = False
) -> dict[str, float]:
    """Pages in 30 days, their 95 % upper bound, and the months simulated."""
    slo = objective(preset)
    months = events / (rate * (MONTH / timedelta(hours=1)))
    history = tuple(
        simulated(
            rng.random,
            start=START,
            length=months * MONTH,
            events_per_hour=rate,
            error_ratio=burn * float(slo.budget),
            batch_size=batch,
        )
    )
    pages = len(pages_of(backtest((slo,), ungrouped(history) if hidden else history)))
    return {"per_month": round(pages / months, 3), "at_most": round(rate_bound(pages) / months, 3), "months": round(months, 1)}


def outages(*, rate: float, runs: int, rng: random.Random, batch: int = 1) -> Iterator[tuple[FileEvent, ...]]:
    """Histories that end in an outage of a day at most, some events longer than it takes to page."""
    length = min(LONGEST_OUTAGE, timedelta(hours=3 + 20 * batch / rate))
    for _ in range(runs):
        calm = simulated(
            rng.random,
            start=START,
            length=WARM_UP,
            events_per_hour=rate,
            error_ratio=0.025,
            batch_size=batch,
            name="calm",
        )
        dark = simulated(
            rng.random,
            start=START + WARM_UP,
            length=length,
            events_per_hour=rate,
            error_ratio=1.0,
            batch_size=batch,
            name="dark",
        )
        yield (*calm, *dark)


def detection_minutes(preset: str, histories: Sequence[Sequence[FileEvent]]) -> list[float]:
    """Minutes from the start of the outage to the first page; runs in which somebody was paged already are left out."""
    slo, onset = objective(preset), micros(START + WARM_UP)
    found = []
    for history in histories:
        spans = pages_of(backtest((slo,), history))
        if any(begin <= onset and (end is None or end > onset) for begin, end in spans):
            continue
        first = min((begin for begin, _ in spans if begin > onset), default=None)
        found.append(float("inf") if first is None else (moment_of(first) - START - WARM_UP) / timedelta(minutes=1))
    return found


def independent(arguments: argparse.Namespace, rng: random.Random) -> Iterator[dict[str, object]]:
    """One row for each rate: both methods side by side."""
    for rate in arguments.rates:
        row: dict[str, object] = {"jobs_per_hour": rate}
        histories = tuple(outages(rate=rate, runs=arguments.runs, rng=rng))
        for place, preset in enumerate(("balanced", "off")):
            waits = detection_minutes(preset, histories)
            cell = {
                f"false_pages_burn_{burn:g}": false_pages(preset, rate=rate, burn=burn, events=arguments.events, rng=rng)
                for burn in (0.5, 1.0)
            }
            cell["outage_minutes"] = {"median": round(statistics.median(waits), 1), "runs": len(waits)}
            if rate in MEDIANS:
                cell["outage_minutes"]["reference"] = MEDIANS[rate][place]
            row["qobs" if preset == "balanced" else "plain"] = cell
        yield row


def batched(arguments: argparse.Namespace, rng: random.Random) -> Iterator[dict[str, object]]:
    """One row for each rate and batch size: groups known, groups hidden, and plain alerts."""
    for rate in arguments.rates:
        for size in arguments.batches:
            row: dict[str, object] = {"jobs_per_hour": rate, "batch_size": size}
            for name, preset, hidden in (
                ("qobs", "balanced", False),
                ("groups_hidden", "balanced", True),
                ("plain", "off", False),
            ):
                row[name] = false_pages(preset, rate=rate, burn=1.0, events=arguments.events, rng=rng, batch=size, hidden=hidden)
            yield row


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=int, nargs="*", default=[2, 10, 100, 200], help="jobs an hour")
    parser.add_argument("--batches", type=int, nargs="*", default=[5, 20], help="sizes of batches")
    parser.add_argument("--events", type=int, default=60_000, help="simulated for each figure of false pages")
    parser.add_argument("--runs", type=int, default=101, help="outages simulated for each median")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    figures = {"independent": list(independent(arguments, rng)), "batched": list(batched(arguments, rng))}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
