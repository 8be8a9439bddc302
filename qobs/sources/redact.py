"""Text without credentials: what may be stored, logged or shown of a provider's answer (reliability rule R9).

Two nets: :func:`redact` knows what credentials look like, :class:`SecretFilter` knows the values themselves.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from qobs.secret import Secret

MASK = "***"

_STRONG = (
    r"api[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token|id[_-]?token|session[_-]?token|security[_-]?token"
    r"|client[_-]?secret|secret[_-]?(?:access[_-]?)?key|account[_-]?key|shared[_-]?access[_-]?(?:key|signature)|private[_-]?key"
    r"|authorization|password|passwd|passphrase|secret|credentials?|cookie|connection[_-]?string|sas[_-]?(?:token|uri|url)|token"
)
_NAMES = rf"(?:(?:x-|proxy-|set-)?(?:{_STRONG})|sas|jwt|bearer)"
_SECRET_NAME = re.compile(rf".*(?:{_STRONG})|(?:.*[_.-])?(?:sas|jwt|bearer)", re.IGNORECASE)

_PEM = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?")
_URL = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]{0,20}://)([^\s\"'<>\\?#]*)([?#][^\s\"'<>\\]*)?")
_USERINFO = re.compile(r"^[^/@]*@(?:[^/@]*@)*")
_QUERY = re.compile(
    r"(?<![\w-])((?:x-amz-[\w-]{1,40}|x-goog-[\w-]{1,40}|sig|signature|sv|se|sp|skoid|sktid|awsaccesskeyid|access_token|api_?key|key"
    r"|token|code|client_secret|password)=)(?!\*\*\*)([^\s&\"'<>,;\\]{4,})",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"\b(bearer|basic|apikey|digest|negotiate|token|aws4-hmac-sha256)(\s+)(?!\*\*\*)([\w.~+/=,:-]{8,})", re.IGNORECASE
)
_NAMED = re.compile(
    rf"(?<![\w-])({_NAMES})(\\?[\"']?\s{{0,3}}[:=]\s{{0,3}}\\?[\"']?)"
    r"(?!(?:bearer|basic|apikey|digest|token)\s{1,3}\*\*\*)(?:(bearer|basic|apikey|digest|token)(\s{1,3}))?(?!\*\*\*)([^\s\"'\\,;&}\]]{3,})",
    re.IGNORECASE,
)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3}")
_AWS = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


_NAME_STEMS = ("key", "token", "secret", "pass", "auth", "cred", "cookie", "connection", "sas", "jwt", "bearer", "shared")
"""Each secret name holds at least one of these."""
_SCHEME_STEMS = ("bearer", "basic", "apikey", "digest", "negotiate", "token", "aws4-")
_ALL_STEMS = (*_NAME_STEMS, "basic", "digest", "negotiate", "aws4-")


def redact(text: str) -> str:
    """``text`` with everything that looks like a credential replaced by ``***``; other text stays as it is.

    URLs lose query, fragment and user; named values (``apikey: …``, ``sig=…``), authorization schemes, JSON web tokens,
    AWS key ids, private keys and e-mail addresses go. Applying it twice changes nothing more.

    Example:
        >>> redact("GET https://a.example/x?sv=2024&sig=abc failed; Authorization: Bearer abc.def-123")
        'GET https://a.example/x?*** failed; Authorization: Bearer ***'
    """
    if ":" in text or "=" in text or "@" in text or "-----" in text:
        text = _redact_marked(text)
    if "eyJ" in text:
        text = _JWT.sub(MASK, text)
    if " " in text and _mentions(text, _SCHEME_STEMS):
        text = _SCHEME.sub(rf"\1\2{MASK}", text)
    if "AKIA" in text or "ASIA" in text:
        text = _AWS.sub(MASK, text)
    return text


class Redacted(dict[str, str]):
    """:func:`redact` with a memory, by text: ``redacted[text]``. Made anew for each page, whose rows repeat their words."""

    def __missing__(self, text: str) -> str:
        """Redact and remember."""
        cleaned = self[text] = redact(text)
        return cleaned


_MARKS = ("=", "@", "-----BEGIN ", "://", "eyJ", "AKIA", "ASIA")


def is_plain(text: str) -> bool:
    """Whether nothing in ``text`` could be redacted: neither by :func:`redact`, nor by a member's name if it is JSON.

    A look for the marks and words without one of which no pattern matches; a false alarm costs only time.
    """
    for mark in _MARKS:
        if mark in text:
            return False
    return not _mentions(text, _ALL_STEMS)


def _redact_marked(text: str) -> str:
    """What only text with ``:``, ``=``, ``@`` or ``-----`` can hold."""
    if "-----BEGIN " in text:
        text = _PEM.sub(MASK, text)
    if "://" in text:
        text = _URL.sub(_bare_url, text)
    if _mentions(text, _NAME_STEMS):
        text = _NAMED.sub(_named, text)
    if "=" in text:
        text = _QUERY.sub(rf"\1{MASK}", text)
    if "@" in text:
        text = _EMAIL.sub(MASK, text)
    return text


def _mentions(text: str, stems: tuple[str, ...]) -> bool:
    """A cheap look before an expensive pattern: nearly all text that providers send mentions none of the words."""
    lower = text.lower()
    for stem in stems:  # noqa: SIM110 - a generator costs three times as much, and every stored string passes here
        if stem in lower:
            return True
    return False


def _named(match: re.Match[str]) -> str:
    name, separator, scheme, space, _ = match.groups()
    return f"{name}{separator}{scheme or ''}{space or ''}{MASK}"


def _bare_url(match: re.Match[str]) -> str:
    scheme, rest, query = match.groups()
    rest = _USERINFO.sub(f"{MASK}@", rest) if "@" in rest.split("/", 1)[0] else rest
    return f"{scheme}{rest}{f'?{MASK}' if query else ''}"


def redact_url(url: str) -> str:
    """Scheme, host, port and path of ``url``; query, fragment and user are dropped.

    Example:
        >>> redact_url("https://u:p@h.example:8443/a/b?sig=x#y")
        'https://h.example:8443/a/b'
    """
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    scheme, mark, rest = bare.partition("://")
    if not mark:
        return bare
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def redact_json(value: Any) -> Any:
    """A copy of decoded JSON with secret-named members masked and every string redacted; other values are kept.

    Example:
        >>> redact_json({"apiKey": "k", "shots": 5, "outputDataUri": "https://a.example/b?sig=1"})
        {'apiKey': '***', 'shots': 5, 'outputDataUri': 'https://a.example/b?***'}
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _member(str(name), item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_json(item) for item in value]
    return redact_json(dict(value)) if isinstance(value, Mapping) else value


