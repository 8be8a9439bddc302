"""Who is asking: what only a program on this machine may do."""

from __future__ import annotations

from ipaddress import ip_address

from aiohttp import web


def from_here(request: web.Request) -> bool:
    """True for a caller on this machine that is not a page of some other site in its browser."""
    try:
        local = ip_address(request.remote or "").is_loopback
    except ValueError:
        local = False
    return local and "Origin" not in request.headers
