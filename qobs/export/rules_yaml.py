"""Plain values as YAML text, byte for byte the same each time: sorted keys, text of several lines as blocks, no anchors.

A writer of our own, because the text is a contract (it is committed and compared) and must not change with a library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

_PLAIN = re.compile(r"[A-Za-z_/][\w ./:+-]*[\w/)]|[A-Za-z]")
_RESERVED = re.compile(r"(?i)true|false|yes|no|on|off|null|y|n")
_DURATION = re.compile(r"[1-9][0-9]*(?:s|m|h|d)")


def to_yaml(value: object, header: str = "") -> str:
    r"""A document: ``header`` as comment lines, then ``value`` (mappings, sequences, text, numbers, truths).

    Example:
        >>> print(to_yaml({"b": [{"x": "1h", "a": "two words"}], "a": "0.5", "c": "f(x)\n  > 1"}, "made"), end="")
        # made
        a: "0.5"
        b:
          - a: two words
            x: 1h
        c: |-
          f(x)
            > 1
    """
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    return comment + "\n".join(_block(value)) + "\n"


def _block(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [line for key in sorted(value) for line in _entry(key, value[key])]
    assert isinstance(value, Sequence)
    lines: list[str] = []
    for item in value:
        body = _block(item) if _nested(item) else [_scalar(item)]
        lines += [f"- {body[0]}", *(f"  {line}" for line in body[1:])]
    return lines


def _entry(key: str, value: object) -> list[str]:
    name = _scalar(key)
    if _nested(value):
        return [f"{name}:", *(f"  {line}" for line in _block(value))]
    if isinstance(value, str) and _is_block(value):
        return [f"{name}: |-", *(f"  {line}" if line else "" for line in value.split("\n"))]
    return [f"{name}: {_scalar(value)}"]


def _nested(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple)) and bool(value)


def _is_block(text: str) -> bool:
    """Whether a literal block gives the text back: printable, several lines or many quotes, no blank at the edges."""
    return ("\n" in text or '"' in text) and not text.startswith((" ", "\n")) and not text.endswith("\n") and _printable(text)


def _printable(text: str) -> bool:
    return all(character == "\n" or character.isprintable() for character in text)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    assert isinstance(value, str), value
    plain = _DURATION.fullmatch(value) or (_PLAIN.fullmatch(value) and ": " not in value and not _RESERVED.fullmatch(value))
    return value if plain else _quoted(value)


def _quoted(text: str) -> str:
    r"""Double quotes; what cannot be seen is escaped, beyond the 16 bits that JSON's escapes hold too.

    Example:
        >>> print(_quoted("a: b"), _quoted("\x85"), _quoted("\U000e0001"))
        "a: b" "\u0085" "\U000e0001"
    """
    escaped = json.dumps(text, ensure_ascii=False)
    return "".join(
        character
        if character.isprintable()
        else f"\\u{ord(character):04x}"
        if ord(character) < 0x10000
        else f"\\U{ord(character):08x}"
        for character in escaped
    )
