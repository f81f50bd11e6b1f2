"""The store as an OCI image layout on disk, for laptops, tests and teams without a registry.

Any tool that reads layouts reads it (`skopeo inspect oci:PATH:TAG`). Every byte that leaves has been checked
against its digest. How its files are shared by several processes is in `layout_files`.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.layout_files import REF_NAME, LayoutFiles
from mmcicd_jenkins.adapters.private_folder import new_folder
from mmcicd_jenkins.adapters.stat_cache import StatCache
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.artifact import (
    LARGEST_DOCUMENT,
    artifact_manifest,
    check_size,
    check_tag,
    is_digest,
    malformed,
    read_artifact,
    read_descriptor,
    read_manifest,
)
from mmcicd_jenkins.image.container import container
from mmcicd_jenkins.image.descriptor import (
    DOCUMENT,
    FILE,
    MANIFEST,
    TITLE,
    Artifact,
    Descriptor,
    ModelLayers,
)
from mmcicd_jenkins.image.digest import digest_bytes, model_digest
from mmcicd_jenkins.image.layer import LayerPlan, PackedLayer, pack_layer, plan_layers
from mmcicd_jenkins.image.manifest import check
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.image.unpack import Limits, Unpacker
from mmcicd_jenkins.image.verifying import verified
from mmcicd_jenkins.release.canonical import canonical

_CHUNK = 2**20


class OciLayoutStore:
    """`ports.Store` in the folder `path`, which the first write makes.

    Raises:
        InputError: there is no such compression.
    """

    def __init__(self, path: Path, compression: str = "gzip", limits: Limits | None = None) -> None:
        container(compression, lambda _: None)
        self._files = LayoutFiles(path)
        self._cache = StatCache(self._files.ours / "layers")
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
        return ModelLayers(
            digest=model_digest(file for layer in packed for file in layer.files),
            size=tree.size,
            layers=tuple(layer.layer for layer in packed),
        )

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
        self._expect_blobs(layers)
        config = self._put_bytes(check_size(canonical(document), "a document"), DOCUMENT)
        stored = [self._put_file(name, content) for name, content in sorted((files or {}).items())]
        manifest = self._put_bytes(artifact_manifest(kind, config, [*layers, *stored]), MANIFEST)
        entry = {**manifest.to_json(), "artifactType": kind, "annotations": {REF_NAME: tag}}
        failpoint("store.before-tag")
        self._files.change_index(lambda entries: None if _tagged(entries, tag) else [*entries, entry])
        failpoint("store.after-tag")
        return self._found(tag)

    def put_image(self, tag: str, config: bytes, manifest: bytes, blobs: Sequence[bytes] = ()) -> str:
        """As the port says. A tag that named another image names this one afterwards; the other stays by digest."""
        check(config, manifest)
        check_tag(tag)
        self._files.prepare()
        for content in (config, *blobs):
            self._put_bytes(content, FILE)
        self._expect_blobs(read_manifest(manifest, "image manifest")[2])
        stored = self._put_bytes(manifest, MANIFEST)
        entry = {**stored.to_json(), "annotations": {REF_NAME: tag}}
        failpoint("store.before-tag")
        self._files.change_index(lambda entries: _retagged(entries, entry))
        failpoint("store.after-tag")
        return stored.digest

    def find(self, tag: str) -> Artifact | None:
        if is_digest(tag):
            size = self._files.size(tag)
            named = Descriptor(media_type=MANIFEST, digest=tag, size=size or 0)
            return None if size is None else self._artifact(named)
        entry = _tagged(self._files.manifests(), tag)
        return self._artifact(read_descriptor(entry, str(self._files.index))) if entry else None

    def read(self, blob: Descriptor) -> bytes:
        return b"".join(verified(self._files.chunks(blob), blob, str(self._files.blob(blob.digest))))

    def extract(self, layers: Sequence[Descriptor], directory: Path) -> None:
        with new_folder(directory) as folder:
            unpacker = Unpacker(folder, self._limits)
            for layer in layers:
                unpacker.unpack(self._files.chunks(layer), layer, str(self._files.blob(layer.digest)))

    def _put_layer(self, root: Path, plan: LayerPlan, on_read: Callable[[int], None]) -> PackedLayer:
        known = self._cache.get(plan, self._compression)
        if known and self._files.size(known.layer.blob.digest) == known.layer.blob.size:
            on_read(plan.size)
            return known
        read_at_ns = time.time_ns()
        with self._files.new_blob() as blob:
            packed = pack_layer(root, plan, self._compression, blob.sink, on_read)
            blob.keep(packed.layer.blob.digest)
        self._cache.put(plan, self._compression, packed, read_at_ns)
        return packed

    def _put_bytes(self, content: bytes, media_type: str) -> Descriptor:
        with self._files.new_blob() as blob:
            blob.sink([content])
            blob.keep(digest_bytes(content))
        return Descriptor(media_type=media_type, digest=digest_bytes(content), size=len(content))

    def _put_file(self, name: str, content: Path | bytes) -> Descriptor:
        sha256, size = hashlib.sha256(), 0
        with self._files.new_blob() as blob:
            for chunk in _chunks_of(content):
                sha256.update(chunk)
                size += len(chunk)
                blob.sink([chunk])
            digest = "sha256:" + sha256.hexdigest()
            blob.keep(digest)
        return Descriptor(media_type=FILE, digest=digest, size=size, annotations={TITLE: name})

    def _expect_blobs(self, blobs: Sequence[Descriptor]) -> None:
        for blob in blobs:
            if self._files.size(blob.digest) != blob.size:
                raise self._files.lost(blob)

    def _found(self, tag: str) -> Artifact:
        artifact = self.find(tag)
        if artifact is None:
            raise malformed(str(self._files.index), f"{tag} was written there and is gone")
        return artifact

    def _artifact(self, manifest: Descriptor) -> Artifact:
        where = str(self._files.blob(manifest.digest))
        content = self._document(manifest)
        return read_artifact(manifest, content, self._document(read_manifest(content, where)[1]), where)

    def _document(self, named: Descriptor) -> bytes:
        if named.size > LARGEST_DOCUMENT:
            raise malformed(str(self._files.blob(named.digest)), f"it has {named.size} bytes")
        return self.read(named)


def _tagged(entries: Sequence[dict[str, Any]], tag: str) -> dict[str, Any] | None:
    return next((entry for entry in entries if _tag_of(entry) == tag), None)


def _retagged(entries: Sequence[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]] | None:
    """`entries` with `new`; what its tag named before stays without that name, so that no tool drops it."""
    if new in entries:
        return None
    kept = [_untagged(entry) if _tag_of(entry) == _tag_of(new) else entry for entry in entries]
    return [*(entry for entry in kept if _tag_of(entry) or entry.get("digest") != new["digest"]), new]


def _untagged(entry: dict[str, Any]) -> dict[str, Any]:
    notes = {key: text for key, text in entry["annotations"].items() if key != REF_NAME}
    rest = {key: value for key, value in entry.items() if key != "annotations"}
    return {**rest, "annotations": notes} if notes else rest


def _tag_of(entry: dict[str, Any]) -> object:
    annotations = entry.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None


def _chunks_of(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    try:
        with content.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as e:
        raise InputError(f"a file cannot be read: {e.strerror}", where=str(content)) from e
