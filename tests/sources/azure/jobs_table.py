"""Rebuilds ``tests/fixtures/azure/jobs_table.csv`` from the recording without a line of qobs.

It is the second opinion on the source's reading of time and state, so it shares nothing with it: times are cut apart
by a regular expression and counted in whole microseconds since 1970, states come from the two words that occur.

Run from the repository's root: ``python tests/sources/azure/jobs_table.py``.
"""

from __future__ import annotations

import calendar
import csv
import gzip
import json
import re
from pathlib import Path
from typing import Any

import yaml

FIXTURES = Path(__file__).parents[2] / "fixtures" / "azure"
COLUMNS = ("id", "backend", "raw_status", "state", "submitted_at", "started_at", "ended_at", "queue_seconds")
WORDS = {"Succeeded": "completed", "Failed": "failed"}
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|\+00:00)")


def micros(text: str | None) -> int | None:
    """Whole microseconds since 1970: digits beyond the sixth are cut off, not rounded."""
    if text is None:
        return None
    match = TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    whole = calendar.timegm((*map(int, match.groups()[:6]), 0, 0, 0))
    return whole * 1_000_000 + int(((match.group(7) or "") + "000000")[:6])


def to_the_microsecond(text: str | None) -> str:
    """The provider's text with exactly six fraction digits and a ``Z``; empty where it told nothing."""
    match = TIME.fullmatch(text or "")
    return "" if match is None else f"{(text or '')[:19]}.{((match.group(7) or '') + '000000')[:6]}Z"


def recorded_jobs() -> list[dict[str, Any]]:
    """Every row of every page of the recorded listing, in its order."""
    text = gzip.decompress((FIXTURES / "recordings" / "list_jobs_orderby_desc.yaml.gz").read_bytes())
    exchanges = yaml.load(text, Loader=yaml.CSafeLoader)["interactions"]
    pages = [each["response"]["body"]["string"] for each in exchanges if "/jobs?" in each["request"]["uri"]]
    return [job for page in pages for job in json.loads(page)["value"]]


def row(job: dict[str, Any]) -> list[Any]:
    """One line of the table; an empty cell is a time that the provider did not tell."""
    times = [job[key] for key in ("creationTime", "beginExecutionTime", "endExecutionTime")]
    created, began, _ = (micros(time) for time in times)
    queued = "" if began is None or created is None else f"{(began - created) / 1_000_000:.6f}"
    return [job["id"], job["target"], job["status"], WORDS[job["status"]], *map(to_the_microsecond, times), queued]


def main() -> None:
    """Write the table beside the recordings."""
    with (FIXTURES / "jobs_table.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(row(job) for job in recorded_jobs())


if __name__ == "__main__":
    main()
