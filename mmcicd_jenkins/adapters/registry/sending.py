"""How the bytes of an upload go to the registry: all in one stream, or in pieces of a bounded size.

A sink is called from whatever thread makes the bytes, in order, and sends before it returns: what it is given may be
overwritten afterwards.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mmcicd_jenkins.adapters.registry.asks import Answer, Ask
from mmcicd_jenkins.adapters.registry.errors import Trouble, broken_off
from mmcicd_jenkins.adapters.registry.http import Registry
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.records import dataclass

BYTES = {"Content-Type": "application/octet-stream"}
# Answers to bytes that say something of the upload itself.
_TAKEN = frozenset({202, 204, 404, 413, 416})
# Seconds for the answer of a registry that hung up while it was being sent to.
_LAST_WORDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Session:
    """An upload that was begun: where its next bytes go, and the least size of a piece that is not the last."""

    url: str
    least: int = 0


class TooLarge(Trouble):
    """What was sent at once was too much; pieces of at least `least` bytes may do."""

    def __init__(self, error: MmcicdError, least: int) -> None:
        super().__init__(error)
        self.least = least


class Sending(Protocol):
    """The bytes of one try."""

    session: Session

    def sink(self, pieces: Sequence[memoryview | bytes]) -> None: ...

    def finish(self, made: Descriptor) -> None:
        """Say that this was all, and hear that the registry has it.

        Raises:
            Trouble: it has something else.
        """

    def close(self) -> None: ...


class Sender(Protocol):
    """What a way of sending needs of the upload."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        expect: frozenset[int],
        body: bytes | bytearray | None = None,
        stall: float = 0.0,
    ) -> Ask: ...

    def taken(self, answer: Answer, session: Session, end: int) -> Session: ...


class Stream:
    """All bytes in one PATCH."""

    def __init__(self, upload: Sender, registry: Registry, session: Session, size: int | None) -> None:
        self.session = session
        self._upload = upload
        self._registry = registry
        self._size = size
        self._sent = 0
        framing = {"Transfer-Encoding": "chunked"} if size is None else {"Content-Length": str(size)}
        self._ask = upload.request("PATCH", session.url, headers={**BYTES, **framing}, expect=_TAKEN)
        self._outgoing = registry.wire.stream(
            "PATCH",
            session.url,
            registry.headers(self._ask, session.url),
            self._ask.doing,
            trusted=registry.trusted,
        )

    def sink(self, pieces: Sequence[memoryview | bytes]) -> None:
        count = sum(map(len, pieces))
        # An empty chunk would be the end.
        if not count:
            return
        self._sent += count
        if self._size is not None:
            self._check(self._sent <= self._size)
            self._put(pieces)
        else:
            self._put([b"%x\r\n" % count, *pieces, b"\r\n"])

    def finish(self, made: Descriptor) -> None:
        self._check(self._sent == made.size and self._size in {None, made.size})
        if self._size is None:
            self._put([b"0\r\n\r\n"])
        answer = self._judged(*self._outgoing.answer())
        self.session = self._upload.taken(answer, self.session, self._sent)

    def close(self) -> None:
        self._outgoing.close()

    def _put(self, pieces: Sequence[memoryview | bytes]) -> None:
        try:
            self._outgoing.send(pieces)
        except OSError as e:
            failure = self._outgoing.failed(e)
            try:
                # It may have said why before it hung up.
                heard = self._outgoing.answer(_LAST_WORDS)
            except Trouble:
                raise failure from e
            self._upload.taken(self._judged(*heard), self.session, self._sent)
            raise failure from e

    def _judged(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        if status == 401 and self._registry.is_challenged(headers, self._ask.scopes):
            raise broken_off(self._ask.doing, "the registry took the login and then did not")
        if status not in _TAKEN:
            raise self._registry.refusal(self._ask.doing, status, headers, body)
        return Answer(status=status, headers=headers, body=body, url=self._ask.url)

    def _check(self, holds: bool) -> None:
        if not holds:
            raise AssertionError(f"{self._sent} bytes were made, and {self._size} were announced")


class Pieces:
    """The bytes in pieces of `size`; each is kept until it is full, and acknowledged before the next."""

    def __init__(self, upload: Sender, registry: Registry, session: Session, size: int) -> None:
        self.session = session
        self._upload = upload
        self._registry = registry
        self._size = size
        self._kept = bytearray()
        self._sent = 0

    def sink(self, pieces: Sequence[memoryview | bytes]) -> None:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                room = self._size - len(self._kept)
                self._kept += rest[:room]
                rest = rest[room:]
                if len(self._kept) == self._size:
                    self._flush()

    def finish(self, made: Descriptor) -> None:
        if self._kept:
            self._flush()
        if self._sent != made.size:
            raise AssertionError(f"{self._sent} bytes were made, and {made.size} are named")

    def close(self) -> None:
        self._kept = bytearray()

    def _flush(self) -> None:
        content, self._kept = self._kept, bytearray()
        end = self._sent + len(content)
        headers = {**BYTES, "Content-Range": f"{self._sent}-{end - 1}"}
        ask = self._upload.request("PATCH", self.session.url, headers=headers, body=content, expect=_TAKEN)
        # Once: a second time could append the piece twice.
        self.session = self._upload.taken(self._registry.once(ask), self.session, end)
        self._sent = end
