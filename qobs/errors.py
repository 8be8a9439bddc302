"""Every error that qobs raises on purpose.

The tree::

    QobsError
    ├── ConfigError            the operator's files: carries all findings, each with file, line and key path
    ├── StoreError             the store cannot do what was asked
    │   ├── StoreCorrupt       the file is damaged (it is kept, never deleted)
    │   ├── StoreLocked        another daemon holds it
    │   ├── StoreTooNew        written by a newer qobs: refuse to start
    │   └── StoreFull          no space, or read-only: polling pauses, serving goes on
    ├── CircuitError           a circuit or its counts cannot be read: where, what was found, what is allowed
    └── SourceError            a provider's answer, as data: has a bounded ``reason``
        ├── Unreachable        dns, connect, tls, timeout
        ├── Refused            auth, forbidden, rate_limited: the provider said no
        ├── Unavailable        server_error: the provider is ill
        └── BadPayload         the answer is not what the contract says
            └── ApiChanged     so many records are unreadable that asking on is useless: trips the breaker

An expected failure of a provider is a value at the poller's edge (``Poll.reason``); anything else that escapes is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass

from qobs.model import Reason


class QobsError(Exception):
    """Base of all errors that qobs raises on purpose."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in an operator's file: where, what was found, what is allowed.

    ``line`` counts from 1; None where the finding is about the file as a whole.
    """

    file: str
    path: str
    found: str
    hint: str
    code: str = "config.invalid"
    line: int | None = None
    document: int | None = None

    def __str__(self) -> str:
        """One line for people: ``file:line: path: found; hint``."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.path or '(top level)'}: {self.found}; {self.hint}"


class ConfigError(QobsError):
    """The operator's files cannot be used; ``findings`` tells everything that is wrong at once."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        """Keep all findings; the message is one line each."""
        self.findings = findings
        super().__init__("\n".join(str(finding) for finding in findings))


class StoreError(QobsError):
    """The store cannot do what was asked."""


class StoreCorrupt(StoreError):
    """The database file is damaged. It is moved aside or left in place, never deleted."""


class StoreLocked(StoreError):
    """Another process holds the store."""


class StoreTooNew(StoreError):
    """The store was written by a newer qobs."""


class StoreFull(StoreError):
    """The disk is full or read-only; nothing was acknowledged."""


class CircuitError(QobsError):
    """A circuit, or the counts of one, cannot be read. ``line`` and ``column`` count from 1; None where no place is known."""

    def __init__(self, found: str, allowed: str, *, line: int | None = None, column: int | None = None) -> None:
        """Keep what was found and what is allowed; the message begins with the place where it is known."""
        self.found, self.allowed, self.line, self.column = found, allowed, line, column
        place = "" if line is None else f"line {line}: " if column is None else f"line {line}, column {column}: "
        super().__init__(f"{place}{found}; {allowed}")


class SourceError(QobsError):
    """A provider could not be read. ``reason`` is the bounded label; the message is already redacted."""

    reason: Reason = Reason.OTHER

    def __init__(self, message: str, *, reason: Reason | None = None, retry_after_seconds: float | None = None) -> None:
        """``retry_after_seconds`` is the provider's own wish (a lower bound), None where it has none."""
        super().__init__(message)
        if reason is not None:
            self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Unreachable(SourceError):
    """No answer: name, connection, TLS or time."""

    reason = Reason.CONNECT


class Refused(SourceError):
    """The provider said no: credentials, rights or rate."""

    reason = Reason.AUTH


class Unavailable(SourceError):
    """The provider answered that it is ill (5xx)."""

    reason = Reason.SERVER_ERROR


class BadPayload(SourceError):
    """The answer is not what the contract says; nothing of it was applied."""

    reason = Reason.BAD_PAYLOAD


class ApiChanged(BadPayload):
    """More records are unreadable than chance explains: the breaker opens at once, what was readable stands."""
