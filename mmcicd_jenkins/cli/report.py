"""The only printer. stdout carries data (text or one JSON object), stderr everything a person reads meanwhile."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mmcicd_jenkins.errors import CommandFailed, ConfigInvalid, MmcicdError

# What moves the cursor, recolours, hides or reorders text, and what no encoding can write: control characters
# except line feed and tab, bidirectional marks, lone surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

# More than a screen holds is not read; --json has them all.
SHOWN_PROBLEMS = 25


def plain(text: str) -> str:
    """Foreign words as they may reach a terminal: a name in a repository must not draw there."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def counted(number: int, noun: str) -> str:
    """`1 release`, `12 releases`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def say(text: str = "", *, mark: str = "", **style: Any) -> None:
    """One line for people, on stderr; `mark` stands before it in red, `style` is click's."""
    told = plain(text)
    if style:
        told = click.style(told, **style)
    if mark:
        told = f"{click.style(mark, fg='red', bold=True)}: {told}"
    click.echo(told, err=True)


class Lines:
    """`ports.Progress` of a command that is over at once: what must be known is said, how far it is is not."""

    def line(self, text: str) -> None:
        say(text)

    def update(self, text: str, done: float | None = None) -> None:
        pass


def out(text: str) -> None:
    """One line of data, on stdout."""
    click.echo(plain(text))


def emit(document: Mapping[str, object]) -> None:
    """The result of a command with `--json`: one object on stdout."""
    _emit(json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True))


def emit_line(document: Mapping[str, object]) -> None:
    """One of many objects on stdout, on a line of its own, at once: whoever reads it waits for it."""
    _emit(json.dumps(document, ensure_ascii=False, sort_keys=True))
    sys.stdout.flush()


def _emit(text: str) -> None:
    # JSON escapes control characters; a lone surrogate, from a file name that is not UTF-8, is left to us.
    click.echo(text.encode("utf-8", "backslashreplace").decode())


def _without_secrets(text: str) -> str:
    """An error quotes what servers and libraries said, and they quote what they were sent."""
    from mmcicd_jenkins.adapters.redaction import Redactor

    return (
        Redactor(os.environ).hide(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    )


def failed(error: MmcicdError, *, as_json: bool) -> int:
    """Tell an error and give its exit code."""
    for part in ("what", "where", "why", "fix"):
        setattr(error, part, _without_secrets(getattr(error, part)))
    if as_json:
        emit(error.to_json())
        return error.exit_code
    if isinstance(error, ConfigInvalid):
        from mmcicd_jenkins.config.problems import render_problem

        for problem in error.problems[:SHOWN_PROBLEMS]:
            say(render_problem(problem))
        rest = len(error.problems) - SHOWN_PROBLEMS
        if len(error.problems) > 1:
            say(f"{len(error.problems)} mistakes" + (f"; {rest} more are in --json" if rest > 0 else ""))
        return error.exit_code
    say(error.what, mark="error")
    for label in ("where", "why", "fix"):
        text = getattr(error, label)
        if text:
            say(f"  {label:<6} " + text.replace("\n", "\n         "))
    if isinstance(error, CommandFailed) and error.last_lines:
        say("  output")
        for line in error.last_lines:
            say(f"    {line}")
    return error.exit_code


def bug(error: Exception, *, as_json: bool) -> int:
    """Tell an error that is ours: one sentence, and the traceback in a file to send."""
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile("w", prefix="mmcicd-bug-", suffix=".txt", delete=False) as file:
            file.write(_without_secrets("".join(traceback.format_exception(error))))
        where, fix = file.name, "send us that file; what was written before is safe"
    except OSError:
        # A full disk may be the very cause; then the little that we know goes where the error goes.
        where, fix = "".join(traceback.format_exception(error)[-3:]).strip(), "send us these lines"
    told = MmcicdError(
        f"this is a bug of mmcicd-jenkins: {type(error).__name__}: {error}", where=where, fix=fix
    )
    return failed(told, as_json=as_json)


def table(rows: Sequence[Sequence[str]], *, head: Sequence[str] = ()) -> str:
    """Columns aligned by their widest cell; on a terminal a line ends where the screen does."""
    lines = aligned(rows, head=head)
    if sys.stdout.isatty():
        import shutil

        width = shutil.get_terminal_size().columns
        lines = [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]], *, head: Sequence[str] = ()) -> list[str]:
    """The lines of a table, as long as they are."""
    everything = [[_one_line(cell) for cell in row] for row in ([head, *rows] if head else rows)]
    if not everything:
        return []
    widths = [max(len(row[i]) for row in everything) for i in range(len(everything[0]))]
    lines = []
    for row in everything:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines


def _one_line(cell: str) -> str:
    return re.sub(r"[ \t]*\n[ \t]*", " ", cell)


def stderr_is_terminal() -> bool:
    return sys.stderr.isatty()


def stderr_columns() -> int | None:
    """The width of the screen that a person reads; None in a log, which is read by search."""
    if not stderr_is_terminal():
        return None
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80


def stdout_columns() -> int | None:
    """The same for what is printed as data."""
    if not sys.stdout.isatty():
        return None
    return os.get_terminal_size(sys.stdout.fileno()).columns or 80


def relative(path: Path) -> str:
    """A path as a person in the current folder would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
