"""How large a circuit may be. Every limit is checked before the memory that it guards is taken."""

from __future__ import annotations

from dataclasses import dataclass

from qobs.errors import CircuitError

_LONGEST_QUOTE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one circuit; the defaults hold every circuit that today's hardware can run, many times over."""

    source_bytes: int = 8 * 1024 * 1024
    """Of the text, or of the binary form once it is inflated."""
    qubits: int = 2_048
    clbits: int = 16_384
    operations: int = 200_000
    """After expansion of gate definitions, loops and whole registers."""
    iterations: int = 50_000
    """Of all loops of a program together; loops with nothing inside count too."""
    nesting: int = 32
    """Of parentheses, braces and JSON."""
    expression_chars: int = 1_000
    """Of one angle."""
    grammar_bytes: int = 256 * 1024
    """Of a text that only the full OpenQASM 3 grammar can read, which needs about half a millisecond per gate."""


DEFAULT_LIMITS = Limits()


class Unfamiliar(CircuitError):
    """A form that the parser for machine-written text does not know; the full grammar may."""


def quoted(text: object) -> str:
    """Foreign text for a message: one line, printable, at most 60 characters of it.

    Example:
        >>> quoted("h q[0]"), quoted("a" * 70) == "'" + "a" * 59 + "…'"
        ("'h q[0]'", True)
    """
    shown = str(text)
    if len(shown) > _LONGEST_QUOTE:
        shown = shown[: _LONGEST_QUOTE - 1] + "…"
    return "'" + "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in shown) + "'"


def within(count: int, most: int, what: str) -> None:
    """Nothing, where ``count`` is at most ``most``.

    Raises:
        CircuitError: there are more.
    """
    if count > most:
        raise CircuitError(f"more {what} than allowed ({_short(count)})", f"at most {most} are read")


def _short(count: int) -> str:
    return str(count) if count < 10**18 else "10^18 or more"
