"""A TCP proxy in front of a git daemon that does what networks do, to pushes only."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

LOSE_ANSWER = "lose the answer"  # the server commits, the client sees a reset
LOSE_REQUEST = "lose the request"  # the server never sees the pack
SWALLOW = "swallow"  # accept, and say nothing for ever


class FaultyProxy:
    """`faults` are used up one by one, by one push each; then the proxy is honest."""

    def __init__(self, upstream: str, faults: list[str]) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._faults = list(faults)
        self.hit: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"git://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def close(self) -> None:
        # Closing alone does not wake an accept that waits.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _handle(self, client: socket.socket) -> None:
        with client:
            if self._faults[:1] == [SWALLOW]:
                self.hit.append(SWALLOW)
                while client.recv(65536):
                    pass
                return
            with socket.create_connection(self._upstream) as server, contextlib.suppress(OSError):
                fault = _Fault()
                up = threading.Thread(target=self._to_server, args=(client, server, fault), daemon=True)
                up.start()
                while data := server.recv(65536):
                    if not fault.now:
                        client.sendall(data)
                # The server has closed: whatever it does is done.
                if fault.now:
                    _reset(client)

    def _to_server(self, client: socket.socket, server: socket.socket, fault: "_Fault") -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                # A pack travels only in a push.
                if b"PACK" in data and self._faults:
                    fault.now = self._faults.pop(0)
                    self.hit.append(fault.now)
                    if fault.now == LOSE_REQUEST:
                        server.shutdown(socket.SHUT_RDWR)
                        return
                server.sendall(data)


class _Fault:
    now = ""


def _reset(client: socket.socket) -> None:
    # First wake the thread that reads from it: a socket in use is not closed.
    client.shutdown(socket.SHUT_RD)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@contextlib.contextmanager
def faulty_proxy(upstream: str, *faults: str) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(upstream, list(faults))
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
