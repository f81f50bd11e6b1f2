"""The only place that runs `git`.

Every call has a timeout, speaks English, asks nobody, runs no hook, uses only well-known transports and
carries an identity of its own, so it works where nobody configured git. Names are data: callers put `--`
before them. What git says is read in `answers`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from mmcicd_jenkins.adapters.credentials import without_ours
from mmcicd_jenkins.adapters.git.access import GitAccess
from mmcicd_jenkins.adapters.git.answers import Answer, Kind, redact
from mmcicd_jenkins.errors import InputError, OutsideFailed

TIMEOUT_SECONDS = 60.0
# After SIGTERM git removes its lock files; this is how long it may take.
GRACE_SECONDS = 2.0
_NAME = "mmcicd-jenkins"
_EMAIL = "mmcicd-jenkins@localhost"

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    # Power may fail after we said "written". Older git ignores the key.
    "core.fsync=committed,reference",
    "gc.auto=0",
    "maintenance.auto=false",
    # About GIT_GRAFT_FILE, which is set below.
    "advice.graftFileDeprecated=false",
    "push.followTags=false",
    "push.gpgSign=false",
    "protocol.allow=never",
    *(f"protocol.{name}.allow=always" for name in ("file", "git", "http", "https", "ssh")),
    # A connection that moves less than 1 byte/s for 30 s is dead.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=30",
)
# Set when we are called from a hook or an alias; they would point git at another repository.
_FOREIGN = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


@cache
def _program(path: str) -> str:
    """Where git lies on this PATH. A child that searches for it first fails in every folder before the right one."""
    found = shutil.which("git", path=path)
    return found if found and Path(found).is_absolute() else "git"


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    environment = {name: value for name, value in without_ours(os.environ).items() if name not in _FOREIGN}
    return environment | {
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        # Grafts and replacements show another history than the one that was written.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_LITERAL_PATHSPECS": "1",
        "SSH_ASKPASS_REQUIRE": "never",
        # A trace that somebody switched on must not print what it sends as credentials.
        "GIT_TRACE_REDACT": "1",
        "GIT_AUTHOR_NAME": _NAME,
        "GIT_AUTHOR_EMAIL": _EMAIL,
        "GIT_COMMITTER_NAME": _NAME,
        "GIT_COMMITTER_EMAIL": _EMAIL,
        **variables,
    }


class Git:
    """git in one folder.

    Args:
        folder: where it runs; a working tree, a bare repository, or any folder for remote commands.
        bare: `folder` is the repository itself; git then looks nowhere else.
        where: what error messages call it; the folder when left out.
        settings: `key=value` for every call; unlike a file's, they leave nothing behind.
        access: the login for the one remote repository that it talks to.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bare: bool = False,
        where: str = "",
        settings: Sequence[str] = (),
        access: GitAccess | None = None,
    ) -> None:
        self.folder = folder
        self.where = redact(where or str(folder))
        self._access = access
        every = (*_SETTINGS, *settings, *(access.settings() if access else ()))
        self._options = [part for setting in every for part in ("-c", setting)]
        if bare:
            self._options += ["--git-dir=."]

    def try_run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        timeout_seconds: float = TIMEOUT_SECONDS,
        variables: Mapping[str, str] | None = None,
        keep_open: Sequence[int] = (),
    ) -> Answer:
        """Run git once and give its answer, whatever it is.

        Args:
            keep_open: file descriptors that the child inherits, so that a lock lives as long as git does.

        Raises:
            OutsideFailed: there is no git, or the machine cannot start it.
            InputError: the folder does not exist.
        """
        access = self._access
        try:
            process = subprocess.Popen(
                [_program(os.environ.get("PATH", os.defpath)), *self._options, *arguments],
                cwd=self.folder,
                env=_environment({**(access.variables() if access else {}), **(variables or {})}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # No terminal to ask on, and one group to end on a timeout (ssh and helpers are in it).
                start_new_session=True,
                pass_fds=keep_open,
            )
        except OSError as e:
            raise self._not_started(e) from e
        out, said, timed_out = _talk(process, stdin, timeout_seconds)
        text = said.decode("utf-8", "replace")
        return Answer(
            status=process.returncode,
            out=out,
            said=redact(access.hide(text) if access else text),
            where=self.where,
            timed_out=timed_out,
            use=access.login.use if access else "",
            refused=access.refused() if access else "",
        )

    def run(self, *arguments: str, stdin: bytes = b"", timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
        """Run git once and give what it printed.

        Raises:
            MmcicdError: it failed; the class and the fix fit the reason.
        """
        answer = self.try_run(*arguments, stdin=stdin, timeout_seconds=timeout_seconds)
        if answer.kind is not Kind.DONE:
            raise answer.error()
        return answer.out

    def _not_started(self, error: OSError) -> OutsideFailed | InputError:
        if shutil.which("git") is None:
            return OutsideFailed(
                "git is not installed, or not on the PATH", fix="install it, for example: apt-get install git"
            )
        if not self.folder.is_dir():
            return InputError("this folder does not exist", where=self.where, fix="check the path")
        return OutsideFailed("git cannot be started", where=self.where, why=str(error), retryable=True)


def _talk(
    process: subprocess.Popen[bytes], stdin: bytes, timeout_seconds: float
) -> tuple[bytes, bytes, bool]:
    """Feed and read a process; end its whole group when it takes too long or we are interrupted."""
    try:
        out, said = process.communicate(stdin, timeout=max(timeout_seconds, 0.01))
        return out, said, False
    except subprocess.TimeoutExpired:
        return *_end(process), True
    except BaseException:
        _end(process)
        raise


def _end(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=GRACE_SECONDS)
    return b"", b""
