"""Runs the team's own commands: `ports.Commands` on `/bin/sh`, under the supervisor of `supervise.py`.

Output is bounded in memory however it comes: endless lines are cut, binary bytes are told as text, and
secrets leave neither to the log nor to anyone who listens. What the command starts ends with it, and it
ends with us: by its own end, a timeout, our SIGTERM or SIGINT, or our death.
"""

import contextlib
import os
import re
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import IO, Protocol, Self

from mmcicd_jenkins.adapters import file_lock
from mmcicd_jenkins.adapters.credentials import without_ours
from mmcicd_jenkins.adapters.redaction import Redactor
from mmcicd_jenkins.adapters.supervised import Supervised
from mmcicd_jenkins.errors import InputError, Interrupted, OutsideFailed, Terminated
from mmcicd_jenkins.ports import Finished

GRACE_SECONDS = 15.0
LAST_LINES = 30
# A line is shown up to this length; the log has all of it.
SHOWN_CHARACTERS = 500
# An unfinished line longer than this is handed on in pieces, so that memory stays bounded.
LONGEST_LINE = 64 * 1024
# Colours, cursor moves and titles, whole: without its first byte the rest of one would be shown as text.
_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_CONTROL = dict.fromkeys((*range(9), *range(10, 32), 127), " ")


