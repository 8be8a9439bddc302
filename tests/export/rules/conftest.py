"""Objectives to generate rules from, and Prometheus' and Alertmanager's own tools to judge what comes out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from qobs.slo.objective import NativeSource, Objective, Pair, Rolling, Severity
from qobs.slo.openslo import load_objectives

ROOT = Path(__file__).parents[3]

Tool = Callable[..., "subprocess.CompletedProcess[str]"]


def pair(severity: Severity, tier: str, long_minutes: int, short_minutes: int, factor: str) -> Pair:
    return Pair(
        severity=severity,
        tier=tier,
        long=timedelta(minutes=long_minutes),
        short=timedelta(minutes=short_minutes),
        factor=Decimal(factor),
    )


FAST = pair(Severity.PAGE, "fast", 60, 5, "14.4")
DEFAULT = (
    FAST,
    pair(Severity.PAGE, "medium", 360, 30, "6"),
    pair(Severity.PAGE, "slow", 1440, 120, "3"),
    pair(Severity.TICKET, "slow", 4320, 360, "1"),
)


@pytest.fixture(scope="session")
def objective() -> Callable[..., Objective]:
    """Makes an objective of 95 % job success with the default pairs, changed as asked."""

    def make(**changes: Any) -> Objective:
        given: dict[str, Any] = {
            "slo": "success",
            "service": "jobs",
            "name": "0",
            "target": Decimal("0.95"),
            "window": Rolling(length=timedelta(days=30)),
            "source": NativeSource(sli="job_success", where={"priority": ("high",)}),
            "pairs": DEFAULT,
            "file": "slo/success.yaml",
        }
        return Objective(**(given | changes))

    return make


@pytest.fixture(scope="session")
def fast() -> Pair:
    """The pair of one hour and five minutes."""
    return FAST


@pytest.fixture(scope="session")
def catalogue() -> tuple[Objective, ...]:
    """The objectives that qobs comes with."""
    loaded = load_objectives([(path.name, path.read_text()) for path in sorted((ROOT / "slo").glob("*.yaml"))])
    assert loaded.warnings == ()
    return loaded.objectives


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Writes generated files below a folder of their own."""

    def write_all(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write_all


def _tool(name: str) -> Tool:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NO {name.upper()}: install Debian's packages `prometheus` and `prometheus-alertmanager` to run this test")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [found, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.fixture(scope="session")
def promtool() -> Tool:
    """Prometheus' own judge of rules."""
    return _tool("promtool")


@pytest.fixture(scope="session")
def amtool() -> Tool:
    """Alertmanager's own judge of its configuration."""
    return _tool("amtool")
