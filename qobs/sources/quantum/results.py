"""What the result readers of all providers share: limits, the record of a job, and the joining of classical registers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from qobs.model import Job
from qobs.result import Execution, Program
from qobs.sources.limits import Limits
from qobs.sources.redact import redact

RESULT_LIMITS = Limits(body_bytes=16 * 1024 * 1024, string_bytes=8 * 1024 * 1024, json_depth=64)
"""Circuits are long strings, and results long arrays: wider than a monitor's other answers, and still bounded."""

MOST_PROGRAMS = 64
"""Circuits of one job that are read; of a larger job it is the first ones."""

MOST_SHOTS = 1_000_000
"""Shots of one circuit that are counted one by one."""

_REASON = 200
_NAME = r"([A-Za-z_]\w{0,99})"
_DECLARED = re.compile(
    rf"\bbit(?:\s*+\[\s*+([0-9]{{1,6}})\s*+\]\s*+|\s++){_NAME}\s*+[;=]|\bcreg\s++{_NAME}\s*+(?:\[\s*+([0-9]{{1,6}})\s*+\])?\s*+;"
)
_COMMENT = re.compile(r"//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?")

Registers = Mapping[str, int]
"""Sizes of classical registers by name, in the order of declaration."""


def ran(job: Job, fetched_at: datetime, programs: Sequence[Program] = (), *, missing: str | None = None) -> Execution:
    """The record of one job: its programs, or why there are none (redacted, at most 200 characters)."""
    reason = None if missing is None else redact(missing)[:_REASON]
    if reason is None and not programs:
        reason = "the job has no circuits"
    return Execution(
        key=job.key,
        source=job.source,
        backend=job.backend or "",
        executed_at=job.started_at or job.ended_at or job.submitted_at or fetched_at,
        programs=() if reason is not None else tuple(programs),
        calibration_id=job.calibration_id,
        missing=reason,
    )


def seen_at(job: Job, polled_at: datetime) -> datetime:
    """When a result was asked for, as far as is known without a clock: not before the latest poll or the job's end."""
    return max(at for at in (polled_at, job.ended_at, job.updated_at) if at is not None)


def declared_registers(text: str) -> Registers:
    """Classical registers that an OpenQASM program declares, in that order; the last of a doubled name stands.

    Example:
        >>> dict(declared_registers("OPENQASM 3; bit[2] b; /* bit[9] x; */ bit a; qubit[3] q;"))
        {'b': 2, 'a': 1}
        >>> dict(declared_registers("OPENQASM 2.0; qreg q[3]; creg c0[1]; creg wide[12];"))
        {'c0': 1, 'wide': 12}
    """
    found: dict[str, int] = {}
    for size, name, old_name, old_size in _DECLARED.findall(_COMMENT.sub(" ", text)):
        found[name or old_name] = int(size or old_size or 1)
    return found


def joined(parts: Sequence[str]) -> str:
    """One outcome as Qiskit writes it: ``parts`` are the registers in declared order, the last one comes leftmost.

    Example:
        >>> joined(["110", "01"])
        '01 110'
    """
    return " ".join(reversed(parts))
