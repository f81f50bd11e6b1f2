"""Reading one model file so that what was listed, what was read and what stands there afterwards agree.

A file that is swapped for a link, grows, shrinks or is written to in between is refused by name: bytes
that nobody ever had as one file must not become a model.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.tree import ModelFile, facts


class FileReader:
    """The bytes of one file, in order, exactly as many as were listed."""

    def __init__(self, handle: int, file: ModelFile, where: Path) -> None:
        self._handle = handle
        self._left = file.size
        self._where = where

    def into(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; 0 at the end of the file."""
        wanted = min(len(buffer), self._left)
        if not wanted:
            return 0
        try:
            count = os.readv(self._handle, [buffer[:wanted]])
        except OSError as e:
            raise InputError(f"a model file cannot be read: {e.strerror}", where=str(self._where)) from e
        if not count:
            raise _changed(self._where)
        self._left -= count
        return count

    def piece(self, at: int, count: int) -> bytes:
        """Up to `count` bytes from `at` on, wherever `into` is."""
        try:
            return os.pread(self._handle, count, at)
        except OSError as e:
            raise InputError(f"a model file cannot be read: {e.strerror}", where=str(self._where)) from e


@contextmanager
def read_file(root: Path, file: ModelFile) -> Iterator[FileReader]:
    """Open `file` below `root`; on leaving, check that it is still what was listed.

    Raises:
        InputError: it cannot be read, or it changed since it was listed.
    """
    where = root / file.path
    try:
        # O_NONBLOCK: a pipe put in the file's place must not hang us.
        handle = os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as e:
        raise InputError(f"a model file cannot be read: {e.strerror}", where=str(where)) from e
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode) or facts(file.path, os.fstat(handle)) != file:
            raise _changed(where)
        yield FileReader(handle, file, where)
        if facts(file.path, os.fstat(handle)) != file:
            raise _changed(where)
    finally:
        os.close(handle)


def _changed(where: Path) -> InputError:
    return InputError(
        "a model file changed while it was being stored",
        where=str(where),
        fix="let the writer finish, then run the same command again",
    )
