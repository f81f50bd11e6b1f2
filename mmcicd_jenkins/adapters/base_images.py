"""Base images from registries, OCI layouts and a Docker engine: `ports.images.BaseImages`.

Documents that were read are kept in a layout in the cache, by digest and checked when they are read again: a pinned
base costs no request, and no registry is asked twice for what cannot change. Layers are kept there only of an engine's
images, whose archive can be read in one pass alone.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from mmcicd_jenkins.adapters.layout.files import LayoutFiles
from mmcicd_jenkins.adapters.layout.index import REF_NAME, Entry, tagged
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.artifact import LARGEST_DOCUMENT, is_digest, read_descriptor
from mmcicd_jenkins.image.base_image import BaseImage, read_base
from mmcicd_jenkins.image.base_name import BaseName, parse_base
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.documents import MANIFESTS
from mmcicd_jenkins.image.reference import Reference
from mmcicd_jenkins.ports.store import BlobSource

_UPDATE = "mmcicd-jenkins image update-base, then commit mmcicd.lock"


class Repository(Protocol):
    """What is needed of a repository on a registry."""

    @property
    def place(self) -> Reference: ...

    def manifest(self, which: str) -> tuple[Descriptor, bytes] | None: ...

    def chunks(self, blob: Descriptor) -> Iterator[bytes]: ...


class Engine(Protocol):
    """What is needed of a Docker engine."""

    def image(self, reference: str) -> Mapping[str, Any] | None: ...

    def save(self, reference: str) -> Iterator[bytes]: ...


class BaseImageFiles:
    """Implements `ports.images.BaseImages`.

    Args:
        root: the repository's root, from which the paths of layouts go.
        cache: a folder for what was read.
        repository: opens one on a registry.
        engine: opens the Docker engine.
    """

    def __init__(
        self,
        root: Path,
        cache: Path,
        repository: Callable[[Reference], Repository],
        engine: Callable[[], Engine],
    ) -> None:
        self._root = root
        self._kept = LayoutFiles(cache)
        self._repository = repository
        self._engine = engine

    def newest(self, base: str) -> BaseImage:
        name = parse_base(base)
        if name.digest:
            return self.read(base, name.digest)
        place = self._place(name)
        top, content = place.newest()
        self._keep(content)
        return read_base(top, lambda named: self._document(named, place), base)

    def read(self, base: str, digest: str) -> BaseImage:
        place = self._place(parse_base(base))
        content = self._known(digest)
        if content is None:
            content = place.by_digest(digest)
            if digest_bytes(content) != digest:
                raise IntegrityFailed(
                    f"{base} holds other bytes than its digest says",
                    where=digest,
                    why=f"their digest is {digest_bytes(content)}",
                )
            self._keep(content)
        top = Descriptor(media_type="", digest=digest, size=len(content))
        return read_base(top, lambda named: self._document(named, place), base)

    def source(self, base: str, digest: str) -> BlobSource:
        return self._place(parse_base(base)).source(digest)

    def _place(self, name: BaseName) -> "_Place":
        if name.kind == "layout":
            return _InLayout(name, LayoutFiles(self._root / name.path))
        assert name.reference is not None  # noqa: S101  every other kind has one
        if name.kind == "engine":
            return _InEngine(name, name.reference, self._engine, self._kept)
        return _OnRegistry(name, self._repository(name.reference), name.reference)

    def _document(self, named: Descriptor, place: "_Place") -> bytes:
        content = self._known(named.digest)
        if content is None:
            content = place.document(named)
            self._keep(content)
        return content

    def _known(self, digest: str) -> bytes | None:
        """What was read before; damaged copies count as none."""
        size = self._kept.size(digest) if is_digest(digest) else None
        if size is None or size > LARGEST_DOCUMENT:
            return None
        content = b"".join(self._kept.chunks(Descriptor(media_type="", digest=digest, size=size)))
        return content if digest_bytes(content) == digest else None

    def _keep(self, content: bytes) -> None:
        digest = digest_bytes(content)
        if self._known(digest) is None:
            self._kept.prepare()
            with self._kept.new_blob() as blob:
                blob.sink([content])
                blob.keep(digest)


class _Place(Protocol):
    """Where one base lies. Nothing that it gives is checked here."""

    def newest(self) -> tuple[Descriptor, bytes]: ...

    def by_digest(self, digest: str) -> bytes: ...

    def document(self, named: Descriptor) -> bytes: ...

    def source(self, digest: str) -> BlobSource: ...


class _OnRegistry:
    def __init__(self, name: BaseName, repository: Repository, reference: Reference) -> None:
        self._name = name
        self._repository = repository
        self._reference = reference

    def newest(self) -> tuple[Descriptor, bytes]:
        found = self._repository.manifest(self._reference.tag)
        if found is None:
            raise InputError(
                f"there is no image {self._name.text}",
                where=str(self._reference),
                why="the registry has no such name or tag, or this login may not see it",
                fix="correct the name, or log in: docker login",
            )
        return found

    def by_digest(self, digest: str) -> bytes:
        found = self._repository.manifest(digest)
        if found is None:
            raise _gone(self._name, digest, str(self._reference))
        return found[1]

    def document(self, named: Descriptor) -> bytes:
        if named.media_type in MANIFESTS:
            return self.by_digest(named.digest)
        return b"".join(self._repository.chunks(named))

    def source(self, digest: str) -> BlobSource:  # noqa: ARG002 - a repository has the layers of all its images
        return self._repository


class _InLayout:
    place: Reference | None = None

    def __init__(self, name: BaseName, files: LayoutFiles) -> None:
        self._name = name
        self._files = files

    def newest(self) -> tuple[Descriptor, bytes]:
        entry = tagged(self._files.manifests(), self._name.tag)
        if entry is None:
            raise InputError(
                f"there is no image {self._name.text}",
                where=str(self._files.path),
                why="no OCI image layout lies there"
                if not self._files.index.is_file()
                else "it has no such tag",
                fix=f"put it there: skopeo copy docker://NAME:TAG {self._name.text}",
            )
        named = read_descriptor(entry, str(self._files.index))
        return named, self.document(named)

    def by_digest(self, digest: str) -> bytes:
        size = self._files.size(digest)
        if size is None:
            raise _gone(self._name, digest, str(self._files.path))
        return self.document(Descriptor(media_type="", digest=digest, size=size))

    def document(self, named: Descriptor) -> bytes:
        size = self._files.size(named.digest)
        if size is not None and size > LARGEST_DOCUMENT:
            raise IntegrityFailed(f"a document of {self._name.text} has {size} bytes", where=named.digest)
        return b"".join(self._files.chunks(named))

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        return self._files.chunks(blob)

    def source(self, digest: str) -> BlobSource:  # noqa: ARG002 - a layout has the layers of all its images
        return self


class _InEngine:
    """An image of an engine, handed out once and then read from `kept`, whose index notes which id gave which manifest."""

    place: Reference | None = None

    def __init__(
        self, name: BaseName, reference: Reference, engine: Callable[[], Engine], kept: LayoutFiles
    ) -> None:
        self._name = name
        self._reference = reference
        self._open = engine
        self._kept = kept

    def newest(self) -> tuple[Descriptor, bytes]:
        engine, asked = self._open(), self._asked
        found = engine.image(asked)
        if found is None:
            raise InputError(
                f"the engine has no image {asked}",
                fix=f"docker pull {asked}, or write image.base without `docker:`",
            )
        tag = f"engine-{str(found['Id']).removeprefix('sha256:')}"
        entry = tagged(self._kept.manifests(), tag)
        if entry is None:
            # Reading archives costs at start what no other kind of base needs.
            from mmcicd_jenkins.adapters.docker.archive import keep_archive

            top = keep_archive(engine.save(asked), self._kept, f"image {asked} of the engine")
            entry = {**top.to_json(), "annotations": {REF_NAME: tag}}
            self._note(entry)
        named = read_descriptor(entry, str(self._kept.index))
        return named, self.document(named)

    def _note(self, entry: Entry) -> None:
        self._kept.change_index(lambda entries: None if entry in entries else [*entries, entry])

    @property
    def _asked(self) -> str:
        """As people call it: engines leave Docker Hub's own name away."""
        return self._name.text.removeprefix("docker:")

    def by_digest(self, digest: str) -> bytes:
        size = self._kept.size(digest)
        if size is None:
            top, content = self.newest()
            if top.digest != digest:
                raise _gone(self._name, digest, "the Docker engine")
            return content
        return self.document(Descriptor(media_type="", digest=digest, size=size))

    def document(self, named: Descriptor) -> bytes:
        return b"".join(self._kept.chunks(named))

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        return self._kept.chunks(blob)

    def source(self, digest: str) -> BlobSource:
        self.by_digest(digest)
        return self


def _gone(name: BaseName, digest: str, where: str) -> InputError:
    return InputError(
        f"{name.text} with {digest} is no longer there",
        where=where,
        why="mmcicd.lock pins it, and it was deleted or replaced there",
        fix=f"put it back, or take what the name stands for now: {_UPDATE}",
    )
