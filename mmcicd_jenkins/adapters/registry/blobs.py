"""The blobs of one repository. Bytes are handed on unchecked, for whoever reads them knows where they go."""

from collections.abc import Iterator
from urllib.parse import quote

from mmcicd_jenkins.adapters.registry.asks import Answer, Ask
from mmcicd_jenkins.adapters.registry.errors import Doing, Trouble, broken_off
from mmcicd_jenkins.adapters.registry.requests import READ, WRITE, Requests, blob_path, checked_digest
from mmcicd_jenkins.adapters.registry.syntax import content_range, network_name
from mmcicd_jenkins.adapters.registry.tries import Pace
from mmcicd_jenkins.adapters.registry.upload import Upload, Write
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.descriptor import FILE, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.reference import Reference
from mmcicd_jenkins.image.verifying import mismatch

_CHUNK = 2**20


class Blobs(Requests):
    """Blobs by their digest."""

    def blob_size(self, digest: str) -> int | None:
        """The size of a blob that is there; None when it is not."""
        answer = self._ask("HEAD", blob_path(digest), READ, expect={200, 404})
        if answer.status == 404:
            return None
        length = answer.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise OutsideFailed(
                "the registry does not say how large a blob is", where=f"{self.place}@{digest}"
            )
        return int(length)

    def upload(self, write: Write, size: int | None = None) -> Descriptor:
        """Store the blob that `write` gives to its sink, in constant memory, and return what `write` returned.

        `write` is called again for another try and must give the same bytes; `size`, if known, saves framing.

        Raises:
            MmcicdError: the registry did not take it. What `write` raises passes through.
        """
        return self._upload().run(write, size, self._look)

    def put_blob(self, content: bytes) -> str:
        """Store a small blob unless it is there; returns its digest."""
        blob = Descriptor(media_type=FILE, digest=digest_bytes(content), size=len(content))
        if self.blob_size(blob.digest) != blob.size:
            self._upload().whole(content, blob, self._look)
        return blob.digest

    def mount(self, digest: str, other: Reference) -> bool:
        """Have a blob of another repository of this registry here, without moving bytes.

        False when the registry cannot or may not: then the bytes must be copied.
        """
        if network_name(other.registry) != network_name(self.place.registry):
            return False
        # The right to write comes first: some token services look at the first alone.
        scopes = (*self._push, f"repository:{other.name}:pull")
        path = f"blobs/uploads/?mount={checked_digest(digest)}&from={quote(other.name, safe='/')}"
        try:
            answer = self._ask(
                "POST",
                path,
                "mount into it",
                scopes=scopes,
                body=b"",
                expect={201, 202},
            )
        except (OutsideFailed, InputError) as e:
            if e.retryable:
                raise
            return False
        if answer.status == 202:
            self._upload().forget(answer)
        return answer.status == 201

    def check_write(self) -> None:
        """Whether this account may store here; nothing is left of the try.

        Raises:
            MmcicdError: it may not, or the registry does not answer.
        """
        self._upload().rehearse()

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, unchecked, at most as many as it has; a broken stream is gone on with.

        Raises:
            IntegrityFailed: the registry does not have it.
            OutsideFailed: it broke off for good.
        """
        doing = self._doing(READ)
        tries = self._registry.tries()
        at = renewed = 0
        while at < blob.size:
            try:
                for chunk in self._from(blob, at, doing):
                    yield chunk
                    at += len(chunk)
                    # A few bytes with each try are no progress.
                    if at - renewed >= _CHUNK:
                        tries, renewed = self._registry.tries(), at
                if at < blob.size:
                    raise broken_off(doing, f"{at:,} of {blob.size:,} bytes came")
            except Trouble as e:
                tries.again(e)

    def _from(self, blob: Descriptor, at: int, doing: Doing) -> Iterator[bytes]:
        from mmcicd_jenkins.adapters.registry.failures import FAILURES, translated

        ask = Ask(
            method="GET",
            url=self._url(blob_path(blob.digest)),
            doing=doing,
            scopes=self._pull,
            headers={"Range": f"bytes={at}-"} if at else {},
            expect=frozenset({200, 206, 404}),
        )
        with self._registry.open(ask) as (response, _):
            if response.status == 200:
                self._expect_size(blob, response.headers.get("Content-Length", ""))
            skip = self._skip(response.status, response.headers.get("Content-Range", ""), blob, at)
            left = blob.size - at
            pace = Pace(2 * self._registry.wire.deadlines.stall)
            while left:
                try:
                    chunk = response.read1(min(_CHUNK, skip + left), decode_content=False)
                except FAILURES as e:
                    raise translated(e, doing) from e
                if not chunk:
                    return
                if not pace.moved(len(chunk)):
                    raise broken_off(doing, "the bytes came too slowly")
                chunk, skip = chunk[skip:], max(0, skip - len(chunk))
                left -= len(chunk)
                if chunk:
                    yield chunk

    def _expect_size(self, blob: Descriptor, told: str) -> None:
        """Another size is no broken connection, and asking again brings nothing else."""
        if told.isascii() and told.isdigit() and int(told) != blob.size:
            why = f"it has {int(told):,} bytes there and should have {blob.size:,}"
            raise mismatch(blob, str(self.place), why)

    def _skip(self, status: int, part: str, blob: Descriptor, at: int) -> int:
        """How many bytes of an answer we have already: all before `at` from a registry that knows no parts."""
        if status == 404:
            raise IntegrityFailed(
                f"the registry does not hold {blob.digest}",
                where=str(self.place),
                why="something refers to it, and it was deleted there or never stored",
                fix="copy it back from another store, or make it anew: mmcicd-jenkins run --again",
            )
        if status != 206:
            return at
        given = content_range(part)
        if not given or given[0] != at:
            raise broken_off(self._doing(READ), "the registry answers with another part than was asked for")
        return 0

    def _upload(self) -> Upload:
        return Upload(self._registry, self.place.name, self._push, self._doing(WRITE))

    def _look(self, blob: Descriptor) -> Answer | None:
        answer = self._ask("HEAD", blob_path(blob.digest), READ, expect={200, 404})
        return answer if answer.status == 200 else None
