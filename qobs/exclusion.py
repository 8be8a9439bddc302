"""Maintenance and other times that do not count, and the record of who said so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance window: events of ``scope`` in [``from_at``, ``to_at``) leave the budget, and notifications are muted.

    ``scope`` maps a label of a series (provider, source, backend, priority, workload, team, sli) or of an objective (slo,
    service, and its document's own labels) to the values that it covers; all of them must match; empty: everything.
    ``withdrawn_at`` None: in force.
    """

    id: str
    from_at: datetime
    to_at: datetime
    reason: str
    scope: Mapping[str, tuple[str, ...]] = {}
    author: str = ""
    created_at: datetime | None = None
    withdrawn_at: datetime | None = None


class ExclusionChange(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit: who did what to an exclusion, and when. ``action`` is added, changed, withdrawn or restored."""

    id: str
    at: datetime
    action: str
    author: str
    detail: str = ""
