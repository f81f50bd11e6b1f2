"""The store in a registry: `ports.store.Store` over repositories of one registry.

Runs, evaluations and copies of data lie in a repository of the side that wrote them, images in one per model. Tags
cannot arbitrate here: whoever puts a tag reads first, puts, and reads back, and of two at the same moment both may
be told that they were first, until the one who wrote last has overwritten the other. The first record in the ledger
decides. Every byte that leaves has been checked against its digest.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from mmcicd_jenkins.adapters.given_files import chunks_of
from mmcicd_jenkins.adapters.known_layers import KnownLayers
from mmcicd_jenkins.adapters.private_folder import new_folder
from mmcicd_jenkins.adapters.registry import attached as registry_attached
from mmcicd_jenkins.adapters.registry.client import Repository
from mmcicd_jenkins.adapters.registry.push import QUESTIONS, ModelPush
from mmcicd_jenkins.adapters.registry.repositories import Places, copy
from mmcicd_jenkins.adapters.together import together
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.artifact import (
    artifact_manifest,
    check_size,
    check_tag,
    is_digest,
    is_tag,
    malformed,
    read_artifact,
    read_manifest,
)
from mmcicd_jenkins.image.container import Sink, container
from mmcicd_jenkins.image.descriptor import (
    DOCUMENT,
    FILE,
    MANIFEST,
    TITLE,
    Artifact,
    Descriptor,
    ModelLayers,
)
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.documents import MANIFESTS, check_image, layers_of, read_image
from mmcicd_jenkins.image.layer import packed_model, plan_layers
from mmcicd_jenkins.image.manifest import Image
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.image.unpack import Limits, Unpacker
from mmcicd_jenkins.image.verifying import mismatch, verified
from mmcicd_jenkins.ports.store import BlobSource
from mmcicd_jenkins.release.canonical import canonical


class RegistryStore:
    """`ports.store.Store` in the repositories of `places`.

    Args:
        places: where things lie.
        cache: a folder of this machine, for what is known of layers that were made here.
        compression: as for every store.
        limits: what a model may hold.

    Raises:
        InputError: there is no such compression.
    """

    def __init__(
        self, places: Places, cache: Path, compression: str = "gzip", limits: Limits | None = None
    ) -> None:
        container(compression, lambda _: None)
        self._places = places
        self._layers = KnownLayers(cache)
        self._compression = compression
        self._limits = limits

    def put_model(self, directory: Path, progress: Callable[[int, int], None] | None = None) -> ModelLayers:
        tree = scan(directory)
        push = ModelPush(directory, self._compression, self._places, self._layers)
        packed = push.run(plan_layers(tree), progress)
        self._places.remember(self._places.own, [one.layer.blob for one in packed])
        return packed_model(tree, packed)

    def put_artifact(
        self,
        tag: str,
        kind: str,
        document: Mapping[str, object],
        *,
        layers: Sequence[Descriptor] = (),
        files: Mapping[str, Path | bytes] | None = None,
    ) -> Artifact:
        # A damaged one is not the end: what can be stored again is.
        with suppress(IntegrityFailed):
            existing = self.find(check_tag(tag))
            if existing:
                return existing
        content = check_size(canonical(document), "a document")
        config = Descriptor(media_type=DOCUMENT, digest=digest_bytes(content), size=len(content))
        artifact_manifest(kind, config, layers)
        own = self._places.own
        together(lambda layer: self._places.bring(layer, own), layers, QUESTIONS)
        named = sorted((files or {}).items())
        stored = together(lambda each: _put_file(own, *each), [*named, ("", content)], QUESTIONS)[:-1]
        manifest = artifact_manifest(kind, config, [*layers, *stored])
        failpoint("store.before-tag")
        own.put_manifest(tag, manifest, MANIFEST)
        failpoint("store.after-tag")
        found = self.find(tag)
        if found is None:
            raise malformed(f"{own.place}:{tag}", "it was written there and is gone")
        return found

    def find(self, tag: str) -> Artifact | None:
        if not is_digest(tag) and not is_tag(tag):
            return None
        for repository in self._places.taking(tag):
            found = repository.manifest(tag)
            if found is not None:
                return self._artifact(repository, *found)
        return None

    def put_image(self, model: str, version: int, image: Image, blobs: Sequence[bytes] = ()) -> str:
        """As the port says. A version that named another image names this one afterwards; the other stays by digest."""
        documents = check_image(image.documents)
        tag = check_tag(str(version))
        repository = self._places.repository(model)
        together(repository.put_blob, list(blobs), QUESTIONS)
        given = {digest_bytes(content) for content in blobs}
        wanted = [layer for layer in layers_of(image.documents) if layer.digest not in given]
        together(lambda layer: self._places.bring(layer, repository), wanted, QUESTIONS)
        *children, (served, content) = zip(documents, image.documents, strict=True)
        for named, document in children:
            if named.media_type in MANIFESTS:
                repository.put_manifest(named.digest, document, named.media_type)
            else:
                repository.put_blob(document)
        failpoint("store.before-tag")
        repository.put_manifest(tag, content, served.media_type)
        failpoint("store.after-tag")
        return served.digest

    def find_image(self, model: str, which: int | str) -> Artifact | None:
        tag = str(which) if isinstance(which, int) else which
        if not is_digest(tag) and (not isinstance(which, int) or which < 0):
            return None
        repository = self._places.repository(model)
        found = repository.manifest(tag)
        if found is None:
            return None
        image = read_image(*found, lambda blob: _read(repository, blob), f"{repository.place}:{tag}")
        return self._remembered(repository, image)

    def take(
        self,
        model: str,
        blobs: Sequence[Descriptor],
        source: BlobSource,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        repository = self._places.repository(model)
        is_there = together(lambda blob: self._places.has(repository, blob), blobs, QUESTIONS)
        total, done = sum(blob.size for blob in blobs), 0
        for blob, known in zip(blobs, is_there, strict=True):
            if not known:
                copy(blob, source, repository)
            done += blob.size
            if progress:
                progress(done, total)

    def attach(
        self,
        model: str,
        subject: Descriptor,
        kind: str,
        content: bytes,
        annotations: Mapping[str, str] = MappingProxyType({}),
    ) -> Artifact:
        repository = self._places.repository(model)
        if repository.manifest(subject.digest) is None:
            raise self._places.lost(subject)
        said = registry_attached.attach(repository, subject, kind, content, annotations)
        return self._remembered(repository, said)

    def attached(self, model: str, digest: str, kind: str = "") -> tuple[Artifact, ...]:
        repository = self._places.repository(model)
        found = registry_attached.attached(repository, digest, kind)
        return tuple(self._remembered(repository, each) for each in found)

    def address(self, model: str, digest: str) -> str:
        return str(self._places.place(model).pinned(digest))

    def read(self, blob: Descriptor) -> bytes:
        return _read(self._places.locate(blob), blob)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        return self._places.locate(blob).chunks(blob)

    def check_blob(self, model: str, blob: Descriptor, *, deep: bool = False) -> None:
        repository = self._places.repository(model)
        if blob.media_type in MANIFESTS:
            _read(repository, blob)
        elif not self._places.has(repository, blob):
            raise self._places.lost(blob)
        elif deep:
            for _ in verified(repository.chunks(blob), blob, f"{repository.place}@{blob.digest}"):
                pass

    def extract(self, layers: Sequence[Descriptor], directory: Path) -> None:
        with new_folder(directory) as folder:
            unpacker = Unpacker(folder, self._limits)
            for layer in layers:
                repository = self._places.locate(layer)
                unpacker.unpack(repository.chunks(layer), layer, f"{repository.place}@{layer.digest}")

    def _artifact(self, repository: Repository, named: Descriptor, manifest: bytes) -> Artifact:
        where = f"{repository.place}@{named.digest}"
        config = _read(repository, read_manifest(manifest, where)[1])
        return self._remembered(repository, read_artifact(named, manifest, config, where))

    def _remembered(self, repository: Repository, artifact: Artifact) -> Artifact:
        documents = filter(None, (artifact.manifest, artifact.config))
        self._places.remember(repository, [*documents, *artifact.layers])
        return artifact


def _put_file(repository: Repository, name: str, content: Path | bytes) -> Descriptor:
    """Read twice when it must be sent: files are small, and mostly there already."""
    sha256, size = hashlib.sha256(), 0
    for chunk in chunks_of(content):
        sha256.update(chunk)
        size += len(chunk)
    blob = Descriptor(
        media_type=FILE, digest="sha256:" + sha256.hexdigest(), size=size, annotations={TITLE: name}
    )
    if repository.blob_size(blob.digest) != size:

        def write(sink: Sink) -> Descriptor:
            for chunk in verified(
                chunks_of(content), blob, str(content) if isinstance(content, Path) else name
            ):
                sink([chunk])
            return blob

        repository.upload(write, size)
        failpoint("store.blob-written")
    return blob


def _read(repository: Repository, blob: Descriptor) -> bytes:
    where = f"{repository.place}@{blob.digest}"
    if blob.media_type not in MANIFESTS:
        return b"".join(verified(repository.chunks(blob), blob, where))
    found = repository.manifest(blob.digest)
    if found is None:
        raise IntegrityFailed(f"the store does not hold {blob.digest}", where=where)
    if found[0].size != blob.size:
        raise mismatch(blob, where, f"it has {found[0].size} bytes and should have {blob.size}")
    return found[1]
