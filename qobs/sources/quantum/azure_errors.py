"""What Azure says when it says no: three forms of error, one typed refusal.

The data plane and the sign-in service write JSON, blob storage writes XML (with a byte order mark), and a refused key or
token gets an empty body with the reason in a header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from qobs.errors import BadPayload, Refused, SourceError
from qobs.model import Reason
from qobs.sources.base import Answer
from qobs.sources.decode import decode_object
from qobs.sources.redact import redact

HANDLED = frozenset({200, 400, 401, 403, 404})
"""Statuses whose bodies are read here; all others are told by the HTTP client alone."""

SIGN_IN_PAUSE_SECONDS = 300.0
"""A refused sign-in is a matter of configuration: asking again soon changes nothing and looks like an attack."""

_CHALLENGE = re.compile(r'error="([^"]{1,80})"')
_XML_CODE = re.compile(rb"<Code>([^<]{1,80})</Code>")
_XML_MESSAGE = re.compile(rb"<Message>([^<]{1,400})")
_CONTAINERS = ("workspace", "subscription", "resourcegroup")


class Problem(NamedTuple):
    """A refusal in words: the service's code and message, None where the body has none."""

    code: str | None
    message: str | None


def problem(answer: Answer) -> Problem:
    """Code and message of an error answer, whichever of the three forms it has; total."""
    if not answer.body.strip():
        challenge = _CHALLENGE.search(answer.headers.get("www-authenticate", ""))
        return Problem(challenge[1] if challenge else None, None)
    if answer.body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return Problem(_first(_XML_CODE, answer.body), _first(_XML_MESSAGE, answer.body))
    try:
        return _from_json(decode_object(answer.body, what="error"))
    except BadPayload:
        return Problem(None, None)


def _first(pattern: re.Pattern[bytes], body: bytes) -> str | None:
    match = pattern.search(body)
    return redact(match[1].decode("utf-8", "replace").strip()) if match else None


def _from_json(body: Mapping[str, Any]) -> Problem:
    error = body.get("error")
    if isinstance(error, Mapping):
        return Problem(_text(error.get("code")), _text(error.get("message")))
    return Problem(_text(error), _text(body.get("error_description")))


def _text(value: object) -> str | None:
    return redact(value)[:400] if isinstance(value, str) and value else None


def refusal(answer: Answer, *, what: str) -> SourceError:
    """The error that an answer of 400, 401, 403 or 404 means; ``what`` names what was asked for.

    A 403 of the storage service about an expired signature is a matter of credentials, not of rights.
    """
    found = problem(answer)
    words = ": ".join(part for part in (found.code, found.message) if part) or "empty or unreadable body"
    reason = _REASONS.get(answer.status, Reason.OTHER)
    if found.code == "AuthenticationFailed":
        reason = Reason.AUTH
    return Refused(f"{what}: {answer.status} {words}"[:300], reason=reason)


_REASONS: Mapping[int, Reason] = {401: Reason.AUTH, 403: Reason.FORBIDDEN, 404: Reason.NOT_FOUND}


def sign_in_refusal(answer: Answer) -> SourceError:
    """The error that a refused token request means: the tenant, the client or its secret is wrong."""
    found = problem(answer)
    words = " ".join(part for part in (found.code, found.message) if part) or "empty or unreadable body"
    return Refused(f"sign-in: {answer.status} {words}"[:300], reason=Reason.AUTH, retry_after_seconds=SIGN_IN_PAUSE_SECONDS)


def is_about_one_job(answer: Answer) -> bool:
    """Whether a 404 says that the job is gone, and not that the whole workspace is, or that a gateway answered."""
    if answer.body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return False
    code = (problem(answer).code or "").replace(" ", "").lower()
    return not code.startswith(_CONTAINERS)
