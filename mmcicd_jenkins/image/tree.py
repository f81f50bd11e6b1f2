"""What a model directory holds: its files and folders, sorted, with the facts that show a later change.

Only regular files and folders with names that every machine can hold are let in. Links, devices, names
that differ only in case, names that an image layer would read as a deletion: refused here, by name, so
that no later step meets them. Reads directories, never the files.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

# An OCI layer spells "delete NAME" as a file called .wh.NAME.
_WHITEOUT = ".wh."
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One file. `path` is relative with `/`; the four numbers change whenever the bytes do."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, kw_only=True)
class ModelTree:
    """A model directory. `folders` are all folders below `root`, empty ones too."""

    root: Path
    files: tuple[ModelFile, ...]
    folders: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def scan(directory: Path) -> ModelTree:
    """List `directory`.

    Raises:
        InputError: it is no directory, holds no file, or holds something a model must not; names it.
    """
    files: list[ModelFile] = []
    folders: list[str] = []
    try:
        for path, status in _walk(directory, ""):
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
            else:
                files.append(facts(path, status))
    except OSError as e:
        raise InputError(
            f"the model in {directory} cannot be read: {e.strerror}", where=str(e.filename)
        ) from e
    if not files:
        raise InputError("the model directory is empty", where=str(directory), fix="write a SavedModel there")
    _refuse_collisions(directory, [*folders, *(file.path for file in files)])
    return ModelTree(
        root=directory, files=tuple(sorted(files, key=lambda f: f.path)), folders=tuple(sorted(folders))
    )


def facts(path: str, status: os.stat_result) -> ModelFile:
    return ModelFile(
        path=path,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        inode=status.st_ino,
        device=status.st_dev,
    )


def why_not_a_path(path: str) -> str:
    """Why `path` cannot be a file's place in a model; "" when it can."""
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts:
        return "a path must be relative and have no empty, `.` or `..` part"
    if "\0" in path:
        return "a path cannot hold a zero byte"
    if any(part.startswith(_WHITEOUT) for part in parts):
        return f"an image layer reads a name that begins with {_WHITEOUT} as a deletion"
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return ""


def _walk(directory: Path, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = prefix + entry.name
        status = entry.stat(follow_symlinks=False)
        _refuse_entry(directory, path, status)
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(Path(entry.path), path + "/")


def _refuse_entry(directory: Path, path: str, status: os.stat_result) -> None:
    shown = _shown(path)
    why = why_not_a_path(path)
    if why:
        raise InputError(
            f"{shown} cannot be part of a model", where=_shown(str(directory)), why=why, fix="rename it"
        )
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a special file")
        raise InputError(
            f"{shown} cannot be part of a model: it is {kind}",
            where=str(directory),
            why="a model is regular files and folders, so that it is the same on every machine",
            fix="put the file itself there, or delete it",
        )


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _refuse_collisions(directory: Path, paths: list[str]) -> None:
    seen: dict[str, str] = {}
    for path in sorted(paths):
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        other = seen.setdefault(key, path)
        if other != path:
            raise InputError(
                f"{path!r} and {other!r} are one name on some machines",
                where=str(directory),
                why="they differ only in case or in how an accent is written",
                fix="rename one of them",
            )
