"""Credentials are found whatever they look like, and other text is left alone."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.secret import Secret
from qobs.sources.redact import SecretFilter, SecretRegistry, redact, redact_json, redact_url

CANARY = "cAnAry7f3a9c51"

LEAKS = [
    f"https://acct.blob.core.windows.net/job-1/out?sv=2024-08-04&se=2026-01-01T00%3A00%3A00Z&sr=b&sp=r&sig={CANARY}%3D",
    f"sv=2024-08-04&sr=b&sig={CANARY}%3D",
    f"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={CANARY}%2F20260101&X-Amz-Signature={CANARY}",
    f"X-Amz-Security-Token={CANARY}",
    f"https://h.example/v1?key={CANARY}",
    f"https://user:{CANARY}@h.example/v1",
    f"https://{CANARY}@h.example/v1",
    f"https://h.example/cb#access_token={CANARY}",
    f"access_token={CANARY}&x=1",
    f"Authorization: Bearer {CANARY}",
    f"authorization: apiKey {CANARY}",
    f"Authorization: Basic {CANARY}==",
    f"{{'Authorization': 'Bearer {CANARY}'}}",
    f'{{"Authorization":"apiKey {CANARY}"}}',
    f'{{"access_token": "{CANARY}", "expires_in": 3600}}',
    f'{{\\"apikey\\": \\"{CANARY}\\"}}',
    f"apikey={CANARY}",
    f"api_key: {CANARY}",
    f"x-api-key: {CANARY}",
    f"password={CANARY}",
    f"client_secret={CANARY}",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={CANARY};EndpointSuffix=x",
    f"SharedAccessSignature={CANARY}",
    f"Set-Cookie: session={CANARY}",
    f"token rejected: Bearer   {CANARY}",
    f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\nand cut",
    f"jwt eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}",
    f"mail to {CANARY}@example.com",
]


@pytest.mark.parametrize("text", LEAKS, ids=range(len(LEAKS)))
def test_a_credential_is_masked(text):
    """What is stored, logged or shown of an answer must not open an account (R9)."""
    assert CANARY not in redact(text)
    assert "***" in redact(text)
    assert CANARY not in json.dumps(redact_json({"a": [text]}))


@pytest.mark.parametrize("text", LEAKS, ids=range(len(LEAKS)))
def test_masking_twice_changes_nothing(text):
    """Records are redacted at several doors; their text, and so their hash, must stay the same."""
    assert redact(redact(text)) == redact(text)


PLAIN = [
    "Job 5d0f1a2b failed: too many shots (100000 > 8192) on ibm_fez",
    "qubits=5 shots=1000 depth=17",
    "https://quantum.cloud.ibm.com/api/v1/jobs/cz123",
    "Instruction rzz is not supported; see 8.1.2",
    "key error: 'counts'",
    "2026-03-02T10:15:04.3233546+00:00",
    "/subscriptions/0000/resourceGroups/rg/providers/Microsoft.Quantum/Workspaces/w",
    "crn:v1:bluemix:public:quantum-computing:us-east:a/abc:def::",
    "ratio 3:4, a@b",
    "",
]


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_is_left_alone(text):
    """A redactor that shreds messages makes failures undiagnosable."""
    assert redact(text) == text


@given(st.text(max_size=300))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_any_text_is_redacted_stably(text):
    """No text crashes it; a second pass changes nothing."""
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "a." * 100_000,
        "@" * 100_000,
        "eyJ" * 60_000,
        "https://" * 20_000,
        "-----BEGIN " * 10_000,
        "token=" * 30_000,
        "a_" * 100_000,
        "x-amz-" * 30_000,
        " " * 200_000,
        "bearer " * 30_000,
    ],
    ids=lambda text: text[:8],
)
def test_hostile_text_takes_linear_time(text):
    """A message made to trip the patterns must not hold the event loop (a hang fails this test by its runner's limit)."""
    assert isinstance(redact(text), str)


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://u:p@h.example:8443/a/b?sig=x#y", "https://h.example:8443/a/b"),
        ("https://h.example", "https://h.example"),
        ("https://h.example?x", "https://h.example"),
        ("https://a@b@h.example/p@q", "https://h.example/p@q"),
        ("/relative?x=1", "/relative"),
        ("", ""),
    ],
)
def test_a_url_loses_query_and_user(url, bare):
    """Only what names the place stays."""
    assert redact_url(url) == bare


def test_secret_named_members_are_masked_and_others_kept():
    """Names tell more than values: an opaque value under "apiKey" is one."""
    given_json = {
        "apiKey": CANARY,
        "storageAccountKey": CANARY,
        "nested": [{"x-auth-token": {"deep": CANARY}}, {"sasUri": CANARY, "password": 12345}],
        "shots": 100,
        "keyboard": "qwerty",
        "error": 0.25,
        "texas": "state",
        "token": None,
        "secret": True,
    }
    kept = redact_json(given_json)
    assert CANARY not in json.dumps(kept)
    assert "12345" not in json.dumps(kept)
    assert {name: kept[name] for name in ("shots", "keyboard", "error", "texas", "token", "secret")} == {
        "shots": 100,
        "keyboard": "qwerty",
        "error": 0.25,
        "texas": "state",
        "token": None,
        "secret": True,
    }
    assert given_json["apiKey"] == CANARY


SECRET = "p/w+ d:é=7&f\"3'a%9c\\51"


