"""The store as an OCI image layout on disk, for laptops, tests and teams without a registry.

Any tool that reads layouts reads it (`skopeo inspect oci:PATH:TAG`). Every byte that leaves has been checked
against its digest. How its files are shared by several processes is in `files`.
"""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from mmcicd_jenkins.adapters.given_files import chunks_of
from mmcicd_jenkins.adapters.known_layers import KnownLayers
from mmcicd_jenkins.adapters.layout.documents import LayoutDocuments
from mmcicd_jenkins.adapters.layout.files import LayoutFiles
from mmcicd_jenkins.adapters.layout.index import (
    REF_NAME,
    SUBJECT,
    Entry,
    image_tag,
    may_be_attached,
    retagged,
    tagged,
)
from mmcicd_jenkins.adapters.private_folder import new_folder
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.artifact import (
    artifact_manifest,
    check_size,
    check_tag,
    is_digest,
    malformed,
    read_descriptor,
)
from mmcicd_jenkins.image.attachments import EMPTY_CONFIG, attachment, subject_of
from mmcicd_jenkins.image.container import container
from mmcicd_jenkins.image.descriptor import (
    DOCUMENT,
    EMPTY,
    FILE,
    MANIFEST,
    TITLE,
    Artifact,
    Descriptor,
    ModelLayers,
)
from mmcicd_jenkins.image.documents import check_image, layers_of
from mmcicd_jenkins.image.layer import LayerPlan, PackedLayer, pack_layer, packed_model, plan_layers
from mmcicd_jenkins.image.manifest import Image
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.image.unpack import Limits, Unpacker
from mmcicd_jenkins.image.verifying import verified
from mmcicd_jenkins.ports.store import BlobSource
from mmcicd_jenkins.release.canonical import canonical


