"""Words of PromQL as text: selectors, numbers, windows. Pure, and the same text for the same input, always."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

_DIGITS = 17
"""Digits that tell any two doubles apart."""


def quoted(text: str) -> str:
    r"""A PromQL string literal.

    Example:
        >>> print(quoted('say "hi"'))
        "say \"hi\""
    """
    return json.dumps(text, ensure_ascii=False)


def matcher(label: str, values: tuple[str, ...]) -> str:
    r"""One label matcher: a value, any of several values, or the regular expression of a single ``~regex``.

    Example:
        >>> print(matcher("backend", ("ibm_fez",)), matcher("backend", ("a.1", "b")), matcher("team", ("~chem.*",)))
        backend="ibm_fez" backend=~"a\\.1|b" team=~"chem.*"
    """
    if len(values) == 1:
        value = values[0]
        return f"{label}=~{quoted(value[1:])}" if value.startswith("~") else f"{label}={quoted(value)}"
    return f"{label}=~{quoted('|'.join(map(_literal, values)))}"


def selector(metric: str, where: Mapping[str, tuple[str, ...]]) -> str:
    """A metric with its matchers in alphabetical order.

    Example:
        >>> selector("qobs_series", {"b": ("2",), "a": ("1",)}), selector("up", {})
        ('qobs_series{a="1",b="2"}', 'up')
    """
    matchers = ",".join(matcher(label, where[label]) for label in sorted(where))
    return f"{metric}{{{matchers}}}" if matchers else metric


def number(value: Decimal) -> str:
    """A constant exactly as decimal arithmetic gives it, rounded only where it would not end.

    Example:
        >>> number(1 - Decimal("0.999")), number(Decimal("14.4") * Decimal("0.05")), number(Decimal(365) / 30), number(Decimal(3))
        ('0.001', '0.72', '12.166666666666667', '3')
    """
    digits = len(value.as_tuple().digits)
    if digits > _DIGITS:
        value = value.quantize(Decimal(1).scaleb(value.adjusted() - _DIGITS + 1))
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(span: timedelta) -> str:
    """A span in Prometheus' compound form, to the second.

    Example:
        >>> [duration(timedelta(seconds=seconds)) for seconds in (2592, 600, 0, 93600)]
        ['43m12s', '10m', '0s', '1d2h']
    """
    rest, parts = int(span.total_seconds()), ""
    for width, unit in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        count, rest = divmod(rest, width)
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"


def indented(expression: str, spaces: int = 2) -> str:
    """Every line of an expression moved to the right."""
    return "\n".join(" " * spaces + line for line in expression.splitlines())


def _literal(value: str) -> str:
    """A value inside a regular expression; only what RE2 gives a meaning is escaped."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)
