"""A folder that appears whole or not at all, and file errors told as what they mean for its user.

It grows under a private name beside its place, locked by its writer, and is renamed at the end. Whoever can
take the lock of such a folder has found the leftover of a killed process and removes it.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# One for all folders, so that any next one made in the same place removes what is left.
_PREFIX = ".mmcicd-making-"
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def told(path: Path, elsewhere: str) -> Iterator[None]:
    """Turn file errors below `path` into `OutsideFailed`; `elsewhere` says how to use another place."""
    try:
        yield
    except OSError as e:
        where = str(e.filename or path)
        if e.errno in _FULL:
            raise OutsideFailed(
                "no space left", where=where, why=e.strerror or "", fix=f"free space there, or {elsewhere}"
            ) from e
        if e.errno in _REFUSED:
            raise OutsideFailed(
                "this folder may not be used",
                where=where,
                why=e.strerror or "",
                fix=f"give this user the right to, or {elsewhere}",
            ) from e
        raise OutsideFailed(
            "files failed", where=where, why=str(e), fix=f"look after the disk, or {elsewhere}"
        ) from e


@contextmanager
def new_folder(directory: Path) -> Iterator[Path]:
    """An empty folder to fill; it becomes `directory` (absent or empty) on leaving, or vanishes on an error.

    Raises:
        InputError: `directory` holds something.
        OutsideFailed: files cannot be made there.
    """
    with told(directory, "choose another folder"):
        directory.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(directory.parent)
        _expect_empty(directory)
        lock, private = _private(directory.parent)
        try:
            folder = private / "new"
            folder.mkdir()
            yield folder
            failpoint("store.unpacked")
            # Another process may have filled it meanwhile.
            _expect_empty(directory)
            folder.rename(directory)
        finally:
            shutil.rmtree(private, ignore_errors=True)
            os.close(lock)


def _expect_empty(directory: Path) -> None:
    if directory.is_dir() and not directory.is_symlink() and not any(directory.iterdir()):
        return
    if directory.exists() or directory.is_symlink():
        raise InputError("only an empty folder can be filled", where=str(directory), fix="delete it first")


def _private(parent: Path) -> tuple[int, Path]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        with suppress(FileNotFoundError, BlockingIOError):
            lock = _lock(path)
            if path.exists():
                return lock, path
            os.close(lock)
        # Another process took it for a leftover before it was locked.


def _remove_leftovers(parent: Path) -> None:
    for leftover in parent.glob(f"{_PREFIX}*"):
        # Another user's folder is that user's to remove.
        with suppress(FileNotFoundError, BlockingIOError, PermissionError):
            lock = _lock(leftover)
            shutil.rmtree(leftover, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int:
    """Lock `folder` by a file in it; a folder itself cannot be locked on NFS.

    Raises:
        BlockingIOError: another process holds it.
    """
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    return handle
