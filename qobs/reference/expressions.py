"""Angles as arithmetic: numbers, pi, parameters, + - * / and powers, a few functions. Never ``eval``.

An expression is compiled once to postfix steps, so that a long one needs no deep recursion, and evaluated for any values of its
parameters. In OpenQASM 3 a quotient of two whole numbers means different things to different readers (a whole number, as in C, or
a ratio), so one that does not divide exactly is refused; in OpenQASM 2 every number is real.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from qobs.errors import CircuitError
from qobs.reference.limits import quoted

CONSTANTS: Mapping[str, float] = {
    **dict.fromkeys(("pi", "π"), math.pi),
    **dict.fromkeys(("tau", "τ"), math.tau),
    **dict.fromkeys(("euler", "ℇ"), math.e),
}
FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "exp": math.exp,
    "ln": math.log,
    "log": math.log,
    "sqrt": math.sqrt,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
}
ALLOWED = "an angle is a finite number, pi, a parameter, + - * / and powers, brackets, or sin, cos, tan, exp, ln, sqrt of one"

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_πτℇ][A-Za-z0-9_]*)|(?P<sign>\*\*|[-+*/^()]))"
)
_PLAIN = re.compile(r" ?[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2}
_UNARY, _POWER = 3, 4


class Step(NamedTuple):
    """One postfix step: ``push`` a number, take ``argument`` n, ``call`` a function, ``negate``, or a binary sign."""

    code: str
    number: float = 0.0
    function: Callable[[float], float] | None = None


class Expression(NamedTuple):
    """A compiled angle; ``text`` without blanks and with parameters as ``$0``, ``$1`` … is equal for equal formulas."""

    steps: tuple[Step, ...]
    text: str
    version: int


def angle(text: str, version: int, *, nesting: int = 32, chars: int = 1000) -> float:
    """Radians (or any other number) of an expression without parameters.

    Raises:
        CircuitError: it is not one of what :data:`ALLOWED` tells, or its value is not a finite number.

    Example:
        >>> angle("3*pi/4", 3) == 3 * math.pi / 4, angle("-2^2", 2)
        (True, -4.0)
    """
    if len(text) < 64 and _PLAIN.fullmatch(text):
        return _finite(float(text), text)
    return evaluate(compiled(text, (), version, nesting=nesting, chars=chars), ())


def compiled(text: str, parameters: Sequence[str], version: int, *, nesting: int = 32, chars: int = 1000) -> Expression:
    """The expression, ready for values of ``parameters``.

    Raises:
        CircuitError: it is longer than ``chars``, nested deeper than ``nesting``, or not an expression.
    """
    if len(text) > chars:
        raise CircuitError(f"an angle of {len(text)} characters", f"at most {chars} are read")
    return _Compiler(text, parameters, version, nesting).run()


def evaluate(expression: Expression, values: Sequence[float]) -> float:
    """The value for ``values`` of the parameters.

    Raises:
        CircuitError: division by zero, overflow, or no real number.
    """
    stack: list[float] = []
    try:
        for step in expression.steps:
            _run(step, stack, values, expression.version)
        return _finite(float(stack.pop()), expression.text)
    except (ArithmeticError, ValueError) as error:
        raise CircuitError(f"the angle {quoted(expression.text)} has no value ({error})", ALLOWED) from None


def _run(step: Step, stack: list[float], values: Sequence[float], version: int) -> None:
    if step.code == "push":
        stack.append(step.number)
    elif step.code == "argument":
        stack.append(values[int(step.number)])
    elif step.code == "negate":
        stack.append(-stack.pop())
    elif step.function is not None:
        stack.append(step.function(stack.pop()))
    else:
        right = stack.pop()
        stack.append(binary(step.code, stack.pop(), right, version))


def binary(sign: str, left: float, right: float, version: int) -> float:
    """``left sign right``; ``**`` and ``^`` are powers.

    Raises:
        CircuitError: a quotient of whole numbers in OpenQASM 3 that does not divide.
        ArithmeticError, ValueError: no value.
    """
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    if sign == "/":
        return _quotient(left, right, version)
    return math.pow(left, right)


def _quotient(left: float, right: float, version: int) -> float:
    if version == 3 and isinstance(left, int) and isinstance(right, int):
        if left % right:
            raise CircuitError(
                f"the quotient {left}/{right} of whole numbers", f"write {left}.0/{right}: readers differ on what it is"
            )
        return left // right
    return left / right


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise CircuitError(f"the angle {quoted(text)} is not finite", ALLOWED)
    return value


class _Compiler:
    """Precedence climbing over the tokens of one expression."""

    def __init__(self, text: str, parameters: Sequence[str], version: int, nesting: int) -> None:
        self.text, self.version, self.nesting = text, version, nesting
        self.arguments = {name: index for index, name in enumerate(parameters)}
        self.tokens = self._split()
        self.place = 0
        self.steps: list[Step] = []

    def _split(self) -> list[tuple[str, str]]:
        tokens, place, end = [], 0, len(self.text.rstrip())
        while place < end:
            match = _TOKEN.match(self.text, place)
            if match is None or match.lastgroup is None:
                raise self._wrong(self.text[place:].strip())
            tokens.append((match.lastgroup, match.group(match.lastgroup)))
            place = match.end()
        return tokens

    def _wrong(self, what: str) -> CircuitError:
        return CircuitError(f"the angle {quoted(self.text)} has {quoted(what) if what else 'an end too early'}", ALLOWED)

    def _peek(self) -> str:
        return self.tokens[self.place][1] if self.place < len(self.tokens) else ""

    def run(self) -> Expression:
        """All tokens as one expression."""
        self._expression(0, 0)
        if self.place < len(self.tokens):
            raise self._wrong(self._peek())
        words = (f"${self.arguments[word]}" if word in self.arguments else word for _, word in self.tokens)
        return Expression(tuple(self.steps), "".join(words), self.version)

    def _expression(self, least: int, depth: int) -> None:
        if depth > self.nesting:
            raise CircuitError(f"an angle nested deeper than {self.nesting}", "write it with fewer brackets")
        self._operand(depth)
        while (binding := self._binding(self._peek())) > least:
            sign = self._peek()
            self.place += 1
            self._expression(binding - 1 if binding == _POWER else binding, depth + 1)
            self.steps.append(Step(sign))

    def _binding(self, sign: str) -> int:
        if sign == ("^" if self.version == 2 else "**"):
            return _POWER
        return _BINDING.get(sign, 0)

    def _operand(self, depth: int) -> None:
        if self.place >= len(self.tokens):
            raise self._wrong("")
        kind, word = self.tokens[self.place]
        self.place += 1
        if kind == "number":
            self.steps.append(Step("push", _number(word, self.version)))
        elif kind == "name":
            self._name(word, depth)
        elif word == "(":
            self._bracket(depth)
        elif word in "+-":
            self._expression(_UNARY, depth + 1)
            if word == "-":
                self.steps.append(Step("negate"))
        else:
            raise self._wrong(word)

    def _bracket(self, depth: int) -> None:
        self._expression(0, depth + 1)
        if self._peek() != ")":
            raise self._wrong(self._peek())
        self.place += 1

    def _name(self, word: str, depth: int) -> None:
        if word in self.arguments:
            self.steps.append(Step("argument", self.arguments[word]))
        elif word in CONSTANTS:
            self.steps.append(Step("push", CONSTANTS[word]))
        elif word in FUNCTIONS and self._peek() == "(":
            self.place += 1
            self._bracket(depth)
            self.steps.append(Step("call", 0.0, FUNCTIONS[word]))
        else:
            raise self._wrong(word)


def _number(word: str, version: int) -> float:
    return int(word) if version == 3 and word.isdigit() else float(word)
