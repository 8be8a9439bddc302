"""What of an IonQ job the schema has no place for, and the redaction of all text of a page.

Rows of a page repeat most of their words, so each word is looked at once: redaction is what reading a page costs most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from qobs.sources.decode import EXTRA_BYTES, extra_json
from qobs.sources.quantum.ionq_wire import WireJobV03, WireJobV04, WireStats
from qobs.sources.redact import redact, redact_json

MAX_TEXT = 200
"""Longest name, tag or word that is kept, in characters."""


class Clean:
    """Redaction with a memory, to be made anew for each page."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._texts: dict[str, str] = {}
        self._objects: dict[bytes, msgspec.Raw] = {}

    def text(self, value: object) -> str | None:
        """The first 200 characters, redacted; None for an empty string and for what is no string."""
        if not value or not isinstance(value, str):
            return None
        known = self._texts.get(value)
        if known is None:
            known = self._texts[value] = redact(value[:MAX_TEXT])
        return known

    def json(self, value: Mapping[str, Any] | None) -> msgspec.Raw | None:
        """An object as redacted JSON; None for an empty one."""
        if not value:
            return None
        encoded = msgspec.json.encode(value)
        known = self._objects.get(encoded)
        if known is None:
            known = self._objects[encoded] = msgspec.Raw(msgspec.json.encode(redact_json(value)))
        return known


class Extra(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members of ``Job.extra``: numbers as sent, texts redacted."""

    children: int | None = None
    cost_model: str | None = None
    dry_run: bool | None = None
    execution_duration_ms: float | None = None
    gates_1q: int | None = None
    kwh: float | None = None
    noise: msgspec.Raw | None = None
    predicted_execution_duration_ms: float | None = None
    predicted_quantum_compute_time_us: float | None = None
    predicted_wait_time_ms: float | None = None
    project_id: str | None = None
    settings: msgspec.Raw | None = None
    type: str | None = None
    user_agent: str | None = None


def extra_v04(wire: WireJobV04, stats: WireStats, unknown: Mapping[str, Any], clean: Clean) -> str | None:
    """``Job.extra`` of a v0.4 row."""
    extra = Extra(
        children=len(wire.child_job_ids) if wire.child_job_ids else None,
        cost_model=clean.text(wire.cost_model),
        dry_run=wire.dry_run or None,
        execution_duration_ms=wire.execution_duration_ms,
        gates_1q=(stats.gate_counts or {}).get("1q"),
        kwh=stats.kwh,
        noise=clean.json(wire.noise),
        predicted_execution_duration_ms=wire.predicted_execution_duration_ms,
        predicted_quantum_compute_time_us=stats.predicted_quantum_compute_time_us,
        predicted_wait_time_ms=wire.predicted_wait_time_ms,
        project_id=clean.text(wire.project_id),
        settings=clean.json(wire.settings),
        type=clean.text(wire.type),
        user_agent=clean.text((wire.metadata or {}).get("user_agent")),
    )
    return _text(extra, unknown)


def extra_v03(wire: WireJobV03, unknown: Mapping[str, Any], clean: Clean) -> str | None:
    """``Job.extra`` of a v0.3 row, under the names of v0.4."""
    extra = Extra(
        children=len(wire.children) if wire.children else None,
        execution_duration_ms=wire.execution_time,
        gates_1q=(wire.gate_counts or {}).get("1q"),
        noise=clean.json(wire.noise),
        predicted_execution_duration_ms=wire.predicted_execution_time,
        settings=clean.json({"error_mitigation": wire.error_mitigation} if wire.error_mitigation else None),
        user_agent=clean.text((wire.metadata or {}).get("user_agent")),
    )
    return _text(extra, unknown)


def _text(extra: Extra, unknown: Mapping[str, Any]) -> str | None:
    encoded = msgspec.json.encode(extra)
    if unknown or len(encoded) > EXTRA_BYTES:
        known = {name: value for name, value in structs.asdict(extra).items() if value is not None}
        plain = {name: msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value for name, value in known.items()}
        return extra_json({**unknown, **plain})
    return None if encoded == b"{}" else encoded.decode()
