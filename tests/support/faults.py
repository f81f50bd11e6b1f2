"""What `fault_proxy` can break: each of these makes a fault, a function that carries out one exchange wrongly."""

import socket
from collections.abc import Iterable, Iterator

from fault_proxy import PIECE, EndedError, Exchange, Fault, FaultProxy, Head


def drop() -> Fault:
    """The connection is closed without a word."""

    def dropped(_: Exchange) -> None:
        raise EndedError

    return dropped


def drop_answer() -> Fault:
    """The server did it, the connection is closed before the answer."""

    def dropped_answer(exchange: Exchange) -> None:
        exchange.send()
        exchange.receive()
        raise EndedError

    return dropped_answer


def stall() -> Fault:
    """The request is read, and nothing more is heard."""

    def stalled(exchange: Exchange) -> None:
        exchange.drain()
        exchange.proxy.closing.wait()
        raise EndedError

    return stalled


def stall_answer(after: int = 1000) -> Fault:
    """The answer stops after so many bytes of its body, and the connection stays."""

    def stalled_answer(exchange: Exchange) -> None:
        exchange.send()
        head, pieces = exchange.receive()
        exchange.client.sendall(head.encoded() + next(pieces, b"")[:after])
        exchange.proxy.closing.wait()
        raise EndedError

    return stalled_answer


def half_open(after: int = 0) -> Fault:
    """The peer is gone and the connection does not know: after so many bytes nothing is read, nothing is answered."""

    def left_half_open(exchange: Exchange) -> None:
        if after:
            for _ in _take(exchange.body(), after):
                pass
        exchange.proxy.closing.wait()
        raise EndedError

    return left_half_open


def half_closed() -> Fault:
    """The peer will say nothing more (FIN), but goes on reading."""

    def left_half_closed(exchange: Exchange) -> None:
        exchange.client.shutdown(socket.SHUT_WR)
        exchange.drain()
        raise EndedError

    return left_half_closed


def reset_before(after: int = 0) -> Fault:
    """Reset before the server has the request; `after` so many bytes of its body when that is not 0."""

    def was_reset_before(exchange: Exchange) -> None:
        if after:
            exchange.send(_take(exchange.body(), after))
        exchange.reset()

    return was_reset_before


def reset_after() -> Fault:
    """The server did it, the connection is reset before the answer."""

    def was_reset_after(exchange: Exchange) -> None:
        exchange.send()
        exchange.receive()
        exchange.reset()

    return was_reset_after


def answer(status: int, body: bytes = b"", *, at_once: bool = False, **headers: str) -> Fault:
    """This answer instead of the server's; `at_once`: before the body of the request is read, and then it closes.

    Names of headers are written with `_` for `-`.
    """

    def answered(exchange: Exchange) -> None:
        if not at_once:
            exchange.drain()
        head = Head(
            f"HTTP/1.1 {status} Said", [(key.replace("_", "-"), value) for key, value in headers.items()]
        )
        if not head.get("Content-Length"):
            head.set("Content-Length", str(len(body)))
        exchange.client.sendall(head.encoded() + (b"" if exchange.method == "HEAD" else body))
        if at_once:
            raise EndedError

    answered.__name__ = f"answered_{status}"
    return answered


def redirect(location: str, status: int = 307) -> Fault:
    return answer(status, Location=location)


def endless(status: int = 200, **headers: str) -> Fault:
    """An answer without an end."""

    def was_endless(exchange: Exchange) -> None:
        exchange.drain()
        head = Head(
            f"HTTP/1.1 {status} Said", [(key.replace("_", "-"), value) for key, value in headers.items()]
        )
        head.set("Connection", "close")
        exchange.client.sendall(head.encoded())
        while not exchange.proxy.closing.is_set():
            exchange.client.sendall(b" " * PIECE)

    return was_endless


def slow(seconds: float, piece: int = 1000) -> Fault:
    """The answer's body in small pieces, with a pause before each."""

    def was_slow(exchange: Exchange) -> None:
        exchange.send()
        head, pieces = exchange.receive()
        exchange.answer(head, _slowly(exchange.proxy, pieces, seconds, piece))

    return was_slow


def with_headers(status: int | None = None, **headers: str | None) -> Fault:
    """The server's answer with other headers (None: without), written with `_` for `-`."""

    def was_given_headers(exchange: Exchange) -> None:
        exchange.send()
        head, pieces = exchange.receive()
        for key, value in headers.items():
            head.set(key.replace("_", "-"), value)
        if status is not None:
            head.line = f"HTTP/1.1 {status} Said"
        exchange.answer(head, pieces)

    return was_given_headers


def flip(at: int = 0) -> Fault:
    """One bit of the answer's body is another."""

    def was_flipped(exchange: Exchange) -> None:
        exchange.send()
        head, pieces = exchange.receive()
        exchange.answer(head, _flipped(pieces, at))

    return was_flipped


def flip_sent(at: int = 0) -> Fault:
    """One bit of the request's body is another when the server gets it."""

    def was_flipped_on_the_way(exchange: Exchange) -> None:
        exchange.send(_flipped(exchange.body(), at))
        exchange.answer(*exchange.receive())

    return was_flipped_on_the_way


def truncate(at: int, *, honest: bool = True) -> Fault:
    """The answer ends after so many bytes; `honest`: its length was told before, so that a reader can notice."""

    def was_truncated(exchange: Exchange) -> None:
        exchange.send()
        head, pieces = exchange.receive()
        if not honest:
            head.set("Transfer-Encoding", None)
            head.set("Content-Length", str(at))
        exchange.client.sendall(head.encoded() + b"".join(_take(pieces, at)))
        raise EndedError

    return was_truncated


def _take(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return


def _flipped(pieces: Iterable[bytes], at: int) -> Iterator[bytes]:
    for piece in pieces:
        if 0 <= at < len(piece):
            piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
        at -= len(piece)
        yield piece


def _slowly(proxy: FaultProxy, pieces: Iterable[bytes], seconds: float, size: int) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), size):
            if proxy.closing.wait(seconds):
                raise EndedError
            yield piece[at : at + size]
