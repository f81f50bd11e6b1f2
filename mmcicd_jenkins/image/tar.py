"""Tar entries whose bytes depend on path, size and kind alone, and where the files of a model lie in an image.

Owner 0, one time, two modes. Names beyond ustar (long, not ASCII) and sizes beyond 8 GiB are told by pax
headers. Every layer names the folders above its files, so that layers can be stacked in any order.
"""

import tarfile
from collections.abc import Iterable, Iterator

# Apart from a model's name and version, so that one set of layers serves under every name and version.
MODEL_ROOT = "srv/mmcicd/model"
MODELS = "models"
# Apart from what TF Serving takes for versions of a model.
MONITORING = "etc/mmcicd/monitoring.config"

RECORD = 512
# One second after the epoch: some tools take 0 for "no time".
_TIME = 1
_FOLDER_MODE = 0o755
_FILE_MODE = 0o644
_LINK_MODE = 0o777
END = bytes(2 * RECORD)


def folder_header(path: str) -> bytes:
    return _header(path, tarfile.DIRTYPE, _FOLDER_MODE)


def file_header(path: str, size: int, *, executable: bool = False) -> bytes:
    """A model's files are never executable; those of a build may be."""
    return _header(path, tarfile.REGTYPE, _FOLDER_MODE if executable else _FILE_MODE, size=size)


def link_header(path: str, target: str) -> bytes:
    return _header(path, tarfile.SYMTYPE, _LINK_MODE, target=target)


def padding(size: int) -> bytes:
    """What fills up the last record of a file of `size` bytes."""
    return bytes(-size % RECORD)


def parents(path: str) -> Iterator[str]:
    """The folders above `path`, outermost first."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[:count])


def with_parents(paths: Iterable[str]) -> tuple[str, ...]:
    """`paths` are folders; they and all above them, each once, outer before inner."""
    found = {*paths}
    for path in tuple(found):
        found.update(parents(path))
    return tuple(sorted(found))


def _header(path: str, kind: bytes, mode: int, *, size: int = 0, target: str = "") -> bytes:
    entry = tarfile.TarInfo(path)
    entry.type = kind
    entry.mode = mode
    entry.size = size
    entry.mtime = _TIME
    entry.linkname = target
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
