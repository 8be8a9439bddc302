"""The store under ``kill -9``, and the harness under a planted bug."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _campaign(*options: str) -> tuple[int, dict]:
    """A campaign in its own, single-threaded process: it forks."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(Path(__file__).with_name("run.py")), *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_r1_r2_r3_hold_after_each_of_100_kills() -> None:
    """A lost, doubled or misordered transition after a crash would make every budget a guess."""
    code, result = _campaign("--kills", "100", "--seed", "1")
    assert result["failures"] == []
    assert code == 0
    assert result["kills"] == 100
    assert result["in_opening"] > 0
    assert result["pages"] > 50


def test_harness_catches_a_cursor_that_is_written_before_its_data() -> None:
    """A harness that cannot fail proves nothing: the planted bug must be found."""
    code, result = _campaign("--kills", "100", "--seed", "1", "--store", "leading-cursor")
    assert code == 1
    assert any("R2/R3" in line or "R3" in line for line in result["failures"])
