"""What the shared suite must know of IBM."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from qobs.lab import ibm
from qobs.lab.clock import LabClock
from qobs.lab.world import Cloud
from qobs.secret import Secret
from qobs.sources.base import Settings

LISTING = "/api/v1/jobs"
SECRETS = (ibm.API_KEY,)


def cloud(seed: int, begins_at: datetime) -> Cloud:
    """The default cloud: 41 jobs an hour."""
    return ibm.default_cloud(seed, begins_at)


def application(plan: Cloud, clock: LabClock) -> web.Application:
    """The emulated service and its token exchange."""
    return ibm.application(plan, clock)


def settings(url: str) -> Settings:
    """A source that reads the emulated service, 30 jobs a page."""
    options = {"instance": ibm.INSTANCE, "url": f"{url}/api/v1", "iam_url": url, "page_size": 30}
    return Settings(name="contract", type="ibm", credentials={"api_key": lambda: Secret(ibm.API_KEY)}, options=options)


def rows(page: Any) -> list[dict[str, Any]]:
    """The rows of a listing's page."""
    found: list[dict[str, Any]] = page["jobs"]
    return found


def unknown_state(row: dict[str, Any], word: str) -> None:
    """Give the row a state that nobody has heard of."""
    row["status"] = word
    row["state"] = {"status": word, "reason": None}


def wrong_type(row: dict[str, Any]) -> None:
    """Break the row so that it cannot be read."""
    row["created"] = {"not": "a time"}
