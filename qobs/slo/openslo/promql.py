"""Is a text a PromQL expression? A reader of the grammar that builds nothing; types are left to Prometheus."""

from __future__ import annotations

import re
from collections.abc import Sequence

WINDOW = "{{.window}}"
_PLACEHOLDER = re.compile(r"\{\{\s*\.window\s*\}\}")
_LONGEST = 65_536
_DEEPEST = 100

_DURATION = r"(?:[0-9]+(?:ms|[smhdwy]))+"
_TOKEN = re.compile(
    rf"""(?:\s|\#[^\n]*)+
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<duration>{_DURATION}(?![A-Za-z0-9_.]))
    |(?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|(?:NaN|Inf)(?![A-Za-z0-9_:]))
    |(?P<name>(?:[A-Za-z_]|:(?=[A-Za-z_:]))[A-Za-z0-9_:]*)
    |(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){{}}\[\],=<>@:])""",
    re.VERBOSE | re.IGNORECASE,
)
_BINARY_WORDS = frozenset({"and", "or", "unless", "atan2"})
_BINARY_SIGNS = frozenset({"+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<="})
_AGGREGATIONS = frozenset(
    "sum min max avg group stddev stdvar count count_values bottomk topk quantile limitk limit_ratio".split()  # noqa: SIM905
)
_MODIFIERS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"})
_MATCHERS = frozenset({"=", "!=", "=~", "!~"})


def has_window(query: str) -> bool:
    """Whether the query uses the window placeholder.

    >>> has_window("rate(x[{{.window}}])"), has_window("rate(x[{{ .window }}])"), has_window("rate(x[5m])")
    (True, True, False)
    """
    return _PLACEHOLDER.search(query) is not None


def expanded(query: str, window: str) -> str:
    """The query with its placeholder replaced."""
    return _PLACEHOLDER.sub(window, query)


def fault(query: str) -> str | None:
    """What is wrong with the query, the placeholder read as a duration; None where it can be read.

    >>> fault("sum(rate(x{a='b'}[{{.window}}])) / 2")
    >>> fault("sum(rate(x[5m])")
    'expected `)` but the text ends'
    """
    if len(query) > _LONGEST:
        return f"it is longer than {_LONGEST} characters"
    try:
        _Reader(_tokens(expanded(query, "5m"))).whole()
    except _FaultError as problem:
        return str(problem)
    return None


class _FaultError(Exception):
    """The text is not PromQL; the message says why."""


Token = tuple[str, str]


def _tokens(query: str) -> tuple[Token, ...]:
    found: list[Token] = []
    at = 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise _FaultError(f"unexpected {query[at : at + 12]!r}")
        if match.lastgroup is not None:
            found.append((match.lastgroup, match[0]))
        at = match.end()
    return tuple(found)


class _Reader:
    """Recursive descent over the tokens; precedence does not matter, since nothing is built."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> None:
        self._expression()
        if self._at < len(self._tokens):
            raise _FaultError(f"unexpected `{self._peek()[1]}`")

    def _peek(self, ahead: int = 0) -> Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ("end", "")

    def _take(self, sign: str) -> bool:
        if self._peek()[1] == sign and self._peek()[0] in ("sign", "name"):
            self._at += 1
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            kind, text = self._peek()
            raise _FaultError(f"expected `{sign}` but " + ("the text ends" if kind == "end" else f"found `{text}`"))

    def _expression(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _FaultError("it is nested too deeply")
        self._unary()
        while self._operator():
            self._unary()
        self._depth -= 1

    def _operator(self) -> bool:
        kind, text = self._peek()
        if not ((kind == "sign" and text in _BINARY_SIGNS) or (kind == "name" and text.lower() in _BINARY_WORDS)):
            return False
        self._at += 1
        self._take("bool")
        if self._take("on") or self._take("ignoring"):
            self._names()
            if (self._take("group_left") or self._take("group_right")) and self._peek()[1] == "(":
                self._names()
        return True

    def _unary(self) -> None:
        while self._peek()[1] in ("+", "-") and self._peek()[0] == "sign":
            self._at += 1
        self._primary()
        while self._suffix():
            pass

    def _primary(self) -> None:
        kind, text = self._peek()
        if kind in ("number", "duration", "string"):
            self._at += 1
        elif text == "(":
            self._at += 1
            self._expression()
            self._need(")")
        elif text == "{":
            self._matchers()
        elif kind == "name" and text.lower() not in _BINARY_WORDS and not (self._peek(1)[1] == "(" and text in _MODIFIERS):
            self._named()
        else:
            raise _FaultError("an expression is missing at the end" if kind == "end" else f"unexpected `{text}`")

    def _named(self) -> None:
        name = self._peek()[1]
        self._at += 1
        grouped = name.lower() in _AGGREGATIONS and self._peek()[1] in ("by", "without")
        if grouped:
            self._at += 1
            self._names()
        if grouped or self._peek()[1] == "(":
            self._arguments()
            if name.lower() in _AGGREGATIONS and (self._take("by") or self._take("without")):
                self._names()
        elif self._peek()[1] == "{":
            self._matchers()

    def _arguments(self) -> None:
        self._need("(")
        if self._take(")"):
            return
        self._expression()
        while self._take(","):
            self._expression()
        self._need(")")

    def _suffix(self) -> bool:
        if self._take("["):
            self._window()
            if self._take(":") and self._peek()[1] != "]":
                self._window()
            self._need("]")
        elif self._take("offset"):
            self._take("-")
            self._window()
        elif self._take("@"):
            self._instant()
        else:
            return False
        return True

    def _window(self) -> None:
        if self._peek()[0] not in ("duration", "number"):
            raise _FaultError(f"expected a duration as in 5m but found `{self._peek()[1]}`")
        self._at += 1

    def _instant(self) -> None:
        self._take("-")
        kind, text = self._peek()
        self._at += 1
        if kind == "name" and text in ("start", "end"):
            self._need("(")
            self._need(")")
        elif kind != "number":
            raise _FaultError("`@` takes a number, start() or end()")

    def _matchers(self) -> None:
        self._need("{")
        while not self._take("}"):
            kind, text = self._peek()
            if kind not in ("name", "string"):
                raise _FaultError(f"expected a label but found `{text}`" if text else "expected `}` but the text ends")
            self._at += 1
            if kind == "name" or self._peek()[1] in _MATCHERS:
                self._matcher()
            if not self._take(","):
                self._need("}")
                return

    def _matcher(self) -> None:
        if self._peek()[1] not in _MATCHERS:
            raise _FaultError(f"expected one of = != =~ !~ but found `{self._peek()[1]}`")
        self._at += 1
        if self._peek()[0] != "string":
            raise _FaultError("a label is compared with a quoted text")
        self._at += 1

    def _names(self) -> None:
        self._need("(")
        while not self._take(")"):
            if self._peek()[0] not in ("name", "string"):
                raise _FaultError(f"expected a label but found `{self._peek()[1]}`")
            self._at += 1
            if not self._take(","):
                self._need(")")
                return
