"""Where requests may go: hosts by name, addresses one by one."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from qobs.errors import BadPayload, Unreachable
from qobs.model import Reason
from qobs.sources.guard import Guard, is_public
from qobs.sources.http import wire_url
from qobs.sources.resolver import GuardedResolver, NameRefused, ThreadedLookup

FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_no_provider_name_may_lead_to_a_special_address(text):
    """A name that moves to the metadata service would hand it our requests, and us its credentials."""
    guard = Guard(["api.example"])
    assert not is_public(ip_address(text))
    assert not guard.allows_address("api.example", ip_address(text), 443)


@pytest.mark.parametrize(
    "text",
    ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"],
)
def test_public_addresses_pass(text):
    """The guard must not keep the daemon from its providers, also behind NAT64."""
    assert Guard(["api.example"]).allows_address("api.example", ip_address(text), 443)


@given(st.ip_addresses(v=4))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_an_ipv4_address_in_ipv6_dress_is_judged_as_itself(address):
    """Mapped and translated spellings reach the same machine, so they must get the same verdict."""
    number = int(address)
    dressed = [ip_address((0xFFFF << 32) | number), ip_address((0x64FF9B << 96) | number)]
    assert [is_public(each) for each in dressed] == [is_public(address)] * 2
    if address.is_private or address.is_multicast or address.is_loopback or address.is_link_local:
        assert not is_public(address)


ALLOWED_URLS = [
    "https://api.example/x",
    "https://API.Example/x",
    "https://api.example./x",
    "https://a.b.cloud.example/",
    "https://api.example:8443/",
]
REFUSED_URLS = [
    "http://api.example/x",
    "ftp://api.example/x",
    "https://evil.example/x",
    "https://cloud.example/",
    "https://xcloud.example/",
    "https://api.example.evil.com/",
    "https://user@api.example/",
    "https://user:pw@api.example/",
    "https://api.example@evil.com/",
    "https://api.example\\@evil.com/",
    "https://evil.com\\.cloud.example/",
    "https://evil.com%2f.cloud.example/",
    "https://evil.com%00.cloud.example/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://localhost/",
    "https://169.254.169.254/latest/meta-data/",
    "https://8.8.8.8/",
    "http://127.0.0.1:8001/",
]


@pytest.mark.parametrize("url", ALLOWED_URLS)
def test_the_registrations_hosts_pass(url):
    """Exact names and suffixes of the registry, in any case and with a final dot."""
    Guard(["api.example", "*.cloud.example"]).check_url(wire_url(url))


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_any_other_host_is_refused(url):
    """A next link is text from outside: it must not steer our credentials to another host."""
    guard = Guard(["api.example", "*.cloud.example"])
    with pytest.raises(BadPayload):
        guard.check_url(wire_url(url))


def test_plain_http_goes_to_the_configured_loopback_server_alone():
    """Test servers speak http on loopback; nothing else may, on no other port."""
    guard = Guard(["api.example"], urls=["http://127.0.0.1:8001/v1", "http://localhost:8002"])
    guard.check_url(URL("http://127.0.0.1:8001/other"))
    guard.check_url(URL("http://localhost:8002/"))
    for url in (
        "http://127.0.0.1:8003/",
        "http://127.0.0.1/",
        "http://localhost:8001/",
        "http://api.example/",
        "https://127.0.0.1:22/",
    ):
        with pytest.raises(BadPayload):
            guard.check_url(URL(url))


def test_plain_http_to_a_configured_host_elsewhere_is_refused():
    """A credential sent in the clear over a network is a leak, configured or not."""
    guard = Guard([], urls=["http://lab.example:8001", "http://10.0.0.5:8001"], allow=["10.0.0.0/8"])
    for url in ("http://lab.example:8001/", "http://10.0.0.5:8001/"):
        with pytest.raises(BadPayload, match="https"):
            guard.check_url(URL(url))


def test_a_configured_private_address_is_allowed_as_written():
    """A site's own quantum computer stands in the site's own network."""
    guard = Guard([], urls=["https://10.0.0.5:8443"])
    guard.check_url(URL("https://10.0.0.5:8443/jobs"))
    for url in ("https://10.0.0.6:8443/", "https://10.0.0.5:22/"):
        with pytest.raises(BadPayload):
            guard.check_url(URL(url))


def test_a_configured_name_with_a_private_address_needs_its_network_listed():
    """Else whoever controls that name could move it to any machine of the inner network."""
    inner = ip_address("10.1.0.9")
    assert not Guard([], urls=["https://qpu.site.example"]).allows_address("qpu.site.example", inner, 443)
    listed = Guard([], urls=["https://qpu.site.example"], allow=["10.1.0.0/16"])
    assert listed.allows_address("qpu.site.example", inner, 443)
    assert listed.allows_address("qpu.site.example", ip_address("::ffff:10.1.0.9"), 443)
    assert not listed.allows_address("qpu.site.example", ip_address("10.2.0.9"), 443)


def test_the_operators_list_adds_names():
    """Some accounts live on hosts that no registry knows."""
    guard = Guard(["api.example"], allow=["extra.example", "*.more.example"])
    guard.check_url(URL("https://extra.example/"))
    guard.check_url(URL("https://a.more.example/"))


@given(st.text(max_size=40))
@settings(max_examples=120, derandomize=True, deadline=None)
def test_no_text_crashes_the_guard(text):
    """Hostile links are refused with our own error, whatever they hold."""
    guard = Guard(["api.example"])
    try:
        guard.check_url(wire_url("https://" + text))
    except BadPayload:
        return
    assert wire_url("https://" + text).raw_host.rstrip(".").lower() == "api.example"


def answering(*answers):
    """A name service that gives one prepared answer per call; an exception is raised."""
    left = list(answers)

    async def lookup(host, port):
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return lookup


def resolver(*answers, guard=None, timeout_seconds=5.0):
    return GuardedResolver(guard or Guard(["api.example"]), timeout_seconds=timeout_seconds, lookup=answering(*answers))


async def test_checked_addresses_are_handed_out_as_numbers():
    """The connection goes to what was checked: no second lookup can answer differently."""
    found = await resolver(["1.1.1.1", "2606:4700::1111", "1.1.1.1"]).resolve("api.example", 443)
    assert [(each["host"], each["hostname"], each["port"]) for each in found] == [
        ("1.1.1.1", "api.example", 443),
        ("2606:4700::1111", "api.example", 443),
    ]
    assert all(each["flags"] & socket.AI_NUMERICHOST for each in found)


@pytest.mark.parametrize("text", FORBIDDEN)
async def test_one_forbidden_address_refuses_the_whole_name(text):
    """An attacker mixes a good address with a bad one and waits for the fallback."""
    with pytest.raises(NameRefused, match="not public"):
        await resolver(["1.1.1.1", text]).resolve("api.example", 443)


async def test_a_name_that_moves_to_a_private_address_is_refused_then():
    """DNS rebinding: the second answer is as suspect as the first."""
    moving = resolver(["1.1.1.1"], ["192.168.0.1"])
    await moving.resolve("api.example", 443)
    with pytest.raises(NameRefused):
        await moving.resolve("api.example", 443)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        ["nonsense"],
        socket.gaierror(socket.EAI_NONAME, "NXDOMAIN"),
        socket.gaierror(socket.EAI_AGAIN, "SERVFAIL"),
        UnicodeError("x"),
    ],
)
async def test_a_name_service_that_fails_is_one_error(answer):
    """NXDOMAIN, SERVFAIL and nonsense are all "dns" to the operator."""
    with pytest.raises(NameRefused):
        await resolver(answer).resolve("api.example", 443)


async def test_a_name_service_that_hangs_is_given_up():
    """A dead name server must not hold a poll for half a minute."""

    async def hang(host, port):
        await asyncio.Event().wait()

    with pytest.raises(NameRefused, match="no answer"):
        await GuardedResolver(Guard(["api.example"]), timeout_seconds=0.05, lookup=hang).resolve("api.example", 443)


async def test_a_host_that_is_not_allowed_is_not_even_looked_up():
    """The lookup itself tells the outside what we were sent to."""
    with pytest.raises(NameRefused, match="not allowed"):
        await resolver().resolve("evil.example", 443)


@pytest.mark.parametrize("answer", [socket.gaierror(socket.EAI_NONAME, "NXDOMAIN"), ["10.0.0.1"], ["127.0.0.1"]])
async def test_a_request_to_a_refused_name_has_reason_dns(client, answer):
    """The error class of the failure matrix: the operator looks at the name service first."""
    lookup = answering(*[answer] * 3)
    with pytest.raises(Unreachable) as caught:
        await client(hosts=["api.example"], lookup=lookup, attempts=3).get("https://api.example/jobs?sig=abc", endpoint="/jobs")
    assert caught.value.reason is Reason.DNS
    assert "sig" not in str(caught.value)


async def test_the_systems_resolver_answers_from_its_own_threads():
    """The real lookup, for the one name that every machine knows."""
    assert "127.0.0.1" in await ThreadedLookup()("127.0.0.1", 80)


async def test_hanging_lookups_do_not_pile_up_threads(monkeypatch):
    """A dead name server must not eat a thread per poll until none are left."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    running = []

    def stuck(*_args, **_options):
        running.append(1)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    lookup = ThreadedLookup(threads=2)
    waiting = [asyncio.create_task(lookup("api.example", 443)) for _ in range(10)]
    resolving = GuardedResolver(Guard(["api.example"]), timeout_seconds=0.05, lookup=lookup)
    with pytest.raises(NameRefused):
        await resolving.resolve("api.example", 443)
    assert len(running) == 2
    release.set()
    assert await asyncio.gather(*waiting) == [["1.1.1.1"]] * 10
