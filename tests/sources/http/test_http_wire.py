"""What goes on the wire, and what never does."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from aiohttp import web
from yarl import URL

from qobs.errors import BadPayload, Refused, SourceError
from qobs.model import Reason
from qobs.sources.http import segment, wire_url

CANARY = "canary-7f3a9c-secret"


async def echo(request):
    return web.json_response({"path": request.raw_path, "headers": dict(request.headers)})


async def test_an_encoded_url_reaches_the_server_unchanged(serve, client):
    """A signed URL whose escapes are rewritten on the way has a wrong signature."""
    base = await serve(echo)
    path = "/job/arn%3Aaws%3Abraket%2Fx%20y/%7Etilde?next=a%2Bb%3D%3D&sig=%2F%2b&x="
    answer = await client(base).get(base + path, endpoint="/job/{arn}")
    assert json.loads(answer.body)["path"] == path


async def test_params_are_encoded_once_and_added(serve, client):
    """A filter value with reserved characters must arrive as it was meant."""
    base = await serve(echo)
    answer = await client(base).get(
        f"{base}/jobs?a=1", endpoint="/jobs", params=[("since", "2026-01-01T00:00:00+00:00"), ("n", "a b&c")]
    )
    assert json.loads(answer.body)["path"] == "/jobs?a=1&since=2026-01-01T00%3A00%3A00%2B00%3A00&n=a%20b%26c"


@pytest.mark.parametrize("hostile", ["../admin", "..", "a/b", "a?b#c", "x\r\nHost: evil", "é ", "%2e%2e"])
def test_an_id_stays_one_segment_whatever_it_holds(hostile):
    """A job id that a provider chose must not reach another path or header."""
    url = wire_url(f"https://h.example/jobs/{segment(hostile)}/x")
    assert url.raw_path.count("/") == 3
    assert url.raw_path.startswith("/jobs/")
    assert url.raw_path.endswith("/x")
    assert url.raw_query_string == ""
    assert "\r" not in str(url)


@pytest.mark.parametrize("text", ["", "jobs", "/jobs", "https://", "http://[", "https://h:99999/", "https://h:x/", "mailto:a@b"])
def test_text_that_is_no_url_is_a_bad_payload(text):
    """A next link is the provider's text: nonsense there is its bad answer, not our crash."""
    with pytest.raises(BadPayload):
        wire_url(text)


def test_unencoded_text_is_quoted():
    """A line break or a space in a URL would end the request line early."""
    text = str(wire_url("https://h.example/a b\r\nX: y/é"))
    assert text.isascii()
    assert not {" ", "\r", "\n"} & set(text)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_carries_no_credential(serve, client, status):
    """A hijacked or careless redirect would hand the token to another host."""
    arrived = []

    async def elsewhere(request):
        arrived.append(dict(request.headers))
        return web.json_response({})

    other = await serve(elsewhere)

    async def redirecting(request):
        return web.Response(status=status, headers={"Location": f"{other}/steal?x=1"})

    base = await serve(redirecting)
    with pytest.raises(BadPayload, match="redirects are not followed"):
        await client(base, other).get(f"{base}/jobs", endpoint="/jobs", headers={"Authorization": f"Bearer {CANARY}"})
    assert arrived == []


async def test_cookies_are_neither_kept_nor_sent(serve, client):
    """A cookie set by a load balancer's login page would follow later requests of the account."""
    seen = []

    async def handler(request):
        seen.append(request.headers.get("Cookie"))
        return web.Response(text="{}", headers={"Set-Cookie": "session=abc; Path=/"})

    base = await serve(handler)
    asking = client(base)
    for _ in range(3):
        await asking.get(f"{base}/", endpoint="/")
    assert seen == [None, None, None]


async def test_a_proxy_of_the_environment_is_not_used(serve, client, monkeypatch):
    """Whoever sets a variable of the process must not see all provider traffic."""
    arrived = []

    async def proxy(request):
        arrived.append(request.path)
        return web.Response(text="{}")

    proxied = await serve(proxy)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxied)
    base = await serve(echo)
    await client(base).get(f"{base}/x", endpoint="/x")
    assert arrived == []


