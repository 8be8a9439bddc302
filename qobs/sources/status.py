"""HTTP status codes as errors: which are tried again, and what each means to a poll."""

from __future__ import annotations

from qobs.errors import BadPayload, Refused, SourceError, Unavailable, Unreachable
from qobs.model import Reason

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 530)})
"""Statuses that may pass by themselves; 520-529 are those of content delivery networks."""


def status_error(status: int, where: str, retry_after: float | None = None) -> SourceError:
    """The error of an answer that was not accepted; ``where`` is method, host and endpoint, never the URL."""
    text = f"{where}: HTTP {status}"
    if status == 401:
        return Refused(text, reason=Reason.AUTH)
    if status == 403:
        return Refused(text, reason=Reason.FORBIDDEN)
    if status in (404, 410):
        return Refused(text, reason=Reason.NOT_FOUND)
    if status == 429:
        return Refused(text, reason=Reason.RATE_LIMITED, retry_after_seconds=retry_after)
    if status == 408:
        return Unreachable(text, reason=Reason.TIMEOUT, retry_after_seconds=retry_after)
    if status == 425 or status >= 500:
        return Unavailable(text, retry_after_seconds=retry_after)
    if 300 <= status < 400:
        return BadPayload(f"{text}: redirects are not followed")
    if 400 <= status < 500:
        return Refused(text, reason=Reason.OTHER)
    return BadPayload(f"{text}: not an answer that was asked for")


def status_class(status: int) -> str:
    """``2xx`` … ``5xx``, or ``other``: a bounded label."""
    return f"{status // 100}xx" if 100 <= status < 600 else "other"
