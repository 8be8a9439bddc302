"""What the fast parse does not tell: cheap screens over a page's bytes, and the slow look at one record.

A screen may raise a false alarm (then the slow look finds nothing) but never misses.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from qobs.sources.limits import Limits

_OPEN = frozenset(b"{[")
_FOLD = bytes.maketrans(b"[]", b"{}")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_BIG_INTEGER = b"0" * 19
"""The shortest run of digits that can leave 64 bits."""
_BARE_BIG_INTEGER = re.compile(_BIG_INTEGER + rb"(?:(?<=[\s:,\[-]0{19})|(?<=\A0{19}))0*(?:[\s,\]}]|\Z)")
"""The same as a JSON integer stands (all digits written as 0), not the digits of a decimal or an id: pages are full of those.

It begins with plain text, which the search for it looks for at memory speed.
"""
_LARGEST = 2**63 - 1
_LONGEST_INTEGER = 400


def exceeds_depth(body: bytes, depth: int) -> bool:
    """Whether ``body`` is nested deeper than ``depth``; brackets inside strings are not taken for nesting."""
    if len(body) <= depth:
        return False
    rest = body.translate(_FOLD, _NOT_BRACKETS)
    for _ in range(depth):
        shorter = rest.replace(b"{}", b"")
        if not shorter:
            return False
        if len(shorter) == len(rest):
            break
        rest = shorter
    return _depth_outside_strings(body, depth)


def _depth_outside_strings(body: bytes, limit: int) -> bool:
    """The exact count, by the pieces between quotes: every second piece is a string."""
    level = 0
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    for piece in plain.split(b'"')[::2]:
        for byte in piece.translate(_FOLD, _NOT_BRACKETS):
            level += 1 if byte in _OPEN else -1
            if level > limit:
                return True
    return False


def needs_care(body: bytes, limits: Limits) -> bool:
    """Whether some record may hold an integer beyond 64 bits, a NUL, or a string that is too long."""
    escapes = b"\\" in body
    return (
        (escapes and b"\\u0000" in body)
        or _BARE_BIG_INTEGER.search(body.translate(_DIGITS)) is not None
        or _may_hold_long_string(body, limits.string_bytes, escapes=escapes)
    )


def _may_hold_long_string(body: bytes, longest: int, *, escapes: bool) -> bool:
    """A string over ``longest`` bytes leaves at least one aligned block of half that size without a closing quote."""
    if len(body) <= longest:
        return False
    if escapes and b'\\"' in body:
        body = body.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    block = max(longest // 2, 1)
    return any(body.find(b'"', start, start + block) < 0 for start in range(0, len(body) - block + 1, block))


def parse_tolerantly(body: bytes) -> Any:
    """JSON with NaN, Infinity, control characters, integers of any size and broken text, which the strict parse refuses.

    Raises:
        ValueError: not even that.
        RecursionError: nested too deeply.
    """
    return json.loads(body.decode("utf-8", "surrogateescape"), strict=False, parse_int=_integer)


def _integer(text: str) -> int | float:
    """Integers of absurd length become infinite, which no record may hold: reading them takes quadratic time."""
    return int(text) if len(text) <= _LONGEST_INTEGER else math.inf


def problem(value: Any, limits: Limits, at: str = "$") -> str | None:
    """The first thing in decoded JSON that no record may hold, with its path but without its value; None where all is well."""
    if isinstance(value, str):
        return _text_problem(value, limits, at)
    if isinstance(value, dict):
        return _object_problem(value, limits, at)
    if isinstance(value, list):
        return next((found for place, item in enumerate(value) if (found := problem(item, limits, f"{at}[{place}]"))), None)
    return _number_problem(value, at)


def _object_problem(value: dict[str, Any], limits: Limits, at: str) -> str | None:
    for name, item in value.items():
        if found := _text_problem(name, limits, f"{at} (a member's name)"):
            return found
        if found := problem(item, limits, f"{at}.{name[:40]}"):
            return found
    return None


def _number_problem(value: Any, at: str) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a finite number - at {at}"[:200]
    if type(value) is int and not -_LARGEST - 1 <= value <= _LARGEST:
        return f"expected an integer within 64 bits - at {at}"[:200]
    return None


def _text_problem(value: str, limits: Limits, at: str) -> str | None:
    if "\x00" in value:
        return f"expected text without NUL - at {at}"[:200]
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        return f"expected valid Unicode - at {at}"[:200]
    if size > limits.string_bytes:
        return f"expected at most {limits.string_bytes} bytes of text - at {at}"[:200]
    return None
