"""The exposition: a snapshot goes in, the bytes of both formats come out, and scrapes are served from those bytes.

:meth:`Exposition.refresh` does all the work and belongs in a worker thread; :meth:`Exposition.rendered` is a look-up, so that
any number of scrapes costs the event loop nothing, and a scrape never asks a store or a provider.
"""

from __future__ import annotations

import gzip
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from qobs.clock import Clock
from qobs.export.budget import Budget, Folder, weight
from qobs.export.metrics import STATE_ROWS
from qobs.export.negotiation import Format, negotiate
from qobs.export.render import Family, FamilyRenderer
from qobs.export.rows_self import EXPORTER_ROWS
from qobs.export.snapshot import ExporterState, Snapshot
from qobs.export.stock import StockMetrics
from qobs.export.table import Kind, Metric, Tier

LOG = logging.getLogger("qobs.export")
GZIP_LEVEL = 1
"""Ten to one already, for a third of the time that level 6 takes."""


class Rendered(msgspec.Struct, frozen=True):
    """One format of one moment, ready to be sent plain or packed with gzip."""

    content_type: str
    plain: bytes
    packed: bytes
    series: int


class Exposition:
    """Holds the latest rendered bytes."""

    def __init__(
        self,
        clock: Clock,
        *,
        budget: Budget | None = None,
        rows: tuple[Metric, ...] = STATE_ROWS,
        stock: StockMetrics | None = None,
        min_interval_seconds: float = 1.0,
    ) -> None:
        """``stock`` adds the process's own metrics (None: left out). Renders are at least ``min_interval_seconds`` apart."""
        self._clock = clock
        self._budget = budget or Budget()
        self._stock = stock
        self._min_interval_seconds = min_interval_seconds
        self._renderers = tuple(FamilyRenderer(metric) for metric in rows)
        self._meta = tuple(FamilyRenderer(metric) for metric in EXPORTER_ROWS)
        self._folder = Folder(self._budget)
        self._dropped: Counter[str] = Counter(dict.fromkeys((metric.name for metric in (*rows, *EXPORTER_ROWS)), 0))
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._rendered: Mapping[Format, Rendered] = {}
        self._rendered_at: float | None = None
        self._render_seconds: float | None = None

    def rendered(self, accept: str = "") -> Rendered | None:
        """The latest bytes in the format that suits an Accept header; None before the first refresh."""
        return self._rendered.get(negotiate(accept))

    @property
    def series(self) -> int:
        """Series of the latest render, 0 before the first."""
        return next((rendered.series for rendered in self._rendered.values()), 0)

    def refresh(self, snapshot: Snapshot) -> bool:
        """Render ``snapshot``; False, with nothing changed, where the last render is too fresh or one is going on."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            started = self._clock.monotonic()
            if self._rendered_at is not None and started - self._rendered_at < self._min_interval_seconds:
                return False
            self._rendered = self._render(snapshot)
            self._rendered_at = started
            self._render_seconds = self._clock.monotonic() - started
            return True
        finally:
            self._lock.release()

    def _render(self, snapshot: Snapshot) -> dict[Format, Rendered]:
        families = [self._family(renderer, snapshot) for renderer in self._renderers]
        stock = Family("", "", 0) if self._stock is None else self._stock.family()
        reserved = stock.series + _series(self._about(snapshot, series=0))
        families = self._within_total(families, self._budget.total - reserved)
        series = reserved + _series(families)
        families += [*self._about(snapshot, series=series), stock]
        plain = "".join(family.plain for family in families)
        openmetrics = "".join(family.openmetrics for family in families) + "# EOF\n"
        return {
            Format.TEXT: _pack(Format.TEXT, plain, series),
            Format.OPENMETRICS: _pack(Format.OPENMETRICS, openmetrics, series),
        }

    def _family(self, renderer: FamilyRenderer, snapshot: Snapshot) -> Family:
        """One family within its own limits; a row that fails is a bug: loud once, counted, and the others stand."""
        name = renderer.metric.name
        try:
            samples: list[Any] = list(renderer.metric.value(snapshot))
            fitted = self._folder.fit(renderer.metric, samples)
            exemplars = snapshot.exemplars.get(name, {})
            histogram = renderer.metric.kind is Kind.HISTOGRAM
            family = (renderer.histograms if histogram else renderer.numbers)(fitted, exemplars)
        except Exception:
            if not self._failures[name]:
                LOG.exception("family failed to render and is left out: family=%s", name)
            self._failures[name] += 1
            return Family("", "", 0)
        self._drop(name, weight(samples) - weight(fitted))
        return family

    def _drop(self, name: str, series: int) -> None:
        if series and not self._dropped[name]:
            LOG.warning("series left out to stay within the limits: family=%s series=%d", name, series)
        self._dropped[name] += series

    def _within_total(self, families: list[Family], total: int) -> list[Family]:
        """Leave out whole families until the rest fits: tier full first, and of a tier the last in the table first."""
        excess = _series(families) - total
        metrics = [renderer.metric for renderer in self._renderers]
        victims = sorted(range(len(families)), key=lambda index: (metrics[index].tier is not Tier.FULL, -index))
        for index in victims:
            if excess <= 0:
                break
            excess -= families[index].series
            self._drop(metrics[index].name, families[index].series)
            families[index] = Family("", "", 0)
        return families

    def _about(self, snapshot: Snapshot, *, series: int) -> list[Family]:
        """The exposition about itself: sizes and durations are those of the render before."""
        state = ExporterState(
            series=series,
            series_limit=self._budget.total,
            dropped=dict(self._dropped),
            failures=dict(self._failures),
            render_seconds=self._render_seconds,
            body_bytes={form.name.lower(): len(rendered.plain) for form, rendered in self._rendered.items()},
        )
        return [self._family(renderer, msgspec.structs.replace(snapshot, exporter=state)) for renderer in self._meta]


def _series(families: Iterable[Family]) -> int:
    return sum(family.series for family in families)


def _pack(form: Format, text: str, series: int) -> Rendered:
    # A provider's lone surrogate cannot be encoded: it becomes a question mark rather than an end of all metrics.
    plain = text.encode("utf-8", "replace")
    return Rendered(form.value, plain, gzip.compress(plain, GZIP_LEVEL, mtime=0), series)
