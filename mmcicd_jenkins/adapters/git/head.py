"""Where HEAD stands, read from the files in which git keeps it: a stage asks often, and a process costs 2 ms.

The law: an answer is what git would say, or none. Everything unusual (another store of refs, a damaged file, no
commit yet) is none, and git is asked. Contents are compared, never times.
"""

import os
import re
from pathlib import Path

from mmcicd_jenkins.adapters.git.answers import Kind
from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.records import dataclass

# As many links from ref to ref as git follows.
MOST_LINKS = 5
BRANCHES = b"refs/heads/"
_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, kw_only=True)
class Head:
    """`branch` is "" when HEAD is detached."""

    sha: str
    branch: str


class HeadFiles:
    """The folders of one working tree: its own, and the one that it shares with others that are linked to it."""

    def __init__(self, own: Path, common: Path) -> None:
        self._own = own
        self._common = common

    def read(self) -> Head | None:
        content, ref = _content(self._own / "HEAD"), b""
        for _ in range(MOST_LINKS):
            if content is None or not content.startswith(b"ref: "):
                break
            ref = content[len(b"ref: ") :].strip()
            if not ref.startswith(BRANCHES) or b".." in ref:
                return None
            content = _content(self._common / os.fsdecode(ref))
            if content is None:
                content = self._packed(ref)
        sha = (content or b"").rstrip(b"\n")
        if not _COMMIT.fullmatch(sha):
            return None
        return Head(sha=sha.decode(), branch=_short(ref))

    def _packed(self, ref: bytes) -> bytes | None:
        """What stands in a line of `COMMIT REF`; such a file is only read for a ref that has none of its own."""
        refs = _content(self._common / "packed-refs") or b""
        end = refs.find(b" " + ref + b"\n")
        return refs[refs.rfind(b"\n", 0, end) + 1 : end] if end > 0 else None


def find_head(git: Git) -> tuple[HeadFiles | None, str]:
    """Where the head of this working tree is kept (None: only git can tell), and the branch that it is on now."""
    asked = git.try_run("rev-parse", "--absolute-git-dir", "--git-common-dir", "--symbolic-full-name", "HEAD")
    lines = asked.out.removesuffix(b"\n").split(b"\n")
    # A folder whose name has a new line in it makes more lines of them.
    if asked.kind is not Kind.DONE or len(lines) != len(("own", "common", "ref")):
        return None, _branch(git)
    own, common = (git.folder / os.fsdecode(line) for line in lines[:2])
    return HeadFiles(own, common), _short(lines[2])


def _branch(git: Git) -> str:
    answer = git.try_run("symbolic-ref", "--quiet", "HEAD")
    return _short(answer.out.rstrip(b"\n")) if answer.status == 0 else ""


def _short(ref: bytes) -> str:
    """The name of a branch as it is told; "" for what is none."""
    return ref.removeprefix(BRANCHES).decode("utf-8", "replace") if ref.startswith(BRANCHES) else ""


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
