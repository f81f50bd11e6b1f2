"""A way to a server that can stop to lead anywhere: it accepts, swallows what is sent, and never answers.

`with tap("127.0.0.1:6443") as way:` passes bytes on, TLS and all; after `way.swallow()` open and new connections hang, as
behind a firewall that lost its state; after `way.flow()` new ones pass again. `with tap("")` never led anywhere.
A place where not even a connection is made is `fault_proxy.black_hole`.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Tap:
    target: str
    listener: socket.socket
    flowing: threading.Event = field(default_factory=threading.Event)
    # Set as well when bytes arrive that are swallowed: somebody waits now.
    swallowed: threading.Event = field(default_factory=threading.Event)
    held: list[socket.socket] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def swallow(self) -> None:
        self.swallowed.clear()
        self.flowing.clear()

    def flow(self) -> None:
        """New connections pass; what was swallowed is lost and its connections are cut."""
        self.flowing.set()
        self.cut()

    def cut(self) -> None:
        for one in self.held:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.held.append(client)
            server = None
            if self.target and self.flowing.is_set():
                host, _, port = self.target.rpartition(":")
                with contextlib.suppress(OSError):
                    server = socket.create_connection((host, int(port)))
                    self.held.append(server)
                if server is None:
                    client.close()
                    continue
                threading.Thread(target=self.carry, args=(server, client), daemon=True).start()
            threading.Thread(target=self.carry, args=(client, server), daemon=True).start()

    def carry(self, one: socket.socket, other: socket.socket | None) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(65536):
                if other is None or not self.flowing.is_set():
                    self.swallowed.set()
                    other = None
                else:
                    other.sendall(content)
        for each in (one, other):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def tap(target: str) -> Iterator[Tap]:
    """`target` is `host:port`."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        way = Tap(target, listener)
        way.flowing.set()
        thread = threading.Thread(target=way.accept, daemon=True)
        thread.start()
        try:
            yield way
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=10)
            way.cut()
            for one in way.held:
                one.close()
