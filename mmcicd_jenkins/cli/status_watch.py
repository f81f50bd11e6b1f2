"""`status --watch`: looks again and again; redraws a terminal, prints what changed into a log, or one JSON object for it.

It ends by Ctrl-C or SIGTERM alone, which leave the screen as it was. A look that fails is told and made again.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn, Protocol, Self

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.status_lines import Line, mark_of
from mmcicd_jenkins.cli.status_look import Look
from mmcicd_jenkins.cli.status_table import table
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.release.documents import to_document

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

# A ledger on a server is somebody else's, and takes a push or two a minute.
LEDGER_SECONDS = 10.0


class Screen(Protocol):
    """Shows one look after another."""

    def show(self, lines: Sequence[Line]) -> None: ...

    def failed(self, error: MmcicdError) -> None: ...


def watch(look: Look, screen: Screen, seconds: float, *, ledger_seconds: float) -> NoReturn:
    """Look every so many seconds until a signal ends it. The first look has no excuse: what fails there is an error."""
    look.read_ledger()
    read = time.monotonic()
    screen.show(look.lines())
    while True:
        time.sleep(seconds)
        try:
            if time.monotonic() - read >= ledger_seconds:
                look.read_ledger()
                read = time.monotonic()
            screen.show(look.lines())
        except MmcicdError as e:
            screen.failed(e)


class Changes:
    """What changed, and nothing else, by `tell`."""

    def __init__(self, tell: Callable[[str, Line, Line | None], None]) -> None:
        self._tell = tell
        self._last: dict[tuple[str, str], Line] = {}
        self._error = ""

    def show(self, lines: Sequence[Line]) -> None:
        self._error = ""
        now = _now()
        for line in lines:
            place = (line.model, line.environment)
            if (before := self._last.get(place)) != line:
                self._tell(now, line, before)
                self._last[place] = line

    def failed(self, error: MmcicdError) -> None:
        """Once for as long as it lasts."""
        if str(error) != self._error:
            self._error = str(error)
            report.say(f"{_now()} could not look: {error.what}")


def tell_json(now: str, line: Line, before: Line | None) -> None:
    """One object for each change; the first ones are how things stand."""
    del before
    report.emit_line({"at": now, **to_document(line)})


def tell_words(now: str, line: Line, before: Line | None) -> None:
    parts = [f"{now} {line.model} {line.environment}: {_words(line)}"]
    if before is not None and _words(before) != _words(line):
        parts.append(f"(was: {_words(before)})")
    known = {before.warning, before.note} if before else set()
    parts += [f"- {text}" for text in (line.warning, line.note) if text and text not in known]
    if before is not None and before.warning and not line.warning:
        parts.append("- as the ledger says again")
    report.out(" ".join(parts))


def _words(line: Line) -> str:
    version = "nothing" if line.recorded is None else str(line.recorded)
    return ", ".join(filter(None, [version, line.state, line.why]))


class Redrawn:
    """A terminal that is drawn anew at each look, below what stood there."""

    def __init__(self, head: str, every: float) -> None:
        from rich.console import Console
        from rich.live import Live

        self._head = head
        self._every = every
        self._lines: Sequence[Line] = ()
        self._error = ""
        self._at = ""
        self._live = Live(
            self, console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, lines: Sequence[Line]) -> None:
        self._lines, self._error, self._at = lines, "", _now()
        self._live.refresh()

    def failed(self, error: MmcicdError) -> None:
        self._error = error.what
        self._live.refresh()

    def __rich_console__(self, _console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        yield Text(self._head)
        yield Text(table(self._lines, options.max_width) if self._lines else "asking ...")
        for line in self._lines:
            if line.warning:
                yield Text.assemble((mark_of(line), "bold red"), f": {report.plain(line.warning)}")
            elif line.note:
                yield Text(report.plain(line.note))
        if self._error:
            yield Text.assemble(("could not look", "bold red"), f": {report.plain(self._error)}")
        yield Text(f"{self._at}, every {self._every:g} s; Ctrl-C ends", style="dim")


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
