"""How close the process is to the edge of its memory and its disk.

Thresholds (reliability promises R7): memory at 75 % of the limit stops new polls, at 90 % the process leaves in good
order; disk under 10 % free stops optional writes, under 2 % stops polling while serving goes on.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

MEMORY_SOFT_RATIO = 0.75
MEMORY_HARD_RATIO = 0.90
DISK_SAVING_RATIO = 0.10
DISK_FULL_RATIO = 0.02

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class Level(Enum):
    """What to do about it."""

    NORMAL = 0
    SOFT = 1
    """Memory: start no new poll. Disk: no optional writes, prune early."""
    HARD = 2
    """Memory: shed and leave with exit code 3. Disk: poll nothing, serve what is there."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Bytes used and allowed; a limit of None means that none is set."""

    memory_bytes: int
    memory_limit_bytes: int | None
    disk_free_ratio: float

    @property
    def memory(self) -> Level:
        """Level of memory; NORMAL where no limit is set.

        Example:
            >>> Reading(80, 100, 0.5).memory
            <Level.SOFT: 1>
            >>> Reading(80, None, 0.5).memory
            <Level.NORMAL: 0>
        """
        if not self.memory_limit_bytes:
            return Level.NORMAL
        used = self.memory_bytes / self.memory_limit_bytes
        return Level.HARD if used >= MEMORY_HARD_RATIO else Level.SOFT if used >= MEMORY_SOFT_RATIO else Level.NORMAL

    @property
    def disk(self) -> Level:
        """Level of the disk that holds the store.

        Example:
            >>> Reading(0, None, 0.01).disk
            <Level.HARD: 2>
        """
        free = self.disk_free_ratio
        return Level.HARD if free < DISK_FULL_RATIO else Level.SOFT if free < DISK_SAVING_RATIO else Level.NORMAL


def read_pressure(store: Path, *, memory_limit_bytes: int | None = None) -> Reading:
    """Read the process's resident memory, its limit (given, else the cgroup's) and the free share of the store's disk."""
    usage = shutil.disk_usage(store if store.is_dir() else store.parent)
    return Reading(
        memory_bytes=resident_bytes(),
        memory_limit_bytes=memory_limit_bytes or cgroup_limit_bytes(),
        disk_free_ratio=usage.free / usage.total if usage.total else 1.0,
    )


def resident_bytes() -> int:
    """Resident set size of this process in bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * 4096


def cgroup_limit_bytes() -> int | None:
    """Memory limit of the enclosing cgroup in bytes; None without one."""
    for path in _CGROUP_LIMITS:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:
            return int(text)
    return None
