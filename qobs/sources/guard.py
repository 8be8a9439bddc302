"""Where requests may go (server-side request forgery): hosts by name, addresses after resolving, nothing by accident.

A host may be asked when the source's registration names it, when the operator configured it as the source's URL, or when
the operator's allow-list has it. Its addresses are looked up once, every one is checked, and the connection goes to a
checked one: there is no second lookup that could answer differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

from qobs.errors import BadPayload

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "::/96",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""IANA's special-purpose blocks, and the metadata services that lie outside them (Azure's 168.63.129.16)."""

_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_6TO4 = ip_network("2002::/16")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+))*\.?", re.IGNORECASE)
_HOSTNAME = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.IGNORECASE)


def inner_addresses(address: Address) -> tuple[Address, ...]:
    """``address`` and the IPv4 addresses that it may stand for (IPv4-mapped, IPv4-compatible, NAT64, 6to4).

    Example:
        >>> [str(inner) for inner in inner_addresses(ip_address("64:ff9b::127.0.0.1"))]
        ['64:ff9b::7f00:1', '127.0.0.1']
    """
    if isinstance(address, IPv4Address):
        return (address,)
    number = int(address)
    if address.ipv4_mapped is not None:
        return (address, address.ipv4_mapped)
    if any(address in network for network in _NAT64) or number >> 32 == 0:
        return (address, IPv4Address(number & 0xFFFFFFFF))
    if address in _6TO4:
        return (address, IPv4Address((number >> 80) & 0xFFFFFFFF))
    return (address,)


def is_public(address: Address) -> bool:
    """Whether ``address``, and every IPv4 address inside it, is an ordinary address of the public internet."""
    plain = ip_address(str(address).partition("%")[0])
    if isinstance(plain, IPv6Address) and plain.ipv4_mapped is not None:
        return is_public(plain.ipv4_mapped)
    return not any(inner in network for inner in inner_addresses(plain) for network in _REFUSED)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _network(text: str) -> Network | None:
    try:
        return ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Place:
    """A host and port that the operator wrote down, with the scheme."""

    scheme: str
    host: str
    port: int | None


class Guard:
    """The rule for one source. It holds no sockets: the resolver and the client ask it."""

    def __init__(self, hosts: Iterable[str], *, urls: Iterable[str] = (), allow: Iterable[str] = ()) -> None:
        """Allow the hosts of a registration, of the operator's URLs and of the operator's list.

        Args:
            hosts: Exact names or ``*.suffix`` of the source's registration: https, public addresses.
            urls: URLs that the operator configured for this source. A loopback one may be plain http.
            allow: The operator's further names (exact or ``*.suffix``), and networks (``10.1.0.0/16``) whose addresses are
                allowed though they are not public.
        """
        self._places = tuple(_place(URL(url)) for url in urls)
        self._networks = tuple(found for entry in allow if (found := _network(entry)) is not None)
        names = [entry for entry in (*hosts, *allow) if _network(entry) is None]
        self._exact = frozenset(name.lower().rstrip(".") for name in names if not name.startswith("*."))
        self._suffixes = tuple(name[1:].lower().rstrip(".") for name in names if name.startswith("*."))

    def check_url(self, url: URL) -> None:
        """Pass ``url`` or raise.

        Raises:
            BadPayload: its scheme, user part, host or literal address is not allowed. Only a provider's answer can name
                such a URL: the operator's own are allowed by definition.
        """
        host = (url.raw_host or "").lower().rstrip(".")
        if url.raw_user is not None or url.raw_password is not None:
            raise BadPayload(f"request to {host or 'a URL'}: a user in the URL is not allowed")
        if url.scheme != "https" and not self._plain_http(url, host):
            raise BadPayload(f"request to {host or 'a URL'}: only https is allowed, and http to the configured loopback server")
        if not self.allows_host(host):
            raise BadPayload(f"request to {host or 'a URL'}: the host is neither the provider's nor in the allow-list")
        address = _literal(host)
        if address is not None and not self.allows_address(host, address, url.port):
            raise BadPayload(f"request to {host}: the address is not public and not in the allow-list")

    def _plain_http(self, url: URL, host: str) -> bool:
        return url.scheme == "http" and any(
            place.scheme == "http" and place.host == host and place.port == url.port and _names_loopback(host)
            for place in self._places
        )

    def allows_host(self, host: str) -> bool:
        """Whether ``host`` may be asked at all. Odd spellings of numeric addresses (``0x7f.1``, ``2130706433``) never may."""
        name = host.lower().rstrip(".")
        literal = _literal(name)
        if literal is None and (_NUMERIC.fullmatch(name) or not _HOSTNAME.fullmatch(name)):
            return False
        if any(place.host == name for place in self._places) or name in self._exact:
            return True
        if literal is not None:
            return any(literal in network for network in self._networks)
        return any(name.endswith(suffix) and len(name) > len(suffix) for suffix in self._suffixes)

    def allows_address(self, host: str, address: Address, port: int | None) -> bool:
        """Whether ``host`` may be reached at ``address`` and ``port``.

        Public addresses always; others only when the operator wrote a network that holds it, or that very address (or
        a loopback name such as ``localhost``) with that very port in the source's URL.
        """
        plain = ip_address(str(address).partition("%")[0])
        if is_public(plain) or any(inner in network for inner in inner_addresses(plain) for network in self._networks):
            return True
        name = host.lower().rstrip(".")
        written = any(place.host == name and place.port == port for place in self._places)
        return written and (_literal(name) == plain or (_names_loopback(name) and plain.is_loopback))


def _place(url: URL) -> _Place:
    return _Place(url.scheme, (url.raw_host or "").lower().rstrip("."), url.port)


def _names_loopback(host: str) -> bool:
    address = _literal(host)
    return address.is_loopback if address is not None else host == "localhost" or host.endswith(".localhost")
