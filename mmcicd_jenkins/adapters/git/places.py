"""Where a ledger lives, and the one kind of place that is a repository on this machine (`remote` is the other).

A place gives the commit of a branch, the objects below it, and one compare-and-swap of the branch. It knows
nothing of models or events. The swap is git's own; the file locks here only keep writers from disturbing
each other, so a stopped process that holds one delays the others and never lets two of them win.
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mmcicd_jenkins.adapters.file_lock import cannot_write, take
from mmcicd_jenkins.adapters.git.answers import Answer, Kind
from mmcicd_jenkins.adapters.git.cli import TIMEOUT_SECONDS, Git
from mmcicd_jenkins.adapters.git.objects import Objects
from mmcicd_jenkins.errors import InputError, MmcicdError

# A living git holds the lock of a branch for milliseconds; ours hold a file lock meanwhile as well.
STALE_LOCK_SECONDS = 5.0
# How long a writer lets another one finish before it tries its luck.
TURN_SECONDS = 2.0
SWAP_TURN_SECONDS = 10.0


class Place(Protocol):
    """`head` is "" for a branch that does not exist; the objects of what it answers can be read at once."""

    @property
    def objects(self) -> Objects: ...

    def head(self, branch: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str: ...

    def branches(self, prefix: str) -> tuple[str, ...]: ...

    def prepare(self) -> None:
        """Make sure that objects can be written."""

    def tidy(self) -> None:
        """Upkeep after many writes."""

    def turn(self, branch: str) -> contextlib.AbstractContextManager[None]:
        """Hold this while deciding and writing: writers queue instead of racing. Mere politeness."""

    def whole(self) -> "Place":
        """The same, fit for reading all of the history."""

    def swap(self, branch: str, old: str, new: str, timeout_seconds: float) -> Answer:
        """Move the branch from `old` ("" creates it) to `new`, or leave it alone; the answer's kind says which."""


def is_local(url: str) -> bool:
    """A path or a `file://` address; `host:path` and `scheme://` are remote."""
    if "://" in url:
        return url.startswith("file://")
    before_colon, colon, _ = url.partition(":")
    return not colon or "/" in before_colon


class LocalPlace:
    """A repository on this machine, bare or not; made when it is first written to."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._opened: tuple[Git, Objects] | None = None

    @property
    def objects(self) -> Objects:
        return self._open()[1]

    def whole(self) -> Place:
        return self

    def _git(self) -> Git:
        return self._open()[0]

    def _open(self) -> tuple[Git, Objects]:
        if self._opened is None:
            looking = Git(self._path)
            answer = looking.try_run("rev-parse", "--absolute-git-dir")
            folder = Path(os.fsdecode(answer.out.rstrip(b"\n")))
            # git looks in the folders above as well; another repository there is not this one.
            inside = not answer.status and self._path.resolve() in {folder.resolve(), folder.resolve().parent}
            if not inside:
                raise self._not_a_ledger(answer)
            git = Git(folder, bare=True, where=str(self._path))
            self._opened = (git, Objects(git))
        return self._opened

    def _not_a_ledger(self, answer: Answer) -> MmcicdError:
        if answer.kind not in {Kind.DONE, Kind.NO_REPOSITORY}:
            return answer.error()
        return InputError(
            "the ledger's folder is not a git repository",
            where=str(self._path),
            fix="name another path as ledger.url (it is made when needed), or move what lies there away",
        )

    def _is_there(self) -> bool:
        if self._path.exists() and not self._path.is_dir():
            raise InputError(
                "the ledger's folder is a file",
                where=str(self._path),
                fix="move it away, or name another path as ledger.url (it is made when needed)",
            )
        return self._path.is_dir() and any(self._path.iterdir())

    def head(self, branch: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
        if self._opened is None and not self._is_there():
            return ""
        answer = self._git().try_run(
            "rev-parse", "--verify", "--quiet", branch, "--", timeout_seconds=timeout_seconds
        )
        if answer.status == 1 and not answer.said:
            return ""
        if answer.status:
            raise answer.error()
        return answer.out.split()[0].decode()

    def branches(self, prefix: str) -> tuple[str, ...]:
        if not self._is_there():
            return ()
        listed = self._git().run("for-each-ref", "--format=%(refname)", "--", prefix)
        return tuple(listed.decode().split())

    def prepare(self) -> None:
        """Made aside and moved into place, so that two first writers end up with one whole repository."""
        try:
            if self._is_there():
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            aside = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}")
            aside.mkdir(mode=0o777)
        except OSError as e:
            raise cannot_write(self._path, e) from e
        try:
            git = Git(aside, where=str(self._path))
            git.run("init", "--quiet", "--bare", "--template=", "--", ".")
            for setting in ("receive.denyNonFastForwards", "receive.denyDeletes"):
                git.run("config", setting, "true")
            # Onto a filled folder this fails: another writer was first, and its repository is the one.
            with contextlib.suppress(OSError):
                aside.rename(self._path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def turn(self, branch: str) -> Iterator[None]:
        with self._lock(branch, "turn", TURN_SECONDS):
            yield

    def swap(self, branch: str, old: str, new: str, timeout_seconds: float) -> Answer:
        with self._lock(branch, "swap", min(SWAP_TURN_SECONDS, timeout_seconds)) as lock:
            if lock is not None:
                self._clear_stale_lock(branch)
            return self._git().try_run(
                "update-ref",
                "--",
                branch,
                new,
                old,
                timeout_seconds=timeout_seconds,
                # If we are killed here, git lives on and keeps the lock: nobody takes its work for stale.
                keep_open=() if lock is None else (lock,),
            )

    def tidy(self) -> None:
        """Pack what many writes left loose. Touches no branch, drops no object; if it fails, nothing is lost."""
        self._git().try_run("repack", "-d", "-l", "-q", "--geometric=2")

    def _clear_stale_lock(self, branch: str) -> None:
        lock = self._git().folder / f"{branch}.lock"
        with contextlib.suppress(FileNotFoundError):
            if time.time() - lock.stat().st_mtime > STALE_LOCK_SECONDS:
                lock.unlink()

    @contextmanager
    def _lock(self, branch: str, name: str, patience_seconds: float) -> Iterator[int | None]:
        """The descriptor of a file lock; None when its owner did not let go in time."""
        path = self._git().folder / "mmcicd" / f"{branch.rpartition('/')[2]}.{name}"
        try:
            path.parent.mkdir(exist_ok=True)
            file = path.open("ab")
        except OSError as e:
            raise cannot_write(path, e) from e
        with file:
            yield file.fileno() if take(file, patience_seconds) else None
