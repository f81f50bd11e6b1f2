"""A team's command under its supervisor, as we see it: three pipes and a process that ends with it.

The supervisor is a copy of this process where that is safe, which is when nothing but one thread runs in it, and an
interpreter of its own elsewhere: under threads, with a live line on the terminal for example, a copy might wait for
ever for what another thread held. A copy is there in a tenth of the time. `supervise.py` is what both do.
"""

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

from mmcicd_jenkins.adapters import supervise
from mmcicd_jenkins.errors import InputError

# An import takes the compiled file; a script would be compiled each time. Our folder comes last, so that nothing in
# it can stand in for a module of the standard library.
_SUPERVISE = (
    "import sys; sys.path.append(sys.argv[1]); import supervise; "
    "supervise.main(*map(int, sys.argv[2:5]), float(sys.argv[5]), sys.argv[6])"
)


class _Process(Protocol):
    pid: int

    def wait(self) -> int: ...


class Supervised:
    """A command from its start to the last process of it; leaving the block ends what is left.

    Args:
        lock: a locked file that the supervisor keeps open until nothing of the command is left.

    Raises:
        InputError: it cannot be started.
    """

    def __init__(
        self, command: str, directory: Path, environment: Mapping[str, str], lock: int, grace_seconds: float
    ) -> None:
        self.status = 127
        self._directory = directory
        control, self._control = _pipe()
        self.report, report = _pipe()
        self.output, output = _pipe()
        lock = _beyond_streams(lock)
        os.set_blocking(self.output, False)
        start = _copy if _is_single_threaded() else _interpret
        try:
            self._process = start(
                (control, report, lock, grace_seconds, command), output, directory, environment
            )
        except OSError as e:
            for ours in (self._control, self.report, self.output):
                os.close(ours)
            raise self._refused(e.errno or 0) from e
        finally:
            for its in (control, report, output, lock):
                os.close(its)

    def order(self, letter: bytes) -> None:
        """`T`, `I` or `K`, as `supervise.py` explains."""
        with contextlib.suppress(OSError):
            os.write(self._control, letter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Closing the control pipe kills whatever is left: an error here leaves no process behind."""
        # Taken away before it is closed: a signal that comes now must not write into what reuses the number.
        control, self._control = self._control, -1
        os.close(control)
        code = self._process.wait()
        with os.fdopen(self.report, "r") as report:
            told = report.read().split()
        os.close(self.output)
        if not told:
            supervise.kill_session(self._process.pid)
        self.status = int(told[-1]) if told else code
        if len(told) > 1 and kind is None:
            raise self._refused(int(told[0]))

    def _refused(self, number: int) -> InputError:
        why = "command and variables are too long together" if number == errno.E2BIG else os.strerror(number)
        return InputError("the command cannot be started", where=str(self._directory), why=why)


def _pipe() -> tuple[int, int]:
    """Both ends, not under the number of a standard stream: where one was closed, they would get it."""
    ends = os.pipe()
    moved = _beyond_streams(ends[0]), _beyond_streams(ends[1])
    for end in ends:
        os.close(end)
    return moved


def _beyond_streams(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _is_single_threaded() -> bool:
    """Threads of libraries count too, so the kernel is asked; where it does not tell, there may be some."""
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208  names alone
    except OSError:
        return False


class _Copy:
    """What `_Process` wants, of a process that `os.fork` made."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _copy(work: supervise.Work, output: int, directory: Path, environment: Mapping[str, str]) -> _Process:
    return _Copy(supervise.copy(work, output, str(directory), environment))


def _interpret(
    work: supervise.Work, output: int, directory: Path, environment: Mapping[str, str]
) -> _Process:
    folder = str(Path(supervise.__file__).parent)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SUPERVISE, folder, *map(str, work)],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=work[:3],
        start_new_session=True,
    )
