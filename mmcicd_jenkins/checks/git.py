"""Can git do what the pipelines ask of it: read the source, write the ledger, tell Jenkins of a push. Pure."""

from collections.abc import Iterator, Sequence

from mmcicd_jenkins.checks.finding import Finding, Told, counted
from mmcicd_jenkins.ports.doctor import Repository
from mmcicd_jenkins.records import dataclass

LEDGER_BRANCHES = "mmcicd/"


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The generated files here and on the source's main branch. None: that cannot be seen from here."""

    main: str
    uncommitted: tuple[str, ...] | None
    unpushed: tuple[str, ...] | None


def source(repository: Repository, url: str, generated: Generated, where: str) -> Iterator[Finding]:
    """The repository that Jenkins clones, and whether its first build would find what it runs."""
    told = Told("git", "source")
    main = generated.main
    if main not in repository.branches:
        has = f"; it has {counted(sorted(repository.branches))}" if repository.branches else "; it is empty"
        yield told.fail(
            f"the source has no branch {main}{has}",
            f"git push {url} HEAD:refs/heads/{main}; or name the protected branch in jenkins.main",
            where=where,
        )
        return
    if generated.uncommitted:
        yield told.fail(
            f"not committed, so no build would find it: {counted(generated.uncommitted)}",
            f"git add {' '.join(generated.uncommitted)} && git commit && git push",
        )
    elif generated.unpushed:
        yield told.fail(
            f"not on {main} of the source as here, so its build would not find it: {counted(generated.unpushed)}",
            f"push, and merge into {main}",
        )
    elif generated.unpushed is None:
        yield told.warn(
            f"whether {main} of the source has the generated files is not checked: its newest commit is not here",
            f"git fetch {url} {main}, then mmcicd-jenkins doctor again",
        )
    may = "" if repository.push is None else ", push" if repository.push else ", no push"
    yield told.ok(f"source (read{may})")


def ledger(repository: Repository, *, ours: bool, where: str) -> Iterator[Finding]:
    """The history of releases.

    Args:
        ours: this process was given the ledger's own credentials, so it must be able to write.
    """
    told = Told("git", "ledger")
    models = [name for name in repository.branches if name.startswith(LEDGER_BRANCHES)]
    known = f"{len(models)} with history" if models else "no release yet"
    if repository.push:
        yield told.ok(f"ledger (read, write; {known})")
        yield told.warn(
            f"whether only ops may write refs/heads/{LEDGER_BRANCHES}* of the ledger cannot be seen over git",
            f"protect {LEDGER_BRANCHES}* there against deletion and against everybody but the credential "
            "jenkins.credentials.ops.ledger; force-with-lease pushes of new commits must pass",
        )
        return
    yield told.ok(f"ledger (read; {known})")
    if repository.push is False and ours:
        yield told.fail(
            f"the ledger can be read and not written: {repository.why_no_push}",
            f"let the credential jenkins.credentials.ops.ledger push to refs/heads/{LEDGER_BRANCHES}*",
            where=where,
        )
    elif repository.push is False:
        yield told.warn(
            "this machine may not write the ledger, which is right unless it is an agent of ops",
            "on an agent of ops, with MMCICD_LEDGER_USER and _PASSWORD or _KEY_FILE set: mmcicd-jenkins doctor",
        )


def hook(host: str, status: int, url: str, remote: str) -> Iterator[Finding]:
    """Whether a push would reach Jenkins: the address that the service calls is there."""
    told = Told("jenkins", "webhook")
    if host == "git":
        yield from _notify(told, status, url, remote)
        return
    if status in {403, 404}:
        yield told.fail(
            f"Jenkins has no {url}, so pushes to {host} reach it only by its scan, four hours later at most",
            f"install the plugin of {host} (see plugins), or let the proxy before Jenkins pass that address",
        )
    else:
        yield told.ok(f"webhook address for {host}")
        yield told.warn(
            f"whether {host} calls Jenkins after a push cannot be seen from here",
            f"{host}: Settings, Webhooks: {url}, content type application/json, pushes and pull requests",
        )


def _notify(told: Told, status: int, url: str, remote: str) -> Iterator[Finding]:
    line = f'curl -fsS "{url}?url={remote}&branches=BRANCH&token=TOKEN"'
    if status in {403, 404}:
        yield told.fail(
            f"Jenkins has no {url}, so a push is found only by its scan, four hours later at most",
            "install the plugin git, or let the proxy before Jenkins pass that address",
        )
    elif status == 401:
        yield told.ok("push address (asks for a token)")
        yield told.warn(
            "whether the repository calls Jenkins after a push cannot be seen from here; without it a push is found "
            "within four hours",
            f"in its hooks/post-receive: {line}; the token is made at Manage Jenkins, Security, Git plugin "
            "notifyCommit access tokens",
        )
    elif status == 200:
        yield told.warn(
            "whoever reaches Jenkins may start builds of any repository: notifyCommit asks for no token",
            "remove -Dhudson.plugins.git.GitStatus.NOTIFY_COMMIT_ACCESS_CONTROL=disabled from the start of Jenkins",
        )
    else:
        yield told.warn(
            f"{url} answers {status}, so whether a push reaches Jenkins is not known", f"try it: {line}"
        )


def here(found: Sequence[str] | None) -> Finding:
    """The repository on a laptop: without git nothing has an identity."""
    told = Told("git", "checkout")
    if found is None:
        return told.fail(
            "this folder is not a git repository", "git init && git add -A && git commit -m 'All'"
        )
    return told.ok("checkout")
