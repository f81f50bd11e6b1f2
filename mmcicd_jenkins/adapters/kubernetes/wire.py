"""Connections to one API server: TLS, a proxy, deadlines. A request here is tried once.

The standard library's HTTP client: half the cost of a richer one at start-up, and its socket is at hand, so that an
answer that drips ends at the deadline. No redirect is followed. Certificates are always checked.
"""

import contextlib
import functools
import http.client
import io
import os
import select
import socket
import ssl
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from mmcicd_jenkins.adapters.kubernetes.errors import Doing, Trouble, broken_off, unreachable
from mmcicd_jenkins.adapters.kubernetes.login import Credentials
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.records import dataclass

# A namespace with thousands of pods comes in pages; one page, or one object, of this size is a mistake.
LARGEST = 33_554_432
_IDLE = 8
_PIECE = 65_536
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


@dataclass(frozen=True, kw_only=True)
class Route:
    """How the server is reached: `authority` is PEM (b"": the system's), `name` what its certificate must say,
    `proxy` an address with its header for the login.
    """

    server: str
    authority: bytes = b""
    name: str = ""
    proxy: str = ""
    proxy_headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    warnings: tuple[str, ...]
    body: bytes


class Wire:
    """Connections, reused and shared by threads."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._parts = urlsplit(route.server)
        self._idle: list[http.client.HTTPConnection] = []
        self._certificate = b""
        self._trust: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        # Nobody has to say when the last request was made.
        weakref.finalize(self, _close_all, self._idle)

    def ask(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes | None,
        credentials: Credentials,
        doing: Doing,
        *,
        connect: float,
        stall: float,
        until: float,
    ) -> Answer:
        """One request, ended by `until` (monotonic), or after `stall` seconds of silence.

        Raises:
            Trouble: no whole answer came; it may pass.
            MmcicdError: it will not pass.
        """
        connection = self._connection(credentials, doing, min(connect, until - time.monotonic()))
        kept = False
        try:
            answer, kept = _asked(connection, method, self._parts.path + target, headers, body, stall, until)
        except _FAILURES as e:
            raise _translated(e, doing) from e
        finally:
            self._put_back(connection) if kept else connection.close()
        return answer

    def _connection(
        self, credentials: Credentials, doing: Doing, seconds: float
    ) -> http.client.HTTPConnection:
        with self._lock:
            if credentials.certificate != self._certificate:
                self._trust, self._certificate = None, credentials.certificate
                _close_all(self._idle)
            while self._idle:
                if not _is_ended(connection := self._idle.pop()):
                    return connection
            if self._trust is None and self._parts.scheme == "https":
                self._trust = _trusting(self._route.authority, credentials.certificate)
            trust = self._trust
        connection = self._new(trust, max(seconds, 0.001))
        try:
            connection.connect()
        except _FAILURES as e:
            connection.close()
            raise _not_connected(e, doing, proxy=self._route.proxy) from e
        return connection

    def _new(self, trust: ssl.SSLContext | None, seconds: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port or (443 if trust else 80)
        make: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if trust:
            make = functools.partial(_Secure, trust, self._route.name or host)
        if not self._route.proxy:
            return make(host, port, timeout=seconds)
        proxy = urlsplit(self._route.proxy)
        connection = make(proxy.hostname or "", proxy.port or 80, timeout=seconds)
        connection.set_tunnel(host, port, dict(self._route.proxy_headers))
        return connection

    def _put_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _close_all(connections: list[http.client.HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


class _Secure(http.client.HTTPConnection):
    """TLS with the name that the certificate must have, which need not be the one that is connected to."""

    default_port = 443

    def __init__(self, trust: ssl.SSLContext, name: str, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._trust, self._name = trust, name

    def connect(self) -> None:
        super().connect()
        self.sock = self._trust.wrap_socket(self.sock, server_hostname=self._name)


class _Until:
    """A socket for reading one answer, on which no piece is awaited beyond `until`."""

    def __init__(self, sock: socket.socket, stall: float, until: float) -> None:
        self._sock, self._stall, self._until = sock, stall, until

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Pieces(self._sock, self._stall, self._until), _PIECE)


class _Pieces(io.RawIOBase):
    def __init__(self, sock: socket.socket, stall: float, until: float) -> None:
        self._sock, self._stall, self._until = sock, stall, until
        # Holds the socket open when the connection lets go of it before the body is read.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(min(self._stall, left))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _asked(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes | None,
    stall: float,
    until: float,
) -> tuple[Answer, bool]:
    """The answer, and whether the connection can be used again."""
    connection.sock.settimeout(max(min(stall, until - time.monotonic()), 0.001))
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)

    def timed(sock: socket.socket, **named: Any) -> http.client.HTTPResponse:
        return http.client.HTTPResponse(_Until(sock, stall, until), **named)  # type: ignore[arg-type]  # it only calls makefile

    connection.response_class = timed  # type: ignore[assignment]  # a class is only called there
    with connection.getresponse() as response:
        content = response.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise _TooLargeError
        if response.length:
            # Told before, and not come: the library says nothing of it.
            raise http.client.IncompleteRead(b"", response.length)
        found = {name.lower(): value for name, value in response.getheaders()}
        warnings = tuple(response.headers.get_all("Warning", []))
        return Answer(
            status=response.status, headers=found, warnings=warnings, body=content
        ), not response.will_close


class _TooLargeError(Exception):
    pass


# All that a request can end with.
_FAILURES = (http.client.HTTPException, OSError, ValueError, _TooLargeError)


def _is_ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the server hung up: something is there to be read though nothing was asked."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    ended = bool(poll.poll(0))
    if ended:
        connection.close()
    return ended


def _trusting(authority: bytes, certificate: bytes) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
    except (ssl.SSLError, ValueError) as e:
        raise InputError(
            "the cluster's authority is not a certificate", where="certificate-authority", fix="a PEM file"
        ) from e
    if certificate:
        try:
            with _as_file(certificate) as path:
                context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError) as e:
            raise InputError(
                "the client certificate or its key cannot be used",
                where="client-certificate, client-key",
                why=getattr(e, "reason", None) or "the key is encrypted, or it is of another certificate",
                fix="`kubectl auth whoami` must work with this kubeconfig",
            ) from e
    return context


def _no_password() -> str:
    # Without this OpenSSL asks on the terminal, and a build would wait for ever.
    return ""


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """`content` under a path, which OpenSSL insists on; a key must not stay behind when we are killed."""
    if hasattr(os, "memfd_create"):
        memory = os.memfd_create("certificate", os.MFD_CLOEXEC)
        with os.fdopen(memory, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{memory}"
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name


def _not_connected(error: Exception, doing: Doing, *, proxy: str) -> Trouble | MmcicdError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return unreachable(
            doing,
            f"its certificate is not trusted: {error.verify_message}",
            fix="certificate-authority-data of this cluster in the kubeconfig; tls-server-name where it is reached by "
            "another name",
            passes=False,
        ).error
    if isinstance(error, ssl.SSLError) and any(mark in str(error).upper() for mark in _NO_TLS):
        return unreachable(doing, "it does not speak TLS", passes=False).error
    if isinstance(error, socket.gaierror):
        why = f"its name is not known: {error.strerror}"
        passes = error.errno != socket.EAI_NONAME
        trouble = unreachable(
            doing, why, fix="check the name, and HTTPS_PROXY if one is needed", passes=passes
        )
        return trouble if passes else trouble.error
    if "Tunnel connection failed" in str(error):
        said = str(error).partition("Tunnel connection failed: ")[2]
        return unreachable(
            doing, f"the proxy before it: {said}", fix="check HTTPS_PROXY, NO_PROXY and proxy-url"
        )
    before = "the proxy before it: " if proxy else ""
    return unreachable(doing, before + _words(error), fix=f"curl -k {doing.server}/version")


def _translated(error: Exception, doing: Doing) -> Trouble | MmcicdError:
    if isinstance(error, _TooLargeError):
        return OutsideFailed(
            "the cluster's answer is too large", where=doing.where, why=f"more than {LARGEST} bytes"
        )
    if isinstance(error, ssl.SSLError) and "ALERT" in str(error).upper():
        return OutsideFailed(
            "the cluster does not take our client certificate", where=doing.server, why=error.reason or ""
        )
    return broken_off(doing, _words(error))


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it hung up"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
