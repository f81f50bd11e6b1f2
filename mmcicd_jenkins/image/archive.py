"""One image as a tar that `docker load` takes, in one pass and constant memory.

It is an OCI layout and Docker's own archive at once: engines with either kind of image store read it, and those that
know layouts keep the manifest's digest. Layers go in as they are stored. Pure but for the layers that the caller reads.
"""

import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mmcicd_jenkins.image import tar
from mmcicd_jenkins.image.artifact import json_bytes
from mmcicd_jenkins.image.descriptor import INDEX, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.verifying import verified

_BLOBS = "blobs/sha256"
_REF = "org.opencontainers.image.ref.name"


def image_archive(
    name: str,
    config: bytes,
    manifest: bytes,
    layers: Sequence[Descriptor],
    chunks: Callable[[Descriptor], Iterable[bytes]],
) -> Iterator[bytes]:
    """The archive of the image, which the engine will know as `name` (`repository:tag`).

    Raises:
        IntegrityFailed: `chunks` gives other bytes than a layer should have.
    """
    named = Descriptor(media_type=MANIFEST, digest=digest_bytes(manifest), size=len(manifest))
    for folder in ("blobs", _BLOBS):
        yield tar.folder_header(folder)
    for document in (config, manifest):
        yield from _entry(_path(digest_bytes(document)), document)
    for layer in {layer.digest: layer for layer in layers}.values():
        yield tar.file_header(_path(layer.digest), layer.size)
        yield from verified(chunks(layer), layer, f"layer {layer.digest}")
        yield tar.padding(layer.size)
    yield from _entry("oci-layout", json_bytes({"imageLayoutVersion": "1.0.0"}))
    yield from _entry("index.json", json_bytes(_index(named, name)))
    yield from _entry("manifest.json", _dockers(name, config, layers))
    yield tar.END


def _entry(path: str, content: bytes) -> Iterator[bytes]:
    yield tar.file_header(path, len(content)) + content + tar.padding(len(content))


def _path(digest: str) -> str:
    return f"{_BLOBS}/{digest.removeprefix('sha256:')}"


def _index(manifest: Descriptor, name: str) -> dict[str, Any]:
    annotations = {"io.containerd.image.name": f"docker.io/{name}", _REF: name.rpartition(":")[2]}
    entry = {**manifest.to_json(), "annotations": annotations}
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}


def _dockers(name: str, config: bytes, layers: Sequence[Descriptor]) -> bytes:
    entry = {
        "Config": _path(digest_bytes(config)),
        "RepoTags": [name],
        "Layers": [_path(layer.digest) for layer in layers],
    }
    # The document is a list; `json_bytes` writes objects.
    return b"[" + json_bytes(entry) + b"]"


class ByteStream:
    """Pieces of bytes as the file that `tarfile` reads a stream from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, wanted = [], size
        while wanted:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            piece, self._rest = self._rest[:wanted], self._rest[wanted:]
            parts.append(piece)
            wanted -= len(piece)
        return b"".join(parts)


def read_tar(chunks: Iterable[bytes]) -> tarfile.TarFile:
    """A tar to read in order, member by member; nothing of it is unpacked here."""
    return tarfile.open(fileobj=ByteStream(chunks), mode="r|")  # type: ignore[call-overload,no-any-return]
