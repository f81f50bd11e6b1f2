"""A model's files as reproducible layers, each made in one pass: read, tar, hash, wrap, hand to a sink.

Constant memory. Three digests (file, tar, blob) come from the same pass; reading and hashing files, the tar
and the blob each have a thread, since hashing and file calls release the interpreter. Same files, same bytes,
on any machine; which files share a layer is decided by size alone.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mmcicd_jenkins.image import tar
from mmcicd_jenkins.image.container import BLOCK, Container, Sink, container
from mmcicd_jenkins.image.descriptor import Layer, ModelLayers
from mmcicd_jenkins.image.digest import FileDigest, model_digest
from mmcicd_jenkins.image.reading import read_file
from mmcicd_jenkins.image.tree import ModelFile, ModelTree
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Future

# The rule by which files become layers is part of every digest: a change makes new layers of old models.
BIG = 2**20
# Docker stops at 127 layers; base image and version layer need some.
MOST_BIG_LAYERS = 64

_BUFFER = 16 * BLOCK
# One filled by the reader, one in each lane, one waiting.
_BUFFERS = 4


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """What one layer holds. `folders` are those it names, relative to the model."""

    files: tuple[ModelFile, ...]
    folders: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True, kw_only=True)
class PackedLayer:
    layer: Layer
    files: tuple[FileDigest, ...]


def packed_model(tree: ModelTree, packed: Sequence[PackedLayer]) -> ModelLayers:
    """The model that these layers of its files are."""
    return ModelLayers(
        digest=model_digest(file for layer in packed for file in layer.files),
        size=tree.size,
        layers=tuple(layer.layer for layer in packed),
    )


def plan_layers(tree: ModelTree) -> tuple[LayerPlan, ...]:
    """Big files first, each alone (neighbours share when there are very many), then all else with all folders.

    A node that has the weights keeps them when only what comes after them changes.
    """
    big = [file for file in tree.files if file.size >= BIG]
    share = -(-len(big) // MOST_BIG_LAYERS) or 1
    plans = [_plan_of_big(tuple(big[at : at + share])) for at in range(0, len(big), share)]
    small = tuple(file for file in tree.files if file.size < BIG)
    return (*plans, LayerPlan(files=small, folders=tree.folders))


def _plan_of_big(files: tuple[ModelFile, ...]) -> LayerPlan:
    folders = {folder for file in files for folder in tar.parents(file.path)}
    return LayerPlan(files=files, folders=tuple(sorted(folders)))


def pack_layer(
    root: Path, plan: LayerPlan, compression: str, sink: Sink, on_read: Callable[[int], None] | None = None
) -> PackedLayer:
    """Read the files of `plan` below `root` once and write their layer to `sink`; `on_read` gets byte counts.

    Raises:
        InputError: a file cannot be read or changes meanwhile. What `sink` raises passes through.
    """
    entries = sorted(
        [*((folder, None) for folder in plan.folders), *((file.path, file) for file in plan.files)]
    )
    digests = []
    with _TarPipe(container(compression, sink)) as pipe:
        for folder in tar.with_parents([tar.MODEL_ROOT]):
            pipe.write(tar.folder_header(folder))
        for path, file in entries:
            if file is None:
                pipe.write(tar.folder_header(f"{tar.MODEL_ROOT}/{path}"))
            else:
                digests.append(_pack_file(pipe, root, file, on_read))
        return PackedLayer(layer=pipe.finish(), files=tuple(digests))


def _pack_file(
    pipe: "_TarPipe", root: Path, file: ModelFile, on_read: Callable[[int], None] | None
) -> FileDigest:
    pipe.write(tar.file_header(f"{tar.MODEL_ROOT}/{file.path}", file.size))
    sha256 = hashlib.sha256()
    with read_file(root, file) as reader:
        while count := reader.into(pipe.room()):
            sha256.update(pipe.room()[:count])
            pipe.took(count)
            if on_read:
                on_read(count)
    pipe.write(tar.padding(file.size))
    return FileDigest(path=file.path, size=file.size, sha256=sha256.hexdigest())


def layer_of_bytes(content: bytes, compression: str) -> tuple[bytes, Layer]:
    """A finished small tar (without its end) as a blob and its layer."""
    parts: list[bytes] = []
    with _TarPipe(container(compression, lambda pieces: parts.extend(map(bytes, pieces)))) as pipe:
        pipe.write(content)
        layer = pipe.finish()
    return b"".join(parts), layer


class _TarPipe:
    """Collects tar bytes in buffers of a fixed size; full ones go through both lanes in order.

    What fits into one buffer has no lanes: to start threads would take longer than their work.
    """

    def __init__(self, wrapped: Container) -> None:
        self._container = wrapped
        self._sha256 = hashlib.sha256()
        self._buffer = _new_buffer()
        self._filled = 0
        self._lanes: _Lanes | None = None

    def __enter__(self) -> Self:
        self._container.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lanes:
            self._lanes.close()

    def room(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._buffer[self._filled :]

    def took(self, count: int) -> None:
        self._filled += count
        if self._filled == _BUFFER:
            self._hand_over()

    def write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            count = min(len(rest), _BUFFER - self._filled)
            self.room()[:count] = rest[:count]
            self.took(count)
            rest = rest[count:]

    def finish(self) -> Layer:
        self.write(tar.END)
        if self._lanes:
            self._hand_over()
            self._lanes.drain()
        else:
            self._sha256.update(self._buffer[: self._filled])
            self._container.add(self._buffer[: self._filled])
        diff_id = "sha256:" + self._sha256.hexdigest()
        return Layer(blob=self._container.end(diff_id), diff_id=diff_id)

    def _hand_over(self) -> None:
        self._lanes = self._lanes or _Lanes(self._sha256.update, self._container.add)
        self._buffer = self._lanes.take(self._buffer, self._filled)
        self._filled = 0


class _Lanes:
    """A thread for each step, a few buffers behind whoever fills them."""

    def __init__(self, *steps: Callable[[memoryview], None]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._lanes = [(ThreadPoolExecutor(1, "layer"), step) for step in steps]
        self._ring: deque[tuple[memoryview, Sequence[Future[None]]]] = deque(
            (_new_buffer(), ()) for _ in range(_BUFFERS - 1)
        )

    def take(self, buffer: memoryview, filled: int) -> memoryview:
        """A buffer that is free, for one with `filled` bytes."""
        full = buffer[:filled]
        self._ring.append((buffer, [pool.submit(step, full) for pool, step in self._lanes]))
        free, pending = self._ring.popleft()
        _wait(pending)
        return free

    def drain(self) -> None:
        for _, pending in self._ring:
            _wait(pending)

    def close(self) -> None:
        for pool, _ in self._lanes:
            pool.shutdown()


def _new_buffer() -> memoryview:
    return memoryview(bytearray(_BUFFER))


def _wait(pending: "Sequence[Future[None]]") -> None:
    for future in pending:
        future.result()
