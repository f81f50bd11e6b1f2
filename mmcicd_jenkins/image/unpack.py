"""Model layers back into a folder, trusting nothing in them.

Only what `layer` writes is read: plain files and folders below the model's root, once each. Anything else
(links, devices, other places, other owners of a name, too many, too big, rubbish after the end) is refused with
`IntegrityFailed`. The caller gives an empty private folder and drops it when this raises: files appear there
before the last digest is checked.
"""

import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image import tar
from mmcicd_jenkins.image.descriptor import LAYER, LAYER_GZIP, Descriptor
from mmcicd_jenkins.image.tree import why_not_a_path
from mmcicd_jenkins.image.verifying import verified
from mmcicd_jenkins.records import dataclass

_CHUNK = 2**20
# A pax header of ours holds a path and a size; a path ends at 4096 bytes on Linux.
_LONGEST_PAX = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most a model may hold; a stop for what was made to fill a disk, far above real models.

    `ratio` is how much larger than its blob a layer's files may be; our own layers have 1.
    """

    files: int = 200_000
    total_bytes: int = 4 * 2**40
    ratio: int = 200


class Unpacker:
    """Unpacks the layers of one model, one after the other, into `folder`."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self._folder = folder
        self._limits = limits or Limits()
        self._entries = 0
        self._written = 0
        self._most = 0

    def unpack(self, chunks: Iterable[bytes], blob: Descriptor, where: str) -> None:
        """Unpack one layer.

        Raises:
            IntegrityFailed: the bytes are not those of `blob`, or no layer of a model. `OSError` passes.
        """
        self._most = min(self._limits.total_bytes, self._written + self._limits.ratio * blob.size)
        stream = _Stream(_decompressed(verified(chunks, blob, where), blob, where), where)
        try:
            for path, size in _entries(stream):
                self._unpack_entry(path, size, stream)
            stream.expect_end()
        except (tarfile.HeaderError, zlib.error, UnicodeDecodeError, ValueError) as e:
            raise _refused(where, f"it cannot be read: {e}") from e

    def _unpack_entry(self, path: str, size: int | None, stream: "_Stream") -> None:
        self._entries += 1
        if self._entries > self._limits.files:
            raise stream.refused(f"it has more than {self._limits.files} files")
        inner = _inside(path, stream)
        if size is None:
            self._make_folder(inner, stream)
            return
        if not inner:
            raise stream.refused("the model itself is a file there")
        self._written += size
        if self._written > self._most:
            raise stream.refused(f"it unpacks to more than {self._most} bytes")
        self._unpack_file(inner, size, stream)

    def _make_folder(self, path: str, stream: "_Stream") -> None:
        try:
            (self._folder / path).mkdir(exist_ok=True)
        except (FileExistsError, FileNotFoundError, NotADirectoryError) as e:
            raise stream.refused(f"folder {path!r} cannot lie there") from e

    def _unpack_file(self, path: str, size: int, stream: "_Stream") -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            handle = os.open(self._folder / path, flags, 0o644)
        except FileExistsError as e:
            raise stream.refused(f"{path!r} is there twice") from e
        except (FileNotFoundError, NotADirectoryError) as e:
            raise stream.refused(f"{path!r} lies in a folder that is not there") from e
        try:
            for piece in stream.pieces(size):
                write_all(handle, piece)
            os.fsync(handle)
        finally:
            os.close(handle)
        stream.take(len(tar.padding(size)))


def write_all(handle: int, piece: memoryview | bytes) -> None:
    """`os.write` until everything is written."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _inside(path: str, stream: "_Stream") -> str:
    """`path` relative to the model, "" for the model's folder itself and those above it."""
    why = why_not_a_path(path)
    if why:
        raise stream.refused(f"{path!r}: {why}")
    if f"{tar.MODEL_ROOT}/".startswith(path + "/"):
        return ""
    if not path.startswith(tar.MODEL_ROOT + "/"):
        raise stream.refused(f"{path!r} lies outside the model")
    return path.removeprefix(tar.MODEL_ROOT + "/")


