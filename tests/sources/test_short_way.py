"""The short way of reading a page gives exactly what the long way gives, or nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.model import Batch, Raw, Stream
from qobs.sources.decode import extra_json
from qobs.sources.extra import Extras
from qobs.sources.limits import Limits
from qobs.sources.quantum import azure_batch, ibm_jobs, ionq_batch
from qobs.sources.quantum.ionq_jobs import Reading
from qobs.sources.redact import is_plain, redact, redact_json
from qobs.sources.typed import decode_typed

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def recorded(provider: str, key: str) -> list[dict[str, Any]]:
    """Every job of the provider's golden pages."""
    rows = []
    for path in sorted((FIXTURES / provider).glob("*/payload.json")):
        body = json.loads(path.read_bytes())
        if isinstance(body, dict) and isinstance(body.get(key), list):
            rows += [row for row in body[key] if isinstance(row, dict) and "status" in row]
    return rows


AZURE, IONQ, IBM = recorded("azure", "value"), recorded("ionq", "jobs"), recorded("ibm/golden", "jobs")
ODD = st.sampled_from(
    [
        *(None, True, 0, -1, 1.5, 2**70, 1e300, "", "x", "12", "NaN", "2026-11-22T12:00:00", "0001-01-01T00:00:00+14:00"),
        *("Bearer abc.def-123456", "https://a.example/x?sig=abcdefgh", "a@b.example", "nul\x00"),
        *([], ["a"], {}, {"k": "v"}, {"apikey": "abcdefgh"}, {"shots": 5, "n": None, "key": "abc"}, {"status": "Failed"}),
        *([{}], [{"dimensionId": "qpu_time_centiseconds", "amountConsumed": 3}]),
    ]
)


