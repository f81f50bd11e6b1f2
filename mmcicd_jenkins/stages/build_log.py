"""What the log of a pipeline says about its course: stages, agents, builds that it starts, questions, exit codes. Pure.

The law: a log holds whatever the built code prints, so nothing read here decides more than what a person is shown
and with which code the command ends; the result itself comes from Jenkins.
"""

import re
from collections.abc import Iterator
from typing import Literal

from mmcicd_jenkins.records import dataclass

Kind = Literal["stage", "end", "skipped", "agent", "scheduled", "building", "asks", "code"]

_STAGE = re.compile(r"\[Pipeline\] \{ \((?P<text>.+)\)\Z")
_PLAIN: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("agent", re.compile(r"Running on (?P<text>.+?) in /")),
    ("scheduled", re.compile(r"Scheduling project: (?P<text>.+)\Z")),
    ("building", re.compile(r"Starting building: (?P<text>.+) #(?P<number>\d+)\Z")),
    ("skipped", re.compile(r'Stage "(?P<text>.+)" skipped due to ')),
    ("code", re.compile(r"ERROR: (?:release #\d+: )?exit code (?P<number>\d+)\b")),
    # A hook's own status: what a team's command means by it we do not know.
    ("code", re.compile(r"ERROR: script returned exit code (?P<team>\d+)\Z")),
)
# Jenkins marks places in a log with serialised notes, which its pages show as links.
_NOTE = re.compile(rb"\x1b\[8mha:[A-Za-z0-9+/=]*\x1b\[0m")
# The code of `errors.CommandFailed`.
_TEAM = 8
# Longer lines are output, not course.
_LONGEST = 2000


@dataclass(frozen=True, kw_only=True)
class Event:
    """`text` is a stage, an agent, or the full name of a job; `number` a build or an exit code."""

    kind: Kind
    text: str = ""
    number: int = 0


class BuildLog:
    """Takes a log in pieces, cut anywhere, and gives its events. Keeps the last lines for who must explain a failure."""

    def __init__(self, keep: int = 20) -> None:
        self._rest = b""
        self._blocks: list[str] = []
        self._expects = ""
        self._keep = keep
        self.last_lines: list[str] = []

    def feed(self, part: bytes) -> tuple[list[str], list[Event]]:
        """The whole lines that `part` completes, and what they say."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        told = [_NOTE.sub(b"", line).decode("utf-8", "replace").rstrip("\r") for line in lines]
        self.last_lines = [*self.last_lines, *(t for t in told if not t.startswith("[Pipeline]"))][
            -self._keep :
        ]
        return told, [event for line in told for event in self._events(line)]

    def _events(self, line: str) -> Iterator[Event]:
        if len(line) > _LONGEST:
            return
        if line.startswith("[Pipeline] "):
            yield from self._course(line)
            return
        for kind, pattern in _PLAIN:
            found = pattern.match(line)
            if found:
                named = found.groupdict()
                number = _TEAM if named.get("team") else int(named.get("number") or 0)
                yield Event(kind=kind, text=_full_name(kind, named.get("text") or ""), number=number)
                return

    def _course(self, line: str) -> Iterator[Event]:
        step = line.removeprefix("[Pipeline] ")
        found = _STAGE.match(line)
        if step.startswith("{"):
            is_stage = found is not None and self._expects == "stage"
            self._blocks.append(found["text"] if found and is_stage else "")
            if found and is_stage:
                yield Event(kind="stage", text=found["text"])
        elif step == "}":
            name = self._blocks.pop() if self._blocks else ""
            if name:
                yield Event(kind="end", text=name)
        elif step == "input":
            yield Event(kind="asks")
        if not step.startswith(("{", "}", "//")):
            self._expects = step.split(" ", maxsplit=1)[0]


def _full_name(kind: Kind, text: str) -> str:
    """Jenkins shows `ml » ops » churn-release`."""
    return text.replace(" » ", "/") if kind in {"scheduled", "building"} else text
