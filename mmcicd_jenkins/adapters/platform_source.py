"""A platform file out of a git repository: one commit of one branch or tag, in a clone that is thrown away."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mmcicd_jenkins.adapters.credentials import login
from mmcicd_jenkins.adapters.git.access import GitAccess
from mmcicd_jenkins.adapters.git.answers import Kind, redact
from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.adapters.git.places import is_local
from mmcicd_jenkins.config.model import Extends
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

# What `config.yaml_reader` accepts.
MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The bytes of the file, and the commit that they are from."""

    commit: str
    content: bytes


def fetch_platform(source: Extends, root: Path, variables: Mapping[str, str]) -> Fetched:
    """The file as the repository has it now; a relative address starts from `root`.

    Args:
        variables: hold the login for source repositories, when one is needed.

    Raises:
        InputError: there is no such repository, branch or file, or the file is larger than 1 MB.
        OutsideFailed: the server cannot be reached or refuses us.
    """
    url, ref = source.url, source.ref or "HEAD"
    if not url or url.startswith("-") or ref.startswith("-") or {"\0", "\n"} & {*url, *ref, *source.file}:
        raise InputError(
            f"{redact(url)[:80]!r} at {ref[:80]!r} is no git repository and branch", fix="correct `extends`"
        )
    if is_local(url):
        url = str((root / url.removeprefix("file://")).resolve())
    folder = Path(tempfile.mkdtemp(prefix="mmcicd-platform-"))
    try:
        Git(folder).run("init", "--quiet", "--bare", "--template=", "--", ".")
        found = login("source", variables)
        git = Git(folder, bare=True, where=url, access=GitAccess(url=url, login=found) if found else None)
        fetched = git.try_run(
            "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--depth=1", "--", url, ref
        )
        if fetched.kind is not Kind.DONE:
            raise fetched.error()
        commit = git.run("rev-parse", "--verify", "FETCH_HEAD^{commit}").decode().strip()
        return Fetched(commit=commit, content=_content(git, commit, source))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _content(git: Git, commit: str, source: Extends) -> bytes:
    name = f"{commit}:{source.file}"
    kind = git.try_run("cat-file", "-t", name)
    if kind.kind is not Kind.DONE or kind.out.strip() != b"blob":
        raise InputError(
            f"the platform's repository has no file {source.file[:200]!r}",
            where=f"{redact(source.url)} at {commit[:12]}",
            fix="add it there, or name it: extends: {url: ..., file: PATH}",
        )
    if int(git.run("cat-file", "-s", name)) > MAX_BYTES:
        raise InputError("the platform file is larger than 1 MB", where=f"{redact(source.url)}:{source.file}")
    return git.run("cat-file", "blob", name)
