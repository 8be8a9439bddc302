"""Structured logs on the standard library: one event a line, as logfmt or JSON, times in UTC.

An event is a constant word; what varies goes into fields::

    log = logging.getLogger("qobs.poller")
    log.info("poll finished", extra={"source": "ibm-research", "pages": 3})

The state of something is logged when it changes (:class:`Changes`), not at every poll; what repeats is held back and
counted (:class:`RateLimit`). Nothing is configured at import: :func:`setup` is called by the command that runs.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TextIO

_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/+@%,*[]<>()")

MAX_VALUE_CHARS = 4_096
"""A longer value is cut, so that no provider's answer can flood the log."""


def event_fields(record: logging.LogRecord) -> dict[str, object]:
    """The record as ordered fields: time, level, logger, event, then those of ``extra``, then a traceback if there is one."""
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields: dict[str, object] = {
        "time": at,
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": record.getMessage(),
    }
    for name, value in vars(record).items():
        if name not in _OWN and not name.startswith("_"):
            fields[f"field_{name}" if name in fields else name] = value
    if record.exc_info and record.exc_info[0] is not None:
        fields["exception"] = record.exc_info[0].__name__
        fields["traceback"] = record.exc_text or logging.Formatter().formatException(record.exc_info)
    elif record.exc_text:  # a filter took the exception away and left its cleaned text
        fields["traceback"] = record.exc_text
    return {name: _bounded(value) for name, value in fields.items()}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; non-ASCII and control characters are escaped."""
        return json.dumps(event_fields(record), default=str)


class Logfmt(logging.Formatter):
    """One line of ``key=value``, values quoted where they need it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        return " ".join(f"{_word(name)}={_quoted(value)}" for name, value in event_fields(record).items())


class RateLimit(logging.Filter):
    """Lets ``burst`` equal events (logger, level, text and ``source``) a ``window_seconds`` through and counts the rest.

    The first event of the next window carries ``suppressed``, the number held back. Warnings of different sources do not
    hold back each other, and at most ``max_kinds`` kinds of events are remembered.
    """

    def __init__(
        self,
        *,
        burst: int = 10,
        window_seconds: float = 60.0,
        max_kinds: int = 1_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """All numbers are positive; ``monotonic`` gives seconds that only grow."""
        super().__init__()
        self._burst = burst
        self._window_seconds = window_seconds
        self._max_kinds = max_kinds
        self._monotonic = monotonic
        self._kinds: OrderedDict[tuple[str, int, str, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        kind = (record.name, record.levelno, str(record.msg), str(getattr(record, "source", "")))
        now = self._monotonic()
        since, seen = self._kinds.pop(kind, (now, 0))
        if now - since >= self._window_seconds:
            if seen > self._burst:
                record.suppressed = seen - self._burst
            since, seen = now, 0
        self._kinds[kind] = (since, seen + 1)
        while len(self._kinds) > self._max_kinds:
            self._kinds.popitem(last=False)
        return seen < self._burst


class Changes:
    """Remembers the last state of named things, and logs a state only when it differs from the one before.

    Example:
        >>> changes = Changes(logging.getLogger("doctest"))
        >>> [changes.note("ibm", ok, "source recovered" if ok else "source fails") for ok in (True, False, False, True)]
        [False, True, False, True]
    """

    def __init__(self, log: logging.Logger) -> None:
        """Everything begins as well: the first bad state is a change, the first good one is not."""
        self._log = log
        self._failing: set[str] = set()

    def note(self, name: str, ok: bool, event: str, fields: Mapping[str, object] | None = None) -> bool:
        """Log ``event`` if ``ok`` differs from the last time; a warning for a failure, an info for a recovery.

        Returns:
            Whether it was a change.
        """
        if ok is (name not in self._failing):
            return False
        (self._failing.discard if ok else self._failing.add)(name)
        self._log.log(logging.INFO if ok else logging.WARNING, event, extra={"subject": name, **(fields or {})})
        return True


def setup(
    *, stream: TextIO, level: str = "info", style: str = "logfmt", filters: Iterable[logging.Filter] = ()
) -> logging.Handler:
    """Send the events of ``qobs`` and of the libraries under it to ``stream``, replacing what an earlier call set up.

    Args:
        stream: Where lines go; standard error for the daemon.
        level: ``debug``, ``info``, ``warning`` or ``error``; libraries speak from warning on.
        style: ``logfmt`` or ``json``.
        filters: Run on every event that is written, in order: the redaction of secrets belongs here.

    Returns:
        The handler, for a caller that wants to take it away again.
    """
    handler = logging.StreamHandler(stream)
    handler.set_name("qobs")
    handler.setFormatter(JsonLines() if style == "json" else Logfmt())
    for each in filters:
        handler.addFilter(each)
    root = logging.getLogger()
    for known in [known for known in root.handlers if known.get_name() == "qobs"]:
        root.removeHandler(known)
    root.addHandler(handler)
    logging.getLogger("qobs").setLevel(level.upper())
    return handler


def _bounded(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}… ({len(text)} characters)"


def _word(name: str) -> str:
    return "".join(letter if letter in _PLAIN else "_" for letter in name)


def _quoted(value: object) -> str:
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if text and _PLAIN.issuperset(text) else json.dumps(text)
