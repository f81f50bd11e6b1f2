"""Where things stand in a file: line and column of every key and value, by path. Plain values beside them.

`config.yaml_reader` makes a `Document`; whoever complains about a value asks it for the place.
"""

import dataclasses
from collections.abc import Mapping

from mmcicd_jenkins.config.places import redacted
from mmcicd_jenkins.errors import Problem
from mmcicd_jenkins.records import dataclass

# More mistakes than anybody reads; a hostile file could make one for every byte.
MAX_PROBLEMS = 100

KeyPath = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands; counts from 1. `inner` is the distance to the text inside its quotes, -1 when
    the text is folded or escaped and columns inside it cannot be told.
    """

    line: int
    column: int
    width: int
    inner: int = 0


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file as plain values, with the marks of keys and values by their path, and the texts of scalars."""

    file: str
    plain: object
    lines: tuple[str, ...]
    keys: Mapping[KeyPath, Mark]
    values: Mapping[KeyPath, Mark]
    texts: Mapping[KeyPath, str]
    problems: tuple[tuple[KeyPath, Problem], ...] = ()
    # The file whose values hold where this one says nothing.
    under: "Document | None" = None

    def owner(self, path: KeyPath) -> "Document":
        """The file in which `path`, or its nearest parent, stands: this one before the one under it."""
        if self.under is None:
            return self
        for length in range(len(path), 0, -1):
            for document in (self, self.under):
                if path[:length] in document.values or path[:length] in document.keys:
                    return document
        return self

    def value_mark(self, path: KeyPath) -> Mark:
        """Of the value at `path`, or of its nearest parent that stands in the file."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Mark(1, 1, 1))

    def key_mark(self, path: KeyPath) -> Mark:
        """Of the key at `path`, or of the value when it has no key of its own."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, Mark(1, 1, 1))

    def problem(self, mark: Mark, what: str, fix: str) -> Problem:
        excerpt = self.lines[mark.line - 1] if mark.line <= len(self.lines) else ""
        return Problem(
            file=self.file,
            line=mark.line,
            column=mark.column,
            width=mark.width,
            what=redacted(what),
            fix=redacted(fix),
            excerpt=redacted(excerpt),
        )


def dotted(path: KeyPath) -> str:
    """A path as people write it: `models.churn.gates.0`."""
    return ".".join(str(part) for part in path)
