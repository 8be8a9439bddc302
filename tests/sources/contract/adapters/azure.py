"""What the shared suite must know of Azure: it signs in as an application, which is the longer way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from qobs.lab import azure
from qobs.lab.clock import LabClock
from qobs.lab.world import Cloud
from qobs.secret import Secret
from qobs.sources.base import Settings

LISTING = "*/workspaces/*/jobs"
SECRETS = (azure.CLIENT_SECRET,)


def cloud(seed: int, begins_at: datetime) -> Cloud:
    """The default cloud: 51 jobs an hour."""
    return azure.default_cloud(seed, begins_at)


def application(plan: Cloud, clock: LabClock) -> web.Application:
    """The emulated workspace and its sign-in service."""
    return azure.application(plan, clock)


def settings(url: str) -> Settings:
    """A source that reads the emulated workspace, 30 jobs a page."""
    options = {
        "subscription_id": azure.SUBSCRIPTION_ID,
        "resource_group": azure.RESOURCE_GROUP,
        "workspace": azure.WORKSPACE,
        "location": "eastus",
        "url": url,
        "authority": url,
        "page_size": 30,
    }
    credentials = {
        "tenant_id": lambda: Secret(azure.TENANT_ID),
        "client_id": lambda: Secret(azure.CLIENT_ID),
        "client_secret": lambda: Secret(azure.CLIENT_SECRET),
    }
    return Settings(name="contract", type="azure", credentials=credentials, options=options)


def rows(page: Any) -> list[dict[str, Any]]:
    """The rows of a listing's page."""
    found: list[dict[str, Any]] = page["value"]
    return found


def unknown_state(row: dict[str, Any], word: str) -> None:
    """Give the row a state that nobody has heard of."""
    row["status"] = word


def wrong_type(row: dict[str, Any]) -> None:
    """Break the row so that it cannot be read."""
    row["creationTime"] = {"not": "a time"}
