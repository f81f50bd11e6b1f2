"""One repository of one registry, by the OCI distribution protocol 1.1; and `Access`, how registries are reached.

What stands in a repository and what its documents mean is decided elsewhere; here are bytes, digests, tags. Blobs
are handed on unchecked, for whoever reads them knows where they go; documents are checked here.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from mmcicd_jenkins.adapters.credentials import login
from mmcicd_jenkins.adapters.docker_config import DockerConfig, Identity
from mmcicd_jenkins.adapters.registry_errors import Doing, Trouble, broken_off
from mmcicd_jenkins.adapters.registry_failures import FAILURES, translated
from mmcicd_jenkins.adapters.registry_http import Answer, Ask, Registry
from mmcicd_jenkins.adapters.registry_syntax import content_range, network_name, next_link
from mmcicd_jenkins.adapters.registry_tries import Deadlines, Patience
from mmcicd_jenkins.adapters.registry_upload import Upload, Write
from mmcicd_jenkins.adapters.registry_wire import Wire
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.artifact import LARGEST_DOCUMENT, is_digest, json_object, malformed, read_descriptor
from mmcicd_jenkins.image.descriptor import INDEX, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.reference import Reference

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_ACCEPT = f"{MANIFEST}, {INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"
_CHUNK = 2**20
_PAGE = 1000
# A list with more pages goes round in circles.
_MOST_PAGES = 10_000


class Access:
    """How registries are reached, for any number of repositories; thread-safe.

    Args:
        registry: our own. MMCICD_REGISTRY_USER and _PASSWORD and `insecure` are for it and for no other.
        variables: the environment: logins, Docker's config, proxies.
        ca: a PEM file of authorities to trust beside the system's; "" for none.
        insecure: whether our own registry may show any certificate, or speak without TLS.
        piece: uploads go in pieces of so many bytes; 0 = each blob in one stream, as registries like best.
        deadlines: for connecting, and for silence.
        patience: how often a request is tried.
        sleep: waits between two tries.

    Raises:
        InputError: half a login is set, or a setting cannot be used.
    """

    def __init__(
        self,
        registry: str,
        variables: Mapping[str, str],
        *,
        ca: str = "",
        insecure: bool = False,
        piece: int = 0,
        deadlines: Deadlines | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._own = network_name(registry)
        self._insecure = insecure
        self._piece = piece
        self._patience = patience or Patience()
        self._sleep = sleep
        self._login = login("registry", variables)
        self._docker = DockerConfig(variables)
        self._wire = Wire(variables, ca, deadlines or Deadlines())
        self._registries: dict[str, Registry] = {}
        self._lock = threading.Lock()

    def to(self, registry: str) -> Registry:
        """The one connection to a registry, whoever asks."""
        name = network_name(registry)
        with self._lock:
            if name not in self._registries:
                made = Registry(
                    registry,
                    self._wire,
                    lambda: self._identity(registry),
                    insecure=self._insecure and name == self._own,
                    patience=self._patience,
                    sleep=self._sleep,
                )
                made.piece = self._piece if name == self._own else 0
                self._registries[name] = made
            return self._registries[name]

    def close(self) -> None:
        self._wire.close()

    def _identity(self, registry: str) -> Identity:
        if self._login.user and network_name(registry) == self._own:
            return Identity(user=self._login.user, password=self._login.password, origin=self._login.names)
        return self._docker.identity(registry)


class Repository:
    """The repository `place` (its tag and digest say nothing here); thread-safe."""

    def __init__(self, place: Reference, access: Access) -> None:
        self.place = Reference(registry=place.registry, name=place.name)
        self._registry = access.to(place.registry)
        self._pull = (f"repository:{place.name}:pull",)
        self._push = (f"repository:{place.name}:pull,push",)

    def __repr__(self) -> str:
        return f"Repository({self.place})"

    def blob_size(self, digest: str) -> int | None:
        """The size of a blob that is there; None when it is not."""
        answer = self._ask("HEAD", f"blobs/{digest}", "read from it", expect={200, 404})
        if answer.status == 404:
            return None
        length = answer.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise OutsideFailed("the registry does not say how large a blob is", where=str(self.place))
        return int(length)

    def upload(self, write: Write, size: int | None = None) -> Descriptor:
        """Store the blob that `write` gives to its sink, in constant memory, and return what `write` returned.

        `write` is called again for another try and must give the same bytes; `size`, if known, saves framing.
        """
        upload = Upload(self._registry, self.place.name, self._push, self._doing("write to it"))
        return upload.run(write, size, self._look)

    def put_blob(self, content: bytes) -> str:
        """Store a small blob unless it is there; returns its digest."""
        digest = digest_bytes(content)
        if self.blob_size(digest) != len(content):
            blob = Descriptor(media_type="application/octet-stream", digest=digest, size=len(content))

            def write(sink: Callable[..., None]) -> Descriptor:
                sink([content])
                return blob

            self.upload(write, len(content))
        return digest

    def mount(self, digest: str, other: Reference) -> bool:
        """Have a blob of another repository of this registry here, without moving bytes.

        False when the registry cannot or may not: then the bytes must be copied.
        """
        if network_name(other.registry) != network_name(self.place.registry):
            return False
        # The right to write comes first: some token services look at the first alone.
        scopes = (*self._push, f"repository:{other.name}:pull")
        url = self._url(f"blobs/uploads/?mount={digest}&from={quote(other.name, safe='/')}")
        ask = Ask(
            method="POST",
            url=url,
            doing=self._doing("mount into it"),
            scopes=scopes,
            headers={"Content-Length": "0"},
            expect=frozenset({201, 202}),
        )
        try:
            answer = self._registry.ask(ask)
        except (OutsideFailed, InputError) as e:
            if e.exit_code == OutsideFailed.exit_code and e.retryable:
                raise
            return False
        if answer.status == 202 and answer.headers.get("Location"):
            Upload(self._registry, self.place.name, self._push, ask.doing).forget(answer)
        return answer.status == 201

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, unchecked, at most as many as it has; a broken stream is gone on with.

        Raises:
            IntegrityFailed: the registry does not have it.
            OutsideFailed: it broke off for good.
        """
        doing = self._doing("read from it")
        at = 0
        tries = self._registry.tries()
        while at < blob.size:
            try:
                for chunk in self._from(blob, at, doing):
                    yield chunk
                    at += len(chunk)
                    tries = self._registry.tries()
                if at < blob.size:
                    raise broken_off(doing, f"{at:,} of {blob.size:,} bytes came")
            except Trouble as e:
                tries.again(e)

    def _from(self, blob: Descriptor, at: int, doing: Doing) -> Iterator[bytes]:
        ask = Ask(
            method="GET",
            url=self._url(f"blobs/{blob.digest}"),
            doing=doing,
            scopes=self._pull,
            headers={"Range": f"bytes={at}-"} if at else {},
            expect=frozenset({200, 206, 404}),
        )
        with self._registry.open(ask) as (response, _):
            if response.status == 404:
                raise IntegrityFailed(f"the registry does not have {blob.digest}", where=str(self.place))
            skip = at
            if response.status == 206:
                part = content_range(response.headers.get("Content-Range", ""))
                if not part or part[0] != at:
                    raise broken_off(doing, "the registry answers with another part than was asked for")
                skip = 0
            left = blob.size - at
            try:
                while left and (chunk := response.read(min(_CHUNK, skip + left), decode_content=False)):
                    if skip:
                        skip, chunk = max(0, skip - len(chunk)), chunk[skip:]
                    if chunk:
                        left -= len(chunk)
                        yield chunk
            except FAILURES as e:
                raise translated(e, doing) from e

    def manifest(self, which: str, most: int = LARGEST_DOCUMENT) -> tuple[Descriptor, bytes] | None:
        """The document that a tag or a digest names, and what it is; None when there is none.

        Raises:
            IntegrityFailed: its bytes are others than its digest says, or it is too large.
        """
        answer = self._ask(
            "GET",
            f"manifests/{which}",
            "read from it",
            headers={"Accept": _ACCEPT},
            expect={200, 404},
            most=most,
        )
        if answer.status == 404:
            return None
        where = f"{self.place}{'@' if is_digest(which) else ':'}{which}"
        if len(answer.body) > most:
            raise malformed(where, f"it has more than {most} bytes")
        digest = digest_bytes(answer.body)
        named = which if is_digest(which) else answer.headers.get("Docker-Content-Digest", "")
        if is_digest(named) and named != digest:
            raise IntegrityFailed(
                "the registry gives other bytes than it names", where=where, why=f"their digest is {digest}"
            )
        media_type = _media_type(answer, where)
        return Descriptor(media_type=media_type, digest=digest, size=len(answer.body)), answer.body

    def put_manifest(self, which: str, content: bytes, media_type: str) -> str:
        """Store a document under a tag or its digest, and read it back by digest, which is returned."""
        digest = digest_bytes(content)
        self._ask(
            "PUT",
            f"manifests/{which}",
            "write to it",
            scopes=self._push,
            headers={"Content-Type": media_type},
            body=content,
            expect={200, 201, 202},
            look=lambda: self._look_at(which, digest),
        )
        found = self.manifest(digest)
        if found is None or found[1] != content:
            raise IntegrityFailed(
                "the registry does not give back what it was given", where=f"{self.place}@{digest}"
            )
        return digest

    def tags(self) -> Iterator[str]:
        """All tags, in the registry's order; none when there is no such repository."""
        for document in self._pages(f"tags/list?n={_PAGE}", "tags"):
            yield from (tag for tag in document if isinstance(tag, str))

    def referrers(self, digest: str, kind: str = "") -> tuple[Descriptor, ...]:
        """What names `digest` as its subject; `kind` is an artifactType, "" for all."""
        query = f"?artifactType={quote(kind, safe='')}" if kind else ""
        entries = [entry for page in self._pages(f"referrers/{digest}{query}", "manifests") for entry in page]
        return tuple(
            read_descriptor(entry, str(self.place))
            for entry in entries
            if isinstance(entry, dict) and (not kind or entry.get("artifactType") == kind)
        )

    def delete(self, digest: str) -> bool:
        """Remove a document by its digest, and with it every tag of it; False when it is not there."""
        answer = self._ask(
            "DELETE",
            f"manifests/{digest}",
            "delete from it",
            scopes=(f"repository:{self.place.name}:delete,pull",),
            expect={200, 202, 204, 404, 405},
        )
        if answer.status == 405:
            raise OutsideFailed(
                "the registry deletes nothing",
                where=str(self.place),
                fix="allow it there (Docker's registry: REGISTRY_STORAGE_DELETE_ENABLED=true)",
            )
        return answer.status != 404

    def _pages(self, path: str, key: str) -> Iterator[list[Any]]:
        url = self._url(path)
        for _ in range(_MOST_PAGES):
            answer = self._ask_at("GET", url, "read from it", expect={200, 404}, most=LARGEST_DOCUMENT)
            if answer.status == 404:
                return
            entries = json_object(answer.body, url).get(key) or []
            if not isinstance(entries, list):
                raise malformed(url, f"its {key} are no list")
            yield entries
            following = next_link(answer.headers.get("Link", ""), answer.url)
            if not following or following == url:
                return
            # Whatever host it names: the list goes on where it began.
            parts = urlsplit(following)
            url = urlsplit(url)._replace(path=parts.path, query=parts.query).geturl()
        raise malformed(url, "its pages have no end")

    def _look(self, blob: Descriptor) -> Answer | None:
        answer = self._ask("HEAD", f"blobs/{blob.digest}", "read from it", expect={200, 404})
        return answer if answer.status == 200 else None

    def _look_at(self, which: str, digest: str) -> Answer | None:
        answer = self._ask(
            "HEAD", f"manifests/{which}", "read from it", headers={"Accept": _ACCEPT}, expect={200, 404}
        )
        is_there = answer.status == 200 and answer.headers.get("Docker-Content-Digest") == digest
        return answer if is_there else None

    def _doing(self, to: str) -> Doing:
        return self._registry.doing(to, self.place.name)

    def _url(self, path: str) -> str:
        return self._registry.url(f"{self.place.name}/{path}", self._doing("be read"))

    def _ask(self, method: str, path: str, to: str, **more: Any) -> Answer:
        return self._ask_at(method, self._url(path), to, **more)

    def _ask_at(
        self,
        method: str,
        url: str,
        to: str,
        *,
        expect: set[int],
        scopes: tuple[str, ...] = (),
        look: Callable[[], Answer | None] | None = None,
        **more: Any,
    ) -> Answer:
        ask = Ask(
            method=method,
            url=url,
            doing=self._doing(to),
            scopes=scopes or self._pull,
            expect=frozenset(expect),
            **more,
        )
        return self._registry.ask(ask, look)


def _media_type(answer: Answer, where: str) -> str:
    """What a document says of itself, else what the registry says of it."""
    said = json_object(answer.body, where).get("mediaType")
    if isinstance(said, str) and said:
        return said
    return answer.headers.get("Content-Type", "").partition(";")[0].strip() or MANIFEST
