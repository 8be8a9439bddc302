"""Where qobs may listen."""

from __future__ import annotations

from ipaddress import ip_address

from qobs.errors import QobsError


class OpenBind(QobsError):
    """The address would be reachable by others, who need neither a key nor encryption."""


def refuse_open_bind(host: str, insecure: bool) -> bool:
    """True when ``host`` is open to other machines and the operator wants that: worth a warning in the log.

    Raises:
        OpenBind: ``host`` is open to other machines, and nobody said that this is meant.

    Example:
        >>> refuse_open_bind("127.0.0.1", False), refuse_open_bind("0.0.0.0", True)
        (False, True)
    """
    if _loopback(host):
        return False
    if not insecure:
        raise OpenBind(
            f"listen: found {host!r}, which other machines can reach without encryption or a password; "
            "allowed: a loopback address (127.0.0.1, ::1, localhost), or any address together with --insecure-listen"
        )
    return True


def _loopback(host: str) -> bool:
    """True for names and addresses of this machine only; a name that is not an address is taken as open."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
