"""`ports.Progress` for people: a live line on a terminal, plain lines with a heart-beat in a log."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from mmcicd_jenkins.cli import report

if TYPE_CHECKING:
    from rich.text import Text

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

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._shown = 0.0
        self._moving = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, stage: str) -> None:
        self._stage = stage
        self._shown = self._clock()

    def end(self) -> None:
        self._stage = ""

    def line(self, text: str) -> None:
        report.say(f"  {self._stage:<9} {text}" if self._stage else text)

    def update(self, text: str, done: float | None = None) -> None:
        now = self._clock()
        if done is not None and text != self._moving:
            # What has only begun has no news: `0%` after a long silence says less than the silence.
            self._moving, self._shown = text, now
        if any(c.isalpha() for c in text) and now - self._shown >= LOG_SECONDS:
            self._shown = now
            self.line(text.strip() + (f" {done:.0%}" if done is not None else ""))


class Live:
    """What the live line holds. It is drawn many times a second, so the seconds go on where nothing else does."""

    def __init__(self, width: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = max(20, width - 32)
        self._clock = clock
        self.begin("")

    def begin(self, stage: str) -> None:
        self._stage, self._started, self._shown = stage, self._clock(), ""

    def show(self, text: str, done: float | None) -> None:
        share = f" {done:.0%}" if done is not None else ""
        self._shown = "".join(c for c in text.strip() if c.isprintable())[-self._room :] + share

    def __rich__(self) -> "Text":
        from rich.text import Text

        seconds = self._clock() - self._started
        line = Text(f"{self._stage:<9}" + (f" {self._shown}" if self._shown else ""), no_wrap=True)
        return line.append(f" {seconds:.0f} s", style="dim") if seconds >= 1 else line


class TerminalProgress:
    """One live line below what is already said."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.status import Status

        self._console = Console(stderr=True, highlight=False)
        self._live = Live(self._console.width)
        self._status: Status = Status(self._live, console=self._console, spinner="dots")
        self._stage = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, stage: str) -> None:
        self._stage = stage
        self._live.begin(stage)
        self._status.start()

    def end(self) -> None:
        self._status.stop()

    def line(self, text: str) -> None:
        self._console.print(f"  {self._stage:<9} {text}" if self._stage else text, markup=False)

    def update(self, text: str, done: float | None = None) -> None:
        self._live.show(text, done)


def make_progress() -> StageProgress:
    """The one that fits stderr."""
    return TerminalProgress() if report.stderr_is_terminal() else LogProgress()
