"""A lock between processes that a killed holder cannot leave behind: `flock` on an open file."""

import contextlib
import errno
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from mmcicd_jenkins.errors import OutsideFailed

POLL_SECONDS = 0.05


def take(file: IO[bytes], seconds: float, on_wait: Callable[[], None] | None = None) -> bool:
    """Lock `file`; False when another holder kept it for `seconds`. `on_wait` is called once, before waiting."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as e:
            if e.errno not in {errno.EAGAIN, errno.EACCES}:
                return True  # a file system without locks: better unguarded than never
            if time.monotonic() >= deadline:
                return False
            if on_wait is not None:
                on_wait()
                on_wait = None
            # Polling, so that a signal handler's exception ends the wait.
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def hold(path: Path, seconds: float, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path` (made when absent) for the body.

    Raises:
        OutsideFailed: it cannot be written, or another process keeps it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as e:
        raise cannot_write(path, e) from e
    with file:
        if not take(file, seconds, on_wait):
            raise OutsideFailed(
                "another process holds a lock that this command needs",
                where=str(path),
                why=f"it kept it for {seconds:g} s",
                fix="wait for the other command, or end it, then run the same command again",
                retryable=True,
            )
        yield


def cannot_write(path: Path, error: OSError) -> OutsideFailed:
    """A place of ours that does not take what we write: full, read-only, not ours."""
    return OutsideFailed(
        f"cannot write {path.name}",
        where=str(path),
        why=error.strerror or str(error),
        fix="make room, or make the folder writable, then run the same command again",
    )
