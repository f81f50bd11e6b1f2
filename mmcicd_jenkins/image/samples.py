"""A look at a few places of each file, to see cheaply that files are others. It never shows that they are the same.

The ends are among the places, since writers put what tells files apart there. Small files are read whole.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mmcicd_jenkins.image.reading import read_file
from mmcicd_jenkins.image.tree import ModelFile

_BLOCK = 4096
_BLOCKS = 16


def sampled(root: Path, files: Iterable[ModelFile]) -> str:
    """A digest over samples of `files` below `root`.

    Raises:
        InputError: a file cannot be read or changed since it was listed.
    """
    digest = hashlib.sha256()
    for file in files:
        with read_file(root, file) as reader:
            for at in _places(file.size):
                digest.update(reader.piece(at, _BLOCK))
    return digest.hexdigest()


def _places(size: int) -> Iterable[int]:
    """Where the samples begin: all blocks of a small file, else the first, the last, and some at equal distances."""
    if size <= _BLOCKS * _BLOCK:
        return range(0, size, _BLOCK)
    return [(size - _BLOCK) * step // (_BLOCKS - 1) for step in range(_BLOCKS)]
