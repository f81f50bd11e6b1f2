"""`ports.Progress` for people: a live line on a terminal, plain lines with a heart-beat in a log."""

import time
from types import TracebackType
from typing import Protocol, Self

from mmcicd_jenkins.cli import report

# A build log wants to see that something lives, not every line of a training; the whole output is in its log file.
LOG_SECONDS = 10.0


class StageProgress(Protocol):
    """A progress that also knows which stage runs."""

    def line(self, text: str) -> None: ...

    def update(self, text: str, done: float | None = None) -> None: ...

    def begin(self, stage: str) -> None: ...

    def end(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LogProgress:
    """One line at a time."""

    def __init__(self) -> None:
        self._stage = ""
        self._shown = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, stage: str) -> None:
        self._stage = stage
        self._shown = time.monotonic()

    def end(self) -> None:
        self._stage = ""

    def line(self, text: str) -> None:
        report.say(f"  {self._stage:<9} {text}" if self._stage else text)

    def update(self, text: str, done: float | None = None) -> None:
        now = time.monotonic()
        if any(c.isalpha() for c in text) and now - self._shown >= LOG_SECONDS:
            self._shown = now
            self.line(text.strip() + (f" {done:.0%}" if done is not None else ""))


class TerminalProgress:
    """One live line below what is already said."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.status import Status

        self._console = Console(stderr=True, highlight=False)
        self._status: Status = Status("", console=self._console, spinner="dots")
        self._stage = ""
        self._started = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, stage: str) -> None:
        self._stage, self._started = stage, time.monotonic()
        self._status.update(f"{stage:<9}")
        self._status.start()

    def end(self) -> None:
        self._status.stop()

    def line(self, text: str) -> None:
        self._console.print(f"  {self._stage:<9} {text}" if self._stage else text, markup=False)

    def update(self, text: str, done: float | None = None) -> None:
        from rich.markup import escape

        seconds = time.monotonic() - self._started
        share = f" {done:.0%}" if done is not None else ""
        room = max(20, self._console.width - 32)
        shown = "".join(c for c in text.strip() if c.isprintable())[-room:]
        self._status.update(f"{self._stage:<9} {escape(shown)}{share} [dim]{seconds:.0f} s[/dim]")


def make_progress() -> StageProgress:
    """The one that fits stderr."""
    return TerminalProgress() if report.stderr_is_terminal() else LogProgress()
