"""`ports.doctor.GitLook`: what a repository has and would take. The law: nothing is ever written there.

Whether a push would be let in is asked by `git push --dry-run` of an empty commit from a throw-away repository: the
server is asked for the service that writes, and told nothing. Hooks and branch protection do not run for it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from mmcicd_jenkins.adapters.credentials import Use, login
from mmcicd_jenkins.adapters.git.access import GitAccess
from mmcicd_jenkins.adapters.git.answers import Kind
from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.ports.doctor import Repository

_HEADS = "refs/heads/"


class RepositoryLook:
    """Repositories as this machine and these variables reach them."""

    def __init__(self, root: Path, variables: Mapping[str, str], use: Use, seconds: float) -> None:
        self._root = root
        self._variables = variables
        self._use: Use = use
        self._seconds = seconds

    def repository(self, url: str, *, push: str = "") -> Repository:
        known = login(self._use, self._variables)
        with TemporaryDirectory(prefix="mmcicd-doctor-") as folder:
            git = Git(Path(folder), where=url, access=GitAccess(url=url, login=known))
            listed = git.run("ls-remote", "--heads", "--", url, timeout_seconds=self._seconds)
            branches = _branches(listed.decode("utf-8", "replace"))
            if not push:
                return Repository(branches=branches)
            may, why = self._rehearse(git, url, push)
        return Repository(branches=branches, push=may, why_no_push=why)

    def _rehearse(self, git: Git, url: str, branch: str) -> tuple[bool | None, str]:
        git.run("init", "--quiet", "--bare", ".")
        tree = git.run("mktree").decode().strip()
        commit = git.run("commit-tree", "-m", "Would a push be let in?", tree).decode().strip()
        answer = git.try_run(
            "push",
            "--dry-run",
            "--quiet",
            "--",
            url,
            f"{commit}:{_HEADS}{branch}",
            timeout_seconds=self._seconds,
        )
        if answer.kind is Kind.DONE:
            return True, ""
        if answer.kind in {Kind.AUTH, Kind.REFUSED, Kind.READ_ONLY, Kind.MISSING}:
            return False, answer.error().why
        return None, ""

    def uncommitted(self, paths: Iterable[str]) -> tuple[str, ...] | None:
        listed = list(paths)
        git = Git(self._root)
        answer = git.try_run("status", "--porcelain=v1", "-z", "--untracked-files=all", "--", *listed)
        if answer.kind is not Kind.DONE:
            return None
        changed = {entry[3:] for entry in answer.out.decode("utf-8", "replace").split("\0") if entry}
        prefix = git.run("rev-parse", "--show-prefix").decode().strip()
        tracked = set(git.try_run("ls-files", "-z", "--", *listed).out.decode("utf-8", "replace").split("\0"))
        return tuple(path for path in listed if f"{prefix}{path}" in changed or path not in tracked)

    def lacks(self, commit: str, paths: Iterable[str]) -> tuple[str, ...] | None:
        git = Git(self._root)
        if git.try_run("cat-file", "-e", f"{commit}^{{commit}}").kind is not Kind.DONE:
            return None
        listed = list(paths)
        answer = git.try_run("diff", "--name-only", "-z", "--relative", commit, "--", *listed)
        if answer.kind is not Kind.DONE:
            return None
        changed = set(answer.out.decode("utf-8", "replace").split("\0"))
        return tuple(path for path in listed if path in changed)


def _branches(listed: str) -> dict[str, str]:
    pairs = (line.split("\t", maxsplit=1) for line in listed.splitlines() if "\t" in line)
    return {ref.removeprefix(_HEADS): oid for oid, ref in pairs if ref.startswith(_HEADS)}
