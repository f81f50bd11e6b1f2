"""The process between us and a team's command: `main`, in a copy of ours or in an interpreter of its own.

It leads the session, starts `/bin/sh -c COMMAND` in a group of its own, and answers three questions that a
parent cannot: nothing that the command started outlives it (this process adopts orphans), nothing outlives
us (the control pipe closes when we die, even by SIGKILL, and everything is killed at once), and the log's
lock is held until the last of them is gone, so the next run cannot meet the remains of this one.

Control pipe: one byte per order, `T` and `I` forward SIGTERM and SIGINT and start the grace, `K` kills.
Report pipe: the command's status, once, when nothing of it is left; before it the number of the error, when the
command could not be started.

The standard library alone, and little of it: an interpreter of its own waits for every import.
"""

import contextlib
import ctypes
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping

# What is left when the command itself has ended gets SIGTERM and this long.
LEFTOVER_SECONDS = 2.0
# A killed tree is looked at again this often: a process may fork while it is being killed.
AGAIN_SECONDS = 0.05
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# Those that may have a handler of ours or of whoever uses us as a library. All that the system has would be too many:
# `signal` tells which were blocked before, and a look at each number without a name is slow.
HANDLED = sorted(set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
LETTERS = {b"T": signal.SIGTERM, b"I": signal.SIGINT}
# Control pipe, report pipe, the log whose lock is held, seconds of grace, command: what `main` wants.
Work = tuple[int, int, int, float, str]


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere the process group is all there is."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def copy(work: Work, output: int, directory: str, environment: Mapping[str, str]) -> int:
    """`main` in a copy of this process, which must have a single thread; gives its pid.

    Signals wait until the copy has its own handlers: ours would act as if it were us.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            _be_copy(work, output, directory, environment)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_copy(work: Work, output: int, directory: str, environment: Mapping[str, str]) -> None:
    """Keep of us what an interpreter of its own would have got, and nothing else."""
    try:
        # An object that is thrown away may close its file, whose number is another's by now.
        gc.disable()
        os.setsid()
        for stream, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
            os.dup2(descriptor, stream)
        kept = sorted(work[:3])
        for low, high in zip([2, *kept], [*kept, os.sysconf("SC_OPEN_MAX")], strict=True):
            os.closerange(low + 1, high)
        try:
            os.chdir(directory)
        except OSError as e:
            os.write(work[1], f"{e.errno} 127\n".encode())
            os._exit(127)
        main(*work, environment)
    finally:
        os._exit(127)


def _start(command: str, report: int, environment: Mapping[str, str]) -> int:
    supervisor = os.getpid()
    child = os.fork()
    if child:
        with contextlib.suppress(OSError):  # the child did it first
            os.setpgid(child, child)
        return child
    try:
        os.setpgid(0, 0)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(137)
        for name in (
            signal.SIGPIPE,
            signal.SIGXFSZ,
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGCHLD,
        ):
            signal.signal(name, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # The shell is the contract: a line as the team wrote it.
        os.execve("/bin/sh", ["sh", "-c", command], environment)  # noqa: S606
    except OSError as e:
        os.write(report, f"{e.errno}\n".encode())
    finally:
        os._exit(127)


def _processes() -> Iterator[tuple[int, int, int]]:
    """(pid, parent, session) of every process, from /proc; nothing where there is no /proc."""
    with contextlib.suppress(OSError):
        for entry in os.listdir("/proc"):  # noqa: PTH208  pathlib costs start-up time here
            if entry.isdigit():
                with contextlib.suppress(OSError, ValueError), open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123
                    # The name in parentheses may itself hold spaces and parentheses.
                    fields = file.read().rpartition(b")")[2].split()
                    yield int(entry), int(fields[1]), int(fields[3])


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, parent, _ in _processes():
        children.setdefault(parent, []).append(pid)
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def kill_session(leader: int) -> None:
    """What a supervisor that was itself killed left behind."""
    for pid, _, session in _processes():
        if session == leader:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


class Supervisor:
    """The command's tree, from start to its last process."""

    def __init__(self, control: int, report: int, grace_seconds: float) -> None:
        self.orders = [control]  # empty once it is closed: select would return at once for ever
        self.report = report
        self.grace_seconds = grace_seconds
        self.child = 0
        self.status: int | None = None
        self.deadline: float | None = None
        self.wake = self._listen()

    def _listen(self) -> int:
        wake, write = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for name in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, lambda *_: None)  # the wake-up pipe carries the number
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return wake

    def run(self, command: str, environment: Mapping[str, str]) -> int:
        self.child = _start(command, self.report, environment)
        for stream in (1, 2):  # only the command may hold the output pipe, else its end is never seen
            os.dup2(0, stream)
        while self._reap():
            self._wait()
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self._signal_tree(signal.SIGKILL)
                self.deadline = time.monotonic() + AGAIN_SECONDS
        return self.status if self.status is not None else 127

    def _reap(self) -> bool:
        """Collect what ended; False when nothing is left. What the command left behind is told to end."""
        ended = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                # No child means no descendant, as orphans are adopted; elsewhere the group may have more.
                with contextlib.suppress(OSError):
                    os.killpg(self.child, signal.SIGTERM)
                return False
            if pid == 0:
                if ended:
                    self._signal_tree(signal.SIGTERM)
                    self._end_within(LEFTOVER_SECONDS)
                return True
            if pid == self.child:
                self.status = os.waitstatus_to_exitcode(status)
                ended = True

    def _wait(self) -> None:
        timeout = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        ready, _, _ = select.select([*self.orders, self.wake], [], [], timeout)
        if self.wake in ready:
            for number in os.read(self.wake, 4096):
                if number != signal.SIGCHLD:
                    self._stop(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
        if ready and ready[0] in self.orders:
            self._obey(os.read(ready[0], 4096))

    def _obey(self, letters: bytes) -> None:
        if not letters:
            self.orders = []
        if not letters or b"K" in letters:
            self._end_within(0.0)
        for letter, number in LETTERS.items():
            if letter in letters:
                self._stop(number)

    def _stop(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.child, number)
        self._end_within(self.grace_seconds)

    def _end_within(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    def _signal_tree(self, number: int) -> None:
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        with contextlib.suppress(OSError):
            os.killpg(self.child, number)


def main(
    control: int,
    report: int,
    lock: int,
    grace_seconds: float,
    command: str,
    environment: Mapping[str, str] = os.environ,
) -> None:
    for descriptor in (control, report, lock):
        os.set_inheritable(descriptor, False)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    status = Supervisor(control, report, grace_seconds).run(command, environment)
    with contextlib.suppress(OSError):
        os.write(report, f"{status}\n".encode())
