"""What lies on this machine and can be made again: old things of the workspace and of the cache.

Nothing that a running process uses is removed. A thing is moved aside before it is deleted, so nobody ever finds half
of one; what a kill left aside is removed by the next run.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass

_ASIDE = ".removed-"
# What belongs to a thing and has its name with another ending.
_BESIDE = (".log", ".lock")


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A folder whose entries are things of one kind."""

    folder: Path
    what: str


@dataclass(frozen=True, kw_only=True)
class Leftover:
    path: Path
    what: str
    size: int
    used: float


class Leftovers:
    """The shelves of this machine."""

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self._shelves = shelves

    def old(self, before: float) -> list[Leftover]:
        """Things that nobody used since `before` (seconds) and no process uses now, the oldest first."""
        found = [each for shelf in self._shelves for each in _things(shelf) if each.used < before]
        busy = list(_busy()) if found else []
        return sorted(
            (each for each in found if not any(os.fsencode(each.path) in text for text in busy)),
            key=lambda each: each.used,
        )

    def remove(self, leftovers: Sequence[Leftover]) -> int:
        """Returns how many bytes are free now.

        Raises:
            OutsideFailed: something cannot be removed.
        """
        freed = 0
        for shelf in self._shelves:
            for left in _entries(shelf.folder):
                if left.name.startswith(_ASIDE):
                    _delete(left)
        for each in leftovers:
            aside = each.path.with_name(f"{_ASIDE}{each.path.name}")
            with suppress(FileNotFoundError):
                try:
                    each.path.rename(aside)
                except PermissionError as e:
                    raise _stuck(each.path, e) from e
                _delete(aside)
                for ending in _BESIDE:
                    each.path.with_suffix(ending).unlink(missing_ok=True)
                freed += each.size
        return freed


def _things(shelf: Shelf) -> Iterator[Leftover]:
    for path in _entries(shelf.folder):
        if path.name.startswith(".") or path.suffix in _BESIDE:
            continue
        with suppress(FileNotFoundError):
            size, used = _measure(path)
            yield Leftover(path=path, what=shelf.what, size=size, used=used)


def _measure(path: Path) -> tuple[int, float]:
    """Bytes, and the latest time of the thing and of what lies directly in it."""
    state = path.lstat()
    if not path.is_dir() or path.is_symlink():
        return state.st_size, state.st_mtime
    size, used = 0, state.st_mtime
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                file = os.lstat(os.path.join(folder, name))  # noqa: PTH118  many thousands of them
                size += file.st_size
                if folder == str(path):
                    used = max(used, file.st_mtime)
    return size, used


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _delete(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as e:
        raise _stuck(path, e) from e


def _stuck(path: Path, error: OSError) -> OutsideFailed:
    return OutsideFailed(
        "something cannot be removed",
        where=str(path),
        why=error.strerror or str(error),
        fix="run it as the user who made it",
    )


def _busy() -> Iterator[bytes]:
    """Command lines and environments of running processes, as far as they may be read: they name what is in use."""
    for entry in _entries(Path("/proc")):
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    yield (entry / name).read_bytes()
