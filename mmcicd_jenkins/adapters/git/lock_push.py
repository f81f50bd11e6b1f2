"""Carry a moved data lock to the branch that is built: start from its newest commit, commit one file, push it.

Never forced and never merged: when others were faster nothing is pushed, and the next run begins from theirs.
"""

from pathlib import Path

from mmcicd_jenkins.adapters.credentials import Login
from mmcicd_jenkins.adapters.git.access import GitAccess
from mmcicd_jenkins.adapters.git.answers import Answer, Kind
from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint


class LockPush:
    """The checkout at `root`, on its way to `branch` of the remote that it was cloned from."""

    def __init__(self, root: Path, branch: str, login: Login) -> None:
        self._root = root
        self._branch = branch
        self._url = self._remote(root)
        self._git = Git(root, access=GitAccess(url=self._url, login=login))

    def start(self) -> None:
        """Stand on the branch's newest commit.

        Raises:
            InputError, OutsideFailed: as git says.
        """
        _done(self._git.try_run("fetch", "--quiet", "--no-tags", self._url, f"refs/heads/{self._branch}"))
        _done(self._git.try_run("checkout", "--quiet", "--detach", "FETCH_HEAD", "--"))

    def carry(self, file: str, message: str) -> str:
        """Commit `file`, when it changed, and push; the new commit, "" when nothing changed.

        Raises:
            OutsideFailed: the branch moved meanwhile, or the server refused.
        """
        if not self._git.run("status", "--porcelain", "--untracked-files=all", "--", file).strip():
            return ""
        _done(self._git.try_run("add", "--", file))
        _done(self._git.try_run("commit", "--quiet", "--no-verify", "-m", message, "--", file))
        failpoint("retrain.before-push")
        pushed = self._git.try_run("push", "--quiet", self._url, f"HEAD:refs/heads/{self._branch}")
        if pushed.kind is Kind.MOVED:
            raise OutsideFailed(
                f"{self._branch} moved while the data were read; nothing was pushed",
                where=self._branch,
                fix="run the same command again",
                retryable=True,
            )
        _done(pushed)
        return self._git.run("rev-parse", "HEAD").decode().strip()

    @staticmethod
    def _remote(root: Path) -> str:
        url = Git(root).try_run("config", "--get", "remote.origin.url")
        if url.status != 0:
            raise InputError(
                "this checkout has no remote to push to", where=str(root), fix="git remote add origin URL"
            )
        return url.out.decode("utf-8", "replace").strip()


def _done(answer: Answer) -> None:
    if answer.kind is not Kind.DONE:
        raise answer.error()
