"""What goes in and what comes out: the counts that are read, and the record of what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from qobs.columns import BatchCount, Columns
from qobs.model import Series
from qobs.slo.objective import Evaluation, Objective, Severity


class BucketReader(Protocol):
    """Counts that somebody keeps: a store, as :class:`qobs.store.base.Store` describes these methods."""

    def hour_columns(self, since: datetime) -> Columns:
        """Sums of whole hours that start at or after ``since``, in order of time."""
        ...

    def bucket_columns(
        self, since: datetime, until: datetime | None = None, *, series: Iterable[Series] | None = None
    ) -> Columns:
        """Buckets that start in [``since``, ``until``), in order of time; ``series`` given: of these alone."""
        ...

    def first_buckets(self) -> Mapping[Series, datetime]:
        """When each series' oldest kept bucket starts."""
        ...

    def batches(self, since: datetime) -> tuple[BatchCount, ...]:
        """Events by series and group, of the groups that had an event at or after ``since``."""
        ...


class LiveEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an objective at ``evaluated_at``.

    ``evaluation`` is of the moment at which anything last changed (its own ``at``), and holds until ``evaluated_at``. An alert
    that fires has fired since ``since``, by (severity, tier); alerts that do not fire are not named there. ``silent_sources``
    had events of the objective within its period and do not answer now. ``design_effect`` is the largest of its streams (1: all
    events stand alone); None for time slices.
    """

    objective: Objective
    evaluation: Evaluation
    since: Mapping[tuple[Severity, str], datetime]
    silent_sources: tuple[str, ...]
    design_effect: float | None
    evaluated_at: datetime
