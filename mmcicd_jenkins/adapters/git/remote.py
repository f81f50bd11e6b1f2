"""A ledger behind an address, through a bare clone that is made for this process and thrown away.

The clone holds the commits; of everything else only what is asked for comes over, several objects at once
(a partial clone, never a shallow one). A server that does not offer this sends all, and that works as well.
No other process ever uses the clone, so a lock that a killed git leaves in it harms nobody.
"""

import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmcicd_jenkins.adapters.credentials import Login
from mmcicd_jenkins.adapters.file_lock import cannot_write
from mmcicd_jenkins.adapters.git.access import GitAccess
from mmcicd_jenkins.adapters.git.answers import Answer, Kind, redact
from mmcicd_jenkins.adapters.git.cli import TIMEOUT_SECONDS, Git
from mmcicd_jenkins.adapters.git.objects import Objects
from mmcicd_jenkins.adapters.git.places import LocalPlace, Place, is_local
from mmcicd_jenkins.errors import InputError

_REMOTE = "ledger"
_PREFIX = "mmcicd-ledger-"
# No command of ours lasts that long.
_LONG_AGO_SECONDS = 7 * 24 * 3600.0
_NO_FILTER = "filtering not recognized by server"
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
# Of a tree that is named: itself and the two levels below it, which are all folders of a ledger.
_FOLDERS = "--filter=tree:2"
_COMMITS = "--filter=tree:0"


def _age_seconds(path: Path) -> float:
    """0 for what another process removed meanwhile."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def place_of(url: str, root: Path, login: Login | None = None) -> Place:
    """The place behind `ledger.url`; `root` is the folder that a relative path starts from.

    Raises:
        InputError: the address is empty or looks like an option.
    """
    if not url or url.startswith("-") or "\0" in url or "\n" in url:
        raise InputError(
            f"{redact(url)!r} is not the address of a git repository", fix="set ledger.url in mmcicd.yaml"
        )
    if is_local(url):
        return LocalPlace(root / url.removeprefix("file://"))
    return RemotePlace(url, login=login)


class _Clone:
    """The folder, and which objects came over so far."""

    def __init__(self, url: str, login: Login | None, *, partial: bool) -> None:
        self.folder = _new_folder()
        making = Git(self.folder)
        making.run("init", "--quiet", "--bare", "--template=", "--", ".")
        settings = [f"remote.{_REMOTE}.url={url}"]
        self.partial = partial
        if partial:
            making.run("config", "extensions.partialClone", _REMOTE)
            settings += [f"remote.{_REMOTE}.promisor=true", f"remote.{_REMOTE}.partialCloneFilter=tree:0"]
        access = GitAccess(url=url, login=login) if login else None
        self.git = Git(self.folder, bare=True, where=url, settings=settings, access=access)
        # At the end of what every reader of the objects holds, not of this object.
        weakref.finalize(self.git, shutil.rmtree, self.folder, ignore_errors=True)
        self.brought: set[str] = set()
        self.objects = Objects(self.git, self.bring if partial else None)

    def bring(self, oids: Sequence[str]) -> None:
        self._bring([oid for oid in oids if oid not in self.brought], "--filter=blob:none")

    def bring_folders(self, commit: str) -> None:
        """The folders of a commit, in one journey."""
        tree = self.objects.root_tree(commit)
        if tree not in self.brought:
            self._bring([tree], _FOLDERS)

    def _bring(self, oids: Sequence[str], filtered: str) -> None:
        if oids and self.partial:
            # Told what we have, the server would leave out what it thinks belongs to that.
            noop = ("-c", "fetch.negotiationAlgorithm=noop")
            self.git.run(*noop, *_FETCH, "--refmap=", filtered, _REMOTE, *oids)
            self.brought.update(oids)


def _new_folder() -> Path:
    """A new folder; those that processes killed long ago left behind go away."""
    above = Path(tempfile.gettempdir())
    try:
        for old in above.glob(f"{_PREFIX}*"):
            if _age_seconds(old) > _LONG_AGO_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=_PREFIX))
    except OSError as e:
        raise cannot_write(above, e) from e


class RemotePlace:
    """See the module. `partial` asks for parts; else everything comes over at once."""

    def __init__(self, url: str, *, login: Login | None = None, partial: bool = True) -> None:
        self._url = url
        self._login = login
        self._partial = partial
        self._clone: _Clone | None = None

    def _opened(self) -> _Clone:
        if self._clone is None:
            self._clone = _Clone(self._url, self._login, partial=self._partial)
        return self._clone

    @property
    def objects(self) -> Objects:
        return self._opened().objects

    def whole(self) -> Place:
        return RemotePlace(self._url, login=self._login, partial=False)

    def head(self, branch: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
        clone = self._opened()
        filtered = [_COMMITS] if clone.partial else []
        answer = self._try(
            *_FETCH, *filtered, _REMOTE, f"+{branch}:{branch}", timeout_seconds=timeout_seconds
        )
        if answer.kind is Kind.ABSENT:
            return ""
        if answer.kind is not Kind.DONE:
            raise answer.error()
        if clone.partial and _NO_FILTER in answer.said:
            clone.partial = False
        commit = clone.git.run("rev-parse", "--verify", branch, "--").split()[0].decode()
        clone.bring_folders(commit)
        return commit

    def branches(self, prefix: str) -> tuple[str, ...]:
        listed = self._opened().git.run("ls-remote", "--quiet", _REMOTE, f"{prefix}*").decode()
        return tuple(line.split("\t")[1] for line in listed.splitlines())

    def prepare(self) -> None:
        self._opened()

    def tidy(self) -> None:
        """The clone is thrown away, and the server tidies itself."""

    @contextmanager
    def turn(self, branch: str) -> Iterator[None]:  # noqa: ARG002  nobody can queue across machines
        yield

    def swap(self, branch: str, old: str, new: str, timeout_seconds: float) -> Answer:
        lease = f"--force-with-lease={branch}:{old}"
        return self._try(
            "push",
            "--no-verify",
            "--no-signed",
            lease,
            _REMOTE,
            f"{new}:{branch}",
            timeout_seconds=timeout_seconds,
        )

    def _try(self, *arguments: str, timeout_seconds: float) -> Answer:
        answer = self._opened().git.try_run(*arguments, timeout_seconds=timeout_seconds)
        if answer.timed_out:
            # The killed git may have left locks in the clone.
            self._clone = None
        return answer
