"""Kinds of values that name a place: where to listen, what to ask, where to keep, which file."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from qobs.config.document import Node, Scalar
from qobs.config.kinds import Report, Schema, shown
from qobs.config.records import Listen, StoreUrl

HOST = r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?"
_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+)):([0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """``host:port``, an IPv6 address in brackets."""

    def read(self, node: Node, report: Report) -> Listen | None:
        """The address to bind."""
        match = _LISTEN.fullmatch(node.text) if isinstance(node, Scalar) else None
        if match and int(match[3]) <= 65_535 and (_is_ip(match[1]) if match[1] else re.fullmatch(HOST, match[2])):
            return Listen(match[1] or match[2], int(match[3]))
        report.error(node.place, shown(node), "must be host:port such as 127.0.0.1:9954 or [::1]:9954")
        return None

    def schema(self) -> Schema:
        """A string with a port at its end."""
        return {"type": "string", "pattern": r"^.+:[0-9]{1,5}$"}


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL without user, query or fragment.

    Plain http is for servers on this machine (and, with ``plain``, for any): credentials must not travel in the clear.
    """

    plain: bool = False
    schemes: tuple[str, ...] = ("https", "http")

    def read(self, node: Node, report: Report) -> str | None:
        """The URL without a trailing slash."""
        parts = _split(node)
        if not isinstance(node, Scalar) or parts is None or parts.scheme not in self.schemes:
            report.error(node.place, _unshown(node), f"must be a URL such as {self.schemes[0]}://host.example")
            return None
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            hint = "must hold no user, password, query or fragment; use credentials for secrets"
            report.error(node.place, "found a URL with more than host and path (not shown)", hint, "config.url")
            return None
        if parts.scheme == "http" and not self.plain and not _is_loopback(parts.hostname or ""):
            hint = "must be https; plain http is allowed for a server on this machine only"
            report.error(node.place, shown(node), hint, "config.url")
            return None
        return node.text.rstrip("/")

    def schema(self) -> Schema:
        """A string that begins with the scheme."""
        return {"type": "string", "pattern": f"^(?:{'|'.join(self.schemes)})://"}


@dataclass(frozen=True, slots=True)
class Store:
    """``sqlite:///absolute/path`` or ``sqlite:relative/path``, relative to ``base``."""

    base: Path

    def read(self, node: Node, report: Report) -> StoreUrl | None:
        """The database file."""
        match = re.fullmatch(r"sqlite:(?://(?=/))?([^\0?#]*[^/\0?#])", node.text) if isinstance(node, Scalar) else None
        if isinstance(node, Scalar) and match and not match[1].startswith("//"):
            return StoreUrl(node.text, self.base / match[1])
        hint = "must be sqlite:///absolute/path/to/file.db or sqlite:relative/file.db; this version stores in SQLite only"
        report.error(node.place, _unshown(node), hint)
        return None

    def schema(self) -> Schema:
        """A string that begins with ``sqlite:``."""
        return {"type": "string", "pattern": "^sqlite:(?:///)?[^/?#]"}


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path of the file system, relative to ``base``. Whether it exists is asked where it is used."""

    base: Path

    def read(self, node: Node, report: Report) -> Path | None:
        """The absolute path."""
        if isinstance(node, Scalar) and node.tag == "str" and node.text and "\0" not in node.text:
            return self.base / node.text
        report.error(node.place, shown(node), "must be a path of a file or directory")
        return None

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "minLength": 1}


def _unshown(node: Node) -> str:
    """A URL may hold a password: only its scheme is told."""
    scheme = re.match(r"([a-z][a-z0-9+.-]{0,15}):", node.text) if isinstance(node, Scalar) and node.tag == "str" else None
    return (
        f"found a URL of scheme {scheme[1]!r}"
        if scheme
        else shown(node)
        if not isinstance(node, Scalar)
        else f"found {node.kind}"
    )


def _split(node: Node) -> SplitResult | None:
    if not isinstance(node, Scalar) or node.tag != "str" or re.search(r"[\s\x00-\x1f\\]", node.text):
        return None
    try:
        parts = urlsplit(node.text)
        _ = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    return parts if re.fullmatch(HOST, host) or _is_ip(host) else None


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)
