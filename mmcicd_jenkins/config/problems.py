"""A mistake in a text file as people read it: place, line, caret, fix. Pure text; the command line prints it.

What comes from the file is shown so that it cannot steer a terminal.
"""

import unicodedata

from mmcicd_jenkins.errors import Problem

# A line longer than this is shown around its mistake.
MAX_LINE = 100


def render_problem(problem: Problem) -> str:
    lines = [f"{visible(problem.where)}: {visible(problem.what)}"]
    if problem.excerpt:
        excerpt, column = _around(problem.excerpt, problem.column - 1)
        before, marked = excerpt[:column], excerpt[column : column + problem.width]
        carets = "^" * max(1, _columns(marked))
        lines += [f"{problem.line:>6} | {excerpt}", f"{'':>6} | {_blank(before)}{carets}"]
    if problem.fix:
        lines.append(f"  fix: {visible(problem.fix)}")
    return "\n".join(lines)


def visible(text: str) -> str:
    """`text` with everything that a terminal would obey, or hide, written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _around(line: str, column: int) -> tuple[str, int]:
    """The line with one character for each of its own, cut to what is near the mistake."""
    shown = "".join(c if c.isprintable() or c == "\t" else "?" for c in line.rstrip("\r"))
    if len(shown) <= MAX_LINE:
        return shown, column
    start = max(0, min(column - MAX_LINE // 2, len(shown) - MAX_LINE))
    cut = shown[start : start + MAX_LINE]
    ahead = "..." if start else ""
    return ahead + cut + ("..." if start + MAX_LINE < len(shown) else ""), column - start + len(ahead)


def _columns(text: str) -> int:
    return sum(_cells(c) for c in text)


def _cells(character: str) -> int:
    """How many cells of a terminal a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _blank(text: str) -> str:
    """As wide as `text`, tabs where it has tabs."""
    return "".join("\t" if c == "\t" else " " * _cells(c) for c in text)
