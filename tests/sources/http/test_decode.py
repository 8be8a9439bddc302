"""Pages and records: what is refused as a whole, what is set aside alone, and what passes."""

from __future__ import annotations

import json
import math
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.errors import BadPayload
from qobs.model import Stream
from qobs.sources.decode import (
    BadRecord,
    convert_record,
    decode_array,
    decode_object,
    decode_records,
    extra_json,
    quarantine,
    quarantine_aside,
    unknown_fields,
)
from qobs.sources.limits import Limits
from qobs.sources.tolerant import exceeds_depth, problem

JOBS = ("jobs",)


def short(body):
    """A test's id from the beginning of a body."""
    return repr(body[:24])


NOT_A_PAGE = {
    "html": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    "html with space": b"\n\n  <html></html>",
    "empty": b"",
    "blank": b" \r\n\t ",
    "null": b"null",
    "true": b"true",
    "number": b"17",
    "string": b'"jobs"',
    "bom": b'\xef\xbb\xbf{"jobs":[]}',
    "utf-16": '{"jobs":[]}'.encode("utf-16"),
    "utf-16-le": '{"jobs":[]}'.encode("utf-16-le"),
    "utf-16-be": '{"jobs":[]}'.encode("utf-16-be"),
    "utf-32": '{"jobs":[]}'.encode("utf-32-be"),
    "truncated": b'{"jobs":[{"id":"1"},{"id":',
    "truncated string": b'{"jobs":[{"id":"1',
    "two values": b'{"jobs":[]}{"jobs":[]}',
    "garbage": b"\x80\x81\x82",
    "single quotes": b"{'jobs':[]}",
    "deep": b'{"jobs":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    "deep unclosed": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "NaN outside a record": b'{"total":NaN,"jobs":[]}',
    "huge integer outside a record": b'{"total":18446744073709551616,"jobs":[]}',
}


@pytest.mark.parametrize(
    "body", [*NOT_A_PAGE.values(), b"[]", b'{"jobs":null}', b'{"jobs":{}}', b'{"jobs":"x"}', b"{}", b'{"error":"x"}'], ids=short
)
def test_what_is_no_page_is_never_taken_for_zero_jobs(body):
    """A login page with status 200 must not look like an idle quarter of an hour (R6)."""
    with pytest.raises(BadPayload):
        decode_records(body, path=JOBS)


@pytest.mark.parametrize("body", [*NOT_A_PAGE.values(), b"[]", b'[{"id":1}]'], ids=short)
def test_what_is_no_object_is_refused(body):
    """Token answers, single jobs and status pages are objects."""
    with pytest.raises(BadPayload, match="answer"):
        decode_object(body, what="answer")


@pytest.mark.parametrize("body", [*NOT_A_PAGE.values(), b"{}"], ids=short)
def test_what_is_no_array_is_refused(body):
    """Some providers list their backends in a bare array."""
    with pytest.raises(BadPayload):
        decode_records(body, path=None)
    with pytest.raises(BadPayload):
        decode_array(body, what="answer")


def test_an_empty_list_is_an_answer():
    """An account without jobs is no error."""
    assert decode_records(b'{"jobs":[],"total":0}', path=JOBS) == ({"jobs": [], "total": 0}, [], ())
    assert decode_records(b"[]", path=None) == ({}, [], ())
    assert decode_array(b"[]", what="x") == []


def test_records_are_found_where_they_are():
    """At the top, under a key, under several, or the answer is itself the record."""
    assert decode_records(b'[{"id":1}]', path=None).records == [{"id": 1}]
    assert decode_records(b'{"data":{"jobs":[{"id":1}]},"next":"n"}', path=("data", "jobs")).records == [{"id": 1}]
    assert decode_records(b'{"data":{"jobs":[{"id":1}]},"next":"n"}', path=("data", "jobs")).envelope["next"] == "n"
    assert decode_records(b'{"id":1}', path=()).records == [{"id": 1}]


