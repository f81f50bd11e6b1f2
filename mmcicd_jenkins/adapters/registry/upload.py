"""One blob on its way into a registry: a session, its bytes, the end with the digest; again from the start if it broke.

The digest is known only when the last byte has been made, so nothing is looked up before and nothing is kept.
A session that broke is never gone on with, because registries append to it without looking: the bytes are made anew.
How bytes go is in `sending`.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

from mmcicd_jenkins.adapters.registry.asks import Answer, Ask
from mmcicd_jenkins.adapters.registry.errors import Doing, Trouble, broken_off
from mmcicd_jenkins.adapters.registry.http import Registry
from mmcicd_jenkins.adapters.registry.sending import BYTES, Pieces, Sending, Session, Stream, TooLarge
from mmcicd_jenkins.adapters.registry.syntax import received
from mmcicd_jenkins.errors import IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.image.container import Sink
from mmcicd_jenkins.image.descriptor import Descriptor

Write = Callable[[Sink], Descriptor]
# The answer for a blob that is there already, None for one that is not.
Look = Callable[[Descriptor], Answer | None]

# Pieces that are tried, one after the other, when a whole blob is too large for what stands before the registry.
PIECES = (16 * 2**20, 4 * 2**20, 2**20)
# A registry that wants larger ones would have us keep them in memory.
LARGEST_PIECE = 64 * 2**20
# A registry may read a blob once more before it says that it has it.
_BYTES_PER_SECOND = 8 * 2**20
_CANCEL_SECONDS = 5.0


class Upload:
    """Uploads to the repository `name`; `scopes` are the rights for it."""

    def __init__(self, registry: Registry, name: str, scopes: tuple[str, ...], doing: Doing) -> None:
        self._registry = registry
        self._name = name
        self._scopes = scopes
        self._doing = doing

    def run(self, write: Write, size: int | None, look: Look) -> Descriptor:
        """Have the blob that `write` makes in the registry.

        Args:
            write: gives its sink all bytes in order and returns what they are; called again for each try.
            size: how many bytes there will be, if that is known.
            look: asked before bytes are made again.

        Raises:
            MmcicdError: it could not be done. What `write` raises passes through.
        """
        tries = self._registry.tries()
        made: Descriptor | None = None
        while True:
            try:
                sending = self._sending(self._begin(), size)
                made = self._send(sending, write)
                self._end(sending.session, made, look)
                return made
            except TooLarge as e:
                # Another size is another way, not another try.
                self._registry.piece = self._smaller(e)
            except Trouble as e:
                tries.again(e)
                if made and look(made):
                    return made

    def whole(self, content: bytes, named: Descriptor, look: Look) -> None:
        """Have `content`, which is small, in the registry: sent with the end of its session."""
        tries = self._registry.tries()
        while True:
            try:
                return self._end(self._begin(), named, look, content)
            except Trouble as e:
                tries.again(e)

    def rehearse(self) -> None:
        """Begin an upload and drop it."""
        self._cancel(self._begin())

    def forget(self, answer: Answer) -> None:
        """Let go of a session that nobody wanted."""
        if answer.headers.get("Location"):
            self._cancel(self._moved(answer, Session(url=answer.url)))

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        expect: frozenset[int],
        body: bytes | bytearray | None = None,
        stall: float = 0.0,
    ) -> Ask:
        return Ask(
            method=method,
            url=url,
            doing=self._doing,
            scopes=self._scopes,
            headers=headers,
            body=body,
            expect=expect,
            stall=stall,
        )

    def taken(self, answer: Answer, session: Session, end: int) -> Session:
        """The session after an answer to bytes that end at `end`.

        Raises:
            Trouble: the registry does not have all of them.
        """
        if answer.status == 413:
            error = self._registry.refusal(self._doing, 413, answer.headers, answer.body)
            raise error if isinstance(error, Trouble) else TooLarge(error, session.least)
        if answer.status in {404, 416}:
            raise broken_off(self._doing, f"the registry lost the upload ({answer.status})")
        has = received(answer.headers.get("Range", ""))
        # Of an empty blob a registry says `0-0` as well.
        if has is not None and has != max(end, 1):
            raise broken_off(self._doing, f"the registry has {has:,} of {end:,} bytes")
        return self._moved(answer, session)

    def _begin(self) -> Session:
        url = self._registry.url(f"{self._name}/blobs/uploads/", self._doing)
        ask = self.request("POST", url, headers={}, body=b"", expect=frozenset({202}))
        return self._moved(self._registry.ask(ask), Session(url=""))

    def _moved(self, answer: Answer, before: Session) -> Session:
        """The session that goes on where the answer says, else where it was."""
        location = answer.headers.get("Location", "")
        least = answer.headers.get("OCI-Chunk-Min-Length", "").strip()[:19]
        if not location and not before.url:
            raise OutsideFailed("the registry does not say where an upload goes", where=self._doing.where)
        return Session(
            url=self._registry.addresses.onward(answer.url, location, self._doing)
            if location
            else before.url,
            least=int(least) if least.isascii() and least.isdigit() else before.least,
        )

    def _sending(self, session: Session, size: int | None) -> Sending:
        if not self._registry.piece:
            return Stream(self, self._registry, session, size)
        piece = max(self._registry.piece, session.least)
        if piece > LARGEST_PIECE:
            raise OutsideFailed(
                "the registry wants uploads in larger pieces than are kept in memory",
                where=self._doing.where,
                why=f"{piece:,} bytes; {LARGEST_PIECE:,} are the most",
            )
        return Pieces(self, self._registry, session, piece)

    def _send(self, sending: Sending, write: Write) -> Descriptor:
        try:
            made = write(sending.sink)
            sending.finish(made)
        except TooLarge:
            self._cancel(sending.session)
            raise
        except Trouble:
            # After a broken stream there is no session any more.
            raise
        except Exception:
            # What makes the bytes failed: the registry need not keep the first half.
            sending.close()
            self._cancel(sending.session)
            raise
        finally:
            sending.close()
        return made

    def _end(self, session: Session, made: Descriptor, look: Look, content: bytes = b"") -> None:
        """Name the digest of what was sent; `content` goes along."""
        mark = "&" if "?" in session.url else "?"
        ask = self.request(
            "PUT",
            f"{session.url}{mark}digest={made.digest}",
            headers=BYTES,
            body=content,
            # Those of a look that found it, too.
            expect=frozenset({200, 201, 202, 204, 404}),
            stall=self._registry.wire.deadlines.stall + made.size / _BYTES_PER_SECOND,
        )
        answer = self._registry.ask(ask, lambda: look(made))
        if answer.status == 404:
            raise broken_off(self._doing, "the registry lost the upload before its end")
        named = answer.headers.get("Docker-Content-Digest", made.digest)
        if named != made.digest:
            raise IntegrityFailed(
                "the registry got other bytes than were sent",
                where=self._doing.where,
                why=f"it names them {named[:80]}, and they are {made.digest}",
            )

    def _smaller(self, refused: TooLarge) -> int:
        """The next size of pieces to try.

        Raises:
            MmcicdError: there is none.
        """
        before = self._registry.piece or PIECES[0] + 1
        for size in PIECES:
            if size < before and size >= refused.least:
                return size
        raise refused.error

    def _cancel(self, session: Session) -> None:
        """Tell the registry to forget a session; whether it does is its own affair."""
        ask = Ask(
            method="DELETE",
            url=session.url,
            doing=self._doing,
            scopes=(f"repository:{self._name}:delete,pull,push",),
            expect=frozenset(range(200, 500)),
            stall=_CANCEL_SECONDS,
        )
        with suppress(Trouble, MmcicdError):
            self._registry.once(ask)