async def test_the_netrc_file_is_not_read(serve, client, monkeypatch, tmp_path):
    """Credentials of the host's user are none of a provider's business."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    base = await serve(echo)
    answer = await client(base).get(f"{base}/x", endpoint="/x")
    assert "Authorization" not in json.loads(answer.body)["headers"]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500])
async def test_no_error_shows_query_headers_or_body(serve, client, status):
    """Errors go to logs and pages: nothing secret may ride on them."""

    async def handler(request):
        body = f"\x1f{CANARY}" if status == 200 else CANARY
        headers = {"X-Leak": CANARY} | ({"Content-Encoding": "gzip"} if status == 200 else {})
        return web.Response(status=status, body=body.encode(), headers=headers)

    base = await serve(handler)
    with pytest.raises(SourceError) as caught:
        await client(base, attempts=2).get(
            f"{base}/jobs/{CANARY}?key={CANARY}",
            endpoint="/jobs/{id}",
            headers={"Authorization": CANARY},
            params=[("sig", CANARY)],
        )
    chain = [caught.value, caught.value.__cause__]
    assert not any(CANARY in str(error) or CANARY in repr(error) for error in chain)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


async def test_the_answer_names_its_url_without_the_query(serve, client):
    """The query may be a signature; the answer's URL is kept and shown."""
    base = await serve(echo)
    answer = await client(base).get(f"{base}/a/b?sig={CANARY}", endpoint="/a/b")
    assert answer.url == f"{base}/a/b"


async def test_a_line_break_in_a_credential_is_named(serve, client):
    """A secret file that ends in a line break is the commonest slip of all: say it."""
    base = await serve(echo)
    with pytest.raises(Refused, match="header Authorization has a line break") as caught:
        await client(base).get(f"{base}/", endpoint="/jobs", headers={"Authorization": f"apiKey {CANARY}\n"})
    assert caught.value.reason is Reason.AUTH
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compressobj(wbits=-15).compress(body) + b""),
        ("identity", bytes),
        ("GZIP", lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:])),
        ("gzip", lambda body: gzip.compress(body) + b"\x00" * 64),
    ],
    ids=["gzip", "x-gzip", "zlib", "raw", "identity", "members", "padding"],
)
async def test_a_compressed_body_arrives_as_it_was(serve, client, coding, packed):
    """Every way in which servers compress must give the same records."""
    body = json.dumps({"jobs": list(range(5000))}).encode()
    if coding == "deflate" and packed(body)[:1] != b"\x78":
        squeezer = zlib.compressobj(wbits=-15)
        wire = squeezer.compress(body) + squeezer.flush()
    else:
        wire = packed(body)

    async def handler(request):
        return web.Response(body=wire, headers={"Content-Encoding": coding})

    base = await serve(handler)
    assert (await client(base).get(f"{base}/", endpoint="/")).body == body


async def test_an_empty_body_is_empty(serve, client):
    """Whether nothing is an answer is for the decoder to say."""

    async def handler(request):
        return web.Response(body=b"", headers={"Content-Encoding": "gzip"})

    base = await serve(handler)
    assert (await client(base).get(f"{base}/", endpoint="/")).body == b""


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "nonsense"])
async def test_a_coding_that_was_not_asked_for_is_refused(serve, client, coding):
    """Bytes that cannot be read must not be taken for a page."""

    async def handler(request):
        return web.Response(body=b"xx", headers={"Content-Encoding": coding})

    base = await serve(handler)
    with pytest.raises(BadPayload, match="content coding"):
        await client(base).get(f"{base}/", endpoint="/")


async def test_repeated_headers_are_joined(serve, client):
    """Paging by Link headers loses pages when only the last of them is seen."""

    async def handler(request):
        response = web.Response(text="{}")
        response.headers.add("Link", "<a>; rel=next")
        response.headers.add("Link", "<b>; rel=prev")
        return response

    base = await serve(handler)
    answer = await client(base).get(f"{base}/", endpoint="/")
    assert answer.headers["link"] == "<a>; rel=next, <b>; rel=prev"


async def test_a_closed_client_opens_again(serve, client):
    """A reload closes connections; the next poll must simply work."""
    base = await serve(echo)
    asking = client(base)
    await asking.get(f"{base}/", endpoint="/")
    await asking.close()
    assert (await asking.get(f"{base}/", endpoint="/")).status == 200


def test_a_fragment_is_not_sent():
    """Fragments are for browsers; on the wire they break signatures."""
    assert wire_url("https://h.example/a?b=1#frag", [("c", "2")]) == URL("https://h.example/a?b=1&c=2", encoded=True)