def _member(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    return MASK if _mentions(name, _NAME_STEMS) and _SECRET_NAME.fullmatch(name) else redact_json(value)


def redact_bytes(body: bytes, *, limit: int) -> bytes:
    """At most ``limit`` bytes of ``body``, redacted; bytes that are no text stay as they are."""
    return redact(body[:limit].decode("latin-1")).encode("latin-1")[:limit]


class SecretRegistry:
    """The secret values in use, in every spelling under which they could slip out. Made by the wiring, passed around."""

    SHORTEST = 4
    """Shorter values are not searched for: masking them would shred every line and so give them away."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        """Start with ``secrets``."""
        self._forms: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Search for ``secret`` from now on; adding it again changes nothing."""
        value = secret.reveal().strip()
        if len(value) < self.SHORTEST or value in self._forms:
            return
        self._forms |= dict.fromkeys(spellings(value))
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(form) for form in longest_first))

    def scrub(self, text: str) -> str:
        """``text`` with every spelling of every registered value replaced by ``***``."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


def spellings(value: str) -> tuple[str, ...]:
    """The spellings of a secret that are searched for: as it is, URL-encoded, in JSON, base64, hex.

    Base64 is covered at all three alignments, which finds ``apikey:value`` and any other ``user:value`` pair without
    knowing the user, in the standard and the URL-safe alphabet.
    """
    raw = value.encode()
    forms = [
        value,
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quote(value, safe="")),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        raw.hex(),
        raw.hex().upper(),
    ]
    for core in _base64_cores(raw):
        forms += [core, core.replace("+", "-").replace("/", "_"), quote(core, safe="")]
    return tuple(dict.fromkeys(form for form in forms if form))


def _base64_cores(raw: bytes) -> list[str]:
    """The characters of base64 that depend on ``raw`` alone, for each alignment of its first byte."""
    cores = []
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw).decode()
        first = (0, 2, 3)[shift]
        last = (len(raw) + shift) * 8 // 6
        if last - first >= 6:
            cores.append(encoded[first:last])
    return cores


_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class SecretFilter(logging.Filter):
    """Removes credentials from log records: message, arguments, exception and stack text, extra attributes.

    Attach it to handlers, so that records of every logger pass it. It never drops a record.
    """

    def __init__(self, registry: SecretRegistry) -> None:
        """Search for the values of ``registry``, now and as it grows."""
        super().__init__()
        self._registry = registry
        self._formatter = logging.Formatter()

    def _clean(self, text: str) -> str:
        return redact(self._registry.scrub(text))

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean ``record`` in place; always True."""
        self._clean_message(record)
        self._clean_exception(record)
        if record.stack_info:
            record.stack_info = self._clean(record.stack_info)
        for name in record.__dict__.keys() - _STANDARD:
            record.__dict__[name] = self._clean_value(record.__dict__[name])
        return True

    def _clean_message(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = f"{record.msg} {record.args!r}"
        cleaned = self._clean(message)
        if cleaned != message or not isinstance(record.msg, str):
            record.msg, record.args = cleaned, None
        elif record.args:
            self._clean_args(record, message)

    def _clean_args(self, record: logging.LogRecord, message: str) -> None:
        """Arguments that the message does not show whole (``%.3s``) must not reach structured output either."""
        if self._clean(repr(record.args)) != repr(record.args):
            record.msg, record.args = message, None

    def _clean_exception(self, record: logging.LogRecord) -> None:
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if not record.exc_text:
            return
        cleaned = self._clean(record.exc_text)
        if cleaned != record.exc_text:
            # without exc_info no later formatter can print the exception's own text again
            record.exc_text, record.exc_info = cleaned, None

    def _clean_value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._clean(value)
        if isinstance(value, Mapping):
            return {self._clean_value(name): self._clean_value(item) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean_value(item) for item in value]
        shown = repr(value)
        return value if self._clean(shown) == shown else self._clean(shown)
