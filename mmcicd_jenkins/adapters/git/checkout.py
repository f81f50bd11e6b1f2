"""The git working tree that holds `mmcicd.yaml`, read only.

Works at the root of a repository or in a folder of one, on shallow clones, detached heads and linked work
trees. File names are bytes to git: everything is read with `-z`, names that are not UTF-8 keep their bytes
as surrogates.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

from mmcicd_jenkins.adapters.git.answers import Answer, Kind
from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.adapters.git.head import HeadFiles, find_head
from mmcicd_jenkins.errors import InputError, MmcicdError
from mmcicd_jenkins.ports import Commit


class GitCheckout:
    """`root` is the folder of `mmcicd.yaml`; paths are relative to it.

    A commit and its files are read once, and again only when HEAD has moved. `files` are those of the commit that
    `commit` told last, though a person may commit meanwhile.
    """

    def __init__(self, root: Path, branch: str = "") -> None:
        """`branch` is what a detached HEAD stands on, as a build knows it."""
        self._root = root
        self._branch = branch
        self._git = Git(root)
        self._head: Commit | None = None
        self._kept: HeadFiles | None = None
        self._files: dict[str, Mapping[str, str]] = {}

    def commit(self) -> Commit:
        """HEAD.

        Raises:
            InputError: not a repository, or no commit yet.
        """
        if self._head is None or not self._stays(self._head):
            head = self._read_head()
            if self._head is None or head.sha != self._head.sha:
                self._files.clear()
            self._head = head
        return self._head

    def _stays(self, head: Commit) -> bool:
        """Whether the files say that HEAD is still there. Where they say nothing, it is read anew."""
        if self._kept is None:
            return False
        now = self._kept.read()
        return now is not None and (now.sha, now.branch or self._branch) == (head.sha, head.branch)

    def _read_head(self) -> Commit:
        shown = self._ask("log", "-1", "--no-show-signature", "--format=%H%x00%ct%x00%an <%ae>", "HEAD", "--")
        sha, seconds, author = shown.decode("utf-8", "replace").rstrip("\n").split("\0")
        self._kept, branch = find_head(self._git)
        return Commit(sha=sha, branch=branch or self._branch, time=int(seconds), author=author)

    def files(self, path: str) -> Mapping[str, str]:
        """Tracked files at HEAD under `path` ("." is the root): path -> mode and blob id.

        A submodule is one entry, its mode 160000 and its id the commit it is pinned to.

        Raises:
            InputError: `path` leads out of the root; or as `commit`.
        """
        inside = PurePosixPath(path)
        if inside.is_absolute() or ".." in inside.parts:
            raise InputError(f"{path!r} leads out of the repository", fix="use a path below mmcicd.yaml")
        head = self._head or self.commit()
        if str(inside) not in self._files:
            chosen = [] if str(inside) == "." else [str(inside)]
            listed = self._ask("ls-tree", "-r", "-z", head.sha, "--", *chosen)
            self._files[str(inside)] = dict(map(_read_entry, filter(None, listed.split(b"\0"))))
        return self._files[str(inside)]

    def changed(self) -> Mapping[str, bool]:
        """As the port says; sorted by path.

        Raises:
            InputError: as `commit`.
        """
        listed = self._ask(
            "status",
            "--porcelain=v1",
            "-z",
            "--untracked-files=all",
            "--no-renames",
            "--ignore-submodules=none",
            "--",
            ".",
        )
        entries = [(entry[3:], entry[:2] != b"??") for entry in listed.split(b"\0") if entry]
        return dict(sorted((os.fsdecode(path.removeprefix(self._prefix)), known) for path, known in entries))

    def packed(self, commit: str) -> tuple[bytes, str]:
        """As the port says. History stays behind; whoever unpacks it says that this commit has no parents there."""
        listed = self._ask("rev-list", "--objects", "--no-walk", commit)
        content = self._git.run("pack-objects", "--stdout", "-q", stdin=listed)
        return content, os.fsdecode(self._prefix.rstrip(b"/"))

    @cached_property
    def _prefix(self) -> bytes:
        """From the root of the repository to ours."""
        return self._ask("rev-parse", "--show-prefix").rstrip(b"\n")

    def _ask(self, *arguments: str) -> bytes:
        answer = self._git.try_run(*arguments)
        if answer.kind is not Kind.DONE:
            raise self._error(answer)
        return answer.out

    def _error(self, answer: Answer) -> MmcicdError:
        if answer.kind is Kind.NO_REPOSITORY:
            return answer.error("git init && git add -A && git commit -m 'First commit'")
        if answer.kind is Kind.OTHER and self._git.try_run("rev-parse", "--verify", "--quiet", "HEAD").status:
            return InputError(
                "this repository has no commit yet",
                where=str(self._root),
                fix="git add -A && git commit -m 'First commit'",
            )
        return answer.error()


def _read_entry(entry: bytes) -> tuple[str, str]:
    """`MODE TYPE ID<tab>PATH` as (path, "MODE ID")."""
    description, _, path = entry.partition(b"\t")
    mode, _, oid = description.decode().split(" ")
    return os.fsdecode(path), f"{mode} {oid}"
