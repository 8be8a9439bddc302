"""Values of OpenQASM 3 expressions that are known before the program runs: constants, loop variables, arithmetic on them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from openqasm3 import ast

from qobs.errors import CircuitError
from qobs.reference.expressions import ALLOWED, CONSTANTS, FUNCTIONS, binary
from qobs.reference.limits import quoted

Value = int | float
"""A number; bool is an int, and int stays int: loops and indices need it."""

_LARGEST = 2**62


def value(node: ast.Expression | None, names: Mapping[str, Value]) -> Value:
    """The value of an expression.

    Raises:
        CircuitError: it is not known before the program runs, or has no finite value.
    """
    try:
        found = _value(node, names)
    except (ArithmeticError, ValueError) as error:
        raise CircuitError(f"an expression without a value ({str(error)[:60]})", ALLOWED) from None
    if (isinstance(found, int) and abs(found) > _LARGEST) or not math.isfinite(found):
        raise CircuitError("an expression beyond all bounds", "finite numbers are read")
    return found


def whole(node: ast.Expression | None, names: Mapping[str, Value], what: str) -> int:
    """A whole number.

    Raises:
        CircuitError: another value, or none.
    """
    found = value(node, names)
    if not isinstance(found, int):
        raise CircuitError(f"{what} is {found}", "a whole number")
    return int(found)


def _value(node: ast.Expression | None, names: Mapping[str, Value]) -> Value:
    if isinstance(node, (ast.IntegerLiteral, ast.FloatLiteral, ast.BooleanLiteral)):
        return node.value
    if isinstance(node, ast.Identifier):
        return _named(node.name, names)
    if isinstance(node, ast.UnaryExpression) and node.op.name == "-":
        return -value(node.expression, names)
    if isinstance(node, ast.BinaryExpression):
        return _binary(node.op.name, value(node.lhs, names), value(node.rhs, names))
    if isinstance(node, ast.FunctionCall) and node.name.name in FUNCTIONS and len(node.arguments) == 1:
        return FUNCTIONS[node.name.name](value(node.arguments[0], names))
    if isinstance(node, ast.Cast):
        return converted(node.type, value(node.argument, names))
    raise CircuitError(f"{type(node).__name__} where a value known beforehand is needed", ALLOWED)


def _named(name: str, names: Mapping[str, Value]) -> Value:
    found = names.get(name, CONSTANTS.get(name))
    if found is None:
        raise CircuitError(
            f"{quoted(name)} has no value known beforehand", "constants, loop variables and parameters of gates have one"
        )
    return found


def _binary(sign: str, left: Value, right: Value) -> Value:
    if sign == "%" and isinstance(left, int) and isinstance(right, int):
        return left % right
    if sign not in {"+", "-", "*", "/", "**"}:
        raise CircuitError(f"the operator {quoted(sign)}", "+ - * / ** and % of whole numbers are read")
    found = binary(sign, left, right, 3)
    if sign == "**" and isinstance(left, int) and isinstance(right, int) and right >= 0 and abs(found) < 2**53:
        return int(found)
    return found


def converted(kind: ast.ClassicalType, given: Value) -> Value:
    """The value as a constant of a type holds it.

    Raises:
        CircuitError: a type that holds no plain number.
    """
    if isinstance(kind, (ast.IntType, ast.UintType)):
        return int(given)
    if isinstance(kind, (ast.FloatType, ast.AngleType)):
        return float(given)
    if isinstance(kind, ast.BoolType):
        return bool(given)
    raise CircuitError(
        f"a constant of type {type(kind).__name__.removesuffix('Type').lower()}", "int, uint, float, angle and bool are read"
    )
