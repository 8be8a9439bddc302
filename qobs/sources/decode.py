"""From bytes to records, at the edge: a bad page is refused as a whole, a bad record is set aside alone.

The page is parsed once, strictly and fast. Cheap screens over the bytes tell whether a record could break a limit
(depth, string, integer, NUL); only then, or when the strict parse fails, the slow and tolerant parse looks at each record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from qobs.errors import BadPayload, QobsError
from qobs.model import Quarantined, Stream
from qobs.sources.limits import Limits
from qobs.sources.redact import is_plain, redact, redact_bytes, redact_json
from qobs.sources.tolerant import exceeds_depth, needs_care, parse_tolerantly, problem

T = TypeVar("T")

QUARANTINE_BYTES = 64 * 1024
"""Largest body that is kept of a record set aside."""
EXTRA_BYTES = 4 * 1024
"""Largest ``Job.extra``."""
UNKNOWN_FIELDS = 50
"""Most unknown field names that are reported of one record."""

_DEFAULT = Limits()
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class BadRecord(QobsError):
    """One record is not what the contract says; ``reason`` names path and expectation, never the value."""

    def __init__(self, reason: str) -> None:
        """Keep the first 200 characters of ``reason``."""
        self.reason = reason[:200]
        super().__init__(self.reason)


class Aside(NamedTuple):
    """A record that its page is better off without: its place, why, and its bytes (redacted, at most 64 KiB)."""

    position: int
    reason: str
    body: bytes


class Records(NamedTuple):
    """One page: the envelope (whole top-level object, empty for an array), the good records, and those set aside."""

    envelope: dict[str, Any]
    records: list[dict[str, Any]]
    bad: tuple[Aside, ...]


def decode_object(body: bytes, *, what: str, limits: Limits = _DEFAULT) -> dict[str, Any]:
    """The JSON object that is ``body``; ``what`` names the answer in errors.

    Raises:
        BadPayload: HTML, empty, ``null``, not an object, BOM, UTF-16, truncated, or beyond a limit.
    """
    _refuse_foreign(body, what, limits)
    value, strict = _parse(body, what, limits)
    if not isinstance(value, dict):
        raise _wrong_type(what, "object", value)
    if not strict and (found := problem(value, limits)):
        raise BadPayload(f"{what}: {found}")
    return value


def decode_array(body: bytes, *, what: str, limits: Limits = _DEFAULT) -> list[Any]:
    """The JSON array that is ``body``, of any values; an empty array is a valid answer. Raises as :func:`decode_object`."""
    _refuse_foreign(body, what, limits)
    value, strict = _parse(body, what, limits)
    if not isinstance(value, list):
        raise _wrong_type(what, "array", value)
    if not strict and (found := problem(value, limits)):
        raise BadPayload(f"{what}: {found}")
    return value


def decode_records(body: bytes, *, path: tuple[str, ...] | None, what: str = "page", limits: Limits = _DEFAULT) -> Records:
    """The records of one page.

    Args:
        body: The answer's bytes.
        path: Keys from the top-level object to the array of records; ``()``: the top-level object is itself the one
            record; None: the top level is the array.
        what: Names the answer in errors.
        limits: Depth, records and string length.

    Raises:
        BadPayload: the page as a whole is not what the contract says (as :func:`decode_object`), the array is missing,
            or it has more records than allowed. One bad record never raises: it is in ``bad``.
    """
    _refuse_foreign(body, what, limits)
    value, strict = _parse(body, what, limits)
    envelope, items = _locate(value, path, what)
    if len(items) > limits.records_per_page:
        raise BadPayload(f"{what}: {len(items)} records on one page, but at most {limits.records_per_page} are allowed")
    if not strict and (found := _envelope_problem(envelope, path, limits)):
        raise BadPayload(f"{what}: {found}")
    if strict and set(map(type, items)) <= {dict}:
        return Records(envelope, items, ())
    return _sort_out(envelope, items, limits)


def _sort_out(envelope: dict[str, Any], items: list[Any], limits: Limits) -> Records:
    good: list[dict[str, Any]] = []
    bad: list[Aside] = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            bad.append(Aside(index, f"expected object, found {_kind(item)}", raw_bytes(item)))
        elif found := problem(item, limits):
            bad.append(Aside(index, found, raw_bytes(item)))
        else:
            good.append(item)
    return Records(envelope, good, tuple(bad))


def _locate(value: Any, path: tuple[str, ...] | None, what: str) -> tuple[dict[str, Any], list[Any]]:
    if path is None:
        if not isinstance(value, list):
            raise _wrong_type(what, "array", value)
        return {}, value
    if not isinstance(value, dict):
        raise _wrong_type(what, "object", value)
    if path == ():
        return {}, [value]
    found: Any = value
    for depth, key in enumerate(path):
        if not isinstance(found, dict) or key not in found:
            raise BadPayload(f"{what}: no member {'.'.join(path[: depth + 1])}")
        found = found[key]
    if not isinstance(found, list):
        raise _wrong_type(f"{what}: {'.'.join(path)}", "array", found)
    return value, found


def _envelope_problem(envelope: dict[str, Any], path: tuple[str, ...] | None, limits: Limits) -> str | None:
    """What is wrong around the records; the records themselves are judged one by one."""
    if not path:
        return None
    part: Any = envelope
    for key in path:
        if found := problem({name: item for name, item in part.items() if name != key}, limits):
            return found
        part = part[key]
    return None


def _parse(body: bytes, what: str, limits: Limits) -> tuple[Any, bool]:
    """The parsed value, and whether it is known to be within every limit."""
    if exceeds_depth(body, limits.json_depth):
        raise BadPayload(f"{what}: JSON nested deeper than {limits.json_depth}")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_again(body, what), False
    return value, not needs_care(body, limits)


def _parse_again(body: bytes, what: str) -> Any:
    try:
        return parse_tolerantly(body)
    except (ValueError, RecursionError) as error:
        at = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadPayload(f"{what}: truncated or malformed JSON{at}") from None


def _refuse_foreign(body: bytes, what: str, limits: Limits) -> None:
    if len(body) > limits.body_bytes:
        raise BadPayload(f"{what}: body of {len(body)} bytes, but at most {limits.body_bytes} are allowed")
    head = body[:64].lstrip()
    if not head and not body.strip():
        raise BadPayload(f"{what}: empty body")
    if head.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise BadPayload(f"{what}: begins with a byte order mark, but plain UTF-8 is expected")
    if b"\x00" in body[:2]:
        raise BadPayload(f"{what}: UTF-16 or UTF-32, but UTF-8 is expected")
    if head.startswith(b"<"):
        raise BadPayload(f"{what}: HTML or XML, but JSON is expected")


def _wrong_type(what: str, expected: str, value: Any) -> BadPayload:
    return BadPayload(f"{what}: expected {expected}, found {_kind(value)}")


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "value")


def raw_bytes(record: Any) -> bytes:
    """A decoded record as JSON again, redacted and cut at 64 KiB: what is kept of a record set aside."""
    if isinstance(record, bytes):
        return redact_bytes(record, limit=QUARANTINE_BYTES)
    text = json.dumps(redact_json(record), ensure_ascii=True, separators=(",", ":"), default=repr)
    return text.encode()[:QUARANTINE_BYTES]


def convert_record(record: Mapping[str, Any], kind: type[T], *, strict: bool = True) -> T:
    """``record`` as a typed struct; unknown members are ignored.

    Args:
        record: A good record of :func:`decode_records`.
        kind: A :class:`msgspec.Struct` class.
        strict: False also takes numbers written as strings.

    Raises:
        BadRecord: with a short reason that names path and expectation, never the value.
    """
    try:
        return msgspec.convert(record, kind, strict=strict)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise BadRecord(_without_values(str(error))) from None


def _without_values(message: str) -> str:
    return _QUOTED.sub("(value)", message)


def quarantine(stream: Stream, record: Any, reason: str, *, record_id: object = None) -> Quarantined:
    """A record set aside with its reason: ``record`` is decoded JSON or raw bytes, kept redacted, at most 64 KiB.

    ``record_id`` is taken where it is a string or an integer; anything else is no id.
    """
    known = record_id if isinstance(record_id, str | int) and not isinstance(record_id, bool) else None
    return Quarantined(
        stream=stream,
        reason=redact(reason)[:200],
        body=raw_bytes(record),
        record_id=None if known is None else _plain(str(known))[:200],
    )


def quarantine_aside(stream: Stream, aside: Aside) -> Quarantined:
    """What :func:`decode_records` set aside, as a record for the store."""
    return Quarantined(stream=stream, reason=aside.reason, body=aside.body)


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def unknown_fields(record: Mapping[str, Any], known: frozenset[str]) -> tuple[str, ...]:
    """Names of members that ``known`` lacks: sorted, at most 50, each cut at 64 characters."""
    if record.keys() <= known:
        return ()
    return tuple(sorted(_plain(str(name))[:64] for name in record.keys() - known)[:UNKNOWN_FIELDS])


def extra_json(fields: Mapping[str, Any]) -> str | None:
    """The fields as a redacted JSON object of at most 4 KiB; None where nothing is left.

    Fields that are null are left out. Where all do not fit, the largest are left out first. Same input, same text.

    Example:
        >>> extra_json({"b": 1, "a": "x", "apikey": "k", "n": None})
        '{"a":"x","apikey":"***","b":1}'
    """
    told = {name: value for name, value in fields.items() if value is not None}
    if not told:
        return None
    whole = _json(told)
    # Nearly all are short and plain: a look over the text costs a tenth of a walk over its members.
    if len(whole) <= EXTRA_BYTES // 4 and is_plain(whole):
        return whole
    redacted = redact_json(told)
    whole = _json(redacted)
    return whole if len(whole.encode()) <= EXTRA_BYTES else _smallest_members(redacted)


def _smallest_members(fields: Mapping[str, Any]) -> str | None:
    members = sorted((_json({name: value})[1:-1] for name, value in fields.items()), key=lambda text: (len(text.encode()), text))
    kept: list[str] = []
    size = 2
    for text in members:
        size += len(text.encode()) + 1
        if size > EXTRA_BYTES:
            break
        kept.append(text)
    return "{" + ",".join(sorted(kept)) + "}" if kept else None


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value, enc_hook=repr, order="sorted").decode()
    except (ValueError, OverflowError, TypeError, RecursionError):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr)