BAD_RECORDS = {
    "NaN": (b'{"id":"b","t1":NaN}', "expected a finite number - at $.t1"),
    "Infinity": (b'{"id":"b","t1":-Infinity}', "expected a finite number - at $.t1"),
    "1e999": (b'{"id":"b","t1":1e999}', "expected a finite number - at $.t1"),
    "2^64": (b'{"id":"b","n":18446744073709551616}', "expected an integer within 64 bits - at $.n"),
    "2^63": (b'{"id":"b","n":[0,9223372036854775808]}', "expected an integer within 64 bits - at $.n[1]"),
    "-2^63-1": (b'{"id":"b","n":-9223372036854775809}', "expected an integer within 64 bits - at $.n"),
    "10^5000": (b'{"id":"b","n":1' + b"0" * 5000 + b"}", "expected a finite number - at $.n"),
    "NUL escaped": (b'{"id":"b","name":"x\\u0000y"}', "expected text without NUL - at $.name"),
    "NUL raw": (b'{"id":"b","name":"x\x00y"}', "expected text without NUL - at $.name"),
    "NUL in a name": (b'{"id":"b","x\\u0000":1}', "expected text without NUL - at $ (a member's name)"),
    "long": (b'{"id":"b","name":"' + b"x" * 65537 + b'"}', "expected at most 65536 bytes of text - at $.name"),
    "long with quotes": (b'{"id":"b","name":"' + b'\\"x' * 40000 + b'"}', "expected at most 65536 bytes of text - at $.name"),
    "long in bytes": (('{"id":"b","name":"' + "é" * 32769 + '"}').encode(), "expected at most 65536 bytes of text - at $.name"),
    "half a surrogate": (b'{"id":"b","name":"\\ud800"}', "expected valid Unicode - at $.name"),
    "latin-1": (b'{"id":"b","name":"\xe9"}', "expected valid Unicode - at $.name"),
    "string": (b'"b"', "expected object, found string"),
    "null": (b"null", "expected object, found null"),
    "array": (b"[]", "expected object, found array"),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_bad_record_is_set_aside_and_its_page_counts(name):
    """One job that a provider garbled must not hide the other nine thousand."""
    wire, reason = BAD_RECORDS[name]
    page = b'{"jobs":[{"id":"a"},' + wire + b',{"id":"c","name":"\xf0\x9f\x98\x80"}],"total":3}'
    found = decode_records(page, path=JOBS)
    assert [record["id"] for record in found.records] == ["a", "c"]
    assert [(aside.position, aside.reason) for aside in found.bad] == [(1, reason)]
    assert 0 < len(found.bad[0].body) <= 65536
    assert found.envelope["total"] == 3


@pytest.mark.parametrize("name", [name for name in BAD_RECORDS if BAD_RECORDS[name][0].startswith(b"{")])
def test_a_bad_single_record_is_set_aside_too(name):
    """A job fetched by its id is a page of one."""
    found = decode_records(BAD_RECORDS[name][0], path=())
    assert (found.records, len(found.bad)) == ([], 1)
    with pytest.raises(BadPayload):
        decode_object(BAD_RECORDS[name][0], what="job")


GOOD_BUT_ODD = [
    b'{"id":"a","name":"' + b"x" * 65536 + b'"}',
    b'{"id":"a","n":9223372036854775807}',
    b'{"id":"a","n":-9223372036854775808}',
    b'{"id":"a","digits":"99999999999999999999999999"}',
    b'{"id":"a","x":0.12345678901234567890123}',
    b'{"id":"a","s":"]]]]]}}}}}{{{{[[[[\\"[[[\\\\"}',
    b'{"id":"a","s":"' + b"[" * 5000 + b'"}',
    b'{"id":"a","s":"' + b'\\"[' * 500 + b'"}',
    b'{"id":"a","s":"\\\\","t":"' + b"{" * 100 + b'"}',
    '{"id":"a","emoji":"😀 été \\ud83d\\ude00"}'.encode(),
    b'{"id":"a","deep":' + b"[" * 61 + b"]" * 61 + b"}",
    b'{"id":"a","wide":[' + b"[]," * 5000 + b"[]]}",
    b'{"id":"a","small":1e-999}',
]


@pytest.mark.parametrize("wire", GOOD_BUT_ODD, ids=short)
def test_odd_but_good_records_pass(wire):
    """A screen that cries wolf must not cost a record."""
    found = decode_records(b'{"jobs":[' + wire + b"]}", path=JOBS)
    assert found.bad == ()
    assert found.records == json.loads(b"[" + wire + b"]")


@pytest.mark.parametrize(("levels", "fine"), [(62, True), (63, False)])
def test_the_depth_limit_is_exact(levels, fine):
    """Sixty-four levels are allowed, the page's own two included."""
    body = b'{"jobs":[' + b"[" * levels + b"]" * levels + b"]}"
    assert exceeds_depth(body, 64) is not fine


@given(
    st.recursive(
        st.text(alphabet='[]{}"\\a', max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    ),
    st.integers(0, 8),
)
@settings(max_examples=80, derandomize=True, deadline=None)
def test_the_depth_screen_agrees_with_counting(value, limit):
    """The fast screen looks at bytes only: brackets and escapes inside strings must not fool it."""

    def depth(part):
        if isinstance(part, dict):
            return 1 + max(map(depth, part.values()), default=0)
        return 1 + max(map(depth, part), default=0) if isinstance(part, list) else 0

    assert exceeds_depth(json.dumps(value).encode(), limit) is (depth(value) > limit)


def test_too_many_records_are_refused():
    """A page that ignores its own limit could eat the memory."""
    assert len(decode_records(b"[" + b"{}," * 9999 + b"{}]", path=None).records) == 10_000
    with pytest.raises(BadPayload, match="10001 records"):
        decode_records(b"[" + b"{}," * 10_000 + b"{}]", path=None)


def test_a_body_over_the_cap_is_refused():
    """The cap holds for recorded and pushed bodies as well, not only on the wire."""
    with pytest.raises(BadPayload, match="at most 10"):
        decode_records(b"[" + b" " * 100 + b"]", path=None, limits=Limits(body_bytes=10))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@given(st.lists(json_values, max_size=5))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_every_record_is_either_good_or_set_aside(items):
    """Nothing vanishes, nothing bad passes, nothing good is set aside."""
    found = decode_records(json.dumps({"jobs": items}).encode(), path=JOBS)
    assert len(found.records) + len(found.bad) == len(items)
    limits = Limits()
    expected = [item for item in items if isinstance(item, dict) and problem(item, limits) is None]
    assert msgspec.json.encode(found.records) == msgspec.json.encode(expected)


@given(st.binary(max_size=200))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_no_bytes_crash_the_decoder(body):
    """Whatever arrives is a page or a BadPayload."""
    for path in (None, (), JOBS):
        try:
            decode_records(body, path=path)
        except BadPayload:
            continue


PAGE = b'{"jobs":[{"id":"a","n":[1,2.5e3,null,true],"s":"\\u00e9\\"x"},{"id":"b","k":NaN}],"next":null}'


@given(st.integers(0, len(PAGE)), st.integers(0, len(PAGE)), st.binary(max_size=4))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_no_damage_to_a_page_crashes_the_decoder(start, end, patch):
    """Bit rot, cut proxies and broken encoders: a page or a BadPayload, with every record judged."""
    body = PAGE[:start] + patch + PAGE[max(start, end) :]
    try:
        found = decode_records(body, path=JOBS)
    except BadPayload:
        return
    assert all(problem(record, Limits()) is None for record in found.records)


class Wire(msgspec.Struct):
    id: str
    shots: int | None = None
    state: str = ""


def test_a_good_record_becomes_a_struct():
    """Unknown members are the provider's freedom."""
    assert convert_record({"id": "a", "shots": 5, "new": {}}, Wire) == Wire(id="a", shots=5)
    assert convert_record({"id": "a", "shots": "5"}, Wire, strict=False) == Wire(id="a", shots=5)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "Object missing required field (value)"),
        ({"id": 5}, "Expected (value), got (value) - at (value)"),
        ({"id": "a", "shots": "many"}, "Expected (value), got (value) - at (value)"),
    ],
)
def test_a_wrong_record_gives_a_short_reason(record, reason):
    """Operators see path and expectation."""
    with pytest.raises(BadRecord) as caught:
        convert_record(record, Wire)
    shown = caught.value.reason
    assert shown.startswith(reason.split(" (value)", maxsplit=1)[0])
    assert len(shown) <= 200


