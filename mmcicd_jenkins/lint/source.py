"""The text of a file as Groovy 2.4 reads it: unicode escapes become characters before anything is a token.

Positions in the decoded text lead back to line and column of the file, so a finding points at what a person wrote.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence

from mmcicd_jenkins.records import dataclass

# A backslash and what follows it. In pairs: `\\u0041` is a backslash and five letters, as Groovy's reader has it.
_ESCAPE = re.compile(r"\\(?:(u+)([0-9A-Fa-f]{4})?|[\s\S])?")


@dataclass(frozen=True, kw_only=True)
class Source:
    """`text` is decoded. `moved` are the places after an escape: (offset in `text`, offset in `original`)."""

    file: str
    original: str
    text: str
    moved: Sequence[tuple[int, int]]
    escapes: Sequence[int]
    broken_escapes: Sequence[int]
    line_starts: Sequence[int]

    def origin(self, offset: int) -> int:
        """The offset in the file of an offset in the decoded text."""
        at = bisect_right(self.moved, offset, key=lambda pair: pair[0]) - 1
        if at < 0:
            return offset
        here, there = self.moved[at]
        return min(there + offset - here, len(self.original))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1."""
        there = self.origin(offset)
        line = bisect_right(self.line_starts, there)
        return line, there - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """A line of the file as it was written."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.original)
        return self.original[start:end].rstrip("\r\n")


def read_source(file: str, original: str) -> Source:
    pieces: list[str] = []
    moved: list[tuple[int, int]] = []
    escapes: list[int] = []
    broken: list[int] = []
    done = length = 0
    for found in _ESCAPE.finditer(original):
        if not found[1]:
            continue
        if not found[2]:
            broken.append(found.start())
            continue
        pieces.append(original[done : found.start()])
        length += found.start() - done
        escapes.append(length)
        pieces.append(chr(int(found[2], 16)))
        length += 1
        moved.append((length, found.end()))
        done = found.end()
    pieces.append(original[done:])
    starts = [0, *(m.end() for m in re.finditer(r"\r\n|\r|\n", original))]
    return Source(
        file=file,
        original=original,
        text="".join(pieces),
        moved=tuple(moved),
        escapes=tuple(escapes),
        broken_escapes=tuple(broken),
        line_starts=tuple(starts),
    )