def edited(rows: list[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Some recorded rows, most with a member or two changed, added or taken away."""
    names = sorted({name for row in rows for name in row} | {"brandNew", "itemType"})
    change = st.tuples(st.sampled_from(names), ODD | st.just(...))

    def apply(row: dict[str, Any], changes: list[tuple[str, Any]]) -> dict[str, Any]:
        changed = {**row, **dict(changes)}
        return {name: value for name, value in changed.items() if value is not ...}

    return st.lists(st.builds(apply, st.sampled_from(rows), st.lists(change, max_size=2)), min_size=1, max_size=4)


def page(key: str, rows: list[dict[str, Any]]) -> Raw:
    return Raw(stream=Stream.JOBS, kind="jobs", body=json.dumps({key: rows}).encode(), fetched_at=NOW)


def text(batch: Batch) -> bytes:
    return msgspec.json.encode(batch)


def azure_ways(raw: Raw) -> tuple[Batch | None, Batch]:
    return azure_batch._ordinary_batch(raw, "s", "a"), azure_batch._record_by_record(raw, "s", "a")


def ionq_ways(raw: Raw, *, old: bool) -> tuple[Batch | None, Batch]:
    def reading() -> Reading:
        return Reading(source="s", account="a", now=NOW, with_cost=True)

    return ionq_batch._ordinary_batch(raw, reading(), old=old), ionq_batch._record_by_record(raw, reading(), old=old)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(edited(AZURE))
def test_azure_pages_read_alike_both_ways(rows: list[dict[str, Any]]) -> None:
    """A job that depended on its neighbours' oddities would change in the store whenever they do."""
    short, long = azure_ways(page("value", rows))
    assert short is None or text(short) == text(long)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(edited(IBM))
def test_ibm_pages_read_alike_both_ways(rows: list[dict[str, Any]]) -> None:
    """As for Azure."""
    raw, owner = page("jobs", rows), ibm_jobs.Owner("s", "a")
    short, long = ibm_jobs._ordinary_page(raw, owner), ibm_jobs._record_by_record(raw, owner)
    assert short is None or text(short) == text(long)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(edited(IONQ), st.booleans())
def test_ionq_pages_read_alike_both_ways(rows: list[dict[str, Any]], old: bool) -> None:
    """As for Azure, in both versions of the API."""
    short, long = ionq_ways(page("jobs", rows), old=old)
    assert short is None or text(short) == text(long)


def test_most_recorded_jobs_go_the_short_way() -> None:
    """A short way that nothing goes is no gain: a member that the provider always sends was forgotten."""
    azure = [azure_ways(page("value", [row]))[0] for row in AZURE]
    ionq = [ionq_ways(page("jobs", [row]), old=old)[0] for row in IONQ for old in (False, True)]
    ibm = [ibm_jobs._ordinary_page(page("jobs", [row]), ibm_jobs.Owner("s", "a")) for row in IBM]
    assert sum(batch is not None for batch in ibm) > 0.6 * len(IBM)
    assert sum(batch is not None for batch in azure) > 0.6 * len(AZURE)
    assert sum(batch is not None for batch in ionq) > 0.4 * len(IONQ)


@pytest.mark.parametrize(
    "body",
    [
        b'{"value":[{"id":"a","status":"x","usage":9223372036854775808}]}',
        b'{"value":[{"id":"a","status":"x","usage":-99999999999999999999}]}',
        b"[12345678901234567890]",
        b"12345678901234567890",
        b'{"a": 12345678901234567890 }',
        b'{"a":"\\u0000"}',
        b'{"a":' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"a":"' + b"x" * 70_000 + b'"}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"<html>",
        b"",
        b'{"a":1',
    ],
)
def test_the_short_way_never_takes_what_a_limit_forbids(body: bytes) -> None:
    """The limits are what keeps a hostile answer from the store: a fast path must not be a hole in them."""
    assert decode_typed(body, msgspec.json.Decoder(msgspec.Raw)) is None


def test_the_short_way_keeps_to_the_size_of_a_body() -> None:
    """As above, for the size."""
    assert decode_typed(b"[1,2]", msgspec.json.Decoder(list[int])) == [1, 2]
    assert decode_typed(b"[1,2]", msgspec.json.Decoder(list[int]), Limits(body_bytes=4)) is None


@pytest.mark.parametrize("digits", [b'"12345678901234567890"', b'"ab12345678901234567890cd"', b"0.12345678901234567890", b"1e5"])
def test_long_digits_within_ids_and_decimals_are_ordinary(digits: bytes) -> None:
    """Ids and calibrations are full of them: each would send its page the long way."""
    assert decode_typed(b'{"a":' + digits + b"}", msgspec.json.Decoder(dict[str, Any])) is not None


SECRETS = st.sampled_from(
    [
        *("Bearer abcdefghijkl", "api_key: abcdef", "x?sig=abcdefgh", "me@host.example", "eyJhbGciOi.abcdefgh.x"),
        *("AKIAABCDEFGHIJKLMNOP", "-----BEGIN RSA PRIVATE KEY-----abc", "https://u:p@h.example/a?b#c"),
        *("Basic dXNlcjpwYXNz", "password=hunter22", "plain"),
    ]
)
TEXTS = st.builds("{}{}{}".format, st.text(max_size=6), SECRETS, st.text(max_size=6)) | st.text(max_size=12)
NAMES = st.sampled_from(["a", "apiKey", "TOKEN", "sas", "client-secret", "Authorization", "cookie", "jwt"]) | st.text(max_size=5)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, TEXTS | st.lists(TEXTS, max_size=2) | st.dictionaries(NAMES, TEXTS, max_size=2), max_size=3))
def test_text_that_is_called_plain_has_nothing_to_redact(members: dict[str, Any]) -> None:
    """The quick look decides what is stored as it came: one false "plain" is a credential on disk."""
    try:
        encoded = msgspec.json.encode(members).decode()
    except UnicodeEncodeError:
        return
    if is_plain(encoded):
        assert redact_json(members) == members
        assert redact(encoded) == encoded


class _Members(msgspec.Struct, omit_defaults=True):
    a: Any = None
    b: Any = None


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.none() | TEXTS | st.dictionaries(NAMES, TEXTS, max_size=2), st.none() | st.just("y" * 5000) | TEXTS)
def test_remembered_extras_are_those_of_the_long_way(a: Any, b: Any) -> None:
    """``extra`` is stored text: two spellings of one value would look like a change of the job."""
    extras, told = Extras(), _Members(a, b)
    try:
        msgspec.json.encode(told)
    except UnicodeEncodeError:
        return
    assert extras.text(told) == extras.text(told) == extra_json({"a": a, "b": b})
