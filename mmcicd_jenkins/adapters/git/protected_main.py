"""Go to a commit of the branch that was checked out, and to no other. The trusted side runs only what main has.

Whoever starts a release names a commit; without this check it could be one of any branch, whose scripts would
then run with the credentials of production.
"""

import re
from pathlib import Path

from mmcicd_jenkins.adapters.git.answers import Kind
from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.errors import InputError, IntegrityFailed, UsageError

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def go_to(root: Path, commit: str) -> None:
    """Check `commit` out, when what is checked out now has it in its history.

    Raises:
        UsageError: it is no full commit id.
        IntegrityFailed: main does not have it.
        InputError: the clone is shallow, so nobody can tell.
    """
    if not _SHA.fullmatch(commit):
        raise UsageError(f"{commit[:80]!r} is no commit", fix="--commit with all 40 digits")
    git = Git(root)
    if git.try_run("merge-base", "--is-ancestor", commit, "HEAD").status != 0:
        shallow = git.try_run("rev-parse", "--is-shallow-repository").out.strip() == b"true"
        if shallow:
            raise InputError(
                f"whether main has commit {commit[:12]} cannot be told in a shallow clone",
                where=str(root),
                fix="let the job clone without a depth",
            )
        raise IntegrityFailed(
            f"commit {commit[:12]} is not on the protected branch, so nothing of it is released",
            where=str(root),
            why="what is released must have been merged",
            fix="merge it; the push to main starts its release",
        )
    answer = git.try_run("checkout", "--quiet", "--detach", "--force", commit, "--")
    if answer.kind is not Kind.DONE:
        raise answer.error()