class Kind(msgspec.Struct):
    kind: Literal["a", "b"]


def test_a_reason_never_shows_the_value():
    """Reasons are stored and shown; values may be secret."""
    for record in ({"kind": "hunter2-canary"}, {"kind": {"hunter2-canary": 1}}):
        with pytest.raises(BadRecord) as caught:
            convert_record(record, Kind)
        assert "canary" not in str(caught.value)
        assert "$.kind" in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_quarantined_record_is_redacted_and_bounded():
    """It is kept for people to look at: without credentials, and never larger than 64 KiB."""
    kept = quarantine(
        Stream.JOBS,
        {"id": "j1", "apiKey": "canary", "blob": "https://h/x?sig=canary", "pad": "x" * 100_000},
        "why",
        record_id="j1",
    )
    assert b"canary" not in kept.body
    assert len(kept.body) == 65536
    assert (kept.stream, kept.reason, kept.record_id) == (Stream.JOBS, "why", "j1")


@pytest.mark.parametrize(
    ("given_id", "kept_id"),
    [("a", "a"), (17, "17"), (None, None), (True, None), (["a"], None), ("x\x00\ud800", "x?"), ("i" * 999, "i" * 200)],
)
def test_a_quarantined_records_id_is_text_or_none(given_id, kept_id):
    """The id of a bad record is as suspect as the rest of it."""
    assert quarantine(Stream.JOBS, b"x", "why", record_id=given_id).record_id == kept_id