def _entries(stream: "_Stream") -> Iterator[tuple[str, int | None]]:
    """Path and size of each entry, None for a folder. The consumer takes the file's bytes."""
    told: dict[str, str] = {}
    while (record := stream.take(tar.RECORD)) != bytes(tar.RECORD):
        entry = tarfile.TarInfo.frombuf(record, "utf-8", "strict")
        if entry.type == tarfile.XHDTYPE and not told:
            told = _pax(entry.size, stream)
            continue
        path = told.get("path", entry.name).rstrip("/")
        size = _number(told["size"]) if "size" in told else entry.size
        told = {}
        if size < 0:
            raise stream.refused(f"{path!r} has a negative size")
        if entry.type == tarfile.DIRTYPE and size == 0:
            yield path, None
        elif entry.type == tarfile.REGTYPE:
            yield path, size
        else:
            raise stream.refused(f"{path!r} is neither a plain file nor a folder")


def _pax(size: int, stream: "_Stream") -> dict[str, str]:
    if not 0 < size <= _LONGEST_PAX:
        raise stream.refused("it has an extended header of an unlikely size")
    rest = stream.take(size)
    stream.take(len(tar.padding(size)))
    told = {}
    while rest:
        length_text, _, _ = rest.partition(b" ")
        length = _number(length_text.decode())
        key, equals, value = rest[len(length_text) + 1 : length].decode("utf-8").partition("=")
        if (
            not 0 < length <= len(rest)
            or not equals
            or not value.endswith("\n")
            or key not in {"path", "size"}
        ):
            raise stream.refused("it has an extended header that is not ours")
        told[key] = value[:-1]
        rest = rest[length:]
    return told


def _number(text: str) -> int:
    """`int` alone would take spaces, signs, underscores and other scripts' digits."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a number")
    return int(text)


def _decompressed(chunks: Iterator[bytes], blob: Descriptor, where: str) -> Iterator[bytes]:
    if blob.media_type == LAYER:
        return chunks
    if blob.media_type == LAYER_GZIP:
        return _gunzipped(chunks, where)
    raise _refused(where, f"{blob.media_type!r} is no kind of layer that a model has")


def _gunzipped(chunks: Iterator[bytes], where: str) -> Iterator[bytes]:
    gzip_window = 31
    stream = zlib.decompressobj(gzip_window)
    for chunk in chunks:
        if stream.eof:
            raise _refused(where, "there are bytes after its end")
        while chunk:
            yield stream.decompress(chunk, _CHUNK)
            chunk = stream.unconsumed_tail
        if stream.unused_data:
            raise _refused(where, "there are bytes after its end")
    yield stream.flush()
    if not stream.eof:
        raise _refused(where, "it ends too early")


class _Stream:
    """A layer's tar, read in order."""

    def __init__(self, chunks: Iterator[bytes], where: str) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self._where = where

    def refused(self, why: str) -> IntegrityFailed:
        return _refused(self._where, why)

    def pieces(self, size: int) -> Iterator[memoryview]:
        while size:
            self._fill()
            piece = self._rest[:size]
            self._rest = self._rest[len(piece) :]
            size -= len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def expect_end(self) -> None:
        """One more empty record, then only padding. Reads all, which also finishes the check of the digest."""
        self._expect_zeros_in(self.take(tar.RECORD))
        self._expect_zeros_in(self._rest)
        for chunk in self._chunks:
            self._expect_zeros_in(chunk)

    def _expect_zeros_in(self, chunk: memoryview | bytes) -> None:
        if bytes(chunk).strip(b"\0"):
            raise self.refused("there are bytes after its end")

    def _fill(self) -> None:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise self.refused("it ends too early")
            self._rest = memoryview(chunk)


def _refused(where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        "this is not a layer of a model as it was stored",
        where=where,
        why=why,
        fix="copy it back from another store, or make it anew: mmcicd-jenkins run --again",
    )
