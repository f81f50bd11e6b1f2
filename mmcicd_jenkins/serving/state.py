"""The state directory as the server sees it: the lock that says it lives, the files it reads and writes.

Every file is written beside its place and moved there, so that a reader sees a whole document or none.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import MmcicdError, Superseded
from mmcicd_jenkins.release.desired import ACTUAL, DESIRED, LOCK, SERVER, Actual, Desired, Listening
from mmcicd_jenkins.release.documents import from_document, to_document

LOCK_TRIES, LOCK_PAUSE_SECONDS = 20, 0.02


class StateDirectory:
    """What the server keeps there. The lock is held for the life of the process, forks included."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock_file: int | None = None
        self._writing = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._was_told = False

    def acquire(self) -> None:
        """Become the only server of this directory.

        Raises:
            Superseded: another one lives.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self._lock_file = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Who only asks whether a server lives holds the lock for a moment.
                time.sleep(LOCK_PAUSE_SECONDS)
        else:
            raise Superseded("a server runs on this state already", where=str(self.root))
        # The number of a former holder may belong to any process by now.
        os.ftruncate(self._lock_file, 0)
        (self.root / SERVER).unlink(missing_ok=True)
        (self.root / ACTUAL).unlink(missing_ok=True)

    def note_pid(self) -> None:
        """Write the holder's process id into the lock file, where `stop` looks for it."""
        if self._lock_file is not None:
            os.pwrite(self._lock_file, str(os.getpid()).encode(), 0)

    def read_desired(self) -> Desired:
        """What is wanted; nothing before the file was there for the first time.

        Raises:
            MmcicdError: the file is no desired state, or it is gone: a lost file is no order to stop serving.
        """
        desired = read_desired(self.root)
        if (self.root / DESIRED).exists():
            self._was_told = True
        elif self._was_told and not desired.models:
            raise MmcicdError(
                "the desired state is gone; what serves, serves on", where=str(self.root / DESIRED)
            )
        return desired

    def changed(self) -> bool:
        """Whether `desired.json` is another file than at the last call. Its inode changes with every move."""
        try:
            found = (self.root / DESIRED).stat()
            mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        except FileNotFoundError:
            mark = (0, 0, 0)
        if mark == self._seen:
            return False
        self._seen = mark
        return True

    def write_actual(self, look: Callable[[], Actual]) -> None:
        """Looking and writing are one step: else an older look could be written over a newer one."""
        with self._writing:
            replace_document(self.root / ACTUAL, to_document(look()))

    def write_listening(self, listening: Listening) -> None:
        replace_document(self.root / SERVER, to_document(listening))

    def clear(self) -> None:
        """A server that ended says so; its lock goes with the process."""
        (self.root / SERVER).unlink(missing_ok=True)


def read_desired(root: Path) -> Desired:
    path = root / DESIRED
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Desired()
    except (OSError, ValueError, RecursionError) as e:
        raise MmcicdError("the desired state cannot be read", where=str(path), why=str(e)) from e
    desired = from_document(Desired, document, str(path))
    for name, model in desired.models.items():
        wrong = [text for text in model.versions if not text.isascii() or not text.isdigit() or int(text) < 1]
        if wrong:
            raise MmcicdError(f"{name}: {wrong[0]!r} is not a version number", where=str(path))
    return desired


def replace_document(path: Path, document: Mapping[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    beside.write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")
    beside.replace(path)
