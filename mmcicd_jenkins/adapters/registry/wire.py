"""Connections to registries: TLS, proxies, deadlines. With `failures` the only file that knows urllib3.

A request here is tried once; what may be tried again is told by the `Trouble` or error raised here. No redirect is
followed, no body decoded, and no header added but the ones given. Imported late.
"""

import http.client
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import InsecureRequestWarning

from mmcicd_jenkins.adapters.proxies import Proxies, proxy_login, without_login
from mmcicd_jenkins.adapters.registry.errors import MOST_READ, Doing
from mmcicd_jenkins.adapters.registry.failures import FAILURES, translated
from mmcicd_jenkins.adapters.registry.tries import Deadlines, Pace
from mmcicd_jenkins.errors import InputError

AGENT = "mmcicd-jenkins"
# The registry, its token service, the storage behind it, and the same of a base image's.
_HOSTS = 8
# Kept open for each host: more than anybody uses at once, for urllib3 logs those that it must close.
_CONNECTIONS = 32
# What one call of sendmsg takes.
_MOST_VIEWS = 512


class Wire:
    """Connections to any host, trusted by the system's authorities and those in the file `ca`, or by nobody.

    Raises:
        InputError: `ca` cannot be read, or a proxy is of a kind that is not spoken.
    """

    def __init__(self, variables: Mapping[str, str], ca: str, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        self._proxies = Proxies(variables)
        self.secrets = self._proxies.passwords
        self._ca = ca
        # Reading what the system trusts takes longer than a short request: only for who needs it.
        self._trust = _trusting(ca) if ca else None
        self._managers: dict[tuple[str, bool, bool], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        doing: Doing,
        *,
        body: bytes | bytearray | None = None,
        trusted: bool = True,
        stall: float = 0.0,
    ) -> urllib3.BaseHTTPResponse:
        """One request; the body of the answer is still to be read.

        Raises:
            Trouble: no answer came; it may pass.
            MmcicdError: it will not pass.
        """
        timeout = urllib3.Timeout(connect=self.deadlines.connect, read=stall or self.deadlines.stall)
        sent = {"Accept-Encoding": "identity", "User-Agent": AGENT, **headers}
        try:
            return self._manager(url, trusted).urlopen(
                method,
                url,
                body=body,
                headers=sent,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except FAILURES as e:
            raise translated(e, doing) from e

    def stream(
        self, method: str, url: str, headers: Mapping[str, str], doing: Doing, *, trusted: bool = True
    ) -> "Outgoing":
        """A request whose head is sent and whose body is to follow, on a connection of its own.

        Raises:
            Trouble, MmcicdError: as `ask`.
        """
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        proxy = self._proxies.to(url)
        if proxy and parts.scheme == "http":
            target, headers = url, {**headers, **proxy_login(proxy)}
        connection = self._connection(url, trusted)
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(self.deadlines.stall)
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in {"User-Agent": AGENT, **headers}.items():
                connection.putheader(name, value)
            connection.endheaders()
        except FAILURES as e:
            connection.close()
            raise translated(e, doing) from e
        return Outgoing(connection, doing, Pace(2 * self.deadlines.stall))

    def close(self) -> None:
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

    def _connection(self, url: str, trusted: bool) -> HTTPConnection:
        """A connection as the pools would make it, but not one of theirs: they only send what is at hand."""
        pool = self._manager(url, trusted).connection_from_url(url)
        proxy = pool.proxy
        connection = pool.ConnectionCls(
            host=(proxy.host if proxy else None) or pool.host,
            port=proxy.port if proxy else pool.port,
            timeout=self.deadlines.connect,
            **pool.conn_kw,
        )
        if proxy and pool.scheme == "https":
            connection.set_tunnel(
                pool.host.strip("[]"), pool.port, pool.proxy_headers, proxy.scheme or "http"
            )
        return cast("HTTPConnection", connection)

    def _manager(self, url: str, trusted: bool) -> urllib3.PoolManager:
        proxy = self._proxies.to(url)
        secure = url.startswith("https://") or proxy.startswith("https://")
        with self._lock:
            kind = (proxy, trusted, secure)
            if kind not in self._managers:
                self._managers[kind] = self._new_manager(*kind)
            return self._managers[kind]

    def _new_manager(self, proxy: str, trusted: bool, secure: bool) -> urllib3.PoolManager:
        settings: dict[str, Any] = {"num_pools": _HOSTS, "maxsize": _CONNECTIONS}
        if secure and self._trust is None:
            self._trust = _trusting(self._ca)
        if secure and trusted:
            settings["ssl_context"] = self._trust
        elif secure:
            # It was asked for; urllib3 would say so at each request.
            urllib3.disable_warnings(InsecureRequestWarning)
            settings["ssl_context"] = _trusting_all()
        if not proxy:
            return urllib3.PoolManager(**settings)
        return urllib3.ProxyManager(
            without_login(proxy), proxy_headers=proxy_login(proxy), proxy_ssl_context=self._trust, **settings
        )


class Outgoing:
    """A request whose body is being sent, from whatever thread makes it."""

    def __init__(self, connection: HTTPConnection, doing: Doing, pace: Pace) -> None:
        self._connection = connection
        self._doing = doing
        self._pace = pace

    def send(self, pieces: Sequence[memoryview | bytes]) -> None:
        """Raises OSError: the other side hung up, or took nothing or next to nothing in time."""
        for count in _sent(self._connection.sock, pieces):
            if not self._pace.moved(count):
                raise TimeoutError

    def answer(self, seconds: float = 0.0) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and the beginning of the body; `seconds` to wait if not the usual ones.

        Raises:
            Trouble: none came.
        """
        try:
            if seconds:
                self._connection.sock.settimeout(seconds)
            # Without what urllib3 puts around it, for it did not send the request.
            response = http.client.HTTPConnection.getresponse(self._connection)
            body = response.read(MOST_READ)
        except FAILURES as e:
            raise translated(e, self._doing) from e
        return response.status, urllib3.HTTPHeaderDict(response.headers.items()), body

    def failed(self, error: OSError) -> Exception:
        return translated(error, self._doing)

    def close(self) -> None:
        self._connection.close()


def _trusting(ca: str) -> ssl.SSLContext:
    """Trusts SSL_CERT_FILE or the system's authorities, and those in `ca` in addition."""
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(cafile=ca)
        except OSError as e:
            raise InputError(
                "the certificates to trust cannot be read",
                where=ca,
                why="it is no PEM file" if isinstance(e, ssl.SSLError) else e.strerror or str(e),
                fix="store.ca names a PEM file with the certificate of your authority",
            ) from e
    return context


def _trusting_all() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _sent(sock: socket.socket, pieces: Sequence[memoryview | bytes]) -> Iterator[int]:
    """Sends all of `pieces`, without copying them where the socket can gather; says how much went at once."""
    if not isinstance(sock, socket.socket) or isinstance(sock, ssl.SSLSocket):
        # A record of TLS costs more than a copy.
        rest = memoryview(b"".join(pieces))
        while rest:
            count = sock.send(rest)
            rest = rest[count:]
            yield count
        return
    left = deque(memoryview(piece) for piece in pieces if piece)
    while left:
        count = sock.sendmsg([left[at] for at in range(min(len(left), _MOST_VIEWS))])
        yield count
        while left and count >= len(left[0]):
            count -= len(left.popleft())
        if count:
            left[0] = left[0][count:]
