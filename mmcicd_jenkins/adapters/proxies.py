"""Which proxy leads to a host, by the variables that every program reads: HTTPS_PROXY, HTTP_PROXY, NO_PROXY.

NO_PROXY knows names with all below them, names with a port, addresses and networks. This machine is never reached
through a proxy.
"""

import ipaddress
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from mmcicd_jenkins.adapters.hosts import is_loopback
from mmcicd_jenkins.errors import InputError


class Proxies:
    """The proxies that `variables` name.

    Raises:
        InputError: one is of a kind that is not spoken.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._of = {scheme: _proxy(scheme, _value(variables, scheme)) for scheme in ("http", "https")}
        self._without = [part.strip().lower() for part in _value(variables, "no").split(",") if part.strip()]

    def to(self, url: str) -> str:
        """The address of the proxy for `url`, perhaps with a login in it; "" for none."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or {"http": 80}.get(parts.scheme, 443)
        if is_loopback(host) or any(_covers(pattern, host, port) for pattern in self._without):
            return ""
        return self._of.get(parts.scheme, "")

    @property
    def passwords(self) -> tuple[str, ...]:
        """What no message may show."""
        found = (urlsplit(proxy).password for proxy in self._of.values() if proxy)
        return tuple({unquote(password) for password in found if password})


def without_login(proxy: str) -> str:
    parts = urlsplit(proxy)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def proxy_login(proxy: str) -> dict[str, str]:
    """The header for the login that stands in the proxy's address."""
    login = urlsplit(proxy).netloc.rpartition("@")[0]
    if not login:
        return {}
    return {"Proxy-Authorization": "Basic " + b64encode(unquote(login).encode()).decode()}


def _value(variables: Mapping[str, str], scheme: str) -> str:
    # The name in lower case comes first, as for every other program.
    return variables.get(f"{scheme}_proxy") or variables.get(f"{scheme.upper()}_PROXY") or ""


def _proxy(scheme: str, value: str) -> str:
    if not value:
        return ""
    address = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 80)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise InputError(
            "this is not a proxy that can be used",
            where=f"{scheme.upper()}_PROXY",
            why="a proxy is http://HOST:PORT or https://HOST:PORT",
            fix="use that port of the proxy, or name the host in NO_PROXY",
        )
    return address


def _covers(pattern: str, host: str, port: int) -> bool:
    if pattern == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        pass
    name, colon, number = pattern.rpartition(":")
    if colon and number.isdigit():
        if int(number) != port:
            return False
        pattern = name
    bare = pattern.strip("[]").removeprefix("*").strip(".")
    return bool(bare) and (host == bare or host.endswith(f".{bare}"))
