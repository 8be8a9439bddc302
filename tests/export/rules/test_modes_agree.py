"""Both modes record the same figures from the same history: what the daemon counts, and what Prometheus makes of its counters."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from qobs.export.rules import generate
from qobs.export.rules_unit import Mode
from qobs.export.rules_yaml import to_yaml
from qobs.slo.objective import Objective

LABELS = 'priority="high",sli="job_success"'
IDENTITY = '{sloth_id="jobs-success", sloth_service="jobs", sloth_slo="success"'
MINUTES = 480
WINDOWS = {"5m": 5, "30m": 30, "1h": 60, "2h": 120, "6h": 360, "1d": 1440}
ALERT_AT = f"{MINUTES}m"


def history(seed: int) -> list[tuple[int, int]]:
    """(bad, all) events of each minute: quiet, a burst of failures, quiet again, and minutes without any."""
    chance = random.Random(seed)
    minutes = []
    for minute in range(MINUTES):
        events = chance.choice((0, 1, 4, 9)) if minute % 7 else 0
        failing = 0.8 if 300 <= minute < 350 else 0.02
        minutes.append((sum(chance.random() < failing for _ in range(events)), events))
    return minutes


def counted(minutes: list[tuple[int, int]], window: int) -> tuple[int, int]:
    """(bad, all) events of the last minutes."""
    last = minutes[-window:]
    return sum(bad for bad, _ in last), sum(events for _, events in last)


def counters(minutes: list[tuple[int, int]]) -> list[dict[str, str]]:
    """What Prometheus sees of the history as it goes on."""
    rows = (("qobs_sli_bad_events_total", (bad for bad, _ in minutes)), ("qobs_sli_events_total", (n for _, n in minutes)))
    return [{"series": f"{name}{{{LABELS}}}", "values": " ".join(map(str, accumulate(row, initial=0)))} for name, row in rows]


def gauges(minutes: list[tuple[int, int]]) -> list[dict[str, str]]:
    """What the daemon shows at the end of the history, by a plain count."""
    shown = []
    for window in (*WINDOWS, "3d", "30d"):
        bad, events = counted(minutes, WINDOWS.get(window, MINUTES))
        place = f'service="jobs",slo="success",window="{window}"'
        shown += [
            {"series": f"qobs_slo_window_bad_events{{{place}}}", "values": f"_x{MINUTES - 30} {bad}x30"},
            {"series": f"qobs_slo_window_events{{{place}}}", "values": f"_x{MINUTES - 30} {events}x30"},
        ]
    return shown


def samples(minutes: list[tuple[int, int]]) -> list[dict[str, object]]:
    """Error ratios and burn rates that the history has, to nine digits: an increase is worked out in floating point."""
    checks: list[dict[str, object]] = []
    for window, width in WINDOWS.items():
        bad, events = counted(minutes, width)
        value = [{"labels": IDENTITY + f', sloth_window="{window}"}}', "value": round(1e9 * bad / events)}] if events else []
        checks.append({"expr": f"round(1e9 * slo:sli_error:ratio_rate{window})", "eval_time": ALERT_AT, "exp_samples": value})
    bad, events = counted(minutes, MINUTES)
    burn = [{"labels": IDENTITY + "}", "value": round(1e6 * bad / events / 0.05)}]
    checks.append({"expr": "round(1e6 * slo:period_burn_rate:ratio)", "eval_time": ALERT_AT, "exp_samples": burn})
    return checks


@pytest.mark.parametrize("mode", Mode)
def test_one_history_has_one_error_ratio(
    mode: Mode,
    objective: Callable[..., Objective],
    write: Callable[[Mapping[str, str]], Path],
    promtool: Any,
) -> None:
    """Whoever changes the mode must not get another truth: ratios of both are compared with a plain count of the same events."""
    minutes = history(7)
    files = dict(generate([objective()], mode=mode))
    identity = "jobs-success"
    groups = [f"sloth-slo-sli-recordings-{identity}", f"sloth-slo-meta-recordings-{identity}", f"sloth-slo-alerts-{identity}"]
    if mode is Mode.RECORDING:
        groups = [f"qobs-slo-counts-{identity}", groups[0], f"{groups[0]}-day", f"{groups[0]}-long", *groups[1:]]
    test = {
        "interval": "1m",
        "input_series": counters(minutes) if mode is Mode.RECORDING else gauges(minutes),
        "promql_expr_test": samples(minutes),
    }
    files["test.yaml"] = to_yaml(
        {
            "rule_files": ["alerts/rules/jobs-success.yaml"],
            "evaluation_interval": "5m",
            "group_eval_order": groups,
            "tests": [test],
        }
    )
    done = promtool("test", "rules", write(files) / "test.yaml")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
