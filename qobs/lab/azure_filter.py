"""The ``filter`` and ``orderby`` languages of the Azure Quantum listings, as far as the official client writes them.

Grammar::

    filter  := term ("and" term)*
    term    := "(" test ("or" test)* ")" | test
    test    := "startswith" "(" Name "," text ")" | field operator value
    value   := 'text' | date | time          operator := eq | ne | ge | gt | le | lt
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from qobs.lab.azure_wire import Item, instant

Test = Callable[[Item], bool]

FIELDS: Mapping[str, str] = {
    "Name": "name",
    "ItemType": "itemType",
    "JobType": "jobType",
    "ProviderId": "providerId",
    "Target": "target",
    "State": "status",
    "CreationTime": "creationTime",
}
"""Words of the languages, and the keys of an item that they mean."""

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}
_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|([(),])|([^\s(),']+))")


class BadFilter(ValueError):
    """The text is outside the grammar; the service answers 400."""


def parse_filter(text: str) -> Test:
    """The predicate that a filter text means; the empty text lets everything through.

    Raises:
        BadFilter: the text is outside the grammar.
    """
    if not text.strip():
        return lambda item: True
    parser = _Parser(_tokens(text))
    terms = [parser.term()]
    while not parser.done():
        parser.expect("and")
        terms.append(parser.term())
    return lambda item: all(term(item) for term in terms)


def parse_orderby(text: str) -> tuple[str, bool]:
    """Key of an item to sort by, and whether the largest comes first. The default is oldest first.

    Raises:
        BadFilter: not one of the fields, or not ``asc`` or ``desc``.
    """
    field, _, direction = (text.strip() or "CreationTime asc").partition(" ")
    if field not in FIELDS or direction not in ("", "asc", "desc"):
        raise BadFilter(f"orderby '{text}' is not supported")
    return FIELDS[field], direction == "desc"


def _tokens(text: str) -> Sequence[tuple[str, bool]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadFilter(f"filter is not readable at position {at}")
        quoted, sign, word = match.groups()
        tokens.append((quoted.replace("''", "'"), True) if quoted is not None else (sign or word, False))
        at = match.end()
    return tokens


class _Parser:
    """A cursor over tokens; every method consumes what it names."""

    def __init__(self, tokens: Sequence[tuple[str, bool]]) -> None:
        """Stand before the first token."""
        self._tokens = tokens
        self._at = 0

    def done(self) -> bool:
        """True when nothing is left."""
        return self._at >= len(self._tokens)

    def take(self) -> tuple[str, bool]:
        """The next token and whether it was quoted."""
        if self.done():
            raise BadFilter("filter ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def expect(self, word: str) -> None:
        """Consume exactly ``word``."""
        found, quoted = self.take()
        if quoted or found != word:
            raise BadFilter(f"filter has '{found}' where '{word}' must stand")

    def term(self) -> Test:
        """A test, or tests joined by ``or`` inside parentheses."""
        if self._tokens[self._at : self._at + 1] != [("(", False)]:
            return self.test()
        self.expect("(")
        tests = [self.test()]
        while (sign := self.take()[0]) == "or":
            tests.append(self.test())
        if sign != ")":
            raise BadFilter(f"filter has '{sign}' where ')' must stand")
        return lambda item: any(test(item) for test in tests)

    def test(self) -> Test:
        """One comparison, or ``startswith``."""
        word, _ = self.take()
        if word == "startswith":
            return self._startswith()
        if word not in FIELDS:
            raise BadFilter(f"filter has no field '{word}'")
        comparison, _ = self.take()
        if comparison not in _OPERATORS:
            raise BadFilter(f"filter has no operator '{comparison}'")
        return _comparison(FIELDS[word], _OPERATORS[comparison], *self.take())

    def _startswith(self) -> Test:
        self.expect("(")
        self.expect("Name")
        self.expect(",")
        prefix, _ = self.take()
        self.expect(")")
        return lambda item: str(item["name"]).startswith(prefix)


def _comparison(key: str, compare: Callable[[Any, Any], bool], value: str, quoted: bool) -> Test:
    if key == "creationTime":
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise BadFilter(f"'{value}' is not a time") from None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return lambda item: compare(instant(item[key]), at)
    if not quoted:
        raise BadFilter(f"'{value}' must stand in quotes")
    return lambda item: compare(str(item[key]).casefold(), value.casefold())
