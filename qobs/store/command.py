"""What ``qobs store info|verify|backup|prune`` prints: text for people, or JSON. Only the CLI wires it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from qobs.store.base import Inspectable, Store


class Output(msgspec.Struct, frozen=True):
    """Text to print and the exit status: 0 good, 1 findings."""

    text: str
    status: int = 0


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def info(store: Inspectable, *, as_json: bool = False) -> Output:
    """Size, rows and schema of the store."""
    found = store.info()
    if as_json:
        return Output(_json(found))
    lines = [
        f"location        {found.location}",
        f"engine          {found.engine}",
        f"schema version  {found.schema_version}",
        f"size            {found.size_bytes:,} bytes, and {found.wal_bytes:,} in the log",
        f"jobs            {_time(found.oldest_job_at)} to {_time(found.newest_job_at)}",
        *(f"{table:<15} {count:,} rows" for table, count in found.rows.items()),
    ]
    return Output("\n".join(lines))


def verify(store: Inspectable, *, as_json: bool = False) -> Output:
    """Every difference between the store and what its own history makes of it."""
    found = store.verify()
    status = 1 if found else 0
    if as_json:
        return Output(_json({"ok": not found, "differences": found}), status)
    return Output("\n".join(found) if found else "the store is sound: rows and counts are what the history makes of them", status)


def backup(store: Inspectable, target: Path, *, as_json: bool = False) -> Output:
    """Write a checked copy of the store."""
    store.backup(target)
    size = target.stat().st_size
    if as_json:
        return Output(_json({"target": str(target), "size_bytes": size}))
    return Output(f"{target}: {size:,} bytes, opened and checked")


def prune(store: Store, now: datetime, *, as_json: bool = False) -> Output:
    """Apply retention now."""
    removed = dict(store.prune(now))
    if as_json:
        return Output(_json({"removed": removed}))
    return Output("\n".join(f"{table:<15} {count:,} rows removed" for table, count in removed.items()))


def _time(at: datetime | None) -> str:
    return "-" if at is None else at.isoformat()
