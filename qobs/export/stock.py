"""The process's own metrics (``process_*``, ``python_*``) from prometheus_client, in a registry of their own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from qobs.export.render import Family


class StockMetrics:
    """What every Python program with prometheus_client shows of its process, interpreter and garbage collector."""

    def __init__(self) -> None:
        """Register the client's collectors; none of them has ``_created`` series."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def family(self) -> Family:
        """Their lines in both formats."""
        plain = generate_latest(self._registry).decode()
        # The client's OpenMetrics function has no annotations.
        openmetrics = str(generate_openmetrics(self._registry), "utf-8").removesuffix("# EOF\n")  # type: ignore[no-untyped-call]
        series = sum(1 for line in plain.splitlines() if line and not line.startswith("#"))
        return Family(plain, openmetrics, series)
