"""OpenQASM 3 by its full grammar: for what people write, at about half a millisecond per gate.

The grammar's parser is called only on a text that is short, whose brackets are not nested deep and whose statements are not long:
its time and its recursion are bounded before it starts. Definitions are expanded, constants computed, loops with known bounds
unrolled, all under the limits; what depends on measurement results is refused by its name.
"""

from __future__ import annotations

import re

from qobs.errors import CircuitError
from qobs.reference.circuit import Circuit
from qobs.reference.definitions import Definitions
from qobs.reference.limits import Limits, quoted, within
from qobs.reference.source import Source

_BRACKET = re.compile(r"[()\[\]{}]")
_BOUNDARY = re.compile(r"[;{}]")
_LONGEST_STATEMENT = 20_000
_LONGEST_CHAIN = 400
_CAUSES = 6
_OPERATORS = re.compile(r"[-+*/%~!^&|<>=@]|\bif\b|\belse\b|\bfor\b|\bwhile\b|\[")


def read(source: Source, definitions: Definitions, limits: Limits, dt_seconds: float | None) -> Circuit:
    """The circuit; ``definitions`` are what was taken out of the text already.

    Raises:
        CircuitError: not OpenQASM 3, not a circuit, or beyond the limits.
    """
    _check_shape(source.text, limits)
    from qobs.reference.qasm_walk import Walk

    walk = Walk(definitions, limits, dt_seconds, source.physical_qubits(limits))
    return walk.run(_parsed(source.text))


def _check_shape(text: str, limits: Limits) -> None:
    """Nothing, where the grammar's parser needs bounded time and depth for the text."""
    within(len(text), limits.grammar_bytes, "characters of OpenQASM 3 that is not plain")
    _check_nesting(text, limits.nesting)
    begin = 0
    for match in _BOUNDARY.finditer(text + ";"):
        statement = text[begin : match.start()]
        if len(statement) > _LONGEST_STATEMENT or len(_OPERATORS.findall(statement)) - statement.count("[") > _LONGEST_CHAIN:
            line = text.count("\n", 0, begin) + 1
            found = f"a statement of {len(statement)} characters"
            raise CircuitError(found, f"at most {_LONGEST_STATEMENT}, with {_LONGEST_CHAIN} operators, are read", line=line)
        begin = match.end()


def _check_nesting(text: str, most: int) -> None:
    depth = 0
    for match in _BRACKET.finditer(text):
        depth += 1 if match.group() in "([{" else -1
        if depth > most:
            line = text.count("\n", 0, match.start()) + 1
            raise CircuitError("brackets nested too deep", f"at most {most} levels are read", line=line)


def _parsed(text: str) -> object:
    import openqasm3

    try:
        return openqasm3.parse(text)
    except Exception as error:  # the grammar's parser raises what its inner parts happen to raise
        line, column, word = _place_of(error)
        found = f"no OpenQASM 3 (at {quoted(word)})" if word else f"no OpenQASM 3 ({quoted(str(error) or type(error).__name__)})"
        raise CircuitError(found, "the grammar of OpenQASM 3 is read", line=line, column=column) from None


def _place_of(error: BaseException) -> tuple[int | None, int | None, str]:
    """Line, column and word at which the grammar's parser stopped, from the causes of its error."""
    cause: BaseException | None = error
    for _ in range(_CAUSES):
        token = getattr(cause, "offendingToken", None)
        if token is not None:
            return int(token.line), int(token.column) + 1, str(token.text)
        if cause is None:
            break
        inner = next((each for each in cause.args if isinstance(each, BaseException)), None)
        cause = inner or cause.__cause__ or cause.__context__
    return None, None, ""
