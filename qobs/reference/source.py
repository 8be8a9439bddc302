"""The text of an OpenQASM program, ready to be split: comments blanked, pragmas and verbatim boxes taken out, lines kept."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qobs.errors import CircuitError
from qobs.reference.limits import Limits, quoted, within

_COMMENT = re.compile(r"//[^\n]*+|/\*")
_PRAGMA = re.compile(r"^[ \t]*+#?pragma\b([^\n]*+)", re.MULTILINE)
_VERSION = re.compile(r"\s*+OPENQASM\s++([0-9]{1,3}+)(?:\.([0-9]{1,3}+))?\s*+;")
_BOX = re.compile(r"\bbox\s*+\{")
_PHYSICAL = re.compile(r"\$([0-9]++)")
_INCLUDED = re.compile(r"\binclude\b")
_HARMLESS_RESULTS = ("result probability", "result state_vector", "result density_matrix", "result amplitude")
_LONGEST_NUMBER = 6


@dataclass(frozen=True, slots=True)
class Source:
    """``text`` without comments and pragmas; ``raw`` as given; ``version`` 2 or 3; ``braket`` where the dialect is Braket's."""

    raw: str
    text: str
    version: int
    braket: bool

    def physical_qubits(self, limits: Limits) -> tuple[int, ...]:
        """The hardware's numbers of all ``$n``, ascending; empty where none is used.

        Raises:
            CircuitError: more of them than allowed, or a number of more than 6 digits.
        """
        if "$" not in self.text:
            return ()
        words = set(_PHYSICAL.findall(self.text))
        if any(len(word) > _LONGEST_NUMBER for word in words):
            raise CircuitError("a physical qubit's number of many digits", f"at most {_LONGEST_NUMBER} digits are read")
        numbers = sorted({int(word) for word in words})
        within(len(numbers), limits.qubits, "qubits")
        return tuple(numbers)

    def placed(self, error: CircuitError, number: int) -> CircuitError:
        """The error with line and column of the statement that is ``number``, counted from 0."""
        statements = self.text.split(";", number + 1)
        begin = sum(len(statement) + 1 for statement in statements[:number])
        begin += len(statements[number]) - len(statements[number].lstrip())
        line = self.text.count("\n", 0, begin) + 1
        column = begin - self.text.rfind("\n", 0, begin)
        return type(error)(error.found, error.allowed, line=line, column=column)


def prepared(raw: str, *, version: int | None = None, braket: bool = False) -> Source:
    """The program ready to be split into statements.

    Raises:
        CircuitError: an unknown version, another one than ``version``, an open comment, or a pragma that changes what the program
            means.
    """
    text = _without_comments(raw) if "//" in raw or "/*" in raw else raw
    found = _VERSION.match(text)
    if found is None and version is None:
        raise CircuitError(
            f"a text that begins with {quoted(text.lstrip()[:40])}", "OpenQASM begins with `OPENQASM 2.0;` or `OPENQASM 3;`"
        )
    major = int(found.group(1)) if found else version or 3
    if major not in (2, 3) or version not in (None, major):
        raise CircuitError(
            f"OpenQASM version {major}", "versions 2 and 3 are read" if version is None else f"asked for is {version}"
        )
    if "pragma" in text:
        text, of_braket = _without_pragmas(text)
        braket = braket or of_braket
    return Source(raw, text, major, braket or (major == 3 and _INCLUDED.search(text) is None))


def _without_comments(raw: str) -> str:
    """Comments blanked, in one pass; line breaks and columns stay."""
    kept: list[str] = []
    after = 0
    while match := _COMMENT.search(raw, after):
        end = match.end()
        if match.group() == "/*":
            closed = raw.find("*/", end)
            if closed < 0:
                raise CircuitError("a comment that never ends", "close it with `*/`", line=raw.count("\n", 0, match.start()) + 1)
            end = closed + 2
        blank = "".join("\n" if char == "\n" else " " for char in raw[match.start() : end])
        kept += (raw[after : match.start()], blank)
        after = end
    return "".join(kept) + raw[after:]


def _without_pragmas(text: str) -> tuple[str, bool]:
    """The text without pragmas, whether they are Braket's; a verbatim box is what is in it."""
    verbatim = braket = False
    for match in _PRAGMA.finditer(text):
        words = " ".join(match.group(1).split())
        if not words.startswith("braket "):
            continue
        braket = True
        verbatim = verbatim or words == "braket verbatim"
        if words != "braket verbatim" and not words.removeprefix("braket ").startswith(_HARMLESS_RESULTS):
            line = text.count("\n", 0, match.start(1)) + 1
            allowed = "`verbatim` and results of the computational basis are read"
            raise CircuitError(f"the pragma {quoted(words)} changes what is measured or done", allowed, line=line)
    text = _PRAGMA.sub("", text)
    if verbatim and len(_BOX.findall(text)) == text.count("{") == text.count("}"):
        text = _BOX.sub(lambda match: "\n" * match.group().count("\n"), text).replace("}", "")
    return text, braket
