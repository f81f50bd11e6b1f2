"""What an address says of the host that it leads to. Pure but for one look-up of a name."""

import ipaddress
import socket
from urllib.parse import urlsplit


def host_of(address: str) -> str:
    """The bare host of `host[:port]` or of a URL."""
    try:
        return urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""


def same_place(one: str, other: str) -> bool:
    """Whether two URLs are of one scheme, host and port."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _as_address(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """Whether a name leads to a machine that the internet does not reach; a name without an address does not."""
    address = _as_address(host)
    if address is not None:
        return not address.is_global
    if is_loopback(host):
        return True
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return any(address is not None and not address.is_global for address in map(_as_address, found))


def _as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
