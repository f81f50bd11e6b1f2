"""The archive that an engine hands out (`docker save`) as an image in an OCI layout, in one pass. Pure but for the layout.

Engines before 25 write a folder per layer with links between equal ones, later ones an OCI layout; both have a
`manifest.json` that names config and layers, and that is what is read. The manifest that we make depends on these
bytes alone. Nothing in the archive decides about a path on this machine.
"""

import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Iterator
from typing import IO, Any

from mmcicd_jenkins.adapters.layout.files import LayoutFiles
from mmcicd_jenkins.errors import IntegrityFailed, MmcicdError
from mmcicd_jenkins.image.artifact import LARGEST_DOCUMENT, json_bytes
from mmcicd_jenkins.image.descriptor import CONFIG, LAYER, LAYER_GZIP, LAYER_ZSTD, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.records import dataclass

_CHUNK = 2**20
_MOST_LINKS = 10
_KINDS = ((b"\x1f\x8b", LAYER_GZIP), (b"\x28\xb5\x2f\xfd", LAYER_ZSTD))


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A file of the archive as a blob; `start` are its first bytes."""

    digest: str
    size: int
    start: bytes


def keep_archive(chunks: Iterator[bytes], files: LayoutFiles, where: str) -> Descriptor:
    """Keep the image of an archive in a layout; returns its manifest.

    Raises:
        IntegrityFailed: it is no archive of an image. What `chunks` raises passes.
    """
    files.prepare()
    try:
        kept, links = _members(chunks, files)
    except MmcicdError:
        raise
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as e:
        raise _refused(where, f"it cannot be read: {e}") from e
    entry = _entry(files, kept, links, where)
    config = _named(entry.get("Config"), kept, links, where)
    layers = entry.get("Layers")
    if not isinstance(layers, list) or config.size > LARGEST_DOCUMENT:
        raise _refused(where, "its manifest.json names no layers, or no config")
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Descriptor(media_type=CONFIG, digest=config.digest, size=config.size).to_json(),
        "layers": [_layer(_named(name, kept, links, where)).to_json() for name in layers],
    }
    manifest = json_bytes(document)
    with files.new_blob() as blob:
        blob.sink([manifest])
        blob.keep(digest_bytes(manifest))
    return Descriptor(media_type=MANIFEST, digest=digest_bytes(manifest), size=len(manifest))


def _members(chunks: Iterator[bytes], files: LayoutFiles) -> tuple[dict[str, _Kept], dict[str, str]]:
    """Files by name, and links by name to names."""
    kept: dict[str, _Kept] = {}
    links: dict[str, str] = {}
    reader = io.BufferedReader(_Reader(chunks), _CHUNK)
    with tarfile.open(fileobj=reader, mode="r|") as archive:
        for member in archive:
            name = posixpath.normpath(member.name)
            if member.issym():
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            elif member.islnk():
                links[name] = posixpath.normpath(member.linkname)
            elif member.isreg() and (content := archive.extractfile(member)) is not None:
                kept[name] = _keep(content, files)
    return kept, links


def _keep(content: IO[bytes], files: LayoutFiles) -> _Kept:
    sha256, size, start = hashlib.sha256(), 0, b""
    with files.new_blob() as blob:
        while chunk := content.read(_CHUNK):
            start = start or chunk[:4]
            sha256.update(chunk)
            size += len(chunk)
            blob.sink([chunk])
        digest = "sha256:" + sha256.hexdigest()
        if files.size(digest) != size:
            blob.keep(digest)
    return _Kept(digest=digest, size=size, start=start)


def _entry(files: LayoutFiles, kept: dict[str, _Kept], links: dict[str, str], where: str) -> dict[str, Any]:
    """What manifest.json says of the one image that was asked for."""
    found = _named("manifest.json", kept, links, where)
    if found.size > LARGEST_DOCUMENT:
        raise _refused(where, f"its manifest.json has {found.size} bytes")
    named = Descriptor(media_type="", digest=found.digest, size=found.size)
    try:
        document = json.loads(b"".join(files.chunks(named)))
    except (ValueError, RecursionError) as e:
        raise _refused(where, f"its manifest.json is not JSON: {e}") from e
    if not isinstance(document, list) or len(document) != 1 or not isinstance(document[0], dict):
        raise _refused(where, "its manifest.json does not name one image")
    return document[0]


def _named(name: object, kept: dict[str, _Kept], links: dict[str, str], where: str) -> _Kept:
    path = posixpath.normpath(name) if isinstance(name, str) else ""
    for _ in range(_MOST_LINKS):
        if path in kept:
            return kept[path]
        path = links.get(path, "")
    raise _refused(where, f"it does not hold {str(name)[:100]!r}, which its manifest.json names")


def _layer(kept: _Kept) -> Descriptor:
    """Engines hand out plain tars, or what was pulled: the bytes say which."""
    kind = next((kind for start, kind in _KINDS if kept.start.startswith(start)), LAYER)
    return Descriptor(media_type=kind, digest=kept.digest, size=kept.size)


def _refused(where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed("the engine's archive is not an image", where=where, why=why)


class _Reader(io.RawIOBase):
    """Chunks as a file, for `tarfile`."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