class OciLayoutStore:
    """`ports.Store` in the folder `path`, which the first write makes.

    Raises:
        InputError: there is no such compression.
    """

    def __init__(self, path: Path, compression: str = "gzip", limits: Limits | None = None) -> None:
        container(compression, lambda _: None)
        self._files = LayoutFiles(path)
        self._documents = LayoutDocuments(self._files)
        self._layers = KnownLayers(self._files.ours / "layers")
        self._compression = compression
        self._limits = limits

    def put_model(self, directory: Path, progress: Callable[[int, int], None] | None = None) -> ModelLayers:
        tree = scan(directory)
        self._files.prepare()
        done = 0

        def on_read(count: int) -> None:
            nonlocal done
            done += count
            if progress:
                progress(done, tree.size)

        packed = [self._put_layer(directory, plan, on_read) for plan in plan_layers(tree)]
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
        # A damaged one is not the end: storing the same again makes it whole.
        with suppress(IntegrityFailed):
            existing = self.find(check_tag(tag))
            if existing:
                return existing
        self._files.prepare()
        self._files.expect(layers)
        config = self._put(check_size(canonical(document), "a document"), DOCUMENT)
        stored = [self._put_file(name, content) for name, content in sorted((files or {}).items())]
        manifest = self._put(artifact_manifest(kind, config, [*layers, *stored]), MANIFEST)
        entry = {**manifest.to_json(), "artifactType": kind, "annotations": {REF_NAME: tag}}
        needs = [manifest, config, *layers, *stored]
        self._change_index(lambda entries: None if tagged(entries, tag) else [*entries, entry], needs)
        return self._found(tag)

    def put_image(self, model: str, version: int, image: Image, blobs: Sequence[bytes] = ()) -> str:
        """As the port says. A tag that named another image names this one afterwards; the other stays by digest."""
        documents = check_image(image.documents)
        tag = check_tag(image_tag(model, version))
        self._files.prepare()
        for content in blobs:
            self._put(content, FILE)
        self._files.expect(layers_of(image.documents))
        for content, named in zip(image.documents, documents, strict=True):
            self._put(content, named.media_type)
        entry = {**documents[-1].to_json(), "annotations": {REF_NAME: tag}}
        self._change_index(
            lambda entries: retagged(entries, entry), [*documents, *layers_of(image.documents)]
        )
        return documents[-1].digest

    def find_image(self, model: str, which: int | str) -> Artifact | None:
        if isinstance(which, str):
            size = self._files.size(which) if is_digest(which) else None
            return (
                None
                if size is None
                else self._documents.image(Descriptor(media_type="", digest=which, size=size))
            )
        entry = tagged(self._files.manifests(), image_tag(model, which))
        return self._documents.image(read_descriptor(entry, str(self._files.index))) if entry else None

    def take(
        self,
        model: str,  # noqa: ARG002 - a layout has one folder for all
        blobs: Sequence[Descriptor],
        source: BlobSource,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._files.prepare()
        total, done = sum(blob.size for blob in blobs), 0
        for blob in blobs:
            if not self._files.claim(blob.digest, blob.size):
                self._copy(blob, source)
            done += blob.size
            if progress:
                progress(done, total)

    def attach(
        self,
        model: str,  # noqa: ARG002 - a layout has one folder for all
        subject: Descriptor,
        kind: str,
        content: bytes,
        annotations: Mapping[str, str] = MappingProxyType({}),
    ) -> Artifact:
        manifest = attachment(subject, kind, content, annotations)
        self._files.prepare()
        self._files.expect([subject])
        self._put(content, kind)
        self._put(EMPTY_CONFIG, EMPTY)
        stored = self._put(manifest, MANIFEST)
        entry = {**stored.to_json(), "artifactType": kind, "annotations": {SUBJECT: subject.digest}}
        self._change_index(lambda entries: None if entry in entries else [*entries, entry], [subject, stored])
        return self._documents.artifact(stored)

    def attached(self, model: str, digest: str, kind: str = "") -> tuple[Artifact, ...]:  # noqa: ARG002
        found = {}
        for entry in may_be_attached(self._files.manifests(), digest):
            named = read_descriptor(entry, str(self._files.index))
            content = self._documents.document(named)
            if subject_of(content, str(self._files.blob(named.digest))) == digest:
                found[named.digest] = self._documents.artifact(named)
        return tuple(one for one in found.values() if not kind or one.kind == kind)

    def address(self, model: str, digest: str) -> str:  # noqa: ARG002 - no engine pulls from a folder
        return ""

    def find(self, tag: str) -> Artifact | None:
        if is_digest(tag):
            size = self._files.size(tag)
            named = Descriptor(media_type=MANIFEST, digest=tag, size=size or 0)
            return None if size is None else self._documents.artifact(named)
        entry = tagged(self._files.manifests(), tag)
        return self._documents.artifact(read_descriptor(entry, str(self._files.index))) if entry else None

    def read(self, blob: Descriptor) -> bytes:
        return self._documents.read(blob)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        return self._files.chunks(blob)

    def check_blob(self, model: str, blob: Descriptor, *, deep: bool = False) -> None:  # noqa: ARG002  one folder
        self._documents.check(blob, deep=deep)

    def extract(self, layers: Sequence[Descriptor], directory: Path) -> None:
        with new_folder(directory) as folder:
            unpacker = Unpacker(folder, self._limits)
            for layer in layers:
                unpacker.unpack(self._files.chunks(layer), layer, str(self._files.blob(layer.digest)))

    def _put_layer(self, root: Path, plan: LayerPlan, on_read: Callable[[int], None]) -> PackedLayer:
        known = self._layers.find(root, plan, self._compression)
        if known and self._files.claim(known.layer.blob.digest, known.layer.blob.size):
            on_read(plan.size)
            return known
        read_at_ns = time.time_ns()
        with self._files.new_blob() as blob:
            packed = pack_layer(root, plan, self._compression, blob.sink, on_read)
            blob.keep(packed.layer.blob.digest)
        self._layers.keep(root, plan, self._compression, packed, read_at_ns)
        return packed

    def _change_index(
        self, decide: Callable[[list[Entry]], list[Entry] | None], needs: Sequence[Descriptor]
    ) -> None:
        failpoint("store.before-tag")
        self._files.change_index(decide, needs)
        failpoint("store.after-tag")

    def _copy(self, blob: Descriptor, source: BlobSource) -> None:
        with self._files.new_blob() as new:
            for chunk in verified(source.chunks(blob), blob, str(source.place or "the source of a layer")):
                new.sink([chunk])
            new.keep(blob.digest)

    def _put(self, content: Path | bytes, media_type: str) -> Descriptor:
        sha256, size = hashlib.sha256(), 0
        with self._files.new_blob() as blob:
            for chunk in chunks_of(content):
                sha256.update(chunk)
                size += len(chunk)
                blob.sink([chunk])
            digest = "sha256:" + sha256.hexdigest()
            blob.keep(digest)
        return Descriptor(media_type=media_type, digest=digest, size=size)

    def _put_file(self, name: str, content: Path | bytes) -> Descriptor:
        return dataclasses.replace(self._put(content, FILE), annotations={TITLE: name})

    def _found(self, tag: str) -> Artifact:
        artifact = self.find(tag)
        if artifact is None:
            raise malformed(str(self._files.index), f"{tag} was written there and is gone")
        return artifact
