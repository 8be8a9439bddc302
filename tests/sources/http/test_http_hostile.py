"""Servers that stall, break off, lie about lengths, or answer with bombs."""

from __future__ import annotations

import asyncio
import gzip
import resource
import zlib

import pytest

from qobs.errors import BadPayload, Unreachable
from qobs.model import Reason

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def reset(writer):
    """Close with a RST instead of a FIN, as a crashed peer does."""
    writer.transport.abort()


async def slow_headers(head, writer):
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 10_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


async def slow_body(head, writer):
    writer.write(OK + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silence(head, writer):
    await asyncio.sleep(60)


async def stalled_body(head, writer):
    writer.write(OK + b"Content-Length: 100\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(60)


@pytest.mark.parametrize("talk", [slow_headers, slow_body, silence, stalled_body])
async def test_a_server_that_trickles_or_stalls_dies_by_the_timer(serve_raw, client, talk):
    """One byte a second defeats an idle timer: only the whole-request deadline ends it."""
    server = await serve_raw(talk)
    with pytest.raises(Unreachable) as caught:
        await client(server.url, request_seconds=0.3, attempts=2).get(f"{server.url}/jobs", endpoint="/jobs")
    assert caught.value.reason is Reason.TIMEOUT
    assert len(server.seen) == 2


@pytest.mark.parametrize("talk", [silence, stalled_body])
async def test_a_silent_connection_dies_by_the_idle_timer(serve_raw, client, talk):
    """A dead peer must not hold a connection for the whole-request time."""
    server = await serve_raw(talk)
    with pytest.raises(Unreachable) as caught:
        await client(server.url, idle_seconds=0.2, attempts=1).get(f"{server.url}/jobs", endpoint="/jobs")
    assert caught.value.reason is Reason.TIMEOUT


async def test_a_slow_server_does_not_hold_up_another(serve_raw, client):
    """One ill provider must hurt only itself (R5)."""
    ill = await serve_raw(slow_body)

    async def healthy(head, writer):
        writer.write(OK + b"Content-Length: 2\r\n\r\n{}")
        await writer.drain()

    well = await serve_raw(healthy)
    waiting = asyncio.create_task(client(ill.url).get(f"{ill.url}/", endpoint="/"))
    await ill.asked.wait()
    for _ in range(20):
        assert (await client(well.url).get(f"{well.url}/", endpoint="/")).body == b"{}"
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def breaking(first, *, abort):
    """A server that says ``first`` to the first request and breaks off, and answers the second in full."""
    seen = []

    async def talk(head, writer):
        seen.append(head)
        writer.write(first if len(seen) == 1 else OK + b"Content-Length: 2\r\n\r\n{}")
        await writer.drain()
        if abort and len(seen) == 1:
            await asyncio.sleep(0.02)
            reset(writer)

    return talk


@pytest.mark.parametrize("abort", [True, False], ids=["reset", "half-close"])
@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"HTTP/1.1 200",
        OK,
        OK + b"Content-Length: 50\r\n\r\n",
        OK + b'Content-Length: 50\r\n\r\n{"jobs":[',
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
    ids=["nothing", "status", "headers", "no-body", "half-body", "no-last-chunk", "half-chunk"],
)
async def test_a_connection_that_breaks_is_tried_again(serve_raw, client, first, abort):
    """Half a page must never be taken for a page; a new connection usually works."""
    server = await serve_raw(breaking(first, abort=abort))
    assert (await client(server.url).get(f"{server.url}/", endpoint="/")).body == b"{}"
    assert len(server.seen) == 2


async def test_a_connection_that_keeps_breaking_is_unreachable(serve_raw, client, clock):
    """After the last attempt the poll fails with a reason, and the cursor stays."""
    server = await serve_raw(lambda head, writer: asyncio.sleep(0))
    with pytest.raises(Unreachable) as caught:
        await client(server.url, attempts=3).get(f"{server.url}/", endpoint="/")
    assert caught.value.reason is Reason.CONNECT
    assert (len(server.seen), len(clock.slept)) == (3, 2)


async def test_a_refused_connection_is_tried_again_and_then_unreachable(serve_raw, client, clock):
    """A server that restarts comes back within a few tries; one that is gone is named so."""
    probe = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    url = f"http://127.0.0.1:{port}"
    with pytest.raises(Unreachable) as caught:
        await client(url, attempts=3).get(f"{url}/", endpoint="/")
    assert caught.value.reason is Reason.CONNECT
    assert len(clock.slept) == 2


async def test_bytes_behind_the_announced_length_are_nobodys(serve_raw, client):
    """A page with a wrong Content-Length must not be taken, nor become the start of the next answer."""
    bodies = iter([b'{"a":1}GARBAGE', b'{"b":2}', b'{"c":3}'])

    async def talk(head, writer):
        writer.write(OK + b"Content-Length: 7\r\n\r\n" + next(bodies))
        await writer.drain()

    server = await serve_raw(talk)
    asking = client(server.url)
    assert (await asking.get(f"{server.url}/1", endpoint="/")).body == b'{"b":2}'
    assert (await asking.get(f"{server.url}/2", endpoint="/")).body == b'{"c":3}'


@pytest.mark.parametrize("keep", [10, 30, -4, -1])
async def test_a_truncated_gzip_is_tried_again_and_then_a_bad_payload(serve_raw, client, clock, keep):
    """A cut stream inflates to valid JSON surprisingly often: without its end mark it is not whole."""
    wire = gzip.compress(b'{"jobs": []}' + b" " * 5000)[:keep]

    async def talk(head, writer):
        writer.write(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(wire) + wire)
        await writer.drain()

    server = await serve_raw(talk)
    with pytest.raises(BadPayload, match="ends too early"):
        await client(server.url, attempts=3).get(f"{server.url}/", endpoint="/")
    assert len(server.seen) == 3


async def test_a_broken_gzip_is_a_bad_payload_at_once(serve_raw, client):
    """Data that is no gzip at all will not become one by asking again."""

    async def talk(head, writer):
        writer.write(OK + b"Content-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + b"not gzip at ")
        await writer.drain()

    server = await serve_raw(talk)
    with pytest.raises(BadPayload, match="broken compressed data"):
        await client(server.url).get(f"{server.url}/", endpoint="/")
    assert len(server.seen) == 1


def bombs():
    """Ten megabytes of gzip that become ten gigabytes (many members), and one stream that becomes 256 MiB."""
    member = gzip.compress(bytes(16 << 20))
    squeezer = zlib.compressobj(1, wbits=31)
    stream = b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(256)) + squeezer.flush()
    return {"members": member * 640, "stream": stream}


@pytest.mark.parametrize("kind", ["members", "stream"])
async def test_a_gzip_bomb_is_cut_at_the_cap_without_eating_memory(serve_raw, client, kind):
    """Ten megabytes on the wire that would become ten gigabytes must not kill the daemon (R7)."""
    wire = bombs()[kind]

    async def talk(head, writer):
        writer.write(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(wire) + wire)
        await writer.drain()

    server = await serve_raw(talk)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadPayload, match="after decompression"):
        await client(server.url).get(f"{server.url}/", endpoint="/")
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown_bytes <= 64 << 20
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "length", [b"Content-Length: 1073741824\r\n", b"Transfer-Encoding: chunked\r\n"], ids=["length", "chunked"]
)
async def test_an_endless_body_is_cut_at_the_cap(serve_raw, client, length):
    """A body of a gigabyte must cost no more than the cap."""
    sent = []

    async def talk(head, writer):
        writer.write(OK + length + b"\r\n")
        while True:
            block = b" " * 65536
            writer.write(b"10000\r\n%b\r\n" % block if b"chunked" in length else block)
            await writer.drain()
            sent.append(len(block))

    server = await serve_raw(talk)
    with pytest.raises(BadPayload, match="body over 1000000 bytes"):
        await client(server.url, body_bytes=1_000_000).get(f"{server.url}/", endpoint="/")
    assert sum(sent) < 50_000_000


