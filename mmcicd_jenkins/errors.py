"""Every error family and its exit code. Imports nothing, prints nothing.

An error is one sentence of *what*, then *where* (file:line:column or resource),
*why* and *fix*. Adapters translate foreign exceptions into these at the border;
`cli.report` is the only printer. Jenkins acts on the exit codes, so a code keeps
its meaning for ever.
"""

from dataclasses import dataclass


class MmcicdError(Exception):
    """One problem, told so that its reader can act on it.

    Args:
        what: one sentence without a final full stop.
        where: `file:line:column`, a resource name or a redacted URL.
        why: the cause, as far as it is known.
        fix: what to type or change.
        retryable: the same command may succeed later with nothing changed.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: str = "", why: str = "", fix: str = "", retryable: bool = False
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix
        self.retryable = retryable

    def to_json(self) -> dict[str, object]:
        return {
            "error": self.what,
            "where": self.where,
            "why": self.why,
            "fix": self.fix,
            "exit_code": self.exit_code,
            "retryable": self.retryable,
        }


class UsageError(MmcicdError):
    """The command line is wrong."""

    exit_code = 2


class InputError(MmcicdError):
    """Config, template, data or another input is wrong."""

    exit_code = 3


class GateRefused(MmcicdError):
    """A gate said no; nothing was released and the old version keeps serving."""

    exit_code = 4


class OutsideFailed(MmcicdError):
    """A system outside this program failed."""

    exit_code = 5


class Inconclusive(MmcicdError):
    """The evidence does not decide; a person must."""

    exit_code = 6


class IntegrityFailed(MmcicdError):
    """A digest, signature or chain does not match. Never retried."""

    exit_code = 7


class CommandFailed(MmcicdError):
    """The team's own command failed.

    Args:
        status: its exit status; negative when a signal ended it, as in `subprocess`.
        last_lines: the end of its output, redacted.
    """

    exit_code = 8

    def __init__(
        self,
        what: str,
        *,
        status: int,
        last_lines: tuple[str, ...] = (),
        where: str = "",
        why: str = "",
        fix: str = "",
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.status = status
        self.last_lines = last_lines

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"status": self.status, "last_lines": list(self.last_lines)}


class Superseded(MmcicdError):
    """A newer decision stands; nothing was changed."""

    exit_code = 75


class Interrupted(MmcicdError):
    """Ctrl-C; the state is safe and the same command goes on."""

    exit_code = 130


class Terminated(MmcicdError):
    """SIGTERM, or its terminal was closed; the state is safe and the same command goes on."""

    exit_code = 143


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake in a text file. `line` and `column` count from 1; `excerpt` is the line itself."""

    file: str
    line: int
    column: int
    width: int
    what: str
    fix: str
    excerpt: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ConfigInvalid(InputError):
    """Every mistake of a config file at once, in the order of its lines."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        count = "" if len(problems) == 1 else f" ({len(problems)} problems)"
        super().__init__(first.what + count, where=first.where, fix=first.fix)
        self.problems = problems

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {
            "problems": [
                {"file": p.file, "line": p.line, "column": p.column, "what": p.what, "fix": p.fix}
                for p in self.problems
            ]
        }