class ShellCommands:
    """`ports.Commands`.

    Args:
        grace_seconds: how long a command may go on after SIGTERM or SIGINT, to write its checkpoint.
        lock_seconds: how long to wait for the remains of an earlier run that writes the same log.
    """

    def __init__(self, *, grace_seconds: float = GRACE_SECONDS, lock_seconds: float = 30.0) -> None:
        self._grace_seconds = grace_seconds
        self._lock_seconds = lock_seconds

    def run(
        self,
        command: str,
        *,
        directory: Path,
        variables: Mapping[str, str],
        log: Path,
        timeout_seconds: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run `command` with our environment, free of our credentials, and `variables` on top; see `ports.Commands.run`.

        Raises:
            InputError: the command cannot be started as it is written.
            OutsideFailed: the log cannot be written, or another run still holds it.
            Terminated, Interrupted: we were told to stop; the command had its grace to checkpoint.
        """
        environment = {"PYTHONUNBUFFERED": "1", **os.environ, **variables}
        check_command(command, directory, variables)
        with open_log(log, self._lock_seconds) as file, Stops() as stops:
            output = Output(file, Redactor(environment), on_line)
            started = time.monotonic()
            process = Supervised(
                command, directory, without_ours(environment), file.fileno(), self._grace_seconds
            )
            with process:
                stops.forward_to(process)
                timed_out = _follow(process, output, started + timeout_seconds)
            output.close()
            if stops.received:
                raise stopped(stops.received, process.status, str(log))
            return Finished(
                status=process.status,
                last_lines=tuple(output.last_lines),
                seconds=time.monotonic() - started,
                timed_out=timed_out,
                why=meaning(process.status, timed_out, timeout_seconds),
            )


def check_command(command: str, directory: Path, variables: Mapping[str, str]) -> None:
    if not command.strip():
        raise InputError("there is no command to run", why="it is empty")
    if any("\0" in text for text in (command, *variables, *variables.values())):
        raise InputError("a command and its variables cannot hold a NUL character", why=f"{command[:80]!r}")
    if not directory.is_dir():
        raise InputError(
            "the folder in which to run the command is missing",
            where=str(directory),
            why=f"{command[:80]!r} runs there",
        )


@contextlib.contextmanager
def open_log(log: Path, lock_seconds: float) -> Iterator[IO[bytes]]:
    """The log, locked: the supervisor of a killed run holds the lock until its command is gone."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("ab", buffering=0)
    except OSError as e:
        raise OutsideFailed("the log of a command cannot be written", where=str(log), why=_why(e)) from e
    with file:
        if not file_lock.take(file, lock_seconds):
            raise OutsideFailed(
                "another run of this command has not ended",
                where=str(log),
                why=f"it still holds its log after {lock_seconds:g} s",
                fix="wait for it, or end it, then run the same command again",
                retryable=True,
            )
        yield file


def _follow(process: Supervised, output: "Output", deadline: float) -> bool:
    """Hand on the output until nothing of the command is left; True when it took too long."""
    timed_out = False
    waiting = [process.output, process.report]
    while process.report in waiting:
        ready, _, _ = select.select(
            waiting, [], [], None if timed_out else max(0.0, deadline - time.monotonic())
        )
        if process.output in ready and not _pump(process.output, output):
            waiting.remove(process.output)
        elif process.report in ready:
            waiting.remove(process.report)
        if not timed_out and time.monotonic() >= deadline:
            timed_out = True
            process.order(b"T")
    while process.output in waiting and _pump(process.output, output):
        pass
    return timed_out


def _pump(descriptor: int, output: "Output") -> bool:
    """Take what is there; False at the end, or when nothing is there."""
    try:
        piece = os.read(descriptor, LONGEST_LINE)
    except BlockingIOError:
        return False
    output.take(piece)
    return bool(piece)


class Output:
    """Log, listener and last lines, fed with pieces of bytes."""

    def __init__(self, log: IO[bytes], redactor: Redactor, on_line: Callable[[str], None] | None) -> None:
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._log = log
        self._redactor = redactor
        self._on_line = on_line
        self._pending = b""

    def take(self, piece: bytes) -> None:
        self._pending += piece
        end = max(self._pending.rfind(b"\n"), self._pending.rfind(b"\r")) + 1
        if end == 0 and len(self._pending) > LONGEST_LINE:
            self._pending = self._redactor.hide(self._pending)
            # What may be the beginning of a secret waits for its rest.
            end = len(self._pending) - self._redactor.longest
        if end > 0:
            complete, self._pending = self._pending[:end], self._pending[end:]
            self._emit(complete)

    def close(self) -> None:
        if self._pending:
            self._emit(self._pending)

    def _emit(self, output: bytes) -> None:
        output = self._redactor.hide(output)
        try:
            view = memoryview(output)
            while view:
                view = view[self._log.write(view) :]
        except OSError as e:
            raise OutsideFailed(
                "the log of a command cannot be written; the command was stopped",
                where=str(self._log.name),
                why=_why(e),
                fix="make room, then run the same command again: it goes on from its checkpoint",
            ) from e
        for line in output.replace(b"\r", b"\n").split(b"\n"):
            if line:
                begin = _ESCAPE.sub(b"", line[: 4 * SHOWN_CHARACTERS])
                text = begin.decode("utf-8", "replace").translate(_CONTROL)
                text = text[:SHOWN_CHARACTERS].rstrip()
                self.last_lines.append(text)
                if self._on_line is not None:
                    self._on_line(text)


class Ordered(Protocol):
    """What can be told to end: `T` and `I` forward a signal and start the grace, `K` kills."""

    def order(self, letter: bytes) -> None: ...


class Stops:
    """SIGTERM and SIGINT to us, forwarded once each; a second SIGINT kills, as people at a keyboard expect."""

    def __init__(self) -> None:
        self.received: int = 0
        self._process: Ordered | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def forward_to(self, process: Ordered) -> None:
        self._process = process
        if self.received:
            self._order(self.received)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        again = self.received == signal.SIGINT == number
        self.received = self.received or number
        if self._process is not None:
            if again:
                self._process.order(b"K")
            else:
                self._order(number)

    def _order(self, number: int) -> None:
        assert self._process is not None  # noqa: S101  both callers looked
        self._process.order(b"I" if number == signal.SIGINT else b"T")


def stopped(number: int, status: int, log: str) -> Terminated | Interrupted:
    kind = Interrupted if number == signal.SIGINT else Terminated
    ended = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    return kind(
        f"stopped by {signal.Signals(number).name}; the command was told and ended {ended}",
        where=log,
        fix="run the same command again: it goes on from its last checkpoint",
    )


def meaning(status: int, timed_out: bool, timeout_seconds: float) -> str:
    if timed_out:
        return f"it was still running after {timeout_seconds:g} s and was stopped"
    if status == 127:
        return "a command was not found: the last lines name it; is it installed, in PATH, and spelled right?"
    if status == 126:
        return "a file is there but cannot be executed: chmod +x it, and commit that (git update-index --chmod=+x)"
    number = -status if status < 0 else status - 128
    if number == signal.SIGKILL:
        return "it was killed (SIGKILL); mostly because memory ran out"
    if status < 0 or number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGTERM):
        with contextlib.suppress(ValueError):
            return f"{signal.Signals(number).name} ended it"
    return ""


def _why(e: OSError) -> str:
    return e.strerror or str(e)