async def test_a_body_of_exactly_the_cap_passes(serve_raw, client):
    """The cap is what is allowed, not what is refused."""

    async def talk(head, writer):
        wire = gzip.compress(b"x" * 1000)
        writer.write(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(wire) + wire)
        await writer.drain()

    server = await serve_raw(talk)
    assert len((await client(server.url, body_bytes=1000).get(f"{server.url}/", endpoint="/")).body) == 1000
    with pytest.raises(BadPayload):
        await client(server.url, body_bytes=999).get(f"{server.url}/", endpoint="/")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 999999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 5000 + b"\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
    ],
    ids=["ssh", "status", "negative", "smuggling", "chunk", "long-header", "many-headers", "binary"],
)
async def test_what_is_no_http_is_an_error_with_a_reason(serve_raw, client, answer):
    """Whatever listens there, the poll ends with a bounded label, never with a traceback."""

    async def talk(head, writer):
        writer.write(answer)
        await writer.drain()

    server = await serve_raw(talk)
    with pytest.raises((BadPayload, Unreachable)) as caught:
        await client(server.url, attempts=2).get(f"{server.url}/", endpoint="/")
    assert caught.value.reason in (Reason.BAD_PAYLOAD, Reason.CONNECT)


async def test_cancelling_a_poll_closes_its_connection(serve_raw, client):
    """A shutdown in the middle of a body must not wait for the provider."""
    server = await serve_raw(stalled_body)
    asking = asyncio.create_task(client(server.url).get(f"{server.url}/", endpoint="/"))
    await server.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
