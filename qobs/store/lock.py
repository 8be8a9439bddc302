"""The lock file beside the database: one daemon a file, and a note whether it was closed in order.

The file stays when the lock is released: removing it would let two processes lock two different files of one name.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from qobs.errors import StoreError, StoreFull, StoreLocked

_NETWORK = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "fuse.ceph", "glusterfs", "fuse.glusterfs", "lustre",
        "gpfs", "beegfs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "davfs", "fuse.davfs2",
    }
)  # fmt: skip
"""File systems whose locks or shared memory SQLite cannot rely on."""


def lock_path(path: Path) -> Path:
    """Where the lock file of a database lies."""
    return path.with_name(path.name + ".lock")


def network_file_system(path: Path, mounts: str) -> str | None:
    r"""Type of the network file system that holds the path; None for a local one.

    Args:
        path: An absolute path without symbolic links.
        mounts: Text in the format of ``/proc/self/mounts``.

    Example:
        >>> network_file_system(Path("/data/q.db"), "disk / ext4 rw 0 0\nsrv:/x /data nfs4 rw 0 0")
        'nfs4'
    """
    best, found = -1, ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " "))
        if (path == point or point in path.parents) and len(point.parts) >= best:
            best, found = len(point.parts), fields[2]
    return found if found in _NETWORK else None


def refuse_network_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Raise where SQLite's locks could not be trusted.

    Raises:
        StoreError: the directory lies on a network file system.
    """
    try:
        text = mounts.read_text(errors="replace")
    except OSError:
        return  # not Linux: nothing to read, and nothing to claim
    kind = network_file_system(path.parent.resolve() / path.name, text)
    if kind is not None:
        raise StoreError(
            f"{path}: lies on a {kind} file system, a local one is needed: SQLite's locks do not hold over a network"
        )


class FileLock:
    """An exclusive lock on ``<database>.lock``, held until :meth:`release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Take the lock of the database at ``path``.

        Raises:
            StoreLocked: another process holds it; the message names its pid.
            StoreFull: the directory cannot be written.
            StoreError: the directory does not exist.
        """
        self._path = lock_path(path)
        self._file = _open(self._path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = _note(self._file).get("pid", "unknown")
            os.close(self._file)
            raise StoreLocked(f"{path}: already in use by process {pid}: one daemon a store, stop that one first") from error
        state = _note(self._file).get("state")
        self.was_used = state is not None
        """True if a store was opened here before."""
        self.was_open = state == "open"
        """True if the last holder did not close it in order."""

    def mark(self, state: str) -> None:
        """Write pid and state (``open``, ``closed``) into the file."""
        text = f"pid={os.getpid()}\nstate={state}\n".encode()
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._file)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise StoreError(f"{path.parent}: no such directory: create it, or set another `store`") from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull(f"{path.parent}: {error.strerror}: the store needs a writable directory with free space") from error
        raise StoreError(f"{path}: {error.strerror}") from error


def _note(file: int) -> dict[str, str]:
    text = os.pread(file, 200, 0).decode(errors="replace")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
