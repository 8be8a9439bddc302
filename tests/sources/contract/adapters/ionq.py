"""What the shared suite must know of IonQ."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from qobs.lab import ionq
from qobs.lab.clock import LabClock
from qobs.lab.world import Cloud
from qobs.secret import Secret
from qobs.sources.base import Settings

LISTING = "/v0.4/jobs"
SECRETS = (ionq.API_KEY,)


def cloud(seed: int, begins_at: datetime) -> Cloud:
    """The default cloud: 24 jobs an hour."""
    return ionq.default_cloud(seed, begins_at)


def application(plan: Cloud, clock: LabClock) -> web.Application:
    """The emulated service."""
    return ionq.application(plan, clock)


def settings(url: str) -> Settings:
    """A source that reads the emulated service."""
    return Settings(name="contract", type="ionq", credentials={"api_key": lambda: Secret(ionq.API_KEY)}, options={"url": url})


def rows(page: Any) -> list[dict[str, Any]]:
    """The rows of a listing's page."""
    found: list[dict[str, Any]] = page["jobs"]
    return found


def unknown_state(row: dict[str, Any], word: str) -> None:
    """Give the row a state that nobody has heard of."""
    row["status"] = word


def wrong_type(row: dict[str, Any]) -> None:
    """Break the row so that it cannot be read."""
    row["submitted_at"] = {"not": "a time"}
