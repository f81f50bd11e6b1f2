"""An HTTP proxy that breaks what it is told to break: stands before a real server, passes everything on, except ...

`proxy.on("PUT", "/manifests/", reset_after(), times=2)`: the next two requests of that method whose path matches the
pattern meet that fault of `faults`, later ones pass. A fault is a function of one `Exchange`; more are a few lines each.
`proxy.seen` lists what was asked and what became of it. Bodies are streamed, never held.
"""

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

PIECE = 65536


class EndedError(Exception):
    """This connection is over."""


@dataclass
class Head:
    """The first line and headers of a request or an answer."""

    line: str
    headers: list[tuple[str, str]]

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def set(self, name: str, value: str | None) -> None:
        self.headers = [(key, old) for key, old in self.headers if key.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))

    @property
    def status(self) -> int:
        return int(self.line.split()[1])

    def encoded(self) -> bytes:
        lines = [self.line, *(f"{key}: {value}" for key, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")


class Exchange:
    """One request and its answer, for a fault to carry out, change or break."""

    def __init__(self, proxy: "FaultProxy", client: socket.socket, reader: BinaryIO, head: Head) -> None:
        self.proxy, self.client, self.reader, self.head = proxy, client, reader, head
        self.method, self.path, _ = head.line.split(" ", 2)
        self.server: socket.socket | None = None
        self.server_reader: BinaryIO | None = None
        self.asked = False  # whether the request's body is read

    def body(self) -> Iterator[bytes]:
        self.asked = True
        yield from _pieces(self.reader, self.head, request=True)

    def send(self, pieces: Iterable[bytes] | None = None) -> None:
        """The request to the server."""
        self.server = socket.create_connection(self.proxy.target, timeout=60)
        self.server_reader = self.server.makefile("rb")
        head = Head(self.head.line, list(self.head.headers))
        head.set("Expect", None)
        head.set("Connection", "close")
        self.server.sendall(head.encoded())
        body = iter(self.body() if pieces is None else pieces)
        with contextlib.suppress(OSError):
            _write(self.server, head, body)
        # A server that answers before it has read everything is heard all the same.
        for _ in body:
            pass

    def receive(self) -> tuple[Head, Iterator[bytes]]:
        """The server's answer."""
        assert self.server_reader
        head = _read_head(self.server_reader)
        if head is None:
            raise EndedError
        head.set("Connection", None)
        empty = self.method == "HEAD" or head.status in {204, 304}
        return head, iter(()) if empty else _pieces(self.server_reader, head, request=False)

    def answer(self, head: Head, pieces: Iterable[bytes]) -> None:
        self.client.sendall(head.encoded())
        _write(self.client, head, pieces)
        if not (head.get("Content-Length") or head.get("Transfer-Encoding") or head.status == 204):
            raise EndedError  # its end is the end of the connection

    def drain(self) -> None:
        if not self.asked:
            for _ in self.body():
                pass

    def reset(self) -> None:
        """RST: what a peer sends that lost its state, and what a firewall sends in the name of others."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise EndedError

    def close(self) -> None:
        for one in (self.server_reader, self.server):
            if one is not None:
                one.close()


Fault = Callable[[Exchange], None]


def passed(exchange: Exchange) -> None:
    exchange.send()
    exchange.answer(*exchange.receive())


@dataclass
class Rule:
    method: str
    path: re.Pattern[str]
    fault: Fault
    times: int
    after: int


@dataclass
class FaultProxy:
    target: tuple[str, int]
    port: int = 0
    rules: list[Rule] = field(default_factory=list)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def on(self, method: str, path: str, fault: Fault, *, times: int = 1, after: int = 0) -> None:
        """`method` may be "*", `path` is searched as a pattern in path and query; the first `after` ones pass."""
        with self.lock:
            self.rules.append(Rule(method, re.compile(path), fault, times, after))

    def calm(self) -> None:
        """No more faults."""
        with self.lock:
            self.rules.clear()

    def asked(self, method: str, path: str) -> list[str]:
        """What became of the requests like this one, in their order."""
        with self.lock:
            return [what for one, where, what in self.seen if one == method and re.search(path, where)]

    def choose(self, method: str, path: str) -> Fault:
        with self.lock:
            for rule in self.rules:
                if rule.method in {"*", method} and rule.path.search(path) and rule.times:
                    if rule.after:
                        rule.after -= 1
                        continue
                    rule.times -= 1
                    break
            else:
                self.seen.append((method, path, "passed"))
                return passed
            self.seen.append((method, path, rule.fault.__name__))
            return rule.fault


@contextlib.contextmanager
def serve(
    target: str, certificate: tuple[Path, Path] | None = None, host: str = "127.0.0.1"
) -> Iterator[FaultProxy]:
    """A proxy before `target` (`host:port`, plain HTTP); with a certificate and its key it speaks TLS itself."""
    name, _, port = target.rpartition(":")
    proxy = FaultProxy((name, int(port)))
    listener = socket.create_server((host, 0), backlog=64)
    proxy.port = listener.getsockname()[1]
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    threads: list[threading.Thread] = []
    clients: set[socket.socket] = set()

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            clients.add(client)
            threads.append(
                threading.Thread(target=_converse, args=(proxy, client, context, clients), daemon=True)
            )
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for client in list(clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(timeout=10)


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """A `host:port` at which nobody answers and nothing is refused, as behind a firewall that drops."""
    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            # The queue of connections is full: the kernel drops what comes.
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def _converse(
    proxy: FaultProxy, client: socket.socket, context: ssl.SSLContext | None, clients: set[socket.socket]
) -> None:
    raw = client
    with contextlib.suppress(OSError, EndedError, ssl.SSLError):
        if not context and client.recv(1, socket.MSG_PEEK) == b"\x16":
            raise EndedError  # the first byte of TLS: servers without it hang up, too
        if context:
            client = context.wrap_socket(client, server_side=True)
            clients.add(client)
        reader = client.makefile("rb")
        while head := _read_head(reader):
            if head.get("Expect"):
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            exchange = Exchange(proxy, client, reader, head)
            try:
                proxy.choose(exchange.method, exchange.path)(exchange)
            finally:
                exchange.close()
    with contextlib.suppress(OSError, UnboundLocalError):
        reader.close()
    for one in (client, raw):
        clients.discard(one)
        one.close()


def _read_head(reader: BinaryIO) -> Head | None:
    line = reader.readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    headers = []
    while text := reader.readline().decode("latin-1").rstrip("\r\n"):
        key, _, value = text.partition(":")
        headers.append((key, value.strip()))
    head = Head(line, headers)
    return _read_head(reader) if line.startswith("HTTP/1.1 1") else head


def _pieces(reader: BinaryIO, head: Head, *, request: bool) -> Iterator[bytes]:
    """The body, without its framing."""
    if head.get("Transfer-Encoding").lower() == "chunked":
        while size := int(reader.readline().split(b";")[0] or b"0", 16):
            yield from _exactly(reader, size)
            reader.readline()
        reader.readline()
    elif head.get("Content-Length"):
        yield from _exactly(reader, int(head.get("Content-Length")))
    elif not request:
        while piece := reader.read(PIECE):
            yield piece


def _exactly(reader: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = reader.read(min(size, PIECE))
        if not piece:
            raise EndedError
        size -= len(piece)
        yield piece


def _write(to: socket.socket, head: Head, pieces: Iterable[bytes]) -> None:
    chunked = head.get("Transfer-Encoding").lower() == "chunked"
    for piece in pieces:
        to.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        to.sendall(b"0\r\n\r\n")
