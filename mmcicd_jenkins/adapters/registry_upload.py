"""One blob on its way into a registry: a session, its bytes in one stream or in pieces, the end with the digest.

The digest is known only when the last byte has been made, so nothing is looked up before and nothing kept: constant
memory. A session that broke is never gone on with, because registries append to it without looking; the bytes
are made again from the start.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.registry_errors import Doing, Trouble, broken_off, refused
from mmcicd_jenkins.adapters.registry_http import Answer, Ask, Registry
from mmcicd_jenkins.adapters.registry_syntax import received
from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.container import Sink
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.registry_wire import Outgoing

Write = Callable[[Sink], Descriptor]

# Pieces that are tried, one after the other, when a whole blob is too large for what stands before the registry.
PIECES = (16 * 2**20, 4 * 2**20, 2**20)
# A registry that wants larger ones would have us keep them in memory.
LARGEST_PIECE = 64 * 2**20
# A registry may read a blob once more before it says that it has it.
_BYTES_PER_SECOND = 8 * 2**20
_BYTES = {"Content-Type": "application/octet-stream"}
# Answers to bytes that say something of the upload itself.
_TAKEN = frozenset({202, 204, 404, 413, 416})
# Seconds for the answer of a registry that hung up while it was being sent to.
_LAST_WORDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Session:
    """An upload that was begun: where its next bytes go, and the least size of a piece."""

    url: str
    least: int = 0


class Upload:
    """Uploads to one repository; `scopes` are the rights for it."""

    def __init__(self, registry: Registry, path: str, scopes: tuple[str, ...], doing: Doing) -> None:
        self._registry = registry
        self._path = path
        self._scopes = scopes
        self._doing = doing

    def run(self, write: Write, size: int | None, look: Callable[[Descriptor], Answer | None]) -> Descriptor:
        """Have the blob that `write` makes in the registry.

        Args:
            write: gives its sink all bytes in order and returns what they are; called again for each try.
            size: how many bytes there will be, if that is known.
            look: the answer for a blob that is there already, None for one that is not.

        Raises:
            MmcicdError: it could not be done. What `write` raises passes through.
        """
        tries = self._registry.tries()
        made: Descriptor | None = None
        while True:
            try:
                session = self._begin()
                sending = self._sending(session, size)
                made = self._send(sending, write)
                self._end(sending.session, made, look)
            except Trouble as e:
                # Another size of pieces is another way, not another try.
                if not isinstance(e, TooLarge):
                    tries.again(e)
                if made is None or look(made) is None:
                    continue
            return made

    def _begin(self) -> Session:
        url = self._registry.url(f"{self._path}/blobs/uploads/", self._doing)
        answer = self._registry.ask(
            self._ask("POST", url, headers={"Content-Length": "0"}, expect=frozenset({202}))
        )
        return self._moved(answer)

    def _moved(self, answer: Answer, least: int = 0) -> Session:
        said = answer.headers.get("OCI-Chunk-Min-Length", "").strip()[:19]
        return Session(
            url=self._registry.elsewhere(answer.url, answer.headers.get("Location", ""), self._doing),
            least=int(said) if said.isascii() and said.isdigit() else least,
        )

    def _sending(self, session: Session, size: int | None) -> "Stream | Pieces":
        piece = self._registry.piece
        if not piece:
            return Stream(self, session, size)
        piece = max(piece, session.least)
        if piece > LARGEST_PIECE:
            raise OutsideFailed(
                "the registry wants uploads in larger pieces than are kept in memory",
                where=self._doing.where,
                why=f"{piece:,} bytes, and {LARGEST_PIECE:,} are the most",
            )
        return Pieces(self, session, piece)

    def _send(self, sending: "Stream | Pieces", write: Write) -> Descriptor:
        try:
            made = write(sending.sink)
            sending.finish(made)
        except Trouble:
            self.cancel(sending.session)
            raise
        except BaseException:
            # What makes the bytes failed; the registry need not keep the first half.
            sending.close()
            self.cancel(sending.session)
            raise
        return made

    def _end(self, session: Session, made: Descriptor, look: Callable[[Descriptor], Answer | None]) -> None:
        mark = "&" if "?" in session.url else "?"
        ask = self._ask(
            "PUT",
            f"{session.url}{mark}digest={made.digest}",
            headers={"Content-Length": "0", **_BYTES},
            expect=frozenset({201, 202, 204, 404}),
            stall=self._registry.wire.deadlines.stall + made.size / _BYTES_PER_SECOND,
        )
        answer = self._registry.ask(ask, lambda: look(made))
        if answer.status == 404:
            raise Trouble(
                OutsideFailed(
                    "the registry forgot an upload before its end", where=self._doing.where, retryable=True
                )
            )
        named = answer.headers.get("Docker-Content-Digest", made.digest)
        if named != made.digest:
            raise IntegrityFailed(
                "the registry got other bytes than were sent",
                where=self._doing.where,
                why=f"it names them {named[:80]}, and they are {made.digest}",
            )

    def forget(self, answer: Answer) -> None:
        """Let go of a session that nobody wanted."""
        self.cancel(self._moved(answer))

    def cancel(self, session: Session) -> None:
        """Tell the registry to forget a session; whether it does is its own affair."""
        ask = self._ask("DELETE", session.url, expect=frozenset(range(200, 500)), stall=5.0)
        try:
            self._registry.once(ask)
        except (Trouble, OutsideFailed):
            return

    def _ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        expect: frozenset[int],
        body: bytes | None = None,
        stall: float = 0.0,
    ) -> Ask:
        return Ask(
            method=method,
            url=url,
            doing=self._doing,
            scopes=self._scopes,
            headers=headers or {},
            body=body,
            expect=expect,
            stall=stall,
        )

    def piece(self, session: Session, content: bytes, start: int) -> Session:
        """Send one piece; where the next one goes.

        Raises:
            Trouble: it did not arrive as it was sent.
        """
        end = start + len(content)
        headers = {**_BYTES, "Content-Range": f"{start}-{end - 1}", "Content-Length": str(len(content))}
        ask = self._ask("PATCH", session.url, headers=headers, body=content, expect=_TAKEN)
        # A second time could append the piece twice: any failure is the end of the session.
        answer = self._registry.once(ask)
        return self.taken(answer, session, end)

    def taken(self, answer: Answer, session: Session, end: int) -> Session:
        """The session after an answer to bytes that end at `end`."""
        if answer.status == 413:
            raise self._too_large(answer, session.least)
        if answer.status in {404, 416}:
            raise broken_off(self._doing, f"the registry lost the upload ({answer.status})")
        has = received(answer.headers.get("Range", ""))
        if has is not None and has != end:
            raise broken_off(self._doing, f"the registry has {has:,} of {end:,} bytes")
        if not answer.headers.get("Location"):
            return session
        return self._moved(answer, session.least)

    def _too_large(self, answer: Answer, least: int) -> Exception:
        smaller = [
            size
            for size in PIECES
            if size >= least and (not self._registry.piece or size < self._registry.piece)
        ]
        error = refused(self._registry.signed(self._doing), 413, answer.headers, answer.body)
        if not smaller or isinstance(error, Trouble):
            return error
        self._registry.piece = smaller[0]
        return TooLarge(error)

    def stream(self, session: Session, size: int | None) -> "tuple[Outgoing, Ask]":
        """A PATCH whose body is to follow.

        Raises:
            Trouble: it could not be begun.
        """
        framing = {"Transfer-Encoding": "chunked"} if size is None else {"Content-Length": str(size)}
        ask = self._ask("PATCH", session.url, headers={**_BYTES, **framing}, expect=_TAKEN)
        headers = self._registry.headers(ask, session.url)
        wire, trusted = self._registry.wire, self._registry.trusted
        return wire.stream("PATCH", session.url, headers, self._doing, trusted=trusted), ask

    def answer(self, outgoing: "Outgoing", ask: Ask, seconds: float = 0.0) -> Answer:
        """What the registry says to a stream.

        Raises:
            Trouble: nothing, or that another try may do.
        """
        status, headers, body = outgoing.answer(seconds)
        if status == 401 and self._registry.is_challenged(headers, ask.scopes):
            raise broken_off(self._doing, "the login ended before the upload began")
        if status not in ask.expect:
            raise refused(self._registry.signed(self._doing), status, headers, body)
        return Answer(status=status, headers=headers, body=body, url=ask.url)


class TooLarge(Trouble):
    """What was sent at once was too much; smaller pieces are to be tried."""


class Stream:
    """All bytes in one PATCH, sent from the thread that makes them."""

    def __init__(self, upload: Upload, session: Session, size: int | None) -> None:
        self.session = session
        self._upload = upload
        self._size = size
        self._sent = 0
        self._outgoing, self._ask = upload.stream(session, size)

    def sink(self, pieces: Sequence[memoryview | bytes]) -> None:
        count = sum(map(len, pieces))
        if not count:
            return
        framed = pieces if self._size is not None else [b"%x\r\n" % count, *pieces, b"\r\n"]
        self._put(framed)
        self._sent += count

    def finish(self, made: Descriptor) -> None:
        """Say that this was all, and hear what the registry has.

        Raises:
            Trouble: it is not all that was sent.
        """
        if self._sent != made.size or self._size not in {None, made.size}:
            raise AssertionError(
                f"{self._sent} bytes were written, {self._size} announced, {made.size} named"
            )
        if self._size is None:
            self._put([b"0\r\n\r\n"])
        try:
            answer = self._upload.answer(self._outgoing, self._ask)
        finally:
            self.close()
        self.session = self._upload.taken(answer, self.session, self._sent)

    def close(self) -> None:
        self._outgoing.close()

    def _put(self, pieces: Sequence[memoryview | bytes]) -> None:
        try:
            self._outgoing.send(pieces)
        except OSError as e:
            try:
                # It may have said why before it hung up.
                answer = self._upload.answer(self._outgoing, self._ask, _LAST_WORDS)
            except Trouble:
                raise self._outgoing.failed(e) from e
            finally:
                self.close()
            self._upload.taken(answer, self.session, self._sent)
            raise self._outgoing.failed(e) from e


class Pieces:
    """The bytes in pieces of one size, each kept until it is full and acknowledged before the next."""

    def __init__(self, upload: Upload, session: Session, size: int) -> None:
        self.session = session
        self._upload = upload
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
            raise AssertionError(f"{self._sent} bytes were written, {made.size} named")

    def close(self) -> None:
        self._kept.clear()

    def _flush(self) -> None:
        content = bytes(self._kept)
        self._kept.clear()
        self.session = self._upload.piece(self.session, content, self._sent)
        self._sent += len(content)
