"""TLS: verified always, downgraded never, and its end date told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from qobs.errors import Unreachable
from qobs.model import Reason


def server_side(certificates, *, expired=False, newest=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.expired if expired else certificates.valid, certificates.key)
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
    return context


def trusting(certificates):
    context = ssl.create_default_context(cafile=certificates.valid)
    context.load_verify_locations(certificates.expired)
    return context


async def answer(head, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    await writer.drain()


def port_of(server):
    return int(server.url.rsplit(":", 1)[1])


async def loopback(host, port):
    return ["127.0.0.1"]


@pytest.fixture
def ask(client, certificates):
    """Ask ``https://host`` at a local server, trusting the test certificates unless told otherwise."""

    async def asking(server, *, host="api.example", trust=True, **given):
        made = client(
            hosts=[host],
            allow=["127.0.0.0/8"],
            lookup=loopback,
            tls=trusting(certificates) if trust else None,
            **({"attempts": 3} | given),
        )
        return await made.get(f"https://{host}:{port_of(server)}/jobs", endpoint="/jobs")

    return asking


async def test_a_verified_server_answers_and_its_certificates_end_is_told(serve_raw, ask, certificates, notes):
    """Name and Host stay the provider's while the connection goes to the checked address."""
    server = await serve_raw(answer, ssl=server_side(certificates))
    assert (await ask(server)).body == b"{}"
    assert f"Host: api.example:{port_of(server)}".encode() in server.seen[0]
    [(host, expires_at)] = notes.certificates
    assert host == "api.example"
    assert expires_at > datetime.now(UTC)


@pytest.mark.filterwarnings("ignore:ssl")
@pytest.mark.parametrize(
    ("expired", "host", "trust"),
    [(False, "api.example", False), (False, "other.example", True), (True, "api.example", True)],
    ids=["self-signed", "name", "expired"],
)
async def test_a_certificate_that_does_not_hold_is_refused_at_once(serve_raw, ask, certificates, clock, expired, host, trust):
    """Whoever sits in the middle must get nothing, and asking again would not help."""
    server = await serve_raw(answer, ssl=server_side(certificates, expired=expired))
    with pytest.raises(Unreachable) as caught:
        await ask(server, host=host, trust=trust)
    assert caught.value.reason is Reason.TLS
    assert (server.seen, clock.slept) == ([], [])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_an_old_protocol_is_refused(serve_raw, ask, certificates):
    """Never downgrade: TLS 1.1 is broken."""
    server = await serve_raw(answer, ssl=server_side(certificates, newest=ssl.TLSVersion.TLSv1_1))
    with pytest.raises(Unreachable) as caught:
        await ask(server)
    assert caught.value.reason is Reason.TLS


@pytest.fixture
async def plain():
    """Start a TCP server that speaks no TLS: says something, or stays silent."""
    servers, writers = [], []

    async def start(text):
        async def connected(reader, writer):
            writers.append(writer)
            writer.write(text)
            if text:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return SimpleNamespace(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections=writers)

    yield start
    for server in servers:
        server.close()
    for writer in writers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_a_server_that_speaks_no_tls_is_refused(plain, ask):
    """A plain answer on the TLS port is no reason to speak plainly."""
    with pytest.raises(Unreachable) as caught:
        await ask(await plain(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert caught.value.reason is Reason.TLS


async def test_a_handshake_that_stalls_is_given_up_and_tried_again(plain, ask):
    """A peer that accepts and says nothing must not hold a connection for ever."""
    server = await plain(b"")
    with pytest.raises(Unreachable) as caught:
        await ask(server, connect_seconds=0.1, tls_seconds=0.1, attempts=2)
    assert caught.value.reason is Reason.TLS
    assert len(server.connections) == 2
