"""Mistakes and warnings on their way to the reader: each with its place, none twice, none as an echo of another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mmcicd_jenkins.config.marks import MAX_PROBLEMS, Document, KeyPath, Mark, dotted
from mmcicd_jenkins.config.places import redacted
from mmcicd_jenkins.errors import Problem

# Column from 0 and width inside a value's text.
Span = tuple[int, int]
# `name`: the mistake is in the key itself, whatever is wrong below it.
On = Literal["value", "key", "name"]


@dataclass
class Findings:
    """`broken` are the paths whose values were so wrong that nothing more can be said about them.

    `overrides` are values from outside the file: path -> (where it came from, its text).
    """

    document: Document
    overrides: Mapping[KeyPath, tuple[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: list[KeyPath] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether nobody would read one more."""
        return len(self.problems) >= MAX_PROBLEMS

    def is_broken(self, path: KeyPath) -> bool:
        """Whether the value at `path`, a parent or a part of it is not what was written."""
        return any(_related(path, known) for known in self.broken)

    def add(self, path: KeyPath, what: str, fix: str, *, on: On = "value", span: Span | None = None) -> None:
        """Note a mistake, unless it would only be the echo of a broken value."""
        echo = any(_related(path, known) for known in self.broken if on != "name" or len(known) <= len(path))
        if not echo and not self.is_full:
            self.problems.append(self._problem(path, what, fix, on, span))

    def add_broken(
        self, path: KeyPath, what: str, fix: str, *, on: On = "value", span: Span | None = None
    ) -> None:
        """Note a mistake and that nothing more can be said about this value."""
        self.add(path, what, fix, on=on, span=span)
        self.broken.append(path)

    def add_at(self, document: Document, path: KeyPath, what: str, fix: str) -> None:
        """Note a mistake in another file than the one that is checked."""
        said = f"{_short(dotted(path))}: {what}" if path else what
        self.problems.append(document.problem(document.value_mark(path), said, fix))

    def warn(self, path: KeyPath, what: str, fix: str) -> None:
        if not self.is_broken(path):
            self.warnings.append(self._problem(path, what, fix, "value", None))

    def span_of(self, path: KeyPath, part: str) -> Span | None:
        """Where `part` stands in the text that was written at `path`."""
        path = self._written(path)
        text = self.document.owner(path).texts.get(path, "")
        return (text.find(part), len(part)) if part in text else None

    def _written(self, path: KeyPath) -> KeyPath:
        """A text that stands alone for its section, or for a list of one, goes by the key that people see."""
        owner = self.document.owner(path)
        stands_alone = path not in owner.values and path[:-1] in owner.texts
        return path[:-1] if stands_alone else path

    def _problem(self, path: KeyPath, what: str, fix: str, on: On, span: Span | None) -> Problem:
        path = self._written(path)
        said = f"{_short(dotted(path))}: {what}" if path else what
        if path in self.overrides:
            source, text = self.overrides[path]
            column, width = span or (0, max(1, len(text)))
            return Problem(
                file=source,
                line=1,
                column=column + 1,
                width=width,
                what=redacted(said),
                fix=redacted(fix),
                excerpt=redacted(text),
            )
        owner = self.document.owner(path)
        mark = owner.value_mark(path) if on == "value" else owner.key_mark(path)
        return owner.problem(_inside(mark, span) if span else mark, said, fix)


def _inside(mark: Mark, span: Span) -> Mark:
    """The part of a value's mark; all of it when columns inside the text cannot be told."""
    column, width = span
    if mark.inner < 0:
        return mark
    start = min(column + mark.inner, mark.width)
    return Mark(mark.line, mark.column + start, max(1, min(width or mark.width, mark.width - start)))


def _short(key: str) -> str:
    return key if len(key) <= 120 else key[:117] + "..."


def _related(one: KeyPath, other: KeyPath) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
