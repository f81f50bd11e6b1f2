"""The model digest: sha256 over the sorted (path, size, sha256) of a model's files.

It depends on nothing else: not on layers, compression, folders, times, modes or the place of the
directory. Its byte form below is fixed for ever; a release in a ledger refers to it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from mmcicd_jenkins.image.reading import read_file
from mmcicd_jenkins.image.tree import ModelFile, ModelTree
from mmcicd_jenkins.records import dataclass

PREFIX = "sha256:"


@dataclass(frozen=True, kw_only=True)
class FileDigest:
    """A file of a model; `sha256` is 64 hex digits."""

    path: str
    size: int
    sha256: str


def model_digest(files: Iterable[FileDigest]) -> str:
    """`sha256:` and 64 hex digits over one JSON line `["path",size,"sha256"]` per file, in code point order."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda f: f.path):
        line = json.dumps([file.path, file.size, file.sha256], ensure_ascii=False, separators=(",", ":"))
        digest.update(line.encode() + b"\n")
    return PREFIX + digest.hexdigest()


def digest_tree(tree: ModelTree) -> str:
    """The model digest of files on disk, read once.

    Raises:
        InputError: a file cannot be read or changes meanwhile.
    """
    return model_digest(
        FileDigest(path=file.path, size=file.size, sha256=digest_file(tree.root, file)) for file in tree.files
    )


def digest_file(root: Path, file: ModelFile, on_read: Callable[[int], None] | None = None) -> str:
    """64 hex digits over a file below `root`, read once; `on_read` gets byte counts.

    Raises:
        InputError: it cannot be read or changes meanwhile.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(2**20))
    with read_file(root, file) as reader:
        while count := reader.into(buffer):
            digest.update(buffer[:count])
            if on_read:
                on_read(count)
    return digest.hexdigest()


def digest_bytes(content: bytes) -> str:
    return PREFIX + hashlib.sha256(content).hexdigest()
