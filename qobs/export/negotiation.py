"""Which of the two formats a scraper gets: OpenMetrics 1.0.0 or text 0.0.4, nothing newer and nothing else.

A scraper that asks for a newer OpenMetrics gets 1.0.0, one that asks for anything unknown (protobuf, say) gets text, as the
Prometheus exposition rules want; a scrape is never refused for its Accept header.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Format(Enum):
    """A format and the Content-Type that it is served with."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class _Range(NamedTuple):
    media: str
    version: str
    quality: float


def negotiate(accept: str) -> Format:
    """The format for an Accept header (empty: none was sent).

    Example:
        >>> negotiate("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5").name
        'OPENMETRICS'
        >>> negotiate("*/*").name
        'TEXT'
    """
    ranges = [parsed for part in accept.split(",") if (parsed := _parse(part)) is not None]
    openmetrics = max(
        (r.quality for r in ranges if r.media == "application/openmetrics-text" and _is_one(r.version)), default=0.0
    )
    text = max((r.quality for r in ranges if r.media in ("text/plain", "text/*")), default=0.0)
    return Format.OPENMETRICS if openmetrics > 0 and openmetrics >= text else Format.TEXT


def _is_one(version: str) -> bool:
    """True for a scraper that reads 1.0.0 or was written after it; 0.0.1 came before."""
    major = version.partition(".")[0]
    return not version or (major.isdecimal() and int(major) >= 1)


def _parse(part: str) -> _Range | None:
    """One media range; None for one that cannot be read."""
    media, *parameters = (piece.strip() for piece in part.split(";"))
    pairs = {key.strip().lower(): value.strip().strip('"') for key, _, value in (p.partition("=") for p in parameters)}
    try:
        quality = float(pairs.get("q", "1"))
    except ValueError:
        return None
    return _Range(media.lower(), pairs.get("version", ""), quality) if 0 <= quality <= 1 else None
