"""What a tar is wrapped in to become a layer blob: nothing, or gzip with stored (uncompressed) blocks.

Weights hardly compress, and every gzip reader takes stored blocks; the bytes depend on no compressor and
no version of one, so a digest stands for ever. The block size below is part of every digest.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.descriptor import LAYER, LAYER_GZIP, Descriptor

Sink = Callable[[Sequence[memoryview | bytes]], None]

# The largest stored block that deflate can say.
BLOCK = 65_535
# No name, no time, no flags, no extra flags, unknown system.
_HEAD = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))
_LAST_BLOCK = struct.pack("<BHH", 1, 0, 0xFFFF)


class Container(Protocol):
    """Gets a tar in order through `add`, in pieces whose sizes but the last are multiples of `BLOCK`."""

    def begin(self) -> None: ...

    def add(self, piece: memoryview) -> None: ...

    def end(self, diff_id: str) -> Descriptor:
        """The finished blob; `diff_id` is the digest of the tar."""


def container(compression: str, sink: Sink) -> Container:
    """A container that writes to `sink`.

    Raises:
        InputError: there is no such container.
    """
    if compression == "none":
        return Plain(sink)
    if compression == "gzip":
        return StoredGzip(sink)
    raise InputError(
        f"layers cannot be stored with compression {compression!r}",
        why="a compressor whose bytes change between versions would change digests",
        fix="set store.compression to gzip (the default) or none",
    )


class Plain:
    """The tar itself."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._size = 0

    def begin(self) -> None:
        pass

    def add(self, piece: memoryview) -> None:
        self._size += len(piece)
        self._sink([piece])

    def end(self, diff_id: str) -> Descriptor:
        return Descriptor(media_type=LAYER, digest=diff_id, size=self._size)


class StoredGzip:
    """RFC 1952 around stored blocks of RFC 1951."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sha256 = hashlib.sha256()
        self._crc = 0
        self._tar_size = 0
        self._size = 0

    def begin(self) -> None:
        self._put([_HEAD])

    def add(self, piece: memoryview) -> None:
        self._crc = zlib.crc32(piece, self._crc)
        self._tar_size += len(piece)
        self._put(list(_blocks(piece)))

    def end(self, diff_id: str) -> Descriptor:  # noqa: ARG002 - the other container needs it
        self._put([_LAST_BLOCK, struct.pack("<II", self._crc, self._tar_size & 0xFFFFFFFF)])
        return Descriptor(media_type=LAYER_GZIP, digest="sha256:" + self._sha256.hexdigest(), size=self._size)

    def _put(self, parts: Sequence[memoryview | bytes]) -> None:
        for part in parts:
            self._sha256.update(part)
            self._size += len(part)
        self._sink(parts)


def _blocks(piece: memoryview) -> Iterator[memoryview | bytes]:
    for start in range(0, len(piece), BLOCK):
        block = piece[start : start + BLOCK]
        yield struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF)
        yield block
