"""The commands under a pipe that closes early, and with odd numbers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def qobs(*arguments: str, output: int) -> subprocess.CompletedProcess[str]:
    """Run with standard output buffered, as in a user's shell."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "qobs", *arguments]
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, env=environ, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [("--help",), ("store", "info", "--json", "--path", "missing"), ("check", "--schema")])
def test_a_reader_that_leaves_early_gets_no_traceback(arguments):
    """`qobs … | head -1` must not end in a Python complaint about its own exit."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        told = qobs(*arguments, output=writing)
    finally:
        os.close(writing)
    assert told.stderr == ""
    assert told.returncode == 1


@pytest.mark.parametrize("speed", ["nan", "inf", "0"])
def test_a_speed_that_is_none_is_refused_in_words(speed):
    """A slip in --speed must be explained, not answered by a traceback."""
    told = qobs("demo", "--port", "0", "--speed", speed, output=subprocess.DEVNULL)
    assert told.returncode == 2
    assert "--speed must be" in told.stderr
    assert "Traceback" not in told.stderr
