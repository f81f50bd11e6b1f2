"""The context of a build as one stream: the team's files, and the model under a folder of its own, straight from where it lies.

Nothing is copied on this machine. Same files, same bytes: owners and times are no part of it, so the engine's cache of
steps holds.
"""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image import tar
from mmcicd_jenkins.image.reading import read_file
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.image.version_layer import WARMUP

# Where the model lies in the context; the build argument MODEL_DIR says it to the Dockerfile.
MODEL_DIR = "model"
_CHUNK = 2**20
# Docker asks for this bit: a script that is copied must stay one.
_EXECUTABLE = 0o111


def context(root: Path, files: Sequence[str], model: Path, warmup: bytes) -> Iterator[bytes]:
    """A tar of `files` below `root` and of the model.

    Raises:
        InputError: a file cannot be read, or the context has a folder with the name of ours.
    """
    taken = next((name for name in files if name.split("/")[0] == MODEL_DIR), None)
    if taken is not None:
        raise InputError(
            f"the build context has a {MODEL_DIR!r} of its own, where the model goes",
            where=str(root / taken),
            fix=f"write {MODEL_DIR} into .dockerignore, or name another folder: image.context",
        )
    for name in files:
        yield from _own(root, name)
    yield from _model(model, warmup)
    yield tar.END


def _own(root: Path, name: str) -> Iterator[bytes]:
    path = root / name
    try:
        if path.is_symlink():
            yield tar.link_header(name, str(path.readlink()))
            return
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return
        size = path.stat().st_size
        yield tar.file_header(name, size, executable=bool(mode & _EXECUTABLE))
        with path.open("rb", buffering=0) as file:
            left = size
            while left:
                piece = file.read(min(left, _CHUNK))
                if not piece:
                    raise InputError("a file of the build context changed while it was read", where=str(path))
                left -= len(piece)
                yield piece
    except OSError as e:
        raise InputError(
            "a file of the build context cannot be read", where=str(path), why=e.strerror or str(e)
        ) from e
    yield tar.padding(size)


def _model(folder: Path, warmup: bytes) -> Iterator[bytes]:
    tree = scan(folder)
    more = {WARMUP: warmup} if warmup else {}
    folders = {MODEL_DIR, *(f"{MODEL_DIR}/{name}" for name in tree.folders)}
    for name in tar.with_parents([*folders, *(f"{MODEL_DIR}/{name}".rpartition("/")[0] for name in more)]):
        yield tar.folder_header(name)
    buffer = bytearray(_CHUNK)
    for file in tree.files:
        yield tar.file_header(f"{MODEL_DIR}/{file.path}", file.size)
        with read_file(folder, file) as reader:
            while count := reader.into(memoryview(buffer)):
                yield bytes(buffer[:count])
        yield tar.padding(file.size)
    for name, content in more.items():
        yield tar.file_header(f"{MODEL_DIR}/{name}", len(content)) + content + tar.padding(len(content))