def encodings(value):
    raw = value.encode()
    return {
        "plain": value,
        "url": urllib.parse.quote(value, safe=""),
        "url, slash kept": urllib.parse.quote(value),
        "url, lower case": re.sub("%..", lambda escape: escape[0].lower(), urllib.parse.quote(value, safe="")),
        "form": urllib.parse.quote_plus(value),
        "json": json.dumps(value),
        "json, not ascii": json.dumps(value, ensure_ascii=False),
        "repr": repr(value),
        "base64": base64.b64encode(raw).decode(),
        "base64, url-safe": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "basic apikey": base64.b64encode(b"apikey:" + raw).decode(),
        "basic user": base64.b64encode(b"me:" + raw).decode(),
        "basic user of two": base64.b64encode(b"us:" + raw + b":x").decode(),
        "basic one": base64.b64encode(b"u:" + raw).decode(),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
    }


def leaked(text, value):
    """What of ``value`` can still be found in ``text``: any eight characters in a row of any of its spellings."""
    found = []
    for name, form in encodings(value).items():
        core = form.strip("\"'=")
        windows = [core[at : at + 8] for at in range(len(core) - 7)]
        if name.startswith("basic"):
            windows = windows[10:-4]
        if any(window in text for window in windows):
            found.append(name)
    return found


@pytest.mark.parametrize("value", [SECRET, "plain-Token_0123456789abcdef", "x" * 40 + "y"])
@pytest.mark.parametrize("name", encodings(SECRET))
def test_a_registered_value_is_masked_in_every_spelling(value, name):
    """A library that logs the encoded form must not betray the key either."""
    registry = SecretRegistry([Secret(value)])
    text = f"before {encodings(value)[name]} after"
    scrubbed = registry.scrub(text)
    assert "***" in scrubbed
    assert scrubbed.startswith("before ")
    assert scrubbed.endswith(" after")
    assert leaked(scrubbed, value) == []


def test_a_short_value_is_not_searched_for():
    """Masking every "a" of the log would spell the secret out."""
    assert SecretRegistry([Secret("a")]).scrub("a banana") == "a banana"


def logged(emit, *secrets):
    """What a handler with the filter writes for what ``emit`` logs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(context)s", defaults={"context": ""}))
    handler.addFilter(SecretFilter(SecretRegistry([Secret(secret) for secret in secrets])))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    emit(logger)
    return stream.getvalue()


VALUE = "registered-7f3a9c51-value"


def raise_with(logger):
    try:
        raise ValueError(f"refused {VALUE}")
    except ValueError:
        logger.exception("poll failed")


class Shown:
    def __repr__(self):
        return f"<request {VALUE}>"


@pytest.mark.parametrize(
    "emit",
    [
        lambda logger: logger.warning(f"sent {VALUE}"),
        lambda logger: logger.warning("sent %s", VALUE),
        lambda logger: logger.warning("sent %(a)s", {"a": VALUE}),
        lambda logger: logger.warning("sent %s", ["x", {"y": VALUE}]),
        lambda logger: logger.warning("sent %r", Shown()),
        lambda logger: logger.warning(Shown()),
        lambda logger: logger.warning(ValueError(VALUE)),
        lambda logger: logger.warning("sent %s %s", VALUE),
        lambda logger: logger.warning("x", extra={"context": VALUE}),
        lambda logger: logger.warning("x", extra={"context": {"a": [VALUE, (VALUE,)]}}),
        lambda logger: logger.warning("x", extra={"context": Shown()}),
        raise_with,
    ],
)
def test_no_way_of_logging_shows_a_registered_value(emit):
    """The second net: what no code meant to log is caught at the handler."""
    text = logged(emit, VALUE)
    assert VALUE not in text
    assert "***" in text


def test_a_traceback_keeps_its_lines_without_the_value():
    """The bug must stay findable."""
    text = logged(raise_with, VALUE)
    assert "Traceback" in text
    assert "raise_with" in text
    assert "ValueError: refused ***" in text


def test_what_looks_like_a_credential_is_masked_without_registration():
    """Tokens that the provider sent us are in no secret file."""
    assert CANARY not in logged(lambda logger: logger.warning("got %s", f"Bearer {CANARY}"), VALUE)


def test_clean_records_pass_unchanged():
    """Arguments stay arguments, so that structured output keeps them."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record)

    keep = Keep()
    keep.addFilter(SecretFilter(SecretRegistry([Secret(VALUE)])))
    logger = logging.Logger("test")
    logger.addHandler(keep)
    logger.warning("polled %s in %.1f s", "ibm", 1.5)
    assert (records[0].msg, records[0].args) == ("polled %s in %.1f s", ("ibm", 1.5))


def test_arguments_that_the_message_cuts_are_masked_too():
    """Structured output shows what ``%.3s`` hides."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record)

    keep = Keep()
    keep.addFilter(SecretFilter(SecretRegistry([Secret(VALUE)])))
    logger = logging.Logger("test")
    logger.addHandler(keep)
    logger.warning("key %.3s", VALUE)
    assert VALUE not in repr(records[0].__dict__)


def test_the_registry_grows_with_rotated_secrets():
    """A secret read later is searched for from then on; the old one still is."""
    registry = SecretRegistry([Secret("first-secret-1")])
    registry.add(Secret("second-secret-2"))
    assert registry.scrub("first-secret-1 second-secret-2") == "*** ***"
