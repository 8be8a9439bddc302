"""What a field may hold: small checks that tell what they find, and shapes made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from qobs.slo.openslo.document import Node, Row, Scalar, Table
from qobs.slo.openslo.periods import split
from qobs.slo.openslo.report import Report, nearest, shown

Check = Callable[[Node, Report], None]
Rule = Callable[[Table, Report], None]

LONGEST_DESCRIPTION = 1050
_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_LONGEST_PREFIX = 253
_LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a shape."""

    name: str
    check: Check
    required: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A mapping with known fields, and rules that need more than one of them. Callable as a check."""

    fields: tuple[Field, ...]
    rules: tuple[Rule, ...] = ()

    def __call__(self, node: Node, report: Report) -> None:
        """Tell everything that is wrong with ``node``."""
        if not isinstance(node, Table):
            wrong_type(node, report, "a mapping of fields")
            return
        known = {field.name: field for field in self.fields}
        for name, child in node.entries.items():
            if name not in known:
                report.unknown_field(child.place, name, nearest(name, tuple(known)))
        for field in self.fields:
            _check_field(field, node, report)
        for rule in self.rules:
            rule(node, report)


def _check_field(field: Field, table: Table, report: Report) -> None:
    child = table.entries.get(field.name)
    if child is not None and not _empty(child):
        field.check(child, report)
    elif field.required:
        report.error(table.place_of(field.name), "nothing", f"`{field.name}` is required", "required")


def _empty(node: Node) -> bool:
    return isinstance(node, Scalar) and (node.value is None or node.value == "")


def wrong_type(node: Node, report: Report, allowed: str) -> None:
    """Tell that the value is of another kind than allowed."""
    report.error(node.place, shown(node), f"must be {allowed}", "type")


def text(node: Node, report: Report) -> None:
    """Any text."""
    if not (isinstance(node, Scalar) and isinstance(node.value, str)):
        wrong_type(node, report, "text (quote words that look like numbers or truth values)")


def short_text(most: int) -> Check:
    """Text of at most ``most`` characters."""

    def check(node: Node, report: Report) -> None:
        text(node, report)
        if isinstance(node, Scalar) and isinstance(node.value, str) and len(node.value) > most:
            found = f"{len(node.value)} characters"
            report.error(node.place, found, f"must have at most {most} characters", "string_max_length")

    return check


def truth(node: Node, report: Report) -> None:
    """True or false."""
    if not (isinstance(node, Scalar) and isinstance(node.value, bool)):
        wrong_type(node, report, "true or false")


def number(node: Node, report: Report) -> None:
    """Any number."""
    if not (isinstance(node, Scalar) and isinstance(node.value, Decimal)):
        wrong_type(node, report, "a number")


def bounded(*, gt: str = "", gte: str = "", lt: str = "", lte: str = "") -> Check:
    """A number within bounds, each with its own code."""
    bounds: tuple[tuple[str, str, Callable[[Decimal, Decimal], bool], str], ...] = (
        ("gt", gt, Decimal.__gt__, "greater than"),
        ("gte", gte, Decimal.__ge__, "at least"),
        ("lt", lt, Decimal.__lt__, "less than"),
        ("lte", lte, Decimal.__le__, "at most"),
    )

    def check(node: Node, report: Report) -> None:
        number(node, report)
        if not (isinstance(node, Scalar) and isinstance(node.value, Decimal)):
            return
        for code, limit, holds, words in bounds:
            if limit and not holds(node.value, Decimal(limit)):
                report.error(node.place, node.text, f"must be {words} {limit}", code)

    return check


def target(most: str) -> Check:
    """An objective's target: 0 promises nothing, and ``most`` leaves no budget."""
    within = bounded(gte="0", lt=most)

    def check(node: Node, report: Report) -> None:
        within(node, report)
        if isinstance(node, Scalar) and isinstance(node.value, Decimal) and node.value == 0:
            report.error(node.place, node.text, "a target of 0 promises nothing: give one above 0", "no_objective")

    return check


def one_of(*words: str) -> Check:
    """One of a few words."""

    def check(node: Node, report: Report) -> None:
        if not (isinstance(node, Scalar) and node.value in words):
            report.error(node.place, shown(node), f"must be one of {', '.join(words)}", "one_of")

    return check


def exactly(word: str) -> Check:
    """One word and no other."""

    def check(node: Node, report: Report) -> None:
        if not (isinstance(node, Scalar) and node.value == word):
            report.error(node.place, shown(node), f"must be {word}", "equal_to")

    return check


