"""Whose fault a failed job is: provider codes and messages into classes, and failures of one root cause under one signature.

The tables are the providers' own codes; where a code says nothing, keyword rules read the message, and what nobody
recognises is ``unknown``.
"""

from __future__ import annotations

import hashlib
import re

from qobs.model import Failure, FailureClass
from qobs.sources.failure_words import CODE_WORDS, IBM_RANGES, MESSAGE_WORDS, TABLES
from qobs.sources.redact import redact

MESSAGE_BYTES = 1024
"""Longest kept message, in UTF-8 bytes."""
_READ_CHARACTERS = 4096
"""How much of a message is looked at: causes stand at the beginning."""


def classify(provider: str, code: str | None, message: str | None) -> FailureClass:
    """The class of a failure; total: what nobody recognises is ``unknown``.

    The provider's own table decides; then words in the code; then words in the message; last IBM's number ranges.

    Example:
        >>> classify("ionq", "TooManyShots", None).value, classify("ibm", "1202", "limit is 5 per minute").value
        ('user', 'queue')
        >>> classify("azure", None, None).value
        'unknown'
    """
    plain = _plain_code(code)
    if found := TABLES.get(provider, {}).get(plain):
        return found
    text = (message or "")[:_READ_CHARACTERS].lower()
    for rules, subject in ((CODE_WORDS, plain), (MESSAGE_WORDS, text)):
        for words, kind in rules:
            if words.search(subject):
                return kind
    if provider == "ibm" and len(plain) == 4 and plain.isdigit():
        return IBM_RANGES.get(plain[0], FailureClass.UNKNOWN)
    return FailureClass.UNKNOWN


def _plain_code(code: str | None) -> str:
    return re.sub(r"[^a-z0-9]", "", (code or "")[:100].lower())


_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), mark)
    for pattern, mark in (
        (r"\bhttps?://\S+", "<url>"),
        (r"\"[^\"\n]{0,300}\"|(?<!\w)'[^'\n]{0,300}'(?!\w)|`[^`\n]{0,300}`|“[^”\n]{0,300}”", "<quoted>"),
        (r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "<id>"),
        (r"\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?\b", "<time>"),
        (r"(?<![\w/])(?:[a-z]:)?(?:[\\/][\w.@+-]+){2,}[\\/]?", "<path>"),
        (r"\b(?=[a-z_-]*\d)[\w-]{16,}\b", "<id>"),
        (r"\b(?:0x)?(?=[a-f]*\d)[0-9a-f]{8,}\b", "<id>"),
        (r"\b(?=[a-z]{0,20}[_-]?\d)[a-z]{1,20}[_-]?\d+(?:[_-]\w{1,20})*\b", "<name>"),
        (r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?", "<n>"),
    )
)


def message_shape(message: str | None) -> str:
    """What stays of a message when ids, numbers, times, paths, URLs and quoted values are taken out.

    Example:
        >>> message_shape("Job 5d0f1a2b3c4d5e6f failed: qubit 17 on 'ibm_fez' at 0.31")
        'job <id> failed: qubit <n> on <quoted> at <n>'
    """
    text = redact((message or "")[:_READ_CHARACTERS]).lower()
    for pattern, mark in _SHAPES:
        text = pattern.sub(mark, text)
    return " ".join(text.split())[:300]


def signature(kind: FailureClass, code: str | None, message: str | None) -> str:
    """Twelve hex characters shared by failures of one root cause, whatever job, backend or time they hit."""
    words = "\x1f".join((kind.value, _plain_code(code), message_shape(message)))
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:12]


def failure(provider: str, code: str | None, message: str | None) -> Failure:
    """Class, signature and redacted message (at most 1 KiB) of a failed job; the code is kept, at most 100 characters."""
    kind = classify(provider, code, message)
    return Failure(
        kind=kind,
        code=_cut(redact(code), 100) if code else None,
        signature=signature(kind, code, message),
        message=_cut(redact(message[: 4 * MESSAGE_BYTES]), MESSAGE_BYTES) if message else None,
    )


class Failures:
    """:func:`failure` of one provider with a memory. Made anew for each page: in an outage all its jobs fail alike."""

    def __init__(self, provider: str) -> None:
        """Remember nothing."""
        self._provider = provider
        self._known: dict[tuple[str | None, str | None], Failure] = {}

    def read(self, code: str | None, message: str | None) -> Failure:
        """Class, signature and message, as :func:`failure`."""
        known = self._known.get((code, message))
        if known is None:
            known = self._known[code, message] = failure(self._provider, code, message)
        return known


def _cut(text: str, size: int) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