def test_raw_bytes_can_be_quarantined():
    """A body that is no JSON keeps its bytes, save for credentials."""
    kept = quarantine(Stream.JOBS, b"\xff\x00 Authorization: Bearer canary-123456 \xfe", "why")
    assert kept.body == b"\xff\x00 Authorization: Bearer *** \xfe"


def test_what_was_set_aside_becomes_a_quarantined_record():
    """The store keeps what the decoder set aside."""
    [aside] = decode_records(b'{"jobs":[3]}', path=JOBS).bad
    kept = quarantine_aside(Stream.JOBS, aside)
    assert (kept.reason, kept.body) == ("expected object, found number", b"3")


def test_unknown_members_are_named_sorted_and_bounded():
    """A provider's new field is counted; a hostile page of a million names is not."""
    assert unknown_fields({"a": 1, "b": 2}, frozenset({"a", "b", "c"})) == ()
    assert unknown_fields({"z": 1, "b": 2, "a": 3}, frozenset({"b"})) == ("a", "z")
    many = unknown_fields({f"{n:05}" + "x" * 100: n for n in range(1000)}, frozenset())
    assert len(many) == 50
    assert max(map(len, many)) == 64


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=5))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_extra_is_a_small_redacted_object_or_none(fields):
    """The column is bounded, and the same job always gives the same text (else it counts as changed)."""
    text = extra_json(fields)
    assert text == extra_json(dict(reversed(fields.items())))
    if text is None:
        assert all(value is None for value in fields.values())
    else:
        assert len(text.encode()) <= 4096
        assert set(json.loads(text)) <= set(fields)


def test_extra_leaves_out_the_largest_first():
    """One giant member must not push out the twenty small ones that people look for."""
    kept = json.loads(extra_json({"big": "x" * 5000, **{f"k{n}": n for n in range(20)}}))
    assert set(kept) == {f"k{n}" for n in range(20)}


def test_extra_of_nothing_is_none():
    """None means that there is nothing more to know."""
    assert extra_json({}) is None
    assert extra_json({"a": None}) is None
    assert extra_json({"a": "x" * 5000}) is None


def test_not_a_number_in_extra_does_not_crash():
    """Fields nobody asked for are the least tested ones."""
    assert extra_json({"a": math.nan, "b": {1, 2}.__class__}) is not None