def dns_label(node: Node, report: Report) -> None:
    """A name by RFC 1123: lower-case letters, digits and hyphens."""
    if not (isinstance(node, Scalar) and isinstance(node.value, str)):
        wrong_type(node, report, "text (quote words that look like numbers or truth values)")
    elif not _DNS_LABEL.fullmatch(node.value):
        hint = "must be 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends"
        report.error(node.place, shown(node), hint, "string_dns_label")


def duration(node: Node, report: Report) -> None:
    """A positive count and a unit."""
    if not (isinstance(node, Scalar) and isinstance(node.value, str) and split(node.value) is not None):
        report.error(node.place, shown(node), "must be a positive whole number and one of m h d w M Q Y, as in 30d", "duration")


def delay(node: Node, report: Report) -> None:
    """A duration, or none at all: ``0m``."""
    if not (isinstance(node, Scalar) and re.fullmatch(r"0+[mhdwMQY]", node.text)):
        duration(node, report)


def slice_window(node: Node, report: Report) -> None:
    """A duration, or a plain number of minutes."""
    if isinstance(node, Scalar) and isinstance(node.value, Decimal):
        if split(f"{node.text}m") is None:
            report.error(node.place, node.text, "must be a positive whole number of minutes or a duration as in 5m", "duration")
    else:
        duration(node, report)


def local_time(node: Node, report: Report) -> None:
    """A date and a time of day without a zone."""
    try:
        fine = _LOCAL_TIME.fullmatch(shown(node)) and datetime.fromisoformat(shown(node))
    except ValueError:
        fine = None
    if not fine:
        report.error(node.place, shown(node), "must be a local time as in 2026-01-31 00:00:00", "string_date_time")


def time_zone(node: Node, report: Report) -> None:
    """A name of the IANA time zone database."""
    try:
        ZoneInfo(shown(node) if isinstance(node, Scalar) else "")
    except (ValueError, OSError, LookupError):
        report.error(node.place, shown(node), "must be a name of the IANA database, as in Europe/Berlin or UTC", "time_zone")


def each(check: Check, *, least: int = 0, most: int | None = None) -> Check:
    """A list of so many items that each pass."""

    def check_list(node: Node, report: Report) -> None:
        if not isinstance(node, Row):
            wrong_type(node, report, "a list")
            return
        if len(node.items) < least or (most is not None and len(node.items) > most):
            count = f"exactly {least}" if least == most else f"at least {least}"
            report.error(node.place, f"a list of {len(node.items)}", f"must have {count}", "slice_length")
        for item in node.items:
            check(item, report)

    return check_list


def anything(node: Node, report: Report) -> None:
    """A value that other rules look at."""


def non_empty_mapping(node: Node, report: Report) -> None:
    """A mapping with at least one entry."""
    if not isinstance(node, Table):
        wrong_type(node, report, "a mapping")
    elif not node.entries:
        report.error(node.place, "an empty mapping", "must have at least one entry", "map_min_length")


def label_map(node: Node, report: Report) -> None:
    """Labels: a text or a list of texts per key."""
    if not isinstance(node, Table):
        wrong_type(node, report, "a mapping of labels")
        return
    for key, value in node.entries.items():
        if not _LABEL_KEY.fullmatch(key):
            hint = "a label's key is 1 to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
            report.error(value.place, key, hint, "string_match_regexp")
        for item in value.items if isinstance(value, Row) else (value,):
            text(item, report)


def annotation_map(node: Node, report: Report) -> None:
    """Annotations: one text per key."""
    if not isinstance(node, Table):
        wrong_type(node, report, "a mapping of annotations")
        return
    for key, value in node.entries.items():
        prefix, slash, name = key.rpartition("/")
        if not _LABEL_KEY.fullmatch(name) or (slash and not _is_subdomain(prefix)):
            hint = "an annotation's key is a name of at most 63 characters, after an optional DNS subdomain and `/`"
            report.error(value.place, key, hint, "string_match_regexp")
        elif prefix == "openslo.com":
            report.error(value.place, key, "the prefix openslo.com/ is reserved by the specification", "string_match_regexp")
        text(value, report)


def _is_subdomain(prefix: str) -> bool:
    return len(prefix) <= _LONGEST_PREFIX and _DNS_SUBDOMAIN.fullmatch(prefix) is not None


def exclusive(table: Table, report: Report, names: Sequence[str], *, required: bool = True) -> str | None:
    """The only one of ``names`` that is given; None after a finding, or where none is and none is required."""
    given = [name for name in names if table.get(name) is not None]
    words = " and ".join(f"`{name}`" for name in names)
    if len(given) > 1:
        found = f"{' and '.join(given)} together"
        report.error(table.place, found, f"exactly one of {words} is allowed", "mutually_exclusive")
    elif not given and required:
        report.error(table.place, f"none of {', '.join(names)}", f"exactly one of {words} is required", "mutually_exclusive")
    return given[0] if len(given) == 1 else None
